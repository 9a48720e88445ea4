//! One transaction's worth of writing: records are loaded once, changed in memory, and saved once with all that follows
//! from them.
//!
//! Invariant: what is not saved by [`Batch::flush`] is not written at all. A record that several writes of a batch touch
//! costs one load and one save.

use std::collections::BTreeMap;

use redb::{ReadableTable, Table};

use super::StoreError;
use super::codec::{decode, encode};
use super::consequences::{self, News};
use super::footprint::Footprint;
use super::memory::Memory;
use super::shelving;
use super::sums;
use super::tables::{self, Tables, Tier};
use crate::archive::Shelf;
use crate::clock::Time;
use crate::contact::Contact;
use crate::event::{Event, Told};
use crate::message::{Change, Fact, Message, MessageId, Policy, Recipient, Sid, Source, Step};
use crate::metrics::{Cell, Share};
use crate::sabotage::{Bug, is_planted};

pub(super) struct Batch<'txn> {
    pub(super) tables: Tables<'txn>,
    pub(super) now: Time,
    pub(super) policy: &'txn Policy,
    shelf: &'txn Shelf,
    memory: &'txn mut Memory,
    messages: BTreeMap<MessageId, Touched>,
    /// SIDs that messages of this batch took on, before the index knows of them.
    bound: BTreeMap<Sid, MessageId>,
    contacts: BTreeMap<u64, Contact>,
    sums: BTreeMap<u64, Cell>,
    rollups: BTreeMap<[u8; 9], Cell>,
    forgotten: BTreeMap<[u8; 9], Cell>,
}

struct Touched {
    before: Option<Footprint>,
    message: Message,
    has_changed: bool,
    is_gone: bool,
    /// The segment it came from, if it was archived.
    segment: Option<u32>,
}

impl<'txn> Batch<'txn> {
    pub(super) fn new(
        tables: Tables<'txn>,
        now: Time,
        policy: &'txn Policy,
        shelf: &'txn Shelf,
        memory: &'txn mut Memory,
    ) -> Self {
        let (messages, bound, contacts, sums, rollups, forgotten) = Default::default();
        Self { tables, now, policy, shelf, memory, messages, bound, contacts, sums, rollups, forgotten }
    }

    /// What the writer remembers.
    pub(super) fn memory(&mut self) -> &mut Memory {
        self.memory
    }

    /// The message as this batch sees it.
    pub(super) fn message(&mut self, id: MessageId) -> Result<Option<&Message>, StoreError> {
        self.load(id)?;
        Ok(self.messages.get(&id).filter(|touched| !touched.is_gone).map(|touched| &touched.message))
    }

    fn load(&mut self, id: MessageId) -> Result<(), StoreError> {
        if self.messages.contains_key(&id) {
            return Ok(());
        }
        let found = match self.memory.take(id) {
            Some(message) => Some((None, message)),
            None => {
                let Tables { messages, stubs, merged, .. } = &mut self.tables;
                let here = messages.open()?.get(id.0)?.map(|bytes| decode::<Message>(bytes.value()));
                match here.transpose()? {
                    Some(message) => Some((None, message)),
                    None => shelving::behind_stub(stubs.open()?, merged.open()?, self.shelf, id)?
                        .map(|(segment, message)| (Some(segment), message)),
                }
            }
        };
        let Some((segment, message)) = found else { return Ok(()) };
        let before = Some(Footprint::of(&message));
        self.messages.insert(id, Touched { before, message, has_changed: false, is_gone: false, segment });
        Ok(())
    }

    /// Forgets a message that nothing has changed in this batch; says whether that is so.
    pub(super) fn forget(&mut self, id: MessageId) -> bool {
        if self.messages.get(&id).is_some_and(|touched| touched.has_changed) {
            return false;
        }
        self.messages.remove(&id);
        self.memory.take(id);
        true
    }

    /// Takes a message out of the archive; says whether it was there.
    pub(super) fn bring_back(&mut self, id: MessageId) -> Result<bool, StoreError> {
        self.load(id)?;
        let archived = self.messages.get_mut(&id).filter(|touched| touched.segment.is_some() && !touched.has_changed);
        Ok(archived.map(|touched| touched.has_changed = true).is_some())
    }

    /// Whether a message is in the archive, as the file says.
    pub(super) fn is_archived(&mut self, id: MessageId) -> Result<bool, StoreError> {
        Ok(self.tables.stubs.open()?.get(id.0)?.is_some())
    }

    /// A message that was not there before.
    pub(super) fn insert(&mut self, message: Message) -> Result<(), StoreError> {
        let change = Change { grew: true, ..message.no_change() };
        self.tell(Told::of(&message, &change))?;
        self.bound.extend(message.sid().map(|sid| (sid, message.id)));
        let id = message.id;
        let touched = Touched { before: None, message, has_changed: true, is_gone: false, segment: None };
        self.messages.insert(id, touched);
        Ok(())
    }

    /// Lets a loaded message take in a fact of an earlier time, from which nothing follows yet.
    pub(super) fn apply_at(&mut self, id: MessageId, fact: Fact, source: Source, at: Time) -> Result<(), StoreError> {
        let Some(Touched { message, has_changed, .. }) = self.messages.get_mut(&id) else { return Ok(()) };
        *has_changed = true;
        let change = message.apply(fact, source, at);
        let told = Told::of(message, &change);
        self.tell(told)
    }

    /// Lets a loaded message take a fact in, does what follows by itself, and tells of it once.
    pub(super) fn apply(&mut self, id: MessageId, fact: Fact, source: Source) -> Result<Option<Change>, StoreError> {
        let now = self.now;
        let Some(Touched { message, has_changed, .. }) = self.messages.get_mut(&id) else { return Ok(None) };
        if let Fact::Sent { sid, .. } | Fact::Reported { sid, .. } = &fact {
            self.bound.insert(*sid, id);
        }
        let news = News::of(&fact);
        *has_changed = true;
        let mut change = message.apply(fact, source, now);
        if let Some(next) = message.follow_up(self.policy, now, message.dice()) {
            change = change.then(message.apply(next, Source::Job, now));
        }
        let told = Told::of(message, &change);
        self.tell(told)?;
        if change.grew {
            consequences::spread(self, id, news)?;
        }
        Ok(Some(change))
    }

    /// What is known of the person a message is for.
    pub(super) fn recipient(&mut self, sender: u32, contact: u64) -> Result<Recipient, StoreError> {
        let (now, heard_since) = (self.now, self.memory.listening.get(&sender).map(|heard| heard.since));
        let is_service = self.sender_name(sender).is_some_and(|name| name.starts_with("MG"));
        let contact = self.known_contact(contact)?;
        let window = if is_service { contact.window_of_any(now) } else { contact.window(sender, heard_since, now) };
        Ok(Recipient { window, opted_out: contact.opted_out() })
    }

    /// A contact, only to be looked at.
    fn known_contact(&mut self, number: u64) -> Result<Contact, StoreError> {
        if let Some(contact) = self.contacts.get(&number) {
            return Ok(contact.clone());
        }
        let bytes = self.tables.contacts.open()?.get(number)?;
        Ok(bytes.map(|bytes| decode(bytes.value())).transpose()?.unwrap_or_default())
    }

    /// Hands the loaded messages of one contact to another. Their shares go over with the contact's own sums, so the
    /// old footprints are made to say the same.
    pub(super) fn reassign(&mut self, from: u64, into: u64) -> Result<(), StoreError> {
        for (id, touched) in self.messages.iter_mut().filter(|(_, touched)| touched.message.contact == from) {
            touched.message.contact = into;
            touched.has_changed = true;
            if let Some(before) = touched.before.as_mut() {
                let mut moved = before.clone();
                moved.move_to(into);
                for (print, is_there) in [(&*before, false), (&moved, true)] {
                    set(self.tables.messages_of.open()?, tables::message_of(print.contact, *id), is_there)?;
                    if print.is_unresolved {
                        set(self.tables.flights.open()?, tables::message_of(print.contact, *id), is_there)?;
                    }
                    if let Some(row) = &print.held {
                        set(self.tables.held.open()?, row.as_slice(), is_there)?;
                    }
                }
                *before = moved;
            }
        }
        Ok(())
    }

    /// Takes a message away whose story went into another.
    pub(super) fn remove(&mut self, id: MessageId) -> Result<Option<Message>, StoreError> {
        self.load(id)?;
        Ok(self.messages.get_mut(&id).map(|touched| {
            (touched.has_changed, touched.is_gone) = (true, true);
            touched.message.clone()
        }))
    }

    /// Whose SID this is, as this batch sees it.
    pub(super) fn owner(&mut self, sid: Sid) -> Result<Option<MessageId>, StoreError> {
        match self.bound.get(&sid) {
            Some(id) => Ok(Some(*id)),
            None => Ok(self.tables.sids.open()?.get(sid.0)?.map(|id| MessageId(id.value()))),
        }
    }

    /// Writes an event row.
    pub(super) fn tell(&mut self, told: Option<Told>) -> Result<(), StoreError> {
        if let Some(told) = told {
            let event = Event { seq: self.memory.next.event, at: self.now, told };
            self.tables.events.open()?.insert(event.seq, encode(&event).as_slice())?;
            self.memory.next.event += 1;
        }
        Ok(())
    }

    /// The number of a sender, given now if it has none.
    pub(super) fn sender(&mut self, name: &str) -> Result<u32, StoreError> {
        if let Some(number) = self.memory.senders.get(name) {
            return Ok(*number);
        }
        let number = self.memory.next.sender;
        self.tables.senders.open()?.insert(number, name)?;
        self.memory.senders.insert(name.to_owned(), number);
        self.memory.names.insert(number, name.to_owned());
        self.memory.next.sender += 1;
        Ok(number)
    }

    /// What a sender is called.
    pub(super) fn sender_name(&self, number: u32) -> Option<&str> {
        self.memory.names.get(&number).map(String::as_str)
    }

    /// The number of the contact known by this name, given now if nobody is.
    pub(super) fn contact_named(&mut self, alias: &str) -> Result<u64, StoreError> {
        if let Some(number) = self.contact_number(alias)? {
            return Ok(number);
        }
        let number = self.memory.next.contact;
        self.memory.next.contact += 1;
        self.tables.aliases.open()?.insert(alias, number)?;
        self.contacts.insert(number, Contact::named(alias));
        Ok(number)
    }

    pub(super) fn contact_number(&mut self, alias: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.tables.aliases.open()?.get(alias)?.map(|number| number.value()))
    }

    /// A contact, to be changed.
    pub(super) fn contact(&mut self, number: u64) -> Result<&mut Contact, StoreError> {
        if !self.contacts.contains_key(&number) {
            let bytes = self.tables.contacts.open()?.get(number)?;
            let contact = bytes.map(|bytes| decode(bytes.value())).transpose()?.unwrap_or_default();
            self.contacts.insert(number, contact);
        }
        Ok(self.contacts.entry(number).or_default())
    }

    /// Takes a contact away whose names go to another, and hands its sum over.
    pub(super) fn remove_contact(&mut self, number: u64, into: u64) -> Result<Contact, StoreError> {
        let (contact, sum) = self.take_contact(number)?;
        self.sums.entry(into).or_default().merge(&sum, 1);
        Ok(contact)
    }

    /// Adds a share to a contact's sum.
    pub(super) fn credit(&mut self, share: &Share, contact: u64, times: i64) {
        share.add_to(self.sums.entry(contact).or_default(), times);
    }

    /// Adds a share to the three sums of its sender.
    pub(super) fn count(&mut self, share: &Share, sender: u32, at: Time, times: i64) {
        for tier in Tier::ALL {
            let key = tables::rollup(sender, tier, tier.bucket(at));
            share.add_to(self.rollups.entry(key).or_default(), times);
        }
    }

    /// Keeps the share of a record that goes in the sums of its sender.
    pub(super) fn keep_sum(&mut self, share: &Share, sender: u32, at: Time) {
        self.count(share, sender, at, 1);
        let key = tables::rollup(sender, Tier::Hour, Tier::Hour.bucket(at));
        share.add_to(self.forgotten.entry(key).or_default(), 1);
    }

    /// Takes a contact away of whom nothing is left.
    pub(super) fn forget_contact(&mut self, number: u64) -> Result<(), StoreError> {
        let (contact, _) = self.take_contact(number)?;
        for name in &contact.aliases {
            self.tables.aliases.open()?.remove(name.as_str())?;
        }
        self.tables.opt_outs.open()?.remove(number)?;
        Ok(())
    }

    /// Takes a contact's record and sum away.
    fn take_contact(&mut self, number: u64) -> Result<(Contact, Cell), StoreError> {
        let contact = std::mem::take(self.contact(number)?);
        self.contacts.remove(&number);
        self.tables.contacts.open()?.remove(number)?;
        let unfolded = self.memory.sums.cells.get(&number).cloned().unwrap_or_default();
        let mut sum = sums::cell_of(self.tables.sums.open()?, number)?;
        self.tables.sums.open()?.remove(number)?;
        sum.merge(&unfolded, 1);
        sum.merge(&self.sums.remove(&number).unwrap_or_default(), 1);
        // What the log still says of the contact that went is taken off again.
        self.sums.entry(number).or_default().merge(&unfolded, -1);
        Ok((contact, sum))
    }

    /// Saves everything that was touched, with all that follows from it.
    pub(super) fn flush(mut self) -> Result<(), StoreError> {
        // What goes gives its SIDs up before another takes them.
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.messages).into_values().partition(|touched| touched.is_gone);
        for touched in gone.into_iter().chain(kept) {
            self.save(touched)?;
        }
        for (number, contact) in std::mem::take(&mut self.contacts) {
            self.tables.contacts.open()?.insert(number, encode(&contact).as_slice())?;
        }
        for (key, delta) in std::mem::take(&mut self.forgotten) {
            let mut cell = sums::cell_of(self.tables.forgotten.open()?, key)?;
            cell.merge(&delta, 1);
            sums::set_cell(self.tables.forgotten.open()?, key, &cell)?;
        }
        self.save_rollups()?;
        self.save_sums()
    }

    fn save(&mut self, touched: Touched) -> Result<(), StoreError> {
        let Touched { before, message, has_changed, is_gone, segment } = touched;
        if !has_changed {
            if segment.is_none() {
                self.memory.keep(message);
            }
            return Ok(());
        }
        if let Some(segment) = segment {
            self.tables.stubs.open()?.remove(message.id.0)?;
            shelving::mark(self, segment)?;
        }
        let after = (!is_gone).then(|| Footprint::of(&message));
        match &after {
            Some(_) => drop(self.tables.messages.open()?.insert(message.id.0, encode(&message).as_slice())?),
            None => drop(self.tables.messages.open()?.remove(message.id.0)?),
        }
        let sends = |print: &Footprint| print.agenda.filter(|row| tables::agenda_step(*row) == Step::Send as u8);
        self.memory.has_sendable |=
            after.as_ref().and_then(sends).is_some_and(|row| before.as_ref().and_then(sends) != Some(row));
        if before != after {
            self.step(before.as_ref(), after.as_ref())?;
            self.recount(before.as_ref(), after.as_ref(), message.accepted_at);
        }
        if !is_gone {
            self.memory.keep(message);
        }
        Ok(())
    }

    /// Moves every index row from where the old record had it to where the new one has it.
    fn step(&mut self, before: Option<&Footprint>, after: Option<&Footprint>) -> Result<(), StoreError> {
        let tables = &mut self.tables;
        for (old, is_old) in [(before, true), (after, false)] {
            let Some(print) = old else { continue };
            let other = if is_old { after } else { before };
            for sid in &print.sids {
                if other.is_none_or(|other| !other.sids.contains(sid)) {
                    own(tables.sids.open()?, *sid, print.id, !is_old)?;
                }
            }
            if let Some(row) = print.agenda
                && other.is_none_or(|other| other.agenda != print.agenda)
            {
                set(tables.agenda.open()?, row, !is_old)?;
            }
            if let Some(code) = print.code
                && other.is_none_or(|other| other.code != print.code)
            {
                set(tables.codes.open()?, tables::code(code, print.id), !is_old)?;
            }
            if other.is_none_or(|other| other.contact != print.contact) {
                set(tables.messages_of.open()?, tables::message_of(print.contact, print.id), !is_old)?;
            }
            if print.needs_attention && other.is_none_or(|other| !other.needs_attention) {
                set(tables.attention.open()?, print.id.0, !is_old)?;
            }
            let is_same_contact = other.is_some_and(|other| other.contact == print.contact);
            if print.is_unresolved && !(is_same_contact && other.is_some_and(|other| other.is_unresolved)) {
                set(tables.flights.open()?, tables::message_of(print.contact, print.id), !is_old)?;
            }
            if let Some(row) = &print.held
                && other.is_none_or(|other| other.held != print.held)
            {
                set(tables.held.open()?, row.as_slice(), !is_old)?;
            }
        }
        Ok(())
    }

    /// Takes the old share off the sums and adds the new one.
    fn recount(&mut self, before: Option<&Footprint>, after: Option<&Footprint>, accepted_at: Time) {
        let counts = |print: &Footprint| (print.sender, print.contact, print.share.clone());
        if before.map(counts) == after.map(counts) {
            return;
        }
        for (print, times) in [(before, -1), (after, 1)] {
            let Some(print) = print else { continue };
            if times < 0 && is_planted(Bug::ShareNotSubtracted) {
                continue;
            }
            self.count(&print.share, print.sender, accepted_at, times);
            self.credit(&print.share, print.contact, times);
        }
    }

    /// The cells of this hour are written at once; those of the day and of all time go through a log.
    fn save_rollups(&mut self) -> Result<(), StoreError> {
        let deltas = std::mem::take(&mut self.rollups).into_iter().filter(|(_, delta)| !delta.is_empty());
        let (hours, rest): (Vec<_>, Vec<_>) = deltas.partition(|(key, _)| tables::tier(*key) == Tier::Hour as u8);
        for (key, delta) in hours {
            let mut cell = match self.memory.take_cell(key) {
                Some(cell) => cell,
                None => sums::cell_of(self.tables.rollups.open()?, key)?,
            };
            cell.merge(&delta, 1);
            sums::set_cell(self.tables.rollups.open()?, key, &cell)?;
            self.memory.keep_cell(key, cell);
        }
        if !rest.is_empty() {
            self.tables.rollup_log.open()?.insert(self.memory.next.rollups, encode(&rest).as_slice())?;
            self.memory.next.rollups += 1;
            self.memory.rollups.add(&rest);
        }
        Ok(())
    }

    fn save_sums(&mut self) -> Result<(), StoreError> {
        let changes = std::mem::take(&mut self.sums).into_iter().filter(|(_, delta)| !delta.is_empty());
        let changes: sums::Changes<u64> = changes.collect();
        if !changes.is_empty() {
            self.tables.sum_log.open()?.insert(self.memory.next.sums, encode(&changes).as_slice())?;
            self.memory.next.sums += 1;
            self.memory.sums.add(&changes);
        }
        Ok(())
    }
}

/// Gives a SID to a message, or takes it back. Twilio never gives one SID to two messages; should somebody do it, the
/// first message keeps it.
fn own(sids: &mut Table<'_, [u8; 17], [u8; 16]>, sid: Sid, id: MessageId, is_there: bool) -> Result<(), StoreError> {
    let owner = sids.get(sid.0)?.map(|owner| owner.value());
    match (owner, is_there) {
        (None, true) => drop(sids.insert(sid.0, id.0)?),
        (Some(owner), false) if owner == id.0 => drop(sids.remove(sid.0)?),
        _ => {}
    }
    Ok(())
}

fn set<'k, K: redb::Key + 'static>(
    index: &mut redb::Table<'_, K, ()>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
    is_there: bool,
) -> Result<(), StoreError> {
    match is_there {
        true => drop(index.insert(key, ())?),
        false => drop(index.remove(key)?),
    }
    Ok(())
}
