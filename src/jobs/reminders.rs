//! Which secrets are due to be rotated: bluetick's own are rotated, for others it is said, ahead of time and again each day.
//!
//! Invariant: what somebody else uses too is never rotated unasked.

use std::fmt;
use std::time::Duration;

use crate::alert::{Alert, Board};
use crate::audit::{Actor, Deed};
use crate::clock::Time;
use crate::custody::{Custody, CustodyError};
use crate::keyring::Kind;
use crate::store::{Act, Govern, Handle, Write};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The alert that says that a secret is due.
const DUE: &str = "secret_due";

/// What a run found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What was rotated.
    pub rotated: Vec<&'static str>,
    /// What a person must rotate, each in words.
    pub due: Vec<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = |words: String| if words.is_empty() { "nothing".to_owned() } else { words };
        write!(f, "rotated: {}; due: {}", none(self.rotated.join(", ")), none(self.due.join(", ")))
    }
}

/// Looks at every secret and API key.
pub async fn run(store: &Handle, custody: &Custody, board: &Board, now: Time) -> Result<Found, CustodyError> {
    let options = custody.options();
    let (age, ahead) = (DAY * options.rotate_after_days, DAY * options.warn_days);
    let is_near = |since: Time| since.plus(age) <= now.plus(ahead);
    let day = |at: Time| at.to_string().chars().take(10).collect::<String>();
    let mut found = Found::default();
    for kind in Kind::ALL {
        let Some(active) = store.read()?.ring(kind)?.active().cloned() else { continue };
        if kind.is_own() && active.made_at.plus(age) <= now {
            custody.renew(kind, &Actor::job("reminders")).await?;
            found.rotated.push(kind.as_str());
        } else if !kind.is_own() && is_near(active.made_at) {
            found.due.push(format!("{} by {}", kind.as_str(), day(active.made_at.plus(age))));
        }
    }
    for key in store.read()?.api_keys()?.into_iter().filter(|key| key.is_live(None, now).is_ok()) {
        let ends = key.expires_at.filter(|end| *end <= now.plus(ahead));
        if let Some(end) = ends {
            found.due.push(format!("API key {} ({}) expires on {}", key.id, key.name, day(end)));
        } else if is_near(key.rotated_at) {
            found.due.push(format!("API key {} ({}) by {}", key.id, key.name, day(key.rotated_at.plus(age))));
        }
    }
    say(store, board, &found).await?;
    Ok(found)
}

async fn say(store: &Handle, board: &Board, found: &Found) -> Result<(), CustodyError> {
    if found.due.is_empty() {
        board.clear(DUE);
        return Ok(());
    }
    for what in &found.due {
        tracing::warn!("due to be rotated: {what}");
        let deed = Deed::new("secret.due", what.as_str(), "");
        let govern = Govern { by: Actor::job("reminders"), act: Act::Remind(what.clone()), deed };
        store.write(Write::Govern(Box::new(govern))).await?;
    }
    board.raise(Alert {
        code: DUE,
        detail: format!("due to be rotated: {}", found.due.join("; ")),
        action: "bluetick secrets rotate, or bluetick keys rotate; secrets.rotate_after_days says how often".into(),
        is_blocking: false,
    });
    Ok(())
}
