//! The keyring of a running bluetick: the secrets that are good for something now, open in memory; clones share it.
//!
//! Invariant: what was revoked is gone from it before whoever revoked it is answered. What retires leaves it by the clock alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{Entry, Kind, Ring, Secret, State, Vault, trace};
use crate::clock::Time;

/// A secret that is good for something.
#[derive(Clone, Debug)]
pub struct Held {
    /// What it is.
    pub kind: Kind,
    /// The how manieth of its kind.
    pub generation: u32,
    /// Where it is in its life.
    pub state: State,
    /// Its value.
    pub value: Secret,
}

/// The keyring of a running bluetick.
#[derive(Clone, Debug, Default)]
pub struct Keyring(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    held: RwLock<Arc<Vec<Held>>>,
    vault: RwLock<Option<Arc<Vault>>>,
    uses: Mutex<HashMap<(Kind, u32), (u64, Time)>>,
}

impl Keyring {
    /// A keyring of values that are kept nowhere: of each kind the first is in use.
    pub fn of(values: impl IntoIterator<Item = (Kind, Secret)>) -> Self {
        let mut held: Vec<Held> = Vec::new();
        for (kind, value) in values {
            let before = held.iter().filter(|held| held.kind == kind).count();
            let state = if before == 0 { State::Active } else { State::Staged };
            let generation = u32::try_from(before + 1).expect("a configuration has a few secrets");
            held.push(Held { kind, generation, state, value });
        }
        let keyring = Self::default();
        *keyring.0.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(held);
        keyring
    }

    /// The same with tokens of Twilio's alone.
    pub fn of_tokens(tokens: impl IntoIterator<Item = Secret>) -> Self {
        Self::of(tokens.into_iter().map(|token| (Kind::TwilioAuthToken, token)))
    }

    /// What opens sealed values; nothing, before anything was sealed.
    pub fn vault(&self) -> Option<Arc<Vault>> {
        self.0.vault.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on values are sealed and opened by this one.
    pub fn set_vault(&self, vault: Arc<Vault>) {
        *self.0.vault.write().unwrap_or_else(PoisonError::into_inner) = Some(vault);
    }

    /// Holds what is kept from now on, and nothing else. `configured` are values that stand in the configuration: an entry that
    /// keeps none of its own finds it there.
    pub fn hold(&self, rings: &[Ring], configured: &[Secret]) {
        let vault = self.vault();
        let value = |entry: &Entry| {
            let kept = vault.as_ref().and_then(|vault| entry.value(vault));
            kept.or_else(|| configured.iter().find(|value| trace(value) == entry.trace).cloned())
        };
        let live = rings
            .iter()
            .flat_map(|ring| &ring.0)
            .filter(|entry| !matches!(entry.state, State::Retired | State::Revoked));
        let held = live.filter_map(|entry| {
            let Entry { kind, generation, state, .. } = *entry;
            Some(Held { kind, generation, state, value: value(entry)? })
        });
        let held = Arc::new(held.collect());
        *self.0.held.write().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// Those of a kind that are good for something now, oldest first.
    pub fn live(&self, kind: Kind, now: Time) -> Vec<Held> {
        let held = Arc::clone(&self.0.held.read().unwrap_or_else(PoisonError::into_inner));
        held.iter().filter(|held| held.kind == kind && held.state.is_live(now)).cloned().collect()
    }

    /// Those of a kind that Twilio may know, the one in use first; whether their time has passed is Twilio's to say.
    pub fn held(&self, kind: Kind) -> Vec<Held> {
        let held = Arc::clone(&self.0.held.read().unwrap_or_else(PoisonError::into_inner));
        let mut held: Vec<_> = held.iter().filter(|held| held.kind == kind).cloned().collect();
        held.sort_by_key(|held| match held.state {
            State::Active => 0,
            State::Staged => 1,
            State::Retiring(_) | State::Retired | State::Revoked => 2,
        });
        held
    }

    /// The one of a kind that is used.
    pub fn active(&self, kind: Kind) -> Option<Held> {
        let held = Arc::clone(&self.0.held.read().unwrap_or_else(PoisonError::into_inner));
        held.iter().find(|held| held.kind == kind && held.state == State::Active).cloned()
    }

    /// One was used.
    pub fn used(&self, kind: Kind, generation: u32, now: Time) {
        let mut uses = self.0.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let (times, last_at) = uses.entry((kind, generation)).or_insert((0, now));
        *times += 1;
        *last_at = now.max(*last_at);
    }

    /// Uses that are not on disk yet: which, how often, when last.
    pub fn take_uses(&self) -> Vec<(Kind, u32, u64, Time)> {
        let uses = std::mem::take(&mut *self.0.uses.lock().unwrap_or_else(PoisonError::into_inner));
        uses.into_iter().map(|((kind, generation), (times, last_at))| (kind, generation, times, last_at)).collect()
    }

    /// The same without taking them.
    pub fn last_use(&self, kind: Kind, generation: u32) -> Option<Time> {
        let uses = self.0.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.get(&(kind, generation)).map(|(_, last_at)| *last_at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Time = Time(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn what_retires_leaves_by_the_clock_and_what_is_revoked_at_once() {
        let vault = Arc::new(Vault::new([1; 32]));
        let (first, second) = (Secret::new("first"), Secret::new("second"));
        let mut ring = Ring::default();
        ring.meet(&first, Kind::TwilioAuthToken, &[], HOUR, NOW);
        let entry = Entry::new(Kind::TwilioAuthToken, 2, State::Staged, &second, Some((&vault, [2; 16])), NOW);
        ring.stage(entry).expect("nothing is staged");
        ring.promote(HOUR, NOW).expect("one is staged");
        let keyring = Keyring::default();
        keyring.set_vault(vault);
        let values = |now| {
            let live = keyring.live(Kind::TwilioAuthToken, now).into_iter();
            live.map(|held| held.value.expose().to_owned()).collect::<Vec<_>>()
        };
        keyring.hold(&[ring.clone()], &[]);
        assert_eq!(values(NOW), ["second"], "the first is not kept, and stands in no configuration any more");
        keyring.hold(&[ring.clone()], std::slice::from_ref(&first));
        assert_eq!((values(NOW).len(), values(NOW.plus(HOUR))), (2, vec!["second".to_owned()]));
        assert!(keyring.active(Kind::TwilioAuthToken).is_some_and(|held| held.value.is("second")));
        ring.revoke_all(NOW);
        keyring.hold(&[ring], &[first]);
        assert!(values(NOW).is_empty() && keyring.active(Kind::TwilioAuthToken).is_none());
    }
}
