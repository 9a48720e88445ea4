//! Speaks to Twilio: hands messages over, asks about them, and lets in what Twilio signed.
//!
//! Invariant: what came of a send is judged by evidence alone; doubt is a result of its own ([`Outcome::Unknown`]).
//! Invariant: an unsigned callback cannot exist as a value ([`webhook::Verified`]).
//! Not here: when to send, ask or try again (`jobs`); what an error code means (`message`); routes (`http`).

pub mod client;
pub mod doctor;
mod options;
pub mod outcome;
pub mod signature;
mod tokens;
pub mod transport;
pub mod webhook;
pub mod wire;

pub use client::{Client, ClientError, ListQuery, Listing, MAX_PAGE_SIZE};
pub use options::{BadOptions, Options};
pub use outcome::{NotProcessed, Outcome};
pub use signature::AuthToken;
pub use webhook::Webhook;
