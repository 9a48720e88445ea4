//! The second factor: six digits of a phone, a new number every 30 seconds
//! ([RFC 6238](https://www.rfc-editor.org/rfc/rfc6238), with SHA-1, as every app on every phone reads it).
//!
//! Invariant: a code is good once: whoever looked over a shoulder is too late.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Sealed, Secret, Vault};
use crate::clock::Time;

/// How long one code is shown.
const STEP_MS: i64 = 30_000;
/// A clock may be wrong by so many steps, either way.
const TOLERATED: i64 = 1;
const DIGITS: usize = 6;
/// What the letters of a secret are in the address (RFC 4648).
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A phone's secret, open in memory, and the last code that was taken from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Totp {
    secret: [u8; 20],
    last_step: i64,
}

/// A phone as it is kept: its secret sealed, and the last code that was taken from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    sealed: Sealed,
    last_step: i64,
}

impl Phone {
    /// Keeps the phone of this person.
    pub fn keep(user: &str, totp: &Totp, vault: &Vault, random: [u8; 16]) -> Self {
        let text = Secret::new(HEXLOWER.encode(&totp.secret));
        Self { sealed: vault.seal(&purpose(user), &text, random), last_step: totp.last_step }
    }

    /// What its codes are made from; nothing, if it is another's, or this vault does not open it.
    pub fn open(&self, user: &str, vault: &Vault) -> Option<Totp> {
        let text = vault.open(&purpose(user), &self.sealed)?;
        let secret = Zeroizing::new(HEXLOWER.decode(text.expose().as_bytes()).ok()?);
        Some(Totp { secret: secret.as_slice().try_into().ok()?, last_step: self.last_step })
    }

    /// The code of this step was taken: neither it nor an earlier one is taken again. Says whether it still could be.
    #[must_use]
    pub fn take(&mut self, step: i64) -> bool {
        let is_new = step > self.last_step;
        self.last_step = self.last_step.max(step);
        is_new
    }

    /// The same, after what was taken by the one that is kept: nothing else, if that is another phone.
    #[must_use]
    pub fn after(mut self, kept: Option<&Self>) -> Self {
        let taken = kept.filter(|kept| kept.sealed == self.sealed).map_or(0, |kept| kept.last_step);
        self.last_step = self.last_step.max(taken);
        self
    }
}

/// What a sealed secret is bound to.
fn purpose(user: &str) -> String {
    format!("totp|{user}")
}

impl Totp {
    /// A new one.
    pub fn new(secret: [u8; 20]) -> Self {
        Self { secret, last_step: 0 }
    }

    /// The secret as an app takes it, for whoever cannot scan or click.
    pub fn text(&self) -> Secret {
        let mut text = String::with_capacity(32);
        // Twenty bytes are 32 letters: nothing is left to fill.
        for part in self.secret.chunks(5) {
            let bits = part.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            text.extend((0..8).rev().map(|letter| char::from(BASE32[(bits >> (letter * 5) & 31) as usize])));
        }
        Secret::new(text)
    }

    /// The address that an app takes all it needs from. Names are plain letters, so nothing has to be escaped.
    pub fn address(&self, name: &str) -> Secret {
        Secret::new(format!(
            "otpauth://totp/bluetick:{name}?secret={}&issuer=bluetick&algorithm=SHA1&digits={DIGITS}&period=30",
            self.text().expose()
        ))
    }

    /// Which step a code is of, if it is right now and later than the last one taken. Spaces between digits do not count.
    pub fn step_of(&self, code: &str, now: Time) -> Option<i64> {
        let code: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
        let this = now.0 / STEP_MS;
        // All of them are looked at, so that time does not tell how near a guess was.
        (this - TOLERATED..=this + TOLERATED).fold(None, |found, step| {
            let is_it = bool::from(self.code(step).as_bytes().ct_eq(code.as_bytes()));
            if is_it && step > self.last_step { Some(step) } else { found }
        })
    }

    /// What the phone shows now.
    #[cfg(test)]
    pub(crate) fn shown(&self, now: Time) -> String {
        self.code(now.0 / STEP_MS)
    }

    fn code(&self, step: i64) -> String {
        let mut hash = Hmac::<Sha1>::new_from_slice(&self.secret).expect("any length of key will do");
        hash.update(&step.to_be_bytes());
        let hash = hash.finalize().into_bytes();
        let at = usize::from(hash[19] & 15);
        let four = hash[at..at + 4].try_into().expect("four bytes from one of the first sixteen");
        format!("{:0DIGITS$}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 10_u32.pow(DIGITS as u32))
    }
}

impl std::fmt::Debug for Totp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Totp(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC: &[u8; 20] = b"12345678901234567890";

    /// The vectors of RFC 6238, appendix B, the last six of their eight digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(Totp::new(*RFC).step_of(code, Time(second * 1_000)), Some(second / 30), "{second}");
        }
    }

    #[test]
    fn a_code_is_good_for_a_step_either_way_and_once() {
        let (totp, at) = (Totp::new(*RFC), |second: i64| Time(second * 1_000));
        let code = totp.code(1_000);
        for (second, is_good) in [(29_969, false), (29_970, true), (30_000, true), (30_059, true), (30_060, false)] {
            assert_eq!(totp.step_of(&code, at(second)).is_some(), is_good, "{second}");
        }
        assert_eq!(totp.step_of(&format!(" {} {}", &code[..3], &code[3..]), at(30_000)), Some(1_000));
        let vault = Vault::new([1; 32]);
        let mut phone = Phone::keep("anna", &totp, &vault, [2; 16]);
        assert!(phone.take(1_000) && !phone.take(1_000) && !phone.take(999));
        assert!(phone.open("bert", &vault).is_none() && phone.open("anna", &Vault::new([3; 32])).is_none());
        let totp = phone.open("anna", &vault).expect("their own vault");
        assert_eq!(totp.step_of(&code, at(30_000)), None, "it was taken");
        assert_eq!(totp.step_of(&totp.shown(at(29_999)), at(30_000)), None, "and so was what came before it");
        assert!(totp.step_of(&totp.code(1_001), at(30_000)).is_some());
        for wrong in ["", "12345", "1234567", "abcdef"] {
            assert_eq!(totp.step_of(wrong, at(60_000)), None, "{wrong}");
        }
    }

    #[test]
    fn what_was_taken_stays_taken_whatever_is_changed_about_the_person_meanwhile() {
        let vault = Vault::new([1; 32]);
        let phone = |secret: [u8; 20], random| Phone::keep("anna", &Totp::new(secret), &vault, [random; 16]);
        let (before, mut kept) = (phone(*RFC, 2), phone(*RFC, 2));
        assert!(kept.take(1_000));
        let after = before.after(Some(&kept)).open("anna", &vault).expect("their own vault");
        assert_eq!(after.step_of(&after.code(1_000), Time(30_000_000)), None);
        let other = phone([1; 20], 3).after(Some(&kept)).open("anna", &vault).expect("their own vault");
        assert!(other.step_of(&other.code(1_000), Time(30_000_000)).is_some(), "another phone begins anew");
    }

    #[test]
    fn the_secret_is_spelt_as_apps_read_it_and_never_printed() {
        let totp = Totp::new(*RFC);
        assert_eq!(totp.text().expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(totp.address("anna").expose().starts_with("otpauth://totp/bluetick:anna?secret=GEZDGNBVGY3TQOJQ"));
        assert_eq!(format!("{totp:?}"), "Totp(…)");
    }
}
