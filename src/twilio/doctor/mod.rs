//! The signature doctor: why a request was not let in, found offline by trying what people and proxies get wrong.
//!
//! The door is [`explain`]: the request as it came, the headers that hint at what happened on its way, and what is set up.
//! It tries URLs, tokens and readings of the body, the likeliest first, until one gives the signature that came, and says
//! in a sentence how that one differs from what was expected.
//!
//! Invariant: it only explains. Nothing here makes a [`Verified`](super::webhook::Verified), and a header is a hint of
//! what to try, never a reason to believe.
//! Invariant: certain is only what an HMAC with a real token proves, if there is one explanation of it; all else is a guess.
//! Invariant: no token is in what it says, and its work is bounded by [`MAX_HMACS`] and [`MAX_HASHED_BYTES`].
//! Not here: keeping what was refused, showing it and replaying it (`store`, `http`).

mod address;
mod escape;
mod evidence;
mod flaw;
mod key;
mod reading;
mod search;
mod spelling;
mod verdict;

use std::fmt;

use crate::twilio::signature::AuthToken;
use crate::twilio::webhook::Request;

pub use search::{MAX_HASHED_BYTES, MAX_HMACS};

/// The headers that are looked at, in lower case: whoever keeps a refused request for the doctor keeps these.
pub const HINTS: [&str; 8] = [
    "host",
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-original-url",
    "x-rewrite-url",
];

/// What the request was judged by, and what else is known.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Where Twilio reaches us, as configured.
    pub public_url: &'a str,
    /// The account whose callbacks these should be.
    pub account_sid: &'a str,
    /// Our other webhooks, as paths below `public_url`, with query and fragment if Twilio was given any.
    pub paths: &'a [&'a str],
    /// Every token there is or was.
    pub tokens: &'a [Known],
}

/// A token and what it is called.
#[derive(Clone, Debug)]
pub struct Known {
    /// What a person calls it: `auth_token`, `the token retired on 2026-08-01`. It is shown, so no part of the token is in it.
    pub name: String,
    /// The token, exactly as configured.
    pub token: AuthToken,
    /// What it is good for.
    pub standing: Standing,
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Callbacks signed with it are let in.
    Accepted,
    /// The same for a while yet: another took its place.
    Retiring,
    /// It comes next, and is not let in yet.
    Staged,
    /// It is not let in any more.
    Retired,
    /// It belongs to a sub-account or to another account of ours.
    OtherAccount,
    /// It is the secret of an API key, which signs nothing.
    ApiKey,
}

/// What the doctor found out.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The stable word for programs: `right`, the one thing that is wrong, `several`, or what is only guessed.
    pub code: &'static str,
    /// One sentence for people: the cause, and what to do. It may hold a URL, and no token.
    pub sentence: String,
    /// Whether it is proven. A guess never is.
    pub is_certain: bool,
    /// The name of the token that gives this signature.
    pub token: Option<String>,
    /// The URL that was signed.
    pub called: Option<String>,
    /// What `public_url` must be, if that is what is wrong.
    pub public_url: Option<String>,
    /// The exact string that was signed: URL and parameters. It holds what a person wrote, and their number.
    pub signed: Option<String>,
    /// How many HMACs were computed.
    pub hmacs: usize,
    /// Whether everything was tried that the doctor can think of; otherwise it stopped at a bound.
    pub is_complete: bool,
}

impl Diagnosis {
    /// Whether the signature is right after all.
    pub fn is_right(&self) -> bool {
        self.code == "right"
    }
}

/// Addresses and what people wrote belong in no log.
impl fmt::Debug for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, is_certain, token, hmacs, is_complete, .. } = self;
        let mut shown = f.debug_struct("Diagnosis");
        shown.field("code", code).field("is_certain", is_certain).field("token", token);
        shown.field("hmacs", hmacs).field("is_complete", is_complete).finish_non_exhaustive()
    }
}

/// Says why the signature of `request` is not accepted, or that it is right. `headers` are its others, by name and value:
/// all but [`HINTS`] are passed over.
pub fn explain(request: &Request<'_>, headers: &[(&str, &str)], setup: &Setup<'_>) -> Diagnosis {
    let Some(signature) = request.signature.filter(|signature| !signature.trim().is_empty()) else {
        return evidence::without_signature();
    };
    let hints = address::Hints::read(headers);
    let room = search::Room {
        origins: address::origins(setup, &hints),
        targets: address::targets(request, setup, &hints),
        keys: key::keys(setup),
        readings: reading::readings(request),
        spellings: spelling::spellings(signature),
    };
    let found = search::search(&room);
    let mut diagnosis = match found.matches.as_slice() {
        [] => evidence::guess(request, setup, &room.spellings),
        matches => verdict::judge(request, setup, matches),
    };
    diagnosis.hmacs = found.hmacs;
    diagnosis.is_complete = found.is_complete;
    if found.matches.is_empty() && !found.is_complete {
        diagnosis.sentence.push_str(" (there was more to try than is tried at once)");
    }
    hide(diagnosis, setup)
}

/// Shorter than this it is no secret, and hiding it would make the sentence unreadable.
const MIN_SECRET_BYTES: usize = 8;

/// Takes every token, and the password of the URL, out of what is said: the request itself may hold one.
fn hide(mut diagnosis: Diagnosis, setup: &Setup<'_>) -> Diagnosis {
    let secrets: Vec<String> = setup.tokens.iter().flat_map(|known| key::secrets(known.token.expose())).collect();
    let password = address::password(setup.public_url);
    let shown = [&mut diagnosis.token, &mut diagnosis.called, &mut diagnosis.public_url, &mut diagnosis.signed];
    let shown = shown.into_iter().flatten().chain([&mut diagnosis.sentence]);
    for text in shown {
        if let Some(password) = password.filter(|password| text.contains(password)) {
            *text = text.replace(password, "…@");
        }
        for secret in secrets.iter().filter(|secret| secret.len() >= MIN_SECRET_BYTES) {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), "…");
            }
        }
    }
    // What a stranger wrote must not steer the terminal that shows it.
    diagnosis.sentence = diagnosis.sentence.replace(char::is_control, "\u{fffd}");
    diagnosis
}

#[cfg(test)]
mod tests;
