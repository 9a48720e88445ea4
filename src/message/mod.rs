//! What a message is and how it changes.
//!
//! Invariant: pure. No clock, no disk, no socket, no randomness: all of them are arguments.

mod address;
mod attempt;
mod draft;
mod fact;
mod failure;
mod gate;
mod id;
mod policy;
mod receipt;
mod record;
mod retry;
mod standing;
mod status;

pub use address::{Address, BadAddress};
pub use attempt::{Attempt, FEARED, Form, Handing};
pub use draft::{Category, Content, Draft, Flaw, MAX_BODY, Priority, Template, Wish};
pub use fact::{Fact, Hold, Journal, MAX_ROWS, Row, Source, Wait, Why};
pub use failure::{Class, Failure, Job, OptOut, Pause, all as all_failures, explain};
pub use gate::{Passage, Recipient, Window};
pub use id::{AttemptId, MessageId, NotAnId, Sid};
pub use policy::{OnUnknown, OutsideWindow, Policy};
pub use receipt::{Evidence, Receipt, Seen};
pub use record::{Change, Ending, Message, Next, Origin, Pass, Step, TooLate};
pub use retry::Never;
pub use status::{RANKED, Status, Word};
