//! What is due to be asked, and how: one by one, by a list of a sender, or by a list of a person.
//!
//! Invariant: pure reading. A person's attempts are looked for together, whether each is due or not: an attempt is only
//! told from its like when all of them are known.

use std::collections::BTreeMap;

use crate::clock::Time;
use crate::jobs::evidence::Wanted;
use crate::message::{AttemptId, Handing, Message, Priority, Sid};
use crate::store::{Snapshot, StoreError};

/// Messages of one sender that are asked about in one round.
const MAX_ROUND: usize = 1_000;
/// From so many messages of one sender on, a list is cheaper than one question each; and it is read on while a page
/// answers as many.
pub(super) const LIST_FROM: usize = 10;

/// One thing to ask Twilio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// How one attempt stands.
    Fetch(Target),
    /// How many attempts of one sender stand.
    List {
        /// Our sender, in Twilio's words; nothing for a Messaging Service, which Twilio's lists cannot be narrowed to.
        from: Option<String>,
        /// The attempts.
        targets: Vec<Target>,
    },
    /// Whether attempts to one person, whose answers were lost, reached Twilio.
    Look {
        /// The person's number in the store.
        contact: u64,
        /// The person, in Twilio's words.
        to: String,
        /// Our sender, in Twilio's words, or a Messaging Service.
        from: String,
        /// The attempts.
        wanted: Vec<Wanted>,
    },
}

/// An attempt that Twilio has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which.
    pub attempt: AttemptId,
    /// Twilio's name for it.
    pub sid: Sid,
    /// When it was handed over.
    pub started_at: Time,
}

/// Everything that is due to be asked, the lost ones first.
pub fn plan(snapshot: &Snapshot, now: Time) -> Result<Vec<Ask>, StoreError> {
    let mut asks = looks(snapshot, now)?;
    asks.extend(receipts(snapshot, now)?);
    Ok(asks)
}

/// The attempts that are due to be looked for, person by person.
pub(super) fn looks(snapshot: &Snapshot, now: Time) -> Result<Vec<Ask>, StoreError> {
    let mut looks = Vec::new();
    for (sender, from) in snapshot.senders()? {
        let mut people: BTreeMap<(u64, String), Vec<Wanted>> = BTreeMap::new();
        for message in snapshot.questions(sender, &[Priority::High], now, MAX_ROUND)? {
            let Some(wanted) = wanted(&message) else { continue };
            people.entry((message.contact, wanted.to.clone())).or_default().push(wanted);
        }
        looks.extend(people.into_iter().map(|((contact, to), wanted)| Ask::Look {
            contact,
            to,
            from: from.clone(),
            wanted,
        }));
    }
    Ok(looks)
}

/// Every attempt to a person of which nobody knows whether Twilio has it, also where nobody looks for it any more: what is
/// listed may be that one. A list of one sender says nothing of the
/// attempts of another; but what it shows may be theirs, where a Messaging Service chose this sender for them.
pub(super) fn unresolved(snapshot: &Snapshot, contact: u64, to: &str, from: &str) -> Result<Vec<Wanted>, StoreError> {
    let mut all: Vec<_> = snapshot.unresolved(contact)?.iter().filter_map(wanted).collect();
    all.retain(|wanted| wanted.to == to);
    for other in all.iter_mut().filter(|wanted| wanted.from != from) {
        other.answered_at = None;
    }
    Ok(all)
}

/// The latest attempt, if nobody knows yet whether Twilio has it.
fn wanted(message: &Message) -> Option<Wanted> {
    let attempt = message.attempts.last().filter(|attempt| attempt.is_in_flight() || attempt.is_lost())?;
    let is_unclear = matches!(attempt.handing, Handing::Unknown { .. });
    Some(Wanted {
        attempt: attempt.id(message.id),
        content: message.content(attempt.form),
        to: message.draft.to.to_string(),
        from: message.draft.from.to_string(),
        started_at: attempt.started_at,
        answered_at: is_unclear.then(|| attempt.answered_at.unwrap_or(attempt.started_at)),
    })
}

/// The attempts at Twilio about which it is due to be asked.
pub(super) fn receipts(snapshot: &Snapshot, now: Time) -> Result<Vec<Ask>, StoreError> {
    let mut asks = Vec::new();
    for (sender, name) in snapshot.senders()? {
        let due = snapshot.questions(sender, &[Priority::Normal, Priority::Bulk], now, MAX_ROUND)?;
        let mut targets: Vec<_> = due.iter().filter_map(target).collect();
        if targets.len() >= LIST_FROM {
            targets.sort_by_key(|target| target.started_at);
            asks.push(Ask::List { from: (!name.starts_with("MG")).then_some(name), targets });
        } else {
            asks.extend(targets.into_iter().map(Ask::Fetch));
        }
    }
    Ok(asks)
}

/// The attempt to ask about: the latest that is on its way; else the latest that Twilio has taken.
fn target(message: &Message) -> Option<Target> {
    let taken = || message.attempts.iter().rev().filter(|attempt| attempt.sid().is_some());
    let attempt = taken().find(|attempt| attempt.is_on_its_way()).or_else(|| taken().next())?;
    Some(Target { attempt: attempt.id(message.id), sid: attempt.sid()?, started_at: attempt.started_at })
}

/// The attempt of ours that a listed message is, if it is to be asked about before long anyway: then its answer is taken
/// while it is here.
pub(super) fn soon(snapshot: &Snapshot, sid: Sid, now: Time) -> Result<Option<Target>, StoreError> {
    let Some(message) = snapshot.message_by_sid(sid)? else { return Ok(None) };
    let is_wanted = message.is_asked_about() && !message.is_unclear();
    let due = message.next.filter(|_| is_wanted).map(|next| next.due);
    let is_soon = |target: &Target| due.is_some_and(|due| due.since(now) <= now.since(target.started_at));
    Ok(target(&message).filter(|target| target.sid == sid).filter(is_soon))
}
