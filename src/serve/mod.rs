//! A running bluetick: every room started in order, and stopped in reverse.
//!
//! Invariant: what is taken in is kept. Stopping first claims no more, then lets requests in flight finish, then closes
//! the doors, and closes the store last.

mod demo;
mod renewal;
mod traffic;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::alert::{Alert, Board};
use crate::archive::Shelf;
use crate::cli::{self, EmulateArgs, Migration};
use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::custody::Custody;
use crate::http::{self, App, Certificate, Limits, Listeners, Proxies, Tally};
use crate::jobs::chores::{self, Chore, Task};
use crate::jobs::{reconcile, rotation, send, trial};
use crate::keyring::Keyring;
use crate::message::Address;
use crate::store::{self, Doubt, Handle, Recover, Write, Written};
use crate::timetable::Timetable;
use crate::twilio::{Client, Webhook};

pub use demo::demo;

/// The alert that says that no account is configured.
const NOT_CONFIGURED: &str = "twilio_not_configured";
/// The alert that says that the disk is nearly full.
const STORAGE_LOW: &str = "storage_low";
/// The alert that says that the machine's clock was set back.
const CLOCK_BEHIND: &str = "clock_behind";
/// Clocks are set right by seconds all the time.
const TOLERATED: Duration = Duration::from_secs(60);
/// How often it is written down which API keys were used.
const USAGE: Duration = Duration::from_secs(60);
/// How often the store is looked at for a failure that nobody else has noticed.
const WATCH: Duration = Duration::from_millis(250);

/// Runs until a signal says to stop.
pub fn serve(config: Config) -> anyhow::Result<()> {
    leave_no_core();
    actix_web::rt::System::new().block_on(async {
        let certificate = Certificate::load(&config.http, Clock::System.now())?;
        bring_forward(&config)?;
        let opened = store::start(&config.store, shelf(&config), config.policy(), Clock::System)?;
        let listeners = listen(&config)?.encrypted(certificate);
        let house = House::start(config, opened, listeners).await?;
        println!("bluetick is ready at {}", house.url);
        welcome(&house)?;
        house.run_until_told().await
    })
}

/// What is in memory, secrets and words, is not written to a disk if we crash. A limit alone would not keep it from a handler that the
/// kernel pipes to.
fn leave_no_core() {
    use rustix::process::{self, Resource, Rlimit};
    let done = process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let done = done.and(process::set_dumpable_behavior(process::DumpableBehavior::NotDumpable));
    if let Err(error) = done {
        tracing::warn!(%error, "should bluetick crash, a core dump could hold secrets: keep those readable by nobody else");
    }
}

/// Where nobody could log in, whoever reads this is the first who may. It goes to whoever started us, and into no log.
fn welcome(house: &House) -> anyhow::Result<()> {
    if house.app.awaits_setup()? {
        let code = house.app.reception.set_up(rand::random(), house.app.clock.now());
        println!("Nobody can log in yet. Set-up code, for 30 minutes: {}", code.expose());
        println!("  Enter it at {}/login; bluetick admin setup-code shows a fresh one.", house.url);
    }
    Ok(())
}

/// Runs the built-in Twilio alone.
pub fn emulate(args: EmulateArgs) -> anyhow::Result<()> {
    let options = args.options()?;
    actix_web::rt::System::new().block_on(async {
        let emulator = crate::emulator::start(options).await?;
        println!("{}", emulator.announcement());
        told_to_stop().await?;
        emulator.stop().await;
        Ok(())
    })
}

/// A data file of an earlier version is backed up, then brought forward.
fn bring_forward(config: &Config) -> anyhow::Result<()> {
    let (dir, backups) = (&config.store.dir, config.backup.folder(&config.store.dir));
    if let Some(Migration { outdated, backup: Some(made) }) = cli::bring_forward(dir, shelf(config), &backups, false)? {
        let (from, to, file) = (outdated.from, outdated.to, made.path.display());
        tracing::warn!(from, to, backup = %file, "the data file was of an earlier version: it was backed up, and brought forward");
    }
    Ok(())
}

/// Where old messages are.
fn shelf(config: &Config) -> Shelf {
    Shelf::new(config.archive.folder(&config.store.dir))
}

/// Binds the port and the local socket; only whoever holds the data file may replace the socket beside it.
fn listen(config: &Config) -> anyhow::Result<Listeners> {
    Ok(Listeners::bind(&config.http.listen, Some(&config.store.dir))?)
}

/// The store and the thread that writes it.
type Opened = (Handle, JoinHandle<()>);

/// Everything that runs.
struct House {
    url: String,
    socket: PathBuf,
    store: Handle,
    writer: JoinHandle<()>,
    stop: watch::Sender<bool>,
    jobs: Vec<tokio::task::JoinHandle<()>>,
    server: ServerHandle,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
    app: Data<App>,
}

impl House {
    async fn start(config: Config, (store, writer): Opened, listeners: Listeners) -> anyhow::Result<Self> {
        // Whoever came first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock = store.clock();
        let boot = rand::random();
        recover(&store, boot).await?;
        doubt(&store).await?;
        let rates = introduce(&store, &config).await?;
        let board = Board::default();
        let secrets = config.twilio.secrets();
        let custody = Arc::new(Custody::open(&store, &config.secrets, &config.store.dir, secrets).await?);
        let (url, certificate) = (listeners.url()?, listeners.certificate());
        let socket = config.store.dir.join(http::SOCKET);
        let (stop, stopped) = watch::channel(false);
        let chores = chores(&config, &custody)?;
        let client = client(&config, custody.keyring(), &board, &clock)?.map(Arc::new);
        if let Some(client) = &client {
            custody.ask(Arc::clone(client));
        }
        let app = Data::new(app(&config, &chores, &store, &custody, &board, &clock)?);
        let server = http::start(Data::clone(&app), listeners)?;
        let made_up = actix_web::rt::spawn(http::make_up(Data::clone(&app), stopped.clone()));
        let handle = server.handle();
        let served = actix_web::rt::spawn(server);
        let mut jobs = vec![made_up];
        if let Some(certificate) = certificate {
            let renewal = renewal::Job::new(certificate, clock.clone(), board.clone());
            jobs.push(actix_web::rt::spawn(renewal.run(signal(SignalKind::hangup())?, stopped.clone())));
        }
        let job = chores::Job {
            store: store.clone(),
            clock: clock.clone(),
            board: board.clone(),
            boot_at: clock.now(),
            chores,
        };
        jobs.push(actix_web::rt::spawn(job.run(stopped.clone())));
        if let Some(client) = client {
            let policy = config.policy();
            let rotation = rotation::Job {
                store: store.clone(),
                custody: Arc::clone(&custody),
                client: Arc::clone(&client),
                clock: clock.clone(),
                board: board.clone(),
            };
            let trial = trial::Job {
                store: store.clone(),
                custody: Arc::clone(&custody),
                client: Arc::clone(&client),
                board: board.clone(),
            };
            let reconcile = reconcile::Job {
                store: store.clone(),
                client: Arc::clone(&client),
                clock: clock.clone(),
                board: board.clone(),
                options: config.reconcile,
                policy: policy.clone(),
            };
            let send = send::Job {
                store: store.clone(),
                client,
                clock,
                board,
                options: config.sending,
                policy,
                rates,
                public_url: config.public_url,
                boot,
            };
            jobs.push(actix_web::rt::spawn(rotation.run(stopped.clone())));
            jobs.push(actix_web::rt::spawn(trial.run(stopped.clone())));
            jobs.push(actix_web::rt::spawn(reconcile.run(stopped.clone())));
            jobs.push(actix_web::rt::spawn(send.run(stopped)));
        }
        Ok(Self { url, socket, store, writer, stop, jobs, server: handle, served, app })
    }

    async fn run_until_told(self) -> anyhow::Result<()> {
        let has_failed = async {
            let mut written = Instant::now();
            while !self.store.has_failed() {
                watch(&self.app);
                if written.elapsed() >= USAGE {
                    write_usage(&self.app).await;
                    written = Instant::now();
                }
                tokio::time::sleep(WATCH).await;
            }
        };
        let outcome = tokio::select! {
            told = told_to_stop() => told,
            () = has_failed => Err(DiskFailed.into()),
        };
        self.stop().await?;
        outcome
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        self.app.shutdown.send_replace(true);
        for job in self.jobs {
            job.await.context("stop sending")?;
        }
        self.server.stop(true).await;
        self.served.await.context("stop serving")??;
        write_usage(&self.app).await;
        // Whoever looks for us finds nobody, rather than a closed door; the next start would replace it anyway.
        let _ = std::fs::remove_file(&self.socket);
        self.store.close();
        let ended = actix_web::rt::task::spawn_blocking(move || self.writer.join()).await;
        ended.context("close the store")?.map_err(|_| anyhow::anyhow!("the store's thread panicked"))
    }
}

/// Writes down how often each API key and each secret was used. What cannot be written now is lost: it is only a count.
async fn write_usage(app: &App) {
    let used = app.usage.take();
    let keys = if used.is_empty() { Ok(()) } else { app.store.write(Write::Used(used)).await.map(drop) };
    if let Err(error) = keys.and(app.custody.write_uses().await) {
        tracing::warn!(%error, "how often keys and secrets were used could not be written down");
    }
}

/// Puts up what only a look at the machine tells: a full disk, a clock that was set back.
fn watch(app: &App) {
    let alerts = [
        (
            app.store.is_low(),
            STORAGE_LOW,
            Alert {
                code: STORAGE_LOW,
                detail: "the disk is nearly full: new sends are refused (507), receipts still come home".into(),
                action: "make room on the disk of store.dir; bluetick goes on by itself".into(),
                is_blocking: true,
            },
        ),
        (
            app.clock.behind() > TOLERATED,
            CLOCK_BEHIND,
            Alert {
                code: CLOCK_BEHIND,
                detail: "the machine's clock is behind the times already written: bluetick's own goes on from there"
                    .into(),
                action: "set the machine's clock right (NTP); dates are true again once it has caught up".into(),
                is_blocking: false,
            },
        ),
    ];
    for (is_so, code, alert) in alerts {
        match is_so {
            true => drop(app.board.raise(alert)),
            false => drop(app.board.clear(code)),
        }
    }
}

/// The disk failed: nothing more could be written, so bluetick stopped.
#[derive(Debug, thiserror::Error)]
#[error("the disk failed, and bluetick stopped rather than go on in memory: see the log, then start it again")]
pub struct DiskFailed;

/// Attempts of an earlier start have lost their owner: nobody knows what came of them.
async fn recover(store: &Handle, boot: u64) -> anyhow::Result<()> {
    if let Written::Recovered(lost @ 1..) = store.write(Write::Recover(Recover { boot })).await? {
        tracing::warn!(lost, "attempts were in flight when bluetick last ended: Twilio is asked whether it has them");
    }
    Ok(())
}

/// After a restore, what waited may have been sent since the backup was taken: nothing goes before that is known.
async fn doubt(store: &Handle) -> anyhow::Result<()> {
    let mut all = 0;
    while let Written::Doubted(some @ 1..) = store.write(Write::Doubt(Doubt { random: rand::random() })).await? {
        all += some;
    }
    if all > 0 {
        tracing::warn!(all, "restored from a backup: what waited is looked for at Twilio before it goes");
    }
    Ok(())
}

/// Gives the configured senders their numbers, and keys their rates by them.
async fn introduce(store: &Handle, config: &Config) -> anyhow::Result<BTreeMap<u32, f64>> {
    let named = config.senders.iter().map(|sender| Ok((spoken(&sender.address)?, sender.rate_per_s)));
    let named = named.collect::<anyhow::Result<Vec<_>>>()?;
    let first = config.twilio.from.as_deref().map(spoken).transpose()?;
    let names = named.iter().map(|(name, _)| name.clone()).chain(first).collect();
    match store.write(Write::Introduce(names)).await? {
        Written::Introduced(numbers) => {
            Ok(numbers.into_iter().zip(named).map(|(number, (_, rate))| (number, rate)).collect())
        }
        other => anyhow::bail!("the store answered {other:?}"),
    }
}

fn spoken(address: &str) -> anyhow::Result<String> {
    let parsed = Address::parse(address).map_err(|error| anyhow::anyhow!("the sender {address:?} {error}"))?;
    Ok(parsed.to_string())
}

/// What is done from time to time: what makes room before what reads everything.
fn chores(config: &Config, custody: &Arc<Custody>) -> anyhow::Result<Vec<Chore>> {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    let archive = Task::Archive { after: DAY * config.archive.after_days };
    let backup = Task::Backup { folder: config.backup.folder(&config.store.dir), keep: config.backup.keep };
    let retention = Task::Retention(config.retention.clone());
    let tasks = [
        (&config.retention.schedule, retention),
        (&config.archive.schedule, archive),
        (&config.retention.rewrite_schedule, Task::Rewrite),
        (&config.backup.schedule, backup),
        (&config.secrets.schedule, Task::Reminders(Arc::clone(custody))),
    ];
    tasks.into_iter().map(|(line, task)| Ok(Chore { timetable: Timetable::read(line)?, task })).collect()
}

fn app(
    config: &Config,
    chores: &[Chore],
    store: &Handle,
    custody: &Arc<Custody>,
    board: &Board,
    clock: &Clock,
) -> anyhow::Result<App> {
    let has_account = !config.twilio.account_sid.is_empty();
    let webhook = config.public_url.as_ref().filter(|_| has_account).map(|url| Webhook {
        public_url: url.clone(),
        account_sid: config.twilio.account_sid.clone(),
        keyring: custody.keyring().clone(),
    });
    let rates = config.senders.iter().filter_map(|sender| Some((spoken(&sender.address).ok()?, sender.rate_per_s)));
    Ok(App {
        store: store.clone(),
        webhook,
        custody: Arc::clone(custody),
        board: board.clone(),
        clock: clock.clone(),
        proxies: Proxies::of(&config.http)?,
        limits: Limits::new(&config.http),
        options: config.http.clone(),
        default_from: config.twilio.from.as_deref().and_then(|from| Address::parse(from).ok()),
        public_url: config.public_url.clone(),
        mode: match config.mode {
            Mode::Sandbox => "sandbox".into(),
            Mode::Live => "live".into(),
        },
        policy: config.policy(),
        rates: rates.collect(),
        default_rate: config.sending.rate_per_s,
        backups: config.backup.clone(),
        archive: config.archive.clone(),
        chores: chores.iter().map(|chore| (chore.task.upkeep(), chore.timetable.clone())).collect(),
        data_dir: config.store.dir.clone(),
        boot_at: clock.now(),
        tally: Tally::default(),
        revoked: watch::Sender::new(0),
        usage: Default::default(),
        reception: Default::default(),
        shutdown: watch::channel(false).0,
    })
}

/// The way to Twilio; without an account bluetick takes messages in and keeps them.
fn client(config: &Config, keyring: &Keyring, board: &Board, clock: &Clock) -> anyhow::Result<Option<Client>> {
    if config.twilio.account_sid.is_empty() {
        board.raise(Alert {
            code: NOT_CONFIGURED,
            detail: "no Twilio account is configured: messages are kept, and nothing is sent".into(),
            action: "set account_sid, auth_token and from in the [twilio] section, then restart".into(),
            is_blocking: true,
        });
        return Ok(None);
    }
    Ok(Some(Client::connect(&config.twilio, keyring.clone(), clock.clone())?))
}

/// SIGTERM, or Ctrl-C.
async fn told_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        told = tokio::signal::ctrl_c() => told?,
    }
    Ok(())
}
