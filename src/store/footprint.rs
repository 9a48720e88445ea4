//! What a record leaves outside itself: its rows in the indexes, and its share of the numbers.
//!
//! Invariant: a footprint is a pure function of the record. The writer steps from the old one to the new one, `verify`
//! treads all of them afresh: the two must meet.

use crate::message::{Hold, Message, MessageId, Sid};
use crate::metrics::{self, Share};

use super::tables;

/// Everything that is derived from one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Footprint {
    pub(super) id: MessageId,
    pub(super) sender: u32,
    pub(super) contact: u64,
    pub(super) share: Share,
    pub(super) sids: Vec<Sid>,
    pub(super) agenda: Option<[u8; 30]>,
    pub(super) code: Option<u32>,
    pub(super) needs_attention: bool,
    pub(super) is_unresolved: bool,
    pub(super) held: Option<Vec<u8>>,
}

impl Footprint {
    pub(super) fn of(message: &Message) -> Self {
        let status = message.status();
        let next =
            message.next.map(|next| tables::agenda(next.step, message.sender, message.lane(), next.due, message.id));
        Self {
            id: message.id,
            sender: message.sender,
            contact: message.contact,
            share: metrics::share(message),
            sids: message.attempts.iter().flat_map(|attempt| attempt.receipt.sids.iter().copied()).collect(),
            agenda: next,
            code: status.is_failure().then(|| message.code()).flatten(),
            needs_attention: message.needs_attention(),
            is_unresolved: message.is_unresolved(),
            held: awaited(message).map(|awaited| awaited.row(message.id)),
        }
    }

    /// The same as if its contact had another number.
    pub(super) fn move_to(&mut self, contact: u64) {
        let inbound = tables::Awaited::Inbound(self.sender, self.contact).row(self.id);
        if self.held.as_ref() == Some(&inbound) {
            self.held = Some(tables::Awaited::Inbound(self.sender, contact).row(self.id));
        }
        self.contact = contact;
    }
}

/// What a held message waits for, if that is not a person.
fn awaited(message: &Message) -> Option<tables::Awaited<'_>> {
    match message.hold.as_ref()? {
        Hold::Template(sid) => Some(tables::Awaited::Template(sid)),
        Hold::WindowClosed { .. } => Some(tables::Awaited::Inbound(message.sender, message.contact)),
        Hold::Operator | Hold::Unknown => None,
    }
}
