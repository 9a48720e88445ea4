//! `bluetick backup`: make one, list them, see whether one is whole, and make a data file from one.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::{Connection, Reach, block_on};
use super::exit::{Answer, Trouble};
use super::table::{Table, size, text};
use super::verify::{check_there, open};
use crate::archive::Broken;
use crate::backup::{self, Backup, BackupError};
use crate::clock::Clock;
use crate::store::{NeededKeys, StoreError};

/// What to do with backups.
#[derive(Clone, Debug, Args)]
pub struct BackupArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: BackupCommand,
}

/// What can be done with backups.
#[derive(Clone, Debug, Subcommand)]
pub enum BackupCommand {
    /// Make a backup now: of a running bluetick through its socket, else of the data file itself.
    Create {
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// List the backups there are, newest first.
    List {
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Say whether a backup is whole: every byte and every row.
    Verify {
        /// The backup.
        file: PathBuf,
        /// Print JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Make the data file of a folder that has none from a backup. The next start is paused until Twilio has said what was
    /// sent since.
    Restore {
        /// The backup.
        file: PathBuf,
        /// The folder of the data file.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Print JSON, for programs.
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
pub(super) fn run(args: &BackupArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    match &args.command {
        BackupCommand::Create { reach } => {
            let made = create(reach)?;
            match reach.json {
                true => writeln!(out, "{made}")?,
                false => writeln!(out, "{}\n{}", text(&made["file"]), line(&made))?,
            }
        }
        BackupCommand::List { reach } => list(reach, out)?,
        BackupCommand::Verify { file, json } => match backup::verify(file) {
            Ok(found) if *json => writeln!(out, "{}", view(&found))?,
            Ok(found) => writeln!(out, "whole: {}{}", line(&view(&found)), needed(&found))?,
            Err(error @ (BackupError::Broken(Broken::Damaged(_)) | BackupError::Bad(..))) => {
                match json {
                    true => writeln!(out, "{}", json!({"file": file, "whole": false, "reason": error.to_string()}))?,
                    false => writeln!(out, "{error}")?,
                }
                return Ok(Answer::No);
            }
            Err(error) => return Err(trouble(error)),
        },
        BackupCommand::Restore { file, data, json } => {
            let made = backup::restore(file, data, Clock::System.now()).map_err(trouble)?;
            match json {
                true => writeln!(out, "{}", view(&made))?,
                false => writeln!(
                    out,
                    "restored into {}: {}\nThe next start needs the same Twilio account (account_sid, auth_token) and begins paused: \
                     it asks Twilio what was sent since the backup, and then goes on by itself, or with `bluetick resume`. The archive is in \
                     its folder `archive`: move that if archive.dir names another. Whoever was erased since the backup is back: erase them again.{}",
                    data.display(),
                    line(&view(&made)),
                    needed(&made)
                )?,
            }
        }
    }
    Ok(Answer::Yes)
}

/// Which key must be brought along, if any.
fn needed(backup: &Backup) -> String {
    let Some(NeededKeys { master_key, recovery_key }) = &backup.head.keys else { return String::new() };
    let or = recovery_key.as_ref().map_or_else(String::new, |name| {
        format!(", or put a new one there with the recovery key {name} (bluetick secrets recover)")
    });
    format!(
        "\nThe secrets in it are sealed: bring the master key {master_key} along (master.key){or}; bluetick secrets reset gives them up."
    )
}

/// A file that cannot be used is named by its own exit code.
fn trouble(error: BackupError) -> anyhow::Error {
    match error {
        BackupError::InTheWay(_) => Trouble::Usage(error.to_string()).into(),
        BackupError::Store(error) => error.into(),
        BackupError::CutOff(_) => error.into(),
        BackupError::File(..) | BackupError::Broken(_) | BackupError::Bad(..) => {
            Trouble::NoInput(error.to_string()).into()
        }
    }
}

fn create(reach: &Reach) -> anyhow::Result<Value> {
    let ask = |connection: Connection| block_on(connection.change_for_as_long(Method::POST, "/v1/backups"));
    if reach.url.is_some() {
        return ask(reach.connect()?);
    }
    let dir = reach.dir()?;
    match open(&dir, reach.shelf()?) {
        Ok(store) => {
            let folder = reach.config()?.map_or_else(Default::default, |config| config.backup).folder(&dir);
            let bar = if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
            let style = ProgressStyle::with_template("backing up {wide_bar} {human_pos} of {human_len}, {eta} left");
            bar.set_style(style.expect("the template is right"));
            let made = backup::create(&store.read()?, &folder, Clock::System.now(), |done, all| {
                bar.set_length(all);
                bar.set_position(done);
            });
            bar.finish_and_clear();
            Ok(view(&made.map_err(trouble)?))
        }
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::Taken)) => ask(Connection::to_holder(&dir)?),
        Err(error) => Err(error),
    }
}

fn list(reach: &Reach, out: &mut dyn Write) -> anyhow::Result<()> {
    let data = match &reach.url {
        Some(_) => block_on(reach.connect()?.show("/v1/backups", &[]))?["data"].clone(),
        None => {
            let folder = reach.config()?.map_or_else(Default::default, |config| config.backup).folder(&reach.dir()?);
            if !folder.exists() {
                check_there(&reach.dir()?)?;
            }
            Value::Array(backup::list(&folder).map_err(trouble)?.iter().map(view).collect())
        }
    };
    if reach.json {
        writeln!(out, "{}", json!({"data": data}))?;
        return Ok(());
    }
    let mut table = Table::new(&["taken", "messages", "archived", "inbound", "size", "file"]);
    for one in data.as_array().into_iter().flatten() {
        let cells = ["taken_at", "messages", "archived", "inbound"].map(|name| text(&one[name]));
        table.row(cells.into_iter().chain([size(&one["bytes"]), text(&one["file"])]));
    }
    Ok(out.write_all(table.show().as_bytes())?)
}

fn view(backup: &Backup) -> Value {
    let Backup { path, bytes, head } = backup;
    json!({
        "file": path, "bytes": bytes, "taken_at": head.taken_at, "messages": head.messages, "archived": head.archived,
        "inbound": head.inbound, "version": head.version, "keys": head.keys,
    })
}

fn line(backup: &Value) -> String {
    let [taken_at, messages, archived, inbound] =
        ["taken_at", "messages", "archived", "inbound"].map(|name| text(&backup[name]));
    format!(
        "{messages} messages, {archived} in the archive and {inbound} inbound as of {taken_at}, {}",
        size(&backup["bytes"])
    )
}
