//! Bits that a disk flips: the file is refused, or the damage is said, or nothing that matters was hit. Never wrong data.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bluetick::clock::Time;
use bluetick::message::{MessageId, Word};
use bluetick::store::{Filter, Snapshot, Store, StoreError, verify};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::Database;

use crate::support::{accept, claim, draft, inbound, last_attempt, one, person, report, sent, sid};
use crate::torn::TornDisk;

const START: Time = Time(1_800_000_000_000);
const MESSAGES: u64 = 30;

fn flips() -> usize {
    std::env::var("BIT_FLIPS").ok().and_then(|text| text.parse().ok()).unwrap_or(500)
}

fn open(disk: &TornDisk) -> Result<Store, StoreError> {
    Store::over(Database::builder().set_cache_size(1 << 20).create_with_backend(disk.clone())?)
}

fn live(store: &mut Store) -> Vec<MessageId> {
    let mut ids = Vec::new();
    for number in 1..=MESSAGES {
        let at = Time(START.0 + number as i64);
        ids.push(accept(store, draft(person(number as u32 % 40)), number, at).id);
        let attempt = last_attempt(claim(store, at).last().expect("it is due"));
        one(store, sent(attempt, sid(number)), at);
        one(store, report(Some(attempt), sid(number), Word::Delivered, None), at);
    }
    one(store, inbound(900, "whatsapp:+4915100000001", &[]), Time(START.0 + 999));
    ids
}

/// Everything that can be asked, answered, or why not.
fn answers(snapshot: &Snapshot, ids: &[MessageId]) -> Result<Vec<String>, StoreError> {
    let mut told = Vec::new();
    for id in ids {
        told.push(format!("{:?}", snapshot.message(*id)?));
    }
    for number in 1..=MESSAGES {
        told.push(format!("{:?}", snapshot.message_by_sid(sid(number))?.map(|message| message.id)));
    }
    for number in 0..40 {
        told.push(format!("{:?}", snapshot.person(&person(number).to_string())?));
    }
    told.push(format!("{:?}", snapshot.messages(&Filter::default(), None, 1_000)?.rows.len()));
    told.push(format!("{:?}", snapshot.events(0, 10_000)?));
    told.push(format!("{:?}", snapshot.ever(1)?));
    told.push(format!("{:?}", snapshot.inbound(None, 9)?.rows));
    Ok(told)
}

#[derive(Debug, Default)]
struct Tally {
    harmless: usize,
    refused: usize,
    unreadable: usize,
    said: usize,
}

#[test]
fn a_flipped_bit_is_refused_or_said_or_harmless_and_never_an_answer() {
    let whole = TornDisk::new();
    let mut store = open(&whole).expect("memory can be written");
    let ids = live(&mut store);
    let right = answers(&store.read().expect("it is read"), &ids).expect("it is read");
    store.close().expect("it can be closed");
    let image = whole.bytes();
    let mut dice = StdRng::seed_from_u64(11);
    let mut tally = Tally::default();
    std::panic::set_hook(Box::new(|_| ()));
    for _ in 0..flips() {
        let mut bytes = image.clone();
        let bit = dice.random_range(0..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let looked = catch_unwind(AssertUnwindSafe(|| {
            let store = match open(&TornDisk::holding(bytes)) {
                Ok(store) => store,
                Err(_) => return "refused",
            };
            let snapshot = store.read().expect("it was opened");
            match answers(&snapshot, &ids) {
                Ok(told) if told == right => "harmless",
                Ok(_) => match verify(&snapshot, |_, _| ()) {
                    Ok(findings) if findings.count == 0 => "wrong",
                    _ => "said",
                },
                Err(_) => "unreadable",
            }
        }));
        // A library that loses its footing stops the program: that is no answer either.
        match looked.unwrap_or("refused") {
            "harmless" => tally.harmless += 1,
            "refused" => tally.refused += 1,
            "unreadable" => tally.unreadable += 1,
            "said" => tally.said += 1,
            _ => {
                let _ = std::panic::take_hook();
                panic!("bit {} of byte {} gives a wrong answer that verify does not notice", bit % 8, bit / 8);
            }
        }
    }
    let _ = std::panic::take_hook();
    println!("{} flips: {tally:?}", flips());
    assert!(tally.unreadable + tally.said + tally.refused > flips() / 20, "{tally:?}: too few hit anything");
}
