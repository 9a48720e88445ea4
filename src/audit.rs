//! What people and programs did that others may want to look up: append-only, and chained so that a changed or missing
//! row shows.
//!
//! Invariant: a row names who, what and from where, and no person a message was for. Its hash covers all of it and the
//! hash of the row before.
//! Not here: where rows are kept (`store`).

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Time;

/// Who does something, and where they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `key:ak_…`, `user:…`, `local`, `job:…`.
    pub name: String,
    /// Where the request came from.
    pub address: Option<String>,
    /// What the log calls the request.
    pub request: Option<String>,
}

impl Actor {
    /// bluetick itself, by the job that acts.
    pub fn job(name: &str) -> Self {
        Self { name: format!("job:{name}"), ..Self::default() }
    }
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// What, as a word: `key.created`, `POST /v1/pauses`.
    pub action: String,
    /// To what.
    pub object: String,
    /// What came of it, or more about it.
    pub detail: String,
}

impl Deed {
    /// A deed.
    pub fn new(action: &str, object: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { action: action.to_owned(), object: object.into(), detail: detail.into() }
    }
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, without gaps.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// Who.
    pub by: Actor,
    /// What.
    pub deed: Deed,
    /// The hash of the row before.
    pub before: [u8; 32],
    /// The hash of this one.
    pub hash: [u8; 32],
}

impl Entry {
    /// The row behind one with this hash.
    pub fn after(before: [u8; 32], seq: u64, at: Time, by: Actor, deed: Deed) -> Self {
        let mut entry = Self { seq, at, by, deed, before, hash: [0; 32] };
        entry.hash = entry.sum();
        entry
    }

    /// Whether it is as it was written.
    pub fn is_whole(&self) -> bool {
        self.hash == self.sum()
    }

    /// Every part with its length before it, so that none can pass for two.
    fn sum(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.before);
        hash.update(self.seq.to_be_bytes());
        hash.update(self.at.0.to_be_bytes());
        let Actor { name, address, request } = &self.by;
        let Deed { action, object, detail } = &self.deed;
        let given = |text: &Option<String>| text.as_ref().map_or(String::new(), |text| format!("={text}"));
        for part in [name, &given(address), &given(request), action, object, detail] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let by = Actor { name: "user:anna".into(), address: Some("192.0.2.7".into()), request: None };
        Entry::after([1; 32], 7, Time(1_800_000_000_000), by, Deed::new("key.created", "ak_1", "scopes send"))
    }

    #[test]
    fn any_change_of_a_row_shows() {
        assert!(entry().is_whole());
        let changes: [fn(&mut Entry); 9] = [
            |entry| entry.seq += 1,
            |entry| entry.at.0 += 1,
            |entry| entry.by.name.push('a'),
            |entry| entry.by.address = None,
            |entry| entry.by.request = Some(String::new()),
            |entry| entry.deed.action.push('s'),
            |entry| {
                // The same letters in all, otherwise divided.
                entry.deed.object.push('s');
                entry.deed.detail.remove(0);
            },
            |entry| entry.before[31] ^= 1,
            |entry| entry.hash[0] ^= 1,
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut changed = entry();
            change(&mut changed);
            assert!(!changed.is_whole(), "change {number}");
        }
    }
}
