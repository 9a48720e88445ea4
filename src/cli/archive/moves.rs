//! Moving messages into the archive and back: through a running bluetick, or with its data file.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::json;

use super::files::check_segment;
use super::{options, shelf, trouble};
use crate::archive::Broken;
use crate::cli::connection::{Connection, Reach, block_on};
use crate::cli::exit::{Answer, Trouble};
use crate::cli::table::text;
use crate::cli::verify::{CACHE_MB, check_there};
use crate::clock::Clock;
use crate::jobs::archive as moving;
use crate::message::{MessageId, Policy};
use crate::store::{self, Handle, Run, StoreError, Upkeep};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How often a running bluetick is asked whether it is done.
const GLANCE: Duration = Duration::from_millis(200);
/// Ids in one request.
const RETURNED: usize = 256;

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

pub(super) fn would_move(reach: &Reach, older_than_days: Option<u32>, out: &mut dyn Write) -> anyhow::Result<()> {
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

pub(super) fn make(reach: &Reach, older_than_days: Option<u32>, out: &mut dyn Write) -> anyhow::Result<Answer> {
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
                ours.store.write(store::Write::Ran(Upkeep::Archive, run)).await?;
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
        let job = jobs["data"].as_array().into_iter().flatten().find(|job| job["name"] == Upkeep::Archive.as_str());
        let Some(job) = job else { anyhow::bail!("this bluetick has no archive: it is another version") };
        if job["wanted_at"].is_null() {
            let last = &job["last"];
            let words = |name: &str| last[name].as_str().unwrap_or_default().to_owned();
            return Ok(if last["error"].is_null() { Ok(words("done")) } else { Err(words("error")) });
        }
        tokio::time::sleep(GLANCE).await;
    }
}

pub(super) fn restore(reach: &Reach, what: &str, out: &mut dyn Write) -> anyhow::Result<()> {
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
