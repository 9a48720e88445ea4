//! Recomputing everything that is derived, from the records alone: the difference must be nothing (P5).
//!
//! It reads one snapshot, so it can run beside a working writer.

use std::collections::{BTreeMap, HashMap};

use redb::{ReadableTable, ReadableTableMetadata, TableDefinition};

use super::StoreError;
use super::codec::decode;
use super::footprint::Footprint;
use super::people;
use super::read::Snapshot;
use super::restored;
use super::sums::{self, Log};
use super::tables::{self, Tier};
use super::trust;
use super::verbs::Inbound;
use crate::clock::Time;
use crate::contact::Contact;
use crate::message::{Message, MessageId};
use crate::metrics::{self, Cell, Share};

/// More differences than this are counted, not listed.
const MAX_LISTED: usize = 100;

/// What a check of the whole store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Messages that were read.
    pub messages: u64,
    /// How many of them are in the archive.
    pub archived: u64,
    /// Inbound messages that were read.
    pub inbound: u64,
    /// People that were read.
    pub contacts: u64,
    /// Rollup cells that were compared.
    pub cells: u64,
    /// Index rows that were compared.
    pub index_rows: u64,
    /// How many things differ.
    pub count: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

/// One thing that is not what the records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which table.
    pub place: &'static str,
    /// What is wrong, in words.
    pub detail: String,
}

/// What the records say everything else should be.
#[derive(Default)]
struct Expected {
    rollups: BTreeMap<[u8; 9], Cell>,
    people: HashMap<u64, (Contact, Cell)>,
    rows: HashMap<&'static str, u64>,
}

/// Checks a snapshot. `progress` hears how many of how many records were read.
pub fn verify(snapshot: &Snapshot, mut progress: impl FnMut(u64, u64)) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    let mut expected = Expected::default();
    let txn = snapshot.transaction();
    let messages = txn.open_table(tables::MESSAGES)?;
    let inbound = txn.open_table(tables::INBOUND)?;
    let stubs = txn.open_table(tables::STUBS)?;
    let total = messages.len()? + stubs.len()? + inbound.len()?;
    for row in txn.open_table(tables::FORGOTTEN)?.iter()? {
        let (key, cell) = row?;
        expected.forgotten(key.value(), &decode(cell.value())?);
    }
    for row in messages.iter()? {
        let (key, bytes) = row?;
        let message: Message = decode(bytes.value())?;
        findings.messages += 1;
        if message.id.0 != key.value() {
            findings.add("messages", format!("{} stands where another should", message.id));
        }
        check_journal(&message, &mut findings);
        check_rows(snapshot, &message, &mut expected, &mut findings)?;
        if findings.messages % 1_000 == 0 {
            progress(findings.messages, total);
        }
    }
    let segments = txn.open_table(tables::SEGMENTS)?;
    let mut unreadable = BTreeMap::new();
    for row in stubs.iter()? {
        let (id, segment) = row?;
        let (id, segment) = (MessageId(id.value()), segment.value());
        if messages.get(id.0)?.is_some() || segments.get(segment)?.is_none() {
            findings.add("stubs", format!("{id} has a stub though it is here, or one of a segment that is not in use"));
        }
        match snapshot.message(id) {
            Ok(Some(message)) => {
                check_journal(&message, &mut findings);
                check_rows(snapshot, &message, &mut expected, &mut findings)?;
            }
            Ok(None) => findings.add("stubs", format!("{id} leads nowhere")),
            Err(StoreError::Archive(words)) => {
                let (count, _) = unreadable.entry(segment).or_insert((0u64, words));
                *count += 1;
            }
            Err(error) => return Err(error),
        }
        findings.messages += 1;
        findings.archived += 1;
        if findings.messages % 1_000 == 0 {
            progress(findings.messages, total);
        }
    }
    for row in inbound.iter()? {
        let inbound: Inbound = decode(row?.1.value())?;
        findings.inbound += 1;
        check_inbound(snapshot, &inbound, &mut expected, &mut findings)?;
    }
    for (segment, (count, words)) in &unreadable {
        let what = "what they count in was not compared";
        findings.add("archive", format!("segment {segment}: {count} messages cannot be read, and {what}: {words}"));
    }
    if unreadable.is_empty() {
        check_lengths(snapshot, &expected, &mut findings)?;
        check_cells(snapshot, expected.rollups, &mut findings)?;
        check_people(snapshot, expected.people, &mut findings)?;
    }
    check_events(snapshot, &mut findings)?;
    trust::check(snapshot, &mut findings)?;
    people::check(snapshot, &mut findings)?;
    progress(total, total);
    Ok(findings)
}

impl Findings {
    pub(super) fn add(&mut self, place: &'static str, detail: String) {
        self.count += 1;
        if self.differences.len() < MAX_LISTED {
            self.differences.push(Difference { place, detail });
        }
    }
}

impl Expected {
    /// What no record stands behind any more, by the hour.
    fn forgotten(&mut self, key: [u8; 9], cell: &Cell) {
        let (sender, at) = tables::sender_and_hour(key);
        for tier in Tier::ALL {
            self.rollups.entry(tables::rollup(sender, tier, tier.bucket(at))).or_default().merge(cell, 1);
        }
    }

    fn count(&mut self, share: &Share, sender: u32, at: Time) {
        for tier in Tier::ALL {
            let key = tables::rollup(sender, tier, tier.bucket(at));
            share.add_to(self.rollups.entry(key).or_default(), 1);
        }
    }
}

/// A journal that kept everything tells the whole story: played again, it gives the record.
fn check_journal(message: &Message, findings: &mut Findings) {
    if message.journal.dropped == 0 && message.replay() != *message {
        findings.add("messages", format!("{}: its journal does not give its record", message.id));
    }
}

fn check_rows(
    snapshot: &Snapshot,
    message: &Message,
    expected: &mut Expected,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let print = Footprint::of(message);
    let id = message.id;
    for sid in &print.sids {
        let owner = snapshot.message_by_sid(*sid)?;
        let is_known = owner.as_ref().is_some_and(|owner| owner.attempt_with(*sid).is_some());
        // A SID that two messages have leads to one of them.
        *expected.rows.entry("sids").or_default() += u64::from(owner.is_some_and(|owner| owner.id == id));
        if !is_known {
            findings.add("sids", format!("{sid} does not lead to {id}"));
        }
    }
    let contact = tables::message_of(message.contact, id);
    expect_row(snapshot, tables::MESSAGES_OF, "messages_of", Some(contact), id, expected, findings)?;
    expect_row(snapshot, tables::AGENDA, "agenda", print.agenda, id, expected, findings)?;
    let code = print.code.map(|code| tables::code(code, id));
    expect_row(snapshot, tables::CODES, "codes", code, id, expected, findings)?;
    let attention = print.needs_attention.then_some(id.0);
    expect_row(snapshot, tables::ATTENTION, "attention", attention, id, expected, findings)?;
    let flight = print.is_unresolved.then_some(contact);
    expect_row(snapshot, tables::FLIGHTS, "flights", flight, id, expected, findings)?;
    if let Some(row) = &print.held {
        *expected.rows.entry("held").or_default() += 1;
        if snapshot.transaction().open_table(tables::HELD)?.get(row.as_slice())?.is_none() {
            findings.add("held", format!("{id} has no row"));
        }
    }
    expected.count(&print.share, print.sender, message.accepted_at);
    let (_, cell) = expected.people.entry(message.contact).or_default();
    print.share.add_to(cell, 1);
    Ok(())
}

fn expect_row<const N: usize>(
    snapshot: &Snapshot,
    table: TableDefinition<[u8; N], ()>,
    place: &'static str,
    row: Option<[u8; N]>,
    owner: impl std::fmt::Display,
    expected: &mut Expected,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let Some(row) = row else { return Ok(()) };
    *expected.rows.entry(place).or_default() += 1;
    if snapshot.transaction().open_table(table)?.get(row)?.is_none() {
        findings.add(place, format!("{owner} has no row"));
    }
    Ok(())
}

fn check_inbound(
    snapshot: &Snapshot,
    inbound: &Inbound,
    expected: &mut Expected,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let Inbound { sid, at, contact, sender, .. } = *inbound;
    let row = Some(tables::inbound_of(contact, at, sid.0));
    expect_row(snapshot, tables::INBOUND_OF, "inbound_of", row, sid, expected, findings)?;
    *expected.rows.entry("inbound_sids").or_default() += 1;
    let known = snapshot.transaction().open_table(tables::INBOUND_SIDS)?.get(sid.0)?.map(|at| at.value());
    if known != Some(at.0) {
        findings.add("inbound_sids", format!("{sid} does not lead to its record"));
    }
    let share = metrics::inbound(inbound.source);
    expected.count(&share, sender, at);
    let (person, cell) = expected.people.entry(contact).or_default();
    share.add_to(cell, 1);
    person.wrote(sender, at);
    Ok(())
}

/// Every expected row was found one by one; so a table of another length has rows that nobody expects.
fn check_lengths(snapshot: &Snapshot, expected: &Expected, findings: &mut Findings) -> Result<(), StoreError> {
    let txn = snapshot.transaction();
    let lengths = [
        ("sids", txn.open_table(tables::SIDS)?.len()?),
        ("messages_of", txn.open_table(tables::MESSAGES_OF)?.len()?),
        ("agenda", txn.open_table(tables::AGENDA)?.len()?),
        ("codes", txn.open_table(tables::CODES)?.len()?),
        ("attention", txn.open_table(tables::ATTENTION)?.len()?),
        ("flights", txn.open_table(tables::FLIGHTS)?.len()?),
        ("held", txn.open_table(tables::HELD)?.len()?),
        ("inbound_of", txn.open_table(tables::INBOUND_OF)?.len()?),
        ("inbound_sids", txn.open_table(tables::INBOUND_SIDS)?.len()?),
    ];
    for (place, length) in lengths {
        findings.index_rows += length;
        let wanted = expected.rows.get(place).copied().unwrap_or(0);
        if length != wanted {
            findings.add(place, format!("has {length} rows, and the records ask for {wanted}"));
        }
    }
    Ok(())
}

fn check_cells(
    snapshot: &Snapshot,
    mut wanted: BTreeMap<[u8; 9], Cell>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let txn = snapshot.transaction();
    let mut stored = Log::<[u8; 9]>::read(&txn.open_table(tables::ROLLUP_LOG)?)?.cells;
    for row in txn.open_table(tables::ROLLUPS)?.iter()? {
        let (key, bytes) = row?;
        stored.entry(key.value()).or_default().merge(&decode(bytes.value())?, 1);
    }
    for (key, cell) in stored.into_iter().filter(|(_, cell)| !cell.is_empty()) {
        findings.cells += 1;
        if wanted.remove(&key) != Some(cell) {
            findings.add("rollups", format!("the cell {key:?} is not the sum of its records"));
        }
    }
    for key in wanted.keys() {
        findings.add("rollups", format!("the cell {key:?} is missing"));
    }
    Ok(())
}

fn check_people(
    snapshot: &Snapshot,
    mut wanted: HashMap<u64, (Contact, Cell)>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let txn = snapshot.transaction();
    let aliases = txn.open_table(tables::ALIASES)?;
    let mut log = Log::<u64>::read(&txn.open_table(tables::SUM_LOG)?)?.cells;
    let sums = txn.open_table(tables::SUMS)?;
    let opt_outs = txn.open_table(tables::OPT_OUTS)?;
    let (mut names, mut opted_out) = (0, 0);
    for row in txn.open_table(tables::CONTACTS)?.iter()? {
        let (number, bytes) = row?;
        let stored: Contact = decode(bytes.value())?;
        let mut cell = sums::cell_of(&sums, number.value())?;
        cell.merge(&log.remove(&number.value()).unwrap_or_default(), 1);
        let (person, sum) = wanted.remove(&number.value()).unwrap_or_default();
        findings.contacts += 1;
        names += stored.aliases.len() as u64;
        if (&stored.windows, &cell) != (&person.windows, &sum) {
            findings.add("contacts", format!("contact {} is not the sum of its records", number.value()));
        }
        opted_out += u64::from(!stored.opt_outs.is_empty());
        if opt_outs.get(number.value())?.is_some() == stored.opt_outs.is_empty() {
            findings.add("opt_outs", format!("contact {} is not listed as they wish", number.value()));
        }
        for name in &stored.aliases {
            if aliases.get(name.as_str())?.map(|owner| owner.value()) != Some(number.value()) {
                findings.add("aliases", format!("a name of contact {} leads elsewhere", number.value()));
            }
        }
    }
    if opt_outs.len()? != opted_out {
        findings.add("opt_outs", format!("has {} rows, and {opted_out} people opted out", opt_outs.len()?));
    }
    for number in wanted.keys() {
        findings.add("contacts", format!("contact {number} is missing"));
    }
    for number in log.keys() {
        findings.add("sums", format!("the log speaks of contact {number}, and there is none"));
    }
    if aliases.len()? != names {
        findings.add("aliases", format!("has {} rows, and the contacts have {names} names", aliases.len()?));
    }
    Ok(())
}

fn check_events(snapshot: &Snapshot, findings: &mut Findings) -> Result<(), StoreError> {
    let events = snapshot.transaction().open_table(tables::EVENTS)?;
    let mut last = None;
    for row in events.iter()? {
        let number = row?.0.value();
        if last.is_some_and(|last| number != last + 1 && number % restored::EPOCH != 0) {
            findings.add("events", format!("{number} follows {}: the sequence has a gap", last.unwrap_or_default()));
        }
        last = Some(number);
    }
    Ok(())
}
