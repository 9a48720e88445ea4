//! bluetick as the simulation runs it: the store, the pace of sending, and what it has under way. It is gone when the
//! power fails or the process is killed; what comes back is made from the disk alone.

use std::collections::BTreeMap;

use bluetick::clock::Time;
use bluetick::jobs::{Pacer, Width};
use bluetick::message::Policy;
use bluetick::store::{Store, StoreError};
use redb::Database;

use crate::torn::TornDisk;

/// Our numbers and a Messaging Service.
pub(super) const SENDERS: [&str; 3] =
    ["whatsapp:+15550001111", "whatsapp:+15550002222", "MG00000000000000000000000000000001"];

pub(super) struct House {
    pub(super) store: Store,
    pub(super) pacer: Pacer,
    pub(super) width: Width,
    /// Which start this is.
    pub(super) boot: u64,
    /// Requests without an answer.
    pub(super) flights: usize,
    pub(super) is_claiming: bool,
    /// A round of questions is under way.
    pub(super) is_asking: bool,
    /// Nothing is asked before.
    pub(super) asks_at: Time,
    /// After a start, every sender is listened to.
    pub(super) has_listened: bool,
    /// While Twilio refuses our credentials: when it is tried next.
    pub(super) knocks_at: Option<Time>,
}

impl House {
    pub(super) fn open(disk: &TornDisk, policy: &Policy, boot: u64, now: Time) -> Result<Self, StoreError> {
        let db = Database::builder().set_cache_size(1 << 20).create_with_backend(disk.clone())?;
        let store = Store::over(db)?.with_policy(policy.clone());
        Ok(Self {
            store,
            pacer: Pacer::new(20.0, BTreeMap::new()),
            width: Width::new(8),
            boot,
            flights: 0,
            is_claiming: false,
            is_asking: false,
            asks_at: now,
            has_listened: false,
            knocks_at: None,
        })
    }
}

/// The waits, shortened where days would only repeat what hours show.
pub(super) fn policy(holds_outside_window: bool) -> Policy {
    use bluetick::message::OutsideWindow;
    const MINUTE: u64 = 60_000;
    Policy {
        reconcile_after_ms: 10 * MINUTE,
        reconcile_later_ms: 20 * MINUTE,
        patience_ms: 180 * MINUTE,
        retry_attempts: 3,
        retry_for_ms: 60 * MINUTE,
        retry_wait_ms: 5 * MINUTE,
        retry_longest_ms: 10 * MINUTE,
        probe_longest_ms: 5 * MINUTE,
        outside_window: if holds_outside_window { OutsideWindow::Hold } else { OutsideWindow::Refuse },
        ..Policy::default()
    }
}
