//! What Twilio, or whatever stands between, answers to a create. A message counts as taken only by a SID in a 2xx, as
//! untouched only by a 429; words that are kept and waits that are kept to are bounded.
//!
//! An input is the status, `Retry-After`, `Date`, and the body.
#![no_main]

use std::time::Duration;

use bluetick::twilio::outcome::{NotProcessed, Outcome, classify_create};
use bluetick::twilio::transport::Response;
use bluetick_fuzz::parts;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::Value;

/// What an answer is judged by; of all else only that it is JSON.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Judged {
    sid: Value,
    code: Value,
}

fuzz_target!(|bytes: &[u8]| {
    let [status, retry_after, date, body] = parts(bytes);
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty()).map(str::to_owned);
    let status = text(status).and_then(|text| text.parse().ok()).unwrap_or(201);
    let response = Response { status, retry_after: text(retry_after), date: text(date), body: body.to_vec() };
    let object = std::str::from_utf8(body).ok().filter(|text| text.trim_start().starts_with('{'));
    let json: Judged = object.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    match classify_create(Ok(response)) {
        Outcome::Accepted { sid, status: word } => {
            assert!((200..300).contains(&status));
            assert_eq!(json.sid.as_str(), Some(&*sid.to_string()));
            assert!(!word.is_empty() && word.chars().count() <= 40);
        }
        Outcome::Refused { http, code: known, message } => {
            assert!((400..500).contains(&status) && http == status && ![401, 403, 408, 429].contains(&status));
            assert!(known.is_some_and(|known| known > 0 && json.code.as_u64() == Some(known.into())));
            assert!(message.chars().count() <= 500);
        }
        Outcome::Stopped { http, message, .. } => {
            assert!(
                (400..500).contains(&status)
                    && http == status
                    && (status == 401 || status == 403 || json.code.as_u64() == Some(20_003))
            );
            assert!(message.chars().count() <= 500);
        }
        Outcome::NotProcessed(NotProcessed::TooManyRequests { retry_after }) => {
            assert_eq!(status, 429);
            assert!(retry_after.is_none_or(|wait| wait <= Duration::from_secs(3_600)));
        }
        Outcome::NotProcessed(NotProcessed::Unreachable { .. }) | Outcome::NoSecret => panic!("there was an answer"),
        Outcome::Unknown { reason } => assert!(status != 429 && !reason.is_empty() && reason.len() <= 100, "{reason}"),
    }
});
