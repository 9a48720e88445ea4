//! `/v1/keys`: the API keys of the team's programs, made, rotated and revoked.
//!
//! Invariant: nobody hands out more than they may do themselves. A secret is in the answer that makes it, and nowhere else.

use std::time::Duration;

use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use ipnet::IpNet;
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::body;
use super::error::{Code, Problem, ProblemBody};
use super::fields::Fields;
use super::principal::Principal;
use crate::audit::Deed;
use crate::clock::Time;
use crate::keyring::{ApiKey, KeyId, MAX_NAME, MAX_NETWORKS, Scopes, Wish};
use crate::store::{Act, Govern, Write, Written};

/// A name, scopes and networks.
const MAX_BODY: usize = 8 * 1_024;
/// More keys than this no team can look after.
const MAX_KEYS: usize = 1_000;
/// How long the secret before a rotation opens, where nobody says.
const USUAL_OVERLAP_S: u64 = 24 * 3_600;
const LONGEST_OVERLAP_S: u64 = 30 * 24 * 3_600;

/// An API key; its secret is never shown again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(super) struct KeyView {
    #[schema(example = "ak_0123abcd")]
    id: String,
    #[schema(example = "shop")]
    name: String,
    /// `active`, `retiring` while the secret before the last rotation still opens, `expired` or `revoked`.
    #[schema(example = "active")]
    state: &'static str,
    /// What it may do.
    scopes: Vec<&'static str>,
    /// Where it may be used from; anywhere, if empty.
    networks: Vec<String>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    /// How many secrets it has had.
    generation: u32,
    /// When its secret was made.
    rotated_at: String,
    /// Until when the secret before that opens too.
    retires_at: Option<String>,
    /// When it was last used, to about a minute.
    last_used_at: Option<String>,
    /// How often it was used, to about a minute.
    used: u64,
}

/// All keys.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeys)]
pub(super) struct KeysView {
    data: Vec<KeyView>,
}

/// A key and its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub(super) struct NewKeyView {
    #[serde(flatten)]
    key: KeyView,
    /// What the program sends as `Authorization: Bearer …`. Nobody can show it again.
    #[schema(example = "bt_0123abcd_…")]
    secret: String,
}

/// What a new key should be.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyRequest {
    /// What people call it, up to 60 characters.
    #[schema(example = "shop")]
    name: String,
    /// What it may do.
    #[schema(example = json!(["send", "messages:read"]))]
    scopes: Vec<String>,
    /// Networks it may be used from, as `10.0.0.0/8`; anywhere, where it is absent.
    #[schema(required = false)]
    networks: Vec<String>,
    /// From when on it is good for nothing (RFC 3339).
    expires_at: Option<String>,
}

/// How a key is rotated.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyRotation {
    /// Seconds that the secret it has opens beside the new one: 86400 where it is absent, 2592000 at most.
    overlap_s: Option<u64>,
}

/// Every key there is or was.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", responses((status = 200, body = KeysView)))]
pub(super) async fn list(app: Data<App>) -> Result<Json<KeysView>, Problem> {
    let now = app.clock.now();
    let keys = app.store.read()?.api_keys()?;
    Ok(Json(KeysView { data: keys.iter().map(|key| KeyView::of(key, now)).collect() }))
}

/// One key.
#[utoipa::path(get, path = "/v1/keys/{id}", tag = "keys", params(("id" = String, Path, example = "ak_0123abcd")),
    responses((status = 200, body = KeyView), (status = 404, body = ProblemBody)))]
pub(super) async fn get(app: Data<App>, id: Path<String>) -> Result<Json<KeyView>, Problem> {
    Ok(Json(KeyView::of(&find(&app, &id)?, app.clock.now())))
}

/// Makes a key. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = KeyRequest,
    responses((status = 201, body = NewKeyView), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub(super) async fn create(request: HttpRequest, app: Data<App>, payload: Payload) -> Result<HttpResponse, Problem> {
    let (who, now) = (Principal::of(&request), app.clock.now());
    let wish = read(&body::json(&request, payload, MAX_BODY).await?, now)?;
    only_what_they_have(&app, &who, wish.scopes, &wish.networks, wish.expires_at)?;
    if app.store.read()?.api_keys()?.len() >= MAX_KEYS {
        return Err(Problem::new(
            Code::InvalidKey,
            format!("there are {MAX_KEYS} keys already, with those that were revoked"),
        ));
    }
    let (key, secret) = ApiKey::make(wish, KeyId(rand::random()), rand::random(), now);
    let detail = format!("{:?} may {}", key.name, key.scopes);
    keep(&app, &who, &key, None, Deed::new("key.created", key.id.to_string(), detail)).await?;
    let view = NewKeyView { key: KeyView::of(&key, now), secret: secret.expose().to_owned() };
    Ok(HttpResponse::Created().json(view))
}

/// Gives a key a new secret; the one it has opens too until the overlap ends, and access tokens end with the secret they were
/// given for. Without an overlap that is at once.
#[utoipa::path(post, path = "/v1/keys/{id}/rotations", tag = "keys", request_body = Option<KeyRotation>,
    params(("id" = String, Path, example = "ak_0123abcd")),
    responses((status = 201, body = NewKeyView), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody), (status = 422, body = ProblemBody)))]
pub(super) async fn rotate(
    request: HttpRequest,
    app: Data<App>,
    id: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let (who, now) = (Principal::of(&request), app.clock.now());
    let body = body::json(&request, payload, MAX_BODY).await?;
    let mut fields = Fields::read_any(&body, &["overlap_s"], Code::InvalidKey)?;
    let overlap_s: Option<u64> = fields.take("overlap_s", "a number of seconds");
    let overlap_s = overlap_s.unwrap_or(USUAL_OVERLAP_S);
    if overlap_s > LONGEST_OVERLAP_S {
        fields.wrong("overlap_s", format!("must be 0 to {LONGEST_OVERLAP_S}"));
    }
    fields.end()?;
    let mut key = find(&app, &id)?;
    only_what_they_have(&app, &who, key.scopes, &key.networks, key.expires_at)?;
    let expected = key.generation;
    let secret = key.rotate(rand::random(), Duration::from_secs(overlap_s), now);
    let secret = secret.map_err(|error| Problem::new(Code::NotTurned, error.to_string()))?;
    let deed =
        Deed::new("key.rotated", key.id.to_string(), format!("generation {}, {overlap_s} s overlap", key.generation));
    keep(&app, &who, &key, Some(expected), deed).await?;
    app.revoked.send_modify(|times| *times += 1);
    let view = NewKeyView { key: KeyView::of(&key, now), secret: secret.expose().to_owned() };
    Ok(HttpResponse::Created().json(view))
}

/// Revokes a key: it opens nothing from this answer on, whichever of its secrets.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "keys", params(("id" = String, Path, example = "ak_0123abcd")),
    responses((status = 200, body = KeyView), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(super) async fn revoke(request: HttpRequest, app: Data<App>, id: Path<String>) -> Result<Json<KeyView>, Problem> {
    let (who, now) = (Principal::of(&request), app.clock.now());
    let mut key = find(&app, &id)?;
    key.revoke(now);
    let expected = key.generation;
    let deed = Deed::new("key.revoked", key.id.to_string(), format!("{:?}", key.name));
    keep(&app, &who, &key, Some(expected), deed).await?;
    app.revoked.send_modify(|times| *times += 1);
    Ok(Json(KeyView::of(&key, now)))
}

fn find(app: &App, id: &str) -> Result<ApiKey, Problem> {
    let missing = || Problem::not_found("API key: GET /v1/keys lists them");
    let id: KeyId = id.parse().map_err(|()| missing())?;
    app.store.read()?.api_key(id)?.ok_or_else(missing)
}

/// Who makes a key, or learns the secret of one, could do with it what they may not do themselves.
fn only_what_they_have(
    app: &App,
    who: &Principal,
    scopes: Scopes,
    networks: &[String],
    expires_at: Option<Time>,
) -> Result<(), Problem> {
    if who.token.is_some() {
        let detail = "an access token ends, and so must what is done with it: a key is made and rotated with a key";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let beyond = scopes.without(who.scopes);
    if !beyond.is_empty() {
        let detail = format!("{} may not hand out what it may not do itself: {beyond}", who.name);
        return Err(Problem::new(Code::Forbidden, detail));
    }
    let Ok(id) = who.name.parse() else { return Ok(()) };
    let own = app.store.read()?.api_key(id)?;
    let lack = own.and_then(|own| own.lacks(networks, expires_at));
    let detail = |lack| format!("{} may not hand out what it does not have itself: {lack}", who.name);
    lack.map_or(Ok(()), |lack| Err(Problem::new(Code::Forbidden, detail(lack))))
}

async fn keep(app: &App, who: &Principal, key: &ApiKey, expected: Option<u32>, deed: Deed) -> Result<(), Problem> {
    let act = Act::KeepKey { key: Box::new(key.clone()), expected };
    let govern = Govern { by: who.actor.clone(), act, deed };
    match app.store.write(Write::Govern(Box::new(govern))).await? {
        Written::Governed => Ok(()),
        Written::Stale if expected.is_some() => {
            Err(Problem::new(Code::Stale, "the key was rotated or revoked meanwhile: look at it, then ask again"))
        }
        Written::Stale => Err(Problem::new(Code::Stale, "there is a key by that name: ask again")),
        other => unreachable!("a key is kept or not, not {other:?}"),
    }
}

fn read(body: &[u8], now: Time) -> Result<Wish, Problem> {
    let mut fields = Fields::read(body, &["name", "scopes", "networks", "expires_at"], Code::InvalidKey)?;
    let request = KeyRequest {
        name: fields.take("name", "a text"),
        scopes: fields.take("scopes", "a list of words"),
        networks: fields.take("networks", "a list of networks"),
        expires_at: fields.take("expires_at", "a time"),
    };
    let name = request.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        fields.wrong("name", format!("must say in 1 to {MAX_NAME} characters what the key is for"));
    }
    let scopes = Scopes::parse(&request.scopes.join(" ")).unwrap_or_else(|error| {
        fields.wrong("scopes", error.to_string());
        Scopes::NONE
    });
    if request.scopes.is_empty() {
        fields.wrong("scopes", format!("is empty, so the key could do nothing: there are {}", Scopes::all()));
    }
    let is_network = |text: &String| text.parse::<IpNet>().is_ok_and(|network| network == network.trunc());
    if let Some(wrong) = request.networks.iter().find(|network| !is_network(network)) {
        let wrong: String = wrong.chars().take(60).collect();
        fields.wrong("networks", format!("{wrong:?} is no network: write 10.0.0.0/8, or 192.0.2.7/32 for one address"));
    }
    if request.networks.len() > MAX_NETWORKS {
        fields.wrong("networks", format!("are more than {MAX_NETWORKS}"));
    }
    let expires_at = request.expires_at.as_deref().map(str::parse::<jiff::Timestamp>).transpose();
    let expires_at = expires_at.map(|at| at.map(|at| Time(at.as_millisecond()))).unwrap_or_else(|_| {
        fields.wrong("expires_at", "is no time: write 2027-01-31T00:00:00Z");
        None
    });
    if expires_at.is_some_and(|at| at <= now) {
        fields.wrong("expires_at", "is over already");
    }
    fields.end().map(|()| Wish { name, scopes, networks: request.networks, expires_at })
}

impl KeyView {
    fn of(key: &ApiKey, now: Time) -> Self {
        let retires_at = key.former_until(now);
        let state = match key.is_live(None, now) {
            Ok(()) if retires_at.is_some() => "retiring",
            Ok(()) => "active",
            Err(_) if key.revoked_at.is_some() => "revoked",
            Err(_) => "expired",
        };
        let text = |time: Option<Time>| time.map(|time| time.to_string());
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            state,
            scopes: key.scopes.iter().map(|scope| scope.as_str()).collect(),
            networks: key.networks.clone(),
            created_at: key.created_at.to_string(),
            expires_at: text(key.expires_at),
            revoked_at: text(key.revoked_at),
            generation: key.generation,
            rotated_at: key.rotated_at.to_string(),
            retires_at: text(retires_at),
            last_used_at: text(key.last_used_at),
            used: key.used,
        }
    }
}

#[cfg(test)]
mod tests;
