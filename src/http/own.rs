//! `/admin/api/session/…`: what people change about themselves: their password, and the phone whose codes are asked for.
//!
//! Not here: the person of the configuration, of whom nothing is kept.

use actix_web::web::{Data, Json, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::app::App;
use super::body;
use super::error::{Code, Problem};
use super::fields::Fields;
use super::principal::Principal;
use super::sessions::{MAX_BODY, govern, guess};
use super::users;
use crate::audit::Deed;
use crate::keyring::{Phone, Secret, Totp, User, password};
use crate::store::{Act, Ending, Written};

/// A phone that is to show codes.
#[derive(Debug, Serialize)]
pub(super) struct EnrolmentView {
    /// What is typed into the app.
    secret: String,
    /// What it takes all of it from.
    uri: String,
}

/// Changes one's own password; every other session ends.
pub(super) async fn password(request: HttpRequest, app: Data<App>, payload: Payload) -> Result<HttpResponse, Problem> {
    let who = Principal::of(&request);
    let body = body::json(&request, payload, MAX_BODY).await?;
    let mut fields = Fields::read(&body, &["current", "password"], Code::InvalidUser)?;
    let (current, new): (String, String) = (fields.take("current", "a text"), fields.take("password", "a text"));
    let mut user = own(&who)?;
    if let Err(error) = password::check(&new, &user.name) {
        fields.wrong("password", error.to_string());
    }
    fields.end()?;
    let is_theirs = async {
        let compared = app.reception.compare(Some(user.hash.clone()), Secret::new(current)).await?;
        let another = || Problem::new(Code::WrongLogin, "the current password is another");
        compared.is_it.then_some(()).ok_or_else(another)
    };
    guess(&app, &request, &who, is_theirs).await?;
    user.hash = app.reception.hash(Secret::new(new)).await?;
    user.password_at = app.clock.now();
    keep(&app, &who, user, Ending::AllBut(who.visit()?.id), "user.password_changed").await
}

/// Shows the secret that a phone makes codes from; it is asked for only once a code was right.
pub(super) async fn enrol(request: HttpRequest, app: Data<App>) -> Result<Json<EnrolmentView>, Problem> {
    let who = Principal::of(&request);
    let mut user = own(&who)?;
    let (vault, totp) = (app.custody.vault().await?, Totp::new(rand::random()));
    let view =
        EnrolmentView { secret: totp.text().expose().to_owned(), uri: totp.address(&user.name).expose().to_owned() };
    user.enrolling = Some(Phone::keep(&user.name, &totp, &vault, rand::random()));
    keep(&app, &who, user, Ending::None, "user.totp_begun").await?;
    Ok(Json(view))
}

/// The phone shows the right code: from now on it is asked for.
pub(super) async fn confirm(request: HttpRequest, app: Data<App>, payload: Payload) -> Result<HttpResponse, Problem> {
    let (who, now) = (Principal::of(&request), app.clock.now());
    let body = body::json(&request, payload, MAX_BODY).await?;
    let mut fields = Fields::read(&body, &["code"], Code::InvalidUser)?;
    let code: String = fields.take("code", "a text");
    fields.end()?;
    let mut user = own(&who)?;
    let Some(mut phone) = user.enrolling.take() else {
        return Err(Problem::new(Code::InvalidUser, "no phone is being enrolled: POST /admin/api/session/totp begins"));
    };
    // The code is taken, so that it does not log anybody in as well.
    let step = open(&app, &user.name, &phone)?.step_of(&code, now);
    if !step.is_some_and(|step| phone.take(step)) {
        return Err(Problem::new(Code::WrongLogin, "the phone shows another code: is its clock right?"));
    }
    user.totp = Some(phone);
    keep(&app, &who, user, Ending::AllBut(who.visit()?.id), "user.totp_on").await
}

/// No phone is asked for any more.
pub(super) async fn forget(request: HttpRequest, app: Data<App>) -> Result<HttpResponse, Problem> {
    let who = Principal::of(&request);
    let mut user = own(&who)?;
    (user.totp, user.enrolling) = (None, None);
    keep(&app, &who, user, Ending::AllBut(who.visit()?.id), "user.totp_off").await
}

/// What the codes of a phone are made from.
pub(super) fn open(app: &App, user: &str, phone: &Phone) -> Result<Totp, Problem> {
    let opened = app.custody.keyring().vault().and_then(|vault| phone.open(user, &vault));
    let detail = "the secret of the phone does not open: bluetick admin totp-off takes the phone away";
    opened.ok_or_else(|| Problem::new(Code::VaultLocked, detail))
}

fn own(who: &Principal) -> Result<User, Problem> {
    let detail = "you are the user of the configuration: change http.admin_password there";
    who.visit()?.user.clone().ok_or_else(|| Problem::new(Code::Forbidden, detail))
}

async fn keep(app: &App, who: &Principal, user: User, ending: Ending, action: &str) -> Result<HttpResponse, Problem> {
    let expected = user.generation;
    let deed = Deed::new(action, user.name.clone(), "");
    let user = Box::new(User { generation: expected + 1, ..user });
    match govern(app, who, Act::KeepUser { user, expected: Some(expected), ending }, deed).await? {
        Written::Governed => Ok(HttpResponse::NoContent().finish()),
        _ => Err(users::stale()),
    }
}
