//! One history: an app, its people, an operator, bluetick, and a Twilio in a mood, on one clock and one pair of dice.
//!
//! Everything that takes time is an event on one agenda, so that anything can happen between a request and its answer, or
//! between an answer and its commit: most of all the end of the process.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bluetick::clock::{Clock, Time};
use bluetick::emulator::{Delivery, Later, Method};
use bluetick::http;
use bluetick::jobs::send::{self, Settlement, Signal};
use bluetick::jobs::{Plan, listen, reconcile};
use bluetick::message::{AttemptId, Message, MessageId, Policy, Sid, Source, Word};
use bluetick::pause::{Cause, Scope};
use bluetick::store::{Accept, Claim, IdempotencyKey, Recover, Settle, StoreError, Write, Written, verify};
use bluetick::twilio::webhook::Request;
use bluetick::twilio::{AuthToken, Client, ListQuery, Outcome, Webhook};
use futures_util::FutureExt;
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
    webhook: Webhook,
    disk: TornDisk,
    pub(super) house: Option<House>,
    boots: u64,
    agenda: BinaryHeap<Reverse<Due>>,
    order: u64,
    mailbox: Vec<(Write, Then)>,
    is_committing: bool,
    pub(super) wishes: Vec<Wished>,
    /// Callbacks that were answered 2xx.
    pub(super) told: Vec<(Sid, Word)>,
    /// Inbound messages that were answered 2xx.
    pub(super) heard: Vec<Sid>,
    /// When the window of every sender was known for the first time.
    pub(super) listens_since: Option<Time>,
    pub(super) is_lagging: bool,
    is_calm: bool,
    /// What went against a promise.
    pub(super) broken: Vec<String>,
    /// A hash of everything that happened: one seed, one history.
    pub(super) trace: u64,
    pub(super) crashes: u64,
}

struct Due {
    at: Time,
    order: u64,
    what: Event,
}

enum Event {
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
enum Then {
    Answer(usize),
    Acknowledge(Box<Later>, u8),
    Send,
    Landed(Signal),
    Learned,
    Nothing,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
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
            webhook: Webhook { public_url: URL.into(), account_sid, tokens: vec![token] },
            disk: TornDisk::new(),
            house: None,
            boots: 0,
            agenda: BinaryHeap::new(),
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

    fn plan(&mut self, after: Duration, what: Event) {
        self.order += 1;
        self.agenda.push(Reverse(Due { at: self.now().plus(after), order: self.order, what }));
    }

    fn some_ms(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.dice.random_range(from..to))
    }

    /// Lives through the whole history.
    pub(super) fn run(&mut self) {
        let end = self.now().plus(TROUBLE).plus(REST);
        loop {
            let planned = self.agenda.peek().map(|Reverse(due)| due.at);
            let Some(next) = planned.into_iter().chain(self.twilio.next_due()).min().filter(|at| *at <= end) else {
                break;
            };
            self.clock.advance(next.since(self.now()));
            for post in self.twilio.take_posts() {
                let wait = self.some_ms(1, 40);
                self.plan(wait, Event::Post(Box::new(post), 0));
            }
            if planned.is_some_and(|at| at <= self.now()) {
                let Some(Reverse(due)) = self.agenda.pop() else { break };
                self.happen(due.what);
            }
            self.work();
        }
        self.clock.advance(end.since(self.now()));
    }

    fn note(&mut self, what: &str, number: u64) {
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

    fn crash(&mut self) {
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
    fn die(&mut self) {
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
        let forged = Request { signature: Some(&later.signature[1..]), ..request };
        if self.webhook.open(forged).is_ok() {
            self.broken.push(format!("P8: a forged signature was let in for {}", later.sid));
        }
        let verified = match self.webhook.open(request) {
            Ok(verified) => verified,
            Err(refusal) => return self.broken.push(format!("a callback of {} was refused: {refusal}", later.sid)),
        };
        let now = self.now();
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
    fn not_acknowledged(&mut self, later: Box<Later>, tries: u8, delivery: Delivery) {
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

    // --- what bluetick does ---

    fn start(&mut self) {
        if self.house.is_some() {
            return;
        }
        self.boots += 1;
        self.note("start", self.boots);
        // The power may fail again while the file is opened.
        if self.crashes > 0 && !self.is_calm && self.dice.random_bool(0.3) {
            let fuel = soon(30, &mut self.dice);
            self.disk.fail_after(fuel);
        }
        match House::open(&self.disk, &self.policy, self.boots, self.now()) {
            Ok(house) => self.house = Some(house),
            Err(_) if self.disk.is_off() => return self.die(),
            Err(error) => return self.broken.push(format!("the file does not open: {error}")),
        }
        if self.boots > 1 {
            self.check_kept();
        }
        let boot = self.boots;
        self.write(Write::Introduce(SENDERS.map(str::to_owned).to_vec()), Then::Nothing);
        self.write(Write::Recover(Recover { boot }), Then::Nothing);
        self.commit();
    }

    /// P1: whatever was answered 2xx is there after a crash, and the numbers are a fold of the records.
    fn check_kept(&mut self) {
        let Some(house) = &self.house else { return };
        let Ok(snapshot) = house.store.read() else { return };
        for wish in &self.wishes {
            let Some(id) = wish.answered else { continue };
            match snapshot.message(id) {
                Ok(Some(message)) if message.draft == wish.accept.draft => {}
                other => self.broken.push(format!("I1: {id} was accepted, and is {other:?} after a crash")),
            }
        }
        for (sid, word) in &self.told {
            let known = snapshot.message_by_sid(*sid).ok().flatten();
            let attempt = known.as_ref().and_then(|message| message.attempt_with(*sid));
            if attempt.is_none_or(|attempt| attempt.receipt.seen(word).is_none()) {
                self.broken.push(format!("P1: {} of {sid} was acknowledged and is gone after a crash", word.as_str()));
            }
        }
        for sid in &self.heard {
            if !snapshot.has_inbound(*sid).unwrap_or(false) {
                self.broken.push(format!("P1: inbound {sid} was acknowledged and is gone after a crash"));
            }
        }
        match verify(&snapshot, |_, _| ()) {
            Ok(findings) if findings.count == 0 => {}
            other => self.broken.push(format!("P5: after a crash verify says {other:?}")),
        }
    }

    fn write(&mut self, write: Write, then: Then) {
        self.mailbox.push((write, then));
        if !self.is_committing {
            self.is_committing = true;
            let gather = self.some_ms(0, 4);
            self.plan(gather, Event::Commit);
        }
    }

    fn commit(&mut self) {
        self.is_committing = false;
        if self.house.is_none() {
            // Nobody is there to write any more: who waited for it asks again.
            self.mailbox.clear();
        }
        loop {
            let Some(house) = self.house.as_mut() else { return };
            if self.mailbox.is_empty() && !house.store.is_behind() {
                return;
            }
            let (writes, thens): (Vec<_>, Vec<_>) = std::mem::take(&mut self.mailbox).into_iter().unzip();
            let size = writes.len() as u64;
            let listened = writes.iter().filter(|write| matches!(write, Write::Listened(_))).count();
            match house.store.commit(writes, self.clock.now()) {
                Ok(written) => {
                    self.note("commit", size);
                    if listened > 0 && self.listens_since.is_none() {
                        self.listens_since = Some(self.now());
                    }
                    for (written, then) in written.into_iter().zip(thens) {
                        self.follow(written, then);
                    }
                }
                Err(StoreError::Disk(_)) if self.disk.is_off() => {
                    for then in thens {
                        if let Then::Acknowledge(later, tries) = then {
                            self.not_acknowledged(later, tries, Delivery::Broken("connection reset".into()));
                        }
                    }
                    return self.die();
                }
                Err(error) => return self.broken.push(format!("a commit failed on a sound disk: {error}")),
            }
        }
    }

    fn follow(&mut self, written: Written, then: Then) {
        match (then, written) {
            (Then::Answer(number), Written::Accepted(message) | Written::Replayed(message)) => {
                let known = self.wishes[number].answered.replace(message.id);
                if known.is_some_and(|known| known != message.id) {
                    self.broken.push(format!("I7: one key gave {known:?} and {}", message.id));
                }
            }
            (Then::Answer(_), other) => self.broken.push(format!("a wish came to {other:?}")),
            (Then::Acknowledge(later, _), _) => self.acknowledged(&later),
            (Then::Send, Written::Claimed(claimed)) => {
                if let Some(house) = &mut self.house {
                    house.is_claiming = false;
                    for sender in claimed.too_fast {
                        house.pacer.slow_down(sender, self.clock.now());
                    }
                }
                for message in claimed.messages {
                    self.send(&message);
                }
            }
            (Then::Landed(signal), _) => self.landed(signal),
            (Then::Learned, _) => {
                if let Some(house) = &mut self.house {
                    house.is_asking = false;
                }
            }
            _ => {}
        }
    }

    fn acknowledged(&mut self, later: &Later) {
        let ok = Delivery::Answered { status: 204, content_type: String::new(), body: String::new() };
        self.twilio.report(later.id, &ok, true);
        let Ok(sid) = later.sid.parse() else { return };
        match later.params.iter().find(|(name, _)| name == "MessageStatus") {
            Some((_, word)) => self.told.push((sid, Word::parse(word))),
            None => self.heard.push(sid),
        }
    }

    /// The request leaves at once; its answer takes its time.
    fn send(&mut self, message: &Message) {
        let Some(attempt) = message.attempts.last().map(|attempt| attempt.id(message.id)) else { return };
        let Some(request) = send::request(message, Some(URL)) else { return };
        let outcome = self.client.create(&request).now_or_never().expect("nothing waits in this process");
        self.note("send", u64::from(attempt.number));
        let latency = if self.dice.random_bool(0.1) { 20_000 } else { 400 };
        let answered = self.twilio.took() + self.some_ms(1, latency);
        if let Some(house) = &mut self.house {
            house.pacer.spend(message.sender, 1);
            house.flights += 1;
            let boot = house.boot;
            self.plan(answered, Event::Land(boot, attempt, Box::new(outcome)));
        }
    }

    fn landed(&mut self, signal: Signal) {
        let (now, pause) = (self.now(), Duration::from_millis(self.policy.probe_after_ms));
        let Some(house) = &mut self.house else { return };
        house.flights = house.flights.saturating_sub(1);
        match signal {
            Signal::Calm => house.width.grow(),
            Signal::TooMany => house.width.shrink(),
            Signal::Silence => {}
            Signal::Refused(detail) => {
                house.knocks_at = Some(now.plus(pause));
                self.write(Write::Pause(Scope::Account, Cause::Credentials(detail)), Then::Nothing);
            }
        }
    }

    /// What the loops do when they look at the agenda.
    fn work(&mut self) {
        let mut wake = self.knock();
        wake = [wake, self.claim(), self.ask()].into_iter().flatten().min();
        // Nothing may be planned for a time that has come already: whatever is due has been looked at.
        if let Some(at) = wake.filter(|at| *at > self.now()) {
            let is_planned = self.agenda.iter().any(|Reverse(due)| due.at <= at);
            if !is_planned {
                self.plan(at.since(self.now()), Event::Look);
            }
        }
    }

    /// While Twilio refuses us it is tried whether it lets us in again.
    fn knock(&mut self) -> Option<Time> {
        let now = self.now();
        let house = self.house.as_mut()?;
        if house.knocks_at.is_none() {
            let pauses = house.store.read().and_then(|snapshot| snapshot.active_pauses()).ok()?;
            let is_refused = pauses.iter().any(|paused| matches!(paused.cause, Cause::Credentials(_)));
            house.knocks_at = is_refused.then(|| now.plus(Duration::from_millis(self.policy.probe_after_ms)));
        }
        let at = house.knocks_at?;
        if at > now {
            return Some(at);
        }
        house.knocks_at = None;
        let probe = ListQuery { page_size: Some(1), ..ListQuery::default() };
        match self.client.list(&probe).now_or_never().expect("nothing waits in this process") {
            Ok(_) => self.write(Write::Resume(Scope::Account), Then::Nothing),
            Err(_) => {
                let at = now.plus(Duration::from_millis(self.policy.probe_after_ms));
                self.house.as_mut()?.knocks_at = Some(at);
                return Some(at);
            }
        }
        None
    }

    fn claim(&mut self) -> Option<Time> {
        let now = self.clock.now();
        let house = self.house.as_mut()?;
        let free = house.width.get().saturating_sub(house.flights);
        if house.is_claiming || free == 0 || house.knocks_at.is_some() {
            return None;
        }
        let sendable = house.store.read().and_then(|snapshot| snapshot.sendable()).ok()?;
        match house.pacer.plan(&sendable, now) {
            Plan::Wait(until) => until,
            Plan::Claim(turns) => {
                house.is_claiming = true;
                let claim = Claim { turns, slots: free, boot: house.boot, seed: self.dice.random() };
                self.write(Write::Claim(claim), Then::Send);
                None
            }
        }
    }

    /// Asks what is due to be asked. The answers are written down a while later: meanwhile the world goes on.
    fn ask(&mut self) -> Option<Time> {
        let now = self.now();
        let house = self.house.as_ref()?;
        if house.is_asking {
            return None;
        }
        if house.asks_at > now {
            return Some(house.asks_at);
        }
        let snapshot = house.store.read().ok()?;
        let mut asks = reconcile::plan(&snapshot, now).ok()?;
        let hearings = match house.has_listened {
            true => listen::plan(&snapshot, &self.policy, now).ok()?,
            false => listen::all(&snapshot, now).ok()?,
        };
        if asks.is_empty() && hearings.is_empty() {
            let lanes = [
                bluetick::message::Priority::High,
                bluetick::message::Priority::Normal,
                bluetick::message::Priority::Bulk,
            ];
            let next = snapshot.first_question(&lanes).ok()?;
            let period = Duration::from_millis(self.policy.period_ms(0));
            let listens =
                snapshot.senders().ok()?.into_iter().filter_map(|(sender, _)| snapshot.listening(sender).ok()?);
            let listens = listens.map(|heard| heard.asked_until.plus(period)).min();
            return next.into_iter().chain(listens).min();
        }
        let (mut writes, mut trouble, mut has_listened) = (Vec::new(), false, !hearings.is_empty());
        while let Some(question) = asks.pop() {
            let learned = reconcile::ask(&self.client, &question, || now, || house.store.read(), async |_| ());
            match learned.now_or_never().expect("nothing waits in this process") {
                Ok(learned) => {
                    writes.extend(learned.answers.into_iter().map(Write::Ask));
                    asks.extend(learned.left.into_iter().map(reconcile::Ask::Fetch));
                }
                Err(_) => trouble = true,
            }
        }
        for hearing in hearings {
            let is_known = |sid| snapshot.has_inbound(sid).unwrap_or(false);
            let heard = listen::ask(&self.client, &hearing, is_known, async |_| ());
            match heard.now_or_never().expect("nothing waits in this process") {
                Ok(heard) => writes.extend(heard),
                Err(_) => (trouble, has_listened) = (true, false),
            }
        }
        let latency = self.some_ms(20, 3_000);
        let house = self.house.as_mut()?;
        (house.is_asking, house.asks_at) = (true, now.plus(Duration::from_secs(if trouble { 5 } else { 0 })));
        let boot = house.boot;
        self.note("ask", writes.len() as u64);
        self.plan(latency, Event::Learned(boot, writes, has_listened));
        None
    }
}
