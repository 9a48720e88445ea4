//! The door for what Twilio sends: a request is verified and read in one step, or refused with a reason.
//!
//! Invariant: a [`Verified`] is made by [`Webhook::open`] alone, so nothing unsigned can be recorded.
//! Invariant: the URL is the configured one; a `Host` or `Forwarded` header is never looked at.

use crate::clock::Time;
use crate::keyring::{Keyring, Kind};
use crate::twilio::signature::{self, AuthToken};
use crate::twilio::wire::{BadField, BadForm, InboundMessage, Params, StatusCallback, parse_form};

const FORM: &str = "application/x-www-form-urlencoded";

/// What is needed to know that a request came from Twilio and is for us.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where Twilio reaches us, as given to it: `https://hooks.example.com`, with or without a path in front.
    pub public_url: String,
    /// The account whose callbacks these are.
    pub account_sid: String,
    /// Where the live auth token is, and during a rotation the other one.
    pub keyring: Keyring,
}

/// One request as it came in: nothing decoded, trimmed or normalised.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `POST` and others.
    pub method: &'a str,
    /// Path and query as on the request line.
    pub target: &'a str,
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The raw body.
    pub body: &'a [u8],
    /// The `X-Twilio-Signature` header.
    pub signature: Option<&'a str>,
}

/// A request that Twilio signed for this account. Nothing outside this room can make one:
///
/// ```compile_fail,E0451
/// let forged = bluetick::twilio::webhook::Verified { params: Vec::new(), token: 0 };
/// ```
#[derive(Clone, Debug)]
pub struct Verified {
    params: Params,
    token: u32,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a method Twilio calls webhooks with.
    #[error("webhooks are called with POST, PUT or GET")]
    WrongMethod,
    /// A body that is not a form.
    #[error("the body must be {FORM}")]
    WrongContentType,
    /// No `X-Twilio-Signature` header.
    #[error("the X-Twilio-Signature header is missing")]
    NoSignature,
    /// Not signed by a live token for the URL we are known by.
    #[error("the signature does not match: check the auth token and that public_url is what Twilio calls")]
    BadSignature,
    /// Signed, but about another account.
    #[error("the callback is for another account")]
    OtherAccount,
    /// More bytes or parameters than Twilio sends.
    #[error("{0}")]
    TooLarge(BadForm),
    /// A name or value is not text.
    #[error("{0}", BadForm::NotUtf8)]
    NotUtf8,
    /// The body says it is a form and is none.
    #[error("{0}")]
    BadForm(BadForm),
    /// A parameter is not there.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter cannot be what it must be.
    #[error("the parameter {0} is malformed")]
    Malformed(&'static str),
    /// A parameter says two things.
    #[error("{}", BadField::Repeated)]
    Repeated,
}

impl Refusal {
    /// The stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongMethod => "wrong_method",
            Self::WrongContentType => "wrong_content_type",
            Self::NoSignature => "no_signature",
            Self::BadSignature => "bad_signature",
            Self::OtherAccount => "other_account",
            Self::TooLarge(_) => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::BadForm(_) => "bad_form",
            Self::Missing(_) => "missing_parameter",
            Self::Malformed(_) | Self::Repeated => "malformed_parameter",
        }
    }
}

impl From<BadForm> for Refusal {
    fn from(error: BadForm) -> Self {
        match error {
            BadForm::TooLong | BadForm::TooMany => Self::TooLarge(error),
            BadForm::NotUtf8 => Self::NotUtf8,
            BadForm::Percent => Self::BadForm(error),
        }
    }
}

impl From<BadField> for Refusal {
    fn from(error: BadField) -> Self {
        match error {
            BadField::Missing(name) => Self::Missing(name),
            BadField::Malformed(name) => Self::Malformed(name),
            BadField::Repeated => Self::Repeated,
        }
    }
}

impl Webhook {
    /// Verifies a request and decodes it. A form is signed with its parameters, a GET with its query. Which token signed it is
    /// counted.
    pub fn open(&self, request: Request<'_>, now: Time) -> Result<Verified, Refusal> {
        let is_get = match request.method {
            "GET" => true,
            "POST" | "PUT" => false,
            _ => return Err(Refusal::WrongMethod),
        };
        if !is_get && !request.content_type.is_some_and(is_form) {
            return Err(Refusal::WrongContentType);
        }
        let signature = request.signature.ok_or(Refusal::NoSignature)?;
        let url = self.called_url(request.target).ok_or(Refusal::BadSignature)?;
        let sent = if is_get { query(request.target).as_bytes() } else { request.body };
        let params = parse_form(sent)?;
        let signed = if is_get { &[][..] } else { &params };
        let held = self.keyring.live(Kind::TwilioAuthToken, now);
        let tokens: Vec<AuthToken> = held.iter().map(|held| held.value.clone()).collect();
        let token = signature::verify_form(&tokens, &url, signed, signature).ok_or(Refusal::BadSignature)?;
        let token = held[token].generation;
        if params.iter().any(|(name, value)| name == "AccountSid" && *value != self.account_sid) {
            return Err(Refusal::OtherAccount);
        }
        self.keyring.used(Kind::TwilioAuthToken, token, now);
        Ok(Verified { params, token })
    }

    /// The URL Twilio called, as far as we know it. A target that is no plain path could smuggle in another host.
    fn called_url(&self, target: &str) -> Option<String> {
        let is_plain = target.starts_with('/') && !target.contains('#');
        is_plain.then(|| format!("{}{target}", self.public_url.trim_end_matches('/')))
    }
}

impl Verified {
    /// Reads it as the status of a message we sent.
    pub fn status(&self) -> Result<StatusCallback, Refusal> {
        Ok(StatusCallback::from_params(&self.params)?)
    }

    /// Reads it as a message a person sent us.
    pub fn inbound(&self) -> Result<InboundMessage, Refusal> {
        Ok(InboundMessage::from_params(&self.params)?)
    }

    /// Every parameter as it came, to be passed on.
    pub fn params(&self) -> &[(String, String)] {
        &self.params
    }

    /// The generation of the token that signed it: the evidence that a rotation is complete.
    pub fn token(&self) -> u32 {
        self.token
    }
}

pub(super) fn is_form(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case(FORM)
}

pub(super) fn query(target: &str) -> &str {
    target.split_once('?').map_or("", |(_, query)| query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::wire::{MAX_FORM_BYTES, encode_form};

    const NOW: Time = Time(1_800_000_000_000);
    const ACCOUNT: &str = "AC00000000000000000000000000000001";
    const SID: &str = "SM00000000000000000000000000000001";
    const TARGET: &str = "/webhooks/twilio/status/abc?bt=1";

    fn webhook() -> Webhook {
        Webhook {
            public_url: "https://hooks.example.com".into(),
            account_sid: ACCOUNT.into(),
            keyring: Keyring::of_tokens(["live".into(), "next".into()]),
        }
    }

    fn delivered() -> Params {
        let mut callback = StatusCallback::new(SID.parse().expect("a sid"), "delivered");
        callback.account_sid = Some(ACCOUNT.into());
        callback.to_params()
    }

    /// Posts `params`, signed with `token` for `url`, to `target`.
    fn post(webhook: &Webhook, params: &Params, token: &str, url: &str, target: &str) -> Result<Verified, Refusal> {
        let signature = signature::sign_form(&token.into(), url, params);
        let body = encode_form(params);
        let content_type = Some("application/x-www-form-urlencoded; charset=UTF-8");
        webhook.open(
            Request { method: "POST", target, content_type, body: body.as_bytes(), signature: Some(&signature) },
            NOW,
        )
    }

    #[test]
    fn a_signed_callback_is_opened_and_says_which_token_signed_it() {
        let url = format!("https://hooks.example.com{TARGET}");
        for (generation, token) in (1..).zip(["live", "next"]) {
            let verified = post(&webhook(), &delivered(), token, &url, TARGET).expect("signed");
            assert_eq!(verified.token(), generation);
            assert_eq!(verified.status().map(|callback| callback.status), Ok("delivered".into()));
        }
        assert_eq!(post(&webhook(), &delivered(), "old", &url, TARGET).err(), Some(Refusal::BadSignature));
    }

    #[test]
    fn the_public_url_may_have_a_path_in_front_a_slash_behind_and_a_port() {
        for public_url in ["https://hooks.example.com/blue", "https://hooks.example.com/blue/"] {
            let webhook = Webhook { public_url: public_url.into(), ..webhook() };
            for url in ["https://hooks.example.com/blue/x", "https://hooks.example.com:443/blue/x"] {
                assert!(post(&webhook, &delivered(), "live", url, "/x").is_ok(), "{public_url} {url}");
            }
            let elsewhere = post(&webhook, &delivered(), "live", "https://hooks.example.com/x", "/x");
            assert_eq!(elsewhere.err(), Some(Refusal::BadSignature));
        }
    }

    #[test]
    fn a_target_cannot_bring_its_own_host() {
        for target in ["@evil.example/x", "https://evil.example/x", "", "/x#y"] {
            let url = "https://evil.example/x";
            assert_eq!(
                post(&webhook(), &delivered(), "live", url, target).err(),
                Some(Refusal::BadSignature),
                "{target}"
            );
        }
    }

    #[test]
    fn another_account_is_refused_even_when_signed() {
        let mut params = delivered();
        params.push(("AccountSid".into(), "AC00000000000000000000000000000009".into()));
        let url = format!("https://hooks.example.com{TARGET}");
        assert_eq!(post(&webhook(), &params, "live", &url, TARGET).err(), Some(Refusal::OtherAccount));
    }

    #[test]
    fn a_get_is_signed_with_its_query() {
        let target = format!("/x?{}", encode_form(&delivered()));
        let signature = signature::sign_url(&"live".into(), &format!("https://hooks.example.com{target}"));
        let mut request = Request {
            method: "GET",
            target: &target,
            content_type: None,
            body: b"ignored",
            signature: Some(&signature),
        };
        assert!(webhook().open(request, NOW).expect("signed").status().is_ok());
        request.method = "POST";
        assert_eq!(webhook().open(request, NOW).err(), Some(Refusal::WrongContentType));
        request.method = "DELETE";
        assert_eq!(webhook().open(request, NOW).err(), Some(Refusal::WrongMethod));
    }

    #[test]
    fn what_is_unsigned_too_large_or_no_form_is_refused_by_name() {
        let long = vec![b'a'; MAX_FORM_BYTES + 1];
        let open = |body: &[u8], signature: Option<&str>, content_type: &str| {
            let content_type = Some(content_type);
            let refusal = webhook().open(Request { method: "POST", target: "/x", content_type, body, signature }, NOW);
            refusal.err().map(|refusal| refusal.code())
        };
        assert_eq!(open(b"a=1", None, FORM), Some("no_signature"));
        assert_eq!(open(b"a=1", Some("AAAA"), FORM), Some("bad_signature"));
        assert_eq!(open(&long, Some("AAAA"), FORM), Some("too_large"));
        assert_eq!(open(b"a=%FF", Some("AAAA"), FORM), Some("not_utf8"));
        assert_eq!(open(b"a=%", Some("AAAA"), FORM), Some("bad_form"));
        assert_eq!(open(b"{}", Some("AAAA"), "application/json"), Some("wrong_content_type"));
    }

    #[test]
    fn a_signed_form_that_is_no_callback_names_what_is_missing() {
        let url = "https://hooks.example.com/x";
        let verified = post(&webhook(), &vec![("Body".into(), "hi".into())], "live", url, "/x").expect("signed");
        assert_eq!(verified.status(), Err(Refusal::Missing("MessageSid")));
        assert_eq!(verified.inbound(), Err(Refusal::Missing("MessageSid")));
    }
}
