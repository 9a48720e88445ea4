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
mod certificate;
mod charts;
mod client;
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
mod limits;
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
mod principal;
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
mod transport;
mod usage;
mod users;
mod verify;
mod webhooks;
mod when;

use std::fmt;
use std::net::ToSocketAddrs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use app::{App, Meter, Tally};
#[cfg(test)]
pub(crate) use certificate::tests as certificate_tests;
pub use certificate::{BadCertificate, Certificate};
pub use client::{BadNetwork, Client, Proxies};
pub use error::{Code, Problem};
pub use limits::{Limit, Limits, RetryAfter};
pub use listen::{Listeners, SOCKET, start};
pub use openapi::document;
pub use quarantine::make_up;
pub use reception::Reception;
pub use usage::Usage;
pub use webhooks::{record, report};

/// The `[http]` section. Secrets are read from it and never written out again.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Address and port to listen on. Where a proxy on the same machine ends TLS, the machine itself is enough.
    pub listen: String,
    /// The certificate to be known by, and those between it and its root: with it, the port speaks HTTPS.
    pub tls_cert_file: Option<PathBuf>,
    /// The certificate's key.
    pub tls_key_file: Option<PathBuf>,
    /// Networks of the proxies that are believed about whom they speak for.
    pub trusted_proxies: Vec<String>,
    /// What the team's app proves itself with (`Authorization: Bearer …`); without it, `/v1` is closed to the network.
    #[serde(skip_serializing)]
    pub api_key: Option<String>,
    /// The name of somebody who may do everything on the pages without having been entered as a user.
    pub admin_user: String,
    /// Their password; without it, only users may log in.
    #[serde(skip_serializing)]
    pub admin_password: Option<String>,
    /// Requests a second that each key and each person may make over the network, and twice as many at once; 0 for any number.
    pub rate_per_s: f64,
    /// Threads that answer requests (1 to 64).
    pub workers: usize,
    /// Seconds that requests under way may still take when bluetick stops (0 to 300).
    pub shutdown_timeout_s: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            tls_cert_file: None,
            tls_key_file: None,
            trusted_proxies: Vec::new(),
            api_key: None,
            admin_user: "admin".into(),
            admin_password: None,
            rate_per_s: 500.0,
            workers: 2,
            shutdown_timeout_s: 10,
        }
    }
}

/// What is wrong with the `[http]` section; the words name the key and say what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// A certificate without its key, or a key without a certificate.
    #[error("http.{has} is set and http.{lacks} is not: set both for HTTPS, or neither")]
    HalfEncrypted {
        /// The one that is there.
        has: &'static str,
        /// The other.
        lacks: &'static str,
    },
    /// A proxy that cannot be one.
    #[error(transparent)]
    Network(#[from] BadNetwork),
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
        self.check_transport()
    }

    /// Whether the port can be known by these.
    pub fn check_transport(&self) -> Result<(), BadOptions> {
        match (&self.tls_cert_file, &self.tls_key_file) {
            (Some(_), None) => Err(BadOptions::HalfEncrypted { has: "tls_cert_file", lacks: "tls_key_file" }),
            (None, Some(_)) => Err(BadOptions::HalfEncrypted { has: "tls_key_file", lacks: "tls_cert_file" }),
            _ => Ok(Proxies::of(self).map(drop)?),
        }
    }

    /// Whether the port speaks HTTPS itself.
    pub fn is_encrypted(&self) -> bool {
        self.tls_cert_file.is_some() && self.tls_key_file.is_some()
    }

    /// Whether nobody but this machine reaches the port.
    pub fn is_loopback_only(&self) -> bool {
        self.listen.to_socket_addrs().is_ok_and(|mut addresses| addresses.all(|address| address.ip().is_loopback()))
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
            .field("tls_cert_file", &self.tls_cert_file)
            .field("tls_key_file", &self.tls_key_file)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("admin_user", &self.admin_user)
            .field("admin_password", &self.admin_password.as_ref().map(|_| "…"))
            .field("rate_per_s", &self.rate_per_s)
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
        let half = with(|options| options.tls_key_file = Some("key.pem".into())).expect_err("half of it").to_string();
        assert_eq!(half, "http.tls_key_file is set and http.tls_cert_file is not: set both for HTTPS, or neither");
        assert!(matches!(
            with(|options| options.trusted_proxies = vec!["caddy".into()]),
            Err(BadOptions::Network(BadNetwork::Unreadable(name))) if name == "caddy"
        ));
        let secret = Options { api_key: Some("k3y".into()), admin_password: Some("p4ss".into()), ..Options::default() };
        assert!(!format!("{secret:?}").contains("k3y") && !format!("{secret:?}").contains("p4ss"));
    }
}
