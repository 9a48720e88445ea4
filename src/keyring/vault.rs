//! Secrets at rest: each sealed under a key of its own, all of these made from one data key, which is wrapped by the master key
//! and by the recovery key.
//!
//! Invariant: a value is sealed for one place and opens nowhere else. The data key is never written but wrapped; a wrong
//! master key is noticed, never used.

use std::fmt;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Secret;

const KEY_BYTES: usize = 32;

/// The data key.
pub struct Vault(Zeroizing<[u8; KEY_BYTES]>);

/// A sealed value: what its key is made with, and its bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    salt: [u8; 16],
    bytes: Vec<u8>,
}

/// The data key as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapped {
    /// The key that opens it.
    pub by: KeyName,
    sealed: Sealed,
}

/// Names a key without telling it: eight hex digits, in messages and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyName([u8; 4]);

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// A key that opens the vault: the master key on this machine, or the recovery key on paper.
pub struct VaultKey(Zeroizing<[u8; KEY_BYTES]>);

/// A text that is no such key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no key: 64 hex digits, which spaces and dashes may divide")]
pub struct NoKey;

impl Vault {
    /// A vault with this data key.
    pub fn new(data_key: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(data_key))
    }

    /// Seals a value for one place.
    pub fn seal(&self, purpose: &str, value: &Secret, random: [u8; 16]) -> Sealed {
        seal(&self.0, purpose, value.expose().as_bytes(), random)
    }

    /// Opens what was sealed for this place; nothing, if it was not, or not by this vault.
    pub fn open(&self, purpose: &str, sealed: &Sealed) -> Option<Secret> {
        let bytes = open(&self.0, purpose, sealed)?;
        std::str::from_utf8(&bytes).ok().map(Secret::new)
    }
}

impl VaultKey {
    /// A key of these bytes.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads a key as [`Self::write`] writes it.
    pub fn read(text: &str) -> Result<Self, NoKey> {
        let digits: Zeroizing<Vec<u8>> =
            Zeroizing::new(text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'-').collect());
        let bytes = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(&digits).map_err(|_| NoKey)?);
        bytes.as_slice().try_into().map(Self::new).map_err(|_| NoKey)
    }

    /// The key as text: eight groups of eight hex digits.
    pub fn write(&self) -> Secret {
        let groups: Vec<_> = self.0.chunks_exact(4).map(|four| HEXLOWER.encode(four)).collect();
        Secret::new(groups.join("-"))
    }

    /// What names it without telling it.
    pub fn name(&self) -> KeyName {
        let hash = Sha256::new().chain_update("bluetick vault key\0").chain_update(*self.0).finalize();
        KeyName(hash[..4].try_into().expect("a SHA-256 has 32 bytes"))
    }

    /// Wraps the data key.
    pub fn wrap(&self, vault: &Vault, random: [u8; 16]) -> Wrapped {
        Wrapped { by: self.name(), sealed: seal(&self.0, "vault", &*vault.0, random) }
    }

    /// Opens the vault; nothing, if it was wrapped by another key.
    pub fn unwrap(&self, wrapped: &Wrapped) -> Option<Vault> {
        let bytes = open(&self.0, "vault", &wrapped.sealed)?;
        <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok().map(Vault::new)
    }
}

/// Every sealing has a key of its own, made with 16 random bytes, so its one nonce is used once.
fn key(master: &[u8; KEY_BYTES], purpose: &str, salt: &[u8; 16]) -> LessSafeKey {
    let pseudorandom = Salt::new(HKDF_SHA256, salt).extract(master);
    let info = [purpose.as_bytes()];
    let expanded = pseudorandom.expand(&info, &CHACHA20_POLY1305).expect("a key is shorter than HKDF's longest");
    LessSafeKey::new(UnboundKey::from(expanded))
}

fn seal(master: &[u8; KEY_BYTES], purpose: &str, value: &[u8], salt: [u8; 16]) -> Sealed {
    let mut bytes = value.to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let key = key(master, purpose, &salt);
    key.seal_in_place_append_tag(nonce, Aad::from(purpose), &mut bytes)
        .expect("a secret is shorter than the longest message");
    Sealed { salt, bytes }
}

fn open(master: &[u8; KEY_BYTES], purpose: &str, sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(sealed.bytes.clone());
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let length = key(master, purpose, &sealed.salt).open_in_place(nonce, Aad::from(purpose), &mut bytes).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VaultKey(…)")
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_7_secrets_what_is_sealed_opens_where_it_belongs_and_nowhere_else() {
        let vault = Vault::new([1; 32]);
        let sealed = vault.seal("here", &Secret::new("s3cret"), [7; 16]);
        assert!(vault.open("here", &sealed).is_some_and(|value| value.is("s3cret")));
        assert!(vault.open("there", &sealed).is_none() && Vault::new([2; 32]).open("here", &sealed).is_none());
        for byte in 0..sealed.bytes.len() {
            let mut spoilt = sealed.clone();
            spoilt.bytes[byte] ^= 1;
            assert!(vault.open("here", &spoilt).is_none(), "byte {byte}");
        }
        let other = vault.seal("here", &Secret::new("s3cret"), [8; 16]);
        assert_ne!(other.bytes, sealed.bytes, "the same value twice does not look the same");
        assert!(!format!("{vault:?}{sealed:?}").contains("s3cret"));
    }

    #[test]
    fn either_key_opens_the_vault_and_no_other() {
        let (vault, master, recovery) = (Vault::new([1; 32]), VaultKey::new([2; 32]), VaultKey::new([3; 32]));
        let sealed = vault.seal("here", &Secret::new("s3cret"), [7; 16]);
        for key in [&master, &recovery] {
            let wrapped = key.wrap(&vault, [4; 16]);
            assert_eq!(wrapped.by, key.name());
            let again = VaultKey::read(key.write().expose()).expect("as it was written");
            assert!(again.unwrap(&wrapped).is_some_and(|vault| vault.open("here", &sealed).is_some()));
        }
        assert!(recovery.unwrap(&master.wrap(&vault, [4; 16])).is_none());
    }

    #[test]
    fn a_key_is_read_however_it_is_divided_and_nothing_else_is_one() {
        let text = VaultKey::new([0xab; 32]).write();
        assert_eq!(text.expose().len(), 71);
        let bare = text.expose().replace('-', "");
        for spelt in [bare.clone(), bare.to_uppercase(), format!(" {}\n", text.expose())] {
            assert!(VaultKey::read(&spelt).is_ok_and(|key| key.name() == VaultKey::new([0xab; 32]).name()), "{spelt}");
        }
        for wrong in ["", "ab", &bare[1..], &format!("{bare}0"), &bare.replace('a', "g"), &"é".repeat(32)] {
            assert_eq!(VaultKey::read(wrong).err(), Some(NoKey), "{wrong}");
        }
    }
}
