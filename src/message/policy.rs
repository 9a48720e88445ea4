//! The waits and limits of sending: every one a key of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::failure::Class;
use crate::clock::Time;

/// How long to wait for what, and how often to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Milliseconds until Twilio is asked about a message whose callbacks have not told its end, and between two such
    /// questions in its first day.
    pub reconcile_after_ms: u64,
    /// Milliseconds until Twilio is asked about a message when there is no `public_url` and so no callback; the pauses
    /// grow with the message's age, up to `reconcile_after_ms`.
    pub poll_after_ms: u64,
    /// Whether there are no callbacks.
    #[serde(skip)]
    pub is_polling: bool,
    /// Milliseconds between two such questions after the first day.
    pub reconcile_later_ms: u64,
    /// Milliseconds after an attempt until Twilio is asked no more.
    pub patience_ms: u64,
    /// Milliseconds after which an attempt with an unclear answer that Twilio does not list is taken for absent.
    pub settle_ms: u64,
    /// What becomes of a message whose attempt is absent at Twilio.
    pub on_unknown: OnUnknown,
    /// Milliseconds of the first wait after Twilio did not take a message; doubled each time, full jitter.
    pub backoff_first_ms: u64,
    /// Milliseconds of the longest such wait.
    pub backoff_longest_ms: u64,
    /// Attempts before a message that Twilio never takes is given up (1 to 200).
    pub max_attempts: u8,
    /// Attempts that may fail before a failure that passes by itself is final (1 to 20).
    pub retry_attempts: u8,
    /// Milliseconds after its acceptance in which a message is sent again after a failure that passes by itself.
    pub retry_for_ms: u64,
    /// Milliseconds of the first wait after a transient failure, or one of a rate; doubled each time, full jitter.
    pub retry_transient_ms: u64,
    /// Milliseconds of the least wait after a failure that takes hours to pass; doubled each time, full jitter on top.
    pub retry_wait_ms: u64,
    /// Milliseconds of the longest wait after any failure.
    pub retry_longest_ms: u64,
    /// What becomes of free text without a fallback when the person's window is closed.
    pub outside_window: OutsideWindow,
    /// Milliseconds in which one sender may write once to one person.
    pub pair_every_ms: u64,
    /// Messages that one sender may write to one person at once (1 to 100).
    pub pair_burst: u16,
    /// Milliseconds until a pause that a failure brought about lets one message through to probe; doubled each time.
    pub probe_after_ms: u64,
    /// Milliseconds of the longest wait between two probes.
    pub probe_longest_ms: u64,
    /// What a person writes, alone in a message, to get no more messages; case does not matter.
    pub stop_words: Vec<String>,
    /// What a person writes, alone in a message, to get messages again.
    pub start_words: Vec<String>,
}

/// What becomes of a message whose attempt Twilio provably has no trace of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// It is sent again, once.
    #[default]
    ResendIfAbsent,
    /// A person decides.
    Hold,
    /// It has failed.
    Fail,
}

impl OnUnknown {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ResendIfAbsent => "resend_if_absent",
            Self::Hold => "hold",
            Self::Fail => "fail",
        }
    }
}

/// What becomes of free text that has no fallback when the person's window is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutsideWindow {
    /// It is refused here, as Twilio would fail it with 63016.
    #[default]
    Refuse,
    /// It waits until the person writes, or someone releases it.
    Hold,
    /// It is sent all the same.
    Try,
}

/// Twilio is asked every `reconcile_after_ms` for so long after an attempt, then every `reconcile_later_ms`.
const FIRST_DAY_MS: u64 = 24 * 3_600_000;
/// The parts of `settle_ms` at which an unclear attempt is looked for: 5, 15, 60 and 180 s by default.
const LOOKS: [u64; 4] = [36, 12, 3, 1];

impl Default for Policy {
    fn default() -> Self {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        Self {
            reconcile_after_ms: 600_000,
            poll_after_ms: 15_000,
            is_polling: false,
            reconcile_later_ms: 3_600_000,
            patience_ms: 7 * FIRST_DAY_MS,
            settle_ms: 180_000,
            on_unknown: OnUnknown::ResendIfAbsent,
            backoff_first_ms: 1_000,
            backoff_longest_ms: 300_000,
            max_attempts: 100,
            retry_attempts: 4,
            retry_for_ms: FIRST_DAY_MS,
            retry_transient_ms: 30_000,
            retry_wait_ms: 3_600_000,
            retry_longest_ms: 12 * 3_600_000,
            outside_window: OutsideWindow::Refuse,
            pair_every_ms: 6_000,
            pair_burst: 5,
            probe_after_ms: 30_000,
            probe_longest_ms: 3_600_000,
            stop_words: words("stop stopall unsubscribe"),
            start_words: words("start unstop"),
        }
    }
}

impl Policy {
    /// When to try again after attempt `number` was not processed: full jitter, so that a crowd spreads out.
    ///
    /// `dice` is uniform in 0..1. A `Retry-After` from Twilio is the least we wait.
    pub fn retry_at(&self, now: Time, number: u8, retry_after: Option<Duration>, dice: f64) -> Time {
        let longest = Duration::from_millis(self.backoff_longest_ms);
        let jitter = jitter(self.backoff_first_ms, self.backoff_longest_ms, number, dice);
        now.plus(retry_after.unwrap_or_default().min(longest)).plus(jitter)
    }

    /// When to try again after the failure `failures` in its class; never, for a class that no retry helps.
    pub fn retry_failed_at(&self, now: Time, class: Class, failures: u8, dice: f64) -> Option<Time> {
        let longest = self.retry_longest_ms;
        Some(match class {
            Class::Transient | Class::Rate => now.plus(jitter(self.retry_transient_ms, longest, failures, dice)),
            Class::Wait => {
                let least = Duration::from_millis(self.retry_wait_ms.min(longest));
                now.plus(least).plus(jitter(self.retry_wait_ms, longest, failures, dice))
            }
            Class::Template | Class::Permanent | Class::OptedOut | Class::Operator | Class::None => return None,
        })
    }

    /// When to ask Twilio about a message it has taken.
    pub fn ask_at(&self, now: Time) -> Time {
        now.plus(Duration::from_millis(self.period_ms(0)))
    }

    /// Milliseconds between two questions about something of this age, in its first day.
    pub fn period_ms(&self, age_ms: u64) -> u64 {
        match self.is_polling {
            true => (age_ms / 8).max(self.poll_after_ms).min(self.reconcile_after_ms),
            false => self.reconcile_after_ms,
        }
    }

    /// When to ask Twilio again about an attempt it took at `since`; never, once patience is spent. What has arrived
    /// is only asked whether it was read, at least a quarter of its age apart.
    pub fn ask_again_at(&self, now: Time, since: Time, has_arrived: bool) -> Option<Time> {
        let age = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
        let pause = match age < FIRST_DAY_MS {
            true => self.period_ms(age),
            false => self.reconcile_later_ms.max(self.reconcile_after_ms),
        };
        let pause = if has_arrived { pause.max(age / 4) } else { pause };
        (age < self.patience_ms).then(|| now.plus(Duration::from_millis(pause)))
    }

    /// When an attempt whose answer was lost at `since` is looked for next; further and further apart once `settle_ms`
    /// has passed, and never again once patience is spent.
    pub fn look_at(&self, now: Time, since: Time) -> Option<Time> {
        let age = now.since(since);
        let looks = LOOKS.iter().map(|part| since.plus(Duration::from_millis((self.settle_ms / part).max(1))));
        let next = looks.into_iter().find(|at| *at > now);
        let later = now.plus(Duration::from_millis(self.settle_ms).max(age / 4));
        (age < Duration::from_millis(self.patience_ms)).then(|| next.unwrap_or(later))
    }

    /// When an attempt whose answer was just lost is looked for first.
    pub fn first_look_at(&self, now: Time) -> Time {
        now.plus(Duration::from_millis((self.settle_ms / LOOKS[0]).max(1)))
    }

    /// Whether an attempt whose answer was lost at `since`, and which Twilio does not list, is absent.
    pub fn is_settled(&self, now: Time, since: Time) -> bool {
        now >= since.plus(Duration::from_millis(self.settle_ms))
    }

    /// How long to wait before probe `number`, from 0.
    pub fn probe_pause(&self, number: u32) -> Duration {
        let pause = self.probe_after_ms.saturating_mul(1 << number.min(20));
        Duration::from_millis(pause.min(self.probe_longest_ms.max(self.probe_after_ms)))
    }
}

/// Uniform between nothing and a ceiling that doubles with every try, up to the longest.
fn jitter(first_ms: u64, longest_ms: u64, number: u8, dice: f64) -> Duration {
    let doublings = u32::from(number.saturating_sub(1)).min(30);
    let ceiling = first_ms.saturating_mul(1 << doublings).min(longest_ms);
    Duration::from_millis(ceiling).mul_f64(dice.clamp(0.0, 1.0))
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

    #[test]
    fn each_class_waits_in_its_own_way_and_most_do_not_come_back() {
        let policy = Policy::default();
        let wait = |class, failures, dice| policy.retry_failed_at(Time(0), class, failures, dice).map(|at| at.0);
        assert_eq!(wait(Class::Transient, 2, 1.0), Some(60_000));
        assert_eq!(wait(Class::Rate, 1, 0.5), Some(15_000));
        assert_eq!((wait(Class::Wait, 1, 0.0), wait(Class::Wait, 9, 1.0)), (Some(3_600_000), Some(46_800_000)));
        for class in [Class::Template, Class::Permanent, Class::OptedOut, Class::Operator, Class::None] {
            assert_eq!(wait(class, 1, 0.5), None);
        }
    }

    #[test]
    fn an_unclear_attempt_is_looked_for_four_times_before_it_counts_as_absent() {
        let policy = Policy::default();
        let mut now = Time(0);
        let mut looks = Vec::new();
        while !policy.is_settled(now, Time(0)) {
            now = policy.look_at(now, Time(0)).expect("it is young");
            looks.push(now.0);
        }
        assert_eq!(looks, [5_000, 15_000, 60_000, 180_000]);
        assert_eq!((policy.first_look_at(Time(0)), policy.look_at(now, Time(0))), (Time(5_000), Some(Time(360_000))));
        assert_eq!(policy.look_at(Time(7 * 24 * 3_600_000), Time(0)), None);
    }

    #[test]
    fn asking_slows_down_with_age_and_ends() {
        let policy = Policy::default();
        let pause = |age: i64, arrived| policy.ask_again_at(Time(age), Time(0), arrived).map(|at| at.0 - age);
        assert_eq!(pause(0, false), Some(600_000));
        let polling = Policy { is_polling: true, ..Policy::default() };
        let pause_polling = |age: i64| polling.ask_again_at(Time(age), Time(0), false).map(|at| at.0 - age);
        assert_eq!([0, 800_000, 80_000_000].map(pause_polling), [15_000, 100_000, 600_000].map(Some));
        assert_eq!(pause(25 * 3_600_000, false), Some(3_600_000));
        assert_eq!(pause(8 * 3_600_000, true), Some(2 * 3_600_000));
        assert_eq!(pause(7 * 24 * 3_600_000, false), None);
    }

    #[test]
    fn probes_are_further_and_further_apart() {
        let policy = Policy::default();
        let pauses = [0, 1, 40].map(|number| policy.probe_pause(number).as_secs());
        assert_eq!(pauses, [30, 60, 3_600]);
    }
}
