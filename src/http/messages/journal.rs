//! `GET /v1/messages/{id}/journal`: all that happened to a message, and who told us.

use actix_web::web::{Data, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::get::find;
use super::standing::{awaited, closed};
use crate::http::app::App;
use crate::http::error::{Problem, ProblemBody};
use crate::http::sight::Sight;
use crate::message::{Fact, Form, OptOut, Row, Wait, Why, explain};

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
pub(in crate::http) async fn journal(app: Data<App>, id: Path<String>, sight: Sight) -> Result<Json<Journal>, Problem> {
    let journal = find(&app, &id)?.journal;
    Ok(Json(Journal {
        data: journal.rows.iter().map(|row| JournalRow::of(row, sight)).collect(),
        dropped: journal.dropped,
    }))
}

impl JournalRow {
    fn of(row: &Row, sight: Sight) -> Self {
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
            detail: sentence(&row.fact, sight),
        }
    }
}

/// What happened, as one would say it.
fn sentence(fact: &Fact, sight: Sight) -> String {
    // Twilio repeats in it what it was given.
    let said = |detail: &String| if detail.is_empty() { String::new() } else { format!(": {}", sight.quote(detail)) };
    let because = |code: &Option<u32>| code.map_or(String::new(), |code| format!(" ({code}: {})", explain(code).title));
    match fact {
        Fact::Accepted { due } => format!("Accepted, to be sent at {due}."),
        Fact::Adopted { sid } => format!("Sent without bluetick as {sid}, and followed from its first callback on."),
        Fact::Claimed { form: Form::AsAsked, .. } => {
            "Its turn came: an attempt was on disk before its request left.".to_owned()
        }
        Fact::Claimed { form: Form::Fallback, .. } => {
            "Its turn came: an attempt with the fallback template was on disk before its request left.".to_owned()
        }
        Fact::Sent { attempt, sid, word, .. } => {
            format!("Attempt {attempt}: Twilio took it as {sid} and called it {}.", word.as_str())
        }
        Fact::Refused { attempt, code, detail } => {
            format!("Attempt {attempt}: Twilio refused it{}{}", because(code), said(detail))
        }
        Fact::NotProcessed { attempt, detail, retry_at } => {
            format!("Attempt {attempt}: Twilio did not take it, so it is tried again at {retry_at}{}", said(detail))
        }
        Fact::Unclear { attempt, detail, .. } => {
            format!("Attempt {attempt}: nobody knows whether Twilio took it, so it is looked for there{}", said(detail))
        }
        Fact::Reported { attempt, word, code, .. } => {
            format!("Attempt {attempt}: Twilio reported {}{}.", word.as_str(), because(code))
        }
        Fact::Canceled => "Canceled while it waited.".to_owned(),
        Fact::Expired => "Its expires_at passed, or its attempts were used up, before Twilio took it.".to_owned(),
        Fact::Asked { attempt, ask_at: Some(at) } => format!("Attempt {attempt}: Twilio is asked again at {at}."),
        Fact::Asked { attempt, ask_at: None } => format!("Attempt {attempt}: Twilio is asked no more."),
        Fact::Absent { attempt } => {
            format!("Attempt {attempt}: Twilio's whole list does not have it, so it never arrived there.")
        }
        Fact::Retried { due, why, .. } => format!("To be sent again at {due}, {}.", cause(*why)),
        Fact::Held { why } => format!("Held: {}.", awaited(why)),
        Fact::Released { due } => format!("Released, to be sent at {due}."),
        Fact::Deferred { due, why: Wait::Pair } => {
            format!(
                "Earlier messages to the same person go first, until {due}: WhatsApp lets one person get only so many."
            )
        }
        Fact::Deferred { due, why: Wait::Twin } => {
            format!("The same words are on their way to this person, or may be: it waits for them, until {due}.")
        }
        Fact::Suppressed { scope: OptOut::All } => "Not sent: the person wants no messages.".to_owned(),
        Fact::Suppressed { scope: OptOut::Marketing } => "Not sent: the person wants no marketing.".to_owned(),
        Fact::WindowClosed { at } => format!("Not sent: {}, and there is no fallback.", closed(*at)),
        Fact::GivenUp { attempt } => {
            format!("Attempt {attempt}: Twilio has no trace of it, and on_unknown says not to send it again.")
        }
        Fact::WordsForgotten => "What it said was forgotten, because it is so old.".to_owned(),
    }
}

fn cause(why: Why) -> String {
    let because = |code: u32| format!("because of {code} ({})", explain(code).title);
    match why {
        Why::Failure(code) => because(code),
        Why::Paused(code) => format!("{}, when the pause that this brought about is over", because(code)),
        Why::Fallback(code) => format!("as the fallback template, {}", because(code)),
        Why::Absence => "because Twilio has no trace of the last attempt".to_owned(),
        Why::Operator => "because somebody asked for it".to_owned(),
    }
}
