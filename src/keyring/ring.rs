//! The life of a secret: `staged → active → retiring → retired`, and `revoked` in an emergency; one ring for each kind of secret.
//!
//! Invariant: at most one of a kind is staged and at most one is active; the value of what is retired or revoked is gone. What is
//! retired may be given again, by a person; what was revoked stays so. A secret that retires is good until its time, whether or
//! not anybody looks.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::vault::Sealed;
use super::{Secret, Vault};
use crate::clock::Time;

/// A kind of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// The auth token of the account at Twilio: it signs callbacks, and opens its API.
    TwilioAuthToken,
    /// An API key at Twilio, `SK…:secret`: it opens the API, and signs nothing.
    TwilioApiKey,
    /// What access tokens (JWT) are signed with.
    Jwt,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::TwilioAuthToken, Self::TwilioApiKey, Self::Jwt];

    /// Its name in the API and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TwilioAuthToken => "twilio_auth_token",
            Self::TwilioApiKey => "twilio_api_key",
            Self::Jwt => "jwt",
        }
    }

    /// Reads such a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::TwilioAuthToken => "the account's auth token at Twilio",
            Self::TwilioApiKey => "the API key at Twilio",
            Self::Jwt => "the key that access tokens are signed with",
        }
    }

    /// Whether bluetick makes it by itself, so that nobody else loses anything when it is rotated.
    pub fn is_own(self) -> bool {
        self == Self::Jwt
    }
}

/// Where a secret is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It is known, and its turn comes.
    Staged,
    /// It is used.
    Active,
    /// Another is used; it is good until this time.
    Retiring(Time),
    /// It is good for nothing, and never will be: it may be in wrong hands.
    Revoked,
    /// It is good for nothing: its time is over, or it was put away. The same value may come again.
    Retired,
}

impl State {
    /// The word for it; a time that has passed has revoked it.
    pub fn as_str(self, now: Time) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Retiring(until) if now < until => "retiring",
            Self::Retiring(_) | Self::Retired | Self::Revoked => "revoked",
        }
    }

    /// Whether it is good for anything: what is staged is too, since Twilio may know it before we do.
    pub fn is_live(self, now: Time) -> bool {
        match self {
            Self::Staged | Self::Active => true,
            Self::Retiring(until) => now < until,
            Self::Retired | Self::Revoked => false,
        }
    }
}

/// A secret as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The how manieth of its kind.
    pub generation: u32,
    /// Where it is in its life.
    pub state: State,
    /// When it came to be known.
    pub made_at: Time,
    /// Since when it is in this state.
    pub since: Time,
    /// What tells it from others without telling what it is.
    pub trace: [u8; 8],
    /// Its value, unless it stands in the configuration.
    pub sealed: Option<Sealed>,
    /// How often it was used.
    pub used: u64,
    /// When it was last used.
    pub last_used_at: Option<Time>,
}

impl Entry {
    /// A secret that is known from now on. Its value is kept where there is a vault; else it stands in the configuration.
    pub fn new(
        kind: Kind,
        generation: u32,
        state: State,
        value: &Secret,
        kept: Option<(&Vault, [u8; 16])>,
        now: Time,
    ) -> Self {
        let sealed = kept.map(|(vault, random)| vault.seal(&purpose(kind, generation), value, random));
        let trace = trace(value);
        Self { kind, generation, state, made_at: now, since: now, trace, sealed, used: 0, last_used_at: None }
    }

    /// Keeps the value of a secret that stands in the configuration, because it may soon stand there no more.
    pub fn keep(&mut self, value: &Secret, vault: &Vault, random: [u8; 16]) {
        self.sealed = Some(vault.seal(&purpose(self.kind, self.generation), value, random));
    }

    /// The value, if it is kept here and this vault opens it.
    pub fn value(&self, vault: &Vault) -> Option<Secret> {
        vault.open(&purpose(self.kind, self.generation), self.sealed.as_ref()?)
    }

    fn turn(&mut self, state: State, now: Time) {
        (self.state, self.since) = (state, now);
        if matches!(state, State::Retired | State::Revoked) {
            self.sealed = None;
        }
    }
}

/// What a sealed value is bound to, so that none passes for another.
fn purpose(kind: Kind, generation: u32) -> String {
    format!("secrets|{}|{generation}", kind.as_str())
}

/// What tells a secret from others without telling what it is: secrets are too long to be guessed from it.
pub fn trace(value: &Secret) -> [u8; 8] {
    let hash = Sha256::new().chain_update("bluetick trace\0").chain_update(value.expose()).finalize();
    hash[..8].try_into().expect("a SHA-256 has 32 bytes")
}

/// Why a secret does not change its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unturned {
    /// There is one staged already.
    AlreadyStaged(u32),
    /// None is staged.
    NothingStaged,
    /// It is known already.
    Known(u32, State),
    /// There is no such generation.
    Missing(u32),
    /// It is in use: revoke it if it is in the wrong hands, else promote another first.
    InUse(u32),
    /// Another than was thought is in use meanwhile.
    Overtaken,
    /// It was used a moment ago: whoever uses it would be shut out.
    StillUsed {
        /// Which.
        generation: u32,
        /// When last.
        last_used_at: Time,
    },
}

impl fmt::Display for Unturned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStaged(generation) => {
                write!(f, "generation {generation} is staged already: promote or retire it first")
            }
            Self::NothingStaged => write!(f, "nothing is staged: rotate first, and say what the new one is"),
            Self::Known(generation, State::Revoked) => write!(
                f,
                "this value was revoked in an emergency, as generation {generation}, and does not come back: make a new one"
            ),
            Self::Known(generation, _) => write!(f, "this value is known already, as generation {generation}"),
            Self::Missing(generation) => write!(f, "there is no generation {generation}"),
            Self::InUse(generation) => {
                write!(
                    f,
                    "generation {generation} is in use: promote another first, or revoke it if it is in wrong hands"
                )
            }
            Self::Overtaken => write!(f, "another is in use meanwhile: look again"),
            Self::StillUsed { generation, last_used_at } => write!(
                f,
                "generation {generation} was used at {last_used_at}: whoever still uses it would be shut out; wait, or force it"
            ),
        }
    }
}

/// What came of a value that stands in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It is the one in use.
    Current,
    /// Nothing that works stands in its way: it is used from now on.
    Adopted(u32),
    /// One that may work is in use: it is staged, until Twilio has let it in.
    Untried(u32),
    /// Somebody staged another, which comes first.
    Waits {
        /// Which that is.
        staged: u32,
    },
    /// It was rotated away: the store knows a newer one, which is used.
    Stale {
        /// Which it is.
        found: u32,
        /// Which is used.
        used: u32,
    },
    /// It was revoked in an emergency, and nothing is used.
    Refused(u32),
}

/// All secrets of one kind, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring(pub Vec<Entry>);

impl Ring {
    /// The one in use.
    pub fn active(&self) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.state == State::Active)
    }

    /// The one whose turn comes.
    pub fn staged(&self) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.state == State::Staged)
    }

    /// The number of the next one.
    pub fn next(&self) -> u32 {
        self.0.last().map_or(1, |last| last.generation + 1)
    }

    /// Generations and states, by which somebody who read them knows whether they still are so.
    pub fn states(&self) -> Vec<(u32, State)> {
        self.0.iter().map(|entry| (entry.generation, entry.state)).collect()
    }

    /// The last that had this value.
    fn known(&self, trace: [u8; 8]) -> Option<&Entry> {
        self.0.iter().rev().find(|known| known.trace == trace)
    }

    /// A new one whose turn comes. It may have a value that retires or is retired: whoever gives it again means it.
    pub fn stage(&mut self, entry: Entry) -> Result<(), Unturned> {
        if let Some(staged) = self.staged() {
            return Err(Unturned::AlreadyStaged(staged.generation));
        }
        let ended = |known: &&Entry| matches!(known.state, State::Retiring(_) | State::Retired);
        if let Some(known) = self.known(entry.trace).filter(|known| !ended(known)) {
            return Err(Unturned::Known(known.generation, known.state));
        }
        self.0.push(Entry { state: State::Staged, ..entry });
        Ok(())
    }

    /// What is staged is used from now on; what was used is good for as long as the overlap lasts.
    pub fn promote(&mut self, overlap: Duration, now: Time) -> Result<(), Unturned> {
        if self.staged().is_none() {
            return Err(Unturned::NothingStaged);
        }
        for entry in &mut self.0 {
            match entry.state {
                State::Active => entry.turn(State::Retiring(now.plus(overlap)), now),
                State::Staged => entry.turn(State::Active, now),
                State::Retiring(_) | State::Retired | State::Revoked => {}
            }
        }
        Ok(())
    }

    /// What retires, or is staged, is good for nothing from now on; refused if it was used less than `quiet` ago.
    pub fn retire(&mut self, generation: u32, quiet: Duration, now: Time) -> Result<(), Unturned> {
        let entry = self.0.iter_mut().find(|entry| entry.generation == generation);
        let entry = entry.ok_or(Unturned::Missing(generation))?;
        if entry.state == State::Active {
            return Err(Unturned::InUse(generation));
        }
        if let Some(last_used_at) = entry.last_used_at.filter(|at| entry.state.is_live(now) && now < at.plus(quiet)) {
            return Err(Unturned::StillUsed { generation, last_used_at });
        }
        if !matches!(entry.state, State::Retired | State::Revoked) {
            entry.turn(State::Retired, now);
        }
        Ok(())
    }

    /// Nothing of this kind is good for anything from now on, nor ever again.
    pub fn revoke_all(&mut self, now: Time) {
        let live = self.0.iter_mut().filter(|entry| entry.state != State::Revoked);
        live.for_each(|entry| entry.turn(State::Revoked, now));
    }

    /// Those whose time has passed are written down as retired, and their values go; says whether there were any.
    pub fn expire(&mut self, now: Time) -> bool {
        let over = |entry: &&mut Entry| matches!(entry.state, State::Retiring(until) if until <= now);
        let over: Vec<_> = self.0.iter_mut().filter(over).collect();
        let any = !over.is_empty();
        over.into_iter().for_each(|entry| entry.turn(State::Retired, now));
        any
    }

    /// Meets the value that stands in the configuration. `standing` tells what else does: an entry that keeps no value of its own and
    /// stands there no more is known to nobody. Where one is used whose value is known, a new one is only staged, and what was rotated
    /// away stays away; else it is used from now on.
    pub fn meet(&mut self, value: &Secret, kind: Kind, standing: &[[u8; 8]], overlap: Duration, now: Time) -> Met {
        let is_lost = |entry: &Entry| entry.sealed.is_none() && !standing.contains(&entry.trace);
        let lost = self.0.iter_mut().find(|entry| entry.state == State::Staged && is_lost(entry));
        lost.into_iter().for_each(|entry| entry.turn(State::Retired, now));
        let known = self.known(trace(value)).map(|known| (known.generation, known.state));
        match (known, self.active().filter(|used| !is_lost(used)).map(|used| used.generation)) {
            (Some((_, State::Active)), _) => Met::Current,
            (Some((found, State::Staged)), Some(_)) => Met::Untried(found),
            (Some((found, _)), Some(used)) => Met::Stale { found, used },
            (Some((found, State::Revoked)), None) => Met::Refused(found),
            (None, Some(_)) => match self.staged() {
                Some(staged) => Met::Waits { staged: staged.generation },
                None => {
                    let generation = self.next();
                    self.0.push(Entry::new(kind, generation, State::Staged, value, None, now));
                    Met::Untried(generation)
                }
            },
            (_, None) => Met::Adopted(self.adopt(value, kind, overlap, now)),
        }
    }

    /// A value is used from now on instead of the generation given: refused if another is by now, or if the value was revoked.
    pub fn replace(
        &mut self,
        used: u32,
        value: &Secret,
        kind: Kind,
        overlap: Duration,
        now: Time,
    ) -> Result<u32, Unturned> {
        if let Some(known) = self.known(trace(value)).filter(|known| known.state == State::Revoked) {
            return Err(Unturned::Known(known.generation, known.state));
        }
        match self.active() {
            Some(active) if active.generation == used => Ok(self.adopt(value, kind, overlap, now)),
            _ => Err(Unturned::Overtaken),
        }
    }

    /// A value takes the place of whatever was used, and of another that was staged.
    fn adopt(&mut self, value: &Secret, kind: Kind, overlap: Duration, now: Time) -> u32 {
        let (trace, next) = (trace(value), self.next());
        let generation = match self.0.iter_mut().find(|entry| entry.state == State::Staged) {
            Some(staged) if staged.trace == trace => staged.generation,
            staged => {
                staged.into_iter().for_each(|staged| staged.turn(State::Retired, now));
                self.0.push(Entry::new(kind, next, State::Staged, value, None, now));
                next
            }
        };
        self.promote(overlap, now).expect("one was staged above");
        generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_800_000_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);
    const KIND: Kind = Kind::TwilioAuthToken;

    fn later(hours: u32) -> Time {
        NOW.plus(HOUR * hours)
    }

    fn entry(ring: &Ring, value: &str) -> Entry {
        let vault = Vault::new([9; 32]);
        Entry::new(KIND, ring.next(), State::Staged, &Secret::new(value), Some((&vault, [1; 16])), NOW)
    }

    /// Meets a value that stands in the configuration alone.
    fn meet(ring: &mut Ring, value: &str, now: Time) -> Met {
        let value = Secret::new(value);
        ring.meet(&value, KIND, &[trace(&value)], HOUR, now)
    }

    /// A ring whose first is used.
    fn ring() -> Ring {
        let mut ring = Ring::default();
        ring.stage(entry(&ring, "first")).expect("nothing is staged");
        ring.promote(HOUR, NOW).expect("one is staged");
        ring
    }

    #[test]
    fn a_secret_goes_through_its_life_and_leaves_no_value_behind() {
        let mut ring = ring();
        ring.stage(entry(&ring, "second")).expect("nothing is staged");
        assert_eq!(ring.stage(entry(&ring, "third")), Err(Unturned::AlreadyStaged(2)));
        ring.promote(HOUR, NOW).expect("one is staged");
        assert_eq!(ring.states(), [(1, State::Retiring(later(1))), (2, State::Active)]);
        assert!(
            ring.0[0].state.is_live(Time(later(1).0 - 1)) && !ring.0[0].state.is_live(later(1)),
            "the time ends it, looked at or not"
        );
        assert_eq!(ring.0[0].state.as_str(later(1)), "revoked");
        assert!(!ring.expire(NOW) && ring.expire(later(1)) && !ring.expire(later(1)));
        assert_eq!((ring.0[0].state, ring.0[0].sealed.is_some()), (State::Retired, false));
        assert_eq!(ring.promote(HOUR, NOW), Err(Unturned::NothingStaged));
        ring.revoke_all(NOW);
        assert!(ring.0.iter().all(|entry| entry.state == State::Revoked && entry.sealed.is_none()));
    }

    #[test]
    fn what_is_still_used_does_not_retire_unless_it_is_forced() {
        let mut ring = ring();
        ring.stage(entry(&ring, "second")).expect("nothing is staged");
        ring.promote(HOUR, NOW).expect("one is staged");
        assert_eq!(ring.retire(2, HOUR, NOW), Err(Unturned::InUse(2)));
        assert_eq!(ring.retire(3, HOUR, NOW), Err(Unturned::Missing(3)));
        ring.0[0].last_used_at = Some(NOW);
        let refused = ring.retire(1, Duration::from_secs(60), NOW.plus(Duration::from_secs(59)));
        assert_eq!(refused, Err(Unturned::StillUsed { generation: 1, last_used_at: NOW }));
        assert!(refused.expect_err("refused").to_string().contains("wait, or force it"));
        assert_eq!(ring.retire(1, Duration::ZERO, NOW), Ok(()), "no quiet is asked for");
        assert_eq!(ring.0[0].state, State::Retired);
        ring.revoke_all(NOW);
        assert_eq!((ring.retire(1, Duration::ZERO, later(1)), ring.0[0].state), (Ok(()), State::Revoked));
    }

    #[test]
    fn a_value_comes_again_when_it_is_given_again_but_never_after_an_emergency() {
        let mut ring = ring();
        ring.stage(entry(&ring, "mistyped")).expect("nothing is staged");
        assert_eq!(ring.stage(entry(&ring, "first")), Err(Unturned::AlreadyStaged(2)));
        ring.promote(HOUR, NOW).expect("one is staged");
        assert_eq!(ring.stage(entry(&ring, "mistyped")), Err(Unturned::Known(2, State::Active)));
        ring.stage(entry(&ring, "first")).expect("it retires, and is given again");
        ring.promote(HOUR, NOW).expect("one is staged");
        assert_eq!(ring.states(), [(1, State::Retiring(later(1))), (2, State::Retiring(later(1))), (3, State::Active)]);
        assert_eq!(meet(&mut ring, "first", NOW), Met::Current, "the last of that value is the one");
        ring.expire(later(1));
        ring.stage(entry(&ring, "mistyped")).expect("it is retired, and is given again");
        ring.revoke_all(NOW);
        for value in ["first", "mistyped"] {
            let refused = ring.stage(entry(&ring, value)).expect_err("revoked");
            assert!(refused.to_string().contains("does not come back"), "{refused}");
        }
        ring.stage(entry(&ring, "fifth")).expect("nothing is staged");
    }

    #[test]
    fn what_was_given_up_is_used_again_once_it_stands_in_the_configuration() {
        let mut ring = ring();
        ring.0[0].turn(State::Retired, NOW);
        assert_eq!(meet(&mut ring, "first", NOW), Met::Adopted(2));
        assert_eq!(meet(&mut ring, "first", NOW), Met::Current);
    }

    #[test]
    fn a_value_in_the_configuration_never_brings_back_what_was_rotated_away() {
        let mut ring = Ring::default();
        assert_eq!(meet(&mut ring, "first", NOW), Met::Adopted(1));
        assert_eq!(meet(&mut ring, "first", NOW), Met::Current);
        ring.stage(entry(&ring, "second")).expect("nothing is staged");
        assert_eq!(meet(&mut ring, "second", NOW), Met::Adopted(2), "the first stands nowhere any more");
        assert_eq!(meet(&mut ring, "first", NOW), Met::Stale { found: 1, used: 2 });
        ring.expire(later(1));
        assert_eq!(meet(&mut ring, "first", later(1)), Met::Stale { found: 1, used: 2 });
        assert_eq!(ring.states(), [(1, State::Retired), (2, State::Active)]);
    }

    #[test]
    fn a_new_value_in_the_configuration_waits_while_one_that_may_work_is_used() {
        let mut ring = ring();
        assert_eq!(meet(&mut ring, "mistyped", NOW), Met::Untried(2));
        assert_eq!(meet(&mut ring, "mistyped", NOW), Met::Untried(2));
        assert_eq!(ring.states(), [(1, State::Active), (2, State::Staged)], "the first goes on");
        assert_eq!(meet(&mut ring, "second", NOW), Met::Untried(3), "it is put right");
        assert_eq!(ring.replace(1, &Secret::new("second"), KIND, HOUR, NOW), Ok(3), "and let in");
        assert_eq!(
            ring.states(),
            [(1, State::Retiring(later(1))), (2, State::Retired), (3, State::Active)],
            "what was mistyped stands nowhere"
        );
        assert_eq!(ring.replace(1, &Secret::new("first"), KIND, HOUR, NOW), Err(Unturned::Overtaken));
        assert_eq!(ring.replace(3, &Secret::new("first"), KIND, HOUR, NOW), Ok(4), "it works after all");
        ring.stage(entry(&ring, "fifth")).expect("nothing is staged");
        let (first, sixth) = (trace(&Secret::new("first")), Secret::new("sixth"));
        let met = ring.meet(&sixth, KIND, &[first, trace(&sixth)], HOUR, NOW);
        assert_eq!(met, Met::Waits { staged: 5 }, "a person's comes first");
        ring.revoke_all(NOW);
        let refused = ring.replace(4, &Secret::new("first"), KIND, HOUR, NOW);
        assert_eq!(refused, Err(Unturned::Known(4, State::Revoked)));
    }

    #[test]
    fn what_stands_only_in_the_configuration_is_put_right_there() {
        let mut ring = Ring::default();
        assert_eq!(meet(&mut ring, "first", NOW), Met::Adopted(1));
        assert_eq!(meet(&mut ring, "mistyped", NOW), Met::Adopted(2), "nobody knows the first any more");
        assert_eq!(meet(&mut ring, "first", NOW), Met::Adopted(3), "and now nobody knows the second");
        assert_eq!(ring.active().map(|active| active.generation), Some(3));
    }

    #[test]
    fn after_everything_was_revoked_only_a_new_value_is_used() {
        let mut ring = ring();
        ring.revoke_all(NOW);
        assert_eq!(meet(&mut ring, "first", NOW), Met::Refused(1));
        assert_eq!(ring.active(), None, "what was revoked stays so, though it still stands in the file");
        assert_eq!(meet(&mut ring, "second", NOW), Met::Adopted(2));
    }

    #[test]
    fn a_sealed_value_opens_only_as_what_it_was_sealed_as() {
        let vault = Vault::new([9; 32]);
        let first = entry(&Ring::default(), "first");
        assert!(first.value(&vault).is_some_and(|value| value.is("first")));
        assert!(first.value(&Vault::new([8; 32])).is_none());
        for other in [Entry { kind: Kind::Jwt, ..first.clone() }, Entry { generation: 2, ..first }] {
            assert!(other.value(&vault).is_none());
        }
    }
}
