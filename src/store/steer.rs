//! What people decide about messages: cancel, hold, release, send again, pause and resume, opt out and in.

use redb::ReadableTable;

use super::StoreError;
use super::batch::Batch;
use super::consequences;
use super::tables::{self, Awaited};
use super::verbs::{Direction, Inbound, OptingOut, Retry, Steer, Written};
use crate::contact::Reason;
use crate::message::{Fact, Hold, MessageId, Source, Status, Why};
use crate::pause::Scope;

/// So many messages are let go in one commit after a template's pause; the rest follows at once.
const MAX_FREED: usize = 500;
/// So many held messages go when a person writes; who holds more than this for one person releases the rest by hand.
const MAX_ANSWERED: usize = 100;

/// Cancels, holds or releases a message.
pub(super) fn steer(batch: &mut Batch<'_>, steer: Steer) -> Result<Written, StoreError> {
    let Steer { id, to, source } = steer;
    let now = batch.now;
    let Some(message) = batch.message(id)? else { return Ok(Written::NotFound) };
    // The id may be one that the message had before it was absorbed.
    let id = message.id;
    let is_waiting = message.may_cancel().is_ok();
    let is_held = message.status() == Status::Held;
    let fact = match to {
        Direction::Cancel if is_waiting => Fact::Canceled,
        Direction::Hold if is_waiting && !is_held => Fact::Held { why: Hold::Operator },
        Direction::Release if is_held => Fact::Released { due: now },
        _ => return Ok(Written::TooLate(Box::new(message.clone()))),
    };
    batch.apply(id, fact, source)?;
    Ok(batch.message(id)?.map_or(Written::NotFound, |message| Written::Steered(Box::new(message.clone()))))
}

/// Sends failed messages again, where that can help.
pub(super) fn retry(batch: &mut Batch<'_>, retry: Retry) -> Result<Written, StoreError> {
    let (now, policy) = (batch.now, batch.policy);
    let mut retried = Vec::with_capacity(retry.ids.len().min(Retry::MAX));
    for id in retry.ids.into_iter().take(Retry::MAX) {
        let Some(message) = batch.message(id)?.cloned() else { continue };
        let recipient = batch.recipient(message.sender, message.contact)?;
        let verdict = message.may_retry(&recipient, retry.may_duplicate, policy, now);
        if verdict.is_ok() {
            let attempt = message.attempts.last().map_or(0, |attempt| attempt.number);
            batch.apply(id, Fact::Retried { attempt, due: now, why: Why::Operator }, retry.source)?;
        }
        retried.push((id, verdict));
    }
    Ok(Written::Retried(retried))
}

/// Writes down what a person does not want, or that they want everything again.
pub(super) fn opt(batch: &mut Batch<'_>, wish: OptingOut) -> Result<Written, StoreError> {
    let now = batch.now;
    let contact = match batch.contact_number(&wish.name)? {
        Some(contact) => contact,
        None if wish.scope.is_none() => return Ok(Written::NotFound),
        None => batch.contact_named(&wish.name)?,
    };
    Ok(Written::OptedOut(match wish.scope {
        Some(scope) => consequences::opt_out(batch, contact, scope, Reason::Operator(wish.note), now)?,
        None => consequences::opt_in(batch, contact, now)?,
    }))
}

/// A person wrote: what waited for that goes now, and the words that stop or start us are heard.
pub(super) fn hear(batch: &mut Batch<'_>, inbound: &Inbound) -> Result<(), StoreError> {
    let Inbound { sender, contact, at, .. } = *inbound;
    // Twilio's own word for it, where its opt-out handling has read the message.
    let word = inbound.extra.get("OptOutType").unwrap_or(&inbound.body).trim().to_lowercase();
    let policy = batch.policy;
    if policy.stop_words.contains(&word) {
        consequences::opt_out(batch, contact, crate::message::OptOut::All, Reason::Word(word), at)?;
    } else if policy.start_words.contains(&word) {
        consequences::opt_in(batch, contact, at)?;
    }
    for id in awaiting(batch, &Awaited::Inbound(sender, contact), MAX_ANSWERED)? {
        release(batch, id)?;
    }
    Ok(())
}

/// Lets go what still waits for templates whose pause is over.
pub(super) fn free(batch: &mut Batch<'_>) -> Result<(), StoreError> {
    let freed = batch.memory().freed.iter().cloned().collect::<Vec<_>>();
    for sid in freed {
        let is_paused = batch.memory().pauses.get(&Scope::Template(sid.clone())).is_some_and(|paused| paused.is_on());
        let ids = if is_paused { Vec::new() } else { awaiting(batch, &Awaited::Template(&sid), MAX_FREED)? };
        if ids.len() < MAX_FREED {
            batch.memory().freed.remove(&sid);
        }
        for id in ids {
            release(batch, id)?;
        }
    }
    Ok(())
}

fn release(batch: &mut Batch<'_>, id: MessageId) -> Result<(), StoreError> {
    let due = batch.now;
    if batch.message(id)?.is_some_and(|message| message.status() == Status::Held) {
        batch.apply(id, Fact::Released { due }, Source::Job)?;
    }
    Ok(())
}

fn awaiting(batch: &mut Batch<'_>, awaited: &Awaited<'_>, at_most: usize) -> Result<Vec<MessageId>, StoreError> {
    let prefix = awaited.prefix();
    let rows = batch.tables.held.open()?.range(prefix.as_slice()..)?.take(at_most);
    let mut ids = Vec::new();
    for row in rows {
        let row = row?.0;
        if !row.value().starts_with(&prefix) {
            break;
        }
        ids.push(tables::held_id(row.value()));
    }
    Ok(ids)
}
