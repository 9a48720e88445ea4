//! Which failed messages are meant: read, checked, and bounded.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Time;
use crate::http::error::{Code, Problem};
use crate::http::fields::Fields;
use crate::http::when;
use crate::message::MessageId;
use crate::store::Filter;

/// One request retries no more messages than this.
pub(super) const MAX_LIMIT: usize = 10_000;
/// Whoever names more codes than this means all.
const MAX_CODES: usize = 100;
/// What has failed, whatever the reason.
const FAILED: [&str; 5] = ["failed", "undelivered", "refused", "expired", "suppressed"];

const FIELDS: [&str; 5] = ["filter", "dry_run", "may_duplicate", "limit", "cursor"];
const FILTER: [&str; 7] = ["status", "code", "from", "to", "tag", "since", "until"];

/// Which failed messages to send again.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct RetriesRequest {
    /// What they have in common; all that failed, where it is absent.
    #[schema(required = false)]
    filter: RetriesFilter,
    /// Only say what would be done.
    #[schema(required = false)]
    dry_run: bool,
    /// Also those whose failed attempt may have arrived all the same.
    #[schema(required = false)]
    may_duplicate: bool,
    /// How many messages at most, 1 to 10000.
    #[schema(required = false, example = 10000)]
    limit: Option<usize>,
    /// The `next_cursor` of the request before.
    cursor: Option<String>,
}

/// What failed messages have in common.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct RetriesFilter {
    /// Of `failed`, `undelivered`, `refused`, `expired`, `suppressed`; all of them where it is absent.
    #[schema(required = false)]
    status: Vec<String>,
    /// Any of these error codes.
    #[schema(required = false)]
    code: Vec<u32>,
    /// Our sender.
    from: Option<String>,
    /// The person, by any of their addresses.
    to: Option<String>,
    /// Labelled so.
    tag: Option<String>,
    /// Accepted at this time or later: RFC 3339, or `7d`, `12h`, `30m` for that long ago.
    #[schema(example = "7d")]
    since: Option<String>,
    /// Accepted before this time.
    until: Option<String>,
}

/// A checked request.
#[derive(Clone, Debug)]
pub(in crate::http) struct Wish {
    pub(in crate::http) filter: Filter,
    codes: BTreeSet<u32>,
    pub(super) is_dry_run: bool,
    pub(super) may_duplicate: bool,
    pub(in crate::http) limit: usize,
    pub(in crate::http) cursor: Option<MessageId>,
}

impl Wish {
    /// Reads a JSON body.
    pub(in crate::http) fn read(body: &[u8], now: Time) -> Result<Self, Problem> {
        let mut fields = Fields::read(body, &FIELDS, Code::InvalidRetry)?;
        let filter = RetriesFilter::read(fields.within("filter", "filter.", &FILTER))?;
        let request = RetriesRequest {
            filter,
            dry_run: fields.take("dry_run", "true or false"),
            may_duplicate: fields.take("may_duplicate", "true or false"),
            limit: fields.take("limit", "a number"),
            cursor: fields.take("cursor", "a text"),
        };
        let limit = request.limit.unwrap_or(MAX_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            fields.wrong("limit", format!("must be 1 to {MAX_LIMIT}"));
        }
        let cursor = request.cursor.as_deref().map(str::parse).transpose().unwrap_or_else(|_| {
            fields.wrong("cursor", "is none: give the next_cursor of the request before, unchanged");
            None
        });
        fields.end()?;
        let codes: BTreeSet<_> = request.filter.code.iter().copied().collect();
        let filter = request.filter.check(&codes, now)?;
        let (is_dry_run, may_duplicate) = (request.dry_run, request.may_duplicate);
        Ok(Self { filter, codes, is_dry_run, may_duplicate, limit, cursor })
    }

    /// Whether a message that failed for this reason is meant.
    pub(super) fn has_code(&self, code: Option<u32>) -> bool {
        self.codes.is_empty() || code.is_some_and(|code| self.codes.contains(&code))
    }
}

impl RetriesFilter {
    fn read(mut fields: Fields) -> Result<Self, Problem> {
        let filter = Self {
            status: fields.take("status", "a list of statuses"),
            code: fields.take("code", "a list of numbers"),
            from: fields.take("from", "a text"),
            to: fields.take("to", "a text"),
            tag: fields.take("tag", "a text"),
            since: fields.take("since", "a text"),
            until: fields.take("until", "a text"),
        };
        if let Some(wrong) = filter.status.iter().find(|status| !FAILED.contains(&status.as_str())) {
            let wrong: String = wrong.chars().take(40).collect();
            fields.wrong("status", format!("{wrong} is no failure: the words are {}", FAILED.join(", ")));
        }
        if filter.code.len() > MAX_CODES {
            fields.wrong("code", format!("has more than {MAX_CODES} codes: leave it out to mean all"));
        }
        fields.end().map_err(|problem| Problem { code: Code::InvalidFilter, ..problem }).map(|()| filter)
    }

    fn check(self, codes: &BTreeSet<u32>, now: Time) -> Result<Filter, Problem> {
        let is_any = self.status.is_empty();
        let statuses = if is_any { FAILED.map(str::to_owned).into() } else { self.status.into_iter().collect() };
        let moment = |field, text: Option<&str>| {
            when::maybe(field, text, now).map_err(|problem| Problem { code: Code::InvalidFilter, ..problem })
        };
        Ok(Filter {
            statuses,
            // One code has an index; several are told apart when they are read.
            code: codes.first().copied().filter(|_| codes.len() == 1),
            from: self.from,
            to: self.to,
            tag: self.tag,
            since: moment("filter.since", self.since.as_deref())?,
            until: moment("filter.until", self.until.as_deref())?,
            ..Filter::default()
        })
    }
}
