//! Whether bluetick lives, and whether it can do its work: for load balancers and alarms.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;

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
    /// What is missing, and what else is wrong.
    reasons: Vec<Reason>,
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
    let raised =
        alerts.into_iter().map(|alert| Reason { code: alert.code, detail: alert.detail, action: alert.action });
    let answer = Ready { ready, reasons: failed.into_iter().chain(raised).collect() };
    if ready { HttpResponse::Ok().json(answer) } else { HttpResponse::ServiceUnavailable().json(answer) }
}
