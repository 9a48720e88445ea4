//! Kept bytes: what was once written is read for ever.

use bluetick::clock::Time;
use bluetick::message::{Fact, Message, MessageId, Source, Word};
use bluetick::store::{decode, encode};

use crate::support::{draft, person, sid};

fn message() -> Message {
    let mut message = Message::accept(MessageId([7; 16]), draft(person(1)), 1, 2, Time(1_800_000_000_000));
    message.apply(Fact::Claimed { nonce: [9; 16], boot: 3 }, Source::Job, Time(1_800_000_000_100));
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

#[test]
fn a_message_of_schema_1_is_read_and_written_as_ever() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/message-schema-1.bin");
    if std::env::var_os("BLUETICK_UPDATE").is_some() {
        std::fs::write(path, encode(&message())).expect("the kept bytes can be written");
    }
    let kept = std::fs::read(path).expect("the kept bytes are there");
    let read: Message = decode(&kept).expect("bytes of schema 1 are read for ever");
    assert_eq!(encode(&read), kept, "the same schema number must mean the same bytes");
    assert_eq!((read.id, read.sid(), read.code()), (message().id, Some(sid(5)), Some(63_016)));
    assert_eq!((read.status().to_string(), &read.journal), ("undelivered".to_owned(), &message().journal));
    assert_eq!(read.attempts, message().attempts);
}
