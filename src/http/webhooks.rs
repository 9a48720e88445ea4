//! What Twilio calls: how our messages fare, and what people write. The busiest path of the house.
//!
//! Invariant: 2xx means that it is on disk; anything else means that nothing of it was stored, and Twilio asks again
//! where that may help (503). A write that has been handed over is done even if Twilio hangs up meanwhile.
//! Not here: what a status means for a message (`message`), whose it is (`store`).

use std::collections::BTreeMap;

use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::app::App;
use super::body;
use super::error::{Code, Problem};
use super::quarantine;
use crate::clock::Time;
use crate::message::{AttemptId, Source, Word};
use crate::store::{Inbound, Report, Write};
use crate::twilio::webhook::{Refusal, Request, Verified, Webhook};
use crate::twilio::wire::{InboundMessage, MAX_FORM_BYTES, StatusCallback};

/// No answer to the person: bluetick only takes note.
const EMPTY_TWIML: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;
const STATUS_PATH: &str = "/webhooks/twilio/status";
const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");
/// For who or what Twilio left unnamed.
const UNNAMED: &str = "unknown";

/// How one of our messages fares, or one that was sent without us.
pub(super) async fn status(request: HttpRequest, app: Data<App>, payload: Payload) -> Result<HttpResponse, Problem> {
    let opened = open(&request, &app, payload).await;
    let callback = noted(&app, opened.and_then(|verified| Ok(verified.status()?)))?;
    // A path that names no attempt is no reason to lose what Twilio says: the SID finds the message as well.
    let attempt = request.match_info().get("attempt").and_then(|text| text.parse().ok());
    follow(&app, callback, attempt).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What a person wrote.
pub(super) async fn inbound(request: HttpRequest, app: Data<App>, payload: Payload) -> Result<HttpResponse, Problem> {
    let opened = open(&request, &app, payload).await;
    let message = noted(&app, opened.and_then(|verified| inbound_of(&verified)))?;
    receive(&app, message).await?;
    Ok(HttpResponse::Ok().content_type("text/xml; charset=utf-8").body(EMPTY_TWIML))
}

/// A request that was refused before, through the same door again.
pub(super) async fn take(app: &App, request: &Request<'_>) -> Result<(), Problem> {
    let verified = webhook(app)?.open(*request, app.clock.now())?;
    let path = request.target.split('?').next().unwrap_or_default();
    match path.strip_prefix(STATUS_PATH) {
        Some(rest) => {
            let attempt = rest.strip_prefix('/').and_then(|text| text.parse().ok());
            follow(app, verified.status()?, attempt).await
        }
        None => receive(app, inbound_of(&verified)?).await,
    }
}

async fn follow(app: &App, callback: StatusCallback, attempt: Option<AttemptId>) -> Result<(), Problem> {
    app.store.write(Write::Report(Box::new(report(callback, attempt, rand::random())))).await?;
    app.tally.callbacks.add(app.clock.now());
    Ok(())
}

async fn receive(app: &App, message: InboundMessage) -> Result<(), Problem> {
    app.store.write(Write::Receive(Box::new(record(message, app.clock.now())))).await?;
    app.tally.callbacks.add(app.clock.now());
    Ok(())
}

/// A status callback that came here would look like a message from ourselves: the two URLs were mixed up.
fn inbound_of(verified: &Verified) -> Result<InboundMessage, Problem> {
    if verified.params().iter().any(|(name, _)| name == "MessageStatus") {
        let detail = "this is a status callback: its URL is /webhooks/twilio/status";
        return Err(Problem::new(Code::MalformedParameter, detail));
    }
    Ok(verified.inbound()?)
}

fn webhook(app: &App) -> Result<&Webhook, Problem> {
    app.webhook.as_ref().ok_or_else(|| {
        let detail = "no callback can be verified yet: set public_url, twilio.account_sid and twilio.auth_token";
        Problem::new(Code::NotConfigured, detail)
    })
}

async fn open(request: &HttpRequest, app: &Data<App>, payload: Payload) -> Result<Verified, Problem> {
    let webhook = webhook(app)?;
    let body = body::read(request, payload, MAX_FORM_BYTES).await?;
    let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let asked = Request {
        method: request.method().as_str(),
        target: request.uri().path_and_query().map_or("", |target| target.as_str()),
        content_type: text(CONTENT_TYPE),
        body: &body,
        signature: text(SIGNATURE),
    };
    // What is signed is never held up: only what is not is counted, and nothing of it is kept when there is too much.
    webhook.open(asked, app.clock.now()).map_err(|refusal| {
        if refusal != Refusal::OtherAccount
            && let Err(wait) = app.limits.bad_signature(app.client(request), app.clock.now())
        {
            return wait.into();
        }
        quarantine::keep(app, request, &body, refusal);
        refusal.into()
    })
}

/// Counts what is refused, and tells the log once a second at most: a flood must not become a flood of lines.
fn noted<T>(app: &App, result: Result<T, Problem>) -> Result<T, Problem> {
    if let Err(problem) = &result
        && app.tally.refused.add(app.clock.now()) == 1
    {
        tracing::warn!(code = problem.code.row().0, "a request to a webhook was refused: {}", problem.detail);
    }
    result
}

/// What is written down of a status callback that came to an attempt's own path, or to none. `random` is for the id,
/// should nobody know the message.
pub fn report(callback: StatusCallback, attempt: Option<AttemptId>, random: [u8; 10]) -> Report {
    let StatusCallback { sid, status, error_code, from, to, messaging_service_sid, external_user_id, .. } = callback;
    Report {
        attempt,
        sid,
        word: Word::parse(&status),
        code: error_code,
        source: Source::Callback,
        from: from.or(messaging_service_sid).unwrap_or_else(|| UNNAMED.to_owned()),
        to: to.unwrap_or_else(|| UNNAMED.to_owned()),
        also: external_user_id,
        random,
    }
}

/// What is written down of a message that a person wrote.
pub fn record(message: InboundMessage, now: Time) -> Inbound {
    let extra = extra(&message);
    let InboundMessage { sid, from, to, body, profile_name, media, external_user_id, parent_external_user_id, .. } =
        message;
    let also = [external_user_id, parent_external_user_id].into_iter().flatten().filter(|name| *name != from);
    Inbound {
        sid,
        at: now,
        source: Source::Callback,
        also: also.collect(),
        from,
        to,
        contact: 0,
        sender: 0,
        body,
        profile_name,
        media: media.into_iter().map(|media| (media.url, media.content_type)).collect(),
        extra,
    }
}

/// Everything else that was said, under Twilio's own names.
fn extra(message: &InboundMessage) -> BTreeMap<String, String> {
    let count = (message.num_media > 0).then(|| message.num_media.to_string());
    let named = [
        ("MessagingServiceSid", &message.messaging_service_sid),
        ("MessageType", &message.message_type),
        ("NumMedia", &count),
        ("ButtonText", &message.button_text),
        ("ButtonPayload", &message.button_payload),
        ("ButtonType", &message.button_type),
        ("OptOutType", &message.opt_out_type),
        ("OriginalRepliedMessageSid", &message.replied_sid),
        ("Latitude", &message.latitude),
        ("Longitude", &message.longitude),
        ("Address", &message.address),
        ("Label", &message.label),
        ("WaId", &message.wa_id),
    ];
    let known = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    known.chain(message.extra.iter().cloned()).collect()
}

#[cfg(test)]
mod tests;
