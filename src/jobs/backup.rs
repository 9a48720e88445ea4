//! Makes a backup when it is time, and removes the oldest.
//!
//! Invariant: one at a time; one that was missed is made up for once; what came of it is on disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::alarm::Alarm;
use super::wait;
use crate::alert::{Alert, Board};
use crate::backup::{self, BackupError, NAME};
use crate::clock::{Clock, Time};
use crate::store::{Handle, Run, Write};
use crate::timetable::Timetable;

/// The alert that says that the last one failed.
const FAILED: &str = "backup_failed";
/// Should the alarm clock stand still: the timetable is looked at this often anyway.
const GLANCE: Duration = Duration::from_secs(60);

/// Everything the job works with.
pub struct Job {
    /// What is backed up.
    pub store: Handle,
    /// What time it is.
    pub clock: Clock,
    /// What is wrong.
    pub board: Board,
    /// How many are kept.
    pub keep: usize,
    /// Where they go.
    pub folder: PathBuf,
    /// When.
    pub timetable: Timetable,
    /// When bluetick started: nothing that was due before its first start was missed.
    pub boot_at: Time,
}

impl Job {
    /// Makes backups until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut alarm = match Alarm::set(&self.timetable).await {
            Ok(alarm) => Some(alarm),
            Err(error) => {
                tracing::error!(%error, "the alarm clock cannot be set: the timetable is looked at every minute instead");
                None
            }
        };
        while !*stop.borrow() {
            if self.is_due() {
                self.make().await;
            }
            match &mut alarm {
                Some(alarm) => tokio::select! {
                    () = alarm.ring() => {}
                    () = wait(&mut stop, GLANCE) => {}
                },
                None => wait(&mut stop, GLANCE).await,
            }
        }
        if let Some(alarm) = alarm {
            alarm.off().await;
        }
    }

    fn is_due(&self) -> bool {
        let last = self.store.read().and_then(|snapshot| snapshot.last_run(NAME)).ok().flatten();
        self.timetable.is_due(last.map_or(self.boot_at, |run| run.at), self.clock.now())
    }

    async fn make(&self) {
        let (snapshot, folder, keep, at, begun) =
            (self.store.read(), self.folder.clone(), self.keep, self.clock.now(), Instant::now());
        let made = tokio::task::spawn_blocking(move || backup::renew(&snapshot?, &folder, keep, at)).await;
        let made = made.unwrap_or_else(|error| Err(BackupError::CutOff(error.to_string())));
        let error = made.as_ref().err().map(ToString::to_string);
        let ran = self.store.write(Write::Ran(NAME.to_owned(), Run { at, took: begun.elapsed(), error })).await;
        if let Err(error) = ran {
            tracing::error!(%error, "what came of the backup could not be written down");
        }
        match made {
            Ok(backup) => {
                self.board.clear(FAILED);
                tracing::info!(file = %backup.path.display(), bytes = backup.bytes, "a backup was made");
            }
            Err(error) => {
                tracing::error!(%error, "the backup failed; it is tried again when it is next due");
                let action = "look at the folder of the backups, then: bluetick backup create".to_owned();
                self.board.raise(Alert { code: FAILED, detail: error.to_string(), action, is_blocking: false });
            }
        }
    }
}
