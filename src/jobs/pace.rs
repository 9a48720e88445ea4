//! How fast each sender may go: a token bucket per sender, and whose turn it is; how many requests at once.
//!
//! Invariant: pure. Time is an argument, and a sender never gets more than its rate over any second, but for one small
//! burst after a pause. Both halve when Twilio or WhatsApp finds us too fast, and come back bit by bit in calm.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Time;
use crate::store::Turn;

/// The burst after a pause is what the sender may send in this part of a second.
const BURST_S: f64 = 0.25;
/// A sender never goes slower than this part of its rate.
const SLOWEST: f64 = 1.0 / 64.0;
/// A sender is slowed down at most once in this time: many complaints come from one burst.
const CALM: Duration = Duration::from_secs(1);
/// After this long without a complaint a slowed sender has its full rate again.
const RECOVERY_S: f64 = 60.0;

/// The buckets of all senders.
#[derive(Clone, Debug)]
pub struct Pacer {
    default_rate: f64,
    rates: BTreeMap<u32, f64>,
    buckets: BTreeMap<u32, Bucket>,
    slowed: BTreeMap<u32, Slowed>,
    first: u32,
}

#[derive(Clone, Copy, Debug)]
struct Slowed {
    /// The part of its rate that was left.
    part: f64,
    at: Time,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Time,
}

/// What can be claimed now, or when it is worth looking again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Claim this.
    Claim(Vec<Turn>),
    /// Nothing before this time, unless something new comes.
    Wait(Option<Time>),
}

impl Pacer {
    /// Senders go at their own rate a second, all others at the default one.
    pub fn new(default_rate: f64, rates: BTreeMap<u32, f64>) -> Self {
        Self { default_rate, rates, buckets: BTreeMap::new(), slowed: BTreeMap::new(), first: 0 }
    }

    fn rate(&self, sender: u32, now: Time) -> f64 {
        self.rates.get(&sender).copied().unwrap_or(self.default_rate) * self.part(sender, now)
    }

    /// The part of its rate that a sender has now.
    pub fn part(&self, sender: u32, now: Time) -> f64 {
        let Some(slowed) = self.slowed.get(&sender) else { return 1.0 };
        (slowed.part + now.since(slowed.at).as_secs_f64() / RECOVERY_S).min(1.0)
    }

    /// WhatsApp found a sender too fast: it goes on at half its pace.
    pub fn slow_down(&mut self, sender: u32, now: Time) {
        if self.slowed.get(&sender).is_none_or(|slowed| now >= slowed.at.plus(CALM)) {
            let part = (self.part(sender, now) / 2.0).max(SLOWEST);
            self.slowed.insert(sender, Slowed { part, at: now });
        }
    }

    /// Whose turn it is, of the senders that have something due and may send; each plan begins with another sender.
    pub fn plan(&mut self, sendable: &[(u32, Time)], now: Time) -> Plan {
        let mut turns = Vec::new();
        let mut wake: Option<Time> = None;
        for &(sender, due) in sendable {
            let ready_at = self.ready_at(sender, now).max(due);
            if ready_at > now {
                wake = Some(wake.map_or(ready_at, |wake| wake.min(ready_at)));
            } else {
                let tokens = self.buckets.get(&sender).map_or(0.0, |bucket| bucket.tokens);
                turns.push(Turn { sender, at_most: tokens as usize });
            }
        }
        if turns.is_empty() {
            return Plan::Wait(wake);
        }
        let split = turns.iter().position(|turn| turn.sender > self.first).unwrap_or(0);
        turns.rotate_left(split);
        self.first = turns.first().map_or(0, |turn| turn.sender);
        Plan::Claim(turns)
    }

    /// Takes what was claimed out of the sender's bucket.
    pub fn spend(&mut self, sender: u32, claimed: usize) {
        if let Some(bucket) = self.buckets.get_mut(&sender) {
            bucket.tokens -= claimed as f64;
        }
    }

    /// Fills the sender's bucket, and says when it holds a whole token.
    fn ready_at(&mut self, sender: u32, now: Time) -> Time {
        let rate = self.rate(sender, now);
        let full = (rate * BURST_S).max(1.0);
        let bucket = self.buckets.entry(sender).or_insert(Bucket { tokens: full, filled_at: now });
        let gained = now.since(bucket.filled_at).as_secs_f64() * rate;
        bucket.tokens = (bucket.tokens + gained).min(full);
        bucket.filled_at = now.max(bucket.filled_at);
        let missing = (1.0 - bucket.tokens).max(0.0);
        now.plus(Duration::from_millis((missing / rate * 1_000.0).ceil() as u64))
    }
}

/// How many requests may be at Twilio at once: its limit is the account's and not published, so it is felt for.
#[derive(Clone, Copy, Debug)]
pub struct Width {
    most: f64,
    now: f64,
}

impl Width {
    /// As many as configured, until Twilio has had too many.
    pub fn new(most: usize) -> Self {
        Self { most: most as f64, now: most as f64 }
    }

    /// How many there may be now; never none.
    pub fn get(&self) -> usize {
        (self.now as usize).max(1)
    }

    /// Twilio had too many (429).
    pub fn shrink(&mut self) {
        self.now = (self.now / 2.0).max(1.0);
    }

    /// A request went through: one more for every full width of them.
    pub fn grow(&mut self) {
        self.now = (self.now + 1.0 / self.now).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacer(rate: f64) -> Pacer {
        Pacer::new(rate, BTreeMap::new())
    }

    #[test]
    fn a_sender_never_goes_faster_than_its_rate() {
        let mut pacer = pacer(80.0);
        let mut claimed = 0;
        for ms in 0..10_000 {
            if let Plan::Claim(turns) = pacer.plan(&[(1, Time(0))], Time(ms)) {
                claimed += turns[0].at_most;
                pacer.spend(1, turns[0].at_most);
            }
        }
        assert!((800..=820).contains(&claimed), "{claimed} in ten seconds");
    }

    #[test]
    fn a_sender_without_tokens_says_when_it_may_go_on() {
        let mut pacer = pacer(2.0);
        let Plan::Claim(turns) = pacer.plan(&[(1, Time(0))], Time(0)) else { panic!("a full bucket") };
        pacer.spend(1, turns[0].at_most);
        assert_eq!(pacer.plan(&[(1, Time(0))], Time(0)), Plan::Wait(Some(Time(500))));
        assert_eq!(pacer.plan(&[], Time(0)), Plan::Wait(None));
    }

    #[test]
    fn a_complaint_halves_the_pace_once_a_second_and_calm_brings_it_back() {
        let mut pacer = pacer(80.0);
        for ms in [0, 10, 20, 1_000] {
            pacer.slow_down(1, Time(ms));
        }
        let part = pacer.part(1, Time(1_000));
        assert!((0.25..0.27).contains(&part), "{part}");
        assert!(pacer.part(1, Time(31_000)) > 0.7 && pacer.part(1, Time(61_000)) == 1.0);
        assert_eq!(pacer.part(2, Time(1_000)), 1.0);
        for second in 0..100 {
            pacer.slow_down(1, Time(second * 1_000));
        }
        assert!(pacer.part(1, Time(99_000)) >= SLOWEST);
    }

    #[test]
    fn too_many_at_once_are_halved_and_come_back_one_by_one() {
        let mut width = Width::new(64);
        width.shrink();
        assert_eq!(width.get(), 32);
        (0..40).for_each(|_| width.grow());
        assert_eq!(width.get(), 33);
        (0..20).for_each(|_| width.shrink());
        assert_eq!(width.get(), 1);
        (0..10_000).for_each(|_| width.grow());
        assert_eq!(width.get(), 64);
    }

    #[test]
    fn what_is_due_later_is_waited_for() {
        assert_eq!(pacer(80.0).plan(&[(1, Time(70))], Time(0)), Plan::Wait(Some(Time(70))));
    }

    #[test]
    fn every_sender_is_first_in_turn() {
        let mut pacer = pacer(80.0);
        let sendable = [(1, Time(0)), (2, Time(0)), (3, Time(0))];
        let firsts = (0..4).map(|_| match pacer.plan(&sendable, Time(0)) {
            Plan::Claim(turns) => turns[0].sender,
            Plan::Wait(_) => 0,
        });
        assert_eq!(firsts.collect::<Vec<_>>(), [1, 2, 3, 1]);
    }
}
