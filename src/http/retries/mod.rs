//! `POST /v1/retries`: failed messages sent again, many at once; a dry run first says which, which not, and why.
//!
//! Invariant: a request matches and looks at a bounded number of messages, and its cursor leads to the rest. What a dry
//! run says is what the store would decide at that moment.

mod tally;
mod wish;

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload, block};

use self::tally::RetriesView;
use self::wish::RetriesRequest;
pub(super) use self::wish::Wish;
use super::app::App;
use super::body;
use super::error::{Code, Problem, ProblemBody};
use super::principal::Principal;
use super::sight::Sight;
use crate::clock::Time;
use crate::message::{Message, MessageId, Never, Policy};
use crate::store::{Retry, Snapshot, StoreError, Write, Written};

/// Filters are short.
const MAX_BODY: usize = 16 * 1_024;
/// A request looks at no more messages than this, however few of them match: about a second's work.
const MAX_SCANNED: usize = 200_000;
/// Messages a page of the scan.
const PAGE: usize = 1_000;
/// How long to let a busy store catch its breath, and how often.
const BUSY: Duration = Duration::from_millis(20);
const PATIENCE: usize = 250;

/// Sends failed messages again where that can help, or says what it would do.
#[utoipa::path(post, path = "/v1/retries", tag = "messages", request_body = RetriesRequest,
    responses((status = 200, body = RetriesView), (status = 400, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody),
        (status = 422, description = "The filter cannot be understood", body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub(super) async fn retry(
    request: HttpRequest,
    app: Data<App>,
    payload: Payload,
) -> Result<Json<RetriesView>, Problem> {
    let who = Principal::of(&request);
    let source = who.source();
    let wish = Wish::read(&body::json(&request, payload, MAX_BODY).await?, app.clock.now())?;
    wish.filter.to.as_ref().map_or(Ok(()), |_| Sight::of(&who).may_name_people())?;
    let (is_dry_run, may_duplicate) = (wish.is_dry_run, wish.may_duplicate);
    let mut found = find(&app, wish).await?;
    if !is_dry_run {
        for chunk in found.matched.chunks_mut(Retry::MAX) {
            let ids = chunk.iter().map(|matched| matched.id).collect();
            let verdicts = write(&app, Retry { ids, may_duplicate, source }).await?;
            // In the same order; a message that is gone has no verdict, and keeps the one it had.
            let mut verdicts = verdicts.into_iter().peekable();
            for matched in chunk {
                if let Some((_, verdict)) = verdicts.next_if(|(id, _)| *id == matched.id) {
                    matched.verdict = verdict;
                }
            }
        }
    }
    Ok(Json(RetriesView::of(is_dry_run, found)))
}

/// A message that the filter names.
#[derive(Clone, Copy, Debug)]
struct Matched {
    id: MessageId,
    /// Why it failed, by its journal.
    code: Option<u32>,
    verdict: Result<(), Never>,
}

/// What a request found.
#[derive(Debug, Default)]
struct Found {
    matched: Vec<Matched>,
    /// Where the next request goes on.
    next: Option<MessageId>,
}

/// It may read many records, so it keeps no other request waiting.
async fn find(app: &App, wish: Wish) -> Result<Found, Problem> {
    let (snapshot, policy, now) = (app.store.read()?, app.policy.clone(), app.clock.now());
    let found = block(move || look(&snapshot, &wish, &policy, now));
    let cut_off = |_| Problem::new(Code::Busy, "the search was cut off: ask again");
    Ok(found.await.map_err(cut_off)??)
}

fn look(snapshot: &Snapshot, wish: &Wish, policy: &Policy, now: Time) -> Result<Found, StoreError> {
    let mut found = Found { matched: Vec::new(), next: wish.cursor };
    let mut scanned = 0;
    loop {
        let page = snapshot.messages(&wish.filter, found.next, PAGE)?;
        scanned += page.scanned;
        for message in page.rows.iter().filter(|message| wish.has_code(message.code())) {
            if found.matched.len() == wish.limit {
                return Ok(Found { next: Some(message.id), ..found });
            }
            found.matched.push(judge(snapshot, message, wish, policy, now)?);
        }
        found.next = page.next;
        if found.next.is_none() || scanned >= MAX_SCANNED {
            return Ok(found);
        }
    }
}

fn judge(
    snapshot: &Snapshot,
    message: &Message,
    wish: &Wish,
    policy: &Policy,
    now: Time,
) -> Result<Matched, StoreError> {
    let recipient = snapshot.recipient(message, now)?;
    let verdict = message.may_retry(&recipient, wish.may_duplicate, policy, now);
    Ok(Matched { id: message.id, code: message.code(), verdict })
}

/// A busy store is waited for: half a retry helps nobody.
async fn write(app: &App, retry: Retry) -> Result<Vec<(MessageId, Result<(), Never>)>, Problem> {
    for _ in 0..PATIENCE {
        match app.store.write(Write::Retry(retry.clone())).await {
            Ok(Written::Retried(verdicts)) => return Ok(verdicts),
            Ok(other) => unreachable!("a retry is answered as one, not by {other:?}"),
            Err(StoreError::Full(_)) => tokio::time::sleep(BUSY).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::new(Code::Busy, "only a part is sent again, since too much else is written: ask again for the rest"))
}

#[cfg(test)]
mod tests;
