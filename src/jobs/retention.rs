//! Forgets what is older than it may be kept, and what is left of those who were erased.
//!
//! Invariant: what goes is decided by its age and its record alone; the numbers of senders keep it. A run that was cut off is
//! gone on with by the next. Memory does not grow with how much goes.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::archive::{self, ArchiveError};
use crate::clock::Time;
use crate::message::MessageId;
use crate::store::{Handle, KEY_KEPT, Old, Snapshot, StoreError, Write, Written};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Records that go in one commit.
const PART: usize = 256;
/// Events that are looked at at once.
const EVENTS: usize = 5_000;

/// The `[retention]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// When it is done, as a cron line in UTC: second minute hour day month weekday; empty for never.
    pub schedule: String,
    /// Days after its last change until what a message at its end said is forgotten, and days after it came until what a
    /// person wrote is (0 to 36500).
    pub bodies_days: u32,
    /// The same for the messages themselves; the numbers of senders keep them (1 to 36500).
    pub messages_days: u32,
    /// Days that events can be read again (1 to 36500).
    pub events_days: u32,
    /// Days that the audit log is kept (1 to 36500).
    pub audit_days: u32,
    /// When the data file is written anew, if anything was forgotten since it last was; empty for never.
    pub rewrite_schedule: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            schedule: "0 15 4 * * *".to_owned(),
            bodies_days: 30,
            messages_days: 400,
            events_days: 90,
            audit_days: 400,
            rewrite_schedule: "0 45 4 * * *".to_owned(),
        }
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages whose words went.
    pub words: usize,
    /// Messages that went.
    pub messages: usize,
    /// Inbound messages whose words went.
    pub inbound_words: usize,
    /// Inbound messages that went.
    pub inbound: usize,
    /// People of whom nothing was left.
    pub people: usize,
    /// Old events, keys of requests and names of what is gone.
    pub rows: usize,
    /// Events that named what is gone.
    pub scrubbed: usize,
    /// Segments of the archive that were written anew.
    pub segments: u32,
}

impl fmt::Display for Swept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { words, messages, inbound_words, inbound, people, rows, scrubbed, segments } = self;
        write!(
            f,
            "forgotten: the words of {words} messages and {inbound_words} inbound, {messages} messages, {inbound} inbound, {people} \
             people, {rows} old rows; {scrubbed} events and {segments} segments written anew"
        )
    }
}

/// Forgets what is too old at `now`.
pub async fn run(store: &Handle, options: &Options, now: Time) -> Result<Swept, ArchiveError> {
    let until = |days: u32| now.minus(DAY * days);
    let (bodies, messages) = (until(options.bodies_days), until(options.messages_days));
    let (mut swept, mut people) = (Swept::default(), BTreeSet::new());
    swept.words = words(store, bodies).await?;
    swept.messages = old_messages(store, messages, &mut people).await?;
    (swept.inbound_words, swept.inbound) = inbound(store, bodies, messages, &mut people).await?;
    let people = people.into_iter().collect::<Vec<_>>();
    for part in people.chunks(PART) {
        swept.people += forget(store, Write::ForgetPeople(part.to_vec())).await?;
    }
    swept.rows = rows(store, options, now).await?;
    swept.scrubbed = scrub(store).await?;
    swept.segments = archive::tidy(store, Some(bodies)).await?;
    Ok(swept)
}

async fn forget(store: &Handle, write: Write) -> Result<usize, StoreError> {
    match store.write(write).await? {
        Written::Forgotten(count) => Ok(count),
        other => unreachable!("what is forgotten is counted, not {other:?}"),
    }
}

/// Reads in the background, so that no request waits for it.
async fn read<T: Send + 'static>(
    store: &Handle,
    look: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ArchiveError> {
    let snapshot = store.read()?;
    Ok(tokio::task::spawn_blocking(move || look(&snapshot)).await??)
}

async fn words(store: &Handle, until: Time) -> Result<usize, ArchiveError> {
    let (mut from, mut all) = (MessageId([0; 16]), 0);
    loop {
        let found = read(store, move |snapshot| snapshot.worded(from, until, PART)).await?;
        let Some(last) = found.last() else { return Ok(all) };
        from = last.next();
        all += forget(store, Write::ForgetWords(found)).await?;
    }
}

async fn old_messages(store: &Handle, until: Time, people: &mut BTreeSet<u64>) -> Result<usize, ArchiveError> {
    let (mut from, mut all) = (MessageId([0; 16]), 0);
    loop {
        let found = read(store, move |snapshot| snapshot.aged(from, until, PART)).await?;
        let Some((last, _)) = found.last() else { return Ok(all) };
        from = last.next();
        people.extend(found.iter().map(|(_, contact)| *contact));
        all += forget(store, Write::ForgetMessages(found.into_iter().map(|(id, _)| id).collect())).await?;
    }
}

async fn inbound(
    store: &Handle,
    bodies: Time,
    messages: Time,
    people: &mut BTreeSet<u64>,
) -> Result<(usize, usize), ArchiveError> {
    let (mut words, mut all) = (0, 0);
    loop {
        let found = read(store, move |snapshot| snapshot.aged_inbound(messages, false, PART)).await?;
        if found.is_empty() {
            break;
        }
        people.extend(found.iter().map(|(_, contact)| *contact));
        all += forget(store, Write::ForgetInbound(found.into_iter().map(|(key, _)| key).collect())).await?;
    }
    loop {
        let found = read(store, move |snapshot| snapshot.aged_inbound(bodies, true, PART)).await?;
        if found.is_empty() {
            break;
        }
        words += forget(store, Write::ForgetInboundWords(found.into_iter().map(|(key, _)| key).collect())).await?;
    }
    Ok((words, all))
}

async fn rows(store: &Handle, options: &Options, now: Time) -> Result<usize, ArchiveError> {
    let events_before = now.minus(DAY * options.events_days);
    let audit_before = now.minus(DAY * options.audit_days);
    let gone_before = now.minus(DAY * options.messages_days);
    let mut all = 0;
    loop {
        let keys_before = now.minus(KEY_KEPT);
        let old = read(store, move |snapshot| {
            let keys = snapshot.keys_before(keys_before, PART)?;
            Ok(Old { events_before, audit_before, keys, gone: snapshot.gone_before(gone_before, PART)? })
        });
        let forgotten = forget(store, Write::ForgetOld(old.await?)).await?;
        all += forgotten;
        if forgotten == 0 {
            return Ok(all);
        }
    }
}

/// Events that name what is gone lose all but their number.
async fn scrub(store: &Handle) -> Result<usize, ArchiveError> {
    let Some(since) = store.read()?.unscrubbed()? else { return Ok(0) };
    let (mut after, mut all) = (0, 0);
    loop {
        let (found, last) = read(store, move |snapshot| snapshot.events_of_gone(after, EVENTS)).await?;
        for part in found.chunks(PART) {
            all += forget(store, Write::Scrub(part.to_vec())).await?;
        }
        match last {
            Some(last) => after = last,
            None => break,
        }
    }
    store.write(Write::Scrubbed(since)).await?;
    Ok(all)
}

/// Writes the data file anew, if anything was forgotten since it last was, or if somebody asks for it.
pub async fn rewrite(store: &Handle, is_wanted: bool) -> Result<String, StoreError> {
    if !is_wanted && store.read()?.unwritten()?.is_none() {
        return Ok("nothing was forgotten since it was last written anew".to_owned());
    }
    match store.write(Write::Rewrite).await? {
        Written::Rewritten(done) => Ok(format!("{} bytes became {}", done.before, done.after)),
        other => unreachable!("a rewriting says how large the file is, not {other:?}"),
    }
}
