//! The list of messages: filters, pages and the tokens that lead from one to the next.
//!
//! A token names the message a page starts behind, so pages do not shift while new messages come in.

use super::core::Emulator;
use super::exchange::{Answer, Refusal, Request};
use super::message::Filter;
use super::paging;
use super::query::Query;
use crate::clock::Time;
use crate::twilio::wire::{MessagePage, encode_form};

impl Emulator {
    /// `GET …/Messages.json`.
    pub(super) fn list_messages(&self, request: &Request, now: Time) -> Result<Answer, Refusal> {
        let query = Query::of(request)?;
        let filter = filter(&query)?;
        let size = paging::size(&query)?;
        let page = query.number("Page")?.unwrap_or(0);
        let (found, has_older) = match self.place(&query, page)? {
            Place::Top => self.book.older(&filter, u64::MAX, size, now),
            Place::Before(number) => self.book.older(&filter, number, size, now),
            // Whoever turned back came from an older page.
            Place::After(number) => (self.book.newer(&filter, number, size, now).0, true),
        };
        let link = |page: u64, token: Option<String>| link(request, &query, page, size, token);
        let last = found.last().filter(|_| has_older).map(|message| format!("PA{}", message.sid));
        let first = found.first().filter(|_| page > 0).map(|message| format!("PB{}", message.sid));
        let start = page * size as u64;
        let body = MessagePage {
            page: Some(page),
            page_size: Some(size as u64),
            start: Some(start),
            end: Some(start + (found.len() as u64).saturating_sub(1)),
            uri: Some(link(page, query.some("PageToken").map(str::to_owned))),
            first_page_uri: Some(link(0, None)),
            previous_page_uri: first.map(|token| link(page - 1, (page > 1).then_some(token))),
            next_page_uri: last.map(|token| link(page + 1, Some(token))),
            messages: found.into_iter().map(|message| message.resource(&self.account.sid)).collect(),
        };
        Ok(Answer::json(200, &body))
    }

    fn place(&self, query: &Query, page: u64) -> Result<Place, Refusal> {
        let refusal = || Refusal::new(400, 21481, "Invalid PageToken: follow next_page_uri, never build it");
        let Some(token) = query.some("PageToken") else {
            return if page == 0 { Ok(Place::Top) } else { Err(refusal()) };
        };
        let (kind, sid) = token.split_at_checked(2).ok_or_else(refusal)?;
        let number = self.book.number(sid).ok_or_else(refusal)?;
        match kind {
            "PA" => Ok(Place::Before(number)),
            "PB" => Ok(Place::After(number)),
            _ => Err(refusal()),
        }
    }
}

enum Place {
    Top,
    Before(u64),
    After(u64),
}

fn link(request: &Request, query: &Query, page: u64, size: usize, token: Option<String>) -> String {
    let is_filter = |pair: &&(String, String)| !matches!(pair.0.as_str(), "Page" | "PageSize" | "PageToken");
    let mut params: Vec<_> = query.0.iter().filter(is_filter).cloned().collect();
    params.push(("PageSize".to_owned(), size.to_string()));
    params.push(("Page".to_owned(), page.to_string()));
    params.extend(token.map(|token| ("PageToken".to_owned(), token)));
    format!("{}?{}", request.path, encode_form(&params))
}

/// `To`, `From`, and the days of `DateSent`, `DateSent>` and `DateSent<`, all of which include the day they name.
fn filter(query: &Query) -> Result<Filter, Refusal> {
    let day = |name: &str| query.some(name).map(|text| day(name, text)).transpose();
    let (on, from, until) = (day("DateSent")?, day("DateSent>")?, day("DateSent<")?);
    let is_dated = on.or(from).or(until).is_some();
    let days = (on.or(from).unwrap_or(i64::MIN), on.or(until).unwrap_or(i64::MAX));
    let address = |name: &str| query.some(name).map(str::to_owned);
    Ok(Filter { to: address("To"), from: address("From"), sent_days: is_dated.then_some(days) })
}

/// A day, or the day of a moment: the filter knows no hours.
fn day(name: &str, text: &str) -> Result<i64, Refusal> {
    let refusal = || Refusal::new(400, 20001, format!("{name} is not a date like 2026-11-01: {text}"));
    let midnight = format!("{}T00:00:00Z", text.get(..10).ok_or_else(refusal)?);
    let midnight: jiff::Timestamp = midnight.parse().map_err(|_| refusal())?;
    Ok(midnight.as_second().div_euclid(86_400))
}
