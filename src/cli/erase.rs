//! `bluetick erase` and `bluetick export`: one person's data, gone or as a file.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::connection::{Connection, Reach, block_on, part};
use super::exit::{Answer, Trouble};
use super::table::text;

/// Whom to erase.
#[derive(Clone, Debug, Args)]
pub struct EraseArgs {
    /// The person, by any of their names: +4915100000001, or whatsapp:US.1349…
    pub contact: String,
    /// Which bluetick; it must run.
    #[command(flatten)]
    pub reach: Reach,
    /// Only say what would go.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask whether it is meant.
    #[arg(long)]
    pub yes: bool,
}

/// Whose data to write.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// The person, by any of their names.
    pub contact: String,
    /// Which bluetick; it must run.
    #[command(flatten)]
    pub reach: Reach,
    /// Where to; else to standard output.
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// Erases somebody.
pub(super) fn erase(args: &EraseArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let EraseArgs { contact, reach, dry_run, yes } = args;
    let connection = reach.connect()?;
    let path = path_of(contact)?;
    let Some(known) = block_on(connection.get(&path, &[]))? else {
        writeln!(out, "nobody goes by {contact}")?;
        return Ok(Answer::No);
    };
    if *dry_run {
        match reach.json {
            true => writeln!(out, "{known}")?,
            false => writeln!(out, "would go: {}", what(&known))?,
        }
        return Ok(Answer::Yes);
    }
    if !yes && !is_meant(&known)? {
        writeln!(out, "nothing was erased")?;
        return Ok(Answer::No);
    }
    let done = block_on(connection.change(Method::DELETE, &path, None))?;
    if reach.json {
        writeln!(out, "{done}")?;
        return Ok(Answer::Yes);
    }
    let [messages, inbound] = ["messages", "inbound"].map(|name| text(&done[name]));
    writeln!(out, "{messages} messages to them and {inbound} from them are gone; the numbers of senders stay")?;
    if done["opted_out"] == true {
        writeln!(out, "they had opted out, and nothing here remembers that any more: do not write to them again")?;
    }
    writeln!(out, "the archive and the events lose them now (job retention)")?;
    match &done["rewritten_at"] {
        Value::Null => {
            writeln!(out, "no schedule writes the data file anew: ask for it with POST /v1/jobs/rewrite/runs")?
        }
        at => {
            writeln!(out, "the data file is written anew at {}: until then free pages may hold their bytes", text(at))?
        }
    }
    match &done["backups_until"] {
        Value::Null => writeln!(out, "backups that have them stay until you remove them")?,
        at => writeln!(out, "the last backup that has them goes at about {}", text(at))?,
    }
    Ok(Answer::Yes)
}

fn path_of(contact: &str) -> anyhow::Result<String> {
    match contact.trim() {
        "" => Err(Trouble::Usage("whom? Give a number like +4915100000001".to_owned()).into()),
        name => Ok(format!("/v1/contacts/{}", part(name))),
    }
}

fn what(known: &Value) -> String {
    let [messages, inbound] = ["accepted", "inbound"].map(|name| text(&known[name]));
    let opt_outs = match known["opt_outs"].as_array().is_some_and(|all| !all.is_empty()) {
        true => "; that they opted out is forgotten too: do not write to them again",
        false => "",
    };
    let names = known["aliases"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    format!("{} with {messages} messages to them and {inbound} from them{opt_outs}", names.join(", "))
}

/// A person at a terminal is asked; a script must say so itself.
fn is_meant(known: &Value) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Trouble::Usage("erasing cannot be undone: give --yes".to_owned()).into());
    }
    let mut answer = String::new();
    eprint!("Erase {}? It cannot be undone. Type yes: ", what(known));
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

/// Writes somebody's data.
pub(super) fn export(args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let path = path_of(&args.contact)? + "/export";
    copy(&args.reach.connect()?, &path, args.to.as_ref(), out)?;
    Ok(Answer::Yes)
}

/// Copies an answer into a file, or to where everything goes.
pub(super) fn copy(
    connection: &Connection,
    path: &str,
    to: Option<&PathBuf>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let Some(file) = to else { return block_on(connection.copy(path, out)) };
    let trouble = |error| Trouble::NoInput(format!("{} cannot be written: {error}", file.display()));
    // Beside it until it is whole, for its owner alone: what is there already stays if this fails.
    let mut part = file.clone().into_os_string();
    part.push(".part");
    let options = std::fs::File::options().create(true).truncate(true).write(true).mode(0o600).clone();
    let mut written = options.open(&part).map_err(trouble)?;
    let done = block_on(connection.copy(path, &mut written)).and_then(|()| Ok(written.sync_all()?));
    match done {
        Ok(()) => std::fs::rename(&part, file).map_err(trouble)?,
        Err(error) => {
            let _ = std::fs::remove_file(&part);
            return Err(error);
        }
    }
    Ok(writeln!(out, "{}", file.display())?)
}
