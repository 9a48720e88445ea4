//! What happened, in order: read page by page with a cursor, or followed as a stream of server-sent events.
//!
//! Invariant: both are read from the store by number, so nothing is missed, doubled or kept for anyone in memory.

mod seats;
mod stream;
mod view;

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::error::{Code, Problem, ProblemBody};
use super::principal::Principal;
use super::query::Query;
use super::sight::Sight;
use crate::event::{Event, Told};
use crate::message::MessageId;
use crate::store::{Snapshot, StoreError};
use view::Names;

pub(super) use seats::Seats;
pub(super) use view::EventView;

/// How many events a page has where nobody says.
const DEFAULT_LIMIT: usize = 100;
/// A page of a thousand is about 300 kB.
const MAX_LIMIT: usize = 1_000;
/// A page looks at no more events than this for those of one message: the cursor goes on from there.
const MAX_SCANNED: usize = 10_000;
/// What a browser sends when it comes back to a stream.
const LAST_EVENT_ID: &str = "Last-Event-ID";

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EventsQuery {
    /// Events after this number; a page begins with the first one there is, a stream with the next one to come.
    after: Option<u64>,
    /// How many at most, up to 1000; a stream has no end.
    #[param(maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// Only those of this message, by its id.
    #[param(example = "msg_0192f0c1d2e37a4b8c9d0e1f2a3b4c5d")]
    message: Option<String>,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Events)]
pub(super) struct EventsView {
    /// The oldest first.
    data: Vec<EventView>,
    /// Ask for what comes after this number next.
    next_after: u64,
}

/// Whose events are told.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Everyone,
    /// A message by the id that was asked for, and the one it has now.
    Message(MessageId, MessageId),
}

impl Subject {
    fn read(snapshot: &Snapshot, name: Option<&str>) -> Result<Self, Problem> {
        let Some(name) = name else { return Ok(Self::Everyone) };
        let id: MessageId = name.parse().map_err(|_| Problem::query("message", "is no message id: write msg_…"))?;
        let message = snapshot.message(id)?.ok_or_else(|| Problem::not_found("message"))?;
        Ok(Self::Message(id, message.id))
    }

    fn has(self, event: &Event) -> bool {
        match (self, &event.told) {
            (Self::Everyone, _) => true,
            (Self::Message(asked, now), Told::Message { id, .. }) => *id == asked || *id == now,
            (Self::Message(..), _) => false,
        }
    }
}

/// Events in order, as a page, or with `Accept: text/event-stream` as a stream that goes on until bluetick stops.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "list_events", tag = "events",
    params(EventsQuery, ("Last-Event-ID" = Option<u64>, Header, description = "Where a stream was left")),
    responses(
        (status = 200, description = "Events", content(
            (EventsView = "application/json"),
            (String = "text/event-stream", example = "id: 124\nevent: message.delivered\ndata: {\"seq\":124}\n\n"),
        )),
        (status = 400, description = "A parameter cannot be understood", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such message", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Too many streams are open", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    app: web::Data<App>,
    query: Query<EventsQuery>,
    request: HttpRequest,
    sight: Sight,
) -> Result<HttpResponse, Problem> {
    let accepted = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let snapshot = app.store.read()?;
    let subject = Subject::read(&snapshot, query.message.as_deref())?;
    let wants_stream = accepted.is_some_and(|accepted| accepted.contains("text/event-stream"));
    // A HEAD would wait for the end of a body it does not want.
    if wants_stream && request.method() == Method::GET {
        let newest = snapshot.last_event()?;
        // A number from another life of the data file is one that never comes.
        let after = last_seen(&request)?.or(query.after).unwrap_or(newest).min(newest);
        return stream::open(&app, after, subject, Principal::of(&request));
    }
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::query("limit", format!("is not between 1 and {MAX_LIMIT}")));
    }
    let (data, next_after) = page(&snapshot, query.after.unwrap_or(0), limit, subject, sight)?;
    Ok(HttpResponse::Ok().json(EventsView { data, next_after }))
}

/// Where a stream was left.
fn last_seen(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let Some(seen) = request.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    let seen = seen.to_str().ok().and_then(|seen| seen.trim().parse().ok());
    seen.map(Some).ok_or_else(|| Problem::new(Code::BadRequest, "the Last-Event-ID is not the number of an event"))
}

/// At most `limit` events after a number, and the number of the last one that was looked at.
fn page(
    snapshot: &Snapshot,
    after: u64,
    limit: usize,
    subject: Subject,
    sight: Sight,
) -> Result<(Vec<EventView>, u64), StoreError> {
    let mut names = Names::over(snapshot, sight)?;
    let (mut data, mut last) = (Vec::new(), after);
    for _ in 0..MAX_SCANNED / MAX_LIMIT {
        let events = snapshot.events(last, if matches!(subject, Subject::Everyone) { limit } else { MAX_LIMIT })?;
        let is_last = events.len() < MAX_LIMIT;
        for event in events {
            last = event.seq;
            if subject.has(&event) {
                data.push(names.show(event)?);
            }
            if data.len() == limit {
                return Ok((data, last));
            }
        }
        if is_last {
            break;
        }
    }
    Ok((data, last))
}

#[cfg(test)]
mod tests;
