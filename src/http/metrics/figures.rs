//! The cells of a range, read from one snapshot and summed over senders.

use std::cmp::Reverse;

use super::range::Range;
use crate::clock::Time;
use crate::metrics::{Cell, Count};
use crate::store::{Snapshot, StoreError};

/// The numbers of a range.
pub(in crate::http) struct Figures {
    /// Which.
    pub(in crate::http) range: Range,
    /// The sum of all.
    pub(in crate::http) totals: Cell,
    /// One for each bucket of the range, the empty ones too.
    pub(in crate::http) buckets: Vec<Cell>,
    /// Who sent or got something in that time, the busiest first.
    pub(in crate::http) senders: Vec<(String, Cell)>,
    /// The one sender they are about, in the store's spelling.
    pub(in crate::http) only: Option<String>,
}

impl Figures {
    /// Reads the numbers of all senders, or of one; nothing, if nobody is called so.
    pub(in crate::http) fn read(
        snapshot: &Snapshot,
        range: Range,
        only: Option<&str>,
    ) -> Result<Option<Self>, StoreError> {
        let mut known = snapshot.senders()?;
        let mut name = None;
        if let Some(only) = only {
            let Some(number) = snapshot.sender_number(only)? else { return Ok(None) };
            known.retain(|(each, _)| *each == number);
            name = known.first().map(|(_, name)| name.clone());
        }
        let mut figures = Self {
            range,
            totals: Cell::default(),
            buckets: vec![Cell::default(); range.len()],
            senders: Vec::new(),
            only: name,
        };
        for (number, name) in known {
            figures.add(snapshot, number, name)?;
        }
        figures.senders.sort_by_key(|(name, cell)| (Reverse(cell.get(Count::Accepted)), name.clone()));
        Ok(Some(figures))
    }

    fn add(&mut self, snapshot: &Snapshot, number: u32, name: String) -> Result<(), StoreError> {
        let Range { tier, first, .. } = self.range;
        let mut sum = Cell::default();
        for (bucket, cell) in snapshot.cells(number, tier, self.range.from(), self.range.to())? {
            sum.merge(&cell, 1);
            let place = bucket.checked_sub(first).and_then(|place| self.buckets.get_mut(place as usize));
            match place {
                Some(place) if place.is_empty() => *place = cell,
                Some(place) => place.merge(&cell, 1),
                None => {}
            }
        }
        if !sum.is_empty() {
            self.totals.merge(&sum, 1);
            self.senders.push((name, sum));
        }
        Ok(())
    }

    /// Each bucket with its beginning.
    pub(in crate::http) fn series(&self) -> impl Iterator<Item = (Time, &Cell)> {
        self.range.begins().zip(&self.buckets)
    }
}
