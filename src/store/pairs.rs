//! How often one sender writes to one person: WhatsApp's pair rate, one message in six seconds after a burst of five.
//!
//! Invariant: who must wait is given a turn of their own, so that a crowd for one person is looked at twice each, not
//! again and again. Kept in memory alone: a start may let one burst too many through, which costs a retry at worst.

use std::collections::HashMap;

use crate::clock::Time;
use crate::message::Policy;

/// Pairs are forgotten once their burst is whole again; only then may there be more than this.
const MAX_PAIRS: usize = 65_536;

/// When each pair's next message would be due if all were evenly spread.
#[derive(Default)]
pub(super) struct Pairs(HashMap<(u32, u64), Time>);

impl Pairs {
    /// Takes the next turn of a pair: now, or when it comes.
    pub(super) fn take_turn(&mut self, pair: (u32, u64), policy: &Policy, now: Time) -> Option<Time> {
        if self.0.len() >= MAX_PAIRS {
            self.0.retain(|_, at| *at > now);
        }
        let every = std::time::Duration::from_millis(policy.pair_every_ms);
        let ahead = every * u32::from(policy.pair_burst.saturating_sub(1));
        let even = self.0.entry(pair).or_insert(now);
        *even = (*even).max(now);
        let turn = even.minus(ahead);
        *even = even.plus(every);
        (turn > now).then_some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_each_gets_a_turn_of_its_own() {
        let (mut pairs, policy) = (Pairs::default(), Policy::default());
        let mut turns = |at: i64, count: usize| {
            (0..count).map(|_| pairs.take_turn((1, 1), &policy, Time(at)).map(|at| at.0)).collect::<Vec<_>>()
        };
        assert_eq!(turns(0, 7), [None, None, None, None, None, Some(6_000), Some(12_000)]);
        assert_eq!(turns(36_000, 2), [None, None]);
    }

    #[test]
    fn pairs_do_not_know_each_other() {
        let (mut pairs, policy) = (Pairs::default(), Policy { pair_burst: 1, ..Policy::default() });
        assert_eq!(pairs.take_turn((1, 1), &policy, Time(0)), None);
        assert_eq!(pairs.take_turn((2, 1), &policy, Time(0)), None);
        assert_eq!(pairs.take_turn((1, 1), &policy, Time(0)), Some(Time(6_000)));
    }
}
