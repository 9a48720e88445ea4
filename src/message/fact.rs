//! What can happen to a message, and the journal that remembers it.
//!
//! Invariant: a fact carries every random or configured choice that was made with it, so that replaying a journal needs
//! neither dice nor configuration.

use serde::{Deserialize, Serialize};

use super::id::Sid;
use super::status::Word;
use crate::clock::Time;

/// How many rows a journal keeps; what comes after is only counted.
pub const MAX_ROWS: usize = 64;

/// Something that happened to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// The team's app asked for it to be sent, not before `due`.
    Accepted {
        /// When the first attempt may start.
        due: Time,
    },
    /// A callback told of a message that was sent without us.
    Adopted {
        /// Twilio's name for it.
        sid: Sid,
    },
    /// An attempt was opened: the intent that is on disk before the request leaves.
    Claimed {
        /// The unguessable part of its callback path.
        nonce: [u8; 16],
        /// Which start of bluetick owns it.
        boot: u64,
    },
    /// Twilio answered with a SID.
    Sent {
        /// Which attempt.
        attempt: u8,
        /// Twilio's name for it.
        sid: Sid,
        /// The status in the answer.
        word: Word,
        /// When to ask, should no callback come.
        ask_at: Time,
    },
    /// Twilio refused it.
    Refused {
        /// Which attempt.
        attempt: u8,
        /// Twilio's error code, where it gave one.
        code: Option<u32>,
        /// Twilio's words for it.
        detail: String,
    },
    /// It is proven that Twilio did not take it: it is sent again.
    NotProcessed {
        /// Which attempt.
        attempt: u8,
        /// What proves it.
        detail: String,
        /// When the next attempt may start.
        retry_at: Time,
    },
    /// Nobody knows whether Twilio took it: it is never blindly sent again.
    Unclear {
        /// Which attempt.
        attempt: u8,
        /// What was seen instead of an answer.
        detail: String,
        /// When to look for it at Twilio.
        ask_at: Time,
    },
    /// Twilio told of its delivery.
    Reported {
        /// Which attempt.
        attempt: u8,
        /// Twilio's name for it.
        sid: Sid,
        /// How far it has come.
        word: Word,
        /// Why it failed.
        code: Option<u32>,
    },
    /// Canceled before its first attempt.
    Canceled,
    /// Its time ran out before it was sent.
    Expired,
}

impl Fact {
    /// Its name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Adopted { .. } => "adopted",
            Self::Claimed { .. } => "claimed",
            Self::Sent { .. } => "sent",
            Self::Refused { .. } => "refused",
            Self::NotProcessed { .. } => "not_processed",
            Self::Unclear { .. } => "unknown",
            Self::Reported { .. } => "reported",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }

    /// Which attempt it is about; a claim is about the one it opens.
    pub fn attempt(&self) -> Option<u8> {
        match self {
            Self::Sent { attempt, .. }
            | Self::Refused { attempt, .. }
            | Self::NotProcessed { attempt, .. }
            | Self::Unclear { attempt, .. }
            | Self::Reported { attempt, .. } => Some(*attempt),
            Self::Adopted { .. } => Some(1),
            Self::Accepted { .. } | Self::Claimed { .. } | Self::Canceled | Self::Expired => None,
        }
    }
}

/// Who told us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The team's app, through the API.
    Api,
    /// Twilio, by a signed callback.
    Callback,
    /// Twilio, because we asked.
    Poll,
    /// One of our own jobs.
    Job,
    /// A person, through the pages or the command line.
    Operator,
}

impl Source {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Callback => "callback",
            Self::Poll => "poll",
            Self::Job => "job",
            Self::Operator => "operator",
        }
    }
}

/// One row of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// When it first happened.
    pub at: Time,
    /// When it last happened.
    pub last_at: Time,
    /// How often.
    pub count: u32,
    /// Who told us.
    pub source: Source,
    /// What happened.
    pub fact: Fact,
}

/// Everything that happened to one message, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// At most [`MAX_ROWS`].
    pub rows: Vec<Row>,
    /// How many facts came after the journal was full.
    pub dropped: u32,
}

impl Journal {
    /// Writes a fact down. A report that was made before raises the count of its row: reports join, so their order
    /// does not matter; every other fact is a row of its own.
    pub fn write(&mut self, fact: Fact, source: Source, now: Time) {
        let is_report = matches!(fact, Fact::Reported { .. });
        let is_known = |row: &&mut Row| is_report && row.source == source && row.fact == fact;
        if let Some(row) = self.rows.iter_mut().find(is_known) {
            row.count = row.count.saturating_add(1);
            row.last_at = row.last_at.max(now);
        } else if self.rows.len() < MAX_ROWS {
            self.rows.push(Row { at: now, last_at: now, count: 1, source, fact });
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}
