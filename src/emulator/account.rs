//! The account: who may call, its balance, its API keys, and its two tokens with their rotation.
//!
//! Invariant: only the primary token signs, revoked or not. The secondary opens the API until it is promoted; then the old primary is void.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use serde_json::json;

use super::exchange::{Answer, Refusal, Request};
use super::options::{KeyOptions, Options};
use super::query::Query;
use super::random_hex;
use crate::clock::Time;
use crate::twilio::signature::AuthToken;
use crate::twilio::wire::{API_VERSION, format_date};

/// Most API keys of the account.
const MAX_KEYS: usize = 1_000;

/// Whose credentials came with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The account itself, by one of its tokens.
    Account,
    /// A standard API key: everything but the account and its tokens.
    Key,
}

/// The account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) sid: String,
    pub(super) primary: AuthToken,
    secondary: Option<AuthToken>,
    /// Whether nobody is let in, as after a revocation in the console.
    pub(super) is_revoked: bool,
    keys: Vec<KeyOptions>,
    balance: String,
    kind: String,
}

impl Account {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            sid: options.account_sid.clone(),
            primary: AuthToken::new(options.auth_token.as_str()),
            secondary: None,
            is_revoked: false,
            keys: options.api_keys.clone(),
            balance: options.balance.clone(),
            kind: options.account_type.clone(),
        }
    }

    /// Who is calling, or 20003.
    pub(super) fn caller(&self, authorization: Option<&str>) -> Result<Caller, Refusal> {
        let refusal = || Refusal::new(401, 20003, "Authenticate: use the AccountSid with an auth token, or an API key");
        if self.is_revoked {
            return Err(refusal());
        }
        let encoded = authorization.and_then(|value| value.strip_prefix("Basic ")).ok_or_else(refusal)?;
        let pair = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = pair.ok_or_else(refusal)?;
        let (user, password) = pair.split_once(':').ok_or_else(refusal)?;
        let is_token = |token: &AuthToken| token.expose() == password;
        if user == self.sid && (is_token(&self.primary) || self.secondary.as_ref().is_some_and(is_token)) {
            return Ok(Caller::Account);
        }
        let is_key = self.keys.iter().any(|key| key.sid == user && key.secret == password);
        if is_key { Ok(Caller::Key) } else { Err(refusal()) }
    }

    /// `GET /2010-04-01/Accounts/{sid}.json`; the real one shows the token too.
    pub(super) fn fetch(&self, started: Time) -> Answer {
        let uri = format!("/{API_VERSION}/Accounts/{}", self.sid);
        Answer::json(
            200,
            &json!({
                "sid": self.sid, "owner_account_sid": self.sid, "friendly_name": "bluetick emulator",
                "status": "active", "type": self.kind, "auth_token": self.primary.expose(),
                "date_created": format_date(started.0), "date_updated": format_date(started.0),
                "uri": format!("{uri}.json"),
                "subresource_uris": {"messages": format!("{uri}/Messages.json"), "balance": format!("{uri}/Balance.json")},
            }),
        )
    }

    /// `GET …/Balance.json`.
    pub(super) fn balance(&self) -> Answer {
        Answer::json(200, &json!({"account_sid": self.sid, "balance": self.balance, "currency": "USD"}))
    }

    /// `POST /v1/AuthTokens/Secondary`.
    pub(super) fn create_secondary(
        &mut self,
        request: &Request,
        now: Time,
        dice: &mut StdRng,
    ) -> Result<Answer, Refusal> {
        if self.secondary.is_some() {
            return Err(Refusal::new(409, 20409, "There is a secondary token already: delete or promote it first"));
        }
        let token = random_hex(dice);
        self.secondary = Some(AuthToken::new(token.as_str()));
        Ok(self.token_answer(201, "secondary_auth_token", &token, "Secondary", request, now))
    }

    /// `DELETE /v1/AuthTokens/Secondary`.
    pub(super) fn delete_secondary(&mut self, request: &Request) -> Result<Answer, Refusal> {
        let secondary = self.secondary.take();
        secondary.map(|_| Answer::empty()).ok_or_else(|| Refusal::not_found(&request.path))
    }

    /// `POST /v1/AuthTokens/Promote`: from now on the secondary is the primary, and the old primary opens nothing.
    pub(super) fn promote(&mut self, request: &Request, now: Time) -> Result<Answer, Refusal> {
        self.primary = self.secondary.take().ok_or_else(|| Refusal::not_found(&request.path))?;
        Ok(self.token_answer(200, "auth_token", self.primary.expose(), "Promote", request, now))
    }

    /// `POST …/Keys.json`: the one answer that shows the secret.
    pub(super) fn create_key(&mut self, request: &Request, now: Time, dice: &mut StdRng) -> Result<Answer, Refusal> {
        if self.keys.len() >= MAX_KEYS {
            return Err(Refusal::new(400, 20001, format!("There are {MAX_KEYS} API keys already: delete one first")));
        }
        let form = Query::of_body(request)?;
        let key = KeyOptions { sid: format!("SK{}", random_hex(dice)), secret: random_hex(dice) };
        let at = format_date(now.0);
        let body = json!({
            "sid": key.sid, "friendly_name": form.some("FriendlyName"), "secret": key.secret,
            "date_created": at, "date_updated": at,
        });
        self.keys.push(key);
        Ok(Answer::json(201, &body))
    }

    /// `DELETE …/Keys/{sid}.json`: from now on it opens nothing.
    pub(super) fn delete_key(&mut self, sid: &str, request: &Request) -> Result<Answer, Refusal> {
        let place = self.keys.iter().position(|key| key.sid == sid);
        self.keys.remove(place.ok_or_else(|| Refusal::not_found(&request.path))?);
        Ok(Answer::empty())
    }

    fn token_answer(&self, status: u16, name: &str, token: &str, last: &str, request: &Request, now: Time) -> Answer {
        let url = format!("http://{}/v1/AuthTokens/{last}", request.host);
        let at = now.to_string();
        let body = json!({"account_sid": self.sid, name: token, "date_created": at, "date_updated": at, "url": url});
        Answer::json(status, &body)
    }
}
