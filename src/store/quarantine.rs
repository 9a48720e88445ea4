//! Requests to the webhooks that were refused, sealed, for a day: so that whoever repairs the reason loses none of them.
//!
//! Invariant: nobody can make it grow: so many are kept, the newest, and none past its day. Nothing in it was ever let in, so
//! no backup has it.

use std::time::Duration;

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::batch::Batch;
use super::codec::{decode, encode};
use super::read::Snapshot;
use super::tables;
use super::verbs::Written;
use crate::clock::Time;
use crate::keyring::Sealed;

/// As many are kept.
pub const MAX_QUARANTINED: usize = 200;
/// As long as they are kept.
pub const QUARANTINE: Duration = Duration::from_secs(24 * 3_600);

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its number.
    pub seq: u64,
    /// When it came.
    pub at: Time,
    /// All of it, sealed.
    pub sealed: Sealed,
}

/// Keeps one; its number is the time it came, so that it does not have to be known before it is sealed.
pub(super) fn keep(batch: &mut Batch<'_>, seq: u64, sealed: Sealed) -> Result<Written, StoreError> {
    let now = batch.now;
    let table = batch.tables.quarantine.open()?;
    let oldest = now.minus(QUARANTINE);
    let mut gone = Vec::new();
    let mut count = 0;
    for row in table.iter()?.rev() {
        let (known, bytes) = row?;
        count += 1;
        if count >= MAX_QUARANTINED || decode::<Quarantined>(bytes.value())?.at < oldest {
            gone.push(known.value());
        }
    }
    for known in gone {
        table.remove(known)?;
    }
    table.insert(seq, encode(&Quarantined { seq, at: now, sealed }).as_slice())?;
    Ok(Written::Governed)
}

/// Those that were let in after all go, or those that are not wanted.
pub(super) fn release(batch: &mut Batch<'_>, numbers: &[u64]) -> Result<Written, StoreError> {
    let table = batch.tables.quarantine.open()?;
    let mut count = 0;
    for number in numbers {
        count += usize::from(table.remove(number)?.is_some());
    }
    Ok(Written::Forgotten(count))
}

/// Those whose day is over go.
pub(super) fn forget(batch: &mut Batch<'_>) -> Result<usize, StoreError> {
    let oldest = batch.now.minus(QUARANTINE);
    let table = batch.tables.quarantine.open()?;
    let mut gone = Vec::new();
    for row in table.iter()? {
        let (number, bytes) = row?;
        if decode::<Quarantined>(bytes.value())?.at < oldest {
            gone.push(number.value());
        }
    }
    for number in &gone {
        table.remove(number)?;
    }
    Ok(gone.len())
}

impl Snapshot {
    /// What is in quarantine, newest first.
    pub fn quarantine(&self, now: Time) -> Result<Vec<Quarantined>, StoreError> {
        let oldest = now.minus(QUARANTINE);
        let table = self.transaction().open_table(tables::QUARANTINED)?;
        let rows = table.iter()?.rev().map(|row| Ok(decode::<Quarantined>(row?.1.value())?));
        rows.filter(|row: &Result<_, StoreError>| row.as_ref().map_or(true, |row| row.at >= oldest)).collect()
    }
}
