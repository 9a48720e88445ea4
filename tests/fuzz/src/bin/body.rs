//! The JSON bodies of the API. A draft that is accepted keeps every limit, can be stored, and means the same however
//! its JSON was laid out; whatever is refused, the answer stays short.
#![no_main]

use bluetick::clock::Time;
use bluetick::http::{Problem, reading};
use bluetick::message::{Address, Content, Draft, Template};
use bluetick::pause::Scope;
use bluetick::store::{decode, encode};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const NOW: Time = Time(1_800_000_000_000);

fuzz_target!(|body: &[u8]| {
    let from = Address::Phone("+15550001111".into());
    if let Some((draft, hash)) = read(reading::draft(body, Some(&from), NOW)) {
        check(&draft);
        assert_eq!(decode::<Draft>(&encode(&draft)).as_ref(), Ok(&draft));
        let json: Value = serde_json::from_slice(body).expect("a draft was read out of it");
        let laid_out = serde_json::to_vec_pretty(&json).expect("it was JSON");
        assert_eq!(read(reading::draft(&laid_out, Some(&from), NOW)), Some((draft, hash)));
    }
    if let Some((filter, _, limit)) = read(reading::retries(body, NOW)) {
        assert!((1..=10_000).contains(&limit) && !filter.statuses.is_empty());
    }
    if let Some((scope, note)) = read(reading::pause(body)) {
        assert_ne!(scope, Scope::Account);
        assert!(note.is_none_or(|note| note.chars().count() <= 500));
    }
    if let Some((_, note)) = read(reading::opt_out(body)) {
        assert!(note.is_none_or(|note| note.chars().count() <= 500));
    }
});

fn read<T>(read: Result<T, Problem>) -> Option<T> {
    read.map_err(|problem| assert!(problem.body(None).len() <= 32 * 1024, "{} bytes", problem.body(None).len())).ok()
}

fn check(draft: &Draft) {
    assert!(draft.to.is_person());
    let is_filled = |template: &Template| {
        let is_pair = |(name, value): (&String, &String)| (1..=128).contains(&name.len()) && value.len() <= 1_024;
        template.sid.len() == 34 && template.variables.len() <= 32 && template.variables.iter().all(is_pair)
    };
    match &draft.content {
        Content::Text(text) => assert!(!text.trim().is_empty() && text.chars().count() <= 1_600),
        Content::Media { urls, caption } => {
            assert!(
                (1..=10).contains(&urls.len()) && urls.iter().all(|url| url.starts_with("http") && url.len() <= 2_048)
            );
            assert!(caption.as_ref().is_none_or(|caption| caption.chars().count() <= 1_600));
        }
        Content::Template(template) => assert!(is_filled(template) && draft.fallback.is_none()),
        Content::Elsewhere | Content::Forgotten { .. } => panic!("nobody can ask for that"),
    }
    assert!(draft.fallback.iter().all(is_filled));
    assert!(draft.tags.len() <= 16 && draft.metadata.len() <= 32);
    assert!(draft.expires_at.is_none_or(|at| at > NOW && draft.send_at.is_none_or(|send_at| send_at < at)));
}
