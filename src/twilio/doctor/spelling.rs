//! What the X-Twilio-Signature header may have been before somebody touched it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;

use super::flaw::Flaw;
use crate::twilio::signature;

/// A shorter beginning of a signature could fit by chance: 16 letters are 96 bits.
const MIN_LETTERS: usize = 16;
/// A header with more values than this is nobody's mistake.
const MAX_VALUES: usize = 4;
/// The letters of a whole signature, its padding included.
const LETTERS: usize = 28;

/// The hash under the HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// Twilio's.
    Sha1,
    /// Another signer's.
    Sha256,
}

/// One way to read the header.
#[derive(Debug)]
pub(super) struct Spelling {
    /// What is wrong with it; nothing if it is as Twilio writes it.
    pub(super) flaws: Vec<Flaw>,
    /// Whose length it has.
    pub(super) hash: Hash,
    expected: Expected,
}

#[derive(Debug)]
enum Expected {
    Digest(Vec<u8>),
    Beginning(String),
    AnyCase(String),
}

impl Spelling {
    /// Whether this is the HMAC that the header means, in constant time.
    pub(super) fn is(&self, digest: &[u8]) -> bool {
        let written = || STANDARD.encode(digest);
        match &self.expected {
            Expected::Digest(expected) => digest.ct_eq(expected).into(),
            Expected::Beginning(text) => written().as_bytes()[..text.len()].ct_eq(text.as_bytes()).into(),
            Expected::AnyCase(text) => written().to_ascii_lowercase().as_bytes().ct_eq(text.as_bytes()).into(),
        }
    }
}

/// Every way to read it; none if it cannot have been a signature at all.
pub(super) fn spellings(header: &str) -> Vec<Spelling> {
    let values: Vec<_> = header.split(',').take(MAX_VALUES).collect();
    let mut read: Vec<_> = match signature::decode(header) {
        Some(digest) => vec![finish(Vec::new(), Hash::Sha1, Expected::Digest(digest.to_vec()))],
        None => values.iter().flat_map(|value| read(value, values.len() > 1)).collect(),
    };
    // One signature in a million has no capitals of its own, or nothing but capitals.
    let folded = header.to_ascii_lowercase();
    if header.len() == LETTERS && (header == folded || header == header.to_ascii_uppercase()) {
        read.push(finish(vec![Flaw::SignatureCase], Hash::Sha1, Expected::AnyCase(folded)));
    }
    read
}

fn read(value: &str, is_one_of_several: bool) -> Option<Spelling> {
    let mut flaws = Vec::new();
    let mut noted = |is_so: bool, flaw: Flaw| {
        if is_so {
            flaws.push(flaw);
        }
    };
    noted(is_one_of_several, Flaw::SignatureRepeated);
    let outer = value.trim();
    let inner = outer.trim_matches(['"', '\'']).trim();
    noted(inner == outer && value != outer && !is_one_of_several, Flaw::SignatureSpaces);
    noted(inner != outer, Flaw::SignatureQuotes);
    let unescaped = super::escape::decode(inner).unwrap_or_default();
    let text = unescaped.replace(' ', "+");
    noted(text != inner, Flaw::SignatureEscaped);
    if let Some((hash, digest)) = hex(&text).and_then(sized) {
        flaws.push(Flaw::SignatureHex);
        return Some(finish(flaws, hash, Expected::Digest(digest)));
    }
    let decoded = [
        (STANDARD.decode(&text), None),
        (STANDARD_NO_PAD.decode(&text), Some(Flaw::SignaturePadding)),
        (URL_SAFE.decode(&text), Some(Flaw::SignatureUrlSafe)),
        (URL_SAFE_NO_PAD.decode(&text), Some(Flaw::SignatureUrlSafe)),
    ];
    for (digest, flaw) in decoded {
        if let Some((hash, digest)) = digest.ok().and_then(sized) {
            flaws.extend(flaw);
            return Some(finish(flaws, hash, Expected::Digest(digest)));
        }
    }
    let is_beginning = (MIN_LETTERS..LETTERS).contains(&text.len()) && text.bytes().all(is_letter);
    flaws.push(Flaw::SignatureCut);
    is_beginning.then(|| finish(flaws, Hash::Sha1, Expected::Beginning(text)))
}

fn finish(mut flaws: Vec<Flaw>, hash: Hash, expected: Expected) -> Spelling {
    if hash == Hash::Sha256 {
        flaws.push(Flaw::Sha256);
    }
    Spelling { flaws, hash, expected }
}

fn sized(digest: Vec<u8>) -> Option<(Hash, Vec<u8>)> {
    match digest.len() {
        20 => Some((Hash::Sha1, digest)),
        32 => Some((Hash::Sha256, digest)),
        _ => None,
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<_>> = text.chars().map(|letter| letter.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect()
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_in_the_ways_it_may_have_been_touched() {
        let mut digest = [0xfb; 20];
        digest[0] = 0;
        let written = STANDARD.encode(digest);
        let first = |header: &str| {
            let spelling = spellings(header).into_iter().find(|spelling| spelling.is(&digest))?;
            assert!(!spelling.is(&[0xfb; 20]), "{header}");
            Some(spelling.flaws)
        };
        assert_eq!(first(&written), Some(vec![]));
        assert_eq!(first(&format!("{written} ")), Some(vec![Flaw::SignatureSpaces]));
        assert_eq!(first(&format!("\"{written}\"")), Some(vec![Flaw::SignatureQuotes]));
        assert_eq!(first(&written.replace('+', " ")), Some(vec![Flaw::SignatureEscaped]));
        assert_eq!(first(&written.replace('+', "-").replace('/', "_")), Some(vec![Flaw::SignatureUrlSafe]));
        assert_eq!(first(&format!("00{}", "fb".repeat(19))), Some(vec![Flaw::SignatureHex]));
        assert_eq!(first(&written.to_lowercase()), Some(vec![Flaw::SignatureCase]));
        assert_eq!(first(&written[..20]), Some(vec![Flaw::SignatureCut]));
        assert!(spellings(&written[..15]).is_empty() && spellings("ä").is_empty() && spellings("").is_empty());
    }
}
