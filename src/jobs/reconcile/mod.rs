//! Asks Twilio instead of waiting for its callback: for attempts whose answer was lost, about receipts that are not
//! settled, and for what people wrote.
//!
//! Invariant: the three do not wait for each other, but for the pace they share. A question without an answer keeps
//! none of the others from theirs, and stays due.

mod ask;
mod plan;

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

pub use self::ask::{Learned, ask};
pub use self::plan::{Ask, Target, plan};
use super::wait;
use super::{adopt, listen};
use crate::alert::{Alert, Board, PAUSED};
use crate::clock::Clock;
use crate::message::{Policy, Priority};
use crate::pause::{Cause, Paused, Scope};
use crate::store::{self, Restored, StoreError, Write};
use crate::twilio::{Client, ClientError};

/// Questions of one kind that wait for their answers at once.
const AT_ONCE: usize = 4;
/// Answers that are written down at once.
const MAX_WRITES: usize = 64;
/// The loops look at the agenda at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Lost attempts are looked for as soon as they are due; receipts gather for a moment, because many cost one list.
const SHORTEST_SLEEPS: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];
/// After Twilio gave no answer, the first and the longest pause.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));

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

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Twilio gave none.
    #[error(transparent)]
    Twilio(#[from] ClientError),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Job {
    /// Asks until told to stop.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let asking = Asking { beat: Beat::new(self.options.rate_per_s), job: self };
        let is_first = Cell::new(true);
        tokio::join!(
            asking.go_on(stop.clone(), async || asking.look().await),
            asking.go_on(stop.clone(), async || asking.heal().await),
            asking.go_on(stop, async || asking.listen(&is_first).await),
        );
    }
}

/// A running job.
struct Asking {
    job: Job,
    beat: Beat,
}

/// What came of one look at what is due.
struct Round {
    /// Questions with an answer.
    answered: usize,
    /// Why one has none.
    trouble: Option<Trouble>,
    /// How long there is nothing to do, if all went well.
    rest: Duration,
}

impl Asking {
    /// One kind of question, again and again; stopping waits for no answer.
    async fn go_on(&self, mut stop: watch::Receiver<bool>, work: impl AsyncFn() -> Result<Round, StoreError>) {
        let mut pause = PAUSES.0;
        while !*stop.borrow() {
            let round = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                round = work() => round,
            };
            let (answered, trouble, rest) = match round {
                Ok(Round { answered, trouble, rest }) => (answered, trouble, rest),
                Err(error) => (0, Some(error.into()), PAUSES.1),
            };
            if answered > 0 || trouble.is_none() {
                pause = PAUSES.0;
            }
            match trouble {
                None => wait(&mut stop, rest).await,
                Some(Trouble::Twilio(error)) => {
                    tracing::warn!(%error, answered, "Twilio could not be asked; what is due stays due");
                    let asked = if let ClientError::Busy { retry_after } = error { retry_after } else { None };
                    wait(&mut stop, asked.unwrap_or(pause).clamp(pause, PAUSES.1)).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                Some(Trouble::Store(error)) => {
                    tracing::error!(%error, "asking Twilio pauses, because the store does not answer");
                    wait(&mut stop, PAUSES.1).await;
                }
            }
        }
    }

    /// Looks for attempts whose answer was lost.
    async fn look(&self) -> Result<Round, StoreError> {
        let asks = plan::looks(&self.job.store.read()?, self.job.clock.now())?;
        self.ask_all(asks, &[Priority::High], SHORTEST_SLEEPS[0]).await
    }

    /// Asks about receipts that are not settled.
    async fn heal(&self) -> Result<Round, StoreError> {
        let asks = plan::receipts(&self.job.store.read()?, self.job.clock.now())?;
        self.ask_all(asks, &[Priority::Normal, Priority::Bulk], SHORTEST_SLEEPS[1]).await
    }

    async fn ask_all(&self, mut asks: Vec<Ask>, lanes: &[Priority], shortest: Duration) -> Result<Round, StoreError> {
        let round = RefCell::new(Round { answered: 0, trouble: None, rest: Duration::ZERO });
        while !asks.is_empty() {
            let left = stream::iter(&asks).map(|ask| self.ask(ask, &round)).buffer_unordered(AT_ONCE);
            asks = left.concat().await;
        }
        let first = self.job.store.read()?.first_question(lanes)?;
        let rest = first.map_or(LONGEST_SLEEP, |at| at.since(self.job.clock.now())).clamp(shortest, LONGEST_SLEEP);
        Ok(Round { rest, ..round.into_inner() })
    }

    /// Asks one question and writes down what it taught; what is left of it is asked after the others.
    async fn ask(&self, question: &Ask, round: &RefCell<Round>) -> Vec<Ask> {
        let is_over = round.borrow().trouble.as_ref().is_some_and(is_for_all);
        if is_over {
            return Vec::new();
        }
        let Job { store, client, clock, .. } = &self.job;
        self.beat.wait(Duration::ZERO).await;
        let learned =
            ask(client, question, || clock.now(), || store.read(), async |least| self.beat.wait(least).await).await;
        let left = match learned {
            Ok(Learned { answers, left }) => self.write(answers.into_iter().map(Write::Ask)).await.map(|()| left),
            Err(trouble) => Err(trouble),
        };
        let mut round = round.borrow_mut();
        match left {
            Ok(left) => {
                round.answered += 1;
                left.into_iter().map(Ask::Fetch).collect()
            }
            Err(trouble) => {
                if !round.trouble.as_ref().is_some_and(is_for_all) {
                    round.trouble = Some(trouble);
                }
                Vec::new()
            }
        }
    }

    /// Asks what people wrote: every sender after a start, then one by one as it is time.
    async fn listen(&self, is_first: &Cell<bool>) -> Result<Round, StoreError> {
        let Job { store, client, clock, policy, board, .. } = &self.job;
        let snapshot = store.read()?;
        announce(board, &snapshot.active_pauses()?);
        let mut round = Round { answered: 0, trouble: None, rest: LONGEST_SLEEP };
        let due = match is_first.get() {
            true => listen::all(&snapshot, clock.now())?,
            false => listen::plan(&snapshot, policy, clock.now())?,
        };
        if let Some(restored) = adopt::is_due(&snapshot)? {
            match self.catch_up(restored).await {
                Ok(()) => tracing::info!("all that was sent since the backup is known"),
                Err(trouble) => round.trouble = Some(trouble),
            }
        }
        for hearing in due {
            self.beat.wait(Duration::ZERO).await;
            let snapshot = store.read()?;
            let is_known = |sid| snapshot.has_inbound(sid).unwrap_or(false);
            let heard = listen::ask(client, &hearing, is_known, async |least| self.beat.wait(least).await).await;
            match heard.map_err(Trouble::from) {
                Ok(writes) => match self.write(writes.into_iter()).await {
                    Ok(()) => round.answered += 1,
                    Err(trouble) => round.trouble = Some(trouble),
                },
                Err(trouble) => round.trouble = Some(trouble),
            }
            if round.trouble.as_ref().is_some_and(is_for_all) {
                break;
            }
        }
        is_first.set(is_first.get() && round.trouble.is_some());
        Ok(round)
    }

    /// After a restore: takes in what was sent since the backup was made.
    async fn catch_up(&self, restored: Restored) -> Result<(), Trouble> {
        let Job { store, client, .. } = &self.job;
        self.beat.wait(Duration::ZERO).await;
        let snapshot = store.read()?;
        // A disk that cannot be read proves nothing: then nothing is taken in twice.
        let is_known = |sid| snapshot.message_by_sid(sid).map_or(true, |found| found.is_some());
        let writes = adopt::ask(client, restored, is_known, rand::random, async |least| self.beat.wait(least).await);
        // What was sent is taken in before the pause ends.
        for write in writes.await? {
            self.write_one(&write).await?;
        }
        Ok(())
    }

    async fn write(&self, writes: impl Iterator<Item = Write>) -> Result<(), Trouble> {
        let writes: Vec<_> = writes.collect();
        for some in writes.chunks(MAX_WRITES) {
            join_all(some.iter().map(|write| self.write_one(write))).await.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(())
    }

    /// A busy store is waited for: evidence is not thrown away.
    async fn write_one(&self, write: &Write) -> Result<(), StoreError> {
        loop {
            match self.job.store.write(write.clone()).await {
                Err(StoreError::Full(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                result => return result.map(drop),
            }
        }
    }
}

/// Whether the next question would meet the same trouble.
fn is_for_all(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Twilio(error) => matches!(error, ClientError::Busy { .. } | ClientError::Credentials { .. }),
        Trouble::Store(_) => true,
    }
}

/// Questions go one after the other, whoever asks them.
struct Beat {
    every: Duration,
    next: Mutex<Instant>,
}

impl Beat {
    fn new(rate_per_s: f64) -> Self {
        Self { every: Duration::from_secs_f64(1.0 / rate_per_s), next: Mutex::new(Instant::now()) }
    }

    /// Waits for one's turn, which is not before `least` has passed; then nobody's is.
    async fn wait(&self, least: Duration) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now() + least.min(PAUSES.1));
            *next = turn + self.every;
            turn
        };
        sleep_until(turn).await;
    }
}

/// Puts on the board what is paused; refused credentials have an alert of their own.
fn announce(board: &Board, pauses: &[Paused]) {
    let pauses: Vec<_> = pauses.iter().filter(|paused| !matches!(paused.cause, Cause::Credentials(_))).collect();
    if pauses.is_empty() {
        board.clear(PAUSED);
        return;
    }
    let name = |paused: &&Paused| match (&paused.scope, &paused.cause) {
        (Scope::All, Cause::Restored { .. }) => {
            "everything, until it is known what was sent since the backup".to_owned()
        }
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
