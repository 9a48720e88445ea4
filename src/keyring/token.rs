//! Access tokens: JWTs (RFC 7519) that bluetick makes for itself and for nobody else.
//!
//! Invariant: the header of a token must be, letter for letter, the one we write for the key it names; so there is no algorithm to
//! confuse, no key to smuggle in and no extension to overlook. Its times are judged by the `now` that is given.
//! Not here: what the client that it stands for may do by now (`http` asks the store).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{KeyId, NoScope, Scopes, Secret, SecretTrace};
use crate::clock::Time;

/// The longest a token is good for.
pub const LONGEST: Duration = Duration::from_secs(3_600);
/// Clocks of one machine do not differ; this is for one that was set right in between.
const LEEWAY_S: i64 = 30;
/// Ours have about 400 characters: whatever is longer is none of ours, and is not even looked at.
const MAX_LENGTH: usize = 1_024;
const ISSUER: &str = "bluetick";

/// Who a token stands for, and what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The API key it was given for.
    pub key: KeyId,
    /// Which of the key's secrets: the token ends with that one.
    pub secret: SecretTrace,
    /// What it allows.
    pub scopes: Scopes,
    /// Until when.
    pub until: Time,
}

/// What a token says; nothing more, nothing less.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    /// The trace of the secret it was given for.
    sec: String,
    scope: String,
    iat: i64,
    exp: i64,
    jti: String,
}

/// Why a token is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It is not made like one of ours, or was not signed by a key we know.
    #[error("the access token is not one of ours")]
    Foreign,
    /// Its time is over.
    #[error("the access token has expired: get a new one at /oauth/token")]
    Expired,
}

/// What a key is called in the tokens it signed.
fn kid(generation: u32) -> String {
    format!("g{generation}")
}

fn header(generation: u32) -> String {
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{}","typ":"JWT"}}"#, kid(generation)))
}

fn mac(key: &Secret, signed: &str) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes a key of any length");
    mac.chain_update(signed)
}

/// Writes a token, signed with a key of this generation. `place` names the house it is good for, `random` the token itself.
pub fn write(grant: &Grant, (generation, key): (u32, &Secret), place: &str, random: [u8; 16], now: Time) -> Secret {
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: place.to_owned(),
        sub: grant.key.to_string(),
        sec: URL_SAFE_NO_PAD.encode(grant.secret),
        scope: grant.scopes.to_string(),
        iat: now.0.div_euclid(1_000),
        exp: grant.until.0.div_euclid(1_000),
        jti: URL_SAFE_NO_PAD.encode(random),
    };
    let claims = serde_json::to_vec(&claims).expect("claims are plain strings and numbers");
    let signed = format!("{}.{}", header(generation), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(mac(key, &signed).finalize().into_bytes());
    Secret::new(format!("{signed}.{signature}"))
}

/// Reads a token that one of these keys signed; says which. Its signature is looked at before anything it claims.
pub fn read(token: &str, keys: &[(u32, Secret)], place: &str, now: Time) -> Result<(Grant, u32), BadToken> {
    if token.len() > MAX_LENGTH {
        return Err(BadToken::Foreign);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(BadToken::Foreign)?;
    let (head, claims) = signed.split_once('.').ok_or(BadToken::Foreign)?;
    let known = keys.iter().find(|(generation, _)| header(*generation) == head);
    let (generation, key) = known.ok_or(BadToken::Foreign)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| BadToken::Foreign)?;
    mac(key, signed).verify_slice(&signature).map_err(|_| BadToken::Foreign)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| BadToken::Foreign)?;
    let claims: Claims = serde_json::from_slice(&claims).map_err(|_| BadToken::Foreign)?;
    let grant = judge(&claims, place, now)?;
    Ok((grant, *generation))
}

fn judge(claims: &Claims, place: &str, now: Time) -> Result<Grant, BadToken> {
    let longest = i64::try_from(LONGEST.as_secs()).expect("an hour fits");
    let now_s = now.0.div_euclid(1_000);
    let is_ours = claims.iss == ISSUER && claims.aud == place && !claims.jti.is_empty();
    let is_sane = claims.iat <= claims.exp
        && claims.exp.saturating_sub(claims.iat) <= longest
        && claims.iat <= now_s.saturating_add(LEEWAY_S);
    if !is_ours || !is_sane {
        return Err(BadToken::Foreign);
    }
    if claims.exp <= now_s {
        return Err(BadToken::Expired);
    }
    let key = claims.sub.parse().map_err(|()| BadToken::Foreign)?;
    let secret = URL_SAFE_NO_PAD.decode(&claims.sec).ok().and_then(|bytes| bytes.try_into().ok());
    let secret = secret.ok_or(BadToken::Foreign)?;
    let scopes = Scopes::parse(&claims.scope).map_err(|_: NoScope| BadToken::Foreign)?;
    Ok(Grant { key, secret, scopes, until: Time(claims.exp * 1_000) })
}

#[cfg(test)]
mod tests;
