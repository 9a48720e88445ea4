//! How a pause looks, and what waits for its end.

use serde::Serialize;
use utoipa::ToSchema;

use crate::message::explain;
use crate::metrics::Count;
use crate::pause::{Cause, Paused, Scope};
use crate::store::{Snapshot, StoreError};

/// Held messages are counted one by one, up to here.
const MAX_COUNTED: usize = 100_000;

/// Something that is held up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pause)]
pub(in crate::http) struct PauseView {
    /// `all`, `account`, `sender:` and an address, or `template:` and its SID.
    #[schema(example = "sender:whatsapp:+15550001111")]
    scope: String,
    since: String,
    /// `operator`, `failure` (of a message, with `code`), `credentials` (which Twilio refuses) or
    /// `restored` (from a backup: what was sent since is being found out).
    #[schema(example = "failure")]
    cause: &'static str,
    /// The error code that brought it about.
    #[schema(example = 63041)]
    code: Option<u32>,
    /// What the code means.
    title: Option<String>,
    /// What whoever paused it wrote, or what Twilio said.
    note: Option<String>,
    /// What to do about it.
    action: Option<String>,
    /// When the next message is let through, to see whether it is over; null if only a person can end it.
    probe_at: Option<String>,
    /// How many messages wait for its end.
    waiting: i64,
}

impl PauseView {
    pub(in crate::http) fn of(paused: &Paused, snapshot: &Snapshot, waiting: &Waiting) -> Result<Self, StoreError> {
        let (cause, code) = match paused.cause {
            Cause::Operator(_) => ("operator", None),
            Cause::Failure(code) => ("failure", Some(code)),
            Cause::Credentials(_) => ("credentials", None),
            Cause::Restored { .. } => ("restored", None),
        };
        let note = paused.cause.note();
        let failure = code.map(explain);
        Ok(Self {
            scope: paused.scope.to_string(),
            since: paused.since.to_string(),
            cause,
            code,
            title: failure.as_ref().map(|failure| failure.title.to_string()),
            note,
            action: failure.map(|failure| failure.action.to_string()),
            probe_at: paused.probe.map(|probe| probe.at.to_string()),
            waiting: match &paused.scope {
                Scope::All | Scope::Account => waiting.of_all(),
                Scope::Sender(name) => waiting.of(name),
                Scope::Template(sid) => {
                    i64::try_from(snapshot.held_for_template(sid, MAX_COUNTED)?).unwrap_or(i64::MAX)
                }
            },
        })
    }

    /// What is paused, and how many messages wait for it.
    pub(in crate::http) fn into_waiting(self) -> (String, i64) {
        (self.scope, self.waiting)
    }
}

/// How many messages of each sender wait for their turn.
#[derive(Debug, Default)]
pub(in crate::http) struct Waiting(Vec<(String, i64)>);

impl Waiting {
    pub(in crate::http) fn read(snapshot: &Snapshot) -> Result<Self, StoreError> {
        let senders = snapshot.senders()?.into_iter();
        let pending = senders.map(|(number, name)| Ok((name, snapshot.ever(number)?.get(Count::Pending))));
        pending.collect::<Result<_, _>>().map(Self)
    }

    fn of_all(&self) -> i64 {
        self.0.iter().map(|(_, pending)| pending).sum()
    }

    fn of(&self, sender: &str) -> i64 {
        self.0.iter().filter(|(name, _)| name == sender).map(|(_, pending)| pending).sum()
    }
}
