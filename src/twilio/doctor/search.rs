//! Tries every combination of what may have been signed, the likeliest first, until the signature fits or the work is done.
//!
//! Invariant: a combination is tried only after every combination that needs fewer mistakes, so what is found first is the
//! simplest explanation; the others that are as simple are found too.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use super::key::Key;
use super::reading::Reading;
use super::spelling::{Hash, Spelling};

/// Most HMACs computed for one request: three mistakes at once are found among them, in some 50 ms.
pub const MAX_HMACS: usize = 20_000;
/// Most bytes hashed for one request: a long body is tried less often, so that nobody can buy our time with it.
pub const MAX_HASHED_BYTES: usize = 64 << 20;
/// No explanation needs more mistakes than this.
const MAX_WEIGHT: usize = 5;

/// Something that may have been signed, and how unlikely that is: 0 is what was expected, each common mistake adds 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    /// The text as it was signed.
    pub(super) text: String,
    /// How unlikely.
    pub(super) weight: usize,
}

/// All there is to try.
#[derive(Debug)]
pub(super) struct Room {
    /// `https://host:port`.
    pub(super) origins: Vec<Guess>,
    /// Path and query.
    pub(super) targets: Vec<Guess>,
    /// What it may be signed with.
    pub(super) keys: Vec<Key>,
    /// What was read out of the body.
    pub(super) readings: Vec<Reading>,
    /// What the header may have been.
    pub(super) spellings: Vec<Spelling>,
}

/// A combination that gives the signature.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match<'a> {
    /// The origin of the URL.
    pub(super) origin: &'a str,
    /// Its path and query.
    pub(super) target: &'a str,
    /// What it was signed with.
    pub(super) key: &'a Key,
    /// Which parameters were signed.
    pub(super) reading: &'a Reading,
    /// How the header was written.
    pub(super) spelling: &'a Spelling,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// The simplest combinations that fit: none, one, or several that are as simple.
    pub(super) matches: Vec<Match<'a>>,
    /// How many HMACs it took.
    pub(super) hmacs: usize,
    /// Whether no bound was met.
    pub(super) is_complete: bool,
    hashed_bytes: usize,
}

/// Tries them all, level by level.
pub(super) fn search(room: &Room) -> Found<'_> {
    let mut found = Found { matches: Vec::new(), hmacs: 0, is_complete: true, hashed_bytes: 0 };
    for hash in [Hash::Sha1, Hash::Sha256] {
        let spellings: Vec<_> = room.spellings.iter().filter(|spelling| spelling.hash == hash).collect();
        for weight in 0..=MAX_WEIGHT {
            if !spellings.is_empty() && found.matches.is_empty() && found.is_complete {
                found.level(room, hash, &spellings, weight);
            }
        }
    }
    found
}

impl<'a> Found<'a> {
    /// Every combination that weighs exactly so much.
    fn level(&mut self, room: &'a Room, hash: Hash, spellings: &[&'a Spelling], weight: usize) {
        for key in room.keys.iter().filter(|key| key.weight <= weight) {
            let mac = Keyed::new(hash, key.text.as_bytes());
            for reading in room.readings.iter().filter(|reading| key.weight + reading.weight <= weight) {
                let left = weight - key.weight - reading.weight;
                let targets = if reading.targets.is_empty() { &room.targets } else { &reading.targets };
                for target in targets.iter().filter(|target| target.weight <= left) {
                    for origin in room.origins.iter().filter(|origin| origin.weight == left - target.weight) {
                        if !self.afford(origin.text.len() + target.text.len() + reading.text.len()) {
                            return;
                        }
                        let digest = mac.digest([&origin.text, &target.text, &reading.text]);
                        let fits = spellings.iter().filter(|spelling| spelling.is(&digest));
                        self.matches.extend(fits.map(|spelling| Match {
                            origin: &origin.text,
                            target: &target.text,
                            key,
                            reading,
                            spelling,
                        }));
                    }
                }
            }
        }
    }

    /// Counts one more HMAC, if there may be one more.
    fn afford(&mut self, bytes: usize) -> bool {
        self.is_complete = self.hmacs < MAX_HMACS && self.hashed_bytes + bytes <= MAX_HASHED_BYTES;
        if self.is_complete {
            self.hmacs += 1;
            self.hashed_bytes += bytes;
        }
        self.is_complete
    }
}

/// An HMAC that has taken in its key.
enum Keyed {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
}

impl Keyed {
    fn new(hash: Hash, key: &[u8]) -> Self {
        let any_length = "HMAC takes a key of any length";
        match hash {
            Hash::Sha1 => Self::Sha1(Hmac::new_from_slice(key).expect(any_length)),
            Hash::Sha256 => Self::Sha256(Hmac::new_from_slice(key).expect(any_length)),
        }
    }

    fn digest(&self, parts: [&String; 3]) -> Vec<u8> {
        match self {
            Self::Sha1(mac) => digest(mac, parts),
            Self::Sha256(mac) => digest(mac, parts),
        }
    }
}

fn digest<M: Mac + Clone>(mac: &M, parts: [&String; 3]) -> Vec<u8> {
    let fed = parts.into_iter().fold(mac.clone(), |mac, part| mac.chain_update(part));
    fed.finalize().into_bytes().to_vec()
}
