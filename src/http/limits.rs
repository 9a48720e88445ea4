//! How often somebody may fail, guess or ask: buckets of tokens, by address, by account, by name.
//!
//! Invariant: what is proven is never held up by what strangers do. A signature and a key are looked at first, always, and only
//! what failed is counted by its address; a login is counted by account and address together, so nobody can lock out another
//! from elsewhere. Invariant: what is remembered is bounded, whoever comes.
//! Not here: who somebody is (`client`), and whether they prove it.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Options;
use super::client::Client;
use crate::clock::Time;

/// Failures a second that an address may cause and still be told why; as many may come at once. A person or a broken program
/// causes fewer; a thousand times as many guess no key of 256 bits.
const FAILURES_PER_S: f64 = 20.0;
/// A principal may ask for so many seconds' worth at once.
const BURST_S: f64 = 2.0;
/// Keys of each kind that are remembered: about 2 MB at most for all of them. Whoever commands more addresses than that is as
/// good as new with each, with or without a memory.
const REMEMBERED: usize = 16_384;
/// The longest wait after a wrong password: long for a program, short for the owner.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// So long after the last wait was over, guesses are forgiven.
const FORGIVEN: Duration = Duration::from_secs(15 * 60);

/// Come again when this is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many at once: come again in {seconds} s")]
pub struct RetryAfter {
    /// Whole seconds, one at least.
    pub seconds: u64,
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Webhooks with a bad signature, by address.
    BadSignatures,
    /// Requests of nobody we know, by address.
    Strangers,
    /// Requests of somebody we know, by name.
    Requests,
    /// Guesses at a password, by account and address.
    Logins,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::BadSignatures, Self::Strangers, Self::Requests, Self::Logins];

    /// What metrics call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadSignatures => "bad_signatures",
            Self::Strangers => "strangers",
            Self::Requests => "requests",
            Self::Logins => "logins",
        }
    }
}

/// All limits of one bluetick. Whoever has no address came through the local socket, and is never held up.
#[derive(Debug)]
pub struct Limits {
    bad_signatures: Buckets<IpAddr>,
    strangers: Buckets<IpAddr>,
    requests: Option<Buckets<String>>,
    logins: Mutex<Recent<(IpAddr, u64), Guesses>>,
    /// Accounts are remembered by a hash, since strangers choose their names and lengths.
    accounts: RandomState,
    held_up: [AtomicU64; Limit::ALL.len()],
}

impl Limits {
    /// Nobody has come yet.
    pub fn new(options: &Options) -> Self {
        let failures = Rate::new(FAILURES_PER_S, FAILURES_PER_S);
        // Written so that NaN switches it off too.
        let is_on = options.rate_per_s > 0.0;
        let requests = Rate::new(options.rate_per_s, options.rate_per_s * BURST_S);
        Self {
            bad_signatures: Buckets::new(failures),
            strangers: Buckets::new(failures),
            requests: is_on.then(|| Buckets::new(requests)),
            logins: Mutex::default(),
            accounts: RandomState::new(),
            held_up: Default::default(),
        }
    }

    /// A webhook was not signed as it must be.
    pub fn bad_signature(&self, client: Option<Client>, now: Time) -> Result<(), RetryAfter> {
        let Some(client) = client else { return Ok(()) };
        self.counted(Limit::BadSignatures, self.bad_signatures.take(client.network(), now))
    }

    /// Somebody did not prove who they are.
    pub fn stranger(&self, client: Option<Client>, now: Time) -> Result<(), RetryAfter> {
        let Some(client) = client else { return Ok(()) };
        self.counted(Limit::Strangers, self.strangers.take(client.network(), now))
    }

    /// Somebody we know asks for something.
    pub fn request(&self, client: Option<Client>, principal: &str, now: Time) -> Result<(), RetryAfter> {
        let (Some(_), Some(requests)) = (client, &self.requests) else { return Ok(()) };
        self.counted(Limit::Requests, requests.take(principal.to_owned(), now))
    }

    /// Before a password is looked at. The guess counts from here on, so that a thousand at the same time are no better than one
    /// after the other: 1 s must pass until the next, then 2, 4, up to [`LONGEST_WAIT`], which is 6 in the worst minute. It is
    /// never final, and what others guess from elsewhere does not count.
    pub fn login(&self, client: Option<Client>, account: &str, now: Time) -> Result<(), RetryAfter> {
        let Some(key) = self.login_key(client, account) else { return Ok(()) };
        let admitted = lock(&self.logins).get(key).admit(now);
        self.counted(Limit::Logins, admitted)
    }

    /// The password was wrong: the wait begins now, however long it took to look at it.
    pub fn login_failed(&self, client: Option<Client>, account: &str, now: Time) {
        if let Some(key) = self.login_key(client, account) {
            lock(&self.logins).get(key).wait_from(now);
        }
    }

    /// The password that was admitted at this time was right, and a code is asked for: it was no guess, and the code may be typed at
    /// once. Unless others guess meanwhile.
    pub fn login_goes_on(&self, client: Option<Client>, account: &str, admitted_at: Time) {
        if let Some(key) = self.login_key(client, account) {
            lock(&self.logins).get(key).take_back(admitted_at);
        }
    }

    /// The password was right: what was mistyped before is forgotten.
    pub fn login_succeeded(&self, client: Option<Client>, account: &str) {
        if let Some(key) = self.login_key(client, account) {
            *lock(&self.logins).get(key) = Guesses::default();
        }
    }

    /// How many were held up since the start.
    pub fn held_up(&self, limit: Limit) -> u64 {
        self.held_up[limit as usize].load(Ordering::Relaxed)
    }

    fn login_key(&self, client: Option<Client>, account: &str) -> Option<(IpAddr, u64)> {
        client.map(|client| (client.network(), self.accounts.hash_one(account)))
    }

    fn counted(&self, limit: Limit, taken: Result<(), RetryAfter>) -> Result<(), RetryAfter> {
        if taken.is_err() {
            self.held_up[limit as usize].fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}

/// A bucket for each key.
#[derive(Debug)]
struct Buckets<K> {
    rate: Rate,
    /// When each will be full again, in microseconds since 1970; one that is full already need not be remembered.
    full_at: Mutex<Recent<K, i64>>,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self { rate, full_at: Mutex::default() }
    }

    fn take(&self, key: K, now: Time) -> Result<(), RetryAfter> {
        self.rate.take(lock(&self.full_at).get(key), now)
    }
}

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// Microseconds until there is one token more.
    every_us: i64,
    /// Microseconds until an empty bucket is full.
    whole_us: i64,
}

impl Rate {
    fn new(per_s: f64, burst: f64) -> Self {
        let every_us = (1e6 / per_s).max(1.0) as i64;
        Self { every_us, whole_us: every_us.saturating_mul(burst.max(1.0) as i64) }
    }

    /// Takes a token out of the bucket that will be full at this time, or says when there is one.
    fn take(self, full_at: &mut i64, now: Time) -> Result<(), RetryAfter> {
        let now = now.0.saturating_mul(1_000);
        let then = now.max(*full_at).saturating_add(self.every_us);
        let missing = then.saturating_sub(now).saturating_sub(self.whole_us);
        if missing > 0 {
            return Err(RetryAfter::of(Duration::from_micros(missing.unsigned_abs())));
        }
        *full_at = then;
        Ok(())
    }
}

impl RetryAfter {
    fn of(wait: Duration) -> Self {
        Self { seconds: wait.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX).max(1) }
    }
}

/// Guesses at one password from one place.
#[derive(Clone, Copy, Debug, Default)]
struct Guesses {
    count: u32,
    /// When the next one is looked at.
    open_at: Time,
}

impl Guesses {
    fn admit(&mut self, now: Time) -> Result<(), RetryAfter> {
        if now < self.open_at {
            return Err(RetryAfter::of(self.open_at.since(now)));
        }
        if now.since(self.open_at) >= FORGIVEN {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.wait_from(now);
        Ok(())
    }

    fn take_back(&mut self, admitted_at: Time) {
        let mut as_admitted = *self;
        as_admitted.wait_from(admitted_at);
        if self.open_at == as_admitted.open_at {
            *self = Self { count: self.count.saturating_sub(1), open_at: admitted_at };
        }
    }

    fn wait_from(&mut self, now: Time) {
        let doubled = 1_u64.checked_shl(self.count.saturating_sub(1)).unwrap_or(u64::MAX);
        self.open_at = now.plus(Duration::from_secs(doubled).min(LONGEST_WAIT));
    }
}

/// What is remembered of the keys that came last. When the young are half of [`REMEMBERED`], the old are forgotten and the young
/// become the old: each step costs the same, and nobody goes who came among the last thousands.
#[derive(Debug)]
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<K: Eq + Hash, V: Default> Recent<K, V> {
    fn get(&mut self, key: K) -> &mut V {
        let mut older = None;
        if !self.young.contains_key(&key) {
            older = self.old.remove(&key);
            if self.young.len() >= REMEMBERED / 2 {
                self.old = std::mem::take(&mut self.young);
            }
        }
        self.young.entry(key).or_insert_with(|| older.unwrap_or_default())
    }
}

/// What is behind it is whole between calls, whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
