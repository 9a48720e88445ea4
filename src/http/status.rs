//! `GET /v1/status`: the state of the house in one look.

use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::error::Problem;
use crate::metrics::{Cell, Count};

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
    /// `running` or `stopped`.
    state: &'static str,
    /// Why it is stopped.
    reason: Option<String>,
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
        sending: sending(&app),
        rates: Rates { accepted_per_s: app.tally.accepted.per_s(now), callbacks_per_s: app.tally.callbacks.per_s(now) },
        refused_callbacks: app.tally.refused.total(),
        newest_event: snapshot.last_event()?,
    }))
}

fn sending(app: &App) -> Sending {
    let failed = app.store.has_failed().then(|| "the disk failed".to_owned());
    let blocking = || app.board.all().into_iter().find(|alert| alert.is_blocking).map(|alert| alert.detail);
    let reason = failed.or_else(blocking);
    Sending { state: if reason.is_some() { "stopped" } else { "running" }, reason }
}
