//! Files that are whole or not there: compressed, written aside, flushed, named last, and proven by a checksum beside them.
//!
//! Invariant: a file with its name has been flushed, and so has its checksum. What a crash leaves behind has another name.
//! Not here: what stands in a file.

mod seal;

pub use seal::{Broken, Sealed, Sealing, checksum_of, open, peek};
