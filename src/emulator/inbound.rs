//! Messages from people: what they write opens the window, and the app is told, at its fallback too if need be. What the
//! app answers in TwiML goes back to them.

use serde::Deserialize;
use serde_json::json;

use super::chaos::Lot;
use super::core::{Dice, Emulator, Happening};
use super::draft::Draft;
use super::exchange::{Answer, Later, Refusal, Request};
use super::ledger::CallbackRow;
use super::message::Message;
use super::random_hex;
use super::scenario::Scenario;
use super::status::Status;
use crate::clock::Time;
use crate::twilio::wire::{InboundMessage, Media, Params};

/// Replies taken from one TwiML answer; Twilio bounds the document, this bounds the work.
const MAX_REPLIES: usize = 10;

/// What `POST /emulator/inbound` takes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Inbound {
    /// The person, with or without `whatsapp:`.
    from: String,
    /// The sender; the first one if absent.
    to: Option<String>,
    body: String,
    profile_name: Option<String>,
    media: Vec<InboundMedia>,
    button_text: Option<String>,
    button_payload: Option<String>,
    latitude: Option<String>,
    longitude: Option<String>,
    /// The message it answers.
    replied_sid: Option<String>,
    /// False: the message is there, but the app is not told, as if Twilio's post had been lost.
    webhook: Option<bool>,
    /// Parameters Twilio may add one day.
    extra: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InboundMedia {
    url: String,
    #[serde(default)]
    content_type: String,
}

impl Emulator {
    /// `POST /emulator/inbound`: a person writes.
    pub(super) fn receive(&mut self, request: &Request, now: Time, dice: &mut Dice) -> Result<Answer, Refusal> {
        let inbound: Inbound = super::control::body(request)?;
        let name = inbound.from.strip_prefix("whatsapp:").unwrap_or(&inbound.from);
        if !super::draft::is_phone(name) && !super::draft::is_user_id(name) {
            return Err(Refusal::new(
                400,
                21211,
                "from: write a number like +4915100000001, or a user id like US.1349",
            ));
        }
        let first = self.senders.first().map(|sender| sender.address.clone());
        let to = inbound.to.clone().or(first).unwrap_or_default();
        if !self.senders.iter().any(|sender| sender.address == to) {
            return Err(Refusal::new(400, 63007, format!("to: {to} is no sender of the account")));
        }
        if !self.book.make_room() {
            return Err(Refusal::new(429, 21611, "Every message kept here is still under way: raise max_messages"));
        }
        let from = format!("whatsapp:{name}");
        let message = self.inbound_form(&inbound, from, to, dice);
        let sid = message.sid.to_string();
        let is_told = inbound.webhook.unwrap_or(true);
        self.wrote(message, is_told, now, dice);
        Ok(Answer::json(201, &json!({"sid": sid})))
    }

    /// A person answers one of our messages.
    pub(super) fn reply(&mut self, number: u64, words: &str, now: Time, dice: &mut Dice) {
        let Some(message) = self.book.get(number) else { return };
        let (from, to, sid) = (message.to.clone(), message.from.clone().unwrap_or_default(), message.sid.clone());
        if !self.book.make_room() {
            return;
        }
        let inbound = Inbound { body: words.to_owned(), replied_sid: Some(sid), ..Inbound::default() };
        let form = self.inbound_form(&inbound, from, to, dice);
        self.wrote(form, true, now, dice);
    }

    fn inbound_form(&self, inbound: &Inbound, from: String, to: String, dice: &mut Dice) -> InboundMessage {
        let prefix = if inbound.media.is_empty() { "SM" } else { "MM" };
        let sid = format!("{prefix}{}", random_hex(dice)).parse().expect("the emulator makes SIDs of the right form");
        let kind = match inbound {
            Inbound { button_text: Some(_), .. } => "button",
            Inbound { latitude: Some(_), .. } => "location",
            Inbound { media, .. } => media.first().map_or("text", |media| kind(&media.content_type)),
        };
        let digits = from.strip_prefix("whatsapp:+").map(str::to_owned);
        let user_id = super::callbacks::user_id(&from);
        let mut form = InboundMessage::new(sid, from, to, inbound.body.clone());
        form.account_sid = Some(self.account.sid.clone());
        form.profile_name = Some(inbound.profile_name.clone().unwrap_or_else(|| "Sam Example".to_owned()));
        form.wa_id = digits;
        form.external_user_id = Some(user_id);
        form.message_type = Some(kind.to_owned());
        form.media = inbound.media.iter().map(InboundMedia::to_wire).collect();
        form.num_media = u32::try_from(form.media.len()).unwrap_or(u32::MAX);
        form.button_text = inbound.button_text.clone();
        form.button_payload = inbound.button_payload.clone();
        form.button_type = inbound.button_text.as_ref().map(|_| "REPLY".to_owned());
        form.latitude = inbound.latitude.clone();
        form.longitude = inbound.longitude.clone();
        form.replied_sid = inbound.replied_sid.clone();
        form.extra = vec![("ChannelPrefix".to_owned(), "whatsapp".to_owned())];
        form.extra.extend(inbound.extra.iter().map(|(name, value)| (name.clone(), value.clone())));
        form
    }

    /// Keeps what a person wrote and plans to tell the app.
    fn wrote(&mut self, mut form: InboundMessage, is_told: bool, now: Time, dice: &mut Dice) {
        self.ledger.counts.inbound += 1;
        let opt_out = self.contacts.wrote(&form.from, &form.to, &form.body, now);
        let pool = self.options.messaging_services.iter().find(|service| service.senders.contains(&form.to));
        form.messaging_service_sid = pool.filter(|pool| pool.inbound_url.is_some()).map(|pool| pool.sid.clone());
        form.opt_out_type = opt_out.filter(|_| form.messaging_service_sid.is_some()).map(str::to_owned);
        let pool_url = pool.and_then(|pool| pool.inbound_url.clone());
        self.book.insert(Message {
            sid: form.sid.to_string(),
            direction: "inbound",
            from: Some(form.from.clone()),
            to: form.to.clone(),
            service: form.messaging_service_sid.clone(),
            body: form.body.clone(),
            media: form.media.clone(),
            is_template: false,
            status: Status::Received,
            code: None,
            created: now,
            sent: Some(now),
            updated: now,
            callback_url: None,
            listed_from: now.plus(self.chaos.list_lag(dice)),
            ledger_row: None,
        });
        let webhook = self.senders.iter().find(|sender| sender.address == form.to).map(|sender| sender.webhook.clone());
        let webhook = webhook.unwrap_or_default();
        let url = pool_url.or(webhook.inbound);
        if let Some(url) = url.filter(|_| is_told) {
            let (sid, params) = (form.sid.to_string(), form.to_params());
            let post = InboundPost { sid, url, params, fallback: webhook.fallback };
            let copies = self.chaos.copies(dice);
            if copies.is_empty() {
                self.ledger.posted(post.row("lost", now));
            }
            for wait in copies {
                self.plan(now.plus(wait), Happening::Inbound(Box::new(post.clone())));
            }
        }
    }

    /// Tells the app what a person wrote.
    pub(super) fn post_inbound(&mut self, post: InboundPost, now: Time, dice: &mut Dice) -> Later {
        let later = self.post(post.row("waiting", now), post.params.clone(), now, dice);
        if post.fallback.is_some() {
            self.with_fallback.insert(later.id, post);
        }
        later
    }

    /// An inbound post is through: taken, or not, and then its fallback gets it.
    pub(super) fn inbound_posted(&mut self, id: u64, is_taken: bool, now: Time, dice: &mut Dice) -> Option<Later> {
        let post = self.with_fallback.remove(&id).filter(|_| !is_taken)?;
        let url = post.fallback?;
        Some(self.post_inbound(InboundPost { url, fallback: None, ..post }, now, dice))
    }

    /// Sends what the app's TwiML says back to the person.
    pub(super) fn answer_person(&mut self, sid: &str, twiml: &str, now: Time, dice: &mut Dice) {
        let Some(message) = self.book.number(sid).and_then(|number| self.book.get(number)) else { return };
        let (person, sender) = (message.person().to_owned(), message.to.clone());
        let callback_url =
            self.senders.iter().find(|known| known.address == sender).and_then(|known| known.webhook.status.clone());
        for words in replies(twiml) {
            if !self.book.make_room() {
                return;
            }
            let draft = Draft {
                to: person.clone(),
                sender: sender.clone(),
                service: None,
                body: words,
                media: Vec::new(),
                template: None,
                callback_url: callback_url.clone(),
                send_at: None,
            };
            self.send_reply(&draft, now, dice);
        }
    }

    fn send_reply(&mut self, draft: &Draft, now: Time, dice: &mut Dice) {
        let number = self.book.insert(Message {
            sid: format!("SM{}", random_hex(dice)),
            direction: "outbound-reply",
            from: Some(draft.sender.clone()),
            to: draft.to.clone(),
            service: None,
            body: draft.body.clone(),
            media: Vec::new(),
            is_template: false,
            status: Status::Queued,
            code: None,
            created: now,
            sent: None,
            updated: now,
            callback_url: draft.callback_url.clone(),
            listed_from: now,
            ledger_row: None,
        });
        self.live(number, draft, Lot::chosen(Scenario::Normal), now, dice);
    }
}

/// One telling of the app what a person wrote.
#[derive(Clone, Debug)]
pub(super) struct InboundPost {
    sid: String,
    url: String,
    params: Params,
    fallback: Option<String>,
}

impl InboundPost {
    fn row(&self, outcome: &'static str, now: Time) -> CallbackRow {
        CallbackRow {
            seq: 0,
            at: now,
            kind: "inbound",
            sid: self.sid.clone(),
            status: Status::Received,
            code: None,
            url: self.url.clone(),
            outcome,
            tries: Vec::new(),
        }
    }
}

impl InboundMedia {
    fn to_wire(&self) -> Media {
        Media { url: self.url.clone(), content_type: self.content_type.clone() }
    }
}

/// WhatsApp's word for what the media is.
fn kind(content_type: &str) -> &'static str {
    match content_type.split('/').next() {
        Some("image") => "image",
        Some("audio") => "audio",
        Some("video") => "video",
        _ => "document",
    }
}

/// The texts of `<Message>text</Message>` and `<Message><Body>text</Body></Message>`.
fn replies(twiml: &str) -> Vec<String> {
    let messages = twiml.split("<Message").skip(1).take(MAX_REPLIES);
    let text = |message: &str| {
        let (_, inside) = message.split_once('>')?;
        let (inside, _) = inside.split_once("</Message>")?;
        let body = inside.split_once("<Body>").and_then(|(_, rest)| rest.split_once("</Body>")).map(|(body, _)| body);
        let words = unescape(body.unwrap_or(inside)).trim().to_owned();
        (!words.is_empty()).then_some(words)
    };
    messages.filter_map(text).collect()
}

fn unescape(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    entities.into_iter().fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twiml_messages_are_read_in_both_forms() {
        let twiml = "<?xml version=\"1.0\"?><Response><Message>Hi &amp; bye</Message><Message to=\"x\"><Body>2</Body></Message></Response>";
        assert_eq!(replies(twiml), ["Hi & bye", "2"]);
        assert!(replies("<Response/>").is_empty() && replies("<Message").is_empty());
    }
}
