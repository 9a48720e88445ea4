//! `GET /v1/messages/{id}/journal`: all that happened to a message, and who told us.

use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::get::find;
use crate::http::app::App;
use crate::http::error::{Problem, ProblemBody};
use crate::message::{Fact, Row, explain};

/// All that happened to a message, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Journal {
    data: Vec<JournalRow>,
    /// Facts that came after the journal was full.
    dropped: u32,
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct JournalRow {
    /// When it first happened.
    at: String,
    /// When it last happened.
    last_at: String,
    /// How often.
    count: u32,
    /// Who told us: `api`, `callback`, `poll`, `job` or `operator`.
    source: &'static str,
    /// What happened, for programs.
    fact: &'static str,
    attempt: Option<u8>,
    status: Option<String>,
    code: Option<u32>,
    /// What happened, for people.
    detail: String,
}

/// The journal of a message.
#[utoipa::path(get, path = "/v1/messages/{id}/journal", tag = "messages",
    params(("id" = String, Path, description = "`msg_…`, or Twilio's `SM…` or `MM…`")),
    responses((status = 200, body = Journal), (status = 404, body = ProblemBody)))]
pub(in crate::http) async fn journal(app: Data<App>, id: Path<String>) -> Result<Json<Journal>, Problem> {
    let journal = find(&app, &id)?.journal;
    Ok(Json(Journal { data: journal.rows.iter().map(JournalRow::of).collect(), dropped: journal.dropped }))
}

impl JournalRow {
    fn of(row: &Row) -> Self {
        let (status, code) = match &row.fact {
            Fact::Sent { word, .. } => (Some(word), None),
            Fact::Reported { word, code, .. } => (Some(word), *code),
            Fact::Refused { code, .. } => (None, *code),
            _ => (None, None),
        };
        Self {
            at: row.at.to_string(),
            last_at: row.last_at.to_string(),
            count: row.count,
            source: row.source.as_str(),
            fact: row.fact.name(),
            attempt: row.fact.attempt(),
            status: status.map(|word| word.as_str().to_owned()),
            code,
            detail: sentence(&row.fact),
        }
    }
}

/// What happened, as one would say it.
fn sentence(fact: &Fact) -> String {
    let because = |code: &Option<u32>| code.map_or(String::new(), |code| format!(" ({code}: {})", explain(code).title));
    match fact {
        Fact::Accepted { due } => format!("Accepted, to be sent at {due}."),
        Fact::Adopted { sid } => format!("Sent without bluetick as {sid}, and followed from its first callback on."),
        Fact::Claimed { .. } => "An attempt was stored before its request left.".to_owned(),
        Fact::Sent { attempt, sid, word, .. } => {
            format!("Attempt {attempt}: Twilio took it as {sid} and called it {}.", word.as_str())
        }
        Fact::Refused { attempt, code, detail } => {
            format!("Attempt {attempt}: Twilio refused it{}: {detail}", because(code))
        }
        Fact::NotProcessed { attempt, detail, retry_at } => {
            format!("Attempt {attempt}: Twilio did not take it, so it is tried again at {retry_at}: {detail}")
        }
        Fact::Unclear { attempt, detail, .. } => {
            format!("Attempt {attempt}: nobody knows whether Twilio took it, so it is not sent again: {detail}")
        }
        Fact::Reported { attempt, word, code, .. } => {
            format!("Attempt {attempt}: Twilio reported {}{}.", word.as_str(), because(code))
        }
        Fact::Canceled => "Canceled before its first attempt.".to_owned(),
        Fact::Expired => "Its time ran out before it was sent.".to_owned(),
    }
}
