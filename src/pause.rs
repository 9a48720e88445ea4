//! What is held up instead of burning the queue: everything, an account, a sender or a template; why, and how it ends.
//!
//! Invariant: a pause that a failure brought about lets one message through from time to time; when that one is on its
//! way to the person, the pause is over. One that a person made ends when a person says so.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::message::{Address, MessageId, Policy};

/// What is paused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Everything: the big switch of whoever runs bluetick.
    All,
    /// Everything, because the account at Twilio cannot send.
    Account,
    /// One of our senders, in Twilio's words.
    Sender(String),
    /// One template, `HX…`.
    Template(String),
}

/// A pause, also one that is over: late news of what went wrong before its end is no news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// What is held up.
    pub scope: Scope,
    /// Since when.
    pub since: Time,
    /// Why.
    pub cause: Cause,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// The next message that is let through to see whether it is over.
    pub probe: Option<Probe>,
}

/// Why something is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A person said so, with a note.
    Operator(Option<String>),
    /// A message failed with this code, as every other one would.
    Failure(u32),
    /// Twilio refuses our credentials.
    Credentials(String),
    /// A backup was restored: what happened since is not known yet.
    Restored {
        /// When the backup was taken.
        taken_at: Time,
    },
}

impl Cause {
    /// What it says beside its kind: a person's note, Twilio's words, or what is being found out.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::Operator(note) => note.clone(),
            Self::Failure(_) => None,
            Self::Credentials(detail) => Some(detail.clone()),
            Self::Restored { taken_at } => {
                Some(format!("a backup of {taken_at} was restored: Twilio is asked what was sent since"))
            }
        }
    }
}

/// A message that is let through to see whether a pause is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When the next one may go.
    pub at: Time,
    /// How many went.
    pub number: u32,
    /// The last one.
    pub message: Option<MessageId>,
}

impl Paused {
    /// A pause that begins.
    pub fn begin(scope: Scope, cause: Cause, policy: &Policy, now: Time) -> Self {
        let at = now.plus(policy.probe_pause(0));
        let probe = matches!(cause, Cause::Failure(_)).then_some(Probe { at, number: 0, message: None });
        Self { scope, since: now, cause, ended_at: None, probe }
    }

    /// Whether it still holds.
    pub fn is_on(&self) -> bool {
        self.ended_at.is_none()
    }

    /// From when on a message may go: for ever not, if there is no probe; at once, if it is over.
    pub fn opens_at(&self) -> Option<Time> {
        if self.is_on() { self.probe.map(|probe| probe.at) } else { Some(Time(0)) }
    }

    /// Lets a message through.
    pub fn let_through(&mut self, message: MessageId, policy: &Policy, now: Time) {
        if let Some(probe) = &mut self.probe {
            probe.number = probe.number.saturating_add(1);
            probe.at = now.plus(policy.probe_pause(probe.number));
            probe.message = Some(message);
        }
    }

    /// Whether this message is the one that was let through.
    pub fn is_probed_by(&self, message: MessageId) -> bool {
        self.is_on() && self.probe.is_some_and(|probe| probe.message == Some(message))
    }
}

/// It is not the name of anything that can be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no scope: say all, account, sender:whatsapp:+15550001111 or template:HX and 32 hex digits")]
pub struct NotAScope;

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Account => f.write_str("account"),
            Self::Sender(name) => write!(f, "sender:{name}"),
            Self::Template(sid) => write!(f, "template:{sid}"),
        }
    }
}

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Self, NotAScope> {
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            None if text == "account" => Ok(Self::Account),
            Some(("sender", name)) => match Address::parse(name) {
                Ok(address) => Ok(Self::Sender(address.to_string())),
                Err(_) => Err(NotAScope),
            },
            Some(("template", sid)) if is_template(sid) => Ok(Self::Template(sid.to_owned())),
            _ => Err(NotAScope),
        }
    }
}

fn is_template(sid: &str) -> bool {
    sid.strip_prefix("HX").is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_probed_further_and_further_apart_and_a_person_is_not() {
        let policy = Policy::default();
        let mut paused = Paused::begin(Scope::Account, Cause::Failure(30_002), &policy, Time(0));
        assert_eq!(paused.opens_at(), Some(Time(30_000)));
        paused.let_through(MessageId([1; 16]), &policy, Time(30_000));
        assert_eq!(paused.opens_at(), Some(Time(90_000)));
        assert!(paused.is_probed_by(MessageId([1; 16])) && !paused.is_probed_by(MessageId([2; 16])));
        let switched = Paused::begin(Scope::All, Cause::Operator(None), &policy, Time(0));
        assert_eq!(switched.opens_at(), None);
    }

    #[test]
    fn a_scope_reads_back_what_it_shows() {
        let template = "template:HX0123456789abcdef0123456789abcdef";
        for text in ["all", "account", "sender:whatsapp:+15550001111", template] {
            assert_eq!(text.parse::<Scope>().map(|scope| scope.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("sender:+15550001111".parse(), Ok(Scope::Sender("whatsapp:+15550001111".into())));
        for text in ["", "everything", "sender:", "sender:nobody", "template:HX1", "account:x"] {
            assert_eq!(text.parse::<Scope>(), Err(NotAScope), "{text}");
        }
    }
}
