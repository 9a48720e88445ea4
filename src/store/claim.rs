//! Opening attempts: what is due, lane by lane, up to what the sender of the claim can carry.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::ReadableTable;

use super::StoreError;
use super::batch::Batch;
use super::tables;
use super::verbs::{Claim, Claimed, Lane};
use crate::clock::Time;
use crate::message::{Fact, MessageId, Source, Step};

/// A claim looks at no more rows than this a lane, however many slots are free.
const MAX_ROWS: usize = 1_024;

/// The intents are stored with this commit; only then may the requests leave.
pub(super) fn open_attempts(batch: &mut Batch<'_>, claim: &Claim) -> Result<Claimed, StoreError> {
    let mut dice = StdRng::from_seed(claim.seed);
    let mut claimed = Claimed::default();
    for lane in &claim.lanes {
        let (due, next_due) = read_lane(batch, lane)?;
        claimed.next_due.push(next_due);
        for id in due {
            let now = batch.now;
            let Some(message) = batch.message(id)? else { continue };
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

/// What is due in a lane, and when the first row that is left over is.
fn read_lane(batch: &Batch<'_>, lane: &Lane) -> Result<(Vec<MessageId>, Option<Time>), StoreError> {
    let at = |due| tables::agenda(Step::Send, lane.sender, lane.priority, due, MessageId([0; 16]));
    let end = tables::agenda(Step::Send, lane.sender, lane.priority, Time(i64::MAX), MessageId([255; 16]));
    let mut due = Vec::new();
    for row in batch.tables.agenda.range(at(Time(0))..=end)? {
        let row = row?.0.value();
        let date = tables::agenda_due(row);
        if date > batch.now || due.len() >= lane.at_most.min(MAX_ROWS) {
            return Ok((due, Some(date)));
        }
        due.push(tables::agenda_id(row));
    }
    Ok((due, None))
}
