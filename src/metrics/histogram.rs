//! How long things took, as counts in integer buckets: sums and differences of histograms are exact.
//!
//! A bucket is a power of two cut in 32: a percentile is within 1.6 % of the true value. The mapping is integer
//! arithmetic, so that it is the same on every machine for as long as the file lives; that is why no sketch library
//! with floating-point logarithms draws the borders.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Each power of two is cut into 2^5 buckets.
const CUTS: u32 = 5;

/// Counts of durations; zero counts are never kept, so that equal histograms are equal bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    buckets: BTreeMap<u16, i64>,
}

impl Histogram {
    /// The bucket a duration falls into, in whole milliseconds.
    pub fn bucket(duration: Duration) -> u16 {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        if ms < 1 << CUTS {
            return ms as u16;
        }
        let power = ms.ilog2();
        let cut = (ms >> (power - CUTS)) as u16 & ((1 << CUTS) - 1);
        ((power - CUTS + 1) as u16) << CUTS | cut
    }

    /// The middle of a bucket, in milliseconds.
    pub fn middle_ms(bucket: u16) -> u64 {
        let (row, cut) = (u32::from(bucket >> CUTS), u64::from(bucket & ((1 << CUTS) - 1)));
        if row == 0 {
            return cut;
        }
        let low = ((1 << CUTS) | cut) << (row - 1);
        low + (1 << (row - 1)) / 2
    }

    /// Adds `times` (or takes off, if negative) to a bucket.
    pub fn add(&mut self, bucket: u16, times: i64) {
        let count = self.buckets.entry(bucket).or_default();
        *count += times;
        if *count == 0 {
            self.buckets.remove(&bucket);
        }
    }

    /// Adds every bucket of `other`, `times` times; -1 takes them off.
    pub fn merge(&mut self, other: &Self, times: i64) {
        for (bucket, count) in &other.buckets {
            self.add(*bucket, count * times);
        }
    }

    /// How many durations were counted.
    pub fn count(&self) -> i64 {
        self.buckets.values().sum()
    }

    /// The duration in milliseconds that `share` (0 to 1) of all stay at or below; none if nothing was counted.
    pub fn percentile_ms(&self, share: f64) -> Option<u64> {
        let count = self.count();
        let wanted = ((count as f64 * share).ceil() as i64).clamp(1, count.max(1));
        let mut passed = 0;
        self.buckets.iter().find_map(|(bucket, times)| {
            passed += times;
            (passed >= wanted).then(|| Self::middle_ms(*bucket))
        })
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_is_within_two_percent_of_what_fell_into_it(ms in 0u64..10_000_000_000) {
            let middle = Histogram::middle_ms(Histogram::bucket(Duration::from_millis(ms)));
            prop_assert!(middle.abs_diff(ms) as f64 <= (ms as f64 * 0.016).max(0.5), "{} became {}", ms, middle);
        }

        #[test]
        fn longer_durations_never_fall_into_lower_buckets(a in any::<u64>(), b in any::<u64>()) {
            let bucket = |ms| Histogram::bucket(Duration::from_millis(ms));
            prop_assert!(bucket(a.min(b)) <= bucket(a.max(b)));
        }
    }

    #[test]
    fn what_is_taken_off_again_leaves_nothing() {
        let mut histogram = Histogram::default();
        histogram.add(7, 1);
        histogram.add(7, -1);
        assert_eq!(histogram, Histogram::default());
    }

    #[test]
    fn percentiles_come_from_the_counts() {
        let mut histogram = Histogram::default();
        for ms in 1..=100 {
            histogram.add(Histogram::bucket(Duration::from_millis(ms)), 1);
        }
        assert_eq!(histogram.percentile_ms(0.5), Some(50));
        assert_eq!(histogram.percentile_ms(1.0), Some(101));
        assert_eq!(Histogram::default().percentile_ms(0.5), None);
    }
}
