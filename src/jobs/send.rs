//! Hands messages to Twilio: claim what is due, post it, write down what came of it.
//!
//! Invariant: the intent of an attempt is on disk before its request leaves; an outcome is decided by [`settle`] alone,
//! and what is unclear is never sent again from here. Stopping waits for the requests in flight.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::pace::{Pacer, Plan};
use crate::alert::{Alert, Board};
use crate::clock::{Clock, Time};
use crate::message::{Content, Fact, Message, Policy, Source, Word};
use crate::store::{self, Claim, Settle, StoreError, Write, Written};
use crate::twilio::wire::CreateMessage;
use crate::twilio::{Client, ListQuery, NotProcessed, Outcome};

/// Twilio asks again within 15 s when our answer is 5xx or none: facts C4.
const OVERRIDES: &str = "#rc=3&rp=5xx,ct,rt&ct=2000&rt=4000";
/// The alert that says why nothing is sent.
pub const STOPPED: &str = "twilio_refuses_us";
/// How long to wait before a write that the busy store turned away is tried again.
const BUSY: Duration = Duration::from_millis(50);
/// Nothing wakes the loop for longer than this: it looks by itself, should a clock have jumped.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// How sending goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Messages a second of a sender that is not listed in `[[senders]]` (0.01 to 2000).
    pub rate_per_s: f64,
    /// Requests to Twilio at the same time (1 to 1000).
    pub concurrency: usize,
    /// Seconds that stopping waits for requests in flight (1 to 60).
    pub drain_s: u64,
    /// Milliseconds until Twilio is tried again after it refused our credentials.
    pub probe_after_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { rate_per_s: 80.0, concurrency: 64, drain_s: 10, probe_after_ms: 30_000 }
    }
}

/// One of `[[senders]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// Our number in international form, or a Messaging Service (`MG…`).
    pub address: String,
    /// Messages a second (0.01 to 2000).
    pub rate_per_s: f64,
}

/// Everything the job works with.
pub struct Job {
    /// Where messages are.
    pub store: store::Handle,
    /// Where they go.
    pub client: Arc<Client>,
    /// What time it is.
    pub clock: Clock,
    /// What is wrong.
    pub board: Board,
    /// How it goes.
    pub options: Options,
    /// The waits.
    pub policy: Policy,
    /// Rates by the store's number of the sender.
    pub rates: BTreeMap<u32, f64>,
    /// Where Twilio reaches us; without it no callbacks are asked for.
    pub public_url: Option<String>,
    /// Which start of bluetick this is.
    pub boot: u64,
}

/// What came of a request: what to write down, and whether all sending must stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// What happened to the message.
    pub fact: Fact,
    /// Why Twilio refuses us, not the message.
    pub stop: Option<String>,
}

/// Decides what an outcome means for attempt `number`. `dice` is uniform in 0..1.
pub fn settle(outcome: Outcome, number: u8, policy: &Policy, now: Time, dice: f64) -> Settlement {
    let attempt = number;
    let fact = match outcome {
        Outcome::Accepted { sid, status } => {
            Fact::Sent { attempt, sid, word: Word::parse(&status), ask_at: policy.ask_at(now) }
        }
        Outcome::Refused { code, message, .. } => Fact::Refused { attempt, code, detail: message },
        Outcome::NotProcessed(NotProcessed::TooManyRequests { retry_after }) => {
            let retry_at = policy.retry_at(now, number, retry_after, dice);
            Fact::NotProcessed { attempt, detail: "Twilio had too many requests at once (429)".into(), retry_at }
        }
        Outcome::NotProcessed(NotProcessed::Unreachable { reason }) => {
            let retry_at = policy.retry_at(now, number, None, dice);
            Fact::NotProcessed { attempt, detail: format!("Twilio could not be reached: {reason}"), retry_at }
        }
        Outcome::Stopped { http, code, message } => {
            let code = code.map(|code| format!(", code {code}")).unwrap_or_default();
            let detail = format!("Twilio refuses our credentials (HTTP {http}{code}): {message}");
            let fact = Fact::NotProcessed { attempt, detail: detail.clone(), retry_at: now };
            return Settlement { fact, stop: Some(detail) };
        }
        Outcome::Unknown { reason } => Fact::Unclear { attempt, detail: reason, ask_at: policy.settle_at(now) },
    };
    Settlement { fact, stop: None }
}

/// The request for a claimed message.
fn request(message: &Message, public_url: Option<&str>) -> Option<CreateMessage> {
    let attempt = message.attempts.last()?.id(message.id);
    let mut request = CreateMessage { to: message.draft.to.to_string(), ..CreateMessage::default() };
    match message.draft.from.to_string() {
        service if service.starts_with("MG") => request.messaging_service_sid = Some(service),
        number => request.from = Some(number),
    }
    match &message.draft.content {
        Content::Text(text) => request.body = Some(text.clone()),
        Content::Media { urls, caption } => {
            request.media_url.clone_from(urls);
            request.body.clone_from(caption);
        }
        Content::Template { sid, variables } => {
            request.content_sid = Some(sid.clone());
            request.content_variables = (!variables.is_empty()).then(|| serde_json::json!(variables).to_string());
        }
        Content::Elsewhere => return None,
    }
    let url = public_url.map(|url| url.trim_end_matches('/'));
    request.status_callback = url.map(|url| format!("{url}/webhooks/twilio/status/{attempt}{OVERRIDES}"));
    Some(request)
}

impl Job {
    /// Sends until told to stop, then waits for what is in flight.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let job = Arc::new(self);
        let mut pacer = Pacer::new(job.options.rate_per_s, job.rates.clone());
        let mut flights = JoinSet::new();
        let mut stopping = stop.clone();
        while !*stop.borrow() {
            if let Err(error) = job.turn(&mut pacer, &mut flights, &mut stopping).await {
                tracing::error!(%error, "sending pauses, because the store does not answer");
                wait(&mut stopping, LONGEST_SLEEP).await;
            }
        }
        let drain = Duration::from_secs(job.options.drain_s);
        if tokio::time::timeout(drain, async { while flights.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(left = flights.len(), "stopping without the answers of some requests: they become unknown");
        }
    }

    /// One look at the agenda: claim and post what may go, or wait until something may.
    async fn turn(
        self: &Arc<Self>,
        pacer: &mut Pacer,
        flights: &mut JoinSet<Option<String>>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let free = self.options.concurrency.saturating_sub(flights.len());
        let plan = match free {
            0 => Plan::Wait(None),
            _ => pacer.plan(&self.store.read()?.sendable()?, self.clock.now()),
        };
        match plan {
            Plan::Claim(turns) => {
                for message in self.claim(turns, free).await? {
                    pacer.spend(message.sender, 1);
                    flights.spawn(Arc::clone(self).post(message));
                }
            }
            Plan::Wait(until) => {
                let sleep = until.map_or(LONGEST_SLEEP, |at| at.since(self.clock.now())).min(LONGEST_SLEEP);
                tokio::select! {
                    () = self.store.wake().sendable.notified(), if free > 0 => {}
                    () = wait(stop, sleep) => {}
                    Some(landed) = flights.join_next() => self.land(landed.ok().flatten(), stop).await,
                }
            }
        }
        while let Some(landed) = flights.try_join_next() {
            self.land(landed.ok().flatten(), stop).await;
        }
        Ok(())
    }

    async fn claim(&self, turns: Vec<store::Turn>, slots: usize) -> Result<Vec<Message>, StoreError> {
        let (boot, seed, max_attempts) = (self.boot, rand::rng().random(), self.policy.max_attempts);
        let claim = Claim { turns, slots, boot, seed, max_attempts };
        match self.store.write(Write::Claim(claim)).await {
            Ok(Written::Claimed(claimed)) => Ok(claimed.messages),
            Ok(_) | Err(StoreError::Full(_)) => {
                tokio::time::sleep(BUSY).await;
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Posts one message and writes down what came of it; says why, if all sending must stop.
    async fn post(self: Arc<Self>, message: Message) -> Option<String> {
        let number = message.attempts.last()?.number;
        let attempt = message.attempts.last()?.id(message.id);
        let outcome = self.client.create(&request(&message, self.public_url.as_deref())?).await;
        let Settlement { fact, stop } = settle(outcome, number, &self.policy, self.clock.now(), rand::rng().random());
        loop {
            let settle = Settle { attempt, fact: fact.clone(), source: Source::Job };
            match self.store.write(Write::Settle(settle)).await {
                Ok(_) => return stop,
                Err(StoreError::Full(_)) => tokio::time::sleep(BUSY).await,
                Err(error) => {
                    tracing::error!(%error, message_id = %message.id, "an outcome could not be stored: it becomes unknown");
                    return stop;
                }
            }
        }
    }

    /// Twilio refused us: nothing is sent until it lets us in again.
    async fn land(&self, stopped: Option<String>, stop: &mut watch::Receiver<bool>) {
        let Some(detail) = stopped else { return };
        let action = "check account_sid, auth_token or the API key in the [twilio] section".to_owned();
        if self.board.raise(Alert { code: STOPPED, detail: detail.clone(), action, is_blocking: true }) {
            tracing::error!(reason = %detail, "Twilio refuses our credentials: sending has stopped, nothing failed");
        }
        let pause = Duration::from_millis(self.options.probe_after_ms);
        let probe = ListQuery { page_size: Some(1), ..ListQuery::default() };
        while !*stop.borrow() {
            wait(stop, pause).await;
            if self.client.list(&probe).await.is_ok() {
                self.board.clear(STOPPED);
                tracing::info!("Twilio lets us in again: sending goes on");
                return;
            }
        }
    }
}

/// Waits, but not past the stop.
async fn wait(stop: &mut watch::Receiver<bool>, pause: Duration) {
    let _ = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
}
