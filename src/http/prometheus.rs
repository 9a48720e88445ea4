//! What Prometheus scrapes: the house's numbers as OpenMetrics.
//!
//! Invariant: every figure is read from the store when it is asked for, so a restart resets nothing but the tallies.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::app::App;
use super::error::{Code, Problem};
use super::limits::Limit;
use super::pauses::{self, PauseView};
use crate::clock::Time;
use crate::keyring::Kind;
use crate::metrics::{Cell, Count};
use crate::store::{Snapshot, StoreError};

/// Prometheus 3 refuses a scrape that does not say exactly what it is.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How far messages have come. A message never goes back; only one that was sent without us and then turns out to be
/// ours takes its own counts along.
const STAGES: [(Count, &str); 4] =
    [(Count::Accepted, "accepted"), (Count::Sent, "sent"), (Count::Delivered, "delivered"), (Count::Read, "read")];
/// Where messages stand, and may leave again.
const STATES: [(Count, &str); 7] = [
    (Count::Pending, "pending"),
    (Count::Held, "held"),
    (Count::InFlight, "in_flight"),
    (Count::Unknown, "unknown"),
    (Count::Failed, "failed"),
    (Count::Canceled, "canceled"),
    (Count::Duplicate, "duplicate"),
];

/// What the way of messages had that others' had not. These only grow, as the stages do.
const DETOURS: [(Count, &str, &str); 3] = [
    (Count::Retried, "messages_retried", "Attempts that followed one which failed"),
    (Count::Resent, "messages_resent", "Attempts that followed one which Twilio provably had no trace of"),
    (Count::Fallback, "messages_fallbacks", "Attempts that were the fallback template, since the window was closed"),
];
/// These may fall again: a suppressed message may be retried, and a callback may come late after all.
const REPAIRS: [(Count, &str, &str); 3] = [
    (Count::Suppressed, "messages_suppressed", "Messages not sent, because the person does not want them"),
    (Count::Missed, "statuses_missed", "Statuses and inbound messages that no callback told of and asking found"),
    (Count::Healed, "records_healed", "Messages whose end asking found, and inbound messages that it found"),
];

/// The house's numbers.
#[utoipa::path(
    get, path = "/metrics", operation_id = "scrape", tag = "health",
    responses((status = 200, description = "OpenMetrics", body = String,
        content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"))
)]
pub(super) async fn scrape(app: web::Data<App>) -> Result<HttpResponse, Problem> {
    let mut registry = Registry::with_prefix("bluetick");
    registry.register_collector(Box::new(Scrape::read(&app)?));
    let mut text = String::new();
    encode(&mut text, &registry)
        .map_err(|_| Problem::new(Code::Internal, "the numbers could not be written as OpenMetrics"))?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

/// Everything that is told, as of one moment.
#[derive(Debug)]
struct Scrape {
    senders: Vec<(String, Cell)>,
    oldest_due_s: f64,
    uptime_s: f64,
    store_waiting: i64,
    has_failed: bool,
    streams: i64,
    last_event: u64,
    tallies: [(&'static str, &'static str, u64); 4],
    held_up: [(&'static str, u64); 4],
    alerts: BTreeMap<&'static str, bool>,
    paused: Vec<(String, i64)>,
    /// Days until each secret is due.
    secrets: Vec<(&'static str, f64)>,
}

impl Scrape {
    fn read(app: &App) -> Result<Self, Problem> {
        let now = app.clock.now();
        let snapshot = app.store.read()?;
        let mut senders = Vec::new();
        for (number, name) in snapshot.senders()? {
            senders.push((name, snapshot.ever(number)?));
        }
        Ok(Self {
            senders,
            oldest_due_s: snapshot.oldest_due()?.map(|due| now.since(due).as_secs_f64()).unwrap_or_default(),
            uptime_s: now.since(app.boot_at).as_secs_f64(),
            store_waiting: i64::try_from(app.store.waiting()).unwrap_or(i64::MAX),
            has_failed: app.store.has_failed(),
            streams: i64::try_from(app.tally.streams.taken()).unwrap_or(i64::MAX),
            last_event: snapshot.last_event()?,
            tallies: [
                ("requests_accepted", "Messages taken in since the start", app.tally.accepted.total()),
                ("callbacks", "Signed webhooks that were stored since the start", app.tally.callbacks.total()),
                ("callbacks_refused", "Webhooks that were refused since the start", app.tally.refused.total()),
                (
                    "logins_failed",
                    "Passwords and codes that were wrong since the start",
                    app.tally.wrong_logins.total(),
                ),
            ],
            held_up: Limit::ALL.map(|limit| (limit.as_str(), app.limits.held_up(limit))),
            secrets: due_in_days(app, &snapshot, now)?,
            paused: pauses::active(&snapshot)?.into_iter().map(PauseView::into_waiting).collect(),
            alerts: app.board.all().into_iter().map(|alert| (alert.code, alert.is_blocking)).collect(),
        })
    }
}

/// Days until the secret of each kind is due to be rotated; less than nothing, when it was.
fn due_in_days(app: &App, snapshot: &Snapshot, now: Time) -> Result<Vec<(&'static str, f64)>, StoreError> {
    let age = DAY * app.custody.options().rotate_after_days;
    let mut due = Vec::new();
    for kind in Kind::ALL {
        if let Some(active) = snapshot.ring(kind)?.active() {
            due.push((kind.as_str(), (active.made_at.plus(age).0 - now.0) as f64 / DAY.as_millis() as f64));
        }
    }
    Ok(due)
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let out = &mut encoder;
        let cells = |counts: &'static [(Count, &'static str)]| {
            self.senders.iter().flat_map(move |(sender, cell)| {
                counts.iter().map(move |(count, name)| (sender.as_str(), *name, cell.get(*count)))
            })
        };
        family(
            out,
            "messages",
            "Messages by how far they have come",
            cells(&STAGES).map(|(sender, stage, count)| {
                ([("sender", sender), ("stage", stage)], ConstCounter::new(count.max(0).unsigned_abs()))
            }),
        )?;
        family(
            out,
            "messages_standing",
            "Messages by where they stand now",
            cells(&STATES)
                .map(|(sender, state, count)| ([("sender", sender), ("state", state)], ConstGauge::new(count))),
        )?;
        family(
            out,
            "inbound_messages",
            "Messages from people",
            self.senders.iter().map(|(sender, cell)| {
                ([("sender", sender.as_str())], ConstCounter::new(cell.get(Count::Inbound).max(0).unsigned_abs()))
            }),
        )?;
        family(
            out,
            "secret_due_days",
            "Days until the secret is due to be rotated",
            self.secrets.iter().map(|(kind, days)| ([("kind", *kind)], ConstGauge::new(*days))),
        )?;
        let each = |count: Count| self.senders.iter().map(move |(sender, cell)| (sender.as_str(), cell.get(count)));
        for (count, name, help) in DETOURS {
            let values = each(count)
                .map(|(sender, count)| ([("sender", sender)], ConstCounter::new(count.max(0).unsigned_abs())));
            family(out, name, help, values)?;
        }
        for (count, name, help) in REPAIRS {
            family(out, name, help, each(count).map(|(sender, count)| ([("sender", sender)], ConstGauge::new(count))))?;
        }
        let codes = self.senders.iter().flat_map(|(sender, cell)| {
            cell.codes().map(move |(code, count)| (sender.as_str(), code.to_string(), count))
        });
        family(
            out,
            "messages_failed",
            "Messages that stand failed, by error code",
            codes
                .map(|(sender, code, count)| ([("sender", sender.to_owned()), ("code", code)], ConstGauge::new(count))),
        )?;
        for (name, help, count) in self.tallies {
            one(out, name, help, &ConstCounter::new(count))?;
        }
        family(
            out,
            "requests_limited",
            "Requests that were answered 429, by what there was too much of",
            self.held_up.iter().map(|(limit, count)| ([("limit", *limit)], ConstCounter::new(*count))),
        )?;
        one(out, "events", "Events that were told", &ConstCounter::new(self.last_event))?;
        one(
            out,
            "oldest_due_age_seconds",
            "How late the next send is; 0 if none is",
            &ConstGauge::new(self.oldest_due_s),
        )?;
        one(out, "store_writes_waiting", "Writes that wait for a commit", &ConstGauge::new(self.store_waiting))?;
        one(out, "store_failed", "1 once the disk failed", &ConstGauge::new(i64::from(self.has_failed)))?;
        one(out, "event_streams", "Event streams that are open", &ConstGauge::new(self.streams))?;
        one(out, "uptime_seconds", "Seconds since the start", &ConstGauge::new(self.uptime_s))?;
        family(
            out,
            "paused",
            "What is paused, and how many messages wait for it",
            self.paused.iter().map(|(scope, waiting)| ([("scope", scope.as_str())], ConstGauge::new(*waiting))),
        )?;
        family(
            out,
            "alert",
            "What is wrong right now",
            self.alerts.iter().map(|(code, is_blocking)| {
                ([("code", *code), ("blocking", if *is_blocking { "true" } else { "false" })], ConstGauge::new(1i64))
            }),
        )?;
        one(out, "build", "What runs", &Info::new([("version", env!("CARGO_PKG_VERSION"))]))
    }
}

/// A metric without labels.
fn one(out: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
    metric.encode(out.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// A metric with a value for each set of labels; one without any is not told of at all.
fn family<'a, K, M, const N: usize>(
    out: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = ([(&'a str, K); N], M)>,
) -> fmt::Result
where
    (&'a str, K): prometheus_client::encoding::EncodeLabel,
    M: EncodeMetric,
{
    let mut values = values.peekable();
    let Some((_, first)) = values.peek() else { return Ok(()) };
    let mut encoder = out.encode_descriptor(name, help, None, first.metric_type())?;
    for (labels, metric) in values {
        metric.encode(encoder.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
