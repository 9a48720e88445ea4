//! `/v1/jobs`: what is done by itself from time to time, when it last was, when it is next, and a run now.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::error::{Problem, ProblemBody};
use crate::store::{Run, StoreError, Upkeep, Write};
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
    /// When it is next due by itself.
    next_at: Option<String>,
    /// Since when a run is wanted that has not ended yet.
    wanted_at: Option<String>,
}

/// A run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub(super) struct RunView {
    /// When it began.
    at: String,
    /// How long it took.
    took_ms: u64,
    /// What it did; null if it failed.
    #[schema(example = "3120 messages moved into 1 segment")]
    done: Option<String>,
    /// Why it failed; null if it did not.
    error: Option<String>,
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Jobs {
    data: Vec<JobView>,
}

impl From<Run> for RunView {
    fn from(Run { at, took, outcome }: Run) -> Self {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (done, error) = match outcome {
            Ok(done) => (Some(done), None),
            Err(error) => (None, Some(error)),
        };
        Self { at: at.to_string(), took_ms, done, error }
    }
}

impl JobView {
    fn read(app: &App, upkeep: Upkeep, timetable: Option<&Timetable>) -> Result<Self, StoreError> {
        let snapshot = app.store.read()?;
        let last = snapshot.last_run(upkeep)?;
        let since = last.as_ref().map_or(app.boot_at, |run| run.at);
        let next = timetable.and_then(|timetable| timetable.next(since.max(app.boot_at)));
        Ok(Self {
            name: upkeep.as_str(),
            schedule: timetable.map(|timetable| timetable.line().to_owned()),
            last: last.map(RunView::from),
            next_at: next.map(|at| at.to_string()),
            wanted_at: snapshot.wanted(upkeep)?.map(|since| since.to_string()),
        })
    }
}

/// What is done by itself from time to time, when it last was, and when it is next.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", responses((status = 200, body = Jobs)))]
pub(super) async fn list(app: Data<App>) -> Result<Json<Jobs>, Problem> {
    let data = app
        .chores
        .iter()
        .map(|(upkeep, timetable)| JobView::read(&app, *upkeep, timetable.as_ref()))
        .collect::<Result<_, _>>()?;
    Ok(Json(Jobs { data }))
}

/// A job is done now, or as soon as the one at work is done. `last` tells what came of it, once `wanted_at` is null again.
#[utoipa::path(post, path = "/v1/jobs/{name}/runs", tag = "jobs",
    params(("name" = String, Path, description = "Its name in the list of jobs", example = "archive")),
    responses((status = 202, body = JobView), (status = 404, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(super) async fn want(app: Data<App>, name: Path<String>) -> Result<HttpResponse, Problem> {
    let job = app.chores.iter().find(|(known, _)| known.as_str() == *name);
    let (upkeep, timetable) = job.ok_or_else(|| Problem::not_found("job: GET /v1/jobs lists them"))?;
    app.store.write(Write::Want(*upkeep)).await?;
    Ok(HttpResponse::Accepted().json(JobView::read(&app, *upkeep, timetable.as_ref())?))
}
