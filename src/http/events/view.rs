//! How an event looks, with the names of whom it is about.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::event::{Event, Told};
use crate::http::sight::Sight;
use crate::message::{MessageId, OptOut};
use crate::store::{Snapshot, StoreError};

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(in crate::http) struct EventView {
    /// Its number; there are no gaps.
    #[schema(example = 123)]
    pub(super) seq: u64,
    /// When.
    #[schema(example = "2026-11-23T14:00:00.123Z")]
    at: String,
    /// `message.` and the new status, `message.updated`, `message.duplicate_detected`, `inbound.received`,
    /// `sending.paused`, `sending.resumed`, `contact.opted_out`, `contact.opted_in` or `secret.due`.
    #[schema(example = "message.delivered")]
    pub(super) r#type: String,
    /// The message it is about.
    message_id: Option<String>,
    /// The message's status after it.
    status: Option<String>,
    /// Twilio's name for the message, sent or received.
    sid: Option<String>,
    /// Our sender.
    #[schema(example = "whatsapp:+15550001111")]
    sender: Option<String>,
    /// The person, by the name that was known first.
    #[schema(example = "whatsapp:+4915100000001")]
    contact: Option<String>,
    /// The app's own name for the message.
    reference: Option<String>,
    /// Why it failed.
    #[schema(example = 63016)]
    code: Option<u32>,
    /// What is paused or resumed (`all`, `account`, `sender:…`, `template:…`), which secret is due, or what a person does not want (`all`,
    /// `marketing`, `none`).
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

impl EventView {
    /// An event that is about no message.
    fn about(seq: u64, at: String, r#type: String, scope: String) -> Self {
        Self {
            seq,
            at,
            r#type,
            message_id: None,
            status: None,
            sid: None,
            sender: None,
            contact: None,
            reference: None,
            code: None,
            scope: Some(scope),
        }
    }
}

/// The names behind the store's numbers, each looked up once a page.
pub(super) struct Names<'store> {
    snapshot: &'store Snapshot,
    sight: Sight,
    senders: HashMap<u32, String>,
    contacts: HashMap<u64, Option<String>>,
    messages: HashMap<MessageId, Option<Known>>,
}

/// What of a message its events show.
#[derive(Clone)]
struct Known {
    contact: u64,
    reference: Option<String>,
}

impl<'store> Names<'store> {
    pub(super) fn over(snapshot: &'store Snapshot, sight: Sight) -> Result<Self, StoreError> {
        let senders = snapshot.senders()?.into_iter().collect();
        Ok(Self { snapshot, sight, senders, contacts: HashMap::new(), messages: HashMap::new() })
    }

    /// The event with its names. Whoever was merged into another contact since is shown as that one.
    pub(super) fn show(&mut self, event: Event) -> Result<EventView, StoreError> {
        let (r#type, at, seq) = (event.told.name(), event.at.to_string(), event.seq);
        Ok(match event.told {
            Told::Message { id, status, sid, sender, contact, code, .. } => {
                let known = self.message(id)?;
                let contact = known.as_ref().map_or(contact, |known| known.contact);
                EventView {
                    seq,
                    at,
                    r#type,
                    message_id: Some(id.to_string()),
                    status: Some(status),
                    sid: sid.map(|sid| sid.to_string()),
                    sender: self.senders.get(&sender).cloned(),
                    contact: self.contact(contact)?,
                    reference: known.and_then(|known| known.reference),
                    code,
                    scope: None,
                }
            }
            Told::Inbound { sid, sender, contact } => {
                let contact = self.snapshot.inbound_by_sid(sid)?.map_or(contact, |inbound| inbound.contact);
                EventView {
                    seq,
                    at,
                    r#type,
                    message_id: None,
                    status: None,
                    sid: Some(sid.to_string()),
                    sender: self.senders.get(&sender).cloned(),
                    contact: self.contact(contact)?,
                    reference: None,
                    code: None,
                    scope: None,
                }
            }
            Told::Paused { scope, code } => EventView { code, ..EventView::about(seq, at, r#type, scope) },
            Told::Forgotten => EventView { scope: None, ..EventView::about(seq, at, r#type, String::new()) },
            Told::SecretDue { what } => EventView::about(seq, at, r#type, what),
            Told::Resumed { scope } => EventView::about(seq, at, r#type, scope),
            Told::OptedOut { contact, scope } => {
                let scope = scope.map_or("none", OptOut::as_str).to_owned();
                EventView { contact: self.contact(contact)?, ..EventView::about(seq, at, r#type, scope) }
            }
        })
    }

    fn message(&mut self, id: MessageId) -> Result<Option<Known>, StoreError> {
        if let Some(known) = self.messages.get(&id) {
            return Ok(known.clone());
        }
        let message = match self.snapshot.message(id) {
            // What cannot be read for now is told of by its number all the same.
            Err(StoreError::Archive(_)) => None,
            message => message?,
        };
        let known = message.map(|message| Known { contact: message.contact, reference: message.draft.reference });
        self.messages.insert(id, known.clone());
        Ok(known)
    }

    fn contact(&mut self, number: u64) -> Result<Option<String>, StoreError> {
        if let Some(name) = self.contacts.get(&number) {
            return Ok(name.clone());
        }
        let person = self.snapshot.person_by_number(number)?;
        let name = person.and_then(|person| person.contact.aliases.into_iter().next());
        let name = name.map(|name| self.sight.address(&name));
        self.contacts.insert(number, name.clone());
        Ok(name)
    }
}
