//! How many event streams are open, and whose: only so many in all, and half of them for one principal.
//!
//! Invariant: a seat is free again when its stream is gone, however it ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A page, a follower on a terminal and a few apps; each costs a connection and a read of the store a commit.
pub(super) const MAX_STREAMS: usize = 64;
/// Of these, one principal may have so many: whatever its program forgets to close, the others follow along.
pub(super) const MAX_OF_ONE: usize = MAX_STREAMS / 2;

/// The open streams, by principal; clones count the same.
#[derive(Clone, Debug, Default)]
pub(in crate::http) struct Seats(Arc<Mutex<BTreeMap<String, usize>>>);

/// Held by a stream for as long as it lives.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    whose: String,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSeat {
    /// All are taken.
    #[error("{MAX_STREAMS} event streams are open already: close one, or ask for pages with ?after=")]
    InAll,
    /// This one has its share.
    #[error(
        "you have {MAX_OF_ONE} event streams open already, the most for one: close one, or ask for pages with ?after="
    )]
    OfOne,
}

impl Seats {
    /// A seat for one more stream of this principal.
    pub(super) fn take(&self, whose: &str) -> Result<Seat, NoSeat> {
        let mut taken = self.lock();
        if taken.values().sum::<usize>() >= MAX_STREAMS {
            return Err(NoSeat::InAll);
        }
        let own = taken.entry(whose.to_owned()).or_default();
        if *own >= MAX_OF_ONE {
            return Err(NoSeat::OfOne);
        }
        *own += 1;
        Ok(Seat { seats: self.clone(), whose: whose.to_owned() })
    }

    /// How many are taken.
    pub(in crate::http) fn taken(&self) -> usize {
        self.lock().values().sum()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        // The counts are whole between calls, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if let Some(own) = taken.get_mut(&self.whose) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_half_of_the_seats_at_most_and_all_of_them_are_only_so_many() {
        let seats = Seats::default();
        let take = |whose: &str, count: usize| (0..count).map(|_| seats.take(whose)).collect::<Result<Vec<_>, _>>();
        let shop = take("ak_shop", MAX_OF_ONE).expect("its share");
        assert_eq!(seats.take("ak_shop").err(), Some(NoSeat::OfOne));
        let page = take("user:anna", MAX_STREAMS - MAX_OF_ONE).expect("the rest");
        assert_eq!((seats.take("user:otto").err(), seats.taken()), (Some(NoSeat::InAll), MAX_STREAMS));
        drop(shop);
        seats.take("user:otto").expect("they are free again");
        drop(page);
        assert_eq!((seats.taken(), seats.lock().len()), (0, 0), "nobody is remembered who has none");
    }
}
