//! The team's app: accepts as fast as messages come to be read, and no faster.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::account::API_KEY;
use crate::http::{body, exchange};
use crate::roles::{SENDERS, sender};

/// How often bluetick is asked how far everything has come.
const LOOK: Duration = Duration::from_millis(100);
/// How long the app waits when enough is on its way.
const PAUSE: Duration = Duration::from_millis(5);
/// What is not read after this long is never read.
const PATIENCE: Duration = Duration::from_secs(60);
const CONTACTS: u64 = 100_000;

/// How to drive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) window: u64,
    pub(crate) measured: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Driven {
    pub(crate) accepted: u64,
    pub(crate) accepted_in_time: u64,
    pub(crate) read_in_time: u64,
    pub(crate) never_read: u64,
    pub(crate) accept_p99_ms: f64,
    /// How long after the last acceptance everything was read.
    pub(crate) drained_s: f64,
}

struct Drive {
    course: Course,
    begun: Instant,
    asked: Cell<u64>,
    accepted: Cell<u64>,
    read: Cell<u64>,
    latencies_us: RefCell<Vec<u32>>,
}

/// Accepts for `course.measured`, then waits until everything is read.
pub(crate) fn drive(course: Course) -> anyhow::Result<Driven> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let drive = Drive {
            course,
            begun: Instant::now(),
            asked: Cell::new(0),
            accepted: Cell::new(0),
            read: Cell::new(0),
            latencies_us: RefCell::default(),
        };
        let apps = futures_util::future::try_join_all((0..course.connections).map(|_| accept(&drive)));
        let (apps, ends) = tokio::join!(apps, follow(&drive));
        apps?;
        let (accepted_in_time, read_in_time, drained_s) = ends?;
        let mut latencies_us = drive.latencies_us.into_inner();
        latencies_us.sort_unstable();
        let p99 = latencies_us.get(latencies_us.len() * 99 / 100).context("nothing was accepted")?;
        let accepted = drive.accepted.get();
        Ok(Driven {
            accepted,
            accepted_in_time,
            read_in_time,
            never_read: accepted - drive.read.get(),
            accept_p99_ms: f64::from(*p99) / 1e3,
            drained_s,
        })
    })
}

/// One connection of the app.
async fn accept(drive: &Drive) -> anyhow::Result<()> {
    let stream = connect(drive.course.address).await?;
    let mut answer = Vec::new();
    while drive.begun.elapsed() < drive.course.measured {
        if drive.asked.get() - drive.read.get() >= drive.course.window {
            sleep(PAUSE).await;
            continue;
        }
        let number = drive.asked.get();
        drive.asked.set(number + 1);
        let request = request(number);
        let begun = Instant::now();
        let status = exchange(&stream, request.as_bytes(), &mut answer).await?;
        let us = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
        anyhow::ensure!(status == 202, "a message was refused: {}", String::from_utf8_lossy(body(&answer)));
        drive.latencies_us.borrow_mut().push(us);
        drive.accepted.set(drive.accepted.get() + 1);
    }
    Ok(())
}

/// Asks how far everything has come; says what was accepted and read in time, and how long the rest took.
async fn follow(drive: &Drive) -> anyhow::Result<(u64, u64, f64)> {
    let stream = connect(drive.course.address).await?;
    let mut in_time = None;
    let end = drive.course.measured;
    loop {
        drive.read.set(read(&stream).await?);
        let passed = drive.begun.elapsed();
        if passed >= end {
            let (accepted, read) = *in_time.get_or_insert((drive.accepted.get(), drive.read.get()));
            // Whatever was asked in time has been answered long before this.
            let is_done = drive.read.get() == drive.asked.get();
            if is_done || passed > end + PATIENCE {
                return Ok((accepted, read, (passed - end).as_secs_f64()));
            }
        }
        sleep(LOOK.min(end.saturating_sub(drive.begun.elapsed()).max(PAUSE))).await;
    }
}

/// How many messages were read, of all.
async fn read(stream: &TcpStream) -> anyhow::Result<u64> {
    let request = format!(
        "GET /v1/metrics?from=24h&bucket=day HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {API_KEY}\r\n\r\n"
    );
    let mut answer = Vec::new();
    let status = exchange(stream, request.as_bytes(), &mut answer).await?;
    anyhow::ensure!(status == 200, "the metrics: {}", String::from_utf8_lossy(body(&answer)));
    let metrics: Value = serde_json::from_slice(body(&answer))?;
    metrics["totals"]["read"].as_u64().context("totals.read")
}

fn request(number: u64) -> String {
    // Numbers that end in 0100 are people without whims.
    let contact = number.wrapping_mul(48_271) % CONTACTS;
    let from = sender(usize::try_from(number).unwrap_or(0) % SENDERS);
    let body = json!({
        "to": format!("+4915{contact:05}0100"), "from": from, "reference": format!("order-{number}"),
        "content_sid": "HX00000000000000000000000000000001", "variables": {"1": "Ada", "2": "4711"},
    })
    .to_string();
    format!(
        "POST /v1/messages HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {API_KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
