//! What Twilio tells of a delivery: found by its attempt, else by its SID, else adopted as sent elsewhere.

use redb::ReadableTable;

use super::StoreError;
use super::batch::Batch;
use super::commit::canonical;
use super::consequences::{self, News};
use super::forget;
use super::tables;
use super::verbs::{Inbound, Recorded, Report, Written};
use crate::message::{Address, Content, Draft, Fact, Message, MessageId, Sid, Source};

/// Takes a report in.
pub(super) fn record(batch: &mut Batch<'_>, report: Report) -> Result<Written, StoreError> {
    let Some((id, attempt)) = find(batch, &report)? else {
        let named = report.attempt.map(|attempt| attempt.message);
        return if forget::is_gone(batch, named, Some(report.sid))? { Ok(Written::Gone) } else { adopt(batch, report) };
    };
    absorb(batch, id, attempt, report.sid)?;
    let Report { sid, word, code, source, also, .. } = report;
    let change = batch.apply(id, Fact::Reported { attempt, sid, word, code }, source)?;
    if let (Some(also), Some(message)) = (also, batch.message(id)?) {
        let contact = message.contact;
        learn(batch, contact, &canonical(&also))?;
    }
    Ok(change.map_or(Written::NotFound, |change| Written::Recorded(Recorded { id, change })))
}

/// Whose report it is: the attempt's whose own path it came to, if the unguessable part is right; else the SID's.
fn find(batch: &mut Batch<'_>, report: &Report) -> Result<Option<(MessageId, u8)>, StoreError> {
    if let Some(attempt) = report.attempt
        && let Some(message) = batch.message(attempt.message)?
        && message.attempt(attempt.number).is_some_and(|known| attempt.has_nonce(&known.nonce))
    {
        return Ok(Some((attempt.message, attempt.number)));
    }
    let Some(id) = batch.owner(report.sid)? else { return Ok(None) };
    let number = batch.message(id)?.and_then(|message| message.attempt_with(report.sid)).map(|known| known.number);
    Ok(number.map(|number| (id, number)))
}

/// A message sent without us: tracked from its first callback on, never sent.
fn adopt(batch: &mut Batch<'_>, report: Report) -> Result<Written, StoreError> {
    let Report { sid, word, code, source, from, to, also, random, .. } = report;
    let (from, to) = (canonical(&from), canonical(&to));
    let names = std::iter::once(to.clone()).chain(also).collect::<Vec<_>>();
    let sender = batch.sender(&from)?;
    let contact = one_contact(batch, &names)?;
    let draft = Draft::new(Address::from_twilio(&to), Address::from_twilio(&from), Content::Elsewhere);
    let id = MessageId::new(batch.now, random);
    let news = News::of(&Fact::Reported { attempt: 1, sid, word: word.clone(), code });
    let mut message = Message::adopt(id, draft, sid, sender, contact, batch.now);
    let change = message.apply(Fact::Reported { attempt: 1, sid, word, code }, source, batch.now);
    if let Some(next) = message.follow_up(batch.policy, batch.now, message.dice()) {
        message.apply(next, Source::Job, batch.now);
    }
    let id = message.id;
    batch.insert(message)?;
    consequences::spread(batch, id, news)?;
    Ok(Written::Adopted(Recorded { id, change }))
}

/// An attempt of ours claims a SID. If its callbacks came first and were adopted, their story moves over.
pub(super) fn absorb(batch: &mut Batch<'_>, id: MessageId, attempt: u8, sid: Sid) -> Result<(), StoreError> {
    let is_bound =
        batch.message(id)?.and_then(|message| message.attempt(attempt)).and_then(|own| own.sid()) == Some(sid);
    if is_bound {
        return Ok(());
    }
    let Some(other) = batch.owner(sid)?.filter(|other| *other != id) else { return Ok(()) };
    let is_external = batch.message(other)?.is_some_and(|message| message.origin == crate::message::Origin::External);
    if !is_external {
        return Ok(());
    }
    let Some(absorbed) = batch.remove(other)? else { return Ok(()) };
    batch.tables.moved.open()?.insert(other.0, id.0)?;
    for row in absorbed.journal.rows {
        if let Fact::Reported { sid, word, code, .. } = row.fact {
            batch.apply(id, Fact::Reported { attempt, sid, word, code }, row.source)?;
        }
    }
    Ok(())
}

/// The one contact behind several names: whoever is known by any of them, merged if that is more than one.
pub(super) fn one_contact(batch: &mut Batch<'_>, names: &[String]) -> Result<u64, StoreError> {
    let names = names.iter().map(|name| canonical(name)).collect::<Vec<_>>();
    let mut known = None;
    for name in &names {
        known = known.or(batch.contact_number(name)?);
    }
    let contact = match (known, names.first()) {
        (Some(contact), _) => contact,
        (None, Some(name)) => batch.contact_named(name)?,
        (None, None) => batch.contact_named("")?,
    };
    for name in &names {
        learn(batch, contact, name)?;
    }
    Ok(contact)
}

/// Another name of a contact. If someone else goes by it, they were one person all along.
fn learn(batch: &mut Batch<'_>, contact: u64, name: &str) -> Result<(), StoreError> {
    match batch.contact_number(name)? {
        Some(known) if known == contact => Ok(()),
        Some(other) => merge(batch, contact, other),
        None => {
            if batch.contact(contact)?.learn(name) {
                batch.tables.aliases.open()?.insert(name, contact)?;
            }
            Ok(())
        }
    }
}

/// Two contacts become one: names, windows, inbound messages and sends go over; their numbers follow them.
fn merge(batch: &mut Batch<'_>, into: u64, from: u64) -> Result<(), StoreError> {
    let first = tables::message_of(from, MessageId([0; 16]));
    let last = tables::message_of(from, MessageId([255; 16]));
    let rows = batch.tables.messages_of.open()?.range(first..=last)?.map(|row| Ok(row?.0.value()));
    for row in rows.collect::<Result<Vec<_>, redb::StorageError>>()? {
        let id = tables::id_in(row);
        if batch.is_archived(id)? && batch.forget(id) {
            batch.tables.messages_of.open()?.remove(row)?;
            batch.tables.messages_of.open()?.insert(tables::message_of(into, id), ())?;
        } else {
            batch.message(id)?;
        }
    }
    batch.reassign(from, into)?;
    batch.tables.merged.open()?.insert(from, into)?;
    let inbound = super::read::inbound_keys(batch.tables.inbound_of.open()?, from)?;
    for key in inbound {
        let row = batch.tables.inbound.open()?.get(key)?.map(|bytes| super::codec::decode::<Inbound>(bytes.value()));
        let Some(mut inbound) = row.transpose()? else { continue };
        inbound.contact = into;
        batch.tables.inbound.open()?.insert(key, super::codec::encode(&inbound).as_slice())?;
        batch.tables.inbound_of.open()?.remove(tables::inbound_of(from, inbound.at, inbound.sid.0))?;
        batch.tables.inbound_of.open()?.insert(tables::inbound_of(into, inbound.at, inbound.sid.0), ())?;
    }
    let gone = batch.remove_contact(from, into)?;
    for name in &gone.aliases {
        batch.tables.aliases.open()?.insert(name.as_str(), into)?;
    }
    let was_out = !gone.opt_outs.is_empty();
    batch.contact(into)?.absorb(gone);
    if was_out {
        batch.tables.opt_outs.open()?.remove(from)?;
        if batch.contact(into)?.opted_out().is_some() {
            batch.tables.opt_outs.open()?.insert(into, ())?;
        }
    }
    Ok(())
}
