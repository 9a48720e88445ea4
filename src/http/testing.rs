//! What the tests of this room share: a bluetick over a store of its own, and Twilio's side of a webhook.
//!
//! Not here: any assertion.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::Data;
use serde_json::Value;
use tokio::sync::watch;

use super::app::{App, Tally};
use super::client::Proxies;
use super::limits::Limits;
use super::{Options, bounds, headers, routes, transport};
use crate::archive::Shelf;
use crate::audit::{Actor, Deed};
use crate::clock::{Clock, Time};
use crate::custody::Custody;
use crate::keyring::{self, ApiKey, Hash, KeyId, Kind, Role, Scopes, Session, SessionToken, User};
use crate::message::{AttemptId, Fact, Policy, Sid, Source, Word};
use crate::store::{
    self, Act, Before, Claim, Claimed, Ending, Govern, Opening, Settle, Shown, Turn, Upkeep, Write, Written,
};
use crate::twilio::signature::{AuthToken, sign_form};
use crate::twilio::webhook::Webhook;
use crate::twilio::wire::{Params, encode_form};

pub(super) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(super) const PUBLIC_URL: &str = "https://hooks.example.com";
pub(super) const SENDER: &str = "whatsapp:+15550001111";
pub(super) const PERSON: &str = "whatsapp:+4915100000001";
pub(super) const START: Time = Time(1_700_000_000_000);

/// A bluetick without a server. Its folder goes with it.
pub(super) struct House {
    pub(super) app: Data<App>,
    pub(super) dir: PathBuf,
}

impl House {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same, with something configured differently.
    pub(super) fn with(change: impl FnOnce(&mut App)) -> Self {
        let dir = tempfile::tempdir().expect("a folder").keep();
        let clock = Clock::manual(START);
        let options = store::Options { dir: dir.clone(), cache_mb: 16, ..store::Options::default() };
        let (store, _writer) = store::start(&options, Shelf::beside(&options.dir), Policy::default(), clock.clone())
            .expect("a store in a new folder");
        let secrets = vec![(Kind::TwilioAuthToken, AuthToken::new(TOKEN))];
        let custody = Arc::new(custody(store.clone(), dir.clone(), secrets));
        let mut app = app(store, custody, dir.clone());
        change(&mut app);
        Self { app: Data::new(app), dir }
    }

    /// The same store with something configured differently, as after a restart.
    pub(super) fn configured_anew(self, change: impl FnOnce(&mut App)) -> Self {
        let dir = self.dir.clone();
        let mut app = app(self.app.store.clone(), Arc::clone(&self.app.custody), dir.clone());
        change(&mut app);
        // The folder goes with the new one.
        std::mem::forget(self);
        Self { app: Data::new(app), dir }
    }

    /// Sends a request; the body of the answer is still to be read.
    pub(super) async fn respond(&self, request: TestRequest) -> ServiceResponse<BoxBody> {
        let app = actix_web::App::new().app_data(self.app.clone()).configure(routes::configure);
        let app = app.wrap(from_fn(transport::enforce)).wrap(from_fn(bounds::keep)).wrap(from_fn(headers::finish));
        let service = init_service(app).await;
        call_service(&service, request.to_request()).await.map_into_boxed_body()
    }

    /// Sends a request and reads the answer.
    pub(super) async fn call(&self, request: TestRequest) -> Answer {
        let response = self.respond(request).await;
        let status = response.status();
        let headers = response.headers().clone();
        let bytes = to_bytes(response.into_body()).await.map_err(drop).expect("a body").to_vec();
        Answer { status, headers, text: String::from_utf8(bytes).expect("text") }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.call(api(TestRequest::get().uri(path))).await
    }

    pub(super) async fn send(&self, body: &Value) -> Answer {
        self.call(api(TestRequest::post().uri("/v1/messages").set_json(body))).await
    }

    /// Makes a key that may do this much, and gives its secret.
    pub(super) async fn key(&self, scopes: Scopes) -> String {
        let wish = keyring::Wish { name: "test".into(), scopes, networks: Vec::new(), expires_at: None };
        let (key, secret) = ApiKey::make(wish, KeyId(rand::random()), rand::random(), self.app.clock.now());
        self.govern(Act::KeepKey { key: Box::new(key), expected: None }).await;
        secret.expose().to_owned()
    }

    /// A request with such a key.
    pub(super) async fn with_key(&self, scopes: Scopes, request: TestRequest) -> TestRequest {
        request.insert_header(("authorization", format!("Bearer {}", self.key(scopes).await)))
    }

    /// Enters somebody new, and logs them in: the header that their browser sends along.
    pub(super) async fn visit(&self, role: Role, sees_people: bool) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{role}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let user = User::new(&name, role, sees_people, Hash::of_nobody().clone(), self.app.clock.now());
        self.govern(Act::KeepUser { user: Box::new(user), expected: None, ending: Ending::None }).await;
        let token = SessionToken::new(rand::random());
        let session = Session::new(&name, false, None, "", self.app.clock.now());
        let shown = Some(Shown { generation: 1, step: None, rehashed: None });
        let opening = Opening { id: token.id(), session, before: Before::Nothing, shown };
        self.govern(Act::OpenSession(Box::new(opening))).await;
        format!("__Host-bt={}", token.expose())
    }

    async fn govern(&self, act: Act) {
        let govern = Govern { by: Actor::default(), act, deed: Deed::new("", "", "") };
        let written = self.app.store.write(Write::Govern(Box::new(govern))).await;
        assert!(matches!(written, Ok(Written::Governed)), "{written:?}");
    }

    /// A request of somebody who may do everything.
    pub(super) async fn person(&self, request: TestRequest) -> TestRequest {
        request.insert_header(("cookie", self.visit(Role::Admin, true).await))
    }

    /// Accepts a message and gives its id.
    pub(super) async fn accepted(&self) -> String {
        let answer = self.send(&serde_json::json!({ "to": PERSON, "body": "hello" })).await;
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Opens attempts of all that is due, as the sending job does.
    pub(super) async fn claim(&self) -> Claimed {
        let turns = vec![Turn { sender: 1, at_most: 100 }];
        let claim = Claim { turns, slots: 100, boot: 1, seed: [7; 32] };
        match self.app.store.write(Write::Claim(claim)).await {
            Ok(Written::Claimed(claimed)) => claimed,
            other => panic!("not claimed: {other:?}"),
        }
    }

    /// Twilio took an attempt.
    pub(super) async fn sent(&self, attempt: AttemptId, sid: Sid) {
        let ask_at = START.plus(Duration::from_secs(600));
        let fact = Fact::Sent { attempt: attempt.number, sid, word: Word::Queued, ask_at };
        let settle = Settle { attempt, fact, source: Source::Job };
        self.app.store.write(Write::Settle(settle)).await.expect("settled");
    }

    /// How many events there are: nothing was stored if there are none.
    pub(super) fn events(&self) -> usize {
        self.app.store.read().and_then(|snapshot| snapshot.events(0, 1_000)).expect("events").len()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.app.store.close();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: actix_web::http::header::HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Status and code of a problem.
    pub(super) fn problem(&self) -> (u16, String) {
        let code = self.json()["code"].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), code)
    }

    /// Code of a problem; nothing, where there is none.
    pub(super) fn problem_code(&self) -> String {
        let body: Option<Value> = serde_json::from_str(&self.text).ok();
        body.and_then(|body| Some(body["code"].as_str()?.to_owned())).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

pub(super) fn api(request: TestRequest) -> TestRequest {
    request.insert_header(("authorization", "Bearer key"))
}

/// A bluetick over a store, as the tests have it configured.
fn app(store: store::Handle, custody: Arc<Custody>, dir: PathBuf) -> App {
    let clock = store.clock();
    App {
        store,
        webhook: Some(Webhook {
            public_url: PUBLIC_URL.into(),
            account_sid: ACCOUNT.into(),
            keyring: custody.keyring().clone(),
        }),
        custody,
        board: Default::default(),
        clock,
        options: Options { api_key: Some("key".into()), admin_password: Some("secret".into()), ..Options::default() },
        proxies: Proxies::of(&Options::default()).expect("the defaults are fine"),
        limits: Limits::new(&Options::default()),
        default_from: Some(SENDER.parse().expect("an address")),
        public_url: Some(PUBLIC_URL.into()),
        mode: "demo".into(),
        policy: Policy::default(),
        rates: [(SENDER.to_owned(), 20.0)].into(),
        default_rate: 10.0,
        chores: vec![(Upkeep::Archive, None), (Upkeep::Backup, None)],
        backups: Default::default(),
        archive: Default::default(),
        data_dir: dir,
        boot_at: START,
        tally: Tally::default(),
        revoked: watch::Sender::new(0),
        usage: Default::default(),
        reception: Default::default(),
        shutdown: watch::Sender::new(false),
    }
}

/// Moves the clock by hand.
pub(super) fn move_to(house: &House, at: Time) {
    let Clock::Manual(now) = &house.app.clock else { panic!("a clock that is moved by hand") };
    now.store(at.0, Ordering::SeqCst);
}

/// Opened on a thread of its own, since a test is in the middle of one runtime already.
fn custody(store: store::Handle, dir: PathBuf, secrets: Vec<(Kind, AuthToken)>) -> Custody {
    let opened = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(Custody::open(&store, &keyring::Options::default(), &dir, secrets))
    });
    opened.join().expect("no panic").expect("a new store has no vault")
}

/// A form as Twilio posts it: signed for the public URL.
pub(super) fn signed(target: &str, params: &Params) -> TestRequest {
    let signature = sign_form(&AuthToken::new(TOKEN), &format!("{PUBLIC_URL}{target}"), params);
    form(target, encode_form(params)).insert_header(("x-twilio-signature", signature))
}

pub(super) fn form(target: &str, body: impl Into<Vec<u8>>) -> TestRequest {
    let request = TestRequest::post().uri(target).set_payload(body.into());
    request.insert_header(("content-type", "application/x-www-form-urlencoded; charset=UTF-8"))
}

/// A status callback, for `sid` and with `status`.
pub(super) fn callback(sid: &str, status: &str) -> Params {
    pairs(&[("MessageSid", sid), ("MessageStatus", status), ("AccountSid", ACCOUNT), ("From", SENDER), ("To", PERSON)])
}

pub(super) fn pairs(pairs: &[(&str, &str)]) -> Params {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
