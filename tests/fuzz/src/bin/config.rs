//! Configuration files. A text is a configuration or a list of what is wrong with it, and no list shows a secret.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use bluetick::config::Config;
use bluetick_fuzz::folder;
use libfuzzer_sys::fuzz_target;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| folder("config").join("config.toml"));
const SECRET: &str = "hush-hush-hush";

fuzz_target!(|text: &str| {
    // No other file is read for a stranger, and no name is looked up on the network.
    if text.contains("_file") || text.contains("\\u") || text.contains("\\U") || text.contains(SECRET) {
        return;
    }
    let variables = || [("BLUETICK__HTTP__LISTEN".into(), "127.0.0.1:8080".into())];
    fs::write(&*FILE, text).expect("it can be written");
    match Config::load_with(Some(&FILE), variables()) {
        Ok(config) => drop((config.warnings(), config.policy())),
        Err(error) => assert!(!error.0.is_empty() && !error.to_string().is_empty()),
    }
    fs::write(&*FILE, format!("{text}\n[twilio]\nauth_token = \"{SECRET}\"\n")).expect("it can be written");
    if let Err(error) = Config::load_with(Some(&FILE), variables()) {
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
});
