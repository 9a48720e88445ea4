//! What is wrong with a configuration, where it stands, and how that is shown.
//!
//! Invariant: the value of a secret is never shown, not even in the line it stands on.

use std::fmt;
use std::path::{Path, PathBuf};

/// Everything that is wrong, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Problem>);

impl std::error::Error for ConfigError {}

impl ConfigError {
    pub(super) fn of(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|one, other| one.place.cmp(&other.place));
        Self(problems)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&shown.join("\n"))
    }
}

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub place: Place,
    /// What is wrong and what to write instead.
    pub detail: String,
}

/// Where a value was set. They sort as a person would go through them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the file.
    File(Spot),
    /// In this variable of the environment.
    Variable(String),
    /// Nowhere: it is a default, or something is missing.
    Nowhere,
}

/// A few letters of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Which file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The letter, from 1.
    pub column: usize,
    /// The whole line.
    pub text: String,
    /// How many letters.
    pub length: usize,
}

impl Problem {
    /// A problem that stands nowhere.
    pub(super) fn nowhere(detail: impl Into<String>) -> Self {
        Self { place: Place::Nowhere, detail: detail.into() }
    }
}

impl Spot {
    /// The spot of these bytes of `text`.
    pub(super) fn of(file: &Path, text: &str, span: std::ops::Range<usize>) -> Self {
        let start = letter_at(text, span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or_default();
        let end = letter_at(text, span.end).clamp(start, line_start + line.len().max(start - line_start));
        Self {
            file: file.to_owned(),
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: line.to_owned(),
            length: text[start..end].chars().count().max(1),
        }
    }

    /// The line as it may be shown: what follows the `=` of a secret is left out.
    fn shown(&self) -> String {
        match self.text.split_once('=') {
            Some((key, _)) if looks_secret(key) => format!("{key}= …"),
            None if looks_secret(&self.text) => "…".to_owned(),
            _ => self.text.clone(),
        }
    }
}

/// The start of the letter that this byte belongs to.
fn letter_at(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|byte| text.is_char_boundary(*byte)).unwrap_or(0)
}

/// Whether a value under this name, even a misspelt one, should stay unseen.
pub(super) fn looks_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let is_file = key.trim().trim_matches('"').ends_with("_file");
    !is_file && ["tok", "sec", "pas", "pwd", "key"].iter().any(|part| key.contains(part))
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Nowhere => writeln!(f, "{}", self.detail),
            Place::Variable(name) => writeln!(f, "{name}: {}", self.detail),
            Place::File(spot) => {
                let text = spot.shown();
                let column = spot.column.min(text.chars().count().max(1));
                let length = spot.length.min((text.chars().count() + 1).saturating_sub(column).max(1));
                let number = spot.line.to_string();
                let gutter = " ".repeat(number.len());
                writeln!(f, "{}:{}:{}: {}", spot.file.display(), spot.line, spot.column, self.detail)?;
                writeln!(f, "{gutter} |")?;
                writeln!(f, "{number} | {text}")?;
                writeln!(f, "{gutter} | {}{}", " ".repeat(column - 1), "^".repeat(length))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, span: std::ops::Range<usize>) -> String {
        let place = Place::File(Spot::of(Path::new("c.toml"), text, span));
        Problem { place, detail: "is wrong".into() }.to_string()
    }

    #[test]
    fn the_place_is_underlined_in_its_line() {
        insta::assert_snapshot!(show("a = 1\nbee = 22\n", 12..14), @r"
        c.toml:2:7: is wrong
          |
        2 | bee = 22
          |       ^^
        ");
    }

    #[test]
    fn any_span_of_any_text_can_be_shown() {
        let text = "a = \"ä\"\r\n\nb = 2";
        for start in 0..=text.len() + 2 {
            for end in start..=text.len() + 2 {
                assert!(show(text, start.min(text.len())..end).contains('^'));
            }
        }
    }

    #[test]
    fn the_value_of_a_secret_is_not_shown_even_if_its_key_is_misspelt() {
        for line in ["auth_tokn = \"hush-hush\"", "pasword=\"hush-hush\"", "api_key = hush-hush"] {
            let shown = show(line, 0..line.len());
            assert!(!shown.contains("hush"), "{shown}");
        }
        assert!(show("auth_token_file = \"/run/t\"", 0..5).contains("/run/t"));
    }
}
