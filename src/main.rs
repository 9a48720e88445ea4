//! Bluetick.
fn main() {}
