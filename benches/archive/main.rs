//! What it takes to move a million old messages out of the way, to find one of them, to back everything up and to restore it.
//!
//! `cargo bench --bench archive` fills a data file, does each in a process of its own so that its peak of memory is its own,
//! writes `target/bench/archive.json` and fails if a gate is missed. `-- --messages 100000` for a first look.

#[path = "../load/gate.rs"]
mod gate;
#[path = "../ingest/seed.rs"]
#[expect(dead_code, reason = "it fills files for more than one bench")]
mod seed;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use bluetick::archive::Shelf;
use bluetick::backup;
use bluetick::clock::{Clock, Time};
use bluetick::jobs::{archive, retention};
use bluetick::message::{MessageId, Policy};
use bluetick::store::{self, FILE, Filter, Store, verify};
use clap::Parser;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use gate::{Gate, judge};
use seed::{Seeder, Size};

/// What the shipped program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZE: Size = Size { contacts: 100_000, senders: 8 };
/// For seeding only.
const CACHE_BYTES: usize = 1 << 30;
/// As much as bluetick takes where little is to be had.
const CACHE_MB: usize = 64;
/// Messages older than this move.
const AFTER: Duration = Duration::from_secs(90 * 24 * 3_600);
/// Archived messages that are looked up.
const LOOKUPS: usize = 20_000;

#[derive(Debug, Parser)]
struct Args {
    /// How many messages there are.
    #[arg(long, default_value_t = 1_000_000)]
    messages: usize,
    /// What Cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What a process of its own does; it prints what it took, as JSON.
#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum Part {
    #[command(hide = true)]
    Fill,
    #[command(hide = true)]
    Run,
    #[command(hide = true)]
    Lookup,
    #[command(hide = true)]
    BackUp,
    #[command(hide = true)]
    Restore,
    #[command(hide = true)]
    Rewrite,
    #[command(hide = true)]
    Verify,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/archive");
    match args.part {
        Some(part) => println!("{}", one(part, args.messages, &dir)?),
        None => all(args.messages, &dir)?,
    }
    Ok(())
}

fn all(messages: usize, dir: &Path) -> anyhow::Result<()> {
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir)?;
    let mut told = serde_json::Map::new();
    println!("{:<10} {:>9} {:>12}", "", "seconds", "peak MiB");
    let parts =
        [Part::Fill, Part::BackUp, Part::Run, Part::Lookup, Part::Rewrite, Part::BackUp, Part::Restore, Part::Verify];
    for (number, part) in parts.into_iter().enumerate() {
        let program = std::env::current_exe()?;
        let done = Command::new(program).args(["--messages", &messages.to_string(), &name(part)]).output()?;
        let said = String::from_utf8(done.stdout)?;
        anyhow::ensure!(done.status.success(), "{}: {said}{}", name(part), String::from_utf8_lossy(&done.stderr));
        let said: Value = serde_json::from_str(&said).with_context(|| said.clone())?;
        let of = |key: &str| said[key].as_f64().unwrap_or(f64::NAN);
        println!("{:<10} {:>9.2} {:>12.0}   {}", name(part), of("seconds"), of("peak_mib"), said["note"]);
        told.insert(format!("{number} {}", name(part)), said);
    }
    let of = |part: &str, key: &str| {
        told.iter().find(|(name, _)| name.ends_with(part)).and_then(|(_, said)| said[key].as_f64())
    };
    let figure = |part: &str, key: &str| of(part, key).unwrap_or(f64::NAN);
    let mut gates = ["run", "back-up", "restore", "rewrite"]
        .map(|part| Gate::at_most(format!("MiB at the peak of {part}"), figure(part, "peak_mib"), 150.0))
        .to_vec();
    gates.push(Gate::at_least("messages that moved", figure("run", "moved"), messages as f64));
    gates.push(Gate::at_most("differences that verify finds", figure("verify", "differences"), 0.0));
    gates.push(Gate::at_most("ms to look an archived message up, p99", figure("lookup", "p99_ms"), 5.0));
    std::fs::write(dir.with_extension("json"), serde_json::to_vec_pretty(&json!({"parts": told, "gates": gates}))?)?;
    judge(&gates)
}

fn name(part: Part) -> String {
    match part {
        Part::Fill => "fill",
        Part::Run => "run",
        Part::Lookup => "lookup",
        Part::BackUp => "back-up",
        Part::Restore => "restore",
        Part::Rewrite => "rewrite",
        Part::Verify => "verify",
    }
    .to_owned()
}

fn one(part: Part, messages: usize, dir: &Path) -> anyhow::Result<Value> {
    let (data, restored) = (dir.join("data"), dir.join("restored"));
    let begun = Instant::now();
    let (note, more) = match part {
        Part::Fill => (fill(&data, messages)?, json!({})),
        Part::Run => {
            let moved =
                with_handle(&data, async |store, now| Ok(archive::run(&store, now.minus(AFTER), |_| ()).await?))?;
            (moved.to_string(), json!({"moved": moved.messages}))
        }
        Part::Rewrite => (with_handle(&data, async |store, _| Ok(retention::rewrite(&store, true).await?))?, json!({})),
        Part::Lookup => lookup(&data)?,
        Part::BackUp => {
            let store = open(&data)?;
            let made = backup::create(&store.read()?, &dir.join("backups"), Clock::System.now(), |_, _| ())?;
            (format!("{} MiB", made.bytes >> 20), json!({}))
        }
        Part::Restore => {
            let newest = backup::list(&dir.join("backups"))?.into_iter().next().context("there is a backup")?;
            let made = backup::restore(&newest.path, &restored, Clock::System.now())?;
            (format!("{} messages, {} in the archive", made.head.messages, made.head.archived), json!({}))
        }
        Part::Verify => {
            let store = open(&restored)?;
            let found = verify(&store.read()?, |_, _| ())?;
            (format!("{} messages", found.messages), json!({"differences": found.count}))
        }
    };
    let mut said = json!({"seconds": begun.elapsed().as_secs_f64(), "peak_mib": peak_mib()?, "note": note});
    said.as_object_mut().expect("it is one").extend(more.as_object().cloned().unwrap_or_default());
    Ok(said)
}

fn open(dir: &Path) -> anyhow::Result<Store> {
    Ok(Store::open(&dir.join(FILE), CACHE_MB << 20)?)
}

/// Old messages, each read by its recipient.
fn fill(data: &PathBuf, messages: usize) -> anyhow::Result<String> {
    std::fs::create_dir_all(data)?;
    let long_ago = Clock::System.now().minus(AFTER * 2);
    let mut seeder = Seeder::new(Store::open(&data.join(FILE), CACHE_BYTES)?, SIZE, long_ago)?;
    seeder.read(messages, 30 * 24, long_ago)?;
    seeder.store.close()?;
    Ok(format!("{} MiB", std::fs::metadata(data.join(FILE))?.len() >> 20))
}

/// The store with its thread, as a running bluetick has it.
fn with_handle<T>(data: &Path, work: impl AsyncFnOnce(store::Handle, Time) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let options = store::Options { dir: data.to_owned(), cache_mb: CACHE_MB, reserve_mb: 0, ..Default::default() };
    let (store, writer) = store::start(&options, Shelf::beside(data), Policy::default(), Clock::System)?;
    let done = runtime.block_on(work(store.clone(), Clock::System.now()));
    store.close();
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?;
    done
}

fn lookup(data: &Path) -> anyhow::Result<(String, Value)> {
    let store = open(data)?;
    let snapshot = store.read()?;
    let mut ids: Vec<MessageId> = Vec::new();
    for number in snapshot.shelf().numbers()? {
        let messages = snapshot.shelf().read(number)?;
        ids.extend(messages.filter_map(Result::ok).map(|message| message.id));
    }
    let mut dice = StdRng::seed_from_u64(3);
    let mut took = Vec::with_capacity(LOOKUPS);
    for _ in 0..LOOKUPS {
        let id = ids[dice.random_range(0..ids.len())];
        let begun = Instant::now();
        let found = snapshot.message(id)?;
        took.push(begun.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!(found.is_some_and(|found| found.id == id), "{id} is lost");
    }
    took.sort_by(f64::total_cmp);
    let begun = Instant::now();
    let page = snapshot.messages(&Filter::default(), None, 50)?;
    let page_ms = begun.elapsed().as_secs_f64() * 1e3;
    let (p50, p99) = (took[LOOKUPS / 2], took[LOOKUPS * 99 / 100]);
    let note = format!("p50 {p50:.3} ms, p99 {p99:.3} ms; a page of {} {page_ms:.2} ms", page.rows.len());
    Ok((note, json!({"p50_ms": p50, "p99_ms": p99, "page_ms": page_ms})))
}

/// The most memory this process held.
fn peak_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel says it")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1_024.0)
}
