//! `POST /v1/messages/{id}/retry`: another attempt of one message.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path, Payload};
use serde::Serialize;
use utoipa::ToSchema;

use super::get::find;
use super::view::MessageView;
use crate::http::app::App;
use crate::http::body;
use crate::http::error::{Code, Problem, ProblemBody};
use crate::http::fields::Fields;
use crate::http::principal::Principal;
use crate::http::sight::Sight;
use crate::store::{Retry, Write, Written};

/// One flag.
const MAX_BODY: usize = 1_024;

/// How to send one message again.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::http) struct RetryRequest {
    /// Also if the failed attempt may have arrived all the same.
    #[schema(required = false)]
    may_duplicate: bool,
}

/// Sends a failed message again, where that can help. It is the same message, with one more attempt.
#[utoipa::path(post, path = "/v1/messages/{id}/retry", tag = "messages", request_body = Option<RetryRequest>,
    params(("id" = String, Path, description = "`msg_…`, or Twilio's `SM…` or `MM…`")),
    responses((status = 200, body = MessageView), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody),
        (status = 409, description = "It is not sent again; `detail` says why", body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub(in crate::http) async fn retry(
    request: HttpRequest,
    app: Data<App>,
    id: Path<String>,
    payload: Payload,
) -> Result<Json<MessageView>, Problem> {
    let who = Principal::of(&request);
    let source = who.source();
    let asked = RetryRequest::read(&body::json(&request, payload, MAX_BODY).await?)?;
    let message = find(&app, &id)?;
    let retry = Retry { ids: vec![message.id], may_duplicate: asked.may_duplicate, source };
    let verdict = match app.store.write(Write::Retry(retry)).await? {
        Written::Retried(verdicts) => verdicts.into_iter().next(),
        other => unreachable!("a retry is answered as one, not by {other:?}"),
    };
    match verdict {
        Some((id, Ok(()))) => {
            let message = app.store.read()?.message(id)?.ok_or_else(|| Problem::not_found("message"))?;
            Ok(Json(MessageView::of(&message, Sight::of(&who))))
        }
        Some((_, Err(never))) => {
            Err(Problem::new(Code::NotRetryable, format!("the message is {}: {never}", message.status())))
        }
        None => Err(Problem::not_found("message")),
    }
}

impl RetryRequest {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = Fields::read_any(body, &["may_duplicate"], Code::InvalidRetry)?;
        let request = Self { may_duplicate: fields.take("may_duplicate", "true or false") };
        fields.end().map(|()| request)
    }
}
