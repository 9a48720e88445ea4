//! `bluetick keys`: the API keys of the team's programs.

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::{Reach, block_on, part};
use super::exit::Answer;
use super::span::length;
use super::table::{Table, distance, text};
use crate::clock::{Clock, Time};

/// What to do with API keys.
#[derive(Clone, Debug, Args)]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KeysCommand,
}

/// What can be done with API keys.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// List them: what each may do, and when it was last used.
    List {
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Make one. Its secret is shown once.
    Create {
        /// What the key is for.
        name: String,
        /// What it may do, as words: send messages:read pii:read events:read operate erase keys:write audit:read users:write
        #[arg(long, value_name = "WORDS", default_value = "send messages:read pii:read events:read")]
        scopes: String,
        /// A network it may be used from, like 10.0.0.0/8; several times for several. Anywhere, without.
        #[arg(long, value_name = "NETWORK")]
        network: Vec<String>,
        /// When it ends to be good for anything, like 2027-01-31T00:00:00Z; never, without.
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Give one a new secret; the one it has opens too until the overlap is over.
    Rotate {
        /// Which: `ak_…`.
        id: String,
        /// How long both open, like 24h or 30m.
        #[arg(long, value_name = "TIME", value_parser = length, default_value = "24h")]
        overlap: Duration,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Revoke one: it opens nothing from now on.
    Revoke {
        /// Which: `ak_…`.
        id: String,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
}

/// Does it.
pub(super) fn run(args: &KeysArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let (reach, (method, path, body)) = request(&args.command);
    let connection = reach.connect()?;
    let answer = block_on(connection.change(method, &path, body.as_ref()))?;
    if reach.json {
        writeln!(out, "{answer}")?;
        return Ok(Answer::Yes);
    }
    match &args.command {
        KeysCommand::List { .. } => write!(out, "{}", table(&answer, Clock::System.now()))?,
        KeysCommand::Create { .. } | KeysCommand::Rotate { .. } => {
            writeln!(out, "{}", text(&answer["secret"]))?;
            let (id, name) = (text(&answer["id"]), text(&answer["name"]));
            writeln!(
                out,
                "  is the secret of {id} ({name}), and is not shown again. It may {}.",
                words(&answer["scopes"])
            )?;
            if !answer["retires_at"].is_null() {
                writeln!(out, "  The secret before it opens too until {}.", text(&answer["retires_at"]))?;
            }
        }
        KeysCommand::Revoke { .. } => {
            writeln!(out, "revoked {} ({}): it opens nothing any more", text(&answer["id"]), text(&answer["name"]))?;
        }
    }
    Ok(Answer::Yes)
}

/// Method, path and body.
type Request = (Method, String, Option<Value>);

fn request(command: &KeysCommand) -> (&Reach, Request) {
    match command {
        KeysCommand::List { reach } => (reach, (Method::GET, "/v1/keys".to_owned(), None)),
        KeysCommand::Create { name, scopes, network, expires_at, reach } => {
            let scopes: Vec<_> = scopes.split([' ', ',']).filter(|word| !word.is_empty()).collect();
            let body = json!({"name": name, "scopes": scopes, "networks": network, "expires_at": expires_at});
            (reach, (Method::POST, "/v1/keys".to_owned(), Some(body)))
        }
        KeysCommand::Rotate { id, overlap, reach } => {
            let body = json!({"overlap_s": overlap.as_secs()});
            (reach, (Method::POST, format!("/v1/keys/{}/rotations", part(id)), Some(body)))
        }
        KeysCommand::Revoke { id, reach } => (reach, (Method::DELETE, format!("/v1/keys/{}", part(id)), None)),
    }
}

fn table(answer: &Value, now: Time) -> String {
    let mut table = Table::new(&["id", "name", "state", "made", "last used", "used", "ends", "from", "may"]);
    for key in answer["data"].as_array().into_iter().flatten() {
        table.row([
            text(&key["id"]),
            text(&key["name"]),
            text(&key["state"]),
            distance(&key["created_at"], now),
            distance(&key["last_used_at"], now),
            text(&key["used"]),
            distance(&key["expires_at"], now),
            networks(&key["networks"]),
            words(&key["scopes"]),
        ]);
    }
    table.show()
}

fn networks(networks: &Value) -> String {
    let named = words(networks);
    if named.is_empty() { "anywhere".to_owned() } else { named }
}

fn words(scopes: &Value) -> String {
    scopes.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::testing::House;
    use super::*;

    #[test]
    fn a_key_is_asked_for_and_its_secret_shown_once() {
        let key = json!({"id": "ak_0123abcd", "name": "shop", "state": "active", "scopes": ["send"], "used": 3,
            "created_at": "2023-11-14T22:13:20Z", "last_used_at": null, "retires_at": null});
        let house = House::open(move |asked| {
            let mut made = key.clone();
            made["secret"] = "bt_0123abcd_x".into();
            match asked {
                "/v1/keys" => Some(json!({"data": [key]}).to_string()),
                "DELETE /v1/keys/ak_0123abcd" => Some(key.to_string()),
                r#"POST /v1/keys/ak_0123abcd/rotations {"overlap_s":1800}"# => Some(made.to_string()),
                asked if asked.starts_with("POST /v1/keys {") && asked.contains(r#""scopes":["send"]"#) => {
                    Some(made.to_string())
                }
                _ => None,
            }
        });
        let said = |args: &[&str]| {
            let (answer, said) = house.run(args);
            assert_eq!(answer.expect("an answer"), Answer::Yes);
            said
        };
        let made = said(&["keys", "create", "shop", "--scopes", "send"]);
        assert_eq!(made.lines().next(), Some("bt_0123abcd_x"));
        assert!(said(&["keys", "rotate", "ak_0123abcd", "--overlap", "30m"]).contains("ak_0123abcd (shop)"));
        assert!(said(&["keys", "revoke", "ak_0123abcd"]).starts_with("revoked ak_0123abcd (shop)"));
        let listed = said(&["keys", "list"]);
        assert!(listed.contains("ak_0123abcd  shop  active") && listed.contains("–"), "{listed}");
    }
}
