//! Reading a body: whole, bounded in size and in time, or refused.

use std::time::Duration;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{HttpMessage, HttpRequest};
use futures_util::StreamExt;

use super::error::{Code, Problem};

/// Bodies are small: one that takes longer comes from nobody who means well.
const DEADLINE: Duration = Duration::from_secs(10);

/// The body, if it has at most `most` bytes and arrives in time.
pub(super) async fn read(request: &HttpRequest, payload: Payload, most: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::TooLarge, format!("the body is longer than {most} bytes"));
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(DEADLINE, collect(payload, most)).await;
    collected
        .map_err(|_| Problem::new(Code::Timeout, format!("the body did not arrive within {} s", DEADLINE.as_secs())))?
        .map_err(|error| match error {
            Broken::TooLong => too_large(),
            Broken::Torn => Problem::new(Code::BadRequest, "the body did not arrive whole"),
        })
}

enum Broken {
    TooLong,
    Torn,
}

/// A body that came in one piece, as nearly all do, is not copied.
async fn collect(mut payload: Payload, most: usize) -> Result<Bytes, Broken> {
    let mut whole: Option<BytesMut> = None;
    let mut first = Bytes::new();
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(|_| Broken::Torn)?;
        if first.len().max(whole.as_ref().map_or(0, |whole| whole.len())) + piece.len() > most {
            return Err(Broken::TooLong);
        }
        match &mut whole {
            Some(whole) => whole.extend_from_slice(&piece),
            None if first.is_empty() => first = piece,
            None => whole = Some(BytesMut::from_iter(first.iter().chain(piece.iter()).copied())),
        }
    }
    Ok(whole.map_or(first, BytesMut::freeze))
}

/// A JSON body of at most `most` bytes; empty where there is none.
pub(super) async fn json(request: &HttpRequest, payload: Payload, most: usize) -> Result<Bytes, Problem> {
    let body = read(request, payload, most).await?;
    if body.is_empty() || is_json(request) {
        return Ok(body);
    }
    Err(Problem::new(Code::WrongContentType, "the body must be JSON: send Content-Type: application/json"))
}

/// Whether the request says that its body is JSON.
pub(super) fn is_json(request: &HttpRequest) -> bool {
    let media_type = request.content_type().trim();
    media_type.eq_ignore_ascii_case("application/json") || media_type.to_ascii_lowercase().ends_with("+json")
}
