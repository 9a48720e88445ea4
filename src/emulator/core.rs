//! The core: one request in, one answer and some posts to the app out; what is due later waits in an agenda.
//!
//! Invariant: no clock, no socket, no chance of its own: `now` and the dice come with every call, so one seed, one order
//! of calls and one clock give one behaviour. The emulator's time is the caller's plus what `/emulator/clock` has added.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use rand::rngs::StdRng;

use super::account::{Account, Caller};
use super::alerts::{self, Alerts, Incident};
use super::contact::Contacts;
use super::draft::Draft;
use super::exchange::{Answer, Delivery, Later, Method, Refusal, Request};
use super::inbound::InboundPost;
use super::ledger::{CallbackRow, Ledger};
use super::message::Book;
use super::options::{Options, Pace};
use super::random_hex;
use super::retry_policy::{INVALID_EDGE, RetryPolicy};
use super::scenario::{Scenario, Script};
use super::senders::Sender;
use super::status::Status;
use crate::clock::Time;
use crate::twilio::signature::sign_form;
use crate::twilio::wire::{Params, encode_form};

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
    pub(super) ledger: Ledger,
    pub(super) alerts: Alerts,
    pub(super) pace: Pace,
    pub(super) has_chatter: bool,
    pub(super) started: Time,
    /// How far the emulator's clock is ahead of the caller's.
    pub(super) ahead: Duration,
    /// Scheduled messages by number, as they will be judged when they leave.
    pub(super) scheduled: HashMap<u64, (Draft, Scenario)>,
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
        let answer = self.route(request, here, dice).unwrap_or_else(|refusal| refusal.answer());
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
        if let Some(code) = mistake {
            let what = if code == INVALID_EDGE { "names no edge there is" } else { "has a value out of range" };
            let text = format!("The webhook URL's fragment {what}");
            let (url, sid) = (row.url.clone(), row.sid.clone());
            self.alert(Incident { code, text, url, sid, response_body: String::new() }, now, dice);
        }
        let later = Later {
            id: self.ledger.next(),
            sid: row.sid.clone(),
            url: url.to_owned(),
            body: encode_form(&params),
            signature: sign_form(&self.account.primary, url, &params),
            params,
            idempotency_token: random_hex(dice),
            retry,
        };
        self.ledger.posted(row);
        later
    }

    fn route(&mut self, request: &Request, now: Time, dice: &mut Dice) -> Result<Answer, Refusal> {
        let segments: Vec<&str> = request.path.split('/').skip(1).collect();
        if let ["emulator", rest @ ..] = segments.as_slice() {
            return self.control(rest, request, now, dice);
        }
        let caller = self.account.caller(request.authorization.as_deref())?;
        match segments.as_slice() {
            ["2010-04-01", "Accounts", rest @ ..] => self.route_account(rest, caller, request, now, dice),
            ["v1", "AuthTokens", which] => self.route_tokens(which, caller, request, now, dice),
            ["v2", "Channels", "Senders"] => only(request, Method::Get).and_then(|()| self.list_senders(request)),
            ["v2", "Channels", "Senders", sid] => match request.method {
                Method::Get => self.fetch_sender(sid, request),
                Method::Post => self.update_sender(sid, request, now),
                _ => Err(wrong_method()),
            },
            ["v1", rest @ ..] => only(request, Method::Get).and_then(|()| self.route_reading(rest, request)),
            _ => Err(Refusal::not_found(&request.path)),
        }
    }

    fn route_account(
        &mut self,
        rest: &[&str],
        caller: Caller,
        request: &Request,
        now: Time,
        dice: &mut Dice,
    ) -> Result<Answer, Refusal> {
        let sid = rest.first().map(|first| first.trim_end_matches(".json"));
        if sid != Some(self.account.sid.as_str()) {
            return Err(Refusal::not_found(&request.path));
        }
        match (rest, request.method) {
            ([_], Method::Get) => account_only(caller).map(|()| self.account.fetch(self.started)),
            ([_, "Balance.json"], Method::Get) => Ok(self.account.balance()),
            ([_, "Messages.json"], Method::Get) => self.list_messages(request, now),
            ([_, "Messages.json"], Method::Post) => self.create_message(request, now, dice),
            ([_, "Messages", name], method) => {
                let sid = name.strip_suffix(".json").unwrap_or(name);
                match method {
                    Method::Get => self.fetch_message(sid, request),
                    Method::Post => self.update_message(sid, request, now),
                    Method::Delete => self.delete_message(sid, request),
                    Method::Other => Err(wrong_method()),
                }
            }
            ([_, "Messages", sid, "Media.json"], Method::Get) => self.list_media(sid, request),
            ([_] | [_, "Balance.json" | "Messages.json"], _) => Err(wrong_method()),
            _ => Err(Refusal::not_found(&request.path)),
        }
    }

    fn route_tokens(
        &mut self,
        which: &str,
        caller: Caller,
        request: &Request,
        now: Time,
        dice: &mut Dice,
    ) -> Result<Answer, Refusal> {
        account_only(caller)?;
        match (which, request.method) {
            ("Secondary", Method::Post) => self.account.create_secondary(request, now, dice),
            ("Secondary", Method::Delete) => self.account.delete_secondary(request),
            ("Promote", Method::Post) => self.account.promote(request, now),
            ("Secondary" | "Promote", _) => Err(wrong_method()),
            _ => Err(Refusal::not_found(&request.path)),
        }
    }

    fn route_reading(&self, rest: &[&str], request: &Request) -> Result<Answer, Refusal> {
        match rest {
            ["Content"] => self.list_content(false, request),
            ["ContentAndApprovals"] => self.list_content(true, request),
            ["Content", sid] => self.fetch_content(sid, request),
            ["Content", sid, "ApprovalRequests"] => self.fetch_approval(sid, request),
            ["Alerts"] => self.list_alerts(request),
            ["Alerts", sid] => self.fetch_alert(sid, request),
            _ => Err(Refusal::not_found(&request.path)),
        }
    }
}

pub(super) fn wrong_method() -> Refusal {
    Refusal::new(405, 20004, "Method not allowed")
}

fn only(request: &Request, method: Method) -> Result<(), Refusal> {
    if request.method == method { Ok(()) } else { Err(wrong_method()) }
}

/// A standard API key does not reach the account and its tokens.
fn account_only(caller: Caller) -> Result<(), Refusal> {
    match caller {
        Caller::Account => Ok(()),
        Caller::Key => Err(Refusal::new(401, 20003, "An API key cannot do this: use the account's auth token")),
    }
}
