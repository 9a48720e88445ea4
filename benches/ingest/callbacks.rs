//! Four signed callbacks of every message, as bytes, in the order in which they are made.

use bluetick::twilio::wire::{StatusCallback, encode_form};
use bluetick::twilio::{AuthToken, signature};

use crate::account::{ACCOUNT, TOKEN};
use crate::drive::Requests;
use crate::seed::{Sent, WORDS};

/// Where Twilio reaches us, as far as it knows: the loader comes another way.
pub(crate) const PUBLIC_URL: &str = "https://hooks.example.com";
/// How many messages begin between two callbacks of one message.
pub(crate) const APART: usize = 8;

/// Messages and their callbacks.
pub(crate) struct Callbacks {
    pub(crate) requests: Requests,
    /// For each request: which message, and how far it has come.
    plan: Vec<(u32, u8)>,
}

/// How many messages have come so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) sent: i64,
    pub(crate) delivered: i64,
    pub(crate) read: i64,
}

impl Callbacks {
    pub(crate) fn of(sent: &[Sent]) -> Self {
        let token = AuthToken::new(TOKEN);
        let mut callbacks = Self { requests: Requests::default(), plan: Vec::new() };
        for (message, rank) in order(sent.len()) {
            callbacks.add(&sent[message], rank, &token);
            callbacks.plan.push((u32::try_from(message).expect("no bench has so many messages"), rank as u8));
        }
        callbacks
    }

    /// Thirteen fields, about 430 bytes: what Twilio posts for a template sent through a Messaging Service.
    fn add(&mut self, sent: &Sent, rank: usize, token: &AuthToken) {
        let mut callback = StatusCallback::new(sent.sid, WORDS[rank].as_str());
        callback.account_sid = Some(ACCOUNT.into());
        callback.from = Some(sent.from.clone());
        callback.to = Some(sent.to.clone());
        callback.messaging_service_sid = Some("MG00000000000000000000000000000001".into());
        callback.channel_prefix = Some("whatsapp".into());
        callback.channel_install_sid = Some("XE00000000000000000000000000000001".into());
        callback.channel_to_address = Some("+491510XXXX".into());
        callback.extra = vec![("StructuredMessage".into(), "false".into())];
        let params = callback.to_params();
        let target = format!("/webhooks/twilio/status/{}", sent.attempt);
        let signature = signature::sign_form(token, &format!("{PUBLIC_URL}{target}"), &params);
        let body = encode_form(&params);
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: hooks.example.com\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n\
             Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {}\r\n\
             X-Twilio-Signature: {signature}\r\n\r\n",
            body.len()
        );
        self.requests.push(&head, &body);
    }

    /// What the numbers must say when the first `asked` requests were answered.
    pub(crate) fn reached(&self, asked: usize) -> Reached {
        let mut furthest = vec![0_u8; self.plan.len() / WORDS.len() + 1];
        for (message, rank) in &self.plan[..asked] {
            let rank_of = &mut furthest[*message as usize];
            *rank_of = (*rank_of).max(*rank);
        }
        let beyond = |rank: u8| furthest.iter().filter(|furthest| **furthest >= rank).count() as i64;
        Reached { sent: beyond(1), delivered: beyond(2), read: beyond(3) }
    }
}

/// Message and rank of every callback.
pub(crate) fn order(messages: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..messages + APART * (WORDS.len() - 1)).flat_map(move |step| {
        let due = (0..WORDS.len()).filter_map(move |rank| Some((step.checked_sub(rank * APART)?, rank)));
        due.filter(move |(message, _)| *message < messages)
    })
}
