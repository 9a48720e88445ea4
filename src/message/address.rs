//! Who a message goes to and comes from: a WhatsApp phone number, a business-scoped user id, or a Messaging Service.
//!
//! Twilio is the authority on what exists; this only refuses what can never be an address.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const CHANNEL: &str = "whatsapp:";
/// Twilio's own bound on an address field is about 140 characters.
const MAX_LENGTH: usize = 160;

/// An address as Twilio writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// `whatsapp:+4915100000001`: a phone number in E.164, without the channel.
    Phone(String),
    /// `whatsapp:US.13491208655302741918`: WhatsApp's name for a person whose number is not shown.
    Bsuid(String),
    /// `MG…`: a pool of senders at Twilio; never a recipient.
    Service(String),
    /// Anything else Twilio itself once named, kept word for word.
    Other(String),
}

impl Address {
    /// Reads an address a person wrote: `+49 151 0000 0001`, `whatsapp:+491510…`, `whatsapp:US.1349…` or `MG…`.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadAddress::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(BadAddress::TooLong);
        }
        if text.starts_with("MG") && text.len() == 34 && text[2..].bytes().all(is_lower_hex) {
            return Ok(Self::Service(text.to_owned()));
        }
        let name = text.strip_prefix(CHANNEL).unwrap_or(text);
        if name.starts_with('+') { phone(name) } else { bsuid(name) }
    }

    /// Reads an address that Twilio sent: what is of no known form is kept as it is, never refused.
    pub fn from_twilio(text: &str) -> Self {
        match Self::parse(text) {
            Ok(address) if address.to_string() == text => address,
            _ => Self::Other(text.chars().take(MAX_LENGTH).collect()),
        }
    }

    /// Whether a message can be sent to it.
    pub fn is_person(&self) -> bool {
        matches!(self, Self::Phone(_) | Self::Bsuid(_))
    }

    /// For logs and for eyes without the right to see it: country and the last two digits at most.
    pub fn masked(&self) -> String {
        match self {
            Self::Phone(number) => format!("{}*****{}", head(number, 3), tail(number, 2)),
            Self::Bsuid(name) => format!("{}.*****", head(name, 2)),
            Self::Service(sid) => sid.clone(),
            Self::Other(_) => "*****".to_owned(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phone(name) | Self::Bsuid(name) => write!(f, "{CHANNEL}{name}"),
            Self::Service(name) | Self::Other(name) => f.write_str(name),
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        Self::parse(text)
    }
}

/// Why a text cannot be an address; the words say what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Nothing was given.
    #[error("is empty: write a phone number like +4915100000001")]
    Empty,
    /// Longer than any address Twilio knows.
    #[error("is longer than {MAX_LENGTH} characters")]
    TooLong,
    /// Starts with + but is not E.164.
    #[error("is not a phone number in international form: + and 7 to 15 digits, like +4915100000001")]
    Phone,
    /// Neither a number nor a user id.
    #[error("is no address: write +4915100000001, whatsapp:US.123 (a WhatsApp user id) or MG… (a Messaging Service)")]
    Unknown,
}

/// E.164, with the spaces, dots, dashes and brackets people write in between taken out.
fn phone(text: &str) -> Result<Address, BadAddress> {
    let number: String = text.chars().filter(|letter| !matches!(letter, ' ' | '-' | '.' | '(' | ')')).collect();
    let digits = number.strip_prefix('+').ok_or(BadAddress::Phone)?;
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits || !(7..=15).contains(&digits.len()) || digits.starts_with('0') {
        return Err(BadAddress::Phone);
    }
    Ok(Address::Phone(number))
}

/// `CC.` and up to 128 letters and digits, or the parent form `CC.ENT.…`.
fn bsuid(text: &str) -> Result<Address, BadAddress> {
    let (country, name) = text.split_once('.').ok_or(BadAddress::Unknown)?;
    let name = name.strip_prefix("ENT.").unwrap_or(name);
    let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_name = (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_country && is_name { Ok(Address::Bsuid(text.to_owned())) } else { Err(BadAddress::Unknown) }
}

/// The first bytes; none, if it does not have them: a damaged record must not stop whoever logs it.
fn head(text: &str, bytes: usize) -> &str {
    text.get(..bytes).unwrap_or_default()
}

/// The last bytes, likewise.
fn tail(text: &str, bytes: usize) -> &str {
    text.len().checked_sub(bytes).and_then(|at| text.get(at..)).unwrap_or_default()
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_numbers_in_many_ways_and_mean_one() {
        for text in ["+4915100000001", "whatsapp:+4915100000001", " +49 151 0000-0001 ", "+49(151)00000001"] {
            assert_eq!(Address::parse(text).map(|to| to.to_string()), Ok("whatsapp:+4915100000001".into()), "{text}");
        }
    }

    #[test]
    fn user_ids_and_services_are_addresses_too() {
        let person = Address::parse("whatsapp:US.13491208655302741918").expect("a user id");
        assert!(person.is_person() && matches!(person, Address::Bsuid(_)));
        assert!(Address::parse("US.ENT.abc1").is_ok());
        let service = Address::parse("MG0123456789abcdef0123456789abcdef").expect("a service");
        assert!(!service.is_person());
    }

    #[test]
    fn what_can_never_be_an_address_is_refused_with_advice() {
        assert_eq!(Address::parse(""), Err(BadAddress::Empty));
        assert_eq!(Address::parse("+0123"), Err(BadAddress::Phone));
        assert_eq!(Address::parse("+49151x000001"), Err(BadAddress::Phone));
        assert_eq!(Address::parse("015100000001"), Err(BadAddress::Unknown));
        assert_eq!(Address::parse(&"+".repeat(500)), Err(BadAddress::TooLong));
    }

    #[test]
    fn what_twilio_names_is_kept_word_for_word() {
        assert_eq!(Address::from_twilio("whatsapp:+4915100000001").to_string(), "whatsapp:+4915100000001");
        assert_eq!(Address::from_twilio("messenger:77").to_string(), "messenger:77");
    }

    #[test]
    fn a_masked_address_shows_nobody() {
        assert_eq!(Address::parse("+4915100000012").map(|to| to.masked()), Ok("+49*****12".into()));
    }

    #[test]
    fn whatever_a_damaged_record_holds_can_be_masked() {
        for text in ["", "+", "+4", "é", "+é9", "+49é"] {
            for address in [Address::Phone(text.into()), Address::Bsuid(text.into())] {
                assert!(address.masked().contains("*****"), "{text}");
            }
        }
    }
}
