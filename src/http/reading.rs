//! What this room makes of a stranger's text, without a server: what `tests/fuzz` calls.
//!
//! Invariant: nothing is read here in another way than the handlers read it, and nothing is done with it.

use std::time::Duration;

use super::error::Problem;
use super::messages::{ListQuery, Listing, SendRequest};
use super::metrics::{Range, Stretch};
use super::retries::Wish;
use super::{inbound, opt_outs, pauses, query, when};
use crate::clock::Time;
use crate::message::{Address, Draft, MessageId, OptOut};
use crate::pause::Scope;
use crate::store::Filter;

/// The body of `POST /v1/messages`, with the hash by which an Idempotency-Key knows it again.
pub fn draft(body: &[u8], default_from: Option<&Address>, now: Time) -> Result<(Draft, [u8; 32]), Problem> {
    let request = SendRequest::read(body)?;
    let hash = request.hash();
    Ok((request.check(default_from, now)?, hash))
}

/// The query of `GET /v1/messages`: what is asked for, from where on, and how much of it.
pub fn listing(query: &str, now: Time) -> Result<(Filter, Option<MessageId>, usize), Problem> {
    let Listing { filter, cursor, limit } = query::read::<ListQuery>(query)?.check(now)?;
    Ok((filter, cursor, limit))
}

/// The body of `POST /v1/retries`, likewise.
pub fn retries(body: &[u8], now: Time) -> Result<(Filter, Option<MessageId>, usize), Problem> {
    let Wish { filter, cursor, limit, .. } = Wish::read(body, now)?;
    Ok((filter, cursor, limit))
}

/// The body of `POST /v1/pauses`: what to pause, and why.
pub fn pause(body: &[u8]) -> Result<(Scope, Option<String>), Problem> {
    pauses::read(body)
}

/// The body of `PUT /v1/contacts/{address}/opt-out`: what is not wanted, and how it is known.
pub fn opt_out(body: &[u8]) -> Result<(OptOut, Option<String>), Problem> {
    opt_outs::read(body)
}

/// The cursor of `GET /v1/inbound`.
pub fn inbound_cursor(text: &str) -> Result<[u8; 25], Problem> {
    inbound::place(text)
}

/// A moment in a query.
pub fn moment(text: &str, now: Time) -> Result<Time, Problem> {
    when::moment("since", text, now)
}

/// A length of time in a query.
pub fn span(text: &str, most: Duration) -> Result<Duration, Problem> {
    when::span("wait", text, most)
}

/// `from`, `to` and `bucket` of a question about numbers: when the first bucket begins, when the last one ends, and how many
/// there are.
pub fn range(
    from: Option<&str>,
    to: Option<&str>,
    bucket: Option<&str>,
    now: Time,
) -> Result<(Time, Time, usize), Problem> {
    let range = Range::read(&Stretch { from, to, bucket }, now)?;
    Ok((range.from(), range.to(), range.len()))
}
