//! `POST /v1/messages/{id}/cancel`, `/hold` and `/release`: what becomes of a message that waits.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};

use super::get::find;
use super::view::MessageView;
use crate::http::app::App;
use crate::http::error::{Code, Problem, ProblemBody};
use crate::http::principal::Principal;
use crate::http::sight::Sight;
use crate::message::{Message, Status};
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
    steer(&request, &app, &id, Direction::Cancel).await
}

/// Holds a message that waits, until it is released.
#[utoipa::path(post, path = "/v1/messages/{id}/hold", tag = "messages",
    params(("id" = String, Path, description = "`msg_…`, or Twilio's `SM…` or `MM…`")),
    responses((status = 200, body = MessageView), (status = 404, body = ProblemBody),
        (status = 409, description = "It is held already, has begun to be sent, or has ended", body = ProblemBody)))]
pub(in crate::http) async fn hold(
    request: HttpRequest,
    app: Data<App>,
    id: Path<String>,
) -> Result<Json<MessageView>, Problem> {
    steer(&request, &app, &id, Direction::Hold).await
}

/// Lets a held message go, whatever it waits for: also outside the window, and though its template is paused.
#[utoipa::path(post, path = "/v1/messages/{id}/release", tag = "messages",
    params(("id" = String, Path, description = "`msg_…`, or Twilio's `SM…` or `MM…`")),
    responses((status = 200, body = MessageView), (status = 404, body = ProblemBody),
        (status = 409, description = "It is not held", body = ProblemBody)))]
pub(in crate::http) async fn release(
    request: HttpRequest,
    app: Data<App>,
    id: Path<String>,
) -> Result<Json<MessageView>, Problem> {
    steer(&request, &app, &id, Direction::Release).await
}

async fn steer(request: &HttpRequest, app: &App, id: &str, to: Direction) -> Result<Json<MessageView>, Problem> {
    let who = Principal::of(request);
    let source = who.source();
    let id = find(app, id)?.id;
    match app.store.write(Write::Steer(Steer { id, to, source })).await? {
        Written::Steered(message) => Ok(Json(MessageView::of(&message, Sight::of(&who)))),
        Written::TooLate(message) => Err(too_late(&message, to)),
        Written::NotFound => Err(Problem::not_found("message")),
        other => unreachable!("a message that is steered is answered as one, not by {other:?}"),
    }
}

fn too_late(message: &Message, to: Direction) -> Problem {
    let status = message.status();
    match to {
        Direction::Cancel => Problem::new(
            Code::TooLate,
            format!("the message is {status}: only one that waits (pending or held) can be canceled"),
        ),
        Direction::Hold if status == Status::Held => {
            Problem::new(Code::NotHoldable, "the message is held already: release it, or cancel it")
        }
        Direction::Hold => Problem::new(
            Code::NotHoldable,
            format!("the message is {status}: only one that waits for its turn (pending) can be held"),
        ),
        Direction::Release => {
            Problem::new(Code::NotHeld, format!("the message is {status}: only one that is held can be released"))
        }
    }
}
