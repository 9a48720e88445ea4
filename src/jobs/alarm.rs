//! The alarm clock of what is periodic: it wakes whoever sleeps, and may do so late, twice or not at all.
//!
//! Not here: what is due ([`crate::timetable`]), and whether it has run, which is on disk.

use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::timetable::Timetable;

/// Rings when one of its lines says so.
pub(super) struct Alarm {
    scheduler: JobScheduler,
    rings: mpsc::Receiver<()>,
}

impl Alarm {
    /// Sets it.
    pub(super) async fn set(timetables: impl Iterator<Item = &Timetable>) -> Result<Self, JobSchedulerError> {
        let (ring, rings) = mpsc::channel(1);
        let scheduler = JobScheduler::new().await?;
        for timetable in timetables {
            let ring = ring.clone();
            let job = Job::new_async(timetable.line(), move |_, _| {
                let ring = ring.clone();
                // One ring that nobody has heard yet is enough.
                Box::pin(async move {
                    let _ = ring.try_send(());
                })
            })?;
            scheduler.add(job).await?;
        }
        scheduler.start().await?;
        Ok(Self { scheduler, rings })
    }

    /// Waits for it.
    pub(super) async fn ring(&mut self) {
        if self.rings.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Turns it off.
    pub(super) async fn off(mut self) {
        let _ = self.scheduler.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_rings() {
        let secondly = Timetable::read("* * * * * *").expect("a cron line").expect("not never");
        let mut alarm = Alarm::set(std::iter::once(&secondly)).await.expect("it can be set");
        tokio::time::timeout(std::time::Duration::from_secs(10), alarm.ring()).await.expect("it rings every second");
        alarm.off().await;
    }
}
