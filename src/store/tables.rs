//! Every table of the data file, and the shape of its keys.
//!
//! Invariant: keys sort the way they are read: a sender's hours lie together, a contact's messages by time, a lane's
//! agenda by date.

use redb::{ReadTransaction, ReadableTable, Table, TableDefinition, TableError, WriteTransaction};

use super::StoreError;
use crate::clock::Time;
use crate::keyring::Kind;
use crate::message::{MessageId, Priority, Step};

type Bytes = &'static [u8];

/// Records of sends, by id.
pub(super) const MESSAGES: TableDefinition<[u8; 16], Bytes> = TableDefinition::new("messages");
/// Twilio's names for them.
pub(super) const SIDS: TableDefinition<[u8; 17], [u8; 16]> = TableDefinition::new("sids");
/// Ids of messages that were absorbed into another.
pub(super) const MOVED: TableDefinition<[u8; 16], [u8; 16]> = TableDefinition::new("moved");
/// In which segment a message is that moved into the archive.
pub(super) const STUBS: TableDefinition<[u8; 16], u32> = TableDefinition::new("stubs");
/// The segments that are in use, and how many marks each has: a marked one has lines that nothing leads to.
pub(super) const SEGMENTS: TableDefinition<u32, u32> = TableDefinition::new("segments");
/// Records of inbound messages, by time and SID.
pub(super) const INBOUND: TableDefinition<[u8; 25], Bytes> = TableDefinition::new("inbound");
/// When each inbound SID came.
pub(super) const INBOUND_SIDS: TableDefinition<[u8; 17], i64> = TableDefinition::new("inbound_sids");
/// A contact's inbound messages.
pub(super) const INBOUND_OF: TableDefinition<[u8; 33], ()> = TableDefinition::new("inbound_of");
/// People, by number.
pub(super) const CONTACTS: TableDefinition<u64, Bytes> = TableDefinition::new("contacts");
/// What their messages add up to, but for the log.
pub(super) const SUMS: TableDefinition<u64, Bytes> = TableDefinition::new("sums");
/// What later commits add to that, a row a commit.
pub(super) const SUM_LOG: TableDefinition<u64, Bytes> = TableDefinition::new("sum_log");
/// The names they go by.
pub(super) const ALIASES: TableDefinition<&str, u64> = TableDefinition::new("aliases");
/// Who turned out to be whom; only archived messages still name the first.
pub(super) const MERGED: TableDefinition<u64, u64> = TableDefinition::new("merged");
/// Our senders, by number.
pub(super) const SENDERS: TableDefinition<u32, &str> = TableDefinition::new("senders");
/// The sums of shares: sender, tier, bucket.
pub(super) const ROLLUPS: TableDefinition<[u8; 9], Bytes> = TableDefinition::new("rollups");
/// What later commits add to the cells of a day and of all time, a row a commit.
pub(super) const ROLLUP_LOG: TableDefinition<u64, Bytes> = TableDefinition::new("rollup_log");
/// What the team's app is told, in order.
pub(super) const EVENTS: TableDefinition<u64, Bytes> = TableDefinition::new("events");
/// The one next step of each message: step, sender, priority, due, id.
pub(super) const AGENDA: TableDefinition<[u8; 30], ()> = TableDefinition::new("agenda");
/// A contact's messages of which nobody knows whether they reached Twilio: at work, or with an answer lost, be it for ever.
pub(super) const FLIGHTS: TableDefinition<[u8; 24], ()> = TableDefinition::new("flights");
/// Messages that wait for something other than a date: what for, id.
pub(super) const HELD: TableDefinition<Bytes, ()> = TableDefinition::new("held");
/// What is or was paused, by scope.
pub(super) const PAUSES: TableDefinition<&str, Bytes> = TableDefinition::new("pauses");
/// People who do not want something.
pub(super) const OPT_OUTS: TableDefinition<u64, ()> = TableDefinition::new("opt_outs");
/// Since when we hear what people write to a sender, and until when Twilio was asked for it.
pub(super) const LISTENING: TableDefinition<u32, Bytes> = TableDefinition::new("listening");
/// A contact's messages.
pub(super) const MESSAGES_OF: TableDefinition<[u8; 24], ()> = TableDefinition::new("messages_of");
/// What was forgotten adds to the numbers: the cells of hours.
pub(super) const FORGOTTEN: TableDefinition<[u8; 9], Bytes> = TableDefinition::new("forgotten");
/// What is gone for good, by id or by a trace of its SID, and since when.
pub(super) const GONE: TableDefinition<[u8; 16], i64> = TableDefinition::new("gone");
/// Failed messages by error code.
pub(super) const CODES: TableDefinition<[u8; 20], ()> = TableDefinition::new("codes");
/// Messages a person should look at.
pub(super) const ATTENTION: TableDefinition<[u8; 16], ()> = TableDefinition::new("attention");
/// The last run of each job.
pub(super) const RUNS: TableDefinition<&str, Bytes> = TableDefinition::new("runs");
/// Jobs that somebody wants to run, and since when.
pub(super) const WANTED: TableDefinition<&str, i64> = TableDefinition::new("wanted");
/// What the file knows of itself.
pub(super) const META: TableDefinition<&str, Bytes> = TableDefinition::new("meta");
/// API keys, by the number in their name.
pub(super) const API_KEYS: TableDefinition<[u8; 4], Bytes> = TableDefinition::new("api_keys");
/// Secrets, sealed: kind, generation.
pub(super) const SECRETS: TableDefinition<[u8; 5], Bytes> = TableDefinition::new("secrets");
/// Refused requests, sealed, by when they came.
pub(super) const QUARANTINED: TableDefinition<u64, Bytes> = TableDefinition::new("quarantine");
/// People who may use the pages, by name.
pub(super) const USERS: TableDefinition<&str, Bytes> = TableDefinition::new("users");
/// Their sessions, by the hash of what the browser holds.
pub(super) const SESSIONS: TableDefinition<[u8; 32], Bytes> = TableDefinition::new("sessions");
/// The audit log.
pub(super) const AUDIT: TableDefinition<u64, Bytes> = TableDefinition::new("audit");
/// What was answered under an Idempotency-Key.
pub(super) const KEYS: TableDefinition<[u8; 32], Bytes> = TableDefinition::new("keys");

/// A table that is opened when it is first needed: most commits need a third of them.
pub(super) struct Lazy<'txn, K: redb::Key + 'static, V: redb::Value + 'static> {
    txn: &'txn WriteTransaction,
    definition: TableDefinition<'static, K, V>,
    table: Option<Table<'txn, K, V>>,
}

impl<'txn, K: redb::Key + 'static, V: redb::Value + 'static> Lazy<'txn, K, V> {
    /// The table itself.
    pub(super) fn open(&mut self) -> Result<&mut Table<'txn, K, V>, TableError> {
        if self.table.is_none() {
            self.table = Some(self.txn.open_table(self.definition)?);
        }
        Ok(self.table.as_mut().expect("it was opened above"))
    }
}

/// Something that is done with every table, whatever its keys and values are.
pub(super) trait EachTable {
    fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), StoreError>;
}

macro_rules! tables {
    ($($field:ident: $key:ty => $value:ty = $definition:ident;)*) => {
        /// All tables, for writing.
        pub(super) struct Tables<'txn> {
            $(pub(super) $field: Lazy<'txn, $key, $value>,)*
        }

        /// Does something with every table.
        pub(super) fn each(with: &mut impl EachTable) -> Result<(), StoreError> {
            $(with.table($definition)?;)*
            Ok(())
        }

        impl<'txn> Tables<'txn> {
            pub(super) fn of(txn: &'txn WriteTransaction) -> Self {
                Self { $($field: Lazy { txn, definition: $definition, table: None },)* }
            }

            /// Makes those that are not there yet.
            pub(super) fn make(txn: &'txn WriteTransaction) -> Result<(), TableError> {
                let mut tables = Self::of(txn);
                $(tables.$field.open()?;)*
                Ok(())
            }
        }
    };
}

tables! {
    messages: [u8; 16] => Bytes = MESSAGES;
    sids: [u8; 17] => [u8; 16] = SIDS;
    moved: [u8; 16] => [u8; 16] = MOVED;
    stubs: [u8; 16] => u32 = STUBS;
    segments: u32 => u32 = SEGMENTS;
    inbound: [u8; 25] => Bytes = INBOUND;
    inbound_sids: [u8; 17] => i64 = INBOUND_SIDS;
    inbound_of: [u8; 33] => () = INBOUND_OF;
    contacts: u64 => Bytes = CONTACTS;
    sums: u64 => Bytes = SUMS;
    sum_log: u64 => Bytes = SUM_LOG;
    aliases: &'static str => u64 = ALIASES;
    merged: u64 => u64 = MERGED;
    senders: u32 => &'static str = SENDERS;
    rollups: [u8; 9] => Bytes = ROLLUPS;
    rollup_log: u64 => Bytes = ROLLUP_LOG;
    events: u64 => Bytes = EVENTS;
    agenda: [u8; 30] => () = AGENDA;
    flights: [u8; 24] => () = FLIGHTS;
    held: Bytes => () = HELD;
    pauses: &'static str => Bytes = PAUSES;
    opt_outs: u64 => () = OPT_OUTS;
    listening: u32 => Bytes = LISTENING;
    messages_of: [u8; 24] => () = MESSAGES_OF;
    forgotten: [u8; 9] => Bytes = FORGOTTEN;
    gone: [u8; 16] => i64 = GONE;
    codes: [u8; 20] => () = CODES;
    attention: [u8; 16] => () = ATTENTION;
    runs: &'static str => Bytes = RUNS;
    wanted: &'static str => i64 = WANTED;
    meta: &'static str => Bytes = META;
    api_keys: [u8; 4] => Bytes = API_KEYS;
    secrets: [u8; 5] => Bytes = SECRETS;
    quarantine: u64 => Bytes = QUARANTINED;
    users: &'static str => Bytes = USERS;
    sessions: [u8; 32] => Bytes = SESSIONS;
    audit: u64 => Bytes = AUDIT;
    keys: [u8; 32] => Bytes = KEYS;
}

/// The highest key of a table, from which the next number follows.
pub(super) fn last_key<K: redb::Key + 'static, V: redb::Value + 'static, R>(
    txn: &ReadTransaction,
    table: TableDefinition<K, V>,
    key: impl Fn(K::SelfType<'_>) -> R,
) -> Result<Option<R>, redb::Error> {
    let table = txn.open_table(table)?;
    Ok(table.last()?.map(|(last, _)| key(last.value())))
}

/// Which sum a rollup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// All there ever was, in one cell.
    Ever,
    /// A day of UTC.
    Day,
    /// An hour.
    Hour,
}

impl Tier {
    /// The three sums every share counts in.
    pub(super) const ALL: [Self; 3] = [Self::Ever, Self::Day, Self::Hour];

    /// Which cell of this tier a moment falls into.
    pub fn bucket(self, at: Time) -> u32 {
        match self {
            Self::Ever => 0,
            Self::Day => at.hour() / 24,
            Self::Hour => at.hour(),
        }
    }

    /// When a cell of this tier begins.
    pub fn begins(self, bucket: u32) -> Time {
        let hours = match self {
            Self::Ever => 0,
            Self::Day => i64::from(bucket) * 24,
            Self::Hour => i64::from(bucket),
        };
        Time(hours * 3_600_000)
    }
}

/// sender ‖ tier ‖ bucket.
pub(super) fn rollup(sender: u32, tier: Tier, bucket: u32) -> [u8; 9] {
    join(&[&sender.to_be_bytes(), &[tier as u8], &bucket.to_be_bytes()])
}

/// The sender and the time in the key of an hour.
pub(super) fn sender_and_hour(key: [u8; 9]) -> (u32, Time) {
    let sender = u32::from_be_bytes(key[..4].try_into().expect("a rollup key begins with its sender"));
    let bucket = u32::from_be_bytes(key[5..].try_into().expect("a rollup key ends in its bucket"));
    (sender, Tier::Hour.begins(bucket))
}

/// The tier in a rollup's key.
pub(super) fn tier(key: [u8; 9]) -> u8 {
    key[4]
}

/// kind ‖ generation.
pub(super) fn secret(kind: Kind, generation: u32) -> [u8; 5] {
    join(&[&[kind as u8], &generation.to_be_bytes()])
}

/// step ‖ sender ‖ priority ‖ due ‖ id.
pub(super) fn agenda(step: Step, sender: u32, priority: Priority, due: Time, id: MessageId) -> [u8; 30] {
    let lane: [u8; 6] = join(&[&[step as u8], &sender.to_be_bytes(), &[priority as u8]]);
    join(&[&lane, &due.0.max(0).to_be_bytes(), &id.0])
}

/// The step in an agenda row.
pub(super) fn agenda_step(row: [u8; 30]) -> u8 {
    row[0]
}

/// The id at the end of an agenda row.
pub(super) fn agenda_id(row: [u8; 30]) -> MessageId {
    MessageId(row[14..].try_into().expect("an agenda row ends in the 16 bytes of an id"))
}

/// The date in an agenda row.
pub(super) fn agenda_due(row: [u8; 30]) -> Time {
    Time(i64::from_be_bytes(row[6..14].try_into().expect("an agenda row holds the 8 bytes of a date")))
}

/// What a held message waits for; a person's decision is no row, since nothing else can end it.
pub(super) enum Awaited<'a> {
    /// The end of a template's pause.
    Template(&'a str),
    /// A contact's next message to a sender.
    Inbound(u32, u64),
}

impl Awaited<'_> {
    /// The first part of its rows.
    pub(super) fn prefix(&self) -> Vec<u8> {
        match self {
            Self::Template(sid) => [b"t", sid.as_bytes(), b"\0"].concat(),
            Self::Inbound(sender, contact) => [&b"w"[..], &sender.to_be_bytes(), &contact.to_be_bytes()].concat(),
        }
    }

    /// The row of one message.
    pub(super) fn row(&self, id: MessageId) -> Vec<u8> {
        [self.prefix().as_slice(), &id.0].concat()
    }
}

/// The id at the end of a row of `held`.
pub(super) fn held_id(row: &[u8]) -> MessageId {
    MessageId(row[row.len() - 16..].try_into().expect("a row of held ends in the 16 bytes of an id"))
}

/// The id in a contact's row: a flight, or one of their messages.
pub(super) fn id_in(row: [u8; 24]) -> MessageId {
    MessageId(row[8..].try_into().expect("the row ends in the 16 bytes of an id"))
}

/// contact ‖ id.
pub(super) fn message_of(contact: u64, id: MessageId) -> [u8; 24] {
    join(&[&contact.to_be_bytes(), &id.0])
}

/// code ‖ id.
pub(super) fn code(code: u32, id: MessageId) -> [u8; 20] {
    join(&[&code.to_be_bytes(), &id.0])
}

/// time ‖ SID.
pub(super) fn inbound(at: Time, sid: [u8; 17]) -> [u8; 25] {
    join(&[&at.0.max(0).to_be_bytes(), &sid])
}

/// contact ‖ time ‖ SID.
pub(super) fn inbound_of(contact: u64, at: Time, sid: [u8; 17]) -> [u8; 33] {
    join(&[&contact.to_be_bytes(), &inbound(at, sid)])
}

fn join<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut key = [0; N];
    let mut at = 0;
    for part in parts {
        key[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    debug_assert_eq!(at, N, "the parts of a key fill it");
    key
}
