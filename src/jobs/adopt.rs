//! After a restore: takes in what was sent since the backup was made, and lets sending go on.
//!
//! Invariant: sending goes on only when every message that waited in the backup has been found at Twilio, or provably is
//! not there; and what Twilio has beyond that is tracked as sent elsewhere.

use std::time::Duration;

use super::page;
use crate::clock::Time;
use crate::message::{Sid, Source, Word};
use crate::store::{Report, Restored, Snapshot, StoreError, Write};
use crate::twilio::wire::MessageResource;
use crate::twilio::{Client, ClientError, ListQuery, MAX_PAGE_SIZE};

/// Lists sort by the date of sending, and WhatsApp messages wait at Twilio for four hours at most.
const HORIZON: Duration = Duration::from_secs(4 * 3_600);
/// Twilio's clock and ours may differ by so much.
const EARLIER: Duration = Duration::from_secs(60);
/// More pages than this are left to their callbacks, and said in the log.
const MAX_PAGES: usize = 500;

/// What was restored, once nothing is looked for any more.
pub fn is_due(snapshot: &Snapshot) -> Result<Option<Restored>, StoreError> {
    let restored = snapshot.restored()?;
    Ok(if restored.is_some() && snapshot.has_undecided()? { None } else { restored })
}

/// Lists all that was sent since, and says that it was. `pace` is awaited before every further request.
pub async fn ask(
    client: &Client,
    restored: Restored,
    is_known: impl Fn(Sid) -> bool,
    mut random: impl FnMut() -> [u8; 10],
    pace: impl AsyncFn(Duration),
) -> Result<Vec<Write>, ClientError> {
    let since = restored.taken_at.minus(EARLIER);
    let query = ListQuery { page_size: Some(MAX_PAGE_SIZE), ..ListQuery::default() };
    let mut listing = page::first(client, &query, &pace).await?;
    let mut found = Vec::new();
    for number in 1.. {
        let is_past = |message: &MessageResource| created(message).is_some_and(|at| at < since.minus(HORIZON));
        let is_over = listing.page.messages.iter().all(is_past);
        for message in listing.page.messages.drain(..) {
            let is_new = created(&message).is_some_and(|at| at >= since);
            let Some(sid) = message.sid().filter(|sid| is_new && was_sent(&message) && !is_known(*sid)) else {
                continue;
            };
            found.extend(report(sid, message, random()));
        }
        match listing.page.next_page_uri.take() {
            Some(_) if number == MAX_PAGES => {
                tracing::error!("more was sent since the backup than can be listed: the oldest of it is missing");
                break;
            }
            Some(next) if !is_over => {
                pace(Duration::ZERO).await;
                listing = page::next(client, &next, &pace).await?;
            }
            _ => break,
        }
    }
    Ok(found.into_iter().chain([Write::CaughtUp]).collect())
}

fn created(message: &MessageResource) -> Option<Time> {
    message.created_ms().map(Time)
}

/// Twilio lists what it refused, too: that was never sent.
fn was_sent(message: &MessageResource) -> bool {
    let is_ours = message.direction.as_deref().is_some_and(|direction| direction.starts_with("outbound"));
    is_ours && (message.status != "failed" || message.date_sent.is_some())
}

fn report(sid: Sid, message: MessageResource, random: [u8; 10]) -> Option<Write> {
    let MessageResource { status, error_code, from, to, messaging_service_sid, .. } = message;
    Some(Write::Report(Box::new(Report {
        attempt: None,
        sid,
        word: Word::parse(&status),
        code: error_code,
        source: Source::Poll,
        from: from.or(messaging_service_sid)?,
        to: to?,
        also: None,
        random,
    })))
}
