//! Which right each route needs: the whole table on one page.
//!
//! Invariant: a route that is not in it opens to nobody, whatever else they may do. What changes something is in the audit
//! log, unless it has a better record of its own.

use actix_web::http::Method;

use crate::keyring::{Scope, Scopes};

/// What a route needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Right {
    /// `GET` stands for `HEAD` too.
    pub(super) method: &'static str,
    /// Behind `/v1` and `/admin/api`.
    pub(super) path: &'static str,
    /// Behind which of them.
    pub(super) door: Door,
    /// All that is needed, as words.
    pub(super) scopes: &'static [Scope],
    /// Whether a person must have shown just now who they are.
    pub(super) is_grave: bool,
    /// Where a change of it stands.
    pub(super) record: Record,
}

/// Where a route is, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Behind `/v1` and `/admin/api`, for whoever has the scopes.
    Both,
    /// Behind `/admin/api` only, for people who have the scopes.
    Pages,
    /// There too, for everybody who is logged in: it is about themselves.
    Person,
    /// There too, for everybody: it is where people show who they are.
    Anybody,
}

/// Where it stands that something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// Nothing is changed.
    Nothing,
    /// In the journal of a message, which says who.
    Journal,
    /// In the audit log, once it is answered.
    Audit,
    /// In the audit log, in the same commit as the change itself.
    AuditWithin,
}

use Door::{Anybody, Both, Pages, Person};
use Record::{Audit, AuditWithin, Journal, Nothing};
use Scope::{Erase, Events, Keys, Messages, Operate, People, Send, Users};

const fn right(method: &'static str, path: &'static str, scopes: &'static [Scope], record: Record) -> Right {
    Right { method, path, door: Both, scopes, is_grave: false, record }
}

const fn pages(method: &'static str, path: &'static str, scopes: &'static [Scope], record: Record) -> Right {
    Right { door: Pages, ..right(method, path, scopes, record) }
}

const fn person(method: &'static str, path: &'static str, record: Record) -> Right {
    Right { door: Person, ..right(method, path, &[], record) }
}

const fn anybody(method: &'static str, path: &'static str, record: Record) -> Right {
    Right { door: Anybody, ..right(method, path, &[], record) }
}

/// The same, with nobody but whoever logged in sitting there for sure.
const fn grave(right: Right) -> Right {
    Right { is_grave: true, ..right }
}

/// Every route behind `/v1` and `/admin/api`.
pub(super) const RIGHTS: &[Right] = &[
    right("GET", "/messages", &[Messages], Nothing),
    right("POST", "/messages", &[Send], Journal),
    grave(right("GET", "/messages.csv", &[Messages], Nothing)),
    right("GET", "/messages/{id}", &[Messages], Nothing),
    right("GET", "/messages/{id}/journal", &[Messages], Nothing),
    right("POST", "/messages/{id}/cancel", &[Send], Journal),
    right("POST", "/messages/{id}/hold", &[Send], Journal),
    right("POST", "/messages/{id}/release", &[Send], Journal),
    right("POST", "/messages/{id}/retry", &[Send], Journal),
    right("POST", "/retries", &[Send], Audit),
    right("GET", "/pauses", &[Messages], Nothing),
    right("POST", "/pauses", &[Operate], Audit),
    right("DELETE", "/pauses/{scope}", &[Operate], Audit),
    right("GET", "/opt-outs", &[Messages], Nothing),
    right("GET", "/metrics", &[Messages], Nothing),
    right("GET", "/metrics/errors", &[Messages], Nothing),
    right("GET", "/metrics/senders/{sender}", &[Messages], Nothing),
    // Whoever may ask for a person by name learns whether we know them.
    right("GET", "/contacts/{address}", &[Messages, People], Nothing),
    grave(right("DELETE", "/contacts/{address}", &[Erase, People], Audit)),
    grave(right("GET", "/contacts/{address}/export", &[Messages, People], Audit)),
    right("GET", "/contacts/{address}/metrics", &[Messages, People], Nothing),
    right("PUT", "/contacts/{address}/opt-out", &[Send, People], Audit),
    right("DELETE", "/contacts/{address}/opt-out", &[Send, People], Audit),
    right("GET", "/inbound", &[Messages], Nothing),
    right("GET", "/senders", &[Messages], Nothing),
    right("GET", "/errors", &[Messages], Nothing),
    right("GET", "/errors/{code}", &[Messages], Nothing),
    right("GET", "/events", &[Events], Nothing),
    right("GET", "/status", &[Messages], Nothing),
    right("GET", "/verify", &[Operate], Nothing),
    right("GET", "/jobs", &[Messages], Nothing),
    right("POST", "/jobs/{name}/runs", &[Operate], Audit),
    right("GET", "/archive", &[Messages], Nothing),
    right("POST", "/archive/returns", &[Operate], Audit),
    right("GET", "/backups", &[Operate], Nothing),
    right("POST", "/backups", &[Operate], Audit),
    right("GET", "/keys", &[Keys], Nothing),
    grave(right("POST", "/keys", &[Keys], AuditWithin)),
    right("GET", "/keys/{id}", &[Keys], Nothing),
    grave(right("DELETE", "/keys/{id}", &[Keys], AuditWithin)),
    grave(right("POST", "/keys/{id}/rotations", &[Keys], AuditWithin)),
    right("GET", "/quarantine", &[Operate], Nothing),
    right("DELETE", "/quarantine", &[Operate], Audit),
    // What was signed holds what a person wrote.
    right("GET", "/quarantine/{id}/diagnosis", &[Operate, People], Nothing),
    right("POST", "/quarantine/replays", &[Operate], Audit),
    right("GET", "/secrets", &[Keys], Nothing),
    grave(right("POST", "/secrets/recovery-key", &[Keys], AuditWithin)),
    grave(right("POST", "/secrets/master-key/rotations", &[Keys], AuditWithin)),
    grave(right("POST", "/secrets/{kind}/rotations", &[Keys], AuditWithin)),
    grave(right("DELETE", "/secrets/{kind}/rotations", &[Keys], AuditWithin)),
    grave(right("POST", "/secrets/{kind}/promotion", &[Keys], AuditWithin)),
    grave(right("POST", "/secrets/{kind}/revocation", &[Keys], AuditWithin)),
    grave(right("DELETE", "/secrets/{kind}/{generation}", &[Keys], AuditWithin)),
    right("GET", "/audit", &[Scope::Audit], Nothing),
    pages("GET", "/charts/{name}.svg", &[Messages], Nothing),
    anybody("GET", "/setup", Nothing),
    anybody("POST", "/setup", AuditWithin),
    grave(pages("POST", "/setup/code", &[Users], Audit)),
    anybody("POST", "/session", AuditWithin),
    person("GET", "/session", Nothing),
    person("DELETE", "/session", AuditWithin),
    person("POST", "/session/step-up", AuditWithin),
    person("POST", "/session/password", AuditWithin),
    grave(person("POST", "/session/totp", AuditWithin)),
    grave(person("PUT", "/session/totp", AuditWithin)),
    grave(person("DELETE", "/session/totp", AuditWithin)),
    person("GET", "/sessions", Nothing),
    grave(pages("DELETE", "/sessions", &[Users], AuditWithin)),
    person("DELETE", "/sessions/{id}", AuditWithin),
    pages("GET", "/users", &[Users], Nothing),
    grave(pages("POST", "/users", &[Users], AuditWithin)),
    grave(pages("PUT", "/users/{name}", &[Users], AuditWithin)),
    grave(pages("DELETE", "/users/{name}", &[Users], AuditWithin)),
    grave(pages("POST", "/users/{name}/password", &[Users], AuditWithin)),
    grave(pages("DELETE", "/users/{name}/totp", &[Users], AuditWithin)),
];

/// What a route needs; nothing, if nobody has said so.
pub(super) fn needed(method: &Method, pattern: &str) -> Option<&'static Right> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    behind(pattern).find(|right| right.method == method)
}

/// Whether any method of a route is in the table.
pub(super) fn is_known(pattern: &str) -> bool {
    behind(pattern).next().is_some()
}

/// What the table says of a route.
fn behind(pattern: &str) -> impl Iterator<Item = &'static Right> {
    let (path, is_api) = match pattern.strip_prefix("/v1") {
        Some(path) => (Some(path), true),
        None => (pattern.strip_prefix("/admin/api"), false),
    };
    RIGHTS.iter().filter(move |right| path == Some(right.path) && (!is_api || right.door == Both))
}

impl Right {
    /// What of it somebody with these scopes lacks.
    pub(super) fn lacking(&self, has: Scopes) -> Scopes {
        self.scopes.iter().copied().collect::<Scopes>().without(has)
    }
}

#[cfg(test)]
mod tests;
