//! Secrets as they are kept: sealed, under a master key that must be the right one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bluetick::archive::Shelf;
use bluetick::audit::{Actor, Deed};
use bluetick::clock::{Clock, Time};
use bluetick::custody::{Custody, CustodyError, MASTER_KEY, recover};
use bluetick::keyring::{Entry, Kind, Options, Ring, Secret, State, VaultKey};
use bluetick::message::Policy;
use bluetick::store::{self, FILE, Handle, Locks};

use crate::support::Folder;

const START: Time = Time(1_800_000_000_000);

/// A store that runs in a folder of its own.
struct Running {
    store: Handle,
    writer: std::thread::JoinHandle<()>,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let options = store::Options { dir: dir.to_owned(), cache_mb: 16, reserve_mb: 0, ..store::Options::default() };
        let shelf = Shelf::beside(dir);
        let (store, writer) = store::start(&options, shelf, Policy::default(), Clock::manual(START)).expect("a store");
        Self { store, writer }
    }

    async fn open(&self, dir: &Path, tokens: &[&str]) -> Result<Custody, CustodyError> {
        let configured = tokens.iter().map(|token| (Kind::TwilioAuthToken, Secret::new(*token))).collect();
        Custody::open(&self.store, &Options::default(), dir, configured).await
    }

    fn stop(self) {
        self.store.close();
        self.writer.join().expect("the writer ends");
    }
}

/// The first token of the configuration gives way to another.
async fn rotate_to(custody: &Custody, value: &str) {
    let vault = custody.vault().await.expect("a vault");
    let rotate = |ring: &mut Ring, now| {
        let (generation, value) = (ring.next(), Secret::new(value));
        ring.0[0].keep(&Secret::new("first"), &vault, [1; 16]);
        ring.stage(Entry::new(Kind::TwilioAuthToken, generation, State::Staged, &value, Some((&vault, [2; 16])), now))?;
        ring.promote(std::time::Duration::from_secs(60), now)?;
        Ok(Deed::new("secret.rotated", "twilio_auth_token", ""))
    };
    custody.change(Kind::TwilioAuthToken, &Actor::default(), None, rotate).await.expect("rotated");
}

fn values(custody: &Custody, kind: Kind) -> Vec<String> {
    custody.keyring().live(kind, START).iter().map(|held| held.value.expose().to_owned()).collect()
}

fn refused(opened: Result<Custody, CustodyError>) -> String {
    match opened {
        Err(CustodyError::Locked(words)) => words,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the vault opened"),
    }
}

#[tokio::test]
async fn no_vault_is_made_before_it_is_needed_and_what_is_in_it_is_in_no_byte_of_the_file() {
    let folder = Folder::new();
    let running = Running::start(&folder.0);
    let custody = running.open(&folder.0, &["configured-canary-token"]).await.expect("no vault yet");
    assert!(!folder.0.join(MASTER_KEY).exists(), "nothing was sealed yet");
    assert_eq!(values(&custody, Kind::TwilioAuthToken), ["configured-canary-token"]);
    let (generation, key) = custody.signing_key().await.expect("a key");
    assert_eq!((generation, custody.signing_key().await.expect("a key").1.is(key.expose())), (1, true));
    let mode = fs::metadata(folder.0.join(MASTER_KEY)).expect("a master key").permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
    drop(custody);
    running.stop();
    let file = fs::read(folder.0.join(FILE)).expect("the data file");
    let has = |canary: &str| file.windows(canary.len()).any(|bytes| bytes == canary.as_bytes());
    assert!(!has(key.expose()) && !has("configured-canary-token"));
    let running = Running::start(&folder.0);
    let custody = running.open(&folder.0, &[]).await.expect("the same master key");
    assert_eq!(values(&custody, Kind::Jwt), [key.expose()]);
    assert_eq!(
        values(&custody, Kind::TwilioAuthToken),
        [""; 0],
        "what stood in the configuration is kept nowhere else"
    );
    running.stop();
}

#[tokio::test]
async fn a_wrong_or_missing_master_key_is_refused_with_what_to_do_and_never_replaced() {
    let folder = Folder::new();
    let running = Running::start(&folder.0);
    let custody = running.open(&folder.0, &["first"]).await.expect("no vault yet");
    rotate_to(&custody, "second").await;
    let path = folder.0.join(MASTER_KEY);
    let right = fs::read_to_string(&path).expect("a master key");
    fs::remove_file(&path).expect("it is ours");
    let missing = refused(running.open(&folder.0, &[]).await);
    assert!(missing.contains("bring that file along") && missing.contains("secrets recover"), "{missing}");
    assert!(!path.exists(), "no new one is made in its place");
    fs::write(&path, VaultKey::new([7; 32]).write().expose()).expect("it is ours");
    let wrong = refused(running.open(&folder.0, &[]).await);
    assert!(wrong.contains("put that one there") && !wrong.contains(right.trim()), "{wrong}");
    fs::write(&path, "no key").expect("it is ours");
    assert!(refused(running.open(&folder.0, &[]).await).contains("64 hex digits"));
    fs::write(&path, right).expect("it is ours");
    assert!(running.open(&folder.0, &[]).await.is_ok());
    running.stop();
}

#[tokio::test]
async fn where_nothing_is_kept_that_cannot_be_made_anew_no_master_key_is_missed() {
    let folder = Folder::new();
    let running = Running::start(&folder.0);
    let (_, old) = running.open(&folder.0, &[]).await.expect("no vault yet").signing_key().await.expect("a key");
    fs::remove_file(folder.0.join(MASTER_KEY)).expect("it is ours");
    let custody = running.open(&folder.0, &[]).await.expect("nothing is lost");
    assert!(values(&custody, Kind::Jwt).is_empty() && !folder.0.join(MASTER_KEY).exists());
    let (generation, new) = custody.signing_key().await.expect("a new key");
    assert!(generation == 2 && !new.is(old.expose()));
    running.stop();
}

#[tokio::test]
async fn the_recovery_key_opens_the_vault_on_another_machine() {
    let folder = Folder::new();
    let running = Running::start(&folder.0);
    let custody = running.open(&folder.0, &[]).await.expect("no vault yet");
    let (_, key) = custody.signing_key().await.expect("a key");
    let locks = || running.store.read().and_then(|snapshot| snapshot.locks()).expect("a store").expect("a vault");
    let elsewhere = Folder::new();
    let path = elsewhere.0.join(MASTER_KEY);
    let none = recover(&locks(), &VaultKey::new([1; 32]), &path);
    assert!(matches!(none, Err(CustodyError::Locked(words)) if words.contains("no recovery key")));
    let recovery = custody.new_recovery_key(&Actor::default()).await.expect("a recovery key");
    let recovery = VaultKey::read(recovery.expose()).expect("as it was told");
    let other = recover(&locks(), &VaultKey::new([1; 32]), &path);
    assert!(matches!(other, Err(CustodyError::Locked(words)) if words.contains("another recovery key")));
    let Locks { by_master, .. } = recover(&locks(), &recovery, &path).expect("it opens");
    let master = VaultKey::read(&fs::read_to_string(&path).expect("a new master key")).expect("a key");
    let vault = master.unwrap(&by_master).expect("the new one opens it");
    let ring = running.store.read().and_then(|snapshot| snapshot.ring(Kind::Jwt)).expect("a ring");
    assert!(ring.0[0].value(&vault).is_some_and(|value| value.is(key.expose())));
    running.stop();
}

#[tokio::test]
async fn a_rotation_of_the_master_key_that_is_cut_off_anywhere_leaves_one_that_opens() {
    let folder = Folder::new();
    let running = Running::start(&folder.0);
    let custody = running.open(&folder.0, &[]).await.expect("no vault yet");
    let (_, key) = custody.signing_key().await.expect("a key");
    let (path, next) = (folder.0.join(MASTER_KEY), folder.0.join("master.next"));
    let old = fs::read(&path).expect("a master key");
    // Cut off before the store goes by the new one: a file of a key that opens nothing.
    fs::write(&next, VaultKey::new([5; 32]).write().expose()).expect("a file");
    let custody_again = running.open(&folder.0, &[]).await.expect("the old one still opens");
    assert_eq!(values(&custody_again, Kind::Jwt), [key.expose()]);
    assert!(!next.exists() && fs::read(&path).expect("the old one") == old);
    custody.rotate_master(&Actor::default()).await.expect("rotated");
    let new = fs::read(&path).expect("the new one");
    assert!(new != old && !next.exists());
    // Cut off after the store goes by it, before it has its place.
    fs::rename(&path, &next).expect("it is ours");
    fs::write(&path, &old).expect("it is ours");
    let custody = running.open(&folder.0, &[]).await.expect("the new one opens");
    assert_eq!(values(&custody, Kind::Jwt), [key.expose()]);
    assert!(!next.exists() && fs::read(&path).expect("the new one") == new, "it has its place");
    running.stop();
}

#[tokio::test]
async fn a_token_that_was_rotated_into_the_store_outranks_an_older_file_and_a_new_one_waits_beside_it() {
    let folder = Folder::new();
    let running = Running::start(&folder.0);
    let custody = running.open(&folder.0, &["first"]).await.expect("no vault yet");
    rotate_to(&custody, "second").await;
    assert_eq!(values(&custody, Kind::TwilioAuthToken), ["first", "second"]);
    for file in [&["first"][..], &[]] {
        let custody = running.open(&folder.0, file).await.expect("the master key is there");
        assert!(
            custody.keyring().active(Kind::TwilioAuthToken).is_some_and(|held| held.value.is("second")),
            "{file:?}"
        );
    }
    let custody = running.open(&folder.0, &["third"]).await.expect("the master key is there");
    assert!(custody.keyring().active(Kind::TwilioAuthToken).is_some_and(|held| held.value.is("second")));
    assert_eq!(values(&custody, Kind::TwilioAuthToken), ["first", "second", "third"]);
    let log = running.store.read().and_then(|snapshot| snapshot.audit(u64::MAX, 9)).expect("a log");
    let actions: Vec<_> = log.iter().rev().map(|row| format!("{} {}", row.by.name, row.deed.action)).collect();
    assert_eq!(
        actions,
        ["configuration secret.adopted", "job:custody vault.made", " secret.rotated", "configuration secret.staged"]
    );
    assert!(log.iter().all(|row| !format!("{row:?}").contains("second")));
    running.stop();
}
