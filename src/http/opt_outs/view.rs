//! How an opt-out looks.

use serde::Serialize;
use utoipa::ToSchema;

use crate::contact::{Contact, OptedOut, Reason};
use crate::http::sight::Sight;

/// Something a person does not want.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OptOut)]
pub(in crate::http) struct OptOutView {
    /// The person, by the name that was known first.
    #[schema(example = "whatsapp:+4915100000001")]
    contact: Option<String>,
    /// All their names, that one too.
    aliases: Vec<String>,
    /// `all`, or `marketing`: then the rest still goes.
    #[schema(example = "marketing")]
    scope: &'static str,
    since: String,
    /// How we know: `code` (a message failed with it), `word` (they wrote it) or `operator` (somebody wrote it down).
    #[schema(example = "word")]
    reason: &'static str,
    #[schema(example = 63033)]
    code: Option<u32>,
    #[schema(example = "stop")]
    word: Option<String>,
    note: Option<String>,
}

/// What a person does not want, the widest first.
pub(in crate::http) fn views(contact: &Contact, sight: Sight) -> Vec<OptOutView> {
    contact.opt_outs.iter().map(|opt_out| OptOutView::of(contact, opt_out, sight)).collect()
}

impl OptOutView {
    fn of(contact: &Contact, OptedOut { scope, at, reason }: &OptedOut, sight: Sight) -> Self {
        let (reason, code, word, note) = match reason.clone() {
            Reason::Code(code) => ("code", Some(code), None, None),
            Reason::Word(word) => ("word", None, Some(word), None),
            Reason::Operator(note) => ("operator", None, None, note),
        };
        Self {
            contact: contact.aliases.first().map(|name| sight.address(name)),
            aliases: contact.aliases.iter().map(|name| sight.address(name)).collect(),
            scope: scope.as_str(),
            since: at.to_string(),
            reason,
            code,
            word,
            note: sight.words(note),
        }
    }
}
