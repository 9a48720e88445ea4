//! How the emulator misbehaves, and who chooses it: the recipient's number, or the control API.
//!
//! A number chooses by its **last four digits** (for a user id too, if it ends in digits):
//!
//! | ends in | scenario | what happens |
//! | --- | --- | --- |
//! | any other | `normal` | queued, sent, delivered, read; each but the first called back once |
//! | 9001 | `late` | every callback comes 30 s (of the emulator's clock) after what it tells |
//! | 9002 | `twice` | every callback comes twice |
//! | 9003 | `out_of_order` | the callbacks come last first: read, delivered, sent |
//! | 9004 | `lost` | no callback ever comes; the API shows the truth |
//! | 9005 | `half_lost` | each callback is lost with a chance of one half |
//! | 9006 | `early` | callbacks come half a second before the create is answered |
//! | 9007 | `unread` | delivered, never read |
//! | 9008 | `stuck` | sent, never delivered: the phone is off |
//! | 9009 | `replies` | the contact writes back after reading |
//! | 9011 | `rate_limited` | 429 without `Retry-After`; nothing is accepted \* |
//! | 9012 | `rate_limited_retry_after` | 429 with `Retry-After: 1`; nothing is accepted \* |
//! | 9021 | `error_before` | 500; nothing is accepted \* |
//! | 9022 | `error_after` | 500, though the message **was** accepted |
//! | 9023 | `reset_before` | the connection closes without an answer; nothing is accepted \* |
//! | 9024 | `reset_after` | the connection closes without an answer, though the message **was** accepted |
//! | 9025 | `slow` | accepted, answered after 20 s |
//! | 9026 | `garbage` | accepted, answered 201 with half a JSON |
//! | 9027 | `garbage_html` | accepted, answered 200 with a web page |
//! | 9028 | `listed_late` | accepted, answered 500, and missing from lists for 60 s |
//! | 3016 | `fails_63016` | failed: outside the 24-hour window |
//! | 3018 | `fails_63018` | failed: the channel's rate limit |
//! | 3003 | `fails_63003` | undelivered: no such WhatsApp user |
//! | 3024 | `fails_63024` | undelivered: invalid recipient |
//! | 3049 | `fails_63049` | undelivered: Meta chose not to deliver |
//! | 1610 | `fails_21610` | the create is refused: the recipient opted out |
//! | 0008 | `fails_30008` | sent, then undelivered: unknown error |
//!
//! \* Chosen by number, these strike every other create to that number, beginning with the first, so that a retry gets
//! through. Chosen by the control API, they strike as many `times` as asked. There, `fails_` takes any code of Twilio's.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Bound on rules set by the control API, and on numbers whose creates are counted.
const MAX_RULES: usize = 100_000;

/// One way to behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table above says what each one does, under the same name")]
pub enum Scenario {
    #[default]
    Normal,
    Late,
    Twice,
    OutOfOrder,
    Lost,
    HalfLost,
    Early,
    Unread,
    Stuck,
    Replies,
    RateLimited,
    RateLimitedRetryAfter,
    ErrorBefore,
    ErrorAfter,
    ResetBefore,
    ResetAfter,
    Slow,
    Garbage,
    GarbageHtml,
    ListedLate,
    Fails(u32),
}

/// Number suffix, scenario, its name, and what happens: the table above as data, also shown at `GET /emulator/scenarios`.
const TABLE: &[(&str, Scenario, &str, &str)] = &[
    ("", Scenario::Normal, "normal", "queued, sent, delivered, read; each but the first called back once"),
    ("9001", Scenario::Late, "late", "every callback comes 30 s after what it tells"),
    ("9002", Scenario::Twice, "twice", "every callback comes twice"),
    ("9003", Scenario::OutOfOrder, "out_of_order", "the callbacks come last first: read, delivered, sent"),
    ("9004", Scenario::Lost, "lost", "no callback ever comes; the API shows the truth"),
    ("9005", Scenario::HalfLost, "half_lost", "each callback is lost with a chance of one half"),
    ("9006", Scenario::Early, "early", "callbacks come half a second before the create is answered"),
    ("9007", Scenario::Unread, "unread", "delivered, never read"),
    ("9008", Scenario::Stuck, "stuck", "sent, never delivered: the phone is off"),
    ("9009", Scenario::Replies, "replies", "the contact writes back after reading"),
    ("9011", Scenario::RateLimited, "rate_limited", "429 without Retry-After; nothing is accepted"),
    (
        "9012",
        Scenario::RateLimitedRetryAfter,
        "rate_limited_retry_after",
        "429 with Retry-After: 1; nothing is accepted",
    ),
    ("9021", Scenario::ErrorBefore, "error_before", "500; nothing is accepted"),
    ("9022", Scenario::ErrorAfter, "error_after", "500, though the message was accepted"),
    ("9023", Scenario::ResetBefore, "reset_before", "the connection closes without an answer; nothing is accepted"),
    (
        "9024",
        Scenario::ResetAfter,
        "reset_after",
        "the connection closes without an answer, though the message was accepted",
    ),
    ("9025", Scenario::Slow, "slow", "accepted, answered after 20 s"),
    ("9026", Scenario::Garbage, "garbage", "accepted, answered 201 with half a JSON"),
    ("9027", Scenario::GarbageHtml, "garbage_html", "accepted, answered 200 with a web page"),
    ("9028", Scenario::ListedLate, "listed_late", "accepted, answered 500, and missing from lists for 60 s"),
    ("3016", Scenario::Fails(63016), "fails_63016", "failed: outside the 24-hour window"),
    ("3018", Scenario::Fails(63018), "fails_63018", "failed: the channel's rate limit"),
    ("3003", Scenario::Fails(63003), "fails_63003", "undelivered: no such WhatsApp user"),
    ("3024", Scenario::Fails(63024), "fails_63024", "undelivered: invalid recipient"),
    ("3049", Scenario::Fails(63049), "fails_63049", "undelivered: Meta chose not to deliver"),
    ("1610", Scenario::Fails(21610), "fails_21610", "the create is refused: the recipient opted out"),
    ("0008", Scenario::Fails(30008), "fails_30008", "sent, then undelivered: unknown error"),
];

impl Scenario {
    /// What the recipient's last four digits choose.
    pub fn of_number(to: &str) -> Self {
        let suffix = to.len().checked_sub(4).and_then(|start| to.get(start..)).unwrap_or("");
        TABLE.iter().find(|row| row.0 == suffix && !suffix.is_empty()).map_or(Self::Normal, |row| row.1)
    }

    /// Whether it keeps a create from being accepted in a way that a retry can get around.
    pub fn stops_create(self) -> bool {
        matches!(self, Self::RateLimited | Self::RateLimitedRetryAfter | Self::ErrorBefore | Self::ResetBefore)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, TABLE.iter().find(|row| row.1 == *self)) {
            (Self::Fails(code), _) => write!(f, "fails_{code}"),
            (_, Some(row)) => f.write_str(row.2),
            (_, None) => unreachable!("every scenario but Fails is in the table"),
        }
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(text: &str) -> Result<Self, UnknownScenario> {
        if let Some(code) = text.strip_prefix("fails_") {
            let code = code.parse().ok().filter(|code| (20_000..100_000).contains(code));
            return code.map(Self::Fails).ok_or_else(|| UnknownScenario(text.to_owned()));
        }
        TABLE.iter().find(|row| row.2 == text).map(|row| row.1).ok_or_else(|| UnknownScenario(text.to_owned()))
    }
}

impl Serialize for Scenario {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// There is no scenario of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no scenario `{0}`: GET /emulator/scenarios lists them")]
pub struct UnknownScenario(String);

/// A row of the table for `GET /emulator/scenarios`.
#[derive(Debug, Serialize)]
pub(super) struct ScenarioRow {
    /// Last four digits that choose it; empty for the one that needs none.
    pub(super) number_ends_in: &'static str,
    /// Its name.
    pub(super) scenario: &'static str,
    /// What happens.
    pub(super) what_happens: &'static str,
}

/// The whole table.
pub(super) fn table() -> Vec<ScenarioRow> {
    let row = |row: &(&'static str, Scenario, &'static str, &'static str)| ScenarioRow {
        number_ends_in: row.0,
        scenario: row.2,
        what_happens: row.3,
    };
    TABLE.iter().map(row).collect()
}

/// Which scenario the next create meets.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// By recipient; the empty string is everyone.
    rules: HashMap<String, Rule>,
    /// Creates to numbers whose scenario strikes every other time.
    creates: HashMap<String, u32>,
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    scenario: Scenario,
    times: Option<u32>,
}

impl Script {
    /// Sets a rule for one recipient, or for everyone; `times` counts down, then the number chooses again.
    ///
    /// Returns false if there are too many rules already.
    pub(super) fn set(&mut self, to: Option<String>, scenario: Scenario, times: Option<u32>) -> bool {
        if self.rules.len() >= MAX_RULES {
            return false;
        }
        self.rules.insert(to.unwrap_or_default(), Rule { scenario, times });
        true
    }

    /// The scenario of a create to `to`, which this counts.
    pub(super) fn next(&mut self, to: &str) -> Scenario {
        for key in [to, ""] {
            let Some(rule) = self.rules.get_mut(key) else { continue };
            let scenario = rule.scenario;
            match &mut rule.times {
                Some(0 | 1) => drop(self.rules.remove(key)),
                Some(times) => *times -= 1,
                None => {}
            }
            return scenario;
        }
        let scenario = Scenario::of_number(to);
        if !scenario.stops_create() {
            return scenario;
        }
        if self.creates.len() >= MAX_RULES {
            self.creates.clear();
        }
        let count = self.creates.entry(to.to_owned()).or_default();
        *count += 1;
        if *count % 2 == 1 { scenario } else { Scenario::Normal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_four_digits_choose() {
        assert_eq!(Scenario::of_number("whatsapp:+4915100009002"), Scenario::Twice);
        assert_eq!(Scenario::of_number("whatsapp:+4915100003016"), Scenario::Fails(63016));
        assert_eq!(Scenario::of_number("whatsapp:+4915100000001"), Scenario::Normal);
        assert_eq!(Scenario::of_number(""), Scenario::Normal);
        assert_eq!(Scenario::of_number("ü1"), Scenario::Normal);
    }

    #[test]
    fn every_name_reads_back() {
        for row in table() {
            let scenario: Scenario = row.scenario.parse().expect("a name of the table");
            assert_eq!(scenario.to_string(), row.scenario);
        }
        assert_eq!("fails_63013".parse(), Ok(Scenario::Fails(63013)));
        assert!("fails_x".parse::<Scenario>().is_err() && "latte".parse::<Scenario>().is_err());
    }

    #[test]
    fn a_stopping_number_strikes_every_other_time() {
        let mut script = Script::default();
        let met: Vec<_> = (0..4).map(|_| script.next("whatsapp:+4915100009011")).collect();
        let (hit, miss) = (Scenario::RateLimited, Scenario::Normal);
        assert_eq!(met, [hit, miss, hit, miss]);
    }

    #[test]
    fn a_rule_beats_the_number_as_often_as_asked() {
        let mut script = Script::default();
        assert!(script.set(None, Scenario::ErrorAfter, Some(2)));
        assert!(script.set(Some("whatsapp:+4915100000001".into()), Scenario::Lost, None));
        let met: Vec<_> = (0..3).map(|_| script.next("whatsapp:+4915100009002")).collect();
        assert_eq!(met, [Scenario::ErrorAfter, Scenario::ErrorAfter, Scenario::Twice]);
        assert_eq!(script.next("whatsapp:+4915100000001"), Scenario::Lost);
    }
}
