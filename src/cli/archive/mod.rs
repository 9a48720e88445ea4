//! `bluetick archive`: move old messages, list the segments, look into them, check them, bring messages back, export a month.

mod files;
mod moves;

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::archive::{self, Broken, Shelf};
use crate::cli::connection::{Reach, part};
use crate::cli::erase;
use crate::cli::exit::{Answer, Trouble};
use crate::clock::Time;

/// What to do with the archive.
#[derive(Clone, Debug, Args)]
pub struct ArchiveArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ArchiveCommand,
}

/// What can be done with the archive.
#[derive(Clone, Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Move old messages into the archive now. A running bluetick does it itself; else the data file is opened.
    Run {
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
        /// Only say what would move.
        #[arg(long)]
        dry_run: bool,
        /// Move what is older than so many days, instead of archive.after_days; only while bluetick does not run.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=36_500))]
        older_than_days: Option<u32>,
    },
    /// List the segments, oldest first.
    List {
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Print the messages of a segment, a line of JSON each, as zstdcat does; but only if it is whole.
    Cat {
        /// Its number.
        segment: u32,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Print one message out of the archive, without the data file.
    Find {
        /// Its id (msg_…) or Twilio's SID.
        name: String,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Say whether every segment is whole: each byte, and each line.
    Verify {
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Bring messages back into the data file: all of a segment, or one by its id. The next run moves them again, unless
    /// archive.after_days is raised.
    Restore {
        /// The segment's number, or a message's id (msg_…).
        what: String,
        /// Which bluetick.
        #[command(flatten)]
        reach: Reach,
    },
    /// Write the messages of a month as a table (CSV), also those in the archive, without what they say; bluetick must run.
    Export {
        /// The month in which they were accepted (UTC), as 2026-08.
        month: String,
        /// Which bluetick; it must run.
        #[command(flatten)]
        reach: Reach,
        /// Where to; else to standard output.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}

/// Does it.
pub(super) fn run(args: &ArchiveArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    match &args.command {
        ArchiveCommand::Run { reach, dry_run: true, older_than_days } => {
            moves::would_move(reach, *older_than_days, out)?
        }
        ArchiveCommand::Run { reach, older_than_days, .. } => return moves::make(reach, *older_than_days, out),
        ArchiveCommand::List { reach } => files::list(reach, out)?,
        ArchiveCommand::Cat { segment, reach } => files::cat(reach, *segment, out)?,
        ArchiveCommand::Find { name, reach } => return files::find(reach, name, out),
        ArchiveCommand::Verify { reach } => return files::verify(reach, out),
        ArchiveCommand::Restore { what, reach } => moves::restore(reach, what, out)?,
        ArchiveCommand::Export { month, reach, to } => {
            if Time::month(month).is_none() {
                return Err(Trouble::Usage(format!("{month:?} is no month: write it like 2026-08")).into());
            }
            let path = format!("/v1/messages.csv?month={}", part(month));
            erase::copy(&reach.connect()?, &path, to.as_ref(), out)?;
        }
    }
    Ok(Answer::Yes)
}

fn trouble(error: Broken) -> anyhow::Error {
    Trouble::NoInput(error.to_string()).into()
}

fn options(reach: &Reach) -> anyhow::Result<archive::Options> {
    Ok(reach.config()?.map_or_else(Default::default, |config| config.archive))
}

fn shelf(reach: &Reach) -> anyhow::Result<Shelf> {
    if reach.url.is_some() {
        let words = "this reads files of the archive: run it on bluetick's machine, without --url";
        return Err(Trouble::Usage(words.to_owned()).into());
    }
    reach.shelf()
}
