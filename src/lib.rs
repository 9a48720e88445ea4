//! bluetick: WhatsApp delivery you can prove.

pub mod message;
