//! `bluetick logs`: what happened, one line an event, the newest last.

use std::io::Write;

use clap::Args;
use serde_json::Value;

use super::connection::{Connection, Reach, block_on};
use super::exit::{Answer, Trouble};
use super::table::text;

/// A line of the stream is one event; what is longer is none.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Which events.
#[derive(Clone, Debug, Args)]
pub struct LogsArgs {
    /// Only those of this message.
    #[arg(long, value_name = "msg_…")]
    pub message: Option<String>,
    /// From this number on, and not only the last ones.
    #[arg(long, value_name = "SEQ")]
    pub after: Option<u64>,
    /// How many at most, up to 1000.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub limit: u64,
    /// Go on with what happens from now, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,
    /// Which bluetick.
    #[command(flatten)]
    pub reach: Reach,
}

/// Shows what there is, then what comes.
pub(super) fn run(args: &LogsArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let connection = args.reach.connect()?;
    block_on(async {
        tokio::select! {
            shown = show(&connection, args, out) => shown.map(|()| Answer::Yes),
            _ = tokio::signal::ctrl_c() => Ok(Answer::Yes),
        }
    })
}

async fn show(connection: &Connection, args: &LogsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let after = match (args.after, &args.message) {
        (Some(after), _) => after,
        // The events of one message are few.
        (None, Some(_)) => 0,
        (None, None) => {
            let status = connection.show("/v1/status", &[]).await?;
            status["newest_event"].as_u64().unwrap_or(0).saturating_sub(args.limit)
        }
    };
    let query = |after: u64| {
        let mut query = vec![("after", after.to_string()), ("limit", args.limit.to_string())];
        query.extend(args.message.clone().map(|message| ("message", message)));
        query
    };
    let page = connection.show("/v1/events", &query(after)).await?;
    for event in page["data"].as_array().into_iter().flatten() {
        print(event, args, out)?;
    }
    if !args.follow {
        return Ok(());
    }
    let mut stream = connection.stream("/v1/events", &query(page["next_after"].as_u64().unwrap_or(after))).await?;
    let mut lines = Lines::default();
    while let Some(piece) = stream.chunk().await? {
        for line in lines.take(&piece)? {
            if let Some(event) = line.strip_prefix("data:").and_then(|data| serde_json::from_str(data).ok()) {
                print(&event, args, out)?;
            }
        }
    }
    Err(Trouble::Unavailable("bluetick has stopped".to_owned()).into())
}

/// Bytes that come in pieces, as whole lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn take(&mut self, piece: &[u8]) -> Result<Vec<String>, Trouble> {
        self.0.extend_from_slice(piece);
        let Some(end) = self.0.iter().rposition(|byte| *byte == b'\n') else {
            return match self.0.len() > MAX_LINE_BYTES {
                true => Err(Trouble::Unavailable("the stream has no lines: that is no bluetick".to_owned())),
                false => Ok(Vec::new()),
            };
        };
        let rest = self.0.split_off(end + 1);
        let whole = std::mem::replace(&mut self.0, rest);
        Ok(String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect())
    }
}

fn print(event: &Value, args: &LogsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match args.reach.json {
        true => writeln!(out, "{event}")?,
        false => writeln!(out, "{}", line(event))?,
    }
    Ok(out.flush()?)
}

fn line(event: &Value) -> String {
    let about = if event["message_id"].is_null() { &event["sid"] } else { &event["message_id"] };
    let mut line =
        format!("{:>8}  {}  {:<22}  {}", text(&event["seq"]), text(&event["at"]), text(&event["type"]), text(about));
    for field in ["contact", "reference", "code"] {
        if !event[field].is_null() {
            line.push_str(&format!("  {}", text(&event[field])));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::super::Cli;
    use super::super::testing::House;
    use super::*;

    #[test]
    fn lines_are_whole_however_their_bytes_arrive() {
        let text = "id: 7\ndata: {\"ä\":1}\r\n\n: ping\n";
        for cut in 0..text.len() {
            let mut lines = Lines::default();
            let (one, other) = text.as_bytes().split_at(cut);
            let all = [lines.take(one), lines.take(other)].map(|lines| lines.expect("short lines")).concat();
            assert_eq!(all, ["id: 7", "data: {\"ä\":1}", "", ": ping"]);
        }
        assert!(Lines::default().take(&[b'x'; MAX_LINE_BYTES + 1]).is_err());
    }

    fn said(house: &House, args: &[&str]) -> (anyhow::Result<Answer>, String) {
        let dir = house.dir().to_str().expect("a plain path").to_owned();
        let cli = Cli::try_parse_from(["bluetick", "logs", "--data", &dir].iter().chain(args)).expect("a command");
        let mut out = Vec::new();
        let answer = cli.run(&mut out);
        (answer, String::from_utf8(out).expect("text"))
    }

    /// A house with this many events, which follows with one more and then stops.
    fn house(events: u64) -> House {
        House::open(move |path| {
            if path == "/v1/status" {
                return Some(json!({"newest_event": events}).to_string());
            }
            let number = |name: &str| {
                let (_, query) = path.split_once('?')?;
                let pairs = form_urlencoded::parse(query.as_bytes());
                pairs.into_iter().find(|(key, _)| key == name)?.1.parse::<u64>().ok()
            };
            let after = number("after")?;
            let data: Vec<_> = (after + 1..=events).take(usize::try_from(number("limit")?).ok()?).collect();
            let next = data.last().copied().unwrap_or(after);
            let data: Vec<_> = data.into_iter().map(|seq| json!({"seq": seq, "type": "message.sent"})).collect();
            Some(match path.starts_with("stream:") {
                true => format!(": ping\n\nid: {0}\ndata: {{\"seq\":{0}}}\n\n", after + 1),
                false => json!({"data": data, "next_after": next}).to_string(),
            })
        })
    }

    #[test]
    fn the_last_events_are_shown_however_many_there_are() {
        for events in [0_u64, 1, 2, 3, 4, 7, 100, 1_023] {
            let (answer, said) = said(&house(events), &["-n", "2", "--json"]);
            assert_eq!(answer.expect("an answer"), Answer::Yes);
            let expected: Vec<_> = (events.saturating_sub(2) + 1..=events).collect();
            let shown: Vec<_> =
                said.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["seq"].as_u64()).collect();
            assert_eq!(shown, expected.into_iter().map(Some).collect::<Vec<_>>());
        }
    }

    #[test]
    fn following_goes_on_where_the_page_ended_and_says_when_bluetick_stops() {
        let (answer, said) = said(&house(5), &["-n", "1", "--follow", "--json"]);
        assert_eq!(said, "{\"seq\":5,\"type\":\"message.sent\"}\n{\"seq\":6}\n");
        assert!(matches!(answer.expect_err("the end").downcast_ref(), Some(Trouble::Unavailable(_))));
    }

    #[test]
    fn an_event_is_one_line() {
        let event = json!({"seq": 12, "at": "2023-11-14T22:13:20.000Z", "type": "message.failed", "message_id": "msg_1",
            "sid": "SM1", "contact": "whatsapp:+4915100000001", "reference": null, "code": 63016});
        insta::assert_snapshot!(line(&event), @"      12  2023-11-14T22:13:20.000Z  message.failed          msg_1  whatsapp:+4915100000001  63016");
    }
}
