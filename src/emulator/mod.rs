//! A small, strict, forgetful Twilio that misbehaves by script; the only fake in the house.
//!
//! It answers the Messages, Account, AuthTokens, Keys, Senders, Content and Alerts APIs with Twilio's own shapes and codes, signs
//! what it posts to the app, and plays the people at the other end. [`Scenario`] has the table of its misbehaviour, `chaos`
//! that of misbehaviour by chance, `control` the API that scripts both, `ledger` what really happened, for a test to compare with.
//! Never for production: it keeps nothing, and forgets the oldest messages past a bound.
//!
//! The core is [`Emulator::handle`]: `(request, now, dice) → (answer, posts)`, without clock, socket or chance of its own.
//! [`start`] puts it behind a real socket and makes the posts.

mod account;
mod alerts;
mod callbacks;
mod chaos;
mod contact;
mod content;
mod control;
mod core;
mod draft;
mod exchange;
mod failure;
mod fault;
mod inbound;
mod ledger;
mod listing;
mod message;
mod messages;
mod options;
mod paging;
mod postman;
mod query;
mod retry_policy;
mod routes;
mod scenario;
mod senders;
mod server;
mod shell;
#[cfg(test)]
mod socket_tests;
mod status;
#[cfg(test)]
mod tests;

pub use core::{Dice, Emulator};
pub use exchange::{Answer, Delivery, How, Later, Method, Refusal, Request};
pub use ledger::{CallbackRow, Counts, CreateRow, StatusRow, TryRow};
pub use options::{KeyOptions, Options, Pace, SenderOptions, ServiceOptions, TemplateOptions};
pub use retry_policy::RetryPolicy;
pub use scenario::{Scenario, UnknownScenario};
pub use server::{Running, StartError, start};
pub use status::Status;

/// 32 lower-case hex digits: what follows the two letters of every SID, and what tokens are made of.
fn random_hex(dice: &mut Dice) -> String {
    use rand::RngExt;
    format!("{:032x}", dice.random::<u128>())
}
