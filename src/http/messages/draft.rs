//! Reading `POST /v1/messages`: field by field, so that everything that is wrong is named at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::clock::Time;
use crate::http::error::{Code, Problem};
use crate::http::fields::Fields;
use crate::message::{Address, Category, Draft, OnUnknown, Priority, Template, Wish};

/// A message to be sent: `to`, and one of `body`, `media_url` or `content_sid`.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::http) struct SendRequest {
    /// The person: a phone number in international form, or a WhatsApp user id.
    #[schema(example = "whatsapp:+4915100000001")]
    to: String,
    /// Our sender, or a Messaging Service; the configured one if absent.
    from: Option<String>,
    /// Free text, or the caption of a file.
    body: Option<String>,
    /// A file at a public URL.
    #[schema(required = false)]
    media_url: Vec<String>,
    /// An approved template.
    content_sid: Option<String>,
    /// The template's variables.
    #[schema(required = false)]
    variables: BTreeMap<String, String>,
    /// The app's own name for it.
    reference: Option<String>,
    /// The app's own labels.
    #[schema(required = false)]
    tags: Vec<String>,
    /// The app's own notes.
    #[schema(required = false)]
    metadata: BTreeMap<String, String>,
    /// `high`, `normal` or `bulk`.
    #[schema(value_type = String, required = false, example = "normal")]
    priority: Priority,
    /// Not before this time.
    send_at: Option<String>,
    /// Not after this time.
    expires_at: Option<String>,
    /// `marketing`, `utility` or `authentication`: who wants no marketing still gets the rest. Marketing for a bulk
    /// message that does not say, else utility.
    #[schema(value_type = Option<String>, example = "utility")]
    category: Option<Category>,
    /// The template that goes instead when the person's 24-hour window is closed.
    fallback: Option<Fallback>,
    /// Whether it may be sent again after a failure that leaves open whether it arrived.
    #[schema(required = false)]
    may_duplicate: bool,
    /// What to do when Twilio provably has no trace of an attempt: `resend_if_absent` (once), `hold` or `fail`; as
    /// configured if absent.
    #[schema(value_type = Option<String>, example = "resend_if_absent")]
    on_unknown: Option<OnUnknown>,
}

/// A template to fall back on.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Fallback {
    /// An approved template.
    content_sid: String,
    /// The template's variables.
    #[serde(default)]
    #[schema(required = false)]
    variables: BTreeMap<String, String>,
}

const FIELDS: [&str; 16] = [
    "to",
    "from",
    "body",
    "media_url",
    "content_sid",
    "variables",
    "reference",
    "tags",
    "metadata",
    "priority",
    "send_at",
    "expires_at",
    "category",
    "fallback",
    "may_duplicate",
    "on_unknown",
];

impl SendRequest {
    /// Reads a JSON body.
    pub(in crate::http) fn read(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = Fields::read(body, &FIELDS, Code::InvalidDraft)?;
        let request = Self {
            to: fields.take("to", "a text"),
            from: fields.take("from", "a text"),
            body: fields.take("body", "a text"),
            media_url: fields.take("media_url", "a list of URLs"),
            content_sid: fields.take("content_sid", "a text"),
            variables: fields.take("variables", "an object whose values are texts"),
            reference: fields.take("reference", "a text"),
            tags: fields.take("tags", "a list of texts"),
            metadata: fields.take("metadata", "an object whose values are texts"),
            priority: fields.take("priority", "high, normal or bulk"),
            send_at: fields.take("send_at", "a text"),
            expires_at: fields.take("expires_at", "a text"),
            category: fields.take("category", "marketing, utility or authentication"),
            fallback: fields.take("fallback", "an object of content_sid and variables"),
            may_duplicate: fields.take("may_duplicate", "true or false"),
            on_unknown: fields.take("on_unknown", "resend_if_absent, hold or fail"),
        };
        fields.end().map(|()| request)
    }

    /// The hash of what was asked: the same for the same wish, however its JSON was laid out.
    pub(in crate::http) fn hash(&self) -> [u8; 32] {
        let canonical = serde_json::to_vec(self).expect("a request is plain texts, lists and maps");
        Sha256::digest(canonical).into()
    }

    /// The draft that may be accepted.
    pub(in crate::http) fn check(self, default_from: Option<&Address>, now: Time) -> Result<Draft, Problem> {
        let times = [time("send_at", self.send_at.as_deref()), time("expires_at", self.expires_at.as_deref())];
        let [send_at, expires_at] = times;
        let wish = Wish {
            to: self.to,
            from: self.from,
            body: self.body,
            media_url: self.media_url,
            content_sid: self.content_sid,
            variables: self.variables,
            reference: self.reference,
            tags: self.tags,
            metadata: self.metadata,
            priority: self.priority,
            send_at: send_at?,
            expires_at: expires_at?,
            category: self.category,
            fallback: self
                .fallback
                .map(|fallback| Template { sid: fallback.content_sid, variables: fallback.variables }),
            may_duplicate: self.may_duplicate,
            on_unknown: self.on_unknown,
        };
        Ok(Draft::check(wish, default_from, now)?)
    }
}

fn time(field: &'static str, text: Option<&str>) -> Result<Option<Time>, Problem> {
    let read = |text: &str| text.parse().map(|time: jiff::Timestamp| Time(time.as_millisecond()));
    let wrong = |_| Problem::field(Code::InvalidDraft, field, "is no time: write it like 2026-11-23T14:00:00Z");
    text.map(read).transpose().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(body: &str) -> (&'static str, String) {
        let problem = SendRequest::read(body.as_bytes()).expect_err("a wrong request");
        (problem.code.row().0, problem.detail)
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let (code, detail) = wrong(r#"{"to": 1, "variables": {"1": 2}, "priority": "urgent", "conten_sid": "HX"}"#);
        assert_eq!(code, "invalid_draft");
        assert_eq!(
            detail,
            "to: must be a text; variables: must be an object whose values are texts; \
             priority: must be high, normal or bulk; conten_sid: is not known here: do you mean content_sid?"
        );
        assert!(wrong(r#"{"colour": "red"}"#).1.contains("the fields are to, from, body"));
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for body in ["", "{", "[]", "null", "{\"to\": \"\u{0}\"}", "{} {}"] {
            assert_eq!(wrong(body).0, "invalid_json", "{body}");
        }
    }

    #[test]
    fn the_same_wish_has_one_hash_and_another_has_another() {
        let hash = |body: &str| SendRequest::read(body.as_bytes()).expect("a request").hash();
        let one = hash(r#"{"to":"+4915100000001","body":"hi","metadata":{"a":"1","b":"2"}}"#);
        assert_eq!(one, hash(r#"{ "metadata":{"b":"2","a":"1"}, "body":"hi", "from":null, "to":"+4915100000001" }"#));
        assert_ne!(one, hash(r#"{"to":"+4915100000001","body":"ho","metadata":{"a":"1","b":"2"}}"#));
    }
}
