//! Asks Twilio what people wrote to us, so that what came while we did not listen is not lost.
//!
//! Invariant: a stretch counts as heard only when all of it was listed. What a list does not tell (button payloads,
//! places, the person's name) is not made up; should the callback come after all, it is taken over from there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::page;
use crate::clock::Time;
use crate::message::{Policy, Sid, Source};
use crate::store::{Inbound, Listened, Listening, Snapshot, StoreError, Write};
use crate::twilio::wire::MessageResource;
use crate::twilio::{Client, ClientError, ListQuery, MAX_PAGE_SIZE};

/// How far the first question reaches back: the whole window, so that what we believe of it is right from the start.
const FIRST_REACH: Duration = Duration::from_secs(25 * 3_600);
/// A list may lag behind what has happened: every question reaches back over the last one by this much.
const OVERLAP: Duration = Duration::from_secs(600);
/// More than this many pages are left to the next question, and said in the log.
const MAX_PAGES: usize = 500;

/// One sender to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hearing {
    /// The store's number of the sender.
    pub sender: u32,
    /// The sender, in Twilio's words.
    pub to: String,
    /// From then on.
    pub from: Time,
    /// Until now.
    pub until: Time,
}

/// The senders for which it is time to ask.
pub fn plan(snapshot: &Snapshot, policy: &Policy, now: Time) -> Result<Vec<Hearing>, StoreError> {
    let period = Duration::from_millis(policy.period_ms(0));
    hearings(snapshot, now, |heard| now >= heard.asked_until.plus(period))
}

/// All of them: after a start, whatever the time.
pub fn all(snapshot: &Snapshot, now: Time) -> Result<Vec<Hearing>, StoreError> {
    hearings(snapshot, now, |_| true)
}

fn hearings(snapshot: &Snapshot, now: Time, is_due: impl Fn(Listening) -> bool) -> Result<Vec<Hearing>, StoreError> {
    let mut due = Vec::new();
    for (sender, to) in snapshot.senders()? {
        let heard = snapshot.listening(sender)?;
        if heard.is_none_or(&is_due) && !to.starts_with("MG") {
            let from = heard.map_or(now.minus(FIRST_REACH), |heard| heard.asked_until.minus(OVERLAP));
            due.push(Hearing { sender, to, from, until: now });
        }
    }
    Ok(due)
}

/// Lists what people wrote, oldest first, and then says what was heard. `pace` is awaited before every further request,
/// with how long Twilio wants to be left alone.
pub async fn ask(
    client: &Client,
    hearing: &Hearing,
    is_known: impl Fn(Sid) -> bool,
    pace: impl AsyncFn(Duration),
) -> Result<Vec<Write>, ClientError> {
    let query = ListQuery {
        to: Some(hearing.to.clone()),
        date_sent_on_or_after: hearing.from.day(),
        page_size: Some(MAX_PAGE_SIZE),
        ..ListQuery::default()
    };
    let mut listing = page::first(client, &query, &pace).await?;
    let mut found = BTreeMap::new();
    for number in 1.. {
        let is_past = |message: &MessageResource| at(message).is_some_and(|at| at < hearing.from);
        let is_over = listing.page.messages.iter().all(is_past);
        for message in listing.page.messages.drain(..).filter(MessageResource::is_inbound) {
            let (Some(sid), Some(at)) = (message.sid(), at(&message)) else { continue };
            if !is_known(sid) {
                found.insert((at, sid), message);
            }
        }
        match listing.page.next_page_uri.take() {
            Some(_) if number == MAX_PAGES => {
                tracing::error!(sender = %hearing.to, "more inbound messages than can be listed: the oldest are missing");
                break;
            }
            Some(next) if !is_over => {
                pace(Duration::ZERO).await;
                listing = page::next(client, &next, &pace).await?;
            }
            _ => break,
        }
    }
    let writes = found.into_iter().filter_map(|((at, sid), message)| inbound(sid, at, message));
    let listened = Listened { sender: hearing.sender, from: hearing.from, until: hearing.until };
    Ok(writes.chain([Write::Listened(listened)]).collect())
}

/// Twilio dates what it received when it came in.
fn at(message: &MessageResource) -> Option<Time> {
    message.sent_ms().or(message.created_ms()).map(Time)
}

fn inbound(sid: Sid, at: Time, message: MessageResource) -> Option<Write> {
    let count = message.num_media.filter(|count| count != "0").map(|count| ("NumMedia".to_owned(), count));
    Some(Write::Receive(Box::new(Inbound {
        sid,
        at,
        source: Source::Poll,
        from: message.from?,
        to: message.to?,
        contact: 0,
        sender: 0,
        also: Vec::new(),
        body: message.body.unwrap_or_default(),
        profile_name: None,
        media: Vec::new(),
        extra: count.into_iter().collect(),
    })))
}
