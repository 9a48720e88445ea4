//! The writer thread: takes what is waiting, commits it, then answers everyone.
//!
//! Invariant: nobody is answered before their commit is on disk; if it fails, everyone in it is told so and the writer
//! stops for good (P7). It never waits for a fuller batch: under load, the batch that gathers during one commit is full
//! enough.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use redb::{Database, ReadableDatabase};
use tokio::sync::{Notify, mpsc, watch};

use super::commit::Store;
use super::keeper::{Keeper, Kept};
use super::mailbox::{self, Answer};
use super::read::Snapshot;
use super::verbs::{Write, Written};
use super::{FILE, Options, StoreError};
use crate::archive::Shelf;
use crate::clock::Clock;
use crate::message::Policy;

/// Only bounds how long the first of a batch waits for the last; throughput is flat far below it.
const MAX_BATCH: usize = 512;

struct Job {
    write: Write,
    answer: Answer,
}

/// The store, as every other room holds it.
#[derive(Clone)]
pub struct Handle {
    queue: mpsc::Sender<Job>,
    bound: usize,
    db: Arc<Mutex<Weak<Database>>>,
    shelf: Arc<Shelf>,
    wake: Wake,
    clock: Clock,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    has_failed: AtomicBool,
    is_closing: AtomicBool,
    is_closed: Arc<AtomicBool>,
    is_low: Arc<AtomicBool>,
    stop: Notify,
}

/// What a commit wakes.
#[derive(Clone)]
pub struct Wake {
    /// Something may be due to be sent.
    pub sendable: Arc<Notify>,
    /// Somebody wants a job to run.
    pub wanted: Arc<Notify>,
    /// The number of the newest event.
    pub newest: watch::Receiver<u64>,
}

/// Opens the store in its folder and starts its writer.
pub fn start(
    options: &Options,
    shelf: Shelf,
    policy: Policy,
    clock: Clock,
) -> Result<(Handle, JoinHandle<()>), StoreError> {
    let dir = &options.dir;
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| unusable(dir, &error))?;
    check_writable(dir).map_err(|error| unusable(dir, &error))?;
    let path = dir.join(FILE);
    let store = Store::open(&path, options.cache_mb << 20)?.with_policy(policy).with_shelf(Arc::new(shelf));
    // Messages and numbers are for the eyes of whoever runs bluetick.
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    sync_folder(dir)?;
    let clock = clock.not_before(store.last());
    Ok(begin(store, options.queue, clock, Some((dir.clone(), options.reserve_mb))))
}

/// Whether anything can be made in the folder, before a start goes wrong half-way.
pub(super) fn check_writable(dir: &Path) -> std::io::Result<()> {
    let probe = dir.join("bluetick.probe");
    std::fs::File::create(&probe)?;
    std::fs::remove_file(&probe)
}

/// A folder that cannot be used is a mistake in the configuration, and starting again does not help; a full disk is not.
pub(super) fn unusable(dir: &Path, error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Disk(error.to_string()),
        _ => StoreError::WrongFile(format!(
            "the folder {} cannot be written ({error}): choose another [store] dir, or give whoever runs bluetick the right to",
            dir.display()
        )),
    }
}

/// A new file is only there for good once its folder says so.
fn sync_folder(dir: &Path) -> Result<(), StoreError> {
    Ok(std::fs::File::open(dir)?.sync_all()?)
}

/// Starts a writer over an opened store, wherever it is kept.
pub fn run(store: Store, queue: usize, clock: Clock) -> (Handle, JoinHandle<()>) {
    begin(store, queue, clock, None)
}

fn begin(store: Store, queue: usize, clock: Clock, folder: Option<(PathBuf, u64)>) -> (Handle, JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel(queue);
    let (newest_sender, newest) = watch::channel(store.newest_event());
    let wake = Wake { sendable: Arc::default(), wanted: Arc::default(), newest };
    let state = Arc::<State>::default();
    let keeper = folder.map(|(dir, reserve_mb)| {
        let (instance, newest, is_low) = (store.instance(), wake.newest.clone(), Arc::clone(&state.is_low));
        let is_closed = Arc::clone(&state.is_closed);
        Keeper::start(Kept { dir, instance, newest, reserve_mb, is_closed, is_low })
    });
    let db = Arc::new(Mutex::new(store.database()));
    let handle = Handle {
        queue: sender,
        bound: queue,
        db: Arc::clone(&db),
        shelf: Arc::clone(store.shelf()),
        wake: wake.clone(),
        clock: clock.clone(),
        state: Arc::clone(&state),
    };
    let writer = Writer {
        store,
        db,
        clock,
        receiver,
        newest: newest_sender,
        sendable: wake.sendable,
        wanted: wake.wanted,
        state,
    };
    let thread = std::thread::Builder::new()
        .name("store".into())
        .spawn(move || writer.work(keeper))
        .expect("a process that starts can start a thread");
    (handle, thread)
}

impl Handle {
    /// Writes, and answers when it is on disk.
    pub async fn write(&self, write: Write) -> Result<Written, StoreError> {
        if self.has_failed() {
            return Err(StoreError::Disk("an earlier commit failed, and nothing is written since".to_owned()));
        }
        if self.state.is_closing.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        if self.is_low() && matches!(write, Write::Accept(_)) {
            return Err(StoreError::NoSpace);
        }
        let (answer, answered) = Answer::here();
        self.queue.try_send(Job { write, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Full(self.bound),
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        match answered.await.unwrap_or(Err(StoreError::Closed))? {
            Written::Unreadable(words) => Err(StoreError::Archive(words)),
            written => Ok(written),
        }
    }

    /// The store as it is now, for reading.
    pub fn read(&self) -> Result<Snapshot, StoreError> {
        let lease = self.shelf.lease();
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner).upgrade().ok_or(StoreError::Closed)?;
        Ok(Snapshot::over(db.begin_read()?, Arc::clone(&self.shelf), lease))
    }

    /// Where archived messages are.
    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// The clock by which everything is dated: it never runs backwards, not even over a restart.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Whether there is little room left on the disk: new sends are refused.
    pub fn is_low(&self) -> bool {
        self.state.is_low.load(Ordering::Acquire)
    }

    /// What commits wake.
    pub fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Whether the disk failed: nothing is written any more.
    pub fn has_failed(&self) -> bool {
        self.state.has_failed.load(Ordering::Acquire)
    }

    /// How many writes wait.
    pub fn waiting(&self) -> usize {
        self.bound - self.queue.capacity()
    }

    /// Takes no more writes; the writer ends when those that wait are done.
    pub fn close(&self) {
        self.state.is_closing.store(true, Ordering::Release);
        self.state.stop.notify_one();
    }
}

struct Writer {
    store: Store,
    /// The database as every reader finds it.
    db: Arc<Mutex<Weak<Database>>>,
    clock: Clock,
    receiver: mpsc::Receiver<Job>,
    newest: watch::Sender<u64>,
    sendable: Arc<Notify>,
    wanted: Arc<Notify>,
    state: Arc<State>,
}

impl Writer {
    fn work(mut self, keeper: Option<Keeper>) {
        let is_sound = self.take_turns();
        match self.store.close() {
            Ok(()) => self.state.is_closed.store(is_sound, Ordering::Release),
            Err(error) => tracing::error!(%error, "the data file could not be closed: the next start looks it through"),
        }
        // The sentinel must not be ahead of the file: it is written when that is closed.
        keeper.into_iter().for_each(Keeper::stop);
    }

    /// Commits until the store is closed; false if the disk failed.
    fn take_turns(&mut self) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let Ok(runtime) = runtime else {
            tracing::error!("the store's thread could not be set up");
            self.state.has_failed.store(true, Ordering::Release);
            return false;
        };
        let mut jobs = Vec::with_capacity(MAX_BATCH);
        while self.store.is_behind() || runtime.block_on(self.gather(&mut jobs)) {
            if let Err(error) = self.commit(&mut jobs) {
                tracing::error!(%error, "a commit failed: bluetick stops writing, because the disk cannot be trusted");
                self.state.has_failed.store(true, Ordering::Release);
                return false;
            }
        }
        true
    }

    /// Waits for the first write, then takes all that wait with it; false when the store is closed and empty.
    async fn gather(&mut self, jobs: &mut Vec<Job>) -> bool {
        tokio::select! {
            biased;
            taken = self.receiver.recv_many(jobs, MAX_BATCH) => taken > 0,
            () = self.state.stop.notified() => {
                self.receiver.close();
                self.receiver.recv_many(jobs, MAX_BATCH).await > 0
            }
        }
    }

    fn commit(&mut self, jobs: &mut Vec<Job>) -> Result<(), StoreError> {
        for job in jobs.extract_if(.., |job| matches!(job.write, Write::Rewrite)) {
            let rewritten = self.store.rewrite(|db| *self.db.lock().unwrap_or_else(PoisonError::into_inner) = db);
            mailbox::post(std::iter::once((job.answer, rewritten.map(Written::Rewritten))));
        }
        let (writes, answers): (Vec<_>, Vec<_>) = jobs.drain(..).map(|job| (job.write, job.answer)).unzip();
        match self.store.commit(writes, self.clock.now()) {
            Ok(written) => {
                // A commit that tells of nothing wakes nobody who waits for news.
                let newest = self.store.newest_event();
                self.newest.send_if_modified(|known| std::mem::replace(known, newest) != newest);
                mailbox::post(answers.into_iter().zip(written.into_iter().map(Ok)));
                if self.store.take_sendable() {
                    self.sendable.notify_one();
                }
                if self.store.take_wanted() {
                    self.wanted.notify_one();
                }
                Ok(())
            }
            Err(error) => {
                mailbox::post(answers.into_iter().map(|answer| (answer, Err(error.clone()))));
                Err(error)
            }
        }
    }
}
