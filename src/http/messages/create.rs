//! `POST /v1/messages`: takes a message in, once, and can wait to see it leave.

use std::time::Duration;

use actix_web::http::header::{HeaderName, LOCATION};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep, timeout_at};
use utoipa::IntoParams;

use super::draft::SendRequest;
use super::view::MessageView;
use crate::http::app::App;
use crate::http::error::{Code, Problem, ProblemBody};
use crate::http::principal::Principal;
use crate::http::query::Query;
use crate::http::sight::Sight;
use crate::http::{body, when};
use crate::message::{Message, Status};
use crate::store::{Accept, IdempotencyKey, KEY_KEPT, StoreError, Write, Written};

/// Far above the longest message with all its variables.
const MAX_BODY: usize = 64 * 1024;
/// What others accept too.
const MAX_KEY: usize = 255;
/// Shorter than the patience of proxies.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Whoever waits looks again at most this often, however many events there are.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// How to take a message in.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct CreateQuery {
    /// Answers when the message has left the queue, or after this long (at most 30s).
    #[param(example = "5s")]
    wait: Option<String>,
}

/// Takes a message in. It is on disk when this answers.
#[utoipa::path(post, path = "/v1/messages", tag = "messages", request_body = SendRequest,
    params(CreateQuery, ("Idempotency-Key" = Option<String>, Header, description = "The same key again gives the same message")),
    responses((status = 202, body = MessageView), (status = 400, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody), (status = 422, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(in crate::http) async fn create(
    request: HttpRequest,
    app: Data<App>,
    query: Query<CreateQuery>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let wait = query.wait.as_deref().map(|text| when::span("wait", text, LONGEST_WAIT)).transpose()?;
    let asked = read(&request, payload).await?;
    let key = key(&request, &asked)?;
    let now = app.clock.now();
    let known = key.as_ref().map(|key| app.store.read()?.answered(key, now)).transpose()?.flatten();
    let (message, is_replay) = match known {
        Some(written) => answer(&app, written)?,
        None => {
            let draft = asked.check(app.default_from.as_ref(), now)?;
            let accept = Accept { draft, random: rand::random(), key };
            answer(&app, app.store.write(Write::Accept(Box::new(accept))).await?)?
        }
    };
    let message = match wait {
        Some(wait) => departed(&app, message, Instant::now() + wait).await?,
        None => message,
    };
    let mut response = HttpResponse::Accepted();
    response.insert_header((LOCATION, format!("/v1/messages/{}", message.id)));
    if is_replay {
        response.insert_header((REPLAYED, "true"));
    }
    Ok(response.json(MessageView::of(&message, Sight::of(&Principal::of(&request)))))
}

async fn read(request: &HttpRequest, payload: Payload) -> Result<SendRequest, Problem> {
    if !body::is_json(request) {
        let detail = "the body must be JSON: send Content-Type: application/json";
        return Err(Problem::new(Code::WrongContentType, detail));
    }
    SendRequest::read(&body::read(request, payload, MAX_BODY).await?)
}

/// The key is bound to who uses it, so that nobody meets another's messages under it.
fn key(request: &HttpRequest, asked: &SendRequest) -> Result<Option<IdempotencyKey>, Problem> {
    let mut given = request.headers().get_all("idempotency-key");
    let Some(key) = given.next() else { return Ok(None) };
    if given.next().is_some() || key.is_empty() || key.len() > MAX_KEY {
        let detail = format!("Idempotency-Key must be one header of 1 to {MAX_KEY} characters");
        return Err(Problem::new(Code::InvalidIdempotencyKey, detail));
    }
    let principal = Principal::of(request).name;
    let hash = Sha256::new().chain_update(principal).chain_update([0]).chain_update(key.as_bytes()).finalize();
    let kept_ms = i64::try_from(KEY_KEPT.as_millis()).expect("a week fits");
    Ok(Some(IdempotencyKey { key: hash.into(), request: asked.hash(), kept_ms }))
}

/// The message, and whether it was there before.
fn answer(app: &App, written: Written) -> Result<(Message, bool), Problem> {
    match written {
        Written::Accepted(message) => {
            app.tally.accepted.add(app.clock.now());
            Ok((*message, false))
        }
        Written::Replayed(message) => Ok((*message, true)),
        Written::KeyReused => {
            let detail = "the same Idempotency-Key came with another message: use a new key for a new message";
            Err(Problem::new(Code::IdempotencyKeyReused, detail))
        }
        Written::Gone => {
            let detail =
                "the message of this Idempotency-Key was erased, and is not sent again: use a new key for a new one";
            Err(Problem::new(Code::Erased, detail))
        }
        other => unreachable!("an accept is answered as one, not by {other:?}"),
    }
}

/// The message when it has left the queue, or as it is when time is up or bluetick stops.
async fn departed(app: &App, mut message: Message, deadline: Instant) -> Result<Message, StoreError> {
    let mut newest = app.store.wake().newest.clone();
    let mut shutdown = app.shutdown.subscribe();
    loop {
        // Marked as seen before the look, so that what happens after it is not missed.
        newest.borrow_and_update();
        if let Some(found) = app.store.read()?.message(message.id)? {
            message = found;
        }
        if !matches!(message.status(), Status::Pending | Status::InFlight) {
            return Ok(message);
        }
        let news = tokio::select! {
            news = timeout_at(deadline, newest.changed()) => matches!(news, Ok(Ok(()))),
            _ = shutdown.wait_for(|stops| *stops) => false,
        };
        if !news {
            return Ok(message);
        }
        sleep(LOOK_AGAIN).await;
    }
}
