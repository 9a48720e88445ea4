//! `bluetick migrate`, and the same before every start: a data file of an earlier version is backed up and brought forward.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::connection::Reach;
use super::exit::{Answer, Trouble};
use super::verify::check_there;
use crate::archive::Shelf;
use crate::backup::{self, Backup};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{FILE, Outdated, Peek, SCHEMA};

/// Bring a data file forward.
#[derive(Clone, Debug, Args)]
pub struct MigrateArgs {
    /// Which data file.
    #[command(flatten)]
    pub reach: Reach,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// What was, or would be, done.
pub struct Migration {
    /// From where to where, and how.
    pub outdated: Outdated,
    /// The backup that was made before; none in a dry run.
    pub backup: Option<Backup>,
}

/// Brings the data file of a folder forward, if it is of an earlier version: first a backup, then step by step.
pub fn bring_forward(dir: &Path, shelf: Shelf, backups: &Path, is_dry_run: bool) -> anyhow::Result<Option<Migration>> {
    let path = dir.join(FILE);
    // An empty file is the sentinel's business.
    if std::fs::metadata(&path).map_or(true, |found| found.len() == 0) {
        return Ok(None);
    }
    let peek = Peek::at(&path, shelf)?;
    let Some(outdated) = peek.outdated.clone() else { return Ok(None) };
    if is_dry_run {
        return Ok(Some(Migration { outdated, backup: None }));
    }
    let made = backup::create(&peek.read()?, backups, Clock::System.now(), |_, _| ())?;
    peek.upgrade()?;
    Ok(Some(Migration { outdated, backup: Some(made) }))
}

/// Does it.
pub(super) fn run(args: &MigrateArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let MigrateArgs { reach, dry_run } = args;
    if reach.url.is_some() {
        let words = "a data file is brought forward on its own machine, while bluetick does not run: leave --url out";
        return Err(Trouble::Usage(words.to_owned()).into());
    }
    let dir = reach.dir()?;
    check_there(&dir)?;
    let config = reach.config()?.unwrap_or_default();
    let (shelf, backups) = folders(&config, &dir);
    let done = bring_forward(&dir, shelf, &backups, *dry_run)?;
    if reach.json {
        let (from, steps) =
            done.as_ref().map_or((SCHEMA, &[][..]), |done| (done.outdated.from, &done.outdated.steps[..]));
        let backup = done.as_ref().and_then(|done| done.backup.as_ref()).map(|made| &made.path);
        writeln!(out, "{}", json!({"from": from, "to": SCHEMA, "steps": steps, "backup": backup, "dry_run": dry_run}))?;
        return Ok(Answer::Yes);
    }
    let Some(Migration { outdated: Outdated { from, to, steps }, backup }) = done else {
        writeln!(out, "the data file has schema {SCHEMA}, the one of this version: there is nothing to do")?;
        return Ok(Answer::Yes);
    };
    match &backup {
        None => {
            writeln!(out, "a backup would be made in {}, then schema {from} would become {to}:", backups.display())?
        }
        Some(made) => writeln!(out, "a backup was made ({}), and schema {from} became {to}:", made.path.display())?,
    }
    for (number, step) in (from + 1..).zip(steps) {
        writeln!(out, "  {number}: {step}")?;
    }
    Ok(Answer::Yes)
}

fn folders(config: &Config, dir: &Path) -> (Shelf, PathBuf) {
    (Shelf::new(config.archive.folder(dir)), config.backup.folder(dir))
}
