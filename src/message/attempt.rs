//! One handing of a message to Twilio, and what became of it.

use serde::{Deserialize, Serialize};

use super::id::{AttemptId, MessageId, Sid};
use super::receipt::Receipt;
use super::status::Word;
use crate::clock::Time;

/// What is known of the handing itself; its delivery is the receipt's business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handing {
    /// The intent is stored and the request is on its way.
    InFlight,
    /// Twilio has it: it answered with a SID, or a callback came to this attempt's own path.
    Accepted,
    /// Twilio said no.
    Refused {
        /// Twilio's error code, where it gave one.
        code: Option<u32>,
        /// Twilio's words for it.
        detail: String,
    },
    /// Proven not to have been taken.
    NotProcessed {
        /// What proves it.
        detail: String,
    },
    /// The answer did not say whether Twilio has it.
    Unknown {
        /// What was seen instead of an answer.
        detail: String,
    },
    /// The answer did not say, and Twilio has no trace of it.
    Absent {
        /// What was seen instead of an answer.
        detail: String,
    },
}

/// What of a draft is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// What was asked for.
    AsAsked,
    /// The fallback template, because free text would not be let through.
    Fallback,
}

impl Form {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsAsked => "as_asked",
            Self::Fallback => "fallback",
        }
    }
}

/// The start of bluetick that made an attempt of which nobody knows whether it was made at all: a restored store fears that
/// what waited when its backup was taken was sent since.
pub const FEARED: u64 = 0;

/// One attempt of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u8,
    /// The unguessable part of its callback path.
    #[serde(with = "super::id::nonce")]
    pub nonce: [u8; 16],
    /// Which start of bluetick made it: after another start, an attempt still in flight has lost its owner.
    pub boot: u64,
    /// When the intent was stored.
    pub started_at: Time,
    /// When the answer, or the lack of one, was stored.
    pub answered_at: Option<Time>,
    /// What of the draft was sent.
    pub form: Form,
    /// What became of the handing.
    pub handing: Handing,
    /// Whether another attempt was made though nobody knew what became of this one: should it show up after all, the
    /// person may have got the message twice.
    pub is_written_off: bool,
    /// What is known of the delivery.
    pub receipt: Receipt,
}

impl Attempt {
    /// Its full name, as it stands in the callback path.
    pub fn id(&self, message: MessageId) -> AttemptId {
        AttemptId { message, number: self.number, nonce: self.nonce }
    }

    /// Twilio's name for it.
    pub fn sid(&self) -> Option<Sid> {
        self.receipt.sids.first().copied()
    }

    /// Whether a request of this attempt may still be at work.
    pub fn is_in_flight(&self) -> bool {
        self.handing == Handing::InFlight
    }

    /// Whether nobody knows if Twilio has it.
    pub fn is_lost(&self) -> bool {
        matches!(self.handing, Handing::Unknown { .. } | Handing::Absent { .. })
    }

    /// Whether Twilio has it, or had it.
    pub fn is_at_twilio(&self) -> bool {
        self.handing == Handing::Accepted || self.sid().is_some()
    }

    /// Whether Twilio has it and has not said that it failed, or it arrived all the same.
    pub fn is_on_its_way(&self) -> bool {
        self.is_at_twilio() && (self.receipt.has_arrived() || !self.has_failed())
    }

    /// Whether it is known to have failed: refused, or reported so.
    pub fn has_failed(&self) -> bool {
        let is_refused = matches!(self.handing, Handing::Refused { .. }) && self.sid().is_none();
        is_refused || self.receipt.history().any(|(word, _)| word.is_failure())
    }

    /// The error codes that say why it failed.
    pub fn codes(&self) -> impl Iterator<Item = u32> + '_ {
        let refusal = match &self.handing {
            Handing::Refused { code, .. } => *code,
            _ => None,
        };
        refusal.into_iter().chain(self.receipt.codes.iter().copied())
    }

    /// When Twilio said `word`, if it told us at the time.
    pub fn time(&self, word: &Word) -> Option<Time> {
        self.receipt.time(word)
    }
}
