//! The core: one request in, one answer and some posts to the app out; what is due later waits in an agenda.
//!
//! Invariant: no clock, no socket, no chance of its own: `now` and the dice come with every call, so one seed, one order
//! of calls and one clock give one behaviour. The emulator's time is the caller's plus what `/emulator/clock` has added.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use rand::rngs::StdRng;

use super::account::Account;
use super::alerts::{self, Alerts, Incident};
use super::chaos::{Chaos, Lot};
use super::contact::Contacts;
use super::draft::Draft;
use super::exchange::{Answer, Delivery, Later, Request};
use super::inbound::InboundPost;
use super::ledger::{CallbackRow, Ledger};
use super::message::Book;
use super::options::{Options, Pace};
use super::random_hex;
use super::retry_policy::{INVALID_EDGE, RetryPolicy};
use super::scenario::Script;
use super::senders::Sender;
use super::status::Status;
use crate::clock::Time;
use crate::twilio::signature::sign_form;
use crate::twilio::wire::{Params, encode_form, format_date};

/// Most happenings run in one call, so that a large leap of the clock cannot hold the lock for seconds.
const MAX_DUE: usize = 20_000;

/// The dice everything by chance is thrown with.
pub type Dice = StdRng;

/// A small, strict, forgetful Twilio.
#[derive(Debug)]
pub struct Emulator {
    pub(super) options: Options,
    pub(super) account: Account,
    pub(super) senders: Vec<Sender>,
    pub(super) book: Book,
    pub(super) contacts: Contacts,
    pub(super) script: Script,
    pub(super) chaos: Chaos,
    pub(super) ledger: Ledger,
    pub(super) alerts: Alerts,
    pub(super) pace: Pace,
    pub(super) has_chatter: bool,
    pub(super) started: Time,
    /// How far the emulator's clock is ahead of the caller's.
    pub(super) ahead: Duration,
    /// Scheduled messages by number, as they will be judged when they leave.
    pub(super) scheduled: HashMap<u64, (Draft, Lot)>,
    /// Inbound posts under way that have a fallback, by the number of their row.
    pub(super) with_fallback: HashMap<u64, InboundPost>,
    agenda: BinaryHeap<Reverse<Due>>,
    order: u64,
}

/// Something that will happen.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// A message moves to a status.
    Step { number: u64, status: Status, code: Option<u32> },
    /// The app is told of a status.
    Callback { number: u64, status: Status, code: Option<u32> },
    /// A scheduled message's time has come.
    Leave { number: u64 },
    /// A person answers a message.
    Reply { number: u64, words: &'static str },
    /// The app is told what a person wrote.
    Inbound(Box<InboundPost>),
    /// An update of a sender is through.
    SenderOnline(usize),
}

#[derive(Debug)]
struct Due {
    at: Time,
    order: u64,
    what: Happening,
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

impl Emulator {
    /// An emulator that starts at `now`.
    pub fn new(options: Options, now: Time, dice: &mut Dice) -> Self {
        Self {
            account: Account::new(&options),
            senders: Sender::all(&options, dice),
            book: Book::new(options.max_messages),
            contacts: Contacts::default(),
            script: Script::default(),
            chaos: Chaos::default(),
            ledger: Ledger::new(options.max_messages, 0),
            alerts: Alerts::default(),
            pace: options.pace,
            has_chatter: options.chatter,
            started: now,
            ahead: Duration::ZERO,
            scheduled: HashMap::new(),
            with_fallback: HashMap::new(),
            agenda: BinaryHeap::new(),
            order: 0,
            options,
        }
    }

    /// Answers a request and hands out the posts to the app that are due by then.
    pub fn handle(&mut self, request: &Request, now: Time, dice: &mut Dice) -> (Answer, Vec<Later>) {
        let mut laters = self.due(now, dice);
        let here = now.plus(self.ahead);
        let mut answer = self.route(request, here, dice).unwrap_or_else(|refusal| refusal.answer());
        // A call may have moved the clock, and an answer tells the time at which it leaves.
        let leaves = now.plus(self.ahead).plus(answer.how.wait());
        answer.headers.push(("Date", format_date(leaves.0).replace("+0000", "GMT")));
        laters.append(&mut self.due(now, dice));
        (answer, laters)
    }

    /// Lets happen what is due, in order, and hands out the posts to the app it leads to.
    pub fn due(&mut self, now: Time, dice: &mut Dice) -> Vec<Later> {
        let here = now.plus(self.ahead);
        let mut laters = Vec::new();
        for _ in 0..MAX_DUE {
            let Some(Reverse(next)) = self.agenda.peek() else { break };
            if next.at > here {
                break;
            }
            let Some(Reverse(next)) = self.agenda.pop() else { break };
            laters.extend(self.happen(next.what, next.at, dice));
        }
        laters
    }

    /// When the next thing is due, on the caller's clock.
    pub fn next_due(&self) -> Option<Time> {
        self.agenda.peek().map(|Reverse(next)| next.at.minus(self.ahead))
    }

    /// Learns how a try to post something went. A failed inbound may lead to another post, to its fallback.
    pub fn report(
        &mut self,
        id: u64,
        delivery: &Delivery,
        took: Duration,
        is_last: bool,
        now: Time,
        dice: &mut Dice,
    ) -> Vec<Later> {
        let now = now.plus(self.ahead);
        let Some(row) = self.ledger.tried(id, delivery, took, is_last) else { return Vec::new() };
        let (sid, url, is_inbound) = (row.sid.clone(), row.url.clone(), row.kind == "inbound");
        if let Some((code, text)) = alerts::cause(delivery, is_inbound) {
            let response_body =
                if let Delivery::Answered { body, .. } = delivery { body.clone() } else { String::new() };
            self.alert(Incident { code, text, url, sid: sid.clone(), response_body }, now, dice);
        }
        if !is_inbound {
            return Vec::new();
        }
        if let Delivery::Answered { status: 200..300, body, .. } = delivery {
            self.answer_person(&sid, body, now, dice);
        }
        let fallback = self.inbound_posted(id, delivery.is_acknowledged(), now, dice);
        let mut laters: Vec<_> = fallback.into_iter().collect();
        laters.append(&mut self.due(now.minus(self.ahead), dice));
        laters
    }

    /// Whether nothing is planned and nothing under way.
    pub fn is_settled(&self) -> bool {
        self.agenda.is_empty() && self.ledger.counts.waiting == 0
    }

    /// Puts something on the agenda; what is planned for one moment happens in the order it was planned.
    pub(super) fn plan(&mut self, at: Time, what: Happening) {
        self.order += 1;
        self.agenda.push(Reverse(Due { at, order: self.order, what }));
    }

    /// How many things are planned.
    pub(super) fn planned(&self) -> usize {
        self.agenda.len()
    }

    fn happen(&mut self, what: Happening, now: Time, dice: &mut Dice) -> Option<Later> {
        match what {
            Happening::Step { number, status, code } => self.step(number, status, code, now),
            Happening::Callback { number, status, code } => return self.call_back(number, status, code, now, dice),
            Happening::Leave { number } => self.leave(number, now, dice),
            Happening::Reply { number, words } => self.reply(number, words, now, dice),
            Happening::Inbound(post) => return Some(self.post_inbound(*post, now, dice)),
            Happening::SenderOnline(index) => self.sender_online(index),
        }
        None
    }

    /// Signs a post to the app and writes it down.
    pub(super) fn post(&mut self, row: CallbackRow, params: Params, now: Time, dice: &mut Dice) -> Later {
        let (url, retry, mistake) = RetryPolicy::split(&row.url);
        // What is signed is what is requested: the HTTP client escapes a few characters that people write plainly.
        let url = reqwest::Url::parse(url).map_or_else(|_| url.to_owned(), String::from);
        if let Some(code) = mistake {
            let what = if code == INVALID_EDGE { "names no edge there is" } else { "has a value out of range" };
            let text = format!("The webhook URL's fragment {what}");
            let (url, sid) = (row.url.clone(), row.sid.clone());
            self.alert(Incident { code, text, url, sid, response_body: String::new() }, now, dice);
        }
        let later = Later {
            id: self.ledger.next(),
            sid: row.sid.clone(),
            url: url.clone(),
            body: encode_form(&params),
            signature: sign_form(&self.account.primary, &url, &params),
            params,
            idempotency_token: random_hex(dice),
            retry,
        };
        self.ledger.posted(row);
        later
    }
}
