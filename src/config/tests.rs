//! The configuration as a person meets it: files, variables, and what is said about mistakes.

use std::path::PathBuf;

use tempfile::TempDir;
use toml::{Table, Value};

use super::keys::KEYS;
use super::*;

/// A folder of its own for every test, gone when the test ends.
struct Scratch(TempDir);

impl Scratch {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a temporary file");
        path
    }
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let scratch = Scratch::new();
    let path = scratch.write("c.toml", text);
    let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Config::load_with(Some(&path), variables)
        .map_err(|error| error.to_string().replace(&format!("{}/", scratch.0.path().display()), ""))
}

fn complaint(text: &str, variables: &[(&str, &str)]) -> String {
    load(text, variables).expect_err("a configuration with a mistake")
}

fn table(config: &Config) -> Table {
    Table::try_from(config).expect("plain values")
}

#[test]
fn the_table_of_words_covers_exactly_the_keys_of_the_options() {
    let mut known: Vec<_> = KEYS.iter().map(|key| key.path.to_owned()).collect();
    let mut real = Shape::of::<Config>().leaves();
    known.sort();
    real.sort();
    assert_eq!(known, real);
}

#[test]
fn every_default_is_within_its_bounds_and_every_default_can_be_loaded() {
    let defaults = table(&Config::default());
    for key in KEYS {
        let value =
            key.path.split('.').try_fold(&Value::Table(defaults.clone()), |value, name| value.get(name)).cloned();
        assert_eq!(value.and_then(|value| key.out_of_range(&value)), None, "{}", key.path);
    }
    assert!(load("", &[]).is_ok());
}

#[test]
fn the_files_in_the_repository_are_what_the_code_writes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in [("config.toml", template()), ("packaging/bluetick.env.example", environment_template())] {
        let path = root.join(name);
        if std::env::var_os("BLUETICK_UPDATE").is_some() {
            std::fs::write(&path, &text).expect("a file that can be written");
        }
        let stored = std::fs::read_to_string(&path).expect("the file is there");
        assert!(stored == text, "{name} is out of date: run this test again with BLUETICK_UPDATE=1");
    }
}

#[test]
fn the_file_in_the_repository_is_the_default() {
    assert_eq!(table(&load(&template(), &[]).expect("the template")), table(&Config::default()));
}

/// What the template shows for each key, without the # before it.
fn shown() -> impl Iterator<Item = (&'static keys::Key, String)> {
    let is_value = |line: &&str| !line.starts_with("# ") || line.starts_with("#    ");
    let text = template();
    let blocks: Vec<_> = text
        .split("\n\n")
        .skip(1)
        .map(|block| {
            block.lines().filter(is_value).map(|line| line.trim_start_matches('#')).collect::<Vec<_>>().join("\n")
        })
        .collect();
    assert_eq!(blocks.len(), KEYS.len());
    KEYS.iter().zip(blocks)
}

#[test]
fn every_default_that_is_shown_is_the_default() {
    let mut section = String::new();
    for (key, text) in shown().filter(|(key, _)| key.example.is_none()) {
        if let Some(head) = text.lines().next().filter(|line| line.starts_with('[')) {
            section = head.to_owned();
        }
        let whole = format!("{section}\n{}", text.replace(&section, ""));
        let config = load(&whole, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(table(&config), table(&Config::default()), "{}", key.path);
        assert!(text.contains(key.path.rsplit('.').next().unwrap_or_default()), "{}: {text}", key.path);
    }
}

#[test]
fn every_example_that_is_shown_is_accepted() {
    let is_file = |line: &&str| line.split(' ').next().is_some_and(|name| name.ends_with("_file"));
    let examples = shown().filter(|(key, text)| key.example.is_some() || text.starts_with('['));
    let lines: Vec<_> = examples
        .map(|(key, text)| match key.is_secret {
            true => text.lines().filter(|line| !is_file(line)).collect::<Vec<_>>().join("\n"),
            false => text,
        })
        .collect();
    // A list of blocks ends the section before it, so it goes last.
    let (blocks, keys): (Vec<_>, Vec<_>) = lines.into_iter().partition(|text| text.contains("[["));
    let config = load(&[keys, blocks].concat().join("\n"), &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.public_url.as_deref(), Some("https://bluetick.example.com"));
    assert_eq!((config.senders.len(), config.http.api_key.is_some()), (1, true));
}

#[test]
fn later_beats_earlier() {
    let text = "mode = \"sandbox\"\n[store]\ncache_mb = 64\nqueue = 100\n";
    let config = load(text, &[("BLUETICK__STORE__CACHE_MB", "32"), ("BLUETICK__STORE__DIR", "")]);
    let store = config.expect("a configuration").store;
    assert_eq!((store.cache_mb, store.queue, store.dir), (32, 100, "data".into()));
}

#[test]
fn variables_take_text_as_it_is_and_lists_as_toml() {
    let senders = "[{ address = \"+15550001111\", rate_per_s = 10.0 }]";
    let config = load(
        "",
        &[
            ("BLUETICK__HTTP__ADMIN_USER", "12345"),
            ("BLUETICK__SENDERS", senders),
            ("BLUETICK__PUBLIC_URL", "https://h.example"),
            ("BLUETICK__EMULATOR__CHATTER", "true"),
            ("BLUETICK__SENDING__RATE_PER_S", "5"),
        ],
    )
    .expect("a configuration");
    assert_eq!((config.http.admin_user.as_str(), config.senders.len()), ("12345", 1));
    assert_eq!((config.public_url.as_deref(), config.emulator.chatter), (Some("https://h.example"), true));
    assert!((config.sending.rate_per_s - 5.0).abs() < f64::EPSILON);
}

#[test]
fn secrets_may_stand_in_files_and_are_never_shown() {
    let scratch = Scratch::new();
    let (token, key) = (scratch.write("token", "hush-token\n"), scratch.write("key", "hush-key"));
    let text = format!(
        "[twilio]\naccount_sid = \"AC00000000000000000000000000000001\"\nauth_token_file = \"{}\"\n",
        token.display()
    );
    let key = key.display().to_string();
    let config = load(&text, &[("BLUETICK__HTTP__API_KEY_FILE", &key)]).expect("a configuration");
    assert_eq!(config.twilio.auth_token.as_ref().map(twilio::AuthToken::expose), Some("hush-token"));
    assert_eq!(config.http.api_key.as_deref(), Some("hush-key"));
    let shown = format!("{config:?}\n{}", toml::to_string(&config).expect("TOML"));
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn a_secret_set_twice_or_in_a_missing_file_is_a_mistake() {
    insta::assert_snapshot!(complaint("[http]\napi_key_file = \"/nowhere/key\"\n", &[]), @r#"
    c.toml:2:16: cannot read the secret in /nowhere/key: No such file or directory (os error 2)
      |
    2 | api_key_file = "/nowhere/key"
      |                ^^^^^^^^^^^^^^
    "#);
    let scratch = Scratch::new();
    let path = scratch.write("token", "x").display().to_string();
    let text = format!("[http]\napi_key = \"hush\"\napi_key_file = \"{path}\"\n");
    let complaint = complaint(&text, &[]);
    assert!(complaint.contains("http.api_key is set twice") && !complaint.contains("hush"), "{complaint}");
}

#[test]
fn a_misspelt_key_is_shown_with_the_one_that_was_meant() {
    let text = "public_uri = \"https://h.example\"\n\n[twilio]\nacount_sid = \"AC1\"\nlisten = \"x\"\nzzz = 1\n";
    insta::assert_snapshot!(complaint(text, &[]), @r#"
    c.toml:1:1: there is no key `public_uri` at the top: did you mean `public_url`?
      |
    1 | public_uri = "https://h.example"
      | ^^^^^^^^^^

    c.toml:4:1: there is no key `acount_sid` in [twilio]: did you mean `account_sid`?
      |
    4 | acount_sid = "AC1"
      | ^^^^^^^^^^

    c.toml:5:1: there is no key `listen` in [twilio]: there is a `http.listen`
      |
    5 | listen = "x"
      | ^^^^^^

    c.toml:6:1: there is no key `zzz` in [twilio]: known are api_url, account_sid, auth_token, auth_token_next, api_key_sid, api_key_secret, from, connect_timeout_ms, timeout_ms
      |
    6 | zzz = 1
      | ^^^
    "#);
}

#[test]
fn a_value_of_the_wrong_kind_is_shown_with_the_right_one() {
    let text = "mode = \"production\"\n[store]\ncache_mb = \"64\"\n[twilio]\nauth_token = 12345\n\
                [[senders]]\naddress = 7\n";
    insta::assert_snapshot!(complaint(text, &[]), @r#"
    c.toml:1:8: mode must be "sandbox" or "live"
      |
    1 | mode = "production"
      |        ^^^^^^^^^^^^

    c.toml:3:12: store.cache_mb must be a whole number
      |
    3 | cache_mb = "64"
      |            ^^^^

    c.toml:5:14: twilio.auth_token must be text in quotes
      |
    5 | auth_token = …
      |              ^

    c.toml:7:11: senders.address must be text in quotes
      |
    7 | address = 7
      |           ^
    "#);
}

#[test]
fn a_value_out_of_bounds_is_shown_with_the_bounds() {
    let text = "[store]\ncache_mb = 1\n[policy]\nmax_attempts = 201\nsettle_ms = -1\n[emulator]\nlisten = \"here\"\n";
    insta::assert_snapshot!(complaint(text, &[]), @r#"
    c.toml:2:12: store.cache_mb must be from 16 to 65536, not 1
      |
    2 | cache_mb = 1
      |            ^

    c.toml:4:16: policy.max_attempts must be from 1 to 200, not 201
      |
    4 | max_attempts = 201
      |                ^^^

    c.toml:5:13: policy.settle_ms must be from 1 to 86400000, not -1
      |
    5 | settle_ms = -1
      |             ^^

    c.toml:7:10: emulator.listen: invalid socket address syntax
      |
    7 | listen = "here"
      |          ^^^^^^
    "#);
}

#[test]
fn what_is_no_toml_is_shown_where_it_stops_being_one() {
    insta::assert_snapshot!(complaint("[http\nlisten = \"x\"\n", &[]), @r#"
    c.toml:1:6: this is not TOML: unclosed table, expected `]`
      |
    1 | [http
      |     ^
    "#);
    insta::assert_snapshot!(complaint("[http]\napi_key = hush-hush\n", &[]), @r#"
    c.toml:2:11: this is not TOML: string values must be quoted, expected literal string
      |
    2 | api_key = …
      |           ^
    "#);
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let variables = [
        ("BLUETICK__STORE__CACHE", "64"),
        ("BLUETICK__STORE__QUEUE", "many"),
        ("BLUETICK__STOR__DIR", "x"),
        ("BLUETICK__MODE", "prod"),
        ("BLUETICK__EMULATOR__LISTEN", "here"),
        ("BLUETICK__TWILIO__AUTH_TOKEN_FILE", "/nowhere/token"),
        ("BLUETICK__HTTP__WORKERS", "0"),
    ];
    insta::assert_snapshot!(complaint("", &variables), @r#"
    BLUETICK__EMULATOR__LISTEN: emulator.listen: invalid socket address syntax

    BLUETICK__HTTP__WORKERS: http.workers must be from 1 to 64, not 0

    BLUETICK__MODE: mode must be "sandbox" or "live", not `prod`

    BLUETICK__STORE__CACHE: there is no key `cache` in [store]: did you mean `cache_mb`?

    BLUETICK__STORE__QUEUE: store.queue must be a whole number, not `many`

    BLUETICK__STOR__DIR: there is no key `stor` at the top: did you mean `store`?

    BLUETICK__TWILIO__AUTH_TOKEN_FILE: cannot read the secret in /nowhere/token: No such file or directory (os error 2)
    "#);
}

#[test]
fn live_mode_refuses_what_would_lose_messages_or_trust() {
    let text = "mode = \"live\"\npublic_url = \"http://my_host.example/?x=1\"\n[http]\nlisten = \"0.0.0.0:8080\"\n\
                [twilio]\napi_url = \"http://127.0.0.1:4010\"\n";
    insta::assert_snapshot!(complaint(text, &[]), @r#"
    c.toml:2:14: public_url must end before the ? and the #: bluetick adds its own path to it
      |
    2 | public_url = "http://my_host.example/?x=1"
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    c.toml:2:14: the host in public_url has an underscore, and Twilio never calls such a host: give it another name
      |
    2 | public_url = "http://my_host.example/?x=1"
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    c.toml:2:14: public_url must begin with https:// in live mode: put a proxy with TLS in front
      |
    2 | public_url = "http://my_host.example/?x=1"
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    c.toml:4:10: http.listen (0.0.0.0:8080) is open to the network without TLS, which live mode refuses: set http.tls_cert_file and http.tls_key_file, or name the proxy that ends TLS in http.trusted_proxies, or listen on 127.0.0.1
      |
    4 | listen = "0.0.0.0:8080"
      |          ^^^^^^^^^^^^^^

    c.toml:6:11: twilio.api_url must begin with https:// in live mode: the auth token would travel in clear
      |
    6 | api_url = "http://127.0.0.1:4010"
      |           ^^^^^^^^^^^^^^^^^^^^^^^

    http.api_key must be set when http.listen is open to the network (0.0.0.0:8080)

    [twilio] account_sid must be AC and 32 hex digits: copy it from Twilio's console
    "#);
}

#[test]
fn layer_1_transport_live_mode_does_not_start_in_clear() {
    let refused = |http: &str| {
        let text = format!(
            "mode = \"live\"\npublic_url = \"https://wa.example.com\"\n\
             [http]\napi_key = \"0123456789abcdef0123\"\nadmin_password = \"four words nobody joins\"\n{http}\n\
             [twilio]\naccount_sid = \"AC00000000000000000000000000000001\"\nauth_token = \"t\"\n"
        );
        load(&text, &[]).err().map(|error| error.to_string())
    };
    let open = "listen = \"0.0.0.0:8080\"";
    let said = refused(open).expect("in clear");
    assert!(said.contains("open to the network without TLS") && said.contains("http.trusted_proxies"), "{said}");
    let fine = [
        "listen = \"127.0.0.1:8080\"".to_owned(),
        "listen = \"[::1]:8080\"".to_owned(),
        format!("{open}\ntls_cert_file = \"c.pem\"\ntls_key_file = \"k.pem\""),
        format!("{open}\ntrusted_proxies = [\"10.0.0.0/8\"]"),
    ];
    for http in fine {
        assert_eq!(refused(&http), None, "{http}");
    }
    let half = refused(&format!("{open}\ntls_cert_file = \"c.pem\"")).expect("half");
    assert!(half.contains("http.tls_cert_file is set and http.tls_key_file is not"), "{half}");
    let wrong = refused(&format!("{open}\ntrusted_proxies = [\"10.0.0.0/8\", \"caddy\"]")).expect("no network");
    assert!(wrong.contains("\"caddy\", which is no network: write 10.0.0.0/8"), "{wrong}");
}

#[test]
fn a_whole_live_configuration_is_accepted() {
    let text = "mode = \"live\"\npublic_url = \"https://wa.example.com/hooks\"\n\
                [http]\nlisten = \"0.0.0.0:8080\"\napi_key = \"0123456789abcdef0123\"\nadmin_password = \"four words nobody joins\"\n\
                trusted_proxies = [\"10.0.0.0/8\"]\n\
                [twilio]\naccount_sid = \"AC00000000000000000000000000000001\"\nauth_token = \"0f1e2d3c4b5a69788796a5b4c3d2e1f0\"\n\
                from = \"whatsapp:+15550001111\"\n\
                [[senders]]\naddress = \"whatsapp:+15550001111\"\nrate_per_s = 20.0\n";
    let config = load(text, &[]).expect("a live configuration");
    assert_eq!((config.mode, config.warnings()), (Mode::Live, Vec::new()));
    let weak =
        text.replace("0123456789abcdef0123", "0123456789abcdef012").replace("four words nobody joins", "hunter2");
    let refused = load(&weak, &[]).expect_err("both are guessed").to_string();
    assert!(
        refused.contains("http.api_key may do everything, and in live mode has at least 20 characters"),
        "{refused}"
    );
    assert!(refused.contains("http.admin_password must have at least 12 characters"), "{refused}");
    load(&weak.replace("mode = \"live\"", "mode = \"sandbox\""), &[]).expect("where nothing depends on it");
}

#[test]
fn parts_that_do_not_fit_together_are_named() {
    let text = "public_url = \"wa.example.com\"\n[http]\nlisten = \"8080\"\n[twilio]\nfrom = \"shop\"\ntimeout_ms = 1000\n\
                account_sid = \"AC00000000000000000000000000000001\"\nauth_token = \"t\"\n\
                [policy]\nbackoff_first_ms = 400000\n[log]\nlevel = \"bluetick=loud\"\n\
                [[senders]]\naddress = \"+15550001111\"\nrate_per_s = 0.0\n\
                [[senders]]\naddress = \"whatsapp:+15550001111\"\nrate_per_s = 1.0\n";
    insta::assert_snapshot!(complaint(text, &[]), @r#"
    c.toml:1:14: public_url must be a whole address, as in "https://bluetick.example.com"
      |
    1 | public_url = "wa.example.com"
      |              ^^^^^^^^^^^^^^^^

    c.toml:3:10: http.listen must be an address and a port, as in "127.0.0.1:8080"
      |
    3 | listen = "8080"
      |          ^^^^^^

    c.toml:5:8: twilio.from is no address: write +4915100000001, whatsapp:US.123 (a WhatsApp user id) or MG… (a Messaging Service)
      |
    5 | from = "shop"
      |        ^^^^^^

    c.toml:6:14: [twilio] connect_timeout_ms must be above 0 and below timeout_ms, and that at most 120000
      |
    6 | timeout_ms = 1000
      |              ^^^^

    c.toml:12:9: log.level is not understood (error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5): try "info"
       |
    12 | level = "bluetick=loud"
       |         ^^^^^^^^^^^^^^^

    c.toml:13:1: rate_per_s of +15550001111 must be from 0.01 to 2000
       |
    13 | [[senders]]
       | ^^^^^^^^^^^

    c.toml:13:1: whatsapp:+15550001111 stands twice in [[senders]]: leave one of them out
       |
    13 | [[senders]]
       | ^^^^^^^^^^^

    policy.backoff_longest_ms must not be less than policy.backoff_first_ms
    "#);
}

#[test]
fn a_file_that_is_not_there_is_said_so() {
    let error = Config::load_with(Some(Path::new("/nowhere/config.toml")), []).expect_err("no file");
    assert!(error.to_string().starts_with("cannot read the configuration /nowhere/config.toml"), "{error}");
}
