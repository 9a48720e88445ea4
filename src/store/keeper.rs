//! What must be looked after beside the commits: the sentinel, the room on the disk, and the reserve for when it is full.
//!
//! Invariant: on a full disk new sends are refused before a commit fails, and what was sent already still has room to come
//! home: its receipts go on into what the reserve gives back.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::sentinel::Sentinel;

/// The name of the reserve beside the data file.
const RESERVE: &str = "bluetick.reserve";
/// How often the room is looked at: the disk of a busy bluetick fills by a few megabytes in this time.
const LOOK: Duration = Duration::from_millis(500);
/// How often the sentinel is renewed: so much at most an older file may lack unnoticed.
const RENEW: Duration = Duration::from_secs(5);
const MB: u64 = 1 << 20;

/// Looks after a folder until it is told to stop.
pub(super) struct Keeper {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// What there is to know about the folder.
pub(super) struct Kept {
    pub(super) dir: PathBuf,
    pub(super) instance: [u8; 16],
    /// The newest event that is on disk.
    pub(super) newest: watch::Receiver<u64>,
    /// Megabytes that are set aside; none, if 0.
    pub(super) reserve_mb: u64,
    /// Becomes true when the data file was closed in peace.
    pub(super) is_closed: Arc<AtomicBool>,
    /// Becomes true when there is little room left.
    pub(super) is_low: Arc<AtomicBool>,
}

/// What follows from the room that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    /// Whether new sends are refused.
    is_low: bool,
    /// Whether the reserve is there afterwards.
    has_reserve: bool,
}

/// With less room than the reserve is large, sends are refused; with a quarter of that, the reserve is given back. Both
/// change back only when there is twice as much, so that they do not flicker.
fn judge(free_mb: u64, reserve_mb: u64, was_low: bool, has_reserve: bool) -> Verdict {
    let is_low = free_mb < if was_low { reserve_mb * 2 } else { reserve_mb };
    let has_reserve = if has_reserve { free_mb >= reserve_mb.div_ceil(4) } else { free_mb >= reserve_mb * 4 };
    Verdict { is_low, has_reserve }
}

impl Keeper {
    pub(super) fn start(kept: Kept) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("keeper".into())
            .spawn(move || kept.look_after(&stopped))
            .expect("a process that starts can start a thread");
        Self { stop, thread }
    }

    /// Writes the sentinel a last time.
    pub(super) fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the keeper of the data folder panicked");
        }
    }
}

impl Kept {
    fn look_after(self, stopped: &Receiver<()>) {
        let (mut told, mut told_at) = (None, Instant::now());
        loop {
            self.look_at_room();
            let is_first = told.is_none();
            let is_over =
                stopped.recv_timeout(if is_first { Duration::ZERO } else { LOOK }) != Err(RecvTimeoutError::Timeout);
            let newest = *self.newest.borrow();
            let is_time = told.is_none() || told_at.elapsed() >= RENEW || is_over;
            if is_time && (told != Some(newest) || is_over) {
                let is_closed = is_over && self.is_closed.load(Ordering::Acquire);
                match (Sentinel { is_closed, ..Sentinel::new(self.instance, newest) }).write(&self.dir) {
                    Ok(()) => (told, told_at) = (Some(newest), Instant::now()),
                    Err(error) => tracing::warn!(%error, "the sentinel beside the data file could not be renewed"),
                }
            }
            if is_over {
                return;
            }
        }
    }

    fn look_at_room(&self) {
        if self.reserve_mb == 0 {
            return;
        }
        let Ok(free_mb) = free_mb(&self.dir) else { return };
        let reserve = self.dir.join(RESERVE);
        let (was_low, had_reserve) = (self.is_low.load(Ordering::Acquire), reserve.exists());
        let verdict = judge(free_mb, self.reserve_mb, was_low, had_reserve);
        self.is_low.store(verdict.is_low, Ordering::Release);
        if verdict.is_low && !was_low {
            tracing::error!(free_mb, "the disk is nearly full: new sends are refused, receipts still come home");
        } else if was_low && !verdict.is_low {
            tracing::info!(free_mb, "there is room on the disk again: new sends are taken");
        }
        match (had_reserve, verdict.has_reserve) {
            (true, false) => {
                tracing::error!(free_mb, "the disk is full: the reserve is given back for what was sent already");
                let _ = fs::remove_file(&reserve);
            }
            // Half a reserve would be taken for a whole one.
            (false, true) if set_aside(&reserve, self.reserve_mb).is_err() => drop(fs::remove_file(&reserve)),
            _ => {}
        }
    }
}

/// Megabytes that whoever runs bluetick may still write.
fn free_mb(dir: &Path) -> std::io::Result<u64> {
    let found = rustix::fs::statvfs(dir)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize) / MB)
}

/// Real blocks: a file with holes would give nothing back.
fn set_aside(path: &Path, mb: u64) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    if rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, mb * MB).is_ok() {
        return file.sync_all();
    }
    // Not every file system can promise room without writing it.
    let block = vec![0xb1; MB as usize];
    for _ in 0..mb {
        file.write_all(&block)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_are_refused_before_the_reserve_is_given_back_and_nothing_flickers() {
        let verdicts = |frees: &[u64]| {
            let (mut was_low, mut has_reserve, mut seen) = (false, true, Vec::new());
            for free in frees {
                let Verdict { is_low, has_reserve: there } = judge(*free, 64, was_low, has_reserve);
                (was_low, has_reserve) = (is_low, there);
                seen.push((is_low, there));
            }
            seen
        };
        let filling = verdicts(&[500, 64, 63, 16, 15, 79]);
        assert_eq!(filling, [(false, true), (false, true), (true, true), (true, true), (true, false), (true, false)]);
        let emptying = verdicts(&[15, 100, 127, 128, 255, 256]);
        let wanted = [(true, false), (true, false), (true, false), (false, false), (false, false), (false, true)];
        assert_eq!(emptying, wanted);
    }

    #[test]
    fn the_reserve_takes_real_room() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("reserve");
        set_aside(&path, 2).expect("there is room for two megabytes");
        let blocks = fs::metadata(&path).expect("it is there").blocks();
        assert!(blocks * 512 >= 2 * MB, "{blocks} blocks");
    }
}
