//! Bugs that can be planted on purpose, so that the simulation proves that it would find them.
//!
//! Invariant: they exist in debug builds alone, one thread at a time; a release build has none of them.

#[cfg(debug_assertions)]
use std::cell::Cell;

/// A mistake that someone could make in the core of the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The intent of an attempt is not on disk when its request leaves.
    IntentNotFlushed,
    /// An answer that leaves open what happened is taken for proof that nothing did.
    RetryOnServerError,
    /// An attempt is taken for absent without looking for it at Twilio.
    AbsenceUnchecked,
    /// A receipt forgets what it knew when it learns something new.
    OverwriteInsteadOfJoin,
    /// Free text goes whether or not the person's window is open.
    WindowForgotten,
    /// A changed record adds its new share without taking the old one off.
    ShareNotSubtracted,
}

#[cfg(debug_assertions)]
thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants a bug in this thread, or weeds it out.
#[cfg(debug_assertions)]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this bug is planted in this thread.
pub fn is_planted(bug: Bug) -> bool {
    #[cfg(debug_assertions)]
    return PLANTED.get() == Some(bug);
    #[cfg(not(debug_assertions))]
    {
        let _ = bug;
        false
    }
}
