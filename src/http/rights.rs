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
    /// All that is needed, as words.
    pub(super) scopes: &'static [Scope],
    /// Where a change of it stands.
    pub(super) record: Record,
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

use Record::{Audit, AuditWithin, Journal, Nothing};
use Scope::{Erase, Events, Keys, Messages, Operate, People, Send};

const fn right(method: &'static str, path: &'static str, scopes: &'static [Scope], record: Record) -> Right {
    Right { method, path, scopes, record }
}

/// Every route behind `/v1` and `/admin/api`.
pub(super) const RIGHTS: &[Right] = &[
    right("GET", "/messages", &[Messages], Nothing),
    right("POST", "/messages", &[Send], Journal),
    right("GET", "/messages.csv", &[Messages], Nothing),
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
    right("DELETE", "/contacts/{address}", &[Erase, People], Audit),
    right("GET", "/contacts/{address}/export", &[Messages, People], Audit),
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
    right("POST", "/keys", &[Keys], AuditWithin),
    right("GET", "/keys/{id}", &[Keys], Nothing),
    right("DELETE", "/keys/{id}", &[Keys], AuditWithin),
    right("POST", "/keys/{id}/rotations", &[Keys], AuditWithin),
    right("GET", "/quarantine", &[Operate], Nothing),
    right("DELETE", "/quarantine", &[Operate], Audit),
    // What was signed holds what a person wrote.
    right("GET", "/quarantine/{id}/diagnosis", &[Operate, People], Nothing),
    right("POST", "/quarantine/replays", &[Operate], Audit),
    right("GET", "/secrets", &[Keys], Nothing),
    right("POST", "/secrets/recovery-key", &[Keys], AuditWithin),
    right("POST", "/secrets/master-key/rotations", &[Keys], AuditWithin),
    right("POST", "/secrets/{kind}/rotations", &[Keys], AuditWithin),
    right("DELETE", "/secrets/{kind}/rotations", &[Keys], AuditWithin),
    right("POST", "/secrets/{kind}/promotion", &[Keys], AuditWithin),
    right("POST", "/secrets/{kind}/revocation", &[Keys], AuditWithin),
    right("DELETE", "/secrets/{kind}/{generation}", &[Keys], AuditWithin),
    right("GET", "/audit", &[Scope::Audit], Nothing),
    right("GET", "/charts/{name}.svg", &[Messages], Nothing),
];

/// What a route needs; nothing, if nobody has said so.
pub(super) fn needed(method: &Method, pattern: &str) -> Option<&'static Right> {
    let path = pattern.strip_prefix("/v1").or_else(|| pattern.strip_prefix("/admin/api"))?;
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    RIGHTS.iter().find(|right| right.method == method && right.path == path)
}

/// Whether any method of a route is in the table.
pub(super) fn is_known(pattern: &str) -> bool {
    let path = pattern.strip_prefix("/v1").or_else(|| pattern.strip_prefix("/admin/api"));
    path.is_some_and(|path| RIGHTS.iter().any(|right| right.path == path))
}

impl Right {
    /// What of it somebody with these scopes lacks.
    pub(super) fn lacking(&self, has: Scopes) -> Scopes {
        self.scopes.iter().copied().collect::<Scopes>().without(has)
    }
}

#[cfg(test)]
mod tests;
