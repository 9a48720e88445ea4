//! Finding what is old, a part at a time.

use std::ops::ControlFlow;

use redb::{ReadableTable, TableDefinition};

use super::StoreError;
use super::codec::decode;
use super::forget::{UNSCRUBBED, UNWRITTEN, trace};
use super::read::Snapshot;
use super::tables;
use super::verbs::{Answered, Inbound};
use crate::clock::Time;
use crate::event::{Event, Told};
use crate::message::MessageId;

impl Snapshot {
    /// Messages at rest in the data file, from `from` on, whose last change is older than `until`, and which have words.
    pub fn worded(&self, from: MessageId, until: Time, at_most: usize) -> Result<Vec<MessageId>, StoreError> {
        let mut found = Vec::new();
        self.at_rest(from, until, |message, _| {
            found.extend(message.draft.has_words().then_some(message.id));
            if found.len() < at_most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found)
    }

    /// How many messages an archive run would move, and the first and the last of them: those at rest whose last change is
    /// older than `until`.
    pub fn due_for_archive(&self, until: Time) -> Result<(u64, Option<(MessageId, MessageId)>), StoreError> {
        let (mut count, mut span) = (0, None);
        self.at_rest(MessageId([0; 16]), until, |message, _| {
            count += 1;
            span = Some((span.map_or(message.id, |(first, _)| first), message.id));
            ControlFlow::Continue(())
        })?;
        Ok((count, span))
    }

    /// Messages at rest, wherever they are, from `from` on, whose last change is older than `until`; each with its contact.
    pub fn aged(&self, from: MessageId, until: Time, at_most: usize) -> Result<Vec<(MessageId, u64)>, StoreError> {
        let mut found = Vec::new();
        if from >= MessageId::floor(until) {
            return Ok(found);
        }
        for id in self.oldest_first(from, MessageId::floor(until))? {
            let Some(message) = self.message(id?)? else { continue };
            let is_old = message.is_at_rest() && message.updated_at < until;
            found.extend(is_old.then_some((message.id, message.contact)));
            if found.len() == at_most {
                break;
            }
        }
        Ok(found)
    }

    /// The keys of inbound messages older than `until`, oldest first, or only of those that have words; each with its
    /// contact.
    pub fn aged_inbound(
        &self,
        until: Time,
        only_worded: bool,
        at_most: usize,
    ) -> Result<Vec<([u8; 25], u64)>, StoreError> {
        let mut found = Vec::new();
        for row in self.transaction().open_table(tables::INBOUND)?.range(..tables::inbound(until, [0; 17]))? {
            let (key, bytes) = row?;
            let inbound: Inbound = decode(bytes.value())?;
            if !only_worded || inbound.has_words() {
                found.push((key.value(), inbound.contact));
            }
            if found.len() == at_most {
                break;
            }
        }
        Ok(found)
    }

    /// Keys of requests that were answered before `until`.
    pub fn keys_before(&self, until: Time, at_most: usize) -> Result<Vec<[u8; 32]>, StoreError> {
        self.rows_where(tables::KEYS, at_most, |answered| Ok(decode::<Answered>(answered)?.at < until))
    }

    /// Names of what is gone since before `until`.
    pub fn gone_before(&self, until: Time, at_most: usize) -> Result<Vec<[u8; 16]>, StoreError> {
        self.rows_where(tables::GONE, at_most, |since| Ok(Time(since) < until))
    }

    fn rows_where<const N: usize, V: redb::Value + 'static>(
        &self,
        table: TableDefinition<[u8; N], V>,
        at_most: usize,
        is_it: impl Fn(V::SelfType<'_>) -> Result<bool, StoreError>,
    ) -> Result<Vec<[u8; N]>, StoreError> {
        let mut found = Vec::new();
        for row in self.transaction().open_table(table)?.iter()? {
            let (key, value) = row?;
            if is_it(value.value())? {
                found.push(key.value());
            }
            if found.len() == at_most {
                break;
            }
        }
        Ok(found)
    }

    /// The numbers of events after `after` that name what is gone, and where to look on; nothing, at the end.
    pub fn events_of_gone(&self, after: u64, at_most: usize) -> Result<(Vec<u64>, Option<u64>), StoreError> {
        let txn = self.transaction();
        let (gone, contacts) = (txn.open_table(tables::GONE)?, txn.open_table(tables::CONTACTS)?);
        let (mut found, mut last, mut seen) = (Vec::new(), None, 0);
        for row in txn.open_table(tables::EVENTS)?.range(after + 1..)?.take(at_most) {
            let (number, event) = row?;
            let is_gone = match decode::<Event>(event.value())?.told {
                Told::Message { id, .. } => gone.get(id.0)?.is_some(),
                Told::Inbound { sid, .. } => gone.get(trace(sid))?.is_some(),
                Told::OptedOut { contact, .. } => {
                    contacts.get(contact)?.is_none() && txn.open_table(tables::MERGED)?.get(contact)?.is_none()
                }
                Told::Paused { .. } | Told::Resumed { .. } | Told::Forgotten | Told::SecretDue { .. } => false,
            };
            found.extend(is_gone.then_some(number.value()));
            last = Some(number.value());
            seen += 1;
        }
        Ok((found, last.filter(|_| seen == at_most)))
    }

    /// Since when events may name what is gone, if they do.
    pub fn unscrubbed(&self) -> Result<Option<Time>, StoreError> {
        self.noted(UNSCRUBBED)
    }

    /// Since when free pages of the data file may hold what is gone, if they do.
    pub fn unwritten(&self) -> Result<Option<Time>, StoreError> {
        self.noted(UNWRITTEN)
    }

    fn noted(&self, key: &str) -> Result<Option<Time>, StoreError> {
        let meta = self.transaction().open_table(tables::META)?;
        Ok(meta.get(key)?.map(|at| decode(at.value())).transpose()?)
    }

    /// Everything about one person: who they are, and the ids of what was sent to them, oldest first.
    pub fn ids_of(&self, contact: u64) -> Result<Vec<MessageId>, StoreError> {
        let (first, last) = (MessageId([0; 16]), MessageId([255; 16]));
        let range = tables::message_of(contact, first)..=tables::message_of(contact, last);
        let rows = self.transaction().open_table(tables::MESSAGES_OF)?.range(range)?;
        rows.map(|row| Ok(tables::id_in(row?.0.value()))).collect()
    }

    /// What a person wrote, oldest first.
    pub fn inbound_from(&self, contact: u64) -> Result<Vec<Inbound>, StoreError> {
        let txn = self.transaction();
        let keys = super::read::inbound_keys(&txn.open_table(tables::INBOUND_OF)?, contact)?;
        let table = txn.open_table(tables::INBOUND)?;
        let rows = keys.into_iter().map(|key| Ok(table.get(key)?.map(|bytes| decode(bytes.value())).transpose()?));
        rows.filter_map(Result::transpose).collect()
    }
}
