//! Asking: the requests of one question, and what their answers teach.
//!
//! Invariant: nothing is decided about a message here: evidence is brought, and the store judges it. What has no answer
//! stays due.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Trouble;
use super::plan::{self, Ask, LIST_FROM, Target};
use crate::clock::Time;
use crate::jobs::evidence::{self, Listed, Wanted};
use crate::jobs::page;
use crate::message::{Origin, Sid};
use crate::store::{Asked, Heard, Snapshot, StoreError};
use crate::twilio::wire::MessageResource;
use crate::twilio::{Client, ClientError, ListQuery, Listing, MAX_PAGE_SIZE};

/// A person to whom more was sent around one moment than fits on so many pages is looked for again later.
const MAX_LOOK_PAGES: usize = 5;
/// Lists sort by the date of sending, which comes after that of creation: a page of messages this much older than what
/// is looked for is the last to be read. WhatsApp messages wait at Twilio for four hours at most.
const HORIZON_MS: i64 = 4 * 3_600_000;
/// Messages are listed by the date of sending once all of them have one.
const YOUNG: Duration = Duration::from_secs(24 * 3_600);

/// What a question taught.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    /// To be written down.
    pub answers: Vec<Asked>,
    /// What a list did not show: to be asked for alone.
    pub left: Vec<Target>,
}

impl From<Vec<Asked>> for Learned {
    fn from(answers: Vec<Asked>) -> Self {
        Self { answers, left: Vec::new() }
    }
}

/// Asks, and says what it taught. `read` is the store as it is when Twilio has answered; `pace` is awaited before every
/// request but the first, with how long Twilio wants to be left alone.
pub async fn ask(
    client: &Client,
    ask: &Ask,
    now: impl Fn() -> Time,
    read: impl Fn() -> Result<Snapshot, StoreError>,
    pace: impl AsyncFn(Duration),
) -> Result<Learned, Trouble> {
    match ask {
        Ask::Fetch(target) => Ok(vec![fetch(client, target, now()).await?].into()),
        Ask::List { from, targets } => list(client, from.clone(), targets, now, read, pace).await,
        Ask::Look { contact, to, from, wanted } => {
            let Some(listed) = look(client, to, from, wanted, &now, pace).await? else {
                return Ok(nothing(wanted, now()).into());
            };
            // Read only now: what was in flight when Twilio made its list may have got its answer since, and what still
            // is may be the very message that is listed.
            let snapshot = read()?;
            let unresolved = plan::unresolved(&snapshot, *contact, to, from)?;
            let mut answers = listed.judge(&unresolved, |sid| is_ours(&snapshot, sid));
            let is_judged = |wanted: &&Wanted| answers.iter().all(|asked| asked.attempt != wanted.attempt);
            let others = wanted.iter().filter(is_judged).cloned().collect::<Vec<_>>();
            answers.extend(nothing(&others, listed.asked_at));
            Ok(answers.into())
        }
    }
}

/// Whether the name belongs to an attempt of ours. One that came by a callback alone, as if it were sent elsewhere, may
/// still be the one that is looked for.
fn is_ours(snapshot: &Snapshot, sid: Sid) -> bool {
    // A disk that cannot be read proves nothing: then nothing is matched.
    snapshot.message_by_sid(sid).map_or(true, |found| found.is_some_and(|message| message.origin == Origin::Api))
}

fn nothing(wanted: &[Wanted], at: Time) -> Vec<Asked> {
    wanted.iter().map(|wanted| Asked { attempt: wanted.attempt, heard: Heard::Nothing, at }).collect()
}

async fn fetch(client: &Client, target: &Target, at: Time) -> Result<Asked, ClientError> {
    let heard = match client.fetch(target.sid).await {
        Ok(found) => evidence::told(&found).unwrap_or(Heard::Nothing),
        Err(ClientError::NotFound | ClientError::Refused { .. }) => Heard::Nothing,
        Err(error) => return Err(error),
    };
    Ok(Asked { attempt: target.attempt, heard, at })
}

/// Goes through the sender's messages of those days, newest first, as long as that is cheaper than asking one by one.
/// Whatever it meets that would be asked about soon is taken along. What Twilio told before it stopped answering counts.
async fn list(
    client: &Client,
    from: Option<String>,
    targets: &[Target],
    now: impl Fn() -> Time,
    read: impl Fn() -> Result<Snapshot, StoreError>,
    pace: impl AsyncFn(Duration),
) -> Result<Learned, Trouble> {
    let mut missing: BTreeMap<Sid, &Target> = targets.iter().map(|target| (target.sid, target)).collect();
    let mut answers = Vec::with_capacity(targets.len());
    let mut query = ListQuery { from, page_size: Some(MAX_PAGE_SIZE), ..ListQuery::default() };
    let oldest = targets.first().map_or(now(), |target| target.started_at);
    // What Twilio has not sent yet has no date to be filtered by, and waits there for hours at most.
    query.date_sent_on_or_after = (now().since(oldest) > YOUNG).then(|| oldest.day()).flatten();
    let mut listing = match page::first(client, &query, &pace).await {
        Err(ClientError::NotFound | ClientError::Refused { .. }) => Listing::default(),
        listing => listing?,
    };
    for page in 1.. {
        let (snapshot, at) = (read()?, now());
        for found in &listing.page.messages {
            let Some(sid) = found.sid() else { continue };
            let target = match missing.remove(&sid) {
                Some(target) => Some(*target),
                None => plan::soon(&snapshot, sid, at)?,
            };
            let heard = target.and_then(|target| Some((target.attempt, evidence::told(found)?)));
            answers.extend(heard.map(|(attempt, heard)| Asked { attempt, heard, at }));
        }
        let is_worth_it = page * LIST_FROM < targets.len() + answers.len();
        let Some(next) = listing.page.next_page_uri.filter(|_| is_worth_it && !missing.is_empty()) else { break };
        pace(Duration::ZERO).await;
        listing = match page::next(client, &next, &pace).await {
            Err(_) if !answers.is_empty() => return Ok(answers.into()),
            listing => listing?,
        };
    }
    Ok(Learned { answers, left: missing.into_values().copied().collect() })
}

/// All that was sent to one person since the first of the attempts; nothing, if Twilio will not say. What it has not
/// sent yet has no date to be filtered by, so the list is read until it is older than that.
async fn look(
    client: &Client,
    to: &str,
    from: &str,
    wanted: &[Wanted],
    now: impl Fn() -> Time,
    pace: impl AsyncFn(Duration),
) -> Result<Option<Listed>, ClientError> {
    let mut query = ListQuery { to: Some(to.to_owned()), page_size: Some(MAX_PAGE_SIZE), ..ListQuery::default() };
    query.from = (!from.starts_with("MG")).then(|| from.to_owned());
    let first = wanted.iter().map(|wanted| wanted.started_at).min().unwrap_or(Time(0));
    let asked_at = now();
    let mut listing = match page::first(client, &query, &pace).await {
        Err(ClientError::NotFound | ClientError::Refused { .. }) => return Ok(None),
        listing => listing?,
    };
    let ahead_ms = listing.at.map_or(0, |at| at.0 - now().0);
    let horizon = first.0 + ahead_ms - HORIZON_MS;
    let mut listed = Listed { messages: Vec::new(), is_whole: false, ahead_ms, asked_at };
    for number in 1.. {
        let is_past = |found: &MessageResource| found.created_ms().is_some_and(|at| at < horizon);
        listed.is_whole = !listing.page.messages.is_empty() && listing.page.messages.iter().all(is_past);
        let next = listing.page.next_page_uri.clone();
        listed.messages.append(&mut listing.page.messages);
        match next {
            Some(next) if !listed.is_whole && number < MAX_LOOK_PAGES => {
                pace(Duration::ZERO).await;
                listing = page::next(client, &next, &pace).await?;
            }
            next => {
                listed.is_whole |= next.is_none();
                break;
            }
        }
    }
    Ok(Some(listed))
}
