//! A disk that keeps its promises and no more: what was flushed is there after the power fails, and of the rest any part
//! may be.
//!
//! Promised, as redb asks of a disk: a flush that returned is kept; single bytes are written whole. Not promised: that
//! writes reach the disk in order, that a write arrives in one piece (it tears at 512 bytes, and at single bytes in the
//! header page), or that a file which grew stays grown.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use redb::StorageBackend;

/// Disks write sectors of this size in one piece.
const SECTOR: usize = 512;
/// The header page, whose fields redb expects to be torn byte by byte.
const HEADER: u64 = 320;

/// One file on the disk. Clones are the same file, until the power fails.
#[derive(Clone, Debug)]
pub(crate) struct TornDisk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    /// What every read sees.
    file: Vec<u8>,
    /// What is kept whatever happens.
    flushed: Vec<u8>,
    /// What was done since, in order.
    pending: Vec<Change>,
    /// After so many more operations the power fails.
    fuel: Option<u64>,
    is_off: bool,
    /// The flush with this number fails: the first or all from then on.
    refused_flush: Option<(u64, bool)>,
    /// For the write with this number there is no room.
    refused_write: Option<u64>,
    looks: Option<Looks>,
}

/// When the disk is looked at as a power failure would leave it.
#[derive(Debug)]
struct Looks {
    /// The operations before which it is, the next one last.
    moments: Vec<u64>,
    done: u64,
    dice: StdRng,
    /// How many commits were answered.
    answered: Arc<AtomicUsize>,
    images: Vec<(TornDisk, usize)>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let (from, to) = (*offset as usize, *offset as usize + data.len());
                if file.len() < to {
                    file.resize(to, 0);
                }
                file[from..to].copy_from_slice(data);
            }
            Self::Length(length) => file.resize(*length as usize, 0),
        }
    }
}

impl TornDisk {
    /// An empty file.
    pub(crate) fn new() -> Self {
        Self::holding(Vec::new())
    }

    /// A file with these bytes, all of them flushed.
    pub(crate) fn holding(file: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Platter { flushed: file.clone(), file, ..Platter::default() })))
    }

    /// The power fails after so many more writes, flushes and changes of length.
    pub(crate) fn fail_after(&self, operations: u64) {
        self.platter().fuel = Some(operations);
    }

    /// The flush with this number from now on fails, and if that is for good, all that come after it.
    pub(crate) fn refuse_flush(&self, number: u64, is_for_good: bool) {
        self.platter().refused_flush = Some((number, is_for_good));
    }

    /// For the write with this number from now on there is no room, nor for those after it.
    pub(crate) fn refuse_write(&self, number: u64) {
        self.platter().refused_write = Some(number);
    }

    /// Before these operations from now on, in ascending order, the disk is looked at as a power failure would leave it.
    pub(crate) fn look_at(&self, mut moments: Vec<u64>, dice: StdRng, answered: Arc<AtomicUsize>) {
        moments.reverse();
        self.platter().looks = Some(Looks { moments, done: 0, dice, answered, images: Vec::new() });
    }

    /// What was seen, each with how many commits were answered by then.
    pub(crate) fn take_images(&self) -> Vec<(Self, usize)> {
        self.platter().looks.take().map(|looks| looks.images).unwrap_or_default()
    }

    /// Whether the power has failed.
    pub(crate) fn is_off(&self) -> bool {
        self.platter().is_off
    }

    /// What the file holds.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.platter().file.clone()
    }

    /// The process is killed: nothing more is written, and everything that was is there.
    pub(crate) fn kill(&self) -> Self {
        let mut platter = self.platter();
        platter.is_off = true;
        Self::holding(platter.file.clone())
    }

    /// The power fails: what was flushed is there, and any part of what was not.
    pub(crate) fn cut(&self, dice: &mut StdRng) -> Self {
        let mut platter = self.platter();
        platter.is_off = true;
        Self::holding(platter.torn(dice))
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let mut platter = self.platter();
        platter.step()?;
        if let Some(number) = &mut platter.refused_write {
            *number = number.saturating_sub(1);
            if *number == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        change.apply(&mut platter.file);
        platter.pending.push(change);
        Ok(())
    }
}

/// Writes a random part of the pieces of a write.
fn tear(offset: u64, data: &[u8], kept: f64, dice: &mut StdRng, file: &mut Vec<u8>) {
    let mut at = 0;
    while at < data.len() {
        let here = offset + at as u64;
        let piece = if here < HEADER { 1 } else { SECTOR - (here as usize % SECTOR) }.min(data.len() - at);
        if dice.random_bool(kept) {
            Change::Write(here, data[at..at + piece].to_vec()).apply(file);
        }
        at += piece;
    }
}

impl Platter {
    /// What a power failure would leave.
    fn torn(&self, dice: &mut StdRng) -> Vec<u8> {
        let mut file = self.flushed.clone();
        // Some disks lose nearly everything, others nearly nothing.
        let kept = [0.0, 0.1, 0.5, 0.9, 1.0][dice.random_range(0..5)];
        for change in &self.pending {
            match change {
                Change::Length(_) if dice.random_bool(kept) => change.apply(&mut file),
                Change::Length(_) => {}
                Change::Write(offset, data) => tear(*offset, data, kept, dice, &mut file),
            }
        }
        file
    }

    fn look(&mut self) {
        let Some(mut looks) = self.looks.take() else { return };
        while looks.moments.last() == Some(&looks.done) {
            looks.moments.pop();
            let image = TornDisk::holding(self.torn(&mut looks.dice));
            looks.images.push((image, looks.answered.load(Ordering::SeqCst)));
        }
        looks.done += 1;
        self.looks = Some(looks);
    }

    fn step(&mut self) -> io::Result<()> {
        self.look();
        match &mut self.fuel {
            Some(0) => self.is_off = true,
            Some(fuel) => *fuel -= 1,
            None => {}
        }
        self.check()
    }

    fn check(&self) -> io::Result<()> {
        if self.is_off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }
}

impl StorageBackend for TornDisk {
    fn len(&self) -> io::Result<u64> {
        let platter = self.platter();
        platter.check()?;
        Ok(platter.file.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.platter();
        platter.check()?;
        let from = offset as usize;
        let bytes = platter.file.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.platter();
        platter.step()?;
        if let Some((number, is_for_good)) = platter.refused_flush {
            platter.refused_flush =
                if number > 1 { Some((number - 1, is_for_good)) } else { is_for_good.then_some((1, true)) };
            if number == 1 {
                return Err(io::Error::other("the flush failed"));
            }
        }
        let Platter { flushed, pending, .. } = &mut *platter;
        for change in pending.drain(..) {
            change.apply(flushed);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset, data.to_vec()))
    }
}

/// A number below `most`, small ones more likely: the first operations of a commit are as interesting as all the others.
pub(crate) fn soon(most: u64, dice: &mut impl Rng) -> u64 {
    let bound = dice.random_range(1..=most.max(1));
    dice.random_range(0..bound)
}
