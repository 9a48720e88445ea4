//! What a failure means beyond its own message: others would fail the same way, a person does not want more, or we are
//! too fast.
//!
//! Invariant: late news changes nothing: what an attempt failed of before a pause ended, or before a person wanted to
//! hear from us again, is known already.

use super::StoreError;
use super::batch::Batch;
use super::codec::encode;
use crate::clock::Time;
use crate::contact::Reason;
use crate::event::Told;
use crate::message::{Class, Fact, Message, MessageId, Origin, Pause, Word, explain};
use crate::pause::{Cause, Paused, Scope};

/// What a fact says that concerns more than its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// An attempt failed with a code.
    Failed(u8, u32),
    /// An attempt is on its way to the person.
    OnItsWay,
}

impl News {
    pub(super) fn of(fact: &Fact) -> Self {
        match fact {
            Fact::Refused { attempt, code: Some(code), .. } => Self::Failed(*attempt, *code),
            Fact::Reported { attempt, word, code: Some(code), .. } if word.is_failure() => {
                Self::Failed(*attempt, *code)
            }
            Fact::Sent { word, .. } | Fact::Reported { word, .. } if *word == Word::Sent || word.is_arrival() => {
                Self::OnItsWay
            }
            _ => Self::None,
        }
    }
}

/// Lets everyone know whom it concerns.
pub(super) fn spread(batch: &mut Batch<'_>, id: MessageId, news: News) -> Result<(), StoreError> {
    match news {
        News::None => Ok(()),
        News::OnItsWay => end_probe(batch, id),
        News::Failed(attempt, code) => fail(batch, id, attempt, code),
    }
}

fn fail(batch: &mut Batch<'_>, id: MessageId, number: u8, code: u32) -> Result<(), StoreError> {
    let failure = explain(code);
    let Some(message) = batch.message(id)? else { return Ok(()) };
    let Some(attempt) = message.attempt(number) else { return Ok(()) };
    let (started_at, contact, sender, origin) = (attempt.started_at, message.contact, message.sender, message.origin);
    let scope = scope(message, number, failure.pause);
    if let Some(scope) = failure.opt_out {
        opt_out(batch, contact, scope, Reason::Code(code), started_at)?;
    }
    if failure.class == Class::Rate {
        batch.memory().too_fast.insert(sender);
    }
    if let Some(scope) = scope.filter(|_| failure.class == Class::Operator && origin == Origin::Api) {
        let known = batch.memory().pauses.get(&scope);
        let is_old_news = known.is_some_and(|known| known.is_on() || known.ended_at > Some(started_at));
        if !is_old_news {
            pause(batch, scope, Cause::Failure(code))?;
        }
    }
    Ok(())
}

fn scope(message: &Message, number: u8, pause: Pause) -> Option<Scope> {
    match pause {
        Pause::Account => Some(Scope::Account),
        Pause::Sender => Some(Scope::Sender(message.draft.from.to_string())),
        Pause::Template => {
            let form = message.attempt(number)?.form;
            message.template(form).map(|template| Scope::Template(template.sid.clone()))
        }
        Pause::None => None,
    }
}

/// Writes down what a person does not want; says whether that is new.
pub(super) fn opt_out(
    batch: &mut Batch<'_>,
    contact: u64,
    scope: crate::message::OptOut,
    reason: Reason,
    at: Time,
) -> Result<bool, StoreError> {
    let is_new = batch.contact(contact)?.opt_out(scope, reason, at);
    if is_new {
        batch.tables.opt_outs.open()?.insert(contact, ())?;
        batch.tell(Some(Told::OptedOut { contact, scope: Some(scope) }))?;
    }
    Ok(is_new)
}

/// A person wants everything again; says whether that ends anything.
pub(super) fn opt_in(batch: &mut Batch<'_>, contact: u64, at: Time) -> Result<bool, StoreError> {
    let person = batch.contact(contact)?;
    let was_out = person.opt_in(at);
    let is_out = person.opted_out().is_some();
    if was_out && !is_out {
        batch.tables.opt_outs.open()?.remove(contact)?;
        batch.tell(Some(Told::OptedOut { contact, scope: None }))?;
    }
    Ok(was_out)
}

/// Holds something up. A person's word outdoes a failure; a second failure changes nothing.
pub(super) fn pause(batch: &mut Batch<'_>, scope: Scope, cause: Cause) -> Result<Paused, StoreError> {
    let known = batch.memory().pauses.get(&scope).filter(|known| known.is_on()).cloned();
    if let Some(known) = known.filter(|_| matches!(cause, Cause::Failure(_))) {
        return Ok(known);
    }
    let code = if let Cause::Failure(code) = cause { Some(code) } else { None };
    let paused = Paused::begin(scope.clone(), cause, batch.policy, batch.now);
    keep(batch, paused.clone())?;
    batch.tell(Some(Told::Paused { scope: scope.to_string(), code }))?;
    Ok(paused)
}

/// Lets something go on; says whether it was paused.
pub(super) fn resume(batch: &mut Batch<'_>, scope: &Scope) -> Result<bool, StoreError> {
    let Some(mut paused) = batch.memory().pauses.get(scope).filter(|known| known.is_on()).cloned() else {
        return Ok(false);
    };
    paused.ended_at = Some(batch.now);
    keep(batch, paused)?;
    if let Scope::Template(sid) = scope {
        batch.memory().freed.insert(sid.clone());
    }
    batch.memory().has_sendable = true;
    batch.tell(Some(Told::Resumed { scope: scope.to_string() }))?;
    Ok(true)
}

/// Writes a pause down.
pub(super) fn keep(batch: &mut Batch<'_>, paused: Paused) -> Result<(), StoreError> {
    batch.tables.pauses.open()?.insert(paused.scope.to_string().as_str(), encode(&paused).as_slice())?;
    batch.memory().pauses.insert(paused.scope.clone(), paused);
    Ok(())
}

/// A message that was let through got on its way: what it probed goes on.
fn end_probe(batch: &mut Batch<'_>, id: MessageId) -> Result<(), StoreError> {
    let probed = batch.memory().pauses.values().filter(|paused| paused.is_probed_by(id));
    for scope in probed.map(|paused| paused.scope.clone()).collect::<Vec<_>>() {
        resume(batch, &scope)?;
    }
    Ok(())
}
