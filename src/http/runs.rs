//! `GET /v1/jobs`: what is done by itself from time to time, when it last was, and when it is next.

use actix_web::web::{Data, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::error::Problem;
use crate::backup;
use crate::store::Run;
use crate::timetable::Timetable;

/// Something that is done by itself from time to time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub(super) struct JobView {
    /// What.
    #[schema(example = "backup")]
    name: &'static str,
    /// When, as a cron line in UTC; null for never.
    #[schema(example = "0 30 3 * * *")]
    schedule: Option<String>,
    /// The last run, also one that a person asked for; null before the first.
    last: Option<RunView>,
    /// When it is next due.
    next_at: Option<String>,
}

/// A run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub(super) struct RunView {
    /// When it began.
    at: String,
    /// How long it took.
    took_ms: u64,
    /// Why it failed; null if it did not.
    error: Option<String>,
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jobs {
    data: Vec<JobView>,
}

impl From<Run> for RunView {
    fn from(Run { at, took, error }: Run) -> Self {
        Self { at: at.to_string(), took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX), error }
    }
}

/// What is done by itself from time to time, when it last was, and when it is next.
#[utoipa::path(get, path = "/v1/jobs", tag = "status", responses((status = 200, body = Jobs)))]
pub(super) async fn list(app: Data<App>) -> Result<Json<Jobs>, Problem> {
    let last = app.store.read()?.last_run(backup::NAME)?;
    // A line that cannot be read was refused at the start.
    let timetable = Timetable::read(&app.backups.schedule).ok().flatten();
    let since = last.as_ref().map_or(app.boot_at, |run| run.at);
    let next = timetable.as_ref().and_then(|timetable| timetable.next(since.max(app.boot_at)));
    let job = JobView {
        name: backup::NAME,
        schedule: timetable.map(|timetable| timetable.line().to_owned()),
        last: last.map(RunView::from),
        next_at: next.map(|at| at.to_string()),
    };
    Ok(Json(Jobs { data: vec![job] }))
}
