//! `GET /v1/messages`.

use std::collections::BTreeSet;

use actix_web::web::{Data, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::MessageView;
use crate::clock::Time;
use crate::http::app::App;
use crate::http::error::{Problem, ProblemBody};
use crate::http::query::Query;
use crate::http::sight::Sight;
use crate::http::when;
use crate::message::{MessageId, Status};
use crate::store::Filter;

/// What fits a page of the API without scrolling through megabytes.
const MAX_LIMIT: usize = 200;
const USUAL_LIMIT: usize = 50;
/// More statuses than there are is no filter.
const MAX_STATUSES: usize = 32;

/// Words that stand for several statuses.
const GROUPS: [(&str, &[&str]); 2] = [
    ("open", &["pending", "held", "in_flight", "unknown"]),
    ("failed_any", &["failed", "undelivered", "refused", "expired"]),
];

/// What a listing is narrowed to.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ListQuery {
    /// Statuses, by comma; or `open`, `failed_any`, `attention`.
    #[param(example = "failed,undelivered")]
    status: Option<String>,
    /// The person, by any of their addresses.
    to: Option<String>,
    /// The sender.
    from: Option<String>,
    /// Failed with this error code.
    code: Option<u32>,
    /// Labelled so.
    tag: Option<String>,
    /// The app's own name for it.
    reference: Option<String>,
    /// Accepted at this time or later: `2026-11-23T14:00:00Z`, or `15m`, `2h`, `7d` ago.
    since: Option<String>,
    /// Accepted before this time.
    until: Option<String>,
    /// How many a page (1 to 200, usually 50).
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A checked query.
#[derive(Debug)]
pub(in crate::http) struct Listing {
    pub(in crate::http) filter: Filter,
    pub(in crate::http) cursor: Option<MessageId>,
    pub(in crate::http) limit: usize,
}

/// A page of messages, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct MessageList {
    data: Vec<MessageView>,
    /// Asks for the next page; `null` on the last.
    next_cursor: Option<String>,
    /// How many messages were looked at. A page may be short and have a next one.
    scanned: usize,
    /// Messages in the archive whose segment cannot be read, so that nobody knows whether they match.
    unreadable: Vec<String>,
}

/// Messages, newest first.
#[utoipa::path(get, path = "/v1/messages", tag = "messages", params(ListQuery),
    responses((status = 200, body = MessageList), (status = 400, body = ProblemBody)))]
pub(in crate::http) async fn list(
    app: Data<App>,
    query: Query<ListQuery>,
    sight: Sight,
) -> Result<Json<MessageList>, Problem> {
    let Listing { filter, cursor, limit } = query.into_inner().check(app.clock.now())?;
    filter.to.as_ref().map_or(Ok(()), |_| sight.may_name_people())?;
    let snapshot = app.store.read()?;
    let page = snapshot.messages(&filter, cursor, limit)?;
    let data =
        page.rows.iter().map(|message| MessageView::read(message, &snapshot, sight)).collect::<Result<_, _>>()?;
    Ok(Json(MessageList {
        data,
        next_cursor: page.next.map(|id| id.to_string()),
        scanned: page.scanned,
        unreadable: page.unreadable.iter().map(ToString::to_string).collect(),
    }))
}

impl ListQuery {
    /// What is asked for, or which parameter to write differently.
    pub(in crate::http) fn check(self, now: Time) -> Result<Listing, Problem> {
        let limit = self.limit.unwrap_or(USUAL_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Problem::query("limit", format!("must be 1 to {MAX_LIMIT}")));
        }
        let cursor = self.cursor.as_deref().filter(|text| !text.is_empty()).map(cursor).transpose()?;
        Ok(Listing { filter: self.filter(now)?, cursor, limit })
    }

    /// An empty parameter, as a form leaves it behind, is as good as none.
    fn filter(self, now: Time) -> Result<Filter, Problem> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (statuses, needs_attention) = statuses(self.status.as_deref().unwrap_or_default())?;
        Ok(Filter {
            statuses,
            needs_attention,
            to: some(self.to).map(|name| plus(&name)),
            from: some(self.from).map(|name| plus(&name)),
            code: self.code,
            tag: some(self.tag),
            reference: some(self.reference),
            since: when::maybe("since", some(self.since).as_deref(), now)?,
            until: when::maybe("until", some(self.until).as_deref(), now)?,
        })
    }
}

fn cursor(text: &str) -> Result<MessageId, Problem> {
    text.parse().map_err(|_| Problem::query("cursor", "is none: give the next_cursor of the page before, unchanged"))
}

fn statuses(text: &str) -> Result<(BTreeSet<String>, bool), Problem> {
    let words: Vec<_> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    if words == ["attention"] {
        return Ok((BTreeSet::new(), true));
    }
    if words.contains(&"attention") {
        return Err(Problem::query("status", "attention stands alone: ask for it without other statuses"));
    }
    if words.len() > MAX_STATUSES {
        return Err(Problem::query("status", format!("has more than {MAX_STATUSES} words")));
    }
    let meant: BTreeSet<_> = words.into_iter().flat_map(meant).map(str::to_owned).collect();
    if let Some(unknown) = meant.iter().find(|word| !Status::is_known(word)) {
        let groups = GROUPS.iter().map(|(name, _)| *name).chain(["attention"]);
        let known: Vec<_> = groups.chain(Status::words()).collect();
        let unknown: String = unknown.chars().take(40).collect();
        return Err(Problem::query("status", format!("{unknown} is no status: the words are {}", known.join(", "))));
    }
    Ok((meant, false))
}

/// The statuses a word stands for: its own, unless it names a group.
fn meant(word: &str) -> Vec<&str> {
    let group = GROUPS.iter().find(|(name, _)| *name == word);
    group.map_or_else(|| vec![word], |(_, members)| members.to_vec())
}

/// A `+` that nobody escaped arrives as a space.
fn plus(name: &str) -> String {
    match name.strip_prefix(' ') {
        Some(digits) => format!("+{digits}"),
        None => name.replacen("whatsapp: ", "whatsapp:+", 1),
    }
}
