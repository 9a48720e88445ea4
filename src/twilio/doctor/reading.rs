//! What the parameters may have been before somebody on the way touched the body.

use std::collections::BTreeMap;

use serde_json::Value;

use super::escape;
use super::flaw::Flaw;
use super::search::Guess;
use crate::twilio::signature::{body_sha256, signed_params};
use crate::twilio::webhook::{Request, is_form};
use crate::twilio::wire::{BadForm, Params, parse_form};

/// What Twilio sends empty at times; whatever drops empty values drops these.
const EMPTY_AT_TIMES: [&str; 12] = [
    "Body",
    "ProfileName",
    "ErrorCode",
    "ErrorMessage",
    "MessagingServiceSid",
    "ChannelStatusMessage",
    "ChannelToAddress",
    "ButtonText",
    "ButtonPayload",
    "ReferralBody",
    "Label",
    "Address",
];
/// They come all together, and all empty where Twilio knows nothing of a number.
const PLACES: [&str; 8] =
    ["FromCity", "FromState", "FromZip", "FromCountry", "ToCity", "ToState", "ToZip", "ToCountry"];
/// What a person wrote, so that it may begin or end with anything.
const WRITTEN: [&str; 4] = ["Body", "ProfileName", "ButtonText", "ButtonPayload"];
/// What whoever trims takes away.
const TRIMMED: [(&str, &str); 6] = [("", " "), (" ", ""), ("", "\n"), ("\n", ""), ("", "  "), (" ", " ")];
/// Pairs of the query that may have been there before the parameters came.
const MAX_KEPT: usize = 3;

/// One way to read what was signed beside the URL.
#[derive(Debug)]
pub(super) struct Reading {
    /// What must have happened on the way; one entry for each way to come to this.
    pub(super) flaws: Vec<Option<Flaw>>,
    /// Names and values as they were signed, without separators.
    pub(super) text: String,
    /// Path and query, where this reading fixes them; none: as they came.
    pub(super) targets: Vec<Guess>,
    /// How unlikely.
    pub(super) weight: usize,
}

/// Readings, each once, with what may be behind it by the least that it weighs.
#[derive(Default)]
struct Readings(BTreeMap<Signed, (usize, Vec<Option<Flaw>>)>);

/// What was signed: the parameters, and the paths that go with them.
type Signed = (String, Vec<String>);

impl Readings {
    fn add(&mut self, weight: usize, flaw: impl Into<Option<Flaw>>, params: &[(String, String)]) {
        self.add_text(weight, flaw, signed_params(params), Vec::new());
    }

    fn add_text(&mut self, weight: usize, flaw: impl Into<Option<Flaw>>, text: String, targets: Vec<String>) {
        let (least, flaws) = self.0.entry((text, targets)).or_insert((weight, Vec::new()));
        if weight < *least {
            (*least, *flaws) = (weight, Vec::new());
        }
        let flaw = flaw.into();
        if weight == *least && !flaws.contains(&flaw) {
            flaws.push(flaw);
        }
    }

    fn done(self) -> Vec<Reading> {
        let guess = |text| Guess { text, weight: 0 };
        let reading = |((text, targets), (weight, flaws)): (Signed, _)| Reading {
            flaws,
            text,
            targets: targets.into_iter().map(guess).collect(),
            weight,
        };
        let mut readings: Vec<_> = self.0.into_iter().map(reading).collect();
        readings.sort_by_key(|reading| reading.weight);
        readings
    }
}

/// Every way to read it, the expected one first.
pub(super) fn readings(request: &Request<'_>) -> Vec<Reading> {
    let mut readings = Readings::default();
    if request.method == "GET" {
        readings.add(0, None, &[]);
        as_form(&mut readings, request.target);
        return readings.done();
    }
    let says_form = request.content_type.is_some_and(is_form);
    let form = parse_form(request.body);
    match &form {
        Ok(params) if says_form => {
            readings.add(0, None, params);
            mend(&mut readings, params, request.body);
        }
        Ok(params) if is_named(params) => readings.add(1, Flaw::ContentType, params),
        Err(BadForm::NotUtf8) => {
            for charset in [latin_1, windows_1252] {
                let params = parse_form(escape_bytes(request.body, charset).as_bytes());
                readings.add(1, Flaw::Charset, &params.unwrap_or_default());
            }
        }
        Err(BadForm::Percent) => readings.add(1, Flaw::HalfDecoded, &split(&text(request.body), true)),
        _ => {}
    }
    if let Ok(Value::Object(fields)) = serde_json::from_slice(request.body) {
        let field = |(name, value): (String, Value)| match value {
            Value::String(text) => (name, text),
            Value::Null => (name, String::new()),
            other => (name, other.to_string()),
        };
        readings.add(1, Flaw::Json, &fields.into_iter().map(field).collect::<Vec<_>>());
    }
    match says_form {
        true => readings.add(2, Flaw::OnlyUrl, &[]),
        false => readings.add(0, None, &[]),
    }
    if let (Ok(body), false) = (std::str::from_utf8(request.body), request.body.is_empty()) {
        let joint = if request.target.contains('?') { '&' } else { '?' };
        readings.add_text(1, Flaw::GetBecamePost, String::new(), vec![format!("{}{joint}{body}", request.target)]);
        readings.add_text(3, Flaw::OtherSigner, body.to_owned(), Vec::new());
    }
    readings.done()
}

/// Whether a body that does not say what it is is Twilio's form all the same.
fn is_named(params: &[(String, String)]) -> bool {
    params.iter().any(|(name, _)| name == "AccountSid" || name == "MessageSid")
}

/// A GET that was a POST: the parameters stand in the query, behind what stood there before.
fn as_form(readings: &mut Readings, target: &str) {
    let Some((path, query)) = target.split_once('?') else { return };
    let pairs: Vec<_> = query.split('&').collect();
    for kept in 0..=MAX_KEPT.min(pairs.len() - 1) {
        let target = match kept {
            0 => path.to_owned(),
            _ => format!("{path}?{}", pairs[..kept].join("&")),
        };
        if let Ok(params) = parse_form(pairs[kept..].join("&").as_bytes()) {
            readings.add_text(1 + usize::from(kept > 0), Flaw::PostBecameGet, signed_params(&params), vec![target]);
        }
    }
}

/// A form that can be read, and was another one before.
fn mend(readings: &mut Readings, params: &Params, body: &[u8]) {
    let mut each = |weight: usize, flaw: Flaw, change: &dyn Fn(&str, &str) -> Option<String>| {
        let changed: Params = params
            .iter()
            .map(|(name, value)| (name.clone(), change(name, value).unwrap_or_else(|| value.clone())))
            .collect();
        if changed != *params {
            readings.add(weight, flaw, &changed);
        }
    };
    let is_address = |name: &str| matches!(name, "From" | "To" | "ChannelToAddress");
    each(1, Flaw::Plus, &|name, value| is_address(name).then(|| value.replace(": ", ":+").replacen(' ', "+", 1)));
    each(2, Flaw::Plus, &|_, value| Some(value.replace(' ', "+")));
    each(2, Flaw::Plus, &|name, value| (!is_address(name)).then(|| value.replace('+', " ")));
    each(1, Flaw::DoubleEncoded, &|_, value| escape::decode(value));
    each(1, Flaw::DoubleEncoded, &|_, value| escape::decode(&value.replace('+', " ")));
    each(1, Flaw::Charset, &|_, value| misread(value, latin_1));
    each(1, Flaw::Charset, &|_, value| misread(value, windows_1252));
    each(1, Flaw::Html, &|_, value| Some(unescape_html(value)));
    each(1, Flaw::LineEnds, &|_, value| Some(value.replace("\r\n", "\n")));
    each(1, Flaw::LineEnds, &|_, value| Some(value.replace("\r\n", "\n").replace('\n', "\r\n")));
    let literal = split(&text(body), false);
    if literal != *params {
        readings.add(1, Flaw::Plus, &literal);
    }
    missing(readings, params);
    added(readings, params);
    let unsorted: String = params.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
    readings.add_text(3, Flaw::OtherSigner, unsorted, Vec::new());
}

/// Something on the way leaves out what is empty, or trims what a person wrote.
fn missing(readings: &mut Readings, params: &Params) {
    let is_there = |name: &str| params.iter().any(|(key, _)| key == name);
    let empty = |name: &&str| ((*name).to_owned(), String::new());
    let absent: Vec<_> = EMPTY_AT_TIMES.iter().filter(|name| !is_there(name)).collect();
    for (index, first) in absent.iter().enumerate() {
        let one = [&params[..], &[empty(first)]].concat();
        readings.add(2, Flaw::EmptyDropped((*first).to_string()), &one);
        for second in &absent[index + 1..] {
            let two = [&one[..], &[empty(second)]].concat();
            readings.add(3, Flaw::EmptyDropped(format!("{first} and {second}")), &two);
        }
    }
    let places: Params = PLACES.iter().filter(|name| !is_there(name)).map(empty).collect();
    if !places.is_empty() {
        let names: Vec<_> = places.iter().map(|(name, _)| name.as_str()).collect();
        readings.add(2, Flaw::EmptyDropped(names.join(", ")), &[&params[..], &places].concat());
    }
    for (index, (name, value)) in params.iter().enumerate().filter(|(_, (name, _))| WRITTEN.contains(&name.as_str())) {
        for (before, after) in TRIMMED {
            let mut changed = params.clone();
            changed[index].1 = format!("{before}{value}{after}");
            readings.add(2, Flaw::Trimmed(name.clone()), &changed);
        }
    }
}

/// Something on the way adds parameters of its own: Twilio's begin with a capital letter.
fn added(readings: &mut Readings, params: &Params) {
    let (ours, strange): (Params, Params) =
        params.iter().cloned().partition(|(name, _)| name.starts_with(|first: char| first.is_ascii_uppercase()));
    if !strange.is_empty() {
        let names: Vec<_> = strange.iter().map(|(name, _)| name.as_str()).collect();
        readings.add(1, Flaw::Added(names.join(", ")), &ours);
    }
    for (index, (name, _)) in params.iter().enumerate() {
        let others = [&params[..index], &params[index + 1..]].concat();
        readings.add(3, Flaw::Added(name.clone()), &others);
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// Reads a form that is half decoded already: stray percent signs stay, and plus signs too if they are no spaces.
fn split(body: &str, is_plus_space: bool) -> Params {
    let decode = |text: &str| {
        let text = if is_plus_space { text.replace('+', " ") } else { text.to_owned() };
        escape::decode(&text).unwrap_or(text)
    };
    let pieces = body.split('&').filter(|piece| !piece.is_empty());
    let pairs = pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// The form as it would have been in UTF-8, if every byte that is not text were a letter of `charset`.
fn escape_bytes(body: &[u8], charset: fn(u8) -> char) -> String {
    let letter = |byte: u8| escape::encode(charset(byte).encode_utf8(&mut [0; 4]), "");
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| std::str::from_utf8(tail.get(..2)?).ok()).flatten();
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = if escaped.is_some() { &tail[2..] } else { tail };
        match escaped {
            Some(byte) => text.push_str(&letter(byte)),
            None if first.is_ascii() => text.push(char::from(*first)),
            None => text.push_str(&letter(*first)),
        }
    }
    text
}

/// What a text was before its UTF-8 was read as `charset` and written as UTF-8 again.
fn misread(value: &str, charset: fn(u8) -> char) -> Option<String> {
    let byte = |letter: char| (0..=u8::MAX).find(|byte| charset(*byte) == letter);
    String::from_utf8(value.chars().map(byte).collect::<Option<_>>()?).ok()
}

fn latin_1(byte: u8) -> char {
    char::from(byte)
}

/// Latin 1 with letters where that has control characters: <https://encoding.spec.whatwg.org/#windows-1252>.
fn windows_1252(byte: u8) -> char {
    const LETTERS: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..0xa0 => LETTERS[usize::from(byte) - 0x80],
        _ => char::from(byte),
    }
}

fn unescape_html(value: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#039;", "'"), ("&#x27;", "'")];
    let value = named.into_iter().fold(value.to_owned(), |value, (escaped, plain)| value.replace(escaped, plain));
    value.replace("&amp;", "&")
}

/// The hash that a JSON post carries in its URL.
pub(super) fn hash_pair(body: &[u8]) -> String {
    format!("bodySHA256={}", body_sha256(body))
}
