//! The same with a file that is already full: what a year of use must not cost.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use bluetick::clock::{Clock, Time};
use bluetick::metrics::Cell;
use bluetick::store::{FILE, Snapshot, Store, Tier};
use serde::Serialize;
use tokio::net::TcpStream;

use crate::account::API_KEY;
use crate::drive::{Drive, drive};
use crate::gate::Gate;
use crate::http;
use crate::rounds::{self, Figures, Plan, Seed};
use crate::servers::Variant;
use crate::spread::Spread;

/// Ninety days of hours.
pub(crate) const HOURS: usize = 90 * 24;
/// As much as bluetick takes when nobody says.
const CACHE_BYTES: usize = 128 << 20;
/// How often a read is timed.
const READS: usize = 101;
const CONNECTIONS: usize = 64;
/// Longer than any server here needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Stored {
    messages: usize,
    empty: Figures,
    full: Figures,
    ratio: f64,
    ready_after_kill_ms: f64,
    cells_ms: Spread,
    http_ms: Spread,
    http_hours_ms: Spread,
}

/// An empty and a full file in turn; then a kill, a start, and ninety days of numbers.
pub(crate) fn measure(
    empty_seed: &Seed,
    full_seed: &Seed,
    messages: usize,
    plan: Plan,
    dir: &Path,
) -> anyhow::Result<Stored> {
    let (mut of_empty, mut of_full) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        of_empty.push(rounds::round(Variant::Shipped, empty_seed, plan, CONNECTIONS, dir)?);
        of_full.push(rounds::round(Variant::Shipped, full_seed, plan, CONNECTIONS, dir)?);
    }
    let (empty, full) = (Figures::of(&of_empty), Figures::of(&of_full));
    println!("\n{CONNECTIONS} connections, {messages} messages stored before");
    Figures::heading();
    empty.print("S empty (x: of empty)", &empty);
    full.print("S full", &empty);
    let run = dir.join("run");
    kill_at_work(full_seed, &run)?;
    let begun = Instant::now();
    let server = rounds::start(Variant::Shipped, &run)?;
    ready(server.address)?;
    let ready_after_kill_ms = begun.elapsed().as_secs_f64() * 1e3;
    let http_ms = Spread::of(over_http(server.address, "from=90d")?);
    let http_hours_ms = Spread::of(over_http(server.address, "from=90d&bucket=hour")?);
    drop(server);
    let store = Store::open(&run.join(FILE), CACHE_BYTES)?;
    let cells_ms = Spread::of(from_cells(&store.read()?)?);
    println!("ready {ready_after_kill_ms:.1} ms after SIGKILL and a start");
    println!(
        "90 days of one sender: {:.2} ms as cells by the hour; over HTTP {:.2} ms as the pages ask, {:.2} ms by the hour",
        cells_ms.median, http_ms.median, http_hours_ms.median
    );
    let ratio = full.per_s.median / empty.per_s.median;
    Ok(Stored { messages, empty, full, ratio, ready_after_kill_ms, cells_ms, http_ms, http_hours_ms })
}

impl Stored {
    pub(crate) fn gates(&self) -> [Gate; 4] {
        [
            Gate::at_least("S full / S empty", self.ratio, 0.5),
            Gate::at_most("ms until ready after SIGKILL", self.ready_after_kill_ms, 2_000.0),
            Gate::at_most("ms for 90 days of cells, median", self.cells_ms.median, 2.0),
            Gate::at_most("ms for 90 days over HTTP, as the pages ask, median", self.http_ms.median, 2.0),
        ]
    }
}

/// Lets a server commit for a while, the same callbacks again, and kills it in the middle.
fn kill_at_work(seed: &Seed, run: &Path) -> anyhow::Result<()> {
    let server = rounds::start(Variant::Shipped, run)?;
    let (warm_up, measured) = (Duration::ZERO, Duration::from_secs(2));
    let course = Drive { connections: CONNECTIONS, warm_up, measured, is_endless: true };
    let mut server = Some(server);
    let address = server.as_ref().map(|server| server.address).context("it was just started")?;
    let mut marks = 0;
    let driven = drive(address, &seed.callbacks.requests, course, || {
        marks += 1;
        // The measured time is over: requests are still on their way.
        if marks == 2 {
            drop(server.take());
        }
    });
    anyhow::ensure!(driven.is_err() || server.is_none(), "the server was not killed");
    Ok(())
}

/// Asks until it says that it is ready.
fn ready(address: SocketAddr) -> anyhow::Result<()> {
    let request = b"GET /readyz HTTP/1.1\r\nHost: bench\r\n\r\n";
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut answer = Vec::new();
        let begun = Instant::now();
        loop {
            let stream = TcpStream::connect(address).await?;
            if http::exchange(&stream, request, &mut answer).await? == 200 {
                return Ok(());
            }
            let said = String::from_utf8_lossy(http::body(&answer)).into_owned();
            anyhow::ensure!(begun.elapsed() < PATIENCE, "it is not ready: {said}");
        }
    })
}

fn over_http(address: SocketAddr, query: &str) -> anyhow::Result<Vec<f64>> {
    let target = format!("/v1/metrics/senders/whatsapp:+15550000000?{query}");
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {API_KEY}\r\nAccept-Encoding: identity\r\n\r\n"
    );
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let stream = TcpStream::connect(address).await?;
        let (mut answer, mut times) = (Vec::new(), Vec::new());
        for _ in 0..READS {
            let begun = Instant::now();
            let status = http::exchange(&stream, request.as_bytes(), &mut answer).await?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            anyhow::ensure!(status == 200, "{target}: {}", String::from_utf8_lossy(http::body(&answer)));
        }
        Ok(times)
    })
}

fn from_cells(snapshot: &Snapshot) -> anyhow::Result<Vec<f64>> {
    let to = Time((i64::from(Clock::System.now().hour()) + 1) * 3_600_000);
    let from = to.minus(Duration::from_secs(HOURS as u64 * 3_600));
    let sender = snapshot.senders()?.first().map(|(number, _)| *number);
    let sender = sender.ok_or_else(|| anyhow::anyhow!("the file has no sender"))?;
    let mut times = Vec::new();
    for _ in 0..READS {
        let begun = Instant::now();
        let mut sum = Cell::default();
        let cells = snapshot.cells(sender, Tier::Hour, from, to)?;
        cells.iter().for_each(|(_, cell)| sum.merge(cell, 1));
        let p99 = std::hint::black_box(sum.delivery.percentile_ms(0.99));
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!(cells.len() + 3 >= HOURS && p99.is_some(), "only {} hours are there", cells.len());
    }
    Ok(times)
}
