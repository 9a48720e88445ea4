//! `bluetick metrics`: the numbers of a day and of a week, by sender, and what fails most.

use std::io::Write;

use clap::Args;
use serde_json::{Map, Value};

use super::connection::{Connection, Reach, block_on};
use super::exit::Answer;
use super::table::{Table, percent, span, text};

/// More error codes than this are for the pages.
const MAX_ERRORS: usize = 10;

/// Which numbers.
#[derive(Clone, Debug, Args)]
pub struct MetricsArgs {
    /// How far back, like 15m, 24h or 7d; may be repeated.
    #[arg(long, value_name = "SPAN", default_values = ["24h", "7d"], value_parser = super::span::written)]
    pub last: Vec<String>,
    /// Only this sender.
    #[arg(long, value_name = "ADDRESS")]
    pub sender: Option<String>,
    /// Which bluetick.
    #[command(flatten)]
    pub reach: Reach,
}

/// Shows one table for each span.
pub(super) fn run(args: &MetricsArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let connection = args.reach.connect()?;
    let spans = block_on(fetch(&connection, args))?;
    if args.reach.json {
        writeln!(out, "{}", Value::Object(spans.into_iter().collect::<Map<_, _>>()))?;
        return Ok(Answer::Yes);
    }
    let shown: Vec<_> = spans.iter().map(|(last, metrics)| show(last, metrics)).collect();
    out.write_all(shown.join("\n").as_bytes())?;
    Ok(Answer::Yes)
}

async fn fetch(connection: &Connection, args: &MetricsArgs) -> anyhow::Result<Vec<(String, Value)>> {
    let mut spans = Vec::new();
    for last in &args.last {
        let mut query = vec![("from", last.clone())];
        query.extend(args.sender.clone().map(|sender| ("sender", sender)));
        spans.push((last.clone(), connection.show("/v1/metrics", &query).await?));
    }
    Ok(spans)
}

fn show(last: &str, metrics: &Value) -> String {
    let mut senders = Table::new(&[
        &format!("last {last}"),
        "accepted",
        "sent",
        "delivered",
        "",
        "read",
        "",
        "failed",
        "open",
        "p50",
        "p95",
        "p99",
    ]);
    for sender in metrics["senders"].as_array().into_iter().flatten() {
        senders.row(row(text(&sender["sender"]), sender));
    }
    senders.row(row("all".to_owned(), &metrics["totals"]));
    let mut errors = Table::new(&["code", "times", "what", "what to do"]);
    for error in metrics["errors"].as_array().into_iter().flatten().take(MAX_ERRORS) {
        errors.row(["code", "count", "title", "action"].map(|field| text(&error[field])));
    }
    let has_errors = metrics["errors"].as_array().is_some_and(|errors| !errors.is_empty());
    if has_errors { format!("{}\n{}", senders.show(), errors.show()) } else { senders.show() }
}

fn row(name: String, cell: &Value) -> [String; 12] {
    let delivery = &cell["delivery_ms"];
    [
        name,
        text(&cell["accepted"]),
        text(&cell["sent"]),
        text(&cell["delivered"]),
        percent(&cell["delivered_rate"]),
        text(&cell["read"]),
        percent(&cell["read_rate"]),
        text(&cell["failed"]),
        text(&cell["open"]),
        span(&delivery["p50"]),
        span(&delivery["p95"]),
        span(&delivery["p99"]),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn senders_stand_above_their_sum_and_errors_below() {
        let cell = json!({"sender": "whatsapp:+15550001111", "accepted": 1200, "sent": 1190, "delivered": 1100, "read": 550,
            "failed": 10, "open": 3, "delivered_rate": 0.924, "read_rate": 0.5,
            "delivery_ms": {"count": 1100, "p50": 800, "p95": 4200, "p99": 90000}});
        let metrics = json!({"senders": [cell], "totals": cell, "errors": [
            {"code": 63016, "count": 7, "title": "Outside the window", "action": "Send a template."}]});
        insta::assert_snapshot!(show("24h", &metrics), @r#"
        last 24h               accepted  sent  delivered          read          failed  open     p50    p95      p99
        whatsapp:+15550001111      1200  1190       1100  92.4 %   550  50.0 %      10     3  800 ms  4.2 s  1.5 min
        all                        1200  1190       1100  92.4 %   550  50.0 %      10     3  800 ms  4.2 s  1.5 min

         code  times  what                what to do
        63016      7  Outside the window  Send a template.
        "#);
    }
}
