//! bluetick: WhatsApp delivery you can prove.

pub mod alert;
pub mod clock;
pub mod contact;
pub mod emulator;
pub mod event;
pub mod jobs;
pub mod message;
pub mod metrics;
pub mod store;
pub mod twilio;
