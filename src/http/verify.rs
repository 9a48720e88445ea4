//! `GET /v1/verify`: every number and index recomputed from the records, beside the running house.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::web::{Data, Json, block};
use serde::Serialize;
use utoipa::ToSchema;

use super::app::App;
use super::error::{Code, Problem, ProblemBody};
use crate::store::{self, Findings};

/// It reads every record: one at a time is plenty.
static IS_BUSY: AtomicBool = AtomicBool::new(false);

/// What a check of the whole store found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FindingsView {
    /// Messages that were read.
    messages: u64,
    /// How many of them are in the archive.
    archived: u64,
    /// Inbound messages that were read.
    inbound: u64,
    /// People that were read.
    contacts: u64,
    /// Rollup cells that were compared.
    cells: u64,
    /// Index rows that were compared.
    index_rows: u64,
    /// How many things differ: 0, or there is a bug.
    count: u64,
    /// The first of them.
    differences: Vec<DifferenceView>,
}

/// One thing that is not what the records say.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DifferenceView {
    /// Which table.
    place: &'static str,
    /// What is wrong, in words.
    detail: String,
}

impl From<Findings> for FindingsView {
    fn from(findings: Findings) -> Self {
        let Findings { messages, archived, inbound, contacts, cells, index_rows, count, differences } = findings;
        let view =
            |difference: store::Difference| DifferenceView { place: difference.place, detail: difference.detail };
        let differences = differences.into_iter().map(view).collect();
        Self { messages, archived, inbound, contacts, cells, index_rows, count, differences }
    }
}

/// Recomputes every number and index from the records. It reads everything there is, one run at a time.
#[utoipa::path(get, path = "/v1/verify", tag = "status",
    responses((status = 200, body = FindingsView), (status = 503, body = ProblemBody)))]
pub(super) async fn show(app: Data<App>) -> Result<Json<FindingsView>, Problem> {
    if IS_BUSY.swap(true, Ordering::AcqRel) {
        return Err(Problem::new(Code::Busy, "a check is running already: ask again when it is done"));
    }
    let snapshot = app.store.read();
    let found = block(move || {
        let found = snapshot.and_then(|snapshot| store::verify(&snapshot, |_, _| ()));
        IS_BUSY.store(false, Ordering::Release);
        found
    });
    match found.await {
        Ok(findings) => Ok(Json(findings?.into())),
        Err(_) => Err(Problem::new(Code::Busy, "the check was cut off: ask again")),
    }
}
