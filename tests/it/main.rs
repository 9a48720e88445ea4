//! What bluetick promises, tried through its public doors.

mod codec;
mod receipts;
mod sending;
mod store;
mod support;
