//! `bluetick quarantine`: webhooks that were refused because of their signature, why, and letting them in once it is repaired.

use std::io::Write;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::connection::{Connection, Reach, block_on};
use super::exit::{Answer, Trouble};
use super::table::{Table, distance, text};
use crate::clock::{Clock, Time};

/// What to do with what was refused.
#[derive(Clone, Debug, Args)]
pub struct QuarantineArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: QuarantineCommand,
}

/// What can be done with it.
#[derive(Clone, Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List what was refused within a day, without what it says.
    List {
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Say why one was refused: which URL was called, which token signed it, and what to do.
    Explain {
        /// Its number in the list; the newest, without.
        id: Option<u64>,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Let in what is right by what is configured now.
    Replay {
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Throw it all away.
    Empty {
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
}

/// Does it.
pub(super) fn run(args: &QuarantineArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    match &args.command {
        QuarantineCommand::List { reach } => {
            let listed = block_on(reach.connect()?.show("/v1/quarantine", &[]))?;
            match reach.json {
                true => writeln!(out, "{listed}")?,
                false => write!(out, "{}", table(&listed, Clock::System.now()))?,
            }
        }
        QuarantineCommand::Explain { id, reach } => {
            let said = block_on(explain(&reach.connect()?, *id))?;
            match reach.json {
                true => writeln!(out, "{said}")?,
                false => show(&said, out)?,
            }
        }
        QuarantineCommand::Replay { reach } => {
            let done = block_on(reach.connect()?.change(Method::POST, "/v1/quarantine/replays", None))?;
            let refused = done["still_refused"].as_u64().unwrap_or_default();
            match reach.json {
                true => writeln!(out, "{done}")?,
                false => writeln!(out, "{} let in, {refused} still refused", text(&done["let_in"]))?,
            }
            return Ok(Answer::from_bool(refused == 0));
        }
        QuarantineCommand::Empty { reach } => {
            block_on(reach.connect()?.change(Method::DELETE, "/v1/quarantine", None))?;
            writeln!(out, "the quarantine is empty")?;
        }
    }
    Ok(Answer::Yes)
}

async fn explain(connection: &Connection, id: Option<u64>) -> anyhow::Result<Value> {
    let id = match id {
        Some(id) => id,
        None => {
            let listed = connection.show("/v1/quarantine", &[]).await?;
            let newest = listed["data"][0]["id"].as_u64();
            newest.ok_or_else(|| Trouble::Refused("nothing was refused within a day".to_owned()))?
        }
    };
    connection.show(&format!("/v1/quarantine/{id}/diagnosis"), &[]).await
}

fn show(said: &Value, out: &mut dyn Write) -> anyhow::Result<()> {
    let certain = if said["certain"] == true { "proven" } else { "a guess" };
    writeln!(out, "{}\n  {} ({certain})", text(&said["sentence"]), text(&said["code"]))?;
    for (name, words) in [
        ("token", "signed with"),
        ("called", "called"),
        ("public_url", "public_url must be"),
        ("signed", "what was signed"),
    ] {
        if !said[name].is_null() {
            writeln!(out, "  {words}: {}", text(&said[name]))?;
        }
    }
    Ok(())
}

fn table(listed: &Value, now: Time) -> String {
    let mut table = Table::new(&["id", "when", "from", "path", "why", "bytes"]);
    for one in listed["data"].as_array().into_iter().flatten() {
        let when = distance(&one["at"], now);
        let cells = ["address", "path", "reason", "bytes"].map(|cell| text(&one[cell]));
        table.row([text(&one["id"]), when].into_iter().chain(cells));
    }
    table.show()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::House;
    use super::*;

    #[test]
    fn the_newest_is_explained_unless_another_is_named_and_what_stays_outside_is_a_no() {
        let house = House::open(|asked| {
            let said = |code: &str| json!({"code": code, "sentence": "Twilio called x.", "certain": true, "token": null, "signed": "xy"});
            match asked {
                "/v1/quarantine" => {
                    Some(json!({"data": [{"id": 9, "reason": "bad_signature"}, {"id": 7}]}).to_string())
                }
                "/v1/quarantine/9/diagnosis" => Some(said("host").to_string()),
                "/v1/quarantine/7/diagnosis" => Some(said("scheme").to_string()),
                "POST /v1/quarantine/replays" => Some(json!({"let_in": 3, "still_refused": 1}).to_string()),
                _ => None,
            }
        });
        let (_, said) = house.run(&["quarantine", "explain"]);
        assert_eq!(said, "Twilio called x.\n  host (proven)\n  what was signed: xy\n");
        assert!(house.run(&["quarantine", "explain", "7"]).1.contains("scheme"));
        let (answer, said) = house.run(&["quarantine", "replay"]);
        assert_eq!((answer.expect("an answer"), said.as_str()), (Answer::No, "3 let in, 1 still refused\n"));
        assert!(house.run(&["quarantine", "list"]).1.contains("bad_signature"));
    }
}
