//! The store alone, without HTTP and without its thread: how long a commit of so many reports takes, and on what.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bluetick::clock::Clock;
use bluetick::message::{Fact, Message, Source};
use bluetick::store::{Snapshot, Store, Write, decode, encode};

use crate::callbacks::order;
use crate::disk::Disk;
use crate::seed::{self, Seeder, Sent, Size, WORDS};

/// What is measured.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Reports of one commit.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Messages whose four callbacks come.
    #[arg(long, default_value_t = 16_384)]
    messages: usize,
    /// Messages that are in the file before.
    #[arg(long, default_value_t = 0)]
    stored: usize,
    /// Only the case with this name.
    #[arg(long)]
    only: Option<String>,
}

struct Case {
    name: &'static str,
    size: Size,
    batch: usize,
    is_durable: bool,
}

/// Prints a line for each way to run it.
pub(crate) fn run(args: &Args, dir: &Path) -> anyhow::Result<()> {
    let usual = Size { contacts: 100_000, senders: 8 };
    let one = Size { contacts: 1, senders: 1 };
    let few = Size { contacts: 64, senders: 8 };
    let case = |name, size, batch, is_durable| Case { name, size, batch, is_durable };
    let cases = [
        case("as shipped", usual, args.batch, true),
        case("never flushed", usual, args.batch, false),
        case("64 contacts", few, args.batch, true),
        case("1 contact, 1 sender", one, args.batch, true),
        case("1 contact, 1 sender, never flushed", one, args.batch, false),
        case("a quarter of the batch", usual, (args.batch / 4).max(1), true),
        case("four times the batch", usual, args.batch * 4, true),
    ];
    println!("{} messages stored before; times in us a commit", args.stored);
    println!(
        "{:<36} {:>5} {:>10} {:>9} {:>8} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
        "", "batch", "reports/s", "commits/s", "commit", "work", "write", "flush", "flushes", "writes", "KiB", "reads"
    );
    let is_wanted = |case: &&Case| args.only.as_ref().is_none_or(|only| case.name == only);
    for case in cases.iter().filter(is_wanted) {
        measure(case, args, dir)?;
    }
    records(dir)
}

fn measure(case: &Case, args: &Args, dir: &Path) -> anyhow::Result<()> {
    let path = dir.join("store-bench.redb");
    let _ = std::fs::remove_file(&path);
    let (disk, toll) = Disk::open(&path, case.is_durable)?;
    let db = redb::Database::builder().set_cache_size(128 << 20).create_with_backend(disk)?;
    let now = Clock::System.now();
    let mut seeder = Seeder::new(Store::over(db)?, case.size, now)?;
    if args.stored > 0 {
        seeder.read(args.stored, 24, now)?;
    }
    let sent = seeder.sent(args.messages, now)?;
    let reports = reports(&sent);
    // The seeding is still on its way to the disk: it must not be paid for below.
    std::fs::File::open(&path)?.sync_all()?;
    let figures = [&toll.writes, &toll.bytes, &toll.write_ns, &toll.reads, &toll.flushes, &toll.flush_ns];
    let before = figures.map(|figure| figure.load(Ordering::Relaxed));
    let (count, begun) = (reports.len(), Instant::now());
    let mut commits = 0_u64;
    let mut reports = reports.into_iter().peekable();
    while reports.peek().is_some() {
        seeder.store.commit(reports.by_ref().take(case.batch).collect(), Clock::System.now())?;
        commits += 1;
    }
    let total = begun.elapsed();
    let mut after = figures.map(|figure| figure.load(Ordering::Relaxed));
    for (after, before) in after.iter_mut().zip(before) {
        *after -= before;
    }
    let [writes, bytes, write_ns, reads, flushes, flush_ns] = after.map(|sum| sum as f64 / commits as f64);
    let commit_us = total.as_secs_f64() * 1e6 / commits as f64;
    let (write_us, flush_us) = (write_ns / 1e3, flush_ns / 1e3);
    println!(
        "{:<36} {:>5} {:>10.0} {:>9.0} {:>8.0} {:>7.0} {:>7.0} {:>7.0} {:>7.1} {:>7.1} {:>7.0} {:>7.1}",
        case.name,
        case.batch,
        count as f64 / total.as_secs_f64(),
        commits as f64 / total.as_secs_f64(),
        commit_us,
        commit_us - write_us - flush_us,
        write_us,
        flush_us,
        flushes,
        writes,
        bytes / 1024.0,
        reads
    );
    Ok(())
}

/// Every message's four callbacks, as the webhook would read them.
fn reports(sent: &[Sent]) -> Vec<Write> {
    let report = |(message, rank): (usize, usize)| Write::Report(Box::new(seed::report(&sent[message], &WORDS[rank])));
    order(sent.len()).map(report).collect()
}

/// What one record costs apart from the tree it lies in.
fn records(dir: &Path) -> anyhow::Result<()> {
    const TIMES: u32 = 100_000;
    let path = dir.join("store-bench.redb");
    let store = Store::open(&path, 16 << 20)?;
    let message = newest(&store.read()?)?;
    let bytes = encode(&message);
    let report =
        Fact::Reported { attempt: 1, sid: bluetick::message::Sid([b'S'; 17]), word: WORDS[2].clone(), code: None };
    let time = |name: &str, work: &mut dyn FnMut()| {
        let begun = Instant::now();
        for _ in 0..TIMES {
            work();
        }
        println!("{name:<36} {:>8.2} us", begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES));
    };
    println!("a record with all its callbacks: {} bytes", bytes.len());
    time("decode", &mut || drop(std::hint::black_box(decode::<Message>(&bytes))));
    time("encode", &mut || drop(std::hint::black_box(encode(&message))));
    time("clone", &mut || drop(std::hint::black_box(message.clone())));
    time("status", &mut || drop(std::hint::black_box(message.status())));
    time("share", &mut || drop(std::hint::black_box(bluetick::metrics::share(&message))));
    time("clone and apply", &mut || {
        let mut message = message.clone();
        drop(std::hint::black_box(message.apply(report.clone(), Source::Callback, message.updated_at)));
    });
    Ok(())
}

fn newest(snapshot: &Snapshot) -> anyhow::Result<Message> {
    let page = snapshot.messages(&Default::default(), None, 1)?;
    page.rows.into_iter().next().ok_or_else(|| anyhow::anyhow!("the store is empty"))
}
