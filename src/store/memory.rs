//! What the writer remembers between commits, so that four callbacks of one message cost one reading of it.
//!
//! Invariant: everything here can be read back from the data file, and is forgotten when a commit fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::listening::Listening;
use super::pairs::Pairs;
use super::sums::Log;
use crate::message::{Message, MessageId};
use crate::metrics::Cell;
use crate::pause::{Paused, Scope};

/// Messages of each of two generations: the callbacks of a message come within seconds of each other.
const GENERATION: usize = 4_096;
/// Rollup cells: a few hundred senders in their current hour and day.
const MAX_CELLS: usize = 2_048;

/// The next number of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) event: u64,
    pub(super) contact: u64,
    pub(super) sender: u32,
    pub(super) sums: u64,
    pub(super) rollups: u64,
}

/// What the writer remembers.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) next: Numbers,
    pub(super) senders: BTreeMap<String, u32>,
    pub(super) names: HashMap<u32, String>,
    /// What the log adds to the sums of contacts.
    pub(super) sums: Log<u64>,
    /// What the log adds to the cells of a day and of all time.
    pub(super) rollups: Log<[u8; 9]>,
    /// What is or was paused.
    pub(super) pauses: BTreeMap<Scope, Paused>,
    /// Templates whose pause is over, and that held messages may still wait for.
    pub(super) freed: BTreeSet<String>,
    /// What each sender hears.
    pub(super) listening: BTreeMap<u32, Listening>,
    /// Who was written to lately.
    pub(super) pairs: Pairs,
    /// Whose turn it is among the lanes of a sender.
    pub(super) lanes: HashMap<u32, u8>,
    /// Senders for which WhatsApp found us too fast since the last claim.
    pub(super) too_fast: BTreeSet<u32>,
    /// Whether this commit made something due to be sent.
    pub(super) has_sendable: bool,
    /// Whether this commit asked for a job.
    pub(super) is_wanted: bool,
    cells: HashMap<[u8; 9], Cell>,
    young: HashMap<MessageId, Message>,
    old: HashMap<MessageId, Message>,
}

impl From<Numbers> for Memory {
    fn from(next: Numbers) -> Self {
        Self { next, ..Self::default() }
    }
}

impl Memory {
    /// The message as it was last saved, given away to be changed.
    pub(super) fn take(&mut self, id: MessageId) -> Option<Message> {
        self.young.remove(&id).or_else(|| self.old.remove(&id))
    }

    /// Keeps a message that was saved.
    pub(super) fn keep(&mut self, message: Message) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(message.id, message);
    }

    /// A rollup cell as it was last saved, given away to be changed.
    pub(super) fn take_cell(&mut self, key: [u8; 9]) -> Option<Cell> {
        self.cells.remove(&key)
    }

    /// Keeps a rollup cell that was saved.
    pub(super) fn keep_cell(&mut self, key: [u8; 9], cell: Cell) {
        if self.cells.len() >= MAX_CELLS {
            self.cells.clear();
        }
        self.cells.insert(key, cell);
    }
}
