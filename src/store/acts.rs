//! What is done about who may do what, as data: people and their sessions, keys, secrets, and how often they were used.
//!
//! Invariant: whatever of these changes something says who did it, and stands in the audit log in the same commit.

use super::secrets::{Locks, Rotation};
use crate::audit::{Actor, Deed};
use crate::clock::Time;
use crate::keyring::{ApiKey, Hash, KeyId, KeyName, Kind, Ring, Session, SessionId, State, User};

/// Something that belongs into the audit log.
#[derive(Clone, Debug)]
pub struct Govern {
    /// Who does it.
    pub by: Actor,
    /// What is done.
    pub act: Act,
    /// What the log says of it.
    pub deed: Deed,
}

/// What is done about who may do what.
#[derive(Clone, Debug)]
pub enum Act {
    /// It was done elsewhere: only the log is written.
    Nothing,
    /// An API key is made or changed.
    KeepKey {
        /// As it is from now on.
        key: Box<ApiKey>,
        /// Its generation as whoever changed it saw it; nothing, if it is new.
        expected: Option<u32>,
    },
    /// All secrets of a kind are kept as they are from now on, and how far a rotation of them is.
    KeepSecrets {
        /// Of which kind.
        kind: Kind,
        /// As they are from now on.
        ring: Ring,
        /// Their states as whoever changed them saw them.
        expected: Vec<(u32, State)>,
        /// How far a rotation at Twilio is; nothing, if it stays as it is.
        rotation: Option<Box<Option<Rotation>>>,
    },
    /// The vault is given up, and all that only it opens.
    GiveUpVault,
    /// It is told that a secret is due to be rotated.
    Remind(String),
    /// The vault is locked by other keys.
    Lock {
        /// How it is locked from now on.
        locks: Box<Locks>,
        /// The name of the master key as whoever changes it saw it; nothing, if there was no vault.
        expected: Option<KeyName>,
    },
    /// Somebody is entered as long as there is nobody yet.
    KeepFirst(Box<User>),
    /// A person is entered or changed.
    KeepUser {
        /// As they are from now on.
        user: Box<User>,
        /// Their generation as whoever changed it saw it; nothing, if they are new.
        expected: Option<u32>,
        /// Which of their sessions end with it.
        ending: Ending,
    },
    /// A person goes, and their sessions with them.
    RemoveUser {
        /// Their name.
        name: String,
        /// Their generation, as whoever wants it saw it.
        expected: u32,
    },
    /// Somebody has shown who they are.
    OpenSession(Box<Opening>),
    /// Sessions end.
    EndSessions(Sessions),
}

/// Which sessions of a person end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// None.
    None,
    /// All of them.
    All,
    /// All but this one.
    AllBut(SessionId),
}

/// Some sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// This one.
    One(SessionId),
    /// Those of one person.
    Of(String),
    /// All there are.
    All,
    /// All but the one of who asks.
    AllBut(SessionId),
}

/// Somebody has shown who they are.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The hash of what their browser gets.
    pub id: SessionId,
    /// The session.
    pub session: Session,
    /// What it had before.
    pub before: Before,
    /// What they showed; nothing, if they are the one of the configuration.
    pub shown: Option<Shown>,
}

/// What a browser had before it gets a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// A session that ends, if it has not.
    Ends(SessionId),
    /// A session that goes on by another name, if it has not ended.
    GoesOn(SessionId),
}

/// What somebody showed to prove who they are.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Their generation when it was looked at: what was right then may not be any more.
    pub generation: u32,
    /// Which code of their phone, if one was asked for.
    pub step: Option<i64>,
    /// The hash of the same password, if the one that is kept is cheap by now.
    pub rehashed: Option<Hash>,
}

/// What was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    /// An API key.
    Key(KeyId),
    /// A secret, by its generation.
    Secret(Kind, u32),
}

/// An API key or a secret was used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Which.
    pub what: Use,
    /// How often.
    pub times: u64,
    /// When last.
    pub last_at: Time,
}
