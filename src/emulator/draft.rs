//! What is asked of a create, checked as strictly as Twilio does, with its codes.
//!
//! Stricter than Twilio in one place: a parameter that does not exist is refused (20001), so that a typo cannot hide.

use std::collections::BTreeMap;
use std::time::Duration;

use super::content;
use super::core::Emulator;
use super::exchange::Refusal;
use super::options::ServiceOptions;
use super::query::Query;
use super::scenario::Scenario;
use crate::clock::Time;
use crate::twilio::wire::CreateMessage;

const MAX_BODY: usize = 1_600;
const MAX_MEDIA: usize = 10;
const SCHEDULE_FROM: Duration = Duration::from_secs(300);
const SCHEDULE_TO: Duration = Duration::from_secs(35 * 24 * 60 * 60);

/// Every parameter of the Messages resource, those without effect here included.
const PARAMETERS: [&str; 27] = [
    "To",
    "From",
    "MessagingServiceSid",
    "Body",
    "MediaUrl",
    "ContentSid",
    "ContentVariables",
    "StatusCallback",
    "ValidityPeriod",
    "ScheduleType",
    "SendAt",
    "ApplicationSid",
    "MaxPrice",
    "ProvideFeedback",
    "Attempt",
    "ForceDelivery",
    "ContentRetention",
    "AddressRetention",
    "SmartEncoded",
    "PersistentAction",
    "TrafficType",
    "ShortenUrls",
    "SendAsMms",
    "RiskCheck",
    "MessageIntent",
    "FallbackFrom",
    "StatusCallbackMethod",
];

/// A create that Twilio would accept.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) to: String,
    /// The sender, chosen by the service if need be.
    pub(super) sender: String,
    pub(super) service: Option<String>,
    pub(super) body: String,
    pub(super) media: Vec<String>,
    pub(super) template: Option<Template>,
    pub(super) callback_url: Option<String>,
    pub(super) send_at: Option<Time>,
}

/// What matters of a draft's template when it leaves.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) approval: String,
    pub(super) is_filled: bool,
}

impl Emulator {
    /// Checks a create.
    pub(super) fn draft(&self, form: &Query, now: Time) -> Result<Draft, Refusal> {
        if let Some((name, _)) = form.0.iter().find(|(name, _)| !PARAMETERS.contains(&name.as_str())) {
            return Err(Refusal::new(400, 20001, format!("Unknown parameter {name}")));
        }
        let create = CreateMessage::from_form(&form.0);
        let (sender, service) = self.sender_of(&create)?;
        check_recipient(&create.to, &sender)?;
        let (body, template) = self.content_of(&create)?;
        check_media(&create.media_url)?;
        let validity = form.some("ValidityPeriod").map(str::parse::<u32>);
        if validity.is_some_and(|seconds| !seconds.is_ok_and(|seconds| (1..=36_000).contains(&seconds))) {
            return Err(Refusal::new(400, 21624, "ValidityPeriod must be a number of seconds from 1 to 36000"));
        }
        if self.contacts.has_opted_out(&create.to, &sender) {
            return Err(Refusal::new(400, 21610, super::failure::words(21610)));
        }
        let callback_url = self.callback_of(&create, &sender, service)?;
        let send_at = send_at(form, service.is_some(), now)?;
        let service = service.map(|service| service.sid.clone());
        Ok(Draft { to: create.to, sender, service, body, media: create.media_url, template, callback_url, send_at })
    }

    /// How a draft fares that leaves now: as its scenario says, unless the 24-hour window or its template stops it.
    pub(super) fn fate(&self, draft: &Draft, scenario: Scenario, now: Time) -> Scenario {
        let has_window = !self.options.strict_window || self.contacts.has_open_window(&draft.to, &draft.sender, now);
        match &draft.template {
            Some(template) if !template.is_filled => Scenario::Fails(63028),
            _ if has_window => scenario,
            None => Scenario::Fails(63016),
            Some(template) => match template.approval.as_str() {
                "approved" => scenario,
                "rejected" => Scenario::Fails(63040),
                "paused" => Scenario::Fails(63041),
                "disabled" => Scenario::Fails(63042),
                _ => Scenario::Fails(63016),
            },
        }
    }

    fn sender_of(&self, create: &CreateMessage) -> Result<(String, Option<&ServiceOptions>), Refusal> {
        if create.to.is_empty() {
            return Err(Refusal::new(400, 21604, "A 'To' phone number is required."));
        }
        let service = create.messaging_service_sid.as_deref().map(|sid| self.service(sid)).transpose()?;
        match (&create.from, service) {
            (None, None) => Err(Refusal::new(400, 21603, "A 'From' or 'MessagingServiceSid' parameter is required.")),
            (None, Some(service)) => {
                let pool = service.senders.len();
                let chosen = create.to.bytes().map(usize::from).sum::<usize>().checked_rem(pool);
                let sender = chosen.and_then(|index| service.senders.get(index)).cloned();
                let sender = sender.ok_or_else(|| Refusal::new(400, 21704, "The Messaging Service has no senders"))?;
                Ok((sender, Some(service)))
            }
            (Some(from), service) => {
                self.check_from(from)?;
                if service.is_some_and(|service| !service.senders.contains(from)) {
                    return Err(Refusal::new(400, 21711, format!("{from} is not in the Messaging Service")));
                }
                Ok((from.clone(), service))
            }
        }
    }

    fn service(&self, sid: &str) -> Result<&ServiceOptions, Refusal> {
        if !(sid.len() == 34 && sid.starts_with("MG") && sid[2..].bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err(Refusal::new(400, 21705, format!("The Messaging Service Sid {sid} is invalid")));
        }
        let service = self.options.messaging_services.iter().find(|service| service.sid == sid);
        service.ok_or_else(|| Refusal::new(404, 21701, "The Messaging Service does not exist"))
    }

    fn check_from(&self, from: &str) -> Result<(), Refusal> {
        if self.senders.iter().any(|sender| sender.address == from) {
            return Ok(());
        }
        if from.starts_with("whatsapp:") {
            return Err(Refusal::new(400, 63007, "Twilio could not find a Channel with the specified From address"));
        }
        if is_phone(from) {
            let text = format!("The 'From' phone number {from} is not a message-capable Twilio number of this account");
            return Err(Refusal::new(400, 21606, text));
        }
        Err(Refusal::new(400, 21212, format!("Invalid From Number: {from}")))
    }

    fn content_of(&self, create: &CreateMessage) -> Result<(String, Option<Template>), Refusal> {
        let body = create.body.clone().unwrap_or_default();
        let Some(sid) = &create.content_sid else {
            if create.content_variables.is_some() && !body.is_empty() {
                return Err(Refusal::new(400, 35127, "Body and ContentVariables cannot be provided together"));
            }
            if body.is_empty() && create.media_url.is_empty() {
                return Err(Refusal::new(400, 21619, "A Message Body, Media URL or Content SID is required"));
            }
            if body.chars().count() > MAX_BODY {
                return Err(Refusal::new(400, 21617, "The concatenated message body exceeds the 1600 character limit"));
            }
            return Ok((body, None));
        };
        let template =
            self.template(sid).ok_or_else(|| Refusal::new(400, 21655, format!("The ContentSid {sid} is Invalid")))?;
        let variables: BTreeMap<String, String> =
            serde_json::from_str(create.content_variables.as_deref().unwrap_or("{}")).map_err(|_| {
                Refusal::new(400, 21656, "The ContentVariables Parameter is invalid: it is a JSON object of strings")
            })?;
        let body = content::fill(template, &variables);
        let is_filled = !body.contains("{{");
        Ok((body, Some(Template { approval: template.approval.clone(), is_filled })))
    }

    fn callback_of(
        &self,
        create: &CreateMessage,
        sender: &str,
        service: Option<&ServiceOptions>,
    ) -> Result<Option<String>, Refusal> {
        if let Some(url) = &create.status_callback {
            if !is_callback_url(url) {
                return Err(Refusal::new(400, 21609, format!("The StatusCallback URL {url} is not a valid URL.")));
            }
            return Ok(Some(url.clone()));
        }
        let of_service = service.and_then(|service| service.status_callback_url.clone());
        let of_sender = || self.senders.iter().find(|known| known.address == sender)?.webhook.status.clone();
        Ok(of_service.or_else(of_sender))
    }
}

fn check_recipient(to: &str, sender: &str) -> Result<(), Refusal> {
    let Some(name) = to.strip_prefix("whatsapp:") else {
        return match is_phone(to) {
            true => {
                Err(Refusal::new(400, 21910, "Invalid From and To pair. From and To should be of the same channel"))
            }
            false => Err(Refusal::new(400, 21211, format!("Invalid 'To' Phone Number: {to}"))),
        };
    };
    if !is_phone(name) && !is_user_id(name) {
        return Err(Refusal::new(400, 21211, format!("Invalid 'To' Phone Number: {to}")));
    }
    if to == sender {
        return Err(Refusal::new(400, 63031, "Channels message cannot have same From and To"));
    }
    Ok(())
}

fn check_media(urls: &[String]) -> Result<(), Refusal> {
    if urls.len() > MAX_MEDIA {
        return Err(Refusal::new(400, 21623, "Number of media files exceeds allowed limit"));
    }
    match urls.iter().find(|url| !is_callback_url(url)) {
        Some(url) => Err(Refusal::new(400, 21620, format!("Invalid media URL: {url}"))),
        None => Ok(()),
    }
}

fn send_at(form: &Query, is_pooled: bool, now: Time) -> Result<Option<Time>, Refusal> {
    let (kind, at) = (form.some("ScheduleType"), form.some("SendAt"));
    match (kind, at) {
        (None, None) => return Ok(None),
        (Some("fixed"), Some(_)) => {}
        (Some("fixed"), None) => return Err(Refusal::new(400, 35111, "SendAt timestamp is missing")),
        _ => return Err(Refusal::new(400, 35126, "ScheduleType must be fixed when SendAt is given")),
    }
    if !is_pooled {
        return Err(Refusal::new(400, 35118, "MessagingServiceSid is required to schedule a message"));
    }
    let at = at.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let at = at.ok_or_else(|| Refusal::new(400, 35114, "SendAt is not an ISO 8601 time like 2026-11-30T20:36:27Z"))?;
    let at = Time(at.as_millisecond());
    if !(now.plus(SCHEDULE_FROM)..=now.plus(SCHEDULE_TO)).contains(&at) {
        return Err(Refusal::new(400, 35117, "SendAt must be between 5 minutes and 35 days in the future"));
    }
    Ok(Some(at))
}

/// E.164.
pub(super) fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0')
}

/// `CC.` or `CC.ENT.` and up to 128 letters and digits.
pub(super) fn is_user_id(text: &str) -> bool {
    let Some((country, name)) = text.split_once('.') else { return false };
    let name = name.strip_prefix("ENT.").unwrap_or(name);
    let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    is_country && (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// `http(s)://host[:port]…` with a host Twilio takes: letters, digits, dots and dashes, no underscore. Unlike Twilio,
/// this lets loopback and private hosts through: that is where the app under test is.
fn is_callback_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    !host.is_empty() && host.bytes().all(is_host_byte) && is_port && !url.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_underscores_and_other_schemes_are_no_callback_urls() {
        for good in ["https://app.example.com/x", "http://127.0.0.1:8080/s#rc=2", "http://[::1]:9/x", "http://app:3000"]
        {
            assert!(is_callback_url(good), "{good}");
        }
        for bad in
            ["https://my_app.example.com/x", "ftp://a.example", "https://", "app.example.com", "https://a b.example"]
        {
            assert!(!is_callback_url(bad), "{bad}");
        }
    }

    #[test]
    fn people_have_numbers_or_user_ids() {
        assert!(is_phone("+4915100000001") && is_user_id("US.13491208655302741918") && is_user_id("DE.ENT.a1"));
        assert!(!is_phone("4915100000001") && !is_phone("+0151") && !is_user_id("usa.1") && !is_user_id("US."));
    }
}
