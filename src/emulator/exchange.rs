//! What goes in and out of the emulator's core: a request, an answer, and the posts it wants made to the app.
//!
//! Not here: sockets. The shell turns these into HTTP, a simulation hands them over directly.

use std::time::Duration;

use serde::Serialize;

use super::retry_policy::RetryPolicy;
use crate::twilio::wire::ErrorBody;

/// The methods the emulator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Create or change.
    Post,
    /// Remove.
    Delete,
    /// Anything else: answered 405.
    Other,
}

/// One request to the emulator.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// The path, still percent-encoded.
    pub path: String,
    /// The query, still encoded, without the question mark.
    pub query: String,
    /// The host the caller used, for absolute links in answers.
    pub host: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// How long this request has already been held back because its condition was not met.
    pub waited: Duration,
}

impl Request {
    /// A request without credentials, query or body.
    pub fn new(method: Method, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            host: "localhost".to_owned(),
            authorization: None,
            body: Vec::new(),
            waited: Duration::ZERO,
        }
    }

    /// The same request with HTTP Basic credentials.
    #[must_use]
    pub fn with_basic(mut self, user: &str, password: &str) -> Self {
        use base64::Engine;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.authorization = Some(format!("Basic {pair}"));
        self
    }

    /// The same request with a body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// When and whether an answer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// At once.
    Now,
    /// After this long.
    After(Duration),
    /// Never: the connection is closed without a byte.
    Reset,
    /// The condition asked for is not met: ask again after the next change, with `Request::waited` filled in.
    WhenChanged {
        /// How much longer the caller is willing to wait.
        at_most: Duration,
    },
}

impl How {
    /// How long the answer is held back.
    pub(super) fn wait(self) -> Duration {
        if let Self::After(wait) = self { wait } else { Duration::ZERO }
    }
}

/// The emulator's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Headers beside `Content-Type`; `Date` is the emulator's clock.
    pub headers: Vec<(&'static str, String)>,
    /// `application/json` unless it pretends to be something else.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
    /// When it leaves.
    pub how: How,
}

impl Answer {
    /// JSON, at once.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("the emulator's answers have string keys only");
        Self { status, headers: Vec::new(), content_type: "application/json", body, how: How::Now }
    }

    /// 204.
    pub fn empty() -> Self {
        Self { status: 204, headers: Vec::new(), content_type: "application/json", body: Vec::new(), how: How::Now }
    }

    /// The first header of this name, which is written as it is in `headers`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    /// The same answer, leaving in another way.
    #[must_use]
    pub fn leaving(self, how: How) -> Self {
        Self { how, ..self }
    }
}

/// A refusal in Twilio's words: HTTP status, Twilio's code, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Twilio's code.
    pub code: u32,
    /// A sentence for people.
    pub message: String,
}

impl Refusal {
    /// A refusal with a sentence.
    pub fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// 20404.
    pub fn not_found(path: &str) -> Self {
        Self::new(404, 20404, format!("The requested resource {path} was not found"))
    }

    /// The classic error JSON.
    pub fn answer(&self) -> Answer {
        Answer::json(self.status, &ErrorBody::new(self.code, self.message.as_str(), self.status))
    }
}

/// One signed post to the app, to be made now.
#[derive(Clone, Debug)]
pub struct Later {
    /// Its row in the ledger: what the outcome is reported under.
    pub id: u64,
    /// The message it tells of. Posts of one message leave in the order they were handed out.
    pub sid: String,
    /// Where to; the fragment is already taken off.
    pub url: String,
    /// The form, in the order it is written.
    pub params: Vec<(String, String)>,
    /// The form, encoded.
    pub body: String,
    /// `X-Twilio-Signature`.
    pub signature: String,
    /// `I-Twilio-Idempotency-Token`: the same on every try.
    pub idempotency_token: String,
    /// How often and how patiently it is tried.
    pub retry: RetryPolicy,
}

/// What became of one try to post something to the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The app answered.
    Answered {
        /// Its status.
        status: u16,
        /// Its `Content-Type`, empty if none.
        content_type: String,
        /// Its body, as far as it is read.
        body: String,
    },
    /// No connection.
    NotConnected(String),
    /// Connected, but no answer in time.
    TimedOut,
    /// The answer broke off or was not HTTP.
    Broken(String),
}

impl Delivery {
    /// Whether the app took it.
    pub fn is_acknowledged(&self) -> bool {
        matches!(self, Self::Answered { status, .. } if (200..300).contains(status))
    }
}
