//! Where the outside meets the inside: webhooks from Twilio, the API for the team's app, pages and numbers for people.
//!
//! Every route stands in `routes`, every error code in `error`. A handler has five beats: who, parse, validate, store,
//! answer. Invariant: nothing is answered as done before the store says that it is on disk.
//! Not here: sending. A handler writes, and the commit wakes whoever sends.

mod app;
mod archive;
mod audit_log;
mod auth;
mod backups;
mod body;
mod bounds;
mod charts;
mod contacts;
mod cookie;
mod csv;
mod erasure;
mod error;
mod events;
mod failures;
mod fields;
mod headers;
mod health;
mod inbound;
mod keys;
mod listen;
mod messages;
mod metrics;
mod oauth;
mod once;
mod openapi;
mod opt_outs;
mod own;
mod pages;
mod pauses;
mod prometheus;
mod quarantine;
mod query;
pub mod reading;
mod reception;
mod retries;
mod rights;
mod routes;
mod runs;
mod secrets;
mod senders;
mod sessions;
mod setup;
mod sight;
mod status;
#[cfg(test)]
mod story;
#[cfg(test)]
mod testing;
mod usage;
mod users;
mod verify;
mod webhooks;
mod when;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use app::{App, Meter, Tally};
pub use error::{Code, Problem};
pub use listen::{Listeners, SOCKET, start};
pub use openapi::document;
pub use reception::Reception;
pub use usage::Usage;
pub use webhooks::{record, report};

/// The `[http]` section. Secrets are read from it and never written out again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Address and port to listen on. Twilio comes through a proxy that ends TLS, so the machine itself is enough.
    pub listen: String,
    /// What the team's app proves itself with (`Authorization: Bearer …`); without it, `/v1` is closed to the network.
    #[serde(skip_serializing)]
    pub api_key: Option<String>,
    /// The name of somebody who may do everything on the pages without having been entered as a user.
    pub admin_user: String,
    /// Their password; without it, only users may log in.
    #[serde(skip_serializing)]
    pub admin_password: Option<String>,
    /// Threads that answer requests (1 to 64).
    pub workers: usize,
    /// Seconds that requests under way may still take when bluetick stops (0 to 300).
    pub shutdown_timeout_s: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            api_key: None,
            admin_user: "admin".into(),
            admin_password: None,
            workers: 2,
            shutdown_timeout_s: 10,
        }
    }
}

/// What is wrong with the `[http]` section; the words name the key and say what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOptions {
    /// No thread, or more than any machine has use for.
    #[error("[http] workers must be 1 to {MAX_WORKERS}")]
    Workers,
    /// Longer than any supervisor waits.
    #[error("[http] shutdown_timeout_s must be 0 to {MAX_SHUTDOWN_S}")]
    ShutdownTimeout,
    /// An empty secret lets nobody in, and looks as if it did.
    #[error("[http] {0} is empty: leave it out, or set it")]
    EmptySecret(&'static str),
    /// `name:password` is split at its first colon.
    #[error("[http] admin_user must not be empty or contain a colon")]
    AdminUser,
}

/// Requests are short and the store has one writer: more threads only wait for it.
const MAX_WORKERS: usize = 64;
/// Supervisors lose patience sooner.
const MAX_SHUTDOWN_S: u64 = 300;

impl Options {
    /// Whether it can be served with these.
    pub fn check(&self) -> Result<(), BadOptions> {
        let is_empty = |secret: &Option<String>| secret.as_ref().is_some_and(String::is_empty);
        if !(1..=MAX_WORKERS).contains(&self.workers) {
            return Err(BadOptions::Workers);
        }
        if self.shutdown_timeout_s > MAX_SHUTDOWN_S {
            return Err(BadOptions::ShutdownTimeout);
        }
        if is_empty(&self.api_key) {
            return Err(BadOptions::EmptySecret("api_key"));
        }
        if is_empty(&self.admin_password) {
            return Err(BadOptions::EmptySecret("admin_password"));
        }
        if self.admin_user.is_empty() || self.admin_user.contains(':') {
            return Err(BadOptions::AdminUser);
        }
        Ok(())
    }

    /// Whether somebody of this name is declared here; great and small letters are the same.
    fn declares(&self, user: &str) -> bool {
        let is_set = self.admin_password.as_ref().is_some_and(|password| !password.is_empty());
        is_set && user.trim().to_lowercase() == self.admin_user.to_lowercase()
    }
}

/// Says whether a secret is set, never what it is.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("admin_user", &self.admin_user)
            .field("admin_password", &self.admin_password.as_ref().map(|_| "…"))
            .field("workers", &self.workers)
            .field("shutdown_timeout_s", &self.shutdown_timeout_s)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_cannot_work_are_named_and_secrets_are_not_shown() {
        let with = |change: fn(&mut Options)| {
            let mut options = Options::default();
            change(&mut options);
            options.check()
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert_eq!(with(|options| options.workers = 0), Err(BadOptions::Workers));
        assert_eq!(with(|options| options.shutdown_timeout_s = 301), Err(BadOptions::ShutdownTimeout));
        assert_eq!(with(|options| options.api_key = Some(String::new())), Err(BadOptions::EmptySecret("api_key")));
        assert_eq!(with(|options| options.admin_user = "a:b".into()), Err(BadOptions::AdminUser));
        let secret = Options { api_key: Some("k3y".into()), admin_password: Some("p4ss".into()), ..Options::default() };
        assert!(!format!("{secret:?}").contains("k3y") && !format!("{secret:?}").contains("p4ss"));
    }
}
