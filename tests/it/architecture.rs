//! The house keeps its floors: every `use` in `src/` points down, and rooms of one floor do not know each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, UseTree};

/// The floors from the ground up, as `src/lib.rs` draws them.
const FLOORS: [&[&str]; 8] = [
    &["clock", "telemetry", "sabotage"],
    &["message", "keyring", "audit", "timetable"],
    &["contact", "pause", "metrics", "event", "alert"],
    &["archive"],
    &["store", "twilio", "endpoint"],
    &["golive", "backup", "custody"],
    &["http", "jobs", "emulator"],
    &["main", "cli", "serve", "config"],
];

/// Rooms of the roof may know each other: they put the house together.
const WIRING: [&str; 3] = ["main", "serve", "cli"];

/// Arrows that point down and are wrong all the same.
const CLOSED: [(&str, &str, &str); 2] = [
    ("http", "twilio::client", "pages and the API only write; the commit wakes the jobs that speak to Twilio"),
    ("http", "twilio::Client", "pages and the API only write; the commit wakes the jobs that speak to Twilio"),
];

/// All that a room may know of the house, where that is less than its floor allows.
const NARROW: [(&str, &[&str], &str); 1] = [(
    "emulator",
    &["clock", "twilio::wire", "twilio::signature"],
    "the emulator knows Twilio's wire and signature, and nothing else of bluetick",
)];

/// Crates that live in a few rooms; nobody else may name them.
const AT_HOME: [(&str, &[&str]); 13] = [
    ("redb", &["store"]),
    ("bincode", &["store"]),
    ("argon2", &["keyring"]),
    ("hmac", &["twilio", "keyring"]),
    ("ring", &["keyring"]),
    ("sha1", &["twilio", "keyring"]),
    ("reqwest", &["twilio", "emulator", "cli", "config", "serve"]),
    ("rust_embed", &["http"]),
    ("actix_web", &["http", "emulator", "serve", "main"]),
    ("charts_rs", &["http"]),
    ("clap", &["cli", "main"]),
    ("zstd", &["archive"]),
    ("tokio_cron_scheduler", &["jobs"]),
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// One sentence per wrong arrow of a file.
fn wrong_arrows(file: &str, source: &str) -> Vec<String> {
    let module = module_of(file);
    let room = module.first().map_or("lib", String::as_str);
    let Some(own) = floor(room) else {
        return vec![format!("{file}: the room `{room}` stands on no floor: add it to the table and to the map")];
    };
    let parsed = syn::parse_file(source).expect("src compiles");
    let mut named = Named { module: module.clone(), ..Named::default() };
    named.visit_file(&parsed);
    let mut wrong = BTreeSet::new();
    for path in &named.ours {
        let (target, full) = (path[0].as_str(), path.join("::"));
        let is_within = |place: &str| full == place || full.starts_with(&format!("{place}::"));
        match floor(target) {
            Some(other) if target != room && other >= own && !WIRING.contains(&room) => {
                let relation = if other == own { "stands on the same floor" } else { "is above it" };
                wrong.insert(format!("{file}: `{room}` uses `{target}`, which {relation}: arrows point down"));
            }
            None if target.starts_with(char::is_lowercase) => {
                wrong.insert(format!("{file}: `{room}` uses `{target}`, which stands on no floor"));
            }
            _ => {}
        }
        for (from, to, reason) in CLOSED {
            if from == room && is_within(to) {
                wrong.insert(format!("{file}: `{from}` uses `{to}`: {reason}"));
            }
        }
        for (from, few, reason) in NARROW {
            if from == room && target != room && !few.iter().any(|place| is_within(place)) {
                wrong.insert(format!("{file}: `{from}` uses `{full}`: {reason}"));
            }
        }
    }
    for (name, homes) in AT_HOME {
        if named.crates.contains(name) && !homes.contains(&room) {
            wrong.insert(format!("{file}: `{room}` names the crate {name}, which lives in {}", homes.join(", ")));
        }
    }
    wrong.into_iter().collect()
}

/// `store/batch.rs` is `store::batch`, `store/mod.rs` is `store`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// Every path that a file names, but for its tests: those into the house, from its root, and the crates.
#[derive(Default)]
struct Named {
    module: Vec<String>,
    ours: BTreeSet<Vec<String>>,
    crates: BTreeSet<String>,
}

impl Named {
    fn add(&mut self, path: &[String]) {
        let up = path.iter().take_while(|part| *part == "super").count();
        let rest = &path[up..];
        let from = match path.first().map(String::as_str) {
            Some("crate" | "bluetick") => return self.keep(path[1..].to_vec()),
            Some("self") => [&self.module[..], &path[1..]].concat(),
            Some("super") => [&self.module[..self.module.len().saturating_sub(up)], rest].concat(),
            Some(name) => {
                self.crates.insert(name.to_owned());
                return;
            }
            None => return,
        };
        self.keep(from);
    }

    fn keep(&mut self, path: Vec<String>) {
        if !path.is_empty() {
            self.ours.insert(path);
        }
    }

    fn walk(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.walk(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) => self.add(&with(name.ident.to_string())),
            UseTree::Rename(name) => self.add(&with(name.ident.to_string())),
            UseTree::Glob(_) => self.add(before),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.walk(before, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => &[],
        };
        if !attributes.iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.walk(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.add(&names);
        }
        visit::visit_path(self, path);
    }

    /// What is handed to a macro is no syntax yet: its words are looked at.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let words = call.tokens.to_string();
        for (at, start) in words.match_indices("crate :: ") {
            let rest = &words[at + start.len()..];
            let path =
                rest.split(" :: ").map(|part| part.split(|letter: char| !letter.is_alphanumeric() && letter != '_'));
            let path = path.filter_map(|mut part| part.next()).map(str::to_owned).take_while(|part| !part.is_empty());
            self.keep(path.collect());
        }
        visit::visit_macro(self, call);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let is_cfg = attribute.path().is_ident("cfg");
    is_cfg && attribute.parse_args::<syn::Ident>().is_ok_and(|flag| flag == "test")
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

/// Every source but the map itself, and the files that are only tests.
fn files() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let name = |path: &Path| path.strip_prefix(&src).expect("it is in src").to_string_lossy().into_owned();
    let read = |path: PathBuf| (name(&path), fs::read_to_string(&path).expect("a source can be read"));
    sources(&src).into_iter().map(read).filter(|(name, _)| name != "lib.rs").collect()
}

fn is_test_file(name: &str) -> bool {
    let is_test = |part: &str| part.trim_end_matches(".rs").ends_with("tests") || part.contains("testing");
    name.split('/').any(is_test) || name.ends_with("http/story.rs")
}

#[test]
fn every_arrow_points_down() {
    let files = files().into_iter().filter(|(name, _)| !is_test_file(name));
    let wrong: Vec<_> = files.flat_map(|(file, source)| wrong_arrows(&file, &source)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_planted_wrong_arrow_is_found() {
    let planted = [
        ("message/planted.rs", "use crate::store::Store;", "is above it"),
        ("store/planted.rs", "use crate::{clock::Time, twilio::Client};", "the same floor"),
        ("store/planted.rs", "use crate::{message::{Sid, Word}, http::start};", "is above it"),
        ("message/planted.rs", "use super::super::store::Store;", "is above it"),
        ("message/planted.rs", "fn f() { super::super::store::open() }", "is above it"),
        ("message/planted.rs", "fn f() { println!(\"{}\", crate::store::FILE) }", "is above it"),
        ("http/planted.rs", "use crate::twilio::Client;", "the commit wakes the jobs"),
        ("jobs/planted.rs", "fn f() { crate::http::start() }", "the same floor"),
        ("emulator/planted.rs", "use crate::message::Sid;", "nothing else of bluetick"),
        ("emulator/planted.rs", "use crate::twilio::Client;", "nothing else of bluetick"),
        ("metrics/planted.rs", "use redb::Table;", "lives in store"),
        ("http/planted.rs", "fn f(_: reqwest::Url) {}", "lives in twilio"),
        ("utils.rs", "", "stands on no floor"),
        ("message/planted.rs", "use crate::helpers::x;", "stands on no floor"),
    ];
    for (file, source, words) in planted {
        let wrong = wrong_arrows(file, source);
        assert!(wrong.iter().any(|sentence| sentence.contains(words)), "{source}: {wrong:?}");
    }
    let fine = "use crate::message::{Message, Sid}; use super::Store; #[cfg(test)] mod tests { use crate::http; }";
    assert_eq!(wrong_arrows("store/fine.rs", fine), Vec::<String>::new());
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = files().into_iter().filter(|(_, source)| !source.starts_with("//! "));
    let silent = silent.map(|(name, _)| name).collect::<Vec<_>>();
    assert!(silent.is_empty(), "no //! head: {silent:?}");
}
