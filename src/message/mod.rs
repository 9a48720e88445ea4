//! What a message is and how it changes.
//!
//! Invariant: pure. No clock, no disk, no socket, no randomness: all of them are arguments.

mod address;
mod attempt;
mod draft;
mod fact;
mod failure;
mod id;
mod policy;
mod receipt;
mod record;
mod status;

pub use address::{Address, BadAddress};
pub use attempt::{Attempt, Handing};
pub use draft::{Content, Draft, Flaw, MAX_BODY, Priority, Wish};
pub use fact::{Fact, Journal, MAX_ROWS, Row, Source};
pub use failure::{Class, Failure, Job, OptOut, Pause, all as all_failures, explain};
pub use id::{AttemptId, MessageId, NotAnId, Sid};
pub use policy::Policy;
pub use receipt::{Evidence, Receipt, Seen};
pub use record::{Change, Ending, Message, Next, Origin, Step, TooLate};
pub use status::{RANKED, Status, Word};
