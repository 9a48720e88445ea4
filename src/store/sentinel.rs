//! What a folder remembers of its data file, so that an empty, an older or another one in its place is not taken for it.
//!
//! Invariant: it never says more than is on disk in the data file. It is rewritten every few seconds and at the end, whole
//! or not at all.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::{FILE, StoreError};

/// Its name beside the data file.
const NAME: &str = "bluetick.sentinel";

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sentinel {
    /// The name the data file was given when it was made, in hex.
    pub(super) instance: String,
    /// The number of an event that is in it.
    pub(super) last_event: u64,
    /// Whether the data file was closed in peace, and not opened since.
    #[serde(default)]
    pub(super) is_closed: bool,
}

impl Sentinel {
    pub(super) fn new(instance: [u8; 16], last_event: u64) -> Self {
        Self { instance: HEXLOWER.encode(&instance), last_event, is_closed: false }
    }

    /// What the folder remembers, if anything.
    pub(super) fn read(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = dir.join(NAME);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let unreadable = |error| {
            let file = path.display();
            StoreError::WrongFile(format!(
                "{file} cannot be read ({error}): if you know the data file is right, remove it"
            ))
        };
        serde_json::from_str(&text).map(Some).map_err(unreadable)
    }

    /// Before the data file is opened: it must not be missing or empty, or opening would make a new one.
    pub(super) fn check_there(&self, dir: &Path) -> Result<(), StoreError> {
        let path = dir.join(FILE);
        match fs::metadata(&path) {
            Ok(found) if found.len() > 0 => Ok(()),
            _ => Err(self.refuse(dir, "is missing or empty")),
        }
    }

    /// After it is opened: it must be the same one, and not an older copy of it.
    pub(super) fn check_same(&self, found: &Self, dir: &Path) -> Result<(), StoreError> {
        if found.instance != self.instance {
            return Err(self.refuse(dir, "is another one, or was made anew"));
        }
        if found.last_event < self.last_event {
            let words = format!("ends at event {} and is older than the last one in use", found.last_event);
            return Err(self.refuse(dir, &words));
        }
        Ok(())
    }

    fn refuse(&self, dir: &Path, what: &str) -> StoreError {
        let (file, sentinel) = (dir.join(FILE), dir.join(NAME));
        StoreError::WrongFile(format!(
            "the data file {} {what}: this folder had one that reached event {}, and going on would forget what was \
             promised since. Put the right file back, or restore a backup (bluetick backup restore, into a folder without a data \
             file); or, to go on with what is here all the same, remove {}",
            file.display(),
            self.last_event,
            sentinel.display()
        ))
    }

    /// Forgets whatever file the folder had.
    pub(super) fn forget(dir: &Path) -> std::io::Result<()> {
        match fs::remove_file(dir.join(NAME)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes it down, whole or not at all.
    pub(super) fn write(&self, dir: &Path) -> std::io::Result<()> {
        let (path, new) = (dir.join(NAME), dir.join("bluetick.sentinel.new"));
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(dir)?.sync_all()
    }
}
