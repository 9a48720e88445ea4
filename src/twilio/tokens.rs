//! The account's two auth tokens at Twilio: make a secondary, promote it, see which opens.
//! The API: <https://www.twilio.com/docs/iam/api/authtoken>.
//!
//! Invariant: each asks once; whether Twilio did it is known from a whole answer, or from seeing which token opens.
//! Not here: in which order, and what is on disk before (`jobs`).

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::keyring::{Kind, Secret};
use crate::twilio::client::{Client, ClientError, read};
use crate::twilio::transport::{Credentials, Method, Request};
use crate::twilio::wire::{API_VERSION, Params};

/// Longest answer read; a real one is below 1 KiB.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Where a secondary token is made and dropped.
const SECONDARY: &str = "/v1/AuthTokens/Secondary";
const PROMOTE: &str = "/v1/AuthTokens/Promote";

#[derive(Deserialize)]
struct Secondary {
    secondary_auth_token: Secret,
}

impl Client {
    /// Makes a secondary token. Twilio shows it in this answer and nowhere else; refused (409) while there is one.
    pub async fn create_secondary(&self) -> Result<Secret, ClientError> {
        let made: Secondary = read(self.ask_accounts(Method::Post, SECONDARY).await?)?;
        Ok(made.secondary_auth_token)
    }

    /// Drops the secondary token; that there is none is as good.
    pub async fn delete_secondary(&self) -> Result<(), ClientError> {
        let response = self.ask_accounts(Method::Delete, SECONDARY).await?;
        match response.as_ref().map(|response| response.status) {
            Ok(204 | 404) => Ok(()),
            _ => read::<IgnoredAny>(response).map(drop),
        }
    }

    /// The secondary becomes the primary, and what was the primary opens nothing from then on.
    pub async fn promote_secondary(&self) -> Result<(), ClientError> {
        read::<IgnoredAny>(self.ask_accounts(Method::Post, PROMOTE).await?).map(drop)
    }

    /// Whether this secret opens what bluetick needs: a token the account, an API key, which may not read that, its messages. The
    /// answer may hold the account's token in clear: nothing of it is kept.
    pub async fn opens(&self, kind: Kind, value: &Secret) -> Result<bool, ClientError> {
        let Some(credentials) = self.credentials_of(kind, value) else { return Ok(false) };
        let what = if kind == Kind::TwilioApiKey { "/Messages.json?PageSize=1" } else { ".json" };
        let target = format!("/{API_VERSION}/Accounts/{}{what}", self.account_sid);
        let request = Request {
            method: Method::Get,
            target,
            form: Params::new(),
            credentials,
            max_answer_bytes: MAX_ANSWER_BYTES,
        };
        match read::<IgnoredAny>(self.transport.send(request).await) {
            Ok(_) => Ok(true),
            Err(ClientError::Credentials { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Only the account itself may do this, by its token: an API key may not.
    async fn ask_accounts(
        &self,
        method: Method,
        target: &str,
    ) -> Result<Result<crate::twilio::transport::Response, crate::twilio::transport::TransportError>, ClientError> {
        let nothing = || ClientError::Unavailable("no auth token is in use: it was revoked".to_owned());
        let token = self.keyring.active(Kind::TwilioAuthToken).ok_or_else(nothing)?;
        let credentials = Credentials { user: self.account_sid.clone(), secret: token.value };
        let (target, form) = (target.to_owned(), Params::new());
        let request = Request { method, target, form, credentials, max_answer_bytes: MAX_ANSWER_BYTES };
        Ok(self.accounts.send(request).await)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::twilio::options::Options;
    use crate::twilio::transport::{InProcess, Response, TransportError};

    const ACCOUNT: &str = "AC00000000000000000000000000000001";

    type Asked = Arc<Mutex<Vec<String>>>;

    /// A client whose Twilio always gives this answer, and what it was asked.
    fn client(status: u16, body: &'static str) -> (Client, Asked) {
        let asked = Asked::default();
        let seen = Arc::clone(&asked);
        let transport = InProcess(move |request: Request| {
            let Credentials { user, secret } = &request.credentials;
            let line = format!("{:?} {} {user}:{}", request.method, request.target, secret.expose());
            seen.lock().expect("no test panics in here").push(line);
            match status {
                0 => Err(TransportError::Unclear("reset".into())),
                status => Ok(Response { status, body: body.into(), ..Response::default() }),
            }
        });
        let options = Options {
            account_sid: ACCOUNT.into(),
            auth_token: Some("t0ken".into()),
            api_key_sid: Some("SK00000000000000000000000000000001".into()),
            api_key_secret: Some("key".into()),
            ..Options::default()
        };
        (Client::new(Arc::new(transport), &options).expect("a client"), asked)
    }

    #[tokio::test]
    async fn tokens_are_asked_for_by_the_account_itself_and_not_by_its_api_key() {
        let (client, asked) = client(201, r#"{"account_sid":"AC1","secondary_auth_token":"n3w","url":"x"}"#);
        assert!(client.create_secondary().await.is_ok_and(|token| token.is("n3w")));
        client.promote_secondary().await.expect("promoted");
        let by = format!("{ACCOUNT}:t0ken");
        let expected = [format!("Post {SECONDARY} {by}"), format!("Post {PROMOTE} {by}")];
        assert_eq!(*asked.lock().expect("whole"), expected);
    }

    #[tokio::test]
    async fn a_token_is_tried_on_the_account_and_an_api_key_on_the_messages() {
        let (client, asked) = client(200, "{}");
        assert_eq!(client.opens(Kind::TwilioAuthToken, &"n3w".into()).await, Ok(true));
        assert_eq!(client.opens(Kind::TwilioApiKey, &"SK1:k3y".into()).await, Ok(true));
        assert_eq!(client.opens(Kind::TwilioApiKey, &"SK1".into()).await, Ok(false));
        let account = format!("/2010-04-01/Accounts/{ACCOUNT}");
        let expected =
            [format!("Get {account}.json {ACCOUNT}:n3w"), format!("Get {account}/Messages.json?PageSize=1 SK1:k3y")];
        assert_eq!(*asked.lock().expect("whole"), expected);
    }

    #[tokio::test]
    async fn a_conflict_a_refusal_and_a_lost_answer_are_told_apart() {
        let conflict = client(409, r#"{"code":20409,"message":"there is one"}"#).0.create_secondary().await;
        assert!(matches!(conflict, Err(ClientError::Refused { http: 409, .. })), "{conflict:?}");
        assert!(matches!(client(0, "").0.create_secondary().await, Err(ClientError::Unavailable(_))));
        assert!(
            matches!(client(201, "{}").0.create_secondary().await, Err(ClientError::Unavailable(_))),
            "it may be made"
        );
        for gone in [204, 404] {
            assert_eq!(client(gone, "").0.delete_secondary().await, Ok(()));
        }
        assert!(client(500, "").0.delete_secondary().await.is_err());
        let (client, _) = client(401, r#"{"code":20003,"message":"no"}"#);
        assert_eq!(client.opens(Kind::TwilioAuthToken, &"old".into()).await, Ok(false));
    }
}
