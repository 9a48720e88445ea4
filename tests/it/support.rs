//! Drafts, stores and folders for the tests, all made of invented people.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bluetick::message::{Address, AttemptId, Content, Draft, Fact, Message, MessageId, Sid, Word};
use bluetick::store::{Accept, Claim, Inbound, Report, Settle, Snapshot, Store, Turn, Write, Written, verify};
use bluetick::{clock::Time, message::Source};

/// A folder of its own for each test, gone afterwards.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder").keep())
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.0.join(bluetick::store::FILE), 16 << 20).expect("a store opens in a fresh folder")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A store without a disk, for tests that try many histories.
pub(crate) fn in_memory() -> Store {
    let backend = redb::backends::InMemoryBackend::new();
    let db = redb::Database::builder().create_with_backend(backend).expect("memory can be written");
    Store::over(db).expect("memory can be written")
}

pub(crate) fn person(number: u32) -> Address {
    Address::Phone(format!("+49151{number:08}"))
}

pub(crate) fn draft(to: Address) -> Draft {
    Draft::new(to, Address::Phone("+15550001111".into()), Content::Text("hello".into()))
}

pub(crate) fn sid(number: u64) -> Sid {
    format!("SM{number:032x}").parse().expect("32 hex digits")
}

pub(crate) fn random(number: u64) -> [u8; 10] {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    random
}

pub(crate) fn one(store: &mut Store, write: Write, now: Time) -> Written {
    store.commit(vec![write], now).expect("the disk works").remove(0)
}

pub(crate) fn accept(store: &mut Store, draft: Draft, number: u64, now: Time) -> Message {
    let accept = Accept { draft, random: random(number), key: None };
    match one(store, Write::Accept(Box::new(accept)), now) {
        Written::Accepted(message) => *message,
        other => panic!("not accepted: {other:?}"),
    }
}

/// Claims all that is due for sender 1, whatever its urgency.
pub(crate) fn claim(store: &mut Store, now: Time) -> Vec<Message> {
    let turns = vec![Turn { sender: 1, at_most: 100 }];
    match one(store, Write::Claim(Claim { turns, slots: 100, boot: 7, seed: [3; 32] }), now) {
        Written::Claimed(claimed) => claimed.messages,
        other => panic!("not claimed: {other:?}"),
    }
}

pub(crate) fn last_attempt(message: &Message) -> AttemptId {
    message.attempts.last().expect("it was claimed").id(message.id)
}

pub(crate) fn sent(attempt: AttemptId, sid: Sid) -> Write {
    let fact = Fact::Sent { attempt: attempt.number, sid, word: Word::Queued, ask_at: Time(999_999_999_999) };
    Write::Settle(Settle { attempt, fact, source: Source::Job })
}

pub(crate) fn report(attempt: Option<AttemptId>, sid: Sid, word: Word, code: Option<u32>) -> Write {
    Write::Report(Box::new(Report {
        attempt,
        sid,
        word,
        code,
        source: Source::Callback,
        from: "whatsapp:+15550001111".into(),
        to: "whatsapp:+4915100000001".into(),
        also: None,
        random: random(u64::MAX ^ u64::from(sid.0[16]) ^ u64::from(sid.0[15]) << 8),
    }))
}

pub(crate) fn get(snapshot: &Snapshot, id: MessageId) -> Message {
    snapshot.message(id).expect("the disk works").expect("it is there")
}

pub(crate) fn assert_verified(store: &Store) {
    let findings = verify(&store.read().expect("the disk works"), |_, _| ()).expect("the disk works");
    assert_eq!((findings.count, findings.differences), (0, Vec::new()));
}

/// A person wrote to us, and goes by these names too.
pub(crate) fn inbound(number: u64, from: &str, also: &[&str]) -> Write {
    Write::Receive(Box::new(Inbound {
        sid: sid(number),
        at: Time(0),
        source: Source::Callback,
        from: from.into(),
        to: "whatsapp:+15550001111".into(),
        contact: 0,
        sender: 0,
        also: also.iter().map(|name| (*name).to_owned()).collect(),
        body: "hi".into(),
        profile_name: None,
        media: Vec::new(),
        extra: BTreeMap::new(),
    }))
}
