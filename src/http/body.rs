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
    read_within(DEADLINE, request, payload, most).await
}

async fn read_within(
    deadline: Duration,
    request: &HttpRequest,
    payload: Payload,
    most: usize,
) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::TooLarge, format!("the body is longer than {most} bytes"));
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(deadline, collect(payload, most)).await;
    collected
        .map_err(|_| Problem::new(Code::Timeout, format!("the body did not arrive within {} s", deadline.as_secs())))?
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

#[cfg(test)]
mod tests {
    use actix_web::FromRequest;
    use actix_web::dev;
    use actix_web::error::PayloadError;
    use actix_web::test::TestRequest;
    use futures_util::stream::{self, Stream};

    use super::*;

    async fn read_from(pieces: impl Stream<Item = Result<Bytes, PayloadError>> + 'static) -> Result<Bytes, Code> {
        let request = TestRequest::default().to_http_request();
        let mut payload: dev::Payload = dev::Payload::Stream { payload: Box::pin(pieces) };
        let payload = Payload::from_request(&request, &mut payload).await.expect("a payload");
        read_within(Duration::ZERO, &request, payload, 8).await.map_err(|problem| problem.code)
    }

    fn pieces(all: &[&'static str]) -> impl Stream<Item = Result<Bytes, PayloadError>> + use<> {
        stream::iter(all.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect::<Vec<_>>())
    }

    #[actix_web::test]
    async fn a_body_that_does_not_end_in_time_is_given_up() {
        assert_eq!(read_from(stream::pending()).await, Err(Code::Timeout));
        assert_eq!(read_from(pieces(&["half"]).chain(stream::pending())).await, Err(Code::Timeout));
        assert_eq!(read_from(pieces(&["who", "le"])).await.as_deref(), Ok(&b"whole"[..]));
    }

    #[actix_web::test]
    async fn layer_5_input_a_body_that_says_nothing_of_its_length_is_cut_where_it_is_too_long() {
        assert_eq!(read_from(pieces(&["1234", "5678"])).await.as_deref(), Ok(&b"12345678"[..]));
        assert_eq!(read_from(pieces(&["1234", "56789"]).chain(stream::pending())).await, Err(Code::TooLarge));
        let torn = stream::iter([Ok(Bytes::from_static(b"1")), Err(PayloadError::EncodingCorrupted)]);
        assert_eq!(read_from(torn).await, Err(Code::BadRequest));
    }
}
