//! Reading: every answer comes from one snapshot, while the writer goes on.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::StoreError;
use super::codec::decode;
use super::commit::{answered_under, canonical};
use super::listening::Listening;
use super::listing::Page;
use super::restored::{self, Restored};
use super::shelving;
use super::sums::{self, Log};
use super::tables::{self, Tier};
use super::upkeep::{Run, Upkeep};
use super::verbs::{IdempotencyKey, Inbound, Place, Written};
use crate::archive::{Lease, Shelf};
use crate::clock::Time;
use crate::contact::Contact;
use crate::event::Event;
use crate::message::{Message, MessageId, Recipient, Sid, Status};
use crate::metrics::Cell;
use crate::pause::Paused;

/// The store as it was at one moment.
pub struct Snapshot {
    txn: ReadTransaction,
    shelf: Arc<Shelf>,
    _lease: Arc<Lease>,
}

/// A person, and the sum of what their messages add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The store's number.
    pub number: u64,
    /// Who they are.
    pub contact: Contact,
    /// Their numbers.
    pub cell: Cell,
    /// Our newest message to them, and how it fares.
    pub newest: Option<(MessageId, Status)>,
}

impl Snapshot {
    /// The lease was taken before the transaction began: what that shows is where it shows it.
    pub(super) fn over(txn: ReadTransaction, shelf: Arc<Shelf>, lease: Arc<Lease>) -> Self {
        Self { txn, shelf, _lease: lease }
    }

    pub(super) fn transaction(&self) -> &ReadTransaction {
        &self.txn
    }

    /// A message by id, also by the id it had before it was absorbed, wherever it is.
    pub fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        if let Some(bytes) = self.txn.open_table(tables::MESSAGES)?.get(id.0)? {
            return Ok(Some(decode(bytes.value())?));
        }
        if let Some(message) = self.archived(id)? {
            return Ok(Some(message));
        }
        let moved = self.txn.open_table(tables::MOVED)?.get(id.0)?.map(|id| MessageId(id.value()));
        moved.map_or(Ok(None), |id| self.message(id))
    }

    fn archived(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        let (stubs, merged) = (self.txn.open_table(tables::STUBS)?, self.txn.open_table(tables::MERGED)?);
        Ok(shelving::behind_stub(&stubs, &merged, &self.shelf, id)?.map(|(_, message)| message))
    }

    /// Calls `visit` with messages at rest whose last change is older than `until`, and with where each was read; the
    /// oldest first, from `from` on.
    pub fn at_rest(
        &self,
        from: MessageId,
        until: Time,
        mut visit: impl FnMut(Message, Place) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        // Whatever is younger than its last change is younger than that.
        let end = MessageId::floor(until);
        if from >= end {
            return Ok(());
        }
        for row in self.txn.open_table(tables::MESSAGES)?.range(from.0..end.0)? {
            let (_, bytes) = row?;
            let message: Message = decode(bytes.value())?;
            let is_due = message.is_at_rest() && message.updated_at < until;
            if is_due && visit(message, Place::File(shelving::print(bytes.value()))).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The segments of the archive that are in use, and whether each has lines that nothing leads to.
    pub fn segments(&self) -> Result<Vec<(u32, bool)>, StoreError> {
        let segments = match self.txn.open_table(tables::SEGMENTS) {
            // A file of an earlier version has no archive.
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            segments => segments?,
        };
        segments
            .iter()?
            .map(|row| row.map(|(number, marks)| (number.value(), marks.value() > 0)))
            .collect::<Result<_, _>>()
            .map_err(Into::into)
    }

    /// Whether any message is in this segment.
    pub fn is_in_use(&self, segment: u32) -> Result<bool, StoreError> {
        for row in self.txn.open_table(tables::STUBS)?.iter()? {
            if row?.1.value() == segment {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many messages are in the archive.
    pub fn archived_count(&self) -> Result<u64, StoreError> {
        match self.txn.open_table(tables::STUBS) {
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
            stubs => Ok(stubs?.len()?),
        }
    }

    /// Where archived messages are.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The segment that a message is in, if it is archived.
    pub fn segment_of(&self, id: MessageId) -> Result<Option<u32>, StoreError> {
        Ok(self.txn.open_table(tables::STUBS)?.get(id.0)?.map(|segment| segment.value()))
    }

    /// A message by Twilio's name for it.
    pub fn message_by_sid(&self, sid: Sid) -> Result<Option<Message>, StoreError> {
        let id = self.txn.open_table(tables::SIDS)?.get(sid.0)?.map(|id| MessageId(id.value()));
        id.map_or(Ok(None), |id| self.message(id))
    }

    /// What a request under this key was answered, if it is remembered: a repeat is answered the same whatever has
    /// changed since, be it that the draft could not be accepted any more.
    pub fn answered(&self, key: &IdempotencyKey, now: Time) -> Result<Option<Written>, StoreError> {
        let Some(answered) = answered_under(&self.txn.open_table(tables::KEYS)?, key, now)? else { return Ok(None) };
        if answered.request != key.request {
            return Ok(Some(Written::KeyReused));
        }
        Ok(self.message(answered.message)?.map(|message| Written::Replayed(Box::new(message))))
    }

    /// A person by any of their names.
    pub fn person(&self, name: &str) -> Result<Option<Person>, StoreError> {
        let Some(number) = self.contact_number(name)? else { return Ok(None) };
        self.person_by_number(number)
    }

    /// A person by the store's number.
    pub fn person_by_number(&self, number: u64) -> Result<Option<Person>, StoreError> {
        let Some(bytes) = self.txn.open_table(tables::CONTACTS)?.get(number)? else { return Ok(None) };
        let contact = decode::<Contact>(bytes.value())?;
        Ok(Some(Person { number, contact, cell: self.sum(number)?, newest: self.newest_of(number)? }))
    }

    /// What a contact's messages add up to: the table, and what the log adds to it.
    fn sum(&self, contact: u64) -> Result<Cell, StoreError> {
        let mut sum = sums::cell_of(&self.txn.open_table(tables::SUMS)?, contact)?;
        for row in self.txn.open_table(tables::SUM_LOG)?.iter()? {
            let changes: sums::Changes<u64> = decode(row?.1.value())?;
            for (_, delta) in changes.iter().filter(|(changed, _)| *changed == contact) {
                sum.merge(delta, 1);
            }
        }
        Ok(sum)
    }

    fn newest_of(&self, contact: u64) -> Result<Option<(MessageId, Status)>, StoreError> {
        let all = tables::message_of(contact, MessageId([0; 16]))..=tables::message_of(contact, MessageId([255; 16]));
        let row = self.txn.open_table(tables::MESSAGES_OF)?.range(all)?.next_back().transpose()?;
        let Some(row) = row.map(|row| row.0.value()) else { return Ok(None) };
        let id = tables::id_in(row);
        Ok(self.message(id)?.map(|message| (id, message.status())))
    }

    pub(super) fn contact_number(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let aliases = self.txn.open_table(tables::ALIASES)?;
        let spoken = crate::message::Address::parse(name).map_or_else(|_| canonical(name), |name| name.to_string());
        Ok(aliases.get(spoken.as_str())?.map(|number| number.value()))
    }

    /// All our senders, by number.
    pub fn senders(&self) -> Result<Vec<(u32, String)>, StoreError> {
        let table = self.txn.open_table(tables::SENDERS)?;
        table
            .iter()?
            .map(|row| row.map(|(number, name)| (number.value(), name.value().to_owned())))
            .collect::<Result<_, _>>()
            .map_err(Into::into)
    }

    /// The number of a sender.
    pub fn sender_number(&self, name: &str) -> Result<Option<u32>, StoreError> {
        let spoken = crate::message::Address::parse(name).map_or_else(|_| canonical(name), |name| name.to_string());
        Ok(self.senders()?.into_iter().find(|(_, known)| *known == spoken).map(|(number, _)| number))
    }

    /// The cells of one sender that begin in `from..to`, oldest first; empty ones are left out.
    pub fn cells(&self, sender: u32, tier: Tier, from: Time, to: Time) -> Result<Vec<(u32, Cell)>, StoreError> {
        let table = self.txn.open_table(tables::ROLLUPS)?;
        let (first, end) = (tier.bucket(from), tier.bucket(Time(to.0 - 1)));
        let range = tables::rollup(sender, tier, first)..=tables::rollup(sender, tier, end);
        let mut cells = BTreeMap::new();
        for row in table.range(range.clone())? {
            let (key, bytes) = row?;
            cells.insert(key.value(), decode::<Cell>(bytes.value())?);
        }
        if tier != Tier::Hour {
            let log = Log::<[u8; 9]>::read(&self.txn.open_table(tables::ROLLUP_LOG)?)?;
            for (key, delta) in log.cells.range(range) {
                cells.entry(*key).or_default().merge(delta, 1);
            }
        }
        let bucket = |key: [u8; 9]| u32::from_be_bytes(key[5..].try_into().expect("a rollup key ends in its bucket"));
        Ok(cells.into_iter().filter(|(_, cell)| !cell.is_empty()).map(|(key, cell)| (bucket(key), cell)).collect())
    }

    /// The sum of all there ever was, of one sender.
    pub fn ever(&self, sender: u32) -> Result<Cell, StoreError> {
        let cells = self.cells(sender, Tier::Ever, Time(0), Time(1))?;
        Ok(cells.into_iter().next().map(|(_, cell)| cell).unwrap_or_default())
    }

    /// What this store was made from, until all that happened since is known.
    pub fn restored(&self) -> Result<Option<Restored>, StoreError> {
        let meta = self.txn.open_table(tables::META)?;
        Ok(meta.get(restored::KEY)?.map(|bytes| decode(bytes.value())).transpose()?)
    }

    /// The last run.
    pub fn last_run(&self, upkeep: Upkeep) -> Result<Option<Run>, StoreError> {
        let runs = self.txn.open_table(tables::RUNS)?;
        Ok(runs.get(upkeep.as_str())?.map(|bytes| decode(bytes.value())).transpose()?)
    }

    /// Since when somebody wants a run, if anybody does.
    pub fn wanted(&self, upkeep: Upkeep) -> Result<Option<Time>, StoreError> {
        Ok(self.txn.open_table(tables::WANTED)?.get(upkeep.as_str())?.map(|since| Time(since.value())))
    }

    /// Whether there is any attempt of which nobody knows if Twilio has it.
    pub fn has_undecided(&self) -> Result<bool, StoreError> {
        for row in self.txn.open_table(tables::FLIGHTS)?.iter()? {
            let message = self.message(tables::id_in(row?.0.value()))?;
            if message.is_some_and(|message| message.is_undecided()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Events after number `after`, oldest first.
    pub fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let table = self.txn.open_table(tables::EVENTS)?;
        let rows = table.range(after.saturating_add(1)..)?.take(limit);
        rows.map(|row| Ok(decode(row?.1.value())?)).collect()
    }

    /// The number of the newest event; 0 if there is none.
    pub fn last_event(&self) -> Result<u64, StoreError> {
        Ok(tables::last_key(&self.txn, tables::EVENTS, |key| key)?.unwrap_or(0))
    }

    /// A contact's messages whose latest attempt may or may not be at Twilio, also those that nobody looks for any more.
    pub fn unresolved(&self, contact: u64) -> Result<Vec<Message>, StoreError> {
        let first = tables::message_of(contact, MessageId([0; 16]));
        let last = tables::message_of(contact, MessageId([255; 16]));
        let mut found = Vec::new();
        for row in self.txn.open_table(tables::FLIGHTS)?.range(first..=last)? {
            found.extend(self.message(tables::id_in(row?.0.value()))?);
        }
        Ok(found)
    }

    /// Everything that is or was paused.
    pub fn pauses(&self) -> Result<Vec<Paused>, StoreError> {
        let table = self.txn.open_table(tables::PAUSES)?;
        table.iter()?.map(|row| Ok(decode(row?.1.value())?)).collect()
    }

    /// Everything that is paused.
    pub fn active_pauses(&self) -> Result<Vec<Paused>, StoreError> {
        Ok(self.pauses()?.into_iter().filter(Paused::is_on).collect())
    }

    /// How many messages a template's pause holds up, up to `at_most`.
    pub fn held_for_template(&self, sid: &str, at_most: usize) -> Result<usize, StoreError> {
        let prefix = tables::Awaited::Template(sid).prefix();
        let table = self.txn.open_table(tables::HELD)?;
        let rows = table.range(prefix.as_slice()..)?.take(at_most);
        let mut count = 0;
        for row in rows {
            if !row?.0.value().starts_with(&prefix) {
                break;
            }
            count += 1;
        }
        Ok(count)
    }

    /// What a sender hears.
    pub fn listening(&self, sender: u32) -> Result<Option<Listening>, StoreError> {
        let heard = self.txn.open_table(tables::LISTENING)?.get(sender)?;
        Ok(heard.map(|heard| decode(heard.value())).transpose()?)
    }

    /// What is known of the person a message is for.
    pub fn recipient(&self, message: &Message, now: Time) -> Result<Recipient, StoreError> {
        let heard_since = self.listening(message.sender)?.map(|heard| heard.since);
        let bytes = self.txn.open_table(tables::CONTACTS)?.get(message.contact)?;
        let contact: Contact = bytes.map(|bytes| decode(bytes.value())).transpose()?.unwrap_or_default();
        let is_service = message.draft.from.to_string().starts_with("MG");
        let window =
            if is_service { contact.window_of_any(now) } else { contact.window(message.sender, heard_since, now) };
        Ok(Recipient { window, opted_out: contact.opted_out() })
    }

    /// A page of people who do not want something, from contact number `cursor` on.
    pub fn opted_out(&self, cursor: u64, limit: usize) -> Result<Page<(u64, Contact), u64>, StoreError> {
        let people = self.txn.open_table(tables::CONTACTS)?;
        let mut page = Page::default();
        for row in self.txn.open_table(tables::OPT_OUTS)?.range(cursor..)? {
            let number = row?.0.value();
            if page.rows.len() == limit {
                page.next = Some(number);
                break;
            }
            page.scanned += 1;
            if let Some(bytes) = people.get(number)? {
                page.rows.push((number, decode(bytes.value())?));
            }
        }
        Ok(page)
    }

    /// Whether an inbound message by this name is stored.
    pub fn has_inbound(&self, sid: Sid) -> Result<bool, StoreError> {
        Ok(self.txn.open_table(tables::INBOUND_SIDS)?.get(sid.0)?.is_some())
    }

    /// A page of inbound messages, newest first, from `cursor` on.
    pub fn inbound(&self, cursor: Option<[u8; 25]>, limit: usize) -> Result<Page<Inbound, [u8; 25]>, StoreError> {
        let table = self.txn.open_table(tables::INBOUND)?;
        let mut page = Page::default();
        for row in table.range(..=cursor.unwrap_or([255; 25]))?.rev() {
            let (key, bytes) = row?;
            if page.rows.len() == limit {
                page.next = Some(key.value());
                break;
            }
            page.rows.push(decode(bytes.value())?);
            page.scanned += 1;
        }
        Ok(page)
    }

    /// An inbound message by Twilio's name for it.
    pub fn inbound_by_sid(&self, sid: Sid) -> Result<Option<Inbound>, StoreError> {
        let Some(at) = self.txn.open_table(tables::INBOUND_SIDS)?.get(sid.0)?.map(|at| at.value()) else {
            return Ok(None);
        };
        let bytes = self.txn.open_table(tables::INBOUND)?.get(tables::inbound(Time(at), sid.0))?;
        Ok(bytes.map(|bytes| decode(bytes.value())).transpose()?)
    }
}

/// The keys of a contact's inbound messages.
pub(super) fn inbound_keys(
    index: &impl ReadableTable<[u8; 33], ()>,
    contact: u64,
) -> Result<Vec<[u8; 25]>, StoreError> {
    let first = tables::inbound_of(contact, Time(0), [0; 17]);
    let last = tables::inbound_of(contact, Time(i64::MAX), [255; 17]);
    let rows = index.range(first..=last)?;
    rows.map(|row| Ok(row?.0.value()[8..].try_into().expect("the row ends in the key"))).collect()
}
