//! The only clock: every other room is told what time it is.
//!
//! Invariant: times are whole milliseconds of UTC, so that they compare, store and add without rounding.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment: Unix milliseconds, UTC. Stored as that number; written for people as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// The moment `wait` later.
    #[must_use]
    pub fn plus(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The moment `wait` earlier.
    #[must_use]
    pub fn minus(self, wait: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The day in UTC, if the calendar knows it.
    pub fn day(self) -> Option<jiff::civil::Date> {
        let at = jiff::Timestamp::from_millisecond(self.0).ok()?;
        Some(at.to_zoned(jiff::tz::TimeZone::UTC).date())
    }

    /// The first moment of a month in UTC, written like `2026-08`, and the first behind it.
    pub fn month(text: &str) -> Option<(Self, Self)> {
        let first: jiff::civil::Date = format!("{text}-01").parse().ok().filter(|_| text.len() == 7)?;
        let next = first.checked_add(jiff::Span::new().months(1)).ok()?;
        let begins = |day: jiff::civil::Date| {
            Some(Self(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond()))
        };
        begins(first).zip(begins(next))
    }

    /// The hour since 1970 this moment lies in.
    pub fn hour(self) -> u32 {
        u32::try_from(self.0.div_euclid(3_600_000)).unwrap_or(0)
    }
}

/// RFC 3339 with milliseconds, as the API writes times.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match to.is_human_readable() {
            true => to.collect_str(self),
            false => to.serialize_i64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if !from.is_human_readable() {
            return i64::deserialize(from).map(Self);
        }
        let text = String::deserialize(from)?;
        let millis = match text.strip_suffix(" ms") {
            Some(millis) => millis.parse().map_err(serde::de::Error::custom)?,
            None => text.parse::<jiff::Timestamp>().map_err(serde::de::Error::custom)?.as_millisecond(),
        };
        Ok(Self(millis))
    }
}

/// Where the time comes from: the machine, or a hand.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The wall clock of the machine.
    #[default]
    System,
    /// The same, kept from running backwards.
    Steady(Arc<Mutex<Anchor>>),
    /// A clock that moves only when it is told to, for tests and simulation.
    Manual(Arc<AtomicI64>),
}

/// The last time at which the wall clock was ahead of all times before, and when that was by a clock that nobody sets.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    time: Time,
    at: Instant,
}

impl Anchor {
    fn steady(self) -> Time {
        self.time.plus(self.at.elapsed())
    }
}

impl Clock {
    /// The machine's clock, but never before `least`, nor before a time it has told: when it is set back, this one goes on
    /// at its own pace until the other has caught up. A clock that is moved by hand stays as it is.
    #[must_use]
    pub fn not_before(self, least: Time) -> Self {
        match self {
            Self::System => Self::Steady(Arc::new(Mutex::new(Anchor { time: least, at: Instant::now() }))),
            other => other,
        }
    }

    /// How far the machine's clock is behind what this one has told.
    pub fn behind(&self) -> Duration {
        match self {
            Self::Steady(_) => self.now().since(wall()),
            _ => Duration::ZERO,
        }
    }

    /// A clock that stands at `start` until it is advanced.
    pub fn manual(start: Time) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.0)))
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        match self {
            Self::System => wall(),
            Self::Steady(anchor) => {
                let (wall, mut anchor) = (wall(), anchor.lock().unwrap_or_else(PoisonError::into_inner));
                let steady = anchor.steady();
                if wall > steady {
                    *anchor = Anchor { time: wall, at: Instant::now() };
                }
                wall.max(steady)
            }
            Self::Manual(at) => Time(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward; the machine's clock moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(at) = self {
            at.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

/// The wall clock of the machine.
fn wall() -> Time {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_clock_follows_the_wall_and_never_goes_back() {
        let clock = Clock::System.not_before(Time(0));
        assert!(clock.now() >= wall().minus(Duration::from_secs(1)) && clock.behind() < Duration::from_secs(1));
        let year = Duration::from_secs(365 * 24 * 3_600);
        let ahead = Clock::System.not_before(wall().plus(year));
        let (first, then) = (ahead.now(), ahead.now());
        assert!(first > wall() && then >= first, "a wall clock that was set back does not take this one with it");
        assert!(ahead.behind() > year.mul_f64(0.99));
    }

    #[test]
    fn while_it_waits_for_the_wall_a_steady_clock_goes_on() {
        let anchor = Anchor { time: Time(5), at: Instant::now() - Duration::from_millis(70) };
        assert!(anchor.steady() >= Time(75));
    }

    #[test]
    fn times_are_written_as_rfc_3339_with_milliseconds() {
        assert_eq!(Time(1_700_000_000_005).to_string(), "2023-11-14T22:13:20.005Z");
    }

    #[test]
    fn a_month_begins_and_ends_in_utc() {
        let (first, behind) = Time::month("2026-02").expect("a month");
        assert_eq!(
            (first.to_string(), behind.to_string()),
            ("2026-02-01T00:00:00.000Z".into(), "2026-03-01T00:00:00.000Z".into())
        );
        for wrong in ["2026-13", "2026-1", "2026", "", "2026-02-01", "26-2026"] {
            assert_eq!(Time::month(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = Clock::manual(Time(5));
        clock.advance(Duration::from_millis(7));
        assert_eq!((clock.now(), clock.now().since(Time(2))), (Time(12), Duration::from_millis(10)));
        assert_eq!(Time(3).since(Time(9)), Duration::ZERO);
    }
}
