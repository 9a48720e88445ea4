//! The data file itself: made, opened, written anew and closed.
//!
//! Invariant: a file has its name only when it is whole. A folder that has had a data file opens no empty, older or other one
//! in its place.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Weak};

use redb::Database;

use super::StoreError;
use super::commit::Store;
use super::rewrite;
use super::sentinel::Sentinel;
use super::verbs::Rewritten;
use crate::archive::Shelf;

/// How often closing waits for a reader that is just beginning: each holds the file for microseconds.
const CLOSING: usize = 10_000;

impl Store {
    /// Opens the data file at `path`, or makes it.
    ///
    /// A folder that has had a data file opens no empty, older or other one in its place.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        let dir = path.parent().unwrap_or(Path::new("."));
        let sentinel = Sentinel::read(dir)?;
        if let Some(sentinel) = &sentinel {
            sentinel.check_there(dir)?;
        }
        // After a failed flush the kernel may show pages that never reached the disk: what is read must come from there,
        // unless the last stop says that all was well.
        if let (Some(Sentinel { is_closed: false, .. }), Ok(file)) = (&sentinel, std::fs::File::open(path)) {
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
        if !path.exists() {
            make(path)?;
        }
        let db = Database::builder().set_cache_size(cache_bytes).create(path);
        let db = db.map_err(|error| unopened(path, error))?;
        // What a crash left of a file that was being written anew.
        let _ = std::fs::remove_file(path.with_extension(rewrite::ENDING));
        let file = Some((path.to_owned(), cache_bytes));
        let mut store = Self::over(db)?.with_shelf(Arc::new(Shelf::beside(dir)));
        store.file = file;
        if let Some(sentinel) = &sentinel {
            sentinel.check_same(&Sentinel::new(store.instance, store.newest_event()), dir)?;
        }
        Ok(store)
    }

    /// Writes the data file anew. If that fails, the old one goes on. `moved` is told where readers find the new one before
    /// the old one can be gone.
    pub(super) fn rewrite(&mut self, moved: impl FnOnce(Weak<Database>)) -> Result<Rewritten, StoreError> {
        let Some((path, cache_bytes)) = &self.file else {
            return Err(StoreError::Disk("what is kept in memory cannot be written anew".to_owned()));
        };
        let (db, before, after) = rewrite::rewrite(&self.db, path, *cache_bytes)?;
        let old = std::mem::replace(&mut self.db, Arc::new(db));
        moved(self.database());
        self.shelf.drop_unread(Box::new(old));
        Ok(Rewritten { before, after })
    }

    /// Closes the file, so that the next start need not look it through; says if that failed.
    pub fn close(self) -> Result<(), StoreError> {
        let mut db = self.db;
        // Whoever begins to read at this moment holds it a little longer.
        for _ in 0..CLOSING {
            match Arc::try_unwrap(db) {
                Ok(db) => return Ok(db.close()?),
                Err(shared) => db = shared,
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

/// Makes a data file: it has its name only when it is whole, or a start that was cut off would leave one that no start opens.
fn make(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    Store::over(Database::builder().set_cache_size(1 << 20).create(&new)?)?.close()?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
    std::fs::File::open(&new)?.sync_all()?;
    // Unlike a renaming, a link replaces nothing: another process may have been quicker. Some disks know no links.
    match std::fs::hard_link(&new, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => std::fs::rename(&new, path)?,
        _ => std::fs::remove_file(&new)?,
    }
    std::fs::File::open(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
        .sync_all()?;
    Ok(())
}

/// Why a file cannot be opened, by what can be done about it.
pub(super) fn unopened(path: &Path, error: redb::DatabaseError) -> StoreError {
    match error {
        redb::DatabaseError::DatabaseAlreadyOpen => StoreError::Taken,
        redb::DatabaseError::Storage(redb::StorageError::Corrupted(words)) => damaged(path, &words),
        redb::DatabaseError::Storage(redb::StorageError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
            damaged(path, &error.to_string())
        }
        error => error.into(),
    }
}

/// A file that is no data file, or not a whole one: starting again does not help.
fn damaged(path: &Path, words: &str) -> StoreError {
    StoreError::WrongFile(format!(
        "{} is damaged or no data file of bluetick ({words}): move it away, then restore a backup (bluetick backup restore)",
        path.display()
    ))
}
