//! `GET /v1/messages/{id}`.

use actix_web::web::{Data, Json, Path};

use super::view::MessageView;
use crate::http::app::App;
use crate::http::error::{Problem, ProblemBody};
use crate::http::sight::Sight;
use crate::message::Message;

/// One message, by its id or by Twilio's SID.
#[utoipa::path(get, path = "/v1/messages/{id}", tag = "messages",
    params(("id" = String, Path, description = "`msg_…`, or Twilio's `SM…` or `MM…`")),
    responses((status = 200, body = MessageView), (status = 404, body = ProblemBody)))]
pub(in crate::http) async fn get(app: Data<App>, id: Path<String>, sight: Sight) -> Result<Json<MessageView>, Problem> {
    let message = find(&app, &id)?;
    Ok(Json(MessageView::read(&message, &app.store.read()?, sight)?))
}

/// A message by any of its names. A text that cannot be a name of one is the name of none.
pub(super) fn find(app: &App, name: &str) -> Result<Message, Problem> {
    let snapshot = app.store.read()?;
    let found = match (name.parse(), name.parse()) {
        (Ok(id), _) => snapshot.message(id)?,
        (_, Ok(sid)) => snapshot.message_by_sid(sid)?,
        _ => None,
    };
    found.ok_or_else(|| Problem::not_found("message: give its id (msg_…) or Twilio's SID (SM… or MM…)"))
}
