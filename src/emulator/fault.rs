//! How an answer goes wrong, whoever chose it: a number, the control API, or chance.

use std::time::Duration;

use super::exchange::{Answer, How, Refusal};
use super::scenario::Scenario;

/// How long the answer of `early` is held back.
const EARLY_ANSWER: Duration = Duration::from_millis(500);
/// How long the answer of `slow` is held back.
const SLOW_ANSWER: Duration = Duration::from_secs(20);

/// The answer to a call that is not even looked at, and its code.
pub(super) fn stopped(scenario: Scenario) -> (Answer, Option<u32>) {
    let limited = || Refusal::new(429, 20429, "Too Many Requests").answer();
    match scenario {
        Scenario::ErrorBefore => (internal_error(), Some(20500)),
        Scenario::ResetBefore => (Answer::empty().leaving(How::Reset), None),
        Scenario::RateLimitedRetryAfter => {
            let mut answer = limited();
            answer.headers.push(("Retry-After", "1".to_owned()));
            (answer, Some(20429))
        }
        _ => (limited(), Some(20429)),
    }
}

/// The answer to a call that was carried out, bent by the scenario.
pub(super) fn bent(mut answer: Answer, scenario: Scenario) -> Answer {
    match scenario {
        Scenario::Early => answer.leaving(How::After(EARLY_ANSWER)),
        Scenario::Slow => answer.leaving(How::After(SLOW_ANSWER)),
        Scenario::ResetAfter => answer.leaving(How::Reset),
        Scenario::ErrorAfter | Scenario::ListedLate => internal_error(),
        Scenario::Garbage => {
            answer.body.truncate(answer.body.len() / 2);
            answer
        }
        Scenario::GarbageHtml => {
            let body = b"<html><body><h1>Welcome to the gateway</h1></body></html>".to_vec();
            Answer { status: 200, content_type: "text/html", body, ..answer }
        }
        _ => answer,
    }
}

fn internal_error() -> Answer {
    Refusal::new(500, 20500, "Internal Server Error").answer()
}
