//! `bluetick send`: one message, and what became of it.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::connection::{Connection, Reach, block_on};
use super::exit::{Answer, Trouble};
use super::table::{span, text};
use crate::clock::{Clock, Time};

/// Ends at which a message will not arrive.
const FAILED: [&str; 7] = ["unknown", "failed", "undelivered", "refused", "expired", "suppressed", "canceled"];

/// What to send.
#[derive(Clone, Debug, Args)]
pub struct SendArgs {
    /// The person: +4915100000001, or a WhatsApp user id.
    pub to: String,
    /// The text; the caption where there is a --media.
    #[arg(required_unless_present_any = ["template", "media"])]
    pub body: Option<String>,
    /// Who sends; else twilio.from of the configuration.
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// A template instead of text: HX and 32 hex digits.
    #[arg(long, value_name = "HX…", conflicts_with_all = ["body", "media"])]
    pub template: Option<String>,
    /// A variable of the template; may be repeated.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair, conflicts_with_all = ["body", "media"])]
    pub variables: Vec<(String, String)>,
    /// A file at a public address; may be repeated.
    #[arg(long, value_name = "URL")]
    pub media: Vec<String>,
    /// A template that goes instead when the person's 24-hour window is closed.
    #[arg(long, value_name = "HX…", conflicts_with = "template")]
    pub fallback: Option<String>,
    /// A variable of the fallback template; may be repeated.
    #[arg(long = "fallback-variable", value_name = "NAME=VALUE", value_parser = pair, requires = "fallback")]
    pub fallback_variables: Vec<(String, String)>,
    /// What it is for: who wants no marketing still gets the rest.
    #[arg(long, value_parser = ["marketing", "utility", "authentication"])]
    pub category: Option<String>,
    /// It may be sent again after a failure that leaves open whether it arrived.
    #[arg(long)]
    pub may_duplicate: bool,
    /// What to do if Twilio provably has no trace of it: send it again (once), hold it, or fail.
    #[arg(long, value_parser = ["resend_if_absent", "hold", "fail"])]
    pub on_unknown: Option<String>,
    /// Not after this time, as in 2026-11-23T14:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "expires_in")]
    pub expires_at: Option<String>,
    /// Not after this long from now: 90s, 15m, 2h, 1d.
    #[arg(long, value_name = "SPAN", value_parser = super::span::length)]
    pub expires_in: Option<Duration>,
    /// Your own name for the message.
    #[arg(long, value_name = "NAME")]
    pub reference: Option<String>,
    /// A label; may be repeated.
    #[arg(long = "tag", value_name = "NAME")]
    pub tags: Vec<String>,
    /// Whose turn comes first: high, normal or bulk.
    #[arg(long, value_parser = ["high", "normal", "bulk"])]
    pub priority: Option<String>,
    /// The same key twice sends once.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// How long to wait until it has left, up to 30s.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = super::span::wait)]
    pub wait: String,
    /// Which bluetick.
    #[command(flatten)]
    pub reach: Reach,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, as in 1=Ada")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Sends, waits a little, and says how it stands.
pub(super) fn run(args: &SendArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let connection = args.reach.connect()?;
    let message = block_on(post(&connection, args))?;
    match args.reach.json {
        true => writeln!(out, "{message}")?,
        false => out.write_all(show(&message).as_bytes())?,
    }
    let has_failed = message["status"].as_str().is_some_and(|status| FAILED.contains(&status));
    Ok(Answer::from_bool(!has_failed))
}

async fn post(connection: &Connection, args: &SendArgs) -> anyhow::Result<Value> {
    let key = args.idempotency_key.clone().unwrap_or_else(|| format!("cli-{}", Uuid::now_v7().simple()));
    let query = [("wait", args.wait.clone())];
    let sent = connection.post("/v1/messages", &query, &key, &args.draft(Clock::System.now())).await;
    sent.map_err(|error| match error.downcast_ref() {
        // Whether it was taken is not known; with the same key, trying again cannot send twice.
        Some(Trouble::Unavailable(_)) => {
            error.context(format!("not certain that it was taken: try again with --idempotency-key {key}"))
        }
        _ => error,
    })
}

impl SendArgs {
    fn draft(&self, now: Time) -> Value {
        let expires_at = self.expires_at.clone().or(self.expires_in.map(|wait| now.plus(wait).to_string()));
        let mut draft = Map::from_iter([("to".to_owned(), json!(self.to))]);
        let fields = [
            ("body", self.body.as_ref()),
            ("from", self.from.as_ref()),
            ("content_sid", self.template.as_ref()),
            ("reference", self.reference.as_ref()),
            ("priority", self.priority.as_ref()),
            ("category", self.category.as_ref()),
            ("on_unknown", self.on_unknown.as_ref()),
            ("expires_at", expires_at.as_ref()),
        ];
        draft.extend(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))));
        for (name, list) in [("media_url", &self.media), ("tags", &self.tags)] {
            if !list.is_empty() {
                draft.insert(name.to_owned(), json!(list));
            }
        }
        if !self.variables.is_empty() {
            draft.insert("variables".to_owned(), object(&self.variables));
        }
        if let Some(sid) = &self.fallback {
            let fallback = json!({"content_sid": sid, "variables": object(&self.fallback_variables)});
            draft.insert("fallback".to_owned(), fallback);
        }
        if self.may_duplicate {
            draft.insert("may_duplicate".to_owned(), json!(true));
        }
        Value::Object(draft)
    }
}

fn object(pairs: &[(String, String)]) -> Value {
    Value::Object(pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect())
}

/// The message in a line, and what is wrong or waited for below it.
pub(super) fn show(message: &Value) -> String {
    let mut lines = format!("{}  {}", text(&message["id"]), text(&message["status"]));
    if !message["sid"].is_null() {
        lines.push_str(&format!("  {}", text(&message["sid"])));
    }
    if !message["queue_ms"].is_null() {
        lines.push_str(&format!("  after {}", span(&message["queue_ms"])));
    }
    lines.push('\n');
    for why in ["held", "ended"] {
        if let Some(detail) = message[why]["detail"].as_str() {
            lines.push_str(&format!("  {detail}\n"));
        }
    }
    let error = &message["error"];
    if !error.is_null() {
        lines.push_str(&format!(
            "  {} {}\n  {}\n",
            text(&error["code"]),
            text(&error["title"]),
            text(&error["action"])
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;

    const NOW: Time = Time(1_700_000_000_000);

    fn parse(args: &[&str]) -> Result<SendArgs, clap::Error> {
        let cli = Cli::try_parse_from(["bluetick", "send"].iter().chain(args))?;
        match cli.command {
            Command::Send(args) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_was_said_is_sent() {
        let args = parse(&["+4915100000001", "hello", "--tag", "otp"]).expect("a command");
        assert_eq!(args.draft(NOW), json!({"to": "+4915100000001", "body": "hello", "tags": ["otp"]}));
        assert_eq!(args.wait, "10s");
    }

    #[test]
    fn a_template_has_variables_and_no_body() {
        let template = "HX00000000000000000000000000000001";
        let args = parse(&["+4915100000001", "--template", template, "--var", "1=Ada", "--var", "2=a=b"]);
        let expected = json!({"to": "+4915100000001", "content_sid": template, "variables": {"1": "Ada", "2": "a=b"}});
        assert_eq!(args.expect("a command").draft(NOW), expected);
        for wrong in [
            &["+49", "hi", "--template", template][..],
            &["+49"],
            &["+49", "hi", "--var", "1=x"],
            &["+49", "--template", template, "--var", "x"],
            &["+49", "--template", template, "--fallback", template],
            &["+49", "hi", "--fallback-variable", "1=x"],
            &["+49", "hi", "--category", "news"],
            &["+49", "hi", "--expires-in", "soon"],
            &["+49", "hi", "--expires-in", "1h", "--expires-at", "2026-11-23T14:00:00Z"],
        ] {
            assert_eq!(parse(wrong).expect_err("a mistake").exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn a_send_says_what_is_to_become_of_it() {
        let template = "HX00000000000000000000000000000001";
        let args = parse(&[
            "+49",
            "hi",
            "--fallback",
            template,
            "--fallback-variable",
            "1=Ada",
            "--category",
            "authentication",
            "--may-duplicate",
            "--on-unknown",
            "hold",
            "--expires-in",
            "15m",
        ]);
        let expected = json!({"to": "+49", "body": "hi", "category": "authentication", "may_duplicate": true,
            "fallback": {"content_sid": template, "variables": {"1": "Ada"}}, "on_unknown": "hold",
            "expires_at": "2023-11-14T22:28:20.000Z"});
        assert_eq!(args.expect("a command").draft(NOW), expected);
    }

    #[test]
    fn what_is_held_says_what_for() {
        let message = json!({"id": "msg_1", "status": "held", "held": {"detail": "Somebody held it."}});
        insta::assert_snapshot!(show(&message), @"
        msg_1  held
          Somebody held it.
        ");
    }

    #[test]
    fn a_failure_is_shown_with_what_to_do() {
        let message = json!({"id": "msg_1", "status": "undelivered", "sid": "SM1", "queue_ms": 12, "error": {
            "code": 63016, "title": "Outside the window", "action": "Send a template."}});
        insta::assert_snapshot!(show(&message), @"
        msg_1  undelivered  SM1  after 12 ms
          63016 Outside the window
          Send a template.
        ");
    }
}
