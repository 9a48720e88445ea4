//! Files that are whole or not there: compressed, written aside, flushed, named last, and proven by a checksum beside them.
//! And the shelf of those that hold old messages.
//!
//! Invariant: a file with its name has been flushed, and so has its checksum. What a crash leaves behind has another name.
//! A segment never changes: what goes out of it goes into a new one, with another number.
//! Not here: which messages are where (`store`), and when they move (`jobs`).

mod seal;
mod segment;
mod shelf;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use seal::{Broken, Sealed, Sealing, checksum, checksum_of, copy, open, peek, sync_folder_of};
pub use segment::{Head, MAX_MESSAGES, Segment, Writing};
pub use shelf::{Lease, Shelf, Shelved};

/// The folder of segments inside the data folder, where no other is named.
const FOLDER: &str = "archive";

/// The `[archive]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The folder of the segments; else `archive` in the data folder.
    pub dir: Option<PathBuf>,
    /// Days after its last change until a message at its end moves to the archive (1 to 3650).
    pub after_days: u32,
    /// When they move, as a cron line in UTC: second minute hour day month weekday; empty for never.
    pub schedule: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { dir: None, after_days: 90, schedule: "0 0 4 * * SUN".to_owned() }
    }
}

impl Options {
    /// Where segments are.
    pub fn folder(&self, data: &Path) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| data.join(FOLDER))
    }
}
