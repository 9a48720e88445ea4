//! `bluetick verify`: every number and index recomputed from the records, and every difference named.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::connection::{Connection, Reach, block_on};
use super::exit::{Answer, Trouble};
use super::table::text;
use crate::archive::Shelf;
use crate::http::SOCKET;
use crate::store::{self, FILE, Findings, Store, StoreError};

/// Megabytes of pages kept in memory while everything is read once.
pub(super) const CACHE_MB: usize = 256;

/// What to verify.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// Which bluetick.
    #[command(flatten)]
    pub reach: Reach,
}

/// Reads the data file itself where nobody holds it, else asks whoever does.
pub(super) fn run(args: &VerifyArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let findings = match &args.reach.url {
        Some(_) => ask(&args.reach.connect()?)?,
        None => {
            let dir = args.reach.dir()?;
            match open(&dir, args.reach.shelf()?) {
                Ok(store) => read(&store)?,
                Err(error) if matches!(error.downcast_ref(), Some(StoreError::Taken)) => {
                    ask(&Connection::to_socket(&dir.join(SOCKET))?)?
                }
                Err(error) => return Err(error),
            }
        }
    };
    match args.reach.json {
        true => writeln!(out, "{findings}")?,
        false => out.write_all(show(&findings).as_bytes())?,
    }
    Ok(Answer::from_bool(findings["count"] == 0))
}

/// Opens the data file of a bluetick that does not run; never makes one.
pub(super) fn open(dir: &Path, shelf: Shelf) -> anyhow::Result<Store> {
    check_there(dir)?;
    Ok(Store::open(&dir.join(FILE), CACHE_MB << 20)?.with_shelf(Arc::new(shelf)))
}

/// Whether there is a data file; an empty one is none, and is not made one.
pub(super) fn check_there(dir: &Path) -> anyhow::Result<()> {
    let path = dir.join(FILE);
    let words = match std::fs::metadata(&path) {
        Ok(found) if found.len() > 0 => return Ok(()),
        Ok(_) => format!("the data file {} is empty: restore a backup (bluetick backup restore)", path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("there is no data file {}: name its folder with --data or --config", path.display())
        }
        Err(error) => format!("the data file {} cannot be looked at: {error}", path.display()),
    };
    Err(Trouble::NoInput(words).into())
}

fn ask(connection: &Connection) -> anyhow::Result<Value> {
    let found = block_on(connection.wait_for("/v1/verify"))?;
    let words = "this bluetick cannot verify while it runs: stop it, then verify again";
    Ok(found.ok_or_else(|| Trouble::Unavailable(words.to_owned()))?)
}

fn read(store: &Store) -> anyhow::Result<Value> {
    let bar = if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("verifying {wide_bar} {human_pos} of {human_len}, {eta} left");
    bar.set_style(style.expect("the template is right"));
    let findings = store::verify(&store.read()?, |read, all| {
        bar.set_length(all);
        bar.set_position(read);
    });
    bar.finish_and_clear();
    Ok(json(&findings?))
}

fn json(findings: &Findings) -> Value {
    let differences: Vec<_> =
        findings.differences.iter().map(|one| json!({"place": one.place, "detail": one.detail})).collect();
    json!({
        "messages": findings.messages, "archived": findings.archived, "inbound": findings.inbound, "contacts": findings.contacts,
        "cells": findings.cells, "index_rows": findings.index_rows,
        "count": findings.count, "differences": differences,
    })
}

fn show(findings: &Value) -> String {
    let count = |name: &str| text(&findings[name]);
    let mut shown = format!(
        "{} messages ({} in the archive), {} inbound, {} contacts, {} cells, {} index rows\n",
        count("messages"),
        count("archived"),
        count("inbound"),
        count("contacts"),
        count("cells"),
        count("index_rows"),
    );
    let differences = findings["differences"].as_array();
    if findings["count"] == 0 {
        shown.push_str("difference: 0\n");
        return shown;
    }
    shown.push_str(&format!("difference: {}\n", count("count")));
    for difference in differences.into_iter().flatten() {
        shown.push_str(&format!("  {}: {}\n", text(&difference["place"]), text(&difference["detail"])));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::testing::House;
    use super::*;

    fn args(dir: &Path) -> VerifyArgs {
        VerifyArgs { reach: Reach { data: Some(dir.to_owned()), ..Reach::default() } }
    }

    #[test]
    fn an_untouched_data_file_differs_in_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        drop(Store::open(&dir.path().join(FILE), 1 << 20).expect("a store"));
        let mut out = Vec::new();
        assert_eq!(run(&args(dir.path()), &mut out).expect("findings"), Answer::Yes);
        assert!(String::from_utf8_lossy(&out).ends_with("difference: 0\n"));
    }

    #[test]
    fn where_there_is_no_data_file_none_is_made() {
        let error = run(&args(Path::new("/nowhere")), &mut Vec::new()).expect_err("no file");
        assert!(matches!(error.downcast_ref(), Some(Trouble::NoInput(_))), "{error}");
    }

    #[test]
    fn a_data_file_that_is_held_is_verified_by_whoever_holds_it() {
        let answer = r#"{"messages":5,"count":2,"differences":[]}"#;
        let house = House::open(|path| (path == "/v1/verify").then(|| answer.to_owned()));
        let held = Store::open(&house.dir().join(FILE), 1 << 20).expect("a store");
        let mut out = Vec::new();
        assert_eq!(run(&args(house.dir()), &mut out).expect("findings"), Answer::No);
        assert!(String::from_utf8_lossy(&out).contains("difference: 2"));
        drop(held);
        let house = House::open(|_| None);
        let _held = Store::open(&house.dir().join(FILE), 1 << 20).expect("a store");
        let error = run(&args(house.dir()), &mut Vec::new()).expect_err("one that cannot");
        assert!(matches!(error.downcast_ref(), Some(Trouble::Unavailable(words)) if words.contains("stop it")));
    }

    #[test]
    fn every_difference_is_named() {
        let findings = json!({"messages": 2, "archived": 1, "inbound": 0, "contacts": 1, "cells": 3, "index_rows": 8, "count": 1,
            "differences": [{"place": "sids", "detail": "SM1 does not lead to msg_1"}]});
        insta::assert_snapshot!(show(&findings), @r#"
        2 messages (1 in the archive), 0 inbound, 1 contacts, 3 cells, 8 index rows
        difference: 1
          sids: SM1 does not lead to msg_1
        "#);
    }
}
