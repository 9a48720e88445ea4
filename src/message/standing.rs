//! How a message stands: every question about it that its record answers.
//!
//! Invariant: nothing here changes anything.

use super::attempt::{Attempt, FEARED, Form, Handing};
use super::draft::{Content, Priority, Template};
use super::failure::{Class, explain};
use super::id::Sid;
use super::record::{Change, Ending, Message, Step, TooLate};
use super::status::{Status, Word};
use crate::clock::Time;

/// Twilio's code for free text outside the 24-hour window; ours too when we do not even try.
const OUTSIDE_WINDOW: u32 = 63_016;

impl Message {
    /// How far the message has come: the furthest arrival of any attempt; else what it waits for, its end, or what is
    /// still to do; else what the latest attempt came to.
    pub fn status(&self) -> Status {
        let words = self.attempts.iter().filter_map(|attempt| attempt.receipt.word());
        if let Some(word) = words.filter(Word::is_arrival).max() {
            return Status::Twilio(word);
        }
        if self.hold.is_some() {
            return Status::Held;
        }
        match self.ending {
            Some(Ending::Canceled) => return Status::Canceled,
            Some(Ending::Expired) => return Status::Expired,
            Some(Ending::Suppressed(_)) => return Status::Suppressed,
            Some(Ending::WindowClosed { .. }) => return Status::Refused,
            Some(Ending::GivenUp) => return Status::Twilio(Word::Failed),
            None => {}
        }
        if self.next.is_some_and(|next| next.step == Step::Send) {
            return Status::Pending;
        }
        let Some(attempt) = self.telling() else { return Status::Pending };
        match (&attempt.handing, attempt.receipt.word()) {
            (Handing::Refused { .. }, None) => Status::Refused,
            (_, Some(word)) => Status::Twilio(word),
            (Handing::InFlight, None) => Status::InFlight,
            (Handing::Accepted, None) => Status::Twilio(Word::Accepted),
            (Handing::NotProcessed { .. }, None) => Status::Pending,
            (Handing::Unknown { .. } | Handing::Absent { .. }, None) => Status::Unknown,
        }
    }

    /// The attempt that says how the message stands: the last one while its answer is out or lost; else the last that is on
    /// its way, be it an earlier one that came back; else the last that Twilio may have had.
    pub(super) fn telling(&self) -> Option<&Attempt> {
        let last = self.attempts.last().filter(|last| last.is_in_flight() || self.is_unclear());
        let was_taken = |attempt: &&Attempt| !matches!(attempt.handing, Handing::NotProcessed { .. });
        last.or_else(|| self.attempts.iter().rev().find(|attempt| attempt.is_on_its_way()))
            .or_else(|| self.attempts.iter().rev().find(was_taken))
            .or(self.attempts.last())
    }

    /// Whether any attempt is on its way to the person, or has arrived: then no other is made.
    pub fn is_on_its_way(&self) -> bool {
        self.attempts.iter().any(Attempt::is_on_its_way)
    }

    /// The attempt with this number.
    pub fn attempt(&self, number: u8) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.number == number)
    }

    /// The attempt that Twilio names so.
    pub fn attempt_with(&self, sid: Sid) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.receipt.sids.contains(&sid))
    }

    /// Twilio's name for it: the one of the latest attempt that has any.
    pub fn sid(&self) -> Option<Sid> {
        self.attempts.iter().rev().find_map(Attempt::sid)
    }

    /// The error code that says why it failed, or failed once.
    pub fn code(&self) -> Option<u32> {
        if let Some(Ending::WindowClosed { .. }) = self.ending {
            return Some(OUTSIDE_WINDOW);
        }
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

    /// Whether it reached the person, by any attempt.
    pub fn has_arrived(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.receipt.has_arrived())
    }

    /// Whether it is at an end; a late `read` may still join.
    pub fn is_settled(&self) -> bool {
        self.status().is_end()
    }

    /// Whether Twilio said of one attempt both that it arrived and that it did not.
    pub fn is_contradictory(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.receipt.is_contradictory())
    }

    /// Whether the person may have got it twice: two attempts arrived, one went by two names, or one that was written
    /// off showed up beside a later one.
    pub fn is_duplicate(&self) -> bool {
        let arrivals = self.attempts.iter().filter(|attempt| attempt.receipt.has_arrived()).count();
        let came_back = |attempt: &Attempt| {
            let is_followed = |later: &Attempt| later.number > attempt.number && later.is_at_twilio();
            attempt.is_written_off && attempt.sid().is_some() && self.attempts.iter().any(is_followed)
        };
        arrivals > 1 || self.attempts.iter().any(|attempt| attempt.receipt.sids.len() > 1 || came_back(attempt))
    }

    /// Whether a person should look at it.
    pub fn needs_attention(&self) -> bool {
        let status = self.status();
        status.is_failure() || matches!(status, Status::Unknown | Status::Held) || self.is_duplicate()
    }

    /// Whether Twilio is to be asked about it.
    pub fn is_asked_about(&self) -> bool {
        self.next.is_some_and(|next| next.step == Step::Reconcile)
    }

    /// What happened when nothing did.
    pub fn no_change(&self) -> Change {
        Change { before: self.status(), after: self.status(), grew: false, is_new_duplicate: false }
    }

    /// A number in 0..1 that spreads the waits of many messages, and is the same whenever it is asked for.
    pub fn dice(&self) -> f64 {
        let mut seed = u64::from_be_bytes(self.id.0[8..].try_into().expect("an id has 16 bytes"));
        seed = seed.wrapping_add((self.attempts.len() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((seed ^ (seed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether a request of it may be at work at this moment.
    pub fn is_in_flight(&self) -> bool {
        self.attempts.last().is_some_and(Attempt::is_in_flight)
    }

    /// Whether nobody knows yet if the latest attempt reached Twilio: the same words to the same person wait for it. An
    /// earlier attempt may have arrived all the same.
    pub fn is_undecided(&self) -> bool {
        let is_over = self.hold.is_some() || self.ending.is_some();
        self.is_in_flight() || (self.is_unclear() && !is_over)
    }

    /// Whether nobody knows if the latest attempt reached Twilio, be it that nobody looks for it any more: what Twilio lists
    /// may be it.
    pub fn is_unresolved(&self) -> bool {
        self.is_in_flight() || self.is_unclear()
    }

    /// Whether nothing more is to be done with it, and nothing is waited for: what may still come is a late receipt.
    pub fn is_at_rest(&self) -> bool {
        self.next.is_none() && self.hold.is_none() && !self.is_undecided()
    }

    /// Whether the answer to the latest attempt was lost, and nothing has told since what became of it.
    pub fn is_unclear(&self) -> bool {
        self.attempts.last().is_some_and(|attempt| matches!(attempt.handing, Handing::Unknown { .. }))
    }

    /// How many attempts were sent again because Twilio had no trace of them.
    pub fn resends(&self) -> usize {
        self.attempts.iter().filter(|attempt| attempt.is_written_off && attempt.boot != FEARED).count()
    }

    /// Its place in the queue: urgent ones have a lane of their own.
    pub fn priority(&self) -> Priority {
        self.draft.priority
    }

    /// Its lane in the agenda: for sending, how urgent it is; for asking Twilio, how much hangs on the answer. What may be
    /// lost comes before what may have failed, and that before what may have been read.
    pub fn lane(&self) -> Priority {
        match self.is_asked_about() {
            false => self.priority(),
            true if self.is_unclear() => Priority::High,
            true if self.has_arrived() => Priority::Bulk,
            true => Priority::Normal,
        }
    }

    /// Whether it may be canceled: only while it waits.
    pub fn may_cancel(&self) -> Result<(), TooLate> {
        match self.status() {
            Status::Pending | Status::Held if !self.is_in_flight() => Ok(()),
            _ => Err(TooLate),
        }
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
            Content::Template(_) | Content::Elsewhere | Content::Forgotten { .. } => None,
        }
    }

    /// Whether what was asked for only goes inside the window.
    pub fn is_free_form(&self) -> bool {
        matches!(self.draft.content, Content::Text(_) | Content::Media { .. })
    }

    /// Whether an attempt was turned away for the closed window: from then on only the fallback is worth trying.
    pub fn was_turned_away(&self) -> bool {
        let is_template = |code: u32| explain(code).class == Class::Template;
        self.attempts.iter().any(|attempt| attempt.has_failed() && attempt.codes().any(is_template))
    }

    /// What an attempt in this form says.
    pub fn content(&self, form: Form) -> Content {
        match (form, &self.draft.fallback) {
            (Form::Fallback, Some(fallback)) => Content::Template(fallback.clone()),
            _ => self.draft.content.clone(),
        }
    }

    /// The template that an attempt in this form uses.
    pub fn template(&self, form: Form) -> Option<&Template> {
        match (form, &self.draft.content) {
            (Form::Fallback, _) => self.draft.fallback.as_ref(),
            (Form::AsAsked, Content::Template(template)) => Some(template),
            (Form::AsAsked, _) => None,
        }
    }
}
