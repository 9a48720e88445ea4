//! Every way we know to misconfigure a URL, a proxy and a token: signed as Twilio does, mangled as people and proxies do.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use sha1::Sha1;
use sha2::Sha256;

use super::*;
use crate::clock::Time;
use crate::keyring::Keyring;
use crate::twilio::signature::{self, body_sha256, sign_form, sign_url};
use crate::twilio::webhook::Webhook;
use crate::twilio::wire::{MAX_FORM_BYTES, MAX_PARAMETERS, Params, encode_form, parse_form};

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const OTHER_ACCOUNT: &str = "AC00000000000000000000000000000009";
const LIVE: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const NEXT: &str = "11112222333344445555666677778888";
const OLD: &str = "99990000aaaabbbbccccddddeeeeffff";
const SUB: &str = "5a5a6b6b7c7c8d8d9e9e0f0f1a1a2b2b";
const UNKNOWN: &str = "deadbeef00112233445566778899aabb";
const API_KEY: &str = "Zk3vQpR7sT1uWxY9aBcDeFgH2iJkLmNo";
const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";
const STATUS: &str = "/webhooks/twilio/status";
const INBOUND: &str = "/webhooks/twilio/inbound";
const OVERRIDES: &str = "#rc=3&rp=5xx,ct,rt&ct=2000&rt=4000";

/// One request, from what Twilio signed to what came in, and what it is judged by.
#[derive(Clone)]
struct Story {
    called: String,
    signer: String,
    params: Params,
    method: &'static str,
    target: String,
    content_type: Option<&'static str>,
    body: Vec<u8>,
    signature: String,
    headers: Vec<(&'static str, String)>,
    public_url: String,
    account_sid: String,
    tokens: Vec<Known>,
}

/// Something that goes wrong: how, the code and the words that name it, and whether it can be proven.
struct Mistake {
    name: &'static str,
    code: &'static str,
    fact: &'static str,
    is_provable: bool,
    happens: fn(&mut Story),
}

fn known(name: &str, token: &str, standing: Standing) -> Known {
    Known { name: name.into(), token: token.into(), standing }
}

fn inbound() -> Params {
    let pairs = [
        ("SmsMessageSid", "SM00000000000000000000000000000001"),
        ("NumMedia", "0"),
        ("ProfileName", "Ada Lovelace"),
        ("WaId", "4915100000001"),
        ("Body", "Grüße & \"bis bald\" – 1+1?"),
        ("To", "whatsapp:+15550001111"),
        ("MessageSid", "SM00000000000000000000000000000001"),
        ("AccountSid", ACCOUNT),
        ("From", "whatsapp:+4915100000001"),
        ("ApiVersion", "2010-04-01"),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Story {
    /// One in which nothing is wrong.
    fn new() -> Self {
        let called = format!("https://hooks.example.com{INBOUND}");
        let mut story = Self {
            called,
            signer: LIVE.into(),
            params: inbound(),
            method: "POST",
            target: INBOUND.into(),
            content_type: Some(FORM),
            body: Vec::new(),
            signature: String::new(),
            headers: vec![("Host", "hooks.example.com".into())],
            public_url: "https://hooks.example.com".into(),
            account_sid: ACCOUNT.into(),
            tokens: vec![
                known("auth_token", LIVE, Standing::Accepted),
                known("the staged token", NEXT, Standing::Staged),
                known("the token retired on 2026-08-01", OLD, Standing::Retired),
                known("the token of the sub-account Berlin", SUB, Standing::OtherAccount),
                known("the API key's secret", API_KEY, Standing::ApiKey),
            ],
        };
        story.sign();
        story
    }

    /// Signs anew, as Twilio does, and posts what was signed.
    fn sign(&mut self) {
        self.signature = sign_form(&self.signer.as_str().into(), &self.called, &self.params);
        self.body = encode_form(&self.params).into_bytes();
    }

    fn call(&mut self, called: &str) {
        self.called = called.into();
        self.sign();
    }

    fn sign_with(&mut self, token: &str) {
        self.signer = token.into();
        self.sign();
    }

    /// The body, with every parameter as `change` makes it.
    fn send(&mut self, change: impl Fn(&str, &str) -> Option<String>) {
        let change = |(name, value): &(String, String)| Some((name.clone(), change(name, value)?));
        self.body = encode_form(&self.params.iter().filter_map(change).collect::<Vec<_>>()).into_bytes();
    }

    fn set_live(&mut self, token: &str) {
        self.tokens[0].token = token.into();
    }

    fn set(&mut self, name: &str, value: &str) {
        self.params.retain(|(key, _)| key != name);
        self.params.push((name.into(), value.into()));
        self.sign();
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: self.method,
            target: &self.target,
            content_type: self.content_type,
            body: &self.body,
            signature: Some(&self.signature),
        }
    }

    fn explain(&self) -> Diagnosis {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let inbound = format!("{INBOUND}{OVERRIDES}");
        let setup = Setup {
            public_url: &self.public_url,
            account_sid: &self.account_sid,
            paths: &[STATUS, &inbound],
            tokens: &self.tokens,
        };
        explain(&self.request(), &headers, &setup)
    }

    fn is_let_in(&self) -> bool {
        let accepted = self.tokens.iter().filter(|known| known.standing == Standing::Accepted);
        let webhook = Webhook {
            public_url: self.public_url.clone(),
            account_sid: self.account_sid.clone(),
            keyring: Keyring::of_tokens(accepted.map(|known| known.token.clone())),
        };
        webhook.open(self.request(), Time(0)).is_ok()
    }
}

fn hmac_sha1(token: &str, text: &str) -> String {
    let mac: Hmac<Sha1> = Hmac::new_from_slice(token.as_bytes()).expect("any length");
    STANDARD.encode(mac.chain_update(text).finalize().into_bytes())
}

/// What somebody else's program signs, and not Twilio.
fn signed_text(story: &Story) -> String {
    format!("{}{}", story.called, signature::signed_params(&story.params))
}

const fn proven(name: &'static str, code: &'static str, fact: &'static str, happens: fn(&mut Story)) -> Mistake {
    Mistake { name, code, fact, is_provable: true, happens }
}

const fn guessed(name: &'static str, code: &'static str, fact: &'static str, happens: fn(&mut Story)) -> Mistake {
    Mistake { name, code, fact, is_provable: false, happens }
}

/// What is wrong in front of the path.
const PUBLIC_URL: &[Mistake] = &[
    proven("http configured", "scheme", "set public_url to https://hooks.example.com", |story| {
        story.public_url = "http://hooks.example.com".into();
    }),
    proven("https configured, a plain proxy called", "scheme", "set public_url to http://hooks.example.com", |story| {
        story.call(&format!("http://hooks.example.com{INBOUND}"));
    }),
    proven("no scheme configured", "scheme", "set public_url to https://hooks.example.com", |story| {
        story.public_url = "hooks.example.com".into();
    }),
    proven("the inner host configured", "host", "set public_url to https://hooks.example.com", |story| {
        story.public_url = "https://bluetick.internal".into();
    }),
    proven("a tunnel's old host configured", "host", "set public_url to https://new.ngrok.app", |story| {
        story.public_url = "https://old.ngrok.app".into();
        story.headers = vec![("Host", "127.0.0.1:8080".into()), ("X-Forwarded-Host", "new.ngrok.app".into())];
        story.call(&format!("https://new.ngrok.app{INBOUND}"));
    }),
    proven("a host that only Forwarded names", "host", "Twilio called https://a.example.org/", |story| {
        story.headers =
            vec![("Host", "inner".into()), ("Forwarded", "for=1.2.3.4;host=a.example.org;proto=https".into())];
        story.call(&format!("https://a.example.org{INBOUND}"));
    }),
    proven("the first of two proxies named", "host", "Twilio called https://edge.example.org/", |story| {
        story.headers = vec![("X-Forwarded-Host", "edge.example.org, middle.example.org".into())];
        story.call(&format!("https://edge.example.org{INBOUND}"));
    }),
    proven("www called", "host_www", "set public_url to https://www.hooks.example.com", |story| {
        story.call(&format!("https://www.hooks.example.com{INBOUND}"));
    }),
    proven("www configured", "host_www", "set public_url to https://hooks.example.com", |story| {
        story.public_url = "https://www.hooks.example.com".into();
    }),
    proven("capitals configured", "host_case", "upper or lower case", |story| {
        story.public_url = "https://Hooks.Example.com".into();
    }),
    proven("capitals given to Twilio", "host_case", "set public_url to https://Hooks.Example.com", |story| {
        story.headers = vec![("Host", "Hooks.Example.com".into())];
        story.call(&format!("https://Hooks.Example.com{INBOUND}"));
    }),
    proven(
        "a port called that is not configured",
        "port",
        "set public_url to https://hooks.example.com:8443",
        |story| {
            story.call(&format!("https://hooks.example.com:8443{INBOUND}"));
        },
    ),
    proven("a port that X-Forwarded-Port names", "port", ":9444", |story| {
        story.headers.push(("X-Forwarded-Port", "9444".into()));
        story.call(&format!("https://hooks.example.com:9444{INBOUND}"));
    }),
    proven("another port configured", "port", "set public_url to https://hooks.example.com:8443", |story| {
        story.public_url = "https://hooks.example.com:9000".into();
        story.headers = vec![("Host", "hooks.example.com:8443".into())];
        story.call(&format!("https://hooks.example.com:8443{INBOUND}"));
    }),
    proven("the inner address configured", "public_url", "set public_url to https://hooks.example.com", |story| {
        story.public_url = "http://127.0.0.1:8080".into();
    }),
    proven("a path that a proxy strips", "path_prefix", "set public_url to https://hooks.example.com/blue", |story| {
        story.headers.push(("X-Forwarded-Prefix", "/blue".into()));
        story.call(&format!("https://hooks.example.com/blue{INBOUND}"));
    }),
    proven("a path that nothing strips", "path_prefix", "set public_url to https://hooks.example.com", |story| {
        story.public_url = "https://hooks.example.com/blue".into();
        story.target = format!("/blue{INBOUND}");
        story.call(&format!("https://hooks.example.com/blue{INBOUND}"));
    }),
    proven("a path in public_url alone", "path_prefix", "set public_url to https://hooks.example.com", |story| {
        story.public_url = "https://hooks.example.com/blue".into();
    }),
    proven("a path stripped too far", "path_prefix", "the path in front", |story| {
        story.public_url = "https://hooks.example.com/a/b".into();
        story.call(&format!("https://hooks.example.com/a{INBOUND}"));
    }),
    proven("a path that a proxy adds", "path_prefix", "the path in front", |story| {
        story.target = format!("/inner{INBOUND}");
    }),
    proven("a path twice", "path_prefix", "the path in front", |story| {
        story.public_url = "https://hooks.example.com/blue".into();
        story.call(&format!("https://hooks.example.com/blue/blue{INBOUND}"));
    }),
    proven("a fragment in public_url", "public_url_form", "set public_url to https://hooks.example.com", |story| {
        story.public_url = "https://hooks.example.com#rc=3".into();
    }),
];

/// What is wrong with the way to us.
const TARGET: &[Mistake] = &[
    proven("a slash removed", "trailing_slash", "the slash at the end", |story| {
        story.call(&format!("https://hooks.example.com{INBOUND}/"));
    }),
    proven("a slash added", "trailing_slash", "the slash at the end", |story| story.target.push('/')),
    proven("slashes merged", "double_slash", "a doubled slash", |story| {
        story.call(&format!("https://hooks.example.com/{INBOUND}"));
    }),
    proven("an escape taken out of the path", "path_escaping", "the escaping of the path", |story| {
        story.target = "/hook/a:b".into();
        story.call("https://hooks.example.com/hook/a%3Ab");
    }),
    proven("a path escaped twice", "path_escaping", "the escaping of the path", |story| {
        story.target = "/hook/a%2520b".into();
        story.call("https://hooks.example.com/hook/a%20b");
    }),
    proven("escapes in lower case", "path_escaping", "the escaping of the path", |story| {
        story.target = "/hook/a%3ab".into();
        story.call("https://hooks.example.com/hook/a%3Ab");
    }),
    proven("a path rewritten", "other_path", "X-Original", |story| {
        story.target = "/index.php".into();
        story.headers.push(("X-Original-URL", "/X-Original/hook".into()));
        story.call("https://hooks.example.com/X-Original/hook");
    }),
    proven("status and inbound mixed up", "other_path", "/webhooks/twilio/status", |story| {
        story.call(&format!("https://hooks.example.com{STATUS}"));
    }),
    proven("a query dropped that a header names", "query_dropped", "did not arrive", |story| {
        story.headers.push(("X-Rewrite-URL", format!("{INBOUND}?team=a")));
        story.call(&format!("https://hooks.example.com{INBOUND}?team=a"));
    }),
    proven("a query added", "query_added", "added on the way", |story| story.target.push_str("?request=17")),
    proven("a pair added to a query", "query_added", "added on the way", |story| {
        story.target.push_str("?a=1&request=17");
        story.call(&format!("https://hooks.example.com{INBOUND}?a=1"));
    }),
    proven("a query sorted", "query_order", "the order of the query", |story| {
        story.target.push_str("?a=1&b=2&c=3&d=4&e=5&z=0");
        story.called.push_str("?z=0&e=5&d=4&c=3&b=2&a=1");
        story.sign();
    }),
    proven("%20 became +", "query_escaping", "the escaping of the query", |story| {
        story.target.push_str("?name=a+b");
        story.called.push_str("?name=a%20b");
        story.sign();
    }),
    proven("a query unescaped", "query_escaping", "the escaping of the query", |story| {
        story.target.push_str("?back=https://x.example/");
        story.called.push_str("?back=https%3A%2F%2Fx.example%2F");
        story.sign();
    }),
    proven("a fragment signed by another program", "fragment_signed", "behind #", |story| {
        story.signature =
            hmac_sha1(LIVE, &format!("{}{OVERRIDES}{}", story.called, signature::signed_params(&story.params)));
    }),
    proven("a password signed by another program", "password_signed", "user and password", |story| {
        story.public_url = "https://user:pass@hooks.example.com".into();
        let text = signed_text(story).replace("https://", "https://user:pass@");
        story.signature = hmac_sha1(LIVE, &text);
    }),
    proven("a whole URL on the request line", "request_line", "path and query alone", |story| {
        story.target = story.called.clone();
    }),
];

const BODY: &[Mistake] = &[
    proven("plus signs unescaped", "body_plus", "took plus signs for spaces", |story| {
        story.set("Body", "hello");
        story.body = String::from_utf8_lossy(&story.body).replace("%2B", "+").into_bytes();
    }),
    proven("spaces for plus signs in addresses", "body_plus", "took plus signs for spaces", |story| {
        story.send(|name, value| Some(if name == "Body" { value.into() } else { value.replace('+', " ") }));
    }),
    proven("escaped twice", "body_encoded_twice", "escaped the form a second time", |story| {
        story.send(|_, value| Some(crate::twilio::doctor::escape::encode(value, "")));
    }),
    proven("written in Latin 1", "body_charset", "character set", |story| {
        story.set("Body", "Grüße");
        story.body =
            String::from_utf8_lossy(&story.body).replace("%C3%BC", "%FC").replace("%C3%9F", "%DF").into_bytes();
    }),
    proven("read as Windows 1252", "body_charset", "character set", |story| {
        story.set("Body", "Grüße – 5 €");
        story.send(|_, value| {
            Some(value.replace('ü', "Ã¼").replace('ß', "ÃŸ").replace('€', "â‚¬").replace('–', "â€\u{201c}"))
        });
    }),
    proven("escaped for HTML", "body_html", "&amp; for &", |story| {
        story.send(|_, value| Some(value.replace('&', "&amp;").replace('"', "&quot;")));
    }),
    proven("line ends changed", "body_line_ends", "line ends", |story| {
        story.set("Body", "a\r\nb\nc\r\n".replace("\r\n", "\n").as_str());
        story.send(|_, value| Some(value.replace('\n', "\r\n")));
    }),
    proven("an empty body dropped", "empty_parameter_dropped", "(Body)", |story| {
        story.set("Body", "");
        story.send(|_, value| (!value.is_empty()).then(|| value.into()));
    }),
    proven("two empty values dropped", "empty_parameter_dropped", "Body and ProfileName", |story| {
        story.set("Body", "");
        story.set("ProfileName", "");
        story.send(|_, value| (!value.is_empty()).then(|| value.into()));
    }),
    proven("empty places dropped", "empty_parameter_dropped", "FromCity", |story| {
        ["FromCity", "FromState", "FromZip", "FromCountry", "ToCity", "ToState", "ToZip", "ToCountry"]
            .into_iter()
            .for_each(|name| story.set(name, ""));
        story.send(|_, value| (!value.is_empty()).then(|| value.into()));
    }),
    proven("values trimmed", "parameter_trimmed", "trimmed the spaces around Body", |story| {
        story.set("Body", "hello ");
        story.send(|_, value| Some(value.trim().into()));
    }),
    proven("a parameter added", "parameter_added", "(request_id)", |story| {
        story.body.extend_from_slice(b"&request_id=17");
    }),
    proven("a form turned into JSON", "body_json", "into JSON", |story| {
        let fields: serde_json::Map<_, _> =
            story.params.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        story.body = serde_json::to_vec(&fields).expect("JSON");
        story.content_type = Some("application/json");
    }),
    proven("a content type lost", "content_type", "Content-Type", |story| story.content_type = Some("text/plain")),
    proven("a POST turned into a GET", "post_became_get", "turned Twilio's POST into a GET", |story| {
        story.method = "GET";
        story.target = format!("{INBOUND}?{}", encode_form(&story.params));
        story.body.clear();
        story.content_type = None;
    }),
    proven("a GET turned into a POST", "get_became_post", "turned Twilio's GET into a POST", |story| {
        story.signature = sign_url(&LIVE.into(), &format!("{}?{}", story.called, encode_form(&story.params)));
    }),
    guessed("the parameters not signed", "body_not_signed", "URL alone was signed", |story| {
        story.signature = sign_url(&LIVE.into(), &story.called);
    }),
    proven("JSON written anew", "body_changed", "bodySHA256", |story| {
        let called = format!("{INBOUND}?bodySHA256={}", body_sha256(b"{\"a\": 1}"));
        story.signature = sign_url(&LIVE.into(), &format!("https://hooks.example.com{called}"));
        (story.target, story.content_type, story.body) = (called, Some("application/json"), b"{\"a\":1}".to_vec());
    }),
    proven("the hash of a JSON post dropped", "query_dropped", "did not arrive", |story| {
        let called = format!("{}?bodySHA256={}", story.called, body_sha256(b"[1]"));
        story.signature = sign_url(&LIVE.into(), &called);
        (story.content_type, story.body) = (Some("application/json"), b"[1]".to_vec());
    }),
    proven("parameters signed in no order", "other_signer", "another program", |story| {
        let text: String = story.params.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
        story.signature = hmac_sha1(LIVE, &format!("{}{text}", story.called));
    }),
];

const TOKEN: &[Mistake] = &[
    proven("a line end behind the token", "token_spaces", "auth_token has spaces or a line end", |story| {
        story.set_live(&format!("{LIVE}\n"));
    }),
    proven("quotes around the token", "token_quotes", "auth_token has quotes", |story| {
        story.set_live(&format!("\"{LIVE}\""));
    }),
    proven("the token in capitals", "token_case", "set it in lower case", |story| story.set_live(&LIVE.to_uppercase())),
    proven("the line of a file as the token", "token_with_more", "32 hex digits in it alone", |story| {
        story.set_live(&format!("TWILIO_AUTH_TOKEN={LIVE}"));
    }),
    proven("the token pasted twice", "token_with_more", "32 hex digits in it alone", |story| {
        story.set_live(&LIVE.repeat(2));
    }),
    proven("promoted at Twilio and not here", "token_staged", "signed with the staged token", |story| {
        story.sign_with(NEXT);
    }),
    proven("promoted here and not at Twilio", "token_retired", "the token retired on 2026-08-01", |story| {
        story.sign_with(OLD);
    }),
    proven("a sub-account's token", "token_of_another_account", "the sub-account Berlin", |story| story.sign_with(SUB)),
];

const HEADER: &[Mistake] = &[
    proven("spaces around the signature", "signature_spaces", "header has spaces", |story| {
        story.signature = format!(" {} ", story.signature);
    }),
    proven("quotes around the signature", "signature_quotes", "header has quotes", |story| {
        story.signature = format!("\"{}\"", story.signature);
    }),
    proven("the header sent twice", "signature_repeated", "has several values", |story| {
        story.signature = format!("{0}, {0}", story.signature);
    }),
    proven("the signature unescaped", "signature_escaped", "as if it were a part of a URL", |story| {
        story.signature = story.signature.replace('=', "%3D");
    }),
    proven("the signature cut", "signature_cut", "is cut off", |story| story.signature.truncate(20)),
    proven("the padding lost", "signature_padding", "lost the =", |story| story.signature.truncate(27)),
    proven("the signature in lower case", "signature_case", "upper or lower case", |story| {
        story.signature.make_ascii_lowercase();
    }),
    proven("the signature in hex", "signature_hex", "in hex", |story| {
        let digest = STANDARD.decode(&story.signature).expect("base64");
        story.signature = HEXLOWER.encode(&digest);
    }),
];

/// What other programs sign, and what nobody can prove.
const OTHERS: &[Mistake] = &[
    proven("signed with SHA-256", "signature_sha256", "SHA-256", |story| {
        let mac: Hmac<Sha256> = Hmac::new_from_slice(LIVE.as_bytes()).expect("any length");
        story.signature = STANDARD.encode(mac.chain_update(signed_text(story)).finalize().into_bytes());
    }),
    proven("in the base64 of URLs", "signature_url_safe", "base64 of URLs", |story| {
        // Whether a signature has a letter that differs is a matter of luck.
        for number in 0.. {
            story.set("NumSegments", &number.to_string());
            if story.signature.contains(['+', '/']) {
                break;
            }
        }
        story.signature = story.signature.replace('+', "-").replace('/', "_");
    }),
    guessed("signed with a line end behind the token", "signed_with_line_end", "line end behind auth_token", |story| {
        story.sign_with(&format!("{LIVE}\n"));
    }),
    guessed("signed with an API key", "signed_with_api_key", "the API key's secret", |story| story.sign_with(API_KEY)),
    guessed("signed with the account SID", "signed_with_account_sid", "the account SID", |story| {
        story.sign_with(ACCOUNT);
    }),
    guessed("signed with nothing", "signed_without_token", "an empty token", |story| story.sign_with("")),
    guessed("the API key's secret as the token", "token_is_api_key_secret", "is the secret of the API key", |story| {
        story.set_live(API_KEY);
    }),
    guessed("the account SID as the token", "token_is_account_sid", "is the account SID", |story| {
        story.set_live(ACCOUNT);
    }),
    guessed("the API key's SID as the token", "token_is_sid", "is a SID", |story| {
        story.set_live("SK0f1e2d3c4b5a69788796a5b4c3d2e1f1");
    }),
    guessed("a token with a digit missing", "token_malformed", "32 lower-case hex digits", |story| {
        story.set_live(&LIVE[1..]);
    }),
    guessed("the token of an example", "token_placeholder", "is a placeholder", |story| {
        story.set_live("00000000000000000000000000000001");
    }),
    guessed("no token at all", "no_token", "no token is set", |story| story.tokens.clear()),
    guessed("another account", "other_account", OTHER_ACCOUNT, |story| {
        story.set("AccountSid", OTHER_ACCOUNT);
        story.sign_with(UNKNOWN);
    }),
    guessed("test credentials", "other_account", "not test credentials", |story| {
        story.account_sid = OTHER_ACCOUNT.into();
        story.set_live(UNKNOWN);
    }),
    guessed("a body read twice", "body_empty", "the body arrived empty", |story| story.body.clear()),
    guessed("a redirect that lost the body", "method_changed", "a redirect", |story| {
        (story.method, story.content_type) = ("GET", None);
        story.body.clear();
    }),
    guessed("a multipart form", "body_multipart", "multipart/form-data", |story| {
        (story.content_type, story.body) = (Some("multipart/form-data; boundary=x"), b"--x\r\n--x--".to_vec());
    }),
    guessed("letters lost", "body_charset", "letters were lost", |story| {
        story.send(|_, value| Some(value.replace('ü', "\u{fffd}")));
    }),
    guessed("no callback at all", "no_account_sid", "always names AccountSid", |story| {
        story.params = vec![("hello".into(), "world".into())];
        story.sign_with(UNKNOWN);
    }),
    guessed("a token that nobody knows", "unknown", "compare it with Twilio's console", |story| {
        story.sign_with(UNKNOWN);
    }),
    guessed("the same while a placeholder retires", "unknown", "compare it with Twilio's console", |story| {
        story.tokens.push(known("the one before", "00000000000000000000000000000001", Standing::Retiring));
        story.sign_with(UNKNOWN);
    }),
    guessed("a header that is no signature", "malformed_signature", "28 letters of base64", |story| {
        story.signature = "sha1=nonsense".into();
    }),
];

fn all() -> impl Iterator<Item = &'static Mistake> {
    [PUBLIC_URL, TARGET, BODY, TOKEN, HEADER, OTHERS].into_iter().flatten()
}

#[test]
fn every_mistake_we_know_is_named_and_only_what_is_proven_is_certain() {
    assert!(all().count() >= 45, "{}", all().count());
    let mut wrong = Vec::new();
    for mistake in all() {
        let mut story = Story::new();
        (mistake.happens)(&mut story);
        let said = story.explain();
        let is_named = said.code == mistake.code && said.sentence.contains(mistake.fact);
        if !is_named || said.is_certain != mistake.is_provable || said.is_right() {
            wrong.push(format!("{}: {said:?} {}", mistake.name, said.sentence));
        }
        assert!(!story.is_let_in(), "{}: the webhook lets it in", mistake.name);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_public_url_that_is_advised_lets_the_same_request_in() {
    let mut advised = 0;
    for mistake in all() {
        let mut story = Story::new();
        (mistake.happens)(&mut story);
        if let Some(public_url) = story.explain().public_url {
            story.public_url = public_url;
            assert!(story.is_let_in(), "{}: {}", mistake.name, story.public_url);
            advised += 1;
        }
    }
    assert!(advised >= 18, "{advised}");
}

#[test]
fn no_public_url_is_advised_that_would_not_help() {
    let mut story = Story::new();
    story.public_url = "http://hooks.example.com".into();
    story.call(&format!("https://hooks.example.com/{INBOUND}"));
    let said = story.explain();
    assert_eq!((said.code, &said.public_url), ("several", &None));
    assert!(said.sentence.contains("let public_url begin with https://hooks.example.com"), "{}", said.sentence);
}

#[test]
fn nothing_is_certain_when_the_token_is_not_known() {
    for mistake in all() {
        let mut story = Story::new();
        (mistake.happens)(&mut story);
        story.signature = sign_form(&UNKNOWN.into(), &story.called, &story.params);
        story.tokens.retain(|known| known.token.expose() != UNKNOWN);
        let said = story.explain();
        assert!(!said.is_certain && !said.is_right() && said.signed.is_none(), "{}: {}", mistake.name, said.sentence);
        assert_eq!((said.token, said.public_url), (None, None), "{}", mistake.name);
    }
}

#[test]
fn mistakes_made_together_are_all_named() {
    let mut wrong = Vec::new();
    for (number, one) in PUBLIC_URL.iter().enumerate() {
        for (offset, other) in TOKEN.iter().enumerate() {
            let third = &HEADER[(number + offset) % HEADER.len()];
            let mut story = Story::new();
            // Which token signs is settled first, and the header is touched last.
            [other, one, third].iter().for_each(|mistake| (mistake.happens)(&mut story));
            let said = story.explain();
            let is_named = [one, other, third].iter().all(|mistake| said.sentence.contains(mistake.fact));
            if said.code != "several" || !said.is_certain || !is_named {
                wrong.push(format!("{}, {}, {}: {}", one.name, other.name, third.name, said.sentence));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_signed_string_is_the_one_that_twilio_signed() {
    let mut story = Story::new();
    story.public_url = "http://hooks.example.com".into();
    let said = story.explain();
    assert_eq!(said.signed, Some(signed_text(&story)));
    assert_eq!(said.called.as_ref(), Some(&story.called));
    assert_eq!(said.token.as_deref(), Some("auth_token"));
}

#[test]
fn a_right_signature_about_another_account_says_so() {
    let mut story = Story::new();
    story.set("AccountSid", OTHER_ACCOUNT);
    let said = story.explain();
    assert!(
        said.code == "other_account" && said.is_certain && said.sentence.contains(OTHER_ACCOUNT),
        "{}",
        said.sentence
    );
}

#[test]
fn what_a_stranger_wrote_neither_steers_a_terminal_nor_fills_it() {
    let mut story = Story::new();
    story.set("AccountSid", &format!("AC\u{1b}[2J{}", "x".repeat(5000)));
    let told = story.explain();
    story.sign_with(UNKNOWN);
    for said in [told, story.explain()] {
        assert_eq!(said.code, "other_account");
        assert!(said.sentence.len() < 1000 && !said.sentence.contains(char::is_control), "{}", said.sentence);
    }
}

#[test]
fn two_explanations_that_are_as_good_are_both_given_and_neither_is_certain() {
    let mut story = Story::new();
    story.tokens.push(known("the token of Hamburg", OLD, Standing::OtherAccount));
    story.sign_with(OLD);
    let said = story.explain();
    assert!(!said.is_certain && said.code == "ambiguous", "{}", said.sentence);
    assert!(said.sentence.contains("retired on 2026-08-01") && said.sentence.contains("Hamburg"), "{}", said.sentence);
}

#[test]
fn a_request_without_a_signature_is_told_at_once() {
    let story = Story::new();
    let setup = Setup { public_url: "", account_sid: "", paths: &[], tokens: &story.tokens };
    for signature in [None, Some(" ")] {
        let said = explain(&Request { signature, ..story.request() }, &[], &setup);
        assert_eq!((said.code, said.is_certain, said.hmacs), ("no_signature", false, 0));
    }
}

#[test]
fn no_token_and_no_password_is_shown_even_if_the_request_holds_it() {
    for wrong in [false, true] {
        let mut story = Story::new();
        story.public_url = "https://user:secret-password@hooks.example.com".into();
        story.target = format!("{INBOUND}?token={LIVE}&old={OLD}");
        story.called = format!("{}://hooks.example.com{}", if wrong { "http" } else { "https" }, story.target);
        story.set("Body", &format!("my token is {LIVE}, and {API_KEY}"));
        let said = story.explain();
        assert!(said.is_certain && said.is_right() != wrong, "{}", said.sentence);
        let all = format!("{said:?} {} {:?} {:?} {:?}", said.sentence, said.called, said.public_url, said.signed);
        for secret in [LIVE, OLD, API_KEY, "secret-password"] {
            assert!(!all.contains(secret), "{secret}: {all}");
        }
    }
}

#[test]
fn the_most_hostile_request_stays_within_its_bounds() {
    let value = "a+".repeat((MAX_FORM_BYTES / MAX_PARAMETERS - 6) / 2);
    let body: Vec<_> = (0..MAX_PARAMETERS).map(|number| format!("N{number:03}={value}")).collect();
    let mut story = Story::new();
    story.body = body.join("&").into_bytes();
    assert!(parse_form(&story.body).is_ok_and(|params| params.len() == MAX_PARAMETERS));
    let pairs: Vec<_> = (0..200).map(|number| format!("{number}=%3a+{number}")).collect();
    story.target = format!("{}?{}", "/a%3Ab".repeat(300), pairs.join("&"));
    story.public_url = format!("https://hooks.example.com{}", "/p".repeat(200));
    let hosts = (0..50).map(|number| format!("h{number}.example:{number}"));
    story.headers = vec![("X-Forwarded-Host", hosts.collect::<Vec<_>>().join(","))];
    story.headers.push(("X-Forwarded-Prefix", "/x/y".repeat(100)));
    // A well-formed signature that nothing gives.
    story.signature = sign_url(&UNKNOWN.into(), "https://elsewhere.example");
    let said = story.explain();
    assert!(said.hmacs * (story.body.len() - 2 * MAX_PARAMETERS) <= MAX_HASHED_BYTES, "{said:?}");
    assert!(said.hmacs > 1000 && !said.is_complete && !said.is_certain, "{said:?}");
    assert!(said.sentence.contains("more to try"), "{}", said.sentence);
    story.body = b"AccountSid=1".to_vec();
    story.target = "/x".into();
    assert_eq!(story.explain().hmacs, MAX_HMACS, "a short one is bounded by its HMACs");
}

fn garbage() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "(https?://)?[a-z@:.#?/%\\[\\]]{0,30}",
        "/[a-zA-Z%2/?&=+#;é ]{0,40}",
        "[A-Za-z0-9+/]{27}=",
        Just(String::new()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_never_panics_and_is_never_certain(
        method in prop_oneof![Just("GET"), Just("POST"), Just("PUT"), Just("")],
        texts in proptest::collection::vec(garbage(), 12),
        content_type in prop_oneof![Just(None), Just(Some(FORM)), Just(Some("application/json"))],
        body in prop_oneof![proptest::collection::vec(any::<u8>(), 0..200), garbage().prop_map(String::into_bytes)],
        names in proptest::collection::vec(0..HINTS.len(), 4),
    ) {
        let request =
            Request { method, target: &texts[0], content_type, body: &body, signature: Some(&texts[1]) };
        let headers: Vec<_> = names.iter().enumerate().map(|(index, name)| (HINTS[*name], texts[8 + index].as_str())).collect();
        let tokens = [known("auth_token", LIVE, Standing::Accepted), known("odd", &texts[2], Standing::Accepted)];
        let setup = Setup { public_url: &texts[3], account_sid: &texts[4], paths: &[&texts[5], &texts[6]], tokens: &tokens };
        let said = explain(&request, &headers, &setup);
        prop_assert!(!said.is_certain && !said.is_right(), "{}", said.sentence);
        prop_assert!(said.hmacs <= MAX_HMACS && !said.sentence.contains(LIVE));
    }

    #[test]
    fn what_is_signed_right_is_said_to_be_right(
        prefix in "(/[a-zA-Z0-9%~.]{1,8}){0,3}/?",
        path in "(/[a-zA-Z0-9%:+.~-]{0,8}){1,4}",
        query in "(\\?[a-zA-Z0-9%=&+;/?-]{0,30})?",
        port in prop_oneof![Just(""), Just(":443"), Just(":8443")],
        params in proptest::collection::vec(("[A-Za-z]{1,12}", "\\PC{0,20}"), 0..20),
        is_get in any::<bool>(),
    ) {
        let mut story = Story::new();
        story.params = params.into_iter().filter(|(name, _)| name != "AccountSid").collect();
        story.public_url = format!("https://hooks.example.com{port}{prefix}");
        story.target = format!("{path}{query}");
        story.call(&format!("https://hooks.example.com{port}{}{path}{query}", prefix.trim_end_matches('/')));
        if is_get {
            (story.method, story.signature) = ("GET", sign_url(&LIVE.into(), &story.called));
        }
        let said = story.explain();
        prop_assert!(said.is_right() && said.is_certain, "{} {}", said.code, said.sentence);
        prop_assert!(said.sentence.starts_with("This signature is right: auth_token"), "{}", said.sentence);
    }
}
