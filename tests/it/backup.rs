//! Backups: whole or refused, and a restored store that fears what it cannot know.

use std::fs;

use bluetick::backup::{self, BackupError};
use bluetick::clock::Time;
use bluetick::message::{Content, Draft, Fact, OptOut, Source, Status, Template, Word};
use bluetick::pause::{Cause, Scope};
use bluetick::store::{
    Accept, Asked, BadDump, Doubt, FILE, Filter, Heard, IdempotencyKey, Listened, OptingOut, Recover, SCHEMA, Settle,
    Store, Write, Written, dump, inspect, load,
};

use crate::support::{
    Folder, accept, assert_verified, claim, draft, get, inbound, last_attempt, one, person, report, sent, sid,
};

const START: Time = Time(1_800_000_000_000);
const LATER: Time = Time(1_800_003_600_000);

/// One of each: read, waiting, in flight, held, and a letter.
fn lived(folder: &Folder) -> Store {
    let mut store = folder.store();
    accept(&mut store, draft(person(1)), 1, START);
    let attempt = last_attempt(&claim(&mut store, START)[0]);
    one(&mut store, sent(attempt, sid(1)), START);
    one(&mut store, report(Some(attempt), sid(1), Word::Read, None), START);
    accept(&mut store, draft(person(2)), 2, START);
    claim(&mut store, START);
    accept(&mut store, draft(person(3)), 3, START);
    one(&mut store, inbound(9, "whatsapp:+4915100000001", &[]), START);
    store
}

fn restored(folder: &Folder) -> Store {
    let backups = folder.0.join("backups");
    let store = lived(folder);
    let made =
        backup::create(&store.read().expect("it can be read"), &backups, START, |_, _| ()).expect("there is room");
    drop(store);
    let again = folder.0.join("again");
    backup::restore(&made.path, &again, LATER).expect("it is whole");
    Store::open(&again.join(FILE), 16 << 20).expect("it is a data file")
}

fn doubt(store: &mut Store) -> usize {
    match one(store, Write::Doubt(Doubt { random: [7; 16] }), LATER) {
        Written::Doubted(some) => some,
        other => panic!("not doubted: {other:?}"),
    }
}

/// A stream by hand: its segments, and its tables with their rows.
fn stream(segments: &str, tables: &[(&str, &[u8], &[u8])]) -> Vec<u8> {
    let mut stream = format!(
        "{{\"bluetick_backup\":2,\"version\":\"0\",\"schema\":{SCHEMA},\"taken_at\":\"\",\"taken_at_ms\":0,\
         \"last_event\":0,\"messages\":0,\"inbound\":0,\"segments\":{segments}}}\n"
    )
    .into_bytes();
    for (table, key, value) in tables {
        stream.extend(format!("{{\"table\":\"{table}\",\"rows\":1}}\n").bytes());
        for part in [key, value] {
            stream.extend(u32::try_from(part.len()).expect("it is short").to_le_bytes());
            stream.extend(*part);
        }
    }
    stream.extend(b"{\"end\":true}\n");
    stream
}

#[test]
fn a_row_that_cannot_be_one_of_its_table_is_refused() {
    let fine: [(&str, &[u8], &[u8]); 3] =
        [("sids", &[7; 17], &[7; 16]), ("aliases", b"whatsapp:+4915100000001", &[1; 8]), ("held", b"t", b"")];
    inspect(&mut stream("[]", &fine).as_slice()).expect("these can");
    let wrong: [(&str, &[u8], &[u8]); 6] = [
        ("sids", &[7; 16], &[7; 16]),
        ("sids", &[7; 17], &[7; 15]),
        ("stubs", &[7; 16], &[1; 8]),
        ("aliases", b"whatsapp:\xff", &[1; 8]),
        ("senders", &[1; 4], b"\xff"),
        ("opt_outs", &[1; 8], b"more"),
    ];
    let folder = Folder::new();
    for row in wrong {
        let stream = stream("[]", &[row]);
        let refused = [inspect(&mut stream.as_slice()), load(&mut stream.as_slice(), &folder.0, START)];
        assert!(refused.iter().all(|result| matches!(result, Err(BadDump::Broken(_)))), "{row:?}: {refused:?}");
        assert!(!folder.0.join(FILE).exists());
    }
}

#[test]
fn a_backup_names_its_segments_by_checksums_and_no_other_file() {
    let named = |sum: &str| inspect(&mut stream(&format!(r#"[{{"number":1,"sha256":"{sum}"}}]"#), &[]).as_slice());
    named(&"0a".repeat(32)).expect("a checksum");
    for wrong in ["", "x/../../../../x", &"0".repeat(63), &"g".repeat(64), &format!("{}/", "0".repeat(64))] {
        assert!(matches!(named(wrong), Err(BadDump::Broken(_))), "{wrong}");
    }
}

#[test]
fn a_stream_that_is_cut_off_or_goes_on_is_refused() {
    let folder = Folder::new();
    let store = lived(&folder);
    let mut stream = Vec::new();
    let head =
        dump(&store.read().expect("it can be read"), START, &mut stream, |_, _| ()).expect("memory can be written");
    assert_eq!((head.messages, head.inbound, head.schema), (3, 1, SCHEMA));
    assert_eq!(inspect(&mut &stream[..]).expect("it is whole"), head);
    for length in 0..stream.len() {
        assert!(
            matches!(inspect(&mut &stream[..length]), Err(BadDump::Broken(_))),
            "{length} bytes were taken for all"
        );
    }
    let more = [&stream[..], b"x"].concat();
    assert!(matches!(inspect(&mut &more[..]), Err(BadDump::Broken(_))));
    let later = String::from_utf8_lossy(&stream).replacen(&format!("\"schema\":{SCHEMA}"), "\"schema\":99", 1);
    assert!(matches!(inspect(&mut later.as_bytes()), Err(BadDump::Later(_))));
}

#[test]
fn a_restore_replaces_nothing_and_leaves_nothing_half() {
    let folder = Folder::new();
    let backups = folder.0.join("backups");
    let store = lived(&folder);
    let made =
        backup::create(&store.read().expect("it can be read"), &backups, START, |_, _| ()).expect("there is room");
    drop(store);
    assert!(matches!(backup::restore(&made.path, &folder.0, LATER), Err(BackupError::InTheWay(_))));
    let mut bytes = fs::read(&made.path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&made.path, bytes).expect("it can be written");
    let again = folder.0.join("again");
    assert!(matches!(backup::restore(&made.path, &again, LATER), Err(BackupError::Broken(_))));
    assert!(!again.join(FILE).exists());
    assert!(matches!(backup::verify(&again), Err(BackupError::Broken(_))), "a folder is no backup");
}

#[test]
fn where_the_data_file_was_lost_a_restored_one_is_the_right_one() {
    let folder = Folder::new();
    let store = lived(&folder);
    let made = backup::create(&store.read().expect("it can be read"), &folder.0.join("b"), START, |_, _| ());
    drop(store);
    fs::remove_file(folder.0.join(FILE)).expect("it is there");
    let remembered = format!(r#"{{"instance":"{}","last_event":99}}"#, "0".repeat(32));
    fs::write(folder.0.join("bluetick.sentinel"), remembered).expect("it can be written");
    backup::restore(&made.expect("there is room").path, &folder.0, LATER).expect("it is whole");
    assert_verified(&folder.store());
}

#[test]
fn only_the_newest_backups_are_kept_and_only_whole_ones_are_listed() {
    let folder = Folder::new();
    let backups = folder.0.join("backups");
    let store = lived(&folder);
    let snapshot = store.read().expect("it can be read");
    for hour in 0..5 {
        backup::create(&snapshot, &backups, Time(START.0 + hour * 3_600_000), |_, _| ()).expect("there is room");
    }
    fs::write(backups.join("bluetick-29990101T000000.000Z.backup.zst.part"), "half").expect("it can be written");
    assert_eq!(backup::prune(&backups, 3).expect("they can be removed"), 2);
    let kept = backup::list(&backups).expect("it can be read");
    let hours = kept.iter().map(|one| (one.head.taken_at_ms - START.0) / 3_600_000).collect::<Vec<_>>();
    assert_eq!(hours, [4, 3, 2]);
}

#[test]
fn what_waited_or_was_in_flight_is_unknown_and_nothing_goes_before_that_is_settled() {
    let folder = Folder::new();
    let mut store = restored(&folder);
    assert!(matches!(one(&mut store, Write::Recover(Recover { boot: 8 }), LATER), Written::Recovered(1)));
    assert_eq!((doubt(&mut store), doubt(&mut store)), (1, 0));
    let snapshot = store.read().expect("it can be read");
    let statuses = snapshot.messages(&Filter::default(), None, 10).expect("it can be read").rows;
    let statuses = statuses.iter().map(|message| message.status()).collect::<Vec<_>>();
    assert_eq!(statuses, [Status::Unknown, Status::Unknown, Status::Twilio(Word::Read)]);
    let paused = snapshot.active_pauses().expect("it can be read");
    assert_eq!((&paused[0].scope, &paused[0].cause), (&Scope::All, &Cause::Restored { taken_at: START }));
    assert!(
        snapshot.restored().expect("it can be read").is_some() && snapshot.has_undecided().expect("it can be read")
    );
    accept(&mut store, draft(person(4)), 4, LATER);
    assert!(claim(&mut store, LATER).is_empty(), "what is new waits as well");
    assert_eq!(doubt(&mut store), 0, "after another start, too: nothing of it can have been sent before the backup");
    assert_verified(&store);
}

#[test]
fn what_only_waited_goes_when_it_is_provably_not_there_however_often_that_happens_and_whatever_its_policy_is() {
    let folder = Folder::new();
    let mut store = restored(&folder);
    doubt(&mut store);
    let filter = Filter { to: Some(person(3).to_string()), ..Filter::default() };
    let feared =
        store.read().and_then(|snapshot| snapshot.messages(&filter, None, 1)).expect("it can be read").rows.remove(0);
    assert_eq!(feared.attempts[0].started_at, START, "it may have been sent from the backup's moment on");
    let late = Time(LATER.0 + 600_000);
    one(&mut store, Write::Ask(Asked { attempt: last_attempt(&feared), heard: Heard::NotListed, at: late }), late);
    assert_eq!(get(&store.read().expect("it can be read"), feared.id).status(), Status::Pending);
    assert!(matches!(one(&mut store, Write::CaughtUp, late), Written::Resumed(true)));
    let again = claim(&mut store, late).remove(0);
    assert_eq!((again.id, again.resends()), (feared.id, 0), "nothing was sent yet, so nothing was sent again");
    let fact = Fact::Sent { attempt: 2, sid: sid(5), word: Word::Queued, ask_at: late };
    one(&mut store, Write::Settle(Settle { attempt: last_attempt(&again), fact, source: Source::Job }), late);
    assert_verified(&store);
}

#[test]
fn free_text_with_a_fallback_is_looked_for_in_either_form() {
    let folder = Folder::new();
    let mut store = folder.store();
    let fallback = Template { sid: format!("HX{:032x}", 1), variables: Default::default() };
    let wish = Draft { fallback: Some(fallback.clone()), ..draft(person(1)) };
    accept(&mut store, wish, 1, START);
    let made = backup::create(&store.read().expect("it can be read"), &folder.0.join("b"), START, |_, _| ());
    backup::restore(&made.expect("there is room").path, &folder.0.join("again"), LATER).expect("it is whole");
    let mut store = Store::open(&folder.0.join("again").join(FILE), 16 << 20).expect("it is a data file");
    assert_eq!(doubt(&mut store), 1);
    let message = store.read().and_then(|snapshot| snapshot.unresolved(1)).expect("it can be read").remove(0);
    assert_eq!(message.content(message.attempts[0].form), Content::Template(fallback));
}

/// A store with a row in every table that outlives a message: a key, a pause, what is heard, an opt-out, a template's hold.
fn furnished() -> (Folder, Store) {
    let folder = Folder::new();
    let mut store = lived(&folder);
    let template = Template { sid: format!("HX{:032x}", 1), variables: Default::default() };
    let scope = Scope::Template(template.sid.clone());
    one(&mut store, Write::Pause(scope, Cause::Operator(Some("new wording".into()))), START);
    let wish = Draft { content: Content::Template(template), ..draft(person(4)) };
    let key = Some(IdempotencyKey { key: [1; 32], request: [2; 32], kept_ms: i64::MAX });
    one(&mut store, Write::Accept(Box::new(Accept { draft: wish, random: [4; 10], key })), START);
    claim(&mut store, START);
    one(&mut store, Write::Listened(Listened { sender: 1, from: Time(0), until: START }), START);
    let opted_out = OptingOut { name: person(5).to_string(), scope: Some(OptOut::Marketing), note: None };
    one(&mut store, Write::OptOut(opted_out), START);
    (folder, store)
}

#[test]
fn a_store_of_every_schema_is_opened_for_ever() {
    (1..=SCHEMA).for_each(open_kept);
}

fn open_kept(schema: u16) {
    let path = format!("{}/tests/data/store-schema-{schema}.bin", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLUETICK_UPDATE").is_some() && schema == SCHEMA {
        let (_folder, store) = furnished();
        let mut stream = Vec::new();
        dump(&store.read().expect("it can be read"), START, &mut stream, |_, _| ()).expect("memory can be written");
        fs::write(&path, stream).expect("it can be written");
    }
    let stream = fs::read(&path).expect("the kept store is there");
    let folder = Folder::new();
    let head = load(&mut &stream[..], &folder.0, LATER).expect("a kept store is read for ever");
    assert_eq!((head.messages, head.inbound), (4, 1));
    let mut store = folder.store();
    assert_verified(&store);
    let snapshot = store.read().expect("it can be read");
    assert_eq!(snapshot.active_pauses().expect("it can be read").len(), 1);
    assert_eq!(snapshot.opted_out(0, 9).expect("it can be read").rows.len(), 1);
    assert!(snapshot.listening(1).expect("it can be read").is_some_and(|heard| heard.asked_until == START));
    let held = Filter { statuses: ["held".to_owned()].into(), ..Filter::default() };
    assert_eq!(snapshot.messages(&held, None, 9).expect("it can be read").rows.len(), 1);
    let key = Some(IdempotencyKey { key: [1; 32], request: [2; 32], kept_ms: i64::MAX });
    let again = Accept { draft: draft(person(4)), random: [5; 10], key };
    assert!(matches!(one(&mut store, Write::Accept(Box::new(again)), LATER), Written::Replayed(_)));
}
