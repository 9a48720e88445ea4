//! Rounds in turn: every variant once, then again, so that a slow minute of the machine strikes all of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bluetick::clock::Time;
use bluetick::metrics::Count;
use bluetick::store::{FILE, Store, Tier, verify};
use serde::Serialize;

use crate::callbacks::{Callbacks, Reached};
use crate::child::Server;
use crate::drive::{Drive, Driven, drive};
use crate::servers::Variant;
use crate::spread::Spread;

/// For looking into a file that a server left behind.
const CACHE_BYTES: usize = 256 << 20;

/// A data file that every round begins with a copy of, and the callbacks its messages wait for.
pub(crate) struct Seed {
    pub(crate) file: PathBuf,
    pub(crate) callbacks: Callbacks,
}

/// How long, how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// One round of one variant.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_us: f64,
    pss_mib: f64,
}

/// All rounds of one variant.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) per_s: Spread,
    pub(crate) p50_ms: Spread,
    pub(crate) p99_ms: Spread,
    pub(crate) cpu_us: Spread,
    pub(crate) pss_mib: Spread,
}

impl Figures {
    pub(crate) fn of(rounds: &[Round]) -> Self {
        let spread = |figure: fn(&Round) -> f64| Spread::of(rounds.iter().map(figure));
        Self {
            per_s: spread(|round| round.per_s),
            p50_ms: spread(|round| round.p50_ms),
            p99_ms: spread(|round| round.p99_ms),
            cpu_us: spread(|round| round.cpu_us),
            pss_mib: spread(|round| round.pss_mib),
        }
    }

    pub(crate) fn heading() {
        let columns = ["req/s", "(min", "max)", "x B", "p50 ms", "p99 ms", "CPU us", "PSS MiB"];
        println!("{:<34} {}", "", columns.map(|column| format!("{column:>9}")).join(" "));
    }

    pub(crate) fn print(&self, title: &str, base: &Self) {
        let Spread { median, min, max } = self.per_s;
        println!(
            "{title:<34} {median:>9.0} {min:>9.0} {max:>9.0} {:>9.2} {:>9.2} {:>9.2} {:>9.1} {:>9.1}",
            median / base.per_s.median,
            self.p50_ms.median,
            self.p99_ms.median,
            self.cpu_us.median,
            self.pss_mib.median
        );
    }
}

/// All variants, `plan.rounds` times in turn.
pub(crate) fn compare(
    seed: &Seed,
    plan: Plan,
    connections: usize,
    dir: &Path,
) -> anyhow::Result<BTreeMap<Variant, Figures>> {
    let mut rounds = BTreeMap::<Variant, Vec<Round>>::new();
    for _ in 0..plan.rounds {
        for variant in Variant::ALL {
            rounds.entry(variant).or_default().push(round(variant, seed, plan, connections, dir)?);
        }
    }
    Ok(rounds.into_iter().map(|(variant, rounds)| (variant, Figures::of(&rounds))).collect())
}

/// One round: a fresh file, a fresh server, callbacks, and for bluetick the count of what it must know after SIGKILL.
pub(crate) fn round(
    variant: Variant,
    seed: &Seed,
    plan: Plan,
    connections: usize,
    dir: &Path,
) -> anyhow::Result<Round> {
    let run = dir.join("run");
    let is_shipped = variant == Variant::Shipped;
    let before = if is_shipped { Some(lay_out(&seed.file, &run)?) } else { None };
    fs::create_dir_all(&run)?;
    let server = start(variant, &run)?;
    let course = Drive { connections, warm_up: plan.warm_up, measured: plan.measured, is_endless: !is_shipped };
    let mut cpu_s = Vec::new();
    let driven = drive(server.address, &seed.callbacks.requests, course, || cpu_s.extend(server.cpu_s().ok()))?;
    anyhow::ensure!(driven.refused == 0, "{}: {} answers were not 2xx", variant.title(), driven.refused);
    let pss_mib = server.pss_mib()?;
    drop(server);
    if let Some(before) = before {
        recount(&run, before, seed.callbacks.reached(driven.asked))?;
    }
    let [begun, ended] = cpu_s[..] else { anyhow::bail!("the server's CPU time could not be read") };
    let cpu_us = (ended - begun) * 1e6 / driven.latencies_us.len() as f64;
    Ok(Round { cpu_us, pss_mib, ..Round::from(&driven) })
}

impl From<&Driven> for Round {
    fn from(driven: &Driven) -> Self {
        let (p50_ms, p99_ms) = (driven.percentile_ms(0.5), driven.percentile_ms(0.99));
        Self { per_s: driven.per_s, p50_ms, p99_ms, cpu_us: f64::NAN, pss_mib: f64::NAN }
    }
}

pub(crate) fn start(variant: Variant, dir: &Path) -> anyhow::Result<Server> {
    let dir = dir.to_str().ok_or_else(|| anyhow::anyhow!("the folder's name is not text"))?;
    Server::start(&["serve", variant.name(), dir])
}

/// Copies the seeded file to where the server looks for it, wholly on disk; says what its numbers are.
pub(crate) fn lay_out(file: &Path, run: &Path) -> anyhow::Result<Reached> {
    if run.exists() {
        fs::remove_dir_all(run)?;
    }
    fs::create_dir_all(run)?;
    let path = run.join(FILE);
    fs::copy(file, &path)?;
    File::open(&path)?.sync_all()?;
    reached(run)
}

/// What was answered must be counted, and nothing else.
pub(crate) fn recount(run: &Path, before: Reached, added: Reached) -> anyhow::Result<()> {
    let after = reached(run)?;
    let wanted = Reached {
        sent: before.sent + added.sent,
        delivered: before.delivered + added.delivered,
        read: before.read + added.read,
    };
    anyhow::ensure!(after == wanted, "after SIGKILL the numbers say {after:?}, but {wanted:?} was answered");
    Ok(())
}

/// The sums of all there ever was.
fn reached(run: &Path) -> anyhow::Result<Reached> {
    let store = Store::open(&run.join(FILE), CACHE_BYTES)?;
    let snapshot = store.read()?;
    let mut reached = Reached::default();
    for (sender, _) in snapshot.senders()? {
        for (_, cell) in snapshot.cells(sender, Tier::Ever, Time(0), Time(1))? {
            reached.sent += cell.get(Count::Sent);
            reached.delivered += cell.get(Count::Delivered);
            reached.read += cell.get(Count::Read);
        }
    }
    Ok(reached)
}

/// Recomputes everything from the records; nothing may differ.
pub(crate) fn check(run: &Path) -> anyhow::Result<()> {
    let store = Store::open(&run.join(FILE), CACHE_BYTES)?;
    let findings = verify(&store.read()?, |_, _| ())?;
    anyhow::ensure!(findings.count == 0, "verify found {} differences: {:?}", findings.count, findings.differences);
    println!("verified: {} messages, {} contacts, {} cells", findings.messages, findings.contacts, findings.cells);
    Ok(())
}
