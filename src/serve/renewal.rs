//! The certificate of the port is looked at again: every minute, and when somebody says so (SIGHUP).
//!
//! Invariant: a renewed certificate is used from the next connection on, without a restart and without closing any; a broken one
//! is not used, and said.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::watch;

use crate::alert::{Alert, Board};
use crate::clock::{Clock, Time};
use crate::http::{BadCertificate, Certificate};

/// Renewers write two files, one after the other: what does not fit together now does a minute later.
const EVERY: Duration = Duration::from_secs(60);
/// Renewers begin a month ahead, so that at three weeks something has gone wrong for days.
const AHEAD: Duration = Duration::from_secs(21 * 24 * 3_600);
/// The alert that says that the files cannot be used.
const BROKEN: &str = "tls_certificate_broken";
/// The alert that says that the certificate ends soon, or has ended.
const ENDS: &str = "tls_certificate_ends";

/// Keeps the certificate fresh.
pub(super) struct Job {
    certificate: Arc<Certificate>,
    clock: Clock,
    board: Board,
    /// What the log has been told is wrong.
    told: Option<String>,
}

impl Job {
    pub(super) fn new(certificate: Arc<Certificate>, clock: Clock, board: Board) -> Self {
        Self { certificate, clock, board, told: None }
    }

    /// Runs until it is told to stop.
    pub(super) async fn run(mut self, mut hangup: Signal, mut stop: watch::Receiver<bool>) {
        self.warn(self.clock.now());
        loop {
            let is_asked = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = hangup.recv() => true,
                () = tokio::time::sleep(EVERY) => false,
            };
            let now = self.clock.now();
            let renewed = self.look(now);
            if is_asked && matches!(renewed, Ok(false)) {
                tracing::info!(file = %self.certificate.file().display(), "the certificate is the same as before");
            }
        }
    }

    /// Looks at the files, and says what came of it: the log which file is wrong and why, once; everybody that something is.
    fn look(&mut self, now: Time) -> Result<bool, BadCertificate> {
        let renewed = self.certificate.renew(now);
        match &renewed {
            Ok(is_new) => {
                self.told = None;
                self.board.clear(BROKEN);
                if *is_new {
                    let file = self.certificate.file().display();
                    tracing::info!(%file, "the certificate was renewed: new connections are shown the new one");
                }
            }
            Err(error) => {
                let words = error.to_string();
                if self.told.as_ref() != Some(&words) {
                    tracing::error!(
                        error = words,
                        "the renewed certificate cannot be used, and the one before goes on"
                    );
                    self.told = Some(words);
                }
                // Anybody may ask what is wrong, so it names no file.
                self.board.raise(Alert {
                    code: BROKEN,
                    detail: "the renewed certificate cannot be used, and the one before goes on".into(),
                    action: "the log says which file is wrong and why; they are looked at every minute, and at SIGHUP"
                        .into(),
                    is_blocking: false,
                });
            }
        }
        self.warn(now);
        renewed
    }

    /// Whether the certificate ends soon. It is nothing that stops sending, so it blocks nothing.
    fn warn(&self, now: Time) {
        match self.certificate.ends_at().filter(|ends_at| *ends_at < now.plus(AHEAD)) {
            None => drop(self.board.clear(ENDS)),
            Some(ends_at) => {
                let verb = if ends_at < now { "ended" } else { "ends" };
                self.board.raise(Alert {
                    code: ENDS,
                    detail: format!("the certificate of the port {verb} at {ends_at}"),
                    action: "renew it, and see why its renewer has not; the new one is used within a minute".into(),
                    is_blocking: false,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
