//! What goes for good: old words, old records, and everything about one person.
//!
//! Invariant: the numbers of a sender keep what was forgotten, as a sum that no record stands behind any more; a person's
//! own numbers go with their messages. Of each message that went a name is left, so that nothing that comes late makes it
//! anew.
//! Not here: what is old enough (`jobs`), and old bytes in pages that are free (`rewrite`).

use redb::ReadableTable;
use sha2::{Digest, Sha256};

use super::StoreError;
use super::batch::Batch;
use super::codec::{decode, encode};
use super::people;
use super::quarantine;
use super::tables;
use super::trust;
use super::verbs::{Erased, Inbound, Old, Written};
use crate::clock::Time;
use crate::event::{Event, Told};
use crate::message::{Fact, MessageId, Sid, Source};
use crate::metrics;

/// A commit takes no more records away: it bounds it.
const MAX_COMMIT: usize = 256;
/// Rows of small tables that go in one commit.
const MAX_ROWS: usize = 2_048;
/// Where it stands whether events still name what is gone.
pub(super) const UNSCRUBBED: &str = "unscrubbed";
/// Where it stands since when free pages may hold what is gone.
pub(super) const UNWRITTEN: &str = "unwritten";

/// The name that is left of a message by Twilio's name for it: not that name.
pub(super) fn trace(sid: Sid) -> [u8; 16] {
    Sha256::digest(sid.0)[..16].try_into().expect("a SHA-256 is longer than 16 bytes")
}

/// Whether a message by this name is gone for good.
pub(super) fn is_gone(batch: &mut Batch<'_>, id: Option<MessageId>, sid: Option<Sid>) -> Result<bool, StoreError> {
    let gone = batch.tables.gone.open()?;
    for key in id.map(|id| id.0).into_iter().chain(sid.map(trace)) {
        if gone.get(key)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What messages said goes; they stay.
pub(super) fn words(batch: &mut Batch<'_>, ids: Vec<MessageId>) -> Result<Written, StoreError> {
    let mut forgotten = 0;
    for id in ids {
        if batch.message(id)?.is_some_and(|message| message.is_at_rest() && message.draft.has_words()) {
            batch.apply(id, Fact::WordsForgotten, Source::Job)?;
            forgotten += 1;
        }
    }
    if forgotten > 0 {
        will_rewrite(batch)?;
    }
    Ok(Written::Forgotten(forgotten))
}

/// Messages go; the sums keep them.
pub(super) fn messages(batch: &mut Batch<'_>, ids: Vec<MessageId>) -> Result<Written, StoreError> {
    let mut forgotten = 0;
    for id in ids {
        if batch.message(id)?.is_some_and(crate::message::Message::is_at_rest) {
            forgotten += usize::from(forget(batch, id)?);
        }
    }
    if forgotten > 0 {
        will_rewrite(batch)?;
        will_scrub(batch)?;
    }
    Ok(Written::Forgotten(forgotten))
}

fn forget(batch: &mut Batch<'_>, id: MessageId) -> Result<bool, StoreError> {
    let now = batch.now;
    let Some(message) = batch.remove(id)? else { return Ok(false) };
    batch.keep_sum(&metrics::share(&message), message.sender, message.accepted_at);
    let gone = batch.tables.gone.open()?;
    gone.insert(id.0, now.0)?;
    for sid in message.attempts.iter().flat_map(|attempt| &attempt.receipt.sids) {
        gone.insert(trace(*sid), now.0)?;
    }
    Ok(true)
}

/// What people wrote goes; that they wrote stays.
pub(super) fn inbound_words(batch: &mut Batch<'_>, keys: Vec<[u8; 25]>) -> Result<Written, StoreError> {
    let mut forgotten = 0;
    for key in keys {
        let Some(inbound) = inbound(batch, key)?.filter(Inbound::has_words) else { continue };
        let inbound = Inbound {
            body: String::new(),
            profile_name: None,
            media: Vec::new(),
            extra: Default::default(),
            ..inbound
        };
        batch.tables.inbound.open()?.insert(key, encode(&inbound).as_slice())?;
        forgotten += 1;
    }
    if forgotten > 0 {
        will_rewrite(batch)?;
    }
    Ok(Written::Forgotten(forgotten))
}

/// Inbound messages go; the sums keep them.
pub(super) fn all_inbound(batch: &mut Batch<'_>, keys: Vec<[u8; 25]>) -> Result<Written, StoreError> {
    let mut forgotten = 0;
    for key in keys {
        forgotten += usize::from(forget_inbound(batch, key)?);
    }
    if forgotten > 0 {
        will_rewrite(batch)?;
        will_scrub(batch)?;
    }
    Ok(Written::Forgotten(forgotten))
}

fn inbound(batch: &mut Batch<'_>, key: [u8; 25]) -> Result<Option<Inbound>, StoreError> {
    Ok(batch.tables.inbound.open()?.get(key)?.map(|bytes| decode(bytes.value())).transpose()?)
}

fn forget_inbound(batch: &mut Batch<'_>, key: [u8; 25]) -> Result<bool, StoreError> {
    let now = batch.now;
    let Some(Inbound { sid, at, source, contact, sender, .. }) = inbound(batch, key)? else { return Ok(false) };
    batch.tables.inbound.open()?.remove(key)?;
    batch.tables.inbound_sids.open()?.remove(sid.0)?;
    batch.tables.inbound_of.open()?.remove(tables::inbound_of(contact, at, sid.0))?;
    batch.tables.gone.open()?.insert(trace(sid), now.0)?;
    let share = metrics::inbound(source);
    batch.count(&share, sender, at, -1);
    batch.credit(&share, contact, -1);
    batch.keep_sum(&share, sender, at);
    shut_window(batch, contact, sender, at)?;
    Ok(true)
}

/// When a person last wrote to a sender is what the letters say that are left.
fn shut_window(batch: &mut Batch<'_>, contact: u64, sender: u32, at: Time) -> Result<(), StoreError> {
    if !batch.contact(contact)?.windows.contains(&(sender, at)) {
        return Ok(());
    }
    let mut last = None;
    for key in super::read::inbound_keys(batch.tables.inbound_of.open()?, contact)?.into_iter().rev() {
        last = inbound(batch, key)?.filter(|letter| letter.sender == sender).map(|letter| letter.at);
        if last.is_some() {
            break;
        }
    }
    let windows = &mut batch.contact(contact)?.windows;
    windows.retain(|(other, _)| *other != sender);
    if let Some(at) = last {
        batch.contact(contact)?.wrote(sender, at);
    }
    Ok(())
}

/// A part of everything about one person goes; the last part is the person.
pub(super) fn erase(batch: &mut Batch<'_>, name: &str) -> Result<Written, StoreError> {
    let mut erased = Erased::default();
    let Some(number) = batch.contact_number(name)? else {
        erased.is_done = true;
        return Ok(Written::Erased(erased));
    };
    let first = tables::message_of(number, MessageId([0; 16]));
    let last = tables::message_of(number, MessageId([255; 16]));
    let rows = batch.tables.messages_of.open()?.range(first..=last)?.take(MAX_COMMIT);
    let ids = rows.map(|row| Ok(tables::id_in(row?.0.value()))).collect::<Result<Vec<_>, redb::StorageError>>()?;
    for id in ids {
        erased.messages += u64::from(forget(batch, id)?);
    }
    if erased.messages == 0 {
        let keys = super::read::inbound_keys(batch.tables.inbound_of.open()?, number)?;
        for key in keys.into_iter().take(MAX_COMMIT) {
            erased.inbound += u64::from(forget_inbound(batch, key)?);
        }
    }
    if erased.messages + erased.inbound == 0 {
        batch.forget_contact(number)?;
        erased.is_done = true;
    }
    will_rewrite(batch)?;
    will_scrub(batch)?;
    Ok(Written::Erased(erased))
}

/// People go of whom nothing is left: no message either way, and nothing they do not want.
pub(super) fn people(batch: &mut Batch<'_>, numbers: Vec<u64>) -> Result<Written, StoreError> {
    let mut forgotten = 0;
    for number in numbers {
        let (first, last) = (MessageId([0; 16]), MessageId([255; 16]));
        let rows = tables::message_of(number, first)..=tables::message_of(number, last);
        let has_messages = batch.tables.messages_of.open()?.range(rows)?.next().is_some();
        let has_written = !super::read::inbound_keys(batch.tables.inbound_of.open()?, number)?.is_empty();
        let is_known = batch.tables.contacts.open()?.get(number)?.is_some();
        if is_known && !has_messages && !has_written && batch.contact(number)?.opt_outs.is_empty() {
            batch.forget_contact(number)?;
            forgotten += 1;
        }
    }
    Ok(Written::Forgotten(forgotten))
}

/// Rows of small tables that are too old, a part at a time: keys of requests, events, names of what is gone.
pub(super) fn old(batch: &mut Batch<'_>, old: Old) -> Result<Written, StoreError> {
    let mut forgotten = 0;
    let events = batch.tables.events.open()?;
    // The newest stays: the next one's number follows from it.
    let newest = events.last()?.map_or(0, |(number, _)| number.value());
    let mut numbers = Vec::new();
    for row in events.range(..newest)?.take(MAX_ROWS) {
        let (number, event) = row?;
        if decode::<Event>(event.value())?.at >= old.events_before {
            break;
        }
        numbers.push(number.value());
    }
    for number in numbers {
        events.remove(number)?;
        forgotten += 1;
    }
    forgotten += trust::forget(batch, old.audit_before)?;
    forgotten += quarantine::forget(batch)?;
    forgotten += people::forget_ended(batch)?;
    for key in old.keys {
        forgotten += usize::from(batch.tables.keys.open()?.remove(key)?.is_some());
    }
    for key in old.gone {
        forgotten += usize::from(batch.tables.gone.open()?.remove(key)?.is_some());
    }
    Ok(Written::Forgotten(forgotten))
}

/// Events of what is gone keep their numbers, and nothing else.
pub(super) fn scrub(batch: &mut Batch<'_>, numbers: Vec<u64>) -> Result<Written, StoreError> {
    let mut forgotten = 0;
    let events = batch.tables.events.open()?;
    for number in numbers {
        let event = events.get(number)?.map(|event| decode::<Event>(event.value())).transpose()?;
        let Some(event) = event else { continue };
        events.insert(number, encode(&Event { told: Told::Forgotten, ..event }).as_slice())?;
        forgotten += 1;
    }
    Ok(Written::Forgotten(forgotten))
}

/// All events that named what was gone at `since` or before are scrubbed.
pub(super) fn scrubbed(batch: &mut Batch<'_>, since: Time) -> Result<Written, StoreError> {
    let meta = batch.tables.meta.open()?;
    let known = meta.get(UNSCRUBBED)?.map(|at| decode::<Time>(at.value())).transpose()?;
    if known.is_some_and(|at| at <= since) {
        meta.remove(UNSCRUBBED)?;
    }
    Ok(Written::Forgotten(0))
}

fn will_scrub(batch: &mut Batch<'_>) -> Result<(), StoreError> {
    let now = batch.now;
    batch.tables.meta.open()?.insert(UNSCRUBBED, encode(&now).as_slice())?;
    Ok(())
}

fn will_rewrite(batch: &mut Batch<'_>) -> Result<(), StoreError> {
    let now = batch.now;
    batch.tables.meta.open()?.insert(UNWRITTEN, encode(&now).as_slice())?;
    Ok(())
}
