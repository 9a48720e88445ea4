//! What really happened: every create and what it was answered, every callback and how the app took it.
//!
//! This is what a test compares the app's own records with. Rows are numbered by one counter that no reset turns back.
//! Invariant: bounded; past the bound the oldest rows go, the counts stay.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::exchange::Delivery;
use super::scenario::Scenario;
use super::status::Status;
use crate::clock::Time;

/// Tries of one callback that are kept; Twilio never makes more than six.
const MAX_TRIES: usize = 6;

/// One create that reached the emulator.
#[derive(Clone, Debug, Serialize)]
pub struct CreateRow {
    /// Number of the row.
    pub seq: u64,
    /// When it came.
    #[serde(serialize_with = "rfc3339")]
    pub at: Time,
    /// `accepted` or `refused`.
    pub outcome: &'static str,
    /// What the caller got: an HTTP status, or `reset`.
    pub answer: String,
    /// The SID it became; absent for most refusals.
    pub sid: Option<String>,
    /// Twilio's code: of the refusal, or of the failure later.
    pub code: Option<u32>,
    /// `To` as given.
    pub to: String,
    /// `From` as given, or as the service chose.
    pub from: Option<String>,
    /// The Messaging Service, if one was asked.
    pub messaging_service_sid: Option<String>,
    /// The text; for templates filled in.
    pub body: String,
    /// The template.
    pub content_sid: Option<String>,
    /// The media.
    pub media_url: Vec<String>,
    /// Where the app wants its callbacks.
    pub status_callback: Option<String>,
    /// How the emulator behaved; if chance bent the answer and let the message fail too, the answer.
    pub scenario: Scenario,
    /// Where the message stands in truth, whatever the app was told.
    pub status: Option<Status>,
    /// Every status it had, with its time.
    pub statuses: Vec<StatusRow>,
}

/// A status and when it came about.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StatusRow {
    /// The status.
    pub status: Status,
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub at: Time,
}

/// One post to the app, with its tries.
#[derive(Clone, Debug, Serialize)]
pub struct CallbackRow {
    /// Number of the row.
    pub seq: u64,
    /// When it was handed out.
    #[serde(serialize_with = "rfc3339")]
    pub at: Time,
    /// `status` or `inbound`.
    pub kind: &'static str,
    /// The message.
    pub sid: String,
    /// What it told.
    pub status: Status,
    /// The code it told.
    pub code: Option<u32>,
    /// Where to.
    pub url: String,
    /// `waiting`, `acknowledged`, `failed`, or `lost` (never sent, by script or chance).
    pub outcome: &'static str,
    /// Every try.
    pub tries: Vec<TryRow>,
}

/// One try.
#[derive(Clone, Debug, Serialize)]
pub struct TryRow {
    /// What the app answered.
    pub http_status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}

/// How much of everything there was since the start or the last reset.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counts {
    /// Creates that became a message.
    pub accepted: u64,
    /// Creates that did not.
    pub refused: u64,
    /// Inbound messages.
    pub inbound: u64,
    /// Callbacks and inbound posts handed out.
    pub callbacks: u64,
    /// Those the app answered 2xx.
    pub acknowledged: u64,
    /// Those it never answered 2xx.
    pub failed: u64,
    /// Those never sent, by script or chance.
    pub lost: u64,
    /// Those under way.
    pub waiting: u64,
}

/// The ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) creates: VecDeque<CreateRow>,
    pub(super) callbacks: VecDeque<CallbackRow>,
    pub(super) counts: Counts,
    first: u64,
    next: u64,
    limit: usize,
}

impl Ledger {
    /// An empty ledger whose rows are numbered from `first`.
    pub(super) fn new(limit: usize, first: u64) -> Self {
        let (creates, callbacks) = (VecDeque::new(), VecDeque::new());
        Self { creates, callbacks, counts: Counts::default(), first, next: first, limit }
    }

    /// The number the next row gets.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Writes down a create and returns its number.
    pub(super) fn created(&mut self, mut row: CreateRow) -> u64 {
        row.seq = self.take_number();
        match row.outcome {
            "accepted" => self.counts.accepted += 1,
            _ => self.counts.refused += 1,
        }
        if self.creates.len() >= self.limit {
            self.creates.pop_front();
        }
        let seq = row.seq;
        self.creates.push_back(row);
        seq
    }

    /// Writes down what became of a message.
    pub(super) fn became(&mut self, row: Option<u64>, status: Status, code: Option<u32>, at: Time) {
        let Some(row) = row.and_then(|seq| find(&mut self.creates, seq, |row| row.seq)) else { return };
        row.status = Some(status);
        row.code = code.or(row.code);
        row.statuses.push(StatusRow { status, at });
    }

    /// Writes down a post to the app, sent or lost, and returns its number.
    pub(super) fn posted(&mut self, mut row: CallbackRow) -> u64 {
        row.seq = self.take_number();
        if row.outcome == "lost" {
            self.counts.lost += 1;
        } else {
            self.counts.callbacks += 1;
            self.counts.waiting += 1;
        }
        // Four callbacks belong to a message, so the two halves of the ledger forget at the same age.
        if self.callbacks.len() >= self.limit.saturating_mul(4) {
            self.callbacks.pop_front();
        }
        let seq = row.seq;
        self.callbacks.push_back(row);
        seq
    }

    /// Writes down a try. Returns the row, if it is still there and this was its last try.
    pub(super) fn tried(
        &mut self,
        id: u64,
        delivery: &Delivery,
        took: Duration,
        is_last: bool,
    ) -> Option<&CallbackRow> {
        // A post from before a reset is of no interest any more.
        if id < self.first {
            return None;
        }
        if is_last {
            self.counts.waiting = self.counts.waiting.saturating_sub(1);
            match delivery.is_acknowledged() {
                true => self.counts.acknowledged += 1,
                false => self.counts.failed += 1,
            }
        }
        let row = find(&mut self.callbacks, id, |row| row.seq)?;
        if row.tries.len() < MAX_TRIES {
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let (http_status, error) = match delivery {
                Delivery::Answered { status, .. } => (Some(*status), None),
                Delivery::NotConnected(why) | Delivery::Broken(why) => (None, Some(why.clone())),
                Delivery::TimedOut => (None, Some("timed out".to_owned())),
            };
            row.tries.push(TryRow { http_status, error, took_ms });
        }
        if is_last {
            row.outcome = if delivery.is_acknowledged() { "acknowledged" } else { "failed" };
        }
        is_last.then_some(row)
    }

    fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

/// Rows are in the order of their numbers, with gaps.
fn find<T>(rows: &mut VecDeque<T>, seq: u64, number: impl Fn(&T) -> u64) -> Option<&mut T> {
    let index = rows.binary_search_by_key(&seq, number).ok()?;
    rows.get_mut(index)
}

pub(super) fn rfc3339<S: Serializer>(at: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}
