//! The stretch of time that a question about numbers is about: whole hours, or whole days of UTC.

use std::time::Duration;

use crate::clock::Time;
use crate::http::error::Problem;
use crate::http::when;
use crate::store::Tier;

/// What is looked at when nobody says.
const DEFAULT: Duration = Duration::from_secs(24 * 3_600);
/// Up to here hours are shown where nobody says; beyond it they are more than a chart has pixels for.
const LONGEST_BY_HOUR: Duration = Duration::from_secs(35 * 24 * 3_600);
/// Ninety days of hours, and some; an answer stays below a megabyte.
const MAX_BUCKETS: u32 = 2_200;

/// A stretch of time as it is written in a query.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::http) struct Stretch<'a> {
    pub(in crate::http) from: Option<&'a str>,
    pub(in crate::http) to: Option<&'a str>,
    pub(in crate::http) bucket: Option<&'a str>,
}

/// Buckets `first` to `last` of a tier, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Range {
    pub(in crate::http) tier: Tier,
    pub(in crate::http) first: u32,
    pub(in crate::http) last: u32,
}

impl Range {
    /// Reads a stretch, or says which parameter to write differently.
    pub(in crate::http) fn read(stretch: &Stretch<'_>, now: Time) -> Result<Self, Problem> {
        let to = when::maybe("to", stretch.to, now)?.unwrap_or(now);
        let from = when::maybe("from", stretch.from, now)?.unwrap_or_else(|| to.minus(DEFAULT));
        if from >= to {
            return Err(Problem::query("from", "is not before to"));
        }
        let tier = match stretch.bucket {
            Some("hour") => Tier::Hour,
            Some("day") => Tier::Day,
            Some(_) => return Err(Problem::query("bucket", "is neither hour nor day")),
            None if to.since(from) <= LONGEST_BY_HOUR => Tier::Hour,
            None => Tier::Day,
        };
        let range = Self { tier, first: tier.bucket(from), last: tier.bucket(Time(to.0 - 1)) };
        if range.len() > MAX_BUCKETS as usize {
            let advice = if tier == Tier::Hour { "ask for bucket=day, or for a shorter time" } else { "ask for less" };
            return Err(Problem::query("from", format!("is more than {MAX_BUCKETS} buckets before to: {advice}")));
        }
        Ok(range)
    }

    /// The last day, by the hour.
    pub(in crate::http) fn last_day(now: Time) -> Self {
        let tier = Tier::Hour;
        Self { tier, first: tier.bucket(now.minus(DEFAULT)), last: tier.bucket(Time(now.0 - 1)) }
    }

    /// How many buckets it has.
    pub(in crate::http) fn len(&self) -> usize {
        self.last.saturating_sub(self.first) as usize + 1
    }

    /// When its first bucket begins.
    pub(in crate::http) fn from(&self) -> Time {
        self.tier.begins(self.first)
    }

    /// When its last bucket ends.
    pub(in crate::http) fn to(&self) -> Time {
        self.tier.begins(self.last + 1)
    }

    /// When each bucket begins.
    pub(in crate::http) fn begins(&self) -> impl Iterator<Item = Time> + '_ {
        (self.first..=self.last).map(|bucket| self.tier.begins(bucket))
    }

    /// `hour` or `day`.
    pub(in crate::http) fn bucket(&self) -> &'static str {
        if self.tier == Tier::Day { "day" } else { "hour" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_700_000_000_000);

    fn read(from: &str, to: Option<&str>, bucket: Option<&str>) -> Result<Range, String> {
        Range::read(&Stretch { from: Some(from), to, bucket }, NOW).map_err(|problem| problem.detail)
    }

    #[test]
    fn a_range_is_whole_buckets_around_what_was_asked_for() {
        let range = read("2023-11-14T20:30:00Z", Some("2023-11-14T22:00:00Z"), None).expect("a range");
        assert_eq!((range.bucket(), range.len()), ("hour", 2));
        assert_eq!(range.from().to_string(), "2023-11-14T20:00:00.000Z");
        assert_eq!(range.to().to_string(), "2023-11-14T22:00:00.000Z");
    }

    #[test]
    fn long_stretches_are_shown_by_the_day_unless_hours_are_asked_for() {
        assert_eq!(read("35d", None, None).map(|range| range.tier), Ok(Tier::Hour));
        assert_eq!(read("36d", None, None).map(|range| range.tier), Ok(Tier::Day));
        assert_eq!(read("90d", None, Some("hour")).map(|range| range.len()), Ok(2_161));
    }

    #[test]
    fn a_range_that_cannot_be_is_refused_with_advice() {
        let refused = |from, to, bucket| read(from, to, bucket).expect_err("refused");
        assert_eq!(refused("1h", Some("2h"), None), "from: is not before to");
        assert_eq!(refused("1h", None, Some("minute")), "bucket: is neither hour nor day");
        assert!(refused("200d", None, Some("hour")).contains("ask for bucket=day"));
        assert!(refused("8y", None, None).starts_with("from: is no time"));
    }
}
