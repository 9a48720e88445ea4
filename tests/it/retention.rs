//! What is old is forgotten, who asks for it is erased, and the numbers stay exact.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use bluetick::archive::Shelf;
use bluetick::clock::{Clock, Time};
use bluetick::event::Told;
use bluetick::jobs::archive;
use bluetick::jobs::retention::{self, Options, Swept};
use bluetick::message::{Content, Fact, Message, MessageId, OptOut, Policy, Recipient, Source, Status, Window, Word};
use bluetick::metrics::Count;
use bluetick::store::{
    self, Accept, Direction, Erased, FILE, Filter, Handle, IdempotencyKey, OptingOut, Settle, Snapshot, Steer,
    StoreError, Write, Written, verify,
};
use redb::Database;

use crate::support::{
    Folder, accept, claim, draft, get, inbound, last_attempt, one, person, random, report, sent, sid,
};
use crate::torn::TornDisk;

const START: Time = Time(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// What must not be found any more.
const SECRET: &str = "the canary sings at midnight";
const NUMBER: u32 = 77_777_777;

fn days(days: u32) -> Time {
    START.plus(DAY * days)
}

/// Three people get two messages each, all read; the first also writes, and has a secret.
fn live(store: &mut store::Store) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for number in 1..=6u64 {
        let mut wish = draft(person(if number < 3 { NUMBER } else { number as u32 / 2 }));
        wish.content = Content::Text(if number < 3 { SECRET.into() } else { format!("order {number}") });
        let key = Some(IdempotencyKey { key: [number as u8; 32], request: [1; 32], kept_ms: i64::MAX });
        let wish = Accept { draft: wish, random: random(number), key };
        let Written::Accepted(message) = one(store, Write::Accept(Box::new(wish)), START) else { panic!("accepted") };
        ids.push(message.id);
        let attempt = last_attempt(claim(store, START).last().expect("it is due"));
        one(store, sent(attempt, sid(number)), START);
        for word in [Word::Sent, Word::Delivered, Word::Read] {
            one(store, report(Some(attempt), sid(number), word, None), START.plus(Duration::from_secs(number)));
        }
    }
    let from = person(NUMBER).to_string();
    let Write::Receive(mut letter) = inbound(900, &from, &[]) else { panic!("an inbound message") };
    letter.body = SECRET.into();
    one(store, Write::Receive(letter), START);
    ids
}

struct House {
    folder: Folder,
    store: Handle,
    writer: JoinHandle<()>,
    ids: Vec<MessageId>,
}

impl House {
    fn open(now: Time) -> Self {
        let folder = Folder::new();
        let mut store = folder.store();
        let ids = live(&mut store);
        drop(store);
        let (store, writer) = Self::start(&folder.0, now);
        Self { folder, store, writer, ids }
    }

    fn start(dir: &Path, now: Time) -> (Handle, JoinHandle<()>) {
        let options = store::Options { dir: dir.to_owned(), reserve_mb: 0, ..store::Options::default() };
        store::start(&options, Shelf::beside(dir), Policy::default(), Clock::manual(now)).expect("it opens")
    }

    fn read(&self) -> Snapshot {
        self.store.read().expect("the disk works")
    }

    async fn sweep(&self, now: Time) -> Swept {
        retention::run(&self.store, &Options::default(), now).await.expect("the disk works")
    }

    async fn erase(&self, name: &str) -> Erased {
        let mut all = Erased::default();
        while !all.is_done {
            match self.store.write(Write::Erase(name.to_owned())).await.expect("the disk works") {
                Written::Erased(part) => {
                    all.messages += part.messages;
                    all.inbound += part.inbound;
                    all.is_done = part.is_done;
                }
                other => panic!("not erased: {other:?}"),
            }
        }
        all
    }

    fn ever(&self) -> [i64; 4] {
        let cell = self.read().ever(1).expect("it is read");
        [Count::Accepted, Count::Delivered, Count::Read, Count::Inbound].map(|count| cell.get(count))
    }

    fn check(&self) {
        let findings = verify(&self.read(), |_, _| ()).expect("the disk works");
        assert_eq!((findings.count, findings.differences), (0, Vec::new()));
    }

    /// Whether these bytes stand in any file of the folder.
    fn has_bytes(&self, wanted: &[u8]) -> bool {
        let has =
            |path: &Path| std::fs::read(path).expect("it is read").windows(wanted.len()).any(|part| part == wanted);
        let shelf = self.store.shelf();
        let segments = shelf.numbers().expect("it is listed").into_iter();
        let mut lines = segments.flat_map(|number| shelf.read(number).expect("it is whole"));
        let is_archived = lines.any(|message| {
            format!("{:?}", message.expect("it is read")).into_bytes().windows(wanted.len()).any(|part| part == wanted)
        });
        is_archived || has(&self.folder.0.join(FILE))
    }

    fn close(self) -> Folder {
        self.store.close();
        self.writer.join().expect("the writer ends well");
        self.folder
    }
}

#[tokio::test]
async fn old_words_go_and_the_messages_stay() {
    let house = House::open(days(31));
    let before = house.ever();
    assert_eq!(house.sweep(days(29)).await.words, 0, "it is not time yet");
    let swept = house.sweep(days(31)).await;
    assert_eq!((swept.words, swept.inbound_words, swept.messages), (6, 1, 0));
    let message = get(&house.read(), house.ids[0]);
    assert_eq!(message.draft.content, Content::Forgotten { template: None });
    assert_eq!((message.status(), message.updated_at < days(1)), (Status::Twilio(Word::Read), true), "it is no news");
    assert_eq!(house.sweep(days(31)).await, Swept::default());
    assert_eq!(house.ever(), before);
    house.check();
    retention::rewrite(&house.store, false).await.expect("there is room");
    assert!(!house.has_bytes(SECRET.as_bytes()), "no page keeps it");
    assert!(house.has_bytes(format!("+49151{NUMBER:08}").as_bytes()), "or this proves nothing");
    house.check();
    house.close();
}

#[tokio::test]
async fn what_was_archived_with_its_words_loses_them_too() {
    let house = House::open(days(31));
    archive::run(&house.store, days(31), |_| ()).await.expect("there is room");
    assert!(house.has_bytes(SECRET.as_bytes()));
    assert_eq!(house.sweep(days(31)).await.segments, 1);
    retention::rewrite(&house.store, false).await.expect("there is room");
    assert!(!house.has_bytes(SECRET.as_bytes()));
    assert_eq!(get(&house.read(), house.ids[0]).draft.content, Content::Forgotten { template: None });
    house.check();
    house.close();
}

#[tokio::test]
async fn a_message_whose_words_are_gone_is_not_sent_again() {
    let folder = Folder::new();
    let mut store = folder.store();
    let id = accept(&mut store, draft(person(1)), 1, START).id;
    let attempt = last_attempt(&claim(&mut store, START)[0]);
    let fact = Fact::Refused { attempt: 1, code: Some(63_024), detail: "not now".into() };
    one(&mut store, Write::Settle(Settle { attempt, fact, source: Source::Job }), START);
    one(&mut store, Write::ForgetWords(vec![id]), days(31));
    let message = get(&store.read().expect("it is read"), id);
    let recipient = Recipient { window: Window::Open, opted_out: None };
    let verdict = message.may_retry(&recipient, true, &Policy::default(), days(31));
    assert_eq!(verdict.map_err(|never| never.as_str()), Err("forgotten"));
}

#[tokio::test]
async fn what_waits_is_neither_forgotten_nor_archived_however_old_it_is() {
    let folder = Folder::new();
    let mut store = folder.store();
    // One waits for its turn, one for a person, one for Twilio to say what became of it.
    let ids = (1..=3).map(|number| accept(&mut store, draft(person(number)), u64::from(number), START).id);
    let [waiting, held, lost] = ids.collect::<Vec<_>>()[..] else { unreachable!("three were accepted") };
    let hold = Steer { id: held, to: Direction::Hold, source: Source::Api };
    one(&mut store, Write::Steer(hold), START);
    let claimed = claim(&mut store, START);
    let settle = |message: &Message, fact| Settle { attempt: last_attempt(message), fact, source: Source::Job };
    for message in &claimed {
        let fact = match message.id == lost {
            true => Fact::Unclear { attempt: 1, detail: "reset".into(), ask_at: days(9_999) },
            false => Fact::NotProcessed { attempt: 1, detail: "429".into(), retry_at: days(9_999) },
        };
        one(&mut store, Write::Settle(settle(message, fact)), START);
    }
    let before = [waiting, held, lost].map(|id| get(&store.read().expect("it is read"), id));
    drop(store);
    let (store, writer) = House::start(&folder.0, days(900));
    let house = House { folder, store, writer, ids: Vec::new() };
    let swept = house.sweep(days(900)).await;
    assert_eq!((swept.words, swept.messages, swept.people), (0, 0, 0));
    let moved = archive::run(&house.store, days(900), |_| ()).await.expect("there is room");
    assert_eq!(moved.messages, 0);
    // Nor if whoever asks for it looked before it began to wait.
    for write in [Write::ForgetMessages(vec![waiting, held, lost]), Write::ForgetWords(vec![waiting, held, lost])] {
        assert!(matches!(house.store.write(write).await, Ok(Written::Forgotten(0))));
    }
    assert_eq!([waiting, held, lost].map(|id| get(&house.read(), id)), before);
    house.check();
    house.close();
}

#[tokio::test]
async fn old_messages_go_wherever_they_are_and_the_numbers_of_senders_keep_them() {
    for is_archived in [false, true] {
        let house = House::open(days(401));
        if is_archived {
            archive::run(&house.store, days(401), |_| ()).await.expect("there is room");
        }
        let before = house.ever();
        let swept = house.sweep(days(401)).await;
        assert_eq!((swept.messages, swept.inbound, swept.people), (6, 1, 4));
        assert_eq!(house.ever(), before);
        assert!(house.read().messages(&Filter::default(), None, 9).expect("it is read").rows.is_empty());
        assert_eq!(house.read().person(&person(NUMBER).to_string()).expect("it is read"), None);
        assert!(house.store.shelf().numbers().expect("it is listed").is_empty());
        let late = house.store.write(report(None, sid(1), Word::Read, None)).await;
        assert!(matches!(late, Ok(Written::Gone)), "{late:?}");
        assert_eq!(house.ever(), before, "nothing that comes late counts again");
        house.check();
        assert_eq!(house.sweep(days(401)).await.messages, 0);
        let later = house.sweep(days(900)).await;
        assert!(later.rows > 0, "in the end their names are forgotten too");
        house.check();
        let folder = house.close();
        let (store, writer) = House::start(&folder.0, days(901));
        store.write(Write::Introduce(vec!["whatsapp:+15550009999".into()])).await.expect("it goes on");
        store.close();
        writer.join().expect("the writer ends well");
    }
}

#[tokio::test]
async fn who_opted_out_stays_so_when_all_else_about_them_is_forgotten() {
    let house = House::open(days(401));
    let name = person(NUMBER).to_string();
    let wish = OptingOut { name: name.clone(), scope: Some(OptOut::All), note: None };
    house.store.write(Write::OptOut(wish)).await.expect("the disk works");
    let swept = house.sweep(days(401)).await;
    assert_eq!((swept.messages, swept.people), (6, 3), "three people go, and the one who opted out does not");
    let known = house.read().person(&name).expect("it is read").expect("they are remembered");
    assert_eq!(known.contact.opted_out(), Some(OptOut::All));
    house.check();
    house.close();
}

#[tokio::test]
async fn of_a_person_who_was_erased_no_byte_is_left_and_the_numbers_stay() {
    for is_archived in [false, true] {
        let house = House::open(days(10));
        if is_archived {
            archive::run(&house.store, days(10), |_| ()).await.expect("there is room");
        }
        let before = house.ever();
        let address = format!("+49151{NUMBER:08}");
        assert!(house.has_bytes(address.as_bytes()) && house.has_bytes(SECRET.as_bytes()));
        let erased = house.erase(&person(NUMBER).to_string()).await;
        assert_eq!((erased.messages, erased.inbound), (2, 1));
        house.check();
        assert_eq!(house.ever(), before);
        let key = Some(IdempotencyKey { key: [1; 32], request: [1; 32], kept_ms: i64::MAX });
        let again = Write::Accept(Box::new(Accept { draft: draft(person(NUMBER)), random: random(99), key }));
        assert!(matches!(house.store.write(again).await, Ok(Written::Gone)), "a repeated request sends nothing");
        let swept = house.sweep(days(10)).await;
        assert_eq!((swept.scrubbed > 10, swept.segments), (true, u32::from(is_archived)));
        retention::rewrite(&house.store, false).await.expect("there is room");
        for wanted in [address.as_bytes(), SECRET.as_bytes(), &sid(1).0, &sid(2).0, &sid(900).0] {
            assert!(!house.has_bytes(wanted), "{:?} is still there", String::from_utf8_lossy(wanted));
        }
        assert!(house.has_bytes(&sid(3).0) || is_archived, "the others are");
        let events = house.read().events(0, 1_000).expect("it is read");
        assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == seq), "no number is missing");
        let names = |told: &Told| matches!(told, Told::Message { id, .. } if house.ids[..2].contains(id));
        assert!(!events.iter().any(|event| names(&event.told)));

        let attempt = bluetick::message::AttemptId { message: house.ids[0], number: 1, nonce: [0; 16] };
        for late in [
            report(Some(attempt), sid(555), Word::Read, None),
            report(None, sid(2), Word::Read, None),
            inbound(900, &person(NUMBER).to_string(), &[]),
        ] {
            let written = house.store.write(late).await;
            assert!(matches!(written, Ok(Written::Gone)), "{written:?}");
        }
        assert_eq!(house.read().person(&person(NUMBER).to_string()).expect("it is read"), None);
        assert_eq!(house.ever(), before);
        house.check();
        let nobody = house.erase(&person(NUMBER).to_string()).await;
        assert_eq!(nobody, Erased { is_done: true, ..Erased::default() });
        house.close();
    }
}

#[tokio::test]
async fn a_file_that_is_written_anew_answers_as_before_and_whoever_reads_goes_on() {
    let house = House::open(days(10));
    let earlier = house.read();
    let told = |snapshot: &Snapshot| {
        let page = snapshot.messages(&Filter::default(), None, 9).expect("it is read");
        (page.rows, snapshot.events(0, 99).expect("it is read"), snapshot.ever(1).expect("it is read"))
    };
    let before = told(&earlier);
    retention::rewrite(&house.store, true).await.expect("there is room");
    assert_eq!(told(&house.read()), before);
    assert_eq!(told(&earlier), before);
    house.store.write(inbound(5, "whatsapp:+4915100000001", &[])).await.expect("it goes on");
    assert_eq!(told(&earlier), before);
    assert_eq!(house.ever()[3], 2);
    house.check();
    let folder = house.close();
    std::fs::write(folder.0.join("bluetick.rewriting"), "half a file").expect("it can be written");
    let (store, writer) = House::start(&folder.0, days(11));
    assert!(store.read().expect("it is read").has_inbound(sid(5)).expect("it is read"));
    assert!(!folder.0.join("bluetick.rewriting").exists(), "what a crash left is removed");
    store.close();
    writer.join().expect("the writer ends well");
}

#[tokio::test]
async fn an_erasure_that_is_cut_off_counts_nothing_twice_and_goes_on() {
    let open = |disk: &TornDisk| {
        let db = Database::builder().set_cache_size(1 << 20).create_with_backend(disk.clone())?;
        store::Store::over(db)
    };
    let whole = TornDisk::new();
    let mut store = open(&whole).expect("memory can be written");
    live(&mut store);
    drop(store);
    let image = whole.kill();
    let name = person(NUMBER).to_string();
    for operations in 0..60 {
        let disk = image.kill();
        let mut store = open(&disk).expect("it opens");
        disk.fail_after(operations);
        let mut is_done = false;
        while !is_done {
            match store.commit(vec![Write::Erase(name.clone())], days(1)) {
                Ok(written) => is_done = matches!(&written[..], [Written::Erased(Erased { is_done: true, .. })]),
                Err(StoreError::Disk(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        drop(store);
        let mut store = open(&disk.cut(&mut rand::SeedableRng::seed_from_u64(operations))).expect("it opens");
        let findings = verify(&store.read().expect("it is read"), |_, _| ()).expect("it is read");
        assert_eq!((findings.count, &findings.differences[..]), (0, &[][..]), "after {operations} operations");
        for _ in 0..3 {
            one(&mut store, Write::Erase(name.clone()), days(2));
        }
        let snapshot = store.read().expect("it is read");
        assert_eq!(snapshot.person(&name).expect("it is read"), None);
        assert_eq!(snapshot.ever(1).expect("it is read").get(Count::Accepted), 6);
        assert_eq!(verify(&snapshot, |_, _| ()).expect("it is read").count, 0);
    }
}
