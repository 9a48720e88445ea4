//! What a person wrote to one of our senders, as Twilio passes it on.
//!
//! Invariant: every text in it is the outside's; nothing here is trusted, only kept.

use crate::message::Sid;
use crate::twilio::wire::form::{Fields, Form};
use crate::twilio::wire::{API_VERSION, BadField, Params};

/// Most attachments read of one message; WhatsApp sends one, Twilio's API knows up to ten.
pub const MAX_MEDIA: usize = 10;

/// One attachment: where Twilio keeps it, and what it says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `MediaUrl{N}`.
    pub url: String,
    /// `MediaContentType{N}`; empty if not named.
    pub content_type: String,
}

/// The form Twilio posts to the inbound webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundMessage {
    /// `MessageSid`, also sent as `SmsSid` and `SmsMessageSid`: the message's only identity.
    pub sid: Sid,
    /// `AccountSid`.
    pub account_sid: Option<String>,
    /// `From`: the person, by phone number or by user id.
    pub from: String,
    /// `To`: our sender.
    pub to: String,
    /// `Body`; empty beside media.
    pub body: String,
    /// `ProfileName`: what the person calls themselves.
    pub profile_name: Option<String>,
    /// `WaId`: usually the digits of the phone number.
    pub wa_id: Option<String>,
    /// `ExternalUserId`: the person's user id at this business.
    pub external_user_id: Option<String>,
    /// `ParentExternalUserId`.
    pub parent_external_user_id: Option<String>,
    /// `MessagingServiceSid`.
    pub messaging_service_sid: Option<String>,
    /// `MessageType`: text, image, location, button and others.
    pub message_type: Option<String>,
    /// `NumMedia`, as Twilio counted.
    pub num_media: u32,
    /// The attachments, at most [`MAX_MEDIA`].
    pub media: Vec<Media>,
    /// `ButtonText`: what the tapped button says.
    pub button_text: Option<String>,
    /// `ButtonPayload`: what the tapped button means.
    pub button_payload: Option<String>,
    /// `ButtonType`.
    pub button_type: Option<String>,
    /// `OptOutType`: STOP, START or HELP, when Twilio's own opt-out handled it.
    pub opt_out_type: Option<String>,
    /// `OriginalRepliedMessageSid`: the message this one answers.
    pub replied_sid: Option<String>,
    /// `Latitude`, in degrees as text.
    pub latitude: Option<String>,
    /// `Longitude`, in degrees as text.
    pub longitude: Option<String>,
    /// `Address` of a shared place.
    pub address: Option<String>,
    /// `Label` of a shared place.
    pub label: Option<String>,
    /// Parameters we have no name for, bounded.
    pub extra: Params,
}

impl InboundMessage {
    /// A message of plain text.
    pub fn new(sid: Sid, from: impl Into<String>, to: impl Into<String>, body: impl Into<String>) -> Self {
        Self {
            sid,
            account_sid: None,
            from: from.into(),
            to: to.into(),
            body: body.into(),
            profile_name: None,
            wa_id: None,
            external_user_id: None,
            parent_external_user_id: None,
            messaging_service_sid: None,
            message_type: None,
            num_media: 0,
            media: Vec::new(),
            button_text: None,
            button_payload: None,
            button_type: None,
            opt_out_type: None,
            replied_sid: None,
            latitude: None,
            longitude: None,
            address: None,
            label: None,
            extra: Params::new(),
        }
    }

    /// Reads the decoded parameters; `MessageSid`, `From` and `To` must be there.
    pub fn from_params(params: &[(String, String)]) -> Result<Self, BadField> {
        let mut fields = Fields::of_callback(params)?;
        let sid = fields.need("MessageSid")?;
        let from = fields.take_address("From")?.ok_or(BadField::Missing("From"))?;
        let to = fields.take_address("To")?.ok_or(BadField::Missing("To"))?;
        let mut message = Self::new(sid, from, to, fields.take("Body").unwrap_or_default());
        for twin in ["SmsSid", "SmsMessageSid", "SmsStatus", "NumSegments", "ApiVersion"] {
            fields.take(twin);
        }
        message.account_sid = fields.take_some("AccountSid");
        message.profile_name = fields.take_some("ProfileName");
        message.wa_id = fields.take_some("WaId");
        message.external_user_id = fields.take_some("ExternalUserId");
        message.parent_external_user_id = fields.take_some("ParentExternalUserId");
        message.messaging_service_sid = fields.take_some("MessagingServiceSid");
        message.message_type = fields.take_some("MessageType");
        message.num_media = fields.take_number("NumMedia").unwrap_or(0);
        message.media = take_media(&mut fields);
        message.button_text = fields.take_some("ButtonText");
        message.button_payload = fields.take_some("ButtonPayload");
        message.button_type = fields.take_some("ButtonType");
        message.opt_out_type = fields.take_some("OptOutType");
        message.replied_sid = fields.take_some("OriginalRepliedMessageSid");
        message.latitude = fields.take_some("Latitude");
        message.longitude = fields.take_some("Longitude");
        message.address = fields.take_some("Address");
        message.label = fields.take_some("Label");
        message.extra = fields.rest();
        Ok(message)
    }

    /// The parameters Twilio would post.
    pub fn to_params(&self) -> Params {
        let sid = self.sid.to_string();
        let mut form = Form::default();
        form.put("MessageSid", &sid)
            .put("SmsSid", &sid)
            .put("SmsMessageSid", sid)
            .put("SmsStatus", "received")
            .put("NumSegments", "1")
            .put("ApiVersion", API_VERSION)
            .put_some("AccountSid", self.account_sid.as_ref())
            .put("From", &self.from)
            .put("To", &self.to)
            .put("Body", &self.body)
            .put("NumMedia", self.num_media.to_string());
        for (number, media) in self.media.iter().enumerate() {
            form.put(&format!("MediaUrl{number}"), &media.url);
            form.put(&format!("MediaContentType{number}"), &media.content_type);
        }
        form.put_some("ProfileName", self.profile_name.as_ref())
            .put_some("WaId", self.wa_id.as_ref())
            .put_some("ExternalUserId", self.external_user_id.as_ref())
            .put_some("ParentExternalUserId", self.parent_external_user_id.as_ref())
            .put_some("MessagingServiceSid", self.messaging_service_sid.as_ref())
            .put_some("MessageType", self.message_type.as_ref())
            .put_some("ButtonText", self.button_text.as_ref())
            .put_some("ButtonPayload", self.button_payload.as_ref())
            .put_some("ButtonType", self.button_type.as_ref())
            .put_some("OptOutType", self.opt_out_type.as_ref())
            .put_some("OriginalRepliedMessageSid", self.replied_sid.as_ref())
            .put_some("Latitude", self.latitude.as_ref())
            .put_some("Longitude", self.longitude.as_ref())
            .put_some("Address", self.address.as_ref())
            .put_some("Label", self.label.as_ref());
        form.into_params(&self.extra)
    }
}

fn take_media(fields: &mut Fields) -> Vec<Media> {
    let next = |number: usize| {
        let url = fields.take_some(&format!("MediaUrl{number}"))?;
        let content_type = fields.take(&format!("MediaContentType{number}")).unwrap_or_default();
        Some(Media { url, content_type })
    };
    (0..MAX_MEDIA).map_while(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> InboundMessage {
        let sid = "MM00000000000000000000000000000002".parse().expect("a sid");
        InboundMessage::new(sid, "whatsapp:+4915100000002", "whatsapp:+15550001111", "Olá 👋")
    }

    #[test]
    fn a_message_reads_back_what_it_writes() {
        let media = Media { url: "https://media.example/1".into(), content_type: "image/jpeg".into() };
        let mut written = message();
        written.num_media = 1;
        written.media = vec![media];
        written.profile_name = Some("José Ñandú".into());
        written.button_payload = Some("yes".into());
        written.external_user_id = Some("whatsapp:US.13491208655302741918".into());
        written.extra = vec![("Forwarded".into(), "true".into())];
        assert_eq!(InboundMessage::from_params(&written.to_params()), Ok(written));
    }

    #[test]
    fn a_sender_known_only_by_user_id_is_read() {
        let mut written = message();
        written.from = "whatsapp:US.13491208655302741918".into();
        assert_eq!(InboundMessage::from_params(&written.to_params()), Ok(written));
    }

    #[test]
    fn an_empty_body_is_a_body_and_a_missing_sender_is_refused() {
        let mut params = message().to_params();
        params.retain(|(name, _)| name != "Body");
        assert_eq!(InboundMessage::from_params(&params).map(|read| read.body), Ok(String::new()));
        params.retain(|(name, _)| name != "From");
        assert_eq!(InboundMessage::from_params(&params), Err(BadField::Missing("From")));
    }

    #[test]
    fn no_more_media_is_read_than_there_can_be() {
        let mut written = message();
        written.media = vec![Media { url: "https://media.example/1".into(), content_type: String::new() }; 12];
        let read = InboundMessage::from_params(&written.to_params()).expect("a message");
        assert_eq!(read.media.len(), MAX_MEDIA);
    }
}
