//! `/admin/api/session`: logging in, showing once more who one is, logging out; and the sessions there are.
//!
//! Invariant: whoever is not let in is told nothing: an unknown name, a wrong password and a wrong code get the same answer
//! after the same work. Each proof gives the browser a new session; the one before is worth nothing.

use actix_web::http::header::{HeaderName, SET_COOKIE, USER_AGENT};
use actix_web::web::{Data, Json, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::app::App;
use super::auth::is_same;
use super::error::{Code, Problem};
use super::fields::Fields;
use super::principal::{Principal, Visit};
use super::{body, cookie, own};
use crate::audit::Deed;
use crate::clock::Time;
use crate::keyring::{Scope, Secret, Session, SessionId, SessionToken, User};
use crate::store::{Act, Before, Govern, Opening, Sessions, Shown, Write, Written};

/// A name, a password and a code.
pub(super) const MAX_BODY: usize = 4 * 1_024;

/// Who is logged in.
#[derive(Debug, Serialize)]
pub(super) struct WhoView {
    user: String,
    role: &'static str,
    scopes: Vec<&'static str>,
    /// Whether the code of a phone is asked for.
    has_totp: bool,
    /// Whether they are the person of the configuration, who changes nothing about themselves here.
    is_declared: bool,
    /// Until when dangerous things may be done.
    step_up_until: String,
    /// When the session ends, if nobody looks at a page until then.
    ends_at: String,
}

/// A session.
#[derive(Debug, Serialize)]
pub(super) struct SessionView {
    id: String,
    user: String,
    is_own: bool,
    created_at: String,
    seen_at: String,
    ends_at: String,
    address: Option<String>,
    agent: String,
}

/// Sessions.
#[derive(Debug, Serialize)]
pub(super) struct SessionsView {
    data: Vec<SessionView>,
}

/// Whose sessions end: everybody's, where nobody is named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndQuery {
    user: Option<String>,
}

/// Who somebody says they are, and what they show for it.
struct Claim {
    user: String,
    password: Secret,
    code: Option<String>,
}

/// Logs somebody in.
pub(super) async fn open(request: HttpRequest, app: Data<App>, payload: Payload) -> Result<HttpResponse, Problem> {
    let (who, now) = (Principal::of(&request), app.clock.now());
    let claim = claim(&body::json(&request, payload, MAX_BODY).await?)?;
    let (client, account, typed) = (app.client(&request), account(&app, &claim.user), claim.user.clone());
    app.limits.login(client, &account, now)?;
    let proven = prove(&app, claim, now).await;
    match &proven {
        Ok(_) => app.limits.login_succeeded(client, &account),
        Err(problem) if problem.code == Code::WrongLogin => {
            note_wrong(&app, &who, &typed)?;
            app.limits.login_failed(client, &account, app.clock.now());
        }
        Err(problem) if problem.code == Code::TotpNeeded => app.limits.login_goes_on(client, &account, now),
        // A broken store is nobody's guess.
        Err(_) => {}
    }
    let (name, shown) = proven?;
    let address = who.actor.address.clone();
    let session = Session::new(&name, shown.is_none(), address, &agent(&request), now);
    // A session that this browser had ends, whoever's it was: what somebody planted there is worth nothing.
    let before = cookie::read(request.headers()).map_or(Before::Nothing, |before| Before::Ends(before.id()));
    let deed = Deed::new("session.opened", "", session.agent.clone());
    grant(&app, &who.named(&name), session, before, shown, deed).await
}

/// At whose password a guess is: however the name is written. What can be nobody's name is one account, so that there are not as many
/// guesses as ways to write it.
fn account(app: &App, typed: &str) -> String {
    if app.options.declares(typed) { typed.to_owned() } else { User::name(typed).unwrap_or_default() }
}

/// Who it is, and what of it must still be right when it is written down; nothing, of the person of the configuration.
async fn prove(app: &App, claim: Claim, now: Time) -> Result<(String, Option<Shown>), Problem> {
    let Claim { user: name, password, code } = claim;
    let is_declared = app.options.declares(&name);
    let user = match User::name(&name) {
        Ok(name) if !is_declared => app.store.read()?.user(&name)?,
        _ => None,
    };
    let declared = app.options.admin_password.as_deref().unwrap_or_default();
    let is_theirs = is_same(password.expose().as_bytes(), declared.as_bytes());
    let compared = app.reception.compare(user.as_ref().map(|user| user.hash.clone()), password).await?;
    if is_declared && is_theirs {
        return Ok((app.options.admin_user.clone(), None));
    }
    let user = user.filter(|user| compared.is_it && !user.is_disabled).ok_or_else(wrong)?;
    let step = match (&user.totp, code) {
        (None, _) => None,
        (Some(_), None) => {
            return Err(Problem::new(Code::TotpNeeded, "type the six digits that your phone shows for bluetick"));
        }
        (Some(phone), Some(code)) => Some(own::open(app, &user.name, phone)?.step_of(&code, now).ok_or_else(wrong)?),
    };
    let shown = Shown { generation: user.generation, step, rehashed: compared.rehashed };
    Ok((user.name, Some(shown)))
}

/// Says in the log that somebody was not let in: there are only so many a minute. What was typed as a name is said only if somebody
/// has that name, since it may be a password.
fn note_wrong(app: &App, who: &Principal, name: &str) -> Result<(), Problem> {
    app.tally.wrong_logins.add(app.clock.now());
    let known = User::name(name).unwrap_or_default();
    let is_somebody = app.options.declares(name) || app.store.read()?.user(&known)?.is_some();
    let user = if is_somebody { name } else { "unknown" };
    let from = who.actor.address.as_deref().unwrap_or("local");
    tracing::warn!(user, from, "a log-in failed: the name, the password or the code was wrong");
    Ok(())
}

/// The one answer to whatever is not right.
fn wrong() -> Problem {
    Problem::new(Code::WrongLogin, "the name, the password or the code is wrong; a code is taken once")
}

/// Shows once more who sits there: by the code of their phone, if they have one, else by their password.
pub(super) async fn step_up(request: HttpRequest, app: Data<App>, payload: Payload) -> Result<HttpResponse, Problem> {
    let (who, now) = (Principal::of(&request), app.clock.now());
    let body = body::json(&request, payload, MAX_BODY).await?;
    let mut fields = Fields::read(&body, &["password", "code"], Code::InvalidUser)?;
    let (password, code): (String, String) = (fields.take("password", "a text"), fields.take("code", "a text"));
    fields.end()?;
    let visit = who.visit()?;
    let shown = guess(&app, &request, &who, prove_again(&app, visit, Secret::new(password), &code, now)).await?;
    let session = Session { proven_at: now, ..visit.session.clone() };
    let deed = Deed::new("session.proven", visit.id.to_string(), "");
    grant(&app, &who, session, Before::GoesOn(visit.id), shown, deed).await
}

/// Lets somebody who is logged in prove something as seldom as a stranger may: their session may be in other hands.
pub(super) async fn guess<T>(
    app: &App,
    request: &HttpRequest,
    who: &Principal,
    proof: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let (client, account) = (app.client(request), who.visit()?.session.user.as_str());
    app.limits.login(client, account, app.clock.now())?;
    let proven = proof.await;
    match &proven {
        Ok(_) => app.limits.login_succeeded(client, account),
        Err(_) => {
            note_wrong(app, who, account)?;
            app.limits.login_failed(client, account, app.clock.now());
        }
    }
    proven
}

/// Whether it is still them.
pub(super) async fn prove_again(
    app: &App,
    visit: &Visit,
    password: Secret,
    code: &str,
    now: Time,
) -> Result<Option<Shown>, Problem> {
    let Some(user) = &visit.user else {
        let declared = app.options.admin_password.as_deref().unwrap_or_default();
        let is_it = is_same(password.expose().as_bytes(), declared.as_bytes());
        return if is_it { Ok(None) } else { Err(wrong()) };
    };
    let shown = |step, rehashed| Some(Shown { generation: user.generation, step, rehashed });
    if let Some(phone) = &user.totp {
        let step = own::open(app, &user.name, phone)?.step_of(code, now).ok_or_else(wrong)?;
        return Ok(shown(Some(step), None));
    }
    let compared = app.reception.compare(Some(user.hash.clone()), password).await?;
    if compared.is_it { Ok(shown(None, compared.rehashed)) } else { Err(wrong()) }
}

/// Keeps a session and gives its token to the browser.
async fn grant(
    app: &App,
    who: &Principal,
    session: Session,
    before: Before,
    shown: Option<Shown>,
    deed: Deed,
) -> Result<HttpResponse, Problem> {
    let token = SessionToken::new(rand::random());
    let deed = Deed { object: token.id().to_string(), ..deed };
    let act = Act::OpenSession(Box::new(Opening { id: token.id(), session, before, shown }));
    match govern(app, who, act, deed).await? {
        Written::Governed => Ok(HttpResponse::NoContent().insert_header((SET_COOKIE, cookie::give(&token))).finish()),
        // The code was taken, or the password changed, while it was looked at.
        Written::Stale => Err(wrong()),
        other => unreachable!("a session is kept or not, not {other:?}"),
    }
}

/// Does something about people, with a row in the audit log.
pub(super) async fn govern(app: &App, who: &Principal, act: Act, deed: Deed) -> Result<Written, Problem> {
    let written = app.store.write(Write::Govern(Box::new(Govern { by: who.actor.clone(), act, deed }))).await?;
    // Whatever it was, somebody's streams may have lost their right.
    app.revoked.send_modify(|times| *times += 1);
    Ok(written)
}

/// Who is logged in.
pub(super) async fn show(request: HttpRequest) -> Result<Json<WhoView>, Problem> {
    let who = Principal::of(&request);
    let visit = who.visit()?;
    Ok(Json(WhoView {
        user: visit.session.user.clone(),
        role: visit.role().as_str(),
        scopes: who.scopes.iter().map(Scope::as_str).collect(),
        has_totp: visit.user.as_ref().is_some_and(|user| user.totp.is_some()),
        is_declared: visit.session.is_declared,
        step_up_until: visit.session.proven_until().to_string(),
        ends_at: visit.session.ends_at().to_string(),
    }))
}

/// Logs out. Pages that the browser keeps to go back to are thrown away with it.
pub(super) async fn close(request: HttpRequest, app: Data<App>) -> Result<HttpResponse, Problem> {
    let who = Principal::of(&request);
    let id = who.visit()?.id;
    let deed = Deed::new("session.closed", id.to_string(), "");
    govern(&app, &who, Act::EndSessions(Sessions::One(id)), deed).await?;
    let clear = (HeaderName::from_static("clear-site-data"), "\"cache\"");
    Ok(HttpResponse::NoContent().insert_header((SET_COOKIE, cookie::take())).insert_header(clear).finish())
}

/// The sessions that somebody may end: their own; all of them, if they look after users.
pub(super) async fn list(request: HttpRequest, app: Data<App>) -> Result<Json<SessionsView>, Problem> {
    let who = Principal::of(&request);
    let own = who.visit.as_ref().map(|visit| visit.id);
    let sessions = theirs(&app, &who)?.into_iter().map(|(id, session)| SessionView {
        id: id.to_string(),
        is_own: own == Some(id),
        created_at: session.created_at.to_string(),
        seen_at: session.seen_at.to_string(),
        ends_at: session.ends_at().to_string(),
        user: session.user,
        address: session.address,
        agent: session.agent,
    });
    Ok(Json(SessionsView { data: sessions.collect() }))
}

/// Ends one of them.
pub(super) async fn end(request: HttpRequest, app: Data<App>, id: Path<String>) -> Result<HttpResponse, Problem> {
    let who = Principal::of(&request);
    let missing = || Problem::not_found("session: GET /admin/api/sessions lists them");
    let found = theirs(&app, &who)?.into_iter().find(|(known, _)| known.to_string() == *id);
    let (id, session) = found.ok_or_else(missing)?;
    let deed = Deed::new("session.ended", id.to_string(), format!("of {}", session.user));
    match govern(&app, &who, Act::EndSessions(Sessions::One(id)), deed).await? {
        Written::Stale => Err(missing()),
        _ => Ok(HttpResponse::NoContent().finish()),
    }
}

/// Ends all of them, or all of one person.
pub(super) async fn end_many(
    request: HttpRequest,
    app: Data<App>,
    query: Query<EndQuery>,
) -> Result<HttpResponse, Problem> {
    let who = Principal::of(&request);
    let (which, of) = match query.into_inner().user {
        Some(user) => {
            let known = app.store.read()?.user(&user.to_lowercase())?.map(|user| user.name);
            let known = known.or_else(|| app.options.declares(&user).then_some(user));
            let user = known.ok_or_else(|| Problem::not_found("user: GET /admin/api/users lists them"))?;
            (Sessions::Of(user.clone()), user)
        }
        None => (Sessions::All, "everybody".to_owned()),
    };
    govern(&app, &who, Act::EndSessions(which), Deed::new("sessions.ended", of, "")).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn theirs(app: &App, who: &Principal) -> Result<Vec<(SessionId, Session)>, Problem> {
    let mut sessions = app.store.read()?.sessions(app.clock.now())?;
    if !who.scopes.has(Scope::Users) {
        let own = who.visit()?;
        let is_own =
            |session: &Session| session.user == own.session.user && session.is_declared == own.session.is_declared;
        sessions.retain(|(_, session)| is_own(session));
    }
    sessions.sort_by_key(|(_, session)| std::cmp::Reverse(session.seen_at));
    Ok(sessions)
}

fn claim(body: &[u8]) -> Result<Claim, Problem> {
    let mut fields = Fields::read(body, &["user", "password", "code"], Code::InvalidUser)?;
    let (user, password): (String, String) = (fields.take("user", "a text"), fields.take("password", "a text"));
    let code: Option<String> = fields.take("code", "a text");
    fields.end()?;
    let code = code.filter(|code| !code.trim().is_empty());
    Ok(Claim { user, password: Secret::new(password), code })
}

fn agent(request: &HttpRequest) -> String {
    let agent = request.headers().get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
    agent.unwrap_or_default()
}

#[cfg(test)]
mod tests;
