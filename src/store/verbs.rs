//! Everything that can be written, as data: the store's whole vocabulary on one page.
//!
//! Invariant: a verb carries all randomness it needs. Each is decided first (pure, may refuse) and written second (only
//! the disk may fail, and then it fails the whole batch).

use std::collections::BTreeMap;

use super::acts::{Govern, Used};
use super::upkeep::{Run, Upkeep};
use crate::clock::Time;
use crate::keyring::{Sealed, SessionId};
use crate::message::{AttemptId, Change, Draft, Fact, Message, MessageId, Never, OptOut, Sid, Source, Word};
use crate::pause::{Cause, Paused, Scope};

use serde::{Deserialize, Serialize};

/// Something to write.
#[derive(Clone, Debug)]
pub enum Write {
    /// Take a message in.
    Accept(Box<Accept>),
    /// Open attempts of what is due.
    Claim(Claim),
    /// What came of an attempt.
    Settle(Settle),
    /// What Twilio tells of a delivery.
    Report(Box<Report>),
    /// What a person wrote to us.
    Receive(Box<Inbound>),
    /// What asking Twilio about an attempt taught.
    Ask(Asked),
    /// Cancel, hold or release a message.
    Steer(Steer),
    /// Send failed messages again.
    Retry(Retry),
    /// Hold something up.
    Pause(Scope, Cause),
    /// Let it go on.
    Resume(Scope),
    /// What a person does not want; nothing, if they want everything again.
    OptOut(OptingOut),
    /// Twilio was asked for all that people wrote to a sender.
    Listened(Listened),
    /// After a start: attempts that lost their owner become unknown.
    Recover(Recover),
    /// After a restore: what waited may have been sent since the backup was taken.
    Doubt(Doubt),
    /// After a restore: all that happened since is known.
    CaughtUp,
    /// A number for a new segment of the archive.
    OpenSegment,
    /// Messages are in a segment now.
    Shelve(Shelve),
    /// A new segment is in use as a whole.
    CloseSegment(u32),
    /// A segment is about to be written anew.
    MarkSegment(u32),
    /// A segment is not in use any more.
    DiscardSegment(u32),
    /// Messages come back out of the archive.
    Return(Vec<MessageId>),
    /// What old messages said goes.
    ForgetWords(Vec<MessageId>),
    /// Old messages go.
    ForgetMessages(Vec<MessageId>),
    /// What people once wrote goes.
    ForgetInboundWords(Vec<[u8; 25]>),
    /// That people once wrote goes.
    ForgetInbound(Vec<[u8; 25]>),
    /// People go of whom nothing is left.
    ForgetPeople(Vec<u64>),
    /// Old rows of small tables go, a part of them.
    ForgetOld(Old),
    /// Everything about a person goes, a part of it: by any of their names.
    Erase(String),
    /// Events name nothing that is gone, with these numbers.
    Scrub(Vec<u64>),
    /// All events are scrubbed of what was gone by then.
    Scrubbed(Time),
    /// The data file is written anew, without what is left of old bytes in it.
    Rewrite,
    /// A job ran.
    Ran(Upkeep, Run),
    /// Somebody wants a job to run.
    Want(Upkeep),
    /// Something that belongs into the audit log.
    Govern(Box<Govern>),
    /// A request that was refused is kept for a day, under this number.
    Quarantine(u64, Box<Sealed>),
    /// Requests that were refused are kept no more.
    ReleaseQuarantined(Vec<u64>),
    /// API keys were used.
    Used(Vec<Used>),
    /// Somebody looked at a page.
    Looked(SessionId),
    /// Make sure that these senders have numbers.
    Introduce(Vec<String>),
}

/// What a write came to, in the same order as the writes.
#[derive(Clone, Debug)]
pub enum Written {
    /// Taken in.
    Accepted(Box<Message>),
    /// Taken in before, under the same key.
    Replayed(Box<Message>),
    /// The key was used for something else.
    KeyReused,
    /// Attempts that were opened.
    Claimed(Claimed),
    /// A message took a fact in.
    Recorded(Recorded),
    /// A message that was sent without us is tracked from now on.
    Adopted(Recorded),
    /// An inbound message was stored (`true`) or was known already.
    Received(bool),
    /// The message after it was canceled, held or released.
    Steered(Box<Message>),
    /// It could not be canceled, held or released any more, or was not held.
    TooLate(Box<Message>),
    /// Which messages are sent again, and why the others are not.
    Retried(Vec<(MessageId, Result<(), Never>)>),
    /// The pause as it is now.
    Paused(Paused),
    /// Whether something was paused.
    Resumed(bool),
    /// Whether something changed about what a person wants.
    OptedOut(bool),
    /// It is written down.
    Listened,
    /// It is written down.
    Ran,
    /// Since when the job is wanted.
    Wanted(Time),
    /// The segment.
    Segment(u32),
    /// How many messages moved.
    Shelved(usize),
    /// How much was forgotten; there may be more, unless that is nothing.
    Forgotten(usize),
    /// What went of a person.
    Erased(Erased),
    /// It was erased, or so old that it was forgotten: nothing about it is taken in.
    Gone,
    /// The data file was written anew.
    Rewritten(Rewritten),
    /// The archive could not be read, so nothing was done.
    Unreadable(String),
    /// There is no such message.
    NotFound,
    /// How many attempts lost their owner.
    Recovered(usize),
    /// How many messages are looked for now; there may be more, unless there was none.
    Doubted(usize),
    /// It is done, and in the audit log where it belongs there.
    Governed,
    /// Somebody else changed it meanwhile: nothing was done.
    Stale,
    /// The numbers of the senders.
    Introduced(Vec<u32>),
}

/// Take a message in.
#[derive(Clone, Debug)]
pub struct Accept {
    /// What is to be sent.
    pub draft: Draft,
    /// For the id.
    pub random: [u8; 10],
    /// The same key again gives the same message.
    pub key: Option<IdempotencyKey>,
}

/// An Idempotency-Key, bound to who used it and to what was asked under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// A hash of principal and key.
    pub key: [u8; 32],
    /// A hash of the request.
    pub request: [u8; 32],
    /// How long it is remembered, in milliseconds.
    pub kept_ms: i64,
}

/// What is stored under an Idempotency-Key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) request: [u8; 32],
    pub(super) message: MessageId,
    pub(super) at: Time,
}

/// Open attempts of what is due, lane by lane.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose turn it is, in this order.
    pub turns: Vec<Turn>,
    /// How many attempts may be opened in all.
    pub slots: usize,
    /// Which start of bluetick owns the attempts.
    pub boot: u64,
    /// For the unguessable parts of their callback paths.
    pub seed: [u8; 32],
}

/// A sender's turn: its lanes are read by themselves, the most urgent first, so that a slow sender blocks nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The store's number of the sender.
    pub sender: u32,
    /// How many of its messages may be claimed.
    pub at_most: usize,
}

/// Attempts that were opened.
#[derive(Clone, Debug, Default)]
pub struct Claimed {
    /// The messages, each with its new attempt as the last one.
    pub messages: Vec<Message>,
    /// Senders for which WhatsApp found us too fast since the last claim.
    pub too_fast: Vec<u32>,
}

/// What came of an attempt.
#[derive(Clone, Debug)]
pub struct Settle {
    /// Which.
    pub attempt: AttemptId,
    /// The fact.
    pub fact: Fact,
    /// Who told us.
    pub source: Source,
}

/// What Twilio tells of a delivery.
#[derive(Clone, Debug)]
pub struct Report {
    /// The attempt whose own path it came to.
    pub attempt: Option<AttemptId>,
    /// Twilio's name for the message.
    pub sid: Sid,
    /// How far it has come.
    pub word: Word,
    /// Why it failed.
    pub code: Option<u32>,
    /// Who told us.
    pub source: Source,
    /// Our sender, in Twilio's words.
    pub from: String,
    /// The person, in Twilio's words.
    pub to: String,
    /// Another name of the person.
    pub also: Option<String>,
    /// For the id, should nobody know the message.
    pub random: [u8; 10],
}

/// A message took a fact in.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Which.
    pub id: MessageId,
    /// What changed.
    pub change: Change,
}

/// What asking Twilio about an attempt taught.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which.
    pub attempt: AttemptId,
    /// What we heard.
    pub heard: Heard,
    /// When the question was put: what came to Twilio later, the answer does not know.
    pub at: Time,
}

/// An answer of Twilio's about one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// How it stands.
    Told {
        /// Twilio's name for it.
        sid: Sid,
        /// How far it has come.
        word: Word,
        /// Why it failed.
        code: Option<u32>,
    },
    /// A whole list of what might be it, and it is not there.
    NotListed,
    /// No answer, or one that leaves it open.
    Nothing,
}

/// Cancel, hold or release a message.
#[derive(Clone, Copy, Debug)]
pub struct Steer {
    /// Which.
    pub id: MessageId,
    /// What becomes of it.
    pub to: Direction,
    /// Who asks for it.
    pub source: Source,
}

/// What becomes of a message that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It is not sent.
    Cancel,
    /// It waits until it is released.
    Hold,
    /// It waits no longer.
    Release,
}

/// Send failed messages again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Which, [`Retry::MAX`] at most.
    pub ids: Vec<MessageId>,
    /// Also where the failed attempt may have arrived all the same.
    pub may_duplicate: bool,
    /// Who asks for it.
    pub source: Source,
}

impl Retry {
    /// One retry names no more messages than this: it bounds the commit.
    pub const MAX: usize = 256;
}

/// What a person does not want.
#[derive(Clone, Debug)]
pub struct OptingOut {
    /// Any of their names.
    pub name: String,
    /// How much of what we send; nothing, if they want everything again.
    pub scope: Option<OptOut>,
    /// Why, in words.
    pub note: Option<String>,
}

/// Twilio was asked for all that people wrote to a sender.
#[derive(Clone, Copy, Debug)]
pub struct Listened {
    /// The store's number of the sender.
    pub sender: u32,
    /// From then on.
    pub from: Time,
    /// Until then.
    pub until: Time,
}

/// After a start: attempts that lost their owner become unknown.
#[derive(Clone, Copy, Debug)]
pub struct Recover {
    /// Attempts of other starts than this one have no owner.
    pub boot: u64,
}

/// After a restore: what waited may have been sent since the backup was taken.
#[derive(Clone, Copy, Debug)]
pub struct Doubt {
    /// For the names of the attempts that may have been made.
    pub random: [u8; 16],
}

/// Messages are in a segment now.
#[derive(Clone, Debug)]
pub struct Shelve {
    /// The segment: whole and flushed.
    pub segment: u32,
    /// Which messages, [`Shelve::MAX`] at most, and where each was read.
    pub rows: Vec<(MessageId, Place)>,
}

impl Shelve {
    /// One write moves no more messages than this: it bounds the commit.
    pub const MAX: usize = 1_024;
}

/// Where a message was read, and how it stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the data file, with these first bytes of its record's hash.
    File(u64),
    /// In another segment.
    Segment(u32),
}

/// What went of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Messages to them.
    pub messages: u64,
    /// Messages from them.
    pub inbound: u64,
    /// Whether nothing is left.
    pub is_done: bool,
}

/// How large the data file was and is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

/// Old rows of small tables.
#[derive(Clone, Debug)]
pub struct Old {
    /// Events before this time.
    pub events_before: Time,
    /// Rows of the audit log before this time.
    pub audit_before: Time,
    /// These keys of requests.
    pub keys: Vec<[u8; 32]>,
    /// These names of what is gone.
    pub gone: Vec<[u8; 16]>,
}

/// What a person wrote to us: a record of its own, idempotent by its SID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbound {
    /// Twilio's name for it.
    pub sid: Sid,
    /// When it came; the commit sets it, unless Twilio was asked and said when.
    pub at: Time,
    /// Who told us.
    pub source: Source,
    /// The person, in Twilio's words.
    pub from: String,
    /// Our sender, in Twilio's words.
    pub to: String,
    /// The store's number of the contact; the commit sets it.
    pub contact: u64,
    /// The store's number of the sender; the commit sets it.
    pub sender: u32,
    /// Other names of the person.
    pub also: Vec<String>,
    /// The text.
    pub body: String,
    /// What the person calls themselves.
    pub profile_name: Option<String>,
    /// The files: URL and content type.
    pub media: Vec<(String, String)>,
    /// Everything else Twilio sent along.
    pub extra: BTreeMap<String, String>,
}

impl Inbound {
    /// Whether anything is left of what they wrote.
    pub fn has_words(&self) -> bool {
        !self.body.is_empty() || self.profile_name.is_some() || !self.media.is_empty() || !self.extra.is_empty()
    }
}
