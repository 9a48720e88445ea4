//! `POST /v1/messages/{id}/cancel`.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};

use super::get::find;
use super::view::MessageView;
use crate::http::app::App;
use crate::http::auth::Principal;
use crate::http::error::{Code, Problem, ProblemBody};
use crate::store::{Direction, Steer, Write, Written};

/// Cancels a message that waits: pending, or held.
#[utoipa::path(post, path = "/v1/messages/{id}/cancel", tag = "messages",
    params(("id" = String, Path, description = "`msg_…`, or Twilio's `SM…` or `MM…`")),
    responses((status = 200, body = MessageView), (status = 404, body = ProblemBody),
        (status = 409, description = "It has begun to be sent, or has ended", body = ProblemBody)))]
pub(in crate::http) async fn cancel(
    request: HttpRequest,
    app: Data<App>,
    id: Path<String>,
) -> Result<Json<MessageView>, Problem> {
    let source = Principal::of(&request).source();
    let id = find(&app, &id)?.id;
    match app.store.write(Write::Steer(Steer { id, to: Direction::Cancel, source })).await? {
        Written::Steered(message) => Ok(Json(MessageView::of(&message))),
        Written::TooLate(message) => Err(Problem::new(
            Code::TooLate,
            format!("the message is {}: only one that waits (pending or held) can be canceled", message.status()),
        )),
        Written::NotFound => Err(Problem::not_found("message")),
        other => unreachable!("a cancel is answered as one, not by {other:?}"),
    }
}
