//! How answers get back to whoever waits: one wake-up a thread, not one a write.
//!
//! Waking a task on another thread's runtime is a system call. A commit answers dozens of writes at once, most of them
//! from the same two threads; so each thread has a mailbox, and its own runtime hands the answers out.

use std::cell::RefCell;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use super::verbs::Written;

type Result = std::result::Result<Written, StoreError>;
type Letters = Vec<(oneshot::Sender<Result>, Result)>;
/// Bounded by the store's queue: no letter is written that was not a write before.
type Mailbox = mpsc::UnboundedSender<Letters>;

thread_local! {
    static MAILBOX: RefCell<Option<Mailbox>> = const { RefCell::new(None) };
}

/// Where the answer to one write goes.
pub(super) struct Answer {
    to: oneshot::Sender<Result>,
    mailbox: Option<Mailbox>,
}

impl Answer {
    /// An answer to be awaited on this thread.
    pub(super) fn here() -> (Self, oneshot::Receiver<Result>) {
        let (to, answered) = oneshot::channel();
        (Self { to, mailbox: mailbox() }, answered)
    }
}

/// The mailbox of this thread, with somebody to empty it; none outside a runtime.
fn mailbox() -> Option<Mailbox> {
    MAILBOX.with_borrow_mut(|known| {
        if let Some(mailbox) = known.as_ref().filter(|mailbox| !mailbox.is_closed()) {
            return Some(mailbox.clone());
        }
        let (mailbox, mut letters) = mpsc::unbounded_channel::<Letters>();
        Handle::try_current().ok()?.spawn(async move {
            while let Some(letters) = letters.recv().await {
                letters.into_iter().for_each(deliver);
            }
        });
        *known = Some(mailbox.clone());
        Some(mailbox)
    })
}

/// Sends every answer on its way.
pub(super) fn post(answers: impl Iterator<Item = (Answer, Result)>) {
    let mut bags: Vec<(Mailbox, Letters)> = Vec::new();
    for (Answer { to, mailbox }, result) in answers {
        let Some(mailbox) = mailbox else {
            deliver((to, result));
            continue;
        };
        match bags.iter_mut().find(|(known, _)| known.same_channel(&mailbox)) {
            Some((_, letters)) => letters.push((to, result)),
            None => bags.push((mailbox, vec![(to, result)])),
        }
    }
    for (mailbox, letters) in bags {
        // A thread that has ended has nobody left who waits; what is in its bag is delivered all the same.
        if let Err(returned) = mailbox.send(letters) {
            returned.0.into_iter().for_each(deliver);
        }
    }
}

/// Whoever does not wait any more has lost only the answer: the write is done.
fn deliver((to, result): (oneshot::Sender<Result>, Result)) {
    let _ = to.send(result);
}
