//! When something is due by a cron line: from the line, the last run that is on disk, and the time.
//!
//! Invariant: pure. Lines are read in UTC, so that no hour of the year is there twice or missing.

use chrono::{DateTime, Utc};
use croner::Cron;

use crate::clock::Time;

/// A cron line: second, minute, hour, day of month, month, day of week.
#[derive(Clone, Debug)]
pub struct Timetable {
    line: String,
    cron: Cron,
}

/// It is no cron line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no cron line ({0}): write second minute hour day month weekday, like \"0 30 3 * * *\" for half past three every night \
     (UTC), or nothing for never"
)]
pub struct NoTimetable(String);

impl Timetable {
    /// Reads a line; nothing, if it is empty.
    pub fn read(line: &str) -> Result<Option<Self>, NoTimetable> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        if line.split_whitespace().count() != 6 {
            return Err(NoTimetable("it has not six fields".to_owned()));
        }
        let cron = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Required)
            .build()
            .parse(line)
            .map_err(|error| NoTimetable(error.to_string()))?;
        Ok(Some(Self { line: line.trim().to_owned(), cron }))
    }

    /// The line as it was written.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The first time after `at`; never, if there is none.
    pub fn next(&self, at: Time) -> Option<Time> {
        let at = DateTime::<Utc>::from_timestamp_millis(at.0)?;
        self.cron.find_next_occurrence(&at, false).ok().map(|next| Time(next.timestamp_millis()))
    }

    /// Whether a run is due: a time has come since the last one began. Several that were missed are one.
    pub fn is_due(&self, last: Time, now: Time) -> bool {
        self.next(last).is_some_and(|next| next <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHTLY: &str = "0 30 3 * * *";
    const DAY_MS: i64 = 86_400_000;
    /// 2026-11-25T00:00:00Z.
    const MIDNIGHT: Time = Time(1_795_564_800_000);
    const HALF_PAST_THREE: Time = Time(MIDNIGHT.0 + 12_600_000);

    fn timetable(line: &str) -> Timetable {
        Timetable::read(line).expect("a cron line").expect("not never")
    }

    #[test]
    fn a_run_is_due_when_its_time_has_come_since_the_last_and_missed_ones_are_one() {
        let nightly = timetable(NIGHTLY);
        assert_eq!(nightly.next(MIDNIGHT), Some(HALF_PAST_THREE));
        assert_eq!(nightly.next(HALF_PAST_THREE), Some(Time(HALF_PAST_THREE.0 + DAY_MS)));
        assert!(!nightly.is_due(MIDNIGHT, Time(HALF_PAST_THREE.0 - 1)));
        assert!(nightly.is_due(MIDNIGHT, HALF_PAST_THREE));
        let weeks_later = Time(MIDNIGHT.0 + 30 * DAY_MS);
        assert!(nightly.is_due(MIDNIGHT, weeks_later) && !nightly.is_due(weeks_later, weeks_later));
    }

    #[test]
    fn a_line_that_is_none_is_refused_with_an_example() {
        for line in ["30 3 * * *", "every night", "0 61 3 * * *", "0 30 3 * * * 2026"] {
            let error = Timetable::read(line).expect_err(line).to_string();
            assert!(error.contains("0 30 3 * * *"), "{error}");
        }
        assert!(Timetable::read(" ").is_ok_and(|none| none.is_none()), "nothing is never");
    }
}
