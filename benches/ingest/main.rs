//! How many signed status callbacks a second are on disk when they are answered, compared in one run with a server that
//! only parses, one that also verifies, and a log that is flushed and nothing else.
//!
//! `cargo bench --bench ingest` compares, prints a table and the gates, writes `target/bench/ingest.json`, and fails if a
//! gate is missed; `-- --stored 1000000` adds a file that is full before; `-- store` times the store alone.

#[path = "../load/account.rs"]
mod account;
mod callbacks;
#[path = "../load/child.rs"]
mod child;
mod disk;
mod drive;
#[path = "../load/gate.rs"]
mod gate;
#[path = "../load/http.rs"]
mod http;
mod rounds;
mod seed;
mod servers;
mod spread;
mod store;
mod stored;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bluetick::clock::Clock;
use bluetick::store::Store;
use clap::Parser;
use serde_json::json;

use callbacks::Callbacks;
use gate::{Gate, judge};
use rounds::{Figures, Plan, Seed};
use seed::{Seeder, Size};
use servers::Variant;

/// What the shipped program has; here all variants have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZE: Size = Size { contacts: 100_000, senders: 8 };
/// Callbacks a second that no machine reaches: so many messages wait that none runs out of them.
const MOST_PER_S: f64 = 60_000.0;
/// For seeding only.
const CACHE_BYTES: usize = 1 << 30;

#[derive(Debug, Parser)]
struct Args {
    /// Seconds that each variant is measured in each round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How often each variant has its turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// One short round: whether it works, not how fast.
    #[arg(long)]
    quick: bool,
    /// Also measures with so many messages in the file before.
    #[arg(long, default_value_t = 0)]
    stored: usize,
    /// What Cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Times the store alone: commits of so many reports, without HTTP.
    Store(store::Args),
    /// Serves until killed: what the loader starts.
    #[command(hide = true)]
    Serve { variant: Variant, dir: PathBuf },
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let dir = folder()?;
    match &args.part {
        Some(Part::Store(args)) => store::run(args, &dir),
        Some(Part::Serve { variant, dir }) => servers::serve(*variant, dir),
        None => compare(&args, &dir),
    }
}

fn compare(args: &Args, dir: &Path) -> anyhow::Result<()> {
    let (rounds, seconds) = if args.quick { (1, 1.0) } else { (args.rounds, args.seconds) };
    let (warm_up, measured) = (Duration::from_secs(1), Duration::from_secs_f64(seconds));
    let plan = Plan { rounds, warm_up, measured };
    let waiting = ((warm_up + measured).as_secs_f64() * MOST_PER_S / 4.0) as usize;
    let empty = seeded(&dir.join("empty.redb"), 0, waiting)?;
    let mut gates = Vec::new();
    let (mut tables, mut all_ratios) = (BTreeMap::new(), BTreeMap::new());
    for connections in [64, 256] {
        let figures = rounds::compare(&empty, plan, connections, dir)?;
        print(connections, &figures);
        gates.extend(judged(connections, &figures));
        let ratios = Variant::ALL.map(|variant| (format!("S / {}", variant.letter()), ratio(&figures, variant)));
        println!("{}", ratios.iter().map(|(name, ratio)| format!("{name} {ratio:.2}")).collect::<Vec<_>>().join("   "));
        all_ratios.insert(connections, BTreeMap::from(ratios));
        let named = figures.into_iter().map(|(variant, figures)| (variant.name(), figures));
        tables.insert(connections, named.collect::<BTreeMap<_, _>>());
    }
    rounds::check(&dir.join("run"))?;
    let mut stored = None;
    if args.stored > 0 {
        let full = seeded(&dir.join("full.redb"), args.stored, waiting)?;
        let measured = stored::measure(&empty, &full, args.stored, plan, dir)?;
        gates.extend(measured.gates());
        stored = Some(measured);
    }
    let result = json!({"connections": tables, "ratios": all_ratios, "stored": stored, "gates": gates, "rounds": rounds, "seconds": seconds});
    std::fs::write(dir.join("ingest.json"), serde_json::to_vec_pretty(&result)?)?;
    judge(&gates)
}

/// A file with `stored` messages of the last ninety days, and `waiting` ones whose callbacks are still to come.
fn seeded(file: &Path, stored: usize, waiting: usize) -> anyhow::Result<Seed> {
    if file.exists() {
        std::fs::remove_file(file)?;
    }
    let now = Clock::System.now();
    let mut seeder = Seeder::new(Store::open(file, CACHE_BYTES)?, SIZE, now)?;
    if stored > 0 {
        seeder.read(stored, stored::HOURS, now)?;
    }
    let sent = seeder.sent(waiting, now)?;
    Ok(Seed { file: file.to_owned(), callbacks: Callbacks::of(&sent) })
}

fn print(connections: usize, figures: &BTreeMap<Variant, Figures>) {
    println!("\n{connections} connections");
    Figures::heading();
    for (variant, row) in figures {
        row.print(variant.title(), &figures[&Variant::Verify]);
    }
}

/// How the shipped path compares with another.
fn ratio(figures: &BTreeMap<Variant, Figures>, to: Variant) -> f64 {
    figures[&Variant::Shipped].per_s.median / figures[&to].per_s.median
}

fn judged(connections: usize, figures: &BTreeMap<Variant, Figures>) -> Vec<Gate> {
    let ratio = |to| ratio(figures, to);
    let name = |text: &str| format!("{text} at {connections} connections");
    match connections {
        64 => vec![
            Gate::at_least(name("S / B (aim 0.30)"), ratio(Variant::Verify), 0.22),
            Gate::at_least(name("S / L (aim 0.45)"), ratio(Variant::Log), 0.32),
            Gate::at_most(name("S p99 in ms"), figures[&Variant::Shipped].p99_ms.median, 10.0),
        ],
        _ => vec![Gate::at_least(name("S / B (aim 0.40)"), ratio(Variant::Verify), 0.30)],
    }
}

/// Where data files and results go: beside what Cargo makes, so on a real disk.
fn folder() -> anyhow::Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}
