//! The core through its door: a request, a clock moved by hand, and what came of it.

mod account;
mod chaos;
mod messages;
mod people;
mod script;

use std::time::Duration;

use rand::SeedableRng;
use serde_json::Value;

use super::*;
use crate::clock::Time;
use crate::twilio::signature::{AuthToken, sign_form};
use crate::twilio::wire::{encode_form, parse_form};

const PERSON: &str = "whatsapp:+4915100000001";
const SENDER: &str = "whatsapp:+15550001111";
const HOOK: &str = "https://app.example.com/status";
const SERVICE: &str = "MG00000000000000000000000000000001";
const APPROVED: &str = "HX00000000000000000000000000000001";

/// An emulator, its dice, and a clock.
struct Desk {
    emulator: Emulator,
    dice: Dice,
    now: Time,
    posts: Vec<Later>,
}

impl Desk {
    fn with(options: Options) -> Self {
        let mut dice = Dice::seed_from_u64(options.seed);
        let now = Time(1_790_000_000_000);
        Self { emulator: Emulator::new(options, now, &mut dice), dice, now, posts: Vec::new() }
    }

    /// Free text is allowed, so that a test can be about something else.
    fn open() -> Self {
        Self::with(Options { strict_window: false, ..Options::default() })
    }

    fn strict() -> Self {
        Self::with(Options::default())
    }

    fn call(&mut self, request: Request) -> (u16, Value) {
        let answer = self.answer(request);
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn answer(&mut self, request: Request) -> Answer {
        let options = Options::default();
        let request = match &request.authorization {
            None => request.with_basic(&options.account_sid, &options.auth_token),
            Some(_) => request,
        };
        let (answer, posts) = self.emulator.handle(&request, self.now, &mut self.dice);
        self.posts.extend(posts);
        answer
    }

    fn wait(&mut self, wait: Duration) {
        self.now = self.now.plus(wait);
        let posts = self.emulator.due(self.now, &mut self.dice);
        self.posts.extend(posts);
    }

    fn get(&mut self, path: &str) -> (u16, Value) {
        self.call(Request::new(Method::Get, &path.replace("ACCOUNT", &Options::default().account_sid)))
    }

    fn post(&mut self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.call(create_request(path, form))
    }

    fn control(&mut self, path: &str, body: &Value) -> (u16, Value) {
        self.call(Request::new(Method::Post, path).with_body(body.to_string()))
    }

    fn create(&mut self, changes: &[(&str, &str)]) -> (u16, Value) {
        self.post("/2010-04-01/Accounts/ACCOUNT/Messages.json", &text(changes))
    }

    fn told(&self) -> Vec<String> {
        self.posts.iter().map(|post| param(post, "MessageStatus").to_owned()).collect()
    }

    fn fetch(&mut self, sid: &str) -> Value {
        self.get(&format!("/2010-04-01/Accounts/ACCOUNT/Messages/{sid}.json")).1
    }

    fn ledger(&mut self, query: &str) -> Value {
        self.get(&format!("/emulator/ledger?{query}")).1
    }
}

/// A text that is fine, with some of its parameters changed, or left out when empty.
fn text<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let fine = [("To", PERSON), ("From", SENDER), ("Body", "hello"), ("StatusCallback", HOOK)];
    let is_kept = |(name, _): &(&str, &str)| changes.iter().all(|(changed, _)| changed != name);
    let kept = fine.into_iter().filter(is_kept);
    kept.chain(changes.iter().copied().filter(|(_, value)| !value.is_empty())).collect()
}

fn create_request(path: &str, form: &[(&str, &str)]) -> Request {
    let params: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let path = path.replace("ACCOUNT", &Options::default().account_sid);
    Request::new(Method::Post, &path).with_body(encode_form(&params))
}

fn param<'a>(post: &'a Later, name: &str) -> &'a str {
    post.params.iter().find(|pair| pair.0 == name).map_or("", |pair| pair.1.as_str())
}

fn acknowledged() -> Delivery {
    Delivery::Answered { status: 204, content_type: String::new(), body: String::new() }
}
