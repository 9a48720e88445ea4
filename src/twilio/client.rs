//! Asks Twilio: create a message, look at one, list them, cancel one.
//!
//! Invariant: a request is sent once; whether to ask again is decided by who called, from what came of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use serde::de::DeserializeOwned;

use crate::clock::{Clock, Time};
use crate::keyring::{Held, Keyring, Kind, Secret, State};
use crate::message::Sid;
use crate::twilio::options::{BadOptions, Options};
use crate::twilio::outcome::{Outcome, classify_create, error_body, retry_after};
use crate::twilio::transport::{Credentials, Https, Method, NoTransport, Request, Response, Transport, TransportError};
use crate::twilio::wire::{API_VERSION, CreateMessage, MessagePage, MessageResource, Params, encode_form, parse_date};

/// Longest answer read about one message; a real one is about 1 KiB.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;
/// Most messages asked for on one page.
pub const MAX_PAGE_SIZE: u16 = 200;
/// Longest page read: 200 messages of 1600 characters, each escaped, are below 3 MiB.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Which messages to list; what is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Sent to this address.
    pub to: Option<String>,
    /// Sent from this address.
    pub from: Option<String>,
    /// Sent on this day (UTC) or later. Leaves out what is still queued, as that has no date yet.
    pub date_sent_on_or_after: Option<Date>,
    /// Sent on this day (UTC) or earlier.
    pub date_sent_on_or_before: Option<Date>,
    /// Most messages on a page, up to [`MAX_PAGE_SIZE`]; else Twilio's 50.
    pub page_size: Option<u16>,
}

/// One page of messages, and what time it was at Twilio.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The page.
    pub page: MessagePage,
    /// Twilio's clock when it answered, to the second.
    pub at: Option<Time>,
}

/// Why Twilio did not tell us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It does not let us in: a person must look at the credentials.
    #[error("Twilio refuses our credentials (HTTP {http}, code {code:?}): {message}")]
    Credentials {
        /// The HTTP status.
        http: u16,
        /// Twilio's number for the reason.
        code: Option<u32>,
        /// The reason in Twilio's words.
        message: String,
    },
    /// There is no such message.
    #[error("Twilio knows no such message")]
    NotFound,
    /// Too many requests at once: ask again later.
    #[error("Twilio is asked too often")]
    Busy {
        /// How long Twilio asked us to wait.
        retry_after: Option<Duration>,
    },
    /// It will not do that; asking again changes nothing.
    #[error("Twilio refuses (HTTP {http}, code {code}): {message}")]
    Refused {
        /// The HTTP status.
        http: u16,
        /// Twilio's number for the reason.
        code: u32,
        /// The reason in Twilio's words.
        message: String,
    },
    /// No connection, no answer, or none that can be read: ask again later.
    #[error("Twilio gave no usable answer: {0}")]
    Unavailable(String),
}

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoClient {
    /// The configuration cannot work.
    #[error(transparent)]
    Options(#[from] BadOptions),
    /// There is no way to Twilio.
    #[error(transparent)]
    Transport(#[from] NoTransport),
}

/// One account at Twilio.
pub struct Client {
    pub(super) transport: Arc<dyn Transport>,
    /// Where the account's tokens are looked after.
    pub(super) accounts: Arc<dyn Transport>,
    pub(super) account_sid: String,
    pub(super) keyring: Keyring,
    clock: Clock,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("account_sid", &self.account_sid).finish_non_exhaustive()
    }
}

impl Client {
    /// A client over the network, whose secrets are those of the keyring at the time of each request; it counts the uses of API keys.
    pub fn connect(options: &Options, keyring: Keyring, clock: Clock) -> Result<Self, NoClient> {
        options.check()?;
        let https = |url: &str| Https::new(url, options.connect_timeout(), options.timeout());
        let (transport, accounts) = (Arc::new(https(&options.api_url)?), Arc::new(https(&options.accounts_url())?));
        Ok(Self { transport, accounts, account_sid: options.account_sid.clone(), keyring, clock })
    }

    /// A client over any transport, with the secrets of the configuration.
    pub fn new(transport: Arc<dyn Transport>, options: &Options) -> Result<Self, BadOptions> {
        options.check()?;
        let (accounts, keyring) = (Arc::clone(&transport), Keyring::of(options.secrets()));
        Ok(Self { transport, accounts, account_sid: options.account_sid.clone(), keyring, clock: Clock::System })
    }

    /// The same with the secrets of a keyring, at the time of each request.
    #[must_use]
    pub fn with_keyring(self, keyring: Keyring) -> Self {
        Self { keyring, ..self }
    }

    /// Who we are to the API: an API key if one is in use or retires, else the account itself; the one in use first, then those
    /// that a rotation brings and takes away. A staged API key is for nobody yet: unlike a staged token, which Twilio may take
    /// for the only one at any moment, no key ends another.
    fn credentials(&self) -> Vec<(Held, Credentials)> {
        let with = |held: Held| Some((held.clone(), self.credentials_of(held.kind, &held.value)?));
        let keys = self.keyring.held(Kind::TwilioApiKey).into_iter().filter(|held| held.state != State::Staged);
        let keys: Vec<_> = keys.filter_map(with).collect();
        if !keys.is_empty() {
            return keys;
        }
        self.keyring.held(Kind::TwilioAuthToken).into_iter().filter_map(with).collect()
    }

    /// What opens the API with this secret; nothing, if it opens nothing at Twilio.
    pub(super) fn credentials_of(&self, kind: Kind, value: &Secret) -> Option<Credentials> {
        match kind {
            Kind::TwilioAuthToken => Some(Credentials { user: self.account_sid.clone(), secret: value.clone() }),
            Kind::TwilioApiKey => {
                let (user, secret) = value.expose().split_once(':')?;
                Some(Credentials { user: user.to_owned(), secret: secret.into() })
            }
            Kind::Jwt => None,
        }
    }

    /// Hands one message over, once.
    pub async fn create(&self, message: &CreateMessage) -> Outcome {
        let target = self.path("Messages.json");
        classify_create(self.send(Method::Post, target, message.to_form(), MAX_MESSAGE_BYTES).await)
    }

    /// One message as it stands.
    pub async fn fetch(&self, sid: Sid) -> Result<MessageResource, ClientError> {
        let target = self.path(&format!("Messages/{sid}.json"));
        read(self.send(Method::Get, target, Params::new(), MAX_MESSAGE_BYTES).await)
    }

    /// Cancels a message that is scheduled at Twilio; too late is refused with 30409.
    pub async fn cancel(&self, sid: Sid) -> Result<MessageResource, ClientError> {
        let target = self.path(&format!("Messages/{sid}.json"));
        let form = vec![("Status".to_owned(), "canceled".to_owned())];
        read(self.send(Method::Post, target, form, MAX_MESSAGE_BYTES).await)
    }

    /// The first page of the messages that match.
    pub async fn list(&self, query: &ListQuery) -> Result<Listing, ClientError> {
        self.page(format!("{}?{}", self.path("Messages.json"), encode_form(&query.to_params()))).await
    }

    /// The page behind a `next_page_uri`, which must lead to this account's messages and nowhere else.
    pub async fn next_page(&self, uri: &str) -> Result<Listing, ClientError> {
        if !uri.starts_with(&format!("{}?", self.path("Messages.json"))) {
            return Err(ClientError::Unavailable("the next page is not one of this account's messages".to_owned()));
        }
        self.page(uri.to_owned()).await
    }

    async fn page(&self, target: String) -> Result<Listing, ClientError> {
        let response = self.send(Method::Get, target, Params::new(), MAX_PAGE_BYTES).await;
        let date = response.as_ref().ok().and_then(|response| response.date.as_deref());
        let at = date.and_then(parse_date).map(Time);
        Ok(Listing { page: read(response)?, at })
    }

    fn path(&self, resource: &str) -> String {
        format!("/{API_VERSION}/Accounts/{}/{resource}", self.account_sid)
    }

    async fn send(
        &self,
        method: Method,
        target: String,
        form: Params,
        max_answer_bytes: usize,
    ) -> Result<Response, TransportError> {
        let mut result = Err(TransportError::NoSecret);
        for (held, credentials) in self.credentials() {
            let (target, form) = (target.clone(), form.clone());
            result = self.transport.send(Request { method, target, form, credentials, max_answer_bytes }).await;
            match &result {
                // What is not let in is not done, so the next one may be tried: in the middle of a rotation Twilio may know the new
                // one alone, or not yet.
                Ok(response) if response.status == 401 => continue,
                // A token's uses are the callbacks that it signed: those tell who would be shut out without it.
                Ok(_) if held.kind == Kind::TwilioApiKey => {
                    self.keyring.used(held.kind, held.generation, self.clock.now());
                }
                Ok(_) | Err(_) => {}
            }
            break;
        }
        result
    }
}

impl ListQuery {
    fn to_params(&self) -> Params {
        // Twilio spells "on or after" as a name that ends in `>`: `DateSent>=2026-02-05`.
        let pairs = [
            ("To", self.to.clone()),
            ("From", self.from.clone()),
            ("DateSent>", self.date_sent_on_or_after.map(|date| date.to_string())),
            ("DateSent<", self.date_sent_on_or_before.map(|date| date.to_string())),
            ("PageSize", self.page_size.map(|size| size.clamp(1, MAX_PAGE_SIZE).to_string())),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

/// Reads a document, or why there is none. Looking changes nothing and canceling twice is canceling once, so a doubt
/// here is only a reason to ask again.
pub(super) fn read<T: DeserializeOwned>(result: Result<Response, TransportError>) -> Result<T, ClientError> {
    let response = result.map_err(|error| ClientError::Unavailable(error.to_string()))?;
    let http = response.status;
    if (200..300).contains(&http) {
        let unreadable = |error| ClientError::Unavailable(format!("HTTP {http} that cannot be read: {error}"));
        return serde_json::from_slice(&response.body).map_err(unreadable);
    }
    let error = error_body(&response);
    let code = error.as_ref().map(|error| error.code);
    let message = error.map(|error| error.message).unwrap_or_default();
    Err(match (http, code) {
        (401 | 403, _) | (_, Some(20003)) => ClientError::Credentials { http, code, message },
        (404, Some(20404)) => ClientError::NotFound,
        (429, _) => ClientError::Busy { retry_after: retry_after(&response) },
        (400..500, Some(code)) => ClientError::Refused { http, code, message },
        _ => ClientError::Unavailable(format!("HTTP {http}")),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::keyring::{Entry, Ring, Vault};
    use crate::twilio::outcome::NotProcessed;
    use crate::twilio::transport::InProcess;
    use crate::twilio::wire::ErrorBody;

    const ACCOUNT: &str = "AC00000000000000000000000000000001";
    const MESSAGE: &str = r#"{"sid":"SM00000000000000000000000000000001","status":"sent","error_code":null}"#;

    type Answer = Result<Response, TransportError>;

    fn sid() -> Sid {
        "SM00000000000000000000000000000001".parse().expect("a sid")
    }

    fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Ok(Response { status, body: body.into(), ..Response::default() })
    }

    fn refusal(status: u16, code: u32) -> Answer {
        answer(status, serde_json::to_vec(&ErrorBody::new(code, "no", status)).expect("json"))
    }

    /// A client whose Twilio always gives this answer, and the requests that reached it.
    fn client(answer: Answer) -> (Client, Arc<Mutex<Vec<Request>>>) {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let transport = InProcess(move |request| {
            seen.lock().expect("no test panics in here").push(request);
            answer.clone()
        });
        let options = Options { account_sid: ACCOUNT.into(), auth_token: Some("first".into()), ..Options::default() };
        (Client::new(Arc::new(transport), &options).expect("a client"), requests)
    }

    #[tokio::test]
    async fn a_create_is_one_post_of_its_form() {
        let (client, requests) = client(answer(201, MESSAGE));
        let message = CreateMessage { to: "whatsapp:+4915100000001".into(), ..CreateMessage::default() };
        let outcome = client.create(&message).await;
        assert_eq!(outcome, Outcome::Accepted { sid: sid(), status: "sent".into() });
        let requests = requests.lock().expect("whole");
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].method, Method::Post);
        assert_eq!(requests[0].target, format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json"));
        assert_eq!(requests[0].form, message.to_form());
        assert_eq!(requests[0].credentials.user, ACCOUNT);
    }

    #[tokio::test]
    async fn every_outcome_of_a_create_comes_through() {
        let no = || "no".to_owned();
        let cases = [
            (refusal(400, 21211), Outcome::Refused { http: 400, code: Some(21211), message: no() }),
            (refusal(401, 20003), Outcome::Stopped { http: 401, code: Some(20003), message: no() }),
            (refusal(429, 20429), Outcome::NotProcessed(NotProcessed::TooManyRequests { retry_after: None })),
            (
                Err(TransportError::NotSent("refused".into())),
                Outcome::NotProcessed(NotProcessed::Unreachable { reason: "refused".into() }),
            ),
            (refusal(503, 20503), Outcome::Unknown { reason: "HTTP 503".into() }),
            (Err(TransportError::Unclear("reset".into())), Outcome::Unknown { reason: "reset".into() }),
        ];
        for (answer, expected) in cases {
            let (client, requests) = client(answer);
            assert_eq!(client.create(&CreateMessage::default()).await, expected);
            assert_eq!(requests.lock().expect("whole").len(), 1, "{expected:?} was sent again");
        }
    }

    #[tokio::test]
    async fn a_message_is_fetched_and_canceled_by_its_sid() {
        let (client, requests) = client(answer(200, MESSAGE));
        assert_eq!(client.fetch(sid()).await.map(|message| message.status), Ok("sent".into()));
        assert!(client.cancel(sid()).await.is_ok());
        let requests = requests.lock().expect("whole");
        let target = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{}.json", sid());
        assert!(requests.iter().all(|request| request.target == target));
        assert_eq!(encode_form(&requests[1].form), "Status=canceled");
    }

    #[tokio::test]
    async fn every_reason_not_to_be_told_has_a_name() {
        let cases = [
            (refusal(401, 20003), ClientError::Credentials { http: 401, code: Some(20003), message: "no".into() }),
            (answer(403, "<html>"), ClientError::Credentials { http: 403, code: None, message: String::new() }),
            (refusal(404, 20404), ClientError::NotFound),
            (answer(404, "<html>"), ClientError::Unavailable("HTTP 404".into())),
            (refusal(429, 20429), ClientError::Busy { retry_after: None }),
            (refusal(409, 30409), ClientError::Refused { http: 409, code: 30409, message: "no".into() }),
            (answer(500, ""), ClientError::Unavailable("HTTP 500".into())),
        ];
        for (answer, expected) in cases {
            assert_eq!(client(answer).0.fetch(sid()).await, Err(expected));
        }
        for unusable in [answer(200, "{"), Err(TransportError::Unclear("reset".into()))] {
            let error = client(unusable).0.fetch(sid()).await;
            assert!(matches!(error, Err(ClientError::Unavailable(_))), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_list_asks_as_twilio_spells_it_and_goes_on_page_by_page() {
        let next = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?PageSize=200&Page=1&PageToken=PASM1");
        let page = format!(r#"{{"messages":[{MESSAGE}],"page":0,"page_size":200,"next_page_uri":"{next}"}}"#);
        let (client, requests) = client(answer(200, page));
        let query = ListQuery {
            to: Some("whatsapp:+4915100000001".into()),
            from: None,
            date_sent_on_or_after: Some(jiff::civil::date(2026, 2, 5)),
            page_size: Some(1000),
            ..ListQuery::default()
        };
        let page = client.list(&query).await.expect("a page").page;
        assert_eq!(page.messages.len(), 1);
        client.next_page(page.next_page_uri.as_deref().expect("a next page")).await.expect("a page");
        let requests = requests.lock().expect("whole");
        let asked = "/Messages.json?To=whatsapp%3A%2B4915100000001&DateSent%3E=2026-02-05&PageSize=200";
        assert!(requests[0].target.ends_with(asked), "{}", requests[0].target);
        assert_eq!(requests[1].target, next);
    }

    #[tokio::test]
    async fn what_is_not_let_in_is_asked_again_with_the_other_token_of_a_rotation_and_nothing_else_is() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let transport = InProcess(move |request: Request| {
            let token = request.credentials.secret.expose().to_owned();
            let answer = if token == "second" { answer(201, MESSAGE) } else { refusal(401, 20003) };
            seen.lock().expect("no test panics in here").push(token);
            answer
        });
        let options = Options { account_sid: ACCOUNT.into(), auth_token: Some("first".into()), ..Options::default() };
        let keyring = Keyring::of_tokens(["first".into(), "second".into(), "third".into()]);
        let client = Client::new(Arc::new(transport), &options).expect("a client").with_keyring(keyring);
        assert!(matches!(client.create(&CreateMessage::default()).await, Outcome::Accepted { .. }));
        assert_eq!(*asked.lock().expect("whole"), ["first", "second"]);
        let (client, requests) = self::client(answer(500, "{}"));
        let client = client.with_keyring(Keyring::of_tokens(["first".into(), "second".into()]));
        client.create(&CreateMessage::default()).await;
        assert_eq!(requests.lock().expect("whole").len(), 1, "what may have been done is never asked again");
    }

    #[tokio::test]
    async fn an_api_key_whose_turn_has_not_come_is_sent_with_by_nobody() {
        let (client, requests) = client(answer(200, MESSAGE));
        let vault = Vault::new([1; 32]);
        let (token, key) = (Secret::new("first"), Secret::new("SK1:next"));
        let mut tokens = Ring::default();
        tokens.meet(&token, Kind::TwilioAuthToken, &[], Duration::ZERO, Time(0));
        let mut keys = Ring::default();
        let staged = Entry::new(Kind::TwilioApiKey, 1, State::Staged, &key, Some((&vault, [2; 16])), Time(0));
        keys.stage(staged).expect("nothing is staged");
        client.keyring.set_vault(Arc::new(vault));
        client.keyring.hold(&[tokens.clone(), keys.clone()], std::slice::from_ref(&token));
        client.fetch(sid()).await.expect("a message");
        keys.promote(Duration::ZERO, Time(0)).expect("one is staged");
        client.keyring.hold(&[tokens, keys], &[token]);
        client.fetch(sid()).await.expect("a message");
        let requests = requests.lock().expect("whole");
        let users: Vec<_> = requests.iter().map(|request| request.credentials.user.as_str()).collect();
        assert_eq!(users, [ACCOUNT, "SK1"]);
        let uses = client.keyring.take_uses();
        let uses: Vec<_> = uses.iter().map(|(kind, generation, times, _)| (*kind, *generation, *times)).collect();
        assert_eq!(uses, [(Kind::TwilioApiKey, 1, 1)], "a token's uses are the callbacks that it signed");
    }

    #[tokio::test]
    async fn a_next_page_cannot_lead_elsewhere() {
        let (client, requests) = client(answer(200, r#"{"messages":[]}"#));
        let account = format!("/2010-04-01/Accounts/{ACCOUNT}");
        let elsewhere = [
            "https://evil.example/x".to_owned(),
            "@evil.example/x".to_owned(),
            "//evil.example/x".to_owned(),
            format!("{account}.json"),
            "/2010-04-01/Accounts/AC9/Messages.json?Page=1".to_owned(),
            format!("{account}/Messages.json/../../?Page=1"),
        ];
        for uri in elsewhere {
            assert!(client.next_page(&uri).await.is_err(), "{uri}");
        }
        assert_eq!(requests.lock().expect("whole").len(), 0);
    }

    #[tokio::test]
    async fn new_secrets_hold_from_the_next_request_on_and_none_at_all_sends_nothing() {
        let (client, requests) = client(answer(200, MESSAGE));
        client.fetch(sid()).await.expect("a message");
        let client = Client { keyring: Keyring::of([(Kind::TwilioApiKey, "SK1:second".into())]), ..client };
        client.fetch(sid()).await.expect("a message");
        client.keyring.hold(&[], &[]);
        assert!(matches!(client.fetch(sid()).await, Err(ClientError::Unavailable(_))));
        assert_eq!(client.create(&CreateMessage::default()).await, Outcome::NoSecret);
        let requests = requests.lock().expect("whole");
        let secrets: Vec<_> = requests.iter().map(|request| request.credentials.secret.expose()).collect();
        assert_eq!(secrets, ["first", "second"]);
        assert_eq!(requests[1].credentials.user, "SK1");
    }
}
