//! What every answer carries: a name for the log, headers that keep browsers careful, and a problem where it failed.

use std::fmt;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};

use super::error::{Code, Problem};

/// Nothing but our own files; no inline script or style, no frame, no HTML made from strings.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'";

/// Set where the handler has not set its own.
const DEFAULTS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the log calls a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestId(u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "req_{:016x}", self.0)
    }
}

/// Around everything: names the request, and makes every failure a problem, also those of the web framework.
pub(super) async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let id = RequestId(rand::random());
    request.extensions_mut().insert(id);
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    for (name, value) in DEFAULTS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    let text = id.to_string();
    headers.insert(REQUEST_ID, HeaderValue::from_str(&text).expect("a request id is plain ASCII"));
    let Some(problem) = problem_of(&response) else { return Ok(response.map_into_left_body()) };
    let status = problem.status();
    if problem.code == Code::Internal {
        tracing::error!(request_id = text, "a request failed: {:?}", response.response().error());
    }
    Ok(response.map_body(|head, _| {
        head.status = status;
        describe(&mut head.headers);
        EitherBody::right(BoxBody::new(problem.body(Some(text))))
    }))
}

fn describe(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
}

/// A failure that no handler has described in its own words.
fn problem_of<B>(response: &ServiceResponse<B>) -> Option<Problem> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    match response.response().error() {
        Some(error) => Some(Problem::from_framework(error)),
        None if response.headers().contains_key(header::CONTENT_TYPE) => None,
        None => Some(Problem::from_status(status)),
    }
}
