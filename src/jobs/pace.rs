//! How fast each sender may go: a token bucket per sender, and whose turn it is.
//!
//! Invariant: pure. Time is an argument, and a sender never gets more than its rate over any second, but for one small
//! burst after a pause.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Time;
use crate::store::Turn;

/// The burst after a pause is what the sender may send in this part of a second.
const BURST_S: f64 = 0.25;

/// The buckets of all senders.
#[derive(Clone, Debug)]
pub struct Pacer {
    default_rate: f64,
    rates: BTreeMap<u32, f64>,
    buckets: BTreeMap<u32, Bucket>,
    first: u32,
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
        Self { default_rate, rates, buckets: BTreeMap::new(), first: 0 }
    }

    fn rate(&self, sender: u32) -> f64 {
        self.rates.get(&sender).copied().unwrap_or(self.default_rate)
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
        let rate = self.rate(sender);
        let full = (rate * BURST_S).max(1.0);
        let bucket = self.buckets.entry(sender).or_insert(Bucket { tokens: full, filled_at: now });
        let gained = now.since(bucket.filled_at).as_secs_f64() * rate;
        bucket.tokens = (bucket.tokens + gained).min(full);
        bucket.filled_at = now.max(bucket.filled_at);
        let missing = (1.0 - bucket.tokens).max(0.0);
        now.plus(Duration::from_millis((missing / rate * 1_000.0).ceil() as u64))
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
