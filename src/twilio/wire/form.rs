//! `application/x-www-form-urlencoded`, strictly: every parameter in order, nothing guessed, nothing merged.
//!
//! Invariant: what Twilio signed is what it sent, so repeats, empty values and spaces are kept as they came.

use form_urlencoded::byte_serialize;

/// Longest form accepted. A message body is at most 1600 characters, so real ones stay below 20 KiB.
pub const MAX_FORM_BYTES: usize = 32 * 1024;
/// Most parameters accepted. Twilio's longest known callback has about 45.
pub const MAX_PARAMETERS: usize = 200;
/// Most unknown parameters kept of one callback, and their bytes: new ones appear without notice, floods do not.
const MAX_EXTRA: usize = 64;
const MAX_EXTRA_BYTES: usize = 8 * 1024;
/// No number, user id or SID is longer, in bytes.
const MAX_ADDRESS: usize = 160;

/// Decoded names and values, in the order they came.
pub type Params = Vec<(String, String)>;

/// Why bytes are not a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// More bytes than any form of Twilio's.
    #[error("the form is longer than {MAX_FORM_BYTES} bytes")]
    TooLong,
    /// More parameters than any form of Twilio's.
    #[error("the form has more than {MAX_PARAMETERS} parameters")]
    TooMany,
    /// A name or value is not text.
    #[error("the form is not UTF-8")]
    NotUtf8,
    /// A percent sign without two hex digits.
    #[error("a percent sign in the form is not followed by two hex digits")]
    Percent,
}

/// Why a form is not the callback it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadField {
    /// The parameter without which the callback says nothing.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// The parameter is there but cannot be what it must be.
    #[error("the parameter {0} is malformed")]
    Malformed(&'static str),
    /// A parameter stands there twice and says two things. The signature does not cover their order.
    #[error("a parameter is repeated with another value")]
    Repeated,
}

/// Reads a form body or a query. Order and repeats are kept; empty pieces between two `&` are nothing.
pub fn parse_form(bytes: &[u8]) -> Result<Params, BadForm> {
    if bytes.len() > MAX_FORM_BYTES {
        return Err(BadForm::TooLong);
    }
    let mut params = Params::new();
    for piece in bytes.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty()) {
        if params.len() == MAX_PARAMETERS {
            return Err(BadForm::TooMany);
        }
        let split = piece.iter().position(|byte| *byte == b'=');
        let (name, value) = split.map_or((piece, &[][..]), |at| (&piece[..at], &piece[at + 1..]));
        params.push((decode(name)?, decode(value)?));
    }
    Ok(params)
}

/// Writes a form body: spaces as `+`, everything but letters, digits and `*-._` percent-encoded.
pub fn encode_form(params: &[(String, String)]) -> String {
    let mut form = String::new();
    for (name, value) in params {
        if !form.is_empty() {
            form.push('&');
        }
        form.extend(byte_serialize(name.as_bytes()));
        form.push('=');
        form.extend(byte_serialize(value.as_bytes()));
    }
    form
}

fn decode(bytes: &[u8]) -> Result<String, BadForm> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        text.push(match byte {
            b'+' => b' ',
            b'%' => hex_digit(rest.next())? << 4 | hex_digit(rest.next())?,
            other => *other,
        });
    }
    String::from_utf8(text).map_err(|_| BadForm::NotUtf8)
}

fn hex_digit(digit: Option<&u8>) -> Result<u8, BadForm> {
    let digit = digit.and_then(|byte| char::from(*byte).to_digit(16)).ok_or(BadForm::Percent)?;
    Ok(u8::try_from(digit).expect("a hex digit is below 16"))
}

/// A form being read: what is taken leaves, what stays is what nobody knew.
pub(super) struct Fields(Params);

impl Fields {
    pub(super) fn new(params: &[(String, String)]) -> Self {
        Self(params.to_vec())
    }

    /// In a callback Twilio names nothing twice: whoever does could mean either.
    pub(super) fn of_callback(params: &[(String, String)]) -> Result<Self, BadField> {
        let mut sorted: Vec<_> = params.iter().collect();
        sorted.sort_unstable();
        match sorted.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1) {
            true => Err(BadField::Repeated),
            false => Ok(Self::new(params)),
        }
    }

    /// An address, if it is there, of a length that an address can have.
    pub(super) fn take_address(&mut self, name: &'static str) -> Result<Option<String>, BadField> {
        match self.take_some(name) {
            Some(address) if address.len() > MAX_ADDRESS => Err(BadField::Malformed(name)),
            address => Ok(address),
        }
    }

    /// The first value of that name, if any is there; repeats of it leave too.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let mut first = None;
        self.0.retain_mut(|(key, value)| {
            let is_it = key == name;
            if is_it && first.is_none() {
                first = Some(std::mem::take(value));
            }
            !is_it
        });
        first
    }

    /// The same, where an empty value says no more than none.
    pub(super) fn take_some(&mut self, name: &str) -> Option<String> {
        self.take(name).filter(|value| !value.is_empty())
    }

    /// Every value of that name, in order.
    pub(super) fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, rest) = std::mem::take(&mut self.0).into_iter().partition(|(key, _)| key == name);
        self.0 = rest;
        taken.into_iter().map(|(_, value): (String, String)| value).collect()
    }

    /// A value that must be there, must be of its kind, and must not be contradicted by a repeat of itself:
    /// Twilio's signature does not cover the order of repeats, so which one came first proves nothing.
    pub(super) fn need<T: std::str::FromStr>(&mut self, name: &'static str) -> Result<T, BadField> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let first = values.next();
        if values.any(|value| Some(value) != first) {
            return Err(BadField::Malformed(name));
        }
        let text = self.take_some(name).ok_or(BadField::Missing(name))?;
        text.parse().map_err(|_| BadField::Malformed(name))
    }

    /// A number; what is none goes back to the unknown ones, so that nothing Twilio said is lost.
    pub(super) fn take_number(&mut self, name: &str) -> Option<u32> {
        let text = self.take_some(name)?;
        let number = text.parse().ok();
        if number.is_none() {
            self.0.push((name.to_owned(), text));
        }
        number
    }

    /// What nobody took, as much of it as is worth keeping.
    pub(super) fn rest(self) -> Params {
        let mut bytes = 0;
        let fits = |(name, value): &(String, String)| {
            bytes += name.len() + value.len();
            bytes <= MAX_EXTRA_BYTES
        };
        self.0.into_iter().take(MAX_EXTRA).take_while(fits).collect()
    }
}

/// A form being written: what is absent is left out.
#[derive(Default)]
pub(super) struct Form(Params);

impl Form {
    pub(super) fn put(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn put_some(&mut self, name: &str, value: Option<&String>) -> &mut Self {
        if let Some(value) = value {
            self.put(name, value);
        }
        self
    }

    pub(super) fn into_params(self, extra: &[(String, String)]) -> Params {
        let mut params = self.0;
        params.extend_from_slice(extra);
        params
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn order_repeats_and_empty_values_are_kept() {
        let params = parse_form(b"b=2&a=&b=1&c&&d=x=y").expect("a form");
        assert_eq!(params, [pair("b", "2"), pair("a", ""), pair("b", "1"), pair("c", ""), pair("d", "x=y")]);
    }

    #[test]
    fn plus_is_a_space_and_percent_2b_is_a_plus() {
        assert_eq!(parse_form(b"To=whatsapp%3A%2B1555+0"), Ok(vec![pair("To", "whatsapp:+1555 0")]));
        assert_eq!(encode_form(&[pair("To", "whatsapp:+1555 0")]), "To=whatsapp%3A%2B1555+0");
    }

    #[test]
    fn whitespace_nul_and_line_ends_survive() {
        assert_eq!(parse_form(b"Body=%20a%0D%0A%00+"), Ok(vec![pair("Body", " a\r\n\0 ")]));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        assert_eq!(parse_form(b"a=%FF"), Err(BadForm::NotUtf8));
        assert_eq!(parse_form(b"a=%ED%A0%80"), Err(BadForm::NotUtf8), "a lone surrogate");
        assert_eq!(parse_form(b"a=%4"), Err(BadForm::Percent));
        assert_eq!(parse_form(b"a=%+1"), Err(BadForm::Percent));
        assert_eq!(parse_form(&vec![b'a'; MAX_FORM_BYTES + 1]), Err(BadForm::TooLong));
        assert_eq!(parse_form("a&".repeat(MAX_PARAMETERS + 1).as_bytes()), Err(BadForm::TooMany));
        assert_eq!(parse_form("a&".repeat(MAX_PARAMETERS).as_bytes()).map(|params| params.len()), Ok(MAX_PARAMETERS));
    }

    #[test]
    fn a_flood_of_unknown_parameters_is_cut() {
        let many: Params = (0..200).map(|number| pair(&format!("New{number}"), "x")).collect();
        assert_eq!(Fields::new(&many).rest().len(), MAX_EXTRA);
        let huge = vec![pair("Small", "x"), pair("Huge", &"x".repeat(MAX_EXTRA_BYTES))];
        assert_eq!(Fields::new(&huge).rest(), [pair("Small", "x")]);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = parse_form(&bytes);
        }

        #[test]
        fn what_is_written_reads_back(params in proptest::collection::vec((".{0,20}", ".{0,60}"), 0..40)) {
            prop_assert_eq!(parse_form(encode_form(&params).as_bytes()), Ok(params));
        }
    }
}
