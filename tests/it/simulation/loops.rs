//! What bluetick does in a history: it starts, commits what waits, sends, asks and listens, as its jobs do, but one step at a
//! time, so that anything can come in between.

use std::time::Duration;

use bluetick::clock::Time;
use bluetick::emulator::{Delivery, Later};
use bluetick::jobs::send::{self, Signal};
use bluetick::jobs::{Plan, listen, reconcile};
use bluetick::message::{Message, Priority, Word};
use bluetick::pause::{Cause, Scope};
use bluetick::store::{Claim, Recover, StoreError, Write, Written, verify};
use bluetick::twilio::ListQuery;
use futures_util::FutureExt;
use rand::RngExt;

use super::house::{House, SENDERS};
use super::world::{Event, Then, URL, World};
use crate::torn::soon;

impl World {
    pub(super) fn start(&mut self) {
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

    pub(super) fn write(&mut self, write: Write, then: Then) {
        self.mailbox.push((write, then));
        if !self.is_committing {
            self.is_committing = true;
            let gather = self.some_ms(0, 4);
            self.plan(gather, Event::Commit);
        }
    }

    pub(super) fn commit(&mut self) {
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
    pub(super) fn work(&mut self) {
        let mut wake = self.knock();
        wake = [wake, self.claim(), self.ask()].into_iter().flatten().min();
        // Nothing may be planned for a time that has come already: whatever is due has been looked at.
        if let Some(at) = wake.filter(|at| *at > self.now()) {
            let is_planned = self.agenda.keys().next().is_some_and(|(first, _)| *first <= at);
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
            let lanes = [Priority::High, Priority::Normal, Priority::Bulk];
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
