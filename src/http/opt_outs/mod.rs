//! Who does not want something: listed, written down and taken back by a person.

mod view;

use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(super) use self::view::{OptOutView, views};
use super::app::App;
use super::body;
use super::error::{Code, Problem, ProblemBody};
use super::fields::Fields;
use super::query::Query;
use super::sight::Sight;
use crate::message::{Address, OptOut};
use crate::store::{OptingOut, Write, Written};

/// How many people a page has where nobody says.
const USUAL_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;
/// A scope and a note.
const MAX_BODY: usize = 8 * 1_024;
/// A note is a sentence, in characters.
const MAX_NOTE: usize = 500;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OptOutsQuery {
    /// How many people at most (1 to 200, usually 50).
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of opt-outs, by the order in which people came to be known.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OptOuts {
    opt_outs: Vec<OptOutView>,
    /// Asks for the next page; `null` on the last.
    next_cursor: Option<String>,
}

/// What one person does not want.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OptOutsOf {
    /// The widest first; empty if they want everything.
    opt_outs: Vec<OptOutView>,
}

/// What a person does not want from now on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OptOutRequest {
    /// `all`, or `marketing`; `all` where it is absent.
    #[schema(required = false, example = "marketing")]
    scope: String,
    /// How you know, for whoever asks later.
    note: Option<String>,
}

/// Who does not want something, and how we know.
#[utoipa::path(get, path = "/v1/opt-outs", tag = "contacts", params(OptOutsQuery),
    responses((status = 200, body = OptOuts), (status = 400, body = ProblemBody)))]
pub(super) async fn list(app: Data<App>, query: Query<OptOutsQuery>, sight: Sight) -> Result<Json<OptOuts>, Problem> {
    let limit = query.limit.unwrap_or(USUAL_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::query("limit", format!("must be 1 to {MAX_LIMIT}")));
    }
    let cursor = query.cursor.as_deref().filter(|text| !text.is_empty()).map(str::parse).transpose();
    let wrong = |_| Problem::query("cursor", "is none: give the next_cursor of the page before, unchanged");
    let page = app.store.read()?.opted_out(cursor.map_err(wrong)?.unwrap_or(0), limit)?;
    Ok(Json(OptOuts {
        opt_outs: page.rows.iter().flat_map(|(_, contact)| views(contact, sight)).collect(),
        next_cursor: page.next.map(|number| number.to_string()),
    }))
}

/// Writes down what a person does not want. A person who is not known yet comes to be.
#[utoipa::path(put, path = "/v1/contacts/{address}/opt-out", tag = "contacts", request_body = Option<OptOutRequest>,
    params(("address" = String, Path, example = "+4915100000001")),
    responses((status = 200, body = OptOutsOf), (status = 400, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub(super) async fn put(
    request: HttpRequest,
    app: Data<App>,
    address: Path<String>,
    payload: Payload,
    sight: Sight,
) -> Result<Json<OptOutsOf>, Problem> {
    let (scope, note) = read(&body::json(&request, payload, MAX_BODY).await?)?;
    let name = person(&address)?;
    write(&app, OptingOut { name: name.clone(), scope: Some(scope), note }).await?;
    let person = app.store.read()?.person(&name)?;
    Ok(Json(OptOutsOf { opt_outs: person.map(|person| views(&person.contact, sight)).unwrap_or_default() }))
}

/// The person wants everything again. Do this only if they asked for it.
#[utoipa::path(delete, path = "/v1/contacts/{address}/opt-out", tag = "contacts",
    params(("address" = String, Path, example = "+4915100000001")),
    responses((status = 204, description = "They want everything"),
        (status = 404, description = "Nobody goes by that name", body = ProblemBody),
        (status = 422, body = ProblemBody)))]
pub(super) async fn delete(app: Data<App>, address: Path<String>) -> Result<HttpResponse, Problem> {
    let name = person(&address)?;
    match write(&app, OptingOut { name, scope: None, note: None }).await? {
        Written::NotFound => Err(Problem::not_found("contact")),
        _ => Ok(HttpResponse::NoContent().finish()),
    }
}

async fn write(app: &App, wish: OptingOut) -> Result<Written, Problem> {
    match app.store.write(Write::OptOut(wish)).await? {
        written @ (Written::OptedOut(_) | Written::NotFound) => Ok(written),
        other => unreachable!("an opt-out is answered as one, not by {other:?}"),
    }
}

/// The name of a person, as the store spells it.
fn person(text: &str) -> Result<String, Problem> {
    let wrong = |detail: String| Problem::field(Code::InvalidOptOut, "address", detail);
    let address = Address::parse(text).map_err(|error| wrong(error.to_string()))?;
    if !address.is_person() {
        return Err(wrong("is a Messaging Service: only people opt out".into()));
    }
    Ok(address.to_string())
}

/// Reads a JSON body.
pub(super) fn read(body: &[u8]) -> Result<(OptOut, Option<String>), Problem> {
    let mut fields = Fields::read_any(body, &["scope", "note"], Code::InvalidOptOut)?;
    let scope: Option<OptOut> = fields.take("scope", "all or marketing");
    let note: Option<String> = fields.take("note", "a text");
    let note = note.filter(|note| !note.trim().is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE) {
        fields.wrong("note", format!("is longer than {MAX_NOTE} characters"));
    }
    fields.end().map(|()| (scope.unwrap_or(OptOut::All), note))
}

#[cfg(test)]
mod tests;
