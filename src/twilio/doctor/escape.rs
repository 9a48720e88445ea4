//! Percent signs: the ways a URL or a value is escaped, unescaped, or escaped once too often.

/// Every well-formed escape is taken out once; a stray percent sign stays. `None` if the bytes are no text.
pub(super) fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match escaped(&bytes[at..]) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).ok()
}

/// Taken out until none is left, with spaces for plus signs: what it says, however it is written.
pub(super) fn plain(text: &str) -> String {
    let mut text = text.replace('+', " ");
    // An escape of an escape of an escape is nobody's mistake any more.
    for _ in 0..3 {
        match decode(&text) {
            Some(decoded) if decoded != text => text = decoded,
            _ => break,
        }
    }
    text
}

/// Escapes everything but letters, digits, `-._~` and what is in `kept`.
pub(super) fn encode(text: &str, kept: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        let letter = char::from(byte);
        match letter.is_ascii_alphanumeric() || "-._~".contains(letter) || (byte.is_ascii() && kept.contains(letter)) {
            true => escaped.push(letter),
            false => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}

/// The hex digits of every escape in upper or in lower case.
pub(super) fn recase(text: &str, case: fn(&char) -> char) -> String {
    let mut left = 0;
    let recased = text.chars().map(|letter| {
        let is_digit = left > 0 && letter.is_ascii_hexdigit();
        left = if letter == '%' { 2 } else { usize::saturating_sub(left, 1) };
        if is_digit { case(&letter) } else { letter }
    });
    recased.collect()
}

fn escaped(bytes: &[u8]) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let digits = (bytes.first() == Some(&b'%')).then(|| digit(1).zip(digit(2)))??;
    u8::try_from(digits.0 << 4 | digits.1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_taken_out_once_and_stray_percent_signs_stay() {
        assert_eq!(decode("a%2520%C3%A9%zz%"), Some("a%20é%zz%".into()));
        assert_eq!(decode("%E9"), None);
        assert_eq!(plain("a%252Fb+c"), "a/b c");
    }

    #[test]
    fn only_the_digits_of_escapes_change_their_case() {
        assert_eq!(recase("ab%3a%c3x%e", char::to_ascii_uppercase), "ab%3A%C3x%E");
        assert_eq!(recase("AB%3A%C3X", char::to_ascii_lowercase), "AB%3a%c3X");
        assert_eq!(encode("/a:b é", "/"), "/a%3Ab%20%C3%A9");
    }
}
