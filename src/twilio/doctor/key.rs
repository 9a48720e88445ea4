//! What a request may have been signed with: the known tokens, and what becomes of a token on its way into a configuration.

use std::collections::BTreeMap;

use super::{Setup, Standing};

/// Digits of an auth token.
const DIGITS: usize = 32;

/// One key to try. It is never printed.
pub(super) struct Key {
    /// The bytes of the key.
    pub(super) text: String,
    /// How unlikely.
    pub(super) weight: usize,
    /// Where it comes from: one, or several that come to the same.
    pub(super) origins: Vec<Origin>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("weight", &self.weight).field("origins", &self.origins).finish_non_exhaustive()
    }
}

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The token of that number, in that shape.
    Token(usize, Shape),
    /// The account's SID, which is no secret.
    AccountSid,
    /// Nothing: whoever signed had an empty token.
    Nothing,
}

/// How a key differs from the token as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Not at all.
    AsItIs,
    /// Spaces or line ends around it are gone.
    WithoutSpaces,
    /// Quotes around it are gone.
    WithoutQuotes,
    /// It is in lower case.
    LowerCase,
    /// It is what is left of a longer text.
    Within,
    /// It has a line end more: the signer's mistake.
    WithLineEnd,
}

impl Key {
    /// Whether it is as Twilio makes them: nobody else can have made that signature by guessing.
    pub(super) fn is_real(&self) -> bool {
        is_token(&self.text)
    }
}

/// Whether this looks like an auth token.
pub(super) fn is_token(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(is_digit)
}

/// Every key to try, each once.
pub(super) fn keys(setup: &Setup<'_>) -> Vec<Key> {
    let mut keys = BTreeMap::<String, (usize, Vec<Origin>)>::new();
    let mut add = |text: String, weight: usize, origin: Origin| {
        let (least, origins) = keys.entry(text).or_insert((weight, Vec::new()));
        if weight < *least {
            (*least, *origins) = (weight, Vec::new());
        }
        if weight == *least {
            origins.push(origin);
        }
    };
    for (index, known) in setup.tokens.iter().enumerate() {
        let token = known.token.expose();
        let base = usize::from(!matches!(known.standing, Standing::Accepted | Standing::Retiring));
        for (text, shape, weight) in shapes(token) {
            add(text, base + weight, Origin::Token(index, shape));
        }
    }
    add(setup.account_sid.to_owned(), 3, Origin::AccountSid);
    keys.remove("");
    let mut keys: Vec<_> = keys.into_iter().map(|(text, (weight, origins))| Key { text, weight, origins }).collect();
    keys.push(Key { text: String::new(), weight: 3, origins: vec![Origin::Nothing] });
    keys.sort_by_key(|key| key.weight);
    keys
}

/// What must never be shown of a token: itself, and the digits in it.
pub(super) fn secrets(token: &str) -> Vec<String> {
    shapes(token)
        .into_iter()
        .map(|(text, ..)| text)
        .filter(|text| text.trim() == text)
        .chain([token.to_owned()])
        .collect()
}

fn shapes(token: &str) -> Vec<(String, Shape, usize)> {
    // What editors and web pages leave behind and trim() does not know.
    let is_space = |letter: char| letter.is_whitespace() || matches!(letter, '\u{feff}' | '\u{200b}' | '\0');
    let trimmed = token.trim_matches(is_space);
    let bare = trimmed.trim_matches(['"', '\'', '`']).trim_matches(is_space);
    let mut shapes = vec![
        (token.to_owned(), Shape::AsItIs, 0),
        (trimmed.to_owned(), Shape::WithoutSpaces, 1),
        (bare.to_owned(), Shape::WithoutQuotes, 1),
        (bare.to_ascii_lowercase(), Shape::LowerCase, 1),
    ];
    shapes.extend(within(token).map(|digits| (digits.to_owned(), Shape::Within, 1)));
    shapes.push((format!("{token}\n"), Shape::WithLineEnd, 2));
    // What changed nothing is not what is wrong.
    let mut told: Vec<(String, Shape, usize)> = Vec::new();
    for shape in shapes {
        if !told.iter().any(|(text, ..)| *text == shape.0) {
            told.push(shape);
        }
    }
    told
}

/// The digits of a token inside a longer text: `auth_token=…`, `AC…:…`, or the same token pasted twice.
fn within(text: &str) -> Option<&str> {
    let runs = text.split(|letter: char| !letter.is_ascii() || !is_digit(letter as u8));
    let mut runs = runs.filter(|run| !run.is_empty() && run.len() % DIGITS == 0);
    // The account's SID stands in front of its token, if at all.
    runs.next_back().map(|run| &run[..DIGITS]).filter(|digits| *digits != text)
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::super::Known;
    use super::*;

    const TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

    fn shape_of(token: &str) -> Option<Shape> {
        shapes(token).into_iter().find(|(text, ..)| text == TOKEN).map(|(_, shape, _)| shape)
    }

    #[test]
    fn a_token_is_found_in_what_a_person_made_of_it() {
        assert_eq!(shape_of(TOKEN), Some(Shape::AsItIs));
        assert_eq!(shape_of(&format!(" {TOKEN}\r\n")), Some(Shape::WithoutSpaces));
        assert_eq!(shape_of(&format!("'{TOKEN}'")), Some(Shape::WithoutQuotes));
        assert_eq!(shape_of(&TOKEN.to_uppercase()), Some(Shape::LowerCase));
        assert_eq!(shape_of(&format!("auth_token={TOKEN}")), Some(Shape::Within));
        assert_eq!(shape_of(&format!("{TOKEN}{TOKEN}")), Some(Shape::Within));
        assert_eq!(shape_of(&format!("AC00000000000000000000000000000001:{TOKEN}")), Some(Shape::Within));
        assert_eq!(shape_of(&TOKEN[..31]), None);
    }

    #[test]
    fn one_token_of_two_names_is_tried_once_and_no_debug_shows_it() {
        let known = |name: &str, standing| Known { name: name.into(), token: TOKEN.into(), standing };
        let tokens = [known("auth_token", Standing::Accepted), known("the old one", Standing::Retired)];
        let setup = Setup { public_url: "https://h.example", account_sid: "AC1", paths: &[], tokens: &tokens };
        let keys = keys(&setup);
        let tried: Vec<_> = keys.iter().filter(|key| key.text == TOKEN).map(|key| &key.origins[..]).collect();
        assert_eq!(tried, [[Origin::Token(0, Shape::AsItIs)]]);
        assert!(!format!("{keys:?} {setup:?}").contains(TOKEN));
    }
}
