//! How numbers look in JSON.

use std::cmp::Reverse;

use serde::Serialize;
use utoipa::ToSchema;

use super::figures::Figures;
use crate::http::failures::FailureView;
use crate::metrics::{Cell, Count, Histogram};

/// The numbers of a stretch of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cell)]
pub(in crate::http) struct CellView {
    /// Messages taken in, and messages sent without us that came to be known.
    accepted: i64,
    /// Those of them that are neither handed over nor at an end.
    open: i64,
    /// Handed to WhatsApp.
    sent: i64,
    /// On the device; who read it got it too.
    delivered: i64,
    /// Opened, by someone who shows read receipts.
    read: i64,
    /// Failed, undelivered, refused or expired.
    failed: i64,
    /// Canceled or suppressed.
    canceled: i64,
    /// Handed over without a clear answer.
    unknown: i64,
    /// Messages from people to us.
    inbound: i64,
    /// Attempts that followed one which failed.
    retried: i64,
    /// Attempts that followed one which Twilio provably had no trace of.
    resent: i64,
    /// Attempts that were the fallback template.
    fallbacks: i64,
    /// Not sent, because the person does not want it; in canceled too.
    suppressed: i64,
    /// Statuses, and inbound messages, that no callback told of and asking Twilio found.
    missed: i64,
    /// Messages whose end asking found, and inbound messages that it found.
    healed: i64,
    /// Of accepted; null where nothing was accepted.
    #[schema(example = 0.99)]
    sent_rate: Option<f64>,
    /// Of sent.
    delivered_rate: Option<f64>,
    /// Of delivered.
    read_rate: Option<f64>,
    /// Of accepted.
    failed_rate: Option<f64>,
    /// Accepted to sent.
    queue_ms: DurationsView,
    /// Sent to delivered.
    delivery_ms: DurationsView,
    /// Delivered to read.
    read_ms: DurationsView,
}

/// How long something took, in milliseconds, within 1.6 %.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Durations)]
pub(in crate::http) struct DurationsView {
    /// How many were measured.
    count: i64,
    /// Half took no longer; null where nothing was measured.
    #[schema(example = 800)]
    p50: Option<u64>,
    /// 95 of 100 took no longer.
    p95: Option<u64>,
    /// 99 of 100 took no longer.
    p99: Option<u64>,
}

/// The numbers of one bucket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bucket)]
pub(in crate::http) struct BucketView {
    /// When it begins.
    #[schema(example = "2026-11-23T14:00:00.000Z")]
    at: String,
    #[serde(flatten)]
    cell: CellView,
}

/// The numbers of one sender.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SenderCell)]
pub(in crate::http) struct SenderCellView {
    #[schema(example = "whatsapp:+15550001111")]
    sender: String,
    #[serde(flatten)]
    cell: CellView,
}

/// An error code, explained, and how often it happened.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct FailureCount {
    #[serde(flatten)]
    pub(super) failure: FailureView,
    /// How many messages failed with it.
    pub(super) count: i64,
}

/// The answer of `GET /v1/metrics`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Metrics)]
pub(in crate::http) struct MetricsView {
    /// When the first bucket begins.
    from: String,
    /// When the last bucket ends.
    to: String,
    /// `hour` or `day`.
    #[schema(example = "hour")]
    bucket: &'static str,
    /// The sum of all buckets; percentiles are of all durations together.
    totals: CellView,
    /// One for each bucket, the empty ones too.
    series: Vec<BucketView>,
    /// Who sent or got something in that time, the busiest first.
    senders: Vec<SenderCellView>,
    /// Why messages failed, the most frequent reason first.
    errors: Vec<FailureCount>,
}

/// The answer of `GET /v1/metrics/senders/{sender}`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SenderMetrics)]
pub(in crate::http) struct SenderMetricsView {
    pub(super) sender: String,
    /// Messages a second that bluetick hands over at most.
    pub(super) rate_per_s: f64,
    #[serde(flatten)]
    pub(super) metrics: MetricsView,
}

/// The answer of `GET /v1/metrics/errors`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailureCounts)]
pub(in crate::http) struct ErrorsView {
    pub(super) data: Vec<FailureCount>,
}

impl CellView {
    /// A cell with its shares and percentiles.
    pub(in crate::http) fn of(cell: &Cell) -> Self {
        let [accepted, sent, delivered, read, failed] =
            [Count::Accepted, Count::Sent, Count::Delivered, Count::Read, Count::Failed].map(|count| cell.get(count));
        Self {
            accepted,
            open: cell.open(),
            sent,
            delivered,
            read,
            failed,
            canceled: cell.get(Count::Canceled),
            unknown: cell.get(Count::Unknown),
            inbound: cell.get(Count::Inbound),
            retried: cell.get(Count::Retried),
            resent: cell.get(Count::Resent),
            fallbacks: cell.get(Count::Fallback),
            suppressed: cell.get(Count::Suppressed),
            missed: cell.get(Count::Missed),
            healed: cell.get(Count::Healed),
            sent_rate: share(sent, accepted),
            delivered_rate: share(delivered, sent),
            read_rate: share(read, delivered),
            failed_rate: share(failed, accepted),
            queue_ms: DurationsView::of(&cell.queue),
            delivery_ms: DurationsView::of(&cell.delivery),
            read_ms: DurationsView::of(&cell.read),
        }
    }

    /// The names and values of a table's columns.
    pub(super) fn columns(&self) -> Vec<(&'static str, String)> {
        let mut columns = vec![
            ("accepted", self.accepted.to_string()),
            ("open", self.open.to_string()),
            ("sent", self.sent.to_string()),
            ("delivered", self.delivered.to_string()),
            ("read", self.read.to_string()),
            ("failed", self.failed.to_string()),
            ("canceled", self.canceled.to_string()),
            ("unknown", self.unknown.to_string()),
            ("inbound", self.inbound.to_string()),
        ];
        let DurationsView { p50, p95, p99, .. } = &self.delivery_ms;
        let percentiles = [("delivery_p50_ms", p50), ("delivery_p95_ms", p95), ("delivery_p99_ms", p99)];
        columns.extend(percentiles.map(|(name, ms)| (name, ms.map(|ms| ms.to_string()).unwrap_or_default())));
        // After what tables had before, for those who read them by position.
        let detours = [
            ("retried", self.retried),
            ("resent", self.resent),
            ("fallbacks", self.fallbacks),
            ("suppressed", self.suppressed),
            ("missed", self.missed),
            ("healed", self.healed),
        ];
        columns.extend(detours.map(|(name, count)| (name, count.to_string())));
        columns
    }
}

/// A share of something, to a millionth; none of nothing.
fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 1e6).round() / 1e6)
}

impl DurationsView {
    /// The percentiles of a histogram.
    pub(in crate::http) fn of(histogram: &Histogram) -> Self {
        Self {
            count: histogram.count(),
            p50: histogram.percentile_ms(0.50),
            p95: histogram.percentile_ms(0.95),
            p99: histogram.percentile_ms(0.99),
        }
    }
}

impl MetricsView {
    /// Everything about a range.
    pub(super) fn of(figures: &Figures) -> Self {
        let series = figures.series().map(|(at, cell)| BucketView { at: at.to_string(), cell: CellView::of(cell) });
        let senders = figures
            .senders
            .iter()
            .map(|(sender, cell)| SenderCellView { sender: sender.clone(), cell: CellView::of(cell) });
        Self {
            from: figures.range.from().to_string(),
            to: figures.range.to().to_string(),
            bucket: figures.range.bucket(),
            totals: CellView::of(&figures.totals),
            series: series.collect(),
            senders: senders.collect(),
            errors: errors(&figures.totals),
        }
    }
}

/// Why messages failed, the most frequent reason first.
pub(super) fn errors(cell: &Cell) -> Vec<FailureCount> {
    let mut codes: Vec<_> = cell.codes().collect();
    codes.sort_by_key(|(code, count)| (Reverse(*count), *code));
    codes.into_iter().map(|(code, count)| FailureCount { failure: FailureView::of(code), count }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_nothing_is_no_number() {
        assert_eq!((share(0, 0), share(1, 3), share(3, 3)), (None, Some(0.333333), Some(1.0)));
        let json = serde_json::to_value(CellView::of(&Cell::default())).expect("plain numbers");
        assert!(json["sent_rate"].is_null() && json["queue_ms"]["p50"].is_null());
        assert_eq!(json["queue_ms"]["count"], 0);
    }
}
