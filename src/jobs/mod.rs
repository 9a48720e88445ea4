//! What bluetick does by itself: one loop, one file per job.

mod pace;
pub mod send;

pub use pace::Pacer;
