//! How records become bytes: `[codec][schema][payload][checksum]`.
//!
//! Invariant: bytes written by any released version are read by every later one; the kept bytes in `tests/data` prove
//! it. The codec byte is the way to another format without a flag day: bincode is complete but no longer maintained.

use bincode::config;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// bincode 2, standard configuration, as the first version wrote it: without a checksum.
const BARE: u8 = 1;
/// The same, and a CRC-32 of all bytes before it (big-endian): redb looks at its own checksums only when it repairs a file, and
/// what a disk has changed since must not be taken for what was written.
const BINCODE: u8 = 2;
/// Raised when a record's shape changes; an older shape keeps its reader here.
pub const SCHEMA: u16 = 2;
const HEAD: usize = 3;
const CHECKSUM: usize = 4;
/// No record is larger: bodies, tags and journals are all bounded far below.
const MAX_RECORD: usize = 1 << 20;

/// Bytes that are no record of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Written by a later version.
    #[error("a record of schema {0} was written by a later bluetick: install that version or a newer one")]
    Later(u16),
    /// Damaged, or not ours.
    #[error("a stored record cannot be read: {0}")]
    Damaged(String),
}

/// The bytes of a record.
pub fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    bytes.push(BINCODE);
    bytes.extend(SCHEMA.to_be_bytes());
    bincode::serde::encode_into_std_write(record, &mut bytes, config::standard())
        .expect("our records have no unsized or self-describing part, and a Vec takes any number of bytes");
    let checksum = crc32fast::hash(&bytes);
    bytes.extend(checksum.to_be_bytes());
    bytes
}

/// The record in the bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    let damaged = |what: &dyn std::fmt::Display| Unreadable::Damaged(what.to_string());
    let (head, payload) = bytes.split_at_checked(HEAD).ok_or_else(|| damaged(&"it is too short"))?;
    let schema = u16::from_be_bytes([head[1], head[2]]);
    if schema > SCHEMA {
        return Err(Unreadable::Later(schema));
    }
    let payload = match head[0] {
        BARE if schema > 0 => payload,
        BINCODE if schema > 0 => unspoilt(bytes, payload).ok_or_else(|| damaged(&"its checksum does not match"))?,
        _ => return Err(damaged(&"it has an unknown head")),
    };
    let config = config::standard().with_limit::<MAX_RECORD>();
    let (record, read) = bincode::serde::decode_from_slice(payload, config).map_err(|error| damaged(&error))?;
    if read == payload.len() { Ok(record) } else { Err(damaged(&"it has bytes left over")) }
}

/// The payload before the checksum, if that matches.
fn unspoilt<'a>(bytes: &[u8], payload: &'a [u8]) -> Option<&'a [u8]> {
    let (payload, checksum) = payload.split_at_checked(payload.len().checked_sub(CHECKSUM)?)?;
    (crc32fast::hash(&bytes[..bytes.len() - CHECKSUM]).to_be_bytes() == checksum).then_some(payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Message;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Message>(&bytes);
            let mut headed = vec![BARE, 0, 1];
            headed.extend(&bytes);
            let _ = decode::<Message>(&headed);
            headed[0] = BINCODE;
            headed.extend(crc32fast::hash(&headed).to_be_bytes());
            let _ = decode::<Message>(&headed);
        }
    }

    #[test]
    fn a_record_of_a_later_version_is_refused_with_advice() {
        assert_eq!(decode::<u8>(&[BINCODE, 0, 99, 1]), Err(Unreadable::Later(99)));
    }

    #[test]
    fn left_over_bytes_and_changed_bits_are_damage() {
        let bytes = encode(&"words".to_owned());
        assert_eq!(decode::<String>(&bytes), Ok("words".to_owned()));
        assert!(matches!(decode::<String>(&[&bytes[..], &[0]].concat()), Err(Unreadable::Damaged(_))));
        for bit in 8..bytes.len() * 8 {
            let mut spoilt = bytes.clone();
            spoilt[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<String>(&spoilt).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn what_the_first_version_wrote_is_read_without_a_checksum() {
        assert_eq!(decode::<u8>(&[BARE, 0, 1, 7]), Ok(7));
        assert!(matches!(decode::<u8>(&[BARE, 0, 1, 7, 0]), Err(Unreadable::Damaged(_))));
    }
}
