//! Opening attempts: what is due, lane by lane, up to what whoever claims can carry.
//!
//! Invariant: every message that is looked at either goes, or is no longer due when this commit is done: nothing is
//! looked at for ever, and nothing that cannot go holds up what is behind it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::ReadableTable;

use super::StoreError;
use super::batch::Batch;
use super::consequences;
use super::tables;
use super::verbs::{Claim, Claimed, Turn};
use crate::clock::Time;
use crate::message::{Fact, Form, Hold, Message, MessageId, Pass, Passage, Priority, Source, Step, Wait};
use crate::pause::Scope;

/// A claim opens no more attempts than this, however many slots are free: it bounds the commit.
const MAX_CLAIMED: usize = 1_024;
/// Of ten turns of a busy sender, so many go to each lane first: none of them starves.
const LANES: [Priority; 10] = {
    use Priority::{Bulk, High, Normal};
    [High, High, Normal, High, High, Normal, High, Normal, High, Bulk]
};
/// How soon, and how late, to look again at what waits for news of the same words to the same person.
const TWIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// The intents are stored with this commit; only then may the requests leave.
pub(super) fn open_attempts(batch: &mut Batch<'_>, claim: &Claim) -> Result<Claimed, StoreError> {
    let mut dice = StdRng::from_seed(claim.seed);
    let too_fast = std::mem::take(&mut batch.memory().too_fast).into_iter().collect();
    let mut claimed = Claimed { messages: Vec::new(), too_fast };
    for turn in &claim.turns {
        let free = claim.slots.min(MAX_CLAIMED).saturating_sub(claimed.messages.len());
        let Some((free, probed)) = gate(batch, turn.sender, free)? else { continue };
        for id in due(batch, turn, free)? {
            let Some(form) = look(batch, id, &claimed)? else { continue };
            let mut nonce = [0; 16];
            dice.fill_bytes(&mut nonce);
            batch.apply(id, Fact::Claimed { nonce, boot: claim.boot, form }, Source::Job)?;
            for scope in &probed {
                let_through(batch, scope, id)?;
            }
            claimed.messages.extend(batch.message(id)?.cloned());
        }
    }
    Ok(claimed)
}

/// How many messages of a sender may go, and which pauses they probe; nothing, if it is paused.
fn gate(batch: &mut Batch<'_>, sender: u32, free: usize) -> Result<Option<(usize, Vec<Scope>)>, StoreError> {
    let now = batch.now;
    let name = batch.sender_name(sender);
    let scopes = [Scope::All, Scope::Account].into_iter().chain(name.map(|name| Scope::Sender(name.to_owned())));
    let mut probed = Vec::new();
    for scope in scopes {
        let Some(paused) = batch.memory().pauses.get(&scope).filter(|paused| paused.is_on()) else { continue };
        match paused.opens_at() {
            Some(at) if at <= now => probed.push(scope),
            _ => return Ok(None),
        }
    }
    Ok(Some((if probed.is_empty() { free } else { free.min(1) }, probed)))
}

fn let_through(batch: &mut Batch<'_>, scope: &Scope, id: MessageId) -> Result<(), StoreError> {
    let (policy, now) = (batch.policy, batch.now);
    let Some(mut paused) = batch.memory().pauses.get(scope).cloned() else { return Ok(()) };
    paused.let_through(id, policy, now);
    consequences::keep(batch, paused)
}

/// The last look at a message that is due: the form in which it goes, or nothing if it does not go now.
fn look(batch: &mut Batch<'_>, id: MessageId, claimed: &Claimed) -> Result<Option<Form>, StoreError> {
    let now = batch.now;
    // Another claim of this batch may have been first: its agenda row leaves only with the batch.
    let is_due = |message: &&Message| message.next.is_some_and(|next| next.step == Step::Send && next.due <= now);
    let Some(message) = batch.message(id)?.filter(is_due).cloned() else { return Ok(None) };
    match obstacle(batch, &message, claimed)? {
        Ok(form) => Ok(Some(form)),
        Err(fact) => batch.apply(id, fact, Source::Job).map(|_| None),
    }
}

/// The form in which it goes, or what happens to it instead.
fn obstacle(batch: &mut Batch<'_>, message: &Message, claimed: &Claimed) -> Result<Result<Form, Fact>, StoreError> {
    let (now, policy) = (batch.now, batch.policy);
    if message.has_expired(policy.max_attempts, now) {
        return Ok(Err(Fact::Expired));
    }
    let recipient = batch.recipient(message.sender, message.contact)?;
    let form = match message.passage(&recipient, policy) {
        Passage::Go(form) => form,
        Passage::Suppress(scope) => return Ok(Err(Fact::Suppressed { scope })),
        Passage::Refuse { at } => return Ok(Err(Fact::WindowClosed { at })),
        Passage::Hold { at } => return Ok(Err(Fact::Held { why: Hold::WindowClosed { at } })),
    };
    let pass = message.next.map_or(Pass::None, |next| next.pass);
    if let Some(sid) = message.template(form).map(|template| template.sid.clone())
        && pass != Pass::Released
        && !may_use(batch, &sid, message.id)?
    {
        return Ok(Err(Fact::Held { why: Hold::Template(sid) }));
    }
    if let Some(news_at) = twin(batch, message, claimed)? {
        let due = news_at.max(now.plus(TWIN.0)).min(now.plus(TWIN.1));
        return Ok(Err(Fact::Deferred { due, why: Wait::Twin }));
    }
    let pair = (message.sender, message.contact);
    if pass == Pass::None
        && let Some(due) = batch.memory().pairs.take_turn(pair, policy, now)
    {
        return Ok(Err(Fact::Deferred { due, why: Wait::Pair }));
    }
    Ok(Ok(form))
}

/// Whether a template is not paused, or is to be probed.
fn may_use(batch: &mut Batch<'_>, sid: &str, id: MessageId) -> Result<bool, StoreError> {
    let (scope, now) = (Scope::Template(sid.to_owned()), batch.now);
    let paused = batch.memory().pauses.get(&scope).filter(|paused| paused.is_on());
    match paused.map(|paused| paused.opens_at()) {
        None => Ok(true),
        Some(Some(at)) if at <= now => let_through(batch, &scope, id).map(|()| true),
        Some(_) => Ok(false),
    }
}

/// When there may be news of the same words to the same person, if they are on their way or may be: they must not go
/// twice by mistake.
fn twin(batch: &mut Batch<'_>, message: &Message, claimed: &Claimed) -> Result<Option<Time>, StoreError> {
    let now = batch.now;
    let is_twin = |other: &Message| {
        other.id != message.id && other.contact == message.contact && other.draft.content == message.draft.content
    };
    if claimed.messages.iter().any(is_twin) {
        return Ok(Some(now));
    }
    let first = tables::message_of(message.contact, MessageId([0; 16]));
    let last = tables::message_of(message.contact, MessageId([255; 16]));
    let flights = batch.tables.flights.open()?.range(first..=last)?.map(|row| Ok(row?.0.value()));
    for row in flights.collect::<Result<Vec<_>, redb::StorageError>>()? {
        let other = batch.message(tables::id_in(row))?;
        if let Some(other) = other.filter(|other| is_twin(other) && other.is_undecided()) {
            return Ok(Some(other.next.map_or(now, |next| next.due)));
        }
    }
    Ok(None)
}

/// What is due of a sender: lanes take turns so that urgent ones go first and none starves, the longest due of a lane
/// first.
fn due(batch: &mut Batch<'_>, turn: &Turn, free: usize) -> Result<Vec<MessageId>, StoreError> {
    let at_most = turn.at_most.min(free);
    let mut lanes = Vec::with_capacity(Priority::ALL.len());
    for priority in Priority::ALL {
        let first = tables::agenda(Step::Send, turn.sender, priority, Time(0), MessageId([0; 16]));
        let last = tables::agenda(Step::Send, turn.sender, priority, batch.now, MessageId([255; 16]));
        let rows = batch.tables.agenda.open()?.range(first..=last)?.take(at_most);
        let lane = rows.map(|row| Ok(tables::agenda_id(row?.0.value()))).collect::<Result<Vec<_>, StoreError>>()?;
        lanes.push(lane.into_iter());
    }
    let next = batch.memory().lanes.entry(turn.sender).or_default();
    let mut due = Vec::new();
    while due.len() < at_most {
        let first = LANES[usize::from(*next) % LANES.len()];
        let found = lanes[first as usize].next().or_else(|| lanes.iter_mut().find_map(Iterator::next));
        let Some(id) = found else { break };
        *next = (*next + 1) % LANES.len() as u8;
        due.push(id);
    }
    Ok(due)
}
