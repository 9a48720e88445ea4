//! One handing of a message to Twilio, and what became of it.

use serde::{Deserialize, Serialize};

use super::id::{AttemptId, MessageId, Sid};
use super::receipt::Receipt;
use super::status::Word;
use crate::clock::Time;

/// What is known of the handing itself; its delivery is the receipt's business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// One attempt of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u8,
    /// The unguessable part of its callback path.
    pub nonce: [u8; 16],
    /// Which start of bluetick made it: after another start, an attempt still in flight has lost its owner.
    pub boot: u64,
    /// When the intent was stored.
    pub started_at: Time,
    /// When the answer, or the lack of one, was stored.
    pub answered_at: Option<Time>,
    /// What became of the handing.
    pub handing: Handing,
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

    /// When Twilio said `word`, if it told us at the time.
    pub fn time(&self, word: &Word) -> Option<Time> {
        self.receipt.time(word)
    }
}
