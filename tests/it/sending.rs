//! P2 and P3 of the sending job: intents first, outcomes by evidence, nothing lost on the way out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bluetick::alert::Board;
use bluetick::clock::Clock;
use bluetick::jobs::send::{Job, Options, STOPPED};
use bluetick::message::{Message, MessageId, Policy, Status};
use bluetick::store::{self, Accept, Handle, Write, Written};
use bluetick::twilio::transport::{InProcess, Request, Response, TransportError};
use bluetick::twilio::{self, AuthToken, Client};
use tokio::sync::watch;

use crate::support::{Folder, draft, person, random, sid};

type Answer = Result<Response, TransportError>;

/// A store, a job that sends from it, and a Twilio that answers as the test says.
struct House {
    _folder: Folder,
    store: Handle,
    writer: Option<JoinHandle<()>>,
    board: Board,
    stop: watch::Sender<bool>,
    job: tokio::task::JoinHandle<()>,
}

impl House {
    fn new(twilio: impl Fn(&Handle, usize, Request) -> Answer + Send + Sync + 'static) -> Self {
        let folder = Folder::new();
        let policy = Policy { backoff_first_ms: 1, backoff_longest_ms: 2, probe_after_ms: 1, ..Policy::default() };
        let options = store::Options { dir: folder.0.clone(), ..store::Options::default() };
        let (store, writer) =
            store::start(&options, bluetick::archive::Shelf::beside(&options.dir), policy.clone(), Clock::System)
                .expect("a fresh folder");
        let (count, seen) = (AtomicUsize::new(0), store.clone());
        let transport = InProcess(move |request| twilio(&seen, count.fetch_add(1, Ordering::SeqCst), request));
        let options = twilio::Options {
            account_sid: format!("AC{:032x}", 1),
            auth_token: Some(AuthToken::new("a-token")),
            ..twilio::Options::default()
        };
        let board = Board::default();
        let job = Job {
            store: store.clone(),
            client: Arc::new(Client::new(Arc::new(transport), &options).expect("the options are whole")),
            clock: Clock::System,
            board: board.clone(),
            options: Options::default(),
            policy,
            rates: BTreeMap::new(),
            public_url: Some("https://example.com/".into()),
            boot: 5,
        };
        let (stop, stopped) = watch::channel(false);
        let job = tokio::spawn(job.run(stopped));
        Self { _folder: folder, store, writer: Some(writer), board, stop, job }
    }

    async fn accept(&self, number: u64) -> MessageId {
        let accept = Accept { draft: draft(person(number as u32)), random: random(number), key: None };
        match self.store.write(Write::Accept(Box::new(accept))).await {
            Ok(Written::Accepted(message)) => message.id,
            other => panic!("not accepted: {other:?}"),
        }
    }

    fn get(&self, id: MessageId) -> Message {
        self.store.read().expect("read").message(id).expect("read").expect("it is there")
    }

    /// Waits for commits until the message is as wished.
    async fn until(&self, id: MessageId, is_so: impl Fn(&Message) -> bool) -> Message {
        let mut newest = self.store.wake().newest.clone();
        loop {
            let message = self.get(id);
            if is_so(&message) {
                return message;
            }
            newest.changed().await.expect("the writer works");
        }
    }

    async fn stop(mut self) {
        self.stop.send_replace(true);
        self.job.await.expect("the job ends");
        self.store.close();
        self.writer.take().expect("it was started").join().expect("the writer ends");
    }
}

fn created(number: u64) -> Answer {
    let body = format!(r#"{{"sid":"{}","status":"queued"}}"#, sid(number));
    Ok(Response { status: 201, body: body.into_bytes(), ..Response::default() })
}

fn refused(status: u16, code: u32) -> Answer {
    let body = format!(r#"{{"code":{code},"message":"no","status":{status}}}"#);
    Ok(Response { status, body: body.into_bytes(), ..Response::default() })
}

fn status(message: &Message) -> String {
    message.status().to_string()
}

#[tokio::test]
async fn the_intent_is_on_disk_before_the_request_leaves() {
    let statuses = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&statuses);
    let house = House::new(move |store, _, request| {
        let newest = store.read().expect("read").messages(&store::Filter::default(), None, 1).expect("read");
        let attempt = newest.rows[0].attempts[0].id(newest.rows[0].id);
        let callback = request.form.iter().find(|(name, _)| name == "StatusCallback").expect("asked for").1.clone();
        seen.lock().expect("whole").push((status(&newest.rows[0]), callback.contains(&attempt.to_string())));
        created(1)
    });
    let id = house.accept(1).await;
    let message = house.until(id, |message| status(message) == "queued").await;
    assert_eq!(message.sid(), Some(sid(1)));
    assert_eq!(*statuses.lock().expect("whole"), [("in_flight".to_owned(), true)]);
    house.stop().await;
}

#[tokio::test]
async fn what_was_proven_not_taken_is_sent_again() {
    let house = House::new(|_, count, _| match count {
        0 => Ok(Response { status: 429, ..Response::default() }),
        1 => Err(TransportError::NotSent("connection refused".into())),
        _ => created(1),
    });
    let id = house.accept(1).await;
    let message = house.until(id, |message| status(message) == "queued").await;
    assert_eq!(message.attempts.last().map(|attempt| attempt.number), Some(3));
    let facts = message.journal.rows.iter().map(|row| row.fact.name()).collect::<Vec<_>>();
    assert_eq!(facts.iter().filter(|fact| **fact == "not_processed").count(), 2, "{facts:?}");
    house.stop().await;
}

#[tokio::test]
async fn what_is_unclear_is_unknown_and_never_sent_again() {
    let answers = |count| match count {
        0 => Ok(Response { status: 500, ..Response::default() }),
        1 => Err(TransportError::Unclear("reset".into())),
        2 => Ok(Response { status: 201, body: b"garbage".to_vec(), ..Response::default() }),
        3 => Ok(Response { status: 400, body: b"<html>".to_vec(), ..Response::default() }),
        count => panic!("request {count} was not asked for"),
    };
    let house = House::new(move |_, count, _| answers(count));
    for number in 0..4 {
        let id = house.accept(number).await;
        let message = house.until(id, |message| message.status() == Status::Unknown).await;
        assert_eq!(message.attempts.len(), 1);
    }
    house.stop().await;
}

#[tokio::test]
async fn refused_credentials_stop_the_loop_and_fail_nothing() {
    let is_open = Arc::new(AtomicUsize::new(0));
    let door = Arc::clone(&is_open);
    let house = House::new(move |_, count, request| match door.load(Ordering::SeqCst) {
        0 => refused(401, 20_003),
        _ if request.form.is_empty() => {
            Ok(Response { status: 200, body: br#"{"messages":[]}"#.to_vec(), ..Response::default() })
        }
        _ => created(count as u64),
    });
    let id = house.accept(1).await;
    house.until(id, |message| message.journal.rows.iter().any(|row| row.fact.name() == "not_processed")).await;
    assert_eq!(house.get(id).status(), Status::Pending);
    while house.board.all().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.board.all()[0].code, STOPPED);
    is_open.store(1, Ordering::SeqCst);
    house.until(id, |message| status(message) == "queued").await;
    assert!(house.board.all().is_empty());
    house.stop().await;
}

#[tokio::test]
async fn what_was_under_way_at_a_refusal_does_not_stop_the_loop_again() {
    let (is_open, probes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (door, probed) = (Arc::clone(&is_open), Arc::clone(&probes));
    let house = House::new(move |_, count, request| match door.load(Ordering::SeqCst) {
        0 => refused(401, 20_003),
        _ if request.form.is_empty() => {
            probed.fetch_add(1, Ordering::SeqCst);
            Ok(Response { status: 200, body: br#"{"messages":[]}"#.to_vec(), ..Response::default() })
        }
        _ => created(count as u64),
    });
    let ids = futures_util::future::join_all((0..8).map(|number| house.accept(number))).await;
    for id in &ids {
        house.until(*id, |message| message.journal.rows.iter().any(|row| row.fact.name() == "not_processed")).await;
    }
    is_open.store(1, Ordering::SeqCst);
    for id in &ids {
        house.until(*id, |message| status(message) == "queued").await;
    }
    assert_eq!(probes.load(Ordering::SeqCst), 1, "Twilio was asked once whether it lets us in again");
    house.stop().await;
}

#[tokio::test]
async fn a_refusal_is_final_and_says_why() {
    let house = House::new(|_, _, _| refused(400, 21_211));
    let id = house.accept(1).await;
    let message = house.until(id, |message| message.is_settled()).await;
    assert_eq!((message.status(), message.code(), message.next), (Status::Refused, Some(21_211), None));
    house.stop().await;
}
