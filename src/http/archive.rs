//! `GET /v1/archive`, and messages that come back out of it.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload, block};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::body;
use super::error::{Code, Problem, ProblemBody};
use super::fields::Fields;
use super::query::Query;
use crate::archive::{Broken, Shelved};
use crate::message::MessageId;
use crate::store::{Snapshot, StoreError, Write, Written};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Older than a person remembers is a slip of a finger.
const MAX_DAYS: u32 = 36_500;
/// A return names no more messages: it bounds the commit.
const MAX_RETURNED: usize = 256;
/// So many ids, and some room.
const MAX_BODY: usize = 16 * 1_024;

/// What would move.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ArchiveQuery {
    /// Count what is older than so many days, instead of what the configuration says (0 to 36500).
    older_than_days: Option<u32>,
}

/// The archive.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Archive)]
pub(super) struct ArchiveView {
    /// Its folder, on the machine of bluetick.
    #[schema(example = "data/archive")]
    folder: String,
    /// Messages that are in it.
    messages: u64,
    /// What the next run would move.
    due: DueView,
    /// Its files, oldest first.
    segments: Vec<SegmentView>,
}

/// What a run would move.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ArchiveDue)]
pub(super) struct DueView {
    /// Days after its last change until a message at its end moves.
    older_than_days: u32,
    /// How many would.
    messages: u64,
    /// When the first of them was accepted.
    first_at: Option<String>,
    /// When the last of them was accepted.
    last_at: Option<String>,
}

/// A file of the archive.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Segment)]
pub(super) struct SegmentView {
    /// Its number; none is used twice.
    number: u32,
    /// Where it is: `zstdcat` shows it.
    #[schema(example = "data/archive/segment-000001.jsonl.zst")]
    file: String,
    /// Whether it could be opened. Messages in one that cannot are listed, and cannot be shown.
    readable: bool,
    bytes: Option<u64>,
    /// How many lines it has.
    messages: Option<u64>,
    /// When its first message was accepted.
    first_at: Option<String>,
    /// When its last message was accepted.
    last_at: Option<String>,
    /// Whether it has lines of messages that have moved on since: the next run writes it anew without them.
    outdated: bool,
}

/// Which messages come back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReturnRequest {
    /// Their ids, 256 at most.
    ids: Vec<String>,
}

/// What came back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Returned {
    /// How many of them were in the archive.
    returned: usize,
}

impl SegmentView {
    fn of(number: u32, outdated: bool, snapshot: &Snapshot) -> Self {
        let found: Result<Shelved, Broken> = snapshot.shelf().glance(number);
        let file = snapshot.shelf().path(number).display().to_string();
        let head = found.as_ref().ok().map(|found| &found.head);
        let at = |id: Option<MessageId>| id.map(|id| id.at().to_string());
        Self {
            number,
            file,
            readable: found.is_ok(),
            bytes: found.as_ref().ok().map(|found| found.bytes),
            messages: head.map(|head| head.messages),
            first_at: head.and_then(|head| at(head.first)),
            last_at: head.and_then(|head| at(head.last)),
            outdated,
        }
    }
}

/// The archive: its files, and what the next run would move.
#[utoipa::path(get, path = "/v1/archive", tag = "archive", params(ArchiveQuery),
    responses((status = 200, body = ArchiveView), (status = 400, body = ProblemBody)))]
pub(super) async fn show(app: Data<App>, query: Query<ArchiveQuery>) -> Result<Json<ArchiveView>, Problem> {
    let older_than_days = query.older_than_days.unwrap_or(app.archive.after_days);
    if older_than_days > MAX_DAYS {
        return Err(Problem::query("older_than_days", format!("must be 0 to {MAX_DAYS}")));
    }
    let (snapshot, until) = (app.store.read()?, app.clock.now().minus(DAY * older_than_days));
    let found = block(move || {
        let (messages, span) = snapshot.due_for_archive(until)?;
        let at = |id: MessageId| id.at().to_string();
        let due = DueView {
            older_than_days,
            messages,
            first_at: span.map(|(first, _)| at(first)),
            last_at: span.map(|(_, last)| at(last)),
        };
        let mut segments = snapshot.segments()?;
        // One that was removed is forgotten by the next run.
        segments.retain(|(number, is_marked)| {
            !is_marked || snapshot.shelf().path(*number).exists() || snapshot.is_in_use(*number).unwrap_or(true)
        });
        let segments = segments.into_iter();
        Ok::<_, StoreError>(ArchiveView {
            folder: snapshot.shelf().dir().display().to_string(),
            messages: snapshot.archived_count()?,
            due,
            segments: segments.map(|(number, outdated)| SegmentView::of(number, outdated, &snapshot)).collect(),
        })
    });
    let cut_off = |_| Problem::new(Code::Busy, "the count was cut off: ask again");
    Ok(Json(found.await.map_err(cut_off)??))
}

/// Messages come back out of the archive: they are in the data file again, until a run moves them again.
#[utoipa::path(post, path = "/v1/archive/returns", tag = "archive", request_body = ReturnRequest,
    responses((status = 200, body = Returned), (status = 400, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody), (status = 422, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(super) async fn bring_back(
    request: HttpRequest,
    app: Data<App>,
    payload: Payload,
) -> Result<Json<Returned>, Problem> {
    let mut fields = Fields::read(&body::json(&request, payload, MAX_BODY).await?, &["ids"], Code::InvalidReturn)?;
    let names: Vec<String> = fields.take("ids", "a list of message ids");
    let ids: Vec<MessageId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    if ids.len() != names.len() {
        fields.wrong("ids", "must all be ids of messages (msg_…)");
    }
    if ids.is_empty() || ids.len() > MAX_RETURNED {
        fields.wrong("ids", format!("must name 1 to {MAX_RETURNED} messages"));
    }
    fields.end()?;
    match app.store.write(Write::Return(ids)).await? {
        Written::Shelved(returned) => Ok(Json(Returned { returned })),
        other => unreachable!("what comes back is counted, not {other:?}"),
    }
}
