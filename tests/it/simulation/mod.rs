//! P1 to P5 and P8 at once: whole histories, each from one seed, in which everything goes wrong that can.
//!
//! bluetick's three cores (`Store::commit`, `send::plan` and `settle`, the emulator's `handle`), a disk whose unflushed
//! writes are torn, one clock moved by hand: no thread, no socket, no chance but the seed's. A failure prints its seed;
//! `SIMULATION_SEED=n cargo nextest run one_seed` plays it again. How many are tried: `SIMULATION_SEEDS` (2,000).

mod check;
mod house;
mod loops;
mod twilio;
mod wishes;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use bluetick::sabotage::{self, Bug};

use self::world::World;

/// Seeds are split into so many tests, which run side by side.
const PARTS: u64 = 4;

/// What one history came to: what it broke, and a hash of all that happened in it.
fn live(seed: u64) -> (Vec<String>, u64) {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed);
        world.run();
        check::check(&mut world);
        (world.broken, world.trace)
    }));
    lived.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        (vec![format!("a panic: {}", words.unwrap_or("without words"))], 0)
    })
}

fn seeds() -> u64 {
    std::env::var("SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

fn part(number: u64) {
    let mut failed = 0;
    for seed in (0..seeds()).filter(|seed| seed % PARTS == number) {
        let (broken, _) = live(seed);
        if !broken.is_empty() {
            failed += 1;
            eprintln!("seed {seed}:\n  {}", broken.join("\n  "));
        }
        assert!(failed < 5, "too many seeds fail");
    }
    assert_eq!(failed, 0, "seeds that fail are printed above");
}

#[test]
fn whatever_goes_wrong_every_promise_holds_first_part() {
    part(0);
}

#[test]
fn whatever_goes_wrong_every_promise_holds_second_part() {
    part(1);
}

#[test]
fn whatever_goes_wrong_every_promise_holds_third_part() {
    part(2);
}

#[test]
fn whatever_goes_wrong_every_promise_holds_last_part() {
    part(3);
}

#[test]
fn one_seed_is_one_history() {
    let seed = std::env::var("SIMULATION_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(17);
    let (broken, trace) = live(seed);
    assert!(broken.is_empty(), "seed {seed}:\n  {}", broken.join("\n  "));
    assert_eq!(live(seed).1, trace, "the same seed gave another history");
}

/// A simulation that finds nothing proves something only if it finds what was put there.
#[test]
fn every_planted_bug_is_found() {
    let bugs = [
        Bug::IntentNotFlushed,
        Bug::RetryOnServerError,
        Bug::AbsenceUnchecked,
        Bug::OverwriteInsteadOfJoin,
        Bug::WindowForgotten,
        Bug::ShareNotSubtracted,
    ];
    for bug in bugs {
        sabotage::plant(Some(bug));
        let found = (0..400).find(|seed| !live(*seed).0.is_empty());
        sabotage::plant(None);
        println!("{bug:?} is found by seed {found:?}");
        assert!(found.is_some(), "{bug:?} went unnoticed by 400 seeds");
    }
}
