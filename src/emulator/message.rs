//! The messages the emulator holds, found by SID, by person and by age.
//!
//! Invariant: never more than the limit; the oldest finished ones make room.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::status::Status;
use crate::clock::Time;
use crate::twilio::wire::{API_VERSION, Media, MessageResource, format_date};

/// A message as the emulator keeps it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) sid: String,
    pub(super) direction: &'static str,
    /// Our sender, once chosen; for inbound messages the person.
    pub(super) from: Option<String>,
    pub(super) to: String,
    pub(super) service: Option<String>,
    pub(super) body: String,
    pub(super) media: Vec<Media>,
    pub(super) is_template: bool,
    pub(super) status: Status,
    pub(super) code: Option<u32>,
    pub(super) created: Time,
    pub(super) sent: Option<Time>,
    pub(super) updated: Time,
    /// Where its statuses go, fragment and all.
    pub(super) callback_url: Option<String>,
    /// Lists do not show it before.
    pub(super) listed_from: Time,
    /// Its row among the ledger's creates.
    pub(super) ledger_row: Option<u64>,
}

impl Message {
    /// The one of the two addresses that is a person's.
    pub(super) fn person(&self) -> &str {
        if self.direction == "inbound" { self.from.as_deref().unwrap_or_default() } else { &self.to }
    }

    /// As the API shows it.
    pub(super) fn resource(&self, account_sid: &str) -> MessageResource {
        let uri = format!("/{API_VERSION}/Accounts/{account_sid}/Messages/{}", self.sid);
        let is_billed = matches!(self.status, Status::Sent | Status::Delivered | Status::Read);
        MessageResource {
            sid: self.sid.clone(),
            account_sid: Some(account_sid.to_owned()),
            api_version: Some(API_VERSION.to_owned()),
            from: self.from.clone(),
            to: Some(self.to.clone()),
            body: Some(self.body.clone()),
            status: self.status.word().to_owned(),
            direction: Some(self.direction.to_owned()),
            date_created: Some(format_date(self.created.0)),
            date_sent: self.sent.map(|at| format_date(at.0)),
            date_updated: Some(format_date(self.updated.0)),
            num_media: Some(self.media.len().to_string()),
            num_segments: Some("1".to_owned()),
            error_code: self.code,
            error_message: self.code.map(|code| super::failure::words(code).to_owned()),
            price: is_billed.then(|| "-0.00500".to_owned()),
            price_unit: is_billed.then(|| "USD".to_owned()),
            messaging_service_sid: self.service.clone(),
            uri: Some(format!("{uri}.json")),
            subresource_uris: Some(BTreeMap::from([("media".to_owned(), format!("{uri}/Media.json"))])),
        }
    }
}

/// Which messages a list asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) to: Option<String>,
    pub(super) from: Option<String>,
    /// Days since 1970, both included.
    pub(super) sent_days: Option<(i64, i64)>,
}

impl Filter {
    fn shows(&self, message: &Message, now: Time) -> bool {
        let is_day_in =
            |days: (i64, i64)| message.sent.is_some_and(|at| (days.0..=days.1).contains(&at.0.div_euclid(86_400_000)));
        message.listed_from <= now
            && self.to.as_ref().is_none_or(|to| *to == message.to)
            && self.from.as_ref().is_none_or(|from| message.from.as_ref() == Some(from))
            && self.sent_days.is_none_or(is_day_in)
    }
}

/// All messages.
#[derive(Debug)]
pub(super) struct Book {
    messages: BTreeMap<u64, Message>,
    by_sid: HashMap<String, u64>,
    by_person: HashMap<String, BTreeSet<u64>>,
    /// Finished ones in the order they finished; some may be deleted by now.
    finished: VecDeque<u64>,
    next: u64,
    limit: usize,
}

impl Book {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            messages: BTreeMap::new(),
            by_sid: HashMap::new(),
            by_person: HashMap::new(),
            finished: VecDeque::new(),
            next: 0,
            limit,
        }
    }

    /// Makes room for one more; false if everything in here is still under way.
    pub(super) fn make_room(&mut self) -> bool {
        // Deleted messages are still named among the finished ones; they must not pile up there.
        if self.finished.len() > self.limit.saturating_mul(2) {
            self.finished.retain(|number| self.messages.contains_key(number));
        }
        while self.messages.len() >= self.limit {
            let Some(oldest) = self.finished.pop_front() else { return false };
            self.remove(oldest);
        }
        true
    }

    /// Keeps a message and returns its number.
    pub(super) fn insert(&mut self, message: Message) -> u64 {
        let number = self.next;
        self.next += 1;
        self.by_sid.insert(message.sid.clone(), number);
        self.by_person.entry(message.person().to_owned()).or_default().insert(number);
        if message.status.is_final() {
            self.finished.push_back(number);
        }
        self.messages.insert(number, message);
        number
    }

    pub(super) fn number(&self, sid: &str) -> Option<u64> {
        self.by_sid.get(sid).copied()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Message> {
        self.messages.get(&number)
    }

    /// For changes that leave status and addresses alone.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Message> {
        self.messages.get_mut(&number)
    }

    /// Moves a message to a status.
    pub(super) fn advance(&mut self, number: u64, status: Status, code: Option<u32>, now: Time) -> Option<&Message> {
        let message = self.messages.get_mut(&number)?;
        if status.is_final() && !message.status.is_final() {
            self.finished.push_back(number);
        }
        message.status = status;
        message.code = code.or(message.code);
        message.updated = now;
        if status == Status::Sent {
            message.sent = Some(now);
        }
        Some(message)
    }

    pub(super) fn remove(&mut self, number: u64) {
        let Some(message) = self.messages.remove(&number) else { return };
        self.by_sid.remove(&message.sid);
        if let Some(numbers) = self.by_person.get_mut(message.person()) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_person.remove(message.person());
            }
        }
    }

    /// Up to `most` messages older than `before`, newest first, and whether there are more.
    pub(super) fn older(&self, filter: &Filter, before: u64, most: usize, now: Time) -> (Vec<&Message>, bool) {
        let shown = |number: &u64| self.messages.get(number).filter(|message| filter.shows(message, now));
        let mut found: Vec<_> = match self.person_of(filter) {
            Some(numbers) => numbers.range(..before).rev().filter_map(shown).take(most + 1).collect(),
            None => {
                self.messages.range(..before).rev().filter_map(|(number, _)| shown(number)).take(most + 1).collect()
            }
        };
        let has_more = found.len() > most;
        found.truncate(most);
        (found, has_more)
    }

    /// Up to `most` messages newer than `after`, newest first, and whether there are more.
    pub(super) fn newer(&self, filter: &Filter, after: u64, most: usize, now: Time) -> (Vec<&Message>, bool) {
        let newer = self.messages.range(after + 1..).map(|(_, message)| message);
        let mut found: Vec<_> = newer.filter(|message| filter.shows(message, now)).take(most + 1).collect();
        let has_more = found.len() > most;
        found.truncate(most);
        found.reverse();
        (found, has_more)
    }

    /// The messages with one person, if the filter names one: far fewer than all.
    fn person_of(&self, filter: &Filter) -> Option<&BTreeSet<u64>> {
        [&filter.to, &filter.from].into_iter().flatten().find_map(|address| self.by_person.get(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sid: usize) -> Message {
        Message {
            sid: format!("SM{sid:032x}"),
            direction: "outbound-api",
            from: None,
            to: "whatsapp:+4915100000001".to_owned(),
            service: None,
            body: String::new(),
            media: Vec::new(),
            is_template: false,
            status: Status::Failed,
            code: None,
            created: Time(0),
            sent: None,
            updated: Time(0),
            callback_url: None,
            listed_from: Time(0),
            ledger_row: None,
        }
    }

    #[test]
    fn what_is_deleted_leaves_nothing_behind() {
        let mut book = Book::new(2);
        for sid in 0..100 {
            assert!(book.make_room());
            let number = book.insert(message(sid));
            book.remove(number);
        }
        assert!(book.messages.is_empty() && book.by_sid.is_empty() && book.by_person.is_empty());
        assert!(book.finished.len() <= 5);
    }

    #[test]
    fn what_is_under_way_is_never_forgotten() {
        let mut book = Book::new(1);
        let number = book.insert(Message { status: Status::Sent, ..message(1) });
        assert!(!book.make_room());
        book.advance(number, Status::Delivered, None, Time(1));
        assert!(book.make_room() && book.get(number).is_none());
    }
}
