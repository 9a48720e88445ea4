//! Opening attempts: what is due, lane by lane, up to what whoever claims can carry.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::ReadableTable;

use super::StoreError;
use super::batch::Batch;
use super::tables;
use super::verbs::{Claim, Claimed, Turn};
use crate::clock::Time;
use crate::message::{Fact, Message, MessageId, Priority, Source, Step};

/// A claim opens no more attempts than this, however many slots are free: it bounds the commit.
const MAX_CLAIMED: usize = 1_024;

/// The intents are stored with this commit; only then may the requests leave.
pub(super) fn open_attempts(batch: &mut Batch<'_>, claim: &Claim) -> Result<Claimed, StoreError> {
    let mut dice = StdRng::from_seed(claim.seed);
    let mut claimed = Claimed::default();
    for turn in &claim.turns {
        let free = claim.slots.min(MAX_CLAIMED).saturating_sub(claimed.messages.len());
        for id in due(batch, turn, free)? {
            let now = batch.now;
            // Another claim of this batch may have been first: its agenda row leaves only with the batch.
            let is_due =
                |message: &&Message| message.next.is_some_and(|next| next.step == Step::Send && next.due <= now);
            let Some(message) = batch.message(id)?.filter(is_due) else { continue };
            if message.has_expired(claim.max_attempts, now) {
                batch.apply(id, Fact::Expired, Source::Job)?;
                continue;
            }
            let mut nonce = [0; 16];
            dice.fill_bytes(&mut nonce);
            batch.apply(id, Fact::Claimed { nonce, boot: claim.boot }, Source::Job)?;
            claimed.messages.extend(batch.message(id)?.cloned());
        }
    }
    Ok(claimed)
}

/// What is due of a sender, the most urgent lane first, the longest due of a lane first.
fn due(batch: &mut Batch<'_>, turn: &Turn, free: usize) -> Result<Vec<MessageId>, StoreError> {
    let at_most = turn.at_most.min(free);
    let now = batch.now;
    let mut due = Vec::new();
    for priority in Priority::ALL {
        let first = tables::agenda(Step::Send, turn.sender, priority, Time(0), MessageId([0; 16]));
        let last = tables::agenda(Step::Send, turn.sender, priority, now, MessageId([255; 16]));
        for row in batch.tables.agenda.open()?.range(first..=last)?.take(at_most - due.len()) {
            due.push(tables::agenda_id(row?.0.value()));
        }
    }
    Ok(due)
}
