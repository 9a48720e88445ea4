//! Whether bluetick lives, and whether it can do its work: for load balancers and alarms.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::status;
use crate::alert::{Alert, PAUSED};
use crate::pause::{Cause, Paused, Scope};

/// It answers, so it lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Live {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The version that answers.
    version: &'static str,
}

/// Whether it can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// Whether everything needed is there.
    ready: bool,
    /// Whether messages go. What a person paused is no reason not to be ready: messages are taken in, and wait.
    sending: Sending,
    /// What is missing, and what else is wrong.
    reasons: Vec<Reason>,
}

/// Whether messages go.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SendingState)]
pub(super) struct Sending {
    /// `running`, `paused` or `stopped`.
    #[schema(example = "running")]
    state: &'static str,
}

/// One thing that is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Reason {
    /// Its stable name.
    #[schema(example = "twilio_auth")]
    code: &'static str,
    /// What is wrong.
    detail: String,
    /// What to do about it.
    action: String,
}

impl From<Alert> for Reason {
    fn from(alert: Alert) -> Self {
        Self { code: alert.code, detail: alert.detail, action: alert.action }
    }
}

/// Says that bluetick lives.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()), responses((status = 200, body = Live)))]
pub(super) async fn live() -> Json<Live> {
    Json(Live { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Says whether bluetick can do its work, and why not.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub(super) async fn ready(app: Data<App>) -> HttpResponse {
    let alerts = app.board.all();
    let has_failed = app.store.has_failed();
    let ready = !has_failed && !alerts.iter().any(|alert| alert.is_blocking);
    let failed = has_failed.then(|| Reason {
        code: "disk_failed",
        detail: "the disk failed: nothing is written any more".into(),
        action: "check disk and free space (the log has the error), then restart bluetick".into(),
    });
    // What is paused is told below, without the names of senders.
    let raised = alerts.into_iter().filter(|alert| alert.code != PAUSED);
    let raised = raised.map(Reason::from);
    let pauses = app.store.read().and_then(|snapshot| snapshot.active_pauses()).unwrap_or_default();
    let (state, _) = status::standing(&app, &pauses);
    let reasons = failed.into_iter().chain(raised).chain(paused(&pauses)).collect();
    let answer = Ready { ready, sending: Sending { state }, reasons };
    if ready { HttpResponse::Ok().json(answer) } else { HttpResponse::ServiceUnavailable().json(answer) }
}

/// What is paused, without numbers or notes: anybody may ask.
fn paused(pauses: &[Paused]) -> Option<Reason> {
    let told = pauses.iter().filter(|paused| !matches!(paused.cause, Cause::Credentials(_)));
    let words: BTreeSet<_> = told.map(|paused| kind(&paused.scope)).collect();
    let words: Vec<_> = words.into_iter().collect();
    (!words.is_empty()).then(|| Reason {
        code: PAUSED,
        detail: format!("paused: {}", words.join(", ")),
        action: "see GET /v1/pauses for why; bluetick resume, or DELETE /v1/pauses/{scope}, ends a pause".into(),
    })
}

fn kind(scope: &Scope) -> &'static str {
    match scope {
        Scope::All => "everything",
        Scope::Account => "the account",
        Scope::Sender(_) => "some of the senders",
        Scope::Template(_) => "some of the templates",
    }
}
