//! A message as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::standing::{EndedView, HeldView, failed_at};
use crate::clock::Time;
use crate::http::failures::FailureView;
use crate::http::sight::Sight;
use crate::message::{Attempt, Content, Handing, Message, Next, OnUnknown, Origin, Priority, Template, Word};
use crate::store::{Snapshot, StoreError};

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub(in crate::http) struct MessageView {
    /// Always `message`.
    object: &'static str,
    /// `msg_` and 32 hex digits.
    id: String,
    /// How far it has come: `pending`, `held`, `in_flight`, `unknown`, a word of Twilio's, or `refused`, `expired`,
    /// `suppressed`, `canceled`.
    status: String,
    /// `api`, or `external` for one that was sent without us.
    origin: &'static str,
    /// Whether nothing more can be expected but a late `read`.
    settled: bool,
    from: String,
    to: String,
    body: Option<String>,
    media_url: Vec<String>,
    content_sid: Option<String>,
    variables: BTreeMap<String, String>,
    reference: Option<String>,
    tags: Vec<String>,
    metadata: BTreeMap<String, String>,
    #[schema(value_type = String, example = "normal")]
    priority: Priority,
    /// `marketing`, `utility` or `authentication`.
    #[schema(example = "utility")]
    category: &'static str,
    /// The template that goes instead when the person's 24-hour window is closed.
    fallback: Option<FallbackView>,
    /// Whether it may be sent again after a failure that leaves open whether it arrived.
    may_duplicate: bool,
    /// What becomes of it when Twilio provably has no trace of an attempt: `resend_if_absent`, `hold` or `fail`; null
    /// for what is configured.
    #[schema(example = "resend_if_absent")]
    on_unknown: Option<&'static str>,
    send_at: Option<String>,
    expires_at: Option<String>,
    accepted_at: String,
    sent_at: Option<String>,
    delivered_at: Option<String>,
    read_at: Option<String>,
    failed_at: Option<String>,
    updated_at: String,
    /// Accepted to sent.
    queue_ms: Option<u64>,
    /// Sent to delivered.
    delivery_ms: Option<u64>,
    /// Delivered to read.
    read_ms: Option<u64>,
    /// Twilio's name for it.
    sid: Option<String>,
    /// Why it failed, or failed once.
    error: Option<FailureView>,
    /// Whether Twilio said of one attempt both that it arrived and that it did not.
    anomaly: bool,
    /// Whether the person may have got it twice.
    duplicate_detected: bool,
    /// What it waits for, if it is held.
    held: Option<HeldView>,
    /// How it ended, if that was not Twilio's word.
    ended: Option<EndedView>,
    /// The one next thing to do with it.
    next: Option<NextView>,
    attempts: Vec<AttemptView>,
    /// Facts that came after its journal was full.
    journal_dropped: u32,
    /// Whether it is in the archive.
    archived: bool,
    /// Whether what it said was forgotten, as old words are (`retention.bodies_days`).
    forgotten: bool,
}

/// A template to fall back on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FallbackTemplate)]
pub(in crate::http) struct FallbackView {
    content_sid: String,
    variables: BTreeMap<String, String>,
}

/// The one next thing to do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Next)]
pub(in crate::http) struct NextView {
    /// `send` or `reconcile`.
    step: &'static str,
    due_at: String,
}

/// One handing of a message to Twilio.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(in crate::http) struct AttemptView {
    /// From 1.
    number: u8,
    /// `as_asked`, or `fallback` where the fallback template was sent instead.
    form: &'static str,
    /// `in_flight`, `sent`, `refused`, `not_processed`, `unknown`, or `absent` where Twilio has no trace of it.
    state: &'static str,
    /// Whether another attempt was made though nobody knew what became of this one.
    written_off: bool,
    /// The furthest Twilio said of it.
    status: Option<String>,
    sid: Option<String>,
    started_at: String,
    answered_at: Option<String>,
    /// What Twilio said, or what was seen instead of an answer.
    reason: Option<String>,
    error_code: Option<u32>,
    receipt: Vec<SeenView>,
}

/// When a status was first seen.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Seen)]
pub(in crate::http) struct SeenView {
    status: String,
    at: String,
    /// Whether Twilio told us at the time; else we asked, and it happened at `at` or before.
    timed: bool,
}

impl MessageView {
    /// The message as a snapshot has it.
    pub(in crate::http) fn read(message: &Message, snapshot: &Snapshot, sight: Sight) -> Result<Self, StoreError> {
        Ok(Self { archived: snapshot.segment_of(message.id)?.is_some(), ..Self::of(message, sight) })
    }

    /// The message as it was just written: not in the archive, whatever it was before.
    pub(in crate::http) fn of(message: &Message, sight: Sight) -> Self {
        let draft = &message.draft;
        let (body, media_url, content_sid, variables) = content(&draft.content);
        let (body, media_url, variables) = sight.words((body, media_url, variables));
        let text = |time: Option<Time>| time.map(|time| time.to_string());
        let [sent, delivered, read] = [Word::Sent, Word::Delivered, Word::Read].map(|word| message.time(&word));
        Self {
            object: "message",
            id: message.id.to_string(),
            status: message.status().to_string(),
            origin: origin(message.origin),
            settled: message.is_settled(),
            from: draft.from.to_string(),
            to: sight.address(&draft.to.to_string()),
            body,
            media_url,
            content_sid,
            variables,
            reference: draft.reference.clone(),
            tags: draft.tags.clone(),
            metadata: sight.words(draft.metadata.clone()),
            priority: draft.priority,
            category: draft.category.as_str(),
            fallback: draft.fallback.clone().map(|template| FallbackView::of(template, sight)),
            may_duplicate: draft.may_duplicate,
            on_unknown: draft.on_unknown.map(OnUnknown::as_str),
            send_at: text(draft.send_at),
            expires_at: text(draft.expires_at),
            accepted_at: message.accepted_at.to_string(),
            sent_at: text(sent),
            delivered_at: text(delivered),
            read_at: text(read),
            failed_at: text(failed_at(message)),
            updated_at: message.updated_at.to_string(),
            queue_ms: between(Some(message.accepted_at), sent),
            delivery_ms: between(sent, delivered),
            read_ms: between(delivered, read),
            sid: message.sid().map(|sid| sid.to_string()),
            error: message.code().map(FailureView::of),
            anomaly: message.is_contradictory(),
            duplicate_detected: message.is_duplicate(),
            held: HeldView::of(message),
            ended: EndedView::of(message),
            next: message.next.map(NextView::of),
            attempts: message.attempts.iter().map(|attempt| AttemptView::of(attempt, sight)).collect(),
            journal_dropped: message.journal.dropped,
            archived: false,
            forgotten: matches!(draft.content, Content::Forgotten { .. }),
        }
    }
}

type Shown = (Option<String>, Vec<String>, Option<String>, BTreeMap<String, String>);

fn content(content: &Content) -> Shown {
    match content.clone() {
        Content::Text(body) => (Some(body), Vec::new(), None, BTreeMap::new()),
        Content::Media { urls, caption } => (caption, urls, None, BTreeMap::new()),
        Content::Template(Template { sid, variables }) => (None, Vec::new(), Some(sid), variables),
        Content::Elsewhere => (None, Vec::new(), None, BTreeMap::new()),
        Content::Forgotten { template } => (None, Vec::new(), template, BTreeMap::new()),
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Api => "api",
        Origin::External => "external",
    }
}

/// Milliseconds between two times that were both seen, in order.
fn between(from: Option<Time>, to: Option<Time>) -> Option<u64> {
    let (from, to) = (from?, to?);
    u64::try_from(to.0 - from.0).ok()
}

impl FallbackView {
    fn of(Template { sid, variables }: Template, sight: Sight) -> Self {
        Self { content_sid: sid, variables: sight.words(variables) }
    }
}

impl NextView {
    fn of(next: Next) -> Self {
        Self { step: next.step.as_str(), due_at: next.due.to_string() }
    }
}

impl AttemptView {
    fn of(attempt: &Attempt, sight: Sight) -> Self {
        let (state, reason, code) = handing(&attempt.handing);
        let seen = attempt.receipt.history().map(|(word, seen)| SeenView {
            status: word.as_str().to_owned(),
            at: seen.at.to_string(),
            timed: !seen.untimed,
        });
        Self {
            number: attempt.number,
            form: attempt.form.as_str(),
            state,
            written_off: attempt.is_written_off,
            status: attempt.receipt.word().map(|word| word.as_str().to_owned()),
            sid: attempt.sid().map(|sid| sid.to_string()),
            started_at: attempt.started_at.to_string(),
            answered_at: attempt.answered_at.map(|at| at.to_string()),
            // Twilio repeats in it what it was given.
            reason: sight.words(reason),
            error_code: code.or_else(|| attempt.receipt.codes.first().copied()),
            receipt: seen.collect(),
        }
    }
}

fn handing(handing: &Handing) -> (&'static str, Option<String>, Option<u32>) {
    match handing {
        Handing::InFlight => ("in_flight", None, None),
        Handing::Accepted => ("sent", None, None),
        Handing::Refused { code, detail } => ("refused", Some(detail.clone()), *code),
        Handing::NotProcessed { detail } => ("not_processed", Some(detail.clone()), None),
        Handing::Unknown { detail } => ("unknown", Some(detail.clone()), None),
        Handing::Absent { detail } => ("absent", Some(detail.clone()), None),
    }
}
