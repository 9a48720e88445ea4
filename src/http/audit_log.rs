//! `GET /v1/audit`: who did what, newest first.

use actix_web::web::{Data, Json};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::app::App;
use super::error::{Problem, ProblemBody};
use super::query::Query;
use crate::audit::Entry;

const USUAL_LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuditQuery {
    /// How many at most (1 to 500, usually 50).
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<u64>,
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Audit)]
pub(super) struct AuditView {
    /// The newest first.
    data: Vec<EntryView>,
    /// Asks for the next page; null on the last.
    next_cursor: Option<u64>,
}

/// Something that was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct EntryView {
    /// Its number; there are no gaps.
    seq: u64,
    at: String,
    /// Who: `key:ak_…`, `user:…`, `local` for whoever may open the local socket, `job:…` for bluetick itself.
    #[schema(example = "key:ak_0123abcd")]
    by: String,
    /// Where they were.
    address: Option<String>,
    /// What the log calls the request.
    request_id: Option<String>,
    /// What was done.
    #[schema(example = "key.created")]
    action: String,
    /// To what.
    object: String,
    /// What came of it, or more about it.
    detail: String,
    /// The row's hash, over all of it and the hash of the row before.
    hash: String,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at.to_string(),
            by: entry.by.name,
            address: entry.by.address,
            request_id: entry.by.request,
            action: entry.deed.action,
            object: entry.deed.object,
            detail: entry.deed.detail,
            hash: HEXLOWER.encode(&entry.hash),
        }
    }
}

/// Who did what, newest first. `bluetick verify` proves that no row was changed or is missing.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = AuditView), (status = 400, body = ProblemBody)))]
pub(super) async fn list(app: Data<App>, query: Query<AuditQuery>) -> Result<Json<AuditView>, Problem> {
    let limit = query.limit.unwrap_or(USUAL_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::query("limit", format!("must be 1 to {MAX_LIMIT}")));
    }
    let rows = app.store.read()?.audit(query.cursor.unwrap_or(u64::MAX), limit)?;
    let next_cursor = rows.last().filter(|last| rows.len() == limit && last.seq > 1).map(|last| last.seq);
    Ok(Json(AuditView { data: rows.into_iter().map(EntryView::from).collect(), next_cursor }))
}
