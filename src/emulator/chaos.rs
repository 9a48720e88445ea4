//! Misbehaviour by chance: how likely each kind is, for every call and callback that no scenario was chosen for.
//!
//! | key | what it is |
//! | --- | --- |
//! | `error_before`, `error_after` | chance of a 500, and nothing or all was done |
//! | `reset_before`, `reset_after` | chance of a connection closed without an answer, and nothing or all was done |
//! | `rate_limited` | chance of a 429, half of them with `Retry-After: 1`; nothing was done |
//! | `garbage` | chance of an answer that is half a JSON or a web page, though all was done |
//! | `fails` | chance by code that a message fails later, or is refused at once if the code is a 2xxxx |
//! | `lost`, `twice`, `shuffled` | chance that a callback never comes, comes twice, or is late by up to `shuffle_ms` |
//! | `list_lag_ms` | a message is missing from lists for up to so long |
//! | `slow_ms` | an answer takes up to so long; callbacks do not wait for it |
//!
//! Invariant: all of it comes from the dice, which are not thrown for what cannot happen; so one seed is one behaviour,
//! and a calm emulator behaves as if there were no chaos.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::core::Dice;
use super::scenario::Scenario;

/// An hour: what is later than that is better told by moving the clock.
const MAX_MS: u64 = 3_600_000;
/// The one failure that strikes free text only.
const OUTSIDE_WINDOW: u32 = 63016;

/// How likely each misbehaviour is; what is not named never happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Chaos {
    error_before: f64,
    error_after: f64,
    reset_before: f64,
    reset_after: f64,
    rate_limited: f64,
    garbage: f64,
    fails: BTreeMap<u32, f64>,
    lost: f64,
    twice: f64,
    shuffled: f64,
    shuffle_ms: u64,
    list_lag_ms: u64,
    slow_ms: u64,
}

impl Default for Chaos {
    fn default() -> Self {
        Self {
            error_before: 0.0,
            error_after: 0.0,
            reset_before: 0.0,
            reset_after: 0.0,
            rate_limited: 0.0,
            garbage: 0.0,
            fails: BTreeMap::new(),
            lost: 0.0,
            twice: 0.0,
            shuffled: 0.0,
            shuffle_ms: 1_000,
            list_lag_ms: 0,
            slow_ms: 0,
        }
    }
}

/// How one create fares, unless Twilio's own rules stop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lot {
    /// How it is answered.
    pub(super) answer: Scenario,
    /// What becomes of the message.
    pub(super) fate: Scenario,
    /// Whether chance decides about its callbacks too.
    pub(super) is_chance: bool,
}

impl Lot {
    /// The lot of a create whose scenario was chosen.
    pub(super) fn chosen(scenario: Scenario) -> Self {
        Self { answer: scenario, fate: scenario, is_chance: false }
    }
}

impl Chaos {
    /// Itself, or what is wrong with it.
    pub(super) fn check(self) -> Result<Self, String> {
        let chances = self.chances();
        if let Some((name, chance)) = chances.iter().find(|(_, chance)| !(0.0..=1.0).contains(chance)) {
            return Err(format!("{name} is a probability from 0 to 1, not {chance}"));
        }
        for (name, sum) in [
            ("the ways to answer", self.answers().map(|row| row.1).iter().sum::<f64>()),
            ("fails", self.fails.values().sum()),
        ] {
            // A little more than 1, because tenths do not add up exactly.
            if sum > 1.000_001 {
                return Err(format!("{name} exclude one another: their probabilities are {sum} together, more than 1"));
            }
        }
        if let Some(code) = self.fails.keys().find(|code| !(20_000..100_000).contains(*code)) {
            return Err(format!("fails names {code}, which is no code of Twilio's"));
        }
        let waits = [("shuffle_ms", self.shuffle_ms), ("list_lag_ms", self.list_lag_ms), ("slow_ms", self.slow_ms)];
        match waits.iter().find(|(_, wait)| *wait > MAX_MS) {
            Some((name, _)) => Err(format!("{name} is more than an hour ({MAX_MS})")),
            None => Ok(self),
        }
    }

    /// The lot of a create that nothing was chosen for.
    pub(super) fn lot(&self, is_template: bool, dice: &mut Dice) -> Lot {
        let fails = self.fails.iter().map(|(code, chance)| (Scenario::Fails(*code), *chance));
        let fate = match one_of(fails, dice) {
            Scenario::Fails(OUTSIDE_WINDOW) if is_template => Scenario::Normal,
            fate => fate,
        };
        Lot { answer: self.answer(dice), fate, is_chance: true }
    }

    /// How one call is answered.
    pub(super) fn answer(&self, dice: &mut Dice) -> Scenario {
        let answer = one_of(self.answers().into_iter(), dice);
        let other = match answer {
            Scenario::RateLimited => Scenario::RateLimitedRetryAfter,
            Scenario::Garbage => Scenario::GarbageHtml,
            _ => return answer,
        };
        if dice.random() { other } else { answer }
    }

    /// When the copies of one callback leave, from when it was due: none, one or two.
    pub(super) fn copies(&self, dice: &mut Dice) -> Vec<Duration> {
        if throw(self.lost, dice) {
            return Vec::new();
        }
        let copies = if throw(self.twice, dice) { 2 } else { 1 };
        let mut wait = || if throw(self.shuffled, dice) { up_to(self.shuffle_ms, dice) } else { Duration::ZERO };
        (0..copies).map(|_| wait()).collect()
    }

    /// How long lists do not show a message.
    pub(super) fn list_lag(&self, dice: &mut Dice) -> Duration {
        up_to(self.list_lag_ms, dice)
    }

    /// How long an answer takes.
    pub(super) fn slowness(&self, dice: &mut Dice) -> Duration {
        up_to(self.slow_ms, dice)
    }

    fn answers(&self) -> [(Scenario, f64); 6] {
        [
            (Scenario::ErrorBefore, self.error_before),
            (Scenario::ErrorAfter, self.error_after),
            (Scenario::ResetBefore, self.reset_before),
            (Scenario::ResetAfter, self.reset_after),
            (Scenario::RateLimited, self.rate_limited),
            (Scenario::Garbage, self.garbage),
        ]
    }

    fn chances(&self) -> Vec<(String, f64)> {
        let answers = self.answers().map(|(scenario, chance)| (scenario.to_string(), chance));
        let callbacks = [("lost", self.lost), ("twice", self.twice), ("shuffled", self.shuffled)];
        let callbacks = callbacks.map(|(name, chance)| (name.to_owned(), chance));
        let fails = self.fails.iter().map(|(code, chance)| (format!("fails {code}"), *chance));
        answers.into_iter().chain(callbacks).chain(fails).collect()
    }
}

/// The one that the dice choose; `Normal` with what is left of the probabilities.
fn one_of(chances: impl Iterator<Item = (Scenario, f64)>, dice: &mut Dice) -> Scenario {
    let chances: Vec<_> = chances.filter(|(_, chance)| *chance > 0.0).collect();
    if chances.is_empty() {
        return Scenario::Normal;
    }
    let mut thrown: f64 = dice.random();
    for (scenario, chance) in chances {
        thrown -= chance;
        if thrown < 0.0 {
            return scenario;
        }
    }
    Scenario::Normal
}

fn throw(chance: f64, dice: &mut Dice) -> bool {
    chance > 0.0 && dice.random_bool(chance)
}

fn up_to(most_ms: u64, dice: &mut Dice) -> Duration {
    Duration::from_millis(if most_ms > 0 { dice.random_range(0..=most_ms) } else { 0 })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn chaos(json: &str) -> Result<Chaos, String> {
        serde_json::from_str::<Chaos>(json).map_err(|error| error.to_string())?.check()
    }

    #[test]
    fn calm_throws_no_dice() {
        let mut dice = Dice::seed_from_u64(7);
        let calm = Chaos::default();
        let lot = calm.lot(false, &mut dice);
        assert_eq!((lot.answer, lot.fate), (Scenario::Normal, Scenario::Normal));
        assert_eq!(calm.copies(&mut dice), [Duration::ZERO]);
        assert_eq!((calm.list_lag(&mut dice), calm.slowness(&mut dice)), (Duration::ZERO, Duration::ZERO));
        assert_eq!(dice.random::<u64>(), Dice::seed_from_u64(7).random::<u64>());
    }

    #[test]
    fn a_certainty_always_strikes_and_chance_about_as_often_as_asked() {
        let mut dice = Dice::seed_from_u64(7);
        let certain = chaos(r#"{"reset_after": 1, "lost": 1, "fails": {"63018": 1}}"#).expect("fine");
        let lot = certain.lot(false, &mut dice);
        assert_eq!((lot.answer, lot.fate), (Scenario::ResetAfter, Scenario::Fails(63018)));
        assert!(certain.copies(&mut dice).is_empty());
        let likely = chaos(r#"{"rate_limited": 0.5, "garbage": 0.25}"#).expect("fine");
        let mut met: BTreeMap<String, u32> = BTreeMap::new();
        for _ in 0..8_000 {
            *met.entry(likely.answer(&mut dice).to_string()).or_default() += 1;
        }
        for (name, share) in
            [("normal", 2_000), ("rate_limited", 2_000), ("rate_limited_retry_after", 2_000), ("garbage", 1_000)]
        {
            assert!(met[name].abs_diff(share) < 200, "{name}: {met:?}");
        }
    }

    #[test]
    fn copies_are_late_by_no_more_than_asked() {
        let mut dice = Dice::seed_from_u64(7);
        let chaos = chaos(r#"{"twice": 1, "shuffled": 1, "shuffle_ms": 40}"#).expect("fine");
        let waits: Vec<_> = (0..100).flat_map(|_| chaos.copies(&mut dice)).collect();
        assert!(waits.len() == 200 && waits.iter().all(|wait| *wait <= Duration::from_millis(40)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_millis(20)));
    }

    #[test]
    fn a_template_never_fails_for_want_of_a_window() {
        let chaos = chaos(r#"{"fails": {"63016": 1}}"#).expect("fine");
        let fate = |is_template| chaos.lot(is_template, &mut Dice::seed_from_u64(7)).fate;
        assert_eq!((fate(false), fate(true)), (Scenario::Fails(63016), Scenario::Normal));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        for (json, reason) in [
            (r#"{"los": 0.5}"#, "unknown field `los`"),
            (r#"{"lost": 1.5}"#, "lost is a probability from 0 to 1, not 1.5"),
            (r#"{"twice": -1}"#, "twice is a probability"),
            (r#"{"error_after": 0.6, "garbage": 0.6}"#, "more than 1"),
            (r#"{"fails": {"7": 0.1}}"#, "no code of Twilio's"),
            (r#"{"fails": {"63018": 2}}"#, "fails 63018 is a probability"),
            (r#"{"slow_ms": 3600001}"#, "slow_ms is more than an hour"),
        ] {
            let error = chaos(json).expect_err(json);
            assert!(error.contains(reason), "{json}: {error}");
        }
        assert_eq!(chaos("{}"), Ok(Chaos::default()));
    }
}
