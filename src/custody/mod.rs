//! The keeping of secrets: the vault that the master key opens, and the one way to change a secret.
//!
//! Invariant: what is held in memory is what the store keeps, from before whoever changed it is answered. A vault that exists is never
//! replaced by a new one.
//! Not here: which change is right (`keyring`), who may ask for it (`http`), what is changed at Twilio (`jobs`).

mod master_key;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use data_encoding::HEXLOWER;
use tokio::sync::watch;

use crate::audit::{Actor, Deed};
use crate::clock::{Clock, Time};
use crate::keyring::{Entry, Keyring, Kind, Met, Options, Ring, Secret, State, Unturned, Vault, VaultKey, trace};
use crate::pause::{Cause, Paused, Scope};
use crate::store::{Act, Govern, Handle, Locks, Rotation, Snapshot, StoreError, Use, Used, Write, Written};
use crate::twilio::{Client, ClientError};

use master_key::MasterKey;
pub use master_key::{MASTER_KEY, recover};

/// Whoever changes a secret while somebody else does looks again this often.
const TRIES: usize = 5;
/// A secret that was used less than this ago is in use.
pub const QUIET: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// Why a secret was not changed, or the vault not opened.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault does not open; the words say what to do.
    #[error("{0}")]
    Locked(String),
    /// The change is none that can be made.
    #[error("{0}")]
    Unturned(Unturned),
    /// Twilio does not know it.
    #[error(
        "is not let in by Twilio for this account (an API key must be allowed to read messages): nothing was changed; compare it with \
         Twilio's console"
    )]
    NotLetIn,
    /// Twilio gave no answer.
    #[error("whether Twilio knows the secret could not be found out, so nothing was changed: {0}; try again")]
    NoAnswer(ClientError),
    /// Somebody else changes it all the time.
    #[error("somebody else changes it at the same time: look at it, then ask again")]
    Stale,
}

impl From<Unturned> for CustodyError {
    fn from(error: Unturned) -> Self {
        Self::Unturned(error)
    }
}

/// The keeping of secrets.
pub struct Custody {
    store: Handle,
    clock: Clock,
    keyring: Keyring,
    options: Options,
    master_key: MasterKey,
    /// What stands in the configuration.
    configured: Vec<(Kind, Secret)>,
    /// Who is asked whether a secret opens anything; nobody, where no account is configured.
    twilio: OnceLock<Arc<Client>>,
    /// How often a secret changed, or a rotation got further.
    changes: watch::Sender<u64>,
    /// One change at a time in this process.
    turn: tokio::sync::Mutex<()>,
}

impl Custody {
    /// Opens the vault if there is one, and meets what stands in the configuration; the log says what came of that.
    pub async fn open(
        store: &Handle,
        options: &Options,
        dir: &Path,
        configured: Vec<(Kind, Secret)>,
    ) -> Result<Self, CustodyError> {
        let master_key = MasterKey::of(options, dir);
        let (clock, keyring) = (store.clock(), Keyring::default());
        let (turn, twilio, changes) = (tokio::sync::Mutex::default(), OnceLock::new(), watch::Sender::default());
        let (store, options) = (store.clone(), options.clone());
        let custody = Self { store, clock, keyring, options, master_key, configured, twilio, changes, turn };
        let snapshot = custody.store.read()?;
        if let Some(locks) = snapshot.locks()? {
            if custody.master_key.is_there() || snapshot.keeps_secrets()? {
                custody.keyring.set_vault(Arc::new(custody.master_key.unlock(&locks)?));
            } else {
                custody.give_up().await?;
            }
        }
        drop(snapshot);
        for kind in Kind::ALL {
            if let Some(met) = custody.meet(kind).await? {
                tell(kind, met);
            }
        }
        custody.hold(&custody.store.read()?)?;
        Ok(custody)
    }

    /// From now on this one is asked whether a secret opens anything at Twilio.
    pub fn ask(&self, twilio: Arc<Client>) {
        // Whoever came first stays.
        let _ = self.twilio.set(twilio);
    }

    /// Asks Twilio whether it lets this secret in, before it takes the place of one that is. Without an account nothing is sent, so
    /// nothing can be shut out.
    pub async fn try_out(&self, kind: Kind, value: &Secret) -> Result<(), CustodyError> {
        let Some(twilio) = self.twilio.get().filter(|_| !kind.is_own()) else { return Ok(()) };
        match twilio.opens(kind, value).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(CustodyError::NotLetIn),
            Err(error) => Err(CustodyError::NoAnswer(error)),
        }
    }

    /// The secrets that are good for something.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Tells of every change of a secret, once it is held in memory, and of every step of a rotation.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What a team has set about its secrets.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What opens and seals values; made when it is first needed, so that nobody has to look after a key that opens nothing.
    pub async fn vault(&self) -> Result<Arc<Vault>, CustodyError> {
        if let Some(vault) = self.keyring.vault() {
            return Ok(vault);
        }
        let _turn = self.turn.lock().await;
        if let Some(vault) = self.keyring.vault() {
            return Ok(vault);
        }
        let master = self.master_key.read_or_make()?;
        let vault = Vault::new(rand::random());
        let locks = Locks { by_master: master.wrap(&vault, rand::random()), by_recovery: None };
        let deed = Deed::new("vault.made", locks.by_master.by.to_string(), "");
        self.write(Actor::job("custody"), Act::Lock { locks: Box::new(locks), expected: None }, deed).await?;
        let vault = Arc::new(vault);
        self.keyring.set_vault(Arc::clone(&vault));
        Ok(vault)
    }

    /// Changes the secrets of a kind: `change` is asked again if somebody else was quicker.
    pub async fn change(
        &self,
        kind: Kind,
        by: &Actor,
        rotation: Option<Option<Rotation>>,
        mut change: impl FnMut(&mut Ring, Time) -> Result<Deed, Unturned>,
    ) -> Result<Ring, CustodyError> {
        let _turn = self.turn.lock().await;
        self.write_uses().await?;
        for _ in 0..TRIES {
            let mut ring = self.store.read()?.ring(kind)?;
            let expected = ring.states();
            let now = self.clock.now();
            ring.expire(now);
            let deed = change(&mut ring, now)?;
            let rotation = rotation.clone().map(Box::new);
            let act = Act::KeepSecrets { kind, ring: ring.clone(), expected, rotation };
            match self.write(by.clone(), act, deed).await {
                Err(CustodyError::Stale) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    self.hold(&self.store.read()?)?;
                    return Ok(ring);
                }
            }
        }
        Err(CustodyError::Stale)
    }

    /// Writes down how often each secret was used.
    pub async fn write_uses(&self) -> Result<(), StoreError> {
        let uses = self.keyring.take_uses().into_iter();
        let uses: Vec<_> = uses
            .map(|(kind, generation, times, last_at)| Used { what: Use::Secret(kind, generation), times, last_at })
            .collect();
        if !uses.is_empty() {
            self.store.write(Write::Used(uses)).await?;
        }
        Ok(())
    }

    /// The key that access tokens are signed with; made when it is first needed.
    pub async fn signing_key(&self) -> Result<(u32, Secret), CustodyError> {
        if let Some(held) = self.keyring.active(Kind::Jwt) {
            return Ok((held.generation, held.value));
        }
        self.renew(Kind::Jwt, &Actor::job("custody")).await?;
        let held = self.keyring.active(Kind::Jwt).ok_or(CustodyError::Stale)?;
        Ok((held.generation, held.value))
    }

    /// A new secret of bluetick's own takes the place of the one in use, which is good until the overlap ends.
    pub async fn renew(&self, kind: Kind, by: &Actor) -> Result<Ring, CustodyError> {
        let (vault, overlap) = (self.vault().await?, self.options.overlap(kind));
        let random: [u8; 32] = rand::random();
        let value = Secret::new(HEXLOWER.encode(&random));
        self.change(kind, by, None, |ring, now| {
            let generation = ring.next();
            if let Some(staged) = ring.staged().map(|staged| staged.generation) {
                ring.retire(staged, std::time::Duration::ZERO, now)?;
            }
            ring.stage(Entry::new(kind, generation, State::Staged, &value, Some((&vault, rand::random())), now))?;
            ring.promote(overlap, now)?;
            Ok(Deed::new("secret.rotated", kind.as_str(), format!("generation {generation}")))
        })
        .await
    }

    /// A new recovery key, which takes the place of the one before. It is told once.
    pub async fn new_recovery_key(&self, by: &Actor) -> Result<Secret, CustodyError> {
        let (vault, key) = (self.vault().await?, VaultKey::new(rand::random()));
        let _turn = self.turn.lock().await;
        let locks = self.store.read()?.locks()?.ok_or(CustodyError::Stale)?;
        let expected = Some(locks.by_master.by);
        let wrapped = key.wrap(&vault, rand::random());
        let deed = Deed::new("recovery_key.made", wrapped.by.to_string(), "");
        let locks = Box::new(Locks { by_recovery: Some(wrapped), ..locks });
        self.write(by.clone(), Act::Lock { locks, expected }, deed).await?;
        Ok(key.write())
    }

    /// A new master key in the file takes the place of the one there; refused where the key stands in the configuration, since
    /// bluetick cannot write there.
    pub async fn rotate_master(&self, by: &Actor) -> Result<(), CustodyError> {
        self.master_key.check_writable()?;
        let vault = self.vault().await?;
        let _turn = self.turn.lock().await;
        let locks = self.store.read()?.locks()?.ok_or(CustodyError::Stale)?;
        let (key, expected) = (VaultKey::new(rand::random()), Some(locks.by_master.by));
        let wrapped = key.wrap(&vault, rand::random());
        self.master_key.write_next(&key)?;
        let deed = Deed::new("master_key.rotated", wrapped.by.to_string(), "");
        let locks = Box::new(Locks { by_master: wrapped, ..locks });
        self.write(by.clone(), Act::Lock { locks, expected }, deed).await?;
        self.master_key.settle_next()
    }

    /// Nothing is sealed but what bluetick makes anew by itself: a backup opens on another machine without any key.
    async fn give_up(&self) -> Result<(), CustodyError> {
        tracing::warn!(
            "there is no master key, and nothing is kept under it that cannot be made anew: access tokens end"
        );
        self.write(Actor::job("custody"), Act::GiveUpVault, Deed::new("vault.given_up", "", "nothing else was kept"))
            .await
    }

    /// Meets what stands in the configuration: what a person put there anew is used from now on if nothing that works is, else staged
    /// until Twilio has let it in; what was rotated away stays away.
    pub async fn meet(&self, kind: Kind) -> Result<Option<Met>, CustodyError> {
        let values: Vec<_> =
            self.configured.iter().filter(|(known, _)| *known == kind).map(|(_, value)| value).collect();
        let Some((value, others)) = values.split_first() else { return Ok(None) };
        let standing: Vec<_> = values.iter().map(|value| trace(value)).collect();
        let overlap = self.options.overlap(kind);
        let by = Actor { name: "configuration".to_owned(), ..Actor::default() };
        let mut ring = self.store.read()?.ring(kind)?;
        let before = ring.states();
        let mut met = ring.meet(value, kind, &standing, overlap, self.clock.now());
        if ring.states() != before {
            let meet = |ring: &mut Ring, now| {
                met = ring.meet(value, kind, &standing, overlap, now);
                let (action, detail) = match met {
                    Met::Adopted(generation) => ("secret.adopted", format!("generation {generation}")),
                    Met::Untried(generation) => ("secret.staged", format!("generation {generation}")),
                    _ => ("secret.retired", "it stands in the configuration no more".to_owned()),
                };
                Ok(Deed::new(action, kind.as_str(), detail))
            };
            ring = self.change(kind, &by, None, meet).await?;
        }
        let is_new = |value: &&&Secret| ring.0.iter().all(|entry| entry.trace != trace(value));
        if let Some(next) = others.first().filter(is_new).filter(|_| ring.staged().is_none()) {
            let stage = |ring: &mut Ring, now| {
                let generation = ring.next();
                ring.stage(Entry::new(kind, generation, State::Staged, next, None, now))?;
                Ok(Deed::new("secret.staged", kind.as_str(), format!("generation {generation}")))
            };
            self.change(kind, &by, None, stage).await?;
        }
        Ok(Some(met))
    }

    /// What stands in the configuration first of a kind, unless it was revoked.
    pub fn configured(&self, kind: Kind) -> Result<Option<Secret>, StoreError> {
        let Some((_, value)) = self.configured.iter().find(|(known, _)| *known == kind) else { return Ok(None) };
        let ring = self.store.read()?.ring(kind)?;
        let is_revoked = ring.0.iter().any(|entry| entry.trace == trace(value) && entry.state == State::Revoked);
        Ok((!is_revoked).then(|| value.clone()))
    }

    /// A value that Twilio lets in takes the place of the generation in use, and what stood still because Twilio refused that goes on.
    pub async fn replace(&self, kind: Kind, used: u32, value: &Secret) -> Result<(), CustodyError> {
        let overlap = self.options.overlap(kind);
        let replace = |ring: &mut Ring, now| {
            let generation = ring.replace(used, value, kind, overlap, now)?;
            Ok(Deed::new("secret.adopted", kind.as_str(), format!("generation {generation}")))
        };
        self.change(kind, &Actor::job("trial"), None, replace).await?;
        Ok(self.go_on().await?)
    }

    /// What stood still because Twilio refused the secret before goes on at once, and not only when Twilio is next asked.
    pub async fn go_on(&self) -> Result<(), StoreError> {
        let is_refused =
            |paused: &Paused| paused.scope == Scope::Account && matches!(paused.cause, Cause::Credentials(_));
        if self.store.read()?.active_pauses()?.iter().any(is_refused) {
            self.store.write(Write::Resume(Scope::Account)).await?;
        }
        Ok(())
    }

    /// Holds in memory what the store keeps.
    fn hold(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let rings = Kind::ALL.into_iter().map(|kind| snapshot.ring(kind)).collect::<Result<Vec<_>, _>>()?;
        let configured: Vec<_> = self.configured.iter().map(|(_, value)| value.clone()).collect();
        self.keyring.hold(&rings, &configured);
        self.changes.send_modify(|changes| *changes += 1);
        Ok(())
    }

    async fn write(&self, by: Actor, act: Act, deed: Deed) -> Result<(), CustodyError> {
        match self.store.write(Write::Govern(Box::new(Govern { by, act, deed }))).await? {
            Written::Governed => Ok(()),
            Written::Stale => Err(CustodyError::Stale),
            other => unreachable!("a change is written or not, not {other:?}"),
        }
    }
}

/// Says what came of a value that stands in the configuration.
fn tell(kind: Kind, met: Met) {
    let kind = kind.as_str();
    match met {
        Met::Current => {}
        Met::Adopted(generation) => {
            tracing::info!(kind, generation, "a secret of the configuration is used from now on");
        }
        Met::Untried(generation) => tracing::info!(
            kind,
            generation,
            "the configuration holds a new secret: it takes the place of the one in use once Twilio has let it in"
        ),
        Met::Waits { staged } => tracing::warn!(
            kind,
            staged,
            "the configuration holds a new secret, and another is staged: promote or retire that one first (bluetick secrets)"
        ),
        Met::Stale { found, used } => tracing::warn!(
            kind,
            found,
            used,
            "the configuration holds a secret that was rotated away: the newer one is used; write that there too"
        ),
        Met::Refused(found) => tracing::error!(
            kind,
            found,
            "the configuration holds a secret that was revoked in an emergency: it is not used; make a new one, and write it there"
        ),
    }
}
