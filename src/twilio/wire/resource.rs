//! The Messages resource of Twilio's REST API: what we ask for, what it answers, how it refuses.
//!
//! Fields are strings or null as Twilio writes them; <https://www.twilio.com/docs/messaging/api/message-resource>.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::message::Sid;
use crate::twilio::wire::form::{Fields, Form};
use crate::twilio::wire::{Params, parse_date};

/// The form that asks Twilio to send a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateMessage {
    /// `To`; empty says it was not given, which Twilio refuses with 21604.
    pub to: String,
    /// `From`: our sender.
    pub from: Option<String>,
    /// `MessagingServiceSid`: the pool that chooses the sender.
    pub messaging_service_sid: Option<String>,
    /// `Body`.
    pub body: Option<String>,
    /// `MediaUrl`, repeated.
    pub media_url: Vec<String>,
    /// `ContentSid`: a template.
    pub content_sid: Option<String>,
    /// `ContentVariables`: a JSON object in a string.
    pub content_variables: Option<String>,
    /// `StatusCallback`: where Twilio tells us how it went on.
    pub status_callback: Option<String>,
    /// `ValidityPeriod` in seconds: how long Twilio may try, 1 to 36000.
    pub validity_period_s: Option<u32>,
    /// Parameters we have no name for, bounded.
    pub extra: Params,
}

impl CreateMessage {
    /// The parameters in the order Twilio documents them.
    pub fn to_form(&self) -> Params {
        let mut form = Form::default();
        form.put("To", &self.to)
            .put_some("From", self.from.as_ref())
            .put_some("MessagingServiceSid", self.messaging_service_sid.as_ref())
            .put_some("Body", self.body.as_ref());
        for url in &self.media_url {
            form.put("MediaUrl", url);
        }
        form.put_some("ContentSid", self.content_sid.as_ref())
            .put_some("ContentVariables", self.content_variables.as_ref())
            .put_some("StatusCallback", self.status_callback.as_ref())
            .put_some("ValidityPeriod", self.validity_period_s.map(|seconds| seconds.to_string()).as_ref());
        form.into_params(&self.extra)
    }

    /// Reads what a client of Twilio's sent. Never fails: what is wrong with it is for Twilio to say.
    pub fn from_form(params: &[(String, String)]) -> Self {
        let mut fields = Fields::new(params);
        Self {
            to: fields.take_some("To").unwrap_or_default(),
            from: fields.take_some("From"),
            messaging_service_sid: fields.take_some("MessagingServiceSid"),
            body: fields.take_some("Body"),
            media_url: fields.take_all("MediaUrl"),
            content_sid: fields.take_some("ContentSid"),
            content_variables: fields.take_some("ContentVariables"),
            status_callback: fields.take_some("StatusCallback"),
            validity_period_s: fields.take_number("ValidityPeriod"),
            extra: fields.rest(),
        }
    }
}

/// A message as Twilio shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageResource {
    /// `SM…` or `MM…`.
    pub sid: String,
    /// `AC…`.
    pub account_sid: Option<String>,
    /// `2010-04-01`.
    pub api_version: Option<String>,
    /// Our sender; for inbound messages the person.
    pub from: Option<String>,
    /// The person; for inbound messages our sender.
    pub to: Option<String>,
    /// The text, unless redacted.
    pub body: Option<String>,
    /// Where it stands, in Twilio's words.
    pub status: String,
    /// `inbound`, `outbound-api`, `outbound-call`, `outbound-reply`.
    pub direction: Option<String>,
    /// RFC 2822.
    pub date_created: Option<String>,
    /// RFC 2822; null until sent.
    pub date_sent: Option<String>,
    /// RFC 2822.
    pub date_updated: Option<String>,
    /// A number in a string.
    pub num_media: Option<String>,
    /// A number in a string.
    pub num_segments: Option<String>,
    /// Why it failed; the only number here that is one.
    pub error_code: Option<u32>,
    /// The same in words.
    pub error_message: Option<String>,
    /// A negative amount in a string; null until billed.
    pub price: Option<String>,
    /// `USD` and others.
    pub price_unit: Option<String>,
    /// `MG…`, if a service chose the sender.
    pub messaging_service_sid: Option<String>,
    /// Path of this resource below the host.
    pub uri: Option<String>,
    /// `media` and its path.
    pub subresource_uris: Option<BTreeMap<String, String>>,
}

impl MessageResource {
    /// The SID as a value, if it is one.
    pub fn sid(&self) -> Option<Sid> {
        self.sid.parse().ok()
    }

    /// When Twilio took it, in Unix milliseconds.
    pub fn created_ms(&self) -> Option<i64> {
        self.date_created.as_deref().and_then(parse_date)
    }

    /// When Twilio handed it on, in Unix milliseconds.
    pub fn sent_ms(&self) -> Option<i64> {
        self.date_sent.as_deref().and_then(parse_date)
    }

    /// When Twilio last changed it, in Unix milliseconds.
    pub fn updated_ms(&self) -> Option<i64> {
        self.date_updated.as_deref().and_then(parse_date)
    }

    /// Whether a person wrote it to us.
    pub fn is_inbound(&self) -> bool {
        self.direction.as_deref() == Some("inbound")
    }
}

/// One page of the list of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePage {
    /// The messages, newest first.
    pub messages: Vec<MessageResource>,
    /// Number of this page, from 0.
    pub page: Option<u64>,
    /// Most messages a page holds.
    pub page_size: Option<u64>,
    /// Number of the first message here.
    pub start: Option<u64>,
    /// Number of the last message here.
    pub end: Option<u64>,
    /// Path of this page.
    pub uri: Option<String>,
    /// Path of the first page.
    pub first_page_uri: Option<String>,
    /// Path of the page before; null on the first.
    pub previous_page_uri: Option<String>,
    /// Path of the page after; null on the last.
    pub next_page_uri: Option<String>,
}

/// How Twilio refuses, in its older shape; the newer one (RFC 9457) is read too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Twilio's number for what is wrong.
    pub code: u32,
    /// The same in words.
    #[serde(default, deserialize_with = "null_is_default")]
    pub message: String,
    /// The page that explains it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub more_info: String,
    /// The HTTP status, again.
    #[serde(default, deserialize_with = "null_is_default")]
    pub status: u16,
    /// The words of the newer shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl ErrorBody {
    /// A refusal in the older shape.
    pub fn new(code: u32, message: impl Into<String>, status: u16) -> Self {
        let more_info = format!("https://www.twilio.com/docs/errors/{code}");
        Self { code, message: message.into(), more_info, status, detail: None }
    }

    /// What it says to a person, whichever shape it came in.
    pub fn sentence(&self) -> &str {
        if self.message.is_empty() { self.detail.as_deref().unwrap_or_default() } else { &self.message }
    }
}

fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_reads_back_what_it_writes() {
        let create = CreateMessage {
            to: "whatsapp:+4915100000001".into(),
            from: Some("whatsapp:+15550001111".into()),
            media_url: vec!["https://media.example/a".into(), "https://media.example/b".into()],
            content_variables: Some(r#"{"1":"x"}"#.into()),
            validity_period_s: Some(600),
            extra: vec![("ScheduleType".into(), "fixed".into())],
            ..CreateMessage::default()
        };
        assert_eq!(CreateMessage::from_form(&create.to_form()), create);
    }

    #[test]
    fn a_fresh_message_with_its_nulls_is_read() {
        let json = r#"{"sid":"SM00000000000000000000000000000001","status":"queued","error_code":null,"date_sent":null,
            "date_created":"Thu, 05 Feb 2026 10:30:00 +0000","price":null,"direction":"outbound-api","new_field":[1],
            "subresource_uris":{"media":"/2010-04-01/Accounts/AC1/Messages/SM1/Media.json"}}"#;
        let message: MessageResource = serde_json::from_str(json).expect("a message");
        assert!(message.sid().is_some() && message.sent_ms().is_none() && !message.is_inbound());
        assert_eq!(message.created_ms(), Some(1_770_287_400_000));
    }

    #[test]
    fn both_shapes_of_an_error_are_read() {
        let written = serde_json::to_string(&ErrorBody::new(21211, "Invalid 'To'", 400)).expect("json");
        assert_eq!(
            written,
            r#"{"code":21211,"message":"Invalid 'To'","more_info":"https://www.twilio.com/docs/errors/21211","status":400}"#
        );
        let newer = r#"{"type":"about:blank","title":"Bad","status":400,"code":63112,"message":null,"detail":"no such sender"}"#;
        let read: ErrorBody = serde_json::from_str(newer).expect("an error");
        assert_eq!((read.code, read.sentence()), (63112, "no such sender"));
    }
}
