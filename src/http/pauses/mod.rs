//! What is paused: listed with what waits for it, begun and ended by a person.

mod view;

use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

pub(super) use self::view::{PauseView, Waiting};
use super::app::App;
use super::body;
use super::error::{Code, Problem, ProblemBody};
use super::fields::Fields;
use crate::pause::{Cause, NotAScope, Paused, Scope};
use crate::store::{Snapshot, StoreError, Write, Written};

/// A scope and a note.
const MAX_BODY: usize = 8 * 1_024;
/// A note is a sentence, in characters.
const MAX_NOTE: usize = 500;

/// Everything that is paused.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Pauses {
    pauses: Vec<PauseView>,
}

/// What to pause.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PauseRequest {
    /// `all`, `sender:` and an address, or `template:` and its SID.
    #[schema(example = "sender:whatsapp:+15550001111")]
    scope: String,
    /// Why, for whoever finds it paused.
    note: Option<String>,
}

/// Everything that is paused, and how many messages wait for it.
#[utoipa::path(get, path = "/v1/pauses", tag = "pauses", responses((status = 200, body = Pauses)))]
pub(super) async fn list(app: Data<App>) -> Result<Json<Pauses>, Problem> {
    Ok(Json(Pauses { pauses: active(&app.store.read()?)? }))
}

/// Pauses everything, a sender or a template, until somebody resumes it. Messages are taken in all the same, and wait.
#[utoipa::path(post, path = "/v1/pauses", tag = "pauses", request_body = PauseRequest,
    responses((status = 201, body = PauseView), (status = 400, body = ProblemBody),
        (status = 404, description = "There is no such sender", body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody),
        (status = 422, description = "Not something that a person can pause", body = ProblemBody)))]
pub(super) async fn begin(request: HttpRequest, app: Data<App>, payload: Payload) -> Result<HttpResponse, Problem> {
    let (scope, note) = read(&body::json(&request, payload, MAX_BODY).await?)?;
    if let Scope::Sender(name) = &scope
        && app.store.read()?.sender_number(name)?.is_none()
    {
        return Err(Problem::not_found(&format!("sender as {name}: GET /v1/senders lists them")));
    }
    let paused = match app.store.write(Write::Pause(scope, Cause::Operator(note))).await? {
        Written::Paused(paused) => paused,
        other => unreachable!("a pause is answered as one, not by {other:?}"),
    };
    let snapshot = app.store.read()?;
    let view = PauseView::of(&paused, &snapshot, &Waiting::read(&snapshot)?)?;
    Ok(HttpResponse::Created().json(view))
}

/// Lets it go on, whoever or whatever paused it.
#[utoipa::path(delete, path = "/v1/pauses/{scope}", tag = "pauses",
    params(("scope" = String, Path, description = "As `GET /v1/pauses` names it, percent-encoded", example = "sender:whatsapp:+15550001111")),
    responses((status = 204, description = "It goes on"),
        (status = 404, description = "It is not paused", body = ProblemBody)))]
pub(super) async fn end(app: Data<App>, scope: Path<String>) -> Result<HttpResponse, Problem> {
    let nothing = || Problem::new(Code::NotFound, format!("{scope} is not paused: GET /v1/pauses lists what is"));
    let parsed: Scope = scope.parse().map_err(|_: NotAScope| nothing())?;
    match app.store.write(Write::Resume(parsed)).await? {
        Written::Resumed(true) => Ok(HttpResponse::NoContent().finish()),
        Written::Resumed(false) => Err(nothing()),
        other => unreachable!("a resume is answered as one, not by {other:?}"),
    }
}

/// All pauses that hold, the oldest first.
pub(super) fn active(snapshot: &Snapshot) -> Result<Vec<PauseView>, StoreError> {
    let mut pauses = snapshot.active_pauses()?;
    pauses.sort_by_key(|paused: &Paused| paused.since);
    let waiting = if pauses.is_empty() { Waiting::default() } else { Waiting::read(snapshot)? };
    pauses.iter().map(|paused| PauseView::of(paused, snapshot, &waiting)).collect()
}

/// Reads a JSON body.
pub(super) fn read(body: &[u8]) -> Result<(Scope, Option<String>), Problem> {
    let mut fields = Fields::read(body, &["scope", "note"], Code::InvalidPause)?;
    let (scope, note): (String, Option<String>) = (fields.take("scope", "a text"), fields.take("note", "a text"));
    let note = note.filter(|note| !note.trim().is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE) {
        fields.wrong("note", format!("is longer than {MAX_NOTE} characters"));
    }
    let scope = match scope.parse() {
        Ok(Scope::Account) => {
            fields.wrong("scope", "account is paused only by what Twilio answers: to stop everything, pause all");
            Scope::Account
        }
        Ok(scope) => scope,
        Err(NotAScope) => {
            fields.wrong("scope", "say all, sender:whatsapp:+15550001111, or template:HX and 32 hex digits");
            Scope::All
        }
    };
    fields.end().map(|()| (scope, note))
}

#[cfg(test)]
mod tests;
