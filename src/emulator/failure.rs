//! What the emulator says in words when a message fails.
//!
//! Not here: what to do about a failure; that is the app's to know.

/// A short sentence for a code, in the spirit of Twilio's; codes it does not know get a general one.
pub(super) fn words(code: u32) -> &'static str {
    match code {
        21610 => "Attempt to send to unsubscribed recipient",
        30008 => "Unknown error",
        63003 => "Channel could not find To address",
        63007 => "Twilio could not find a Channel with the specified From address",
        63016 => "Failed to send freeform message because you are outside the allowed window",
        63018 => "Rate limit exceeded for Channel",
        63024 => "Invalid message recipient",
        63040 => "Template Rejected",
        63041 => "Template Paused",
        63042 => "Template Disabled",
        63049 => "Meta chose not to deliver this WhatsApp marketing message",
        _ => "The message could not be delivered",
    }
}
