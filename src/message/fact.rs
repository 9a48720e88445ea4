//! What can happen to a message, and the journal that remembers it.
//!
//! Invariant: a fact carries every random or configured choice that was made with it, so that replaying a journal needs
//! neither dice nor configuration.

use serde::{Deserialize, Serialize};

use super::attempt::Form;
use super::failure::OptOut;
use super::id::Sid;
use super::status::Word;
use crate::clock::Time;

/// How many rows a journal keeps; what comes after is only counted.
pub const MAX_ROWS: usize = 64;

/// Something that happened to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
        #[serde(with = "super::id::nonce")]
        nonce: [u8; 16],
        /// Which start of bluetick owns it.
        boot: u64,
        /// What of the draft is sent.
        form: Form,
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
    /// Canceled while it waited.
    Canceled,
    /// Its time ran out before it was sent.
    Expired,
    /// Twilio was asked, and is asked again then; never, once patience is spent.
    Asked {
        /// Which attempt.
        attempt: u8,
        /// When to ask again.
        ask_at: Option<Time>,
    },
    /// It is proven that Twilio has no trace of it.
    Absent {
        /// Which attempt.
        attempt: u8,
    },
    /// Another attempt is made.
    Retried {
        /// Which attempt it follows.
        attempt: u8,
        /// When it may start.
        due: Time,
        /// Why.
        why: Why,
    },
    /// It waits for a person, or for something only a person can change.
    Held {
        /// What for.
        why: Hold,
    },
    /// It waits no longer.
    Released {
        /// When the next attempt may start.
        due: Time,
    },
    /// It lets others go first.
    Deferred {
        /// When its turn comes.
        due: Time,
        /// What for.
        why: Wait,
    },
    /// It is not sent, because the person does not want it.
    Suppressed {
        /// What they do not want.
        scope: OptOut,
    },
    /// It is not sent, because Twilio would not let free text through.
    WindowClosed {
        /// When the window closed, if it ever was open.
        at: Option<Time>,
    },
    /// Twilio has no trace of an attempt, and it is not sent again.
    GivenUp {
        /// Which attempt.
        attempt: u8,
    },
    /// What it said was forgotten, because it is so old.
    WordsForgotten,
}

/// Why another attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The last one failed in a way that passes by itself.
    Failure(u32),
    /// Something else must be repaired first, and its scope is paused until then.
    Paused(u32),
    /// Free text was not let through: the fallback goes.
    Fallback(u32),
    /// The last one is absent at Twilio.
    Absence,
    /// A person asked for it.
    Operator,
}

/// What a held message waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// The person who held it.
    Operator,
    /// The recipient's next message.
    WindowClosed {
        /// When the window closed, if it ever was open.
        at: Option<Time>,
    },
    /// Someone to decide whether an attempt that Twilio has no trace of is made again.
    Unknown,
    /// The end of this template's pause.
    Template(String),
}

/// What a message lets go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Earlier messages of this sender to this person: WhatsApp's pair rate.
    Pair,
    /// The same words to the same person, of which nobody knows yet whether they went.
    Twin,
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
            Self::Asked { .. } => "asked",
            Self::Absent { .. } => "absent",
            Self::Retried { .. } => "retried",
            Self::Held { .. } => "held",
            Self::Released { .. } => "released",
            Self::Deferred { .. } => "deferred",
            Self::Suppressed { .. } => "suppressed",
            Self::WindowClosed { .. } => "window_closed",
            Self::GivenUp { .. } => "given_up",
            Self::WordsForgotten => "words_forgotten",
        }
    }

    /// Which attempt it is about; a claim is about the one it opens.
    pub fn attempt(&self) -> Option<u8> {
        match self {
            Self::Sent { attempt, .. }
            | Self::Refused { attempt, .. }
            | Self::NotProcessed { attempt, .. }
            | Self::Unclear { attempt, .. }
            | Self::Reported { attempt, .. }
            | Self::Asked { attempt, .. }
            | Self::Absent { attempt }
            | Self::Retried { attempt, .. }
            | Self::GivenUp { attempt } => Some(*attempt),
            Self::Adopted { .. } => Some(1),
            Self::Accepted { .. }
            | Self::Claimed { .. }
            | Self::Canceled
            | Self::Expired
            | Self::Held { .. }
            | Self::Released { .. }
            | Self::Deferred { .. }
            | Self::Suppressed { .. }
            | Self::WindowClosed { .. }
            | Self::WordsForgotten => None,
        }
    }
}

/// Who told us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

impl Row {
    /// Whether the fact only moves the date that this row set.
    fn is_outdated_by(&self, fact: &Fact, source: Source) -> bool {
        let is_same_kind = match (&self.fact, fact) {
            (Fact::Asked { attempt: old, .. }, Fact::Asked { attempt: new, .. }) => old == new,
            (Fact::Deferred { why: old, .. }, Fact::Deferred { why: new, .. }) => old == new,
            _ => false,
        };
        self.source == source && is_same_kind
    }
}

impl Journal {
    /// Writes a fact down. A report that was made before raises the count of its row: reports join, so their order
    /// does not matter. So does one more date of the same kind right after the last: only the newest date holds. Every
    /// other fact is a row of its own.
    pub fn write(&mut self, fact: Fact, source: Source, now: Time) {
        let is_report = matches!(fact, Fact::Reported { .. });
        let is_known = |row: &&mut Row| is_report && row.source == source && row.fact == fact;
        if let Some(row) = self.rows.iter_mut().find(is_known) {
            row.count = row.count.saturating_add(1);
            row.last_at = row.last_at.max(now);
        } else if let Some(row) = self.rows.last_mut().filter(|row| row.is_outdated_by(&fact, source)) {
            row.fact = fact;
            row.count = row.count.saturating_add(1);
            row.last_at = row.last_at.max(now);
        } else if self.rows.len() < MAX_ROWS {
            self.rows.push(Row { at: now, last_at: now, count: 1, source, fact });
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}
