//! The message itself, and the one entry for all that happens to it.
//!
//! Invariant: [`Message::apply`] is total and pure. Replaying a whole journal from [`Message::accept`] or
//! [`Message::adopt`] gives the stored message.

use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Handing};
use super::draft::{Content, Draft, Priority};
use super::fact::{Fact, Journal, Source};
use super::id::{MessageId, Sid};
use super::receipt::{Evidence, Seen};
use super::status::{Status, Word};
use crate::clock::Time;

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// It was accepted by our API.
    Api,
    /// It was sent without us, and its callbacks come here.
    External,
}

/// An end that is ours, not Twilio's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// Canceled before its first attempt.
    Canceled,
    /// Its time ran out.
    Expired,
}

/// What is done next with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    /// Hand it to Twilio.
    Send,
    /// Ask Twilio what became of it.
    Reconcile,
}

impl Step {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Reconcile => "reconcile",
        }
    }
}

/// The one next thing to do, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// What.
    pub step: Step,
    /// When.
    pub due: Time,
}

/// The record of a send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// Where it came from.
    pub origin: Origin,
    /// What was asked for.
    pub draft: Draft,
    /// The store's number for the sender.
    pub sender: u32,
    /// The store's number for the contact.
    pub contact: u64,
    /// When it was accepted.
    pub accepted_at: Time,
    /// When anything last changed.
    pub updated_at: Time,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Its end, where that is ours.
    pub ending: Option<Ending>,
    /// The one next thing to do.
    pub next: Option<Next>,
    /// What happened, and who told us.
    pub journal: Journal,
}

/// What a fact changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The status before.
    pub before: Status,
    /// The status after.
    pub after: Status,
    /// Whether anything new was learned: only then is the team's app told.
    pub grew: bool,
}

/// It is too late to cancel: an attempt has begun, or it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only a message that waits for its first attempt can be canceled")]
pub struct TooLate;

impl Message {
    /// A message as it is accepted: due at once, or at its `send_at`.
    pub fn accept(id: MessageId, draft: Draft, sender: u32, contact: u64, now: Time) -> Self {
        let due = draft.send_at.unwrap_or(now).max(now);
        let mut message = Self::blank(id, Origin::Api, draft, sender, contact, now);
        message.apply(Fact::Accepted { due }, Source::Api, now);
        message
    }

    /// A message that was sent without us: tracked, never sent.
    pub fn adopt(id: MessageId, draft: Draft, sid: Sid, sender: u32, contact: u64, now: Time) -> Self {
        let mut message = Self::blank(id, Origin::External, draft, sender, contact, now);
        message.apply(Fact::Adopted { sid }, Source::Callback, now);
        message
    }

    /// The same message with nothing but its beginning, for replaying its journal.
    pub fn replay(&self) -> Self {
        let (id, draft) = (self.id, self.draft.clone());
        let mut message = Self::blank(id, self.origin, draft, self.sender, self.contact, self.accepted_at);
        for row in &self.journal.rows {
            message.apply(row.fact.clone(), row.source, row.at);
            for _ in 1..row.count {
                message.apply(row.fact.clone(), row.source, row.last_at);
            }
        }
        message
    }

    fn blank(id: MessageId, origin: Origin, draft: Draft, sender: u32, contact: u64, now: Time) -> Self {
        Self {
            id,
            origin,
            draft,
            sender,
            contact,
            accepted_at: now,
            updated_at: now,
            attempts: Vec::new(),
            ending: None,
            next: None,
            journal: Journal::default(),
        }
    }

    /// The one entry for change.
    pub fn apply(&mut self, fact: Fact, source: Source, now: Time) -> Change {
        let before = self.status();
        let grew = self.take_in(&fact, source, now);
        self.journal.write(fact, source, now);
        self.updated_at = self.updated_at.max(now);
        let after = self.status();
        Change { grew: grew || before != after, before, after }
    }

    fn take_in(&mut self, fact: &Fact, source: Source, now: Time) -> bool {
        match fact {
            Fact::Accepted { due } => {
                self.next = Some(Next { step: Step::Send, due: *due });
                true
            }
            Fact::Adopted { sid } => {
                let number = self.open_attempt([0; 16], 0, now);
                self.answer(number, Handing::Accepted, now);
                self.attempt_mut(number).is_some_and(|attempt| attempt.receipt.sids.insert(*sid))
            }
            Fact::Claimed { nonce, boot } => {
                self.next = None;
                self.open_attempt(*nonce, *boot, now);
                true
            }
            Fact::Sent { attempt, sid, word, ask_at } => {
                self.answer(*attempt, Handing::Accepted, now);
                self.ask(*ask_at);
                self.observe(*attempt, Evidence { word, code: None, sid: Some(*sid), seen: seen(source, now) })
            }
            Fact::Refused { attempt, code, detail } => {
                self.answer(*attempt, Handing::Refused { code: *code, detail: detail.clone() }, now)
            }
            Fact::NotProcessed { attempt, detail, retry_at } => {
                let is_new = self.answer(*attempt, Handing::NotProcessed { detail: detail.clone() }, now);
                if is_new {
                    self.next = Some(Next { step: Step::Send, due: *retry_at });
                }
                is_new
            }
            Fact::Unclear { attempt, detail, ask_at } => {
                let is_new = self.answer(*attempt, Handing::Unknown { detail: detail.clone() }, now);
                if is_new {
                    self.ask(*ask_at);
                }
                is_new
            }
            Fact::Reported { attempt, sid, word, code } => self.report(*attempt, *sid, word, *code, seen(source, now)),
            Fact::Canceled => self.end(Ending::Canceled),
            Fact::Expired => self.end(Ending::Expired),
        }
    }

    fn open_attempt(&mut self, nonce: [u8; 16], boot: u64, now: Time) -> u8 {
        let number = self.attempts.last().map_or(1, |attempt| attempt.number.saturating_add(1));
        // What was proven not to have been taken leaves no trace at Twilio; the journal remembers it.
        self.attempts.retain(|attempt| !matches!(attempt.handing, Handing::NotProcessed { .. }));
        self.attempts.push(Attempt {
            number,
            nonce,
            boot,
            started_at: now,
            answered_at: None,
            handing: Handing::InFlight,
            receipt: Default::default(),
        });
        number
    }

    /// What the request itself brought back. Evidence that Twilio has the message outlives a later lack of an answer.
    fn answer(&mut self, number: u8, handing: Handing, now: Time) -> bool {
        let Some(attempt) = self.attempt_mut(number) else { return false };
        let is_open = match (&attempt.handing, &handing) {
            (Handing::InFlight, _) => true,
            (Handing::Unknown { .. }, answer) => !matches!(answer, Handing::Unknown { .. }),
            _ => false,
        };
        if is_open {
            let is_bound = !attempt.receipt.sids.is_empty() && matches!(handing, Handing::Unknown { .. });
            attempt.handing = if is_bound { Handing::Accepted } else { handing };
        }
        attempt.answered_at = attempt.answered_at.or(Some(now));
        is_open
    }

    /// A callback to an attempt's own path proves that Twilio has it, whatever the request brought back.
    fn report(&mut self, number: u8, sid: Sid, word: &Word, code: Option<u32>, seen: Seen) -> bool {
        let Some(attempt) = self.attempt_mut(number) else { return false };
        if !matches!(attempt.handing, Handing::InFlight) {
            attempt.handing = Handing::Accepted;
        }
        self.observe(number, Evidence { word, code, sid: Some(sid), seen })
    }

    fn observe(&mut self, number: u8, evidence: Evidence<'_>) -> bool {
        let Some(attempt) = self.attempt_mut(number) else { return false };
        let grew = attempt.receipt.observe(evidence);
        let is_known_at_twilio = !attempt.receipt.sids.is_empty();
        let has_no_more = self.has_no_more_to_tell();
        self.next = self.next.filter(|next| match next.step {
            Step::Send => !is_known_at_twilio,
            Step::Reconcile => !has_no_more,
        });
        grew
    }

    /// Whether asking Twilio could teach nothing: somebody read it, or the latest attempt is known to have failed.
    /// Says the same whatever order the evidence came in.
    fn has_no_more_to_tell(&self) -> bool {
        let is_read = self.attempts.iter().any(|attempt| attempt.receipt.seen(&Word::Read).is_some());
        let has_failed = |attempt: &Attempt| attempt.receipt.history().any(|(word, _)| word.is_failure());
        is_read || self.attempts.last().is_some_and(has_failed)
    }

    fn ask(&mut self, at: Time) {
        self.next = (!self.has_no_more_to_tell()).then_some(Next { step: Step::Reconcile, due: at });
    }

    fn end(&mut self, ending: Ending) -> bool {
        if self.ending.is_some() || self.status().is_end() {
            return false;
        }
        self.ending = Some(ending);
        self.next = None;
        true
    }

    fn attempt_mut(&mut self, number: u8) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.number == number)
    }

    /// The attempt with this number.
    pub fn attempt(&self, number: u8) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.number == number)
    }

    /// The attempt that Twilio names so.
    pub fn attempt_with(&self, sid: Sid) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.receipt.sids.contains(&sid))
    }

    /// How far the message has come: the furthest arrival of any attempt; else what is still to do; else what the
    /// latest attempt came to.
    pub fn status(&self) -> Status {
        let words = self.attempts.iter().filter_map(|attempt| attempt.receipt.word());
        if let Some(word) = words.max().filter(Word::is_arrival) {
            return Status::Twilio(word);
        }
        match self.ending {
            Some(Ending::Canceled) => return Status::Canceled,
            Some(Ending::Expired) => return Status::Expired,
            None => {}
        }
        if self.next.is_some_and(|next| next.step == Step::Send) {
            return Status::Pending;
        }
        let Some(attempt) = self.attempts.last() else { return Status::Pending };
        match (&attempt.handing, attempt.receipt.word()) {
            (Handing::Refused { .. }, None) => Status::Refused,
            (_, Some(word)) => Status::Twilio(word),
            (Handing::InFlight, None) => Status::InFlight,
            (Handing::Accepted, None) => Status::Twilio(Word::Accepted),
            (Handing::NotProcessed { .. }, None) => Status::Pending,
            (Handing::Unknown { .. }, None) => Status::Unknown,
        }
    }

    /// Twilio's name for it: the one of the latest attempt that has any.
    pub fn sid(&self) -> Option<Sid> {
        self.attempts.iter().rev().find_map(Attempt::sid)
    }

    /// The error code that says why it failed, or failed once.
    pub fn code(&self) -> Option<u32> {
        self.attempts.iter().rev().find_map(|attempt| match &attempt.handing {
            Handing::Refused { code, .. } => *code,
            _ => attempt.receipt.codes.first().copied(),
        })
    }

    /// When the message was first seen at `word`, by any attempt.
    pub fn time(&self, word: &Word) -> Option<Time> {
        self.attempts.iter().filter_map(|attempt| attempt.time(word)).min()
    }

    /// Whether anyone saw `word`, or a word that implies it.
    pub fn has_reached(&self, word: &Word) -> bool {
        let implied = |attempt: &Attempt| match word {
            Word::Sent => [Word::Sent, Word::Undelivered, Word::Delivered, Word::Read]
                .iter()
                .any(|word| attempt.receipt.seen(word).is_some()),
            Word::Delivered => attempt.receipt.has_arrived(),
            word => attempt.receipt.seen(word).is_some(),
        };
        self.attempts.iter().any(implied)
    }

    /// Whether it is at an end; a late `read` may still join.
    pub fn is_settled(&self) -> bool {
        self.status().is_end()
    }

    /// Whether Twilio said of one attempt both that it arrived and that it did not.
    pub fn is_contradictory(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.receipt.is_contradictory())
    }

    /// Whether the person may have got it twice.
    pub fn is_duplicate(&self) -> bool {
        let arrivals = self.attempts.iter().filter(|attempt| attempt.receipt.has_arrived()).count();
        arrivals > 1 || self.attempts.iter().any(|attempt| attempt.receipt.sids.len() > 1)
    }

    /// Whether a person should look at it.
    pub fn needs_attention(&self) -> bool {
        let status = self.status();
        status.is_failure() || matches!(status, Status::Unknown | Status::Held) || self.is_duplicate()
    }

    /// Whether a request of it may be at work at this moment.
    pub fn is_in_flight(&self) -> bool {
        self.attempts.last().is_some_and(Attempt::is_in_flight)
    }

    /// Its place in the queue: urgent ones have a lane of their own.
    pub fn priority(&self) -> Priority {
        self.draft.priority
    }

    /// Whether it may be canceled: only before the first attempt.
    pub fn may_cancel(&self) -> Result<(), TooLate> {
        if self.attempts.is_empty() && self.ending.is_none() { Ok(()) } else { Err(TooLate) }
    }

    /// Whether its time ran out before it could be sent, or its attempts are used up.
    pub fn has_expired(&self, max_attempts: u8, now: Time) -> bool {
        let is_late = self.draft.expires_at.is_some_and(|at| now >= at);
        is_late || self.attempts.last().is_some_and(|attempt| attempt.number >= max_attempts)
    }

    /// The text a person sees, where we know it.
    pub fn body(&self) -> Option<&str> {
        match &self.draft.content {
            Content::Text(text) => Some(text),
            Content::Media { caption, .. } => caption.as_deref(),
            Content::Template { .. } | Content::Elsewhere => None,
        }
    }
}

/// What a callback tells happened just now; what we asked for happened at some time before.
fn seen(source: Source, now: Time) -> Seen {
    Seen { untimed: source == Source::Poll, at: now }
}
