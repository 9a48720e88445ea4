//! `/admin/api/setup`: the first person comes in with a code that is shown on the machine only.
//!
//! Invariant: there is no account that everybody knows; and once there is anybody, no code opens anything.

use actix_web::web::{Data, Json, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::app::App;
use super::body;
use super::error::{Code, Problem};
use super::fields::Fields;
use super::principal::Principal;
use super::sessions::{MAX_BODY, govern};
use super::users;
use crate::audit::Deed;
use crate::keyring::{Role, User};
use crate::store::{Act, StoreError, Written};

/// Whether the first person is still to be entered.
#[derive(Debug, Serialize)]
pub(super) struct SetupView {
    is_open: bool,
}

/// A fresh code.
#[derive(Debug, Serialize)]
pub(super) struct CodeView {
    code: String,
}

/// Whether somebody must set bluetick up before anybody can log in.
pub(super) async fn show(app: Data<App>) -> Result<Json<SetupView>, Problem> {
    Ok(Json(SetupView { is_open: app.awaits_setup()? }))
}

/// The first person is entered.
#[derive(Debug, Serialize)]
pub(super) struct BegunView {
    /// Opens the secrets of a backup on another machine, and is not shown again; null if somebody has one, or none can be made now.
    recovery_key: Option<String>,
}

/// Enters the first person, who may do everything, and hands over the recovery key.
pub(super) async fn begin(request: HttpRequest, app: Data<App>, payload: Payload) -> Result<HttpResponse, Problem> {
    let (who, now) = (Principal::of(&request), app.clock.now());
    let body = body::json(&request, payload, MAX_BODY).await?;
    let mut fields = Fields::read(&body, &["code", "user", "password"], Code::InvalidUser)?;
    let code: String = fields.take("code", "a text");
    let name = users::name(&mut fields, "user");
    let secret = users::new_password(&mut fields, &name);
    // What is wrong with name or password costs no guess at the code.
    fields.end()?;
    if !app.awaits_setup()? {
        return Err(over());
    }
    if !who.is_local() && !app.reception.opens(&code, now) {
        let detail = "the set-up code is wrong or too old: bluetick admin setup-code on the machine shows a fresh one";
        return Err(Problem::new(Code::WrongLogin, detail));
    }
    let user = User::new(&name, Role::Admin, true, app.reception.hash(secret).await?, now);
    let deed = Deed::new("user.created", name.clone(), "admin with pii:read, by the set-up code");
    let by = if who.is_local() { who } else { who.named(&name) };
    match govern(&app, &by, Act::KeepFirst(Box::new(user)), deed).await? {
        Written::Governed => {
            app.reception.is_set_up();
            Ok(HttpResponse::Created().json(BegunView { recovery_key: recovery_key(&app, &by).await? }))
        }
        _ => Err(over()),
    }
}

/// They are entered whether it can be made or not: it can be later, too.
async fn recovery_key(app: &App, by: &Principal) -> Result<Option<String>, Problem> {
    if app.store.read()?.locks()?.is_some_and(|locks| locks.by_recovery.is_some()) {
        return Ok(None);
    }
    match app.custody.new_recovery_key(&by.actor).await {
        Ok(key) => Ok(Some(key.expose().to_owned())),
        Err(error) => {
            tracing::warn!(%error, "no recovery key could be made: do it later, by bluetick secrets recovery-key");
            Ok(None)
        }
    }
}

/// Makes a fresh code; the one before opens nothing any more.
pub(super) async fn code(request: HttpRequest, app: Data<App>) -> Result<Json<CodeView>, Problem> {
    if !Principal::of(&request).is_local() {
        return Err(Problem::new(Code::Forbidden, "the code is shown on the machine only: bluetick admin setup-code"));
    }
    if !app.awaits_setup()? {
        return Err(over());
    }
    let code = app.reception.set_up(rand::random(), app.clock.now());
    Ok(Json(CodeView { code: code.expose().to_owned() }))
}

fn over() -> Problem {
    Problem::new(Code::SetUp, "somebody can log in already: they enter others, or bluetick admin does on the machine")
}

impl App {
    /// Whether nobody could log in.
    pub fn awaits_setup(&self) -> Result<bool, StoreError> {
        Ok(!self.options.declares(&self.options.admin_user) && !self.store.read()?.has_users()?)
    }
}

#[cfg(test)]
mod tests;
