//! P1 and P7 on a disk that tears: whenever the power fails, what was answered is there, and the file opens.
//!
//! One history of commits is lived through; at many of its writes and flushes the disk is looked at as the power cut would
//! leave it. Every such image must open, hold all that was answered by then and nothing half, and `verify` with a
//! difference of 0. How many: `CRASH_IMAGES` (3,000).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bluetick::clock::Time;
use bluetick::message::{AttemptId, MessageId, Word};
use bluetick::store::{Accept, Claim, Store, StoreError, Turn, Write, Written, verify};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::Database;

use crate::support::{draft, inbound, last_attempt, person, random, report, sent, sid};
use crate::torn::{TornDisk, soon};

const START: Time = Time(1_800_000_000_000);
/// Commits of one history, about 20 writes and flushes each.
const COMMITS: usize = 110;
/// Images of one history.
const IMAGES: usize = 50;

fn images() -> usize {
    std::env::var("CRASH_IMAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000)
}

fn open(disk: &TornDisk) -> Result<Store, StoreError> {
    Store::over(Database::builder().set_cache_size(1 << 20).create_with_backend(disk.clone())?)
}

/// What was answered, in the order of the answers.
#[derive(Clone, Debug, Default)]
struct Answered {
    accepted: Vec<(usize, MessageId)>,
    reported: Vec<(usize, u64, Word)>,
}

/// Lives through a history of commits: accepts, claims, answers and callbacks, a few in each. Calls `after` when one is
/// answered, and ends when one fails.
fn live(store: &mut Store, dice: &mut StdRng, answered: &mut Answered, mut after: impl FnMut(usize)) -> usize {
    let (mut number, mut attempts) = (0u64, Vec::new());
    for commit in 1..=COMMITS {
        let now = Time(START.0 + commit as i64 * 1_000);
        if commit % 4 == 0 {
            match store.commit(vec![claiming()], now) {
                Ok(written) => attempts.extend(claimed(written)),
                Err(_) => return commit,
            }
            after(commit);
            continue;
        }
        let (mut writes, mut ids, mut words) = (Vec::new(), 0, Vec::new());
        for _ in 0..dice.random_range(1..6) {
            number += 1;
            match dice.random_range(0..4) {
                0 | 1 => {
                    let draft = draft(person(dice.random_range(0..9)));
                    writes.push(Write::Accept(Box::new(Accept { draft, random: random(number), key: None })));
                    ids += 1;
                }
                2 if !attempts.is_empty() => {
                    let place = dice.random_range(0..attempts.len());
                    let attempt = attempts.swap_remove(place);
                    writes.push(sent(attempt, sid(number)));
                    writes.push(report(Some(attempt), sid(number), Word::Delivered, None));
                    words.push((number, Word::Delivered));
                }
                _ => writes.push(inbound(number, "whatsapp:+4915100000003", &[])),
            }
        }
        match store.commit(writes, now) {
            Ok(written) => {
                let accepted = written.iter().filter_map(accepted);
                let before = answered.accepted.len();
                answered.accepted.extend(accepted.map(|id| (commit, id)));
                assert_eq!(answered.accepted.len() - before, ids);
                answered.reported.extend(words.into_iter().map(|(number, word)| (commit, number, word)));
            }
            Err(_) => return commit,
        }
        after(commit);
    }
    COMMITS + 1
}

fn claiming() -> Write {
    let turns = vec![Turn { sender: 1, at_most: 3 }];
    Write::Claim(Claim { turns, slots: 3, boot: 7, seed: [3; 32] })
}

fn claimed(written: Vec<Written>) -> Vec<AttemptId> {
    match written.into_iter().next() {
        Some(Written::Claimed(claimed)) => claimed.messages.iter().map(last_attempt).collect(),
        other => panic!("not claimed: {other:?}"),
    }
}

fn accepted(written: &Written) -> Option<MessageId> {
    if let Written::Accepted(message) = written { Some(message.id) } else { None }
}

/// All that was answered by that commit is there, the numbers are a fold of the records, and nothing came from nowhere.
fn check(store: &Store, answered: &Answered, commits: usize, what: &str) {
    let snapshot = store.read().expect("the file can be read");
    for (commit, id) in answered.accepted.iter().filter(|(commit, _)| *commit <= commits) {
        assert!(snapshot.message(*id).expect("it can be read").is_some(), "{what}: {id} of commit {commit} is gone");
    }
    for (commit, number, word) in answered.reported.iter().filter(|(commit, _, _)| *commit <= commits) {
        let known = snapshot.message_by_sid(sid(*number)).expect("it can be read");
        let seen = known.as_ref().and_then(|message| message.attempt_with(sid(*number))?.receipt.seen(word));
        assert!(seen.is_some(), "{what}: {} of commit {commit} is gone", word.as_str());
    }
    let findings = verify(&snapshot, |_, _| ()).expect("it can be read");
    assert_eq!((findings.count, &findings.differences), (0, &Vec::new()), "{what}");
}

#[test]
fn whenever_the_power_fails_what_was_answered_is_there_and_the_file_opens() {
    let (mut seen, mut shapes) = (0, BTreeSet::new());
    for seed in 0..images().div_ceil(IMAGES) as u64 {
        let mut dice = StdRng::seed_from_u64(seed);
        let disk = TornDisk::new();
        let (commits, mut answered) = (Arc::new(AtomicUsize::new(0)), Answered::default());
        let mut store = open(&disk).expect("a sound disk");
        let mut moments: Vec<u64> = (0..IMAGES).map(|_| dice.random_range(0..COMMITS as u64 * 19)).collect();
        moments.sort_unstable();
        disk.look_at(moments, StdRng::seed_from_u64(!seed), Arc::clone(&commits));
        live(&mut store, &mut dice, &mut answered, |commit| commits.store(commit, Ordering::SeqCst));
        for (image, commits) in disk.take_images() {
            let what = format!("seed {seed}, image {seen} after {commits} commits");
            shapes.insert(commits);
            let store = open(&image).unwrap_or_else(|error| panic!("{what} does not open: {error}"));
            check(&store, &answered, commits, &what);
            seen += 1;
        }
    }
    println!(
        "{seen} crash images, after {} different numbers of commits: all opened, nothing answered was lost",
        shapes.len()
    );
    assert!(seen * 10 >= images() * 9, "only {seen} images were taken");
}

#[test]
fn a_power_failure_in_the_middle_of_recovery_loses_nothing_either() {
    let rounds = images() / 10;
    let mut again = 0;
    for seed in 0..rounds as u64 {
        let mut dice = StdRng::seed_from_u64(1_000_000 + seed);
        let disk = TornDisk::new();
        let mut answered = Answered::default();
        let mut store = open(&disk).expect("a sound disk");
        disk.fail_after(dice.random_range(40..400));
        let failed = live(&mut store, &mut dice, &mut answered, |_| ());
        drop(store);
        // Two more failures while the file is opened, then peace.
        let mut disk = disk.cut(&mut dice);
        for _ in 0..2 {
            disk.fail_after(soon(40, &mut dice));
            drop(open(&disk));
            again += usize::from(disk.is_off());
            disk = disk.cut(&mut dice);
        }
        let what = format!("seed {seed}, power lost in commit {failed}");
        let store = open(&disk).unwrap_or_else(|error| panic!("{what}: it does not open: {error}"));
        check(&store, &answered, failed.saturating_sub(1), &what);
    }
    println!("{rounds} histories, {again} power failures in the middle of opening: nothing answered was lost");
    assert!(again * 2 > rounds, "only {again} of the later failures struck");
}

#[test]
fn after_a_flush_that_failed_nothing_is_answered_and_everything_answered_is_there() {
    for number in 1..=200 {
        for is_for_good in [false, true] {
            let disk = TornDisk::new();
            let mut store = open(&disk).expect("a sound disk");
            disk.refuse_flush(number, is_for_good);
            fails_and_recovers(&disk, &mut store, &format!("flush {number}, for good: {is_for_good}"));
            drop(store);
        }
    }
}

#[test]
fn after_a_write_for_which_there_was_no_room_everything_answered_is_there() {
    for number in 1..=200 {
        let disk = TornDisk::new();
        let mut store = open(&disk).expect("a sound disk");
        disk.refuse_write(number);
        fails_and_recovers(&disk, &mut store, &format!("write {number}"));
        drop(store);
    }
}

/// From the first error on every commit fails; on a sound disk all that was answered is there again.
fn fails_and_recovers(disk: &TornDisk, store: &mut Store, what: &str) {
    let mut dice = StdRng::seed_from_u64(7);
    let mut answered = Answered::default();
    let failed = live(store, &mut dice, &mut answered, |_| ());
    assert!(failed <= COMMITS, "{what}: the error struck nobody");
    for _ in 0..3 {
        let write = Write::Accept(Box::new(Accept { draft: draft(person(1)), random: random(1), key: None }));
        let refused = store.commit(vec![write], START);
        assert!(matches!(refused, Err(StoreError::Disk(_))), "{what}: something was answered after the error");
    }
    let reopened = open(&disk.cut(&mut dice)).unwrap_or_else(|error| panic!("{what}: it does not open: {error}"));
    check(&reopened, &answered, failed.saturating_sub(1), what);
}
