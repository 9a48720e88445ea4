//! Makes the posts to the app, at most so many at once, each as often and as patiently as its URL asks for.
//!
//! Redirects are not followed: after one, Twilio's form would be gone, so it counts as a failure here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use tokio::sync::{Semaphore, mpsc};
use tokio::time;

use super::exchange::{Delivery, Later};
use super::shell::{Chain, Shell};

/// As much of an answer as is read: the bound Twilio has for TwiML.
const MAX_ANSWER: usize = 64 * 1024;
/// Pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(50);
/// Different connect timeouts that get connections of their own; past it, the default's are used.
const MAX_CLIENTS: usize = 16;

/// Takes chains until the emulator stops.
pub(super) async fn run(shell: Arc<Shell>, mut chains: mpsc::UnboundedReceiver<Chain>, concurrency: usize) {
    let permits = Arc::new(Semaphore::new(concurrency));
    let clients = Arc::new(Clients::new(concurrency));
    while let Some(chain) = chains.recv().await {
        time::sleep_until(chain.not_before.into()).await;
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let (shell, clients) = (Arc::clone(&shell), Arc::clone(&clients));
        tokio::spawn(async move {
            for later in &chain.posts {
                deliver(&shell, &clients, later).await;
            }
            drop(permit);
        });
    }
}

/// Tries until the app takes it, or its policy says enough.
async fn deliver(shell: &Shell, clients: &Clients, later: &Later) {
    let policy = &later.retry;
    let client = clients.get(policy.connect_timeout);
    let begun = Instant::now();
    let mut pause = PAUSE;
    for number in 0..=policy.retries {
        let left = policy.total_timeout.saturating_sub(begun.elapsed());
        let asked = Instant::now();
        let delivery = post(&client, later, left.min(policy.connect_timeout + policy.read_timeout)).await;
        let has_time = begun.elapsed() + pause < policy.total_timeout;
        let is_last = number == policy.retries || !has_time || !policy.asks_again(&delivery);
        shell.report(later.id, &delivery, asked.elapsed(), is_last);
        if is_last {
            return;
        }
        time::sleep(pause).await;
        pause *= 2;
    }
}

async fn post(client: &reqwest::Client, later: &Later, timeout: Duration) -> Delivery {
    let request = client
        .post(&later.url)
        .timeout(timeout)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=UTF-8"))
        .header("X-Twilio-Signature", &later.signature)
        .header("I-Twilio-Idempotency-Token", &later.idempotency_token)
        .body(later.body.clone());
    match request.send().await {
        Ok(response) => read(response).await,
        Err(error) => failure(&error),
    }
}

/// Reads the answer to its end, or to where nobody would read on, so that the connection can be used again.
async fn read(mut response: reqwest::Response) -> Delivery {
    let status = response.status().as_u16();
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_ANSWER => body.extend_from_slice(&chunk),
            Ok(_) => break,
            Err(error) => return failure(&error),
        }
    }
    Delivery::Answered { status, content_type, body: String::from_utf8_lossy(&body).into_owned() }
}

fn failure(error: &reqwest::Error) -> Delivery {
    if error.is_connect() || error.is_builder() {
        Delivery::NotConnected(error.to_string())
    } else if error.is_timeout() {
        Delivery::TimedOut
    } else {
        Delivery::Broken(error.to_string())
    }
}

/// HTTP clients by connect timeout: it is the one bound that belongs to a client and not to a request.
struct Clients {
    by_timeout: Mutex<HashMap<Duration, reqwest::Client>>,
    default: reqwest::Client,
    idle: usize,
}

impl Clients {
    fn new(idle: usize) -> Self {
        let default = client(Duration::from_secs(5), idle);
        Self { by_timeout: Mutex::default(), default, idle }
    }

    fn get(&self, connect_timeout: Duration) -> reqwest::Client {
        let mut by_timeout = self.by_timeout.lock().unwrap_or_else(PoisonError::into_inner);
        if by_timeout.len() >= MAX_CLIENTS && !by_timeout.contains_key(&connect_timeout) {
            return self.default.clone();
        }
        by_timeout.entry(connect_timeout).or_insert_with(|| client(connect_timeout, self.idle)).clone()
    }
}

fn client(connect_timeout: Duration, idle: usize) -> reqwest::Client {
    reqwest::Client::builder()
        .connect_timeout(connect_timeout)
        .pool_max_idle_per_host(idle)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .tcp_nodelay(true)
        .user_agent("TwilioProxy/1.1")
        .build()
        .expect("the TLS provider is installed before the postman starts")
}
