//! What a restored store must find out before it sends: what happened after the backup was taken.
//!
//! Invariant: until that is known, everything is paused. What waited when the backup was taken may have been sent since: it
//! counts as handed over then, with its answer lost, so that it is looked for at Twilio before it goes again.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::batch::Batch;
use super::codec::{decode, encode};
use super::consequences;
use super::tables;
use super::verbs::{Doubt, Written};
use crate::clock::Time;
use crate::message::{FEARED, Fact, Form, Message, MessageId, Source, Step};
use crate::pause::{Cause, Scope};

/// Where it stands in the file.
pub(super) const KEY: &str = "restored";
/// Messages that are dealt with in one commit.
const MAX_COMMIT: usize = 500;
/// Events of a restored store have numbers of their own: whoever listens has heard others under the numbers that the lost
/// ones had. 2^40 is far above any count, and 8,000 restores stay below what every JSON reader holds exactly.
pub(super) const EPOCH: u64 = 1 << 40;

/// What a data file was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// When the backup was taken.
    pub taken_at: Time,
    /// When it was restored.
    pub at: Time,
    /// The newest event in it.
    pub last_event: u64,
    /// Whether all that waited in it is looked for already: what waits from then on is new, or was found to be absent.
    pub is_doubted: bool,
}

/// The first event number after a restore.
pub(super) fn first_event(restored: Restored) -> u64 {
    (restored.last_event / EPOCH + 1) * EPOCH
}

/// Pauses everything and takes what waited for lost; says how many messages were, 0 when all is done.
pub(super) fn doubt(batch: &mut Batch<'_>, doubt: Doubt) -> Result<Written, StoreError> {
    let Some(restored) = read(batch)?.filter(|restored| !restored.is_doubted) else { return Ok(Written::Doubted(0)) };
    let first = first_event(restored);
    let next = &mut batch.memory().next.event;
    *next = (*next).max(first);
    if batch.memory().pauses.get(&Scope::All).is_none_or(|paused| !paused.is_on()) {
        consequences::pause(batch, Scope::All, Cause::Restored { taken_at: restored.taken_at })?;
    }
    let waiting = waiting(batch)?;
    if waiting.is_empty() {
        let done = Restored { is_doubted: true, ..restored };
        batch.tables.meta.open()?.insert(KEY, encode(&done).as_slice())?;
    }
    for (number, id) in waiting.iter().enumerate() {
        let mut nonce = doubt.random;
        for (byte, salt) in nonce.iter_mut().zip((number as u64).to_be_bytes()) {
            *byte ^= salt;
        }
        let Some(message) = batch.message(*id)?.cloned() else { continue };
        let ask_at = batch.policy.first_look_at(batch.now);
        let attempt = message.attempts.last().map_or(1, |last| last.number.saturating_add(1));
        let detail = "it waited when the backup was taken, and may have been sent since".to_owned();
        batch.apply_at(
            *id,
            Fact::Claimed { nonce, boot: FEARED, form: likely_form(&message) },
            Source::Job,
            restored.taken_at,
        )?;
        batch.apply(*id, Fact::Unclear { attempt, detail, ask_at }, Source::Job)?;
    }
    Ok(Written::Doubted(waiting.len()))
}

/// Free text may have gone as its fallback: a template is looked for by its time alone, which finds either.
fn likely_form(message: &Message) -> Form {
    if message.draft.fallback.is_some() { Form::Fallback } else { Form::AsAsked }
}

/// Messages that wait to be sent, some of them.
fn waiting(batch: &mut Batch<'_>) -> Result<Vec<MessageId>, StoreError> {
    let agenda = batch.tables.agenda.open()?;
    let rows = agenda.iter()?.map(|row| row.map(|row| row.0.value()));
    // What is to be sent stands first.
    let rows = rows.take_while(|row| row.as_ref().map_or(true, |row| tables::agenda_step(*row) == Step::Send as u8));
    rows.take(MAX_COMMIT).map(|row| Ok(tables::agenda_id(row?))).collect()
}

/// All that happened since the backup is known: sending goes on.
pub(super) fn settle(batch: &mut Batch<'_>) -> Result<Written, StoreError> {
    batch.tables.meta.open()?.remove(KEY)?;
    let cause = batch.memory().pauses.get(&Scope::All).filter(|paused| paused.is_on()).map(|paused| &paused.cause);
    let is_ours = matches!(cause, Some(Cause::Restored { .. }));
    Ok(Written::Resumed(is_ours && consequences::resume(batch, &Scope::All)?))
}

fn read(batch: &mut Batch<'_>) -> Result<Option<Restored>, StoreError> {
    let meta = batch.tables.meta.open()?;
    Ok(meta.get(KEY)?.map(|bytes| decode(bytes.value())).transpose()?)
}
