//! `bluetick status`: the state of the house, or of one message.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::connection::{Connection, Reach, block_on};
use super::exit::{Answer, Trouble};
use super::pauses;
use super::table::{Table, distance, span, text};
use super::verify::open;
use crate::clock::{Clock, Time};
use crate::message::explain;
use crate::metrics::{Cell, Count};
use crate::pause::Cause;
use crate::store::Store;

/// Between two looks of --watch.
const PAUSE: Duration = Duration::from_secs(1);
/// To the upper left, and everything after it away.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// What to look at.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// A message: msg_…, or Twilio's SM… or MM…; without it, the whole house.
    pub id: Option<String>,
    /// Look again every second, until Ctrl-C.
    #[arg(long)]
    pub watch: bool,
    /// Which bluetick.
    #[command(flatten)]
    pub reach: Reach,
}

/// Shows once, or again and again. Where nothing runs, the house is shown from its data file.
pub(super) fn run(args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let connection = args.reach.connect()?;
    let answer = block_on(look(&connection, args, out));
    let Err(error) = &answer else { return answer };
    let may_look_inside = args.reach.url.is_none() && args.id.is_none() && !args.watch;
    if may_look_inside && matches!(error.downcast_ref(), Some(Trouble::Unavailable(_))) {
        // A data file that is not there either says no more than that nothing answers.
        if let Ok(store) = open(&args.reach.dir()?, args.reach.shelf()?) {
            print(&offline(&store)?, args, out)?;
            return Ok(Answer::Yes);
        }
    }
    answer
}

async fn look(connection: &Connection, args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    loop {
        let Some(found) = fetch(connection, args.id.as_deref()).await? else {
            let id = args.id.as_deref().unwrap_or_default();
            return Err(Trouble::Refused(format!("there is no message {id}")).into());
        };
        if args.watch && !args.reach.json && std::io::stdout().is_terminal() {
            out.write_all(CLEAR.as_bytes())?;
        }
        print(&found, args, out)?;
        out.flush()?;
        if !args.watch {
            return Ok(Answer::Yes);
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Answer::Yes),
        }
    }
}

async fn fetch(connection: &Connection, id: Option<&str>) -> anyhow::Result<Option<Value>> {
    let Some(id) = id else {
        return connection.show("/v1/status", &[]).await.map(Some);
    };
    check_id(id)?;
    let Some(message) = connection.get(&format!("/v1/messages/{id}"), &[]).await? else { return Ok(None) };
    let journal = connection.get(&format!("/v1/messages/{id}/journal"), &[]).await?;
    Ok(Some(json!({"message": message, "journal": journal.map_or(Value::Null, |journal| journal["data"].clone())})))
}

/// An id is letters, digits and one underscore; what is not would be another path.
pub(super) fn check_id(id: &str) -> Result<(), Trouble> {
    match !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        true => Ok(()),
        false => Err(Trouble::Usage(format!("{id} is no message: write msg_…, SM… or MM…"))),
    }
}

fn print(found: &Value, args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let shown = match (args.reach.json, &args.id) {
        (true, _) => format!("{found}\n"),
        (false, Some(_)) => message(found, Clock::System.now()),
        (false, None) => house(found, Clock::System.now()),
    };
    Ok(out.write_all(shown.as_bytes())?)
}

/// What a data file alone can tell.
fn offline(store: &Store) -> anyhow::Result<Value> {
    let snapshot = store.read()?;
    let mut all = Cell::default();
    for (sender, _) in snapshot.senders()? {
        all.merge(&snapshot.ever(sender)?, 1);
    }
    let pauses = snapshot.active_pauses()?.into_iter().map(|paused| {
        let note = paused.cause.note();
        let code = if let Cause::Failure(code) = paused.cause { Some(code) } else { None };
        let title = code.map(|code| explain(code).title);
        json!({"scope": paused.scope.to_string(), "since": paused.since.to_string(), "code": code, "title": title,
            "note": note})
    });
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "queue": {
            "pending": all.get(Count::Pending),
            "in_flight": all.get(Count::InFlight),
            "unknown": all.get(Count::Unknown),
            "held": all.get(Count::Held),
            "oldest_due_at": snapshot.oldest_due()?.map(|due| due.to_string()),
        },
        "sending": {"state": "stopped", "reason": "no bluetick is running", "pauses": pauses.collect::<Vec<_>>()},
    }))
}

fn house(status: &Value, now: Time) -> String {
    let (queue, rates, sending) = (&status["queue"], &status["rates"], &status["sending"]);
    let mut table = Table::default();
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row(
        "bluetick",
        format!("{} {}", text(&status["version"]), status["mode"].as_str().unwrap_or_default()).trim_end().to_owned(),
    );
    if !status["boot_at"].is_null() {
        row("started", distance(&status["boot_at"], now));
        let nowhere = "nowhere: no callbacks come, so Twilio is asked for everything";
        row("reached at", status["public_url"].as_str().unwrap_or(nowhere).to_owned());
    }
    let reason = sending["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
    row("sending", format!("{}{reason}", text(&sending["state"])));
    for alert in status["alerts"].as_array().into_iter().flatten() {
        if alert["detail"] != sending["reason"] {
            row("beware", text(&alert["detail"]));
        }
        row("what to do", text(&alert["action"]));
    }
    for pause in sending["pauses"].as_array().into_iter().flatten() {
        row("paused", pauses::line(pause, now));
    }
    let count = |name: &str| text(&queue[name]);
    row("queue", format!("{} pending, {} in flight, {} held", count("pending"), count("in_flight"), count("held")));
    row("unknown", count("unknown"));
    row("oldest due", distance(&queue["oldest_due_at"], now));
    if !rates.is_null() {
        let rate = |name: &str| rates[name].as_f64().map_or("–".to_owned(), |rate| format!("{rate:.1}"));
        row("rate", format!("{} messages/s, {} callbacks/s", rate("accepted_per_s"), rate("callbacks_per_s")));
        row("refused", format!("{} callbacks", text(&status["refused_callbacks"])));
    }
    table.show()
}

fn message(found: &Value, now: Time) -> String {
    let message = &found["message"];
    let mut summary = Table::default();
    let mut row = |name: &str, value: String| summary.row([name.to_owned(), value]);
    row("message", text(&message["id"]));
    row("status", format!("{}, {}", text(&message["status"]), distance(&message["updated_at"], now)));
    row("from", text(&message["from"]));
    row("to", text(&message["to"]));
    row("sid", text(&message["sid"]));
    for (name, field) in [("queue", "queue_ms"), ("delivery", "delivery_ms"), ("read", "read_ms")] {
        row(name, span(&message[field]));
    }
    for (name, field) in [("held", "held"), ("ended", "ended")] {
        if let Some(detail) = message[field]["detail"].as_str() {
            row(name, detail.to_owned());
        }
    }
    if message["attempts"].as_array().and_then(|made| made.last()).is_some_and(|last| last["form"] == "fallback") {
        row("sent as", "its fallback template".to_owned());
    }
    let next = &message["next"];
    if !next.is_null() {
        row("next", format!("{} {}", text(&next["step"]), distance(&next["due_at"], now)));
    }
    let error = &message["error"];
    if !error.is_null() {
        row("error", format!("{} {}", text(&error["code"]), text(&error["title"])));
        row("what to do", text(&error["action"]));
    }
    if message["duplicate_detected"] == true {
        row("beware", "the person may have got it twice".to_owned());
    }
    let mut journal = Table::new(&["at", "source", "fact", "status", "code", "detail"]);
    for line in found["journal"].as_array().into_iter().flatten() {
        let times =
            line["count"].as_u64().filter(|count| *count > 1).map(|count| format!(" ×{count}")).unwrap_or_default();
        journal.row([
            text(&line["at"]),
            text(&line["source"]),
            format!("{}{times}", text(&line["fact"])),
            text(&line["status"]),
            text(&line["code"]),
            line["detail"].as_str().unwrap_or_default().to_owned(),
        ]);
    }
    format!("{}\n{}", summary.show(), journal.show())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use clap::Parser;

    use super::super::Cli;
    use super::super::testing::House;
    use super::*;
    use crate::http::SOCKET;

    const NOW: Time = Time(1_700_000_005_000);

    #[test]
    fn the_house_is_one_small_table() {
        let status = json!({"version": "0.1.0", "mode": "live", "public_url": "https://wa.example.com",
            "boot_at": "2023-11-14T22:13:20.000Z", "sending": {"state": "stopped", "reason": "Twilio refuses our token", "pauses": [
                {"scope": "sender:whatsapp:+15550001111", "since": "2023-11-14T22:13:20.000Z", "code": 63018,
                    "title": "Sender has reached its WhatsApp limit", "note": null, "waiting": 3},
                {"scope": "all", "since": "2023-11-14T22:13:24.000Z", "note": "release day"}]},
            "alerts": [
                {"code": "twilio_auth", "detail": "Twilio refuses our token", "action": "compare it with the console"},
                {"code": "secret_due", "detail": "the auth token is due", "action": "rotate it"}],
            "queue": {"pending": 7, "in_flight": 1, "unknown": 2, "held": 0, "oldest_due_at": "2023-11-14T22:13:24.000Z"},
            "rates": {"accepted_per_s": 1.25, "callbacks_per_s": 4.0}, "refused_callbacks": 3});
        insta::assert_snapshot!(house(&status, NOW), @r#"
        bluetick    0.1.0 live
        started     5.0 s ago
        reached at  https://wa.example.com
        sending     stopped: Twilio refuses our token
        what to do  compare it with the console
        beware      the auth token is due
        what to do  rotate it
        paused      sender:whatsapp:+15550001111 for 5.0 s: 63018 Sender has reached its WhatsApp limit, 3 waiting
        paused      all for 1.0 s: release day
        queue       7 pending, 1 in flight, 0 held
        unknown     2
        oldest due  1.0 s ago
        rate        1.2 messages/s, 4.0 callbacks/s
        refused     3 callbacks
        "#);
    }

    #[test]
    fn a_message_is_shown_with_its_journal() {
        let found = json!({
        "message": {"id": "msg_1", "status": "undelivered", "updated_at": "2023-11-14T22:13:20.000Z", "sid": "SM1",
            "from": "whatsapp:+15550001111", "to": "whatsapp:+4915100000001", "queue_ms": 12, "delivery_ms": null,
            "error": {"code": 63016, "title": "Outside the window", "action": "Send a template."},
            "held": null, "ended": {"reason": "suppressed", "detail": "The person opted out."},
            "attempts": [{"form": "as_asked"}, {"form": "fallback"}],
            "next": {"step": "reconcile", "due_at": "2023-11-14T22:13:30.000Z"}, "duplicate_detected": false},
        "journal": [
            {"at": "2023-11-14T22:13:19.000Z", "source": "api", "fact": "accepted", "count": 1, "detail": "due at once"},
            {"at": "2023-11-14T22:13:20.000Z", "source": "callback", "fact": "reported", "count": 2,
                "status": "undelivered", "code": 63016, "detail": ""},
        ]});
        insta::assert_snapshot!(message(&found, NOW), @r#"
        message     msg_1
        status      undelivered, 5.0 s ago
        from        whatsapp:+15550001111
        to          whatsapp:+4915100000001
        sid         SM1
        queue       12 ms
        delivery    –
        read        –
        ended       The person opted out.
        sent as     its fallback template
        next        reconcile in 5.0 s
        error       63016 Outside the window
        what to do  Send a template.

        at                        source    fact         status        code  detail
        2023-11-14T22:13:19.000Z  api       accepted     –                –  due at once
        2023-11-14T22:13:20.000Z  callback  reported ×2  undelivered  63016
        "#);
    }

    fn ask(house: &House, args: &[&str]) -> anyhow::Result<String> {
        let dir = house.dir().to_str().expect("a plain path").to_owned();
        let cli = Cli::try_parse_from(["bluetick", "status", "--data", &dir].iter().chain(args)).expect("a command");
        let mut out = Vec::new();
        cli.run(&mut out)?;
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn a_message_is_asked_for_through_the_local_socket() {
        let house = House::open(|path| match path {
            "/v1/messages/msg_1" => Some(r#"{"id":"msg_1","status":"read"}"#.to_owned()),
            "/v1/messages/msg_1/journal" => Some(r#"{"data":[{"fact":"accepted"}]}"#.to_owned()),
            _ => None,
        });
        let found: Value = serde_json::from_str(&ask(&house, &["msg_1", "--json"]).expect("a message")).expect("JSON");
        assert_eq!((&found["message"]["status"], &found["journal"][0]["fact"]), (&json!("read"), &json!("accepted")));
        let error = ask(&house, &["msg_2"]).expect_err("no such message");
        assert_eq!(error.downcast_ref(), Some(&Trouble::Refused("there is no message msg_2".to_owned())));
        let error = ask(&house, &["../status"]).expect_err("no id");
        assert!(matches!(error.downcast_ref(), Some(Trouble::Usage(_))));
    }

    #[test]
    fn a_data_file_alone_tells_what_waits() {
        // Fails only if a provider is installed already, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path();
        let store = Store::open(&dir.join(crate::store::FILE), 1 << 20).expect("a store");
        drop(store);
        // What a bluetick that died leaves behind: nobody listens on it any more.
        drop(UnixListener::bind(dir.join(SOCKET)).expect("a socket"));
        let args =
            StatusArgs { id: None, watch: false, reach: Reach { data: Some(dir.to_owned()), ..Reach::default() } };
        let mut out = Vec::new();
        assert_eq!(run(&args, &mut out).expect("a status"), Answer::Yes);
        let said = String::from_utf8(out).expect("text");
        assert!(said.contains("no bluetick is running") && said.contains("0 pending"), "{said}");
    }
}
