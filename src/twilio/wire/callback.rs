//! What Twilio says about a message we sent: one status, at a time it does not name.
//!
//! Invariant: only the SID and the status are needed; anything else may be missing, and what is new is kept.

use crate::message::Sid;
use crate::twilio::wire::form::{Fields, Form};
use crate::twilio::wire::{API_VERSION, BadField, Params};

/// The form Twilio posts to a status callback URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCallback {
    /// `MessageSid`, also sent as `SmsSid`.
    pub sid: Sid,
    /// `MessageStatus`, also sent as `SmsStatus`; a word Twilio may add to.
    pub status: String,
    /// `ErrorCode`, on failures.
    pub error_code: Option<u32>,
    /// `ErrorMessage`, seldom there.
    pub error_message: Option<String>,
    /// `AccountSid`.
    pub account_sid: Option<String>,
    /// `From`: our sender.
    pub from: Option<String>,
    /// `To`: the person, by phone number or by user id.
    pub to: Option<String>,
    /// `MessagingServiceSid`, if a service chose the sender.
    pub messaging_service_sid: Option<String>,
    /// `ChannelPrefix`: `whatsapp`.
    pub channel_prefix: Option<String>,
    /// `ChannelInstallSid`.
    pub channel_install_sid: Option<String>,
    /// `ChannelToAddress`: often masked, so never an address to send to.
    pub channel_to_address: Option<String>,
    /// `ChannelStatusMessage`: WhatsApp's own words on a failure.
    pub channel_status_message: Option<String>,
    /// `EventType`: `READ` and the like.
    pub event_type: Option<String>,
    /// `ExternalUserId`: the person's user id, on delivered and read.
    pub external_user_id: Option<String>,
    /// `ParentExternalUserId`.
    pub parent_external_user_id: Option<String>,
    /// `RawDlrDoneDate`: `YYMMDDhhmm`, SMS only.
    pub raw_dlr_done_date: Option<String>,
    /// Parameters we have no name for, bounded.
    pub extra: Params,
}

impl StatusCallback {
    /// A callback that says no more than it must.
    pub fn new(sid: Sid, status: impl Into<String>) -> Self {
        Self {
            sid,
            status: status.into(),
            error_code: None,
            error_message: None,
            account_sid: None,
            from: None,
            to: None,
            messaging_service_sid: None,
            channel_prefix: None,
            channel_install_sid: None,
            channel_to_address: None,
            channel_status_message: None,
            event_type: None,
            external_user_id: None,
            parent_external_user_id: None,
            raw_dlr_done_date: None,
            extra: Params::new(),
        }
    }

    /// Reads the decoded parameters; only `MessageSid`, `MessageStatus`, an address that is none and
    /// a parameter that says two things can fail it.
    pub fn from_params(params: &[(String, String)]) -> Result<Self, BadField> {
        let mut fields = Fields::of_callback(params)?;
        let mut callback = Self::new(fields.need("MessageSid")?, fields.need::<String>("MessageStatus")?);
        for twin in ["SmsSid", "SmsStatus", "ApiVersion"] {
            fields.take(twin);
        }
        callback.error_code = fields.take_number("ErrorCode").filter(|code| *code != 0);
        callback.error_message = fields.take_some("ErrorMessage");
        callback.account_sid = fields.take_some("AccountSid");
        callback.from = fields.take_address("From")?;
        callback.to = fields.take_address("To")?;
        callback.messaging_service_sid = fields.take_some("MessagingServiceSid");
        callback.channel_prefix = fields.take_some("ChannelPrefix");
        callback.channel_install_sid = fields.take_some("ChannelInstallSid");
        callback.channel_to_address = fields.take_some("ChannelToAddress");
        callback.channel_status_message = fields.take_some("ChannelStatusMessage");
        callback.event_type = fields.take_some("EventType");
        callback.external_user_id = fields.take_some("ExternalUserId");
        callback.parent_external_user_id = fields.take_some("ParentExternalUserId");
        callback.raw_dlr_done_date = fields.take_some("RawDlrDoneDate");
        callback.extra = fields.rest();
        Ok(callback)
    }

    /// The parameters Twilio would post.
    pub fn to_params(&self) -> Params {
        let sid = self.sid.to_string();
        let mut form = Form::default();
        form.put("MessageSid", &sid)
            .put("SmsSid", sid)
            .put("MessageStatus", &self.status)
            .put("SmsStatus", &self.status)
            .put("ApiVersion", API_VERSION)
            .put_some("AccountSid", self.account_sid.as_ref())
            .put_some("From", self.from.as_ref())
            .put_some("To", self.to.as_ref())
            .put_some("MessagingServiceSid", self.messaging_service_sid.as_ref())
            .put_some("ErrorCode", self.error_code.map(|code| code.to_string()).as_ref())
            .put_some("ErrorMessage", self.error_message.as_ref())
            .put_some("ChannelPrefix", self.channel_prefix.as_ref())
            .put_some("ChannelInstallSid", self.channel_install_sid.as_ref())
            .put_some("ChannelToAddress", self.channel_to_address.as_ref())
            .put_some("ChannelStatusMessage", self.channel_status_message.as_ref())
            .put_some("EventType", self.event_type.as_ref())
            .put_some("ExternalUserId", self.external_user_id.as_ref())
            .put_some("ParentExternalUserId", self.parent_external_user_id.as_ref())
            .put_some("RawDlrDoneDate", self.raw_dlr_done_date.as_ref());
        form.into_params(&self.extra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = "SM00000000000000000000000000000001";

    fn params(pairs: &[(&str, &str)]) -> Params {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_callback_reads_back_what_it_writes() {
        let mut callback = StatusCallback::new(SID.parse().expect("a sid"), "undelivered");
        callback.error_code = Some(63016);
        callback.account_sid = Some("AC00000000000000000000000000000001".into());
        callback.from = Some("whatsapp:+15550001111".into());
        callback.to = Some("whatsapp:US.13491208655302741918".into());
        callback.channel_status_message = Some("outside the window".into());
        callback.extra = params(&[("StructuredMessage", "false")]);
        assert_eq!(StatusCallback::from_params(&callback.to_params()), Ok(callback));
    }

    #[test]
    fn sid_and_status_are_enough_and_needed() {
        let least = params(&[("MessageSid", SID), ("MessageStatus", "sent")]);
        assert_eq!(StatusCallback::from_params(&least).map(|callback| callback.status), Ok("sent".into()));
        assert_eq!(StatusCallback::from_params(&least[1..]), Err(BadField::Missing("MessageSid")));
        assert_eq!(StatusCallback::from_params(&least[..1]), Err(BadField::Missing("MessageStatus")));
        let odd = params(&[("MessageSid", "SM1"), ("MessageStatus", "sent")]);
        assert_eq!(StatusCallback::from_params(&odd), Err(BadField::Malformed("MessageSid")));
        let torn = params(&[("MessageSid", SID), ("MessageStatus", "sent"), ("MessageStatus", "read")]);
        assert_eq!(StatusCallback::from_params(&torn), Err(BadField::Repeated));
        let twice = params(&[("MessageSid", SID), ("MessageStatus", "sent"), ("ErrorCode", "1"), ("ErrorCode", "2")]);
        assert_eq!(StatusCallback::from_params(&twice), Err(BadField::Repeated));
        let long = "x".repeat(161);
        let long = params(&[("MessageSid", SID), ("MessageStatus", "sent"), ("To", &long)]);
        assert_eq!(StatusCallback::from_params(&long), Err(BadField::Malformed("To")));
    }

    #[test]
    fn a_status_and_a_parameter_never_seen_before_are_kept() {
        let new = params(&[("MessageSid", SID), ("MessageStatus", "teleported"), ("Via", "Q"), ("ErrorCode", "E1")]);
        let callback = StatusCallback::from_params(&new).expect("a callback");
        assert_eq!(callback.status, "teleported");
        assert_eq!(callback.error_code, None);
        assert_eq!(callback.extra, params(&[("Via", "Q"), ("ErrorCode", "E1")]));
    }
}
