//! `GET /v1/messages.csv`: the messages of a month as a table, wherever they are.

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, block};
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::standing::failed_at;
use crate::clock::Time;
use crate::http::app::App;
use crate::http::csv;
use crate::http::error::{Code, Problem, ProblemBody};
use crate::http::query::Query;
use crate::http::sight::Sight;
use crate::message::{Message, MessageId, Word};
use crate::store::{Filter, Handle, Snapshot, StoreError};

/// Messages that are read at once: so much memory it takes, however many there are.
const PAGE: usize = 500;
const COLUMNS: [&str; 18] = [
    "id",
    "sid",
    "status",
    "code",
    "from",
    "to",
    "reference",
    "tags",
    "attempts",
    "accepted_at",
    "sent_at",
    "delivered_at",
    "read_at",
    "failed_at",
    "queue_ms",
    "delivery_ms",
    "read_ms",
    "archived",
];

/// Which month.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(in crate::http) struct ExportQuery {
    /// The month in which they were accepted (UTC), as `2026-08`.
    #[param(required = true, example = "2026-08")]
    month: Option<String>,
}

/// The messages of a month as a table for spreadsheets, newest first, also those in the archive; without what they say.
#[utoipa::path(get, path = "/v1/messages.csv", tag = "messages", params(ExportQuery),
    responses((status = 200, content((String = "text/csv", example = "id,sid,status\r\n"))),
        (status = 400, body = ProblemBody)))]
pub(in crate::http) async fn export(
    app: Data<App>,
    query: Query<ExportQuery>,
    sight: Sight,
) -> Result<HttpResponse, Problem> {
    let month = query.month.as_deref().unwrap_or_default();
    let wrong = || Problem::query("month", "must be a month like 2026-08");
    let (since, until) = Time::month(month).ok_or_else(wrong)?;
    let filter = Filter { since: Some(since), until: Some(until), ..Filter::default() };
    let state = State { store: app.store.clone(), filter, sight, next: Next::Heading };
    // An answer that breaks off is noticed; a short table would not be.
    let rows = stream::try_unfold(state, |mut state| async {
        let cut_off = |_| Problem::new(Code::Busy, "the export was cut off: ask again");
        let part = block(move || state.more().map(|table| table.map(|table| (Bytes::from(table), state))));
        Ok::<_, actix_web::Error>(part.await.map_err(cut_off)?.map_err(Problem::from)?)
    });
    Ok(csv::download(&format!("bluetick-{month}.csv")).streaming(rows))
}

struct State {
    store: Handle,
    filter: Filter,
    sight: Sight,
    next: Next,
}

enum Next {
    Heading,
    Page(Option<MessageId>),
    Nothing,
}

impl State {
    /// The next part of the table; nothing at the end.
    fn more(&mut self) -> Result<Option<String>, StoreError> {
        match self.next {
            Next::Heading => {
                self.next = Next::Page(None);
                Ok(Some(csv::line(COLUMNS.map(str::to_owned))))
            }
            Next::Page(cursor) => {
                let (table, next) = part(&self.store.read()?, &self.filter, self.sight, cursor)?;
                self.next = next.map_or(Next::Nothing, |id| Next::Page(Some(id)));
                Ok(Some(table))
            }
            Next::Nothing => Ok(None),
        }
    }
}

fn part(
    snapshot: &Snapshot,
    filter: &Filter,
    sight: Sight,
    cursor: Option<MessageId>,
) -> Result<(String, Option<MessageId>), StoreError> {
    let page = snapshot.messages(filter, cursor, PAGE)?;
    let mut table = String::new();
    for message in &page.rows {
        table += &row(message, sight, snapshot.segment_of(message.id)?.is_some());
    }
    for id in &page.unreadable {
        let mut cells = vec![String::new(); COLUMNS.len()];
        (cells[0], cells[2], cells[COLUMNS.len() - 1]) = (id.to_string(), "unreadable".to_owned(), "true".to_owned());
        table += &csv::line(cells);
    }
    Ok((table, page.next))
}

fn row(message: &Message, sight: Sight, is_archived: bool) -> String {
    let time = |time: Option<Time>| time.map(|time| time.to_string()).unwrap_or_default();
    let between = |from: Option<Time>, to: Option<Time>| match (from, to) {
        (Some(from), Some(to)) if to >= from => (to.0 - from.0).to_string(),
        _ => String::new(),
    };
    let [sent, delivered, read] = [Word::Sent, Word::Delivered, Word::Read].map(|word| message.time(&word));
    csv::line([
        message.id.to_string(),
        message.sid().map(|sid| sid.to_string()).unwrap_or_default(),
        message.status().to_string(),
        message.code().map(|code| code.to_string()).unwrap_or_default(),
        message.draft.from.to_string(),
        sight.address(&message.draft.to.to_string()),
        message.draft.reference.clone().unwrap_or_default(),
        message.draft.tags.join(" "),
        message.attempts.len().to_string(),
        message.accepted_at.to_string(),
        time(sent),
        time(delivered),
        time(read),
        time(failed_at(message)),
        between(Some(message.accepted_at), sent),
        between(sent, delivered),
        between(delivered, read),
        is_archived.to_string(),
    ])
}
