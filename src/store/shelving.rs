//! Messages that moved into segments, and what is left of them here: a stub, by id, that says which.
//!
//! Invariant: a message is in the file, or it has a stub; never both. All that is derived from it stays as it was. A stub is
//! written only when its segment is whole and flushed; so what a crash leaves behind is a segment with lines that no stub
//! leads to. Segments that have such lines are marked, until the others have moved on into a new one: from the commit on in
//! which that shows, since the messages of those lines may be erased by then.
//! Not here: when messages move, and which (`jobs`).

use redb::ReadableTable;
use sha2::{Digest, Sha256};

use super::StoreError;
use super::batch::Batch;
use super::codec::{decode, encode};
use super::verbs::{Place, Shelve, Written};
use crate::archive::Shelf;
use crate::message::{Message, MessageId};

/// Where the number of the last segment stands: none is ever used twice.
const LAST: &str = "last_segment";

/// The first bytes of what a record is stored as: no two records, and no two states of one, share them.
pub(super) fn print(bytes: &[u8]) -> u64 {
    let hash = Sha256::digest(bytes);
    u64::from_be_bytes(hash[..8].try_into().expect("a SHA-256 is longer than 8 bytes"))
}

/// The message behind a stub, and the segment it is in.
pub(super) fn behind_stub(
    stubs: &impl ReadableTable<[u8; 16], u32>,
    merged: &impl ReadableTable<u64, u64>,
    shelf: &Shelf,
    id: MessageId,
) -> Result<Option<(u32, Message)>, StoreError> {
    let Some(segment) = stubs.get(id.0)?.map(|segment| segment.value()) else { return Ok(None) };
    let mut message = shelf.find(segment, id)?;
    // Whoever turned out to be one person since is one person here too.
    while let Some(into) = merged.get(message.contact)?.map(|into| into.value()) {
        message.contact = into;
    }
    Ok(Some((segment, message)))
}

/// A number for a new segment, marked until it is in use as a whole.
pub(super) fn open(batch: &mut Batch<'_>) -> Result<Written, StoreError> {
    let meta = batch.tables.meta.open()?;
    let last = meta.get(LAST)?.map(|last| decode::<u32>(last.value())).transpose()?.unwrap_or(0);
    let number = last + 1;
    meta.insert(LAST, encode(&number).as_slice())?;
    batch.tables.segments.open()?.insert(number, 1)?;
    Ok(Written::Segment(number))
}

/// Stubs for messages that are in a segment now; what has changed or gone since it was read has a line there for nothing.
pub(super) fn shelve(batch: &mut Batch<'_>, shelve: Shelve) -> Result<Written, StoreError> {
    let (mut moved, all) = (0, shelve.rows.len());
    for (id, place) in shelve.rows {
        let is_as_it_was = match place {
            Place::File(known) => {
                let is_same =
                    batch.tables.messages.open()?.get(id.0)?.is_some_and(|bytes| print(bytes.value()) == known);
                is_same && batch.forget(id)
            }
            Place::Segment(old) => {
                batch.forget(id) && batch.tables.stubs.open()?.get(id.0)?.map(|segment| segment.value()) == Some(old)
            }
        };
        if is_as_it_was {
            batch.tables.messages.open()?.remove(id.0)?;
            batch.tables.stubs.open()?.insert(id.0, shelve.segment)?;
            moved += 1;
        }
    }
    if moved < all {
        mark(batch, shelve.segment)?;
    }
    Ok(Written::Shelved(moved))
}

/// Whatever is to move into a new segment has.
pub(super) fn close(batch: &mut Batch<'_>, segment: u32) -> Result<Written, StoreError> {
    let segments = batch.tables.segments.open()?;
    let marks = segments.get(segment)?.map_or(0, |marks| marks.value());
    segments.insert(segment, marks.saturating_sub(1))?;
    Ok(Written::Segment(segment))
}

/// No stub leads to a segment any more.
pub(super) fn discard(batch: &mut Batch<'_>, segment: u32) -> Result<Written, StoreError> {
    batch.tables.segments.open()?.remove(segment)?;
    Ok(Written::Segment(segment))
}

/// Marks a segment: one of its lines is out of date.
pub(super) fn mark(batch: &mut Batch<'_>, segment: u32) -> Result<(), StoreError> {
    let segments = batch.tables.segments.open()?;
    let marks = segments.get(segment)?.map_or(0, |marks| marks.value());
    segments.insert(segment, marks.saturating_add(1))?;
    Ok(())
}

/// Messages come back out of their segments.
pub(super) fn bring_back(batch: &mut Batch<'_>, ids: Vec<MessageId>) -> Result<Written, StoreError> {
    let mut came = 0;
    for id in ids {
        came += usize::from(batch.bring_back(id)?);
    }
    Ok(Written::Shelved(came))
}
