//! Everything that lasts: one data file, one writer, any number of readers.
//!
//! Invariant: an answer is given only after the commit it stands for is on disk (P1). A record, its index rows, its share
//! of the numbers, its journal and the events it gives rise to are one transaction: there is no second step to lose.
//! Not here: any rule about messages. Nothing outside this room knows redb.

mod acts;
mod ageing;
mod agenda;
mod ask;
mod batch;
mod claim;
mod codec;
mod commit;
mod consequences;
mod dump;
mod footprint;
mod forget;
mod keeper;
mod listening;
mod listing;
mod mailbox;
mod memory;
mod opening;
mod pairs;
mod people;
mod quarantine;
mod read;
mod report;
mod restored;
mod rewrite;
mod secrets;
mod sentinel;
mod shelving;
mod steer;
mod sums;
mod tables;
mod trust;
mod upgrade;
mod upkeep;
mod verbs;
mod verify;
mod writer;

use serde::{Deserialize, Serialize};

pub use acts::{Act, Before, Ending, Govern, Opening, Sessions, Shown, Use, Used};
pub use codec::{SCHEMA, Unreadable, decode, encode};
pub use commit::Store;
pub use dump::{BadDump, Belonging, Head, dump, inspect, load, read_head};
pub use listening::Listening;
pub use listing::{Filter, Page};
pub use quarantine::{MAX_QUARANTINED, QUARANTINE, Quarantined};
pub use read::{Person, Snapshot};
pub use restored::Restored;
pub use secrets::{Locks, NeededKeys, Rotation, RotationStep};
pub use tables::Tier;
pub use upgrade::{Outdated, Peek};
pub use upkeep::{Run, Upkeep};
pub use verbs::{
    Accept, Asked, Claim, Claimed, Direction, Doubt, Erased, Heard, IdempotencyKey, Inbound, Listened, Old, OptingOut,
    Place, Recorded, Recover, Report, Retry, Rewritten, Settle, Shelve, Steer, Turn, Write, Written,
};
pub use verify::{Difference, Findings, verify};
pub use writer::{Handle, Wake, run, start};

/// How long an Idempotency-Key is remembered.
pub const KEY_KEPT: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3_600);

/// The name of the data file in its folder.
pub const FILE: &str = "bluetick.redb";

/// How the store is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The folder of the data file; made if it is not there.
    pub dir: std::path::PathBuf,
    /// Megabytes of memory for pages of the data file (16 to 65536). More than 256 buys little.
    pub cache_mb: usize,
    /// Writes that may wait for the next commit (64 to 65536); beyond that callers are told to come again (503).
    pub queue: usize,
    /// Megabytes of the disk that are set aside for receipts when it is full (0 to 4096; 0 sets nothing aside). With less
    /// room than this left, new sends are refused (507) while receipts still come home.
    pub reserve_mb: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { dir: "data".into(), cache_mb: 128, queue: 4_096, reserve_mb: 64 }
    }
}

/// Why nothing was written, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too many writes wait already: come again in a moment.
    #[error("the store is busy: {0} writes wait already")]
    Full(usize),
    /// bluetick is stopping, or has stopped writing because the disk failed.
    #[error("the store is closed")]
    Closed,
    /// There is little room left on the disk: what comes home still fits, new sends do not.
    #[error("the disk is nearly full")]
    NoSpace,
    /// The data file is not the one that belongs here, or its folder cannot be used.
    #[error("{0}")]
    WrongFile(String),
    /// A message in the archive cannot be read.
    #[error("the archive cannot be read: {0}")]
    Archive(String),
    /// Another process has the data file open.
    #[error("the data file is in use by another bluetick: stop that one, or choose another store.dir")]
    Taken,
    /// The disk failed, or the file is damaged: nothing of the batch was written.
    #[error("the data file cannot be read or written: {0}")]
    Disk(String),
}

impl From<crate::archive::Broken> for StoreError {
    fn from(error: crate::archive::Broken) -> Self {
        Self::Archive(error.to_string())
    }
}

macro_rules! disk_errors {
    ($($error:ty),*) => {
        $(impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Disk(error.to_string())
            }
        })*
    };
}

disk_errors!(
    redb::Error,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError,
    redb::SetDurabilityError,
    Unreadable,
    std::io::Error
);
