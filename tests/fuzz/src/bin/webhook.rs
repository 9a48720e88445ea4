//! Whole requests to the webhooks. What nobody signed is refused; what Twilio signed for this account is let in; and
//! with any byte of it changed it says the same, or is refused.
//!
//! An input is the method, the target, the content type, a signature, where to change what, and the body.
#![no_main]

use bluetick::clock::Time;
use bluetick::keyring::Keyring;
use bluetick::twilio::AuthToken;
use bluetick::twilio::signature::{candidates, sign_form};
use bluetick::twilio::webhook::{Refusal, Request, Webhook};
use bluetick::twilio::wire::parse_form;
use bluetick_fuzz::parts;
use libfuzzer_sys::fuzz_target;

const NOW: Time = Time(1_800_000_000_000);
const URL: &str = "https://hooks.example.com";

fuzz_target!(|bytes: &[u8]| {
    let [method, target, content_type, signature, change, body] = parts(bytes);
    let texts = [method, target, content_type, signature].map(std::str::from_utf8);
    let [Ok(method), Ok(target), Ok(content_type), Ok(signature)] = texts else { return };
    let account_sid = "AC00000000000000000000000000000001".to_owned();
    let tokens = ["live", "next"].map(AuthToken::new);
    let webhook = Webhook { public_url: URL.into(), account_sid, keyring: Keyring::of_tokens(tokens.clone()) };
    let asked = Request { method, target, content_type: Some(content_type), body, signature: Some(signature) };
    assert!(webhook.open(Request { signature: None, ..asked }, NOW).is_err());

    let is_get = method == "GET";
    let sent = if is_get { target.split_once('?').map_or("", |(_, query)| query).as_bytes() } else { body };
    let params = parse_form(sent).unwrap_or_default();
    let signed = if is_get { &[][..] } else { &params };
    let url = format!("{URL}{target}");
    let is_forged =
        candidates(&url).iter().all(|url| tokens.iter().all(|token| sign_form(token, url, signed) != signature));
    assert!(!is_forged || webhook.open(asked, NOW).is_err(), "{signature}");

    let signature = sign_form(&tokens[1], &url, signed);
    let asked = Request { signature: Some(&signature), ..asked };
    let opened = match webhook.open(asked, NOW) {
        Ok(opened) => opened,
        Err(Refusal::NoSignature) => panic!("it is signed"),
        Err(Refusal::BadSignature) => return assert!(!target.starts_with('/') || target.contains('#'), "{target}"),
        Err(_) => return,
    };
    assert!(target.starts_with('/') && !target.contains('#'), "another host could be smuggled in: {target}");
    assert_eq!((opened.token(), opened.params()), (2, &params[..]));
    // To read it may fail, never more.
    let _ = (opened.status(), opened.inbound());

    if let [place, bits] = change
        && *bits > 0
        && !is_get
        && !body.is_empty()
    {
        let mut changed = body.to_vec();
        changed[usize::from(*place) % body.len()] ^= bits;
        if let Ok(opened) = webhook.open(Request { body: &changed, ..asked }, NOW) {
            let covered = |params: &[(String, String)]| {
                let mut pairs = params.to_vec();
                pairs.sort();
                pairs.dedup();
                pairs.into_iter().fold(String::new(), |bytes, (name, value)| bytes + &name + &value)
            };
            assert_eq!(covered(opened.params()), covered(&params));
        }
    }
});
