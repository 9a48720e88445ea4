//! The auth token changes at Twilio's own API: a secondary is made, kept, promoted, and the old one let in for a while longer.
//!
//! Invariant: nobody starts this but a person. What is about to be asked of Twilio is on disk before, so a crash and a lost answer
//! are one: the next step begins by finding out. The new token is on disk, and lets callbacks in, before Twilio signs with it.
//! The API: <https://www.twilio.com/docs/iam/api/authtoken>.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::alert::{Alert, Board};
use crate::audit::{Actor, Deed};
use crate::clock::Clock;
use crate::custody::{Custody, CustodyError};
use crate::keyring::{Entry, Kind, Secret, State};
use crate::store::{Handle, Rotation, RotationStep};
use crate::twilio::{Client, ClientError};

const KIND: Kind = Kind::TwilioAuthToken;
/// The alert that says that a rotation stands still.
const STOPPED: &str = "rotation_stopped";
/// The alert that says that no token is in use.
const MISSING: &str = "no_auth_token";
/// How often it is looked whether a secret's time has passed, so that the record says so.
const GLANCE: Duration = Duration::from_secs(30);
/// The first and the longest wait until Twilio, which gave no answer, is asked again.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Everything the job works with.
pub struct Job {
    /// Where it stands how far it is.
    pub store: Handle,
    /// Where the tokens are.
    pub custody: Arc<Custody>,
    /// The way to Twilio.
    pub client: Arc<Client>,
    /// What time it is.
    pub clock: Clock,
    /// What is wrong.
    pub board: Board,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is to be done.
    Idle,
    /// It got further.
    Further,
    /// Twilio gave no answer that can be used: ask again later.
    NoAnswer(String),
    /// It stands still, until a person has looked at it.
    Stopped(String),
}

impl Job {
    /// Rotates when asked to, until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut secrets = self.custody.changes();
        let mut pause = FIRST;
        while !*stop.borrow() {
            secrets.mark_unchanged();
            let wait = match self.advance().await {
                Ok(Progress::Further) => {
                    pause = FIRST;
                    continue;
                }
                Ok(Progress::NoAnswer(words)) => {
                    tracing::warn!(
                        error = words,
                        "Twilio gave no answer about the rotation of the auth token; it is asked again"
                    );
                    let wait = pause;
                    pause = (pause * 2).min(LONGEST);
                    wait
                }
                Ok(Progress::Idle | Progress::Stopped(_)) => GLANCE,
                Err(error) => {
                    tracing::error!(%error, "the rotation of the auth token could not be written down");
                    LONGEST
                }
            };
            tokio::select! {
                Ok(()) = secrets.changed() => {}
                () = super::wait(&mut stop, wait) => {}
            }
        }
    }

    /// Does the one next step.
    pub async fn advance(&self) -> Result<Progress, CustodyError> {
        self.write_down_expired().await?;
        self.miss()?;
        let Some(rotation) = self.store.read()?.rotation()? else {
            self.board.clear(STOPPED);
            return Ok(Progress::Idle);
        };
        if let Some(problem) = &rotation.problem {
            self.raise(problem);
            return Ok(Progress::Stopped(problem.clone()));
        }
        // A token that cannot be kept must not be made.
        self.custody.vault().await?;
        match rotation.step {
            RotationStep::Wanted if rotation.may_replace => self.begin(rotation).await,
            RotationStep::Wanted => {
                let rotation = self.write(rotation, RotationStep::Creating).await?;
                self.create(rotation, true).await
            }
            // The answer was lost, or we were: whatever secondary there is, nobody knows it.
            RotationStep::Creating => self.begin(rotation).await,
            RotationStep::Created => {
                let rotation = self.write(rotation, RotationStep::Promoting).await?;
                self.promote(rotation).await
            }
            RotationStep::Promoting => self.find_out(rotation).await,
        }
    }

    async fn begin(&self, rotation: Rotation) -> Result<Progress, CustodyError> {
        let rotation = self.write(rotation, RotationStep::Creating).await?;
        match self.client.delete_secondary().await {
            Ok(()) => self.create(rotation, false).await,
            Err(error) => self.failed(rotation, error).await,
        }
    }

    async fn create(&self, rotation: Rotation, is_first: bool) -> Result<Progress, CustodyError> {
        match self.client.create_secondary().await {
            Ok(token) => self.keep(rotation, &token).await,
            Err(ClientError::Refused { http: 409, .. }) if is_first => {
                let words = "the account has a secondary token already, which somebody else made: promote or delete it in Twilio's \
                             console, or rotate with --replace to throw it away";
                self.stop(rotation, words.to_owned()).await
            }
            Err(error) => self.failed(rotation, error).await,
        }
    }

    /// The new token is on disk, and lets callbacks in, before Twilio is asked to go by it.
    async fn keep(&self, rotation: Rotation, token: &Secret) -> Result<Progress, CustodyError> {
        let vault = self.custody.vault().await?;
        let active = self.custody.keyring().active(KIND);
        let by = rotation.by.clone();
        let further = Rotation { step: RotationStep::Created, ..rotation };
        self.custody
            .change(KIND, &by, Some(Some(further)), |ring, now| {
                // The one in use may stand in a file that is about to be changed.
                let used = ring.0.iter_mut().find(|entry| entry.state == State::Active && entry.sealed.is_none());
                if let (Some(used), Some(active)) = (used, &active) {
                    used.keep(&active.value, &vault, rand::random());
                }
                if let Some(staged) = ring.staged().map(|staged| staged.generation) {
                    ring.retire(staged, Duration::ZERO, now)?;
                }
                let generation = ring.next();
                let sealed = Some((&*vault, rand::random()));
                ring.stage(Entry::new(KIND, generation, State::Staged, token, sealed, now))?;
                Ok(Deed::new("secret.staged", KIND.as_str(), format!("generation {generation}")))
            })
            .await?;
        Ok(Progress::Further)
    }

    async fn promote(&self, rotation: Rotation) -> Result<Progress, CustodyError> {
        match self.client.promote_secondary().await {
            Ok(()) => self.finish(&rotation).await,
            Err(ClientError::NotFound) => {
                self.stop(
                    rotation,
                    "Twilio has no secondary token any more: somebody deleted it; rotate again".to_owned(),
                )
                .await
            }
            // Perhaps it is promoted, and the token we asked with is void.
            Err(ClientError::Credentials { .. }) => Ok(Progress::Further),
            Err(error) => self.failed(rotation, error).await,
        }
    }

    /// Nobody heard whether Twilio promoted it: the old token opens, or it does not.
    async fn find_out(&self, rotation: Rotation) -> Result<Progress, CustodyError> {
        let keyring = self.custody.keyring();
        let (old, new) =
            (keyring.active(KIND), keyring.held(KIND).into_iter().find(|held| held.state == State::Staged));
        let (Some(old), Some(new)) = (old, new) else {
            return self.stop(rotation, "one of the two tokens was revoked meanwhile: rotate again".to_owned()).await;
        };
        match (self.client.opens(KIND, &old.value).await, self.client.opens(KIND, &new.value).await) {
            (Ok(false), Ok(true)) => self.finish(&rotation).await,
            (Ok(true), Ok(true)) => self.promote(rotation).await,
            (Ok(true), Ok(false)) => {
                self.stop(rotation, "Twilio does not know the new token: somebody deleted it; rotate again".to_owned())
                    .await
            }
            (Ok(false), Ok(false)) => {
                let words = "Twilio knows neither the old token nor the new one: copy the live one from the console, and put it in with \
                             bluetick secrets rotate twilio_auth_token --value-stdin --promote";
                self.stop(rotation, words.to_owned()).await
            }
            (Err(error), _) | (_, Err(error)) => self.failed(rotation, error).await,
        }
    }

    async fn finish(&self, rotation: &Rotation) -> Result<Progress, CustodyError> {
        let overlap = self.custody.options().overlap(KIND);
        self.custody
            .change(KIND, &rotation.by, Some(None), |ring, now| {
                ring.promote(overlap, now)?;
                let generation = ring.active().map_or(0, |active| active.generation);
                Ok(Deed::new("secret.rotated", KIND.as_str(), format!("generation {generation}")))
            })
            .await?;
        tracing::info!("the auth token was rotated; callbacks that the old one signed are let in until its grace ends");
        Ok(Progress::Further)
    }

    async fn failed(&self, rotation: Rotation, error: ClientError) -> Result<Progress, CustodyError> {
        match error {
            ClientError::Unavailable(_) | ClientError::Busy { .. } => Ok(Progress::NoAnswer(error.to_string())),
            error => self.stop(rotation, format!("{error}: look at the account, then rotate again")).await,
        }
    }

    async fn stop(&self, rotation: Rotation, problem: String) -> Result<Progress, CustodyError> {
        self.raise(&problem);
        let by = Actor::job("rotation");
        let stopped = Rotation { problem: Some(problem.clone()), ..rotation };
        let deed = Deed::new("secret.rotation_stopped", KIND.as_str(), problem.clone());
        self.custody.change(KIND, &by, Some(Some(stopped)), |_, _| Ok(deed.clone())).await?;
        Ok(Progress::Stopped(problem))
    }

    fn raise(&self, problem: &str) {
        self.board.raise(Alert {
            code: STOPPED,
            detail: format!("the rotation of the auth token stands still: {problem}"),
            action: "bluetick secrets status says how far it is; bluetick secrets cancel twilio_auth_token gives it up"
                .into(),
            is_blocking: false,
        });
    }

    async fn write(&self, rotation: Rotation, step: RotationStep) -> Result<Rotation, CustodyError> {
        if rotation.step == step {
            return Ok(rotation);
        }
        let further = Rotation { step, ..rotation };
        let deed = Deed::new("secret.rotation", KIND.as_str(), format!("{step:?}").to_lowercase());
        self.custody.change(KIND, &further.by, Some(Some(further.clone())), |_, _| Ok(deed.clone())).await?;
        Ok(further)
    }

    /// Says that a token is missing, whoever took it away: callbacks are refused meanwhile, and without an API key nothing is sent.
    fn miss(&self) -> Result<(), CustodyError> {
        let keyring = self.custody.keyring();
        let has_lost = keyring.live(KIND, self.clock.now()).is_empty() && !self.store.read()?.ring(KIND)?.0.is_empty();
        if !has_lost {
            self.board.clear(MISSING);
            return Ok(());
        }
        let is_blocking = keyring.active(Kind::TwilioApiKey).is_none();
        let sending = if is_blocking { ", and nothing is sent" } else { "" };
        self.board.raise(Alert {
            code: MISSING,
            detail: format!("no auth token of the account is in use: Twilio's callbacks are refused{sending}"),
            action: "give the one that Twilio's console shows: bluetick secrets rotate twilio_auth_token --value-stdin --promote".into(),
            is_blocking,
        });
        Ok(())
    }

    /// A secret whose time has passed is good for nothing already; here its record says so, and its value goes.
    async fn write_down_expired(&self) -> Result<(), CustodyError> {
        let now = self.clock.now();
        for kind in Kind::ALL {
            let ring = self.store.read()?.ring(kind)?;
            let over = |entry: &&Entry| matches!(entry.state, State::Retiring(until) if until <= now);
            let over: Vec<_> = ring.0.iter().filter(over).map(|entry| entry.generation.to_string()).collect();
            if !over.is_empty() {
                let deed = Deed::new("secret.retired", kind.as_str(), format!("generation {}", over.join(", ")));
                self.custody.change(kind, &Actor::job("rotation"), None, |_, _| Ok(deed.clone())).await?;
            }
        }
        Ok(())
    }
}
