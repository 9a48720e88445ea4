//! Kept bytes: what was once written is read for ever.

use bluetick::clock::Time;
use bluetick::contact::Contact;
use bluetick::event::{Event, Told};
use bluetick::message::{Change, Fact, Form, Message, MessageId, Source, Status, Word};
use bluetick::metrics::Cell;
use bluetick::store::{Inbound, decode, encode};

use crate::support::{draft, person, sid};

fn message() -> Message {
    let mut message = Message::accept(MessageId([7; 16]), draft(person(1)), 1, 2, Time(1_800_000_000_000));
    message.apply(Fact::Claimed { nonce: [9; 16], boot: 3, form: Form::AsAsked }, Source::Job, Time(1_800_000_000_100));
    let sent = Fact::Sent { attempt: 1, sid: sid(5), word: Word::Queued, ask_at: Time(1_800_000_600_000) };
    message.apply(sent, Source::Job, Time(1_800_000_000_200));
    for (word, code) in [(Word::Sent, None), (Word::Undelivered, Some(63_016)), (Word::parse("strange"), None)] {
        message.apply(
            Fact::Reported { attempt: 1, sid: sid(5), word, code },
            Source::Callback,
            Time(1_800_000_000_300),
        );
    }
    message
}

/// Reads the kept bytes of a record, and checks that writing it again gives the same.
fn kept<T: serde::Serialize + serde::de::DeserializeOwned>(name: &str, now: &T) -> T {
    let path = format!("{}/tests/data/{name}-schema-1.bin", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLUETICK_UPDATE").is_some() && !std::path::Path::new(&path).exists() {
        std::fs::write(&path, encode(now)).expect("the kept bytes can be written");
    }
    let bytes = std::fs::read(&path).expect("the kept bytes are there");
    let read = decode(&bytes).expect("bytes of schema 1 are read for ever");
    // Codec and schema stand in front, and a checksum behind: no step has changed this record since.
    let now = encode(&read);
    assert_eq!(now[3..now.len() - 4], bytes[3..], "another shape needs another schema number, and a step to it");
    read
}

#[test]
fn every_other_record_of_schema_1_is_read_and_written_as_ever() {
    let mut contact = Contact::named("whatsapp:+4915100000001");
    contact.wrote(1, Time(1_800_000_000_000));
    assert_eq!(kept("contact", &contact), contact);
    let mut cell = Cell::default();
    bluetick::metrics::share(&message()).add_to(&mut cell, 1);
    assert_eq!(kept("cell", &cell), cell);
    let change = Change { before: Status::Pending, after: Status::InFlight, grew: true, is_new_duplicate: false };
    let told = Told::of(&message(), &change).expect("it grew");
    let event = Event { seq: 7, at: Time(1_800_000_000_000), told };
    assert_eq!(kept("event", &event), event);
    let inbound = inbound();
    assert_eq!(kept("inbound", &inbound), inbound);
}

fn inbound() -> Inbound {
    Inbound {
        sid: sid(9),
        at: Time(1_800_000_000_000),
        source: Source::Callback,
        from: "whatsapp:+4915100000001".into(),
        to: "whatsapp:+15550001111".into(),
        contact: 2,
        sender: 1,
        also: vec!["whatsapp:DE.777".into()],
        body: "hi".into(),
        profile_name: Some("Ada".into()),
        media: vec![("https://example.com/a.jpg".into(), "image/jpeg".into())],
        extra: [("ButtonText".to_owned(), "Yes".to_owned())].into(),
    }
}

#[test]
fn a_message_of_schema_1_is_read_and_written_as_ever() {
    let read = kept("message", &message());
    assert_eq!((read.id, read.sid(), read.code()), (message().id, Some(sid(5)), Some(63_016)));
    assert_eq!((read.status().to_string(), &read.journal), ("undelivered".to_owned(), &message().journal));
    assert_eq!(read.attempts, message().attempts);
}
