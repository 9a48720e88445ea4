//! `commit(batch, now)`: the store without its thread. Every verb is decided here, by pure code and reads; then the
//! whole batch becomes durable in one transaction, or none of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use redb::{Database, ReadableTable};

use super::StoreError;
use super::ask;
use super::batch::Batch;
use super::claim;
use super::codec::{decode, encode};
use super::consequences;
use super::forget;
use super::listening;
use super::memory::{Memory, Numbers};
use super::people;
use super::quarantine;
use super::read::Snapshot;
use super::report;
use super::restored;
use super::shelving;
use super::steer;
use super::sums::{self, Log};
use super::tables::{self, Tables};
use super::trust;
use super::upgrade;
use super::upkeep;
use super::verbs::{Accept, Answered, IdempotencyKey, Inbound, Recover, Settle, Write, Written};
use crate::archive::Shelf;
use crate::clock::Time;
use crate::event::{Event, Told};
use crate::message::{Address, Fact, Message, MessageId, Policy, Source};
use crate::metrics;
use crate::pause::{Paused, Scope};
use crate::sabotage::{Bug, is_planted};

/// Where a file's name stands.
pub(super) const INSTANCE: &str = "instance";
/// The data file, open for writing: one per process, and the file's lock sees to it that it stays one.
pub struct Store {
    pub(super) db: Arc<Database>,
    memory: Memory,
    policy: Policy,
    last: Time,
    /// The name the file was given when it was made.
    pub(super) instance: [u8; 16],
    pub(super) shelf: Arc<Shelf>,
    /// Where the file is and how much memory its pages may take, if it is one.
    pub(super) file: Option<(PathBuf, usize)>,
}

impl Store {
    /// A store over an opened database, on whatever backend.
    pub fn over(db: Database) -> Result<Self, StoreError> {
        upgrade::check(&db)?;
        let txn = begin(&db)?;
        Tables::make(&txn)?;
        let instance = name(&txn)?;
        upgrade::sign(&txn)?;
        txn.commit()?;
        let policy = Policy::default();
        let shelf = Arc::new(Shelf::beside(Path::new("")));
        let mut store =
            Self { db: Arc::new(db), memory: Memory::default(), policy, last: Time(0), instance, shelf, file: None };
        store.recall()?;
        Ok(store)
    }

    /// The same store, which decides by these waits and limits from now on.
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same store, whose archived messages are on this shelf.
    pub fn with_shelf(self, shelf: Arc<Shelf>) -> Self {
        Self { shelf, ..self }
    }

    /// Where its archived messages are.
    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// Reads what is kept in memory back from the file.
    fn recall(&mut self) -> Result<(), StoreError> {
        let txn = begin_read(&self.db)?;
        let next = Numbers {
            event: tables::last_key(&txn, tables::EVENTS, |key| key)?.map_or(1, |last| last + 1),
            contact: tables::last_key(&txn, tables::CONTACTS, |key| key)?.map_or(1, |last| last + 1),
            sender: tables::last_key(&txn, tables::SENDERS, |key| key)?.map_or(1, |last| last + 1),
            sums: tables::last_key(&txn, tables::SUM_LOG, |key| key)?.map_or(1, |last| last + 1),
            rollups: tables::last_key(&txn, tables::ROLLUP_LOG, |key| key)?.map_or(1, |last| last + 1),
        };
        self.memory = Memory::from(next);
        for row in txn.open_table(tables::SENDERS)?.iter()? {
            let (number, name) = row?;
            self.memory.senders.insert(name.value().to_owned(), number.value());
            self.memory.names.insert(number.value(), name.value().to_owned());
        }
        self.memory.sums = Log::read(&txn.open_table(tables::SUM_LOG)?)?;
        self.memory.rollups = Log::read(&txn.open_table(tables::ROLLUP_LOG)?)?;
        for row in txn.open_table(tables::PAUSES)?.iter()? {
            let paused = decode::<Paused>(row?.1.value())?;
            self.memory.pauses.insert(paused.scope.clone(), paused);
        }
        for row in txn.open_table(tables::LISTENING)?.iter()? {
            let (sender, heard) = row?;
            self.memory.listening.insert(sender.value(), decode(heard.value())?);
        }
        self.memory.freed = freed(&self.memory.pauses);
        let newest = tables::last_key(&txn, tables::MESSAGES, MessageId)?;
        let told = txn.open_table(tables::EVENTS)?.last()?.map(|(_, event)| decode::<Event>(event.value()));
        let told = told.transpose()?.map_or(Time(0), |event| event.at);
        self.last = newest.map_or(Time(0), MessageId::at).max(told);
        Ok(())
    }

    /// Makes every write durable, in order, and says what each came to. Nothing is written if this fails.
    ///
    /// Time never runs backwards between commits, so that ids and dates stay in order when the clock is set back.
    pub fn commit(&mut self, writes: Vec<Write>, now: Time) -> Result<Vec<Written>, StoreError> {
        let now = now.max(self.last);
        let result = self.write(writes, now);
        match result {
            Ok(_) => self.last = now,
            Err(_) => self.recall()?,
        }
        result
    }

    fn write(&mut self, writes: Vec<Write>, now: Time) -> Result<Vec<Written>, StoreError> {
        let mut txn = begin(&self.db)?;
        if is_planted(Bug::IntentNotFlushed) && writes.iter().any(|write| matches!(write, Write::Claim(_))) {
            txn.set_durability(redb::Durability::None)?;
        }
        sums::fold(&txn, &mut self.memory)?;
        let written = {
            let mut batch = Batch::new(Tables::of(&txn), now, &self.policy, &self.shelf, &mut self.memory);
            steer::free(&mut batch)?;
            let written = writes.into_iter().map(|write| match decide(&mut batch, write) {
                // A message in the archive is read before anything is changed: whoever asked is told, and nobody else.
                Err(StoreError::Archive(words)) => Ok(Written::Unreadable(words)),
                decided => decided,
            });
            let written = written.collect::<Result<Vec<_>, _>>()?;
            batch.flush()?;
            written
        };
        txn.commit()?;
        Ok(written)
    }

    /// Whether held messages still wait for something that is over: the next commit, be it an empty one, lets more go.
    pub fn is_behind(&self) -> bool {
        !self.memory.freed.is_empty()
    }

    /// Whether something became due to be sent since this was last asked.
    pub(super) fn take_sendable(&mut self) -> bool {
        std::mem::take(&mut self.memory.has_sendable)
    }

    /// Whether somebody asked for a job since this was last asked.
    pub(super) fn take_wanted(&mut self) -> bool {
        std::mem::take(&mut self.memory.is_wanted)
    }

    /// The waits and limits it decides by.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The database, for reading as long as this store is open.
    pub(super) fn database(&self) -> Weak<Database> {
        Arc::downgrade(&self.db)
    }

    /// The name the file was given when it was made.
    pub(super) fn instance(&self) -> [u8; 16] {
        self.instance
    }

    /// The latest time at which anything was written.
    pub fn last(&self) -> Time {
        self.last
    }

    /// The number of the newest event; 0 if there is none.
    pub(super) fn newest_event(&self) -> u64 {
        self.memory.next.event - 1
    }

    /// The store as it is now, for reading.
    pub fn read(&self) -> Result<Snapshot, StoreError> {
        let lease = self.shelf.lease();
        Ok(Snapshot::over(begin_read(&self.db)?, Arc::clone(&self.shelf), lease))
    }
}

/// The name of a file, given when it is made.
fn name(txn: &redb::WriteTransaction) -> Result<[u8; 16], StoreError> {
    let mut meta = txn.open_table(tables::META)?;
    if let Some(known) = meta.get(INSTANCE)? {
        return Ok(decode(known.value())?);
    }
    let name: [u8; 16] = rand::random();
    meta.insert(INSTANCE, encode(&name).as_slice())?;
    Ok(name)
}

/// Durable when it returns, against torn writes too: bodies are written by strangers, so two phases; and reopening
/// must not take longer the more there is, so quick repair.
pub(super) fn begin(db: &Database) -> Result<redb::WriteTransaction, StoreError> {
    let mut txn = db.begin_write()?;
    txn.set_two_phase_commit(true);
    txn.set_quick_repair(true);
    Ok(txn)
}

pub(super) fn begin_read(db: &Database) -> Result<redb::ReadTransaction, StoreError> {
    use redb::ReadableDatabase;
    Ok(db.begin_read()?)
}

fn decide(batch: &mut Batch<'_>, write: Write) -> Result<Written, StoreError> {
    match write {
        Write::Accept(accept) => self::accept(batch, *accept),
        Write::Claim(claim) => claim::open_attempts(batch, &claim).map(Written::Claimed),
        Write::Settle(settle) => self::settle(batch, settle),
        Write::Report(report) => report::record(batch, *report),
        Write::Receive(inbound) => self::receive(batch, *inbound),
        Write::Ask(asked) => ask::ask(batch, asked),
        Write::Steer(steer) => steer::steer(batch, steer),
        Write::Retry(retry) => steer::retry(batch, retry),
        Write::Pause(scope, cause) => consequences::pause(batch, scope, cause).map(Written::Paused),
        Write::Resume(scope) => consequences::resume(batch, &scope).map(Written::Resumed),
        Write::OptOut(wish) => steer::opt(batch, wish),
        Write::Listened(listened) => listening::listened(batch, listened),
        Write::Recover(recover) => self::recover(batch, recover),
        Write::Doubt(doubt) => restored::doubt(batch, doubt),
        Write::CaughtUp => restored::settle(batch),
        Write::OpenSegment => shelving::open(batch),
        Write::Shelve(shelve) => shelving::shelve(batch, shelve),
        Write::CloseSegment(segment) => shelving::close(batch, segment),
        Write::MarkSegment(segment) => shelving::mark(batch, segment).map(|()| Written::Segment(segment)),
        Write::DiscardSegment(segment) => shelving::discard(batch, segment),
        Write::Return(ids) => shelving::bring_back(batch, ids),
        Write::ForgetWords(ids) => forget::words(batch, ids),
        Write::ForgetMessages(ids) => forget::messages(batch, ids),
        Write::ForgetInboundWords(keys) => forget::inbound_words(batch, keys),
        Write::ForgetInbound(keys) => forget::all_inbound(batch, keys),
        Write::ForgetPeople(numbers) => forget::people(batch, numbers),
        Write::ForgetOld(old) => forget::old(batch, old),
        Write::Erase(name) => forget::erase(batch, &canonical(&name)),
        Write::Scrub(numbers) => forget::scrub(batch, numbers),
        Write::Scrubbed(since) => forget::scrubbed(batch, since),
        // The writer does it between two commits.
        Write::Rewrite => Ok(Written::NotFound),
        Write::Ran(upkeep, run) => upkeep::ran(batch, upkeep, &run),
        Write::Want(upkeep) => upkeep::want(batch, upkeep),
        Write::Govern(govern) => trust::govern(batch, *govern),
        Write::Quarantine(seq, sealed) => quarantine::keep(batch, seq, *sealed),
        Write::ReleaseQuarantined(numbers) => quarantine::release(batch, &numbers),
        Write::Used(all) => trust::used(batch, all),
        Write::Looked(session) => people::looked(batch, session),
        Write::Introduce(names) => {
            let numbers = names.iter().map(|name| batch.sender(name)).collect::<Result<_, _>>()?;
            Ok(Written::Introduced(numbers))
        }
    }
}

fn accept(batch: &mut Batch<'_>, accept: Accept) -> Result<Written, StoreError> {
    let Accept { draft, random, key } = accept;
    let now = batch.now;
    if let Some(key) = &key
        && let Some(answered) = answered_under(batch.tables.keys.open()?, key, now)?
    {
        if answered.request != key.request {
            return Ok(Written::KeyReused);
        }
        if let Some(message) = batch.message(answered.message)? {
            return Ok(Written::Replayed(Box::new(message.clone())));
        }
        if forget::is_gone(batch, Some(answered.message), None)? {
            return Ok(Written::Gone);
        }
    }
    let id = MessageId::new(now, random);
    if let Some(IdempotencyKey { key, request, .. }) = key {
        let answered = Answered { request, message: id, at: now };
        batch.tables.keys.open()?.insert(key, encode(&answered).as_slice())?;
    }
    let sender = batch.sender(&draft.from.to_string())?;
    let contact = batch.contact_named(&draft.to.to_string())?;
    let message = Message::accept(id, draft, sender, contact, now);
    batch.insert(message.clone())?;
    Ok(Written::Accepted(Box::new(message)))
}

/// What was answered under a key that is still remembered.
pub(super) fn answered_under(
    keys: &impl ReadableTable<[u8; 32], &'static [u8]>,
    key: &IdempotencyKey,
    now: Time,
) -> Result<Option<Answered>, StoreError> {
    let Some(bytes) = keys.get(key.key)? else { return Ok(None) };
    let answered: Answered = decode(bytes.value())?;
    Ok(Some(answered).filter(|answered| now.0 - answered.at.0 < key.kept_ms))
}

fn settle(batch: &mut Batch<'_>, settle: Settle) -> Result<Written, StoreError> {
    let Settle { attempt, fact, source } = settle;
    let is_ours = batch
        .message(attempt.message)?
        .is_some_and(|message| message.attempt(attempt.number).is_some_and(|known| known.nonce == attempt.nonce));
    if !is_ours {
        return Ok(Written::NotFound);
    }
    if let Fact::Sent { sid, .. } = fact {
        report::absorb(batch, attempt.message, attempt.number, sid)?;
    }
    let change = batch.apply(attempt.message, fact, source)?;
    Ok(change.map_or(Written::NotFound, |change| Written::Recorded(super::Recorded { id: attempt.message, change })))
}

fn receive(batch: &mut Batch<'_>, mut inbound: Inbound) -> Result<Written, StoreError> {
    let known = batch.tables.inbound_sids.open()?.get(inbound.sid.0)?.map(|at| Time(at.value()));
    if let Some(at) = known {
        return enrich(batch, inbound, at);
    }
    if forget::is_gone(batch, None, Some(inbound.sid))? {
        return Ok(Written::Gone);
    }
    let names = std::iter::once(&inbound.from).chain(&inbound.also).cloned().collect::<Vec<_>>();
    inbound.at = if inbound.source == Source::Poll { inbound.at.min(batch.now) } else { batch.now };
    inbound.sender = batch.sender(&inbound.to)?;
    inbound.contact = report::one_contact(batch, &names)?;
    let Inbound { sid, at, contact, sender, .. } = inbound;
    batch.tables.inbound.open()?.insert(tables::inbound(at, sid.0), encode(&inbound).as_slice())?;
    batch.tables.inbound_sids.open()?.insert(sid.0, at.0)?;
    batch.tables.inbound_of.open()?.insert(tables::inbound_of(contact, at, sid.0), ())?;
    let share = metrics::inbound(inbound.source);
    batch.count(&share, sender, at, 1);
    batch.credit(&share, contact, 1);
    batch.contact(contact)?.wrote(sender, at);
    batch.tell(Some(Told::Inbound { sid, sender, contact }))?;
    steer::hear(batch, &inbound)?;
    Ok(Written::Received(true))
}

/// A callback tells more than a list: what was found by asking takes over what only the callback knows.
fn enrich(batch: &mut Batch<'_>, told: Inbound, at: Time) -> Result<Written, StoreError> {
    let key = tables::inbound(at, told.sid.0);
    let stored = batch.tables.inbound.open()?.get(key)?.map(|bytes| decode::<Inbound>(bytes.value()));
    let Some(stored) = stored.transpose()? else { return Ok(Written::Received(false)) };
    if stored.source == Source::Poll && told.source == Source::Callback {
        let Inbound { contact, sender, .. } = stored;
        for (source, times) in [(stored.source, -1), (told.source, 1)] {
            let share = metrics::inbound(source);
            batch.count(&share, sender, at, times);
            batch.credit(&share, contact, times);
        }
        let told = Inbound { at, contact, sender, ..told };
        batch.tables.inbound.open()?.insert(key, encode(&told).as_slice())?;
    }
    Ok(Written::Received(false))
}

fn recover(batch: &mut Batch<'_>, recover: Recover) -> Result<Written, StoreError> {
    let flights = batch.tables.flights.open()?.iter()?.map(|row| Ok(tables::id_in(row?.0.value())));
    let flights = flights.collect::<Result<Vec<_>, redb::StorageError>>()?;
    let mut lost = 0;
    for id in flights {
        let attempt = batch.message(id)?.and_then(|message| message.attempts.last().cloned());
        let has_no_owner = |attempt: &crate::message::Attempt| attempt.is_in_flight() && attempt.boot != recover.boot;
        let Some(attempt) = attempt.filter(has_no_owner) else { continue };
        let detail = "bluetick stopped before the answer came".to_owned();
        let ask_at = batch.policy.first_look_at(batch.now);
        batch.apply(id, Fact::Unclear { attempt: attempt.number, detail, ask_at }, Source::Job)?;
        lost += 1;
    }
    Ok(Written::Recovered(lost))
}

/// Templates that are not paused any more; whether something still waits for them, the next commit sees.
fn freed(pauses: &BTreeMap<Scope, Paused>) -> BTreeSet<String> {
    let is_over = |(scope, paused): (&Scope, &Paused)| match scope {
        Scope::Template(sid) if !paused.is_on() => Some(sid.clone()),
        _ => None,
    };
    pauses.iter().filter_map(is_over).collect()
}

/// How a name Twilio used is written as a key: always the same way.
pub(super) fn canonical(name: &str) -> String {
    Address::from_twilio(name).to_string()
}
