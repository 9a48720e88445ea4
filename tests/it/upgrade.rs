//! Data files of earlier versions come forward, step by step, and those of later ones are left alone.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use bluetick::archive::Shelf;
use bluetick::backup;
use bluetick::clock::Time;
use bluetick::store::{FILE, Peek, Run, SCHEMA, Store, StoreError, Upkeep, Write, encode, inspect};
use redb::{Database, ReadableDatabase, TableDefinition};

use crate::support::{Folder, accept, assert_verified, draft, one, person};
use crate::torn::TornDisk;

const START: Time = Time(1_800_000_000_000);
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const RUNS: TableDefinition<&str, &[u8]> = TableDefinition::new("runs");
/// A run as schema 1 wrote it.
type FirstRun = (Time, Duration, Option<String>);

/// A data file that says it is of this schema, with two runs as schema 1 wrote them.
fn file_of(schema: Option<u16>) -> Folder {
    let folder = Folder::new();
    let mut store = folder.store();
    accept(&mut store, draft(person(1)), 1, START);
    let run = Run { at: START, took: Duration::ZERO, outcome: Ok("x".into()) };
    one(&mut store, Write::Ran(Upkeep::Backup, run), START);
    drop(store);
    let db = Database::open(folder.0.join(FILE)).expect("it is there");
    let txn = db.begin_write().expect("it can be written");
    {
        let mut meta = txn.open_table(META).expect("there is one");
        match schema {
            Some(schema) => drop(meta.insert("schema", encode(&schema).as_slice()).expect("it can be written")),
            None => drop(meta.remove("schema").expect("it can be written")),
        }
        let mut runs = txn.open_table(RUNS).expect("there is one");
        let (well, badly): (FirstRun, FirstRun) =
            ((START, Duration::from_secs(2), None), (START, Duration::from_secs(3), Some("no room".into())));
        runs.insert("backup", encode(&well).as_slice()).expect("it can be written");
        runs.insert("archive", encode(&badly).as_slice()).expect("it can be written");
    }
    txn.commit().expect("it can be written");
    folder
}

fn peek(folder: &Folder) -> Result<Peek, StoreError> {
    Peek::at(&folder.0.join(FILE), Shelf::beside(&folder.0))
}

#[test]
fn a_file_of_the_first_schema_is_backed_up_and_comes_forward() {
    let folder = file_of(None);
    let refused = Store::open(&folder.0.join(FILE), 16 << 20).err().map(|error| error.to_string());
    assert!(refused.is_some_and(|words| words.contains("schema 1") && words.contains("bluetick migrate")));
    let old = peek(&folder).expect("it is whole");
    assert_eq!(
        old.outdated.as_ref().map(|outdated| (outdated.from, outdated.to, outdated.steps.len())),
        Some((1, 2, 1))
    );
    let made = backup::create(&old.read().expect("it is read"), &folder.0.join("b"), START, |_, _| ()).expect("room");
    assert_eq!((made.head.schema, made.head.messages), (1, 1));
    old.upgrade().expect("it comes forward");
    assert_eq!(peek(&folder).expect("it is whole").outdated, None);
    let store = folder.store();
    assert_verified(&store);
    let run =
        |job: Upkeep| store.read().and_then(|snapshot| snapshot.last_run(job)).expect("it is read").expect("it ran");
    assert_eq!((run(Upkeep::Backup).outcome, run(Upkeep::Backup).took), (Ok(String::new()), Duration::from_secs(2)));
    assert_eq!(run(Upkeep::Archive).outcome, Err("no room".to_owned()));
    drop(store);
    let again = Folder::new();
    backup::restore(&made.path, &again.0, START).expect("a backup of the first schema is restored by this version");
    let run = again.store().read().and_then(|snapshot| snapshot.last_run(Upkeep::Archive)).expect("it is read");
    assert_eq!(run.map(|run| run.outcome), Some(Err("no room".to_owned())));
}

#[test]
fn an_upgrade_that_is_cut_off_was_done_or_is_done_again() {
    let folder = file_of(None);
    let image = TornDisk::holding(std::fs::read(folder.0.join(FILE)).expect("it is there"));
    let open = |disk: &TornDisk| Database::builder().set_cache_size(1 << 20).create_with_backend(disk.clone());
    let (mut done, mut undone) = (0, 0);
    for operations in 0..40 {
        let disk = image.kill();
        let peek = Peek::over(open(&disk).expect("it opens"), Shelf::beside(&folder.0)).expect("it is whole");
        disk.fail_after(operations);
        let answered = peek.upgrade().is_ok();
        let disk = disk.cut(&mut rand::SeedableRng::seed_from_u64(operations));
        let peek = Peek::over(open(&disk).expect("it opens"), Shelf::beside(&folder.0)).expect("it is whole");
        match peek.outdated {
            Some(_) => undone += 1,
            None => done += 1,
        }
        assert!(!answered || peek.outdated.is_none(), "after {operations} operations");
        peek.upgrade().expect("it comes forward");
        let store = Store::over(open(&disk).expect("it opens")).expect("it is of this version");
        assert_verified(&store);
        let run = store.read().and_then(|snapshot| snapshot.last_run(Upkeep::Archive)).expect("it is read");
        assert_eq!(run.map(|run| run.outcome), Some(Err("no room".to_owned())));
    }
    assert!(done > 5 && undone > 5, "{done} were done, {undone} were not: too few to say anything");
}

/// The shipped binary, killed at moments by chance: `UPGRADE_KILLS=200 cargo nextest run killed_at_any_moment`.
#[test]
fn an_upgrade_killed_at_any_moment_leaves_a_whole_file_and_is_done_at_the_next_try() {
    let kills = std::env::var("UPGRADE_KILLS").map_or(20, |kills| kills.parse().expect("a number"));
    let old = file_of(None);
    let fresh = || {
        let folder = Folder::new();
        std::fs::copy(old.0.join(FILE), folder.0.join(FILE)).expect("it is there");
        folder
    };
    let whole = fresh();
    let began = Instant::now();
    assert!(bluetick(&whole.0, &["migrate"]).status.success());
    let took = began.elapsed();
    let (mut killed, mut came) = (0, 0);
    for number in 0..kills {
        let folder = fresh();
        let mut child = command(&folder.0, &["migrate"]).spawn().expect("the binary is there");
        // Whatever it is at just then: the moments lie close together, from before the backup to after the last commit.
        std::thread::sleep(took * number / kills);
        killed += usize::from(child.try_wait().expect("it is ours").is_none());
        let _ = child.kill();
        child.wait().expect("it is ours");
        came += usize::from(peek(&folder).expect("it is whole").outdated.is_none());
        for args in [&["migrate"][..], &["verify"]] {
            let Output { status, stderr, .. } = bluetick(&folder.0, args);
            assert!(status.success(), "{args:?} after kill {number}: {}", String::from_utf8_lossy(&stderr));
        }
        let backups: serde_json::Value =
            serde_json::from_slice(&bluetick(&folder.0, &["backup", "list", "--json"]).stdout).expect("JSON");
        let backups = backups["data"].as_array().expect("a list");
        assert!(!backups.is_empty(), "there is one of before");
        for made in backups {
            let file = made["file"].as_str().expect("a path");
            assert!(Command::new(BINARY).args(["backup", "verify", file]).output().expect("it runs").status.success());
        }
        let run = folder.store().read().and_then(|snapshot| snapshot.last_run(Upkeep::Archive)).expect("it is read");
        assert_eq!(run.map(|run| run.outcome), Some(Err("no room".to_owned())));
    }
    println!("{kills} kills, {killed} while at work, {came} after the last commit");
    assert!(killed * 3 > kills as usize, "{killed} of {kills} found it at work: too few to say anything");
}

const BINARY: &str = env!("CARGO_BIN_EXE_bluetick");

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).arg("--data").arg(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn bluetick(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("the binary is there")
}

#[test]
fn a_file_of_a_later_schema_is_refused_and_left_as_it_is() {
    let folder = file_of(Some(SCHEMA + 1));
    let runs = || {
        let db = Database::open(folder.0.join(FILE)).expect("it is there");
        let runs = db.begin_read().map(|txn| txn.open_table(RUNS)).expect("it is read").expect("there is one");
        ["backup", "archive"].map(|job| runs.get(job).expect("it is read").map(|run| run.value().to_vec()))
    };
    let before = runs();
    for error in [peek(&folder).err(), Store::open(&folder.0.join(FILE), 16 << 20).err()] {
        let Some(StoreError::WrongFile(words)) = error else { panic!("{error:?}") };
        assert!(words.contains("install the version that wrote it"), "{words}");
    }
    assert_eq!(runs(), before);
}

#[test]
fn a_new_file_says_which_schema_it_has() {
    let folder = Folder::new();
    drop(folder.store());
    let db = Database::open(folder.0.join(FILE)).expect("it is there");
    let meta = db.begin_read().map(|txn| txn.open_table(META)).expect("it is read").expect("there is one");
    let schema = meta.get("schema").expect("it is read").map(|bytes| bytes.value().to_vec());
    assert_eq!(schema, Some(encode(&SCHEMA)));
    drop((meta, db));
    let store = folder.store();
    let snapshot = store.read().expect("it is read");
    let mut stream = Vec::new();
    bluetick::store::dump(&snapshot, START, &mut stream, |_, _| ()).expect("memory can be written");
    assert_eq!(inspect(&mut &stream[..]).expect("it is whole").schema, SCHEMA);
}
