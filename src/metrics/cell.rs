//! The sum of the shares of one sender and hour, or day, or contact.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;

/// What a record can count as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Count {
    /// Every message there is.
    Accepted,
    /// WhatsApp's servers took it.
    Sent,
    /// It reached the device.
    Delivered,
    /// It was opened.
    Read,
    /// It will not arrive, and something went wrong.
    Failed,
    /// It was canceled or suppressed.
    Canceled,
    /// Waits for its turn.
    Pending,
    /// Waits for a person.
    Held,
    /// Being handed over.
    InFlight,
    /// Handed over without a clear answer.
    Unknown,
    /// The person may have got it twice.
    Duplicate,
    /// A message from a person to us.
    Inbound,
    /// An attempt that followed one which failed.
    Retried,
    /// An attempt that followed one which Twilio had no trace of.
    Resent,
    /// An attempt that was the fallback template.
    Fallback,
    /// It was not sent, because the person does not want it; counted as canceled too.
    Suppressed,
    /// A status, or an inbound message, that no callback told of and asking found.
    Missed,
    /// A message whose end asking found, or an inbound message that it found.
    Healed,
}

impl Count {
    /// All of them, in the order in which they are stored.
    pub const ALL: [Self; 18] = [
        Self::Accepted,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Failed,
        Self::Canceled,
        Self::Pending,
        Self::Held,
        Self::InFlight,
        Self::Unknown,
        Self::Duplicate,
        Self::Inbound,
        Self::Retried,
        Self::Resent,
        Self::Fallback,
        Self::Suppressed,
        Self::Missed,
        Self::Healed,
    ];
}

/// A sum of shares. Signed, so that a difference of shares is a cell too; a stored cell is never negative.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    counts: [i64; Count::ALL.len()],
    codes: BTreeMap<u32, i64>,
    /// Accepted → sent.
    pub queue: Histogram,
    /// Sent → delivered.
    pub delivery: Histogram,
    /// Delivered → read.
    pub read: Histogram,
}

impl Cell {
    /// How many records count as `count`.
    pub fn get(&self, count: Count) -> i64 {
        self.counts[count as usize]
    }

    /// Adds `times` (or takes off, if negative).
    pub fn count(&mut self, count: Count, times: i64) {
        self.counts[count as usize] += times;
    }

    /// Adds `times` failures with this code.
    pub fn code(&mut self, code: u32, times: i64) {
        let sum = self.codes.entry(code).or_default();
        *sum += times;
        if *sum == 0 {
            self.codes.remove(&code);
        }
    }

    /// Failures by error code.
    pub fn codes(&self) -> impl Iterator<Item = (u32, i64)> + '_ {
        self.codes.iter().map(|(code, times)| (*code, *times))
    }

    /// Adds every figure of `other`, `times` times; -1 takes them off.
    pub fn merge(&mut self, other: &Self, times: i64) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs * times;
        }
        for (code, count) in &other.codes {
            self.code(*code, count * times);
        }
        self.queue.merge(&other.queue, times);
        self.delivery.merge(&other.delivery, times);
        self.read.merge(&other.read, times);
    }

    /// Whether it says nothing: an empty cell is not stored.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Messages that are neither at an end nor handed over: what the queue still holds.
    pub fn open(&self) -> i64 {
        [Count::Pending, Count::Held, Count::InFlight, Count::Unknown].iter().map(|count| self.get(*count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Share;

    #[test]
    fn a_share_added_and_taken_off_leaves_an_empty_cell() {
        let counts = vec![Count::Accepted, Count::Failed];
        let share = Share { counts, code: Some(63_016), queue: Some(3), delivery: None, read: Some(9) };
        let mut cell = Cell::default();
        share.add_to(&mut cell, 1);
        assert_eq!((cell.get(Count::Failed), cell.codes().collect::<Vec<_>>()), (1, vec![(63_016, 1)]));
        share.add_to(&mut cell, -1);
        assert!(cell.is_empty());
    }
}
