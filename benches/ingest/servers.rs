//! What bluetick is compared with: the same web framework, the same signature, and less and less of the rest.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use bluetick::clock::Clock;
use bluetick::config::Config;
use bluetick::keyring::Keyring;
use bluetick::twilio::Webhook;
use bluetick::twilio::webhook::{Request, Verified};
use bluetick::twilio::wire::{StatusCallback, parse_form};
use tokio::sync::{mpsc, oneshot};

use crate::account::{ACCOUNT, API_KEY, TOKEN};
use crate::callbacks::PUBLIC_URL;

/// The same for all.
const WORKERS: usize = 2;
const ANY_PORT: &str = "127.0.0.1:0";
/// As many as bluetick's own queue.
const QUEUE: usize = 4_096;
const MAX_BATCH: usize = 512;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Variant {
    /// Reads the form.
    Parse,
    /// Verifies it too.
    Verify,
    /// Writes it down too: one file, one flush for all that wait.
    Log,
    /// bluetick as it is shipped.
    Shipped,
}

impl Variant {
    pub(crate) const ALL: [Self; 4] = [Self::Parse, Self::Verify, Self::Log, Self::Shipped];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Verify => "verify",
            Self::Log => "log",
            Self::Shipped => "shipped",
        }
    }

    /// Its letter in a ratio.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Parse => 'A',
            Self::Verify => 'B',
            Self::Log => 'L',
            Self::Shipped => 'S',
        }
    }

    /// Its name in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Parse => "A parse",
            Self::Verify => "B parse, verify",
            Self::Log => "L parse, verify, append, flush",
            Self::Shipped => "S bluetick",
        }
    }
}

/// Serves until it is killed.
pub(crate) fn serve(variant: Variant, dir: &Path) -> anyhow::Result<()> {
    match variant {
        Variant::Shipped => bluetick::serve::serve(config(dir)),
        Variant::Parse => listen(|service| {
            service.default_service(web::to(parse));
        }),
        Variant::Verify => {
            let webhook = Data::new(webhook());
            listen(move |service| {
                service.app_data(Data::clone(&webhook)).default_service(web::to(verify));
            })
        }
        Variant::Log => {
            let (log, webhook) = (Data::new(Log::start(dir.join("append.log"))?), Data::new(webhook()));
            listen(move |service| {
                service.app_data(Data::clone(&webhook)).app_data(Data::clone(&log)).default_service(web::to(append));
            })
        }
    }
}

fn config(dir: &Path) -> Config {
    let mut config = Config { public_url: Some(PUBLIC_URL.into()), ..Config::default() };
    config.store.dir = dir.to_owned();
    config.http.listen = ANY_PORT.into();
    config.http.workers = WORKERS;
    config.http.api_key = Some(API_KEY.into());
    config.twilio.account_sid = ACCOUNT.into();
    config.twilio.auth_token = Some(TOKEN.into());
    // Nobody is there: nothing is due to be sent.
    config.twilio.api_url = "http://127.0.0.1:9".into();
    config
}

fn webhook() -> Webhook {
    Webhook { public_url: PUBLIC_URL.into(), account_sid: ACCOUNT.into(), keyring: Keyring::of_tokens([TOKEN.into()]) }
}

fn listen(routes: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let server = HttpServer::new(move || App::new().configure(routes.clone())).workers(WORKERS).bind(ANY_PORT)?;
        if let Some(address) = server.addrs().first() {
            println!("ready at http://{address}");
        }
        Ok(server.run().await?)
    })
}

async fn parse(body: Bytes) -> HttpResponse {
    match parse_form(&body) {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(_) => HttpResponse::BadRequest().finish(),
    }
}

async fn verify(request: HttpRequest, webhook: Data<Webhook>, body: Bytes) -> HttpResponse {
    match open(&request, &webhook, &body) {
        Some(_) => HttpResponse::NoContent().finish(),
        None => HttpResponse::Forbidden().finish(),
    }
}

async fn append(request: HttpRequest, webhook: Data<Webhook>, log: Data<Log>, body: Bytes) -> HttpResponse {
    let callback = open(&request, &webhook, &body).and_then(|verified| verified.status().ok());
    let Some(callback) = callback else { return HttpResponse::Forbidden().finish() };
    if log.write(line(&callback)).await.is_some() {
        HttpResponse::NoContent().finish()
    } else {
        HttpResponse::InternalServerError().finish()
    }
}

fn open(request: &HttpRequest, webhook: &Webhook, body: &[u8]) -> Option<Verified> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    let (content_type, signature) = (header("content-type"), header("x-twilio-signature"));
    webhook
        .open(Request { method: request.method().as_str(), target, content_type, body, signature }, Clock::System.now())
        .ok()
}

/// About a hundred bytes: what happened to whom.
fn line(callback: &StatusCallback) -> String {
    let StatusCallback { sid, status, from, to, .. } = callback;
    format!("{sid} {status} {} {}\n", from.as_deref().unwrap_or("-"), to.as_deref().unwrap_or("-"))
}

struct Entry {
    line: String,
    answer: oneshot::Sender<()>,
}

/// The least that can be called durable: a file that only grows, and one flush for all who wait.
struct Log {
    queue: mpsc::Sender<Entry>,
}

impl Log {
    fn start(path: PathBuf) -> anyhow::Result<Self> {
        let mut file = File::create(path)?;
        let (queue, mut receiver) = mpsc::channel::<Entry>(QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let work = move || -> std::io::Result<()> {
            let mut entries = Vec::with_capacity(MAX_BATCH);
            while runtime.block_on(receiver.recv_many(&mut entries, MAX_BATCH)) > 0 {
                let text: String = entries.iter().map(|entry| entry.line.as_str()).collect();
                file.write_all(text.as_bytes())?;
                file.sync_data()?;
                for entry in entries.drain(..) {
                    // Whoever does not wait any more has lost only the answer.
                    let _ = entry.answer.send(());
                }
            }
            Ok(())
        };
        std::thread::Builder::new().name("log".into()).spawn(work)?;
        Ok(Self { queue })
    }

    async fn write(&self, line: String) -> Option<()> {
        let (answer, answered) = oneshot::channel();
        self.queue.send(Entry { line, answer }).await.ok()?;
        answered.await.ok()
    }
}
