//! The words on the wire between bluetick and Twilio, in both directions, as plain values.
//!
//! The client and the webhooks read them, the emulator writes them: one spelling for both ends.
//! Not here: what an answer means (`outcome`), who signed it (`signature`).

mod callback;
mod date;
mod form;
mod inbound;
mod resource;

pub use callback::StatusCallback;
pub use date::{format_date, parse_date};
pub use form::{BadField, BadForm, MAX_FORM_BYTES, MAX_PARAMETERS, Params, encode_form, parse_form};
pub use inbound::{InboundMessage, MAX_MEDIA, Media};
pub use resource::{CreateMessage, ErrorBody, MessagePage, MessageResource};

/// The only version of Twilio's messaging API there is.
pub const API_VERSION: &str = "2010-04-01";
