//! The words Twilio has for what became of a message.

use serde::{Serialize, Serializer};

/// A message's status at Twilio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Taken by a Messaging Service, sender not chosen yet.
    Accepted,
    /// Waits for its `SendAt`.
    Scheduled,
    /// In the sender's queue.
    Queued,
    /// WhatsApp took it.
    Sent,
    /// It is on the phone.
    Delivered,
    /// It was opened.
    Read,
    /// It never left.
    Failed,
    /// It left and did not arrive.
    Undelivered,
    /// It was scheduled and taken back.
    Canceled,
    /// An inbound message.
    Received,
}

impl Status {
    /// Twilio's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
            Self::Undelivered => "undelivered",
            Self::Canceled => "canceled",
            Self::Received => "received",
        }
    }

    /// Whether the message may be deleted.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Accepted | Self::Scheduled | Self::Queued | Self::Sent)
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
