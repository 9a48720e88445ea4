//! `bluetick opt-out`: who does not want your messages.

use std::io::Write;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::{Connection, Reach, block_on, part};
use super::exit::Answer;
use super::table::{Table, text};

/// As many as a page of the API has.
const PAGE: usize = 200;

/// What to do about opt-outs.
#[derive(Clone, Debug, Args)]
pub struct OptOutArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done about opt-outs.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Show who does not want something, and how we know.
    List {
        /// How many people at most.
        #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 1_000)]
        limit: usize,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Write down that someone wants no messages, or no marketing.
    Add {
        /// The person: +4915100000001, or a WhatsApp user id.
        address: String,
        /// How much of what you send.
        #[arg(long, default_value = "all", value_parser = ["all", "marketing"])]
        scope: String,
        /// How you know, for whoever asks later.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Take it back. Do this only if they asked for it.
    Remove {
        /// The person.
        address: String,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
}

/// Lists, adds or removes.
pub(super) fn run(args: &OptOutArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    match &args.action {
        Action::List { limit, reach } => {
            let found = block_on(list(&reach.connect()?, *limit))?;
            print(&found, reach.json, out)?;
        }
        Action::Add { address, scope, note, reach } => {
            let body = json!({"scope": scope, "note": note});
            let path = format!("/v1/contacts/{}/opt-out", part(address));
            print(&block_on(reach.connect()?.change(Method::PUT, &path, Some(&body)))?, reach.json, out)?;
        }
        Action::Remove { address, reach } => {
            let path = format!("/v1/contacts/{}/opt-out", part(address));
            block_on(reach.connect()?.change(Method::DELETE, &path, None))?;
            match reach.json {
                true => writeln!(out, "{}", json!({"opt_outs": []}))?,
                false => writeln!(out, "{address} may be written to again")?,
            }
        }
    }
    Ok(Answer::Yes)
}

async fn list(connection: &Connection, limit: usize) -> anyhow::Result<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    let mut left = limit;
    while left > 0 {
        let query = [("limit", left.min(PAGE).to_string()), ("cursor", cursor)];
        let page = connection.show("/v1/opt-outs", &query).await?;
        found.extend(page["opt_outs"].as_array().into_iter().flatten().cloned());
        left = left.saturating_sub(PAGE);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    Ok(json!({"opt_outs": found}))
}

fn print(found: &Value, is_json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    if is_json {
        return Ok(writeln!(out, "{found}")?);
    }
    let rows = found["opt_outs"].as_array().map(Vec::as_slice).unwrap_or_default();
    match rows {
        [] => Ok(writeln!(out, "nobody has opted out")?),
        rows => Ok(out.write_all(table(rows).as_bytes())?),
    }
}

fn table(rows: &[Value]) -> String {
    let mut table = Table::new(&["contact", "wants no", "since", "how we know"]);
    for row in rows {
        let scope = if row["scope"] == "all" { "messages" } else { "marketing" };
        let because = match row["reason"].as_str() {
            Some("code") => format!("a message failed with {}", text(&row["code"])),
            Some("word") => format!("they wrote {:?}", text(&row["word"])),
            _ => row["note"].as_str().map_or("somebody wrote it down".to_owned(), str::to_owned),
        };
        table.row([text(&row["contact"]), scope.to_owned(), text(&row["since"]), because]);
    }
    table.show()
}

#[cfg(test)]
mod tests {
    use super::super::testing::House;
    use super::*;

    #[test]
    fn everybody_is_listed_with_how_we_know() {
        let rows = [
            json!({"contact": "whatsapp:+491", "scope": "marketing", "since": "2023-11-14T22:13:20Z", "reason": "code", "code": 63033}),
            json!({"contact": "whatsapp:+492", "scope": "all", "since": "2023-11-14T22:13:20Z", "reason": "word", "word": "stop"}),
            json!({"contact": "whatsapp:+493", "scope": "all", "since": "2023-11-14T22:13:20Z", "reason": "operator", "note": null}),
        ];
        insta::assert_snapshot!(table(&rows), @r#"
        contact        wants no   since                 how we know
        whatsapp:+491  marketing  2023-11-14T22:13:20Z  a message failed with 63033
        whatsapp:+492  messages   2023-11-14T22:13:20Z  they wrote "stop"
        whatsapp:+493  messages   2023-11-14T22:13:20Z  somebody wrote it down
        "#);
    }

    #[test]
    fn a_list_goes_on_page_by_page() {
        let house = House::open(|asked| match asked {
            "/v1/opt-outs?limit=200&cursor=" => Some(r#"{"opt_outs":[{"contact":"a"}],"next_cursor":"7"}"#.to_owned()),
            "/v1/opt-outs?limit=200&cursor=7" => {
                Some(r#"{"opt_outs":[{"contact":"b"}],"next_cursor":null}"#.to_owned())
            }
            _ => None,
        });
        let (answer, said) = house.run(&["opt-out", "list", "--json"]);
        assert_eq!(answer.expect("an answer"), Answer::Yes);
        assert_eq!(said, "{\"opt_outs\":[{\"contact\":\"a\"},{\"contact\":\"b\"}]}\n");
    }

    #[test]
    fn someone_is_added_and_removed_by_any_of_their_names() {
        let house = House::open(|asked| match asked {
            r#"PUT /v1/contacts/%2B49%20151/opt-out {"note":"by letter","scope":"marketing"}"# => Some(
                r#"{"opt_outs":[{"contact":"whatsapp:+49151","scope":"marketing","note":"by letter"}]}"#.to_owned(),
            ),
            "DELETE /v1/contacts/%2B49%20151/opt-out" => Some(String::new()),
            _ => None,
        });
        let add = ["opt-out", "add", "+49 151", "--scope", "marketing", "--note", "by letter"];
        let (answer, said) = house.run(&add);
        assert_eq!(answer.expect("an answer"), Answer::Yes);
        assert!(said.contains("whatsapp:+49151  marketing"), "{said}");
        assert_eq!(house.run(&["opt-out", "remove", "+49 151"]).1, "+49 151 may be written to again\n");
        assert!(house.run(&["opt-out", "remove", "+49 152"]).0.is_err());
    }
}
