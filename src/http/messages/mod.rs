//! Messages: taking them in, looking at them, calling them back.

mod create;
mod draft;
mod export;
mod get;
mod journal;
mod list;
mod retry;
mod standing;
mod steer;
#[cfg(test)]
mod tests;
mod view;

pub(super) use create::*;
pub(super) use draft::SendRequest;
pub(super) use export::*;
pub(super) use get::*;
pub(super) use journal::*;
pub(super) use list::*;
pub(super) use retry::*;
pub(super) use steer::*;
