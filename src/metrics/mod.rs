//! What one record adds to the numbers, and the sums of it.
//!
//! Invariant: integers only. A cell is the sum of the shares of its records, so that adding a new share and taking the
//! old one off keeps every figure equal to a fold of the records, whatever happens to them.

mod cell;
mod histogram;
mod share;

pub use cell::{Cell, Count};
pub use histogram::Histogram;
pub use share::{Share, inbound, share};
