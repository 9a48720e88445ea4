//! `bluetick retry`: one message sent again, or all that failed, after a look at which and why.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::connection::{Connection, Reach, block_on};
use super::exit::{Answer, Trouble};
use super::send::show;
use super::split::Split;
use super::status::check_id;

/// Messages a request: a look is quick, and a retry shows how far it has come.
const LOOK: usize = 10_000;
const STEP: usize = 1_000;

/// What to send again.
#[derive(Clone, Debug, Args)]
pub struct RetryArgs {
    /// One message: msg_…, or Twilio's SM… or MM….
    #[arg(required_unless_present = "failed", conflicts_with = "failed")]
    pub id: Option<String>,
    /// All that failed.
    #[arg(long)]
    pub failed: bool,
    /// Only those that failed with this code; may be repeated.
    #[arg(long = "code", value_name = "CODE", conflicts_with = "id")]
    pub codes: Vec<u32>,
    /// Only those accepted at this time or later: 2026-11-23T14:00:00Z, or 7d, 12h, 30m ago.
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    pub since: Option<String>,
    /// Only those accepted before this time.
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    pub until: Option<String>,
    /// Only those of this sender.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "id")]
    pub from: Option<String>,
    /// Only those to this person.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "id")]
    pub to: Option<String>,
    /// Only those labelled so.
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    pub tag: Option<String>,
    /// Only say which would be sent again, which not, and why.
    #[arg(long, conflicts_with = "id")]
    pub dry_run: bool,
    /// Also what may have arrived all the same.
    #[arg(long)]
    pub may_duplicate: bool,
    /// Do not ask before many are sent again; asked is only who sits at a terminal.
    #[arg(long, short, conflicts_with = "id")]
    pub yes: bool,
    /// Which bluetick.
    #[command(flatten)]
    pub reach: Reach,
}

/// Sends one again, or many.
pub(super) fn run(args: &RetryArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    match &args.id {
        Some(id) => one(args, id, out),
        None => many(args, out),
    }
}

fn one(args: &RetryArgs, id: &str, out: &mut dyn Write) -> anyhow::Result<Answer> {
    check_id(id)?;
    let path = format!("/v1/messages/{id}/retry");
    let body = json!({"may_duplicate": args.may_duplicate});
    let message = block_on(args.reach.connect()?.change(Method::POST, &path, Some(&body)))?;
    match args.reach.json {
        true => writeln!(out, "{message}")?,
        false => out.write_all(show(&message).as_bytes())?,
    }
    Ok(Answer::Yes)
}

fn many(args: &RetryArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let connection = args.reach.connect()?;
    let hidden = ProgressBar::hidden();
    let look = block_on(ask(&connection, args, true, &hidden))?;
    if args.dry_run || look.retried() == 0 {
        print(&look, true, args, out)?;
        return Ok(Answer::Yes);
    }
    if !args.yes && io::stdin().is_terminal() && io::stderr().is_terminal() {
        eprint!("{}", look.show(true));
        if !is_wanted(look.retried(), &mut io::stdin().lock())? {
            return Err(Trouble::Refused("nothing was sent again".to_owned()).into());
        }
    }
    let bar = bar(look.matched());
    let done = block_on(ask(&connection, args, false, &bar));
    bar.finish_and_clear();
    print(&done?, false, args, out)?;
    Ok(Answer::Yes)
}

fn print(split: &Split, is_dry_run: bool, args: &RetryArgs, out: &mut dyn Write) -> io::Result<()> {
    match args.reach.json {
        true => writeln!(out, "{}", split.json(is_dry_run)),
        false => out.write_all(split.show(is_dry_run).as_bytes()),
    }
}

/// Asks until everything was looked at.
async fn ask(connection: &Connection, args: &RetryArgs, is_dry_run: bool, bar: &ProgressBar) -> anyhow::Result<Split> {
    let mut split = Split::default();
    let mut body = args.body(is_dry_run);
    loop {
        let answer = connection.change(Method::POST, "/v1/retries", Some(&body)).await?;
        split.add(&answer);
        bar.set_position(split.matched());
        match answer["next_cursor"].as_str() {
            Some(next) => body["cursor"] = json!(next),
            None => return Ok(split),
        }
    }
}

impl RetryArgs {
    fn body(&self, is_dry_run: bool) -> Value {
        let mut filter = Map::new();
        let texts = [
            ("since", &self.since),
            ("until", &self.until),
            ("from", &self.from),
            ("to", &self.to),
            ("tag", &self.tag),
        ];
        filter.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?)))));
        if !self.codes.is_empty() {
            filter.insert("code".to_owned(), json!(self.codes));
        }
        let limit = if is_dry_run { LOOK } else { STEP };
        json!({"filter": filter, "dry_run": is_dry_run, "may_duplicate": self.may_duplicate, "limit": limit})
    }
}

/// Asks whoever sits there; anything but a yes is a no.
fn is_wanted(count: u64, input: &mut dyn BufRead) -> io::Result<bool> {
    eprint!("Send {count} again? [y/N] ");
    let mut said = String::new();
    input.read_line(&mut said)?;
    Ok(matches!(said.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn bar(length: u64) -> ProgressBar {
    let bar = if io::stderr().is_terminal() { ProgressBar::new(length) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("sending again {wide_bar} {human_pos} of {human_len}, {eta} left");
    bar.with_style(style.expect("the template is right"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::testing::House;
    use super::super::{Cli, Command};
    use super::*;

    fn parse(args: &[&str]) -> Result<RetryArgs, clap::Error> {
        match Cli::try_parse_from(["bluetick", "retry"].iter().chain(args))?.command {
            Command::Retry(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_filter_needs_failed_and_one_message_needs_none() {
        let all = ["--failed", "--code", "63016", "--code", "63018", "--since", "7d", "--tag", "x", "--may-duplicate"];
        assert_eq!(
            parse(&all).expect("a command").body(true),
            json!({"filter": {"code": [63016, 63018], "since": "7d", "tag": "x"}, "dry_run": true,
                "may_duplicate": true, "limit": 10_000})
        );
        for wrong in [
            &[][..],
            &["--since", "7d"],
            &["msg_1", "--failed"],
            &["msg_1", "--dry-run"],
            &["msg_1", "--since", "7d"],
            &["--failed", "--code", "x"],
        ] {
            assert_eq!(parse(wrong).expect_err("a mistake").exit_code(), 2, "{wrong:?}");
        }
    }

    #[test]
    fn one_message_is_sent_again() {
        let house = House::open(|asked| {
            let expected = r#"POST /v1/messages/msg_1/retry {"may_duplicate":true}"#;
            (asked == expected).then(|| r#"{"id":"msg_1","status":"pending"}"#.to_owned())
        });
        let (answer, said) = house.run(&["retry", "msg_1", "--may-duplicate"]);
        assert_eq!((answer.expect("an answer"), said.as_str()), (Answer::Yes, "msg_1  pending\n"));
        let (answer, _) = house.run(&["retry", "msg_1"]);
        assert!(matches!(answer.expect_err("refused").downcast_ref(), Some(Trouble::Refused(_))));
    }

    /// A house that has 3 and 2 failed messages on two pages, and takes note of what was really retried.
    fn house() -> House {
        House::open(|asked| {
            let body: Value = serde_json::from_str(asked.strip_prefix("POST /v1/retries ")?).expect("JSON");
            let dry_run = &body["dry_run"];
            let page = |matched: u64, retried: u64, next: Value| {
                json!({"dry_run": dry_run, "matched": matched, "retried": retried, "never": matched - retried,
                    "more": !next.is_null(), "next_cursor": next, "by_code": [{"code": 63016, "class": "template",
                    "title": "Outside the window", "retried": retried, "never": matched - retried,
                    "reasons": {"outside_window": matched - retried}}]})
            };
            Some(if body["cursor"].is_null() { page(3, 1, json!("c")) } else { page(2, 1, Value::Null) }.to_string())
        })
    }

    #[test]
    fn a_dry_run_shows_the_split_of_all_pages() {
        let (answer, said) = house().run(&["retry", "--failed", "--since", "7d", "--dry-run"]);
        assert_eq!(answer.expect("an answer"), Answer::Yes);
        insta::assert_snapshot!(said, @"
        code   what                class     would be retried  never  why not
        63016  Outside the window  template                 2      3  3 outside_window
        all                                                 2      3

        5 failed: 2 would be retried, 3 would not.
        ");
        let (_, said) = house().run(&["retry", "--failed", "--dry-run", "--json"]);
        let said: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!((&said["dry_run"], &said["retried"], &said["matched"]), (&json!(true), &json!(2), &json!(5)));
    }

    #[test]
    fn a_real_run_says_what_was_done() {
        let (answer, said) = house().run(&["retry", "--failed", "--yes"]);
        assert_eq!(answer.expect("an answer"), Answer::Yes);
        assert!(said.ends_with("5 failed: 2 retried, 3 not.\n"), "{said}");
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        for (said, expected) in [("y\n", true), ("Yes\n", true), ("\n", false), ("no\n", false), ("", false)] {
            assert_eq!(is_wanted(3, &mut said.as_bytes()).expect("read"), expected, "{said:?}");
        }
    }
}
