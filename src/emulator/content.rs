//! Content templates and what WhatsApp says of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::core::Emulator;
use super::exchange::{Answer, Refusal, Request};
use super::options::TemplateOptions;
use super::paging::{self, Links};
use super::query::Query;

/// The text of a template with its variables filled in; what neither the sender nor the template gives stays `{{…}}`.
pub(super) fn fill(template: &TemplateOptions, variables: &BTreeMap<String, String>) -> String {
    let mut text = template.body.clone();
    for (name, value) in template.defaults.iter().filter(|(name, _)| !variables.contains_key(*name)).chain(variables) {
        text = text.replace(&format!("{{{{{name}}}}}"), value);
    }
    text
}

impl Emulator {
    /// `GET /v1/Content/{sid}`.
    pub(super) fn fetch_content(&self, sid: &str, request: &Request) -> Result<Answer, Refusal> {
        let template = self.template(sid).ok_or_else(|| Refusal::not_found(&request.path))?;
        Ok(Answer::json(200, &self.content(template, &request.host)))
    }

    /// `GET /v1/Content/{sid}/ApprovalRequests`.
    pub(super) fn fetch_approval(&self, sid: &str, request: &Request) -> Result<Answer, Refusal> {
        let template = self.template(sid).ok_or_else(|| Refusal::not_found(&request.path))?;
        let mut whatsapp = approval(template);
        whatsapp["type"] = "whatsapp".into();
        let url = format!("http://{}/v1/Content/{sid}/ApprovalRequests", request.host);
        Ok(Answer::json(200, &json!({"sid": sid, "account_sid": self.account.sid, "whatsapp": whatsapp, "url": url})))
    }

    /// `GET /v1/Content` and `GET /v1/ContentAndApprovals`.
    pub(super) fn list_content(&self, has_approvals: bool, request: &Request) -> Result<Answer, Refusal> {
        let page = paging::offset(&Query::of(request)?)?;
        let show = |template: &TemplateOptions| {
            let mut content = self.content(template, &request.host);
            if has_approvals {
                content["approval_requests"] = approval(template);
            }
            content
        };
        let shown = page.take(&self.options.templates).map(show).collect::<Vec<_>>();
        let meta = Links { request, key: "contents", page, total: self.options.templates.len() }.meta();
        Ok(Answer::json(200, &json!({"contents": shown, "meta": meta})))
    }

    /// A template by SID.
    pub(super) fn template(&self, sid: &str) -> Option<&TemplateOptions> {
        self.options.templates.iter().find(|template| template.sid == sid)
    }

    fn content(&self, template: &TemplateOptions, host: &str) -> Value {
        let url = format!("http://{host}/v1/Content/{}", template.sid);
        let at = self.started.to_string();
        json!({
            "sid": template.sid, "account_sid": self.account.sid, "friendly_name": template.name, "language": "en",
            "variables": template.defaults, "types": {"twilio/text": {"body": template.body}},
            "date_created": at, "date_updated": at,
            "links": {"approval_fetch": format!("{url}/ApprovalRequests"), "approval_create": format!("{url}/ApprovalRequests/whatsapp")},
            "url": url,
        })
    }
}

fn approval(template: &TemplateOptions) -> Value {
    json!({
        "name": template.name, "category": template.category, "content_type": "twilio/text", "status": template.approval,
        "rejection_reason": template.rejection_reason, "allow_category_change": true,
    })
}
