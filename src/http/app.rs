//! What every handler shares: the doors to the other rooms, what was configured, and how much came through.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::Options;
use super::client::Proxies;
use super::events::Seats;
use super::limits::Limits;
use super::reception::Reception;
use super::usage::Usage;
use crate::alert::Board;
use crate::archive;
use crate::backup;
use crate::clock::{Clock, Time};
use crate::custody::Custody;
use crate::message::{Address, Policy};
use crate::store::{Handle, Upkeep};
use crate::timetable::Timetable;
use crate::twilio::webhook::Webhook;

/// One bluetick as seen from outside; made once, shared by all threads as `web::Data`.
pub struct App {
    /// Everything that lasts.
    pub store: Handle,
    /// How Twilio's requests are verified; `None` without an auth token or public URL, and then none is let in.
    pub webhook: Option<Webhook>,
    /// Every secret there is.
    pub custody: Arc<Custody>,
    /// What is wrong right now.
    pub board: Board,
    /// What time it is.
    pub clock: Clock,
    /// The `[http]` section.
    pub options: Options,
    /// The proxies that are believed about whom they speak for.
    pub proxies: Proxies,
    /// How often somebody may fail, or ask.
    pub limits: Limits,
    /// Who sends when a draft does not say.
    pub default_from: Option<Address>,
    /// Where Twilio reaches us.
    pub public_url: Option<String>,
    /// `live`, `sandbox` or `demo`.
    pub mode: String,
    /// Waits and limits of sending, as the store knows them too.
    pub policy: Policy,
    /// Messages a second that a sender may send, where configured, by its address.
    pub rates: BTreeMap<String, f64>,
    /// The same for every other sender.
    pub default_rate: f64,
    /// What is done from time to time, and when; only when asked, if there is no timetable.
    pub chores: Vec<(Upkeep, Option<Timetable>)>,
    /// Where backups go, and how many are kept.
    pub backups: backup::Options,
    /// Where old messages go, and when.
    pub archive: archive::Options,
    /// The folder of the data file.
    pub data_dir: PathBuf,
    /// When bluetick started.
    pub boot_at: Time,
    /// How much came through since then.
    pub tally: Tally,
    /// Changes whenever somebody may do less than before, so that what lasts looks again.
    pub revoked: watch::Sender<u64>,
    /// Uses of API keys that are not on disk yet.
    pub usage: Usage,
    /// Where people show who they are.
    pub reception: Reception,
    /// Becomes true when bluetick stops, so that streams without an end find one.
    pub shutdown: watch::Sender<bool>,
}

impl App {
    /// Whether messages reach customers.
    pub fn is_live(&self) -> bool {
        self.mode == "live"
    }

    /// Messages a second that this sender may send.
    pub fn rate(&self, sender: &str) -> f64 {
        self.rates.get(sender).copied().unwrap_or(self.default_rate)
    }
}

/// How much came through since the start.
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages taken in.
    pub accepted: Meter,
    /// Signed callbacks and inbound messages that are on disk.
    pub callbacks: Meter,
    /// Requests to the webhooks that were refused.
    pub refused: Meter,
    /// Refused requests that were kept.
    pub quarantined: Meter,
    /// Passwords and codes of people that were wrong.
    pub wrong_logins: Meter,
    /// The open event streams.
    pub(super) streams: Seats,
}

/// A rate is the mean of this many whole seconds.
const SECONDS: u64 = 10;
/// More slots than seconds, so that the one being written is never one being read.
const SLOTS: usize = 16;

/// A count that also knows its rate: the last seconds, each in a slot of second (high half) and count (low half).
#[derive(Debug, Default)]
pub struct Meter {
    total: AtomicU64,
    slots: [AtomicU64; SLOTS],
}

impl Meter {
    /// Counts one, and says how many that makes in this second.
    pub fn add(&self, now: Time) -> u64 {
        self.total.fetch_add(1, Ordering::Relaxed);
        let second = second(now);
        let slot = &self.slots[usize::try_from(second).unwrap_or(0) % SLOTS];
        let one_more = |held: u64| Some(if held >> 32 == second { held + 1 } else { second << 32 | 1 });
        let before = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).unwrap_or(0);
        if before >> 32 == second { (before & u64::from(u32::MAX)) + 1 } else { 1 }
    }

    /// All since the start.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// A second, over the last ten whole ones.
    pub fn per_s(&self, now: Time) -> f64 {
        let this = second(now);
        let held = self.slots.iter().map(|slot| slot.load(Ordering::Relaxed));
        let is_recent = |held: &u64| (1..=SECONDS).contains(&this.wrapping_sub(held >> 32));
        let sum: u64 = held.filter(is_recent).map(|held| held & u64::from(u32::MAX)).sum();
        sum as f64 / SECONDS as f64
    }
}

/// Seconds since 1970, as far as they fit in 32 bits.
fn second(now: Time) -> u64 {
    u64::try_from(now.0 / 1_000).unwrap_or(0) & u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_tells_the_mean_of_the_last_ten_whole_seconds_and_forgets_older_ones() {
        let meter = Meter::default();
        let start = 1_700_000_000_000;
        for ms in (0..20_000).step_by(100) {
            meter.add(Time(start + ms));
        }
        assert_eq!((meter.total(), meter.per_s(Time(start + 20_000))), (200, 10.0));
        assert_eq!(meter.per_s(Time(start + 25_000)), 5.0);
        assert_eq!(meter.per_s(Time(start + 60_000)), 0.0);
    }
}
