//! The core behind one lock, with a clock and a way out for its posts.
//!
//! Invariant: nothing waits while it holds the lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time;

use super::core::{Dice, Emulator};
use super::exchange::{Answer, Delivery, How, Later, Method, Request};
use super::options::Options;
use crate::clock::{Clock, Time};

/// By default the answer of a create is on its way this long before its first callback; `early` is the other way round.
const HEAD_START: Duration = Duration::from_millis(5);

/// The core and what it needs from the world.
#[derive(Debug)]
pub(super) struct Shell {
    desk: Mutex<Desk>,
    clock: Clock,
    /// Sends whenever something changed that a waiting request may wait for.
    pub(super) changed: watch::Sender<()>,
    outbox: mpsc::UnboundedSender<Chain>,
    sleeping_until: AtomicI64,
    wake: Notify,
}

#[derive(Debug)]
struct Desk {
    emulator: Emulator,
    dice: Dice,
}

/// Posts about one message, to be made one after the other.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) posts: Vec<Later>,
    pub(super) not_before: Instant,
}

impl Shell {
    pub(super) fn new(options: Options, outbox: mpsc::UnboundedSender<Chain>) -> Self {
        let clock = Clock::System;
        let mut dice = Dice::seed_from_u64(options.seed);
        let emulator = Emulator::new(options, clock.now(), &mut dice);
        Self {
            desk: Mutex::new(Desk { emulator, dice }),
            clock,
            changed: watch::Sender::new(()),
            outbox,
            sleeping_until: AtomicI64::new(i64::MAX),
            wake: Notify::new(),
        }
    }

    /// A broken invariant in one request must not silence all others: the desk is usable after a panic.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request.
    pub(super) fn handle(&self, request: &Request) -> Answer {
        let now = self.clock.now();
        let (answer, laters, next) = {
            let Desk { emulator, dice } = &mut *self.desk();
            let (answer, laters) = emulator.handle(request, now, dice);
            (answer, laters, emulator.next_due())
        };
        let head_start = if matches!(answer.how, How::After(_)) { Duration::ZERO } else { HEAD_START };
        self.hand_out(laters, head_start);
        self.look_ahead(next);
        if request.method != Method::Get {
            self.changed.send_replace(());
        }
        answer
    }

    /// Reports what became of a try.
    pub(super) fn report(&self, id: u64, delivery: &Delivery, took: Duration, is_last: bool) {
        let now = self.clock.now();
        let (laters, next) = {
            let Desk { emulator, dice } = &mut *self.desk();
            let laters = emulator.report(id, delivery, took, is_last, now, dice);
            (laters, emulator.next_due())
        };
        self.hand_out(laters, Duration::ZERO);
        self.look_ahead(next);
        self.changed.send_replace(());
    }

    /// Lets happen what is due and says when to look again.
    fn due(&self) -> Option<Time> {
        let now = self.clock.now();
        let (laters, next) = {
            let Desk { emulator, dice } = &mut *self.desk();
            (emulator.due(now, dice), emulator.next_due())
        };
        self.hand_out(laters, Duration::ZERO);
        self.changed.send_replace(());
        next
    }

    /// Sorts posts by message. The channel has no bound of its own: the core refuses creates past `max_callbacks_waiting`.
    fn hand_out(&self, laters: Vec<Later>, head_start: Duration) {
        let not_before = Instant::now() + head_start;
        let mut place: HashMap<String, usize> = HashMap::new();
        let mut chains: Vec<Chain> = Vec::new();
        for later in laters {
            match place.get(&later.sid) {
                Some(index) => chains[*index].posts.push(later),
                None => {
                    place.insert(later.sid.clone(), chains.len());
                    chains.push(Chain { posts: vec![later], not_before });
                }
            }
        }
        for chain in chains {
            // The postman is gone only while the emulator stops.
            let _ = self.outbox.send(chain);
        }
    }

    /// Wakes the pacer if something is due before it would look.
    fn look_ahead(&self, next: Option<Time>) {
        if next.is_some_and(|next| next.0 < self.sleeping_until.load(Ordering::SeqCst)) {
            self.wake.notify_one();
        }
    }
}

/// Sleeps until the next thing is due, again and again.
pub(super) async fn pace(shell: Arc<Shell>) {
    loop {
        // Until it sleeps, nobody needs to wake it; whatever is planned from here on compares with its true date below.
        shell.sleeping_until.store(i64::MAX, Ordering::SeqCst);
        let next = shell.due();
        shell.sleeping_until.store(next.map_or(i64::MAX, |next| next.0), Ordering::SeqCst);
        match next {
            Some(next) => {
                let wait = next.since(shell.clock.now()).max(Duration::from_millis(1));
                let _ = time::timeout(wait, shell.wake.notified()).await;
            }
            None => shell.wake.notified().await,
        }
    }
}
