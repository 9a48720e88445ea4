//! Asks Twilio instead of waiting for its callback: about receipts that are not settled, and for attempts whose answer
//! was lost.
//!
//! Invariant: [`plan`] and [`ask`] decide nothing about a message; they bring evidence, and the store judges it. What
//! Twilio does not answer stays due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::evidence::{self, Listed, Wanted};
use super::listen;
use super::wait;
use crate::alert::{Alert, Board, PAUSED};
use crate::clock::{Clock, Time};
use crate::message::{Attempt, AttemptId, Form, Handing, Message, Policy, Sid};
use crate::pause::{Cause, Paused, Scope};
use crate::store::{self, Asked, Heard, Snapshot, StoreError, Write};
use crate::twilio::{Client, ClientError, ListQuery, Listing, MAX_PAGE_SIZE};

/// Messages of one sender that are asked about in one round.
const MAX_ROUND: usize = 1_000;
/// From so many messages of one sender on, a list is cheaper than one question each.
const LIST_FROM: usize = 10;
/// Messages are listed by the date of sending once all of them have one.
const YOUNG: Duration = Duration::from_secs(24 * 3_600);
/// A person to whom more was sent around one moment than fits on so many pages is looked for again later.
const MAX_LOOK_PAGES: usize = 5;
/// The loop looks at the agenda at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// After Twilio gave no answer, the first and the longest pause.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How asking goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Questions a second that Twilio is asked at most (0.1 to 100).
    pub rate_per_s: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { rate_per_s: 10.0 }
    }
}

/// One thing to ask Twilio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// How one attempt stands.
    Fetch(Target),
    /// How many attempts of one sender stand.
    List {
        /// Our sender, in Twilio's words.
        from: String,
        /// The attempts.
        targets: Vec<Target>,
    },
    /// Whether attempts to one person, whose answers were lost, reached Twilio.
    Look {
        /// The person, in Twilio's words.
        to: String,
        /// Our sender, in Twilio's words, or a Messaging Service.
        from: String,
        /// The attempts.
        wanted: Vec<Wanted>,
    },
}

/// An attempt that Twilio has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which.
    pub attempt: AttemptId,
    /// Twilio's name for it.
    pub sid: Sid,
    /// When it was handed over.
    pub started_at: Time,
}

/// Everything that is due to be asked, the lost ones first.
pub fn plan(snapshot: &Snapshot, now: Time) -> Result<Vec<Ask>, StoreError> {
    let (mut looks, mut asks) = (Vec::new(), Vec::new());
    for (sender, name) in snapshot.senders()? {
        let due = snapshot.questions(sender, now, MAX_ROUND)?;
        looks.extend(self::looks(&due, &name));
        let mut targets: Vec<_> = due.iter().filter_map(target).collect();
        if targets.len() >= LIST_FROM && !name.starts_with("MG") {
            targets.sort_by_key(|target| target.started_at);
            asks.push(Ask::List { from: name, targets });
        } else {
            asks.extend(targets.into_iter().map(Ask::Fetch));
        }
    }
    looks.append(&mut asks);
    Ok(looks)
}

fn looks(due: &[Message], from: &str) -> Vec<Ask> {
    let mut wanted: BTreeMap<String, Vec<Wanted>> = BTreeMap::new();
    for message in due {
        let Some(attempt) = message.attempts.last() else { continue };
        let Handing::Unknown { .. } = attempt.handing else { continue };
        let to = message.draft.to.to_string();
        wanted.entry(to.clone()).or_default().push(Wanted {
            attempt: attempt.id(message.id),
            body: text(message, attempt),
            to,
            from: from.to_owned(),
            started_at: attempt.started_at,
            answered_at: attempt.answered_at.unwrap_or(attempt.started_at),
        });
    }
    wanted.into_iter().map(|(to, wanted)| Ask::Look { to, from: from.to_owned(), wanted }).collect()
}

/// The words that Twilio shows for an attempt; only it knows those of a template.
fn text(message: &Message, attempt: &Attempt) -> Option<String> {
    let is_template = message.template(attempt.form).is_some() || attempt.form == Form::Fallback;
    (!is_template).then(|| message.body().unwrap_or_default().to_owned())
}

/// The attempt to ask about: the latest that Twilio has taken.
fn target(message: &Message) -> Option<Target> {
    let last = message.attempts.last()?;
    if matches!(last.handing, Handing::Unknown { .. }) {
        return None;
    }
    let attempt = message.attempts.iter().rev().find(|attempt| attempt.sid().is_some())?;
    Some(Target { attempt: attempt.id(message.id), sid: attempt.sid()?, started_at: attempt.started_at })
}

/// Asks, and says what it taught. `is_bound` knows the SIDs that belong to messages of ours already; `pace` is awaited
/// before every request but the first.
pub async fn ask(
    client: &Client,
    ask: &Ask,
    now: impl Fn() -> Time,
    is_bound: impl Fn(Sid) -> bool,
    pace: impl AsyncFn(),
) -> Result<Vec<Asked>, ClientError> {
    match ask {
        Ask::Fetch(target) => Ok(vec![fetch(client, target, now()).await?]),
        Ask::List { from, targets } => list(client, from, targets, now, pace).await,
        Ask::Look { to, from, wanted } => {
            let listed = look(client, to, from, wanted, now, pace).await?;
            Ok(listed.judge(wanted, is_bound))
        }
    }
}

async fn fetch(client: &Client, target: &Target, at: Time) -> Result<Asked, ClientError> {
    let heard = match client.fetch(target.sid).await {
        Ok(found) => evidence::told(&found).unwrap_or(Heard::Nothing),
        Err(ClientError::NotFound | ClientError::Refused { .. }) => Heard::Nothing,
        Err(error) => return Err(error),
    };
    Ok(Asked { attempt: target.attempt, heard, at })
}

/// Goes through the sender's messages of those days, newest first, as long as that is cheaper than asking one by one;
/// what was not met is asked for alone.
async fn list(
    client: &Client,
    from: &str,
    targets: &[Target],
    now: impl Fn() -> Time,
    pace: impl AsyncFn(),
) -> Result<Vec<Asked>, ClientError> {
    let mut missing: BTreeMap<Sid, &Target> = targets.iter().map(|target| (target.sid, target)).collect();
    let mut answers = Vec::with_capacity(targets.len());
    let mut query = ListQuery { from: Some(from.to_owned()), page_size: Some(MAX_PAGE_SIZE), ..ListQuery::default() };
    let at = now();
    let oldest = targets.first().map_or(at, |target| target.started_at);
    // What Twilio has not sent yet has no date to be filtered by, and waits there for hours at most.
    query.date_sent_on_or_after = (at.since(oldest) > YOUNG).then(|| oldest.day()).flatten();
    let most_pages = targets.len() / LIST_FROM;
    let mut listing = client.list(&query).await?;
    for page in 1.. {
        for found in &listing.page.messages {
            let Some(target) = found.sid().and_then(|sid| missing.remove(&sid)) else { continue };
            answers.extend(evidence::told(found).map(|heard| Asked { attempt: target.attempt, heard, at }));
        }
        match &listing.page.next_page_uri {
            Some(next) if !missing.is_empty() && page < most_pages => {
                pace().await;
                listing = client.next_page(next).await?;
            }
            _ => break,
        }
    }
    for target in missing.into_values() {
        pace().await;
        answers.push(fetch(client, target, now()).await?);
    }
    Ok(answers)
}

/// All that was sent to one person since the first of the attempts. What Twilio has not sent yet has no date to be
/// filtered by, so the list is read until it is older than that.
async fn look(
    client: &Client,
    to: &str,
    from: &str,
    wanted: &[Wanted],
    now: impl Fn() -> Time,
    pace: impl AsyncFn(),
) -> Result<Listed, ClientError> {
    let mut query = ListQuery { to: Some(to.to_owned()), page_size: Some(MAX_PAGE_SIZE), ..ListQuery::default() };
    query.from = (!from.starts_with("MG")).then(|| from.to_owned());
    let first = wanted.iter().map(|wanted| wanted.started_at).min().unwrap_or(Time(0));
    let asked_at = now();
    let mut listing: Listing = client.list(&query).await?;
    let ahead_ms = listing.at.map_or(0, |at| at.0 - now().0);
    let horizon = first.0 + ahead_ms - HORIZON_MS;
    let mut listed = Listed { messages: Vec::new(), is_whole: false, ahead_ms, asked_at };
    for page in 1.. {
        let is_past = |found: &crate::twilio::wire::MessageResource| found.created_ms().is_some_and(|at| at < horizon);
        listed.is_whole = !listing.page.messages.is_empty() && listing.page.messages.iter().all(is_past);
        let next = listing.page.next_page_uri.clone();
        listed.messages.append(&mut listing.page.messages);
        match next {
            Some(next) if !listed.is_whole && page < MAX_LOOK_PAGES => {
                pace().await;
                listing = client.next_page(&next).await?;
            }
            next => {
                listed.is_whole |= next.is_none();
                break;
            }
        }
    }
    Ok(listed)
}

/// Lists sort by the date of sending, which comes after that of creation: a page of messages this much older than what
/// is looked for is the last to be read. WhatsApp messages wait at Twilio for four hours at most.
const HORIZON_MS: i64 = 4 * 3_600_000;

/// Everything the job works with.
pub struct Job {
    /// Where messages are.
    pub store: store::Handle,
    /// Who is asked.
    pub client: Arc<Client>,
    /// What time it is.
    pub clock: Clock,
    /// What is wrong.
    pub board: Board,
    /// How it goes.
    pub options: Options,
    /// The waits.
    pub policy: Policy,
}

impl Job {
    /// Asks until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut pause = PAUSES.0;
        while !*stop.borrow() {
            match self.round(&stop).await {
                Ok(()) => {
                    pause = PAUSES.0;
                    wait(&mut stop, self.until_next()).await;
                }
                Err(Trouble::Twilio(error)) => {
                    let asked = if let ClientError::Busy { retry_after } = &error { *retry_after } else { None };
                    tracing::warn!(%error, "Twilio could not be asked; what is due stays due");
                    wait(&mut stop, asked.unwrap_or(pause).clamp(pause, PAUSES.1)).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                Err(Trouble::Store(error)) => {
                    tracing::error!(%error, "asking Twilio pauses, because the store does not answer");
                    wait(&mut stop, PAUSES.1).await;
                }
            }
        }
    }

    fn until_next(&self) -> Duration {
        let first = self.store.read().and_then(|snapshot| snapshot.first_question()).ok().flatten();
        let until = first.map_or(LONGEST_SLEEP, |at| at.since(self.clock.now()));
        until.clamp(Duration::from_millis(20), LONGEST_SLEEP)
    }

    /// Asks all that is due now, people's messages to us included.
    async fn round(&self, stop: &watch::Receiver<bool>) -> Result<(), Trouble> {
        announce(&self.board, &self.store.read()?.active_pauses()?);
        let pace = async || self.rest().await;
        for due in plan(&self.store.read()?, self.clock.now())? {
            if *stop.borrow() {
                return Ok(());
            }
            let snapshot = self.store.read()?;
            let is_bound = |sid| snapshot.knows(sid).unwrap_or(true);
            let answers = ask(&self.client, &due, || self.clock.now(), is_bound, &pace).await?;
            let writes = answers.into_iter().map(|asked| self.write(Write::Ask(asked)));
            join_all(writes).await.into_iter().collect::<Result<Vec<_>, _>>()?;
            pace().await;
        }
        for due in listen::plan(&self.store.read()?, &self.policy, self.clock.now())? {
            if *stop.borrow() {
                return Ok(());
            }
            let snapshot = self.store.read()?;
            let is_known = |sid| snapshot.has_inbound(sid).unwrap_or(false);
            for write in listen::ask(&self.client, &due, is_known, &pace).await? {
                self.write(write).await?;
            }
            pace().await;
        }
        Ok(())
    }

    /// A busy store is waited for: evidence is not thrown away.
    async fn write(&self, write: Write) -> Result<store::Written, StoreError> {
        loop {
            match self.store.write(write.clone()).await {
                Err(StoreError::Full(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                result => return result,
            }
        }
    }

    async fn rest(&self) {
        tokio::time::sleep(Duration::from_secs_f64(1.0 / self.options.rate_per_s)).await;
    }
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Twilio(#[from] ClientError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Puts on the board what is paused; refused credentials have an alert of their own.
fn announce(board: &Board, pauses: &[Paused]) {
    let pauses: Vec<_> = pauses.iter().filter(|paused| !matches!(paused.cause, Cause::Credentials(_))).collect();
    if pauses.is_empty() {
        board.clear(PAUSED);
        return;
    }
    let name = |paused: &&Paused| match (&paused.scope, &paused.cause) {
        (Scope::All, _) => "everything, by an operator".to_owned(),
        (scope, Cause::Failure(code)) => format!("{scope}, because of error {code}"),
        (scope, _) => format!("{scope}, by an operator"),
    };
    let all = pauses.iter().map(name).collect::<Vec<_>>().join("; ");
    // What a person paused is as they want it, and messages and callbacks are taken in all the same.
    let is_blocking = pauses.iter().any(|paused| paused.scope == Scope::Account);
    board.raise(Alert {
        code: PAUSED,
        detail: format!("sending is paused: {all}"),
        action: "repair what the error names, then: bluetick resume, or the button on the page".into(),
        is_blocking,
    });
}
