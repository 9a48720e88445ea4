//! What is refused before anybody looks at it.
//!
//! Not here: limits of bodies (`body`) and of what stands in them, which each reader has for itself.

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;

use super::error::{Code, Problem};

/// Longest path with query, in bytes: every filter at once, with the longest names, needs a third of it.
const MAX_TARGET: usize = 4 * 1024;

/// In front of every route: a path and query of a length that somebody may mean.
pub(super) async fn keep(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let length = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if length > MAX_TARGET {
        let problem = Problem::new(Code::UriTooLong, format!("path and query are longer than {MAX_TARGET} bytes"));
        return Ok(request.error_response(problem).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::super::testing::{House, api};
    use super::MAX_TARGET;

    #[actix_web::test]
    async fn layer_5_input_a_target_has_a_longest_length_for_whoever_asks() {
        let house = House::new();
        let asked = async |start: &str, length: usize| {
            let target = format!("{start}{}", "x".repeat(length - start.len()));
            house.call(api(TestRequest::get().uri(&target))).await
        };
        let filter = "/v1/messages?tag=";
        assert_eq!(asked(filter, MAX_TARGET).await.status.as_u16(), 200);
        for start in [filter, "/healthz?", "/webhooks/twilio/status/", "/nothing/"] {
            let answer = asked(start, MAX_TARGET + 1).await;
            assert_eq!(answer.problem(), (414, "uri_too_long".to_owned()), "{start}");
            assert!(answer.header("x-request-id").is_some(), "{start}");
        }
    }
}
