//! `/admin/api/users`: who may use the pages, and as what.
//!
//! Invariant: nobody gives or touches more than they may do themselves, and nobody locks themselves out: there is always somebody
//! left who looks after users. What takes something away from somebody ends their sessions in the same commit.

use actix_web::web::{Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::app::App;
use super::body;
use super::error::{Code, Problem};
use super::fields::Fields;
use super::principal::Principal;
use super::sessions::{MAX_BODY, govern};
use crate::audit::Deed;
use crate::keyring::{Role, Scopes, Secret, User, password};
use crate::store::{Act, Ending, Written};

/// More people than this no page lists.
const MAX_USERS: usize = 200;

/// Somebody who may use the pages.
#[derive(Debug, Serialize)]
pub(super) struct UserView {
    name: String,
    role: &'static str,
    /// Whether they see who people are and what was written.
    pii: bool,
    /// Whether they are let in no more.
    disabled: bool,
    /// Whether the code of a phone is asked for.
    totp: bool,
    created_at: String,
    last_login_at: Option<String>,
    password_at: String,
}

/// Everybody who may.
#[derive(Debug, Serialize)]
pub(super) struct UsersView {
    data: Vec<UserView>,
    /// The person of the configuration, if there is one.
    declared: Option<String>,
}

/// Everybody.
pub(super) async fn list(app: Data<App>) -> Result<Json<UsersView>, Problem> {
    let users = app.store.read()?.users()?;
    let declared = Some(&app.options.admin_user).filter(|name| app.options.declares(name)).cloned();
    Ok(Json(UsersView { data: users.iter().map(UserView::of).collect(), declared }))
}

/// Enters somebody.
pub(super) async fn create(request: HttpRequest, app: Data<App>, payload: Payload) -> Result<HttpResponse, Problem> {
    let (who, now) = (Principal::of(&request), app.clock.now());
    let body = body::json(&request, payload, MAX_BODY).await?;
    let mut fields = Fields::read(&body, &["name", "role", "pii", "password"], Code::InvalidUser)?;
    let name = name(&mut fields, "name");
    let role = role(&mut fields).unwrap_or(Role::Viewer);
    let sees_people: bool = fields.take("pii", "true or false");
    let secret = new_password(&mut fields, &name);
    if app.options.declares(&name) {
        fields.wrong("name", "is the name of the user of the configuration (http.admin_user): choose another");
    }
    fields.end()?;
    only_what_they_have(&who, role.scopes(sees_people))?;
    if app.store.read()?.users()?.len() >= MAX_USERS {
        return Err(Problem::new(Code::InvalidUser, format!("there are {MAX_USERS} users already: remove one first")));
    }
    let user = User::new(&name, role, sees_people, app.reception.hash(secret).await?, now);
    let deed = Deed::new("user.created", name, told(&user));
    let act = Act::KeepUser { user: Box::new(user.clone()), expected: None, ending: Ending::None };
    match govern(&app, &who, act, deed).await? {
        Written::Governed => Ok(HttpResponse::Created().json(UserView::of(&user))),
        _ => Err(Problem::field(Code::InvalidUser, "name", "is taken: choose another, or change that user")),
    }
}

/// Changes what somebody may do; what is absent stays.
pub(super) async fn change(
    request: HttpRequest,
    app: Data<App>,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let who = Principal::of(&request);
    let body = body::json(&request, payload, MAX_BODY).await?;
    let mut fields = Fields::read(&body, &["role", "pii", "disabled"], Code::InvalidUser)?;
    let role = role_if_any(&mut fields);
    let (pii, disabled): (Option<bool>, Option<bool>) =
        (fields.take("pii", "true or false"), fields.take("disabled", "true or false"));
    fields.end()?;
    let before = touched(&app, &who, &name)?;
    not_oneself(&who, &before)?;
    let mut user = before.clone();
    user.role = role.unwrap_or(user.role);
    user.sees_people = pii.unwrap_or(user.sees_people);
    user.is_disabled = disabled.unwrap_or(user.is_disabled);
    only_what_they_have(&who, user.role.scopes(user.sees_people))?;
    let ending = if before.scopes().without(user.scopes()).is_empty() { Ending::None } else { Ending::All };
    let detail = told(&user);
    let user = keep(&app, &who, user, ending, "user.changed", detail).await?;
    Ok(HttpResponse::Ok().json(UserView::of(&user)))
}

/// Takes somebody out.
pub(super) async fn remove(request: HttpRequest, app: Data<App>, name: Path<String>) -> Result<HttpResponse, Problem> {
    let who = Principal::of(&request);
    let user = touched(&app, &who, &name)?;
    not_oneself(&who, &user)?;
    let deed = Deed::new("user.removed", user.name.clone(), "");
    match govern(&app, &who, Act::RemoveUser { name: user.name, expected: user.generation }, deed).await? {
        Written::Governed => Ok(HttpResponse::NoContent().finish()),
        _ => Err(stale()),
    }
}

/// Gives somebody another password; all their sessions end.
pub(super) async fn password(
    request: HttpRequest,
    app: Data<App>,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let who = Principal::of(&request);
    let body = body::json(&request, payload, MAX_BODY).await?;
    let mut fields = Fields::read(&body, &["password"], Code::InvalidUser)?;
    let mut user = touched(&app, &who, &name)?;
    let secret = new_password(&mut fields, &user.name);
    fields.end()?;
    user.hash = app.reception.hash(secret).await?;
    user.password_at = app.clock.now();
    keep(&app, &who, user, Ending::All, "user.password_set", String::new()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Somebody lost their phone: its codes are asked for no more, and all their sessions end.
pub(super) async fn totp_off(
    request: HttpRequest,
    app: Data<App>,
    name: Path<String>,
) -> Result<HttpResponse, Problem> {
    let who = Principal::of(&request);
    let mut user = touched(&app, &who, &name)?;
    (user.totp, user.enrolling) = (None, None);
    keep(&app, &who, user, Ending::All, "user.totp_off", String::new()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Somebody that this person may touch.
fn touched(app: &App, who: &Principal, name: &str) -> Result<User, Problem> {
    let missing = || Problem::not_found("user: GET /admin/api/users lists them");
    let user = app.store.read()?.user(&name.to_lowercase())?.ok_or_else(missing)?;
    // Whoever sets the password of somebody could do with it what they may not do themselves.
    only_what_they_have(who, user.role.scopes(user.sees_people))?;
    Ok(user)
}

fn only_what_they_have(who: &Principal, scopes: Scopes) -> Result<(), Problem> {
    let beyond = scopes.without(who.scopes);
    if beyond.is_empty() {
        return Ok(());
    }
    let detail = format!("{} may not give or change what goes beyond its own rights: {beyond}", who.name);
    Err(Problem::new(Code::Forbidden, detail))
}

/// Whoever is at work here stays able to go on.
fn not_oneself(who: &Principal, user: &User) -> Result<(), Problem> {
    let is_own = who.visit.as_ref().is_some_and(|visit| visit.user.as_ref().is_some_and(|own| own.name == user.name));
    let detail = "you would lock yourself out: somebody else must do this, or bluetick admin on the machine";
    if is_own { Err(Problem::new(Code::Forbidden, detail)) } else { Ok(()) }
}

async fn keep(
    app: &App,
    who: &Principal,
    user: User,
    ending: Ending,
    action: &str,
    detail: String,
) -> Result<User, Problem> {
    let expected = user.generation;
    let user = User { generation: expected + 1, ..user };
    let deed = Deed::new(action, user.name.clone(), detail);
    let act = Act::KeepUser { user: Box::new(user.clone()), expected: Some(expected), ending };
    match govern(app, who, act, deed).await? {
        Written::Governed => Ok(user),
        _ => Err(stale()),
    }
}

/// Somebody else was quicker.
pub(super) fn stale() -> Problem {
    Problem::new(Code::Stale, "the user was changed meanwhile: look at them, then ask again")
}

/// A user's name out of a body.
pub(super) fn name(fields: &mut Fields, field: &'static str) -> String {
    let given: String = fields.take(field, "a text");
    User::name(&given).unwrap_or_else(|error| {
        fields.wrong(field, error.to_string());
        String::new()
    })
}

/// A password out of a body that somebody of this name may have.
pub(super) fn new_password(fields: &mut Fields, name: &str) -> Secret {
    let given: String = fields.take("password", "a text");
    if let Err(error) = password::check(&given, name) {
        fields.wrong("password", error.to_string());
    }
    Secret::new(given)
}

fn role(fields: &mut Fields) -> Option<Role> {
    let role = role_if_any(fields);
    if role.is_none() {
        fields.wrong("role", "must be viewer, operator or admin");
    }
    role
}

fn role_if_any(fields: &mut Fields) -> Option<Role> {
    let word: Option<String> = fields.take("role", "a word");
    let role = word.as_deref().and_then(Role::parse);
    if word.is_some() && role.is_none() {
        fields.wrong("role", "must be viewer, operator or admin");
    }
    role
}

fn told(user: &User) -> String {
    let people = if user.sees_people { "with pii:read" } else { "without pii:read" };
    format!("{} {people}{}", user.role, if user.is_disabled { ", disabled" } else { "" })
}

impl UserView {
    fn of(user: &User) -> Self {
        Self {
            name: user.name.clone(),
            role: user.role.as_str(),
            pii: user.sees_people,
            disabled: user.is_disabled,
            totp: user.totp.is_some(),
            created_at: user.created_at.to_string(),
            last_login_at: user.last_login_at.map(|at| at.to_string()),
            password_at: user.password_at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
