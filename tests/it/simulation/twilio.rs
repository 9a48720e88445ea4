//! Twilio in the same process: the emulator's core behind bluetick's own client, with its moods and its ledger.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bluetick::clock::{Clock, Time};
use bluetick::emulator::{self, Answer, Delivery, Emulator, How, Later, Options, Pace};
use bluetick::twilio::transport::{InProcess, Method, Request, Response, TransportError};
use bluetick::twilio::wire::encode_form;
use bluetick::twilio::{self, AuthToken, Client};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

/// An answer that takes longer than this is given up.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// The emulator and what has left it.
pub(super) struct Twilio {
    desk: Arc<Mutex<Desk>>,
    clock: Clock,
}

struct Desk {
    emulator: Emulator,
    dice: StdRng,
    laters: Vec<Later>,
    /// How long the last answer took.
    took: Duration,
    /// How likely it is that no connection comes about.
    unreachable: f64,
}

impl Twilio {
    pub(super) fn new(options: Options, seed: u64, clock: Clock) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let emulator = Emulator::new(options, clock.now(), &mut dice);
        let desk = Desk { emulator, dice, laters: Vec::new(), took: Duration::ZERO, unreachable: 0.0 };
        Self { desk: Arc::new(Mutex::new(desk)), clock }
    }

    /// bluetick's own client, which speaks to this Twilio.
    pub(super) fn client(&self) -> Client {
        let (desk, clock) = (Arc::clone(&self.desk), self.clock.clone());
        let transport = InProcess(move |request: Request| lock(&desk).exchange(request, clock.now()));
        let options = Options::default();
        let options = twilio::Options {
            account_sid: options.account_sid,
            auth_token: Some(AuthToken::new(options.auth_token)),
            ..twilio::Options::default()
        };
        Client::new(Arc::new(transport), &options).expect("the emulator's account is one")
    }

    /// Says something to the control API.
    pub(super) fn control(&self, method: emulator::Method, path: &str, body: &Value) -> Value {
        let request = emulator::Request::new(method, path).with_body(body.to_string());
        let answer = self.desk().handle(&request, self.clock.now());
        assert!(answer.status < 300, "{path} was refused: {}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
    }

    pub(super) fn set_unreachable(&self, chance: f64) {
        self.desk().unreachable = chance;
    }

    /// What is to be posted to the app by now.
    pub(super) fn take_posts(&self) -> Vec<Later> {
        let mut desk = self.desk();
        let due = {
            let Desk { emulator, dice, .. } = &mut *desk;
            emulator.due(self.clock.now(), dice)
        };
        desk.laters.extend(due);
        std::mem::take(&mut desk.laters)
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.desk().emulator.next_due()
    }

    /// How long the last answer took.
    pub(super) fn took(&self) -> Duration {
        self.desk().took
    }

    pub(super) fn report(&self, id: u64, delivery: &Delivery, is_last: bool) {
        let mut desk = self.desk();
        let Desk { emulator, dice, laters, .. } = &mut *desk;
        laters.extend(emulator.report(id, delivery, Duration::from_millis(1), is_last, self.clock.now(), dice));
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn handle(&mut self, request: &emulator::Request, now: Time) -> Answer {
        let (answer, laters) = self.emulator.handle(request, now, &mut self.dice);
        self.laters.extend(laters);
        answer
    }

    fn exchange(&mut self, request: Request, now: Time) -> Result<Response, TransportError> {
        if self.unreachable > 0.0 && self.dice.random_bool(self.unreachable) {
            return Err(TransportError::NotSent("connection refused".into()));
        }
        let method = match request.method {
            Method::Get => emulator::Method::Get,
            Method::Post => emulator::Method::Post,
            Method::Delete => emulator::Method::Delete,
        };
        let credentials = &request.credentials;
        let asked = emulator::Request::new(method, &request.target)
            .with_basic(&credentials.user, credentials.secret.expose())
            .with_body(encode_form(&request.form));
        let answer = self.handle(&asked, now);
        self.took = match answer.how {
            How::After(wait) => wait.min(TIMEOUT),
            _ => Duration::ZERO,
        };
        match answer.how {
            How::Reset => Err(TransportError::Unclear("connection reset".into())),
            How::After(wait) if wait >= TIMEOUT => Err(TransportError::Unclear("operation timed out".into())),
            _ => Ok(Response {
                status: answer.status,
                retry_after: answer.header("Retry-After").map(str::to_owned),
                // Time stands still while a question is answered here, so a slow answer would seem to come from the future.
                date: answer.header("Date").filter(|_| self.took.is_zero()).map(str::to_owned),
                body: answer.body,
            }),
        }
    }
}

/// Two senders, a Messaging Service, approved templates, and people who take their time.
pub(super) fn options(public_url: &str) -> Options {
    Options {
        pace: Pace::Lifelike,
        inbound_url: Some(format!("{public_url}/webhooks/twilio/inbound")),
        ..Options::default()
    }
}

/// How much goes wrong, by chance; `is_lagging` lets lists lag for longer than an absence takes to be proven.
pub(super) fn moods(dice: &mut StdRng, is_lagging: bool) -> Value {
    let mut up_to = |most: f64| if dice.random_bool(0.5) { dice.random_range(0.0..most) } else { 0.0 };
    let lag = if is_lagging { 600_000.0 } else { 100_000.0 };
    serde_json::json!({
        "error_before": up_to(0.15), "error_after": up_to(0.2), "reset_before": up_to(0.15), "reset_after": up_to(0.2),
        "rate_limited": up_to(0.2), "garbage": up_to(0.1),
        "fails": {
            "63018": up_to(0.15), "63024": up_to(0.05), "30008": up_to(0.05), "63007": up_to(0.02), "63041": up_to(0.05),
            "63033": up_to(0.05), "21610": up_to(0.03),
        },
        "lost": up_to(0.7), "twice": up_to(0.5), "shuffled": up_to(0.5), "shuffle_ms": up_to(60_000.0) as u64,
        "list_lag_ms": up_to(lag) as u64, "slow_ms": up_to(40_000.0) as u64,
    })
}
