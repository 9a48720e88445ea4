//! The words for how far something has come: Twilio's own for one attempt, ours around them for a message.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many words have a rank.
pub const RANKED: usize = 10;

/// A status in Twilio's own words, in the order in which one outdoes another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Taken by a Messaging Service; the sender is not chosen yet.
    Accepted,
    /// Waits at Twilio for its `SendAt`.
    Scheduled,
    /// In the sender's queue at Twilio.
    Queued,
    /// Being handed to WhatsApp.
    Sending,
    /// WhatsApp's servers took it.
    Sent,
    /// A scheduled message that was canceled at Twilio.
    Canceled,
    /// WhatsApp reported that it did not reach the device.
    Undelivered,
    /// It never left.
    Failed,
    /// It reached the device.
    Delivered,
    /// It was opened, by someone who shows read receipts.
    Read,
    /// A word we do not know: kept and shown, never refused.
    Other(String),
}

/// Twilio's words are short; what is longer is cut, so that a record stays bounded.
const MAX_WORD: usize = 40;

impl Word {
    /// Reads Twilio's word.
    pub fn parse(text: &str) -> Self {
        RANKING
            .iter()
            .find(|(_, name)| *name == text)
            .map_or_else(|| Self::Other(text.chars().take(MAX_WORD).collect()), |(word, _)| word.clone())
    }

    /// Twilio's spelling.
    pub fn as_str(&self) -> &str {
        match (self.rank(), self) {
            (Some(rank), _) => RANKING[rank].1,
            (None, Self::Other(text)) => text,
            (None, _) => unreachable!("every word but Other has a rank"),
        }
    }

    /// Its place in the order; unknown words have none.
    pub fn rank(&self) -> Option<usize> {
        RANKING.iter().position(|(word, _)| word == self)
    }

    /// The word with this rank.
    pub fn ranked(rank: usize) -> Self {
        RANKING[rank].0.clone()
    }

    /// Whether it says that the message will not arrive.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Canceled | Self::Undelivered | Self::Failed)
    }

    /// Whether it says that the message arrived.
    pub fn is_arrival(&self) -> bool {
        matches!(self, Self::Delivered | Self::Read)
    }
}

const RANKING: [(Word, &str); RANKED] = [
    (Word::Accepted, "accepted"),
    (Word::Scheduled, "scheduled"),
    (Word::Queued, "queued"),
    (Word::Sending, "sending"),
    (Word::Sent, "sent"),
    (Word::Canceled, "canceled"),
    (Word::Undelivered, "undelivered"),
    (Word::Failed, "failed"),
    (Word::Delivered, "delivered"),
    (Word::Read, "read"),
];

/// The status of a message: a pure fold of its attempts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for its turn to be sent.
    Pending,
    /// Waits for a person.
    Held,
    /// Being handed to Twilio at this moment.
    InFlight,
    /// Handed over, and the answer did not say whether Twilio took it.
    Unknown,
    /// What Twilio last said of it.
    Twilio(Word),
    /// Twilio refused the request.
    Refused,
    /// Its time ran out before it was sent.
    Expired,
    /// Not sent, because its recipient does not want it.
    Suppressed,
    /// Canceled here before the first attempt.
    Canceled,
}

impl Status {
    /// The word the API and the pages use.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "pending",
            Self::Held => "held",
            Self::InFlight => "in_flight",
            Self::Unknown => "unknown",
            Self::Twilio(word) => word.as_str(),
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Suppressed => "suppressed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether a word is one of ours or one of Twilio's that we know.
    pub fn is_known(text: &str) -> bool {
        Self::words().any(|word| word == text)
    }

    /// All words that we know.
    pub fn words() -> impl Iterator<Item = &'static str> {
        const OURS: [&str; 7] = ["pending", "held", "in_flight", "unknown", "refused", "expired", "suppressed"];
        OURS.into_iter().chain(RANKING.iter().map(|(_, name)| *name))
    }

    /// Whether nothing more can be expected but a late `read`.
    pub fn is_end(&self) -> bool {
        match self {
            Self::Pending | Self::Held | Self::InFlight | Self::Unknown => false,
            Self::Twilio(word) => word.is_arrival() || word.is_failure(),
            Self::Refused | Self::Expired | Self::Suppressed | Self::Canceled => true,
        }
    }

    /// Whether the message did not and will not arrive because something went wrong.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Refused | Self::Expired | Self::Twilio(Word::Failed | Word::Undelivered))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_what_they_show_and_unknown_ones_are_kept() {
        for rank in 0..RANKED {
            assert_eq!(Word::parse(Word::ranked(rank).as_str()), Word::ranked(rank));
        }
        assert_eq!(Word::parse("partially_delivered").as_str(), "partially_delivered");
        assert_eq!(Word::parse(&"x".repeat(500)).as_str().len(), MAX_WORD);
    }

    #[test]
    fn every_status_of_ours_is_a_known_word() {
        use Status::{Canceled, Expired, Held, InFlight, Pending, Refused, Suppressed, Unknown};
        for status in [Pending, Held, InFlight, Unknown, Refused, Expired, Suppressed, Canceled] {
            assert!(Status::is_known(status.as_str()), "{status}");
        }
        assert!(!Status::is_known("partially_delivered"));
    }

    #[test]
    fn arrival_outdoes_failure_and_failure_outdoes_progress() {
        assert!(Word::Read > Word::Delivered && Word::Delivered > Word::Failed && Word::Failed > Word::Sent);
    }
}
