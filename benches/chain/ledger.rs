//! How long Twilio waited for answers to its callbacks, as the emulator wrote it down.

use std::net::SocketAddr;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::http::{body, exchange};

/// Pages that are looked at, spread over the whole run.
const PAGES: u64 = 20;
/// Rows of a page.
const ROWS: u64 = 1_000;

/// Waits, of the callbacks that were looked at.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Waits {
    pub(crate) count: usize,
    pub(crate) p50_ms: u64,
    pub(crate) p99_ms: u64,
    /// How many had to be tried again.
    pub(crate) again: usize,
}

/// Reads a part of the ledger.
pub(crate) fn waits(address: SocketAddr) -> anyhow::Result<Waits> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let stream = TcpStream::connect(address).await?;
        let last = page(&stream, 0, 0).await?["next_seq"].as_u64().context("next_seq")?;
        let (mut took, mut again) = (Vec::new(), 0);
        for number in 0..PAGES {
            let page = page(&stream, last * number / PAGES, ROWS).await?;
            for row in page["callbacks"].as_array().context("callbacks")? {
                let tries = row["tries"].as_array().context("tries")?;
                again += usize::from(tries.len() > 1);
                took.extend(tries.iter().filter_map(|one| one["took_ms"].as_u64()));
            }
        }
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len().saturating_sub(1) * percent / 100).copied();
        let (p50_ms, p99_ms) = at(50).zip(at(99)).context("no callback was made")?;
        Ok(Waits { count: took.len(), p50_ms, p99_ms, again })
    })
}

async fn page(stream: &TcpStream, after: u64, limit: u64) -> anyhow::Result<Value> {
    let request = format!("GET /emulator/ledger?after={after}&limit={limit} HTTP/1.1\r\nHost: bench\r\n\r\n");
    let mut answer = Vec::new();
    let status = exchange(stream, request.as_bytes(), &mut answer).await?;
    anyhow::ensure!(status == 200, "the ledger: {}", String::from_utf8_lossy(body(&answer)));
    Ok(serde_json::from_slice(body(&answer))?)
}
