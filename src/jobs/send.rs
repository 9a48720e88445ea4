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

use super::pace::{Pacer, Plan, Width};
use super::wait;
use crate::alert::{Alert, Board};
use crate::clock::{Clock, Time};
use crate::message::{Content, Fact, Form, Message, Policy, Source, Template, Word};
use crate::pause::{Cause, Scope};
use crate::sabotage::{Bug, is_planted};
use crate::store::{self, Claim, Settle, StoreError, Write, Written};
use crate::twilio::transport::TransportError;
use crate::twilio::wire::CreateMessage;
use crate::twilio::{Client, ListQuery, NotProcessed, Outcome};

/// Twilio asks again within 15 s when our answer is 5xx or none: facts C4.
const OVERRIDES: &str = "#rc=3&rp=5xx,ct,rt&ct=2000&rt=4000";
/// The alert that says why nothing is sent.
pub const STOPPED: &str = "twilio_refuses_us";
/// How long to wait before a write that the busy store turned away is tried again.
const BUSY: Duration = Duration::from_millis(50);
/// While Twilio refuses us, how often to look whether a person has ended the pause.
const KNOCK: Duration = Duration::from_millis(250);
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
}

impl Default for Options {
    fn default() -> Self {
        Self { rate_per_s: 80.0, concurrency: 64, drain_s: 10 }
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
    /// What it says about all of them.
    pub signal: Signal,
}

/// What came of one request, for those that follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Twilio answered as it should.
    Calm,
    /// Twilio had too many at once.
    TooMany,
    /// Nothing that says anything about the next one.
    Silence,
    /// Why Twilio refuses us, not the message.
    Refused(String),
}

/// Decides what an outcome means for attempt `number`. `dice` is uniform in 0..1.
pub fn settle(outcome: Outcome, number: u8, policy: &Policy, now: Time, dice: f64) -> Settlement {
    let attempt = number;
    let (fact, signal) = match outcome {
        Outcome::Accepted { sid, status } => {
            let fact = Fact::Sent { attempt, sid, word: Word::parse(&status), ask_at: policy.ask_at(now) };
            (fact, Signal::Calm)
        }
        Outcome::Refused { code, message, .. } => (Fact::Refused { attempt, code, detail: message }, Signal::Calm),
        Outcome::NotProcessed(NotProcessed::TooManyRequests { retry_after }) => {
            let retry_at = policy.retry_at(now, number, retry_after, dice);
            let detail = "Twilio had too many requests at once (429)".to_owned();
            (Fact::NotProcessed { attempt, detail, retry_at }, Signal::TooMany)
        }
        Outcome::NotProcessed(NotProcessed::Unreachable { reason }) => {
            let retry_at = policy.retry_at(now, number, None, dice);
            let detail = format!("Twilio could not be reached: {reason}");
            (Fact::NotProcessed { attempt, detail, retry_at }, Signal::Silence)
        }
        Outcome::Stopped { http, code, message } => {
            let code = code.map(|code| format!(", code {code}")).unwrap_or_default();
            let detail = format!("Twilio refuses our credentials (HTTP {http}{code}): {message}");
            (Fact::NotProcessed { attempt, detail: detail.clone(), retry_at: now }, Signal::Refused(detail))
        }
        Outcome::NoSecret => {
            let detail = TransportError::NoSecret.to_string();
            (Fact::NotProcessed { attempt, detail: detail.clone(), retry_at: now }, Signal::Refused(detail))
        }
        Outcome::Unknown { reason } if is_planted(Bug::RetryOnServerError) => {
            (Fact::NotProcessed { attempt, detail: reason, retry_at: now }, Signal::Silence)
        }
        Outcome::Unknown { reason } => {
            (Fact::Unclear { attempt, detail: reason, ask_at: policy.first_look_at(now) }, Signal::Silence)
        }
    };
    Settlement { fact, signal }
}

/// The request for a claimed message.
pub fn request(message: &Message, public_url: Option<&str>) -> Option<CreateMessage> {
    let attempt = message.attempts.last()?;
    let (form, attempt) = (attempt.form, attempt.id(message.id));
    let mut request = CreateMessage { to: message.draft.to.to_string(), ..CreateMessage::default() };
    match message.draft.from.to_string() {
        service if service.starts_with("MG") => request.messaging_service_sid = Some(service),
        number => request.from = Some(number),
    }
    match (form, &message.draft.content) {
        (Form::Fallback, _) => use_template(&mut request, message.draft.fallback.as_ref()?),
        (Form::AsAsked, Content::Text(text)) => request.body = Some(text.clone()),
        (Form::AsAsked, Content::Media { urls, caption }) => {
            request.media_url.clone_from(urls);
            request.body.clone_from(caption);
        }
        (Form::AsAsked, Content::Template(template)) => use_template(&mut request, template),
        (Form::AsAsked, Content::Elsewhere | Content::Forgotten { .. }) => return None,
    }
    let url = public_url.map(|url| url.trim_end_matches('/'));
    request.status_callback = url.map(|url| format!("{url}/webhooks/twilio/status/{attempt}{OVERRIDES}"));
    Some(request)
}

fn use_template(request: &mut CreateMessage, template: &Template) {
    let Template { sid, variables } = template;
    request.content_sid = Some(sid.clone());
    request.content_variables = (!variables.is_empty()).then(|| serde_json::json!(variables).to_string());
}

impl Job {
    /// Sends until told to stop, then waits for what is in flight.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let job = Arc::new(self);
        let mut pace = Pace {
            pacer: Pacer::new(job.options.rate_per_s, job.rates.clone()),
            width: Width::new(job.options.concurrency),
            refusals: 0,
        };
        let mut flights = JoinSet::new();
        let mut stopping = stop.clone();
        if let Some(detail) = job.was_refused() {
            job.knock(detail, Duration::ZERO, &mut stopping).await;
        }
        while !*stop.borrow() {
            if let Err(error) = job.turn(&mut pace, &mut flights, &mut stopping).await {
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
        pace: &mut Pace,
        flights: &mut JoinSet<(u32, Signal)>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let free = pace.width.get().saturating_sub(flights.len());
        let plan = match free {
            0 => Plan::Wait(None),
            _ => pace.pacer.plan(&self.store.read()?.sendable()?, self.clock.now()),
        };
        match plan {
            Plan::Claim(turns) => {
                let claimed = self.claim(turns, free).await?;
                for sender in claimed.too_fast {
                    pace.pacer.slow_down(sender, self.clock.now());
                }
                for message in claimed.messages {
                    pace.pacer.spend(message.sender, 1);
                    let (job, refusals) = (Arc::clone(self), pace.refusals);
                    flights.spawn(async move { (refusals, job.post(message).await) });
                }
            }
            Plan::Wait(until) => {
                let sleep = until.map_or(LONGEST_SLEEP, |at| at.since(self.clock.now())).min(LONGEST_SLEEP);
                tokio::select! {
                    () = self.store.wake().sendable.notified(), if free > 0 => {}
                    () = wait(stop, sleep) => {}
                    Some(landed) = flights.join_next() => self.land(landed.ok(), pace, stop).await,
                }
            }
        }
        while let Some(landed) = flights.try_join_next() {
            self.land(landed.ok(), pace, stop).await;
        }
        Ok(())
    }

    async fn claim(&self, turns: Vec<store::Turn>, slots: usize) -> Result<store::Claimed, StoreError> {
        let claim = Claim { turns, slots, boot: self.boot, seed: rand::rng().random() };
        match self.store.write(Write::Claim(claim)).await {
            Ok(Written::Claimed(claimed)) => Ok(claimed),
            Ok(_) | Err(StoreError::Full(_)) => {
                tokio::time::sleep(BUSY).await;
                Ok(store::Claimed::default())
            }
            Err(error) => Err(error),
        }
    }

    /// Posts one message and writes down what came of it; says what that means for the others.
    async fn post(self: Arc<Self>, message: Message) -> Signal {
        let Some(attempt) = message.attempts.last() else { return Signal::Silence };
        let (number, attempt) = (attempt.number, attempt.id(message.id));
        let Some(request) = request(&message, self.public_url.as_deref()) else { return Signal::Silence };
        let outcome = self.client.create(&request).await;
        let Settlement { fact, signal } = settle(outcome, number, &self.policy, self.clock.now(), rand::rng().random());
        let settle = Write::Settle(Settle { attempt, fact, source: Source::Job });
        if let Err(error) = self.write(settle).await {
            tracing::error!(%error, message_id = %message.id, "an outcome could not be stored: it becomes unknown");
        }
        signal
    }

    /// A busy store is waited for: what came of a request is not thrown away.
    async fn write(&self, write: Write) -> Result<Written, StoreError> {
        loop {
            match self.store.write(write.clone()).await {
                Err(StoreError::Full(_)) => tokio::time::sleep(BUSY).await,
                result => return result,
            }
        }
    }

    async fn land(&self, landed: Option<(u32, Signal)>, pace: &mut Pace, stop: &mut watch::Receiver<bool>) {
        match landed {
            Some((_, Signal::Calm)) => pace.width.grow(),
            Some((_, Signal::TooMany)) => pace.width.shrink(),
            // Else it was under way when Twilio refused another, and says nothing about what holds now.
            Some((refusals, Signal::Refused(detail))) if refusals == pace.refusals => {
                pace.refusals += 1;
                let cause = Cause::Credentials(detail.clone());
                if let Err(error) = self.write(Write::Pause(Scope::Account, cause)).await {
                    tracing::error!(%error, "the pause could not be stored");
                }
                self.knock(detail, Duration::from_millis(self.policy.probe_after_ms), stop).await;
            }
            Some((_, Signal::Refused(_) | Signal::Silence)) | None => {}
        }
    }

    /// Why Twilio refused us when bluetick last ran.
    fn was_refused(&self) -> Option<String> {
        let pauses = self.store.read().and_then(|snapshot| snapshot.active_pauses()).unwrap_or_default();
        pauses.into_iter().find_map(|paused| match (paused.scope, paused.cause) {
            (Scope::Account, Cause::Credentials(detail)) => Some(detail),
            _ => None,
        })
    }

    /// Twilio refused us: nothing is sent until it lets us in again, or a person says so.
    async fn knock(&self, detail: String, mut pause: Duration, stop: &mut watch::Receiver<bool>) {
        let action = "give the right one (bluetick secrets rotate twilio_auth_token --value-stdin --promote, or twilio_api_key), and see that \
                      account_sid in the [twilio] section is right"
            .to_owned();
        if self.board.raise(Alert { code: STOPPED, detail: detail.clone(), action, is_blocking: true }) {
            tracing::error!(reason = %detail, "Twilio does not let us in: sending has stopped, nothing failed");
        }
        let probe = ListQuery { page_size: Some(1), ..ListQuery::default() };
        while !*stop.borrow() && self.was_refused().is_some() {
            let step = KNOCK.min(pause);
            wait(stop, step).await;
            pause -= step;
            if !pause.is_zero() {
                continue;
            }
            pause = Duration::from_millis(self.policy.probe_after_ms);
            if self.client.list(&probe).await.is_ok() {
                if let Err(error) = self.write(Write::Resume(Scope::Account)).await {
                    tracing::error!(%error, "the end of the pause could not be stored");
                }
                tracing::info!("Twilio lets us in again: sending goes on");
                break;
            }
        }
        self.board.clear(STOPPED);
    }
}

/// How fast it goes at this moment.
struct Pace {
    pacer: Pacer,
    width: Width,
    /// How often Twilio has refused us.
    refusals: u32,
}
