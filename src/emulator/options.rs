//! What can be chosen about the emulator before it starts: the account it plays, who sends, who listens, and how fast people are.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// How long contacts take to receive, read and reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Delays a person would show: fractions of a second to be sent, seconds to be delivered and read.
    Lifelike,
    /// No delays at all: every step follows at once. What tests want.
    #[default]
    Instant,
}

/// One WhatsApp sender of the account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SenderOptions {
    /// Its address, `whatsapp:+…`.
    pub address: String,
    /// The display name people see.
    pub name: String,
    /// Where its inbound messages are posted; `Options::inbound_url` if absent.
    pub inbound_url: Option<String>,
    /// Where they are posted when that fails.
    pub fallback_url: Option<String>,
    /// Where statuses go that no message asked for; `Options::status_callback_url` if absent.
    pub status_callback_url: Option<String>,
}

impl Default for SenderOptions {
    fn default() -> Self {
        Self {
            address: "whatsapp:+15550001111".to_owned(),
            name: "Example Shop".to_owned(),
            inbound_url: None,
            fallback_url: None,
            status_callback_url: None,
        }
    }
}

/// One Messaging Service: a pool of senders.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceOptions {
    /// `MG` and 32 hex digits.
    pub sid: String,
    /// Addresses of its senders; a recipient always gets the same one.
    pub senders: Vec<String>,
    /// Where statuses of its messages go when the message itself names no place.
    pub status_callback_url: Option<String>,
    /// Where its inbound messages go; the sender's own place if absent.
    pub inbound_url: Option<String>,
}

/// One content template.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TemplateOptions {
    /// `HX` and 32 hex digits.
    pub sid: String,
    /// Its name.
    pub name: String,
    /// Its text, with `{{1}}` for what is filled in.
    pub body: String,
    /// What WhatsApp says of it: `approved`, `pending`, `rejected`, `paused`, `disabled` or `unsubmitted`.
    pub approval: String,
    /// `UTILITY`, `MARKETING` or `AUTHENTICATION`.
    pub category: String,
    /// Why it was rejected.
    pub rejection_reason: String,
    /// What fills a `{{name}}` that the sender leaves out.
    pub defaults: BTreeMap<String, String>,
}

/// An API key that may be used in place of the account's token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyOptions {
    /// `SK` and 32 hex digits.
    pub sid: String,
    /// Its secret.
    pub secret: String,
}

/// Everything that can be chosen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The account everything belongs to.
    pub account_sid: String,
    /// Its primary token: opens the API and signs what is posted to the app.
    pub auth_token: String,
    /// API keys that open the API too, save for the account itself and its tokens.
    pub api_keys: Vec<KeyOptions>,
    /// The account's balance, as Twilio writes it.
    pub balance: String,
    /// `Full` or `Trial`.
    pub account_type: String,
    /// The WhatsApp senders.
    pub senders: Vec<SenderOptions>,
    /// The Messaging Services.
    pub messaging_services: Vec<ServiceOptions>,
    /// The content templates.
    pub templates: Vec<TemplateOptions>,
    /// Where inbound messages of every sender go, unless the sender says otherwise.
    pub inbound_url: Option<String>,
    /// Where statuses go that no message, service or sender has a place for.
    pub status_callback_url: Option<String>,
    /// How fast people are.
    pub pace: Pace,
    /// Whether people who read a message sometimes write back.
    pub chatter: bool,
    /// Whether free text needs a message from the contact within the last 24 hours, as WhatsApp demands (63016 else).
    pub strict_window: bool,
    /// What all chance comes from: one seed, one behaviour.
    pub seed: u64,
    /// How many messages are kept; past it the oldest finished ones are forgotten.
    pub max_messages: usize,
    /// How many callbacks may be under way or waiting; past it a create is answered 429.
    pub max_callbacks_waiting: usize,
    /// How many requests to the app run at once.
    pub concurrency: usize,
    /// Threads that answer requests.
    pub workers: usize,
}

impl Default for Options {
    fn default() -> Self {
        let service = ServiceOptions {
            sid: "MG00000000000000000000000000000001".to_owned(),
            senders: vec!["whatsapp:+15550001111".to_owned(), "whatsapp:+15550002222".to_owned()],
            ..ServiceOptions::default()
        };
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4010)),
            account_sid: "AC00000000000000000000000000000001".to_owned(),
            auth_token: "00000000000000000000000000c0ffee".to_owned(),
            api_keys: vec![KeyOptions {
                sid: "SK00000000000000000000000000000001".to_owned(),
                secret: "emulator-key-secret".to_owned(),
            }],
            balance: "42.00".to_owned(),
            account_type: "Full".to_owned(),
            senders: vec![
                SenderOptions::default(),
                SenderOptions {
                    address: "whatsapp:+15550002222".to_owned(),
                    name: "Example Support".to_owned(),
                    ..SenderOptions::default()
                },
            ],
            messaging_services: vec![service],
            templates: default_templates(),
            inbound_url: None,
            status_callback_url: None,
            pace: Pace::Instant,
            chatter: false,
            strict_window: true,
            seed: 1,
            max_messages: 100_000,
            max_callbacks_waiting: 200_000,
            concurrency: 64,
            workers: 1,
        }
    }
}

/// Three approved ones, one that waits and one that was rejected: enough to meet every answer the Content API has.
fn default_templates() -> Vec<TemplateOptions> {
    let template = |digit: char, name: &str, body: &str, approval: &str, category: &str| TemplateOptions {
        sid: format!("HX{}{digit}", "0".repeat(31)),
        name: name.to_owned(),
        body: body.to_owned(),
        approval: approval.to_owned(),
        category: category.to_owned(),
        ..TemplateOptions::default()
    };
    let mut rejected = template('5', "flash_sale", "Everything must go, {{1}}!!!", "rejected", "MARKETING");
    rejected.rejection_reason = "The wording does not follow the channel's policy.".to_owned();
    vec![
        template('1', "order_update", "Hello {{1}}, your order {{2}} is on its way.", "approved", "UTILITY"),
        template('2', "login_code", "{{1}} is your verification code.", "approved", "AUTHENTICATION"),
        template('3', "spring_offer", "Dear {{1}}, spring is here.", "approved", "MARKETING"),
        template('4', "appointment_reminder", "See you on {{1}}.", "pending", "UTILITY"),
        rejected,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_section_is_a_working_emulator() {
        let options: Options = serde_json::from_str("{}").expect("every field has a default");
        assert_eq!(options.senders.len(), 2);
        assert_eq!(options.pace, Pace::Instant);
    }

    #[test]
    fn a_mistyped_key_is_refused() {
        assert!(serde_json::from_str::<Options>(r#"{"pase":"lifelike"}"#).is_err());
    }
}
