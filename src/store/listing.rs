//! Listing messages: newest first, narrowed by a filter, from the narrowest index there is.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::StoreError;
use super::read::Snapshot;
use super::tables;
use crate::clock::Time;
use crate::message::{Message, MessageId};

/// A page looks at no more records than this, however few of them match: the cursor goes on from there.
const MAX_SCANNED: usize = 5_000;

/// What a listing is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these statuses.
    pub statuses: BTreeSet<String>,
    /// Only what a person should look at.
    pub needs_attention: bool,
    /// The person, by any of their names.
    pub to: Option<String>,
    /// Our sender.
    pub from: Option<String>,
    /// Failed with this code.
    pub code: Option<u32>,
    /// Labelled so.
    pub tag: Option<String>,
    /// The app's own name for it.
    pub reference: Option<String>,
    /// Accepted at this time or later.
    pub since: Option<Time>,
    /// Accepted before this time.
    pub until: Option<Time>,
}

/// A part of a listing, newest first.
#[derive(Clone, Debug)]
pub struct Page<T, C> {
    /// What matched.
    pub rows: Vec<T>,
    /// Where the next page begins, if there is more to look at.
    pub next: Option<C>,
    /// How many records were looked at.
    pub scanned: usize,
    /// Messages whose segment cannot be read: they may match.
    pub unreadable: Vec<MessageId>,
}

impl<T, C> Default for Page<T, C> {
    fn default() -> Self {
        Self { rows: Vec::new(), next: None, scanned: 0, unreadable: Vec::new() }
    }
}

impl Snapshot {
    /// A page of messages, newest first, from `cursor` on.
    pub fn messages(
        &self,
        filter: &Filter,
        cursor: Option<MessageId>,
        limit: usize,
    ) -> Result<Page<Message, MessageId>, StoreError> {
        let mut page = Page::default();
        let Some(bounds) = self.bounds(filter, cursor)? else { return Ok(page) };
        let mut failure = None;
        self.walk(filter, &bounds, |id| {
            if page.rows.len() == limit || page.scanned == MAX_SCANNED {
                page.next = Some(id);
                return ControlFlow::Break(());
            }
            page.scanned += 1;
            match self.message(id) {
                Ok(Some(message)) if bounds.lets_through(filter, &message) => page.rows.push(message),
                Ok(_) => {}
                // Everything else is shown all the same.
                Err(StoreError::Archive(_)) => page.unreadable.push(id),
                Err(error) => {
                    failure = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        failure.map_or(Ok(page), Err)
    }

    /// What the names in a filter stand for; nothing, if nobody is called so.
    fn bounds(&self, filter: &Filter, cursor: Option<MessageId>) -> Result<Option<Bounds>, StoreError> {
        let contact = match &filter.to {
            Some(name) => match self.contact_number(name)? {
                Some(number) => Some(number),
                None => return Ok(None),
            },
            None => None,
        };
        let sender = match &filter.from {
            Some(name) => match self.sender_number(name)? {
                Some(number) => Some(number),
                None => return Ok(None),
            },
            None => None,
        };
        let first = filter.since.map_or(MessageId([0; 16]), MessageId::floor);
        let end = filter.until.map(MessageId::floor);
        let last = [cursor, end].into_iter().flatten().min().unwrap_or(MessageId([255; 16]));
        Ok((first <= last).then_some(Bounds { contact, sender, first, last }))
    }

    /// Calls `visit` with ids from the narrowest index, newest first.
    fn walk(
        &self,
        filter: &Filter,
        bounds: &Bounds,
        mut visit: impl FnMut(MessageId) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let id_in = |row: &[u8]| MessageId(row[row.len() - 16..].try_into().expect("index rows end in an id"));
        macro_rules! newest_first {
            ($table:expr, $range:expr) => {{
                for row in self.transaction().open_table($table)?.range($range)?.rev() {
                    if visit(id_in(&row?.0.value())).is_break() {
                        break;
                    }
                }
            }};
        }
        let (first, last) = (bounds.first, bounds.last);
        if let Some(contact) = bounds.contact {
            newest_first!(tables::MESSAGES_OF, tables::message_of(contact, first)..=tables::message_of(contact, last));
        } else if let Some(code) = filter.code {
            newest_first!(tables::CODES, tables::code(code, first)..=tables::code(code, last));
        } else if filter.needs_attention {
            newest_first!(tables::ATTENTION, first.0..=last.0);
        } else {
            for row in self.newest_first(first, last)? {
                if visit(row?).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// All ids from `first` on and before `end`, oldest first, of what is in the file and of what is in the archive.
    pub(super) fn oldest_first(
        &self,
        first: MessageId,
        end: MessageId,
    ) -> Result<impl Iterator<Item = Result<MessageId, StoreError>> + use<>, StoreError> {
        let range = || first.0..end.0;
        let here = self.transaction().open_table(tables::MESSAGES)?.range(range())?;
        let there = self.transaction().open_table(tables::STUBS)?.range(range())?;
        let here = here.map(|row| Ok(MessageId(row?.0.value())));
        let there = there.map(|row| Ok(MessageId(row?.0.value())));
        Ok(merge(here, there, |here, there| there < here))
    }

    /// All ids, newest first, of what is in the file and of what is in the archive.
    fn newest_first(
        &self,
        first: MessageId,
        last: MessageId,
    ) -> Result<impl Iterator<Item = Result<MessageId, StoreError>> + use<>, StoreError> {
        let range = || first.0..=last.0;
        let here = self.transaction().open_table(tables::MESSAGES)?.range(range())?.rev();
        let there = self.transaction().open_table(tables::STUBS)?.range(range())?.rev();
        let here = here.map(|row| Ok(MessageId(row?.0.value())));
        let there = there.map(|row| Ok(MessageId(row?.0.value())));
        Ok(merge(here, there, |here, there| there > here))
    }
}

/// Two sorted ways as one.
fn merge(
    here: impl Iterator<Item = Result<MessageId, StoreError>>,
    there: impl Iterator<Item = Result<MessageId, StoreError>>,
    is_there_first: impl Fn(MessageId, MessageId) -> bool,
) -> impl Iterator<Item = Result<MessageId, StoreError>> {
    let (mut here, mut there) = (here.peekable(), there.peekable());
    std::iter::from_fn(move || {
        let is_there_next = match (here.peek(), there.peek()) {
            (Some(Ok(here)), Some(Ok(there))) => is_there_first(*here, *there),
            (here, there) => here.is_none() && there.is_some(),
        };
        if is_there_next { there.next() } else { here.next() }
    })
}

struct Bounds {
    contact: Option<u64>,
    sender: Option<u32>,
    first: MessageId,
    last: MessageId,
}

impl Bounds {
    fn lets_through(&self, filter: &Filter, message: &Message) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&String>| wanted.as_ref().is_none_or(|text| Some(text) == found);
        self.contact.is_none_or(|contact| message.contact == contact)
            && self.sender.is_none_or(|sender| message.sender == sender)
            && filter.since.is_none_or(|since| message.accepted_at >= since)
            && filter.until.is_none_or(|until| message.accepted_at < until)
            && filter.code.is_none_or(|code| message.code() == Some(code))
            && filter.tag.as_ref().is_none_or(|tag| message.draft.tags.contains(tag))
            && is(&filter.reference, message.draft.reference.as_ref())
            && (!filter.needs_attention || message.needs_attention())
            && (filter.statuses.is_empty() || filter.statuses.contains(message.status().as_str()))
    }
}
