//! Sums that change with every callback: those of contacts, and those of a day and of all time.
//!
//! A callback changes the sum of a random contact, and a random page of a large table is the dearest thing there is to
//! write. So a commit writes all its changes as one row of a log, and from time to time the log is folded into its table
//! at once. Invariant: a sum is its row in the table plus every change in the log, in every snapshot.

use std::collections::BTreeMap;

use redb::{Key, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::StoreError;
use super::codec::{decode, encode};
use super::memory::Memory;
use super::tables;
use crate::metrics::Cell;

/// One row of a log: the changes of one commit.
pub(super) type Changes<K> = Vec<(K, Cell)>;

/// The log of contacts is folded when it speaks of this many: enough that many fall onto one page, few enough that
/// reading the log stays a matter of milliseconds.
const MAX_CONTACTS: usize = 16_384;
/// The log of rollups is folded after this many commits: a page that shows them reads it whole.
const MAX_COMMITS: usize = 64;

/// What a log adds to its table.
#[derive(Debug)]
pub(super) struct Log<K> {
    /// By key; empty ones are left out.
    pub(super) cells: BTreeMap<K, Cell>,
    /// How many rows the log has.
    rows: usize,
}

impl<K> Default for Log<K> {
    fn default() -> Self {
        Self { cells: BTreeMap::new(), rows: 0 }
    }
}

impl<K: Ord + Copy> Log<K> {
    /// Takes a row in.
    pub(super) fn add(&mut self, changes: &[(K, Cell)]) {
        self.rows += 1;
        for (key, delta) in changes {
            let sum = self.cells.entry(*key).or_default();
            sum.merge(delta, 1);
            if sum.is_empty() {
                self.cells.remove(key);
            }
        }
    }

    /// Reads a whole log.
    pub(super) fn read(log: &impl ReadableTable<u64, &'static [u8]>) -> Result<Self, StoreError>
    where
        K: serde::de::DeserializeOwned,
    {
        let mut all = Self::default();
        for row in log.iter()? {
            all.add(&decode::<Changes<K>>(row?.1.value())?);
        }
        Ok(all)
    }
}

/// Folds the logs into their tables, if it is time.
pub(super) fn fold(txn: &WriteTransaction, memory: &mut Memory) -> Result<(), StoreError> {
    if memory.sums.cells.len() >= MAX_CONTACTS {
        fold_into(&mut txn.open_table(tables::SUMS)?, std::mem::take(&mut memory.sums))?;
        empty(txn, tables::SUM_LOG)?;
    }
    if memory.rollups.rows >= MAX_COMMITS {
        fold_into(&mut txn.open_table(tables::ROLLUPS)?, std::mem::take(&mut memory.rollups))?;
        empty(txn, tables::ROLLUP_LOG)?;
    }
    Ok(())
}

/// Takes all rows of a log away; the log itself stays, for readers of a commit that adds nothing to it.
fn empty(txn: &WriteTransaction, log: TableDefinition<u64, &'static [u8]>) -> Result<(), StoreError> {
    txn.delete_table(log)?;
    txn.open_table(log)?;
    Ok(())
}

fn fold_into<K>(table: &mut Table<'_, K, &'static [u8]>, log: Log<K>) -> Result<(), StoreError>
where
    K: Key + Copy + for<'a> redb::Value<SelfType<'a> = K> + 'static,
{
    for (key, delta) in log.cells {
        let mut cell = cell_of(table, key)?;
        cell.merge(&delta, 1);
        set_cell(table, key, &cell)?;
    }
    Ok(())
}

/// The cell of a table; an empty one if there is none.
pub(super) fn cell_of<K>(table: &impl ReadableTable<K, &'static [u8]>, key: K) -> Result<Cell, StoreError>
where
    K: Key + for<'a> redb::Value<SelfType<'a> = K> + 'static,
{
    let bytes = table.get(key)?;
    Ok(bytes.map(|bytes| decode(bytes.value())).transpose()?.unwrap_or_default())
}

/// Writes a cell; an empty one is not kept.
pub(super) fn set_cell<K>(table: &mut Table<'_, K, &'static [u8]>, key: K, cell: &Cell) -> Result<(), StoreError>
where
    K: Key + for<'a> redb::Value<SelfType<'a> = K> + 'static,
{
    match cell.is_empty() {
        true => drop(table.remove(key)?),
        false => drop(table.insert(key, encode(cell).as_slice())?),
    }
    Ok(())
}
