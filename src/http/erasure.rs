//! `DELETE /v1/contacts/{address}`: everything about one person goes; and `…/export`, before that or for them.

use actix_web::web::{Bytes, Data, Path, block};
use actix_web::{HttpResponse, http::header};
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::app::App;
use super::error::{Code, Problem, ProblemBody};
use crate::clock::Time;
use crate::message::MessageId;
use crate::store::{Erased, Handle, Inbound, StoreError, Upkeep, Write, Written};

/// Messages that are read at once: so much memory it takes, however many there are.
const PAGE: usize = 200;

/// What went, and when the rest will have.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Erasure {
    /// Messages to them that went.
    messages: u64,
    /// Messages from them that went.
    inbound: u64,
    /// Whether they did not want something: nothing here remembers that any more, so do not write to them again.
    opted_out: bool,
    /// The job that takes them out of the archive and the events: it was asked to run now.
    #[schema(example = "retention")]
    job: &'static str,
    /// When the data file is written anew, so that no free page keeps their bytes; null if no schedule says so: then
    /// `POST /v1/jobs/rewrite/runs`.
    rewritten_at: Option<String>,
    /// When the last backup that has them goes, if backups go on as they are scheduled; null if there is no schedule.
    backups_until: Option<String>,
}

/// Everything about one person goes, by any of their names: messages either way, names, opt-outs. The numbers of senders
/// stay. What comes late about a message that went stores nothing. Live rows are gone when this answers.
#[utoipa::path(delete, path = "/v1/contacts/{address}", tag = "contacts",
    params(("address" = String, Path, example = "+4915100000001")),
    responses((status = 202, body = Erasure), (status = 404, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(super) async fn erase(app: Data<App>, address: Path<String>) -> Result<HttpResponse, Problem> {
    let person = app.store.read()?.person(&address)?.ok_or_else(|| Problem::not_found("contact"))?;
    let name = person.contact.aliases.first().cloned().unwrap_or_else(|| address.to_string());
    let mut all = Erased::default();
    while !all.is_done {
        match app.store.write(Write::Erase(name.clone())).await? {
            Written::Erased(part) => {
                all.messages += part.messages;
                all.inbound += part.inbound;
                all.is_done = part.is_done;
            }
            other => unreachable!("an erasure says what went, not {other:?}"),
        }
    }
    app.store.write(Write::Want(Upkeep::Retention)).await?;
    Ok(HttpResponse::Accepted().json(Erasure {
        messages: all.messages,
        inbound: all.inbound,
        opted_out: person.contact.opted_out().is_some(),
        job: Upkeep::Retention.as_str(),
        rewritten_at: next(&app, Upkeep::Rewrite, 1),
        backups_until: next(&app, Upkeep::Backup, app.backups.keep),
    }))
}

/// When a job has run so many times from now on.
fn next(app: &App, upkeep: Upkeep, times: usize) -> Option<String> {
    let timetable = app.chores.iter().find(|(known, _)| *known == upkeep)?.1.as_ref()?;
    let mut at = app.clock.now();
    for _ in 0..times {
        at = timetable.next(at)?;
    }
    Some(at.to_string())
}

/// Everything about one person as a file: who they are, what was sent to them, what they wrote; as JSON.
#[utoipa::path(get, path = "/v1/contacts/{address}/export", tag = "contacts",
    params(("address" = String, Path, example = "+4915100000001")),
    responses((status = 200, description = "contact, messages, inbound; each as it is stored", body = Object),
        (status = 404, body = ProblemBody)))]
pub(super) async fn export(app: Data<App>, address: Path<String>) -> Result<HttpResponse, Problem> {
    let snapshot = app.store.read()?;
    let person = snapshot.person(&address)?.ok_or_else(|| Problem::not_found("contact"))?;
    let opt_outs = person.contact.opt_outs.iter();
    let opt_outs = opt_outs.map(|one| json!({"scope": one.scope.as_str(), "at": one.at.to_string()}));
    let contact = json!({
        "names": person.contact.aliases,
        "last_wrote_at": person.contact.last_inbound_at().map(|at| at.to_string()),
        "opt_outs": opt_outs.collect::<Vec<_>>(),
    });
    let inbound = snapshot.inbound_from(person.number)?;
    let state = State {
        store: app.store.clone(),
        ids: snapshot.ids_of(person.number)?,
        inbound,
        at: app.clock.now(),
        contact: Some(contact),
        is_first: true,
        is_over: false,
    };
    drop(snapshot);
    // An answer that breaks off is noticed: it is no JSON then.
    let parts = stream::try_unfold(state, |mut state| async {
        let cut_off = |_| Problem::new(Code::Busy, "the export was cut off: ask again");
        let part = block(move || state.more().map(|text| text.map(|text| (Bytes::from(text), state))));
        Ok::<_, actix_web::Error>(part.await.map_err(cut_off)?.map_err(Problem::from)?)
    });
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"bluetick-person.json\""))
        .streaming(parts))
}

struct State {
    store: Handle,
    ids: Vec<MessageId>,
    inbound: Vec<Inbound>,
    at: Time,
    contact: Option<serde_json::Value>,
    is_first: bool,
    is_over: bool,
}

impl State {
    /// The next part of the file; nothing at the end.
    fn more(&mut self) -> Result<Option<String>, StoreError> {
        if let Some(contact) = self.contact.take() {
            return Ok(Some(format!("{{\"exported_at\":\"{}\",\"contact\":{contact},\"messages\":[\n", self.at)));
        }
        let rest = self.ids.split_off(self.ids.len().min(PAGE));
        let ids = std::mem::replace(&mut self.ids, rest);
        if ids.is_empty() {
            return Ok((!std::mem::replace(&mut self.is_over, true)).then(|| self.end()));
        }
        let snapshot = self.store.read()?;
        let mut text = String::new();
        for id in ids {
            let value = match snapshot.message(id) {
                Ok(Some(message)) => {
                    let mut value = serde_json::to_value(&message).expect("a record can be written as JSON");
                    value["status"] = message.status().as_str().into();
                    value
                }
                Ok(None) => continue,
                Err(StoreError::Archive(words)) => json!({"id": id.to_string(), "unreadable": words}),
                Err(error) => return Err(error),
            };
            if !std::mem::replace(&mut self.is_first, false) {
                text.push_str(",\n");
            }
            text.push_str(&value.to_string());
        }
        Ok(Some(text))
    }

    fn end(&mut self) -> String {
        let letters = std::mem::take(&mut self.inbound);
        let letters = serde_json::to_string(&letters).expect("a record can be written as JSON");
        format!("\n],\"inbound\":{letters}}}\n")
    }
}
