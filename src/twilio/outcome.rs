//! What came of handing one message to Twilio, judged by evidence alone.
//!
//! Invariant: what is neither proven taken, nor proven refused, nor proven untouched is [`Outcome::Unknown`].
//! Not here: what to do about it (`message`), asking Twilio again (`client`).

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::message::Sid;
use crate::twilio::transport::{Response, TransportError};
use crate::twilio::wire::{ErrorBody, parse_date};

/// Twilio's code for credentials it does not know, whatever the HTTP status beside it.
const BAD_CREDENTIALS: u32 = 20003;
/// The longest pause taken from a `Retry-After`: one odd answer must not stop a sender for a day.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// Characters kept of texts that Twilio sent, which end in records and on pages.
const MAX_WORDS: usize = 500;
const MAX_STATUS: usize = 40;

/// What is known after one create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Twilio has it, under this name.
    Accepted {
        /// Twilio's name for it.
        sid: Sid,
        /// Where it stands, in Twilio's words.
        status: String,
    },
    /// Twilio said no, with its own number: this message will not go out.
    Refused {
        /// The HTTP status.
        http: u16,
        /// Twilio's number for the reason.
        code: Option<u32>,
        /// The reason in Twilio's words.
        message: String,
    },
    /// Twilio did not touch it: it may be handed over again.
    NotProcessed(NotProcessed),
    /// Twilio refuses us, not the message: nothing else will go out until somebody looks.
    Stopped {
        /// The HTTP status.
        http: u16,
        /// Twilio's number for the reason, if it gave one.
        code: Option<u32>,
        /// The reason in Twilio's words.
        message: String,
    },
    /// We have no secret to come with: nothing goes out until somebody gives one.
    NoSecret,
    /// Nobody can tell whether it was taken; never to be blindly handed over again.
    Unknown {
        /// Why nobody can tell.
        reason: String,
    },
}

/// The proofs that a message was not touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotProcessed {
    /// 429: too many at once.
    TooManyRequests {
        /// How long Twilio asked us to wait.
        retry_after: Option<Duration>,
    },
    /// Not a byte of the request left this machine.
    Unreachable {
        /// What failed.
        reason: String,
    },
}

/// Judges what came of one create.
pub fn classify_create(result: Result<Response, TransportError>) -> Outcome {
    let response = match result {
        Ok(response) => response,
        Err(TransportError::NotSent(reason)) => {
            return Outcome::NotProcessed(NotProcessed::Unreachable { reason: clip(&reason, MAX_WORDS) });
        }
        Err(TransportError::NoSecret) => return Outcome::NoSecret,
        Err(TransportError::Unclear(reason)) => return Outcome::Unknown { reason: clip(&reason, MAX_WORDS) },
    };
    match response.status {
        200..300 => taken(&response),
        429 => Outcome::NotProcessed(NotProcessed::TooManyRequests { retry_after: retry_after(&response) }),
        400..500 => refused(&response),
        http => Outcome::Unknown { reason: format!("HTTP {http}") },
    }
}

/// How long to wait, from a `Retry-After` in seconds or as a date, the latter by the clock of the answer itself.
pub fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.retry_after.as_deref()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let wait_ms = parse_date(text)? - parse_date(response.date.as_deref()?)?;
            Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))
        }
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Twilio's own account of an error; `None` if the body is not from Twilio, or damaged.
pub(super) fn error_body(response: &Response) -> Option<ErrorBody> {
    let mut error: ErrorBody = json(response).filter(|error: &ErrorBody| error.code != 0)?;
    error.message = clip(error.sentence(), MAX_WORDS);
    Some(error)
}

/// JSON is text, and Twilio's documents are objects. The parser alone would also take a list for one, value by value, and
/// looks for text only in what it keeps: damage, or the word of a stranger, could pass for Twilio's.
fn json<T: DeserializeOwned>(response: &Response) -> Option<T> {
    let text = std::str::from_utf8(&response.body).ok()?;
    serde_json::from_str(text).ok().filter(|_| text.trim_ascii_start().starts_with('{'))
}

/// The two fields that prove a message was taken. A key that comes twice makes it unreadable, and so unknown.
#[derive(Deserialize)]
struct Created {
    sid: String,
    status: Option<String>,
}

fn taken(response: &Response) -> Outcome {
    let http = response.status;
    let Some(created) = json::<Created>(response) else {
        return Outcome::Unknown { reason: format!("HTTP {http} without a readable message") };
    };
    let Ok(sid) = created.sid.parse() else {
        return Outcome::Unknown { reason: format!("HTTP {http} without a message SID") };
    };
    // `accepted` is the first of Twilio's words, so it claims nothing that a callback would have to take back.
    let status = created.status.filter(|status| !status.is_empty()).unwrap_or_else(|| "accepted".to_owned());
    Outcome::Accepted { sid, status: clip(&status, MAX_STATUS) }
}

/// A 4xx counts only with Twilio's code: without one it may be the word of anything on the way, about anything.
/// 401 and 403 need none, as whoever says so did not let us in. 408 is a timeout, and so no proof at all.
fn refused(response: &Response) -> Outcome {
    let http = response.status;
    let error = error_body(response);
    let code = error.as_ref().map(|error| error.code);
    match (http, error) {
        (401 | 403, error) => {
            let message = error.map_or_else(|| format!("HTTP {http}"), |error| error.message);
            Outcome::Stopped { http, code, message }
        }
        (408, _) => Outcome::Unknown { reason: "HTTP 408".to_owned() },
        (_, Some(error)) if error.code == BAD_CREDENTIALS => Outcome::Stopped { http, code, message: error.message },
        (_, Some(error)) => Outcome::Refused { http, code, message: error.message },
        (_, None) => Outcome::Unknown { reason: format!("HTTP {http} without a code of Twilio's") },
    }
}

fn clip(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SID: &str = "SM00000000000000000000000000000001";

    fn answer(status: u16, body: &str) -> Outcome {
        classify_create(Ok(Response { status, body: body.into(), ..Response::default() }))
    }

    fn is_unknown(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Unknown { .. })
    }

    #[test]
    fn a_2xx_with_a_sid_is_accepted() {
        let sid = SID.parse().expect("a sid");
        for status in [200, 201, 202] {
            let outcome = answer(status, &format!(r#"{{"sid":"{SID}","status":"queued","to":null}}"#));
            assert_eq!(outcome, Outcome::Accepted { sid, status: "queued".into() });
        }
        let without_status = answer(201, &format!(r#"{{"sid":"{SID}"}}"#));
        assert_eq!(without_status, Outcome::Accepted { sid, status: "accepted".into() });
    }

    #[test]
    fn a_2xx_without_a_sid_is_unknown() {
        let deep = "[".repeat(10_000);
        let hidden = format!(r#"{{"deep":{deep},"sid":"{SID}"}}"#);
        let bodies = [
            "",
            "<html>ok</html>",
            "{}",
            "null",
            r#"{"sid":null}"#,
            r#"{"sid":"SM1"}"#,
            r#"{"sid":"SMABCDEF00000000000000000000000001"}"#,
            r#"{"sid":"CA00000000000000000000000000000001"}"#,
            r#"{"sid":"SM00000000000000000000000000000001""#,
            r#"{"sid":"SM00000000000000000000000000000001","sid":"SM00000000000000000000000000000002"}"#,
            &deep,
            &hidden,
        ];
        for body in bodies {
            assert!(is_unknown(&answer(201, body)), "{}", &body[..body.len().min(80)]);
        }
    }

    #[test]
    fn a_4xx_with_twilios_code_is_refused() {
        let refused = |http, code, message: &str| Outcome::Refused { http, code: Some(code), message: message.into() };
        assert_eq!(answer(400, r#"{"code":21211,"message":"bad To","status":400}"#), refused(400, 21211, "bad To"));
        let newer = r#"{"type":"x","title":"y","status":404,"code":20404,"detail":"gone"}"#;
        assert_eq!(answer(404, newer), refused(404, 20404, "gone"));
    }

    #[test]
    fn a_4xx_without_twilios_code_is_unknown() {
        for body in
            ["", "<html>bad gateway</html>", "{}", r#"{"code":null}"#, r#"{"code":0}"#, r#"{"code":1,"code":2}"#]
        {
            for status in [400, 404, 409, 413] {
                assert!(is_unknown(&answer(status, body)), "{status} {body}");
            }
        }
        assert!(is_unknown(&answer(408, r#"{"code":20408,"message":"timeout","status":408}"#)));
    }

    #[test]
    fn an_answer_that_is_not_text_is_damaged_wherever_that_is() {
        let answer = |status, body: &str| {
            let body = body.bytes().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
            classify_create(Ok(Response { status, body, ..Response::default() }))
        };
        assert!(is_unknown(&answer(201, &format!(r#"{{"sid":"{SID}","status":"queued","to":"?"}}"#))));
        assert!(is_unknown(&answer(400, r#"{"code":21211,"more_info":"?"}"#)));
    }

    #[test]
    fn a_list_is_no_answer_of_twilios_whatever_stands_in_it() {
        assert!(is_unknown(&answer(201, &format!(r#"["{SID}","queued"]"#))));
        for body in ["[20]", "[21211]", r#" [21211,"no"]"#] {
            assert!(is_unknown(&answer(400, body)), "{body}");
        }
    }

    #[test]
    fn refused_credentials_stop_everything_and_fail_nothing() {
        let body = r#"{"code":20003,"message":"Authenticate","status":401}"#;
        for status in [400, 401, 403] {
            let stopped = Outcome::Stopped { http: status, code: Some(20003), message: "Authenticate".into() };
            assert_eq!(answer(status, body), stopped);
        }
        for status in [401, 403] {
            let stopped = Outcome::Stopped { http: status, code: None, message: format!("HTTP {status}") };
            assert_eq!(answer(status, "<html>"), stopped);
        }
    }

    #[test]
    fn too_many_requests_were_not_processed_and_may_say_for_how_long() {
        let wait = |retry_after: Option<&str>, date: Option<&str>| {
            let response = Response {
                status: 429,
                retry_after: retry_after.map(str::to_owned),
                date: date.map(str::to_owned),
                body: b"anything".to_vec(),
            };
            match classify_create(Ok(response)) {
                Outcome::NotProcessed(NotProcessed::TooManyRequests { retry_after }) => retry_after,
                other => panic!("{other:?}"),
            }
        };
        let (now, later) = ("Thu, 05 Feb 2026 10:30:00 GMT", "Thu, 05 Feb 2026 10:30:07 GMT");
        assert_eq!(wait(None, None), None);
        assert_eq!(wait(Some("3"), None), Some(Duration::from_secs(3)));
        assert_eq!(wait(Some("99999999"), None), Some(MAX_RETRY_AFTER));
        assert_eq!(wait(Some(later), Some(now)), Some(Duration::from_secs(7)));
        assert_eq!(wait(Some(now), Some(later)), Some(Duration::ZERO));
        assert_eq!(wait(Some(later), None), None);
        assert_eq!(wait(Some("soon"), Some(now)), None);
    }

    #[test]
    fn everything_else_is_unknown() {
        let taken = format!(r#"{{"sid":"{SID}","status":"queued"}}"#);
        for status in [0, 100, 199, 301, 307, 500, 502, 503, 504, 599, 600, u16::MAX] {
            assert!(is_unknown(&answer(status, &taken)), "{status}");
            assert!(is_unknown(&answer(status, r#"{"code":20500,"message":"x"}"#)), "{status}");
        }
    }

    #[test]
    fn only_a_request_proven_unsent_may_go_again() {
        let unsent = classify_create(Err(TransportError::NotSent("refused".into())));
        assert_eq!(unsent, Outcome::NotProcessed(NotProcessed::Unreachable { reason: "refused".into() }));
        assert!(is_unknown(&classify_create(Err(TransportError::Unclear("reset".into())))));
    }

    #[test]
    fn words_of_the_outside_are_cut() {
        let long = "ü".repeat(10_000);
        match answer(400, &format!(r#"{{"code":1,"message":"{long}"}}"#)) {
            Outcome::Refused { message, .. } => assert_eq!(message.chars().count(), MAX_WORDS),
            other => panic!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics_and_only_a_sid_in_a_2xx_is_acceptance(status in 0..700u16, body in ".{0,200}") {
            let outcome = answer(status, &body);
            prop_assert!(!matches!(outcome, Outcome::Accepted { .. }), "{:?}", outcome);
            prop_assert_eq!(matches!(outcome, Outcome::NotProcessed(_)), status == 429);
        }

        #[test]
        fn a_damaged_answer_never_names_another_message(at in 0..70usize, byte in any::<u8>()) {
            let whole = format!(r#"{{"status":"queued","sid":"{SID}","to":"x"}}"#).into_bytes();
            let mut damaged = whole.clone();
            let at = at % whole.len();
            damaged[at] = byte;
            let response = Response { status: 201, body: damaged.clone(), ..Response::default() };
            if let Outcome::Accepted { sid, .. } = classify_create(Ok(response)) {
                prop_assert!(String::from_utf8_lossy(&damaged).contains(&sid.to_string()));
            }
        }
    }
}
