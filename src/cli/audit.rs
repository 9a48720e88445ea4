//! `bluetick audit`: who did what, newest last, as on any log.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use super::connection::{Reach, block_on};
use super::exit::Answer;
use super::table::{Table, text};

/// How much of the audit log.
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// How many rows, 1 to 500.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: u16,
    /// Only rows before this number.
    #[arg(long, value_name = "NUMBER")]
    pub before: Option<u64>,
    /// Which bluetick.
    #[command(flatten)]
    pub reach: Reach,
}

/// Shows it. Whether it is whole, `bluetick verify` says.
pub(super) fn run(args: &AuditArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.before.map(|before| ("cursor", before.to_string())));
    let connection = args.reach.connect()?;
    let page = block_on(connection.show("/v1/audit", &query))?;
    match args.reach.json {
        true => writeln!(out, "{page}")?,
        false => write!(out, "{}", table(&page))?,
    }
    Ok(Answer::Yes)
}

fn table(page: &Value) -> String {
    let mut table = Table::new(&["row", "at", "who", "from", "what", "to what", "came of it"]);
    for entry in page["data"].as_array().into_iter().flatten().rev() {
        let cells = ["seq", "at", "by", "address", "action", "object", "detail"];
        table.row(cells.map(|cell| text(&entry[cell])));
    }
    table.show()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::House;
    use super::*;

    #[test]
    fn rows_are_shown_oldest_first_as_they_happened() {
        let row = |seq: u64| {
            json!({"seq": seq, "at": "2026-11-26T07:00:00.000Z", "by": "local", "address": null,
                "action": "key.created", "object": "ak_1", "detail": "x"})
        };
        let page = json!({"data": [row(2), row(1)], "next_cursor": null});
        let house = House::open(move |asked| (asked == "/v1/audit?limit=2&cursor=3").then(|| page.to_string()));
        let (answer, said) = house.run(&["audit", "--limit", "2", "--before", "3"]);
        assert_eq!(answer.expect("an answer"), Answer::Yes);
        let rows: Vec<_> = said.lines().map(|line| line.split_whitespace().next().unwrap_or_default()).collect();
        assert_eq!(rows, ["row", "1", "2"], "{said}");
    }
}
