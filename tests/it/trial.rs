//! What the configuration brings is tried at Twilio before it takes the place of what works, and what is wrong is said.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluetick::alert::Board;
use bluetick::archive::Shelf;
use bluetick::audit::{Actor, Deed};
use bluetick::clock::{Clock, Time};
use bluetick::custody::Custody;
use bluetick::jobs::trial::{Found, Job};
use bluetick::keyring::{Entry, Kind, Options, Ring, Secret, State};
use bluetick::message::Policy;
use bluetick::pause::{Cause, Scope};
use bluetick::store::{self, Handle, Rotation, RotationStep, Write};
use bluetick::twilio::transport::{InProcess, Request, Response, TransportError};
use bluetick::twilio::{self, Client};

use crate::support::Folder;

const START: Time = Time(1_800_000_000_000);
const TOKEN: Kind = Kind::TwilioAuthToken;
const KEY: Kind = Kind::TwilioApiKey;
const ACCOUNT: &str = "AC00000000000000000000000000000001";

/// A Twilio that lets in what it is told to.
#[derive(Clone, Default)]
struct Twilio(Arc<Mutex<Desk>>);

#[derive(Default)]
struct Desk {
    /// What is let in; nothing, while no answer is given.
    known: Option<Vec<&'static str>>,
    tried: Vec<String>,
}

impl Twilio {
    fn lets_in(&self, secrets: &[&'static str]) {
        self.0.lock().expect("whole").known = Some(secrets.to_vec());
    }

    fn is_silent(&self) {
        self.0.lock().expect("whole").known = None;
    }

    fn take_tried(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("whole").tried)
    }

    fn client(&self, custody: &Custody) -> Client {
        let twilio = self.clone();
        let transport = InProcess(move |request: Request| {
            let Desk { known, tried } = &mut *twilio.0.lock().expect("whole");
            let secret = request.credentials.secret.expose();
            tried.push(secret.to_owned());
            let Some(known) = known else { return Err(TransportError::Unclear("reset".into())) };
            let status = if known.contains(&secret) { 200 } else { 401 };
            Ok(Response { status, body: "{}".into(), ..Response::default() })
        });
        let options = twilio::Options {
            account_sid: ACCOUNT.into(),
            auth_token: Some("unused".into()),
            ..twilio::Options::default()
        };
        let client = Client::new(Arc::new(transport), &options).expect("the options are whole");
        client.with_keyring(custody.keyring().clone())
    }
}

/// A bluetick as far as this goes, from one start to the next.
struct Life {
    store: Handle,
    writer: std::thread::JoinHandle<()>,
    job: Job,
}

impl Life {
    async fn begin(dir: &Path, twilio: &Twilio, configured: &[(Kind, &str)]) -> Self {
        let options = store::Options { dir: dir.to_owned(), cache_mb: 16, reserve_mb: 0, ..store::Options::default() };
        let (store, writer) =
            store::start(&options, Shelf::beside(dir), Policy::default(), Clock::manual(START)).expect("a store");
        let configured = configured.iter().map(|(kind, value)| (*kind, Secret::new(*value))).collect();
        let custody = Custody::open(&store, &Options::default(), dir, configured).await.expect("the vault opens");
        let client = Arc::new(twilio.client(&custody));
        let job = Job { store: store.clone(), custody: Arc::new(custody), client, board: Board::default() };
        Self { store, writer, job }
    }

    fn end(self) {
        self.store.close();
        drop(self.job);
        self.writer.join().expect("the writer ends");
    }

    async fn look(&self, kind: Kind) -> Found {
        self.job.look(kind).await.expect("the store works")
    }

    fn used(&self, kind: Kind) -> Option<String> {
        self.job.custody.keyring().active(kind).map(|held| held.value.expose().to_owned())
    }

    fn is_let_in(&self, token: &str) -> bool {
        self.job.custody.keyring().live(TOKEN, START).iter().any(|held| held.value.is(token))
    }

    /// A person gives a value, which is kept; it is used from now on, or staged.
    async fn give(&self, kind: Kind, value: &str, promote: bool) {
        let vault = self.job.custody.vault().await.expect("a vault");
        let value = Secret::new(value);
        let give = |ring: &mut Ring, now| {
            ring.stage(Entry::new(kind, ring.next(), State::Staged, &value, Some((&vault, [1; 16])), now))?;
            if promote {
                ring.promote(Duration::from_secs(3_600), now)?;
            }
            Ok(Deed::new("test", "", ""))
        };
        self.job.custody.change(kind, &Actor::default(), None, give).await.expect("given");
    }

    fn alerts(&self) -> Vec<(&'static str, bool)> {
        self.job.board.all().into_iter().map(|alert| (alert.code, alert.is_blocking)).collect()
    }
}

#[tokio::test]
async fn a_mistyped_token_in_the_configuration_takes_nobodys_place_and_is_said_until_it_is_put_right() {
    let (folder, twilio) = (Folder::new(), Twilio::default());
    twilio.lets_in(&["first", "second"]);
    let life = Life::begin(&folder.0, &twilio, &[]).await;
    life.give(TOKEN, "first", true).await;
    life.end();
    let life = Life::begin(&folder.0, &twilio, &[(TOKEN, "sceond")]).await;
    assert!(life.is_let_in("first") && life.used(TOKEN).as_deref() == Some("first"));
    assert_eq!(life.look(TOKEN).await, Found::NotLetIn);
    assert_eq!((life.used(TOKEN).as_deref(), life.alerts()), (Some("first"), vec![("auth_token_not_let_in", false)]));
    life.end();
    let life = Life::begin(&folder.0, &twilio, &[(TOKEN, "second")]).await;
    assert!(
        life.is_let_in("first") && life.is_let_in("second"),
        "Twilio may sign with either from the first moment on"
    );
    assert_eq!(life.look(TOKEN).await, Found::Replaced);
    assert_eq!((life.used(TOKEN).as_deref(), life.alerts()), (Some("second"), vec![]));
    assert!(life.is_let_in("first"), "the one before has its grace");
    assert_eq!(life.look(TOKEN).await, Found::InUse);
    life.end();
}

#[tokio::test]
async fn the_first_token_of_all_is_used_untried_and_a_wrong_one_is_said() {
    let (folder, twilio) = (Folder::new(), Twilio::default());
    twilio.lets_in(&["right"]);
    let life = Life::begin(&folder.0, &twilio, &[(TOKEN, "wrong")]).await;
    assert_eq!(life.used(TOKEN).as_deref(), Some("wrong"), "there is nothing to lose");
    assert_eq!((life.look(TOKEN).await, life.alerts()), (Found::NotLetIn, vec![("auth_token_not_let_in", true)]));
    let alert = life.job.board.all().remove(0);
    assert!(
        alert.detail.contains("callbacks") && alert.action.contains("secrets rotate twilio_auth_token"),
        "{alert:?}"
    );
    life.end();
    let life = Life::begin(&folder.0, &twilio, &[(TOKEN, "right")]).await;
    assert_eq!((life.look(TOKEN).await, life.used(TOKEN).as_deref()), (Found::InUse, Some("right")));
    assert!(life.alerts().is_empty());
    life.end();
    // And put wrong again, and right again: the file is all that bluetick has.
    for (token, found) in [("wrong", Found::NotLetIn), ("right", Found::InUse)] {
        let life = Life::begin(&folder.0, &twilio, &[(TOKEN, token)]).await;
        assert_eq!((life.look(TOKEN).await, life.used(TOKEN).as_deref()), (found, Some(token)));
        life.end();
    }
}

#[tokio::test]
async fn what_was_rotated_away_comes_back_only_when_twilio_lets_it_in_and_not_the_one_in_use() {
    let (folder, twilio) = (Folder::new(), Twilio::default());
    twilio.lets_in(&["second"]);
    let life = Life::begin(&folder.0, &twilio, &[(TOKEN, "first")]).await;
    life.give(TOKEN, "second", true).await;
    assert_eq!((life.look(TOKEN).await, life.used(TOKEN).as_deref()), (Found::InUse, Some("second")));
    assert_eq!(twilio.take_tried(), ["second"], "the file is older: nobody asks for it");
    twilio.lets_in(&["first"]);
    assert_eq!((life.look(TOKEN).await, life.used(TOKEN).as_deref()), (Found::Replaced, Some("first")));
    life.end();
}

#[tokio::test]
async fn a_token_that_waits_is_used_as_soon_as_twilio_knows_the_one_before_no_more() {
    let (folder, twilio) = (Folder::new(), Twilio::default());
    twilio.lets_in(&["first", "next"]);
    let life = Life::begin(&folder.0, &twilio, &[(TOKEN, "first"), (TOKEN, "next")]).await;
    assert_eq!((life.look(TOKEN).await, life.used(TOKEN).as_deref()), (Found::InUse, Some("first")));
    twilio.is_silent();
    assert!(matches!(life.look(TOKEN).await, Found::NoAnswer(_)));
    assert_eq!((life.used(TOKEN).as_deref(), life.alerts()), (Some("first"), vec![]), "no answer changes nothing");
    let refused = Cause::Credentials("20003".into());
    life.store.write(Write::Pause(Scope::Account, refused)).await.expect("paused");
    twilio.lets_in(&["next"]);
    assert_eq!((life.look(TOKEN).await, life.used(TOKEN).as_deref()), (Found::Replaced, Some("next")));
    let paused = life.store.read().and_then(|snapshot| snapshot.active_pauses()).expect("a store");
    assert!(paused.is_empty(), "and what stood still because of it goes on: {paused:?}");
    life.end();
}

#[tokio::test]
async fn an_api_key_of_the_configuration_is_tried_too_and_one_that_a_person_staged_waits_for_them() {
    let (folder, twilio) = (Folder::new(), Twilio::default());
    twilio.lets_in(&["old", "new", "token"]);
    let life = Life::begin(&folder.0, &twilio, &[(TOKEN, "token")]).await;
    life.give(KEY, "SK1:old", true).await;
    life.give(KEY, "SK2:new", false).await;
    assert_eq!((life.look(KEY).await, life.used(KEY).as_deref()), (Found::InUse, Some("SK1:old")));
    life.end();
    let configured = [(TOKEN, "token"), (KEY, "SK3:mistyped")];
    let life = Life::begin(&folder.0, &twilio, &configured).await;
    assert_eq!(life.look(KEY).await, Found::InUse, "the staged one comes first");
    let retire = |ring: &mut Ring, now| {
        ring.retire(2, Duration::ZERO, now)?;
        Ok(Deed::new("test", "", ""))
    };
    life.job.custody.change(KEY, &Actor::default(), None, retire).await.expect("retired");
    assert_eq!((life.look(KEY).await, life.alerts()), (Found::NotLetIn, vec![("api_key_not_let_in", false)]));
    assert_eq!(life.used(KEY).as_deref(), Some("SK1:old"));
    twilio.lets_in(&["token"]);
    assert_eq!((life.look(KEY).await, life.alerts()), (Found::NotLetIn, vec![("api_key_not_let_in", true)]));
    life.end();
}

#[tokio::test]
async fn nothing_is_changed_while_the_token_rotates_at_twilio_nor_brought_back_after_an_emergency() {
    let (folder, twilio) = (Folder::new(), Twilio::default());
    twilio.lets_in(&["second"]);
    let life = Life::begin(&folder.0, &twilio, &[(TOKEN, "first")]).await;
    life.give(TOKEN, "second", false).await;
    let rotation = Rotation {
        by: Actor::default(),
        asked_at: START,
        may_replace: false,
        step: RotationStep::Promoting,
        problem: None,
    };
    let ask = |_: &mut Ring, _| Ok(Deed::new("test", "", ""));
    life.job.custody.change(TOKEN, &Actor::default(), Some(Some(rotation)), ask).await.expect("asked");
    assert_eq!((life.look(TOKEN).await, life.used(TOKEN).as_deref()), (Found::NotLetIn, Some("first")));
    assert!(life.alerts().is_empty(), "the rotation says how far it is");
    let revoke = |ring: &mut Ring, now| {
        ring.revoke_all(now);
        Ok(Deed::new("test", "", ""))
    };
    life.job.custody.change(TOKEN, &Actor::default(), Some(None), revoke).await.expect("revoked");
    twilio.lets_in(&["first", "second"]);
    twilio.take_tried();
    assert_eq!((life.look(TOKEN).await, life.used(TOKEN)), (Found::Nothing, None));
    life.give(TOKEN, "third", true).await;
    assert_eq!((life.look(TOKEN).await, life.used(TOKEN).as_deref()), (Found::NotLetIn, Some("third")));
    assert_eq!(twilio.take_tried(), ["third"], "what was revoked is asked for by nobody");
    life.end();
}
