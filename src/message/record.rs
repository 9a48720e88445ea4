//! The message itself, and the one entry for all that happens to it.
//!
//! Invariant: [`Message::apply`] is total and pure. Replaying a whole journal from [`Message::accept`] or
//! [`Message::adopt`] gives the stored message.

use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Form, Handing};
use super::draft::Draft;
use super::fact::{Fact, Hold, Journal, Source, Wait};
use super::failure::OptOut;
use super::id::{MessageId, Sid};
use super::receipt::{Evidence, Seen};
use super::status::{Status, Word};
use crate::clock::Time;

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It was accepted by our API.
    Api,
    /// It was sent without us, and its callbacks come here.
    External,
}

/// An end that is ours, not Twilio's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Canceled while it waited.
    Canceled,
    /// Its time ran out.
    Expired,
    /// The person does not want it.
    Suppressed(OptOut),
    /// Free text would not have been let through, and there was no fallback.
    WindowClosed {
        /// When the window closed, if it ever was open.
        at: Option<Time>,
    },
    /// Twilio has no trace of it, and it was not to be sent again.
    GivenUp,
}

/// What is done next with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// What need not be asked again when it is due.
    pub pass: Pass,
}

/// What was settled for a message before it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// Nothing.
    None,
    /// Its turn at the person: it has let others go first already.
    Turn,
    /// A person released it, whatever the window.
    Released,
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
    /// What it waits for, if only a person or their message can change that.
    pub hold: Option<Hold>,
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
    /// Whether it was found to have gone out twice.
    pub is_new_duplicate: bool,
}

impl Change {
    /// This change and the one that followed from it, told as one.
    pub fn then(self, next: Self) -> Self {
        Self {
            before: self.before,
            after: next.after,
            grew: self.grew || next.grew,
            is_new_duplicate: self.is_new_duplicate || next.is_new_duplicate,
        }
    }
}

/// It is too late to cancel: it is on its way, or it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only a message that waits (pending or held) can be canceled")]
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
            hold: None,
            next: None,
            journal: Journal::default(),
        }
    }

    /// The one entry for change.
    pub fn apply(&mut self, fact: Fact, source: Source, now: Time) -> Change {
        let (before, was_duplicate) = (self.status(), self.is_duplicate());
        let grew = self.take_in(&fact, source, now);
        // Forgetting is no news: how long it has been left alone is counted on.
        if fact != Fact::WordsForgotten {
            self.updated_at = self.updated_at.max(now);
        }
        self.journal.write(fact, source, now);
        let after = self.status();
        let is_new_duplicate = !was_duplicate && self.is_duplicate();
        Change { grew: grew || is_new_duplicate || before != after, before, after, is_new_duplicate }
    }

    fn take_in(&mut self, fact: &Fact, source: Source, now: Time) -> bool {
        match fact {
            Fact::Accepted { due } => self.send(*due, Pass::None),
            Fact::Adopted { sid } => {
                let number = self.open_attempt([0; 16], 0, Form::AsAsked, now);
                self.answer(number, Handing::Accepted, now);
                self.attempt_mut(number).is_some_and(|attempt| attempt.receipt.sids.insert(*sid))
            }
            Fact::Claimed { nonce, boot, form } => {
                (self.next, self.hold) = (None, None);
                self.open_attempt(*nonce, *boot, *form, now);
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
                // This attempt may have shown itself at Twilio, or an earlier one that was thought lost.
                is_new && !self.is_on_its_way() && self.send(*retry_at, Pass::None)
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
            Fact::Suppressed { scope } => self.end(Ending::Suppressed(*scope)),
            Fact::WindowClosed { at } => self.end(Ending::WindowClosed { at: *at }),
            Fact::GivenUp { .. } => self.end(Ending::GivenUp),
            Fact::Asked { ask_at, .. } => {
                match ask_at {
                    Some(at) => self.ask(*at),
                    None => self.next = None,
                }
                false
            }
            Fact::Absent { attempt } => self.miss(*attempt),
            Fact::Retried { due, .. } => self.send(*due, Pass::None),
            Fact::Released { due } => {
                let is_by_person = matches!(source, Source::Api | Source::Operator);
                self.send(*due, if is_by_person { Pass::Released } else { Pass::None })
            }
            Fact::Deferred { due, why } => {
                let pass = match (why, self.next.map(|next| next.pass)) {
                    (_, Some(Pass::Released)) => Pass::Released,
                    (Wait::Pair, _) => Pass::Turn,
                    (Wait::Twin, pass) => pass.unwrap_or(Pass::None),
                };
                self.send(*due, pass);
                false
            }
            Fact::Held { why } => {
                (self.hold, self.next) = (Some(why.clone()), None);
                true
            }
            Fact::WordsForgotten => {
                self.draft.forget_words();
                false
            }
        }
    }

    /// It is handed over at `due`, whatever it waited for or ended in before.
    fn send(&mut self, due: Time, pass: Pass) -> bool {
        (self.hold, self.ending) = (None, None);
        self.next = Some(Next { step: Step::Send, due, pass });
        true
    }

    fn open_attempt(&mut self, nonce: [u8; 16], boot: u64, form: Form, now: Time) -> u8 {
        let number = self.attempts.last().map_or(1, |attempt| attempt.number.saturating_add(1));
        // What was proven not to have been taken leaves no trace at Twilio; the journal remembers it.
        self.attempts.retain(|attempt| !matches!(attempt.handing, Handing::NotProcessed { .. }));
        for attempt in &mut self.attempts {
            attempt.is_written_off |= attempt.is_lost();
        }
        self.attempts.push(Attempt {
            number,
            nonce,
            boot,
            started_at: now,
            answered_at: None,
            form,
            handing: Handing::InFlight,
            is_written_off: false,
            receipt: Default::default(),
        });
        number
    }

    /// What the request itself brought back. Evidence that Twilio has the message outlives every other answer.
    fn answer(&mut self, number: u8, handing: Handing, now: Time) -> bool {
        let Some(attempt) = self.attempt_mut(number) else { return false };
        let is_open = match (&attempt.handing, &handing) {
            (Handing::InFlight, _) => true,
            (Handing::Unknown { .. } | Handing::Absent { .. }, answer) => !matches!(answer, Handing::Unknown { .. }),
            _ => false,
        };
        if is_open {
            let is_bound = !attempt.receipt.sids.is_empty();
            attempt.handing = if is_bound { Handing::Accepted } else { handing };
        }
        attempt.answered_at = attempt.answered_at.or(Some(now));
        is_open
    }

    /// Twilio does not list it, long after its answer was lost.
    fn miss(&mut self, number: u8) -> bool {
        let Some(attempt) = self.attempt_mut(number) else { return false };
        let Handing::Unknown { detail } = &attempt.handing else { return false };
        attempt.handing = Handing::Absent { detail: detail.clone() };
        self.next = None;
        true
    }

    /// A callback to an attempt's own path proves that Twilio has it, whatever the request brought back.
    fn report(&mut self, number: u8, sid: Sid, word: &Word, code: Option<u32>, seen: Seen) -> bool {
        let Some(attempt) = self.attempt_mut(number) else { return false };
        let was_thought_lost = attempt.is_lost() || matches!(attempt.handing, Handing::NotProcessed { .. });
        if !attempt.is_in_flight() {
            attempt.handing = Handing::Accepted;
        }
        let grew = self.observe(number, Evidence { word, code, sid: Some(sid), seen });
        if was_thought_lost {
            // It went out after all: nothing is sent, nobody is asked, and no end of ours holds.
            (self.hold, self.ending) = (None, None);
            self.next = self.next.filter(|next| next.step != Step::Send);
        }
        grew
    }

    fn observe(&mut self, number: u8, evidence: Evidence<'_>) -> bool {
        let Some(attempt) = self.attempt_mut(number) else { return false };
        let grew = attempt.receipt.observe(evidence);
        let has_arrived = self.has_arrived();
        let has_no_more = self.has_no_more_to_tell();
        self.next = self.next.filter(|next| match next.step {
            Step::Send => !has_arrived,
            Step::Reconcile => !has_no_more,
        });
        if has_arrived {
            self.hold = None;
        }
        grew
    }

    /// Whether asking Twilio could teach nothing: somebody read it, or the attempt that tells how it stands is known to
    /// have failed. Says the same whatever order the evidence came in.
    pub(super) fn has_no_more_to_tell(&self) -> bool {
        let is_read = self.attempts.iter().any(|attempt| attempt.receipt.seen(&Word::Read).is_some());
        let has_failed = |attempt: &Attempt| attempt.receipt.history().any(|(word, _)| word.is_failure());
        is_read || self.telling().is_some_and(has_failed)
    }

    fn ask(&mut self, at: Time) {
        let is_waiting = self.hold.is_some() || self.next.is_some_and(|next| next.step == Step::Send);
        if !is_waiting {
            let next = Next { step: Step::Reconcile, due: at, pass: Pass::None };
            self.next = (!self.has_no_more_to_tell()).then_some(next);
        }
    }

    fn end(&mut self, ending: Ending) -> bool {
        if self.ending.is_some() || self.status().is_end() {
            return false;
        }
        (self.ending, self.hold, self.next) = (Some(ending), None, None);
        true
    }

    fn attempt_mut(&mut self, number: u8) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.number == number)
    }
}

/// What a callback tells happened just now; what we asked for happened at some time before.
fn seen(source: Source, now: Time) -> Seen {
    Seen { untimed: source == Source::Poll, at: now }
}
