//! What the team's app and the pages are told.
//!
//! Invariant: an event is written in the same commit as the change it tells of, and numbered without gaps.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::message::{Change, Message, MessageId, OptOut, Sid, Status};

/// One thing told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number; the store gives it.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What it is about.
    pub told: Told,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// A message changed.
    Message {
        /// Which.
        id: MessageId,
        /// Its status after the change.
        status: String,
        /// Whether the status itself changed, or only what else is known.
        is_new_status: bool,
        /// Twilio's name for it.
        sid: Option<Sid>,
        /// The store's number for the sender.
        sender: u32,
        /// The store's number for the contact.
        contact: u64,
        /// Why it failed.
        code: Option<u32>,
        /// Whether it was just found to have gone out twice.
        is_new_duplicate: bool,
    },
    /// A person wrote to us.
    Inbound {
        /// Twilio's name for it.
        sid: Sid,
        /// The store's number for the sender they wrote to.
        sender: u32,
        /// The store's number for the contact.
        contact: u64,
    },
    /// Something is held up.
    Paused {
        /// What.
        scope: String,
        /// The error code that brought it about.
        code: Option<u32>,
    },
    /// It goes on.
    Resumed {
        /// What.
        scope: String,
    },
    /// A person does not want something; or wants everything again.
    OptedOut {
        /// The store's number for the contact.
        contact: u64,
        /// What they do not want.
        scope: Option<OptOut>,
    },
    /// Something that is gone for good.
    Forgotten,
    /// A secret is due to be rotated.
    SecretDue {
        /// Which: a kind of secret, or an API key.
        what: String,
    },
}

impl Told {
    /// What a change of a message tells; nothing, if nothing new was learned.
    pub fn of(message: &Message, change: &Change) -> Option<Self> {
        change.grew.then(|| Self::Message {
            id: message.id,
            status: change.after.as_str().to_owned(),
            is_new_status: change.before != change.after || message.journal.rows.len() == 1,
            sid: message.sid(),
            sender: message.sender,
            contact: message.contact,
            code: message.code(),
            is_new_duplicate: change.is_new_duplicate,
        })
    }

    /// The event's type: `message.delivered`, `inbound.received`. A status that is Twilio's newest word and not yet
    /// ours is told as `message.updated`, since whoever listens can only name what is known.
    pub fn name(&self) -> String {
        match self {
            Self::Message { is_new_duplicate: true, .. } => "message.duplicate_detected".to_owned(),
            Self::Message { status, is_new_status: true, .. } if Status::is_known(status) => {
                format!("message.{status}")
            }
            Self::Message { .. } => "message.updated".to_owned(),
            Self::Inbound { .. } => "inbound.received".to_owned(),
            Self::Paused { .. } => "sending.paused".to_owned(),
            Self::Resumed { .. } => "sending.resumed".to_owned(),
            Self::OptedOut { scope: Some(_), .. } => "contact.opted_out".to_owned(),
            Self::OptedOut { scope: None, .. } => "contact.opted_in".to_owned(),
            Self::Forgotten => "forgotten".to_owned(),
            Self::SecretDue { .. } => "secret.due".to_owned(),
        }
    }
}
