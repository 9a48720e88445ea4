//! The core through its door: a request, a clock moved by hand, and what came of it.

use std::time::Duration;

use rand::SeedableRng;
use serde_json::Value;

use super::*;
use crate::clock::Time;
use crate::twilio::signature::{AuthToken, sign_form};
use crate::twilio::wire::{encode_form, parse_form};

const PERSON: &str = "whatsapp:+4915100000001";
const SENDER: &str = "whatsapp:+15550001111";
const HOOK: &str = "https://app.example.com/status";
const SERVICE: &str = "MG00000000000000000000000000000001";
const APPROVED: &str = "HX00000000000000000000000000000001";

/// An emulator, its dice, and a clock.
struct Desk {
    emulator: Emulator,
    dice: Dice,
    now: Time,
    posts: Vec<Later>,
}

impl Desk {
    fn with(options: Options) -> Self {
        let mut dice = Dice::seed_from_u64(options.seed);
        let now = Time(1_790_000_000_000);
        Self { emulator: Emulator::new(options, now, &mut dice), dice, now, posts: Vec::new() }
    }

    /// Free text is allowed, so that a test can be about something else.
    fn open() -> Self {
        Self::with(Options { strict_window: false, ..Options::default() })
    }

    fn strict() -> Self {
        Self::with(Options::default())
    }

    fn call(&mut self, request: Request) -> (u16, Value) {
        let answer = self.answer(request);
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn answer(&mut self, request: Request) -> Answer {
        let options = Options::default();
        let request = match &request.authorization {
            None => request.with_basic(&options.account_sid, &options.auth_token),
            Some(_) => request,
        };
        let (answer, posts) = self.emulator.handle(&request, self.now, &mut self.dice);
        self.posts.extend(posts);
        answer
    }

    fn wait(&mut self, wait: Duration) {
        self.now = self.now.plus(wait);
        let posts = self.emulator.due(self.now, &mut self.dice);
        self.posts.extend(posts);
    }

    fn get(&mut self, path: &str) -> (u16, Value) {
        self.call(Request::new(Method::Get, &path.replace("ACCOUNT", &Options::default().account_sid)))
    }

    fn post(&mut self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.call(create_request(path, form))
    }

    fn control(&mut self, path: &str, body: &Value) -> (u16, Value) {
        self.call(Request::new(Method::Post, path).with_body(body.to_string()))
    }

    fn create(&mut self, changes: &[(&str, &str)]) -> (u16, Value) {
        self.post("/2010-04-01/Accounts/ACCOUNT/Messages.json", &text(changes))
    }

    fn told(&self) -> Vec<String> {
        self.posts.iter().map(|post| param(post, "MessageStatus").to_owned()).collect()
    }

    fn fetch(&mut self, sid: &str) -> Value {
        self.get(&format!("/2010-04-01/Accounts/ACCOUNT/Messages/{sid}.json")).1
    }

    fn ledger(&mut self, query: &str) -> Value {
        self.get(&format!("/emulator/ledger?{query}")).1
    }
}

/// A text that is fine, with some of its parameters changed, or left out when empty.
fn text<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let fine = [("To", PERSON), ("From", SENDER), ("Body", "hello"), ("StatusCallback", HOOK)];
    let is_kept = |(name, _): &(&str, &str)| changes.iter().all(|(changed, _)| changed != name);
    let kept = fine.into_iter().filter(is_kept);
    kept.chain(changes.iter().copied().filter(|(_, value)| !value.is_empty())).collect()
}

fn create_request(path: &str, form: &[(&str, &str)]) -> Request {
    let params: Vec<_> = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let path = path.replace("ACCOUNT", &Options::default().account_sid);
    Request::new(Method::Post, &path).with_body(encode_form(&params))
}

fn param<'a>(post: &'a Later, name: &str) -> &'a str {
    post.params.iter().find(|pair| pair.0 == name).map_or("", |pair| pair.1.as_str())
}

fn acknowledged() -> Delivery {
    Delivery::Answered { status: 204, content_type: String::new(), body: String::new() }
}

#[test]
fn a_message_is_queued_then_sent_delivered_and_read_and_the_app_is_told() {
    let mut desk = Desk::open();
    let (status, message) = desk.create(&[]);
    assert_eq!((status, &message["status"], &message["direction"]), (201, &"queued".into(), &"outbound-api".into()));
    assert!(message["date_sent"].is_null() && message["error_code"].is_null());
    assert_eq!(desk.told(), ["sent", "delivered", "read"]);
    let sid = message["sid"].as_str().expect("a sid");
    let now = desk.fetch(sid);
    assert_eq!((now["status"].as_str(), now["date_sent"].is_string()), (Some("read"), true));
    let read = &desk.posts[2];
    assert_eq!((param(read, "SmsSid"), param(read, "EventType")), (sid, "READ"));
    assert_eq!((param(read, "ChannelPrefix"), param(read, "ApiVersion")), ("whatsapp", "2010-04-01"));
}

#[test]
fn callbacks_are_signed_with_the_primary_token_without_the_fragment() {
    let mut desk = Desk::open();
    desk.create(&[("StatusCallback", "https://app.example.com/status?x=1#rc=3&rp=5xx")]);
    let post = &desk.posts[0];
    let token = AuthToken::new(Options::default().auth_token);
    assert_eq!(post.url, "https://app.example.com/status?x=1");
    assert_eq!(post.signature, sign_form(&token, &post.url, &parse_form(post.body.as_bytes()).expect("a form")));
    assert_eq!(post.retry.retries, 3);
}

#[test]
fn a_lifelike_message_takes_its_time() {
    let mut desk = Desk::with(Options { pace: Pace::Lifelike, strict_window: false, ..Options::default() });
    desk.create(&[]);
    assert!(desk.posts.is_empty());
    desk.wait(Duration::from_secs(1));
    assert_eq!(desk.told(), ["sent"]);
    desk.wait(Duration::from_secs(120));
    assert!(desk.told().contains(&"delivered".to_owned()) && desk.emulator.next_due().is_none());
}

#[test]
fn one_seed_is_one_behaviour() {
    let run = |seed| {
        let mut desk = Desk::with(Options { pace: Pace::Lifelike, chatter: true, seed, ..Options::default() });
        let sids: Vec<_> = (0..20)
            .map(|_| {
                desk.create(&[("ContentSid", APPROVED), ("Body", ""),
            ("ContentVariables", r#"{"1":"a","2":"b"}"#)]).1["sid"].clone()
            })
            .collect();
        desk.wait(Duration::from_secs(300));
        (sids, desk.told(), desk.posts.iter().map(|post| post.signature.clone()).collect::<Vec<_>>())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).0, run(4).0);
}

#[test]
fn bad_creates_are_refused_with_twilios_codes() {
    let long = "x".repeat(1_601);
    let too_long = [("Body", long.as_str())];
    let cases: Vec<(&[(&str, &str)], u64)> = vec![
        (&[("To", "")], 21604),
        (&[("From", "")], 21603),
        (&[("To", "whatsapp:+49")], 21211),
        (&[("To", "whatsapp:4915100000001")], 21211),
        (&[("To", "+4915100000001")], 21910),
        (&[("From", "whatsapp:+15550009999")], 63007),
        (&[("From", "+15550001111")], 21606),
        (&[("From", "nobody")], 21212),
        (&[("To", SENDER)], 63031),
        (&[("Body", "")], 21619),
        (&too_long, 21617),
        (&[("StatusCallback", "https://my_app.example.com/x")], 21609),
        (&[("MediaUrl", "cat.jpg")], 21620),
        (&[("ValidityPeriod", "0")], 21624),
        (&[("ContentSid", "HX99999999999999999999999999999999")], 21655),
        (&[("ContentSid", APPROVED), ("ContentVariables", "[1]")], 21656),
        (&[("MessagingServiceSid", "MG99999999999999999999999999999999")], 21701),
        (&[("MessagingServiceSid", "MG1")], 21705),
        (&[("ScheduleType", "fixed")], 35111),
        (&[("ScheduleType", "fixed"), ("SendAt", "2026-12-01T00:00:00Z")], 35118),
        (&[("Boddy", "x")], 20001),
    ];
    for (changes, code) in cases {
        let mut desk = Desk::open();
        let (status, error) = desk.create(changes);
        assert_eq!(error["code"].as_u64(), Some(code), "{changes:?} {error}");
        assert_eq!((error["status"].as_u64(), u64::from(status) / 100), (Some(u64::from(status)), 4));
        assert_eq!(error["more_info"], format!("https://www.twilio.com/docs/errors/{code}"));
        assert!(desk.posts.is_empty());
        assert_eq!(desk.ledger("")["counts"]["refused"], 1);
    }
}

#[test]
fn credentials_are_checked() {
    let mut desk = Desk::open();
    let options = Options::default();
    let account = format!("/2010-04-01/Accounts/{}", options.account_sid);
    let mut get = |path: &str, user: &str, password: &str| {
        let (status, error) = desk.call(Request::new(Method::Get, path).with_basic(user, password));
        (status, error["code"].as_u64())
    };
    let (key, secret) = (&options.api_keys[0].sid, &options.api_keys[0].secret);
    assert_eq!(get(&format!("{account}/Messages.json"), key, secret), (200, None));
    assert_eq!(get(&format!("{account}.json"), key, secret), (401, Some(20003)));
    assert_eq!(get(&format!("{account}.json"), &options.account_sid, &options.auth_token), (200, None));
    assert_eq!(get(&format!("{account}/Balance.json"), &options.account_sid, "wrong"), (401, Some(20003)));
    let other = "/2010-04-01/Accounts/AC99999999999999999999999999999999/Messages.json";
    assert_eq!(get(other, &options.account_sid, &options.auth_token), (404, Some(20404)));
    let bare = Request::new(Method::Get, "/v1/Alerts");
    assert_eq!(desk.emulator.handle(&bare, desk.now, &mut desk.dice).0.status, 401);
}

#[test]
fn free_text_needs_an_open_window_and_a_template_does_not() {
    let mut desk = Desk::strict();
    let (status, message) = desk.create(&[]);
    assert_eq!(status, 201);
    assert_eq!(desk.told(), ["failed"]);
    assert_eq!(param(&desk.posts[0], "ErrorCode"), "63016");
    assert_eq!(desk.fetch(message["sid"].as_str().expect("a sid"))["error_code"], 63016);

    let variables = r#"{"1":"Ada","2":"17"}"#;
    let (_, message) = desk.create(&[("Body", ""), ("ContentSid", APPROVED), ("ContentVariables", variables)]);
    assert_eq!(message["body"], "Hello Ada, your order 17 is on its way.");
    assert!(message["sid"].as_str().is_some_and(|sid| sid.starts_with("MM")));
    assert_eq!(desk.told()[1..], ["sent", "delivered", "read"]);

    desk.control("/emulator/inbound", &serde_json::json!({"from": PERSON, "body": "hi"}));
    desk.posts.clear();
    desk.create(&[]);
    assert_eq!(desk.told(), ["sent", "delivered", "read"]);
    desk.wait(Duration::from_secs(24 * 60 * 60));
    desk.create(&[]);
    assert_eq!(desk.told()[3..], ["failed"]);
}

#[test]
fn templates_that_are_not_approved_or_not_filled_fail() {
    let mut desk = Desk::strict();
    let failure = |desk: &mut Desk, digit: u8, variables: &str| {
        let sid = format!("HX{}{digit}", "0".repeat(31));
        desk.posts.clear();
        desk.create(&[("Body", ""), ("ContentSid", &sid), ("ContentVariables", variables)]);
        param(&desk.posts[0], "ErrorCode").to_owned()
    };
    assert_eq!(failure(&mut desk, 4, r#"{"1":"x"}"#), "63016");
    assert_eq!(failure(&mut desk, 5, r#"{"1":"x"}"#), "63040");
    assert_eq!(failure(&mut desk, 1, r#"{"1":"x"}"#), "63028");
}

#[test]
fn whoever_says_stop_is_not_written_to() {
    let mut desk = Desk::open();
    desk.control("/emulator/inbound", &serde_json::json!({"from": PERSON, "body": "STOP"}));
    assert_eq!(desk.create(&[]).1["code"], 21610);
    desk.control("/emulator/inbound", &serde_json::json!({"from": PERSON, "body": "start"}));
    assert_eq!(desk.create(&[]).0, 201);
}

#[test]
fn an_inbound_message_is_posted_signed_and_falls_back() {
    let mut options = Options { inbound_url: Some("https://app.example.com/in".into()), ..Options::default() };
    options.senders[0].fallback_url = Some("https://app.example.com/fallback".into());
    let mut desk = Desk::with(options);
    let inbound = serde_json::json!({"from": PERSON, "body": "hé & co", "profile_name": "Ada",
        "media": [{"url": "https://media.example/1", "content_type": "image/jpeg"}], "extra": {"NewOne": "1"}});
    let (status, answer) = desk.control("/emulator/inbound", &inbound);
    let post = desk.posts[0].clone();
    assert_eq!((status, param(&post, "MessageSid")), (201, answer["sid"].as_str().expect("a sid")));
    assert_eq!((param(&post, "SmsMessageSid"), param(&post, "SmsStatus")), (param(&post, "SmsSid"), "received"));
    assert_eq!((param(&post, "MediaUrl0"), param(&post, "MessageType")), ("https://media.example/1", "image"));
    assert_eq!((param(&post, "NewOne"), param(&post, "WaId")), ("1", "4915100000001"));
    let token = AuthToken::new(Options::default().auth_token);
    assert_eq!(post.signature, sign_form(&token, "https://app.example.com/in", &post.params));

    let failed = Delivery::Answered { status: 500, content_type: String::new(), body: String::new() };
    let more = desk.emulator.report(post.id, &failed, Duration::ZERO, true, desk.now, &mut desk.dice);
    assert_eq!(more.len(), 1);
    assert_eq!((more[0].url.as_str(), &more[0].params), ("https://app.example.com/fallback", &post.params));
    let more = desk.emulator.report(more[0].id, &acknowledged(), Duration::ZERO, true, desk.now, &mut desk.dice);
    assert!(more.is_empty());
    assert_eq!(desk.get("/v1/Alerts").1["alerts"][0]["error_code"], "11200");
}

#[test]
fn twiml_is_sent_to_the_person_who_wrote() {
    let options = Options { inbound_url: Some("https://app.example.com/in".into()), ..Options::default() };
    let mut desk = Desk::with(options);
    desk.control("/emulator/inbound", &serde_json::json!({"from": PERSON, "body": "hi"}));
    let id = desk.posts[0].id;
    let twiml = "<?xml version=\"1.0\"?><Response><Message>Hello back</Message></Response>";
    let answer = Delivery::Answered { status: 200, content_type: "text/xml".into(), body: twiml.into() };
    desk.emulator.report(id, &answer, Duration::ZERO, true, desk.now, &mut desk.dice);
    let (_, list) = desk.get(&format!("/2010-04-01/Accounts/ACCOUNT/Messages.json?To={}", PERSON.replace('+', "%2B")));
    assert_eq!(list["messages"][0]["body"], "Hello back");
    assert_eq!(list["messages"][0]["direction"], "outbound-reply");
}

#[test]
fn a_messaging_service_chooses_the_sender_and_queued_is_news() {
    let mut desk = Desk::open();
    let (_, message) = desk.create(&[("From", ""), ("MessagingServiceSid", SERVICE)]);
    assert_eq!((&message["status"], message["from"].is_null()), (&"accepted".into(), true));
    assert_eq!(desk.told(), ["queued", "sent", "delivered", "read"]);
    assert_eq!(param(&desk.posts[0], "MessagingServiceSid"), SERVICE);
    assert!(param(&desk.posts[0], "From").starts_with("whatsapp:+1555000"));
}

#[test]
fn a_scheduled_message_waits_and_can_be_taken_back_until_it_leaves() {
    let mut desk = Desk::open();
    let at = desk.now.plus(Duration::from_secs(600)).to_string();
    let scheduled =
        [("From", ""), ("MessagingServiceSid", SERVICE), ("ScheduleType", "fixed"), ("SendAt", at.as_str())];
    let (_, first) = desk.create(&scheduled);
    let (_, second) = desk.create(&scheduled);
    assert_eq!(first["status"], "scheduled");
    let path =
        |message: &Value| format!("/2010-04-01/Accounts/ACCOUNT/Messages/{}.json", message["sid"].as_str().unwrap());
    let (status, canceled) = desk.post(&path(&first), &[("Status", "canceled")]);
    assert_eq!((status, &canceled["status"]), (200, &"canceled".into()));
    desk.wait(Duration::from_secs(600));
    assert_eq!(desk.told(), ["canceled", "queued", "sent", "delivered", "read"]);
    assert_eq!(desk.post(&path(&second), &[("Status", "canceled")]).1["code"], 30409);
}

#[test]
fn redacting_keeps_the_rest_and_deleting_needs_an_end() {
    let mut desk = Desk::with(Options { pace: Pace::Lifelike, strict_window: false, ..Options::default() });
    let (_, message) = desk.create(&[]);
    let path = format!("/2010-04-01/Accounts/ACCOUNT/Messages/{}.json", message["sid"].as_str().unwrap());
    let delete = |desk: &mut Desk| {
        desk.call(Request::new(Method::Delete, &path.replace("ACCOUNT", &Options::default().account_sid)))
    };
    assert_eq!(delete(&mut desk).1["code"], 20009);
    let (status, redacted) = desk.post(&path, &[("Body", "")]);
    // The form helper leaves out nothing here: an empty Body is what redacts.
    assert_eq!((status, &redacted["body"], &redacted["to"]), (200, &"".into(), &PERSON.into()));
    desk.wait(Duration::from_secs(120));
    assert_eq!(delete(&mut desk).0, 204);
    assert_eq!(desk.get(&path).1["code"], 20404);
}

#[test]
fn lists_filter_and_page_without_shifting() {
    let mut desk = Desk::open();
    let sids: Vec<_> = (0..5).map(|_| desk.create(&[]).1["sid"].clone()).collect();
    desk.create(&[("To", "whatsapp:+4915100000002")]);
    let to = PERSON.replace('+', "%2B");
    let mut path = format!("/2010-04-01/Accounts/ACCOUNT/Messages.json?To={to}&PageSize=2");
    let mut seen = Vec::new();
    let mut previous = Value::Null;
    for _ in 0..3 {
        let (_, page) = desk.get(&path);
        seen.extend(page["messages"].as_array().unwrap().iter().map(|message| message["sid"].clone()));
        // What comes in meanwhile does not move the pages.
        desk.create(&[]);
        if let Some(next) = page["next_page_uri"].as_str() {
            path = next.to_owned();
            previous = page;
        } else {
            let back = desk.get(page["previous_page_uri"].as_str().unwrap()).1;
            assert_eq!(back["messages"], previous["messages"]);
        }
    }
    assert_eq!(seen, sids.into_iter().rev().collect::<Vec<_>>());
    let mut list = |query: &str| desk.get(&format!("/2010-04-01/Accounts/ACCOUNT/Messages.json?{query}")).1;
    assert_eq!(list("PageSize=1001")["code"], 20007);
    assert_eq!(list("PageToken=PAxx&Page=1")["code"], 21481);
    assert_eq!(list("Page=1")["code"], 21481);
    assert_eq!(list("DateSent%3E=2026-09-21")["messages"].as_array().map(Vec::len), Some(9));
    assert_eq!(list("DateSent%3C=2026-09-20")["messages"].as_array().map(Vec::len), Some(0));
    assert_eq!(list("DateSent=2026-09-21T05:00:00Z")["messages"].as_array().map(Vec::len), Some(9));
    assert_eq!(list("DateSent=yesterday")["code"], 20001);
}

#[test]
fn refused_creates_show_up_as_failed_in_lists() {
    let mut desk = Desk::open();
    desk.create(&[("Body", &"x".repeat(2_000))]);
    let (_, list) = desk.get("/2010-04-01/Accounts/ACCOUNT/Messages.json");
    assert_eq!((&list["messages"][0]["status"], &list["messages"][0]["error_code"]), (&"failed".into(), &21617.into()));
}

#[test]
fn the_number_chooses_how_the_create_is_answered() {
    let mut desk = Desk::open();
    let mut create = |suffix: &str| {
        let to = format!("whatsapp:+491510000{suffix}");
        let answer = desk.answer(create_request("/2010-04-01/Accounts/ACCOUNT/Messages.json", &text(&[("To", &to)])));
        let accepted = desk.ledger("")["counts"]["accepted"].as_u64().unwrap();
        (answer.status, answer.how, accepted, answer)
    };
    let (status, _, accepted, answer) = create("9011");
    assert_eq!((status, accepted, answer.headers.len()), (429, 0, 0));
    assert_eq!(create("9011").0, 201);
    assert_eq!(create("9012").3.headers, [("Retry-After", "1".to_owned())]);
    assert_eq!((create("9021").0, create("9023").1), (500, How::Reset));
    let (status, _, accepted, _) = create("9022");
    assert_eq!((status, accepted), (500, 2));
    let (_, how, accepted, _) = create("9024");
    assert_eq!((how, accepted), (How::Reset, 3));
    assert_eq!(create("9025").1, How::After(Duration::from_secs(20)));
    let (status, _, _, answer) = create("9026");
    assert!(status == 201 && serde_json::from_slice::<Value>(&answer.body).is_err());
    let (status, _, _, answer) = create("9027");
    assert_eq!((status, answer.content_type), (200, "text/html"));
    let (_, how, accepted, _) = create("9006");
    assert_eq!((how, accepted), (How::After(Duration::from_millis(500)), 7));
    let (status, _, _, answer) = create("1610");
    assert!(status == 400 && String::from_utf8_lossy(&answer.body).contains("21610"));
}

#[test]
fn the_number_chooses_what_the_app_is_told() {
    let told = |suffix: &str| {
        let mut desk = Desk::open();
        desk.create(&[("To", &format!("whatsapp:+491510000{suffix}"))]);
        let now = desk.told();
        desk.wait(Duration::from_secs(30));
        let code = desk.posts.last().map(|post| param(post, "ErrorCode").to_owned()).unwrap_or_default();
        (now, desk.told().len(), code)
    };
    let words = |told: (Vec<String>, usize, String)| told.0.join(" ");
    assert_eq!((told("9001").0.len(), told("9001").1), (0, 3));
    assert_eq!(words(told("9002")), "sent sent delivered delivered read read");
    assert_eq!(words(told("9003")), "read delivered sent");
    assert_eq!(told("9004").1, 0);
    assert_eq!(words(told("9007")), "sent delivered");
    assert_eq!(words(told("9008")), "sent");
    assert_eq!((words(told("0008")), told("0008").2), ("sent undelivered".to_owned(), "30008".to_owned()));
    for code in ["63016", "63018", "63003", "63024", "63049"] {
        let told = told(&code[1..]);
        assert_eq!((told.1, told.2.as_str()), (1, code));
    }
}

#[test]
fn a_message_listed_late_is_found_by_sid_at_once_and_by_list_after_a_minute() {
    let mut desk = Desk::open();
    let to = "whatsapp:+4915100009028";
    assert_eq!(desk.create(&[("To", to)]).0, 500);
    let path = format!("/2010-04-01/Accounts/ACCOUNT/Messages.json?To={}", to.replace('+', "%2B"));
    assert_eq!(desk.get(&path).1["messages"].as_array().map(Vec::len), Some(0));
    desk.wait(Duration::from_secs(60));
    assert_eq!(desk.get(&path).1["messages"].as_array().map(Vec::len), Some(1));
}

#[test]
fn the_control_api_scripts_the_next_creates() {
    let mut desk = Desk::open();
    let rule = serde_json::json!({"scenario": "error_after", "times": 1});
    assert_eq!(desk.control("/emulator/scenario", &rule).0, 200);
    assert_eq!((desk.create(&[]).0, desk.create(&[]).0), (500, 201));
    assert_eq!(desk.control("/emulator/scenario", &serde_json::json!({"scenario": "latte"})).0, 400);
    let rows = desk.ledger("");
    assert_eq!((&rows["creates"][0]["answer"], &rows["creates"][0]["outcome"]), (&"500".into(), &"accepted".into()));
    assert_eq!(rows["creates"][0]["statuses"].as_array().map(Vec::len), Some(4));
}

#[test]
fn the_clock_moves_by_control_and_what_was_due_happens() {
    let mut desk = Desk::open();
    desk.create(&[("To", "whatsapp:+4915100009001")]);
    assert!(desk.posts.is_empty());
    desk.control("/emulator/clock", &serde_json::json!({"advance_ms": 30_000}));
    assert_eq!(desk.told(), ["sent", "delivered", "read"]);
}

#[test]
fn the_ledger_waits_for_what_is_asked_and_knows_when_all_is_quiet() {
    let mut desk = Desk::open();
    desk.create(&[]);
    let waiting = Request::new(Method::Get, "/emulator/ledger?wait=5s&callbacks=3&settled=true");
    let answer = desk.answer(waiting.clone());
    assert_eq!(answer.how, How::WhenChanged { at_most: Duration::from_secs(5) });
    for post in std::mem::take(&mut desk.posts) {
        desk.emulator.report(post.id, &acknowledged(), Duration::from_millis(3), true, desk.now, &mut desk.dice);
    }
    let (_, ledger) = desk.call(waiting);
    assert_eq!((&ledger["reached"], &ledger["settled"]), (&true.into(), &true.into()));
    assert_eq!(ledger["callbacks"][0]["tries"][0]["http_status"], 204);
    assert_eq!(ledger["callbacks"][0]["outcome"], "acknowledged");
    let late =
        Request { waited: Duration::from_secs(6), ..Request::new(Method::Get, "/emulator/ledger?wait=5s&messages=9") };
    assert_eq!(desk.call(late).1["reached"], false);
}

#[test]
fn a_reset_brings_back_the_start_and_ignores_late_reports() {
    let mut desk = Desk::open();
    let (_, first) = desk.create(&[]);
    let old = desk.posts[0].id;
    let before = desk.ledger("")["next_seq"].clone();
    assert_eq!(desk.control("/emulator/reset", &Value::Null).0, 200);
    let (_, again) = desk.create(&[]);
    assert_eq!(first["sid"], again["sid"]);
    assert_eq!(desk.ledger("")["creates"][0]["seq"], before);
    desk.emulator.report(old, &acknowledged(), Duration::ZERO, true, desk.now, &mut desk.dice);
    assert_eq!(desk.ledger("")["counts"]["acknowledged"], 0);
}

#[test]
fn a_promoted_token_signs_and_the_old_one_opens_nothing() {
    let mut desk = Desk::open();
    let (status, secondary) = desk.call(Request::new(Method::Post, "/v1/AuthTokens/Secondary"));
    let token = secondary["secondary_auth_token"].as_str().expect("a token").to_owned();
    assert_eq!((status, token.len()), (201, 32));
    desk.create(&[]);
    let options = Options::default();
    let old = AuthToken::new(options.auth_token.as_str());
    assert_eq!(desk.posts[0].signature, sign_form(&old, HOOK, &desk.posts[0].params));

    let promote = Request::new(Method::Post, "/v1/AuthTokens/Promote").with_basic(&options.account_sid, &token);
    assert_eq!(desk.call(promote).1["auth_token"], token);
    assert_eq!(desk.create(&[]).1["code"], 20003);
    desk.posts.clear();
    let create = create_request("/2010-04-01/Accounts/ACCOUNT/Messages.json", &text(&[]));
    assert_eq!(desk.call(create.with_basic(&options.account_sid, &token)).0, 201);
    let new = AuthToken::new(token);
    assert_eq!(desk.posts[0].signature, sign_form(&new, HOOK, &desk.posts[0].params));
}

#[test]
fn senders_are_listed_updated_and_online_again() {
    let mut desk = Desk::open();
    let (_, list) = desk.get("/v2/Channels/Senders?Channel=whatsapp&PageSize=1");
    assert_eq!(list["senders"][0]["sender_id"], SENDER);
    assert!(list["meta"]["next_page_url"].as_str().is_some_and(|url| url.ends_with("PageSize=1&Page=1")));
    assert_eq!(desk.get("/v2/Channels/Senders").1["code"], 20001);
    let path = format!("/v2/Channels/Senders/{}", list["senders"][0]["sid"].as_str().unwrap());
    let update = serde_json::json!({"webhook": {"callback_url": "https://app.example.com/in"}});
    let (status, updated) = desk.control(&path, &update);
    assert_eq!((status, &updated["status"]), (202, &"ONLINE:UPDATING".into()));
    let (_, sender) = desk.get(&path);
    assert_eq!(
        (&sender["status"], &sender["webhook"]["callback_url"]),
        (&"ONLINE".into(), &update["webhook"]["callback_url"])
    );
}

#[test]
fn content_and_its_approvals_are_shown() {
    let mut desk = Desk::open();
    assert_eq!(desk.get(&format!("/v1/Content/{APPROVED}/ApprovalRequests")).1["whatsapp"]["status"], "approved");
    assert_eq!(desk.get(&format!("/v1/Content/{APPROVED}")).1["friendly_name"], "order_update");
    assert_eq!(desk.get("/v1/ContentAndApprovals").1["contents"][4]["approval_requests"]["status"], "rejected");
    assert_eq!(desk.get("/v1/Content/HX99999999999999999999999999999999").1["code"], 20404);
}

#[test]
fn memory_is_bounded_and_the_oldest_finished_go_first() {
    let mut desk = Desk::with(Options { max_messages: 3, strict_window: false, ..Options::default() });
    let (_, first) = desk.create(&[]);
    for _ in 0..3 {
        desk.create(&[]);
    }
    assert_eq!(desk.fetch(first["sid"].as_str().unwrap())["code"], 20404);
    assert_eq!(desk.get("/2010-04-01/Accounts/ACCOUNT/Messages.json").1["messages"].as_array().map(Vec::len), Some(3));
    let ledger = desk.ledger("");
    assert_eq!((ledger["creates"].as_array().map(Vec::len), &ledger["counts"]["accepted"]), (Some(3), &4.into()));

    let mut desk = Desk::with(Options { max_messages: 1, pace: Pace::Lifelike, ..Options::default() });
    desk.create(&[]);
    assert_eq!(desk.create(&[]), (429, desk.create(&[]).1));
}

#[test]
fn too_many_callbacks_under_way_make_creates_wait() {
    let mut desk = Desk::with(Options { max_callbacks_waiting: 3, strict_window: false, ..Options::default() });
    assert_eq!(desk.create(&[]).0, 201);
    assert_eq!((desk.create(&[]).0, desk.ledger("")["creates"][1]["answer"].clone()), (429, "429".into()));
}

#[test]
fn a_contact_that_replies_writes_back_and_the_app_is_told() {
    let options =
        Options { inbound_url: Some("https://app.example.com/in".into()), strict_window: false, ..Options::default() };
    let mut desk = Desk::with(options);
    let (_, message) = desk.create(&[("To", "whatsapp:+4915100009009")]);
    let reply = desk.posts.last().expect("a reply");
    assert_eq!((reply.url.as_str(), param(reply, "From")), ("https://app.example.com/in", "whatsapp:+4915100009009"));
    assert_eq!(param(reply, "OriginalRepliedMessageSid"), message["sid"]);
}
