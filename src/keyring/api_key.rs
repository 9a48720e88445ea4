//! An API key: `bt_`, 8 hex digits that name it, and 43 characters that nobody can guess.
//!
//! Invariant: only a hash of the secret is kept (256 bits of chance need no slow one), and it is shown once, when it is
//! made. A key that is rotated has its secrets before too, each until its own overlap ends; it stays the same principal all along.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Scopes, Secret};
use crate::clock::Time;

/// What every key begins with, so that whoever finds one in a log knows what it is.
const PREFIX: &str = "bt_";
/// Bytes of chance in a secret.
const SECRET_BYTES: usize = 32;
/// Longest name, in characters.
pub const MAX_NAME: usize = 60;
/// Most networks a key is bound to.
pub const MAX_NETWORKS: usize = 16;
/// Most secrets that open beside the newest: whoever rotates more often than that is not waited for by the programs.
const MAX_FORMER: usize = 4;

/// What a key is called in the API: `ak_` and 8 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ak_{:08x}", u32::from_be_bytes(self.0))
    }
}

impl FromStr for KeyId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        id(text.strip_prefix("ak_").ok_or(())?).ok_or(())
    }
}

fn id(digits: &str) -> Option<KeyId> {
    let is_plain = digits.len() == 8 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let number = u32::from_str_radix(digits, 16).ok().filter(|_| is_plain)?;
    Some(KeyId(number.to_be_bytes()))
}

/// Tells a secret of a key from the others that the key has had: the first bytes of its hash.
pub type SecretTrace = [u8; 8];

fn trace(hash: &[u8; 32]) -> SecretTrace {
    *hash.first_chunk().expect("a SHA-256 has 32 bytes")
}

/// What somebody who brings a key says: which it is, and its secret.
#[derive(Clone, Debug)]
pub struct Presented {
    /// Which.
    pub id: KeyId,
    secret: Secret,
}

impl Presented {
    /// Reads a key; nothing, if it is not made like one.
    pub fn read(text: &str) -> Option<Self> {
        let (digits, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        (secret.len() == SECRET_BYTES.div_ceil(3) * 4 - 1)
            .then_some(())
            .and_then(|()| Some(Self { id: id(digits)?, secret: Secret::new(secret) }))
    }

    /// Tells its secret from others without telling what it is.
    pub fn trace(&self) -> SecretTrace {
        trace(&self.hash())
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.expose().as_bytes()).into()
    }

    /// As much work as with a key that exists, so that time does not tell which do.
    pub fn compare_with_nothing(&self) {
        let _ = std::hint::black_box(self.hash().ct_eq(&[0; 32]));
    }
}

/// An API key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its name in the API.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Where it may be used from; anywhere, if empty.
    pub networks: Vec<String>,
    /// When it was made.
    pub created_at: Time,
    /// From when on it is good for nothing.
    pub expires_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// How many secrets it has had.
    pub generation: u32,
    /// When the secret was made.
    pub rotated_at: Time,
    /// When it was last used.
    pub last_used_at: Option<Time>,
    /// How often it was used.
    pub used: u64,
    hash: [u8; 32],
    former: Vec<Former>,
}

/// A secret before a rotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    hash: [u8; 32],
    until: Time,
}

/// Why a key opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shut {
    /// The secret is another.
    #[error("the API key is wrong")]
    Wrong,
    /// Somebody revoked it.
    #[error("the API key was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the API key has expired")]
    Expired,
    /// It is good elsewhere only.
    #[error("the API key must not be used from this address")]
    Elsewhere,
}

/// What a key does not have, so that it cannot give it either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// It opens from these alone.
    #[error("it opens from {0} alone: name networks within")]
    Networks(String),
    /// It ends.
    #[error("it ends at {0}: name an end no later")]
    Time(Time),
}

/// A key that was rotated again and again while the secrets before still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{MAX_FORMER} secrets before the newest still open: wait until one has ended, or rotate with an overlap of 0, which ends all"
)]
pub struct TooOften;

/// What a new key should be.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Where it may be used from; anywhere, if empty.
    pub networks: Vec<String>,
    /// From when on it is good for nothing.
    pub expires_at: Option<Time>,
}

impl ApiKey {
    /// A new key, and its secret for whoever asked.
    pub fn make(wish: Wish, id: KeyId, random: [u8; 32], now: Time) -> (Self, Secret) {
        let Wish { name, scopes, networks, expires_at } = wish;
        let (hash, secret) = secret(id, random);
        let key = Self {
            id,
            name,
            scopes,
            networks,
            created_at: now,
            expires_at,
            revoked_at: None,
            generation: 1,
            rotated_at: now,
            last_used_at: None,
            used: 0,
            hash,
            former: Vec::new(),
        };
        (key, secret)
    }

    /// A new secret; the one it has opens for as long as the overlap lasts. Without any overlap, none before opens any more.
    pub fn rotate(&mut self, random: [u8; 32], overlap: Duration, now: Time) -> Result<Secret, TooOften> {
        self.former.retain(|former| now < former.until && !overlap.is_zero());
        if self.former.len() == MAX_FORMER {
            return Err(TooOften);
        }
        let (hash, secret) = secret(self.id, random);
        self.former.push(Former { hash: std::mem::replace(&mut self.hash, hash), until: now.plus(overlap) });
        self.generation += 1;
        self.rotated_at = now;
        Ok(secret)
    }

    /// Until when a secret before the newest opens, if any still does.
    pub fn former_until(&self, now: Time) -> Option<Time> {
        self.former.iter().map(|former| former.until).filter(|until| now < *until).max()
    }

    /// Good for nothing from now on, and neither are its tokens.
    pub fn revoke(&mut self, now: Time) {
        self.revoked_at.get_or_insert(now);
        self.former.clear();
    }

    /// Until when the secret of this trace opens, and what was given for it; nothing, if it opens no more.
    pub fn opens_until(&self, trace: SecretTrace, now: Time) -> Option<Time> {
        if trace == self::trace(&self.hash) {
            return Some(self.expires_at.unwrap_or(Time(i64::MAX)));
        }
        let former = self.former.iter().find(|former| self::trace(&former.hash) == trace && now < former.until)?;
        Some(self.expires_at.map_or(former.until, |end| end.min(former.until)))
    }

    /// What is wrong if whoever has this key gets one that opens from these networks and until then; nothing, if that is no more
    /// than they have.
    pub fn lacks(&self, networks: &[String], expires_at: Option<Time>) -> Option<Lack> {
        let own: Vec<IpNet> = self.networks.iter().filter_map(|network| network.parse().ok()).collect();
        let is_within = |network: &String| {
            network.parse::<IpNet>().is_ok_and(|network| own.iter().any(|own| own.contains(&network)))
        };
        if !self.networks.is_empty() && (networks.is_empty() || !networks.iter().all(is_within)) {
            return Some(Lack::Networks(self.networks.join(", ")));
        }
        let is_longer = |end: Time| expires_at.is_none_or(|at| end < at);
        self.expires_at.filter(|end| is_longer(*end)).map(Lack::Time)
    }

    /// Whether it opens, for a request from this address; the local socket has none.
    pub fn opens(&self, presented: &Presented, from: Option<IpAddr>, now: Time) -> Result<(), Shut> {
        let hash = presented.hash();
        let is_current = bool::from(hash.ct_eq(&self.hash));
        let is_it = |former: &Former| bool::from(hash.ct_eq(&former.hash)) && now < former.until;
        let is_former = self.former.iter().filter(|former| is_it(former)).count() > 0;
        // Who does not have the secret learns nothing about the key.
        if !is_current && !is_former {
            return Err(Shut::Wrong);
        }
        self.is_live(from, now)
    }

    /// Whether it is good for anything now, for a request from this address.
    pub fn is_live(&self, from: Option<IpAddr>, now: Time) -> Result<(), Shut> {
        if self.revoked_at.is_some() {
            return Err(Shut::Revoked);
        }
        if self.expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(Shut::Expired);
        }
        let is_near = |from: IpAddr| {
            self.networks
                .iter()
                .filter_map(|network| network.parse::<IpNet>().ok())
                .any(|network| network.contains(&from))
        };
        match from {
            Some(from) if !self.networks.is_empty() && !is_near(from.to_canonical()) => Err(Shut::Elsewhere),
            _ => Ok(()),
        }
    }
}

fn secret(id: KeyId, random: [u8; SECRET_BYTES]) -> ([u8; 32], Secret) {
    let text = URL_SAFE_NO_PAD.encode(random);
    let hash = Sha256::digest(text.as_bytes()).into();
    (hash, Secret::new(format!("{PREFIX}{:08x}_{text}", u32::from_be_bytes(id.0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    fn key(change: impl FnOnce(&mut Wish)) -> (ApiKey, Secret) {
        let mut wish = Wish { name: "shop".into(), scopes: Scopes::all(), networks: Vec::new(), expires_at: None };
        change(&mut wish);
        ApiKey::make(wish, KeyId([0, 1, 2, 0xab]), [7; 32], NOW)
    }

    fn opens(key: &ApiKey, secret: &Secret, from: Option<&str>, now: Time) -> Result<(), Shut> {
        let presented = Presented::read(secret.expose()).expect("made like a key");
        assert_eq!(presented.id, key.id);
        key.opens(&presented, from.map(|from| from.parse().expect("an address")), now)
    }

    #[test]
    fn a_key_opens_with_its_secret_and_shows_neither_it_nor_its_parts() {
        let (key, secret) = key(|_| {});
        assert!(secret.expose().starts_with("bt_000102ab_") && secret.expose().len() == 55);
        assert_eq!(opens(&key, &secret, None, NOW), Ok(()));
        assert!(!format!("{key:?} {:?}", Presented::read(secret.expose())).contains(&secret.expose()[12..]));
        let other = Secret::new(format!("bt_000102ab_{}", "A".repeat(43)));
        assert_eq!(opens(&key, &other, None, NOW), Err(Shut::Wrong));
        assert_eq!("ak_000102ab".parse(), Ok(key.id));
        assert_eq!(key.id.to_string(), "ak_000102ab");
    }

    #[test]
    fn what_is_not_made_like_a_key_is_none() {
        let long = format!("bt_000102ab_{}", "A".repeat(44));
        for text in ["", "bt_", "bt_000102ab", "bt_000102ab_short", "bt_000102AB_x", "kt_000102ab_x", &long] {
            assert!(Presented::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn two_secrets_open_until_the_overlap_ends() {
        let (mut key, old) = key(|_| {});
        let new = key.rotate([8; 32], HOUR, NOW).expect("the first time");
        let end = NOW.plus(HOUR);
        assert_eq!((opens(&key, &new, None, NOW), opens(&key, &old, None, Time(end.0 - 1))), (Ok(()), Ok(())));
        assert_eq!((opens(&key, &new, None, end), opens(&key, &old, None, end)), (Ok(()), Err(Shut::Wrong)));
        assert_eq!((key.generation, key.former_until(NOW), key.former_until(end)), (2, Some(end), None));
        key.revoke(NOW);
        assert_eq!(opens(&key, &new, None, NOW), Err(Shut::Revoked));
        assert_eq!(opens(&key, &old, None, NOW), Err(Shut::Wrong), "a revoked key has no second secret");
    }

    #[test]
    fn a_key_that_is_rotated_twice_within_an_overlap_keeps_each_promise_and_knows_an_end() {
        let (mut key, first) = key(|_| {});
        let second = key.rotate([8; 32], HOUR, NOW).expect("one");
        let half = NOW.plus(HOUR / 2);
        let third = key.rotate([9; 32], HOUR, half).expect("two");
        for secret in [&first, &second, &third] {
            assert_eq!(opens(&key, secret, None, half), Ok(()));
        }
        assert_eq!(opens(&key, &first, None, NOW.plus(HOUR)), Err(Shut::Wrong));
        assert_eq!((key.rotate([1; 32], HOUR, half).is_ok(), key.rotate([2; 32], HOUR, half).is_ok()), (true, true));
        assert_eq!(key.rotate([3; 32], HOUR, half).err(), Some(TooOften));
        let last = key.rotate([4; 32], Duration::ZERO, half).expect("that ends all others");
        assert_eq!((opens(&key, &last, None, half), opens(&key, &third, None, half)), (Ok(()), Err(Shut::Wrong)));
    }

    #[test]
    fn what_was_given_for_a_secret_ends_with_it() {
        let (mut key, first) = key(|_| {});
        let trace = |secret: &Secret| Presented::read(secret.expose()).expect("made like a key").trace();
        let (first, never) = (trace(&first), Time(i64::MAX));
        let second = trace(&key.rotate([8; 32], HOUR, NOW).expect("the first time"));
        assert_eq!((key.opens_until(first, NOW), key.opens_until(second, NOW)), (Some(NOW.plus(HOUR)), Some(never)));
        assert_eq!(key.opens_until(first, NOW.plus(HOUR)), None);
        key.expires_at = Some(NOW.plus(HOUR / 2));
        assert_eq!(key.opens_until(first, NOW), key.opens_until(second, NOW));
        let third = trace(&key.rotate([9; 32], Duration::ZERO, NOW).expect("that ends all others"));
        assert_eq!((key.opens_until(first, NOW), key.opens_until(second, NOW)), (None, None));
        assert!(key.opens_until(third, NOW).is_some());
    }

    #[test]
    fn a_key_gives_no_more_than_it_has() {
        let (free, _) = key(|_| {});
        assert_eq!(free.lacks(&[], None), None);
        let (bound, _) = key(|wish| {
            wish.expires_at = Some(NOW);
            wish.networks = vec!["10.0.0.0/8".into(), "2001:db8::/32".into()];
        });
        let lacks = |networks: &[&str], at| {
            bound.lacks(&networks.iter().map(|network| (*network).to_owned()).collect::<Vec<_>>(), at)
        };
        assert_eq!(lacks(&["10.1.0.0/16", "2001:db8:1::/48"], Some(NOW)), None);
        for wide in [&[][..], &["0.0.0.0/0"], &["10.0.0.0/8", "11.0.0.0/8"], &["10.0.0.0/7"], &["::/0"]] {
            assert!(matches!(lacks(wide, Some(NOW)), Some(Lack::Networks(_))), "{wide:?}");
        }
        for late in [None, Some(NOW.plus(HOUR))] {
            assert_eq!(lacks(&["10.0.0.0/8"], late), Some(Lack::Time(NOW)), "{late:?}");
        }
    }

    #[test]
    fn a_key_is_good_until_it_expires_and_where_it_is_bound_to() {
        let (key, secret) = key(|wish| {
            wish.expires_at = Some(NOW.plus(HOUR));
            wish.networks = vec!["10.0.0.0/8".into(), "2001:db8::/32".into()];
        });
        let at = |from| opens(&key, &secret, Some(from), NOW);
        assert_eq!((at("10.1.2.3"), at("2001:db8::1"), at("::ffff:10.1.2.3")), (Ok(()), Ok(()), Ok(())));
        assert_eq!((at("11.1.2.3"), at("::1")), (Err(Shut::Elsewhere), Err(Shut::Elsewhere)));
        assert_eq!(opens(&key, &secret, None, NOW), Ok(()), "the local socket is nearer than any network");
        assert_eq!(opens(&key, &secret, None, NOW.plus(HOUR)), Err(Shut::Expired));
    }
}
