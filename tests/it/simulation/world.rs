//! One history: an app, its people, an operator, bluetick, and a Twilio in a mood, on one clock and one pair of dice.
//!
//! Everything that takes time is an event on one agenda, so that anything can happen between a request and its answer, or
//! between an answer and its commit: most of all the end of the process.

use std::collections::BTreeMap;
use std::time::Duration;

use bluetick::clock::{Clock, Time};
use bluetick::emulator::{Delivery, Later, Method};
use bluetick::http;
use bluetick::jobs::send::{self, Settlement, Signal};
use bluetick::keyring::Keyring;
use bluetick::message::{AttemptId, MessageId, Policy, Sid, Source, Word};
use bluetick::pause::Scope;
use bluetick::store::{Accept, IdempotencyKey, Settle, Write};
use bluetick::twilio::webhook::Request;
use bluetick::twilio::{AuthToken, Client, Outcome, Webhook};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::house::{self, House, SENDERS};
use super::twilio::{self, Twilio};
use super::wishes;
use crate::torn::{TornDisk, soon};

pub(super) const URL: &str = "https://sim.example.com";
const START: Time = Time(1_800_000_000_000);
/// Windows that were opened before the history begins close while it goes on.
const BEFORE: Duration = Duration::from_secs(24 * 3_600 - 900);
/// Things go wrong for so long; then everything may come to rest.
pub(super) const TROUBLE: Duration = Duration::from_secs(1_800);
const REST: Duration = Duration::from_secs(4 * 3_600);

/// What the app asked for, and what it was told.
pub(super) struct Wished {
    pub(super) accept: Accept,
    pub(super) answered: Option<MessageId>,
}

pub(super) struct World {
    pub(super) clock: Clock,
    pub(super) dice: StdRng,
    pub(super) policy: Policy,
    pub(super) twilio: Twilio,
    pub(super) client: Client,
    pub(super) webhook: Webhook,
    pub(super) disk: TornDisk,
    pub(super) house: Option<House>,
    pub(super) boots: u64,
    /// By date; what is planned for one moment happens in the order it was planned.
    pub(super) agenda: BTreeMap<(Time, u64), Event>,
    pub(super) order: u64,
    pub(super) mailbox: Vec<(Write, Then)>,
    pub(super) is_committing: bool,
    pub(super) wishes: Vec<Wished>,
    /// Callbacks that were answered 2xx.
    pub(super) told: Vec<(Sid, Word)>,
    /// Inbound messages that were answered 2xx.
    pub(super) heard: Vec<Sid>,
    /// When the window of every sender was known for the first time.
    pub(super) listens_since: Option<Time>,
    pub(super) is_lagging: bool,
    pub(super) is_calm: bool,
    /// What went against a promise.
    pub(super) broken: Vec<String>,
    /// A hash of everything that happened: one seed, one history.
    pub(super) trace: u64,
    pub(super) crashes: u64,
}

pub(super) enum Event {
    /// The app asks, or asks again.
    Wish(usize),
    /// A person writes.
    Write,
    /// An operator does something.
    Meddle,
    /// Twilio posts something.
    Post(Box<Later>, u8),
    /// A request is answered.
    Land(u64, AttemptId, Box<Outcome>),
    /// A round of questions is answered.
    Learned(u64, Vec<Write>, bool),
    Commit,
    Start,
    Crash,
    /// Twilio's credentials are revoked, or valid again.
    Revoke(bool),
    Calm,
    Look,
}

/// What is done once a write is on disk.
pub(super) enum Then {
    Answer(usize),
    Acknowledge(Box<Later>, u8),
    Send,
    Landed(Signal),
    Learned,
    Nothing,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let clock = Clock::manual(START);
        let options = twilio::options(URL);
        let (account_sid, token) = (options.account_sid.clone(), AuthToken::new(options.auth_token.clone()));
        let twilio = Twilio::new(options, seed, clock.clone());
        let policy = house::policy(dice.random_bool(0.3));
        let mut world = Self {
            client: twilio.client(),
            twilio,
            webhook: Webhook { public_url: URL.into(), account_sid, keyring: Keyring::of_tokens([token]) },
            disk: TornDisk::new(),
            house: None,
            boots: 0,
            agenda: BTreeMap::new(),
            order: 0,
            mailbox: Vec::new(),
            is_committing: false,
            wishes: Vec::new(),
            told: Vec::new(),
            heard: Vec::new(),
            listens_since: None,
            is_lagging: dice.random_bool(0.15),
            is_calm: false,
            broken: Vec::new(),
            trace: seed,
            crashes: 0,
            clock,
            dice,
            policy,
        };
        world.prepare();
        world
    }

    fn prepare(&mut self) {
        for _ in 0..self.dice.random_range(0..6) {
            self.person_writes();
        }
        self.twilio.take_posts();
        self.clock.advance(BEFORE);
        let moods = twilio::moods(&mut self.dice, self.is_lagging);
        self.twilio.control(Method::Post, "/emulator/chaos", &moods);
        let unreachable = if self.dice.random_bool(0.3) { 0.15 } else { 0.0 };
        self.twilio.set_unreachable(unreachable);
        self.plan(Duration::ZERO, Event::Start);
        // A crash may undo the first of these.
        for times in 1..=3 {
            self.plan(TROUBLE * times, Event::Calm);
        }
        self.make_wishes();
        let within = |dice: &mut StdRng| Duration::from_millis(dice.random_range(0..TROUBLE.as_millis() as u64));
        for _ in 0..self.dice.random_range(0..4) {
            let at = within(&mut self.dice);
            self.plan(at, Event::Crash);
        }
        for _ in 0..self.dice.random_range(0..4) {
            let at = within(&mut self.dice);
            self.plan(at, Event::Write);
        }
        for _ in 0..self.dice.random_range(0..5) {
            let at = within(&mut self.dice);
            self.plan(at, Event::Meddle);
        }
        if self.dice.random_bool(0.2) {
            let at = within(&mut self.dice);
            self.plan(at, Event::Revoke(true));
            self.plan(at + Duration::from_secs(200), Event::Revoke(false));
        }
    }

    fn make_wishes(&mut self) {
        let now = self.now();
        let drafts = wishes::drafts(&mut self.dice, now);
        for (number, draft) in drafts.into_iter().enumerate() {
            let key = Some(IdempotencyKey { key: [number as u8; 32], request: [number as u8; 32], kept_ms: i64::MAX });
            let accept = Accept { draft, random: self.dice.random(), key };
            self.wishes.push(Wished { accept, answered: None });
            let most = TROUBLE.as_millis() as u64 / if self.dice.random_bool(0.5) { 2 } else { 60 };
            let at = Duration::from_millis(self.dice.random_range(0..most));
            self.plan(at, Event::Wish(number));
        }
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(super) fn plan(&mut self, after: Duration, what: Event) {
        self.order += 1;
        self.agenda.insert((self.now().plus(after), self.order), what);
    }

    pub(super) fn some_ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.dice.random_range(from..to))
    }

    /// Lives through the whole history.
    pub(super) fn run(&mut self) {
        let end = self.now().plus(TROUBLE).plus(REST);
        loop {
            let planned = self.agenda.keys().next().map(|(at, _)| *at);
            let Some(next) = planned.into_iter().chain(self.twilio.next_due()).min().filter(|at| *at <= end) else {
                break;
            };
            self.clock.advance(next.since(self.now()));
            for post in self.twilio.take_posts() {
                let wait = self.some_ms(1, 40);
                self.plan(wait, Event::Post(Box::new(post), 0));
            }
            if planned.is_some_and(|at| at <= self.now()) {
                let Some((_, what)) = self.agenda.pop_first() else { break };
                self.happen(what);
            }
            self.work();
        }
        self.clock.advance(end.since(self.now()));
    }

    pub(super) fn note(&mut self, what: &str, number: u64) {
        let now = self.now().0 as u64;
        for part in [now, what.len() as u64, u64::from(what.as_bytes()[0]), number] {
            self.trace = (self.trace ^ part).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
        }
    }

    fn happen(&mut self, what: Event) {
        match what {
            Event::Wish(number) => self.wish(number),
            Event::Write => self.person_writes(),
            Event::Meddle => self.meddle(),
            Event::Post(later, tries) => self.post(later, tries),
            Event::Land(boot, attempt, outcome) => self.land(boot, attempt, *outcome),
            Event::Learned(boot, writes, was_listening) => self.learned(boot, writes, was_listening),
            Event::Commit => self.commit(),
            Event::Start => self.start(),
            Event::Crash => self.crash(),
            Event::Revoke(revoked) => {
                drop(self.twilio.control(Method::Post, "/emulator/credentials", &json!({"revoked": revoked})))
            }
            Event::Calm => self.calm(),
            Event::Look => {}
        }
    }

    // --- the world around ---

    fn wish(&mut self, number: usize) {
        if self.wishes[number].answered.is_some() {
            return;
        }
        let again = self.some_ms(2_000, 30_000);
        self.plan(again, Event::Wish(number));
        if self.house.is_some() {
            let accept = self.wishes[number].accept.clone();
            let random = self.dice.random();
            self.write(Write::Accept(Box::new(Accept { random, ..accept })), Then::Answer(number));
        }
    }

    fn person_writes(&mut self) {
        let body = ["hi", "hello there", "stop", "start", "what?", "ok"][self.dice.random_range(0..6)];
        let (from, to) = (wishes::person(&mut self.dice), SENDERS[self.dice.random_range(0..2)]);
        // Some of it is never told to the app: only a list has it.
        let webhook = self.dice.random_bool(0.7);
        let letter = json!({"from": from.to_string(), "to": to, "body": body, "webhook": webhook});
        self.twilio.control(Method::Post, "/emulator/inbound", &letter);
        self.note("write", 0);
    }

    fn meddle(&mut self) {
        if self.house.is_none() {
            return;
        }
        let known: Vec<_> = self.wishes.iter().filter_map(|wish| wish.answered).collect();
        let Some(write) = wishes::meddle(&mut self.dice, &known) else { return };
        self.note("meddle", 0);
        self.write(write, Then::Nothing);
    }

    fn calm(&mut self) {
        self.is_calm = true;
        self.twilio.control(Method::Post, "/emulator/chaos", &json!({}));
        self.twilio.set_unreachable(0.0);
        for scope in [Scope::All].into_iter().chain(SENDERS.map(|name| Scope::Sender(name.into()))) {
            if self.house.is_none() {
                return;
            }
            self.write(Write::Resume(scope), Then::Nothing);
        }
    }

    pub(super) fn crash(&mut self) {
        if self.house.is_some() {
            // Half of the times in the middle of the next commit.
            if self.dice.random_bool(0.5) {
                let fuel = soon(60, &mut self.dice);
                return self.disk.fail_after(fuel);
            }
            self.die();
        }
    }

    /// The process ends: all that is left is on the disk.
    pub(super) fn die(&mut self) {
        self.crashes += 1;
        self.note("die", self.crashes);
        let is_power_cut = self.disk.is_off() || self.dice.random_bool(0.5);
        self.disk = if is_power_cut { self.disk.cut(&mut self.dice) } else { self.disk.kill() };
        self.house = None;
        for (_, then) in std::mem::take(&mut self.mailbox) {
            if let Then::Acknowledge(later, tries) = then {
                self.not_acknowledged(later, tries, Delivery::Broken("connection reset".into()));
            }
        }
        let longest = if self.dice.random_bool(0.2) { 900_000 } else { 5_000 };
        let downtime = self.some_ms(100, longest);
        self.plan(downtime, Event::Start);
    }

    // --- what reaches bluetick from outside ---

    fn post(&mut self, later: Box<Later>, tries: u8) {
        if self.house.is_none() {
            return self.not_acknowledged(later, tries, Delivery::NotConnected("connection refused".into()));
        }
        let Some(target) = later.url.strip_prefix(URL) else { return };
        let request = Request {
            method: "POST",
            target,
            content_type: Some("application/x-www-form-urlencoded"),
            body: later.body.as_bytes(),
            signature: Some(&later.signature),
        };
        let now = self.now();
        let forged = Request { signature: Some(&later.signature[1..]), ..request };
        if self.webhook.open(forged, now).is_ok() {
            self.broken.push(format!("P8: a forged signature was let in for {}", later.sid));
        }
        let verified = match self.webhook.open(request, now) {
            Ok(verified) => verified,
            Err(refusal) => return self.broken.push(format!("a callback of {} was refused: {refusal}", later.sid)),
        };
        let write = match target.strip_prefix("/webhooks/twilio/status/") {
            Some(attempt) => {
                let callback = verified.status().expect("the emulator's callbacks are whole");
                Write::Report(Box::new(http::report(callback, attempt.parse().ok(), self.dice.random())))
            }
            None => {
                let message = verified.inbound().expect("the emulator's messages are whole");
                Write::Receive(Box::new(http::record(message, now)))
            }
        };
        self.write(write, Then::Acknowledge(later, tries));
    }

    /// Twilio asks again after a while, up to three times, as our URLs ask it to; inbound messages once.
    pub(super) fn not_acknowledged(&mut self, later: Box<Later>, tries: u8, delivery: Delivery) {
        let is_last = tries >= 3;
        self.twilio.report(later.id, &delivery, is_last);
        if !is_last {
            let wait = self.some_ms(100, 4_000);
            self.plan(wait, Event::Post(later, tries + 1));
        }
    }

    fn land(&mut self, boot: u64, attempt: AttemptId, outcome: Outcome) {
        if self.house.as_ref().is_none_or(|house| house.boot != boot) {
            return;
        }
        let dice = self.dice.random();
        let Settlement { fact, signal } = send::settle(outcome, attempt.number, &self.policy, self.now(), dice);
        self.write(Write::Settle(Settle { attempt, fact, source: Source::Job }), Then::Landed(signal));
    }

    fn learned(&mut self, boot: u64, writes: Vec<Write>, was_listening: bool) {
        let Some(house) = self.house.as_mut().filter(|house| house.boot == boot) else { return };
        house.has_listened |= was_listening;
        for write in writes {
            self.write(write, Then::Nothing);
        }
        self.write(Write::Introduce(Vec::new()), Then::Learned);
    }
}
