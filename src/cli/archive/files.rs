//! Looking into the files of the archive, without the data file where that is not needed.

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::{Value, json};

use super::{shelf, trouble};
use crate::archive::{Broken, Shelf};
use crate::cli::connection::{Connection, Reach, block_on};
use crate::cli::exit::{Answer, Trouble};
use crate::cli::table::{Table, size, text};
use crate::cli::verify::open;
use crate::message::{Message, MessageId, Sid};
use crate::store::StoreError;

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

/// Prints a segment, if it is whole.
pub(super) fn cat(reach: &Reach, segment: u32, out: &mut dyn Write) -> anyhow::Result<()> {
    let shelf = shelf(reach)?;
    check_segment(&shelf, segment)?;
    for message in shelf.read(segment).map_err(trouble)? {
        print(&message.map_err(trouble)?, out)?;
    }
    Ok(())
}

/// Whether there is such a segment.
pub(super) fn check_segment(shelf: &Shelf, number: u32) -> anyhow::Result<()> {
    if shelf.path(number).exists() {
        return Ok(());
    }
    let words = format!("there is no segment {number} in {}: bluetick archive list shows them", shelf.dir().display());
    Err(Trouble::NoInput(words).into())
}

pub(super) fn list(reach: &Reach, out: &mut dyn Write) -> anyhow::Result<()> {
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

pub(super) fn find(reach: &Reach, name: &str, out: &mut dyn Write) -> anyhow::Result<Answer> {
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

pub(super) fn verify(reach: &Reach, out: &mut dyn Write) -> anyhow::Result<Answer> {
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
