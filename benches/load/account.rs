//! The account that the bench's callbacks are for and signed by; nobody's, as every name here.

/// The account.
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
/// What signs its callbacks.
pub(crate) const TOKEN: &str = "00000000000000000000000000c0ffee";
/// What the team's app proves itself with.
pub(crate) const API_KEY: &str = "bench-key-bench-key-bench-key-bench-key";
