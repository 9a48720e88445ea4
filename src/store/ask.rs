//! What asking Twilio taught about an attempt, and when to ask again.
//!
//! Invariant: an attempt is absent only if a whole list, asked for `settle_ms` after its answer was lost, did not name
//! it.

use super::StoreError;
use super::batch::Batch;
use super::report;
use super::verbs::{Asked, Heard, Recorded, Written};
use crate::clock::Time;
use crate::message::{Attempt, Fact, Handing, Hold, Source};
use crate::sabotage::{Bug, is_planted};

/// Takes an answer in.
pub(super) fn ask(batch: &mut Batch<'_>, asked: Asked) -> Result<Written, StoreError> {
    let Asked { attempt: name, heard, at } = asked;
    let (id, number) = (name.message, name.number);
    let message = batch.message(id)?;
    let known = message.and_then(|message| message.attempt(number)).filter(|known| known.nonce == name.nonce);
    let Some(known) = known.cloned() else { return Ok(Written::NotFound) };
    let mut change = None;
    let unlisted_at = (heard == Heard::NotListed).then_some(at);
    if let Heard::Told { sid, word, code } = heard {
        report::absorb(batch, id, number, sid)?;
        change = batch.apply(id, Fact::Reported { attempt: number, sid, word, code }, Source::Poll)?;
    }
    let fact = next(batch, &known, unlisted_at, id)?;
    if let Some(fact) = fact {
        let then = batch.apply(id, fact, Source::Poll)?;
        change = match (change, then) {
            (Some(first), Some(then)) => Some(first.then(then)),
            (first, then) => first.or(then),
        };
    }
    let change = change.or(batch.message(id)?.map(|message| message.no_change()));
    Ok(change.map_or(Written::NotFound, |change| Written::Recorded(Recorded { id, change })))
}

/// Whether it is absent, or when to ask again.
fn next(
    batch: &mut Batch<'_>,
    known: &Attempt,
    unlisted_at: Option<Time>,
    id: crate::message::MessageId,
) -> Result<Option<Fact>, StoreError> {
    let (now, policy, attempt) = (batch.now, batch.policy, known.number);
    let Some(message) = batch.message(id)? else { return Ok(None) };
    let is_latest = message.attempts.last().is_some_and(|latest| latest.number == attempt);
    // While the latest attempt is looked for, news of an earlier one does not move the date of that.
    if !message.is_asked_about() || (message.is_unclear() && !is_latest) {
        return Ok(None);
    }
    let is_unknown = matches!(message.attempt(attempt).map(|known| &known.handing), Some(Handing::Unknown { .. }));
    let since = known.answered_at.unwrap_or(known.started_at);
    Ok(Some(match is_unknown {
        true if is_planted(Bug::AbsenceUnchecked) => Fact::Absent { attempt },
        true if unlisted_at.is_some_and(|at| policy.is_settled(at, since)) => Fact::Absent { attempt },
        true => match policy.look_at(now, since) {
            Some(at) => Fact::Asked { attempt, ask_at: Some(at) },
            None => Fact::Held { why: Hold::Unknown },
        },
        false => {
            let ask_at = policy.ask_again_at(now, known.started_at, message.has_arrived());
            Fact::Asked { attempt, ask_at }
        }
    }))
}
