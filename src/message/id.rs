//! Names of things: our message ids, the attempts they are handed over in, and Twilio's SIDs.
//!
//! Invariant: every id here is fixed-size bytes, so that it can be a key; what a person sees is its `Display`.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;

use crate::clock::Time;

/// A message of ours: a UUIDv7, so that ids sort by the time of acceptance. Shown as `msg_` and 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// The id for a message accepted at `now`, with randomness from outside.
    pub fn new(now: Time, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.0).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().into_bytes())
    }

    /// The smallest id of that millisecond: where a scan by time begins.
    pub fn floor(at: Time) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&at.0.clamp(0, (1 << 48) - 1).to_be_bytes()[2..]);
        Self(bytes)
    }

    /// The id behind this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(u128::from_be_bytes(self.0).saturating_add(1).to_be_bytes())
    }

    /// The millisecond in which this id was made.
    pub fn at(self) -> Time {
        let mut bytes = [0; 8];
        bytes[2..].copy_from_slice(&self.0[..6]);
        Time(i64::from_be_bytes(bytes))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "msg_{}", hex(&self.0))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MessageId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let digits = text.strip_prefix("msg_").ok_or(NotAnId)?;
        unhex(digits).map(Self).ok_or(NotAnId)
    }
}

/// One handing of a message to Twilio: message, number, and 16 random bytes that make its callback path unguessable.
///
/// Found by the message id in front; the random part is compared in constant time, and only then is it the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The message that is handed over.
    pub message: MessageId,
    /// Which attempt of the message, from 1.
    pub number: u8,
    /// The unguessable part.
    #[serde(with = "nonce")]
    pub nonce: [u8; 16],
}

impl AttemptId {
    /// Whether `nonce` is this attempt's, in a time that does not depend on where they differ.
    pub fn has_nonce(&self, nonce: &[u8; 16]) -> bool {
        self.nonce.ct_eq(nonce).into()
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 33];
        bytes[..16].copy_from_slice(&self.message.0);
        bytes[16] = self.number;
        bytes[17..].copy_from_slice(&self.nonce);
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for AttemptId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let mut bytes = [0; 33];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(33) => {}
            _ => return Err(NotAnId),
        }
        let (message, rest) = bytes.split_at(16);
        let (number, nonce) = rest.split_at(1);
        let message = MessageId(message.try_into().map_err(|_| NotAnId)?);
        Ok(Self { message, number: number[0], nonce: nonce.try_into().map_err(|_| NotAnId)? })
    }
}

/// Twilio's name for a message: `SM` or `MM` and 32 lower-case hex digits, in 17 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(pub [u8; 17]);

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}M{}", self.0[0] as char, hex(&self.0[1..]))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sid {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let digits = text.strip_prefix("SM").or_else(|| text.strip_prefix("MM")).ok_or(NotAnId)?;
        let rest: [u8; 16] = unhex(digits).ok_or(NotAnId)?;
        let mut bytes = [text.as_bytes()[0]; 17];
        bytes[1..].copy_from_slice(&rest);
        Ok(Self(bytes))
    }
}

macro_rules! bytes_or_text {
    ($id:ident) => {
        /// Stored as its bytes; written for people as it is shown.
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() { to.collect_str(self) } else { self.0.serialize(to) }
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                match from.is_human_readable() {
                    true => String::deserialize(from)?.parse().map_err(serde::de::Error::custom),
                    false => Deserialize::deserialize(from).map(Self),
                }
            }
        }
    };
}

bytes_or_text!(MessageId);
bytes_or_text!(Sid);

/// The unguessable part of an attempt: stored as its bytes, written for people as hex digits.
pub(super) mod nonce {
    use super::{Deserialize, Deserializer, NotAnId, Serialize, Serializer, hex, unhex};

    pub(in super::super) fn serialize<S: Serializer>(nonce: &[u8; 16], to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.collect_str(&hex(nonce)) } else { nonce.serialize(to) }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 16], D::Error> {
        match from.is_human_readable() {
            true => unhex(&String::deserialize(from)?).ok_or_else(|| serde::de::Error::custom(NotAnId)),
            false => Deserialize::deserialize(from),
        }
    }
}

/// The text is not an id of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind")]
pub struct NotAnId;

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// Strict: lower case only, exactly 16 bytes, so that one id has one spelling.
fn unhex(digits: &str) -> Option<[u8; 16]> {
    let digits = digits.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_show() {
        let message = MessageId::new(Time(1_700_000_000_123), [7; 10]);
        assert_eq!(message.to_string().parse(), Ok(message));
        assert_eq!(message.at(), Time(1_700_000_000_123));
        let attempt = AttemptId { message, number: 3, nonce: [9; 16] };
        assert_eq!(attempt.to_string().len(), 44);
        assert_eq!(attempt.to_string().parse(), Ok(attempt));
        let sid = "MM0123456789abcdef0123456789abcdef";
        assert_eq!(sid.parse::<Sid>().map(|sid| sid.to_string()), Ok(sid.to_owned()));
    }

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let early = MessageId::new(Time(1_000), [255; 10]);
        let late = MessageId::new(Time(1_001), [0; 10]);
        assert!(early < late && MessageId::floor(Time(1_001)) <= late && early < MessageId::floor(Time(1_001)));
    }

    #[test]
    fn one_id_has_one_spelling() {
        for wrong in ["SM0123456789ABCDEF0123456789abcdef", "SM01", "XX0123456789abcdef0123456789abcdef", ""] {
            assert_eq!(wrong.parse::<Sid>(), Err(NotAnId), "{wrong}");
        }
        assert_eq!("msg_0".parse::<MessageId>(), Err(NotAnId));
        assert_eq!("not-an-attempt".parse::<AttemptId>(), Err(NotAnId));
    }
}
