//! Access tokens, API keys and the keys of the vault. Nothing opens but what we wrote, letter for letter, and what we wrote opens:
//! whatever is claimed, spliced or spelt otherwise.
//!
//! An input is a place, scopes, where a right token is cut, and a token of a stranger's.
#![no_main]

use bluetick::clock::Time;
use bluetick::keyring::token::{self, Grant, LONGEST};
use bluetick::keyring::{KeyId, Presented, Scopes, Secret, VaultKey};
use bluetick_fuzz::lines;
use libfuzzer_sys::fuzz_target;

const NOW: Time = Time(1_800_000_000_000);

fuzz_target!(|text: &str| {
    let [place, scopes, cut, foreign] = lines(text);
    let keys =
        [(1, Secret::new("a-key-of-many-random-letters-one")), (7, Secret::new("a-key-of-many-random-letters-two"))];
    let scopes = Scopes::parse(scopes).unwrap_or_default();
    let grant = Grant { key: KeyId([1, 2, 3, 4]), secret: [5; 8], scopes, until: NOW.plus(LONGEST) };

    // A stranger has no key, so nothing of theirs opens.
    assert!(token::read(foreign, &keys, place, NOW).is_err(), "{foreign}");

    for (index, (generation, key)) in keys.iter().enumerate() {
        let written = token::write(&grant, (*generation, key), place, [9; 16], NOW);
        let written = written.expose();
        if written.len() <= 1_024 {
            assert_eq!(token::read(written, &keys, place, NOW), Ok((grant.clone(), *generation)));
            assert!(token::read(written, &keys, place, NOW.plus(LONGEST)).is_err(), "it ends");
            assert!(token::read(written, &keys[..index], place, NOW).is_err(), "another key does not open it");
            assert!(token::read(written, &keys, &format!("{place}x"), NOW).is_err(), "nor another place");
        }
        // Cut anywhere, with anything put in.
        let at = cut.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % written.len();
        for spliced in [
            format!("{}{foreign}{}", &written[..at], &written[at..]),
            format!("{}{foreign}", &written[..at]),
            format!("{foreign}{}", &written[at..]),
        ] {
            assert!(spliced == *written || token::read(&spliced, &keys, place, NOW).is_err(), "{spliced}");
        }
    }

    // What reads as a key reads so in one way only.
    if let Some(presented) = Presented::read(foreign) {
        let name = presented.id.to_string();
        assert!(foreign.len() == 55 && name.parse() == Ok(presented.id) && foreign[3..11] == name[3..], "{foreign}");
    }
    if let Ok(key) = VaultKey::read(foreign) {
        assert!(VaultKey::read(key.write().expose()).is_ok_and(|again| again.name() == key.name()));
    }
});
