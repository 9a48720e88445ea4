//! `bluetick secrets`: how every secret stands, and its rotation; in an emergency, its end.

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::{Reach, block_on};
use super::exit::{Answer, Trouble};
use super::table::{Table, distance, text};
use super::unseen;
use crate::audit::{Actor, Deed};
use crate::clock::{Clock, Time};
use crate::custody::{self, MASTER_KEY};
use crate::keyring::{Secret, VaultKey};
use crate::store::{Act, FILE, Govern, Store};

/// A secret is a line.
const MAX_INPUT: u64 = 4_096;
/// Memory for the pages of a data file that is opened for one commit.
const CACHE_BYTES: usize = 16 << 20;

/// What to do with secrets.
#[derive(Clone, Debug, Args)]
pub struct SecretsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SecretsCommand,
}

/// Which secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// The account's auth token at Twilio: it signs callbacks, and opens its API.
    TwilioAuthToken,
    /// An API key at Twilio: it opens the API, and signs nothing.
    TwilioApiKey,
    /// What access tokens are signed with.
    Jwt,
    /// What opens the others at rest.
    MasterKey,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::TwilioAuthToken => "twilio_auth_token",
            Self::TwilioApiKey => "twilio_api_key",
            Self::Jwt => "jwt",
            Self::MasterKey => "master_key",
        }
    }
}

/// What can be done with secrets.
#[derive(Clone, Debug, Subcommand)]
pub enum SecretsCommand {
    /// Show every secret's state, age and use; never its value.
    Status {
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Rotate one: the auth token by Twilio's API (it says first who else loses access), what is bluetick's own at once.
    Rotate {
        /// Which.
        kind: Kind,
        /// Read the new one from standard input, where bluetick cannot make it.
        #[arg(long)]
        value_stdin: bool,
        /// Use the value that is read from now on; else it is staged, and let in.
        #[arg(long, requires = "value_stdin")]
        promote: bool,
        /// Throw away a secondary token that somebody else made at Twilio.
        #[arg(long)]
        replace: bool,
        /// Go on: everybody else who uses the auth token will have the new one.
        #[arg(long)]
        yes: bool,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Use what is staged from now on; what was used is let in until its grace ends.
    Promote {
        /// Which.
        kind: Kind,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// End the grace of one; refused while it is still used.
    Retire {
        /// Which.
        kind: Kind,
        /// Its generation, as `status` shows it.
        generation: u32,
        /// Also if it was used a moment ago.
        #[arg(long)]
        force: bool,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Give up a rotation that stands still.
    Cancel {
        /// Which.
        kind: Kind,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// In an emergency: nothing of this kind is good for anything when this answers.
    Revoke {
        /// Which.
        kind: Kind,
        /// It is meant.
        #[arg(long)]
        now: bool,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Make a recovery key, which opens the secrets of a backup on another machine. It is shown once.
    RecoveryKey {
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Open the secrets of a stopped bluetick with the recovery key (from standard input), where its master key is lost.
    Recover {
        /// The folder of the data file.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Where the master key is, or is to be made; else master.key in that folder.
        #[arg(long, value_name = "FILE")]
        master_key: Option<PathBuf>,
    },
    /// Give up the secrets of a stopped bluetick whose master key and recovery key are lost: they are revoked.
    Reset {
        /// The folder of the data file.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// It is meant.
        #[arg(long)]
        yes: bool,
    },
}

/// Does it.
pub(super) fn run(args: &SecretsArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    match &args.command {
        SecretsCommand::Status { reach } => status(reach, out),
        SecretsCommand::Rotate { kind: Kind::MasterKey, reach, .. } => {
            ask(reach, Method::POST, "/v1/secrets/master-key/rotations", None)?;
            writeln!(out, "the master key was rotated: keep a copy of its file, apart from the backups")?;
            Ok(Answer::Yes)
        }
        SecretsCommand::Rotate { kind, value_stdin, promote, replace, yes, reach } => {
            let is_at_twilio = *kind == Kind::TwilioAuthToken && !value_stdin;
            if is_at_twilio && !yes {
                return warn(out);
            }
            if *kind == Kind::TwilioApiKey && !value_stdin {
                let words = "Twilio makes API keys in its console alone: give the new one as SID:secret on standard input, with \
                             --value-stdin --promote";
                return Err(Trouble::Usage(words.to_owned()).into());
            }
            let value = value_stdin.then(|| read_secret("the new secret")).transpose()?;
            let value = value.as_ref().map(Secret::expose);
            let body = json!({"value": value, "promote": promote, "replace": replace});
            let path = format!("/v1/secrets/{}/rotations", kind.as_str());
            turned(reach, Method::POST, &path, Some(&body), out)
        }
        SecretsCommand::Promote { kind: Kind::MasterKey, .. }
        | SecretsCommand::Retire { kind: Kind::MasterKey, .. }
        | SecretsCommand::Cancel { kind: Kind::MasterKey, .. } => {
            let words = "there is one master key at a time: bluetick secrets rotate master_key makes another in its place, at once";
            Err(Trouble::Usage(words.to_owned()).into())
        }
        SecretsCommand::Promote { kind, reach } => {
            turned(reach, Method::POST, &format!("/v1/secrets/{}/promotion", kind.as_str()), None, out)
        }
        SecretsCommand::Retire { kind, generation, force, reach } => {
            let path = format!("/v1/secrets/{}/{generation}?force={force}", kind.as_str());
            turned(reach, Method::DELETE, &path, None, out)
        }
        SecretsCommand::Cancel { kind, reach } => {
            turned(reach, Method::DELETE, &format!("/v1/secrets/{}/rotations", kind.as_str()), None, out)
        }
        SecretsCommand::Revoke { kind, now, reach } => revoke(*kind, *now, reach, out),
        SecretsCommand::RecoveryKey { reach } => {
            let told = ask(reach, Method::POST, "/v1/secrets/recovery-key", None)?;
            match reach.json {
                true => writeln!(out, "{told}")?,
                false => writeln!(
                    out,
                    "{}\n  opens the secrets of a backup on another machine. Write it down, away from the backups: it is not shown \
                     again,\n  and the one before it opens nothing any more.",
                    text(&told["recovery_key"])
                )?,
            }
            Ok(Answer::Yes)
        }
        SecretsCommand::Recover { data, master_key } => recover(data, master_key.as_ref(), out),
        SecretsCommand::Reset { data, yes } => reset(data, *yes, out),
    }
}

fn ask(reach: &Reach, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
    let connection = reach.connect()?;
    block_on(connection.change(method, path, body))
}

fn turned(
    reach: &Reach,
    method: Method,
    path: &str,
    body: Option<&Value>,
    out: &mut dyn Write,
) -> anyhow::Result<Answer> {
    let kind = ask(reach, method, path, body)?;
    match reach.json {
        true => writeln!(out, "{kind}")?,
        false => {
            write!(out, "{}", table([&kind], Clock::System.now()))?;
            if !kind["rotation"].is_null() {
                writeln!(out, "{}", under_way(&kind["rotation"]))?;
            }
        }
    }
    Ok(Answer::Yes)
}

fn status(reach: &Reach, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let all = ask(reach, Method::GET, "/v1/secrets", None)?;
    if reach.json {
        writeln!(out, "{all}")?;
        return Ok(Answer::Yes);
    }
    let kinds = all["data"].as_array().cloned().unwrap_or_default();
    write!(out, "{}", table(&kinds, Clock::System.now()))?;
    for rotation in kinds.iter().map(|kind| &kind["rotation"]).filter(|rotation| !rotation.is_null()) {
        writeln!(out, "{}", under_way(rotation))?;
    }
    for kind in kinds.iter().filter(|kind| kind["is_due"] == true) {
        writeln!(out, "{} is due to be rotated since {}", text(&kind["kind"]), text(&kind["due_at"]))?;
    }
    let (master, recovery) = (&all["vault"]["master_key"], &all["vault"]["recovery_key"]);
    match (master.is_null(), recovery.is_null()) {
        (true, _) => writeln!(out, "nothing is kept in the data file yet, so there is no master key")?,
        (false, true) => writeln!(
            out,
            "kept under the master key {}; without that file no backup of them opens: bluetick secrets recovery-key makes a second",
            text(master)
        )?,
        (false, false) => {
            writeln!(out, "kept under the master key {} and the recovery key {}", text(master), text(recovery))?
        }
    }
    Ok(Answer::Yes)
}

fn table<'a>(kinds: impl IntoIterator<Item = &'a Value>, now: Time) -> String {
    let mut table = Table::new(&["secret", "generation", "state", "known for", "used", "last used", "until", "value"]);
    for kind in kinds {
        for one in kind["generations"].as_array().into_iter().flatten() {
            let place = match (text(&one["state"]).as_str(), one["is_kept"] == true) {
                ("revoked", _) => "gone",
                (_, true) => "kept",
                (_, false) => "in the configuration",
            };
            table.row([
                text(&kind["kind"]),
                text(&one["generation"]),
                text(&one["state"]),
                super::table::since(&one["made_at"], now),
                text(&one["used"]),
                distance(&one["last_used_at"], now),
                distance(&one["retires_at"], now),
                place.to_owned(),
            ]);
        }
    }
    table.show()
}

fn under_way(rotation: &Value) -> String {
    match rotation["problem"].as_str() {
        Some(problem) => format!("the rotation that {} asked for stands still: {problem}", text(&rotation["by"])),
        None => format!("a rotation is under way: {}", text(&rotation["step"])),
    }
}

fn warn(out: &mut dyn Write) -> anyhow::Result<Answer> {
    writeln!(
        out,
        "Twilio has one auth token for everybody. When the new one is promoted, a few seconds from now, the old one opens nothing: every\n\
         other program that uses this account by its auth token is shut out until it is given the new one. bluetick itself goes on, and\n\
         lets callbacks in that the old one signed until the grace ends (secrets.twilio_grace_s).\n\
         For REST an API key is better: [twilio] api_key_sid, or bluetick secrets rotate twilio_api_key --value-stdin --promote.\n\
         Nothing was done. Say --yes to go on."
    )?;
    Ok(Answer::No)
}

fn revoke(kind: Kind, is_meant: bool, reach: &Reach, out: &mut dyn Write) -> anyhow::Result<Answer> {
    if kind == Kind::MasterKey {
        let words = "the master key opens nothing by itself: rotate it (bluetick secrets rotate master_key), then the secrets it kept";
        return Err(Trouble::Usage(words.to_owned()).into());
    }
    if !is_meant {
        let words =
            "this takes effect at once, and callbacks are refused until there is a new one: say --now if it is meant";
        return Err(Trouble::Usage(words.to_owned()).into());
    }
    let done = ask(reach, Method::POST, &format!("/v1/secrets/{}/revocation", kind.as_str()), None)?;
    if reach.json {
        writeln!(out, "{done}")?;
        return Ok(Answer::Yes);
    }
    writeln!(
        out,
        "{} is revoked{}. Now:",
        kind.as_str(),
        if done["paused"] == true { ", and sending is paused" } else { "" }
    )?;
    for (number, step) in done["next"].as_array().into_iter().flatten().enumerate() {
        writeln!(out, "  {}. {}", number + 1, text(step))?;
    }
    Ok(Answer::Yes)
}

fn recover(data: &std::path::Path, master_key: Option<&PathBuf>, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let key = read_secret("the recovery key")?;
    let key = VaultKey::read(key.expose()).map_err(|error| Trouble::Usage(format!("what was read {error}")))?;
    let path = master_key.cloned().unwrap_or_else(|| data.join(MASTER_KEY));
    let mut store = open(data)?;
    let locks = store.read()?.locks()?;
    let Some(locks) = locks else {
        writeln!(out, "nothing is kept in this data file: no key is needed")?;
        return Ok(Answer::Yes);
    };
    let locked = custody::recover(&locks, &key, &path)?;
    let act = Act::Lock { locks: Box::new(locked), expected: Some(locks.by_master.by) };
    write(&mut store, act, Deed::new("master_key.recovered", "", ""))?;
    writeln!(out, "the secrets open with the master key in {}", path.display())?;
    Ok(Answer::Yes)
}

fn reset(data: &std::path::Path, is_meant: bool, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let mut store = open(data)?;
    if store.read()?.locks()?.is_none() {
        writeln!(out, "nothing is kept in this data file: there is nothing to give up")?;
        return Ok(Answer::Yes);
    }
    if !is_meant {
        writeln!(
            out,
            "every secret that is kept in this data file would be given up: put those that Twilio knows into the configuration, or give\n\
             them by `bluetick secrets rotate`, once it runs. Access tokens end. Nothing was done. Say --yes to go on."
        )?;
        return Ok(Answer::No);
    }
    write(&mut store, Act::GiveUpVault, Deed::new("vault.given_up", "", ""))?;
    writeln!(
        out,
        "given up: bluetick starts without them; the next secret that is kept makes a new master key, so remove the old file"
    )?;
    Ok(Answer::Yes)
}

/// The data file of a bluetick that does not run.
fn open(data: &std::path::Path) -> anyhow::Result<Store> {
    let path = data.join(FILE);
    if !path.exists() {
        return Err(Trouble::NoInput(format!("there is no data file in {}", data.display())).into());
    }
    Ok(Store::open(&path, CACHE_BYTES)?)
}

fn write(store: &mut Store, act: Act, deed: Deed) -> anyhow::Result<()> {
    let by = Actor { name: "local".to_owned(), ..Actor::default() };
    let govern = Govern { by, act, deed };
    store.commit(vec![crate::store::Write::Govern(Box::new(govern))], Clock::System.now())?;
    Ok(())
}

/// A line of standard input: secrets are no arguments, since everybody on a machine sees those.
fn read_secret(what: &str) -> anyhow::Result<Secret> {
    let input = std::io::stdin();
    let mut line = String::new();
    if input.is_terminal() {
        line = unseen::ask(what)?;
    } else {
        input.lock().take(MAX_INPUT).read_to_string(&mut line)?;
    }
    let line = line.trim();
    if line.is_empty() {
        return Err(Trouble::Usage(format!("{what} is read from standard input, and there was nothing")).into());
    }
    Ok(Secret::new(line))
}

#[cfg(test)]
mod tests {
    use super::super::testing::House;
    use super::*;

    fn kind(rotation: &Value) -> Value {
        json!({"kind": "twilio_auth_token", "is_due": true, "due_at": "2026-11-01T00:00:00Z", "rotation": rotation, "generations": [
            {"generation": 1, "state": "retiring", "made_at": "2026-01-01T00:00:00Z", "retires_at": "2099-01-01T00:00:00Z",
             "is_kept": false, "used": 7, "last_used_at": null},
            {"generation": 2, "state": "active", "made_at": "2026-01-01T00:00:00Z", "retires_at": null, "is_kept": true, "used": 0,
             "last_used_at": null}]})
    }

    #[test]
    fn every_secret_is_shown_with_its_use_and_what_is_to_be_done() {
        let house = House::open(|asked| {
            let stands = json!({"by": "user:anna", "step": "creating", "problem": "there is a secondary"});
            (asked == "/v1/secrets")
                .then(|| json!({"data": [kind(&stands)], "vault": {"master_key": "3fa9c2d1"}}).to_string())
        });
        let (answer, said) = house.run(&["secrets", "status"]);
        assert_eq!(answer.expect("an answer"), Answer::Yes);
        for part in [
            "retiring",
            "in the configuration",
            "kept under the master key 3fa9c2d1",
            "is due",
            "stands still: there is a",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn the_auth_token_is_rotated_at_twilio_only_when_it_is_known_who_else_loses_access() {
        let house = House::open(|asked| {
            asked
                .starts_with("POST /v1/secrets/twilio_auth_token/rotations ")
                .then(|| kind(&json!({"step": "wanted", "problem": null})).to_string())
        });
        let (answer, said) = house.run(&["secrets", "rotate", "twilio_auth_token"]);
        assert!(
            answer.expect("an answer") == Answer::No && said.contains("shut out") && said.contains("Nothing was done"),
            "{said}"
        );
        let (answer, said) = house.run(&["secrets", "rotate", "twilio_auth_token", "--yes"]);
        assert!(answer.expect("an answer") == Answer::Yes && said.contains("under way: wanted"), "{said}");
    }

    #[test]
    fn what_no_such_secret_can_be_asked_is_said_before_anything_is_asked() {
        let house = House::open(|asked| panic!("{asked} was asked"));
        for (command, said) in [
            (&["promote", "master_key"][..], "one master key at a time"),
            (&["cancel", "master_key"], "one master key at a time"),
            (&["retire", "master_key", "1"], "one master key at a time"),
            (&["rotate", "twilio_api_key"], "--value-stdin --promote"),
        ] {
            let (answer, _) = house.run(&[&["secrets"], command].concat());
            let error = answer.expect_err("refused");
            assert!(matches!(error.downcast_ref(), Some(Trouble::Usage(words)) if words.contains(said)), "{error}");
        }
    }

    #[test]
    fn a_revocation_is_meant_or_refused_and_says_what_to_do_next() {
        let house = House::open(|asked| {
            (asked == "POST /v1/secrets/jwt/revocation")
                .then(|| json!({"kind": "jwt", "paused": false, "next": ["one", "two"]}).to_string())
        });
        let (answer, _) = house.run(&["secrets", "revoke", "jwt"]);
        assert!(matches!(answer.expect_err("not meant").downcast_ref(), Some(Trouble::Usage(_))));
        let (answer, said) = house.run(&["secrets", "revoke", "jwt", "--now"]);
        assert!(answer.is_ok(), "{answer:?}");
        assert_eq!(said, "jwt is revoked. Now:\n  1. one\n  2. two\n");
    }
}
