//! The Messages resource: create, fetch, cancel, redact, delete.
//!
//! Not here: what is asked of a create (`draft`), lists (`listing`), what becomes of a message (`callbacks`).

use std::time::Duration;

use serde_json::json;

use super::chaos::Lot;
use super::core::{Dice, Emulator, Happening};
use super::draft::Draft;
use super::exchange::{Answer, How, Refusal, Request};
use super::fault::{bent, stopped};
use super::ledger::{CreateRow, StatusRow};
use super::message::Message;
use super::query::Query;
use super::random_hex;
use super::scenario::Scenario;
use super::status::Status;
use crate::clock::Time;
use crate::twilio::wire::{Media, format_date};

/// How long lists do not show a message of `listed_late`.
const LISTED_LATE: Duration = Duration::from_secs(60);

impl Emulator {
    /// `POST …/Messages.json`.
    pub(super) fn create_message(&mut self, request: &Request, now: Time, dice: &mut Dice) -> Result<Answer, Refusal> {
        let form = Query::of_body(request)?;
        let lot = self.lot(&form, dice);
        let is_full =
            usize::try_from(self.ledger.counts.waiting).unwrap_or(usize::MAX) >= self.options.max_callbacks_waiting;
        if lot.answer.stops_create() || is_full {
            let (answer, code) = stopped(lot.answer);
            let row = self.row(&form, &answer_word(&answer), lot.answer, now);
            self.ledger.created(CreateRow { code, ..row });
            return Ok(answer);
        }
        match self.draft(&form, now).and_then(|draft| self.room_for(draft)) {
            Err(refusal) => Ok(self.refuse(&form, &refusal, lot.fate, now, dice)),
            Ok(_) if matches!(lot.fate, Scenario::Fails(20_000..=29_999)) => {
                let Scenario::Fails(code) = lot.fate else { unreachable!("the arm's own pattern") };
                let refusal = Refusal::new(400, code, super::failure::words(code));
                Ok(self.refuse(&form, &refusal, lot.fate, now, dice))
            }
            Ok(draft) => Ok(self.accept(&form, draft, lot, now, dice)),
        }
    }

    /// How a create fares: as was chosen for it, else as chance has it.
    fn lot(&mut self, form: &Query, dice: &mut Dice) -> Lot {
        match self.script.next(form.get("To").unwrap_or_default()) {
            Scenario::Normal => self.chaos.lot(form.some("ContentSid").is_some(), dice),
            scenario => Lot::chosen(scenario),
        }
    }

    fn room_for(&mut self, draft: Draft) -> Result<Draft, Refusal> {
        let refusal =
            || Refusal::new(429, 21611, "This 'From' number has exceeded the maximum number of queued messages");
        if self.book.make_room() { Ok(draft) } else { Err(refusal()) }
    }

    /// Takes a message and answers as its lot has it.
    fn accept(&mut self, form: &Query, draft: Draft, lot: Lot, now: Time, dice: &mut Dice) -> Answer {
        let is_rich = draft.template.is_some() || !draft.media.is_empty();
        let sid = format!("{}{}", if is_rich { "MM" } else { "SM" }, random_hex(dice));
        let status = match (&draft.send_at, &draft.service) {
            (Some(_), _) => Status::Scheduled,
            (None, Some(_)) => Status::Accepted,
            (None, None) => Status::Queued,
        };
        let media = |url: &String| Media { url: url.clone(), content_type: String::new() };
        let fate = self.fate(&draft, lot.fate, now);
        let lag = if lot.answer == Scenario::ListedLate { LISTED_LATE } else { self.chaos.list_lag(dice) };
        let mut message = Message {
            sid: sid.clone(),
            direction: "outbound-api",
            from: draft.service.is_none().then(|| draft.sender.clone()),
            to: draft.to.clone(),
            service: draft.service.clone(),
            body: draft.body.clone(),
            media: draft.media.iter().map(media).collect(),
            is_template: draft.template.is_some(),
            status,
            code: None,
            created: now,
            sent: None,
            updated: now,
            callback_url: draft.callback_url.clone(),
            listed_from: now.plus(lag),
            ledger_row: None,
        };
        let mut answer = Answer::json(201, &message.resource(&self.account.sid));
        answer.headers.push(("Twilio-Request-Id", format!("RQ{}", &sid[2..])));
        let answer = bent(answer, lot.answer);
        let struck = if lot.is_chance && lot.answer != Scenario::Normal { lot.answer } else { fate };
        let row = self.row(form, &answer_word(&answer), struck, now);
        let row = CreateRow {
            outcome: "accepted",
            sid: Some(sid),
            from: Some(draft.sender.clone()),
            body: draft.body.clone(),
            status: Some(status),
            statuses: vec![StatusRow { status, at: now }],
            ..row
        };
        message.ledger_row = Some(self.ledger.created(row));
        let send_at = draft.send_at;
        let number = self.book.insert(message);
        match send_at {
            Some(at) => {
                self.scheduled.insert(number, (draft, lot));
                self.plan(at, Happening::Leave { number });
            }
            None => self.live(number, &draft, Lot { fate, ..lot }, now, dice),
        }
        answer
    }

    /// Answers a refusal and writes it down. Like Twilio's, the list of messages shows it as failed.
    fn refuse(&mut self, form: &Query, refusal: &Refusal, scenario: Scenario, now: Time, dice: &mut Dice) -> Answer {
        let is_listed = refusal.status == 400 && form.some("To").is_some() && self.book.make_room();
        let sid = is_listed.then(|| format!("SM{}", random_hex(dice)));
        if let Some(sid) = &sid {
            self.book.insert(Message {
                sid: sid.clone(),
                direction: "outbound-api",
                from: form.some("From").map(str::to_owned),
                to: form.some("To").unwrap_or_default().to_owned(),
                service: form.some("MessagingServiceSid").map(str::to_owned),
                body: form.get("Body").unwrap_or_default().to_owned(),
                media: Vec::new(),
                is_template: false,
                status: Status::Failed,
                code: Some(refusal.code),
                created: now,
                sent: None,
                updated: now,
                callback_url: None,
                listed_from: now,
                ledger_row: None,
            });
        }
        let answer = refusal.answer();
        let row = self.row(form, &answer_word(&answer), scenario, now);
        self.ledger.created(CreateRow { sid, code: Some(refusal.code), ..row });
        answer
    }

    /// A refused create's row, as the form has it.
    fn row(&self, form: &Query, answer: &str, scenario: Scenario, now: Time) -> CreateRow {
        let text = |name: &str| form.some(name).map(str::to_owned);
        CreateRow {
            seq: 0,
            at: now,
            outcome: "refused",
            answer: answer.to_owned(),
            sid: None,
            code: None,
            to: text("To").unwrap_or_default(),
            from: text("From"),
            messaging_service_sid: text("MessagingServiceSid"),
            body: text("Body").unwrap_or_default(),
            content_sid: text("ContentSid"),
            media_url: form.0.iter().filter(|pair| pair.0 == "MediaUrl").map(|pair| pair.1.clone()).collect(),
            status_callback: text("StatusCallback"),
            scenario,
            status: None,
            statuses: Vec::new(),
        }
    }

    /// `GET …/Messages/{sid}.json`.
    pub(super) fn fetch_message(&self, sid: &str, request: &Request) -> Result<Answer, Refusal> {
        let message = self.book.number(sid).and_then(|number| self.book.get(number));
        let message = message.ok_or_else(|| Refusal::not_found(&request.path))?;
        Ok(Answer::json(200, &message.resource(&self.account.sid)))
    }

    /// `POST …/Messages/{sid}.json`: `Status=canceled` while it is scheduled, or `Body=` to redact.
    pub(super) fn update_message(&mut self, sid: &str, request: &Request, now: Time) -> Result<Answer, Refusal> {
        let form = Query::of_body(request)?;
        let number = self.book.number(sid).ok_or_else(|| Refusal::not_found(&request.path))?;
        match (form.get("Status"), form.get("Body")) {
            (Some("canceled"), _) => self.cancel(number, now)?,
            (Some(other), _) => return Err(Refusal::new(400, 20001, format!("Status cannot be set to {other}"))),
            (None, Some("")) => self.redact(number, now),
            (None, Some(_)) => return Err(Refusal::new(400, 20001, "Body can only be made empty")),
            (None, None) => return Err(Refusal::new(400, 20001, "Give Status=canceled, or an empty Body to redact")),
        }
        self.fetch_message(sid, request)
    }

    fn cancel(&mut self, number: u64, now: Time) -> Result<(), Refusal> {
        if self.book.get(number).is_none_or(|message| message.status != Status::Scheduled) {
            return Err(Refusal::new(409, 30409, "This message cannot be canceled: it is not scheduled any more"));
        }
        self.scheduled.remove(&number);
        self.step(number, Status::Canceled, None, now);
        self.plan(now, Happening::Callback { number, status: Status::Canceled, code: None });
        Ok(())
    }

    fn redact(&mut self, number: u64, now: Time) {
        if let Some(message) = self.book.get_mut(number) {
            message.body.clear();
            message.updated = now;
        }
    }

    /// `DELETE …/Messages/{sid}.json`.
    pub(super) fn delete_message(&mut self, sid: &str, request: &Request) -> Result<Answer, Refusal> {
        let number = self.book.number(sid).ok_or_else(|| Refusal::not_found(&request.path))?;
        if self.book.get(number).is_some_and(|message| !message.status.is_final()) {
            return Err(Refusal::new(409, 20009, "Cannot delete this resource before it is complete"));
        }
        self.book.remove(number);
        Ok(Answer::empty())
    }

    /// `GET …/Messages/{sid}/Media.json`.
    pub(super) fn list_media(&self, sid: &str, request: &Request) -> Result<Answer, Refusal> {
        let message = self.book.number(sid).and_then(|number| self.book.get(number));
        let message = message.ok_or_else(|| Refusal::not_found(&request.path))?;
        let at = format_date(message.created.0);
        let media: Vec<_> = (message.media.iter().enumerate())
            .map(|(index, media)| {
                // A media's SID is its message's, counted on: found again without being kept.
                let name = format!("ME{}{index:x}", &sid[2..33]);
                let uri = format!("{}/{name}.json", request.path.trim_end_matches(".json"));
                json!({"sid": name, "account_sid": self.account.sid, "parent_sid": sid, "uri": uri,
                    "content_type": media.content_type, "date_created": at, "date_updated": at})
            })
            .collect();
        let end = media.len().saturating_sub(1);
        Ok(Answer::json(
            200,
            &json!({"media_list": media, "page": 0, "page_size": 50, "start": 0, "end": end, "uri": request.path,
                "first_page_uri": request.path, "previous_page_uri": null, "next_page_uri": null}),
        ))
    }
}

fn answer_word(answer: &Answer) -> String {
    if answer.how == How::Reset { "reset".to_owned() } else { answer.status.to_string() }
}
