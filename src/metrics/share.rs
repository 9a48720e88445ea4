//! What one record adds to the numbers.

use crate::message::{Form, Message, Source, Status, Word};

use super::cell::{Cell, Count};
use super::histogram::Histogram;

/// What one record adds to every cell it counts in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// What it counts as.
    pub counts: Vec<Count>,
    /// Why it failed.
    pub code: Option<u32>,
    /// The bucket of accepted → sent.
    pub queue: Option<u16>,
    /// The bucket of sent → delivered.
    pub delivery: Option<u16>,
    /// The bucket of delivered → read.
    pub read: Option<u16>,
}

/// What a message adds.
///
/// `sent`, `delivered` and `read` are a funnel: who read it got it, who got it was sent it. Durations count only where
/// callbacks told both ends in order.
pub fn share(message: &Message) -> Share {
    let status = message.status();
    let mut counts = vec![Count::Accepted];
    let reached = [(Word::Sent, Count::Sent), (Word::Delivered, Count::Delivered), (Word::Read, Count::Read)];
    counts.extend(reached.iter().filter(|(word, _)| message.has_reached(word)).map(|(_, count)| *count));
    counts.extend(standing(&status));
    if message.is_duplicate() {
        counts.push(Count::Duplicate);
    }
    counts.extend(detours(message));
    let sent = message.time(&Word::Sent);
    let delivered = message.time(&Word::Delivered);
    Share {
        counts,
        code: status.is_failure().then(|| message.code()).flatten(),
        queue: between(Some(message.accepted_at), sent),
        delivery: between(sent, delivered),
        read: between(delivered, message.time(&Word::Read)),
    }
}

/// What its way had that others' had not: more attempts, the fallback, and statuses that no callback told.
fn detours(message: &Message) -> impl Iterator<Item = Count> {
    let resent = message.attempts.iter().filter(|attempt| attempt.is_written_off).count();
    let failed = message.attempts.iter().rev().skip(1).filter(|attempt| attempt.has_failed()).count();
    let fallbacks = message.attempts.iter().filter(|attempt| attempt.form == Form::Fallback).count();
    let told = [Word::Sent, Word::Undelivered, Word::Failed, Word::Delivered, Word::Read];
    let is_missed = |word: &Word| {
        let seen = message.attempts.iter().filter_map(|attempt| attempt.receipt.seen(word));
        seen.min().is_some_and(|seen| seen.untimed)
    };
    let missed = told.iter().filter(|word| is_missed(word)).count();
    let is_healed = match message.status() {
        Status::Twilio(word) if word.is_arrival() || word.is_failure() => is_missed(&word),
        _ => false,
    };
    [
        (Count::Resent, resent),
        (Count::Retried, failed),
        (Count::Fallback, fallbacks),
        (Count::Missed, missed),
        (Count::Healed, usize::from(is_healed)),
        (Count::Suppressed, usize::from(message.status() == Status::Suppressed)),
    ]
    .into_iter()
    .flat_map(|(count, times)| std::iter::repeat_n(count, times))
}

/// What an inbound message adds. One that we only found by asking was missed by its callback, and healed.
pub fn inbound(source: Source) -> Share {
    let mut counts = vec![Count::Inbound];
    if source == Source::Poll {
        counts.extend([Count::Missed, Count::Healed]);
    }
    Share { counts, ..Share::default() }
}

/// Where the message stands, if that is not told by how far it has come.
fn standing(status: &Status) -> Option<Count> {
    match status {
        Status::Pending => Some(Count::Pending),
        Status::Held => Some(Count::Held),
        Status::InFlight => Some(Count::InFlight),
        Status::Unknown => Some(Count::Unknown),
        Status::Canceled | Status::Suppressed | Status::Twilio(Word::Canceled) => Some(Count::Canceled),
        status if status.is_failure() => Some(Count::Failed),
        _ => None,
    }
}

fn between(from: Option<crate::clock::Time>, to: Option<crate::clock::Time>) -> Option<u16> {
    let (from, to) = (from?, to?);
    (to >= from).then(|| Histogram::bucket(to.since(from)))
}

impl Share {
    /// Adds this share to a cell `times` times; -1 takes it off.
    pub fn add_to(&self, cell: &mut Cell, times: i64) {
        for count in &self.counts {
            cell.count(*count, times);
        }
        if let Some(code) = self.code {
            cell.code(code, times);
        }
        let durations =
            [(self.queue, &mut cell.queue), (self.delivery, &mut cell.delivery), (self.read, &mut cell.read)];
        for (bucket, histogram) in durations {
            if let Some(bucket) = bucket {
                histogram.add(bucket, times);
            }
        }
    }
}
