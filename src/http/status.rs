//! `GET /v1/status`: the state of the house in one look.

use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::error::Problem;
use super::health::Reason;
use super::pauses::{self, PauseView};
use crate::alert::PAUSED;
use crate::message::explain;
use crate::metrics::{Cell, Count};
use crate::pause::{Cause, Paused, Scope};
use crate::store::{Snapshot, StoreError};

/// The state of the house.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct House {
    version: &'static str,
    /// `live`, `sandbox` or `demo`.
    mode: String,
    /// Where Twilio reaches us.
    public_url: Option<String>,
    boot_at: String,
    queue: Queue,
    sending: Sending,
    rates: Rates,
    /// What else is wrong right now, whether or not it stops anything.
    alerts: Vec<Reason>,
    /// Requests to the webhooks that were refused since the start.
    refused_callbacks: u64,
    /// The number of the newest event.
    newest_event: u64,
}

/// What is not at an end.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Queue {
    pending: i64,
    in_flight: i64,
    unknown: i64,
    held: i64,
    /// When the message that has waited longest should have been sent.
    oldest_due_at: Option<String>,
}

/// Whether messages are being sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sending {
    /// `running`; `paused` if nothing goes until a pause is over; `stopped` if nothing can go.
    #[schema(example = "running")]
    state: &'static str,
    /// The first of the reasons.
    reason: Option<String>,
    /// Why it is paused or stopped.
    reasons: Vec<String>,
    /// Everything that is paused, also what concerns only a sender or a template.
    pauses: Vec<PauseView>,
}

/// How much comes through, over the last ten seconds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Rates {
    accepted_per_s: f64,
    callbacks_per_s: f64,
}

/// The state of the house.
#[utoipa::path(get, path = "/v1/status", tag = "status", responses((status = 200, body = House)))]
pub(super) async fn show(app: Data<App>) -> Result<Json<House>, Problem> {
    let now = app.clock.now();
    let snapshot = app.store.read()?;
    let mut all = Cell::default();
    for (sender, _) in snapshot.senders()? {
        all.merge(&snapshot.ever(sender)?, 1);
    }
    let queue = Queue {
        pending: all.get(Count::Pending),
        in_flight: all.get(Count::InFlight),
        unknown: all.get(Count::Unknown),
        held: all.get(Count::Held),
        oldest_due_at: snapshot.oldest_due()?.map(|due| due.to_string()),
    };
    Ok(Json(House {
        version: env!("CARGO_PKG_VERSION"),
        mode: app.mode.clone(),
        public_url: app.public_url.clone(),
        boot_at: app.boot_at.to_string(),
        queue,
        sending: Sending::read(&app, &snapshot)?,
        rates: Rates { accepted_per_s: app.tally.accepted.per_s(now), callbacks_per_s: app.tally.callbacks.per_s(now) },
        alerts: app.board.all().into_iter().filter(|alert| alert.code != PAUSED).map(Reason::from).collect(),
        refused_callbacks: app.tally.refused.total(),
        newest_event: snapshot.last_event()?,
    }))
}

impl Sending {
    fn read(app: &App, snapshot: &Snapshot) -> Result<Self, StoreError> {
        let (state, reasons) = standing(app, &snapshot.active_pauses()?);
        let reason = reasons.first().cloned();
        Ok(Self { state, reason, reasons, pauses: pauses::active(snapshot)? })
    }
}

/// Whether messages go, and why not.
pub(super) fn standing(app: &App, pauses: &[Paused]) -> (&'static str, Vec<String>) {
    let failed = app.store.has_failed().then(|| "the disk failed".to_owned());
    // The store knows better than the board what is paused.
    let alerts = app.board.all().into_iter().filter(|alert| alert.is_blocking && alert.code != PAUSED);
    let blocking = alerts.map(|alert| alert.detail);
    let refused = pauses.iter().filter_map(|paused| match &paused.cause {
        Cause::Credentials(detail) => Some(detail.clone()),
        _ => None,
    });
    let mut stopped: Vec<_> = failed.into_iter().chain(blocking).chain(refused).collect();
    // Whoever raised the alert also paused the account, for the same reason.
    stopped.dedup();
    if !stopped.is_empty() {
        return ("stopped", stopped);
    }
    let paused: Vec<_> = pauses.iter().filter_map(for_all).collect();
    (if paused.is_empty() { "running" } else { "paused" }, paused)
}

/// Why nothing goes; nothing, if the pause concerns only a sender or a template.
fn for_all(paused: &Paused) -> Option<String> {
    match (&paused.scope, &paused.cause) {
        (Scope::Sender(_) | Scope::Template(_), _) => None,
        (_, Cause::Operator(Some(note))) => Some(format!("somebody paused everything: {note}")),
        (_, Cause::Operator(None)) => Some("somebody paused everything".to_owned()),
        (_, Cause::Failure(code)) => Some(format!("every message would fail with {code} ({})", explain(*code).title)),
        (_, cause @ (Cause::Credentials(_) | Cause::Restored { .. })) => cause.note(),
    }
}

#[cfg(test)]
mod tests;
