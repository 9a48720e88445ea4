//! Who is asking, and whether they may: the team's app by a key, a person by name and password, or whoever may open the local
//! socket.
//!
//! Invariant: the API never looks at a password and the pages never look at an API key, so that a browser cannot be made
//! to use the API in a person's name. Secrets are compared by their hashes, in constant time; keys are looked up where they are
//! kept, so that one that was revoked opens nothing from that commit on. Without the right that `rights` names, nothing happens.

use std::net::IpAddr;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::app::App;
use super::error::{Code, Problem};
use super::headers::RequestId;
use super::listen::Local;
use super::oauth;
use super::rights::{self, Record, Right};
use crate::audit::{Actor, Deed};
use crate::clock::Time;
use crate::keyring::token::{self, BadToken};
use crate::keyring::{KeyId, Keyring, Kind, Presented, Scope, Scopes, Shut};
use crate::message::Source;
use crate::store::{Act, Govern, Handle, Write};

/// Who is asking, and what they may do.
#[derive(Clone, Debug, Default)]
pub(super) struct Principal {
    /// Its name, which keeps Idempotency-Keys of different principals apart: `api` for the key of the configuration,
    /// `operator` for a person, `ak_…` for a key.
    pub(super) name: String,
    /// Whether it is a person.
    is_person: bool,
    /// What it may do.
    pub(super) scopes: Scopes,
    /// When the access token ends that it was let in with, and which key signed it.
    token: Option<(Time, u32)>,
    /// What the audit log says of it.
    pub(super) actor: Actor,
}

impl Principal {
    fn new(name: impl Into<String>, logged: String, is_person: bool, scopes: Scopes) -> Self {
        let actor = Actor { name: logged, ..Actor::default() };
        Self { name: name.into(), is_person, scopes, token: None, actor }
    }

    /// Whom the journal names for what they do.
    pub(super) fn source(&self) -> Source {
        if self.is_person { Source::Operator } else { Source::Api }
    }

    /// Who was let in to this handler; nobody, who may do nothing, where nobody was asked.
    pub(super) fn of(request: &impl HttpMessage) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }
}

/// Why somebody is not let in.
enum Stop {
    /// Nobody we know, or nothing that proves it.
    Stranger(Problem, &'static str),
    /// Somebody we know, who may not do that.
    Forbidden(Problem),
}

/// In front of `/v1`: an API key, or the local socket.
pub(super) async fn api(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let missing = "send an API key: Authorization: Bearer KEY (bluetick keys create makes one)";
    let who = match local(&request) {
        Some(who) => Ok(who),
        None => bearer(&request).and_then(|who| who.ok_or_else(|| Problem::new(Code::Unauthorized, missing))),
    };
    pass(request, next, who.map_err(|problem| stranger(problem, "Bearer"))).await
}

/// In front of the pages and their data: name and password, and no other site asking in a person's name.
pub(super) async fn admin(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let missing = "name and password are needed (http.admin_user and http.admin_password in the configuration)";
    let who = match local(&request).or_else(|| basic(&request)) {
        None => Err(stranger(Problem::new(Code::Unauthorized, missing), BASIC)),
        Some(_) if !request.method().is_safe() && is_cross_site(&request) => {
            Err(Stop::Forbidden(Problem::new(Code::CrossSite, "the pages take no orders from other sites")))
        }
        Some(who) => Ok(who),
    };
    pass(request, next, who).await
}

/// In front of what only reads and is wanted by machines and people alike.
pub(super) async fn anyone_known(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let missing = "send an API key (Authorization: Bearer KEY), or name and password";
    let who = match local(&request).or_else(|| basic(&request)) {
        Some(who) => Ok(who),
        None => bearer(&request).and_then(|who| who.ok_or_else(|| Problem::new(Code::Unauthorized, missing))),
    };
    let who = who.and_then(|who| {
        let detail = format!("{} may not do this: it lacks the scope {}", who.name, Scope::Messages.as_str());
        if who.scopes.has(Scope::Messages) { Ok(who) } else { Err(Problem::new(Code::Forbidden, detail)) }
    });
    pass(request, next, who.map_err(|problem| stranger(problem, BASIC))).await
}

const BASIC: &str = r#"Basic realm="bluetick", charset="UTF-8""#;

/// A broken store is no reason to ask for another key.
fn stranger(problem: Problem, challenge: &'static str) -> Stop {
    match problem.code {
        Code::Unauthorized => Stop::Stranger(problem, challenge),
        _ => Stop::Forbidden(problem),
    }
}

async fn pass<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
    who: Result<Principal, Stop>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let right = needed(&request);
    let checked = who.and_then(|who| {
        let actor = Actor {
            address: address(&request).map(|address| address.to_string()),
            request: request.extensions().get::<RequestId>().map(ToString::to_string),
            ..who.actor.clone()
        };
        may(&who, &right).map(|()| Principal { actor, ..who })
    });
    match checked {
        Ok(who) => {
            let noted = right.ok().flatten().filter(|right| right.record == Record::Audit);
            let noted = noted.and_then(|right| Some((right, app(&request)?.clone(), who.actor.clone())));
            request.extensions_mut().insert(who);
            let response = next.call(request).await?;
            if let Some((right, app, by)) = noted {
                note(&app, by, deed(right, &response)).await;
            }
            Ok(response.map_into_left_body())
        }
        Err(Stop::Stranger(problem, challenge)) => {
            let mut response = request.error_response(problem).map_body(|_, body| BoxBody::new(body));
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            Ok(response.map_into_right_body())
        }
        Err(Stop::Forbidden(problem)) => {
            let response = request.error_response(problem).map_body(|_, body| BoxBody::new(body));
            Ok(response.map_into_right_body())
        }
    }
}

/// What the route needs: nothing, if it is a page or no route at all; a refusal, if nobody has said what it needs.
fn needed(request: &ServiceRequest) -> Result<Option<&'static Right>, Problem> {
    let Some(pattern) = request.match_pattern() else { return Ok(None) };
    let is_data = pattern.starts_with("/v1/") || pattern.starts_with("/admin/api/");
    match rights::needed(request.method(), &pattern) {
        Some(right) => Ok(Some(right)),
        // The route itself says which methods it knows.
        None if !is_data || rights::is_known(&pattern) => Ok(None),
        None => Err(Problem::new(Code::Forbidden, "nobody has said yet who may do this")),
    }
}

fn may(who: &Principal, right: &Result<Option<&'static Right>, Problem>) -> Result<(), Stop> {
    let Some(right) = right.as_ref().map_err(|problem| Stop::Forbidden(problem.clone()))? else { return Ok(()) };
    let lacking = right.lacking(who.scopes);
    if lacking.is_empty() {
        return Ok(());
    }
    let detail = format!("{} may not do this: it lacks the scope {lacking}", who.name);
    Err(Stop::Forbidden(Problem::new(Code::Forbidden, detail)))
}

/// What the audit log says of a request and what came of it. A person in the path is not named.
fn deed<B>(right: &Right, response: &ServiceResponse<B>) -> Deed {
    let parts = response.request().match_info().iter().filter(|(name, _)| *name != "address");
    let object = parts.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
    Deed::new(&format!("{} {}", right.method, right.path), object, response.status().as_u16().to_string())
}

/// Writes down what was done. It is done by then, so a log that cannot be written is said loudly, and undoes nothing.
async fn note(app: &App, by: Actor, deed: Deed) {
    let (action, who) = (deed.action.clone(), by.name.clone());
    if let Err(error) = app.store.write(Write::Govern(Box::new(Govern { by, act: Act::Nothing, deed }))).await {
        tracing::error!(%error, action, who, "what was done could not be written into the audit log");
    }
}

/// Where a request came from; the local socket is no place.
fn address(request: &ServiceRequest) -> Option<IpAddr> {
    peer(request.request())
}

/// The same for a handler.
pub(super) fn peer(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip().to_canonical())
}

fn local(request: &ServiceRequest) -> Option<Principal> {
    request.conn_data::<Local>().map(|_| Principal::new("operator", "local".into(), true, Scopes::all()))
}

/// Whose key it is; nobody's, if there is none or it is not known.
fn bearer(request: &ServiceRequest) -> Result<Option<Principal>, Problem> {
    let (Some(app), Some(given)) = (app(request), credentials(request, "Bearer")) else { return Ok(None) };
    if let Some(presented) = Presented::read(given) {
        return kept(app, &presented, address(request));
    }
    let configured = app.options.api_key.as_deref().filter(|key| !key.is_empty());
    if configured.is_some_and(|key| is_same(given.as_bytes(), key.as_bytes())) {
        return Ok(Some(Principal::new("api", "key:configured".into(), false, Scopes::all())));
    }
    granted(app, given, address(request))
}

/// Whom an access token stands for: its key, which must be live still, and may do no more than it may now.
fn granted(app: &App, given: &str, from: Option<IpAddr>) -> Result<Option<Principal>, Problem> {
    let now = app.clock.now();
    let keys = app.custody.keyring().live(Kind::Jwt, now);
    let keys: Vec<_> = keys.into_iter().map(|held| (held.generation, held.value)).collect();
    let (grant, signed_by) = match token::read(given, &keys, &oauth::place(app)?, now) {
        Ok(read) => read,
        Err(BadToken::Foreign) => return Ok(None),
        Err(expired @ BadToken::Expired) => return Err(Problem::new(Code::Unauthorized, expired.to_string())),
    };
    let Some(key) = app.store.read()?.api_key(grant.key)? else { return Ok(None) };
    key.is_live(from, now).map_err(|shut| Problem::new(Code::Unauthorized, shut.to_string()))?;
    app.usage.add(key.id, now);
    let who = Principal::new(key.id.to_string(), format!("key:{}", key.id), false, grant.scopes.and(key.scopes));
    Ok(Some(Principal { token: Some((grant.until, signed_by)), ..who }))
}

fn kept(app: &App, presented: &Presented, from: Option<IpAddr>) -> Result<Option<Principal>, Problem> {
    let now = app.clock.now();
    let Some(key) = app.store.read()?.api_key(presented.id)? else {
        presented.compare_with_nothing();
        return Ok(None);
    };
    match key.opens(presented, from, now) {
        Ok(()) => {
            app.usage.add(key.id, now);
            Ok(Some(Principal::new(key.id.to_string(), format!("key:{}", key.id), false, key.scopes)))
        }
        Err(Shut::Wrong) => Ok(None),
        // Whoever has the secret may know what became of the key.
        Err(shut) => Err(Problem::new(Code::Unauthorized, shut.to_string())),
    }
}

/// Whether what somebody was let in with is still good for something: asked again by what lasts.
pub(super) fn is_still(who: &Principal, store: &Handle, keyring: &Keyring, now: Time) -> bool {
    if let Some((until, signed_by)) = who.token {
        let is_live = keyring.live(Kind::Jwt, now).iter().any(|held| held.generation == signed_by);
        if until <= now || !is_live {
            return false;
        }
    }
    let Ok(id) = who.name.parse::<KeyId>() else { return true };
    let key = store.read().and_then(|snapshot| snapshot.api_key(id));
    key.is_ok_and(|key| key.is_some_and(|key| key.is_live(None, now).is_ok()))
}

fn basic(request: &ServiceRequest) -> Option<Principal> {
    let options = &app(request)?.options;
    let password = options.admin_password.as_deref().filter(|password| !password.is_empty())?;
    let given = STANDARD.decode(credentials(request, "Basic")?).ok()?;
    let is_it = is_same(&given, format!("{}:{password}", options.admin_user).as_bytes());
    is_it.then(|| Principal::new("operator", format!("user:{}", options.admin_user), true, Scopes::all()))
}

fn app(request: &ServiceRequest) -> Option<&Data<App>> {
    request.app_data::<Data<App>>()
}

/// What follows the scheme in the `Authorization` header.
fn credentials<'a>(request: &'a ServiceRequest, scheme: &str) -> Option<&'a str> {
    let (given, rest) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// Hashes have one length, so not even that shows.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    Sha256::digest(given).ct_eq(&Sha256::digest(expected)).into()
}

/// Whether a browser sent this for another site. Every browser says so by `Sec-Fetch-Site`, older ones by `Origin`;
/// a program says neither, and has no person's password at hand.
fn is_cross_site(request: &ServiceRequest) -> bool {
    let text = |name| request.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_none() || host != text("host")
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::super::testing::{House, api, person};

    #[actix_web::test]
    async fn the_api_takes_keys_and_the_pages_take_people_and_neither_takes_the_other() {
        let house = House::new();
        let status = async |request: TestRequest| house.call(request).await.status.as_u16();
        let (v1, admin) = (|| TestRequest::get().uri("/v1/status"), || TestRequest::get().uri("/admin/api/status"));
        assert_eq!((status(v1()).await, status(api(v1())).await, status(person(v1())).await), (401, 200, 401));
        assert_eq!((status(admin()).await, status(person(admin())).await, status(api(admin())).await), (401, 200, 401));
        for wrong in ["Bearer", "Bearer ", "Bearer kez", "Basic a2V5", "key", "Bearer  key x"] {
            assert_eq!(status(v1().insert_header(("authorization", wrong))).await, 401, "{wrong}");
        }
        let refused = house.call(admin()).await;
        assert_eq!(refused.header("www-authenticate"), Some(super::BASIC));
        assert_eq!(refused.problem(), (401, "unauthorized".to_owned()));
    }

    #[actix_web::test]
    async fn without_a_key_or_password_the_door_stays_shut() {
        let house = House::with(|app| {
            app.options.api_key = Some(String::new());
            app.options.admin_password = None;
        });
        let empty = TestRequest::get().uri("/v1/status").insert_header(("authorization", "Bearer "));
        assert_eq!(house.call(empty).await.status.as_u16(), 401);
        // admin:
        let nobody = TestRequest::get().uri("/admin/api/status").insert_header(("authorization", "Basic YWRtaW46"));
        assert_eq!(house.call(nobody).await.status.as_u16(), 401);
    }

    #[actix_web::test]
    async fn no_other_site_gives_orders_in_a_persons_name() {
        let house = House::new();
        let post =
            || person(TestRequest::post().uri("/admin/api/messages").insert_header(("host", "bluetick.example")));
        for (name, value, code) in [
            ("sec-fetch-site", "cross-site", "cross_site"),
            ("sec-fetch-site", "same-site", "cross_site"),
            ("origin", "https://evil.example", "cross_site"),
            ("origin", "null", "cross_site"),
            ("sec-fetch-site", "same-origin", "wrong_content_type"),
            ("origin", "https://bluetick.example", "wrong_content_type"),
        ] {
            let answer = house.call(post().insert_header((name, value))).await;
            assert_eq!(answer.problem().1, code, "{name}: {value}");
        }
    }

    #[actix_web::test]
    async fn every_answer_keeps_browsers_careful() {
        let house = House::new();
        for path in ["/healthz", "/v1/status", "/nothing"] {
            let answer = house.call(TestRequest::get().uri(path)).await;
            assert!(answer.header("content-security-policy").is_some_and(|csp| csp.starts_with("default-src 'none'")));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        }
    }
}
