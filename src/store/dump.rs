//! The whole store as a stream, and a new data file from one. Read from one snapshot, so it can run beside a working writer.
//!
//! A stream is a line of JSON that says what it is, then for each table a line with its name and how many rows it has, and
//! the rows: the key's length (4 bytes, little-endian), the key, the value's length, the value. A last line says that it is
//! whole. Keys and values are the file's own bytes: a restored store answers every question as the first one did.
//!
//! Invariant: nobody is logged in by a backup: sessions are left out of it, and of a data file that is made from one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use redb::{Database, Durability, ReadableTable, ReadableTableMetadata, TableDefinition, TableError, TableHandle};
use serde::{Deserialize, Serialize};

use super::codec::{self, encode};
use super::read::Snapshot;
use super::restored::{self, Restored};
use super::secrets::NeededKeys;
use super::sentinel::Sentinel;
use super::tables::{self, EachTable};
use super::upgrade;
use super::{FILE, StoreError};
use crate::archive;
use crate::clock::Time;

/// Raised when the stream's own shape changes.
const FORMAT: u16 = 2;
/// Rows that are written to a new file at once: so much memory it takes, however many there are.
const ROWS: u64 = 5_000;
/// And so much for pages.
const CACHE_BYTES: usize = 32 << 20;
/// No key or value is longer.
const MAX_PART: usize = 1 << 20;
/// No line is longer.
const MAX_LINE: usize = 1 << 20;

/// What a stream says of itself first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The stream's shape.
    pub bluetick_backup: u16,
    /// The version that wrote it.
    pub version: String,
    /// The shape of its records.
    pub schema: u16,
    /// When it was read.
    pub taken_at: String,
    /// The same, in Unix milliseconds.
    pub taken_at_ms: i64,
    /// The number of the newest event in it.
    pub last_event: u64,
    /// How many messages it has.
    pub messages: u64,
    /// How many more are in the archive.
    #[serde(default)]
    pub archived: u64,
    /// How many inbound messages it has.
    pub inbound: u64,
    /// The segments of the archive that belong to it.
    #[serde(default)]
    pub segments: Vec<Belonging>,
    /// What opens the secrets in it, if there are any.
    #[serde(default)]
    pub keys: Option<NeededKeys>,
}

/// A segment that belongs to a stream, by its number and its checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belonging {
    /// Its number.
    pub number: u32,
    /// The SHA-256 of its file, in hex.
    pub sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Section {
    table: String,
    rows: u64,
}

const END: &str = "{\"end\":true}\n";

/// Why a stream cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum BadDump {
    /// It is not one, or not whole.
    #[error("it is no whole backup of bluetick: {0}")]
    Broken(String),
    /// A later version made it.
    #[error("a later bluetick (version {0}) made it: install that version or a newer one")]
    Later(String),
    /// The new file cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn broken(what: impl std::fmt::Display) -> BadDump {
    BadDump::Broken(what.to_string())
}

/// Writes everything a snapshot shows. `progress` hears how many of how many rows were written.
pub fn dump(
    snapshot: &Snapshot,
    now: Time,
    out: &mut impl Write,
    progress: impl FnMut(u64, u64),
) -> Result<Head, StoreError> {
    let txn = snapshot.transaction();
    let mut count = Counting { txn, rows: 0 };
    tables::each(&mut count)?;
    let head = Head {
        bluetick_backup: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        schema: upgrade::schema(txn)?,
        taken_at: now.to_string(),
        taken_at_ms: now.0,
        last_event: snapshot.last_event()?,
        messages: txn.open_table(tables::MESSAGES)?.len()?,
        archived: snapshot.archived_count()?,
        segments: belongings(snapshot)?,
        inbound: txn.open_table(tables::INBOUND)?.len()?,
        keys: snapshot.needed_keys()?,
    };
    write_line(out, &head)?;
    tables::each(&mut Dumping { txn, out, done: 0, all: count.rows, progress })?;
    out.write_all(END.as_bytes())?;
    Ok(head)
}

fn belongings(snapshot: &Snapshot) -> Result<Vec<Belonging>, StoreError> {
    let mut segments = Vec::new();
    for (number, is_marked) in snapshot.segments()? {
        let path = snapshot.shelf().path(number);
        // A marked one that is not there was never finished, unless something leads to it.
        if is_marked && !path.exists() && !snapshot.is_in_use(number)? {
            continue;
        }
        segments.push(Belonging { number, sha256: archive::checksum(&path)? });
    }
    Ok(segments)
}

fn write_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    out.write_all(&line)
}

struct Counting<'a> {
    txn: &'a redb::ReadTransaction,
    rows: u64,
}

impl EachTable for Counting<'_> {
    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), StoreError> {
        if is_left_out(&definition) {
            return Ok(());
        }
        self.rows += match self.txn.open_table(definition) {
            // An earlier version did not have it.
            Err(TableError::TableDoesNotExist(_)) => 0,
            table => table?.len()?,
        };
        Ok(())
    }
}

struct Dumping<'a, W, P> {
    txn: &'a redb::ReadTransaction,
    out: &'a mut W,
    done: u64,
    all: u64,
    progress: P,
}

impl<W: Write, P: FnMut(u64, u64)> EachTable for Dumping<'_, W, P> {
    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), StoreError> {
        if is_left_out(&definition) {
            return Ok(());
        }
        let table = match self.txn.open_table(definition) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            table => table?,
        };
        write_line(self.out, &Section { table: definition.name().to_owned(), rows: table.len()? })?;
        for row in table.iter()? {
            let (key, value) = row?;
            write_part(self.out, K::as_bytes(&key.value()).as_ref())?;
            write_part(self.out, V::as_bytes(&value.value()).as_ref())?;
            self.done += 1;
            if self.done.is_multiple_of(1_000) || self.done == self.all {
                (self.progress)(self.done, self.all);
            }
        }
        Ok(())
    }
}

/// Whether a table is of this place and hour only: who is logged in, and what was refused and never let in.
fn is_left_out(table: &impl TableHandle) -> bool {
    [tables::SESSIONS.name(), tables::QUARANTINED.name()].contains(&table.name())
}

fn write_part(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

/// Reads a stream to its end without keeping anything: whether it could be restored.
pub fn inspect(input: &mut impl Read) -> Result<Head, BadDump> {
    let head = read_head(input)?;
    let mut left = rows_of_tables();
    while let Some((section, row)) = read_section(input, &mut left)? {
        for _ in 0..section.rows {
            row.read(input)?;
        }
    }
    Ok(head)
}

/// Makes the data file of an empty folder from a stream. What it was made from is written into it: the first start begins
/// by asking Twilio what happened since.
pub fn load(input: &mut impl Read, dir: &Path, now: Time) -> Result<Head, BadDump> {
    let head = read_head(input)?;
    // Another restore may be at work in the same folder.
    let (path, new) = (dir.join(FILE), dir.join(format!("{FILE}.restoring-{}", std::process::id())));
    let _ = std::fs::remove_file(&new);
    let db = Database::builder().set_cache_size(CACHE_BYTES).create(&new).map_err(StoreError::from)?;
    let mut left = rows_of_tables();
    while let Some((section, row)) = read_section(input, &mut left)? {
        let mut loading = Loading { db: &db, input, section, row, error: None };
        let done = tables::each(&mut loading);
        loading.error.map_or(Ok(()), Err)?;
        done?;
    }
    upgrade::bring_forward(&db)?;
    let txn = db.begin_write().map_err(StoreError::from)?;
    {
        let mut meta = txn.open_table(tables::META).map_err(StoreError::from)?;
        let (taken_at, last_event) = (Time(head.taken_at_ms), head.last_event);
        let restored = Restored { taken_at, at: now, last_event, is_doubted: false };
        meta.insert(restored::KEY, encode(&restored).as_slice()).map_err(StoreError::from)?;
        // It is another file from now on: the one it was read from must not be taken for it.
        meta.remove(super::commit::INSTANCE).map_err(StoreError::from)?;
    }
    txn.commit().map_err(StoreError::from)?;
    db.close().map_err(StoreError::from)?;
    let finish = || -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
        File::open(&new)?.sync_all()?;
        // Unlike a renaming, a link replaces nothing.
        std::fs::hard_link(&new, &path)?;
        std::fs::remove_file(&new)?;
        // What the folder remembers of a file that is gone; only now, or a crash would leave a folder that remembers nothing.
        Sentinel::forget(dir)?;
        File::open(dir)?.sync_all()
    };
    finish().map_err(|error| {
        let _ = std::fs::remove_file(&new);
        StoreError::from(error)
    })?;
    Ok(head)
}

struct Loading<'a, R> {
    db: &'a Database,
    input: &'a mut R,
    section: Section,
    row: Row,
    error: Option<BadDump>,
}

impl<R: Read> EachTable for Loading<'_, R> {
    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), StoreError> {
        if definition.name() != self.section.table {
            return Ok(());
        }
        let mut left = self.section.rows;
        loop {
            let mut txn = self.db.begin_write()?;
            txn.set_durability(Durability::None)?;
            {
                let mut table = txn.open_table(definition)?;
                for _ in 0..left.min(ROWS) {
                    match self.row.read(self.input) {
                        Ok((key, value)) => drop(table.insert(K::from_bytes(&key), V::from_bytes(&value))?),
                        Err(error) => {
                            self.error = Some(error);
                            return Ok(());
                        }
                    }
                }
            }
            txn.commit()?;
            left -= left.min(ROWS);
            if left == 0 {
                return Ok(());
            }
        }
    }
}

/// What a row of a table consists of. redb takes it at its word: a key of another length would end the process.
#[derive(Clone, Copy)]
struct Row {
    key: Part,
    value: Part,
}

#[derive(Clone, Copy)]
enum Part {
    Fixed(usize),
    Text,
    Bytes,
}

impl Part {
    fn of<V: redb::Value>() -> Self {
        match V::fixed_width() {
            Some(width) => Self::Fixed(width),
            None if V::type_name() == <&str as redb::Value>::type_name() => Self::Text,
            None => Self::Bytes,
        }
    }

    fn read(self, input: &mut impl Read) -> Result<Vec<u8>, BadDump> {
        let part = read_part(input)?;
        let is_fine = match self {
            Self::Fixed(width) => part.len() == width,
            Self::Text => std::str::from_utf8(&part).is_ok(),
            Self::Bytes => true,
        };
        if is_fine { Ok(part) } else { Err(broken("a row is not one of its table")) }
    }
}

impl Row {
    fn read(self, input: &mut impl Read) -> Result<(Vec<u8>, Vec<u8>), BadDump> {
        Ok((self.key.read(input)?, self.value.read(input)?))
    }
}

fn rows_of_tables() -> BTreeMap<String, Row> {
    struct Rows(BTreeMap<String, Row>);
    impl EachTable for Rows {
        fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
            &mut self,
            definition: TableDefinition<'static, K, V>,
        ) -> Result<(), StoreError> {
            if !is_left_out(&definition) {
                self.0.insert(definition.name().to_owned(), Row { key: Part::of::<K>(), value: Part::of::<V>() });
            }
            Ok(())
        }
    }
    let mut rows = Rows(BTreeMap::new());
    tables::each(&mut rows).expect("naming them needs no disk");
    rows.0
}

/// What a stream says of itself.
pub fn read_head(input: &mut (impl Read + ?Sized)) -> Result<Head, BadDump> {
    let head: Head = serde_json::from_slice(&read_line(input)?).map_err(broken)?;
    if head.bluetick_backup > FORMAT || head.schema > codec::SCHEMA {
        return Err(BadDump::Later(head.version));
    }
    // They become parts of the names of files.
    if !head.segments.iter().all(Belonging::is_sound) {
        return Err(broken("the checksum of a segment is none"));
    }
    Ok(head)
}

impl Belonging {
    fn is_sound(&self) -> bool {
        self.sha256.len() == 64 && self.sha256.bytes().all(|digit| digit.is_ascii_hexdigit())
    }
}

/// The next table, each once; nothing at the end.
fn read_section(input: &mut impl Read, left: &mut BTreeMap<String, Row>) -> Result<Option<(Section, Row)>, BadDump> {
    let line = read_line(input)?;
    if line == END.trim_end().as_bytes() {
        return match input.read(&mut [0]).map_err(broken)? {
            0 => Ok(None),
            _ => Err(broken("something stands behind its end")),
        };
    }
    let section: Section = serde_json::from_slice(&line).map_err(broken)?;
    match left.remove(section.table.as_str()) {
        Some(row) => Ok(Some((section, row))),
        None => Err(broken(format!("the table {:?} is not known, or stands there twice", section.table))),
    }
}

fn read_line(input: &mut (impl Read + ?Sized)) -> Result<Vec<u8>, BadDump> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while line.len() < MAX_LINE {
        input.read_exact(&mut byte).map_err(broken)?;
        if byte[0] == b'\n' {
            return Ok(line);
        }
        line.push(byte[0]);
    }
    Err(broken("a line is too long"))
}

fn read_part(input: &mut impl Read) -> Result<Vec<u8>, BadDump> {
    let mut length = [0; 4];
    input.read_exact(&mut length).map_err(broken)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_PART {
        return Err(broken("a row is too long"));
    }
    let mut part = vec![0; length];
    input.read_exact(&mut part).map_err(broken)?;
    Ok(part)
}
