//! The WhatsApp senders: what the Channels Senders API shows and changes, and where their messages and statuses go.

use rand::rngs::StdRng;
use serde::Deserialize;
use serde_json::{Value, json};

use super::core::{Emulator, Happening};
use super::exchange::{Answer, Refusal, Request};
use super::options::{Options, Pace, SenderOptions};
use super::paging::{self, Links};
use super::query::Query;
use super::random_hex;
use crate::clock::Time;

/// A sender.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) sid: String,
    pub(super) address: String,
    name: String,
    is_updating: bool,
    pub(super) webhook: Webhook,
}

/// A sender's addresses at the app.
#[derive(Clone, Debug, Default)]
pub(super) struct Webhook {
    pub(super) inbound: Option<String>,
    pub(super) fallback: Option<String>,
    pub(super) status: Option<String>,
}

/// The fields of an update that mean something here; the others are taken and forgotten.
#[derive(Debug, Default, Deserialize)]
struct Update {
    #[serde(default)]
    webhook: Option<WebhookUpdate>,
    #[serde(default)]
    profile: Option<ProfileUpdate>,
}

#[derive(Debug, Deserialize)]
struct WebhookUpdate {
    callback_url: Option<String>,
    fallback_url: Option<String>,
    status_callback_url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ProfileUpdate {
    name: Option<String>,
}

impl Sender {
    /// The senders the options name; their SIDs are made from the seed.
    pub(super) fn all(options: &Options, dice: &mut StdRng) -> Vec<Self> {
        options.senders.iter().map(|sender| Self::new(sender, options, dice)).collect()
    }

    fn new(sender: &SenderOptions, options: &Options, dice: &mut StdRng) -> Self {
        let webhook = Webhook {
            inbound: sender.inbound_url.clone().or_else(|| options.inbound_url.clone()),
            fallback: sender.fallback_url.clone(),
            status: sender.status_callback_url.clone().or_else(|| options.status_callback_url.clone()),
        };
        let sid = format!("XE{}", random_hex(dice));
        Self { sid, address: sender.address.clone(), name: sender.name.clone(), is_updating: false, webhook }
    }

    fn resource(&self, host: &str) -> Value {
        json!({
            "sid": self.sid,
            "sender_id": self.address,
            "status": if self.is_updating { "ONLINE:UPDATING" } else { "ONLINE" },
            "configuration": {"waba_id": "100000000000001", "verification_method": null, "verification_code": null,
                "voice_application_sid": null, "account_type": null},
            "webhook": {
                "callback_url": self.webhook.inbound, "callback_method": "POST",
                "fallback_url": self.webhook.fallback, "fallback_method": "POST",
                "status_callback_url": self.webhook.status, "status_callback_method": "POST",
            },
            "profile": {"name": self.name, "about": null},
            "compliance": null,
            "properties": {"quality_rating": "HIGH", "messaging_limit": "10K Customers/24hr"},
            "offline_reasons": null,
            "url": format!("http://{host}/v2/Channels/Senders/{}", self.sid),
        })
    }
}

impl Emulator {
    /// `GET /v2/Channels/Senders?Channel=whatsapp`.
    pub(super) fn list_senders(&self, request: &Request) -> Result<Answer, Refusal> {
        let query = Query::of(request)?;
        if query.get("Channel") != Some("whatsapp") {
            return Err(Refusal::new(400, 20001, "Channel is required: ask for Channel=whatsapp"));
        }
        let page = paging::offset(&query)?;
        let shown = page.take(&self.senders).map(|sender| sender.resource(&request.host)).collect::<Vec<_>>();
        let meta = Links { request, key: "senders", page, total: self.senders.len() }.meta();
        Ok(Answer::json(200, &json!({"senders": shown, "meta": meta})))
    }

    /// `GET /v2/Channels/Senders/{sid}`.
    pub(super) fn fetch_sender(&self, sid: &str, request: &Request) -> Result<Answer, Refusal> {
        let sender = self.senders.iter().find(|sender| sender.sid == sid);
        let sender = sender.ok_or_else(|| Refusal::not_found(&request.path))?;
        Ok(Answer::json(200, &sender.resource(&request.host)))
    }

    /// `POST /v2/Channels/Senders/{sid}`: answered 202, in force at once, and `ONLINE` again a second later.
    pub(super) fn update_sender(&mut self, sid: &str, request: &Request, now: Time) -> Result<Answer, Refusal> {
        let update: Update = serde_json::from_slice(&request.body)
            .map_err(|error| Refusal::new(400, 20001, format!("The body is not the JSON of a sender: {error}")))?;
        let index = self.senders.iter().position(|sender| sender.sid == sid);
        let index = index.ok_or_else(|| Refusal::not_found(&request.path))?;
        let sender = &mut self.senders[index];
        if let Some(webhook) = update.webhook {
            let changed = [
                (webhook.callback_url, &mut sender.webhook.inbound),
                (webhook.fallback_url, &mut sender.webhook.fallback),
                (webhook.status_callback_url, &mut sender.webhook.status),
            ];
            for (url, place) in changed {
                let Some(url) = url else { continue };
                *place = Some(url).filter(|url| !url.is_empty());
            }
        }
        if let Some(name) = update.profile.and_then(|profile| profile.name) {
            sender.name = name;
        }
        sender.is_updating = true;
        let answer = Answer::json(202, &sender.resource(&request.host));
        let settling = if self.pace == Pace::Instant { 0 } else { 1_000 };
        self.plan(now.plus(std::time::Duration::from_millis(settling)), Happening::SenderOnline(index));
        Ok(answer)
    }

    /// A sender's update is through.
    pub(super) fn sender_online(&mut self, index: usize) {
        if let Some(sender) = self.senders.get_mut(index) {
            sender.is_updating = false;
        }
    }
}
