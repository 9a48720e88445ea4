//! Old messages move out of the way and are found as before, whatever happens on the way.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use bluetick::archive::Shelf;
use bluetick::backup::{self, BackupError};
use bluetick::cli::{Answer, Cli};
use bluetick::clock::{Clock, Time};
use bluetick::jobs::archive::{self, Moved};
use bluetick::jobs::retention;
use bluetick::message::{Fact, Message, MessageId, Source, Status, Word};
use bluetick::store::{
    self, Asked, FILE, Filter, Handle, Heard, Settle, Shelve, Snapshot, Store, StoreError, Write, Written, verify,
};
use clap::Parser;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::Database;

use crate::support::{Folder, accept, claim, draft, get, inbound, last_attempt, one, person, report, sent, sid};
use crate::torn::TornDisk;

const START: Time = Time(1_800_000_000_000);
const DAY_MS: i64 = 86_400_000;
const LATER: Time = Time(START.0 + 100 * DAY_MS);
const UNTIL: Time = Time(LATER.0 - 90 * DAY_MS);
const PEOPLE: u64 = 40;

/// Messages of every kind of end, some of which wait still.
fn live(store: &mut Store) -> Vec<MessageId> {
    let (mut ids, mut unread) = (Vec::new(), Vec::new());
    for number in 1..=PEOPLE {
        let at = Time(START.0 + number as i64 * 1_000);
        let mut wish = draft(person(number as u32));
        wish.reference = Some(format!("order-{number}"));
        ids.push(accept(store, wish, number, at).id);
        if number % 10 == 9 {
            continue;
        }
        let attempt = last_attempt(claim(store, at).last().expect("it is due"));
        if number % 10 == 8 {
            let fact = Fact::Refused { attempt: 1, code: Some(63_024), detail: "no WhatsApp there".into() };
            one(store, Write::Settle(Settle { attempt, fact, source: Source::Job }), at);
            continue;
        }
        one(store, sent(attempt, sid(number)), at);
        let words = [Word::Sent, Word::Delivered, Word::Read];
        let words = if number % 10 == 7 { vec![Word::Failed] } else { words[..1 + number as usize % 3].to_vec() };
        for word in words {
            let code = word.is_failure().then_some(63_024);
            one(store, report(Some(attempt), sid(number), word, code), Time(at.0 + 500));
        }
        unread.extend((number % 3 == 1).then_some(attempt));
    }
    one(store, inbound(900, "whatsapp:+4915100000001", &[]), Time(START.0 + 90_000));
    // Nobody reads them for so long that Twilio is asked no more.
    let at = Time(START.0 + 8 * DAY_MS);
    let asked = unread.into_iter().map(|attempt| Write::Ask(Asked { attempt, heard: Heard::Nothing, at }));
    store.commit(asked.collect(), at).expect("the disk works");
    ids
}

/// Everything that can be asked about messages, answered.
fn answers(snapshot: &Snapshot, ids: &[MessageId]) -> Vec<String> {
    let mut told = ids.iter().map(|id| format!("{:?}", get(snapshot, *id))).collect::<Vec<_>>();
    told.extend((1..=PEOPLE).map(|number| format!("{:?}", snapshot.message_by_sid(sid(number)).expect("it is read"))));
    let filters = [
        Filter::default(),
        Filter { needs_attention: true, ..Filter::default() },
        Filter { code: Some(63_024), ..Filter::default() },
        Filter { to: Some("whatsapp:+4915100000003".into()), ..Filter::default() },
        Filter { reference: Some("order-7".into()), ..Filter::default() },
        Filter { since: Some(Time(START.0 + 5_000)), until: Some(Time(START.0 + 15_000)), ..Filter::default() },
    ];
    for filter in filters {
        let (mut cursor, mut found) = (None, Vec::new());
        loop {
            let page = snapshot.messages(&filter, cursor, 7).expect("it is read");
            found.extend(page.rows.iter().map(|message| message.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        told.push(format!("{found:?}"));
    }
    told.push(format!("{:?}", snapshot.ever(1).expect("it is read")));
    for number in 1..=PEOPLE {
        told.push(format!("{:?}", snapshot.person(&person(number as u32).to_string()).expect("it is read")));
    }
    told
}

/// A store with its thread.
struct House {
    store: Handle,
    writer: JoinHandle<()>,
}

impl House {
    fn open(store: Store, dir: &Path, now: Time) -> Self {
        let store = store.with_shelf(Arc::new(Shelf::beside(dir)));
        let (store, writer) = store::run(store, 64, Clock::manual(now));
        Self { store, writer }
    }

    fn read(&self) -> Snapshot {
        self.store.read().expect("the disk works")
    }

    fn check(&self) -> u64 {
        let findings = verify(&self.read(), |_, _| ()).expect("the disk works");
        assert_eq!((findings.count, findings.differences), (0, Vec::new()));
        findings.archived
    }

    fn close(self) {
        self.store.close();
        self.writer.join().expect("the writer ends well");
    }
}

/// The answers before, and the same store as it is later.
fn lived(folder: &Folder) -> (House, Vec<MessageId>, Vec<String>) {
    let mut store = folder.store();
    let ids = live(&mut store);
    let before = answers(&store.read().expect("the disk works"), &ids);
    (House::open(store, &folder.0, LATER), ids, before)
}

async fn moved(house: &House) -> Moved {
    archive::run(&house.store, UNTIL, |_| ()).await.expect("there is room")
}

#[tokio::test]
async fn what_moved_is_found_by_every_name_as_before_and_the_numbers_stay() {
    let folder = Folder::new();
    let (house, ids, before) = lived(&folder);
    let (count, span) = house.read().due_for_archive(UNTIL).expect("it can be told beforehand");
    let done = moved(&house).await;
    assert_eq!((done.messages, done.segments, done.tidied), (count, 1, 0));
    let waiting = ids.iter().filter(|id| !get(&house.read(), **id).is_at_rest()).count();
    assert!(waiting > 4 && done.messages + waiting as u64 == PEOPLE, "{done:?}, and {waiting} wait");
    assert_eq!(span.map(|(first, _)| house.read().segment_of(first).expect("it is read")), Some(Some(1)));
    assert_eq!(answers(&house.read(), &ids), before);
    assert_eq!(house.check(), done.messages);
    assert_eq!(moved(&house).await, Moved::default(), "there is nothing more to do");
    house.close();
    let again = House::open(folder.store(), &folder.0, LATER);
    assert_eq!(answers(&again.read(), &ids), before);
    again.close();
}

#[tokio::test]
async fn a_late_read_comes_home_and_its_line_goes_with_the_next_run() {
    let folder = Folder::new();
    let (house, ids, _) = lived(&folder);
    let done = moved(&house).await;
    let id = ids[0];
    let attempt = last_attempt(&get(&house.read(), id));
    for (attempt, number) in [(Some(attempt), 1), (None, 4)] {
        let written = house.store.write(report(attempt, sid(number), Word::Read, None)).await;
        assert!(matches!(written, Ok(Written::Recorded(_))), "{written:?}");
    }
    assert_eq!(get(&house.read(), id).status(), Status::Twilio(Word::Read));
    assert_eq!(house.read().segment_of(id).expect("it is read"), None, "it is here again");
    assert_eq!(house.check(), done.messages - 2);
    let tidied = moved(&house).await;
    assert_eq!((tidied.messages, tidied.tidied), (0, 1), "its last change is too young to move again");
    assert_eq!(house.store.shelf().numbers().expect("it can be listed"), [2]);
    let lines = house.store.shelf().read(2).expect("it is whole").count() as u64;
    assert_eq!((lines, house.check()), (done.messages - 2, done.messages - 2));
    house.close();
}

#[tokio::test]
async fn what_comes_back_is_here_as_it_was() {
    let folder = Folder::new();
    let (house, ids, before) = lived(&folder);
    let done = moved(&house).await;
    let written = house.store.write(Write::Return(ids.clone())).await;
    assert!(matches!(written, Ok(Written::Shelved(came)) if came as u64 == done.messages), "{written:?}");
    assert_eq!((answers(&house.read(), &ids), house.check()), (before.clone(), 0));
    let again = moved(&house).await;
    assert_eq!((again.messages, again.tidied), (done.messages, 1));
    assert_eq!(answers(&house.read(), &ids), before);
    house.close();
}

#[tokio::test]
async fn two_people_who_turn_out_to_be_one_are_one_in_the_archive_too() {
    let folder = Folder::new();
    let (house, _, _) = lived(&folder);
    moved(&house).await;
    let (first, second) = ("whatsapp:+4915100000001", "whatsapp:+4915100000002");
    let sum = |name: &str| house.read().person(name).expect("it is read").expect("known").cell;
    let (mut all, other) = (sum(first), sum(second));
    all.merge(&other, 1);
    house.store.write(inbound(901, first, &[second])).await.expect("the disk works");
    let person = house.read().person(second).expect("it is read").expect("known");
    all.merge(
        &{
            let mut one = bluetick::metrics::Cell::default();
            bluetick::metrics::inbound(Source::Callback).add_to(&mut one, 1);
            one
        },
        1,
    );
    assert_eq!(person.cell, all);
    let filter = Filter { to: Some(first.into()), ..Filter::default() };
    assert_eq!(house.read().messages(&filter, None, 10).expect("it is read").rows.len(), 2);
    house.check();
    house.close();
}

#[tokio::test]
async fn a_backup_has_the_archive_too_and_its_segments_stand_there_once() {
    let folder = Folder::new();
    let (house, ids, before) = lived(&folder);
    let backups = folder.0.join("backups");
    let back_up =
        |at: i64| backup::create(&house.read(), &backups, Time(LATER.0 + at), |_, _| ()).expect("there is room");
    let done = moved(&house).await;
    let first = back_up(1);
    assert_eq!((first.head.archived, first.head.segments.len()), (done.messages, 1));
    house.store.write(report(None, sid(1), Word::Read, None)).await.expect("the disk works");
    back_up(2);
    let segments = || std::fs::read_dir(backups.join("segments")).expect("there is one").count();
    assert_eq!(segments(), 2, "one segment and its checksum, however many backups");
    moved(&house).await;
    back_up(3);
    assert_eq!((segments(), house.store.shelf().numbers().expect("it is read").len()), (4, 1));
    house.close();

    backup::verify(&first.path).expect("it is whole");
    let again = folder.0.join("again");
    backup::restore(&first.path, &again, LATER).expect("it is whole");
    let restored = Store::open(&again.join(FILE), 16 << 20).expect("it is a data file");
    let found = House::open(restored, &again, LATER);
    assert_eq!((answers(&found.read(), &ids), found.check()), (before, done.messages));
    found.close();

    assert_eq!(backup::prune(&backups, 1).expect("they can be removed"), 2);
    assert_eq!(segments(), 2, "what belongs to no backup goes with the last that needed it");
    let segment = std::fs::read_dir(backups.join("segments")).expect("there is one").flatten();
    let segment = segment.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "zst"));
    let segment = segment.expect("one is left");
    let mut bytes = std::fs::read(&segment).expect("it is there");
    bytes[40] ^= 1;
    std::fs::write(&segment, bytes).expect("it can be written");
    let left = backup::list(&backups).expect("it can be read").remove(0).path;
    assert!(backup::verify(&left).is_err(), "a damaged segment is a damaged backup");
}

#[tokio::test]
async fn a_message_that_changed_since_it_was_read_does_not_move() {
    let folder = Folder::new();
    let (house, ids, before) = lived(&folder);
    let mut read = Vec::new();
    let visit = |message: Message, place| {
        read.push((message.id, place));
        std::ops::ControlFlow::Continue(())
    };
    house.read().at_rest(MessageId([0; 16]), UNTIL, visit).expect("it is read");
    let changed = ids[0];
    house.store.write(report(None, sid(1), Word::Read, None)).await.expect("the disk works");
    let Ok(Written::Segment(segment)) = house.store.write(Write::OpenSegment).await else { panic!("a number") };
    let mut writing = house.store.shelf().begin(segment).expect("there is room");
    let unchanged = |id: &MessageId| *id != changed;
    for (id, _) in read.iter().filter(|(id, _)| unchanged(id)) {
        writing.add(&get(&house.read(), *id)).expect("there is room");
    }
    writing.seal().expect("there is room");
    let count = read.len();
    let moved = house.store.write(Write::Shelve(Shelve { segment, rows: read })).await;
    assert!(matches!(moved, Ok(Written::Shelved(moved)) if moved == count - 1), "{moved:?} of {count}");
    assert_eq!(house.read().segment_of(changed).expect("it is read"), None);
    assert_eq!(get(&house.read(), changed).status(), Status::Twilio(Word::Read));
    assert_eq!(answers(&house.read(), &ids[1..])[..10], before[1..11]);
    house.check();
    house.close();
}

#[tokio::test]
async fn whoever_is_erased_while_a_segment_is_written_leaves_no_line_in_it() {
    let folder = Folder::new();
    let (house, ids, _) = lived(&folder);
    let (mut read, mut lines) = (Vec::new(), Vec::new());
    let visit = |message: Message, place| {
        read.push((message.id, place));
        lines.push(message);
        std::ops::ControlFlow::Continue(())
    };
    house.read().at_rest(MessageId([0; 16]), UNTIL, visit).expect("it is read");
    let Ok(Written::Segment(segment)) = house.store.write(Write::OpenSegment).await else { panic!("a number") };
    let mut writing = house.store.shelf().begin(segment).expect("there is room");
    lines.iter().for_each(|message| writing.add(message).expect("there is room"));
    writing.seal().expect("there is room");
    // The segment is whole and nothing leads to it yet: now they go, whose lines it has.
    let gone = get(&house.read(), ids[0]).draft.to.to_string();
    while !matches!(house.store.write(Write::Erase(gone.clone())).await, Ok(Written::Erased(part)) if part.is_done) {}
    house.store.write(Write::Shelve(Shelve { segment, rows: read })).await.expect("the disk works");
    house.store.write(Write::CloseSegment(segment)).await.expect("the disk works");
    // Nothing is so old that it would be written anew for that.
    let options = retention::Options { bodies_days: 3_650, messages_days: 3_650, ..retention::Options::default() };
    retention::run(&house.store, &options, LATER).await.expect("there is room");
    for segment in house.store.shelf().numbers().expect("it is listed") {
        let of_theirs = |message: &Message| message.draft.to.to_string() == gone;
        let mut left = house.store.shelf().read(segment).expect("it is whole");
        assert!(!left.any(|message| of_theirs(&message.expect("it is whole"))), "a line is left in segment {segment}");
    }
    house.check();
    house.close();
}

#[tokio::test]
async fn a_segment_that_a_reader_still_needed_is_forgotten_by_a_later_run() {
    let folder = Folder::new();
    let (house, _, _) = lived(&folder);
    moved(&house).await;
    let reader = house.read();
    // The words are so old that the segment is written anew, though nothing in it has moved on.
    let options = retention::Options { messages_days: 3_650, ..retention::Options::default() };
    let sweep = async || retention::run(&house.store, &options, LATER).await.expect("there is room").segments;
    assert_eq!(sweep().await, 1);
    assert_eq!(house.store.shelf().numbers().expect("it is listed"), [1, 2], "somebody reads it");
    drop(reader);
    assert_eq!(house.store.shelf().numbers().expect("it is listed"), [2]);
    let back_up = || backup::create(&house.read(), &folder.0.join("backups"), LATER, |_, _| ()).map(|made| made.head);
    assert_eq!(back_up().expect("what is gone is not missed").segments.len(), 1);
    sweep().await;
    let known = house.read().segments().expect("it is read");
    assert_eq!(known, [(2, false)]);
    house.check();
    house.close();
}

#[tokio::test]
async fn a_backup_takes_no_damaged_segment_and_a_restore_replaces_none() {
    let folder = Folder::new();
    let (house, _, _) = lived(&folder);
    moved(&house).await;
    let (backups, path) = (folder.0.join("backups"), house.store.shelf().path(1));
    let back_up = || backup::create(&house.read(), &backups, LATER, |_, _| ());
    let whole = std::fs::read(&path).expect("it is there");
    let mut spoilt = whole.clone();
    spoilt[40] ^= 1;
    std::fs::write(&path, &spoilt).expect("it can be written");
    assert!(matches!(back_up(), Err(BackupError::Broken(_))), "it would be no backup");
    assert!(backup::list(&backups).expect("it is read").is_empty());
    std::fs::write(&path, &whole).expect("it can be written");
    let made = back_up().expect("it is whole again");
    std::fs::write(&path, &spoilt).expect("it can be written");
    backup::verify(&made.path).expect("what spoils the one does not spoil the other");
    house.close();

    let again = folder.0.join("again");
    let in_the_way = Shelf::beside(&again).path(1);
    std::fs::create_dir_all(again.join("archive")).expect("it can be made");
    std::fs::write(&in_the_way, "another archive").expect("it can be written");
    assert!(matches!(backup::restore(&made.path, &again, LATER), Err(BackupError::InTheWay(_))));
    assert_eq!(std::fs::read(&in_the_way).expect("it is there"), b"another archive");
    assert!(!again.join(FILE).exists());
}

/// One command: what it answers and prints, or its trouble.
fn command(arguments: &[&str]) -> Result<(Answer, String), String> {
    let mut out = Vec::new();
    let cli = Cli::try_parse_from(["bluetick"].iter().chain(arguments)).expect("the command line is right");
    let answer = cli.run(&mut out).map_err(|error| format!("{error:#}"))?;
    Ok((answer, String::from_utf8(out).expect("it is text")))
}

#[test]
fn a_stopped_house_finds_its_archive_where_the_configuration_says() {
    let folder = Folder::new();
    let (house, ids, _) = lived(&folder);
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    let done = runtime.block_on(moved(&house));
    house.close();
    let elsewhere = folder.0.join("elsewhere");
    std::fs::rename(folder.0.join("archive"), &elsewhere).expect("it can be moved");
    let config = folder.0.join("config.toml");
    let text = format!("[store]\ndir = {:?}\n[archive]\ndir = {elsewhere:?}\n", folder.0);
    std::fs::write(&config, text).expect("it can be written");
    let at = ["--config", config.to_str().expect("it is text")];
    let run = |words: &[&str]| command(&[words, &at].concat());
    let (answer, said) = run(&["verify"]).expect("it is verified");
    assert!(answer == Answer::Yes && said.contains(&format!("({} in the archive)", done.messages)), "{said}");
    run(&["backup", "create"]).expect("it is backed up");
    let id = ids[0].to_string();
    assert!(run(&["archive", "find", &id]).expect("it is found").1.contains(&id));
    assert!(matches!(run(&["archive", "verify"]), Ok((Answer::Yes, _))));

    std::fs::remove_file(elsewhere.join("segment-000001.jsonl.zst")).expect("it is there");
    let (answer, said) = run(&["archive", "verify"]).expect("it can be told");
    assert!(answer == Answer::No && said.contains("segment-000001"), "{said}");
    assert!(run(&["archive", "list"]).expect("it can be told").1.contains("cannot be read"));
    assert!(run(&["archive", "find", &id]).is_err_and(|words| words.contains("not everything could be read")));
    let (answer, said) = run(&["verify"]).expect("it can be told");
    assert!(answer == Answer::No && said.contains("difference: 1"), "{said}");
}

#[test]
fn a_command_that_reads_makes_no_house_of_an_empty_file() {
    let folder = Folder::new();
    std::fs::write(folder.0.join(FILE), "").expect("it can be written");
    let data = folder.0.to_str().expect("it is text");
    for words in [&["verify"][..], &["migrate"], &["archive", "list"], &["archive", "run"], &["backup", "create"]] {
        let said = command(&[words, &["--data", data]].concat()).expect_err("there is nothing to read");
        assert!(said.contains("is empty"), "{words:?}: {said}");
        assert_eq!(std::fs::metadata(folder.0.join(FILE)).expect("it is there").len(), 0, "{words:?}");
    }
}

#[tokio::test]
async fn a_segment_that_is_missing_is_said_and_everything_else_goes_on() {
    let folder = Folder::new();
    let (house, ids, _) = lived(&folder);
    moved(&house).await;
    let path = house.store.shelf().path(1);
    house.close();
    let elsewhere = folder.0.join("elsewhere");
    std::fs::rename(&path, &elsewhere).expect("it can be moved");
    let house = House::open(folder.store(), &folder.0, LATER);
    assert!(matches!(house.read().message(ids[0]), Err(StoreError::Archive(_))));
    let page = house.read().messages(&Filter::default(), None, 100).expect("the others are shown");
    assert_eq!((page.rows.len() + page.unreadable.len()) as u64, PEOPLE);
    assert!(page.unreadable.contains(&ids[0]) && page.rows.len() > 4, "and these are named: {:?}", page.unreadable);
    let late = house.store.write(report(None, sid(1), Word::Read, None)).await;
    assert!(matches!(late, Err(StoreError::Archive(_))), "{late:?}");
    house.store.write(inbound(77, "whatsapp:+4915100000001", &[])).await.expect("what is here goes on");
    let found = verify(&house.read(), |_, _| ()).expect("it can be read");
    assert!(found.differences.iter().any(|difference| difference.place == "archive"), "{found:?}");
    std::fs::rename(&elsewhere, &path).expect("it can be moved");
    house.store.write(report(None, sid(1), Word::Read, None)).await.expect("it is there again");
    house.check();
    house.close();
}

#[tokio::test]
async fn wherever_a_run_is_cut_off_each_message_is_there_once_and_the_next_run_ends_it() {
    let runs = std::env::var("ARCHIVE_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let open =
        |disk: &TornDisk| Store::over(Database::builder().set_cache_size(1 << 20).create_with_backend(disk.clone())?);
    let whole = TornDisk::new();
    let mut store = open(&whole).expect("memory can be written");
    let ids = live(&mut store);
    let before = answers(&store.read().expect("the disk works"), &ids);
    drop(store);
    let image = whole.kill();
    let mut cuts = 0;
    for seed in 0..runs {
        let mut dice = StdRng::seed_from_u64(seed);
        let folder = Folder::new();
        let mut disk = image.kill();
        // A run, a late receipt, a run, and a run again: the power fails somewhere in each of the first three.
        for step in 0..4 {
            let house = House::open(open(&disk).expect("it opens"), &folder.0, LATER);
            let what = format!("seed {seed}, step {step}");
            let is_last = step == 3;
            if !is_last {
                disk.fail_after(dice.random_range(0..120));
            }
            let late = house.store.write(report(None, sid(1), Word::Sent, None)).await.is_ok();
            let ran = archive::run(&house.store, Time(LATER.0 + 1), |_| ()).await;
            assert!(ran.is_ok() || disk.is_off(), "{what}: {:?}", ran.err());
            if is_last {
                assert!(late);
                assert_eq!(answers(&house.read(), &ids).len(), before.len());
                let lines = house.store.shelf().numbers().expect("it can be listed").into_iter();
                let lines = lines.map(|number| house.store.shelf().read(number).expect("it is whole").count() as u64);
                assert_eq!(lines.sum::<u64>(), house.check(), "{what}: every line has its stub");
            } else {
                cuts += usize::from(disk.is_off());
                disk = disk.cut(&mut dice);
            }
            house.store.close();
            house.writer.join().expect("the writer ends");
            let store = open(&disk).expect("it opens").with_shelf(Arc::new(Shelf::beside(&folder.0)));
            let snapshot = store.read().expect("it is read");
            let findings = verify(&snapshot, |_, _| ()).expect("it is read");
            assert_eq!((findings.count, &findings.differences[..]), (0, &[][..]), "{what}");
            assert_eq!(findings.messages, PEOPLE, "{what}");
            for id in &ids {
                get(&snapshot, *id);
            }
        }
    }
    assert!(cuts as u64 > runs, "{cuts} of {runs} histories were cut off: too few to say anything");
}
