//! Who is asking, and whether they may: the team's app by a key, a person by a session, or whoever may open the local
//! socket.
//!
//! Invariant: the API never looks at a cookie and the pages never look at an API key, so that a browser cannot be made
//! to use the API in a person's name. Secrets are compared by their hashes, in constant time; keys and sessions are looked up
//! where they are kept, so that one that was revoked opens nothing from that commit on. Without the right that `rights` names,
//! nothing happens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpRequest};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::app::App;
use super::cookie;
use super::error::{Code, Problem};
use super::headers::RequestId;
use super::listen::Local;
use super::oauth;
use super::principal::{Principal, Visit};
use super::rights::{self, Door, Record, Right};
use crate::audit::{Actor, Deed};
use crate::clock::Time;
use crate::keyring::token::{self, BadToken};
use crate::keyring::{Kind, Presented, Scope, Scopes, Shut};
use crate::store::{Act, Govern, Write};

/// That somebody looked at a page is written down no more often than this.
const GLANCE: Duration = Duration::from_secs(60);

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

/// In front of what the pages ask: a session, or the local socket; and no other site asking in a person's name, not even for
/// a session.
pub(super) async fn admin(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let who = if !request.method().is_safe() && is_cross_site(&request) {
        Err(Stop::Forbidden(Problem::new(Code::CrossSite, "the pages take no orders from other sites")))
    } else {
        someone(&request).map_err(|problem| stranger(problem, SESSION))
    };
    if let Ok(Principal { visit: Some(visit), .. }) = &who {
        look(&request, visit).await;
    }
    pass(request, next, who).await
}

/// Who is at a page; nobody, where nobody need be known.
fn someone(request: &ServiceRequest) -> Result<Principal, Problem> {
    if let Some(who) = local(request) {
        return Ok(who);
    }
    let is_open = || matches!(needed(request), Ok(Some(right)) if right.door == Door::Anybody);
    match visitor(request)? {
        Some(who) => Ok(who),
        None if is_open() => Ok(Principal::default()),
        None => Err(Problem::new(Code::Unauthorized, "log in first: the pages do so at /login")),
    }
}

/// In front of what only reads and is wanted by machines and people alike.
pub(super) async fn anyone_known(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let missing = "send an API key (Authorization: Bearer KEY), or log in at /login";
    let known = match local(&request) {
        Some(who) => Ok(Some(who)),
        None => visitor(&request).and_then(|who| who.map_or_else(|| bearer(&request), |who| Ok(Some(who)))),
    };
    let who = known.and_then(|who| who.ok_or_else(|| Problem::new(Code::Unauthorized, missing)));
    let who = who.and_then(|who| {
        let detail = format!("{} may not do this: it lacks the scope {}", who.name, Scope::Messages.as_str());
        if who.scopes.has(Scope::Messages) { Ok(who) } else { Err(Problem::new(Code::Forbidden, detail)) }
    });
    pass(request, next, who.map_err(|problem| stranger(problem, "Bearer"))).await
}

/// What a 401 must name; browsers ask nobody for it.
const SESSION: &str = r#"Session realm="bluetick""#;

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
        let now = app(&request).map(|app| app.clock.now());
        may(&who, &right, now).map(|()| Principal { actor, ..who })
    });
    let checked = limited(&request, checked);
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

/// The same, unless they ask too often.
fn limited(request: &ServiceRequest, who: Result<Principal, Stop>) -> Result<Principal, Stop> {
    let Some(app) = app(request) else { return who };
    let (client, now) = (app.client(request.request()), app.clock.now());
    let counted = match &who {
        // Whoever nobody is asked to prove is counted by where they are: strangers must not use up what others may do.
        Ok(who) if who.name.is_empty() => app.limits.stranger(client, now),
        Ok(who) => app.limits.request(client, &who.name, now),
        Err(Stop::Stranger(..)) => app.limits.stranger(client, now),
        Err(Stop::Forbidden(_)) => Ok(()),
    };
    counted.map_or_else(|wait| Err(Stop::Forbidden(wait.into())), |()| who)
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

fn may(who: &Principal, right: &Result<Option<&'static Right>, Problem>, now: Option<Time>) -> Result<(), Stop> {
    let Some(right) = right.as_ref().map_err(|problem| Stop::Forbidden(problem.clone()))? else { return Ok(()) };
    let forbidden = |detail: String| Err(Stop::Forbidden(Problem::new(Code::Forbidden, detail)));
    let lacking = right.lacking(who.scopes);
    if !lacking.is_empty() {
        return forbidden(format!("{} may not do this: it lacks the scope {lacking}", who.name));
    }
    if right.door == Door::Person && !who.is_person {
        return forbidden("only a person may do this".to_owned());
    }
    let is_proven = |visit: &Arc<Visit>| now.is_some_and(|now| visit.session.is_proven(now));
    if right.is_grave && !who.visit.as_ref().is_none_or(is_proven) {
        let detail = "show once more who you are: POST /admin/api/session/step-up with your password or code";
        return Err(Stop::Forbidden(Problem::new(Code::StepUpNeeded, detail)));
    }
    Ok(())
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
    Some(request.app_data::<Data<App>>()?.client(request)?.0)
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
    if key.opens_until(grant.secret, now).is_none() {
        let detail = "the access token ended with the secret it was given for: get a new one at /oauth/token";
        return Err(Problem::new(Code::Unauthorized, detail));
    }
    app.usage.add(key.id, now);
    let who = Principal::new(key.id.to_string(), format!("key:{}", key.id), false, grant.scopes.and(key.scopes));
    Ok(Some(Principal { token: Some((grant.until, signed_by)), secret: Some(grant.secret), ..who }))
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
            let who = Principal::new(key.id.to_string(), format!("key:{}", key.id), false, key.scopes);
            Ok(Some(Principal { secret: Some(presented.trace()), ..who }))
        }
        Err(Shut::Wrong) => Ok(None),
        // Whoever has the secret may know what became of the key.
        Err(shut) => Err(Problem::new(Code::Unauthorized, shut.to_string())),
    }
}

/// Whose session it is; nobody's, if there is none or it has ended.
fn visitor(request: &ServiceRequest) -> Result<Option<Principal>, Problem> {
    let (Some(app), Some(token)) = (app(request), cookie::read(request.headers())) else { return Ok(None) };
    let (id, snapshot) = (token.id(), app.store.read()?);
    let Some(session) = snapshot.session(id, app.clock.now())? else { return Ok(None) };
    let user = if session.is_declared { None } else { snapshot.user(&session.user)? };
    let scopes = match &user {
        Some(user) => user.scopes(),
        // Nothing is kept of their password, so a start with another one must end what the one before opened.
        None if session.is_declared && app.options.declares(&session.user) && session.created_at >= app.boot_at => {
            Scopes::all()
        }
        None => return Ok(None),
    };
    if scopes.is_empty() {
        return Ok(None);
    }
    let name = format!("user:{}", session.user);
    let visit = Some(Arc::new(Visit { id, session, user }));
    Ok(Some(Principal { visit, ..Principal::new(name.clone(), name, true, scopes) }))
}

/// Somebody looks at a page. What cannot be written now only lets their session end sooner.
async fn look(request: &ServiceRequest, visit: &Visit) {
    let Some(app) = app(request) else { return };
    if visit.session.seen_at.plus(GLANCE) <= app.clock.now()
        && let Err(error) = app.store.write(Write::Looked(visit.id)).await
    {
        tracing::warn!(%error, "that a session is in use could not be written down");
    }
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
pub(super) fn is_same(given: &[u8], expected: &[u8]) -> bool {
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

    use super::super::testing::{House, api};
    use crate::keyring::Role;

    #[actix_web::test]
    async fn the_api_takes_keys_and_the_pages_take_sessions_and_neither_takes_the_other() {
        let house = House::new();
        let cookie = house.visit(Role::Admin, true).await;
        let person = |request: TestRequest| request.insert_header(("cookie", cookie.clone()));
        let status = async |request: TestRequest| house.call(request).await.status.as_u16();
        let (v1, admin) = (|| TestRequest::get().uri("/v1/status"), || TestRequest::get().uri("/admin/api/status"));
        assert_eq!((status(v1()).await, status(api(v1())).await, status(person(v1())).await), (401, 200, 401));
        assert_eq!((status(admin()).await, status(person(admin())).await, status(api(admin())).await), (401, 200, 401));
        for wrong in ["Bearer", "Bearer ", "Bearer kez", "Basic a2V5", "key", "Bearer  key x"] {
            assert_eq!(status(v1().insert_header(("authorization", wrong))).await, 401, "{wrong}");
        }
        let refused = house.call(admin()).await;
        assert_eq!(
            refused.header("www-authenticate"),
            Some(super::SESSION),
            "no browser asks for a password by itself"
        );
        assert_eq!(refused.problem(), (401, "unauthorized".to_owned()));
        let metrics = || TestRequest::get().uri("/metrics");
        assert_eq!(
            (status(metrics()).await, status(person(metrics())).await, status(api(metrics())).await),
            (401, 200, 200)
        );
    }

    #[actix_web::test]
    async fn without_a_key_or_password_the_door_stays_shut() {
        let house = House::with(|app| {
            app.options.api_key = Some(String::new());
            app.options.admin_password = None;
        });
        let empty = TestRequest::get().uri("/v1/status").insert_header(("authorization", "Bearer "));
        assert_eq!(house.call(empty).await.status.as_u16(), 401);
        let nobody = serde_json::json!({"user": "admin", "password": ""});
        let nobody = TestRequest::post().uri("/admin/api/session").set_json(nobody);
        assert_eq!(house.call(nobody).await.problem(), (401, "wrong_login".to_owned()));
    }

    #[actix_web::test]
    async fn no_other_site_gives_orders_in_a_persons_name() {
        let house = House::new();
        let cookie = house.visit(Role::Admin, true).await;
        let post = || {
            let post = TestRequest::post().uri("/admin/api/messages").insert_header(("host", "bluetick.example"));
            post.insert_header(("cookie", cookie.clone()))
        };
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
