//! Where people show who they are: passwords are compared two at a time, and the first person comes in with a code.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::block;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{Code, Problem};
use crate::clock::Time;
use crate::keyring::{Hash, Secret, SetupCode};

/// Each takes 64 MiB and a processor for a tenth of a second: more at once would only keep everything else waiting.
const AT_ONCE: usize = 2;
/// Whoever waits longer is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What log-ins share.
#[derive(Debug)]
pub struct Reception {
    hashing: Semaphore,
    setup: Mutex<Option<SetupCode>>,
}

impl Default for Reception {
    fn default() -> Self {
        Self { hashing: Semaphore::new(AT_ONCE), setup: Mutex::default() }
    }
}

/// What comparing a password with a hash showed.
#[derive(Debug)]
pub(super) struct Compared {
    /// Whether it is the one.
    pub(super) is_it: bool,
    /// The hash it should have by now, if the one it has is cheap.
    pub(super) rehashed: Option<Hash>,
}

impl Reception {
    /// Compares a password with what is kept of it; with nobody's, if nothing is, so that it takes as long.
    pub(super) async fn compare(&self, hash: Option<Hash>, password: Secret) -> Result<Compared, Problem> {
        let _permit = self.permit().await?;
        let salt: [u8; 16] = rand::random();
        let compare = move || {
            // Made before it is needed, so that the first stranger is no slower than the next.
            let nobody = Hash::of_nobody();
            let hash = hash.unwrap_or_else(|| nobody.clone());
            let is_it = hash.is_of(&password);
            let rehashed = (is_it && hash.is_outdated()).then(|| Hash::of(&password, salt));
            Compared { is_it, rehashed }
        };
        block(compare).await.map_err(|_| stopping())
    }

    /// The hash of a new password.
    pub(super) async fn hash(&self, password: Secret) -> Result<Hash, Problem> {
        let _permit = self.permit().await?;
        let salt: [u8; 16] = rand::random();
        block(move || Hash::of(&password, salt)).await.map_err(|_| stopping())
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let busy = || Problem::new(Code::Busy, "too many people log in at once: try again in a moment");
        let permit = tokio::time::timeout(PATIENCE, self.hashing.acquire()).await.map_err(|_| busy())?;
        permit.map_err(|_| stopping())
    }

    /// Makes a set-up code; the one before opens nothing any more.
    pub fn set_up(&self, random: [u8; 16], now: Time) -> Secret {
        let code = SetupCode::new(random, now);
        let shown = Secret::new(code.expose());
        *self.lock() = Some(code);
        shown
    }

    /// Whether this is the set-up code.
    pub(super) fn opens(&self, given: &str, now: Time) -> bool {
        self.lock().as_mut().is_some_and(|code| code.opens(given, now))
    }

    /// Nobody needs the code any more.
    pub(super) fn is_set_up(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<SetupCode>> {
        // A code is whole between calls, whoever panicked.
        self.setup.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stopping() -> Problem {
    Problem::new(Code::Stopping, "bluetick takes nothing more in: come again in a moment")
}
