//! Backups: the whole store in one sealed file, made beside the working house, and a data file made from one. The segments
//! of the archive stand beside the backups, once each: they never change.
//!
//! Invariant: a backup is listed only when it is whole and flushed, and so are the segments that belong to it. A restore makes a new data file beside and names it last;
//! it replaces none.
//! Not here: what a restored store does first (`store`, `jobs`).

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::archive::{self, Broken, Sealing, Shelf};
use crate::clock::Time;
use crate::store::{self, BadDump, Belonging, FILE, Head, Snapshot, StoreError};

/// What a backup's name ends in: `zstdcat` reads it.
const ENDING: &str = ".backup.zst";
/// The folder of the segments that belong to backups, beside them.
const SEGMENTS: &str = "segments";
/// The folder of backups inside the data folder, where no other is named.
pub const FOLDER: &str = "backups";

/// The `[backup]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The folder of the backups; else `backups` in the data folder. A copy on another machine is what survives a fire.
    pub dir: Option<PathBuf>,
    /// When a backup is made by itself, as a cron line in UTC: second minute hour day month weekday; empty for never.
    pub schedule: String,
    /// How many backups are kept: the oldest go when a new one is whole (1 to 1000).
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { dir: None, schedule: "0 30 3 * * *".to_owned(), keep: 14 }
    }
}

impl Options {
    /// Where backups are.
    pub fn folder(&self, data: &Path) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| data.join(FOLDER))
    }
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Where.
    pub path: PathBuf,
    /// How large.
    pub bytes: u64,
    /// What it says of itself.
    pub head: Head,
}

impl std::fmt::Display for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} bytes", self.path.file_name().unwrap_or_default().to_string_lossy(), self.bytes)
    }
}

/// Why there is no backup, or none that can be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Its file or folder cannot be used.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is damaged.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// It is none, or not whole.
    #[error("{0}: {1}")]
    Bad(PathBuf, BadDump),
    /// The work ended before its time.
    #[error("the backup was cut off: {0}")]
    CutOff(String),
    /// There is a data file already.
    #[error(
        "{0} is there already: a restore replaces nothing; name an empty folder with --data, or move that file away"
    )]
    InTheWay(PathBuf),
}

/// Makes a backup in a folder. `progress` hears how many of how many rows were written.
pub fn create(
    snapshot: &Snapshot,
    dir: &Path,
    now: Time,
    progress: impl FnMut(u64, u64),
) -> Result<Backup, BackupError> {
    use std::os::unix::fs::DirBuilderExt;
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| BackupError::File(path, error)
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
    sweep(dir);
    let path = dir.join(format!("bluetick-{}{ENDING}", stamp(now)));
    let mut sealing = Sealing::begin(&path).map_err(at(&path))?;
    let head = store::dump(snapshot, now, &mut sealing, progress)?;
    if !head.segments.is_empty() {
        let folder = dir.join(SEGMENTS);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(at(&folder))?;
        for segment in &head.segments {
            archive::copy(&snapshot.shelf().path(segment.number), &dir.join(place(segment)))?;
        }
    }
    sealing.flush().map_err(at(&path))?;
    let sealed = sealing.seal().map_err(at(&path))?;
    Ok(Backup { path, bytes: sealed.bytes, head })
}

/// Removes what a crash left half-made: it is no backup, and may hold what was erased since.
fn sweep(dir: &Path) {
    for folder in [dir.to_owned(), dir.join(SEGMENTS)] {
        let parts = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        for part in parts.filter(|path| path.extension().is_some_and(|ending| ending == "part")) {
            let _ = fs::remove_file(part);
        }
    }
}

/// Where a segment stands beside the backups it belongs to: a number may come twice after a restore, a checksum does not.
fn place(Belonging { number, sha256 }: &Belonging) -> PathBuf {
    let sum = sha256.get(..16).unwrap_or(sha256);
    Path::new(SEGMENTS).join(format!("segment-{number:06}-{sum}.jsonl.zst"))
}

/// Makes a backup, and removes the oldest one too many. Whoever comes while one is being made waits for it.
pub fn renew(snapshot: &Snapshot, dir: &Path, keep: usize, now: Time) -> Result<Backup, BackupError> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let made = create(snapshot, dir, now, |_, _| ())?;
    prune(dir, keep)?;
    Ok(made)
}

/// `20261125T233600.123Z`, so that names sort by time.
fn stamp(now: Time) -> String {
    now.to_string().chars().filter(|letter| !matches!(letter, '-' | ':')).collect()
}

/// The backups of a folder, newest first; those that cannot be read are left out.
pub fn list(dir: &Path) -> Result<Vec<Backup>, BackupError> {
    let mut paths = paths(dir)?;
    paths.sort_unstable_by(|one, other| other.cmp(one));
    Ok(paths.into_iter().filter_map(|path| glance(path).ok()).collect())
}

fn paths(dir: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| BackupError::File(dir.to_owned(), error))?,
    };
    let is_backup = |path: &PathBuf| path.to_string_lossy().ends_with(ENDING) && archive::checksum_of(path).exists();
    Ok(entries.flatten().map(|entry| entry.path()).filter(is_backup).collect())
}

/// A backup's own words, without looking at the rest of it.
fn glance(path: PathBuf) -> Result<Backup, BackupError> {
    let file = |error| BackupError::File(path.clone(), error);
    let bytes = fs::metadata(&path).map_err(file)?.len();
    let head = archive::peek(&path, |input| store::read_head(input)).map_err(file)?;
    let head = head.map_err(|error| BackupError::Bad(path.clone(), error))?;
    Ok(Backup { path, bytes, head })
}

/// Whether a backup is whole: every byte against its checksum, and every row as a restore would read it.
pub fn verify(path: &Path) -> Result<Backup, BackupError> {
    let head = store::inspect(&mut archive::open(path)?).map_err(|error| BackupError::Bad(path.to_owned(), error))?;
    for segment in &head.segments {
        let file = path.with_file_name("").join(place(segment));
        // To its end, so that every frame proves itself too.
        std::io::copy(&mut archive::open(&file)?, &mut std::io::sink())
            .map_err(|error| BackupError::File(file.clone(), error))?;
        if archive::checksum(&file)? != segment.sha256 {
            return Err(Broken::Damaged(file).into());
        }
    }
    let bytes = fs::metadata(path).map_err(|error| BackupError::File(path.to_owned(), error))?.len();
    Ok(Backup { path: path.to_owned(), bytes, head })
}

/// Makes the data file of a folder that has none.
pub fn restore(path: &Path, dir: &Path, now: Time) -> Result<Backup, BackupError> {
    use std::os::unix::fs::DirBuilderExt;
    let backup = verify(path)?;
    let in_folder = |error| BackupError::File(dir.to_owned(), error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(in_folder)?;
    let file = dir.join(FILE);
    if file.exists() {
        return Err(BackupError::InTheWay(file));
    }
    if !backup.head.segments.is_empty() {
        let shelf = Shelf::beside(dir);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(shelf.dir()).map_err(in_folder)?;
        for segment in &backup.head.segments {
            let (from, to) = (path.with_file_name("").join(place(segment)), shelf.path(segment.number));
            // A restore replaces nothing, segments neither.
            if to.exists() && archive::checksum(&to).map_or(true, |sum| sum != segment.sha256) {
                return Err(BackupError::InTheWay(to));
            }
            archive::copy(&from, &to)?;
        }
    }
    store::load(&mut archive::open(path)?, dir, now).map_err(|error| BackupError::Bad(path.to_owned(), error))?;
    Ok(backup)
}

/// Removes the oldest backups of a folder; says how many went.
pub fn prune(dir: &Path, keep: usize) -> Result<usize, BackupError> {
    let mut removed = 0;
    for backup in list(dir)?.into_iter().skip(keep.max(1)) {
        // Without its checksum it is no backup any more, should a crash come between the two.
        for path in [archive::checksum_of(&backup.path), backup.path] {
            fs::remove_file(&path).map_err(|error| BackupError::File(path.clone(), error))?;
        }
        removed += 1;
    }
    if removed > 0 {
        prune_segments(dir)?;
    }
    Ok(removed)
}

/// Removes the segments that belong to no backup any more.
fn prune_segments(dir: &Path) -> Result<(), BackupError> {
    let folder = dir.join(SEGMENTS);
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(()) };
    let mut kept = BTreeSet::new();
    for path in paths(dir)? {
        // Of one that cannot be read, nobody knows what belongs to it: then everything stays.
        kept.extend(glance(path)?.head.segments.iter().map(|segment| dir.join(place(segment))));
    }
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_segment = path.extension().is_some_and(|ending| ending == "zst");
        if is_segment && !kept.contains(&path) {
            for path in [archive::checksum_of(&path), path] {
                fs::remove_file(&path).map_err(|error| BackupError::File(path.clone(), error))?;
            }
        }
    }
    Ok(())
}
