//! What people wrote to us, newest first.

use actix_web::web;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::error::{Problem, ProblemBody};
use super::query::Query;
use super::sight::Sight;
use crate::store::Inbound;

/// How many a page has where nobody says.
const DEFAULT_LIMIT: usize = 50;
/// More than this nobody reads on one page.
const MAX_LIMIT: usize = 200;
/// Twilio's name for the text of a button that was pressed.
const BUTTON_TEXT: &str = "ButtonText";

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(super) struct InboundQuery {
    /// How many at most, up to 200.
    #[param(maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of inbound messages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InboundMessages)]
pub(super) struct InboundsView {
    /// The newest first.
    data: Vec<InboundView>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// A message from a person to us.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InboundMessage)]
pub(super) struct InboundView {
    /// Twilio's name for it.
    sid: String,
    /// The person.
    #[schema(example = "whatsapp:+4915100000001")]
    from: String,
    /// Our sender.
    #[schema(example = "whatsapp:+15550001111")]
    to: String,
    /// The text.
    body: String,
    /// What the person calls themselves.
    profile_name: Option<String>,
    /// When it came.
    received_at: String,
    /// `callback`, or `poll` for one that no callback brought and asking Twilio found: without the button and the rest
    /// of what only callbacks tell.
    #[schema(example = "callback")]
    source: &'static str,
    /// The button they pressed.
    button_text: Option<String>,
    /// How many files came with it.
    num_media: usize,
}

/// What people wrote to us, newest first.
#[utoipa::path(
    get, path = "/v1/inbound", operation_id = "list_inbound", tag = "contacts", params(InboundQuery),
    responses(
        (status = 200, description = "A page of inbound messages", body = InboundsView),
        (status = 400, description = "A parameter cannot be understood", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    app: web::Data<App>,
    query: Query<InboundQuery>,
    sight: Sight,
) -> Result<web::Json<InboundsView>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::query("limit", format!("is not between 1 and {MAX_LIMIT}")));
    }
    let cursor = query.cursor.as_deref().map(place).transpose()?;
    let page = app.store.read()?.inbound(cursor, limit)?;
    Ok(web::Json(InboundsView {
        data: page.rows.into_iter().map(|inbound| InboundView::of(inbound, sight)).collect(),
        next_cursor: page.next.map(|place| URL_SAFE_NO_PAD.encode(place)),
    }))
}

/// The place a cursor stands for.
pub(super) fn place(cursor: &str) -> Result<[u8; 25], Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Problem::query("cursor", "is not the next_cursor of a page of inbound messages"))
}

impl InboundView {
    fn of(mut inbound: Inbound, sight: Sight) -> Self {
        Self {
            sid: inbound.sid.to_string(),
            received_at: inbound.at.to_string(),
            source: inbound.source.as_str(),
            button_text: sight.words(inbound.extra.remove(BUTTON_TEXT)),
            num_media: inbound.media.len(),
            from: sight.address(&inbound.from),
            to: inbound.to,
            body: sight.words(inbound.body),
            profile_name: sight.words(inbound.profile_name),
        }
    }
}

#[cfg(test)]
mod tests;
