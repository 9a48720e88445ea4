//! API keys and the audit log: what somebody may do, and what was done, in one commit.
//!
//! Invariant: what is written here stands in the audit log, in the same transaction; rows of the log are numbered without
//! gaps, and each holds the hash of the one before.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::acts::{Act, Govern, Use, Used};
use super::batch::Batch;
use super::codec::{decode, encode};
use super::people;
use super::read::Snapshot;
use super::secrets;
use super::tables;
use super::verbs::Written;
use super::verify::Findings;
use crate::audit::{Actor, Deed, Entry};
use crate::clock::Time;
use crate::event::Told;
use crate::keyring::{ApiKey, KeyId};

/// Where the ends of the audit log stand.
pub(super) const ENDS: &str = "audit";
/// Rows that are forgotten in one commit.
const MAX_ROWS: usize = 1_000;

/// The ends of the audit log: what is missing at either of them shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ends {
    /// The number of the oldest row.
    oldest: u64,
    /// The hash before it.
    before: [u8; 32],
    /// The number of the next row.
    next: u64,
    /// The hash of the newest.
    head: [u8; 32],
}

impl Ends {
    pub(super) fn read(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Self, StoreError> {
        let known = meta.get(ENDS)?.map(|bytes| decode(bytes.value())).transpose()?;
        Ok(known.unwrap_or(Self { oldest: 1, next: 1, ..Self::default() }))
    }
}

/// Does something that belongs into the audit log.
pub(super) fn govern(batch: &mut Batch<'_>, govern: Govern) -> Result<Written, StoreError> {
    let Govern { by, act, deed } = govern;
    let done = match act {
        Act::Nothing => true,
        Act::KeepKey { key, expected } => keep_key(batch, &key, expected)?,
        Act::KeepSecrets { kind, ring, expected, rotation } => {
            let is_kept = secrets::keep(batch, kind, &ring, &expected)?;
            if let Some(rotation) = rotation.filter(|_| is_kept) {
                secrets::rotate(batch, rotation.as_ref().as_ref())?;
            }
            is_kept
        }
        Act::GiveUpVault => secrets::give_up(batch)?,
        Act::Remind(what) => {
            batch.tell(Some(Told::SecretDue { what }))?;
            true
        }
        Act::Lock { locks, expected } => secrets::lock(batch, &locks, expected)?,
        Act::KeepFirst(user) => people::keep_first(batch, &user)?,
        Act::KeepUser { user, expected, ending } => people::keep(batch, *user, expected, ending)?,
        Act::RemoveUser { name, expected } => people::remove(batch, &name, expected)?,
        Act::OpenSession(opening) => people::open(batch, *opening)?,
        Act::EndSessions(sessions) => people::end(batch, &sessions)?,
    };
    if !done {
        return Ok(Written::Stale);
    }
    note(batch, by, deed)?;
    Ok(Written::Governed)
}

/// Writes a row of the log.
fn note(batch: &mut Batch<'_>, by: Actor, deed: Deed) -> Result<(), StoreError> {
    let now = batch.now;
    let meta = batch.tables.meta.open()?;
    let ends = Ends::read(meta)?;
    let entry = Entry::after(ends.head, ends.next, now, by, deed);
    let ends = Ends { next: ends.next + 1, head: entry.hash, ..ends };
    meta.insert(ENDS, encode(&ends).as_slice())?;
    batch.tables.audit.open()?.insert(entry.seq, encode(&entry).as_slice())?;
    Ok(())
}

/// Keeps a key, unless somebody changed it meanwhile; what is counted of its use goes on.
fn keep_key(batch: &mut Batch<'_>, key: &ApiKey, expected: Option<u32>) -> Result<bool, StoreError> {
    let keys = batch.tables.api_keys.open()?;
    let known = keys.get(key.id.0)?.map(|bytes| decode::<ApiKey>(bytes.value())).transpose()?;
    let is_expected = known.as_ref().map(|known| known.generation) == expected;
    // A revoked key stays revoked, whoever had read it before.
    if !is_expected || known.as_ref().is_some_and(|known| known.revoked_at.is_some()) {
        return Ok(false);
    }
    let mut kept = key.clone();
    (kept.used, kept.last_used_at) = known.map_or((0, None), |known| (known.used, known.last_used_at));
    keys.insert(key.id.0, encode(&kept).as_slice())?;
    Ok(true)
}

/// Adds to what is known of the use of keys; it is no deed, and stands in no log.
pub(super) fn used(batch: &mut Batch<'_>, all: Vec<Used>) -> Result<Written, StoreError> {
    for Used { what, times, last_at } in all {
        let key = match what {
            Use::Key(key) => key,
            Use::Secret(kind, generation) => {
                secrets::used(batch, kind, generation, times, last_at)?;
                continue;
            }
        };
        let keys = batch.tables.api_keys.open()?;
        let known = keys.get(key.0)?.map(|bytes| decode::<ApiKey>(bytes.value())).transpose()?;
        let Some(mut known) = known else { continue };
        known.used = known.used.saturating_add(times);
        known.last_used_at = known.last_used_at.max(Some(last_at));
        keys.insert(key.0, encode(&known).as_slice())?;
    }
    Ok(Written::Governed)
}

/// Rows of the log before `until` go, but the newest; the chain goes on from the hash before what stays.
pub(super) fn forget(batch: &mut Batch<'_>, until: Time) -> Result<usize, StoreError> {
    let mut ends = Ends::read(batch.tables.meta.open()?)?;
    let log = batch.tables.audit.open()?;
    let mut old = Vec::new();
    for row in log.range(..ends.next.saturating_sub(1))?.take(MAX_ROWS) {
        let entry: Entry = decode(row?.1.value())?;
        if entry.at >= until {
            break;
        }
        (ends.oldest, ends.before) = (entry.seq + 1, entry.hash);
        old.push(entry.seq);
    }
    for seq in &old {
        log.remove(seq)?;
    }
    if !old.is_empty() {
        batch.tables.meta.open()?.insert(ENDS, encode(&ends).as_slice())?;
    }
    Ok(old.len())
}

impl Snapshot {
    /// An API key.
    pub fn api_key(&self, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
        let bytes = self.transaction().open_table(tables::API_KEYS)?.get(id.0)?;
        Ok(bytes.map(|bytes| decode(bytes.value())).transpose()?)
    }

    /// All API keys.
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let table = self.transaction().open_table(tables::API_KEYS)?;
        table.iter()?.map(|row| Ok(decode(row?.1.value())?)).collect()
    }

    /// Rows of the audit log below number `below`, newest first.
    pub fn audit(&self, below: u64, at_most: usize) -> Result<Vec<Entry>, StoreError> {
        let table = self.transaction().open_table(tables::AUDIT)?;
        table.range(..below)?.rev().take(at_most).map(|row| Ok(decode(row?.1.value())?)).collect()
    }
}

/// Whether the audit log is whole: every row as it was written, each behind the one before, none missing at an end.
pub(super) fn check(snapshot: &Snapshot, findings: &mut Findings) -> Result<(), StoreError> {
    let txn = snapshot.transaction();
    let ends = Ends::read(&txn.open_table(tables::META)?)?;
    let (mut seq, mut before) = (ends.oldest, ends.before);
    for row in txn.open_table(tables::AUDIT)?.iter()? {
        let entry: Entry = decode(row?.1.value())?;
        if entry.seq != seq || entry.before != before || !entry.is_whole() {
            findings
                .add("audit", format!("row {} is not what was written after row {}", entry.seq, seq.wrapping_sub(1)));
        }
        (seq, before) = (entry.seq + 1, entry.hash);
    }
    if (seq, before) != (ends.next, ends.head) {
        findings.add(
            "audit",
            format!("the newest rows are missing: {} was written, and {} is not there", ends.next - 1, seq),
        );
    }
    Ok(())
}
