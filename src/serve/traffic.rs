//! What a small shop would send on a busy day: templates, answers inside the window, one-time codes, and the mishaps
//! that come with them. Everything goes through the public API.

use std::time::Duration;

use rand::RngExt;
use serde_json::{Value, json};

/// The senders of the built-in Twilio.
pub(super) const SENDERS: [&str; 2] = ["whatsapp:+15550001111", "whatsapp:+15550002222"];
/// People; the last four digits of a number choose how the built-in Twilio treats it.
const PEOPLE: u32 = 120;
/// Endings that go wrong in one way or another, each now and then.
const MISHAPS: [&str; 14] =
    ["9002", "9003", "9004", "9007", "9008", "9011", "9021", "9022", "9024", "3018", "3003", "3049", "1610", "0008"];
/// A person's message is on its way to us for so long before it is answered.
const READING: Duration = Duration::from_millis(700);
/// The pages should show something at once.
const FIRST_BURST: u32 = 40;

const TEMPLATES: [(&str, &str, &str); 3] = [
    ("HX00000000000000000000000000000001", "order", "normal"),
    ("HX00000000000000000000000000000002", "code", "high"),
    ("HX00000000000000000000000000000003", "offer", "bulk"),
];

/// Sends until the demo ends.
pub(super) async fn run(url: String, api_key: String, emulator: String) {
    let Ok(client) = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build() else { return };
    for number in 0.. {
        let draft = match number % 14 {
            6 => talk(&client, &emulator).await,
            13 => remind(number),
            _ => template(number),
        };
        let request = client.post(format!("{url}/v1/messages")).bearer_auth(&api_key).json(&draft);
        if let Err(error) = request.send().await {
            tracing::debug!(%error, "the demo's traffic was not taken");
        }
        let pause = if number < FIRST_BURST { 20 } else { rand::rng().random_range(200..900) };
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

fn template(number: u32) -> Value {
    let mut dice = rand::rng();
    let (sid, tag, priority) = TEMPLATES[dice.random_range(0..TEMPLATES.len())];
    let order = format!("{}", 10_000 + number);
    json!({
        "to": person(),
        "from": SENDERS[dice.random_range(0..SENDERS.len())],
        "content_sid": sid,
        "variables": {"1": order, "2": format!("#{order}")},
        "reference": format!("{tag}-{order}"),
        "tags": [tag],
        "priority": priority,
    })
}

/// Somebody writes to us, and is answered in free text while their window is open.
async fn talk(client: &reqwest::Client, emulator: &str) -> Value {
    let (to, from) = (person(), SENDERS[0]);
    let inbound = json!({"from": to, "to": from, "body": "Is my parcel on its way?"});
    if let Err(error) = client.post(format!("{emulator}/emulator/inbound")).json(&inbound).send().await {
        tracing::debug!(%error, "the demo's inbound message was not taken");
    }
    tokio::time::sleep(READING).await;
    json!({"to": to, "from": from, "body": "Yes: it arrives tomorrow before noon.", "tags": ["support"]})
}

/// Free text to somebody who may not have written for a day: most of it has a template to fall back on.
fn remind(number: u32) -> Value {
    let mut draft = json!({
        "to": person(), "from": SENDERS[0], "body": "Your parcel waits for you at the shop.", "tags": ["reminder"],
    });
    if !number.is_multiple_of(5) {
        draft["fallback"] =
            json!({"content_sid": TEMPLATES[0].0, "variables": {"1": "you", "2": format!("#{number}")}});
    }
    draft
}

fn person() -> String {
    let mut dice = rand::rng();
    let number = dice.random_range(0..PEOPLE);
    if number % 9 == 0 {
        let mishap = MISHAPS[dice.random_range(0..MISHAPS.len())];
        return format!("whatsapp:+4915100{:02}{mishap}", number % 100);
    }
    format!("whatsapp:+491510{:03}5{:03}", number % 7, number)
}
