//! The certificate of the port: read out of two files, and changed under open doors when these change.
//!
//! Invariant: what is shown to clients was whole when it was read: the key belongs to the certificate, and it has begun and not
//! ended. Files that are not whole change nothing.
//! Not here: when the files are looked at again (`serve`), and what the client thinks of the certificate's name and issuer.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};

use super::Options;
use crate::clock::Time;

/// Chains are a few kilobytes; what is bigger is another file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The certificate and its key, as they are now.
pub struct Certificate {
    certificate_file: PathBuf,
    key_file: PathBuf,
    held: RwLock<Held>,
}

struct Held {
    key: Arc<CertifiedKey>,
    ends_at: Option<Time>,
    /// Of both files: what is the same need not be read again.
    digest: [u8; 32],
}

/// Why the files cannot be served with; the words name the key of the configuration and the file, and say what to do.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificate {
    /// A file is not there, not ours to read, or no such file.
    #[error("{key}: cannot read {}: {error}", file.display())]
    Unreadable {
        /// Which key names it.
        key: &'static str,
        /// Which file.
        file: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// No certificate in it.
    #[error(
        "http.tls_cert_file: there is no certificate in {}: it must hold PEM, the server's own certificate first, then those \
         between it and its root (certbot's fullchain.pem)", .0.display()
    )]
    NoCertificate(PathBuf),
    /// No key in it.
    #[error(
        "http.tls_key_file: there is no private key in {}: it must hold PEM without a passphrase, as in BEGIN PRIVATE KEY \
         (certbot's privkey.pem)", .0.display()
    )]
    NoKey(PathBuf),
    /// Something in it that TLS has no use for.
    #[error("{key}: {} cannot be used for TLS: {error}", file.display())]
    Unusable {
        /// Which key names it.
        key: &'static str,
        /// Which file.
        file: PathBuf,
        /// Why not.
        error: Error,
    },
    /// Two files of two certificates.
    #[error(
        "http.tls_key_file: the key in {} does not belong to the first certificate in {}: name the two files of one certificate",
        key_file.display(), certificate_file.display()
    )]
    Foreign {
        /// The certificate's file.
        certificate_file: PathBuf,
        /// The key's file.
        key_file: PathBuf,
    },
    /// It is over.
    #[error("http.tls_cert_file: the certificate in {} ended at {ends_at}: renew it", file.display())]
    Ended {
        /// Which file.
        file: PathBuf,
        /// When.
        ends_at: Time,
    },
    /// It has not begun.
    #[error(
        "http.tls_cert_file: the certificate in {} begins at {begins_at}: wait until then, or set the machine's clock right",
        file.display()
    )]
    NotBegun {
        /// Which file.
        file: PathBuf,
        /// When.
        begins_at: Time,
    },
}

impl Certificate {
    /// Reads both files; nothing, if none is configured.
    pub fn load(options: &Options, now: Time) -> Result<Option<Arc<Self>>, BadCertificate> {
        let (Some(certificate_file), Some(key_file)) = (&options.tls_cert_file, &options.tls_key_file) else {
            return Ok(None);
        };
        let (certificate_file, key_file) = (certificate_file.clone(), key_file.clone());
        let held = RwLock::new(Files::read(&certificate_file, &key_file)?.open(now)?);
        Ok(Some(Arc::new(Self { certificate_file, key_file, held })))
    }

    /// Looks at the files again; says whether they were new. If they are not whole, everything stays as it was.
    pub fn renew(&self, now: Time) -> Result<bool, BadCertificate> {
        let files = Files::read(&self.certificate_file, &self.key_file)?;
        if files.digest == self.held().digest {
            return Ok(false);
        }
        let opened = files.open(now)?;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(true)
    }

    /// When it is over, as far as that can be read.
    pub fn ends_at(&self) -> Option<Time> {
        self.held().ends_at
    }

    /// The file it stands in.
    pub fn file(&self) -> &Path {
        &self.certificate_file
    }

    /// How the port speaks TLS: 1.2 and 1.3, by the one provider of cryptography there is in the house.
    pub(super) fn server_config(self: Arc<Self>) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("ring knows both versions");
        builder.with_no_client_auth().with_cert_resolver(self)
    }

    fn held(&self) -> std::sync::RwLockReadGuard<'_, Held> {
        // It is replaced in one step, so it is whole whoever panicked.
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.held().key))
    }
}

/// Names the files, never what is in them.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.certificate_file).field(&self.key_file).finish()
    }
}

/// Both files, as they were read.
struct Files<'a> {
    certificate_file: &'a Path,
    key_file: &'a Path,
    certificates: Vec<u8>,
    key: Vec<u8>,
    digest: [u8; 32],
}

impl<'a> Files<'a> {
    fn read(certificate_file: &'a Path, key_file: &'a Path) -> Result<Self, BadCertificate> {
        let certificates = read("http.tls_cert_file", certificate_file)?;
        let key = read("http.tls_key_file", key_file)?;
        let length = (certificates.len() as u64).to_be_bytes();
        let digest =
            Sha256::new().chain_update(length).chain_update(&certificates).chain_update(&key).finalize().into();
        Ok(Self { certificate_file, key_file, certificates, key, digest })
    }

    fn open(self, now: Time) -> Result<Held, BadCertificate> {
        let Self { certificate_file, key_file, .. } = self;
        let no_certificate = || BadCertificate::NoCertificate(certificate_file.to_owned());
        let chain = CertificateDer::pem_slice_iter(&self.certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| no_certificate())?;
        let first = chain.first().ok_or_else(no_certificate)?;
        let (begins_at, ends_at) = term(first).map_err(|error| self.unusable("http.tls_cert_file", error))?;
        if let Some(ends_at) = ends_at.filter(|ends_at| *ends_at < now) {
            return Err(BadCertificate::Ended { file: certificate_file.to_owned(), ends_at });
        }
        if let Some(begins_at) = begins_at.filter(|begins_at| now < *begins_at) {
            return Err(BadCertificate::NotBegun { file: certificate_file.to_owned(), begins_at });
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| BadCertificate::NoKey(key_file.to_owned()))?;
        let key =
            CertifiedKey::from_der(chain, key, &crypto::ring::default_provider()).map_err(|error| match error {
                Error::InconsistentKeys(_) => BadCertificate::Foreign {
                    certificate_file: certificate_file.to_owned(),
                    key_file: key_file.to_owned(),
                },
                error => self.unusable("http.tls_key_file", error),
            })?;
        Ok(Held { key: Arc::new(key), ends_at, digest: self.digest })
    }

    fn unusable(&self, key: &'static str, error: Error) -> BadCertificate {
        let file = if key == "http.tls_key_file" { self.key_file } else { self.certificate_file };
        BadCertificate::Unusable { key, file: file.to_owned(), error }
    }
}

fn read(key: &'static str, file: &Path) -> Result<Vec<u8>, BadCertificate> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(file)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        let is_fine = bytes.len() as u64 <= MAX_FILE_BYTES;
        is_fine.then_some(bytes).ok_or_else(|| io::Error::other("it is bigger than 1 MiB, so it is another file"))
    };
    read().map_err(|error| BadCertificate::Unreadable { key, file: file.to_owned(), error })
}

/// When a certificate begins and ends. rustls does not tell, but it says when it refuses one that has not begun or has ended,
/// and the time is what it looks at first: so it is asked at the beginning and at the end of time.
fn term(certificate: &CertificateDer<'_>) -> Result<(Option<Time>, Option<Time>), Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let refused_at = |at: Duration| {
        let at = UnixTime::since_unix_epoch(at);
        verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], at, &[]).err()
    };
    let begins_at = match refused_at(Duration::ZERO) {
        Some(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
            Some(time(not_before))
        }
        _ => None,
    };
    let ends_at = match refused_at(Duration::from_secs(u64::MAX)) {
        Some(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => Some(time(not_after)),
        _ => None,
    };
    Ok((begins_at, ends_at))
}

fn time(at: UnixTime) -> Time {
    Time(i64::try_from(at.as_secs().saturating_mul(1_000)).unwrap_or(i64::MAX))
}

#[cfg(test)]
pub(crate) mod tests;
