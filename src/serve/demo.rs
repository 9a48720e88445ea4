//! Everything at once on a laptop: the built-in Twilio, live traffic, and the pages, with keys made up for the occasion.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rand::RngExt;
use serde_json::{Value, json};

use super::{House, bring_forward, listen, shelf, traffic};
use crate::cli::{DEMO_DIR, DemoArgs};
use crate::clock::Clock;
use crate::config::Config;
use crate::emulator::{self, Pace};
use crate::http::Listeners;
use crate::message::Policy;
use crate::store;
use crate::telemetry;
use crate::twilio::AuthToken;

/// Where the demo would like to be found; elsewhere, if something is there already.
const PORT: u16 = 8080;
const EMULATOR_PORT: u16 = 4010;

/// Runs the demo until a signal says to stop.
pub fn demo(args: DemoArgs) -> anyhow::Result<()> {
    telemetry::init(&telemetry::Options { level: "warn".into(), ..telemetry::Options::default() })?;
    actix_web::rt::System::new().block_on(run(args))
}

async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let folder = folder(args.data)?;
    let mut config = Config::default();
    config.store.dir.clone_from(&folder);
    // Nobody waits for the receipts of a demo.
    config.store.reserve_mb = 0;
    config.archive.schedule.clear();
    config.backup.schedule.clear();
    config.retention.schedule.clear();
    config.secrets.schedule.clear();
    config.retention.rewrite_schedule.clear();
    config.policy = watchable();
    bring_forward(&config)?;
    let opened = store::start(&config.store, shelf(&config), config.policy(), Clock::System)?;
    let listeners = listen_on(&mut config, args.listen)?;
    let url = format!("http://{}", listeners.address()?);
    let twilio = start_emulator(args.emulator, &url, args.quiet).await?;
    let keys = configure(&mut config, &url, &twilio);
    let house = House::start(config, opened, listeners).await?;
    let note = note(&url, &twilio, &keys);
    let path = folder.join("demo.json");
    write_private(&path, &format!("{note:#}\n"))?;
    if !args.quiet {
        actix_web::rt::spawn(traffic::run(url.clone(), keys.api_key.clone(), twilio.url()));
    }
    announce(&url, &keys, &twilio, &path);
    let outcome = house.run_until_told().await;
    twilio.stop().await;
    outcome
}

/// Waits that end while somebody watches: what takes minutes and hours at Twilio takes seconds here.
fn watchable() -> Policy {
    Policy {
        settle_ms: 36_000,
        reconcile_after_ms: 30_000,
        retry_transient_ms: 4_000,
        retry_wait_ms: 10_000,
        probe_after_ms: 10_000,
        pair_every_ms: 1_000,
        ..Policy::default()
    }
}

/// The port that was asked for; else the usual one, or any free one.
fn listen_on(config: &mut Config, asked: Option<SocketAddr>) -> anyhow::Result<Listeners> {
    config.http.listen = asked.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], PORT))).to_string();
    match listen(config) {
        Err(_) if asked.is_none() => {
            config.http.listen = "127.0.0.1:0".into();
            listen(config)
        }
        result => result,
    }
}

async fn start_emulator(asked: Option<SocketAddr>, url: &str, is_quiet: bool) -> anyhow::Result<emulator::Running> {
    let usual = SocketAddr::from(([127, 0, 0, 1], EMULATOR_PORT));
    let options = |listen| emulator::Options {
        listen,
        inbound_url: Some(format!("{url}/webhooks/twilio/inbound")),
        pace: if is_quiet { Pace::Instant } else { Pace::Lifelike },
        chatter: !is_quiet,
        // A data file that is kept must not meet the same SIDs again.
        seed: rand::random(),
        ..emulator::Options::default()
    };
    match emulator::start(options(asked.unwrap_or(usual))).await {
        Err(_) if asked.is_none() => Ok(emulator::start(options(SocketAddr::from(([127, 0, 0, 1], 0)))).await?),
        result => Ok(result?),
    }
}

struct Keys {
    api_key: String,
    admin_user: String,
    admin_password: String,
    account_sid: String,
    auth_token: String,
}

fn configure(config: &mut Config, url: &str, twilio: &emulator::Running) -> Keys {
    let announced = twilio.announcement();
    let word = |name: &str| announced[name].as_str().unwrap_or_default().to_owned();
    let keys = Keys {
        api_key: format!("demo_{:032x}", rand::rng().random::<u128>()),
        admin_user: "admin".into(),
        admin_password: format!("{:08x}", rand::rng().random::<u32>()),
        account_sid: word("account_sid"),
        auth_token: word("auth_token"),
    };
    config.public_url = Some(url.to_owned());
    config.twilio.api_url = twilio.url();
    config.twilio.account_sid.clone_from(&keys.account_sid);
    config.twilio.auth_token = Some(AuthToken::new(keys.auth_token.clone()));
    config.twilio.from = Some(traffic::SENDERS[0].to_owned());
    config.http.api_key = Some(keys.api_key.clone());
    config.http.admin_user.clone_from(&keys.admin_user);
    config.http.admin_password = Some(keys.admin_password.clone());
    keys
}

/// What `demo.json` holds, for scripts that drive the demo.
fn note(url: &str, twilio: &emulator::Running, keys: &Keys) -> Value {
    json!({
        "url": url,
        "public_url": url,
        "emulator_url": twilio.url(),
        "control_url": twilio.announcement()["control_url"],
        "api_key": keys.api_key,
        "account_sid": keys.account_sid,
        "auth_token": keys.auth_token,
        "admin_user": keys.admin_user,
        "admin_password": keys.admin_password,
    })
}

fn announce(url: &str, keys: &Keys, twilio: &emulator::Running, path: &Path) {
    println!("bluetick is ready at {url}");
    println!("  pages     {url}/  (log in as {}, password {})", keys.admin_user, keys.admin_password);
    println!("  API key   {}", keys.api_key);
    println!(
        "  Twilio    {}  (built in: nothing leaves this machine; waits are shortened to be watched)",
        twilio.url()
    );
    println!("  scripts   {}", path.display());
    println!("Ctrl-C stops it.");
}

/// The folder that was asked for, kept as it is; or the usual one, begun afresh, since the built-in Twilio forgets too.
fn folder(asked: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let path = asked.clone().unwrap_or_else(|| PathBuf::from(DEMO_DIR));
    std::fs::create_dir_all(&path).with_context(|| format!("make the folder {}", path.display()))?;
    let old = path.join(store::FILE);
    if asked.is_none() && old.exists() {
        // Opening it proves that no other demo is at work in it.
        drop(store::Store::open(&old, 1 << 20)?);
        std::fs::remove_file(&old).with_context(|| format!("begin {} afresh", path.display()))?;
    }
    Ok(path)
}

/// Keys are for the eyes of whoever started the demo.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let partial = path.with_extension("partial");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&partial, path).with_context(|| format!("write {}", path.display()))
}
