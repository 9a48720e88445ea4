//! Whether the parts fit together: what no single value can tell.

use std::collections::BTreeSet;
use std::net::ToSocketAddrs;

use reqwest::Url;

use super::{Config, Mode};
use crate::clock::Clock;
use crate::http;
use crate::keyring::{VaultKey, password};
use crate::message::Address;
use crate::timetable::Timetable;
use crate::twilio::BadOptions;

/// Shortest key of the configuration in live mode: nobody guesses as many at random, however fast they ask.
const MIN_API_KEY: usize = 20;

/// Something that cannot work, by the key that a person would change.
pub(super) struct Flaw {
    pub(super) key: String,
    pub(super) detail: String,
}

/// Everything that cannot work.
pub(super) fn all(config: &Config) -> Vec<Flaw> {
    let mut flaws = Flaws(Vec::new());
    flaws.public_url(config);
    flaws.listen(config);
    flaws.transport(config);
    flaws.account(config);
    flaws.senders(config);
    flaws.schedule(config);
    flaws.rest(config);
    flaws.0
}

/// What works, but perhaps not as intended.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |is_so: bool, words: &str| warnings.extend(is_so.then(|| words.to_owned()));
    warn(
        config.public_url.is_none(),
        "no public_url: Twilio cannot call back, so it is asked for every status and reply: later, and without button replies",
    );
    warn(
        config.archive.after_days >= config.retention.messages_days,
        "archive.after_days is not less than retention.messages_days: messages are forgotten before they could move to the archive",
    );
    warn(
        config.retention.bodies_days > config.retention.messages_days,
        "retention.bodies_days is more than retention.messages_days: words go with their messages",
    );
    warn(config.twilio.account_sid.is_empty(), "no [twilio] account_sid: nothing can be sent");
    if let Some(name) = config.twilio.odd_token() {
        let words = "does not look like an auth token: Twilio's console shows 32 digits of 0-9 and a-f";
        warn(true, &format!("[twilio] {name} {words}"));
    }
    warn(config.twilio.from.is_none(), "no [twilio] from: every message must name its sender");
    warn(config.http.api_key.is_none(), "no [http] api_key: the API answers only on the local socket");
    warn(
        config.http.admin_password.is_none(),
        "no [http] admin_password: users log in at /login; the first comes in by the set-up code that serve prints while there is \
         none, or by `bluetick admin add`",
    );
    warn(config.mode == Mode::Sandbox, "mode is \"sandbox\": set it to \"live\" before customers depend on it");
    warnings
}

struct Flaws(Vec<Flaw>);

impl Flaws {
    fn add(&mut self, key: &str, detail: impl Into<String>) {
        self.0.push(Flaw { key: key.to_owned(), detail: detail.into() });
    }

    fn check(&mut self, key: &str, is_fine: bool, detail: &str) {
        if !is_fine {
            self.add(key, detail);
        }
    }

    fn schedule(&mut self, config: &Config) {
        for (key, line) in [
            ("archive.schedule", &config.archive.schedule),
            ("retention.schedule", &config.retention.schedule),
            ("retention.rewrite_schedule", &config.retention.rewrite_schedule),
            ("backup.schedule", &config.backup.schedule),
            ("secrets.schedule", &config.secrets.schedule),
        ] {
            match Timetable::read(line) {
                Err(error) => self.add(key, format!("{key} {error}")),
                Ok(Some(timetable)) if timetable.next(Clock::System.now()).is_none() => {
                    self.add(key, format!("{key} names a date that never comes: leave it empty for never"));
                }
                Ok(_) => {}
            }
        }
    }

    fn public_url(&mut self, config: &Config) {
        let key = "public_url";
        let Some(text) = &config.public_url else {
            return;
        };
        let url = match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
            _ => return self.add(key, "public_url must be a whole address, as in \"https://bluetick.example.com\""),
        };
        let host = url.host_str().unwrap_or_default();
        let is_live = config.mode == Mode::Live;
        let is_here = host == "localhost" || host.starts_with("127.") || host == "[::1]";
        let has_rest = url.query().is_some() || url.fragment().is_some();
        let has_user = !url.username().is_empty() || url.password().is_some();
        self.check(key, !has_rest, "public_url must end before the ? and the #: bluetick adds its own path to it");
        self.check(key, !has_user, "public_url must not hold a user or a password: Twilio would sign another address");
        self.check(
            key,
            !host.contains('_'),
            "the host in public_url has an underscore, and Twilio never calls such a host: give it another name",
        );
        self.check(
            key,
            !is_live || url.scheme() == "https",
            "public_url must begin with https:// in live mode: put a proxy with TLS in front",
        );
        self.check(key, !is_live || !is_here, "public_url names this machine itself, where Twilio cannot reach it");
    }

    fn listen(&mut self, config: &Config) {
        let http = &config.http;
        let Some(address) = http.listen.to_socket_addrs().ok().and_then(|mut all| all.next()) else {
            let words = "http.listen must be an address and a port, as in \"127.0.0.1:8080\"";
            return self.add("http.listen", words);
        };
        for (key, secret) in [("http.api_key", &http.api_key), ("http.admin_password", &http.admin_password)] {
            let is_set = secret.as_ref().is_some_and(|secret| !secret.is_empty());
            self.check(key, secret.is_none() || is_set, &format!("{key} is empty: leave it out, or set it"));
        }
        if config.mode == Mode::Live {
            self.strength(config);
        }
        self.check(
            "http.api_key",
            address.ip().is_loopback() || http.api_key.is_some(),
            &format!("http.api_key must be set when http.listen is open to the network ({})", http.listen),
        );
    }

    /// What may do everything is not guessed, where it counts. A key has no back-off, so that it can never be locked out.
    fn strength(&mut self, config: &Config) {
        let http = &config.http;
        self.check(
            "http.api_key",
            http.api_key.as_ref().is_none_or(|key| key.chars().count() >= MIN_API_KEY),
            &format!("http.api_key may do everything, and in live mode has at least {MIN_API_KEY} characters: `openssl rand -hex 32`"),
        );
        if let Some(Err(error)) = http.admin_password.as_ref().map(|text| password::check(text, &http.admin_user)) {
            self.add("http.admin_password", format!("http.admin_password {error} (in live mode)"));
        }
    }

    fn transport(&mut self, config: &Config) {
        let http = &config.http;
        match http.check_transport() {
            Err(error @ http::BadOptions::HalfEncrypted { has, .. }) => {
                self.add(&format!("http.{has}"), error.to_string())
            }
            Err(error) => self.add("http.trusted_proxies", error.to_string()),
            Ok(()) => {}
        }
        let is_hidden = http.is_encrypted() || !http.trusted_proxies.is_empty() || http.is_loopback_only();
        self.check(
            "http.listen",
            config.mode != Mode::Live || is_hidden,
            &format!(
                "http.listen ({}) is open to the network without TLS, which live mode refuses: set http.tls_cert_file and \
                 http.tls_key_file, or name the proxy that ends TLS in http.trusted_proxies, or listen on 127.0.0.1",
                http.listen
            ),
        );
    }

    fn account(&mut self, config: &Config) {
        let twilio = &config.twilio;
        let is_live = config.mode == Mode::Live;
        let is_begun = !twilio.account_sid.is_empty() || twilio.auth_token.is_some() || twilio.api_key_sid.is_some();
        if let (true, Err(error)) = (is_live || is_begun, twilio.check()) {
            self.add(key_of(&error), error.to_string());
        }
        let api = Url::parse(&twilio.api_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        match api {
            Some(url) if url.path() == "/" && url.query().is_none() && url.fragment().is_none() => self.check(
                "twilio.api_url",
                !is_live || url.scheme() == "https",
                "twilio.api_url must begin with https:// in live mode: the auth token would travel in clear",
            ),
            _ => self.add("twilio.api_url", "twilio.api_url must be scheme and host, as in \"https://api.twilio.com\""),
        }
        if let Some(Err(error)) = twilio.from.as_deref().map(Address::parse) {
            self.add("twilio.from", format!("twilio.from {error}"));
        }
    }

    fn senders(&mut self, config: &Config) {
        let mut seen = BTreeSet::new();
        for sender in &config.senders {
            let name = &sender.address;
            match Address::parse(name) {
                Err(error) => self.add("senders", format!("the address \"{name}\" in [[senders]] {error}")),
                Ok(address) if !seen.insert(address.to_string()) => {
                    self.add("senders", format!("{name} stands twice in [[senders]]: leave one of them out"));
                }
                Ok(_) => {}
            }
            let is_rate = (0.01..=2_000.0).contains(&sender.rate_per_s);
            self.check("senders", is_rate, &format!("rate_per_s of {name} must be from 0.01 to 2000"));
        }
    }

    fn rest(&mut self, config: &Config) {
        if let Some(key) = &config.secrets.master_key
            && VaultKey::read(key.expose()).is_err()
        {
            self.add(
                "secrets.master_key",
                "secrets.master_key must be 64 hex digits, as `openssl rand -hex 32` prints them",
            );
        }
        let policy = &config.policy;
        self.check(
            "policy.backoff_longest_ms",
            policy.backoff_first_ms <= policy.backoff_longest_ms,
            "policy.backoff_longest_ms must not be less than policy.backoff_first_ms",
        );
        self.check("store.dir", !config.store.dir.as_os_str().is_empty(), "store.dir is empty: name a folder");
        if let Err(error) = config.log.check() {
            self.add("log.level", format!("log.level is not understood ({error}): try \"info\""));
        }
    }
}

fn key_of(error: &BadOptions) -> &'static str {
    match error {
        BadOptions::AccountSid => "twilio.account_sid",
        BadOptions::AuthToken => "twilio.auth_token",
        BadOptions::AuthTokenNext => "twilio.auth_token_next",
        BadOptions::Characters("auth_token_next") => "twilio.auth_token_next",
        BadOptions::Characters("api_key_secret") => "twilio.api_key_secret",
        BadOptions::Characters(_) => "twilio.auth_token",
        BadOptions::ApiKey => "twilio.api_key_sid",
        BadOptions::Timeouts => "twilio.timeout_ms",
    }
}
