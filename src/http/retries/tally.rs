//! What a retry came to, by error code.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::Found;
use crate::message::explain;

/// What a retry came to, or would.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Retries)]
pub(in crate::http) struct RetriesView {
    /// Whether nothing was done.
    dry_run: bool,
    /// Failed messages that the filter names.
    matched: usize,
    /// Of these: sent again, or would be.
    retried: usize,
    /// Of these: not sent again.
    never: usize,
    /// Whether there may be more than this request could look at: ask again, with `next_cursor`.
    more: bool,
    /// Where the next request goes on.
    next_cursor: Option<String>,
    /// The same by error code, the most frequent first.
    by_code: Vec<CodeView>,
}

/// What a retry came to for the messages that failed for one reason.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetriesOfCode)]
pub(in crate::http) struct CodeView {
    /// The error code that their journals prove; null for those that failed without one.
    #[schema(example = 63016)]
    code: Option<u32>,
    title: String,
    /// What can be done about it, as in `GET /v1/errors`.
    #[schema(example = "template")]
    class: Option<&'static str>,
    retried: usize,
    never: usize,
    /// Why they are not sent again: `arrived`, `under_way`, `sent_elsewhere`, `canceled`, `too_late`, `used_up`,
    /// `opted_out`, `permanent`, `outside_window` or `may_duplicate`, and how many.
    reasons: BTreeMap<&'static str, usize>,
}

impl RetriesView {
    pub(super) fn of(is_dry_run: bool, found: Found) -> Self {
        let mut by_code: BTreeMap<Option<u32>, CodeView> = BTreeMap::new();
        for matched in &found.matched {
            let code = by_code.entry(matched.code).or_insert_with(|| CodeView::of(matched.code));
            match matched.verdict {
                Ok(()) => code.retried += 1,
                Err(never) => {
                    code.never += 1;
                    *code.reasons.entry(never.as_str()).or_default() += 1;
                }
            }
        }
        let mut by_code: Vec<_> = by_code.into_values().collect();
        by_code.sort_by_key(|code| Reverse(code.retried + code.never));
        Self {
            dry_run: is_dry_run,
            matched: found.matched.len(),
            retried: by_code.iter().map(|code| code.retried).sum(),
            never: by_code.iter().map(|code| code.never).sum(),
            more: found.next.is_some(),
            next_cursor: found.next.map(|id| id.to_string()),
            by_code,
        }
    }
}

impl CodeView {
    fn of(code: Option<u32>) -> Self {
        let failure = code.map(explain);
        let title = failure.as_ref().map_or("Failed without an error code".to_owned(), |known| known.title.to_string());
        let class = failure.map(|known| known.class.as_str());
        Self { code, title, class, retried: 0, never: 0, reasons: BTreeMap::new() }
    }
}
