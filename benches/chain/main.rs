//! The whole chain on one machine: an app that accepts, bluetick, and a Twilio that sends, delivers and reads at once.
//!
//! `cargo bench --bench chain` keeps it busy for a minute and says how many messages a second came from acceptance to
//! `read`, how long callbacks waited for their answer, and who used the processor. It writes `target/bench/chain.json`
//! and fails if a gate is missed. Driver, bluetick and emulator share the machine: that is what it costs, not what
//! bluetick alone could do.

#[path = "../load/account.rs"]
mod account;
#[path = "../load/child.rs"]
mod child;
mod driver;
#[path = "../load/gate.rs"]
mod gate;
#[path = "../load/http.rs"]
mod http;
mod ledger;
mod roles;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use serde_json::json;

use child::{Server, cpu_s_of};
use driver::Course;
use gate::{Gate, judge};

/// What the shipped program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
struct Args {
    /// Seconds that messages are accepted.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Connections of the app that accepts.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Messages between acceptance and `read`: the app waits when there are so many.
    #[arg(long, default_value_t = 2_000)]
    window: u64,
    /// A few seconds: whether it works, not how fast.
    #[arg(long)]
    quick: bool,
    /// What Cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
    /// bluetick as it is shipped.
    #[command(hide = true)]
    Bluetick { dir: PathBuf, port: u16, api_url: String },
    /// The Twilio it speaks to.
    #[command(hide = true)]
    Emulator,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match &args.role {
        Some(Role::Bluetick { dir, port, api_url }) => roles::bluetick(dir, *port, api_url),
        Some(Role::Emulator) => roles::emulator(),
        None => measure(&args),
    }
}

fn measure(args: &Args) -> anyhow::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let data = dir.join("chain");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    std::fs::create_dir_all(&data)?;
    let emulator = Server::start(&["emulator"])?;
    let path = data.to_str().ok_or_else(|| anyhow::anyhow!("the folder's name is not text"))?;
    let (port, api_url) = (roles::free_port()?.to_string(), format!("http://{}", emulator.address));
    let bluetick = Server::start(&["bluetick", path, &port, &api_url])?;

    let seconds = if args.quick { 5 } else { args.seconds };
    let course = Course {
        address: bluetick.address,
        connections: args.connections,
        window: args.window,
        measured: Duration::from_secs(seconds),
    };
    let cpu = || anyhow::Ok([bluetick.cpu_s()?, emulator.cpu_s()?, cpu_s_of(std::process::id())?]);
    let before = cpu()?;
    let driven = driver::drive(course)?;
    let after = cpu()?;
    let pss_mib = bluetick.pss_mib()?;
    let waits = ledger::waits(emulator.address)?;

    let accepted_per_s = driven.accepted_in_time as f64 / seconds as f64;
    let read_per_s = driven.read_in_time as f64 / seconds as f64;
    let backlog = driven.accepted_in_time - driven.read_in_time;
    let us_a_message = |who: usize| (after[who] - before[who]) * 1e6 / driven.accepted as f64;
    let cpu_us = json!({"bluetick": us_a_message(0), "emulator": us_a_message(1), "driver": us_a_message(2)});
    println!("{seconds} s, {} connections, at most {} messages on their way", args.connections, args.window);
    println!("accepted          {accepted_per_s:>10.0} a second, p99 {:.1} ms", driven.accept_p99_ms);
    println!("read              {read_per_s:>10.0} a second");
    println!("on their way      {backlog:>10} at the end, all read {:.1} s later", driven.drained_s);
    println!(
        "callbacks         {:>10} looked at, p50 {} ms, p99 {} ms, {} tried again",
        waits.count, waits.p50_ms, waits.p99_ms, waits.again
    );
    println!(
        "CPU a message     {:>10.0} us bluetick, {:.0} us emulator, {:.0} us driver",
        us_a_message(0),
        us_a_message(1),
        us_a_message(2)
    );
    println!("memory            {pss_mib:>10.0} MiB bluetick");
    let gates = [
        Gate::at_least("messages a second from acceptance to read (aim 2000)", read_per_s, 500.0),
        Gate::at_most("ms until a callback is answered, p99", waits.p99_ms as f64, 50.0),
        Gate::at_most("messages that were never read", driven.never_read as f64, 0.0),
    ];
    let result = json!({
        "seconds": seconds, "connections": args.connections, "window": args.window,
        "accepted_per_s": accepted_per_s, "read_per_s": read_per_s, "backlog": backlog, "drained_s": driven.drained_s,
        "accept_p99_ms": driven.accept_p99_ms, "callbacks": waits, "cpu_us_a_message": cpu_us, "pss_mib": pss_mib,
        "gates": gates,
    });
    std::fs::write(dir.join("chain.json"), serde_json::to_vec_pretty(&result)?)?;
    judge(&gates)
}
