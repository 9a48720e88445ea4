//! Files that are whole, and files that are not; certificates made for the occasion.

use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::*;
use crate::http::testing::START;

/// A certificate for `localhost` and its key, as PEM; good from the first day of a year to the first day of another.
pub(crate) fn pem(from: i32, until: i32) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

/// Two files in a folder that goes when this does.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn with((certificate, key): &(String, String)) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        fs::create_dir_all(&folder.0).expect("a folder");
        folder.write(certificate, key);
        folder
    }

    pub(crate) fn write(&self, certificate: &str, key: &str) {
        fs::write(self.0.path().join("cert.pem"), certificate).expect("written");
        fs::write(self.0.path().join("key.pem"), key).expect("written");
    }

    pub(crate) fn options(&self) -> Options {
        let (certificate, key) = (self.0.path().join("cert.pem"), self.0.path().join("key.pem"));
        Options { tls_cert_file: Some(certificate), tls_key_file: Some(key), ..Options::default() }
    }

    pub(crate) fn load(&self, now: Time) -> Result<Arc<Certificate>, BadCertificate> {
        Ok(Certificate::load(&self.options(), now)?.expect("both files are configured"))
    }
}

fn complaint(certificate: &str, key: &str) -> String {
    let folder = Folder::with(&(certificate.to_owned(), key.to_owned()));
    let said = folder.load(START).map(drop).expect_err("not whole").to_string();
    said.replace(&folder.0.path().display().to_string(), "/tls")
}

#[test]
fn layer_1_transport_files_that_cannot_be_served_with_say_what_to_do() {
    let ((certificate, key), (other, _)) = (pem(2023, 2024), pem(2023, 2024));
    let ((ended, ended_key), (future, future_key)) = (pem(2020, 2021), pem(2030, 2031));
    let broken = certificate.replacen("MII", "AAA", 1);
    insta::assert_snapshot!(
        [
            complaint("", &key),
            complaint(&key, &key),
            complaint(&certificate, ""),
            complaint(&certificate, &certificate),
            complaint(&other, &key),
            complaint(&ended, &ended_key),
            complaint(&future, &future_key),
            complaint(&broken, &key),
        ]
        .join("\n"),
        @r"
        http.tls_cert_file: there is no certificate in /tls/cert.pem: it must hold PEM, the server's own certificate first, then those between it and its root (certbot's fullchain.pem)
        http.tls_cert_file: there is no certificate in /tls/cert.pem: it must hold PEM, the server's own certificate first, then those between it and its root (certbot's fullchain.pem)
        http.tls_key_file: there is no private key in /tls/key.pem: it must hold PEM without a passphrase, as in BEGIN PRIVATE KEY (certbot's privkey.pem)
        http.tls_key_file: there is no private key in /tls/key.pem: it must hold PEM without a passphrase, as in BEGIN PRIVATE KEY (certbot's privkey.pem)
        http.tls_key_file: the key in /tls/key.pem does not belong to the first certificate in /tls/cert.pem: name the two files of one certificate
        http.tls_cert_file: the certificate in /tls/cert.pem ended at 2021-01-01T00:00:00.000Z: renew it
        http.tls_cert_file: the certificate in /tls/cert.pem begins at 2030-01-01T00:00:00.000Z: wait until then, or set the machine's clock right
        http.tls_cert_file: /tls/cert.pem cannot be used for TLS: invalid peer certificate: BadEncoding
        "
    );
    let nowhere =
        Options { tls_key_file: Some("/nowhere/key.pem".into()), ..Folder::with(&(certificate, key)).options() };
    let said = Certificate::load(&nowhere, START).map(drop).expect_err("gone").to_string();
    assert!(said.starts_with("http.tls_cert_file: cannot read "), "{said}");
}

#[test]
fn a_certificate_says_when_it_ends() {
    let ends = |until: i32| Folder::with(&pem(2023, until)).load(START).expect("whole").ends_at();
    assert_eq!(ends(2024).map(|at| at.to_string()).as_deref(), Some("2024-01-01T00:00:00.000Z"));
    assert_eq!(ends(2101).map(|at| at.to_string()).as_deref(), Some("2101-01-01T00:00:00.000Z"));
}

#[test]
fn without_files_there_is_no_certificate_and_one_file_alone_is_none() {
    assert!(Certificate::load(&Options::default(), START).expect("fine").is_none());
    let half = Options { tls_cert_file: Some("/nowhere".into()), ..Options::default() };
    assert!(
        Certificate::load(&half, START).expect("fine").is_none(),
        "the check of the configuration has said so before"
    );
}

#[test]
fn layer_1_transport_a_new_certificate_is_taken_and_a_broken_one_changes_nothing() {
    let (first, second) = (pem(2023, 2024), pem(2023, 2025));
    let folder = Folder::with(&first);
    let certificate = folder.load(START).expect("whole");
    let ends = || certificate.ends_at().map(|at| at.to_string()[..4].to_owned());
    assert!(matches!(certificate.renew(START), Ok(false)));
    folder.write(&second.0, &first.1);
    assert!(matches!(certificate.renew(START), Err(BadCertificate::Foreign { .. })), "half of it is written yet");
    assert_eq!(ends().as_deref(), Some("2024"));
    folder.write(&second.0, &second.1);
    assert!(matches!(certificate.renew(START), Ok(true)));
    assert_eq!(ends().as_deref(), Some("2025"));
    let expired = pem(2020, 2021);
    folder.write(&expired.0, &expired.1);
    assert!(matches!(certificate.renew(START), Err(BadCertificate::Ended { .. })));
    fs::remove_dir_all(&folder.0).expect("gone");
    assert!(matches!(certificate.renew(START), Err(BadCertificate::Unreadable { .. })));
    assert_eq!(ends().as_deref(), Some("2025"));
}

#[test]
fn a_key_is_never_shown() {
    let folder = Folder::with(&pem(2023, 2024));
    let shown = format!("{:?}", folder.load(START).expect("whole"));
    assert!(shown.ends_with("key.pem\")") && !shown.contains("CertifiedKey"), "{shown}");
}
