//! A data file that counts what is asked of it, so that a commit's time can be told apart: work, writes, flushes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use redb::StorageBackend;

/// What was asked of the file since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Toll {
    pub(crate) writes: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) write_ns: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) flush_ns: AtomicU64,
}

/// The file; with `is_durable` off, it is never flushed: what the disk itself costs is the difference.
#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
    is_durable: bool,
    toll: Arc<Toll>,
}

impl Disk {
    pub(crate) fn open(path: &Path, is_durable: bool) -> io::Result<(Self, Arc<Toll>)> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let toll = Arc::<Toll>::default();
        Ok((Self { file, is_durable, toll: Arc::clone(&toll) }, toll))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.toll.reads.fetch_add(1, Ordering::Relaxed);
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let begun = Instant::now();
        if self.is_durable {
            self.file.sync_data()?;
        }
        self.toll.flushes.fetch_add(1, Ordering::Relaxed);
        self.toll.flush_ns.fetch_add(elapsed_ns(begun), Ordering::Relaxed);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let begun = Instant::now();
        self.file.write_all_at(data, offset)?;
        self.toll.writes.fetch_add(1, Ordering::Relaxed);
        self.toll.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        self.toll.write_ns.fetch_add(elapsed_ns(begun), Ordering::Relaxed);
        Ok(())
    }
}

fn elapsed_ns(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
