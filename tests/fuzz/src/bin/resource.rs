//! Messages, lists of them and errors, as Twilio's API shows them. What is read is the same when it is written and read
//! again, and a date that is understood is the date that was written.
#![no_main]

use bluetick::twilio::wire::{ErrorBody, MessagePage, MessageResource, format_date, parse_date};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|text: &str| {
    if let Some(message) = reread::<MessageResource>(text) {
        assert_eq!(message.sid().map(|sid| sid.to_string()).as_deref().unwrap_or(&message.sid), message.sid);
        [message.created_ms(), message.sent_ms(), message.updated_ms()].into_iter().flatten().for_each(same_date);
    }
    reread::<MessagePage>(text);
    if let Some(error) = reread::<ErrorBody>(text) {
        assert!(error.sentence().len() <= text.len());
    }
    parse_date(text).into_iter().for_each(same_date);
});

fn reread<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(text: &str) -> Option<T> {
    let read: T = serde_json::from_str(text).ok()?;
    let written = serde_json::to_string(&read).expect("plain texts and numbers");
    assert_eq!(serde_json::from_str::<T>(&written).expect("what we write is read"), read);
    Some(read)
}

fn same_date(at_ms: i64) {
    assert_eq!(parse_date(&format_date(at_ms)), Some(at_ms));
}
