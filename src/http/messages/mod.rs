//! Messages: taking them in, looking at them, calling them back.

mod cancel;
mod create;
mod draft;
mod get;
mod journal;
mod list;
#[cfg(test)]
mod tests;
mod view;

pub(super) use cancel::*;
pub(super) use create::*;
pub(super) use get::*;
pub(super) use journal::*;
pub(super) use list::*;
