//! Twilio's webhook signature: HMAC-SHA1 over the URL it called and the parameters it sent.
//!
//! Invariant: a URL is signed letter for letter; nothing is re-encoded, lower-cased or trimmed on the way.
//! Known limit of the scheme: it has no separators, no time and no nonce, so a signed callback can be replayed.
//! Not here: which URL was called (`webhook`), why nothing matches (`doctor`).
//! The scheme: <https://www.twilio.com/docs/usage/security#validating-requests>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// An account's auth token, or for the API alone an API key's secret.
pub use crate::keyring::Secret as AuthToken;

fn mac(token: &AuthToken) -> Hmac<Sha1> {
    Hmac::new_from_slice(token.expose().as_bytes()).expect("HMAC takes a key of any length")
}

/// The signature Twilio puts on a form posted to `url`.
pub fn sign_form(token: &AuthToken, url: &str, params: &[(String, String)]) -> String {
    let mac = mac(token).chain_update(called(url)).chain_update(signed_params(params));
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The signature Twilio puts on a GET, or on a JSON post whose `url` carries `bodySHA256`.
pub fn sign_url(token: &AuthToken, url: &str) -> String {
    sign_form(token, url, &[])
}

/// The value of `bodySHA256` for these bytes: lower-case hex.
pub fn body_sha256(body: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(body))
}

/// Which of `tokens` signed this form. All of them are tried with every spelling of the URL, whatever matches first.
pub fn verify_form(tokens: &[AuthToken], url: &str, params: &[(String, String)], signature: &str) -> Option<usize> {
    let expected = decode(signature)?;
    let urls = candidates(url);
    let params = signed_params(params);
    let mut matched = None;
    for (index, token) in tokens.iter().enumerate() {
        for url in &urls {
            let mac = mac(token).chain_update(url).chain_update(&params);
            // Anybody can sign with an empty token, so one left empty by mistake must verify nothing.
            let is_it = mac.verify_slice(&expected).is_ok() && !token.expose().is_empty();
            matched = matched.or(is_it.then_some(index));
        }
    }
    matched
}

/// Which of `tokens` signed this GET.
pub fn verify_get(tokens: &[AuthToken], url: &str, signature: &str) -> Option<usize> {
    verify_form(tokens, url, &[], signature)
}

/// Which of `tokens` signed this JSON body: the signature covers the URL, and the URL covers the body by its hash.
pub fn verify_json(tokens: &[AuthToken], url: &str, body: &[u8], signature: &str) -> Option<usize> {
    let matched = verify_form(tokens, url, &[], signature)?;
    let hash = query_value(split(url)?.2, "bodySHA256")?;
    bool::from(body_sha256(body).as_bytes().ct_eq(hash.as_bytes())).then_some(matched)
}

/// The spellings of one URL that Twilio may have signed: as received, without a port, and with its port.
///
/// Its signers disagree about a default port, and its own validators try both. Nothing else is tried: re-encoded
/// queries, as one of the SDKs has them, would accept URLs that Twilio never signs.
pub fn candidates(url: &str) -> Vec<String> {
    let mut urls = vec![called(url)];
    let Some((scheme, authority, target)) = split(url) else {
        return urls;
    };
    match (split_port(authority), default_port(scheme)) {
        (Some(host), _) => urls.push(format!("{scheme}://{host}{target}")),
        (None, Some(port)) => urls.push(format!("{scheme}://{authority}:{port}{target}")),
        (None, None) => {}
    }
    urls
}

/// The URL as Twilio calls and signs it: user and password move to a header, and the fragment, which holds its
/// connection overrides, is never sent.
fn called(url: &str) -> String {
    match split(url) {
        Some((scheme, authority, target)) => format!("{scheme}://{authority}{target}"),
        None => url.to_owned(),
    }
}

/// Scheme, `host[:port]`, and path with query.
pub(super) fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (url, _) = url.split_once('#').unwrap_or((url, ""));
    let (scheme, rest) = url.split_once("://")?;
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some((scheme, authority, target))
}

/// The host before a port; `None` if there is no port. The colons inside `[::1]` are no ports.
pub(super) fn split_port(authority: &str) -> Option<&str> {
    let (host, port) = authority.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
    let is_whole = !host.starts_with('[') || host.ends_with(']');
    (is_port && is_whole).then_some(host)
}

pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => Some(443),
        _ if scheme.eq_ignore_ascii_case("http") => Some(80),
        _ => None,
    }
}

/// Names in byte order, each before every one of its different values, which are in byte order too; no separators.
pub(super) fn signed_params(params: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()
}

/// Strict: padded standard base64 of exactly 20 bytes, so that one signature has one spelling.
pub(super) fn decode(signature: &str) -> Option<[u8; 20]> {
    STANDARD.decode(signature).ok()?.try_into().ok()
}

pub(super) fn query_value<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = target.split_once('?')?;
    query.split('&').filter_map(|piece| piece.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const URL: &str = "https://hooks.example.com/status?bt=1";

    fn token() -> AuthToken {
        AuthToken::new("0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    }

    fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_vector_of_the_official_sdks_is_judged_as_they_judge_it() {
        let file: Value = serde_json::from_str(include_str!("../../tests/data/signature-vectors.json")).expect("json");
        let vectors = file["vectors"].as_array().expect("a list");
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            let text = |key: &str| vector[key].as_str().unwrap_or_else(|| panic!("{key} of {vector}"));
            let tokens = [AuthToken::new("another"), AuthToken::new(text("auth_token"))];
            let (url, body, signature) = (text("url"), text("raw_body").as_bytes(), text("signature"));
            let matched = match text("content_type") {
                "application/json" => verify_json(&tokens, url, body, signature),
                _ => {
                    let params = crate::twilio::wire::parse_form(body).expect("a form");
                    verify_form(&tokens, url, &params, signature)
                }
            };
            assert_eq!(matched, vector["valid"].as_bool().expect("a verdict").then_some(1), "{}", text("name"));
        }
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        let (token, body) = (token(), b"MessageStatus=sent&MessageSid=SM1&To=whatsapp%3A%2B1555&Empty=");
        let verify = |url: &str, body: &[u8], signature: &str| {
            let params = crate::twilio::wire::parse_form(body).ok()?;
            verify_form(std::slice::from_ref(&token), url, &params, signature)
        };
        let signature = sign_form(&token, URL, &crate::twilio::wire::parse_form(body).expect("a form"));
        assert_eq!(verify(URL, body, &signature), Some(0));
        for bit in 0..8 {
            for byte in 0..signature.len() {
                if let Some(flipped) = flip(signature.as_bytes(), byte, bit) {
                    assert_eq!(verify(URL, body, &flipped), None, "signature {flipped}");
                }
            }
            for byte in 0..URL.len() {
                if let Some(flipped) = flip(URL.as_bytes(), byte, bit) {
                    assert_eq!(verify(&flipped, body, &signature), None, "URL {flipped}");
                }
            }
            for byte in 0..body.len() {
                let mut flipped = body.to_vec();
                flipped[byte] ^= 1 << bit;
                let is_same_form = crate::twilio::wire::parse_form(&flipped) == crate::twilio::wire::parse_form(body);
                assert_eq!(verify(URL, &flipped, &signature).is_some(), is_same_form, "body {flipped:?}");
            }
        }
    }

    /// Every bit of the signature, every bit of the URL, every byte of the parameters, and the parameters in other places, of forty-five
    /// callbacks: at least 50,000 forgeries, none accepted.
    #[test]
    fn layer_3_webhooks_accept_none_of_50000_forgeries() {
        let (mut tried, mut accepted) = (0, 0);
        for number in 0..45 {
            let token = AuthToken::new(format!("{:032x}", 0x5eed_0000_u128 * 7_919 + number));
            let url =
                format!("https://hooks{number}.example.com/webhooks/twilio/status/{:048x}?n={number}", number * 31);
            let params = params(&[
                ("AccountSid", "AC00000000000000000000000000000001"),
                ("MessageSid", &format!("SM{number:032x}")),
                ("MessageStatus", ["sent", "delivered", "read", "failed"][usize::try_from(number % 4).expect("small")]),
                ("To", "whatsapp:+4915100000001"),
            ]);
            let signature = sign_form(&token, &url, &params);
            let tokens = [AuthToken::new("another"), token];
            let mut forge = |url: &str, params: &[(String, String)], signature: &str| {
                tried += 1;
                accepted += usize::from(verify_form(&tokens, url, params, signature).is_some());
            };
            let raw = STANDARD.decode(&signature).expect("base64");
            for bit in 0..raw.len() * 8 {
                let mut flipped = raw.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                forge(&url, &params, &STANDARD.encode(flipped));
            }
            for (byte, bit) in (0..url.len()).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
                if let Some(flipped) = flip(url.as_bytes(), byte, bit) {
                    forge(&flipped, &params, &signature);
                }
            }
            for at in 0..params.len() {
                let (name, value) = &params[at];
                for (byte, letter) in (0..value.len()).flat_map(|byte| (b'0'..b'4').map(move |letter| (byte, letter))) {
                    let mut changed = value.clone().into_bytes();
                    if changed[byte] != letter {
                        changed[byte] = letter;
                        let mut params = params.clone();
                        params[at].1 = String::from_utf8(changed).expect("ASCII");
                        forge(&url, &params, &signature);
                    }
                }
                let without: Vec<_> = params.iter().filter(|(other, _)| other != name).cloned().collect();
                forge(&url, &without, &signature);
                let mut more = params.clone();
                more.push((format!("{name}x"), value.clone()));
                forge(&url, &more, &signature);
            }
        }
        assert!(tried >= 50_000, "{tried}");
        assert_eq!(accepted, 0);
    }

    fn flip(bytes: &[u8], byte: usize, bit: u8) -> Option<String> {
        let mut flipped = bytes.to_vec();
        flipped[byte] ^= 1 << bit;
        String::from_utf8(flipped).ok()
    }

    #[test]
    fn one_signature_has_one_spelling() {
        let signature = sign_url(&token(), URL);
        assert_eq!(verify_get(&[token()], URL, &signature), Some(0));
        let spellings = [
            format!(" {signature}"),
            format!("{signature} "),
            signature.trim_end_matches('=').to_owned(),
            format!("{signature}="),
            signature.to_lowercase(),
            String::new(),
        ];
        for wrong in spellings {
            assert_eq!(verify_get(&[token()], URL, &wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_port_may_be_spelled_out_or_not() {
        assert_eq!(candidates("https://h.example/x?a=1"), ["https://h.example/x?a=1", "https://h.example:443/x?a=1"]);
        assert_eq!(candidates("http://h.example"), ["http://h.example", "http://h.example:80"]);
        assert_eq!(candidates("https://h.example:8443/x"), ["https://h.example:8443/x", "https://h.example/x"]);
        assert_eq!(candidates("http://[::1]/x"), ["http://[::1]/x", "http://[::1]:80/x"]);
        assert_eq!(candidates("http://[::1]:8080/x"), ["http://[::1]:8080/x", "http://[::1]/x"]);
        assert_eq!(candidates("/only/a/path"), ["/only/a/path"]);
    }

    #[test]
    fn another_port_scheme_host_or_slash_is_another_url() {
        let signature = sign_url(&token(), "https://h.example:8443/x");
        assert_eq!(verify_get(&[token()], "https://h.example:8443/x", &signature), Some(0));
        for other in ["https://h.example/x", "https://h.example:9443/x", "http://h.example:8443/x"] {
            assert_eq!(verify_get(&[token()], other, &signature), None, "{other}");
        }
        assert_eq!(verify_get(&[token()], "https://h.example:8443/x/", &signature), None);
        assert_eq!(verify_get(&[token()], "https://H.example:8443/x", &signature), None);
    }

    #[test]
    fn user_password_and_fragment_are_never_signed() {
        let plain = sign_url(&token(), "https://h.example/x?q=a@b");
        assert_eq!(sign_url(&token(), "https://user:p@ss@h.example/x?q=a@b#rc=3&rp=5xx"), plain);
        assert_eq!(verify_get(&[token()], "https://user:p@ss@h.example/x?q=a@b#rc=3", &plain), Some(0));
    }

    #[test]
    fn names_sort_before_values_and_repeats_count_once() {
        let sign = |pairs: &[(&str, &str)]| sign_form(&token(), URL, &params(pairs));
        assert_eq!(sign(&[("A", "2"), ("A", "1"), ("A", "2")]), sign(&[("A", "1"), ("A", "2")]));
        assert_eq!(signed_params(&params(&[("a", "4"), ("A1", "x"), ("A", "z"), ("_", "5")])), "AzA1x_5a4");
        assert_eq!(signed_params(&params(&[("Empty", ""), ("B", " v\r\n")])), "B v\r\nEmpty");
    }

    #[test]
    fn a_json_body_is_held_by_its_hash() {
        let body = br#"{"id":1}"#;
        let url = format!("https://h.example/events?bodySHA256={}", body_sha256(body));
        let signature = sign_url(&token(), &url);
        assert_eq!(verify_json(&[token()], &url, body, &signature), Some(0));
        assert_eq!(verify_json(&[token()], &url, br#"{"id":2}"#, &signature), None);
        let unhashed = "https://h.example/events";
        assert_eq!(verify_json(&[token()], unhashed, body, &sign_url(&token(), unhashed)), None);
    }

    #[test]
    fn no_token_and_a_wrong_token_verify_nothing() {
        let signature = sign_url(&token(), URL);
        assert_eq!(verify_get(&[], URL, &signature), None);
        assert_eq!(verify_get(&["".into()], URL, &sign_url(&"".into(), URL)), None);
        assert_eq!(verify_get(&["old".into(), token()], URL, &signature), Some(1));
    }
}
