//! The secrets that were rotated into the store, sealed, and how the vault that opens them is locked.
//!
//! Invariant: a change is written only if nobody else made one since it was thought out, and stands in the audit log.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::batch::Batch;
use super::codec::{decode, encode};
use super::commit::INSTANCE;
use super::people;
use super::read::Snapshot;
use super::tables;
use crate::audit::Actor;
use crate::clock::Time;
use crate::keyring::{Entry, KeyName, Kind, Ring, State, Wrapped};

/// Where it stands how the vault is locked.
const LOCKS: &str = "vault";
/// Where the rotation stands that is under way at Twilio.
const ROTATION: &str = "rotation";

/// How the vault is locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locks {
    /// By the key on this machine.
    pub by_master: Wrapped,
    /// By the key on paper, if there is one.
    pub by_recovery: Option<Wrapped>,
}

/// The names of the keys of which one opens what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeededKeys {
    /// The master key's.
    pub master_key: String,
    /// The recovery key's, if there is one.
    pub recovery_key: Option<String>,
}

/// A rotation of the auth token by Twilio's own API, from one step on disk to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Who asked for it.
    pub by: Actor,
    /// When.
    pub asked_at: Time,
    /// Whether a secondary token that somebody else made may be thrown away.
    pub may_replace: bool,
    /// How far it is.
    pub step: RotationStep,
    /// Why it does not go on, in words.
    pub problem: Option<String>,
}

/// How far a rotation is. Each is on disk before Twilio is asked for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RotationStep {
    /// Somebody wants it.
    Wanted,
    /// Twilio may have been asked for a secondary token.
    Creating,
    /// The secondary is staged here.
    Created,
    /// Twilio may have been asked to promote it.
    Promoting,
}

/// Keeps all secrets of a kind, if those that are there are still as whoever changed them saw them.
pub(super) fn keep(
    batch: &mut Batch<'_>,
    kind: Kind,
    ring: &Ring,
    expected: &[(u32, State)],
) -> Result<bool, StoreError> {
    let table = batch.tables.secrets.open()?;
    let known = read_ring(table, kind)?;
    if known.states() != expected {
        return Ok(false);
    }
    for entry in &ring.0 {
        let mut entry = entry.clone();
        if let Some(known) = known.0.iter().find(|known| known.generation == entry.generation) {
            (entry.used, entry.last_used_at) = (known.used, known.last_used_at);
        }
        table.insert(tables::secret(kind, entry.generation), encode(&entry).as_slice())?;
    }
    Ok(true)
}

/// Locks the vault, if it is still locked as whoever changes that saw it.
pub(super) fn lock(batch: &mut Batch<'_>, locks: &Locks, expected: Option<KeyName>) -> Result<bool, StoreError> {
    let meta = batch.tables.meta.open()?;
    let known = meta.get(LOCKS)?.map(|bytes| decode::<Locks>(bytes.value())).transpose()?;
    if known.map(|known| known.by_master.by) != expected {
        return Ok(false);
    }
    meta.insert(LOCKS, encode(locks).as_slice())?;
    Ok(true)
}

/// Gives the vault up, and every secret that only it opens. Whoever knows one may give it again.
pub(super) fn give_up(batch: &mut Batch<'_>) -> Result<bool, StoreError> {
    let now = batch.now;
    let table = batch.tables.secrets.open()?;
    let mut lost = Vec::new();
    for row in table.iter()? {
        let (key, entry) = row?;
        let entry: Entry = decode(entry.value())?;
        if entry.sealed.is_some() {
            lost.push((key.value(), Entry { state: State::Retired, since: now, sealed: None, ..entry }));
        }
    }
    for (key, entry) in lost {
        table.insert(key, encode(&entry).as_slice())?;
    }
    people::forget_phones(batch)?;
    let meta = batch.tables.meta.open()?;
    meta.remove(ROTATION)?;
    Ok(meta.remove(LOCKS)?.is_some())
}

/// Writes down how far a rotation is; nothing, when it is over.
pub(super) fn rotate(batch: &mut Batch<'_>, rotation: Option<&Rotation>) -> Result<(), StoreError> {
    let meta = batch.tables.meta.open()?;
    match rotation {
        Some(rotation) => drop(meta.insert(ROTATION, encode(rotation).as_slice())?),
        None => drop(meta.remove(ROTATION)?),
    }
    Ok(())
}

/// A secret was used.
pub(super) fn used(batch: &mut Batch<'_>, kind: Kind, generation: u32, times: u64, at: Time) -> Result<(), StoreError> {
    let table = batch.tables.secrets.open()?;
    let key = tables::secret(kind, generation);
    let known = table.get(key)?.map(|bytes| decode::<Entry>(bytes.value())).transpose()?;
    if let Some(mut entry) = known {
        entry.used = entry.used.saturating_add(times);
        entry.last_used_at = entry.last_used_at.max(Some(at));
        table.insert(key, encode(&entry).as_slice())?;
    }
    Ok(())
}

fn read_ring(table: &impl ReadableTable<[u8; 5], &'static [u8]>, kind: Kind) -> Result<Ring, StoreError> {
    let rows = table.range(tables::secret(kind, 0)..=tables::secret(kind, u32::MAX))?;
    rows.map(|row| Ok(decode(row?.1.value())?)).collect::<Result<_, _>>().map(Ring)
}

impl Snapshot {
    /// All secrets of a kind.
    pub fn ring(&self, kind: Kind) -> Result<Ring, StoreError> {
        read_ring(&self.transaction().open_table(tables::SECRETS)?, kind)
    }

    /// How the vault is locked, if there is one.
    pub fn locks(&self) -> Result<Option<Locks>, StoreError> {
        let meta = self.transaction().open_table(tables::META)?;
        Ok(meta.get(LOCKS)?.map(|bytes| decode(bytes.value())).transpose()?)
    }

    /// Whether anything is sealed that bluetick cannot make anew.
    pub fn keeps_secrets(&self) -> Result<bool, StoreError> {
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_own()) {
            if self.ring(kind)?.0.iter().any(|entry| entry.sealed.is_some()) {
                return Ok(true);
            }
        }
        Ok(self.users()?.iter().any(|user| user.totp.is_some()))
    }

    /// The keys of which one is needed to open what is kept; nothing, if nothing is kept that cannot be made anew.
    pub fn needed_keys(&self) -> Result<Option<NeededKeys>, StoreError> {
        let Some(locks) = self.locks()? else { return Ok(None) };
        let needed = NeededKeys {
            master_key: locks.by_master.by.to_string(),
            recovery_key: locks.by_recovery.map(|wrapped| wrapped.by.to_string()),
        };
        Ok(self.keeps_secrets()?.then_some(needed))
    }

    /// The rotation that is under way at Twilio, if there is one.
    pub fn rotation(&self) -> Result<Option<Rotation>, StoreError> {
        let meta = self.transaction().open_table(tables::META)?;
        Ok(meta.get(ROTATION)?.map(|bytes| decode(bytes.value())).transpose()?)
    }

    /// The name the file was given when it was made, or restored.
    pub fn instance(&self) -> Result<[u8; 16], StoreError> {
        let meta = self.transaction().open_table(tables::META)?;
        Ok(meta.get(INSTANCE)?.map(|bytes| decode(bytes.value())).transpose()?.unwrap_or_default())
    }
}
