//! Bringing the data file of an earlier version forward: step by step, each of them one transaction.
//!
//! Invariant: a file says which schema it has in every state it can be in, and no step is done twice. A file of a later
//! schema is refused, and nothing in it is touched.
//! Not here: the backup that is made before (`cli`).

use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableTable, TableError};
use serde::Deserialize;

use super::StoreError;
use super::codec::{SCHEMA, decode, encode};
use super::commit::{begin, begin_read};
use super::opening::unopened;
use super::read::Snapshot;
use super::tables;
use super::upkeep::Run;
use super::writer;
use crate::archive::Shelf;
use crate::clock::Time;
use crate::message::Message;

/// Where the number stands in the file.
const KEY: &str = "schema";

/// What leads from one schema to the next.
struct Step {
    /// What it does, in words.
    words: &'static str,
    run: fn(&redb::WriteTransaction) -> Result<(), StoreError>,
}

/// From schema 1 to 2, from 2 to 3, and so on.
const STEPS: [Step; SCHEMA as usize - 1] =
    [Step { words: "runs of jobs also say what was done; what was never found at Twilio is remembered", run: second }];

/// A data file of an earlier version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outdated {
    /// Its schema.
    pub from: u16,
    /// The schema of this version.
    pub to: u16,
    /// What the steps between them do, in words.
    pub steps: Vec<&'static str>,
}

impl Outdated {
    fn new(from: u16) -> Self {
        let steps = STEPS[usize::from(from) - 1..].iter().map(|step| step.words).collect();
        Self { from, to: SCHEMA, steps }
    }
}

/// A data file that is looked at and not changed.
pub struct Peek {
    db: Database,
    shelf: Arc<Shelf>,
    /// What leads to this version, if the file is of an earlier one.
    pub outdated: Option<Outdated>,
}

impl Peek {
    /// Looks at the data file at `path`, whatever its schema.
    pub fn at(path: &Path, shelf: Shelf) -> Result<Self, StoreError> {
        let dir = path.parent().unwrap_or(Path::new("."));
        writer::check_writable(dir).map_err(|error| writer::unusable(dir, &error))?;
        let db = Database::open(path).map_err(|error| unopened(path, error))?;
        Self::over(db, shelf)
    }

    /// Looks at an opened database, on whatever backend.
    pub fn over(db: Database, shelf: Shelf) -> Result<Self, StoreError> {
        let found = schema(&begin_read(&db)?)?;
        Ok(Self { db, shelf: Arc::new(shelf), outdated: (found < SCHEMA).then(|| Outdated::new(found)) })
    }

    /// Everything in it.
    pub fn read(&self) -> Result<Snapshot, StoreError> {
        let lease = self.shelf.lease();
        Ok(Snapshot::over(begin_read(&self.db)?, Arc::clone(&self.shelf), lease))
    }

    /// Brings it forward, a step at a time.
    pub fn upgrade(self) -> Result<(), StoreError> {
        bring_forward(&self.db)?;
        Ok(self.db.close()?)
    }
}

/// The schema of a file; a later one is refused.
pub(super) fn schema(txn: &ReadTransaction) -> Result<u16, StoreError> {
    let known = match txn.open_table(tables::META) {
        Err(TableError::TableDoesNotExist(_)) => None,
        meta => meta?.get(KEY)?.map(|bytes| decode(bytes.value())).transpose()?,
    };
    match known {
        Some(later) if later > SCHEMA => Err(StoreError::WrongFile(format!(
            "the data file has schema {later}, and this version knows {SCHEMA} at most: install the version that wrote it, or a \
             newer one"
        ))),
        Some(known) => Ok(known),
        // The first version did not write it down. What has no messages is new.
        None => match txn.open_table(tables::MESSAGES) {
            Err(TableError::TableDoesNotExist(_)) => Ok(SCHEMA),
            messages => messages.map(|_| 1).map_err(Into::into),
        },
    }
}

/// Refuses a file of an earlier version.
pub(super) fn check(db: &Database) -> Result<(), StoreError> {
    match schema(&begin_read(db)?)? {
        SCHEMA => Ok(()),
        earlier => Err(StoreError::WrongFile(format!(
            "the data file has schema {earlier}, and this version works with {SCHEMA}: `bluetick serve` brings it forward, and so \
             does `bluetick migrate`; both make a backup first"
        ))),
    }
}

/// A file of this version says so.
pub(super) fn sign(txn: &redb::WriteTransaction) -> Result<(), StoreError> {
    write(txn, SCHEMA)
}

fn write(txn: &redb::WriteTransaction, schema: u16) -> Result<(), StoreError> {
    txn.open_table(tables::META)?.insert(KEY, encode(&schema).as_slice())?;
    Ok(())
}

pub(super) fn bring_forward(db: &Database) -> Result<(), StoreError> {
    let from = schema(&begin_read(db)?)?;
    for (number, step) in (from..).zip(&STEPS[usize::from(from) - 1..]) {
        let txn = begin(db)?;
        (step.run)(&txn)?;
        write(&txn, number + 1)?;
        txn.commit()?;
    }
    Ok(())
}

/// A run as schema 1 had it.
#[derive(Deserialize)]
struct FirstRun {
    at: Time,
    took: std::time::Duration,
    error: Option<String>,
}

fn second(txn: &redb::WriteTransaction) -> Result<(), StoreError> {
    runs_say_what_they_did(txn)?;
    flights_outlast_the_search(txn)
}

/// The index forgot an attempt when nobody looked for it any more, and what Twilio listed was taken for another.
fn flights_outlast_the_search(txn: &redb::WriteTransaction) -> Result<(), StoreError> {
    let (messages, mut flights) = (txn.open_table(tables::MESSAGES)?, txn.open_table(tables::FLIGHTS)?);
    for row in messages.iter()? {
        let message: Message = decode(row?.1.value())?;
        if message.is_unresolved() {
            flights.insert(tables::message_of(message.contact, message.id), ())?;
        }
    }
    Ok(())
}

fn runs_say_what_they_did(txn: &redb::WriteTransaction) -> Result<(), StoreError> {
    let mut runs = match txn.open_table(tables::RUNS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        runs => runs?,
    };
    let rows = runs.iter()?.map(|row| {
        let (job, run) = row?;
        Ok((job.value().to_owned(), decode::<FirstRun>(run.value())?))
    });
    for (job, FirstRun { at, took, error }) in rows.collect::<Result<Vec<_>, StoreError>>()? {
        let run = Run { at, took, outcome: error.map_or(Ok(String::new()), Err) };
        runs.insert(job.as_str(), encode(&run).as_slice())?;
    }
    Ok(())
}
