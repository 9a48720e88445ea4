//! Addresses, ids and scopes: each has one spelling, reads back what it shows, and shows nobody where it is masked.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use bluetick::message::{Address, AttemptId, MessageId, Sid};
use bluetick::pause::Scope;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let kept = Address::from_twilio(text);
    assert_eq!(kept.to_string(), text.chars().take(160).collect::<String>());
    assert!(kept.masked().len() < 40);
    if let Some(address) = reread::<Address>(text) {
        assert!(text.trim().len() <= 160);
        assert_eq!(Address::from_twilio(&address.to_string()), address);
        let (name, masked) = (address.to_string(), address.masked());
        if address.is_person() {
            // Country and the last two digits at most.
            let name = name.strip_prefix("whatsapp:").expect("people are on this channel");
            let hidden = &name[3..name.len() - name.len().min(5).saturating_sub(3)];
            assert!(hidden.len() < 3 || !masked.contains(hidden), "{masked}");
        }
    }
    for id in [text, text.trim()] {
        one_spelling::<MessageId>(id);
        one_spelling::<AttemptId>(id);
        one_spelling::<Sid>(id);
    }
    reread::<Scope>(text);
});

fn reread<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let read: T = text.parse().ok()?;
    assert_eq!(read.to_string().parse().ok().as_ref(), Some(&read));
    Some(read)
}

fn one_spelling<T: FromStr + Display>(text: &str) {
    if let Ok(read) = text.parse::<T>() {
        assert_eq!(read.to_string(), text);
    }
}
