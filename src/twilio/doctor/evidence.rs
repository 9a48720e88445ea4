//! What to say when nothing fits: circumstances that point at a cause, each of them a guess.

use serde_json::Value;

use super::flaw::cut;
use super::spelling::Spelling;
use super::{Diagnosis, Known, Setup, Standing, key};
use crate::twilio::webhook::{Request, is_form, query};
use crate::twilio::wire::{BadForm, Params, parse_form};

/// Letters of a SID.
const SID: usize = 34;

/// There is nothing to explain.
pub(super) fn without_signature() -> Diagnosis {
    let sentence = "There is no X-Twilio-Signature header: either something in front of bluetick takes it away, so let \
                    it pass, or it was not Twilio who called";
    guessed("no_signature", sentence.to_owned())
}

/// The most telling circumstance, and the next one if there is one.
pub(super) fn guess(request: &Request<'_>, setup: &Setup<'_>, spellings: &[Spelling]) -> Diagnosis {
    if spellings.is_empty() {
        let sentence = "The X-Twilio-Signature header is no signature: it must be 28 letters of base64, so something in \
                        front of bluetick changed it, or it was not Twilio who called";
        return guessed("malformed_signature", sentence.to_owned());
    }
    let clues = [of_tokens(setup), of_account(request, setup), of_method(request), of_body(request), of_form(request)];
    let mut clues = clues.into_iter().flatten();
    let tried = "No URL we can think of and none of the known tokens gives this signature: most likely";
    let Some((code, clue)) = clues.next() else {
        let name = accepted(setup).next().map_or("auth_token", |known| &known.name);
        return guessed(
            "unknown",
            format!(
                "{tried} {name} is not the account's primary auth token (any more), so compare it with Twilio's console; \
                 if it is, it was not Twilio who called, or the body was changed on the way"
            ),
        );
    };
    let also = clues.next().map_or(String::new(), |(_, clue)| format!("; or {clue}"));
    guessed(code, format!("{tried} {clue}{also}"))
}

/// The account that the parameters name.
pub(super) fn account(request: &Request<'_>) -> Option<String> {
    params(request)?.into_iter().find(|(name, _)| name == "AccountSid").map(|(_, account)| account)
}

fn guessed(code: &'static str, sentence: String) -> Diagnosis {
    Diagnosis {
        code,
        sentence,
        is_certain: false,
        token: None,
        called: None,
        public_url: None,
        signed: None,
        hmacs: 0,
        is_complete: true,
    }
}

type Clue = (&'static str, String);

fn accepted<'a>(setup: &'a Setup<'_>) -> impl Iterator<Item = &'a Known> {
    setup.tokens.iter().filter(|known| known.standing == Standing::Accepted)
}

fn of_tokens(setup: &Setup<'_>) -> Option<Clue> {
    if accepted(setup).all(|known| known.token.expose().trim().is_empty()) {
        return Some((
            "no_token",
            "because no token is set: set auth_token to the account's primary auth token".into(),
        ));
    }
    let copy = "copy the account's auth token from Twilio's console";
    accepted(setup).find_map(|known| {
        let (name, token) = (&known.name, known.token.expose().trim());
        let is_of_key = |other: &Known| other.standing == Standing::ApiKey && other.token.expose().trim() == token;
        let clue = match token {
            _ if token == setup.account_sid => ("token_is_account_sid", "is the account SID and not its token"),
            _ if setup.tokens.iter().any(is_of_key) => {
                ("token_is_api_key_secret", "is the secret of the API key, and Twilio signs with the auth token alone")
            }
            _ if has_form_of_sid(token) => ("token_is_sid", "is a SID and not a token"),
            _ if !key::is_token(token) => ("token_malformed", "is no auth token, which has 32 lower-case hex digits"),
            _ if is_monotonous(token) => ("token_placeholder", "is a placeholder and not a real token"),
            _ => return None,
        };
        Some((clue.0, format!("{name} {}: {copy}", clue.1)))
    })
}

fn has_form_of_sid(token: &str) -> bool {
    let prefix = token.get(..2).is_some_and(|prefix| prefix.bytes().all(|letter| letter.is_ascii_uppercase()));
    prefix && token.len() == SID
}

/// Zeros with a number at the end, or one digit over and over.
fn is_monotonous(token: &str) -> bool {
    let first = token.as_bytes()[0];
    token.bytes().filter(|digit| *digit == first).count() > token.len() * 3 / 4
}

fn of_account(request: &Request<'_>, setup: &Setup<'_>) -> Option<Clue> {
    let account = account(request).filter(|account| *account != setup.account_sid)?;
    let clue = format!(
        "because the request is about the account {} and you configured {}: set account_sid and auth_token of \
         the account that owns the sender (not test credentials, not the parent account)",
        cut(&account, SID),
        setup.account_sid
    );
    Some(("other_account", clue))
}

fn of_method(request: &Request<'_>) -> Option<Clue> {
    if request.method == "GET" {
        let is_named = account(request).is_some();
        let clue = "because a redirect turned Twilio's POST into a GET and lost its body: give Twilio the URL that the \
                    redirect leads to";
        return (!is_named).then(|| ("method_changed", clue.to_owned()));
    }
    let clue =
        "because the body arrived empty: something in front of bluetick has read it already, or did not pass it on";
    request.body.is_empty().then(|| ("body_empty", clue.to_owned()))
}

fn of_body(request: &Request<'_>) -> Option<Clue> {
    let changed = |what: &str| format!("because {what} on the way: let it pass byte by byte");
    let content_type = request.content_type.unwrap_or_default().to_ascii_lowercase();
    if request.method == "GET" || request.body.is_empty() {
        return None;
    }
    if content_type.starts_with("multipart/") {
        return Some(("body_multipart", changed("the form became multipart/form-data")));
    }
    let is_json = matches!(serde_json::from_slice(request.body), Ok(Value::Object(_) | Value::Array(_)));
    if is_json && content_type.starts_with("application/json") {
        return Some(("body_json", changed("the form became JSON, or the JSON was written anew")));
    }
    match parse_form(request.body) {
        Err(BadForm::TooLong | BadForm::TooMany) => {
            Some(("body_too_large", "because it was not Twilio who called: it never posts that much".to_owned()))
        }
        Err(BadForm::NotUtf8) => Some(("body_charset", changed("the character set of the form was changed"))),
        Err(BadForm::Percent) => Some(("body_decoded", changed("the form was unescaped"))),
        Ok(params) if params.iter().any(|(_, value)| value.contains('\u{fffd}')) => {
            let clue = changed("letters were lost when the character set of the form was changed");
            Some(("body_charset", clue))
        }
        Ok(_) => None,
    }
}

fn of_form(request: &Request<'_>) -> Option<Clue> {
    let params = params(request)?;
    let is_named = params.iter().any(|(name, _)| name == "AccountSid");
    let clue =
        "because it was not Twilio who called, or parameters were lost on the way: Twilio always names AccountSid";
    (!is_named).then(|| ("no_account_sid", clue.to_owned()))
}

fn params(request: &Request<'_>) -> Option<Params> {
    match request.method {
        "GET" => parse_form(query(request.target).as_bytes()).ok(),
        _ if request.content_type.is_some_and(is_form) => parse_form(request.body).ok(),
        _ => None,
    }
}
