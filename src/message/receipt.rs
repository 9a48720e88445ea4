//! What is known of one attempt's delivery: a join-semilattice of Twilio's own words.
//!
//! Invariant: `join` is commutative, associative and idempotent, so that callbacks in any order, any number of times,
//! give the same receipt. Every part of it is a minimum or a union; the sets keep their smallest members, which keeps
//! both the law and a bound on the record.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::id::Sid;
use super::status::{RANKED, Word};
use crate::clock::Time;
use crate::sabotage::{Bug, is_planted};

/// More different codes, words or SIDs than this for one attempt are a curiosity, not a record.
const MAX_KINDS: usize = 8;

/// When a word was first seen.
///
/// Ordered so that a time that says when something happened outdoes one that only says when we asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen {
    /// Learned by asking: the thing happened at this time or before.
    pub untimed: bool,
    /// When we learned of it.
    pub at: Time,
}

/// The joined evidence about one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    #[serde(with = "words")]
    seen: [Option<Seen>; RANKED],
    /// Error codes Twilio gave.
    pub codes: BTreeSet<u32>,
    /// Statuses we have no rank for.
    pub others: BTreeSet<String>,
    /// Twilio's names for this attempt; more than one is a double send.
    pub sids: BTreeSet<Sid>,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// The status Twilio named.
    pub word: &'a Word,
    /// The error code it gave with it.
    pub code: Option<u32>,
    /// The SID it used.
    pub sid: Option<Sid>,
    /// When we learned it, and how well.
    pub seen: Seen,
}

impl Receipt {
    /// Takes a piece of evidence in; says whether anything new was learned.
    pub fn observe(&mut self, evidence: Evidence<'_>) -> bool {
        let mut other = Self::default();
        match (evidence.word.rank(), evidence.word) {
            (Some(rank), _) => other.seen[rank] = Some(evidence.seen),
            (None, word) => drop(other.others.insert(word.as_str().to_owned())),
        }
        other.codes.extend(evidence.code);
        other.sids.extend(evidence.sid);
        self.join(&other)
    }

    /// The least receipt that holds what both hold; says whether this one grew.
    ///
    /// A better time for a word already known is kept, but it is no growth: nothing new happened.
    pub fn join(&mut self, other: &Self) -> bool {
        if is_planted(Bug::OverwriteInsteadOfJoin) {
            *self = other.clone();
            return true;
        }
        let mut grew = false;
        for (mine, theirs) in self.seen.iter_mut().zip(other.seen) {
            grew |= mine.is_none() && theirs.is_some();
            *mine = [*mine, theirs].into_iter().flatten().min();
        }
        grew |= join_smallest(&mut self.codes, &other.codes);
        grew |= join_smallest(&mut self.others, &other.others);
        grew |= join_smallest(&mut self.sids, &other.sids);
        grew
    }

    /// The furthest word: read over delivered over failure over progress over words unknown to us.
    pub fn word(&self) -> Option<Word> {
        let ranked = self.seen.iter().rposition(Option::is_some).map(Word::ranked);
        ranked.or_else(|| self.others.first().cloned().map(Word::Other))
    }

    /// When `word` was first seen.
    pub fn seen(&self, word: &Word) -> Option<Seen> {
        word.rank().and_then(|rank| self.seen[rank])
    }

    /// When `word` happened, if a callback told us at the time.
    pub fn time(&self, word: &Word) -> Option<Time> {
        self.seen(word).filter(|seen| !seen.untimed).map(|seen| seen.at)
    }

    /// What was seen, in the order of the words.
    pub fn history(&self) -> impl Iterator<Item = (Word, Seen)> + '_ {
        self.seen.iter().enumerate().filter_map(|(rank, seen)| seen.map(|seen| (Word::ranked(rank), seen)))
    }

    /// Whether the message arrived by this attempt.
    pub fn has_arrived(&self) -> bool {
        self.word().is_some_and(|word| word.is_arrival())
    }

    /// Whether Twilio said both that it arrived and that it did not.
    pub fn is_contradictory(&self) -> bool {
        self.has_arrived() && self.history().any(|(word, _)| word.is_failure())
    }
}

/// The words that were seen: stored by their rank, written for people by their name.
mod words {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{RANKED, Seen, Word};

    type Ranked = [Option<Seen>; RANKED];

    pub(super) fn serialize<S: Serializer>(seen: &Ranked, to: S) -> Result<S::Ok, S::Error> {
        if !to.is_human_readable() {
            return seen.serialize(to);
        }
        let named = seen.iter().enumerate().filter_map(|(rank, seen)| Some((Word::ranked(rank), (*seen)?)));
        to.collect_map(named.map(|(word, seen)| (word.as_str().to_owned(), seen)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Ranked, D::Error> {
        if !from.is_human_readable() {
            return Deserialize::deserialize(from);
        }
        let mut ranked = Ranked::default();
        for (name, seen) in BTreeMap::<String, Seen>::deserialize(from)? {
            let rank = Word::parse(&name).rank();
            ranked[rank.ok_or_else(|| serde::de::Error::custom(format!("{name:?} is no status")))?] = Some(seen);
        }
        Ok(ranked)
    }
}

/// Union, then the smallest few: still commutative, associative and idempotent.
fn join_smallest<T: Ord + Clone>(mine: &mut BTreeSet<T>, theirs: &BTreeSet<T>) -> bool {
    if theirs.is_subset(mine) {
        return false;
    }
    let before = mine.clone();
    mine.extend(theirs.iter().cloned());
    while mine.len() > MAX_KINDS {
        mine.pop_last();
    }
    *mine != before
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn receipts() -> impl Strategy<Value = Receipt> {
        let evidence = (0..RANKED + 2, proptest::option::of(0u32..12), 0u8..3, 0i64..6, any::<bool>());
        proptest::collection::vec(evidence, 0..8).prop_map(|list| {
            let mut receipt = Receipt::default();
            for (rank, code, sid, at, untimed) in list {
                let word = if rank < RANKED { Word::ranked(rank) } else { Word::Other(format!("word{rank}")) };
                let seen = Seen { untimed, at: Time(at) };
                receipt.observe(Evidence { word: &word, code, sid: Some(Sid([sid; 17])), seen });
            }
            receipt
        })
    }

    fn joined(mut left: Receipt, right: &Receipt) -> Receipt {
        left.join(right);
        left
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn join_obeys_the_laws_of_a_semilattice(a in receipts(), b in receipts(), c in receipts()) {
            prop_assert_eq!(joined(a.clone(), &a), a.clone());
            prop_assert_eq!(joined(a.clone(), &b), joined(b.clone(), &a));
            prop_assert_eq!(joined(joined(a.clone(), &b), &c), joined(a, &joined(b, &c)));
        }

        #[test]
        fn a_join_that_teaches_nothing_says_so(a in receipts(), b in receipts()) {
            let mut both = joined(a, &b);
            prop_assert!(!both.join(&b));
        }
    }

    #[test]
    fn a_time_from_a_callback_outdoes_an_earlier_time_from_asking() {
        let mut receipt = Receipt::default();
        let asked = Seen { untimed: true, at: Time(1) };
        let told = Seen { untimed: false, at: Time(9) };
        assert!(receipt.observe(Evidence { word: &Word::Delivered, code: None, sid: None, seen: asked }));
        assert_eq!(receipt.time(&Word::Delivered), None);
        assert!(!receipt.observe(Evidence { word: &Word::Delivered, code: None, sid: None, seen: told }));
        assert_eq!(receipt.time(&Word::Delivered), Some(Time(9)));
    }

    #[test]
    fn delivered_and_failed_at_once_is_delivered_and_contradictory() {
        let mut receipt = Receipt::default();
        let seen = Seen { untimed: false, at: Time(1) };
        for word in [Word::Delivered, Word::Failed] {
            receipt.observe(Evidence { word: &word, code: None, sid: None, seen });
        }
        assert_eq!((receipt.word(), receipt.is_contradictory()), (Some(Word::Delivered), true));
    }
}
