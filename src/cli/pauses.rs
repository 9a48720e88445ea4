//! `bluetick pause` and `bluetick resume`: the big switch, a sender's, and a template's.

use std::io::Write;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::{Connection, Reach, block_on, part};
use super::exit::Answer;
use super::table::{since, text};
use crate::clock::{Clock, Time};

/// What to pause.
#[derive(Clone, Debug, Args)]
pub struct PauseArgs {
    /// Only this sender: its number, or a Messaging Service; without it (and --template), everything.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "template")]
    pub sender: Option<String>,
    /// Only what uses this template.
    #[arg(long, value_name = "HX…")]
    pub template: Option<String>,
    /// Why, for whoever finds it paused.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Which bluetick.
    #[command(flatten)]
    pub reach: Reach,
}

/// What to resume.
#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("scope"))]
pub struct ResumeArgs {
    /// This sender: its number, or a Messaging Service.
    #[arg(long, value_name = "ADDRESS", group = "scope")]
    pub sender: Option<String>,
    /// What uses this template.
    #[arg(long, value_name = "HX…", group = "scope")]
    pub template: Option<String>,
    /// The account, which Twilio's answers paused.
    #[arg(long, group = "scope")]
    pub account: bool,
    /// Everything, as `bluetick pause` alone paused it; the same as saying nothing.
    #[arg(long, group = "scope")]
    pub all: bool,
    /// Which bluetick.
    #[command(flatten)]
    pub reach: Reach,
}

/// Pauses, and says what waits for it.
pub(super) fn pause(args: &PauseArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let scope = scope(args.sender.as_deref(), args.template.as_deref(), "all");
    let connection = args.reach.connect()?;
    let body = json!({"scope": scope, "note": args.note});
    let pause = block_on(connection.change(Method::POST, "/v1/pauses", Some(&body)))?;
    match args.reach.json {
        true => writeln!(out, "{pause}")?,
        false => writeln!(out, "paused {}", line(&pause, Clock::System.now()))?,
    }
    Ok(Answer::Yes)
}

/// Resumes, and says what is paused all the same.
pub(super) fn resume(args: &ResumeArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let otherwise = if args.account { "account" } else { "all" };
    let scope = scope(args.sender.as_deref(), args.template.as_deref(), otherwise);
    let left = block_on(go_on(&args.reach.connect()?, &scope))?;
    if args.reach.json {
        writeln!(out, "{}", json!({"resumed": scope, "pauses": left}))?;
        return Ok(Answer::Yes);
    }
    writeln!(out, "resumed {scope}")?;
    for pause in left.as_array().into_iter().flatten() {
        writeln!(out, "still paused: {}", line(pause, Clock::System.now()))?;
    }
    Ok(Answer::Yes)
}

async fn go_on(connection: &Connection, scope: &str) -> anyhow::Result<Value> {
    connection.change(Method::DELETE, &format!("/v1/pauses/{}", part(scope)), None).await?;
    Ok(connection.show("/v1/pauses", &[]).await?["pauses"].take())
}

fn scope(sender: Option<&str>, template: Option<&str>, otherwise: &str) -> String {
    let sender = sender.map(|sender| format!("sender:{sender}"));
    let template = template.map(|template| format!("template:{template}"));
    sender.or(template).unwrap_or_else(|| otherwise.to_owned())
}

/// A pause in a line.
pub(super) fn line(pause: &Value, now: Time) -> String {
    let mut line = format!("{} for {}", text(&pause["scope"]), since(&pause["since"], now));
    if !pause["code"].is_null() {
        line.push_str(&format!(": {} {}", text(&pause["code"]), text(&pause["title"])));
    } else if let Some(note) = pause["note"].as_str() {
        line.push_str(&format!(": {note}"));
    }
    if let Some(waiting) = pause["waiting"].as_i64() {
        line.push_str(&format!(", {waiting} waiting"));
    }
    line
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::super::exit::Trouble;
    use super::super::testing::House;
    use super::*;

    #[test]
    fn everything_is_paused_unless_something_is_named() {
        let house = House::open(|asked| {
            let body = asked.strip_prefix("POST /v1/pauses ")?;
            let body: Value = serde_json::from_str(body).expect("JSON");
            Some(json!({"scope": body["scope"], "since": "2023-11-14T22:13:20Z", "note": body["note"]}).to_string())
        });
        for (args, scope) in [
            (&["pause"][..], "all"),
            (&["pause", "--sender", "+15550001111"], "sender:+15550001111"),
            (&["pause", "--template", "HX1"], "template:HX1"),
        ] {
            let (answer, said) = house.run(args);
            assert_eq!(answer.expect("an answer"), Answer::Yes);
            assert!(said.starts_with(&format!("paused {scope} for ")), "{said}");
        }
        let (_, said) = house.run(&["pause", "--note", "release day", "--json"]);
        assert_eq!(serde_json::from_str::<Value>(&said).expect("JSON")["note"], "release day");
        for wrong in [&["pause", "--sender", "x", "--template", "y"][..], &["resume", "--all", "--account"]] {
            assert!(Cli::try_parse_from(["bluetick"].iter().chain(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_resumed_goes_on_and_what_is_paused_still_is_told() {
        let left = json!({"pauses": [{"scope": "account", "since": "2023-11-14T22:13:20Z", "code": 63007,
            "title": "No such sender", "waiting": 2}]});
        let house = House::open(move |asked| match asked {
            "DELETE /v1/pauses/sender%3A%2B15550001111" | "DELETE /v1/pauses/account" => Some(String::new()),
            "/v1/pauses" => Some(left.to_string()),
            _ => None,
        });
        let (answer, said) = house.run(&["resume", "--sender", "+15550001111"]);
        assert_eq!(answer.expect("an answer"), Answer::Yes);
        let mut lines = said.lines();
        assert_eq!(lines.next(), Some("resumed sender:+15550001111"));
        let still = lines.next().expect("a pause");
        assert!(
            still.starts_with("still paused: account for ") && still.ends_with(": 63007 No such sender, 2 waiting")
        );
        assert!(house.run(&["resume", "--account"]).0.is_ok());
        let (answer, _) = house.run(&["resume"]);
        assert!(matches!(answer.expect_err("not paused").downcast_ref(), Some(Trouble::Refused(_))));
    }
}
