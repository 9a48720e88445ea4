//! `bluetick archive`: move old messages, list the segments, look into them, check them, bring messages back, export a month.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::{Connection, Reach, block_on};
use super::exit::{Answer, Trouble};
use super::table::{Table, size, text};
use super::verify::{CACHE_MB, check_there, open};
use crate::archive::{self, Broken, Shelf};
use crate::clock::Clock;
use crate::jobs::archive as moving;
use crate::message::{Message, MessageId, Policy, Sid};
use crate::store::{self, Handle, Run, StoreError};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How often a running bluetick is asked whether it is done.
const GLANCE: Duration = Duration::from_millis(200);
/// Ids in one request.
const RETURNED: usize = 256;

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
        ArchiveCommand::Run { reach, dry_run: true, older_than_days } => would_move(reach, *older_than_days, out)?,
        ArchiveCommand::Run { reach, older_than_days, .. } => return make(reach, *older_than_days, out),
        ArchiveCommand::List { reach } => list(reach, out)?,
        ArchiveCommand::Cat { segment, reach } => {
            let shelf = shelf(reach)?;
            check_segment(&shelf, *segment)?;
            for message in shelf.read(*segment).map_err(trouble)? {
                print(&message.map_err(trouble)?, out)?;
            }
        }
        ArchiveCommand::Find { name, reach } => return find(reach, name, out),
        ArchiveCommand::Verify { reach } => return verify(reach, out),
        ArchiveCommand::Restore { what, reach } => restore(reach, what, out)?,
        ArchiveCommand::Export { month, reach, to } => {
            if format!("{month}-01").parse::<jiff::civil::Date>().is_err() || month.len() != 7 {
                return Err(Trouble::Usage(format!("{month:?} is no month: write it like 2026-08")).into());
            }
            let path = format!("/v1/messages.csv?month={}", super::connection::part(month));
            super::erase::copy(&reach.connect()?, &path, to.as_ref(), out)?;
        }
    }
    Ok(Answer::Yes)
}

fn trouble(error: Broken) -> anyhow::Error {
    Trouble::NoInput(error.to_string()).into()
}

fn check_segment(shelf: &Shelf, number: u32) -> anyhow::Result<()> {
    if shelf.path(number).exists() {
        return Ok(());
    }
    let words = format!("there is no segment {number} in {}: bluetick archive list shows them", shelf.dir().display());
    Err(Trouble::NoInput(words).into())
}

/// The segments that the data file speaks of, and those that are in the folder.
fn numbers(reach: &Reach, shelf: &Shelf) -> anyhow::Result<Vec<u32>> {
    let in_folder = |error| Trouble::NoInput(format!("{} cannot be listed: {error}", shelf.dir().display()));
    let mut numbers = shelf.numbers().map_err(in_folder)?.into_iter().collect::<BTreeSet<_>>();
    let dir = reach.dir()?;
    match open(&dir, reach.shelf()?) {
        Ok(store) => {
            let snapshot = store.read()?;
            for (number, is_marked) in snapshot.segments()? {
                if !is_marked || snapshot.is_in_use(number)? {
                    numbers.insert(number);
                }
            }
        }
        Err(error) if matches!(error.downcast_ref(), Some(StoreError::Taken)) => {
            let told = block_on(Connection::to_holder(&dir)?.show("/v1/archive", &[]))?;
            let told = told["segments"].as_array().into_iter().flatten();
            numbers.extend(told.filter_map(|segment| u32::try_from(segment["number"].as_u64()?).ok()));
        }
        // Files can be looked at without a data file.
        Err(_) if !numbers.is_empty() => {}
        Err(error) => return Err(error),
    }
    Ok(numbers.into_iter().collect())
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

/// Who does it: a running bluetick, or we ourselves with its data file.
enum Hands {
    Running(Connection),
    Ours(Box<Ours>),
}

/// The data file of a bluetick that does not run, at work.
struct Ours {
    store: Handle,
    writer: std::thread::JoinHandle<()>,
}

impl Ours {
    fn close(self) -> anyhow::Result<()> {
        self.store.close();
        self.writer.join().map_err(|_| anyhow::anyhow!("the store's thread panicked"))
    }
}

fn hands(reach: &Reach) -> anyhow::Result<Hands> {
    if reach.url.is_some() {
        return Ok(Hands::Running(reach.connect()?));
    }
    let dir = reach.dir()?;
    check_there(&dir)?;
    let options = store::Options { dir: dir.clone(), cache_mb: CACHE_MB, reserve_mb: 0, ..store::Options::default() };
    match store::start(&options, shelf(reach)?, Policy::default(), Clock::System) {
        Ok((store, writer)) => Ok(Hands::Ours(Box::new(Ours { store, writer }))),
        Err(StoreError::Taken) => Ok(Hands::Running(Connection::to_holder(&dir)?)),
        Err(error) => Err(error.into()),
    }
}

fn would_move(reach: &Reach, older_than_days: Option<u32>, out: &mut dyn Write) -> anyhow::Result<()> {
    let days = older_than_days.map_or_else(|| options(reach).map(|options| options.after_days), Ok)?;
    let due = match hands(reach)? {
        Hands::Running(connection) => {
            let query = older_than_days.map(|days| ("older_than_days", days.to_string()));
            block_on(connection.show("/v1/archive", query.as_slice()))?["due"].clone()
        }
        Hands::Ours(ours) => {
            let (messages, span) = ours.store.read()?.due_for_archive(Clock::System.now().minus(DAY * days))?;
            ours.close()?;
            let at = |id: MessageId| id.at().to_string();
            json!({
                "older_than_days": days, "messages": messages,
                "first_at": span.map(|(first, _)| at(first)), "last_at": span.map(|(_, last)| at(last)),
            })
        }
    };
    if reach.json {
        return Ok(writeln!(out, "{due}")?);
    }
    let [messages, days, first, last] =
        ["messages", "older_than_days", "first_at", "last_at"].map(|name| text(&due[name]));
    match due["messages"] == 0 {
        true => writeln!(out, "nothing would move: no message at its end was left alone for {days} days")?,
        false => {
            writeln!(out, "{messages} messages would move, left alone for {days} days: accepted {first} to {last}")?
        }
    }
    Ok(())
}

fn make(reach: &Reach, older_than_days: Option<u32>, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let (begun, now) = (Instant::now(), Clock::System.now());
    let outcome = match hands(reach)? {
        Hands::Running(_) if older_than_days.is_some() => {
            let words = "a running bluetick moves what is older than its own archive.after_days: leave --older-than-days out, or \
                         stop it first";
            return Err(Trouble::Usage(words.to_owned()).into());
        }
        Hands::Running(connection) => block_on(ask(&connection))?,
        Hands::Ours(ours) => {
            let days = older_than_days.map_or_else(|| options(reach).map(|options| options.after_days), Ok)?;
            let bar = if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
            let style = ProgressStyle::with_template("archiving {spinner} {human_pos} messages, {per_sec}");
            bar.set_style(style.expect("the template is right"));
            let outcome = block_on(async {
                let moved = moving::run(&ours.store, now.minus(DAY * days), |moved| bar.set_position(moved)).await;
                let outcome = moved.map(|moved| moved.to_string()).map_err(|error| error.to_string());
                let run = Run { at: now, took: begun.elapsed(), outcome: outcome.clone() };
                ours.store.write(store::Write::Ran(moving::NAME.to_owned(), run)).await?;
                Ok(outcome)
            })?;
            bar.finish_and_clear();
            ours.close()?;
            outcome
        }
    };
    match (reach.json, &outcome) {
        (true, Ok(done)) => writeln!(out, "{}", json!({"done": done, "error": null}))?,
        (true, Err(error)) => writeln!(out, "{}", json!({"done": null, "error": error}))?,
        (false, Ok(done) | Err(done)) => writeln!(out, "{done}")?,
    }
    Ok(Answer::from_bool(outcome.is_ok()))
}

/// Asks a running bluetick for a run, and waits for the end of it.
async fn ask(connection: &Connection) -> anyhow::Result<Result<String, String>> {
    connection.change(Method::POST, "/v1/jobs/archive/runs", None).await?;
    loop {
        let jobs = connection.show("/v1/jobs", &[]).await?;
        let job = jobs["data"].as_array().into_iter().flatten().find(|job| job["name"] == moving::NAME);
        let Some(job) = job else { anyhow::bail!("this bluetick has no archive: it is another version") };
        if job["wanted_at"].is_null() {
            let last = &job["last"];
            let words = |name: &str| last[name].as_str().unwrap_or_default().to_owned();
            return Ok(if last["error"].is_null() { Ok(words("done")) } else { Err(words("error")) });
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn list(reach: &Reach, out: &mut dyn Write) -> anyhow::Result<()> {
    let segments = match reach.url {
        Some(_) => block_on(reach.connect()?.show("/v1/archive", &[]))?["segments"].clone(),
        None => {
            let shelf = shelf(reach)?;
            let numbers = numbers(reach, &shelf)?;
            Value::Array(numbers.into_iter().map(|number| glance(&shelf, number)).collect())
        }
    };
    if reach.json {
        return Ok(writeln!(out, "{}", json!({"segments": segments}))?);
    }
    let mut table = Table::new(&["segment", "messages", "first", "last", "size", "file"]);
    for segment in segments.as_array().into_iter().flatten() {
        let cells = ["number", "messages", "first_at", "last_at"].map(|name| text(&segment[name]));
        let is_missing = segment["readable"] == false;
        let file =
            if is_missing { format!("{} (cannot be read)", text(&segment["file"])) } else { text(&segment["file"]) };
        table.row(cells.into_iter().chain([size(&segment["bytes"]), file]));
    }
    Ok(out.write_all(table.show().as_bytes())?)
}

fn glance(shelf: &Shelf, number: u32) -> Value {
    let at = |id: Option<MessageId>| id.map(|id| id.at().to_string());
    match shelf.glance(number) {
        Ok(found) => json!({
            "number": number, "file": found.path, "bytes": found.bytes, "messages": found.head.messages,
            "first_at": at(found.head.first), "last_at": at(found.head.last), "readable": true,
        }),
        Err(_) => json!({"number": number, "file": shelf.path(number), "readable": false}),
    }
}

fn print(message: &Message, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut line = serde_json::to_value(message)?;
    line["status"] = message.status().as_str().into();
    line["code"] = message.code().into();
    Ok(writeln!(out, "{line}")?)
}

fn find(reach: &Reach, name: &str, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let shelf = shelf(reach)?;
    let mut unread = Vec::new();
    // The newest line of a message is the one that counts.
    for number in numbers(reach, &shelf)?.into_iter().rev() {
        let found = match (name.parse::<MessageId>(), name.parse::<Sid>()) {
            (Ok(id), _) => shelf.look(number, id),
            (_, Ok(sid)) => look_for(&shelf, number, sid),
            _ => return Err(Trouble::Usage(format!("{name} is no id: give msg_…, SM… or MM…")).into()),
        };
        match found {
            Ok(Some(message)) => {
                print(&message, out)?;
                return Ok(Answer::Yes);
            }
            Ok(None) => {}
            Err(error) => unread.push(error.to_string()),
        }
    }
    match unread.is_empty() {
        true => writeln!(out, "{name} is not in the archive")?,
        false => {
            let words = format!("{name} was not found, but not everything could be read: {}", unread.join("; "));
            return Err(Trouble::NoInput(words).into());
        }
    }
    Ok(Answer::No)
}

fn look_for(shelf: &Shelf, number: u32, sid: Sid) -> Result<Option<Message>, Broken> {
    for message in shelf.read(number)? {
        let message = message?;
        if message.attempt_with(sid).is_some() {
            return Ok(Some(message));
        }
    }
    Ok(None)
}

fn verify(reach: &Reach, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let shelf = shelf(reach)?;
    let (mut segments, mut messages, mut flaws) = (0, 0, Vec::new());
    for number in numbers(reach, &shelf)? {
        segments += 1;
        match count(&shelf, number) {
            Ok(count) => messages += count,
            Err(error) => flaws.push(error.to_string()),
        }
    }
    if reach.json {
        writeln!(out, "{}", json!({"segments": segments, "messages": messages, "damaged": flaws}))?;
    } else {
        flaws.iter().try_for_each(|flaw| writeln!(out, "{flaw}"))?;
        if !flaws.is_empty() {
            writeln!(
                out,
                "backups have segments in their folder `segments`, under their number and the beginning of their checksum: copy the \
                 right one and its .sha256 back, each under its name here"
            )?;
        }
        writeln!(out, "segments: {segments}, messages: {messages}, damaged: {}", flaws.len())?;
    }
    Ok(Answer::from_bool(flaws.is_empty()))
}

fn count(shelf: &Shelf, number: u32) -> Result<u64, Broken> {
    let head = shelf.glance(number)?.head;
    let mut count = 0;
    for message in shelf.read(number)? {
        message?;
        count += 1;
    }
    let words = || format!("it says that it has {} messages, and has {count}", head.messages);
    if count == head.messages { Ok(count) } else { Err(Broken::Strange(shelf.path(number), words())) }
}

fn restore(reach: &Reach, what: &str, out: &mut dyn Write) -> anyhow::Result<()> {
    let ids = match (what.parse::<MessageId>(), what.parse::<u32>()) {
        (Ok(id), _) => vec![id],
        (_, Ok(number)) => {
            let shelf = shelf(reach)?;
            check_segment(&shelf, number)?;
            let messages = shelf.read(number).map_err(trouble)?;
            messages.map(|message| Ok(message?.id)).collect::<Result<_, Broken>>().map_err(trouble)?
        }
        _ => return Err(Trouble::Usage(format!("{what} is neither a segment's number nor a message's id")).into()),
    };
    let mut came = 0;
    match hands(reach)? {
        Hands::Running(connection) => {
            for part in ids.chunks(RETURNED) {
                let names = part.iter().map(ToString::to_string).collect::<Vec<_>>();
                let body = json!({"ids": names});
                let done = block_on(connection.change(Method::POST, "/v1/archive/returns", Some(&body)))?;
                came += done["returned"].as_u64().unwrap_or(0);
            }
        }
        Hands::Ours(ours) => {
            for part in ids.chunks(RETURNED) {
                let done = block_on(async { Ok(ours.store.write(store::Write::Return(part.to_vec())).await?) })?;
                if let store::Written::Shelved(some) = done {
                    came += some as u64;
                }
            }
            ours.close()?;
        }
    }
    match reach.json {
        true => writeln!(out, "{}", json!({"returned": came}))?,
        false => writeln!(out, "{came} messages are back in the data file")?,
    }
    Ok(())
}
