//! How little it takes: the size of the program, how soon it is ready, and the memory it holds when nothing happens.
//!
//! `cargo bench --bench footprint` measures the shipped program from outside, writes `target/bench/footprint.json` and
//! fails if a gate is missed. The program is stripped as packages ship it.

#[path = "../load/gate.rs"]
mod gate;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;

use gate::{Gate, judge};

const STARTS: usize = 15;
/// What is still settling after this long is not idle.
const IDLE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> anyhow::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/footprint");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir)?;
    let program = stripped(&dir)?;
    let size_mib = std::fs::metadata(&program)?.len() as f64 / f64::from(1 << 20);
    let (mut fresh, mut again) = (Vec::new(), Vec::new());
    for number in 0..STARTS {
        let data = dir.join(format!("data-{number}"));
        fresh.push(Running::start(&program, &data)?.ready_ms);
        again.push(Running::start(&program, &data)?.ready_ms);
    }
    let running = Running::start(&program, &dir.join("data-0"))?;
    std::thread::sleep(IDLE);
    let memory_mib = running.resident_mib()?;
    drop(running);
    let starts = fresh.len() + again.len();
    let (fresh_ms, again_ms) = (median(fresh), median(again));
    println!("program           {size_mib:>8.1} MiB");
    println!("ready             {fresh_ms:>8.0} ms after its first start, {again_ms:.0} ms after another");
    println!("resident memory   {memory_mib:>8.1} MiB when nothing happens");
    let gates = [
        Gate::at_most("MiB of the program", size_mib, 20.0),
        Gate::at_most("ms until ready, first start, median", fresh_ms, 200.0),
        Gate::at_most("ms until ready, later starts, median", again_ms, 200.0),
        Gate::at_most("MiB resident when idle", memory_mib, 30.0),
        Gate::at_least("starts that became ready", starts as f64, (2 * STARTS) as f64),
    ];
    let result = json!({
        "size_mib": size_mib, "ready_first_ms": fresh_ms, "ready_again_ms": again_ms, "resident_mib": memory_mib,
        "gates": gates,
    });
    std::fs::write(dir.with_extension("json"), serde_json::to_vec_pretty(&result)?)?;
    judge(&gates)
}

/// The program without its symbols.
fn stripped(dir: &Path) -> anyhow::Result<PathBuf> {
    let program = dir.join("bluetick");
    let done = Command::new("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_bluetick")).status();
    anyhow::ensure!(done.context("strip, from binutils, is needed")?.success(), "the program could not be stripped");
    Ok(program)
}

struct Running {
    child: Child,
    ready_ms: f64,
}

impl Running {
    fn start(program: &Path, data: &Path) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let begun = Instant::now();
        let child = Command::new(program)
            .arg("serve")
            .env("BLUETICK_CONFIG", "/dev/null")
            .env("BLUETICK__HTTP__LISTEN", address.to_string())
            .env("BLUETICK__PUBLIC_URL", "https://bench.example.com")
            .env("BLUETICK__STORE__DIR", data)
            .env("BLUETICK__TWILIO__API_URL", "http://127.0.0.1:9")
            .env("BLUETICK__TWILIO__ACCOUNT_SID", format!("AC{:032x}", 1))
            .env("BLUETICK__TWILIO__AUTH_TOKEN", "bench")
            .env("BLUETICK__TWILIO__FROM", "+15550001111")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut running = Self { child, ready_ms: 0.0 };
        while !is_ready(&address.to_string()) {
            anyhow::ensure!(begun.elapsed() < PATIENCE, "it is not ready");
            std::thread::sleep(Duration::from_millis(1));
        }
        running.ready_ms = begun.elapsed().as_secs_f64() * 1e3;
        Ok(running)
    }

    fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the kernel tells VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1_024.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_ready(address: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
