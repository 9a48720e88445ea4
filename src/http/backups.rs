//! `GET` and `POST /v1/backups`: the backups there are, and a new one, made beside the running house.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, block};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::error::{Code, Problem, ProblemBody};
use crate::backup::{self, Backup, BackupError};
use crate::store::{NeededKeys, Run, Upkeep, Write};

/// It reads every row: one at a time is plenty.
static IS_BUSY: AtomicBool = AtomicBool::new(false);

/// A backup.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backup)]
pub(super) struct BackupView {
    /// Its file, on the machine of bluetick.
    #[schema(example = "data/backups/bluetick-20261125T033000.000Z.backup.zst")]
    file: String,
    /// How large it is.
    bytes: u64,
    /// What it shows is how everything stood at this time.
    #[schema(example = "2026-11-25T03:30:00.000Z")]
    taken_at: String,
    /// How many messages it has.
    messages: u64,
    /// How many more are in the archive; its segments stand beside the backups.
    archived: u64,
    /// How many inbound messages it has.
    inbound: u64,
    /// Which version made it; a later one can restore it.
    version: String,
    /// What opens the secrets in it; null if there are none, and nothing is needed.
    keys: Option<KeysView>,
}

/// The names of the keys of which one opens the secrets in a backup.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackupKeys)]
pub(super) struct KeysView {
    /// The master key's.
    #[schema(example = "3fa9c2d1")]
    master_key: String,
    /// The recovery key's, if there was one.
    recovery_key: Option<String>,
}

/// Backups, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Backups {
    data: Vec<BackupView>,
}

impl From<Backup> for BackupView {
    fn from(backup: Backup) -> Self {
        let Backup { path, bytes, head } = backup;
        Self {
            file: path.display().to_string(),
            bytes,
            taken_at: head.taken_at,
            messages: head.messages,
            archived: head.archived,
            inbound: head.inbound,
            version: head.version,
            keys: head.keys.map(|NeededKeys { master_key, recovery_key }| KeysView { master_key, recovery_key }),
        }
    }
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        tracing::error!(%error, "a backup could not be made or read");
        Self::new(Code::BackupFailed, error.to_string())
    }
}

/// The backups there are, newest first.
#[utoipa::path(get, path = "/v1/backups", tag = "backups", responses((status = 200, body = Backups)))]
pub(super) async fn list(app: Data<App>) -> Result<Json<Backups>, Problem> {
    let folder = app.backups.folder(&app.data_dir);
    let data = in_background(move || backup::list(&folder)).await?;
    Ok(Json(Backups { data: data.into_iter().map(BackupView::from).collect() }))
}

/// Makes a backup now. It reads one moment of everything while the house goes on; the oldest one too many goes.
#[utoipa::path(post, path = "/v1/backups", tag = "backups",
    responses((status = 201, body = BackupView), (status = 500, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(super) async fn create(app: Data<App>) -> Result<HttpResponse, Problem> {
    if IS_BUSY.swap(true, Ordering::AcqRel) {
        return Err(Problem::new(Code::Busy, "a backup is being made already: ask again when it is done"));
    }
    let (snapshot, at, begun) = (app.store.read(), app.clock.now(), Instant::now());
    let (folder, keep) = (app.backups.folder(&app.data_dir), app.backups.keep);
    let made = in_background(move || {
        let made = snapshot.map_err(BackupError::from).and_then(|snapshot| backup::renew(&snapshot, &folder, keep, at));
        IS_BUSY.store(false, Ordering::Release);
        made
    });
    let made = made.await;
    let outcome = match &made {
        Ok(backup) => Ok(backup.to_string()),
        Err(problem) => Err(problem.detail.clone()),
    };
    app.store.write(Write::Ran(Upkeep::Backup, Run { at, took: begun.elapsed(), outcome })).await?;
    Ok(HttpResponse::Created().json(BackupView::from(made?)))
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, Problem> {
    let done = block(work).await.map_err(|_| Problem::new(Code::Busy, "it was cut off: ask again"))?;
    Ok(done?)
}
