//! What is done from time to time, as the store remembers it: the last run of each, and since when somebody wants one.
//! Not here: when it is due, and what it does (`jobs`).

use std::time::Duration;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::batch::Batch;
use super::codec::encode;
use super::verbs::Written;
use crate::clock::Time;

/// Something that is done from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Upkeep {
    /// What is too old is forgotten.
    Retention,
    /// Old messages move to the archive.
    Archive,
    /// The data file is written anew.
    Rewrite,
    /// Everything is backed up.
    Backup,
    /// It is said which secrets are due, and those of bluetick's own are rotated.
    Reminders,
}

impl Upkeep {
    /// Its name in the API, and in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Archive => "archive",
            Self::Rewrite => "rewrite",
            Self::Backup => "backup",
            Self::Reminders => "reminders",
        }
    }
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it began.
    pub at: Time,
    /// How long it took.
    pub took: Duration,
    /// What it did, or why it failed, in words.
    pub outcome: Result<String, String>,
}

/// Writes a run down. Who asked while it ran is not served yet.
pub(super) fn ran(batch: &mut Batch<'_>, upkeep: Upkeep, run: &Run) -> Result<Written, StoreError> {
    batch.tables.runs.open()?.insert(upkeep.as_str(), encode(run).as_slice())?;
    let wanted = batch.tables.wanted.open()?;
    if wanted.get(upkeep.as_str())?.is_some_and(|since| since.value() <= run.at.0) {
        wanted.remove(upkeep.as_str())?;
    }
    Ok(Written::Ran)
}

/// Somebody wants a run.
pub(super) fn want(batch: &mut Batch<'_>, upkeep: Upkeep) -> Result<Written, StoreError> {
    let now = batch.now;
    batch.tables.wanted.open()?.insert(upkeep.as_str(), now.0)?;
    batch.memory().is_wanted = true;
    Ok(Written::Wanted(now))
}
