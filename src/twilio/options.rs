//! What a team may set about Twilio, and whether it can work: the `[twilio]` section of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::keyring::Kind;
use crate::twilio::signature::AuthToken;

/// The `[twilio]` section. Secrets are read from it and never written out again.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Where Twilio's API is: scheme and host, no path. Another one is for regions and for the emulator.
    pub api_url: String,
    /// The account: `AC` and 32 hex digits.
    pub account_sid: String,
    /// The account's auth token. Needed even beside an API key, because only it signs callbacks.
    #[serde(skip_serializing)]
    pub auth_token: Option<AuthToken>,
    /// The second live token during a rotation: callbacks signed with it are let in too.
    #[serde(skip_serializing)]
    pub auth_token_next: Option<AuthToken>,
    /// An API key, `SK` and 32 hex digits, used for the API instead of the auth token.
    pub api_key_sid: Option<String>,
    /// The API key's secret.
    #[serde(skip_serializing)]
    pub api_key_secret: Option<AuthToken>,
    /// The first sender: a WhatsApp number in international form, or a Messaging Service (`MG…`).
    pub from: Option<String>,
    /// Longest time to connect, TLS included, in milliseconds; less than `timeout_ms`.
    pub connect_timeout_ms: u64,
    /// Longest time for one request, from its first step to the last byte of the answer, in milliseconds.
    /// Twilio gives up at about 26 s; ending sooner than that makes unknown sends out of slow ones.
    pub timeout_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_url: "https://api.twilio.com".to_owned(),
            account_sid: String::new(),
            auth_token: None,
            auth_token_next: None,
            api_key_sid: None,
            api_key_secret: None,
            from: None,
            connect_timeout_ms: 5_000,
            timeout_ms: 30_000,
        }
    }
}

/// What is wrong with the `[twilio]` section; the words name the key and say what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOptions {
    /// No account.
    #[error("[twilio] account_sid must be AC and 32 hex digits: copy it from Twilio's console")]
    AccountSid,
    /// No token.
    #[error("[twilio] auth_token is missing: without it no callback can be verified, even if an API key is set")]
    AuthToken,
    /// An empty second token.
    #[error("[twilio] auth_token_next is empty: leave it out or set the token that comes next")]
    AuthTokenNext,
    /// A character that no secret has.
    #[error(
        "[twilio] {0} has a space, a line break or another character that no secret of Twilio's has: copy it again from Twilio's console"
    )]
    Characters(&'static str),
    /// Half an API key, or something else.
    #[error("[twilio] api_key_sid (SK and 32 hex digits) and api_key_secret must be set together or not at all")]
    ApiKey,
    /// Timeouts that cannot be.
    #[error("[twilio] connect_timeout_ms must be above 0 and below timeout_ms, and that at most {MAX_TIMEOUT_MS}")]
    Timeouts,
}

/// A send that nobody answered for two minutes is as unknown as it will ever be.
const MAX_TIMEOUT_MS: u64 = 120_000;

impl Options {
    /// Whether a client and a webhook can be made of it.
    pub fn check(&self) -> Result<(), BadOptions> {
        let is_set = |secret: &Option<AuthToken>| secret.as_ref().is_some_and(|secret| !secret.expose().is_empty());
        if !is_sid(&self.account_sid, "AC") {
            return Err(BadOptions::AccountSid);
        }
        if !is_set(&self.auth_token) {
            return Err(BadOptions::AuthToken);
        }
        if self.auth_token_next.is_some() && !is_set(&self.auth_token_next) {
            return Err(BadOptions::AuthTokenNext);
        }
        let secrets = [
            ("auth_token", &self.auth_token),
            ("auth_token_next", &self.auth_token_next),
            ("api_key_secret", &self.api_key_secret),
        ];
        let is_spoilt = |secret: &AuthToken| !secret.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if let Some((name, _)) = secrets.into_iter().find(|(_, secret)| secret.as_ref().is_some_and(is_spoilt)) {
            return Err(BadOptions::Characters(name));
        }
        match (&self.api_key_sid, is_set(&self.api_key_secret)) {
            (None, false) => {}
            (Some(sid), true) if is_sid(sid, "SK") => {}
            _ => return Err(BadOptions::ApiKey),
        }
        let is_ordered = 0 < self.connect_timeout_ms && self.connect_timeout_ms < self.timeout_ms;
        if !is_ordered || self.timeout_ms > MAX_TIMEOUT_MS {
            return Err(BadOptions::Timeouts);
        }
        Ok(())
    }

    /// Where the tokens of accounts are looked after: at Twilio on a host of its own, elsewhere beside the rest.
    pub fn accounts_url(&self) -> String {
        match self.is_twilio() {
            true => "https://accounts.twilio.com".to_owned(),
            false => self.api_url.trim_end_matches('/').to_owned(),
        }
    }

    /// The name of a token that has another form than those which Twilio's console shows: 32 hex digits in lower case. Whether it is
    /// good for anything only Twilio knows.
    pub fn odd_token(&self) -> Option<&'static str> {
        let tokens = [("auth_token", &self.auth_token), ("auth_token_next", &self.auth_token_next)];
        let is_odd = |token: &AuthToken| !is_hex_32(token.expose());
        let odd = tokens.into_iter().find(|(_, token)| token.as_ref().is_some_and(is_odd));
        odd.map(|(name, _)| name).filter(|_| self.is_twilio())
    }

    /// Whether it is Twilio itself, and not the emulator or a proxy.
    fn is_twilio(&self) -> bool {
        let url = self.api_url.trim_end_matches('/');
        url.starts_with("https://api.") && url.ends_with(".twilio.com")
    }

    /// The secrets that stand in the configuration: those of each kind, the one in use first.
    pub fn secrets(&self) -> Vec<(Kind, AuthToken)> {
        let key = self.api_key_sid.as_ref().zip(self.api_key_secret.as_ref());
        let key = key.map(|(sid, secret)| (Kind::TwilioApiKey, format!("{sid}:{}", secret.expose()).into()));
        let tokens = self.tokens().into_iter().map(|token| (Kind::TwilioAuthToken, token));
        tokens.chain(key).collect()
    }

    /// The tokens that may sign callbacks: the live one, then the other one of a rotation.
    pub fn tokens(&self) -> Vec<AuthToken> {
        self.auth_token.iter().chain(&self.auth_token_next).cloned().collect()
    }

    /// Longest time to connect.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// Longest time for one request.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(is_hex_32)
}

fn is_hex_32(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            account_sid: "AC00000000000000000000000000000001".into(),
            auth_token: Some("token".into()),
            ..Options::default()
        }
    }

    #[test]
    fn an_api_key_speaks_for_the_account_but_never_signs() {
        assert_eq!(options().check(), Ok(()));
        let sid = "SK00000000000000000000000000000002".to_owned();
        let options = Options { api_key_sid: Some(sid.clone()), api_key_secret: Some("key".into()), ..options() };
        let secrets: Vec<_> =
            options.secrets().iter().map(|(kind, secret)| (*kind, secret.expose().to_owned())).collect();
        assert_eq!(secrets, [(Kind::TwilioAuthToken, "token".to_owned()), (Kind::TwilioApiKey, format!("{sid}:key"))]);
        assert_eq!(options.tokens().iter().map(AuthToken::expose).collect::<Vec<_>>(), ["token"]);
    }

    #[test]
    fn tokens_of_accounts_are_on_a_host_of_their_own_at_twilio_alone() {
        for (api_url, accounts_url) in [
            ("https://api.twilio.com", "https://accounts.twilio.com"),
            ("https://api.dublin.ie1.twilio.com", "https://accounts.twilio.com"),
            ("http://127.0.0.1:4010/", "http://127.0.0.1:4010"),
        ] {
            let options = Options { api_url: api_url.into(), ..options() };
            assert_eq!(options.accounts_url(), accounts_url);
        }
    }

    #[test]
    fn a_token_that_is_none_of_twilios_is_named_where_it_is_twilio_that_is_asked() {
        let token = |token: &str| Some(AuthToken::from(token));
        let good = Options { auth_token: token("0f1e2d3c4b5a69788796a5b4c3d2e1f0"), ..options() };
        assert_eq!(good.odd_token(), None);
        for odd in ["token", "0F1E2D3C4B5A69788796A5B4C3D2E1F0", "0f1e2d3c4b5a69788796a5b4c3d2e1f"] {
            assert_eq!(Options { auth_token: token(odd), ..options() }.odd_token(), Some("auth_token"), "{odd}");
            let options = Options { auth_token_next: token(odd), ..good.clone() };
            assert_eq!(options.odd_token(), Some("auth_token_next"), "{odd}");
            assert_eq!(Options { api_url: "http://127.0.0.1:4010".into(), ..options }.odd_token(), None);
        }
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let token = |token: &str| Some(AuthToken::from(token));
        let cases = [
            (Options { account_sid: "AC1".into(), ..options() }, BadOptions::AccountSid),
            (Options { auth_token: None, ..options() }, BadOptions::AuthToken),
            (Options { auth_token: token(""), ..options() }, BadOptions::AuthToken),
            (Options { auth_token_next: token(""), ..options() }, BadOptions::AuthTokenNext),
            (Options { auth_token: token("to ken"), ..options() }, BadOptions::Characters("auth_token")),
            (Options { auth_token_next: token("token\n"), ..options() }, BadOptions::Characters("auth_token_next")),
            (Options { api_key_secret: token("kéy"), ..options() }, BadOptions::Characters("api_key_secret")),
            (Options { api_key_secret: token("key"), ..options() }, BadOptions::ApiKey),
            (
                Options { api_key_sid: Some("SK1".into()), api_key_secret: token("key"), ..options() },
                BadOptions::ApiKey,
            ),
            (Options { connect_timeout_ms: 30_000, ..options() }, BadOptions::Timeouts),
            (Options { connect_timeout_ms: 0, ..options() }, BadOptions::Timeouts),
            (Options { timeout_ms: 3_600_000, ..options() }, BadOptions::Timeouts),
        ];
        for (options, expected) in cases {
            assert_eq!(options.check(), Err(expected));
        }
    }

    #[test]
    fn secrets_are_read_and_never_written() {
        let toml = r#"
            account_sid = "AC00000000000000000000000000000001"
            auth_token = "first-secret"
            auth_token_next = "second-secret"
        "#;
        let options: Options = toml::from_str(toml).expect("options");
        assert_eq!(
            options.tokens().iter().map(AuthToken::expose).collect::<Vec<_>>(),
            ["first-secret", "second-secret"]
        );
        let written = toml::to_string(&options).expect("toml");
        assert!(!written.contains("secret") && !format!("{options:?}").contains("first-secret"), "{written}");
        assert!(toml::from_str::<Options>("acount_sid = \"\"").is_err(), "a misspelt key is an error");
    }
}
