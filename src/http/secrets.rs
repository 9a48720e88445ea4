//! `/v1/secrets`: how every secret stands, and what is done about it; never what it is.
//!
//! Invariant: a revocation holds before it is answered. What somebody gives is used only once Twilio has let it in, so that a
//! mistyped one takes nobody's place. What changes anything at Twilio is written down, and the commit wakes whoever does it.

use std::time::Duration;

use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::body;
use super::error::{Code, Problem, ProblemBody};
use super::fields::Fields;
use super::principal::Principal;
use super::query::Query;
use super::sessions::govern;
use crate::audit::Deed;
use crate::clock::Time;
use crate::custody::{CustodyError, QUIET};
use crate::keyring::{Entry, Kind, Ring, Secret, State};
use crate::pause::{Cause, Scope};
use crate::store::{Act, Rotation, RotationStep, Sessions, Snapshot, StoreError, Write};

/// A value and two words.
const MAX_BODY: usize = 8 * 1_024;
/// Longer than any secret of Twilio's.
const MAX_VALUE: usize = 200;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How every secret stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secrets)]
pub(super) struct SecretsView {
    data: Vec<KindView>,
    vault: VaultView,
}

/// What opens the secrets that are kept in the data file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VaultKeys)]
pub(super) struct VaultView {
    /// Names the master key without telling it; null while nothing is kept.
    #[schema(example = "3fa9c2d1")]
    master_key: Option<String>,
    /// Names the recovery key; null if there is none.
    recovery_key: Option<String>,
}

/// A kind of secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretKind)]
pub(super) struct KindView {
    #[schema(example = "twilio_auth_token")]
    kind: &'static str,
    /// What it is, in words.
    what: &'static str,
    /// When it is due to be rotated; null if there is none.
    due_at: Option<String>,
    /// Whether it is.
    is_due: bool,
    /// The rotation that is under way at Twilio, if there is one.
    rotation: Option<RotationView>,
    /// The oldest first.
    generations: Vec<GenerationView>,
}

/// One secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretGeneration)]
pub(super) struct GenerationView {
    generation: u32,
    /// `staged`, `active`, `retiring` or `revoked`.
    #[schema(example = "active")]
    state: &'static str,
    /// When it came to be known.
    made_at: String,
    /// Since when it is in this state.
    since: String,
    /// Until when it is still let in, if it retires.
    retires_at: Option<String>,
    /// Whether it is kept in the data file; else it stands in the configuration.
    is_kept: bool,
    /// How often it was used: callbacks or access tokens that it signed, requests to Twilio that an API key opened.
    used: u64,
    last_used_at: Option<String>,
}

/// A rotation at Twilio.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretRotation)]
pub(super) struct RotationView {
    asked_at: String,
    by: String,
    /// `wanted`, `creating`, `created` or `promoting`.
    #[schema(example = "creating")]
    step: &'static str,
    /// Why it stands still.
    problem: Option<String>,
}

/// How a secret is rotated.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SecretRotationRequest {
    /// The new one, where bluetick cannot make it: `SK…:secret` for a `twilio_api_key`; for a `twilio_auth_token` only if it was
    /// made in Twilio's console.
    value: Option<String>,
    /// Use the value from now on; else it is staged, and let in.
    #[schema(required = false)]
    promote: bool,
    /// Throw away a secondary token that somebody else made at Twilio.
    #[schema(required = false)]
    replace: bool,
}

/// How a secret is retired.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RetireQuery {
    /// Also if it was used a moment ago.
    force: bool,
}

/// What was done in an emergency, and what is to be done now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Revocation {
    kind: &'static str,
    /// Whether sending is paused by it.
    paused: bool,
    /// What to do now, in order.
    next: Vec<&'static str>,
}

/// A recovery key.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecoveryKey {
    /// Opens the secrets of a backup on another machine. Write it down, away from the backups: it is not shown again.
    recovery_key: String,
}

/// How every secret stands.
#[utoipa::path(get, path = "/v1/secrets", tag = "secrets", responses((status = 200, body = SecretsView)))]
pub(super) async fn list(app: Data<App>) -> Result<Json<SecretsView>, Problem> {
    app.custody.write_uses().await?;
    let snapshot = app.store.read()?;
    let data = Kind::ALL.into_iter().map(|kind| KindView::read(&app, &snapshot, kind)).collect::<Result<_, _>>()?;
    let locks = snapshot.locks()?;
    let master_key = locks.as_ref().map(|locks| locks.by_master.by.to_string());
    let recovery_key = locks.and_then(|locks| locks.by_recovery).map(|wrapped| wrapped.by.to_string());
    Ok(Json(SecretsView { data, vault: VaultView { master_key, recovery_key } }))
}

/// Rotates a secret: bluetick's own at once, the auth token by Twilio's API (202: `rotation` says how far it is), anything with a
/// `value` by that. What was used before is let in until its grace ends.
#[utoipa::path(post, path = "/v1/secrets/{kind}/rotations", tag = "secrets", request_body = Option<SecretRotationRequest>,
    params(("kind" = String, Path, example = "twilio_auth_token")),
    responses((status = 201, body = KindView), (status = 202, body = KindView), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody), (status = 422, body = ProblemBody), (status = 502, body = ProblemBody)))]
pub(super) async fn rotate(
    request: HttpRequest,
    app: Data<App>,
    kind: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let (who, kind) = (Principal::of(&request), read_kind(&kind)?);
    let asked = read(&body::json(&request, payload, MAX_BODY).await?, kind)?;
    let by = &who.actor;
    match asked.value {
        Some(value) => {
            let vault = app.custody.vault().await?;
            let (value, overlap) = (Secret::new(value), app.custody.options().overlap(kind));
            let rotation = app.store.read()?.rotation()?.filter(|_| kind == Kind::TwilioAuthToken && asked.promote);
            if rotation.as_ref().is_some_and(|rotation| rotation.problem.is_none()) {
                return Err(under_way());
            }
            if asked.promote {
                app.custody.try_out(kind, &value).await?;
            }
            let stage = |ring: &mut Ring, now| {
                let generation = ring.next();
                ring.stage(Entry::new(kind, generation, State::Staged, &value, Some((&vault, rand::random())), now))?;
                if asked.promote {
                    ring.promote(overlap, now)?;
                }
                let action = if asked.promote { "secret.rotated" } else { "secret.staged" };
                Ok(Deed::new(action, kind.as_str(), format!("generation {generation}")))
            };
            // What stood still is over.
            app.custody.change(kind, by, rotation.map(|_| None), stage).await?;
            if asked.promote {
                app.custody.go_on().await?;
            }
        }
        None if kind.is_own() => drop(app.custody.renew(kind, by).await?),
        None => return begin(&app, &who, asked.replace).await,
    }
    Ok(HttpResponse::Created().json(KindView::read(&app, &app.store.read()?, kind)?))
}

fn under_way() -> Problem {
    Problem::new(Code::Stale, "a rotation is under way already: GET /v1/secrets says how far it is")
}

/// Writes down that the auth token is to be rotated at Twilio.
async fn begin(app: &App, who: &Principal, may_replace: bool) -> Result<HttpResponse, Problem> {
    let kind = Kind::TwilioAuthToken;
    let snapshot = app.store.read()?;
    if snapshot.rotation()?.is_some_and(|rotation| rotation.problem.is_none()) {
        return Err(under_way());
    }
    if app.custody.keyring().active(kind).is_none() {
        let detail = "no auth token is in use, so Twilio would not let us in: give the new one as value, with promote";
        return Err(Problem::new(Code::NotConfigured, detail));
    }
    let (asked_at, step) = (app.clock.now(), RotationStep::Wanted);
    let rotation = Rotation { by: who.actor.clone(), asked_at, may_replace, step, problem: None };
    let deed = Deed::new("secret.rotation_asked", kind.as_str(), "");
    app.custody.change(kind, &who.actor, Some(Some(rotation)), |_, _| Ok(deed.clone())).await?;
    Ok(HttpResponse::Accepted().json(KindView::read(app, &app.store.read()?, kind)?))
}

/// Gives up a rotation of the auth token at Twilio, and the token it staged.
#[utoipa::path(delete, path = "/v1/secrets/{kind}/rotations", tag = "secrets",
    params(("kind" = String, Path, example = "twilio_auth_token")),
    responses((status = 200, body = KindView), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(super) async fn cancel(
    request: HttpRequest,
    app: Data<App>,
    kind: Path<String>,
) -> Result<Json<KindView>, Problem> {
    let (who, kind) = (Principal::of(&request), read_kind(&kind)?);
    let snapshot = app.store.read()?;
    let rotation = snapshot.rotation()?.filter(|_| kind == Kind::TwilioAuthToken);
    let rotation = rotation.ok_or_else(|| Problem::not_found("rotation under way"))?;
    if rotation.step == RotationStep::Promoting && rotation.problem.is_none() {
        let detail = "Twilio may go by the new token already: it is being found out, and cannot be given up before";
        return Err(Problem::new(Code::TooLate, detail));
    }
    let give_up = |ring: &mut Ring, now| {
        if let Some(staged) = ring.staged().map(|staged| staged.generation) {
            ring.retire(staged, Duration::ZERO, now)?;
        }
        Ok(Deed::new("secret.rotation_given_up", kind.as_str(), ""))
    };
    app.custody.change(kind, &who.actor, Some(None), give_up).await?;
    Ok(Json(KindView::read(&app, &app.store.read()?, kind)?))
}

/// What is staged is used from now on; what was used is let in until its grace ends.
#[utoipa::path(post, path = "/v1/secrets/{kind}/promotion", tag = "secrets",
    params(("kind" = String, Path, example = "twilio_auth_token")),
    responses((status = 200, body = KindView), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 502, body = ProblemBody)))]
pub(super) async fn promote(
    request: HttpRequest,
    app: Data<App>,
    kind: Path<String>,
) -> Result<Json<KindView>, Problem> {
    let (who, kind) = (Principal::of(&request), read_kind(&kind)?);
    let held = app.custody.keyring().held(kind).into_iter().find(|held| held.state == State::Staged);
    if let Some(staged) = held {
        app.custody.try_out(kind, &staged.value).await?;
    }
    let overlap = app.custody.options().overlap(kind);
    let promote = |ring: &mut Ring, now| {
        ring.promote(overlap, now)?;
        let generation = ring.active().map_or(0, |active| active.generation);
        Ok(Deed::new("secret.rotated", kind.as_str(), format!("generation {generation}")))
    };
    app.custody.change(kind, &who.actor, None, promote).await?;
    app.custody.go_on().await?;
    Ok(Json(KindView::read(&app, &app.store.read()?, kind)?))
}

/// Ends the grace of one: refused while it is still used, unless it is forced.
#[utoipa::path(delete, path = "/v1/secrets/{kind}/{generation}", tag = "secrets",
    params(("kind" = String, Path, example = "twilio_auth_token"), ("generation" = u32, Path, example = 1), RetireQuery),
    responses((status = 200, body = KindView), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(super) async fn retire(
    request: HttpRequest,
    app: Data<App>,
    path: Path<(String, u32)>,
    query: Query<RetireQuery>,
) -> Result<Json<KindView>, Problem> {
    let (kind, generation) = path.into_inner();
    let (who, kind) = (Principal::of(&request), read_kind(&kind)?);
    let quiet = if query.force { Duration::ZERO } else { QUIET };
    let retire = |ring: &mut Ring, now| {
        ring.retire(generation, quiet, now)?;
        Ok(Deed::new("secret.retired", kind.as_str(), format!("generation {generation}")))
    };
    app.custody.change(kind, &who.actor, None, retire).await?;
    Ok(Json(KindView::read(&app, &app.store.read()?, kind)?))
}

/// In an emergency: nothing of this kind is good for anything from this answer on. Without a secret of Twilio's sending is paused.
#[utoipa::path(post, path = "/v1/secrets/{kind}/revocation", tag = "secrets",
    params(("kind" = String, Path, example = "twilio_auth_token")),
    responses((status = 200, body = Revocation), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(super) async fn revoke(
    request: HttpRequest,
    app: Data<App>,
    kind: Path<String>,
) -> Result<Json<Revocation>, Problem> {
    let (who, kind) = (Principal::of(&request), read_kind(&kind)?);
    let rotation = (kind == Kind::TwilioAuthToken).then_some(None);
    let revoke = |ring: &mut Ring, now| {
        ring.revoke_all(now);
        Ok(Deed::new("secret.revoked", kind.as_str(), "all of them"))
    };
    app.custody.change(kind, &who.actor, rotation, revoke).await?;
    app.revoked.send_modify(|times| *times += 1);
    let paused = kind != Kind::Jwt;
    if paused {
        let note = format!("{} was revoked in an emergency", kind.words());
        app.store.write(Write::Pause(Scope::All, Cause::Operator(Some(note)))).await?;
    } else {
        end_sessions(&app, &who).await?;
    }
    Ok(Json(Revocation { kind: kind.as_str(), paused, next: next_steps(kind) }))
}

/// Whoever could make tokens may sit in a session as well. The one who asks has just shown who they are, and stays to read what is next.
async fn end_sessions(app: &App, who: &Principal) -> Result<(), Problem> {
    let which = who.visit.as_ref().map_or(Sessions::All, |visit| Sessions::AllBut(visit.id));
    govern(app, who, Act::EndSessions(which), Deed::new("sessions.ended", "everybody", "")).await?;
    Ok(())
}

fn next_steps(kind: Kind) -> Vec<&'static str> {
    match kind {
        Kind::TwilioAuthToken => vec![
            "in Twilio's console, make a secondary auth token and promote it: the stolen one opens nothing from then on",
            "bluetick secrets rotate twilio_auth_token --value-stdin --promote, and give it the new one",
            "give the new one to whatever else uses the account by its auth token",
            "bluetick resume: callbacks that were refused meanwhile are made up for by asking Twilio",
            "look through Twilio's logs for what the thief sent",
        ],
        Kind::TwilioApiKey => vec![
            "in Twilio's console, delete the API key and make another",
            "bluetick secrets rotate twilio_api_key --value-stdin --promote, and give it SK…:secret",
            "bluetick resume",
            "look through Twilio's logs for what the thief sent",
        ],
        Kind::Jwt => vec![
            "every access token is void; the next one is signed with a new key, which is made by itself",
            "if an API key was stolen too, tokens can be had with it: bluetick keys revoke ak_…",
            "every person is logged out, but whoever did this in the pages; give a new password to those whose password may be known: \
             bluetick admin password NAME",
        ],
    }
}

/// Makes a recovery key, which takes the place of the one before.
#[utoipa::path(post, path = "/v1/secrets/recovery-key", tag = "secrets",
    responses((status = 201, body = RecoveryKey), (status = 409, body = ProblemBody)))]
pub(super) async fn recovery_key(request: HttpRequest, app: Data<App>) -> Result<HttpResponse, Problem> {
    let key = app.custody.new_recovery_key(&Principal::of(&request).actor).await?;
    Ok(HttpResponse::Created().json(RecoveryKey { recovery_key: key.expose().to_owned() }))
}

/// Makes a new master key in its file; the one before opens nothing any more, but older backups.
#[utoipa::path(post, path = "/v1/secrets/master-key/rotations", tag = "secrets",
    responses((status = 204, description = "It is in its file"), (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub(super) async fn rotate_master(request: HttpRequest, app: Data<App>) -> Result<HttpResponse, Problem> {
    app.custody.rotate_master(&Principal::of(&request).actor).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn read_kind(text: &str) -> Result<Kind, Problem> {
    let words = || Kind::ALL.map(Kind::as_str).join(", ");
    Kind::parse(text).ok_or_else(|| Problem::not_found(&format!("kind of secret: there are {}", words())))
}

struct Asked {
    value: Option<String>,
    promote: bool,
    replace: bool,
}

fn read(body: &[u8], kind: Kind) -> Result<Asked, Problem> {
    let mut fields = Fields::read_any(body, &["value", "promote", "replace"], Code::InvalidSecret)?;
    let value: Option<String> = fields.take("value", "a text");
    let asked = Asked {
        value: value.map(|value| value.trim().to_owned()),
        promote: fields.take("promote", "true or false"),
        replace: fields.take("replace", "true or false"),
    };
    let is_token =
        |text: &str| (16..=MAX_VALUE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    match (kind, asked.value.as_deref()) {
        (Kind::Jwt, Some(_)) => fields.wrong("value", "is made by bluetick itself: leave it out"),
        (Kind::TwilioAuthToken, Some(value)) if !is_token(value) || value.contains(':') => {
            fields.wrong("value", "is no auth token: 32 hex digits, as Twilio's console shows it");
        }
        (Kind::TwilioApiKey, Some(value)) => {
            let is_key = value
                .split_once(':')
                .is_some_and(|(sid, secret)| sid.starts_with("SK") && sid.len() == 34 && is_token(secret));
            if !is_key {
                fields.wrong("value", "must be SID:secret, as in SK00000000000000000000000000000001:the-secret");
            }
        }
        (Kind::TwilioApiKey, None) => {
            fields.wrong("value", "is needed: make a key in Twilio's console, and give it as SID:secret");
        }
        _ => {}
    }
    if asked.value.is_none() && asked.promote {
        fields.wrong("promote", "is for a value that is given");
    }
    fields.end().map(|()| asked)
}

impl From<CustodyError> for Problem {
    fn from(error: CustodyError) -> Self {
        match error {
            CustodyError::Store(error) => error.into(),
            CustodyError::Unturned(error) => Self::new(Code::NotTurned, error.to_string()),
            CustodyError::Stale => Self::new(Code::Stale, error.to_string()),
            CustodyError::NotLetIn => Self::field(Code::InvalidSecret, "value", error.to_string()),
            CustodyError::NoAnswer(_) => Self::new(Code::TwilioUnavailable, error.to_string()),
            CustodyError::Locked(words) => {
                tracing::error!("the vault of secrets does not open: {words}");
                Self::new(Code::VaultLocked, words)
            }
        }
    }
}

impl KindView {
    fn read(app: &App, snapshot: &Snapshot, kind: Kind) -> Result<Self, StoreError> {
        let (ring, now) = (snapshot.ring(kind)?, app.clock.now());
        let due = ring.active().map(|active| active.made_at.plus(DAY * app.custody.options().rotate_after_days));
        let rotation = snapshot.rotation()?.filter(|_| kind == Kind::TwilioAuthToken);
        Ok(Self {
            kind: kind.as_str(),
            what: kind.words(),
            due_at: due.map(|due| due.to_string()),
            is_due: due.is_some_and(|due| due <= now),
            rotation: rotation.map(RotationView::from),
            generations: ring.0.iter().map(|entry| GenerationView::of(entry, now)).collect(),
        })
    }
}

impl GenerationView {
    fn of(entry: &Entry, now: Time) -> Self {
        let retires_at = match entry.state {
            State::Retiring(until) if now < until => Some(until),
            _ => None,
        };
        Self {
            generation: entry.generation,
            state: entry.state.as_str(now),
            made_at: entry.made_at.to_string(),
            since: entry.since.to_string(),
            retires_at: retires_at.map(|at| at.to_string()),
            is_kept: entry.sealed.is_some(),
            used: entry.used,
            last_used_at: entry.last_used_at.map(|at| at.to_string()),
        }
    }
}

impl From<Rotation> for RotationView {
    fn from(rotation: Rotation) -> Self {
        let step = match rotation.step {
            RotationStep::Wanted => "wanted",
            RotationStep::Creating => "creating",
            RotationStep::Created => "created",
            RotationStep::Promoting => "promoting",
        };
        Self { asked_at: rotation.asked_at.to_string(), by: rotation.by.name, step, problem: rotation.problem }
    }
}

#[cfg(test)]
mod tests;
