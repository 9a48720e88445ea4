//! API keys, people, their sessions and the audit log, as the data file keeps them.

use std::time::Duration;

use bluetick::audit::{Actor, Deed};
use bluetick::clock::Time;
use bluetick::keyring::{ApiKey, Hash, KeyId, Role, Scopes, Session, SessionId, User, Wish};
use bluetick::store::{
    Act, Before, Ending, FILE, Govern, Old, Opening, Sessions, Shown, Store, Use, Used, Write, Written, encode, verify,
};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::support::{Folder, assert_verified, one};

const START: Time = Time(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const AUDIT: TableDefinition<u64, &[u8]> = TableDefinition::new("audit");

fn key() -> ApiKey {
    let wish = Wish { name: "shop".into(), scopes: Scopes::all(), networks: Vec::new(), expires_at: None };
    ApiKey::make(wish, KeyId([1; 4]), [7; 32], START).0
}

fn keep(store: &mut Store, key: &ApiKey, expected: Option<u32>, now: Time) -> bool {
    let act = Act::KeepKey { key: Box::new(key.clone()), expected };
    let govern = Govern { by: Actor::job("test"), act, deed: Deed::new("key.changed", "ak_01010101", "") };
    matches!(one(store, Write::Govern(Box::new(govern)), now), Written::Governed)
}

fn note(store: &mut Store, now: Time) {
    let govern = Govern { by: Actor::job("test"), act: Act::Nothing, deed: Deed::new("noted", "", "") };
    one(store, Write::Govern(Box::new(govern)), now);
}

#[test]
fn of_two_who_change_a_key_at_once_one_is_told_so_and_what_is_revoked_stays_revoked() {
    let folder = Folder::new();
    let mut store = folder.store();
    let mut mine = key();
    assert!(keep(&mut store, &mine, None, START) && !keep(&mut store, &mine, None, START), "a key is new once");
    let mut theirs = mine.clone();
    mine.rotate([8; 32], DAY, START).expect("once");
    theirs.revoke(START);
    assert!(keep(&mut store, &mine, Some(1), START) && !keep(&mut store, &theirs, Some(1), START));
    mine.revoke(START);
    let mut zombie = mine.clone();
    zombie.revoked_at = None;
    assert!(keep(&mut store, &mine, Some(2), START) && !keep(&mut store, &zombie, Some(2), START));
    let rows = store.read().and_then(|snapshot| snapshot.audit(u64::MAX, 10)).expect("a log");
    assert_eq!(rows.len(), 3, "what was not done is not in the log");
    assert_verified(&store);
}

#[test]
fn uses_are_added_up_and_survive_a_change_of_the_key() {
    let folder = Folder::new();
    let mut store = folder.store();
    let mut stale = key();
    keep(&mut store, &stale, None, START);
    let used = |times, last_at| Write::Used(vec![Used { what: Use::Key(KeyId([1; 4])), times, last_at }]);
    one(&mut store, used(3, START.plus(DAY)), START);
    one(&mut store, used(4, START), START);
    stale.rotate([8; 32], DAY, START).expect("once");
    assert!(keep(&mut store, &stale, Some(1), START));
    let kept = store.read().and_then(|snapshot| snapshot.api_key(KeyId([1; 4]))).expect("a store").expect("a key");
    assert_eq!((kept.used, kept.last_used_at, kept.generation), (7, Some(START.plus(DAY)), 2));
}

#[test]
fn old_rows_of_the_log_go_and_the_chain_is_whole_all_the_same() {
    let folder = Folder::new();
    let mut store = folder.store();
    (0..5).for_each(|day| note(&mut store, START.plus(DAY * day)));
    let old = |until| Old { events_before: Time(0), audit_before: until, keys: Vec::new(), gone: Vec::new() };
    let forgotten = |store: &mut Store, until| match one(store, Write::ForgetOld(old(until)), START.plus(DAY * 9)) {
        Written::Forgotten(count) => count,
        other => panic!("{other:?}"),
    };
    assert_eq!(forgotten(&mut store, START.plus(DAY * 2)), 2);
    assert_verified(&store);
    assert_eq!(forgotten(&mut store, START.plus(DAY * 9)), 2, "the newest stays");
    note(&mut store, START.plus(DAY * 9));
    let rows = store.read().and_then(|snapshot| snapshot.audit(u64::MAX, 10)).expect("a log");
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [6, 5]);
    assert_verified(&store);
}

#[test]
fn layer_7_audit_a_row_that_was_changed_taken_out_or_cut_off_shows() {
    type Spoil = fn(&mut redb::Table<u64, &[u8]>);
    let spoil: [(&str, Spoil); 4] = [
        ("changed", |log| {
            let mut row: bluetick::audit::Entry =
                bluetick::store::decode(log.get(2).expect("a table").expect("a row").value()).expect("a row");
            row.deed.detail = "nothing to see".into();
            log.insert(2, encode(&row).as_slice()).expect("written");
        }),
        ("taken out", |log| drop(log.remove(2).expect("removed"))),
        ("the oldest cut off", |log| drop(log.remove(1).expect("removed"))),
        ("the newest cut off", |log| drop(log.remove(3).expect("removed"))),
    ];
    for (what, spoil) in spoil {
        let folder = Folder::new();
        let mut store = folder.store();
        (0..3).for_each(|_| note(&mut store, START));
        drop(store);
        let db = Database::open(folder.0.join(FILE)).expect("it is there");
        let txn = db.begin_write().expect("it can be written");
        spoil(&mut txn.open_table(AUDIT).expect("a log"));
        txn.commit().expect("it can be written");
        assert!(db.begin_read().is_ok());
        drop(db);
        let store = folder.store();
        let found = verify(&store.read().expect("a store"), |_, _| ()).expect("it is read");
        assert!(found.differences.iter().any(|difference| difference.place == "audit"), "{what}: {found:?}");
    }
}

fn govern(store: &mut Store, act: Act, now: Time) -> bool {
    let govern = Govern { by: Actor::job("test"), act, deed: Deed::new("done", "", "") };
    matches!(one(store, Write::Govern(Box::new(govern)), now), Written::Governed)
}

fn anna() -> User {
    User::new("anna", Role::Viewer, false, Hash::of_nobody().clone(), START)
}

fn enter(store: &mut Store, user: User, expected: Option<u32>, ending: Ending) -> bool {
    govern(store, Act::KeepUser { user: Box::new(user), expected, ending }, START)
}

/// Opens session number `number` of anna, as she was in this generation.
fn open(store: &mut Store, number: u8, generation: u32, before: Before, now: Time) -> bool {
    let session = Session::new("anna", false, None, "", now);
    let shown = Some(Shown { generation, step: None, rehashed: None });
    govern(store, Act::OpenSession(Box::new(Opening { id: SessionId([number; 32]), session, before, shown })), now)
}

fn is_open(store: &Store, number: u8, now: Time) -> bool {
    store.read().and_then(|snapshot| snapshot.session(SessionId([number; 32]), now)).expect("read").is_some()
}

#[test]
fn there_is_one_first_person_and_of_two_who_change_somebody_one_is_told_so() {
    let folder = Folder::new();
    let mut store = folder.store();
    assert!(govern(&mut store, Act::KeepFirst(Box::new(anna())), START));
    let eve = User { name: "eve".into(), ..anna() };
    assert!(!govern(&mut store, Act::KeepFirst(Box::new(eve)), START));
    let (mine, theirs) = (User { generation: 2, ..anna() }, User { generation: 2, is_disabled: true, ..anna() });
    assert!(enter(&mut store, mine, Some(1), Ending::None) && !enter(&mut store, theirs, Some(1), Ending::None));
    let users = store.read().and_then(|snapshot| snapshot.users()).expect("read");
    assert_eq!((users.len(), users[0].is_disabled), (1, false));
    assert_verified(&store);
}

#[test]
fn what_was_right_when_it_was_looked_at_and_is_not_any_more_opens_nothing() {
    let folder = Folder::new();
    let mut store = folder.store();
    assert!(!open(&mut store, 1, 1, Before::Nothing, START), "of nobody");
    enter(&mut store, anna(), None, Ending::None);
    assert!(open(&mut store, 1, 1, Before::Nothing, START));
    enter(&mut store, User { generation: 2, ..anna() }, Some(1), Ending::All);
    assert!(!is_open(&store, 1, START) && !open(&mut store, 2, 1, Before::Nothing, START), "the password is another");
    assert!(!open(&mut store, 2, 2, Before::GoesOn(SessionId([1; 32])), START), "it has ended");
    assert!(open(&mut store, 2, 2, Before::Ends(SessionId([1; 32])), START), "that it has ended is as it should be");
    assert!(open(&mut store, 3, 2, Before::GoesOn(SessionId([2; 32])), START));
    assert!(!is_open(&store, 2, START) && is_open(&store, 3, START));
    enter(&mut store, User { generation: 3, is_disabled: true, ..anna() }, Some(2), Ending::None);
    assert!(!open(&mut store, 4, 3, Before::Nothing, START), "they are let in no more");
    assert_verified(&store);
}

#[test]
fn what_logging_in_wrote_survives_whoever_changes_the_person_at_the_same_time() {
    let folder = Folder::new();
    let mut store = folder.store();
    enter(&mut store, anna(), None, Ending::None);
    open(&mut store, 1, 1, Before::Nothing, START.plus(DAY));
    assert!(enter(&mut store, User { generation: 2, ..anna() }, Some(1), Ending::AllBut(SessionId([1; 32]))));
    let kept = store.read().and_then(|snapshot| snapshot.user("anna")).expect("read").expect("anna");
    assert_eq!((kept.last_login_at, kept.generation), (Some(START.plus(DAY)), 2));
}

#[test]
fn sessions_end_with_whoever_they_are_of_by_themselves_and_the_oldest_for_one_too_many() {
    let folder = Folder::new();
    let mut store = folder.store();
    enter(&mut store, anna(), None, Ending::None);
    for number in 0..=20 {
        assert!(open(&mut store, number, 1, Before::Nothing, START.plus(Duration::from_secs(u64::from(number)))));
    }
    assert!(!is_open(&store, 0, START) && is_open(&store, 1, START));
    assert!(govern(&mut store, Act::EndSessions(Sessions::One(SessionId([1; 32]))), START));
    assert!(!govern(&mut store, Act::EndSessions(Sessions::One(SessionId([1; 32]))), START), "it has ended already");
    one(&mut store, Write::Looked(SessionId([2; 32])), START.plus(Duration::from_secs(1_700)));
    let later = START.plus(Duration::from_secs(1_900));
    assert!(is_open(&store, 2, later) && !is_open(&store, 3, later), "one was looked at, the other not");
    let old = Old { events_before: Time(0), audit_before: Time(0), keys: Vec::new(), gone: Vec::new() };
    let Written::Forgotten(forgotten) = one(&mut store, Write::ForgetOld(old), later) else { panic!("forgotten") };
    assert_eq!(forgotten, 18);
    assert!(govern(&mut store, Act::RemoveUser { name: "anna".into(), expected: 1 }, later));
    assert_eq!(store.read().and_then(|snapshot| snapshot.sessions(later)).expect("read"), Vec::new());
    assert_verified(&store);
}

#[test]
fn a_backup_has_people_and_nobody_who_is_logged_in() {
    let folder = Folder::new();
    let mut store = folder.store();
    enter(&mut store, anna(), None, Ending::None);
    open(&mut store, 1, 1, Before::Nothing, START);
    let mut stream = Vec::new();
    bluetick::store::dump(&store.read().expect("read"), START, &mut stream, |_, _| ()).expect("memory can be written");
    assert!(!stream.windows(32).any(|bytes| bytes == [1; 32]), "the session is in it");
    let other = Folder::new();
    bluetick::store::load(&mut &stream[..], &other.0, START).expect("it is loaded");
    let restored = other.store();
    let snapshot = restored.read().expect("read");
    assert_eq!(snapshot.users().expect("read"), store.read().and_then(|snapshot| snapshot.users()).expect("read"));
    assert_eq!(snapshot.sessions(START).expect("read"), Vec::new());
    assert_verified(&restored);
}
