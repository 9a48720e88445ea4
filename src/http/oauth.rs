//! `POST /oauth/token`: an access token for an API key, good for an hour at most (RFC 6749, client credentials).
//!
//! Invariant: a token allows no more than its key, and nothing that the key may not do any more when it is used; it ends with the
//! secret it was given for. Its errors are those of the RFC, so that any library understands them.

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::auth;
use super::body;
use super::error::Problem;
use crate::keyring::token::{self, Grant};
use crate::keyring::{Kind, NoScope, Presented, Scopes};

/// A grant, an id, a secret and scopes.
const MAX_BODY: usize = 4 * 1_024;

/// An access token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccessToken {
    /// Sent as `Authorization: Bearer …`.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// In so many seconds it is good for nothing.
    #[schema(example = 3600)]
    expires_in: u64,
    /// What it allows.
    #[schema(example = "send messages:read")]
    scope: String,
}

/// Why there is no token, in the words of RFC 6749.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenError {
    /// `invalid_request`, `invalid_client`, `invalid_scope` or `unsupported_grant_type`.
    #[schema(example = "invalid_client")]
    error: &'static str,
    error_description: String,
}

/// What is asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenRequest {
    /// `client_credentials`.
    #[schema(example = "client_credentials")]
    grant_type: String,
    /// The key's name, `ak_…`; or by HTTP Basic.
    client_id: Option<String>,
    /// The key, `bt_…`; or by HTTP Basic.
    client_secret: Option<String>,
    /// Less than the key may do, as words; all of it, where it is absent.
    scope: Option<String>,
}

/// Gives an access token for an API key. Two signing keys are live during a rotation, so tokens outlive it.
#[utoipa::path(post, path = "/oauth/token", tag = "keys", security(()),
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = AccessToken), (status = 400, body = TokenError), (status = 401, body = TokenError),
        (status = 503, body = super::error::ProblemBody)))]
pub(super) async fn token(request: HttpRequest, app: Data<App>, payload: Payload) -> Result<HttpResponse, Problem> {
    let form = body::read(&request, payload, MAX_BODY).await?;
    match grant(&request, &app, &form) {
        Ok(grant) => issue(&app, grant).await,
        Err(Refused::Problem(problem)) => Err(problem),
        Err(Refused::Token(status, error)) => {
            let mut answer = HttpResponse::build(status);
            if status == StatusCode::UNAUTHORIZED {
                app.limits.stranger(app.client(&request), app.clock.now())?;
                answer.insert_header((WWW_AUTHENTICATE, "Basic realm=\"bluetick\""));
            }
            Ok(answer.json(error))
        }
    }
}

enum Refused {
    Token(StatusCode, TokenError),
    Problem(Problem),
}

impl Refused {
    fn bad(error: &'static str, description: impl Into<String>) -> Self {
        Self::Token(StatusCode::BAD_REQUEST, TokenError { error, error_description: description.into() })
    }

    /// The same for every client that is not let in, whatever is wrong with it.
    fn client() -> Self {
        let error_description = "the client_id and client_secret are not those of a live API key".to_owned();
        Self::Token(StatusCode::UNAUTHORIZED, TokenError { error: "invalid_client", error_description })
    }
}

fn grant(request: &HttpRequest, app: &App, form: &[u8]) -> Result<Grant, Refused> {
    let (mut asked, mut id, mut secret, mut scope) = (None, None, None, None);
    for (name, value) in form_urlencoded::parse(form) {
        let place = match name.as_ref() {
            "grant_type" => &mut asked,
            "client_id" => &mut id,
            "client_secret" => &mut secret,
            "scope" => &mut scope,
            // Unknown parameters are let be, as the RFC says.
            _ => continue,
        };
        if place.replace(value.into_owned()).is_some() {
            return Err(Refused::bad("invalid_request", format!("{name} stands there twice")));
        }
    }
    if asked.as_deref() != Some("client_credentials") {
        let error = if asked.is_none() { "invalid_request" } else { "unsupported_grant_type" };
        return Err(Refused::bad(error, "grant_type must be client_credentials"));
    }
    if let Some((basic_id, basic_secret)) = basic(request) {
        if id.is_some() || secret.is_some() {
            return Err(Refused::bad("invalid_request", "the client proves itself in one way, not in two"));
        }
        (id, secret) = (Some(basic_id), Some(basic_secret));
    }
    let presented = secret.as_deref().and_then(Presented::read).ok_or_else(Refused::client)?;
    if id.is_some_and(|id| id != presented.id.to_string()) {
        return Err(Refused::client());
    }
    let now = app.clock.now();
    let snapshot = app.store.read().map_err(|error| Refused::Problem(error.into()))?;
    let key = snapshot.api_key(presented.id).map_err(|error| Refused::Problem(error.into()))?;
    let Some(key) = key else {
        presented.compare_with_nothing();
        return Err(Refused::client());
    };
    key.opens(&presented, auth::peer(request), now).map_err(|_| Refused::client())?;
    app.usage.add(key.id, now);
    let scopes = match scope.as_deref().map(Scopes::parse).transpose() {
        Ok(scopes) => scopes.unwrap_or(key.scopes),
        Err(error @ NoScope(_)) => return Err(Refused::bad("invalid_scope", error.to_string())),
    };
    let beyond = scopes.without(key.scopes);
    if !beyond.is_empty() || scopes.is_empty() {
        return Err(Refused::bad("invalid_scope", format!("{} may not do this: {beyond}", key.id)));
    }
    let secret = presented.trace();
    let until = key.opens_until(secret, now).ok_or_else(Refused::client)?.min(now.plus(token::LONGEST));
    Ok(Grant { key: key.id, secret, scopes, until })
}

async fn issue(app: &App, grant: Grant) -> Result<HttpResponse, Problem> {
    let (generation, key) = app.custody.signing_key().await?;
    let (now, place) = (app.clock.now(), place(app)?);
    app.custody.keyring().used(Kind::Jwt, generation, now);
    let token = token::write(&grant, (generation, &key), &place, rand::random(), now);
    Ok(HttpResponse::Ok().json(AccessToken {
        access_token: token.expose().to_owned(),
        token_type: "Bearer",
        expires_in: grant.until.since(now).as_secs(),
        scope: grant.scopes.to_string(),
    }))
}

/// The house a token is good for: no other one's, though it were restored from the same backup.
pub(super) fn place(app: &App) -> Result<String, Problem> {
    Ok(HEXLOWER.encode(&app.store.read()?.instance()?))
}

fn basic(request: &HttpRequest) -> Option<(String, String)> {
    let (scheme, encoded) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let pair = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("Basic"))?;
    let (id, secret) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

#[cfg(test)]
mod tests;
