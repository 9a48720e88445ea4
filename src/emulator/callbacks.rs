//! The life of a message after it was taken, and what of it the app is told, as Twilio's WhatsApp callbacks tell it.

use std::time::Duration;

use super::chaos::Lot;
use super::contact;
use super::core::{Dice, Emulator, Happening};
use super::draft::Draft;
use super::exchange::Later;
use super::ledger::CallbackRow;
use super::message::Message;
use super::status::Status;
use crate::clock::Time;
use crate::twilio::wire::StatusCallback;

impl Emulator {
    /// A scheduled message's time has come: now the window counts, and now its life begins.
    pub(super) fn leave(&mut self, number: u64, now: Time, dice: &mut Dice) {
        let Some((draft, lot)) = self.scheduled.remove(&number) else { return };
        if self.book.get(number).is_none_or(|message| message.status != Status::Scheduled) {
            return;
        }
        let fate = self.fate(&draft, lot.fate, now);
        self.live(number, &draft, Lot { fate, ..lot }, now, dice);
    }

    /// Decides what becomes of a message that leaves now, and plans all of it.
    pub(super) fn live(&mut self, number: u64, draft: &Draft, lot: Lot, now: Time, dice: &mut Dice) {
        let mut life = contact::live(lot.fate, self.pace, self.has_chatter, draft.service.is_some(), dice);
        if let Some(message) = self.book.get_mut(number)
            && message.from.is_none()
        {
            message.from = Some(draft.sender.clone());
        }
        for beat in life.beats {
            let what = Happening::Step { number, status: beat.status, code: beat.code };
            self.plan(now.plus(beat.after), what);
        }
        for beat in life.callbacks {
            let what = Happening::Callback { number, status: beat.status, code: beat.code };
            let copies = if lot.is_chance { self.chaos.copies(dice) } else { vec![Duration::ZERO] };
            if copies.is_empty() {
                life.lost.push(beat);
            }
            for wait in copies {
                self.plan(now.plus(beat.after + wait), what.clone());
            }
        }
        for beat in life.lost {
            if let Some(row) = self.callback_row(number, beat.status, beat.code, "lost", now) {
                self.ledger.posted(row);
            }
        }
        if let Some((after, words)) = life.reply {
            self.plan(now.plus(after), Happening::Reply { number, words });
        }
    }

    /// A message moves on.
    pub(super) fn step(&mut self, number: u64, status: Status, code: Option<u32>, now: Time) {
        if let Some(message) = self.book.advance(number, status, code, now) {
            self.ledger.became(message.ledger_row, status, code, now);
        }
    }

    /// The app is told where a message stands, if it wants to be told.
    pub(super) fn call_back(
        &mut self,
        number: u64,
        status: Status,
        code: Option<u32>,
        now: Time,
        dice: &mut Dice,
    ) -> Option<Later> {
        let row = self.callback_row(number, status, code, "waiting", now)?;
        let message = self.book.get(number)?;
        let params = self.callback_form(message, status, code).to_params();
        Some(self.post(row, params, now, dice))
    }

    fn callback_row(
        &self,
        number: u64,
        status: Status,
        code: Option<u32>,
        outcome: &'static str,
        now: Time,
    ) -> Option<CallbackRow> {
        let message = self.book.get(number)?;
        let url = message.callback_url.clone()?;
        let sid = message.sid.clone();
        Some(CallbackRow { seq: 0, at: now, kind: "status", sid, status, code, url, outcome, tries: Vec::new() })
    }

    fn callback_form(&self, message: &Message, status: Status, code: Option<u32>) -> StatusCallback {
        let sid = message.sid.parse().expect("the emulator makes SIDs of the right form");
        let sender = message.from.as_deref().unwrap_or_default();
        let channel = self.senders.iter().find(|known| known.address == sender);
        let mut callback = StatusCallback::new(sid, status.word());
        callback.account_sid = Some(self.account.sid.clone());
        callback.from = message.from.clone();
        callback.to = Some(message.to.clone());
        callback.messaging_service_sid = message.service.clone();
        callback.channel_prefix = Some("whatsapp".to_owned());
        callback.channel_install_sid = channel.map(|sender| sender.sid.clone());
        callback.channel_to_address = Some(masked(&message.to));
        callback.event_type = match status {
            Status::Read => Some("READ".to_owned()),
            Status::Delivered => Some("DELIVERED".to_owned()),
            Status::Undelivered => Some("UNDELIVERED".to_owned()),
            _ => None,
        };
        if matches!(status, Status::Delivered | Status::Read) {
            callback.external_user_id = Some(user_id(&message.to));
        }
        if let Some(code) = code {
            callback.error_code = Some(code);
            callback.error_message = Some(super::failure::words(code).to_owned());
            callback.channel_status_message = Some(super::failure::words(code).to_owned());
        }
        if status == Status::Sent {
            callback.extra = vec![("StructuredMessage".to_owned(), message.is_template.to_string())];
        }
        callback
    }
}

/// The last four characters hidden, as newer callbacks have it.
fn masked(address: &str) -> String {
    let name = address.strip_prefix("whatsapp:").unwrap_or(address);
    let shown = name.char_indices().rev().nth(3).map_or(0, |(index, _)| index);
    format!("{}XXXX", &name[..shown])
}

/// The person's business-scoped id: itself if the address is one, else made of the number, so that it never changes.
pub(super) fn user_id(address: &str) -> String {
    let name = address.strip_prefix("whatsapp:").unwrap_or(address);
    match name.strip_prefix('+') {
        Some(digits) => format!("whatsapp:US.9{digits}"),
        None => format!("whatsapp:{name}"),
    }
}
