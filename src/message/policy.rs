//! The waits and limits of sending: every one a key of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Time;

/// How long to wait for what, and how often to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Milliseconds until Twilio is asked about a message whose callbacks have not told its end.
    pub reconcile_after_ms: u64,
    /// Milliseconds until an attempt with an unclear answer is looked for at Twilio.
    pub settle_ms: u64,
    /// Milliseconds of the first wait after Twilio did not take a message; doubled each time, full jitter.
    pub backoff_first_ms: u64,
    /// Milliseconds of the longest such wait.
    pub backoff_longest_ms: u64,
    /// Attempts before a message that Twilio never takes is given up (1 to 200).
    pub max_attempts: u8,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            reconcile_after_ms: 600_000,
            settle_ms: 180_000,
            backoff_first_ms: 1_000,
            backoff_longest_ms: 300_000,
            max_attempts: 100,
        }
    }
}

impl Policy {
    /// When to try again after attempt `number` was not processed: full jitter, so that a crowd spreads out.
    ///
    /// `dice` is uniform in 0..1. A `Retry-After` from Twilio is the least we wait.
    pub fn retry_at(&self, now: Time, number: u8, retry_after: Option<Duration>, dice: f64) -> Time {
        let doublings = u32::from(number.saturating_sub(1)).min(30);
        let ceiling = self.backoff_first_ms.saturating_mul(1 << doublings).min(self.backoff_longest_ms);
        let jittered = Duration::from_millis(ceiling).mul_f64(dice.clamp(0.0, 1.0));
        let longest = Duration::from_millis(self.backoff_longest_ms);
        now.plus(retry_after.unwrap_or_default().min(longest)).plus(jittered)
    }

    /// When to ask Twilio about a message it has taken.
    pub fn ask_at(&self, now: Time) -> Time {
        now.plus(Duration::from_millis(self.reconcile_after_ms))
    }

    /// When to look for an attempt nobody knows the outcome of.
    pub fn settle_at(&self, now: Time) -> Time {
        now.plus(Duration::from_millis(self.settle_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_over_their_whole_length() {
        let policy = Policy::default();
        let wait = |number, dice| policy.retry_at(Time(0), number, None, dice).0;
        assert_eq!((wait(1, 0.0), wait(1, 1.0), wait(3, 1.0), wait(3, 0.5)), (0, 1_000, 4_000, 2_000));
        assert_eq!((wait(40, 1.0), wait(255, 1.0)), (300_000, 300_000));
    }

    #[test]
    fn retry_after_is_the_least_we_wait() {
        let at = Policy::default().retry_at(Time(0), 1, Some(Duration::from_secs(7)), 0.0);
        assert_eq!(at, Time(7_000));
    }
}
