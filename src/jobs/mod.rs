//! What bluetick does by itself: one loop, one file per job.

pub mod adopt;
mod alarm;
pub mod archive;
pub mod chores;
pub mod evidence;
pub mod listen;
mod pace;
mod page;
pub mod reconcile;
pub mod reminders;
pub mod retention;
pub mod rotation;
pub mod send;
pub mod trial;

use std::time::Duration;

use tokio::sync::watch;

pub use pace::{Pacer, Plan, Width};

/// Waits, but not past the stop.
async fn wait(stop: &mut watch::Receiver<bool>, pause: Duration) {
    let _ = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
}
