//! How often each API key was used since that was last written down: a commit for every request would cost more than it
//! tells.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::clock::Time;
use crate::keyring::KeyId;
use crate::store::{Use, Used};

/// Uses that are not on disk yet.
#[derive(Debug, Default)]
pub struct Usage(Mutex<HashMap<KeyId, (u64, Time)>>);

impl Usage {
    /// A key was used.
    pub(super) fn add(&self, key: KeyId, now: Time) {
        let mut uses = self.lock();
        let (times, last_at) = uses.entry(key).or_insert((0, now));
        *times += 1;
        *last_at = now.max(*last_at);
    }

    /// What is to be written down, which is then counted no more.
    pub fn take(&self) -> Vec<Used> {
        let uses = std::mem::take(&mut *self.lock());
        uses.into_iter().map(|(key, (times, last_at))| Used { what: Use::Key(key), times, last_at }).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<KeyId, (u64, Time)>> {
        // Counts are whole between calls, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
