//! The sums of contacts: what each person's messages add up to.
//!
//! A callback changes the sum of a random contact, and a random page of a large table is the dearest thing there is to
//! write. So a commit writes all its changes as one row of a log, and when the log speaks of many contacts it is folded
//! into the table at once. Invariant: a contact's sum is its row in the table plus every change in the log, in every
//! snapshot.

use redb::{ReadableTable, WriteTransaction};

use super::StoreError;
use super::codec::{decode, encode};
use super::memory::Memory;
use super::tables;
use crate::metrics::Cell;

/// One row of the log: the changes of one commit.
pub(super) type Changes = Vec<(u64, Cell)>;

/// The log is folded when it speaks of this many contacts: enough that many fall onto one page, few enough that reading
/// the log stays a matter of milliseconds.
const MAX_UNFOLDED: usize = 16_384;

/// Folds the log into the table, if it is time.
pub(super) fn fold(txn: &WriteTransaction, memory: &mut Memory) -> Result<(), StoreError> {
    if memory.unfolded.len() < MAX_UNFOLDED {
        return Ok(());
    }
    let mut sums = txn.open_table(tables::SUMS)?;
    for (contact, delta) in std::mem::take(&mut memory.unfolded) {
        let mut sum = sum_of(&sums, contact)?;
        sum.merge(&delta, 1);
        match sum.is_empty() {
            true => drop(sums.remove(contact)?),
            false => drop(sums.insert(contact, encode(&sum).as_slice())?),
        }
    }
    txn.delete_table(tables::SUM_LOG)?;
    Ok(())
}

/// What the log adds to the table, by contact.
pub(super) fn recall(log: &impl ReadableTable<u64, &'static [u8]>, memory: &mut Memory) -> Result<(), StoreError> {
    memory.unfolded.clear();
    for row in log.iter()? {
        let changes: Changes = decode(row?.1.value())?;
        for (contact, delta) in changes {
            memory.unfold(contact, &delta);
        }
    }
    Ok(())
}

/// A contact's row in the table.
pub(super) fn sum_of(sums: &impl ReadableTable<u64, &'static [u8]>, contact: u64) -> Result<Cell, StoreError> {
    let bytes = sums.get(contact)?;
    Ok(bytes.map(|bytes| decode(bytes.value())).transpose()?.unwrap_or_default())
}
