//! The house keeps its floors: every `use` in `src/` points down, and rooms of one floor do not know each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors from the ground up, as `src/lib.rs` draws them.
const FLOORS: [&[&str]; 7] = [
    &["clock", "telemetry", "sabotage"],
    &["message", "keyring"],
    &["contact", "pause", "metrics", "event", "alert"],
    &["store", "archive", "twilio", "endpoint"],
    &["golive"],
    &["http", "jobs", "emulator"],
    &["main", "cli", "serve", "config"],
];

/// Arrows that point down and are wrong all the same.
const CLOSED: [(&str, &str, &str); 4] = [
    ("http", "twilio::client", "pages and the API only write; the commit wakes the jobs that speak to Twilio"),
    ("http", "twilio::Client", "pages and the API only write; the commit wakes the jobs that speak to Twilio"),
    ("emulator", "message", "the emulator knows Twilio's wire and signature, and nothing else of bluetick"),
    ("emulator", "store", "the emulator knows Twilio's wire and signature, and nothing else of bluetick"),
];

/// Crates that live in one room; nobody else may name them.
const AT_HOME: [(&str, &[&str]); 5] = [
    ("redb", &["store"]),
    ("bincode", &["store"]),
    ("actix_web", &["http", "emulator", "serve", "main"]),
    ("charts_rs", &["http"]),
    ("clap", &["cli", "main"]),
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// One sentence per wrong arrow of a file in `room`.
fn wrong_arrows(room: &str, file: &str, source: &str) -> Vec<String> {
    let Some(own) = floor(room) else {
        return vec![format!("{file}: the room `{room}` stands on no floor: add it to the table and to the map")];
    };
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap_or(source);
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut wrong = Vec::new();
    for path in paths(&code, "crate::").into_iter().chain(paths(&code, "bluetick::")) {
        let target = path.split("::").next().unwrap_or_default();
        match floor(target) {
            Some(other) if target != room && other >= own && room != "main" && room != "serve" && room != "cli" => {
                let relation = if other == own { "stands on the same floor" } else { "is above it" };
                wrong.push(format!("{file}: `{room}` uses `{target}`, which {relation}: arrows point down"));
            }
            None if target.chars().next().is_some_and(char::is_lowercase) && target != "crate" => {
                wrong.push(format!("{file}: `{room}` uses `{target}`, which stands on no floor"));
            }
            _ => {}
        }
        for (from, to, reason) in CLOSED {
            if from == room && (path == to || path.starts_with(&format!("{to}::"))) {
                wrong.push(format!("{file}: `{from}` uses `{to}`: {reason}"));
            }
        }
    }
    for (name, homes) in AT_HOME {
        if code.contains(&format!("{name}::")) && !homes.contains(&room) {
            wrong.push(format!("{file}: `{room}` names the crate {name}, which lives in {}", homes.join(", ")));
        }
    }
    wrong
}

/// Every path after `prefix`, with the groups in braces spelled out one level deep.
fn paths(code: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let is_word = code[..at].chars().next_back().is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
        if is_word {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let end = rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':'));
        let stem = &rest[..end.unwrap_or(rest.len())];
        match rest[stem.len()..].strip_prefix('{') {
            Some(group) => {
                let group = &group[..group.find('}').unwrap_or(group.len())];
                let names = group.split(',').map(str::trim).filter(|name| !name.is_empty());
                found.extend(names.map(|name| format!("{stem}{}", name.split(' ').next().unwrap_or(name))));
            }
            None => found.push(stem.trim_end_matches(':').to_owned()),
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("src can be read").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false if path.extension().is_some_and(|ending| ending == "rs") => files.push(path),
            false => {}
        }
    }
    files
}

fn rooms() -> BTreeMap<String, Vec<(String, String)>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rooms = BTreeMap::<_, Vec<_>>::new();
    for path in sources(&src) {
        let name = path.strip_prefix(&src).expect("it is in src").to_string_lossy().into_owned();
        let room = name.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        if room != "lib" {
            rooms.entry(room).or_default().push((name, fs::read_to_string(&path).expect("a source can be read")));
        }
    }
    rooms
}

#[test]
fn every_arrow_points_down() {
    let mut wrong = Vec::new();
    for (room, files) in rooms() {
        for (file, source) in files {
            wrong.extend(wrong_arrows(&room, &file, &source));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_planted_wrong_arrow_is_found() {
    let planted = [
        ("message", "use crate::store::Store;", "is above it"),
        ("store", "use crate::{clock::Time, twilio::Client};", "the same floor"),
        ("http", "use crate::twilio::Client;", "the commit wakes the jobs"),
        ("jobs", "fn f() { crate::http::start() }", "the same floor"),
        ("emulator", "use crate::message::Sid;", "nothing else of bluetick"),
        ("metrics", "use redb::Table;", "lives in store"),
        ("utils", "", "stands on no floor"),
        ("message", "use crate::helpers::x;", "stands on no floor"),
    ];
    for (room, source, words) in planted {
        let wrong = wrong_arrows(room, "planted.rs", source);
        assert!(wrong.iter().any(|sentence| sentence.contains(words)), "{source}: {wrong:?}");
    }
    assert_eq!(wrong_arrows("store", "fine.rs", "use crate::message::{Message, Sid};"), Vec::<String>::new());
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = rooms().into_values().flatten().filter(|(_, source)| !source.starts_with("//! "));
    let silent = silent.map(|(name, _)| name).collect::<Vec<_>>();
    assert!(silent.is_empty(), "no //! head: {silent:?}");
}
