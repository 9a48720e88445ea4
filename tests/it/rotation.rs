//! The auth token rotates at Twilio: whatever is lost, and wherever it is cut off.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluetick::archive::Shelf;
use bluetick::audit::{Actor, Deed};
use bluetick::clock::{Clock, Time};
use bluetick::custody::Custody;
use bluetick::emulator::{self, Emulator};
use bluetick::jobs::rotation::{Job, Progress};
use bluetick::keyring::{Entry, Keyring, Kind, Options, Ring, Secret, State};
use bluetick::message::Policy;
use bluetick::store::{self, Handle, Rotation, RotationStep};
use bluetick::twilio::transport::{InProcess, Method, Request, Response, TransportError};
use bluetick::twilio::{self, Client};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use crate::support::Folder;

const START: Time = Time(1_800_000_000_000);
const KIND: Kind = Kind::TwilioAuthToken;

/// What becomes of one request to Twilio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It never arrives.
    Unsent,
    /// It arrives, and the answer is lost.
    AnswerLost,
    /// It arrives, and bluetick dies before it hears of it.
    Death,
}

/// A Twilio that can be watched, and that misbehaves once.
struct Twilio {
    desk: Mutex<(Emulator, StdRng)>,
    asked: AtomicUsize,
    strike: Option<(usize, Fate)>,
    has_killed: AtomicUsize,
}

impl Twilio {
    fn new(strike: Option<(usize, Fate)>) -> Arc<Self> {
        let mut dice = StdRng::seed_from_u64(7);
        let emulator = Emulator::new(emulator::Options::default(), START, &mut dice);
        let (asked, has_killed) = Default::default();
        Arc::new(Self { desk: Mutex::new((emulator, dice)), asked, strike, has_killed })
    }

    fn ask(&self, method: emulator::Method, target: &str, token: &str) -> (u16, Vec<u8>) {
        let account = emulator::Options::default().account_sid;
        let request = emulator::Request::new(method, target).with_basic(&account, token);
        let (emulator, dice) = &mut *self.desk.lock().expect("no test panics in here");
        let (answer, _) = emulator.handle(&request, START, dice);
        (answer.status, answer.body)
    }

    /// The token it signs with, as whoever has a live one may read it.
    fn signs_with(&self, known: &[Secret]) -> Option<String> {
        let account = emulator::Options::default().account_sid;
        let target = format!("/2010-04-01/Accounts/{account}.json");
        known.iter().find_map(|token| match self.ask(emulator::Method::Get, &target, token.expose()) {
            (200, body) => {
                let body: Value = serde_json::from_slice(&body).expect("JSON");
                Some(body["auth_token"].as_str().expect("a token").to_owned())
            }
            _ => None,
        })
    }

    fn client(self: &Arc<Self>, keyring: Keyring) -> Client {
        let (twilio, watched) = (Arc::clone(self), keyring.clone());
        let transport = InProcess(move |request: Request| {
            let number = twilio.asked.fetch_add(1, Ordering::SeqCst);
            let fate = twilio.strike.filter(|(struck, _)| *struck == number).map(|(_, fate)| fate);
            if fate == Some(Fate::Unsent) {
                return Err(TransportError::NotSent("refused".into()));
            }
            let method = match request.method {
                Method::Get => emulator::Method::Get,
                Method::Post => emulator::Method::Post,
                Method::Delete => emulator::Method::Delete,
            };
            let (status, body) = twilio.ask(method, &request.target, request.credentials.secret.expose());
            // Whatever it signs with from here on must be let in already.
            let live: Vec<_> = watched.live(KIND, START).into_iter().map(|held| held.value).collect();
            let signs_with = twilio.signs_with(&live).expect("one of the tokens we know opens");
            assert!(live.iter().any(|token| token.is(&signs_with)), "callbacks are refused after {}", request.target);
            match fate {
                None => Ok(Response { status, body, ..Response::default() }),
                Some(fate) => {
                    twilio.has_killed.fetch_add(usize::from(fate == Fate::Death), Ordering::SeqCst);
                    Err(TransportError::Unclear("reset".into()))
                }
            }
        });
        let options = twilio::Options {
            account_sid: emulator::Options::default().account_sid,
            auth_token: Some(emulator::Options::default().auth_token.into()),
            ..twilio::Options::default()
        };
        Client::new(Arc::new(transport), &options).expect("the options are whole").with_keyring(keyring)
    }
}

/// One life of bluetick: the store, and the job over it.
struct Life {
    store: Handle,
    writer: std::thread::JoinHandle<()>,
    job: Job,
}

impl Life {
    async fn begin(dir: &Path, twilio: &Arc<Twilio>) -> Self {
        let options = store::Options { dir: dir.to_owned(), cache_mb: 16, reserve_mb: 0, ..store::Options::default() };
        let clock = Clock::manual(START);
        let (store, writer) =
            store::start(&options, Shelf::beside(dir), Policy::default(), clock.clone()).expect("a store");
        let configured = vec![(KIND, Secret::new(emulator::Options::default().auth_token))];
        let custody = Custody::open(&store, &Options::default(), dir, configured).await.expect("the vault opens");
        let custody = Arc::new(custody);
        let client = Arc::new(twilio.client(custody.keyring().clone()));
        let job = Job { store: store.clone(), custody, client, clock, board: Default::default() };
        Self { store, writer, job }
    }

    async fn ask_for_rotation(&self, may_replace: bool) {
        let (by, step) = (Actor { name: "user:anna".into(), ..Actor::default() }, RotationStep::Wanted);
        let rotation = Rotation { by: by.clone(), asked_at: START, may_replace, step, problem: None };
        let deed = Deed::new("secret.rotation_asked", KIND.as_str(), "");
        self.job.custody.change(KIND, &by, Some(Some(rotation)), |_, _| Ok(deed.clone())).await.expect("written");
    }

    fn end(self) {
        self.store.close();
        drop(self.job);
        self.writer.join().expect("the writer ends");
    }
}

/// Rotates to the end, through deaths and lost answers; how many steps that took, and how it ended.
async fn rotate(dir: &Path, twilio: &Arc<Twilio>) -> (Life, Progress) {
    let mut life = Life::begin(dir, twilio).await;
    life.ask_for_rotation(false).await;
    for _ in 0..30 {
        let dead = twilio.has_killed.load(Ordering::SeqCst);
        let progress = life.job.advance().await.expect("the store works");
        if twilio.has_killed.load(Ordering::SeqCst) > dead {
            life.end();
            life = Life::begin(dir, twilio).await;
        } else if matches!(progress, Progress::Idle | Progress::Stopped(_)) {
            return (life, progress);
        }
    }
    panic!("it never ends");
}

fn assert_rotated(life: &Life, twilio: &Twilio, what: &str) {
    let keyring = life.job.custody.keyring();
    let active = keyring.active(KIND).expect("one is in use");
    let signs_with = twilio.signs_with(std::slice::from_ref(&active.value));
    assert_eq!(signs_with.as_deref(), Some(active.value.expose()), "{what}: we use what Twilio signs with");
    let old = emulator::Options::default().auth_token;
    let opens = |now| keyring.live(KIND, now).iter().any(|held| held.value.is(&old));
    let grace = Duration::from_secs(Options::default().twilio_grace_s);
    assert!(
        opens(START) && opens(Time(START.plus(grace).0 - 1)),
        "{what}: the old one is let in all through the grace"
    );
    assert!(!opens(START.plus(grace)), "{what}: and not after it");
    let ring = life.store.read().and_then(|snapshot| snapshot.ring(KIND)).expect("a ring");
    let active = ring.0.iter().filter(|entry| entry.state == State::Active).count();
    let staged = ring.0.iter().filter(|entry| entry.state == State::Staged).count();
    assert_eq!((active, staged), (1, 0), "{what}: {:?}", ring.states());
}

#[tokio::test]
async fn a_rotation_takes_two_requests_and_lets_every_callback_in() {
    let (folder, twilio) = (Folder::new(), Twilio::new(None));
    let (life, progress) = rotate(&folder.0, &twilio).await;
    assert_eq!((progress, twilio.asked.load(Ordering::SeqCst)), (Progress::Idle, 2));
    assert_rotated(&life, &twilio, "undisturbed");
    let log = life.store.read().and_then(|snapshot| snapshot.audit(u64::MAX, 9)).expect("a log");
    let deeds: Vec<_> =
        log.iter().rev().map(|row| format!("{}: {} {}", row.by.name, row.deed.action, row.deed.detail)).collect();
    insta::assert_snapshot!(deeds.join("\n"), @"
    configuration: secret.adopted generation 1
    user:anna: secret.rotation_asked 
    job:custody: vault.made 
    user:anna: secret.rotation creating
    user:anna: secret.staged generation 2
    user:anna: secret.rotation promoting
    user:anna: secret.rotated generation 2
    ");
    life.end();
    let life = Life::begin(&folder.0, &twilio).await;
    assert_rotated(&life, &twilio, "after a restart, though the file holds the old token");
    life.end();
}

#[tokio::test]
async fn a_rotation_survives_a_death_and_a_lost_answer_at_every_step() {
    let mut struck = 0;
    for fate in [Fate::Unsent, Fate::AnswerLost, Fate::Death] {
        for number in 0..8 {
            let (folder, twilio) = (Folder::new(), Twilio::new(Some((number, fate))));
            let (life, progress) = rotate(&folder.0, &twilio).await;
            assert_eq!(progress, Progress::Idle, "{fate:?} at request {number}");
            assert_rotated(&life, &twilio, &format!("{fate:?} at request {number}"));
            struck += usize::from(twilio.asked.load(Ordering::SeqCst) > number);
            life.end();
        }
    }
    assert!(struck >= 6, "{struck}");
}

#[tokio::test]
async fn that_no_token_is_in_use_is_said_until_there_is_one() {
    let (folder, twilio) = (Folder::new(), Twilio::new(None));
    let life = Life::begin(&folder.0, &twilio).await;
    let (by, custody) = (Actor::job("test"), &life.job.custody);
    let revoke = |ring: &mut Ring, now| {
        ring.revoke_all(now);
        Ok(Deed::new("test", "", ""))
    };
    custody.change(KIND, &by, None, revoke).await.expect("written");
    assert_eq!(life.job.advance().await.expect("the store works"), Progress::Idle);
    let alert = life.job.board.all().remove(0);
    assert!(
        alert.is_blocking && alert.code == "no_auth_token" && alert.detail.contains("nothing is sent"),
        "{alert:?}"
    );
    let vault = custody.vault().await.expect("a vault");
    let give = |ring: &mut Ring, now| {
        let value = Secret::new("the-next-token-of-the-account");
        ring.stage(Entry::new(KIND, ring.next(), State::Staged, &value, Some((&vault, [7; 16])), now))?;
        ring.promote(Duration::ZERO, now)?;
        Ok(Deed::new("test", "", ""))
    };
    custody.change(KIND, &by, None, give).await.expect("written");
    life.job.advance().await.expect("the store works");
    assert!(life.job.board.all().is_empty());
    life.end();
}

#[tokio::test]
async fn a_secondary_that_somebody_else_made_is_left_alone_unless_it_may_be_replaced() {
    let (folder, twilio) = (Folder::new(), Twilio::new(None));
    let old = emulator::Options::default().auth_token;
    assert_eq!(twilio.ask(emulator::Method::Post, "/v1/AuthTokens/Secondary", &old).0, 201);
    let (life, progress) = rotate(&folder.0, &twilio).await;
    assert!(matches!(&progress, Progress::Stopped(words) if words.contains("--replace")), "{progress:?}");
    assert!(life.job.board.all().iter().any(|alert| alert.code == "rotation_stopped"));
    assert_eq!(twilio.asked.load(Ordering::SeqCst), 1, "and it stands still");
    life.ask_for_rotation(true).await;
    while life.job.advance().await.expect("the store works") != Progress::Idle {}
    assert_rotated(&life, &twilio, "replaced");
    assert!(life.job.board.all().is_empty());
    life.end();
}
