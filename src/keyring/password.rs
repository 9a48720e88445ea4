//! Passwords of people: which are good enough, and the slow hash that is kept of one.
//!
//! Invariant: nothing but the hash is kept, and comparing takes as long whoever is asked for: somebody who does not exist
//! has a hash too, of nothing anybody knows.

use std::collections::HashSet;
use std::sync::LazyLock;

use argon2::password_hash::phc::{self, PasswordHash};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use serde::{Deserialize, Serialize};

use super::Secret;

/// Fewer characters than this are guessed.
pub const MIN_PASSWORD: usize = 12;
/// More than this nobody types; the hash takes longer the longer it is.
pub const MAX_PASSWORD: usize = 256;
/// 64 MiB, three times, one lane: about a tenth of a second, and more memory than a card with many cores has for many.
const COST: (u32, u32, u32) = (64 * 1_024, 3, 1);
/// Characters that no common word, row of keys, run or repetition explains: fewer are guessed with the first million.
const MIN_OWN: usize = 4;
/// Shorter rows of keys and runs are met by chance.
const MIN_RUN: usize = 3;

/// Words that passwords are made of, as every list of stolen ones shows; ours, one a line.
static WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common-words.txt").lines().filter(|word| !word.starts_with('#')).collect());
/// What fingers run along.
const ROWS: [&str; 8] = [
    "01234567890",
    "qwertyuiop",
    "qwertzuiop",
    "azertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "abcdefghijklmnopqrstuvwxyz",
];

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPassword {
    /// Too short.
    #[error(
        "must have at least {MIN_PASSWORD} characters: four words that have nothing to do with each other are easy to keep"
    )]
    Short,
    /// Too long.
    #[error("must have at most {MAX_PASSWORD} characters")]
    Long,
    /// Common words, rows of keys and digits.
    #[error(
        "is made of common words, rows of keys, digits or repetitions, and would be guessed: add words that are yours"
    )]
    Common,
    /// The name of whoever it is for.
    #[error("is hardly more than the name of the user")]
    Name,
}

/// Whether somebody of this name may have this password.
pub fn check(password: &str, name: &str) -> Result<(), BadPassword> {
    let length = password.chars().count();
    if length < MIN_PASSWORD {
        return Err(BadPassword::Short);
    }
    if length > MAX_PASSWORD {
        return Err(BadPassword::Long);
    }
    let plain = plain(password);
    // Two rows of keys may be typed in turns.
    let (one, other): (Vec<_>, Vec<_>) = plain.chunks(2).map(|two| (two[0], two.get(1))).unzip();
    let other: Vec<_> = other.into_iter().flatten().copied().collect();
    if own(&plain, &[]) < MIN_OWN || own(&one, &[]) + own(&other, &[]) < MIN_OWN {
        return Err(BadPassword::Common);
    }
    if own(&plain, &[&self::plain(name)]) < MIN_OWN { Err(BadPassword::Name) } else { Ok(()) }
}

/// In small letters.
fn plain(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// How many characters nothing explains: from each place the longest word, row or repetition is taken out.
fn own(text: &[char], names: &[&[char]]) -> usize {
    let (mut at, mut own) = (0, 0);
    let mut seen = HashSet::new();
    while at < text.len() {
        let rest = &text[at..];
        let known = [word(rest), run(rest), repetition(text, at), name(rest, names)].into_iter().max().unwrap_or(0);
        if known == 0 {
            // The same sign again is no news, and a sign between two words hardly any.
            own += usize::from(rest[0].is_alphanumeric() && seen.insert(rest[0]));
        }
        at += known.max(1);
    }
    own
}

/// The longest common word at the beginning, also with digits and signs for letters.
fn word(text: &[char]) -> usize {
    let spelt: String = text.iter().map(|letter| letter_for(*letter)).take(12).collect();
    let ends = spelt.char_indices().map(|(at, letter)| at + letter.len_utf8()).enumerate();
    ends.filter(|(_, end)| WORDS.contains(&spelt[..*end])).map(|(before, _)| before + 1).max().unwrap_or(0)
}

fn letter_for(sign: char) -> char {
    match sign {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        letter => letter,
    }
}

/// The longest row of keys at the beginning, forwards or backwards.
fn run(text: &[char]) -> usize {
    let along = |row: &str| {
        let row: Vec<_> = row.chars().collect();
        let length = |row: &[char]| {
            (0..row.len())
                .map(|from| row[from..].iter().zip(text).take_while(|(key, typed)| key == typed).count())
                .max()
        };
        let back: Vec<_> = row.iter().rev().copied().collect();
        length(&row).max(length(&back)).unwrap_or(0)
    };
    ROWS.iter().map(|row| along(row)).max().filter(|length| *length >= MIN_RUN).unwrap_or(0)
}

/// The longest piece at this place that stood right before it.
fn repetition(text: &[char], at: usize) -> usize {
    let mut longest =
        (1..=at).map(|back| (back, text[at..].iter().zip(&text[at - back..]).take_while(|(a, b)| a == b)));
    let longest = longest.by_ref().map(|(back, same)| (back, same.count())).filter(|(back, same)| same >= back);
    longest.map(|(_, same)| same).max().unwrap_or(0)
}

fn name(text: &[char], names: &[&[char]]) -> usize {
    names.iter().filter(|name| text.starts_with(name)).map(|name| name.len()).max().unwrap_or(0)
}

/// What is kept of a password: a hash in the PHC form, with its cost and its salt.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hash(String);

impl Hash {
    /// Takes a tenth of a second and 64 MiB: not for a thread that others wait for.
    pub fn of(password: &Secret, salt: [u8; 16]) -> Self {
        let hash: PasswordHash = argon2()
            .hash_password_with_salt(password.expose().as_bytes(), &salt)
            .expect("a salt of 16 bytes and a cost within bounds make a hash");
        Self(hash.to_string())
    }

    /// The hash of somebody who does not exist.
    pub fn of_nobody() -> &'static Self {
        static NOBODY: LazyLock<Hash> = LazyLock::new(|| Hash::of(&Secret::new("nobody"), [0; 16]));
        &NOBODY
    }

    /// A hash as it might have been made when less work was asked for.
    #[cfg(test)]
    pub(crate) fn cheap(password: &Secret) -> Self {
        let params = Params::new(8, 1, 1, None).expect("a cost within bounds");
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash: PasswordHash =
            hasher.hash_password_with_salt(password.expose().as_bytes(), &[7; 16]).expect("a hash");
        Self(hash.to_string())
    }

    /// Whether it is of this password; takes as long as making one.
    pub fn is_of(&self, password: &Secret) -> bool {
        argon2().verify_password(password.expose().as_bytes(), self.0.as_str()).is_ok()
    }

    /// Whether it was made when less work was asked for.
    pub fn is_outdated(&self) -> bool {
        let now = phc::ParamsString::try_from(argon2().params()).expect("the cost is within bounds");
        PasswordHash::new(&self.0)
            .map_or(true, |hash| hash.algorithm != Algorithm::Argon2id.ident() || hash.params != now)
    }
}

fn argon2() -> Argon2<'static> {
    let (memory, times, lanes) = COST;
    let params = Params::new(memory, times, lanes, None).expect("the cost is within bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_guessed_first_is_refused() {
        for common in [
            "password1234",
            "Password123!",
            "P@ssw0rd2026",
            "passwordpassword",
            "qwertyuiop12",
            "qwertzuiopasdf",
            "123456789012",
            "111111111111",
            "abcabcabcabc",
            "abcdefghijkl",
            "letmein12345",
            "adminadmin123",
            "welcome2024!",
            "Welcome-1234",
            "iloveyou2023",
            "987654321098",
            "whatsapp1234",
            "bluetick2026!",
            "changeme!!!!!",
            "aaaabbbbcccc",
            "summer2025!!",
            "SecretSecret1",
            "q1w2e3r4t5y6",
            "1qaz2wsx3edc",
        ] {
            assert_eq!(check(common, "anna"), Err(BadPassword::Common), "{common}");
        }
        assert_eq!(check("elevenchars", "anna"), Err(BadPassword::Short));
        assert_eq!(check(&"ab1 ".repeat(65), "anna"), Err(BadPassword::Long));
        for own in ["quorbix12345", "Quorbix-Quorbix", "quorbix-20266"] {
            assert_eq!(check(own, "quorbix"), Err(BadPassword::Name), "{own}");
        }
    }

    #[test]
    fn what_is_hard_to_guess_is_taken_whatever_signs_it_has() {
        for good in [
            "correct horse battery staple",
            "vT9#kq2!mZ0x",
            "Kühlschrank im Garten",
            "三十二個の青い馬と赤い鳥",
            "my-dog-ate-7-pies",
            "annalisa rides the tram",
            "password gullible ferret",
        ] {
            assert_eq!(check(good, "annalisa"), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_hash_knows_its_password_and_nothing_else_and_says_its_cost() {
        let hash = Hash::of(&Secret::new("correct horse"), [7; 16]);
        assert!(hash.0.starts_with("$argon2id$v=19$m=65536,t=3,p=1$"), "{}", hash.0);
        assert!(hash.is_of(&Secret::new("correct horse")) && !hash.is_of(&Secret::new("correct horsf")));
        assert!(!hash.is_outdated() && !Hash::of_nobody().is_of(&Secret::new("")));
        assert_eq!(format!("{hash:?}"), "Hash(…)");
        let cheap = Hash::cheap(&Secret::new("correct horse"));
        assert!(cheap.is_of(&Secret::new("correct horse")) && cheap.is_outdated());
        assert!(Hash(hash.0.replace("argon2id", "argon2i")).is_outdated());
        assert!(!Hash("nonsense".into()).is_of(&Secret::new("")) && Hash("nonsense".into()).is_outdated());
    }
}
