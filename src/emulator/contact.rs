//! How people behave: when a message reaches them, whether they read it, what they write back, and that STOP means stop.
//!
//! Invariant: chance comes only from the dice handed in, so one seed gives one life.

use std::collections::HashMap;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::options::Pace;
use super::scenario::Scenario;
use super::status::Status;
use crate::clock::Time;

/// Free text is allowed this long after a contact last wrote.
/// <https://developers.facebook.com/docs/whatsapp/pricing#customer-service-windows>
pub(super) const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// How late a late callback is.
pub(super) const LATE: Duration = Duration::from_secs(30);
/// Past this many contacts, those that neither have an open window nor opted out are forgotten.
const MAX_CONTACTS: usize = 200_000;

const STOP_WORDS: [&str; 6] = ["stop", "stopall", "unsubscribe", "cancel", "end", "quit"];
const START_WORDS: [&str; 3] = ["start", "unstop", "yes"];
const REPLIES: [&str; 6] =
    ["Thank you!", "Got it 👍", "When does it arrive?", "Perfekt, danke!", "Can I change the address?", "ok"];

/// One thing that becomes of a message, this long after it was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beat {
    pub(super) after: Duration,
    pub(super) status: Status,
    pub(super) code: Option<u32>,
}

/// Everything that will become of a message, and what of it the app will be told, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) beats: Vec<Beat>,
    pub(super) callbacks: Vec<Beat>,
    pub(super) lost: Vec<Beat>,
    pub(super) reply: Option<(Duration, &'static str)>,
}

/// Decides the life of one message. `is_pooled` says that a Messaging Service took it: then `queued` is news too.
pub(super) fn live(scenario: Scenario, pace: Pace, has_chatter: bool, is_pooled: bool, dice: &mut StdRng) -> Life {
    let beats = beats(scenario, pace, is_pooled, dice);
    let mut life = Life { beats, ..Life::default() };
    tell(&mut life, scenario, dice);
    let is_read = life.beats.last().filter(|beat| beat.status == Status::Read);
    if let Some(read) = is_read {
        let chatty = scenario == Scenario::Replies || (has_chatter && dice.random_ratio(1, 8));
        let thinking = between(pace, 2_000, 20_000, dice);
        let words = REPLIES[dice.random_range(0..REPLIES.len())];
        life.reply = chatty.then_some((read.after + thinking, words));
    }
    life
}

fn beats(scenario: Scenario, pace: Pace, is_pooled: bool, dice: &mut StdRng) -> Vec<Beat> {
    let mut beats = Vec::with_capacity(4);
    let mut after = Duration::ZERO;
    let mut add = |delay: Duration, status, code| {
        after += delay;
        beats.push(Beat { after, status, code });
    };
    if is_pooled {
        add(between(pace, 20, 120, dice), Status::Queued, None);
    }
    let sending = between(pace, 150, 900, dice);
    match scenario {
        Scenario::Fails(30008) => {
            add(sending, Status::Sent, None);
            add(between(pace, 1_000, 8_000, dice), Status::Undelivered, Some(30008));
            return beats;
        }
        Scenario::Fails(code) => {
            add(sending, failure(code), Some(code));
            return beats;
        }
        _ => add(sending, Status::Sent, None),
    }
    if scenario == Scenario::Stuck {
        return beats;
    }
    let is_phone_off = dice.random_ratio(1, 25);
    let travel = if is_phone_off { (8_000, 60_000) } else { (250, 2_500) };
    add(between(pace, travel.0, travel.1, dice), Status::Delivered, None);
    let hides_reading = pace == Pace::Lifelike && scenario != Scenario::Replies && dice.random_ratio(1, 6);
    if scenario != Scenario::Unread && !hides_reading {
        add(between(pace, 1_500, 25_000, dice), Status::Read, None);
    }
    beats
}

/// Which of the beats the app is told, when, how often and in what order.
fn tell(life: &mut Life, scenario: Scenario, dice: &mut StdRng) {
    let last = life.beats.last().map_or(Duration::ZERO, |beat| beat.after);
    for beat in &life.beats {
        match scenario {
            Scenario::Lost => life.lost.push(*beat),
            Scenario::HalfLost if dice.random_ratio(1, 2) => life.lost.push(*beat),
            Scenario::Late => life.callbacks.push(Beat { after: beat.after + LATE, ..*beat }),
            Scenario::Twice => life.callbacks.extend([*beat, *beat]),
            Scenario::OutOfOrder => life.callbacks.insert(0, Beat { after: last, ..*beat }),
            Scenario::Early => life.callbacks.push(Beat { after: Duration::ZERO, ..*beat }),
            _ => life.callbacks.push(*beat),
        }
    }
    if scenario == Scenario::Early {
        life.beats.iter_mut().for_each(|beat| beat.after = Duration::ZERO);
    }
}

/// WhatsApp's own refusals come back as `undelivered`; what Twilio stops never left, so it `failed`.
fn failure(code: u32) -> Status {
    match code {
        63003 | 63014 | 63024 | 63032 | 63033 | 63049 | 30000..=30999 => Status::Undelivered,
        _ => Status::Failed,
    }
}

fn between(pace: Pace, least: u64, most: u64, dice: &mut StdRng) -> Duration {
    // The dice are thrown at any pace, so that a change of pace alone changes no choice.
    let millis = dice.random_range(least..most);
    if pace == Pace::Instant { Duration::ZERO } else { Duration::from_millis(millis) }
}

/// What the emulator knows of one person and one sender.
#[derive(Clone, Copy, Debug, Default)]
struct Contact {
    last_inbound: Option<Time>,
    has_opted_out: bool,
}

/// Everyone who ever wrote.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    known: HashMap<(String, String), Contact>,
}

impl Contacts {
    /// A person wrote to a sender: the window opens, and STOP and START are obeyed. Returns `OptOutType`, if any.
    pub(super) fn wrote(&mut self, person: &str, sender: &str, body: &str, now: Time) -> Option<&'static str> {
        if self.known.len() >= MAX_CONTACTS {
            let is_open = |contact: &Contact| contact.last_inbound.is_some_and(|at| now.since(at) < WINDOW);
            self.known.retain(|_, contact| contact.has_opted_out || is_open(contact));
        }
        let contact = self.known.entry((person.to_owned(), sender.to_owned())).or_default();
        contact.last_inbound = Some(now);
        let word = body.trim().to_lowercase();
        if STOP_WORDS.contains(&word.as_str()) {
            contact.has_opted_out = true;
            Some("STOP")
        } else if START_WORDS.contains(&word.as_str()) {
            contact.has_opted_out = false;
            Some("START")
        } else {
            None
        }
    }

    /// Whether free text may be sent.
    pub(super) fn has_open_window(&self, person: &str, sender: &str, now: Time) -> bool {
        self.get(person, sender).and_then(|contact| contact.last_inbound).is_some_and(|at| now.since(at) < WINDOW)
    }

    /// Whether the person said STOP to this sender.
    pub(super) fn has_opted_out(&self, person: &str, sender: &str) -> bool {
        self.get(person, sender).is_some_and(|contact| contact.has_opted_out)
    }

    fn get(&self, person: &str, sender: &str) -> Option<&Contact> {
        self.known.get(&(person.to_owned(), sender.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn life(scenario: Scenario, pace: Pace) -> Life {
        live(scenario, pace, false, false, &mut StdRng::seed_from_u64(7))
    }

    fn words(beats: &[Beat]) -> Vec<&'static str> {
        beats.iter().map(|beat| beat.status.word()).collect()
    }

    #[test]
    fn an_instant_life_has_no_delays_and_is_read() {
        let life = life(Scenario::Normal, Pace::Instant);
        assert_eq!(words(&life.beats), ["sent", "delivered", "read"]);
        assert!(life.beats.iter().all(|beat| beat.after.is_zero()));
        assert_eq!(life.callbacks, life.beats);
    }

    #[test]
    fn a_lifelike_life_takes_seconds_and_is_the_same_for_the_same_seed() {
        let first = life(Scenario::Replies, Pace::Lifelike);
        assert!(first.reply.expect("it replies").0 > Duration::from_secs(2));
        assert!(first.beats.is_sorted_by_key(|beat| beat.after));
        assert_eq!(first, life(Scenario::Replies, Pace::Lifelike));
    }

    #[test]
    fn scenarios_bend_what_is_told_not_what_happens() {
        let told = |scenario| words(&life(scenario, Pace::Instant).callbacks);
        assert_eq!(told(Scenario::OutOfOrder), ["read", "delivered", "sent"]);
        assert_eq!(told(Scenario::Twice).len(), 6);
        assert!(told(Scenario::Lost).is_empty());
        assert_eq!(words(&life(Scenario::Lost, Pace::Instant).beats), ["sent", "delivered", "read"]);
        assert_eq!(life(Scenario::Late, Pace::Instant).callbacks[0].after, LATE);
    }

    #[test]
    fn failures_end_as_whatsapp_or_twilio_would_say() {
        let end = |code| words(&life(Scenario::Fails(code), Pace::Instant).beats);
        assert_eq!(end(63016), ["failed"]);
        assert_eq!(end(63024), ["undelivered"]);
        assert_eq!(end(30008), ["sent", "undelivered"]);
    }

    #[test]
    fn a_window_closes_after_a_day_and_stop_holds_until_start() {
        let mut contacts = Contacts::default();
        let (person, sender, now) = ("whatsapp:+4915100000001", "whatsapp:+15550001111", Time(1_000));
        assert!(!contacts.has_open_window(person, sender, now));
        assert_eq!(contacts.wrote(person, sender, " Stop ", now), Some("STOP"));
        assert!(contacts.has_opted_out(person, sender));
        assert_eq!(contacts.wrote(person, sender, "START", now), Some("START"));
        assert!(!contacts.has_opted_out(person, sender) && contacts.has_open_window(person, sender, now));
        assert!(!contacts.has_open_window(person, sender, now.plus(WINDOW)));
    }
}
