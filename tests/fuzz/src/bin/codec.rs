//! Records of the data file, of every kind. Bytes are a record or an error; a record is the same when it is written and
//! read again, and can be shown and counted.
//!
//! An input is the kind, how it is dressed (as it is, as the first version wrote it, with its checksum), and the bytes.
#![no_main]

use std::fmt::Debug;

use bluetick::contact::Contact;
use bluetick::event::Event;
use bluetick::message::Message;
use bluetick::metrics::{Cell, share};
use bluetick::pause::Paused;
use bluetick::store::{Inbound, Listening, Restored, Run, SCHEMA, Unreadable, decode, encode};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|bytes: &[u8]| {
    let [kind, dress, bytes @ ..] = bytes else { return };
    let bytes = match dress % 3 {
        0 => bytes.to_vec(),
        1 => [&[1, 0, 1], bytes].concat(),
        _ => {
            let bytes = [&[2][..], &SCHEMA.to_be_bytes(), bytes].concat();
            let checksum = crc32fast::hash(&bytes).to_be_bytes();
            [bytes, checksum.to_vec()].concat()
        }
    };
    match kind % 10 {
        0 => reread::<Message>(&bytes).iter().for_each(show),
        1 => drop(reread::<Contact>(&bytes)),
        2 => drop(reread::<Event>(&bytes).map(|event| event.told.name())),
        3 => drop(reread::<Inbound>(&bytes).map(|inbound| inbound.has_words())),
        4 => drop(reread::<Cell>(&bytes).map(|cell| cell.is_empty())),
        5 => drop(reread::<Paused>(&bytes).map(|paused| (paused.scope.to_string(), paused.cause.note()))),
        6 => drop(reread::<Run>(&bytes)),
        7 => drop(reread::<Listening>(&bytes)),
        8 => drop(reread::<Restored>(&bytes)),
        _ => drop(reread::<String>(&bytes)),
    }
});

fn reread<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    match decode::<T>(bytes) {
        Ok(record) => {
            let longer = [bytes, &[0]].concat();
            assert!(decode::<T>(&longer).is_err(), "bytes were left over");
            assert_eq!(decode::<T>(&encode(&record)).as_ref(), Ok(&record));
            Some(record)
        }
        Err(Unreadable::Later(schema)) => {
            assert!(schema > SCHEMA);
            None
        }
        Err(Unreadable::Damaged(_)) => None,
    }
}

/// What everybody does who meets a message.
fn show(message: &Message) {
    let words = (message.status().to_string(), message.code(), message.sid(), share(message));
    let masked = [message.draft.to.masked(), message.draft.from.masked()];
    drop((words, masked, format!("{message:?}")));
    let line = serde_json::to_string(message).expect("a message is a line of the archive");
    if let Ok(read) = serde_json::from_str::<Message>(&line) {
        assert_eq!(read, *message);
    }
}
