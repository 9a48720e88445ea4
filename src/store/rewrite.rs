//! The data file written anew: without free pages, in which old bytes stay, and no larger than what is in it.
//!
//! Invariant: the new file takes the old one's place in one step, when it is whole and flushed. Whoever reads goes on
//! reading the old one, which is gone when they are done.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use redb::{Database, Durability, ReadTransaction, ReadableTable, TableDefinition};

use super::StoreError;
use super::commit::{begin, begin_read};
use super::forget::UNWRITTEN;
use super::tables::{self, EachTable};

/// What the new file is called until it is whole.
pub(super) const ENDING: &str = "rewriting";
/// Rows that are written at once: so much memory it takes, however many there are.
const ROWS: usize = 5_000;
/// And so much for pages, until the new file is in use.
const CACHE_BYTES: usize = 32 << 20;

/// Makes the new file beside the old one and puts it in its place; says how large both are.
pub(super) fn rewrite(old: &Database, path: &Path, cache_bytes: usize) -> Result<(Database, u64, u64), StoreError> {
    let new_path = path.with_extension(ENDING);
    let _ = std::fs::remove_file(&new_path);
    let finish = || -> Result<(Database, u64, u64), StoreError> {
        copy(old, &new_path)?;
        std::fs::set_permissions(&new_path, Permissions::from_mode(0o600))?;
        File::open(&new_path)?.sync_all()?;
        let db = Database::builder().set_cache_size(cache_bytes).open(&new_path)?;
        let (before, after) = (std::fs::metadata(path)?.len(), std::fs::metadata(&new_path)?.len());
        std::fs::rename(&new_path, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        Ok((db, before, after))
    };
    finish().inspect_err(|_| {
        let _ = std::fs::remove_file(&new_path);
    })
}

fn copy(old: &Database, path: &Path) -> Result<(), StoreError> {
    let db = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
    let txn = begin_read(old)?;
    tables::each(&mut Copying { from: &txn, to: &db })?;
    let txn = begin(&db)?;
    txn.open_table(tables::META)?.remove(UNWRITTEN)?;
    txn.commit()?;
    Ok(db.close()?)
}

struct Copying<'a> {
    from: &'a ReadTransaction,
    to: &'a Database,
}

impl EachTable for Copying<'_> {
    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), StoreError> {
        let table = self.from.open_table(definition)?;
        let mut rows = table.iter()?;
        loop {
            let mut txn = self.to.begin_write()?;
            txn.set_durability(Durability::None)?;
            let mut copied = 0;
            {
                let mut to = txn.open_table(definition)?;
                for row in rows.by_ref().take(ROWS) {
                    let (key, value) = row?;
                    to.insert(key.value(), value.value())?;
                    copied += 1;
                }
            }
            txn.commit()?;
            if copied < ROWS {
                return Ok(());
            }
        }
    }
}
