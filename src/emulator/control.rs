//! The control API under `/emulator`: what a test says to the emulator, and what it may ask of it.
//!
//! | call | body | does |
//! | --- | --- | --- |
//! | `GET /emulator` | | account, tokens, senders, templates, clock: all a client needs |
//! | `GET /emulator/scenarios` | | the scenario table |
//! | `GET /emulator/ledger` | | what really happened; see below |
//! | `POST /emulator/reset` | | everything as it was at the start |
//! | `POST /emulator/seed` | `{"seed":7}` | the dice from here on |
//! | `POST /emulator/clock` | `{"advance_ms":60000}` | moves the clock forward; what is due then happens now |
//! | `POST /emulator/pace` | `{"pace":"lifelike","chatter":true}` | how fast people are from now on |
//! | `POST /emulator/scenario` | `{"to":"whatsapp:+…","scenario":"lost","times":1}` | for one recipient, or all without `to` |
//! | `GET /emulator/chaos` | | how likely each misbehaviour is |
//! | `POST /emulator/chaos` | `{"error_after":0.1,"lost":0.5}` | sets all of them; what is not named never happens, so `{}` is calm |
//! | `POST /emulator/credentials` | `{"revoked":true}` | every API call is answered 401, until `false` |
//! | `POST /emulator/inbound` | `{"from":"+…","body":"hi"}` | a person writes; `webhook:false` keeps it from the app |
//! | `POST /emulator/webhooks` | `{"inbound_url":"…","status_callback_url":"…"}` | for every sender |
//!
//! The ledger's query: `to=` one recipient only; `limit=` rows of each kind (100, at most 10,000); `after=` rows past that
//! `seq`; `wait=5s` (at most 60 s) waits until **all** of these hold: `messages=N` accepted, `refused=N`, `callbacks=N`
//! acknowledged by the app, `inbound=N` received, `settled=true` nothing planned or under way. `reached` says whether they do.
//!
//! Not protected by a password: the emulator holds nothing that is worth one, and listens on loopback unless told otherwise.

use std::time::Duration;

use rand::SeedableRng;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::chaos::Chaos;
use super::core::{Dice, Emulator};
use super::exchange::{Answer, How, Method, Refusal, Request};
use super::ledger::{CallbackRow, CreateRow, Ledger};
use super::options::Pace;
use super::query::Query;
use super::routes::wrong_method;
use super::scenario::{self, Scenario};
use crate::clock::Time;

/// Rows of each kind in one answer, unless asked for more.
const DEFAULT_ROWS: usize = 100;
/// What one answer can hold: about 10 MB.
const MAX_ROWS: usize = 10_000;
/// Longer than any test should hang.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// Ten years: further than any window, schedule or patience reaches.
const MAX_ADVANCE_MS: u64 = 10 * 366 * 86_400_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    seed: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leap {
    advance_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PaceChange {
    pace: Option<Pace>,
    chatter: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    to: Option<String>,
    scenario: String,
    times: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    revoked: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhooks {
    inbound_url: Option<String>,
    status_callback_url: Option<String>,
}

/// Reads a control call's JSON.
pub(super) fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Refusal> {
    let explain = |error| Refusal::new(400, 20001, format!("{} needs another body: {error}", request.path));
    serde_json::from_slice(&request.body).map_err(explain)
}

impl Emulator {
    /// Everything below `/emulator`.
    pub(super) fn control(
        &mut self,
        rest: &[&str],
        request: &Request,
        now: Time,
        dice: &mut Dice,
    ) -> Result<Answer, Refusal> {
        match (rest, request.method) {
            ([] | [""], Method::Get) => Ok(self.overview(request, now)),
            (["scenarios"], Method::Get) => Ok(Answer::json(200, &json!({"scenarios": scenario::table()}))),
            (["ledger"], Method::Get) => self.read_ledger(request, now),
            (["reset"], Method::Post) => Ok(self.reset(now, dice)),
            (["seed"], Method::Post) => {
                let Seed { seed } = body(request)?;
                *dice = Dice::seed_from_u64(seed);
                Ok(Answer::json(200, &json!({"seed": seed})))
            }
            (["clock"], Method::Post) => self.leap(&body(request)?, now),
            (["pace"], Method::Post) => {
                let change: PaceChange = body(request)?;
                self.pace = change.pace.unwrap_or(self.pace);
                self.has_chatter = change.chatter.unwrap_or(self.has_chatter);
                Ok(Answer::json(200, &json!({"pace": self.pace, "chatter": self.has_chatter})))
            }
            (["scenario"], Method::Post) => self.set_scenario(body(request)?),
            (["chaos"], Method::Get) => Ok(Answer::json(200, &self.chaos)),
            (["chaos"], Method::Post) => {
                let chaos: Chaos = body(request)?;
                self.chaos = chaos.check().map_err(|reason| Refusal::new(400, 20001, reason))?;
                Ok(Answer::json(200, &self.chaos))
            }
            (["credentials"], Method::Post) => {
                let Credentials { revoked } = body(request)?;
                self.account.is_revoked = revoked;
                Ok(Answer::json(200, &json!({"revoked": revoked})))
            }
            (["inbound"], Method::Post) => self.receive(request, now, dice),
            (["webhooks"], Method::Post) => Ok(self.set_webhooks(&body(request)?)),
            (["" | "scenarios" | "ledger" | "chaos" | "credentials"], _) => Err(wrong_method()),
            (["reset" | "seed" | "clock" | "pace" | "scenario" | "inbound" | "webhooks"], _) => Err(wrong_method()),
            _ => Err(Refusal::not_found(&request.path)),
        }
    }

    fn overview(&self, request: &Request, now: Time) -> Answer {
        let senders: Vec<_> =
            self.senders.iter().map(|sender| json!({"sid": sender.sid, "address": sender.address})).collect();
        let templates: Vec<_> = (self.options.templates.iter())
            .map(|template| json!({"sid": template.sid, "name": template.name, "approval": template.approval}))
            .collect();
        let services: Vec<_> = self.options.messaging_services.iter().map(|service| &service.sid).collect();
        Answer::json(
            200,
            &json!({
                "url": format!("http://{}", request.host), "account_sid": self.account.sid,
                "auth_token": self.account.primary.expose(), "senders": senders, "messaging_services": services,
                "templates": templates, "pace": self.pace, "chatter": self.has_chatter, "now": now.to_string(),
                "max_messages": self.options.max_messages, "counts": self.ledger.counts, "settled": self.is_settled(),
            }),
        )
    }

    /// As at the start: tokens, senders, dice, clock and all. Rows keep counting, so that a late answer hits no new row.
    fn reset(&mut self, now: Time, dice: &mut Dice) -> Answer {
        let next = self.ledger.next();
        let real = now.minus(self.ahead);
        *dice = Dice::seed_from_u64(self.options.seed);
        *self = Self::new(self.options.clone(), real, dice);
        self.ledger = Ledger::new(self.options.max_messages, next);
        Answer::json(200, &json!({"seed": self.options.seed, "now": real.to_string(), "next_seq": next}))
    }

    fn leap(&mut self, leap: &Leap, now: Time) -> Result<Answer, Refusal> {
        if leap.advance_ms > MAX_ADVANCE_MS {
            return Err(Refusal::new(400, 20001, format!("advance_ms is more than ten years ({MAX_ADVANCE_MS})")));
        }
        let leap = Duration::from_millis(leap.advance_ms);
        self.ahead = self.ahead.saturating_add(leap);
        Ok(Answer::json(200, &json!({"now": now.plus(leap).to_string()})))
    }

    fn set_scenario(&mut self, rule: Rule) -> Result<Answer, Refusal> {
        let scenario: Scenario = rule.scenario.parse().map_err(|error| Refusal::new(400, 20001, format!("{error}")))?;
        if rule.times == Some(0) {
            return Err(Refusal::new(400, 20001, "times is at least 1; leave it out for always"));
        }
        if !self.script.set(rule.to.clone(), scenario, rule.times) {
            return Err(Refusal::new(400, 20001, "Too many rules: reset first"));
        }
        Ok(Answer::json(200, &json!({"to": rule.to, "scenario": scenario, "times": rule.times})))
    }

    fn set_webhooks(&mut self, webhooks: &Webhooks) -> Answer {
        for sender in &mut self.senders {
            sender.webhook.inbound = webhooks.inbound_url.clone().or(sender.webhook.inbound.take());
            sender.webhook.status = webhooks.status_callback_url.clone().or(sender.webhook.status.take());
        }
        Answer::json(200, &json!({"senders": self.senders.len()}))
    }

    fn read_ledger(&self, request: &Request, now: Time) -> Result<Answer, Refusal> {
        let query = Query::of(request)?;
        let wait = query.some("wait").map(wait).transpose()?.unwrap_or_default();
        let is_reached = self.has_reached(&query)?;
        let at_most = wait.saturating_sub(request.waited);
        if !is_reached && !at_most.is_zero() {
            return Ok(Answer::empty().leaving(How::WhenChanged { at_most }));
        }
        let limit = query.number("limit")?.map_or(DEFAULT_ROWS, |limit| usize::try_from(limit).unwrap_or(MAX_ROWS));
        let limit = limit.min(MAX_ROWS);
        let after = query.number("after")?;
        let to = query.some("to");
        let is_past = |seq: u64| after.is_none_or(|after| seq > after);
        let creates: Vec<&CreateRow> = (self.ledger.creates.iter())
            .filter(|row| is_past(row.seq) && to.is_none_or(|to| row.to == to))
            .take(limit)
            .collect();
        let is_to = |sid: &str| {
            let message = || self.book.get(self.book.number(sid)?);
            to.is_none_or(|to| message().is_some_and(|message| message.person() == to))
        };
        let callbacks: Vec<&CallbackRow> =
            self.ledger.callbacks.iter().filter(|row| is_past(row.seq) && is_to(&row.sid)).take(limit).collect();
        Ok(Answer::json(
            200,
            &json!({
                "now": now.to_string(), "reached": is_reached, "settled": self.is_settled(), "planned": self.planned(),
                "counts": self.ledger.counts, "creates": creates, "callbacks": callbacks, "next_seq": self.ledger.next(),
            }),
        ))
    }

    /// Whether every condition of the query holds.
    fn has_reached(&self, query: &Query) -> Result<bool, Refusal> {
        let to = query.some("to");
        let counts = &self.ledger.counts;
        let creates = |outcome: &str, all: u64| match to {
            None => all,
            Some(to) => self.ledger.creates.iter().filter(|row| row.to == to && row.outcome == outcome).count() as u64,
        };
        let accepted = creates("accepted", counts.accepted);
        let refused = creates("refused", counts.refused);
        let wanted = [
            ("messages", accepted),
            ("refused", refused),
            ("callbacks", counts.acknowledged),
            ("inbound", counts.inbound),
        ];
        for (name, have) in wanted {
            if query.number(name)?.is_some_and(|want| have < want) {
                return Ok(false);
            }
        }
        Ok(query.some("settled") != Some("true") || self.is_settled())
    }
}

/// `5s`, `500ms`, or plain seconds.
fn wait(text: &str) -> Result<Duration, Refusal> {
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| Refusal::new(400, 20001, format!("wait is not like 5s: {text}")))?;
    let wait = match unit {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        _ => return Err(Refusal::new(400, 20001, format!("wait is not like 5s or 500ms: {text}"))),
    };
    Ok(wait.min(MAX_WAIT))
}
