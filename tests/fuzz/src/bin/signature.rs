//! Signatures. Nothing verifies unless it was signed: whatever the letters of a URL, what is signed is read back out of
//! it here by another hand, and two requests share a signature only if that is the same for both.
//!
//! An input is the URL that was signed, the one that is called, a signature, the form that was signed, and the one that
//! came.
#![no_main]

use std::collections::BTreeSet;

use bluetick::twilio::AuthToken;
use bluetick::twilio::signature::{body_sha256, candidates, sign_form, sign_url, verify_form, verify_get, verify_json};
use bluetick::twilio::wire::{Params, parse_form};
use bluetick_fuzz::lines;
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|text: &str| {
    let [signed, called, signature, signed_form, form] = lines(text);
    let (Ok(signed_form), Ok(form)) = (parse_form(signed_form.as_bytes()), parse_form(form.as_bytes())) else { return };
    // An empty one must verify nothing: anybody can sign with it.
    let tokens = ["", "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "next"].map(AuthToken::new);

    for url in [signed, called] {
        let spellings = candidates(url);
        assert!((1..=2).contains(&spellings.len()), "{spellings:?}");
        assert!(spellings.iter().all(|spelling| spelling.len() <= url.len() + ":443".len()), "{spellings:?}");
        same_place(&spellings);
    }
    let forged = [1, 2]
        .iter()
        .all(|token| candidates(called).iter().all(|url| sign_form(&tokens[*token], url, &form) != signature));
    assert_eq!(verify_form(&tokens, called, &form, signature).is_none(), forged, "{signature}");

    let signature = sign_form(&tokens[1], signed, &signed_form);
    assert_eq!(verify_form(&tokens, signed, &signed_form, &signature), Some(1));
    assert_eq!(verify_form(&tokens[2..], signed, &signed_form, &signature), None);
    assert_eq!(verify_form(&tokens, signed, &signed_form, &sign_form(&tokens[0], signed, &signed_form)), None);
    let signed_bytes = bytes(&candidates(signed)[0], &signed_form);
    let is_same = candidates(called).iter().any(|url| bytes(url, &form) == signed_bytes);
    assert_eq!(verify_form(&tokens, called, &form, &signature), is_same.then_some(1));

    let signature = sign_url(&tokens[1], signed);
    assert_eq!(verify_get(&tokens, signed, &signature), Some(1));
    if verify_json(&tokens, signed, text.as_bytes(), &signature).is_some() {
        assert!(signed.contains(&body_sha256(text.as_bytes())));
    }
});

/// Spellings of one URL differ in nothing but the port, as somebody else reads URLs too. What it has no
/// use for, or mends, is left out.
fn same_place(spellings: &[String]) {
    let place = |text: &String| {
        let url = Url::parse(text).ok()?;
        Some([url.scheme(), url.host_str()?, url.path(), url.query().unwrap_or_default()].map(str::to_owned))
    };
    let (scheme, rest) = spellings[0].split_once("://").unwrap_or_default();
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-[]:".contains(&byte));
    if matches!(scheme, "http" | "https")
        && is_plain
        && !host.is_empty()
        && !host.starts_with(':')
        && !host.ends_with(':')
    {
        let first = place(&spellings[0]);
        assert!(first.is_none() || spellings.iter().all(|spelling| place(spelling) == first), "{spellings:?}");
    }
}

/// What the signature covers: <https://www.twilio.com/docs/usage/security#validating-requests>.
fn bytes(url: &str, form: &Params) -> String {
    let pairs: BTreeSet<_> = form.iter().collect();
    pairs.into_iter().fold(url.to_owned(), |bytes, (name, value)| bytes + name + value)
}
