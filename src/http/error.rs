//! Every way a request can fail, in one table: a code for programs, a sentence for people (RFC 9457).
//!
//! Invariant: whatever goes wrong with a request, also inside the web framework, leaves as `application/problem+json` with
//! a code of this table. Details of our own failures go to the log, never out.
//! Not here: what is no HTTP request at all. The framework answers it with a bare 400 before anyone of us sees it.

use std::fmt;

use actix_web::error::{PathError, PayloadError};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use super::limits::RetryAfter;
use crate::message::Flaw;
use crate::store::StoreError;
use crate::twilio::webhook::Refusal;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $status:literal $title:literal;)*) => {
        /// The stable name of an error; programs may rely on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word in the answer, the HTTP status, and the headline.
            pub fn row(self) -> (&'static str, u16, &'static str) {
                match self {
                    $(Self::$name => ($code, $status, $title),)*
                }
            }
        }
    };
}

codes! {
    /// The body is not JSON, or not of the right shape.
    InvalidJson = "invalid_json" 400 "The body is not valid JSON";
    /// A parameter in the query cannot be understood.
    InvalidQuery = "invalid_query" 400 "A query parameter is not valid";
    /// A part of the path cannot be understood.
    InvalidPath = "invalid_path" 400 "A part of the path is not valid";
    /// The request itself is broken.
    BadRequest = "bad_request" 400 "The request is not valid";
    /// An Idempotency-Key that cannot be one.
    InvalidIdempotencyKey = "invalid_idempotency_key" 400 "The Idempotency-Key is not valid";
    /// A webhook's body is not text.
    NotUtf8 = "not_utf8" 400 "The form is not UTF-8";
    /// A webhook's body is no form.
    BadForm = "bad_form" 400 "The form cannot be read";
    /// A webhook without a needed parameter.
    MissingParameter = "missing_parameter" 400 "A parameter is missing";
    /// A webhook with a parameter that cannot be.
    MalformedParameter = "malformed_parameter" 400 "A parameter is malformed";
    /// Nobody proved who they are.
    Unauthorized = "unauthorized" 401 "Authentication is needed";
    /// Name, password or code are not right; which, nobody is told.
    WrongLogin = "wrong_login" 401 "This does not prove who you are";
    /// The password is right, and the code of the phone is missing.
    TotpNeeded = "totp_needed" 401 "The code of your phone is needed";
    /// Somebody we know, who must show that it is them who sits there.
    StepUpNeeded = "step_up_needed" 403 "Show once more who you are";
    /// Somebody we know, who may not do that.
    Forbidden = "forbidden" 403 "This is not allowed";
    /// In live mode, a request that came unencrypted.
    HttpsRequired = "https_required" 403 "This is served over HTTPS only";
    /// Another site asks in a person's name.
    CrossSite = "cross_site" 403 "The request came from another site";
    /// A webhook nobody signed.
    NoSignature = "no_signature" 403 "The signature is missing";
    /// A webhook signed by nobody we know.
    BadSignature = "bad_signature" 403 "The signature does not match";
    /// A signed webhook of another account.
    OtherAccount = "other_account" 403 "The callback is for another account";
    /// What was asked for is not there.
    NotFound = "not_found" 404 "Not found";
    /// Nothing is served here.
    NoSuchPath = "no_such_path" 404 "There is nothing at this path";
    /// The path is right, the method is not.
    MethodNotAllowed = "method_not_allowed" 405 "This method is not allowed here";
    /// The client was too slow.
    Timeout = "request_timeout" 408 "The request took too long to arrive";
    /// The message has begun to be sent, or has ended.
    TooLate = "too_late" 409 "It is too late for that";
    /// Another attempt would not help, or must not be made.
    NotRetryable = "not_retryable" 409 "The message cannot be sent again";
    /// The message does not wait, or is held already.
    NotHoldable = "not_holdable" 409 "The message cannot be held";
    /// The message does not wait for anybody to release it.
    NotHeld = "not_held" 409 "The message is not held";
    /// It was erased.
    Erased = "erased" 410 "The message was erased";
    /// The body is too long.
    TooLarge = "too_large" 413 "The body is too large";
    /// Path and query are too long.
    UriTooLong = "uri_too_long" 414 "The path and query are too long";
    /// The body is of another kind.
    WrongContentType = "wrong_content_type" 415 "The body has the wrong content type";
    /// The message can never be sent like this.
    InvalidDraft = "invalid_draft" 422 "The message cannot be sent as it is";
    /// The filter cannot be understood, or asks for what has not failed.
    InvalidFilter = "invalid_filter" 422 "The filter is not valid";
    /// A retry that cannot be understood.
    InvalidRetry = "invalid_retry" 422 "The retry is not valid";
    /// Nothing can be paused by that name, or not by a person.
    InvalidPause = "invalid_pause" 422 "This cannot be paused";
    /// An API key that cannot be made like that.
    InvalidKey = "invalid_key" 422 "The API key cannot be made like that";
    /// A secret that cannot be one.
    InvalidSecret = "invalid_secret" 422 "The secret cannot be one";
    /// The life of a secret does not go that way.
    NotTurned = "not_turned" 409 "The secret cannot change like that";
    /// The master key is wrong or missing.
    VaultLocked = "vault_locked" 503 "The vault of secrets does not open";
    /// A user that cannot be like that.
    InvalidUser = "invalid_user" 422 "The user cannot be like that";
    /// The first user has been entered.
    SetUp = "set_up" 409 "bluetick is set up already";
    /// Somebody else changed it meanwhile.
    Stale = "stale" 409 "It was changed meanwhile";
    /// A return from the archive that cannot be understood.
    InvalidReturn = "invalid_return" 422 "The return is not valid";
    /// An opt-out that cannot be understood.
    InvalidOptOut = "invalid_opt_out" 422 "The opt-out is not valid";
    /// The key stands for another request.
    IdempotencyKeyReused = "idempotency_key_reused" 422 "The Idempotency-Key was used for another request";
    /// Too often.
    RateLimited = "rate_limited" 429 "Too many requests";
    /// Our own fault.
    Internal = "internal" 500 "bluetick failed";
    /// Too much at once.
    Busy = "busy" 503 "bluetick is busy";
    /// As many event streams are open as may be.
    TooManyStreams = "too_many_streams" 503 "Too many event streams are open";
    /// bluetick stops.
    Stopping = "stopping" 503 "bluetick is stopping";
    /// The disk failed.
    StorageFailed = "storage_failed" 503 "The data file cannot be used";
    /// A segment of the archive is missing or damaged.
    ArchiveUnreadable = "archive_unreadable" 503 "The archive cannot be read";
    /// A backup could not be made or read.
    BackupFailed = "backup_failed" 500 "The backup could not be made";
    /// The disk is nearly full.
    StorageFull = "storage_full" 507 "The disk is nearly full";
    /// Twilio had to be asked first, and gave no answer.
    TwilioUnavailable = "twilio_unavailable" 502 "Twilio gave no answer";
    /// Something must be configured first.
    NotConfigured = "not_configured" 503 "This is not configured";
}

/// Why a request failed.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Its stable name.
    pub code: Code,
    /// What is wrong and what to do, in a sentence.
    pub detail: String,
    /// One entry for each field that is wrong.
    pub errors: Vec<FieldError>,
    /// In how many seconds to come again, where that is known better than by the code.
    pub wait_s: Option<u64>,
}

/// One thing that is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The field, as the API names it.
    pub field: String,
    /// What is wrong and what to write instead.
    pub detail: String,
}

/// A problem as it leaves: RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// Always `about:blank`: `code` says which problem it is.
    #[schema(example = "about:blank")]
    pub r#type: &'static str,
    /// The headline; always the same for a code.
    #[schema(example = "The message cannot be sent as it is")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// The stable name of the problem.
    #[schema(example = "invalid_draft")]
    pub code: &'static str,
    /// What is wrong and what to do.
    #[schema(example = "to: is empty: write a phone number like +4915100000001")]
    pub detail: String,
    /// What to look for in the log.
    pub request_id: Option<String>,
    /// One entry for each field that is wrong.
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem with a sentence about it.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), wait_s: None }
    }

    /// A problem with one field.
    pub fn field(code: Code, field: &str, detail: impl Into<String>) -> Self {
        Self::fields(code, vec![FieldError { field: field.to_owned(), detail: detail.into() }])
    }

    /// A problem with several fields.
    pub fn fields(code: Code, errors: Vec<FieldError>) -> Self {
        let sentences: Vec<_> = errors.iter().map(|error| format!("{}: {}", error.field, error.detail)).collect();
        Self { errors, ..Self::new(code, sentences.join("; ")) }
    }

    /// A parameter of the query that cannot be understood.
    pub fn query(field: &str, detail: impl Into<String>) -> Self {
        Self::field(Code::InvalidQuery, field, detail)
    }

    /// Nothing of that name is known.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no such {what}"))
    }

    /// What the web framework found wrong, in our words.
    pub fn from_framework(error: &actix_web::Error) -> Self {
        if let Some(problem) = error.as_error::<Self>() {
            return problem.clone();
        }
        if let Some(error) = error.as_error::<PathError>() {
            return Self::new(Code::InvalidPath, error.to_string());
        }
        if let Some(error) = error.as_error::<PayloadError>() {
            return Self::from_payload(error);
        }
        Self::from_status(error.as_response_error().status_code())
    }

    fn from_payload(error: &PayloadError) -> Self {
        match error {
            PayloadError::Overflow => Self::new(Code::TooLarge, "the body is longer than is accepted here"),
            _ => Self::new(Code::BadRequest, "the body did not arrive whole"),
        }
    }

    /// The problem a bare status stands for.
    pub fn from_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => (Code::NoSuchPath, "nothing is served at this path: GET /openapi.json lists all"),
            StatusCode::METHOD_NOT_ALLOWED => (Code::MethodNotAllowed, "the path exists, but not with this method"),
            StatusCode::PAYLOAD_TOO_LARGE => (Code::TooLarge, "the body is longer than is accepted here"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => (Code::WrongContentType, "the body is of a kind not accepted here"),
            StatusCode::REQUEST_TIMEOUT => (Code::Timeout, "the request took too long to arrive"),
            status if status.is_client_error() => (Code::BadRequest, "the request cannot be understood"),
            _ => (Code::Internal, "bluetick failed: its log says why, under the request_id"),
        };
        Self::new(code, detail)
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.row().1).expect("the table holds HTTP statuses")
    }

    /// The body, with what the log calls the request.
    pub fn body(&self, request_id: Option<String>) -> String {
        let (code, status, title) = self.code.row();
        let (detail, errors) = (self.detail.clone(), self.errors.clone());
        let body = ProblemBody { r#type: "about:blank", title, status, code, detail, request_id, errors };
        serde_json::to_string(&body).expect("a problem is plain strings and numbers")
    }

    /// In how many seconds to come again, if that may help.
    fn retry_after_s(&self) -> Option<u64> {
        match self.code {
            Code::RateLimited => self.wait_s,
            Code::Busy => Some(1),
            Code::Stopping | Code::StorageFull | Code::StorageFailed | Code::NotConfigured => Some(5),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.row().0, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        response.content_type("application/problem+json");
        if let Some(seconds) = self.retry_after_s() {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        response.body(self.body(None))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(_) => Self::new(Code::Busy, "too many writes wait already: come again in a second"),
            StoreError::Closed => Self::new(Code::Stopping, "bluetick takes nothing more in: come again in a moment"),
            StoreError::NoSpace => {
                Self::new(Code::StorageFull, "the disk is nearly full: nothing new is taken in until there is room")
            }
            StoreError::Archive(_) => {
                tracing::error!(%error, "a segment of the archive is missing or damaged");
                let detail = format!("{error}; bluetick archive verify says what to do");
                Self::new(Code::ArchiveUnreadable, detail)
            }
            StoreError::Taken | StoreError::WrongFile(_) | StoreError::Disk(_) => {
                tracing::error!(%error, "the store failed under a request");
                Self::new(Code::StorageFailed, "nothing was stored; the log says what is wrong with the disk")
            }
        }
    }
}

impl From<RetryAfter> for Problem {
    fn from(wait: RetryAfter) -> Self {
        Self { wait_s: Some(wait.seconds), ..Self::new(Code::RateLimited, wait.to_string()) }
    }
}

impl From<Vec<Flaw>> for Problem {
    fn from(flaws: Vec<Flaw>) -> Self {
        let named = |flaw: Flaw| FieldError { field: flaw.field.to_owned(), detail: flaw.detail };
        Self::fields(Code::InvalidDraft, flaws.into_iter().map(named).collect())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::WrongMethod => Code::MethodNotAllowed,
            Refusal::WrongContentType => Code::WrongContentType,
            Refusal::NoSignature => Code::NoSignature,
            Refusal::BadSignature => Code::BadSignature,
            Refusal::OtherAccount => Code::OtherAccount,
            Refusal::TooLarge(_) => Code::TooLarge,
            Refusal::NotUtf8 => Code::NotUtf8,
            Refusal::BadForm(_) => Code::BadForm,
            Refusal::Missing(_) => Code::MissingParameter,
            Refusal::Malformed(_) | Refusal::Repeated => Code::MalformedParameter,
        };
        Self::new(code, refusal.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_word_and_an_error_status() {
        let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.row().0).collect();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| (400..600).contains(&code.row().1)));
    }

    #[test]
    fn every_flaw_of_a_draft_is_named() {
        let flaw = |field, detail: &str| Flaw { field, detail: detail.into() };
        let problem = Problem::from(vec![flaw("to", "is empty"), flaw("body", "is too long")]);
        assert_eq!(problem.detail, "to: is empty; body: is too long");
        assert_eq!(problem.errors[1], FieldError { field: "body".into(), detail: "is too long".into() });
    }

    #[test]
    fn a_full_store_says_when_to_come_again_and_a_failed_disk_tells_no_details() {
        let busy = Problem::from(StoreError::Full(9)).error_response();
        assert_eq!(
            (busy.status().as_u16(), busy.headers().get("retry-after").map(|v| v.as_bytes())),
            (503, Some(&b"1"[..]))
        );
        assert!(!Problem::from(StoreError::Disk("/secret/path".into())).detail.contains("secret"));
    }
}
