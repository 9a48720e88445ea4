//! What is wrong right now, in words a person can act on: jobs raise it, the pages and `/readyz` show it.
//!
//! Invariant: one alert a code; raising it again only renews its words. What has passed is cleared by whoever raised it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// The code of the alert that says what is paused.
pub const PAUSED: &str = "sending_paused";

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Its stable name, for programs.
    pub code: &'static str,
    /// What is wrong.
    pub detail: String,
    /// What to do about it.
    pub action: String,
    /// Whether bluetick cannot do its work because of it: then `/readyz` says no.
    pub is_blocking: bool,
}

/// Everything that is wrong right now; clones show the same board.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<&'static str, Alert>>>);

impl Board {
    /// Puts an alert up, or renews its words; says whether it is new.
    pub fn raise(&self, alert: Alert) -> bool {
        self.lock().insert(alert.code, alert).is_none()
    }

    /// Takes an alert down; says whether it was up.
    pub fn clear(&self, code: &str) -> bool {
        self.lock().remove(code).is_some()
    }

    /// What is up, by code.
    pub fn all(&self) -> Vec<Alert> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Alert>> {
        // The map is whole between calls, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_up_until_it_is_cleared() {
        let board = Board::default();
        let alert = Alert { code: "disk", detail: "full".into(), action: "make room".into(), is_blocking: true };
        assert!(board.raise(alert.clone()) && !board.raise(alert.clone()));
        assert_eq!(board.all(), [alert]);
        assert!(board.clear("disk") && !board.clear("disk") && board.all().is_empty());
    }
}
