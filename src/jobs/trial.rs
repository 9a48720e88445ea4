//! Finds out which secrets Twilio lets in: before one that the configuration brings takes the place of one that works, and from time
//! to time, since somebody may rotate in Twilio's console.
//!
//! Invariant: what Twilio lets in gives way only to what it lets in too. What was revoked is not tried. No answer changes nothing.
//! Not here: what a person gives by hand (`custody` tries it before it answers), the rotation at Twilio (`rotation`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::alert::{Alert, Board};
use crate::custody::{Custody, CustodyError};
use crate::keyring::{Kind, Secret, State};
use crate::store::Handle;
use crate::twilio::{Client, ClientError};

/// How often Twilio is asked while all is well.
const CALM: Duration = Duration::from_secs(15 * 60);
/// How often it is asked while something is not, so that what was put right there is seen.
const TROUBLED: Duration = Duration::from_secs(60);
/// The first wait until Twilio, which gave no answer, is asked again; the longest is `TROUBLED`.
const FIRST: Duration = Duration::from_secs(1);

/// Everything the job works with.
pub struct Job {
    /// Where it stands whether a rotation is under way.
    pub store: Handle,
    /// Where the secrets are.
    pub custody: Arc<Custody>,
    /// The way to Twilio.
    pub client: Arc<Client>,
    /// What is wrong.
    pub board: Board,
}

/// What was found of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// None is in use.
    Nothing,
    /// Twilio lets the one in use in, and no other wants its place.
    InUse,
    /// Twilio lets another in, which is used from now on.
    Replaced,
    /// Twilio does not let in what it should.
    NotLetIn,
    /// Twilio gave no answer.
    NoAnswer(ClientError),
}

impl Job {
    /// Looks at every change of a secret, and from time to time, until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut secrets = self.custody.changes();
        let mut pause = FIRST;
        while !*stop.borrow() {
            secrets.mark_unchanged();
            let mut wait = CALM;
            for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_own()) {
                match self.look(kind).await {
                    Ok(Found::Nothing | Found::InUse | Found::Replaced) => {}
                    Ok(Found::NotLetIn) => wait = wait.min(TROUBLED),
                    // Whatever is wrong with the way, sending says.
                    Ok(Found::NoAnswer(_)) => wait = wait.min(pause),
                    Err(error) => {
                        tracing::warn!(kind = kind.as_str(), %error, "which secret Twilio lets in was not written down");
                        wait = wait.min(TROUBLED);
                    }
                }
            }
            pause = if wait == pause { (pause * 2).min(TROUBLED) } else { FIRST };
            tokio::select! {
                Ok(()) = secrets.changed() => {}
                () = super::wait(&mut stop, wait) => {}
            }
        }
    }

    /// Tries the secrets of a kind, and puts in use what Twilio lets in.
    pub async fn look(&self, kind: Kind) -> Result<Found, CustodyError> {
        // What had to wait for another may have its turn.
        self.custody.meet(kind).await?;
        let keyring = self.custody.keyring();
        let Some(used) = keyring.active(kind) else {
            self.board.clear(code(kind));
            return Ok(Found::Nothing);
        };
        let is_rotating = kind == Kind::TwilioAuthToken && self.store.read()?.rotation()?.is_some();
        let configured = self.custody.configured(kind)?.filter(|value| !value.is(used.value.expose()));
        let staged = keyring.held(kind).into_iter().find(|held| held.state == State::Staged).map(|held| held.value);
        let is_configured = |staged: &Secret| configured.as_ref().is_some_and(|value| value.is(staged.expose()));
        let found = match self.client.opens(kind, &used.value).await {
            Err(error) => return Ok(Found::NoAnswer(error)),
            // One that a person staged waits for them; one that stands in the configuration is what they want.
            Ok(true) => match staged.filter(is_configured) {
                None => Found::InUse,
                Some(staged) => self.try_first(kind, used.generation, &[staged]).await?,
            },
            // The rotation finds out by itself what has become of its two.
            Ok(false) if is_rotating => return Ok(Found::NotLetIn),
            Ok(false) => {
                tracing::warn!(
                    kind = kind.as_str(),
                    generation = used.generation,
                    "Twilio does not let in the secret in use"
                );
                let others: Vec<_> = staged.into_iter().chain(configured).collect();
                match self.try_first(kind, used.generation, &others).await? {
                    Found::NotLetIn => {
                        self.raise(kind, false);
                        return Ok(Found::NotLetIn);
                    }
                    found => found,
                }
            }
        };
        match found {
            Found::NotLetIn => self.raise(kind, true),
            Found::NoAnswer(_) => {}
            Found::Nothing | Found::InUse | Found::Replaced => drop(self.board.clear(code(kind))),
        }
        Ok(found)
    }

    /// The first of these that Twilio lets in takes the place of the generation in use.
    async fn try_first(&self, kind: Kind, used: u32, others: &[Secret]) -> Result<Found, CustodyError> {
        for other in others {
            match self.client.opens(kind, other).await {
                Ok(false) => {}
                Err(error) => return Ok(Found::NoAnswer(error)),
                Ok(true) => {
                    self.custody.replace(kind, used, other).await?;
                    tracing::info!(kind = kind.as_str(), "Twilio lets another secret in, which is used from now on");
                    return Ok(Found::Replaced);
                }
            }
        }
        Ok(Found::NotLetIn)
    }

    fn raise(&self, kind: Kind, works: bool) {
        let (what, name) = (kind.words(), kind.as_str());
        let detail = match (works, kind) {
            (true, _) => {
                format!("Twilio does not let in {what} that stands in the configuration: the one before is used")
            }
            (false, Kind::TwilioApiKey) => format!("Twilio does not let in {what}, so nothing is sent with it"),
            (false, _) => format!(
                "Twilio does not let in {what}: it signs its callbacks with another, and those are refused until that one is here"
            ),
        };
        let action = format!(
            "compare it with Twilio's console and put it right in the configuration, then restart; or give the right one at once: \
             bluetick secrets rotate {name} --value-stdin --promote"
        );
        self.board.raise(Alert { code: code(kind), detail, action, is_blocking: !works });
    }
}

/// The alert that says that one of this kind is not let in.
fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::TwilioAuthToken => "auth_token_not_let_in",
        Kind::TwilioApiKey => "api_key_not_let_in",
        Kind::Jwt => unreachable!("bluetick makes it by itself"),
    }
}
