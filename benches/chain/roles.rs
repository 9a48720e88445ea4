//! The two servers of the chain: bluetick, and the Twilio it speaks to.

use std::net::TcpListener;
use std::path::Path;

use bluetick::config::Config;
use bluetick::emulator::{self, Pace, SenderOptions};
use bluetick::jobs::send::Sender;

use crate::account::{ACCOUNT, API_KEY, TOKEN};

/// Our senders.
pub(crate) const SENDERS: usize = 32;
/// What WhatsApp lets one sender do at the highest tier, about.
const RATE_PER_S: f64 = 400.0;
/// More than any run accepts: nothing is forgotten before it is looked at.
const MANY: usize = 4_000_000;

/// The address of a sender.
pub(crate) fn sender(number: usize) -> String {
    format!("whatsapp:+1555000{number:04}")
}

/// A port that was free a moment ago: bluetick's public URL must be known before it listens.
pub(crate) fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// bluetick as it is shipped, until it is killed.
pub(crate) fn bluetick(dir: &Path, port: u16, api_url: &str) -> anyhow::Result<()> {
    let mut config = Config { public_url: Some(format!("http://127.0.0.1:{port}")), ..Config::default() };
    config.store.dir = dir.to_owned();
    config.http.listen = format!("127.0.0.1:{port}");
    config.http.api_key = Some(API_KEY.into());
    // What is measured is how fast it is, not how fast one key may ask.
    config.http.rate_per_s = 0.0;
    config.twilio.api_url = api_url.into();
    config.twilio.account_sid = ACCOUNT.into();
    config.twilio.auth_token = Some(TOKEN.into());
    config.senders = (0..SENDERS).map(|number| Sender { address: sender(number), rate_per_s: RATE_PER_S }).collect();
    bluetick::serve::serve(config)
}

/// The emulator at its fastest, until it is killed.
pub(crate) fn emulator() -> anyhow::Result<()> {
    let senders = (0..SENDERS).map(|number| SenderOptions { address: sender(number), ..SenderOptions::default() });
    let options = emulator::Options {
        listen: ([127, 0, 0, 1], 0).into(),
        account_sid: ACCOUNT.into(),
        auth_token: TOKEN.into(),
        senders: senders.collect(),
        messaging_services: Vec::new(),
        pace: Pace::Instant,
        strict_window: false,
        max_messages: MANY,
        max_callbacks_waiting: MANY,
        ..emulator::Options::default()
    };
    actix_web::rt::System::new().block_on(async {
        let running = emulator::start(options).await?;
        println!("emulator at {}", running.url());
        std::future::pending::<()>().await;
        Ok(())
    })
}
