//! Monitor alerts: what Twilio notes when the app's webhooks do not behave.
//!
//! Invariant: the newest 1,000 are kept.

use std::collections::VecDeque;

use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::core::Emulator;
use super::exchange::{Answer, Delivery, Refusal, Request};
use super::paging::{self, Links};
use super::query::Query;
use super::random_hex;
use crate::clock::Time;

/// Enough for a test to read, little enough to forget about.
const MAX_ALERTS: usize = 1_000;

/// What went wrong, and where.
#[derive(Clone, Debug)]
pub(super) struct Incident {
    pub(super) code: u32,
    pub(super) text: String,
    pub(super) url: String,
    pub(super) sid: String,
    pub(super) response_body: String,
}

#[derive(Clone, Debug)]
struct Alert {
    sid: String,
    at: Time,
    incident: Incident,
}

/// The alerts, newest first.
#[derive(Debug, Default)]
pub(super) struct Alerts(VecDeque<Alert>);

/// What went wrong with a webhook, as Twilio numbers it; `None` if nothing did.
pub(super) fn cause(delivery: &Delivery, is_inbound: bool) -> Option<(u32, String)> {
    match delivery {
        Delivery::Answered { status: 200..300, content_type, body } if is_inbound => unreadable(content_type, body),
        Delivery::Answered { status: 200..300, .. } => None,
        Delivery::Answered { status: 300..400, .. } => {
            Some((11216, "The webhook redirects, which loses its form: answer it where it is".to_owned()))
        }
        Delivery::Answered { status, .. } => Some((11200, format!("The webhook answered {status}"))),
        Delivery::NotConnected(why) => Some((11205, format!("No connection to the webhook: {why}"))),
        Delivery::TimedOut => Some((11203, "The webhook did not answer in time".to_owned())),
        Delivery::Broken(why) => Some((11206, format!("The webhook's answer broke off: {why}"))),
    }
}

/// An inbound webhook is answered with TwiML, or with nothing.
fn unreadable(content_type: &str, body: &str) -> Option<(u32, String)> {
    let body = body.trim();
    if body.is_empty() {
        return None;
    }
    if !content_type.contains("xml") {
        return Some((12300, format!("Content-Type {content_type:?} is not text/xml: answer TwiML, or 204")));
    }
    if !body.starts_with('<') {
        return Some((12100, "The answer is not XML".to_owned()));
    }
    let is_response = body.contains("<Response>") || body.contains("<Response/>") || body.contains("<Response />");
    (!is_response).then(|| (12102, "The root element of the answer is not Response".to_owned()))
}

impl Emulator {
    /// Notes an alert.
    pub(super) fn alert(&mut self, incident: Incident, now: Time, dice: &mut StdRng) {
        if self.alerts.0.len() >= MAX_ALERTS {
            self.alerts.0.pop_back();
        }
        self.alerts.0.push_front(Alert { sid: format!("NO{}", random_hex(dice)), at: now, incident });
    }

    /// `GET /v1/Alerts`.
    pub(super) fn list_alerts(&self, request: &Request) -> Result<Answer, Refusal> {
        let query = Query::of(request)?;
        let page = paging::offset(&query)?;
        let time = |name: &str| query.some(name).map(|text| moment(name, text)).transpose();
        let (start, end) = (time("StartDate")?, time("EndDate")?);
        let level = query.some("LogLevel").unwrap_or("error");
        let is_shown = |alert: &&Alert| {
            level == "error" && start.is_none_or(|at| alert.at >= at) && end.is_none_or(|at| alert.at <= at)
        };
        let all: Vec<_> = self.alerts.0.iter().filter(is_shown).collect();
        let shown: Vec<_> = page.take(&all).map(|alert| self.show(alert, &request.host)).collect();
        let meta = Links { request, key: "alerts", page, total: all.len() }.meta();
        Ok(Answer::json(200, &json!({"alerts": shown, "meta": meta})))
    }

    /// `GET /v1/Alerts/{sid}`.
    pub(super) fn fetch_alert(&self, sid: &str, request: &Request) -> Result<Answer, Refusal> {
        let alert = self.alerts.0.iter().find(|alert| alert.sid == sid);
        let alert = alert.ok_or_else(|| Refusal::not_found(&request.path))?;
        let mut shown = self.show(alert, &request.host);
        shown["response_body"] = alert.incident.response_body.as_str().into();
        shown["request_variables"] = Value::Null;
        Ok(Answer::json(200, &shown))
    }

    fn show(&self, Alert { sid, at, incident }: &Alert, host: &str) -> Value {
        let at = at.to_string();
        json!({
            "sid": sid, "account_sid": self.account.sid, "log_level": "error", "error_code": incident.code.to_string(),
            "alert_text": incident.text, "api_version": "2010-04-01", "request_method": "POST",
            "request_url": incident.url, "resource_sid": incident.sid, "service_sid": null,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", incident.code),
            "date_created": at, "date_generated": at, "date_updated": at,
            "url": format!("http://{host}/v1/Alerts/{sid}"),
        })
    }
}

/// A moment or a day, as the Monitor API takes both.
fn moment(name: &str, text: &str) -> Result<Time, Refusal> {
    let moment = text.parse::<jiff::Timestamp>().ok().or_else(|| format!("{text}T00:00:00Z").parse().ok());
    let moment = moment.ok_or_else(|| Refusal::new(400, 20001, format!("{name} is not an ISO 8601 time: {text}")))?;
    Ok(Time(moment.as_millisecond()))
}
