//! Pages of the newer APIs (senders, content, alerts): `meta` with absolute links.
//!
//! Not here: the Messages list, whose older form has paths and tokens of its own.

use serde_json::{Value, json};

use super::exchange::{Refusal, Request};
use super::query::Query;

/// Twilio's own default.
const DEFAULT_SIZE: usize = 50;
/// Twilio's own bound.
pub(super) const MAX_SIZE: usize = 1_000;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offset {
    page: usize,
    size: usize,
}

impl Offset {
    /// That part.
    pub(super) fn take<T>(self, all: &[T]) -> impl Iterator<Item = &T> {
        all.iter().skip(self.page.saturating_mul(self.size)).take(self.size)
    }
}

/// Reads `PageSize`, refusing what Twilio refuses.
pub(super) fn size(query: &Query) -> Result<usize, Refusal> {
    let size = query.number("PageSize")?.map_or(DEFAULT_SIZE, |size| usize::try_from(size).unwrap_or(usize::MAX));
    match size {
        1..=MAX_SIZE => Ok(size),
        _ => Err(Refusal::new(400, 20007, format!("Page size {size} is not between 1 and {MAX_SIZE}"))),
    }
}

/// Reads `PageSize` and `Page`.
pub(super) fn offset(query: &Query) -> Result<Offset, Refusal> {
    let page = query.number("Page")?.unwrap_or(0);
    Ok(Offset { page: usize::try_from(page).unwrap_or(usize::MAX), size: size(query)? })
}

/// What the links around a page are made of.
pub(super) struct Links<'a> {
    pub(super) request: &'a Request,
    pub(super) key: &'static str,
    pub(super) page: Offset,
    pub(super) total: usize,
}

impl Links<'_> {
    /// The `meta` object.
    pub(super) fn meta(&self) -> Value {
        let Offset { page, size } = self.page;
        let has_next = page.saturating_add(1).saturating_mul(size) < self.total;
        json!({
            "key": self.key, "page": page, "page_size": size, "url": self.link(page), "first_page_url": self.link(0),
            "previous_page_url": page.checked_sub(1).map(|page| self.link(page)),
            "next_page_url": has_next.then(|| self.link(page + 1)),
        })
    }

    fn link(&self, page: usize) -> String {
        let kept = self.request.query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("Page"));
        let mut query: Vec<String> = kept.map(str::to_owned).collect();
        query.push(format!("PageSize={}&Page={page}", self.page.size));
        format!("http://{}{}?{}", self.request.host, self.request.path, query.join("&"))
    }
}
