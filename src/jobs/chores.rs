//! What is done from time to time: when its line says so, or when somebody asks. One after the other, never two at once.
//!
//! Invariant: what came of each run is on disk, and so is that somebody asked; a run that was missed is made up for once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::alarm::Alarm;
use super::{archive, reminders, retention, wait};
use crate::alert::{Alert, Board};
use crate::backup;
use crate::clock::{Clock, Time};
use crate::custody::Custody;
use crate::store::{Handle, Run, StoreError, Upkeep, Write};
use crate::timetable::Timetable;

/// Should the alarm clock stand still: the timetables are looked at this often anyway.
const GLANCE: Duration = Duration::from_secs(60);

/// Everything the job works with.
pub struct Job {
    /// What it is done with.
    pub store: Handle,
    /// What time it is.
    pub clock: Clock,
    /// What is wrong.
    pub board: Board,
    /// When bluetick started: nothing that was due before its first start was missed.
    pub boot_at: Time,
    /// What is done, in this order when several are due.
    pub chores: Vec<Chore>,
}

/// Something that is done from time to time.
pub struct Chore {
    /// When; never by itself, if there is no line.
    pub timetable: Option<Timetable>,
    /// What.
    pub task: Task,
}

/// What is done.
pub enum Task {
    /// Old messages move to the archive.
    Archive {
        /// How old they are.
        after: Duration,
    },
    /// What is too old is forgotten.
    Retention(retention::Options),
    /// The data file is written anew, if anything was forgotten.
    Rewrite,
    /// It is said which secrets are due.
    Reminders(Arc<Custody>),
    /// A backup is made, and the oldest one too many goes.
    Backup {
        /// Where they are.
        folder: PathBuf,
        /// How many are kept.
        keep: usize,
    },
}

impl Task {
    /// What it is to the store.
    pub fn upkeep(&self) -> Upkeep {
        match self {
            Self::Archive { .. } => Upkeep::Archive,
            Self::Retention(_) => Upkeep::Retention,
            Self::Rewrite => Upkeep::Rewrite,
            Self::Backup { .. } => Upkeep::Backup,
            Self::Reminders(_) => Upkeep::Reminders,
        }
    }

    /// The alert that says that the last run failed, and what to do then.
    fn alert(&self) -> (&'static str, &'static str) {
        match self {
            Self::Archive { .. } => ("archive_failed", "look at the folder of the archive, then: bluetick archive run"),
            Self::Retention(_) => ("retention_failed", "look at the log; it is tried again when it is next due"),
            Self::Reminders(_) => ("reminders_failed", "look at the log; it is tried again when it is next due"),
            Self::Rewrite => ("rewrite_failed", "make room for a second data file beside the first"),
            Self::Backup { .. } => ("backup_failed", "look at the folder of the backups, then: bluetick backup create"),
        }
    }

    /// Does it; says in words what was done.
    async fn run(&self, store: &Handle, board: &Board, now: Time) -> Result<String, String> {
        match self {
            Self::Archive { after } => {
                let moved = archive::run(store, now.minus(*after), |_| ()).await.map_err(|error| error.to_string())?;
                Ok(moved.to_string())
            }
            Self::Retention(options) => {
                let swept = retention::run(store, options, now).await.map_err(|error| error.to_string())?;
                Ok(swept.to_string())
            }
            Self::Reminders(custody) => {
                let due = reminders::run(store, custody, board, now).await.map_err(|error| error.to_string())?;
                Ok(due.to_string())
            }
            Self::Rewrite => {
                let is_wanted = store.read().and_then(|snapshot| snapshot.wanted(Upkeep::Rewrite));
                let is_wanted = is_wanted.is_ok_and(|since| since.is_some());
                retention::rewrite(store, is_wanted).await.map_err(|error| error.to_string())
            }
            Self::Backup { folder, keep } => {
                let (snapshot, folder, keep) = (store.read(), folder.clone(), *keep);
                let made = tokio::task::spawn_blocking(move || {
                    Ok::<_, backup::BackupError>(backup::renew(&snapshot?, &folder, keep, now)?.to_string())
                });
                made.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
            }
        }
    }
}

impl Job {
    /// Does what is due until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let lines = self.chores.iter().filter_map(|chore| chore.timetable.as_ref());
        let mut alarm = match Alarm::set(lines).await {
            Ok(alarm) => Some(alarm),
            Err(error) => {
                tracing::error!(%error, "the alarm clock cannot be set: the timetables are looked at every minute instead");
                None
            }
        };
        let wanted = std::sync::Arc::clone(&self.store.wake().wanted);
        while !*stop.borrow() {
            for chore in &self.chores {
                if !*stop.borrow() && self.is_due(chore).unwrap_or(false) {
                    self.make(&chore.task).await;
                }
            }
            let ring = async {
                match &mut alarm {
                    Some(alarm) => alarm.ring().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ring => {}
                () = wanted.notified() => {}
                () = wait(&mut stop, GLANCE) => {}
            }
        }
        if let Some(alarm) = alarm {
            alarm.off().await;
        }
    }

    fn is_due(&self, Chore { timetable, task }: &Chore) -> Result<bool, StoreError> {
        let snapshot = self.store.read()?;
        let last = snapshot.last_run(task.upkeep())?.map_or(self.boot_at, |run| run.at);
        let is_time = timetable.as_ref().is_some_and(|timetable| timetable.is_due(last, self.clock.now()));
        Ok(is_time || snapshot.wanted(task.upkeep())?.is_some())
    }

    async fn make(&self, task: &Task) {
        let (upkeep, at, begun) = (task.upkeep(), self.clock.now(), Instant::now());
        let name = upkeep.as_str();
        let outcome = task.run(&self.store, &self.board, at).await;
        let run = Run { at, took: begun.elapsed(), outcome: outcome.clone() };
        if let Err(error) = self.store.write(Write::Ran(upkeep, run)).await {
            tracing::error!(job = name, %error, "what came of a job could not be written down");
        }
        let (code, action) = task.alert();
        match outcome {
            Ok(done) => {
                self.board.clear(code);
                tracing::info!(job = name, "{done}");
            }
            Err(error) => {
                tracing::error!(job = name, %error, "a job failed; it is tried again when it is next due");
                self.board.raise(Alert { code, detail: error, action: action.to_owned(), is_blocking: false });
            }
        }
    }
}
