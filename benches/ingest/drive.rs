//! A loader of its own: one thread, kept-alive connections that each wait for their answer, bytes made beforehand.
//!
//! A closed loop: what it asks a second is what the server answers, so that runs of different servers compare.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::http::exchange;

/// Requests, one after another in one piece of memory.
#[derive(Default)]
pub(crate) struct Requests {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Requests {
    pub(crate) fn push(&mut self, head: &str, body: &str) {
        self.bytes.extend(head.as_bytes());
        self.bytes.extend(body.as_bytes());
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }
}

/// How to drive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drive {
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// Whether to begin again when all requests are asked; otherwise the drive ends there.
    pub(crate) is_endless: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Driven {
    /// Requests that were asked, all of them answered.
    pub(crate) asked: usize,
    /// Answers other than 2xx.
    pub(crate) refused: usize,
    /// Answers a second in the measured time.
    pub(crate) per_s: f64,
    /// In the measured time, in microseconds, sorted.
    pub(crate) latencies_us: Vec<u32>,
}

impl Driven {
    /// The latency in milliseconds that `share` (0 to 1) of the answers stay at or below.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        let last = self.latencies_us.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.latencies_us.get(index).map_or(f64::NAN, |us| f64::from(*us) / 1e3)
    }
}

struct Course<'a> {
    requests: &'a Requests,
    drive: Drive,
    begun: Instant,
    next: Cell<usize>,
    refused: Cell<usize>,
    latencies_us: RefCell<Vec<u32>>,
    /// When the last measured answer came.
    until: Cell<Duration>,
}

/// Drives `requests` at a server. `mark` is called when the measured time begins and when it ends.
pub(crate) fn drive(
    address: SocketAddr,
    requests: &Requests,
    drive: Drive,
    mut mark: impl FnMut(),
) -> io::Result<Driven> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let course = Course {
        requests,
        drive,
        begun: Instant::now(),
        next: Cell::new(0),
        refused: Cell::new(0),
        latencies_us: RefCell::new(Vec::with_capacity(1 << 20)),
        until: Cell::new(drive.warm_up),
    };
    runtime.block_on(async {
        let connections = (0..drive.connections).map(|_| connection(address, &course));
        let marks = async {
            tokio::time::sleep(drive.warm_up).await;
            mark();
            tokio::time::sleep(drive.measured).await;
            mark();
            Ok(())
        };
        let (driven, marked) = tokio::join!(futures_util::future::try_join_all(connections), marks);
        driven.and(marked)
    })?;
    let asked = course.next.get();
    let mut latencies_us = course.latencies_us.into_inner();
    let measured = course.until.get().saturating_sub(drive.warm_up).as_secs_f64();
    let per_s = latencies_us.len() as f64 / measured;
    latencies_us.sort_unstable();
    Ok(Driven { asked, refused: course.refused.get(), per_s, latencies_us })
}

async fn connection(address: SocketAddr, course: &Course<'_>) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut answer = Vec::new();
    while let Some(request) = next(course) {
        let asked = course.begun.elapsed();
        let status = exchange(&stream, request, &mut answer).await?;
        let answered = course.begun.elapsed();
        if !(200..300).contains(&status) {
            course.refused.set(course.refused.get() + 1);
        }
        let Drive { warm_up, measured, .. } = course.drive;
        if answered >= warm_up && answered < warm_up + measured {
            let us = u32::try_from((answered - asked).as_micros()).unwrap_or(u32::MAX);
            course.latencies_us.borrow_mut().push(us);
            course.until.set(answered);
        }
    }
    Ok(())
}

fn next<'a>(course: &Course<'a>) -> Option<&'a [u8]> {
    let drive = course.drive;
    if course.begun.elapsed() >= drive.warm_up + drive.measured {
        return None;
    }
    let next = course.next.get();
    if next >= course.requests.len() && !drive.is_endless {
        return None;
    }
    course.next.set(next + 1);
    Some(course.requests.get(next % course.requests.len()))
}
