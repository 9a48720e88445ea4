//! What a message is and how it changes: pure, without clock, disk or socket.

mod address;
mod id;

pub use address::{Address, BadAddress};
pub use id::{AttemptId, MessageId, NotAnId, Sid};
