//! Since when we hear all that people write to a sender: by its callbacks, and by asking Twilio for the rest.
//!
//! Invariant: what lies between the two dates has been asked for, so nothing in it is missing but what Twilio lost.

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::batch::Batch;
use super::codec::encode;
use super::verbs::{Listened, Written};
use crate::clock::Time;

/// What a sender hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// Nothing that was written since is missing.
    pub since: Time,
    /// Twilio was asked for all that was written until then.
    pub asked_until: Time,
}

/// Twilio listed all of a stretch: it joins what was known, or begins anew after a gap.
pub(super) fn listened(batch: &mut Batch<'_>, listened: Listened) -> Result<Written, StoreError> {
    let Listened { sender, from, until } = listened;
    let known = batch.memory().listening.get(&sender).copied();
    let listening = match known.filter(|known| from <= known.asked_until) {
        Some(known) => Listening { since: known.since.min(from), asked_until: known.asked_until.max(until) },
        None => Listening { since: from, asked_until: until },
    };
    if known != Some(listening) {
        batch.tables.listening.open()?.insert(sender, encode(&listening).as_slice())?;
        batch.memory().listening.insert(sender, listening);
    }
    Ok(Written::Listened)
}
