//! `/v1/quarantine`: webhooks that were refused because of their signature, why that was, and letting them in once it is repaired.
//!
//! Invariant: nothing is ever let in on a guess: a replay goes through the same door as the first time, and stays outside unless its
//! signature is right by what is configured then.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Json, Path, block};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::app::App;
use super::error::{Code, Problem, ProblemBody};
use super::webhooks;
use crate::alert::Alert;
use crate::clock::Time;
use crate::keyring::{Kind, Secret, State, Vault};
use crate::store::{MAX_QUARANTINED, Quarantined, Write};
use crate::twilio::doctor::{self, HINTS, Known, Setup, Standing};
use crate::twilio::webhook::{Refusal, Request};
use crate::twilio::wire::parse_form;

/// Requests a second that are kept: Twilio's own come slower than this to a small team, and a flood must not wear out the disk.
const MAX_PER_S: u64 = 10;
/// The alert that says that callbacks are refused.
const REFUSED: &str = "callbacks_refused";
/// Our webhooks below the public URL.
const PATHS: [&str; 2] = ["/webhooks/twilio/status", "/webhooks/twilio/inbound"];

/// A refused request, as it came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Refused {
    method: String,
    target: String,
    content_type: Option<String>,
    body: Vec<u8>,
    signature: Option<String>,
    /// What hints at what happened on its way.
    hints: Vec<(String, String)>,
    /// Who brought it.
    address: Option<String>,
    /// Why it was refused.
    reason: String,
}

/// A refused request, without what it says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantined)]
pub(super) struct QuarantinedView {
    /// Names it.
    id: u64,
    at: String,
    /// Who brought it.
    address: Option<String>,
    method: String,
    /// Where it came, without the part that names an attempt.
    path: String,
    /// Why it was refused.
    #[schema(example = "bad_signature")]
    reason: String,
    /// The names of its parameters.
    parameters: Vec<String>,
    /// How long its body is.
    bytes: usize,
}

/// What is in quarantine.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantine)]
pub(super) struct QuarantineView {
    /// The newest first; 200 at most, for a day.
    data: Vec<QuarantinedView>,
}

/// Why a request was refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Diagnosis)]
pub(super) struct DiagnosisView {
    /// The stable word: `right` (by now), the one thing that is wrong, `several`, or what is only guessed.
    code: &'static str,
    /// The cause, and what to do.
    sentence: String,
    /// Whether it is proven.
    certain: bool,
    /// Which token gives this signature.
    token: Option<String>,
    /// The URL that was signed.
    called: Option<String>,
    /// What `public_url` must be, if that is what is wrong.
    public_url: Option<String>,
    /// The exact string that was signed.
    signed: Option<String>,
}

/// What was let in.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Replayed {
    /// Their signatures are right by now: they are recorded as if they had just come.
    let_in: usize,
    /// Their signatures are still wrong.
    still_refused: usize,
}

/// Keeps a request that was refused because of its signature; how many a second, is bounded. Nobody waits for it.
pub(super) fn keep(app: &Data<App>, request: &HttpRequest, body: &[u8], refusal: Refusal) {
    let now = app.clock.now();
    if !matches!(refusal, Refusal::BadSignature | Refusal::NoSignature) || app.tally.quarantined.add(now) > MAX_PER_S {
        return;
    }
    app.board.raise(Alert {
        code: REFUSED,
        detail: format!(
            "Twilio's callbacks are refused, or somebody plays Twilio: the newest at {now}, for its signature"
        ),
        action: "bluetick quarantine explain says why; once it is repaired, those that are right by then are let in by themselves".into(),
        is_blocking: false,
    });
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let refused = Refused {
        method: request.method().to_string(),
        target: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
        content_type: text(CONTENT_TYPE.as_str()),
        body: body.to_vec(),
        signature: text("x-twilio-signature"),
        hints: HINTS.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?))).collect(),
        address: super::auth::peer(request).map(|address| address.to_string()),
        reason: refusal.code().to_owned(),
    };
    let app = Data::clone(app);
    actix_web::rt::spawn(async move {
        if let Err(error) = seal(&app, &refused, now).await {
            tracing::warn!(%error, "a refused request could not be put into quarantine");
        }
    });
}

async fn seal(app: &App, refused: &Refused, now: Time) -> Result<(), Problem> {
    let vault = app.custody.vault().await?;
    // Two of one moment differ in the rest; a browser's numbers end at 53 bits.
    let seq = u64::try_from(now.0).unwrap_or(0) << 10 | u64::from(rand::random::<u16>() >> 6);
    let text = Secret::new(serde_json::to_string(refused).expect("a request is plain strings and bytes"));
    let sealed = vault.seal(&purpose(seq), &text, rand::random());
    app.store.write(Write::Quarantine(seq, Box::new(sealed))).await?;
    Ok(())
}

fn purpose(seq: u64) -> String {
    format!("quarantine|{seq}")
}

fn open(vault: &Vault, row: &Quarantined) -> Option<Refused> {
    let text = vault.open(&purpose(row.seq), &row.sealed)?;
    serde_json::from_str(text.expose()).ok()
}

/// Everything in it that opens.
fn read(app: &App) -> Result<Vec<(Quarantined, Refused)>, Problem> {
    let Some(vault) = app.custody.keyring().vault() else { return Ok(Vec::new()) };
    let rows = app.store.read()?.quarantine(app.clock.now())?;
    Ok(rows.into_iter().filter_map(|row| open(&vault, &row).map(|refused| (row, refused))).collect())
}

/// What was refused because of its signature, without what it says.
#[utoipa::path(get, path = "/v1/quarantine", tag = "quarantine", responses((status = 200, body = QuarantineView)))]
pub(super) async fn list(app: Data<App>) -> Result<Json<QuarantineView>, Problem> {
    let data = read(&app)?.into_iter().map(|(row, refused)| QuarantinedView::of(&row, refused)).collect();
    Ok(Json(QuarantineView { data }))
}

/// Says why one was refused: tried offline are the URLs, the tokens and the readings that people and proxies mix up.
#[utoipa::path(get, path = "/v1/quarantine/{id}/diagnosis", tag = "quarantine",
    params(("id" = u64, Path, description = "Its number in the list")),
    responses((status = 200, body = DiagnosisView), (status = 404, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(super) async fn diagnose(app: Data<App>, id: Path<u64>) -> Result<Json<DiagnosisView>, Problem> {
    let id = id.into_inner();
    let found = read(&app)?.into_iter().find(|(row, _)| row.seq == id);
    let (_, refused) = found.ok_or_else(|| Problem::not_found("request in quarantine"))?;
    let diagnosis = block(move || refused.explain(&app)).await;
    let cut_off = |_| Problem::new(Code::Busy, "the diagnosis was cut off: ask again");
    Ok(Json(diagnosis.map_err(cut_off)?))
}

/// Lets in what is right by now: a replay is judged as the first time, by what is configured now.
#[utoipa::path(post, path = "/v1/quarantine/replays", tag = "quarantine",
    responses((status = 200, body = Replayed), (status = 503, body = ProblemBody)))]
pub(super) async fn replay(app: Data<App>) -> Result<Json<Replayed>, Problem> {
    replay_all(&app).await.map(Json)
}

/// Replays after every start and every change of a secret, until told to stop: a repair is one of the two, and what came before it need
/// not wait for a person, nor for Twilio to be asked.
pub async fn make_up(app: Data<App>, mut stop: watch::Receiver<bool>) {
    let mut changes = app.custody.changes();
    loop {
        changes.mark_unchanged();
        match replay_all(&app).await {
            Ok(Replayed { let_in: 0, .. }) => {}
            Ok(Replayed { let_in, still_refused }) => {
                tracing::info!(let_in, still_refused, "webhooks that were refused are right by now, and were let in");
            }
            Err(error) => tracing::warn!(%error, "webhooks that were refused could not be tried again"),
        }
        tokio::select! {
            Ok(()) = changes.changed() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn replay_all(app: &Data<App>) -> Result<Replayed, Problem> {
    let mut replayed = Replayed::default();
    // In the order in which they came.
    for (row, refused) in read(app)?.into_iter().rev() {
        match webhooks::take(app, &refused.request()).await {
            Ok(()) => {
                app.store.write(Write::ReleaseQuarantined(vec![row.seq])).await?;
                replayed.let_in += 1;
            }
            Err(problem) if problem.status().is_server_error() => return Err(problem),
            Err(_) => replayed.still_refused += 1,
        }
    }
    if replayed.still_refused == 0 {
        app.board.clear(REFUSED);
    }
    Ok(replayed)
}

/// Empties it.
#[utoipa::path(delete, path = "/v1/quarantine", tag = "quarantine",
    responses((status = 204, description = "It is empty"), (status = 503, body = ProblemBody)))]
pub(super) async fn empty(app: Data<App>) -> Result<HttpResponse, Problem> {
    let rows = app.store.read()?.quarantine(Time(i64::MIN))?;
    debug_assert!(rows.len() <= MAX_QUARANTINED);
    app.store.write(Write::ReleaseQuarantined(rows.iter().map(|row| row.seq).collect())).await?;
    app.board.clear(REFUSED);
    Ok(HttpResponse::NoContent().finish())
}

impl Refused {
    fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            target: &self.target,
            content_type: self.content_type.as_deref(),
            body: &self.body,
            signature: self.signature.as_deref(),
        }
    }

    fn explain(&self, app: &App) -> DiagnosisView {
        let now = app.clock.now();
        let keyring = app.custody.keyring();
        let tokens = keyring.held(Kind::TwilioAuthToken).into_iter().map(|held| {
            let standing = match held.state {
                state if !state.is_live(now) => Standing::Retired,
                State::Retiring(_) => Standing::Retiring,
                _ => Standing::Accepted,
            };
            Known { name: format!("the auth token of generation {}", held.generation), token: held.value, standing }
        });
        let keys = keyring.held(Kind::TwilioApiKey).into_iter().filter_map(|held| {
            let secret = held.value.expose().split_once(':')?.1.into();
            Some(Known { name: "the API key's secret".to_owned(), token: secret, standing: Standing::ApiKey })
        });
        let tokens: Vec<_> = tokens.chain(keys).collect();
        let headers: Vec<_> = self.hints.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let account_sid = app.webhook.as_ref().map_or("", |webhook| webhook.account_sid.as_str());
        let public_url = app.public_url.as_deref().unwrap_or_default();
        let setup = Setup { public_url, account_sid, paths: &PATHS, tokens: &tokens };
        let said = doctor::explain(&self.request(), &headers, &setup);
        DiagnosisView {
            code: said.code,
            certain: said.is_certain,
            token: said.token,
            called: said.called,
            public_url: said.public_url,
            signed: said.signed,
            sentence: said.sentence,
        }
    }
}

impl QuarantinedView {
    fn of(row: &Quarantined, refused: Refused) -> Self {
        let path = refused.target.split('?').next().unwrap_or_default();
        // The last part of an attempt's own path is what lets a callback in without a SID.
        let path = match path.strip_prefix("/webhooks/twilio/status/") {
            Some(_) => "/webhooks/twilio/status/…".to_owned(),
            None => path.chars().take(200).collect(),
        };
        let names = parse_form(&refused.body).unwrap_or_default();
        let mut parameters: Vec<_> = names.into_iter().map(|(name, _)| name.chars().take(60).collect()).collect();
        parameters.dedup();
        Self {
            id: row.seq,
            at: row.at.to_string(),
            address: refused.address,
            method: refused.method,
            path,
            reason: refused.reason,
            parameters,
            bytes: refused.body.len(),
        }
    }
}

#[cfg(test)]
mod tests;
