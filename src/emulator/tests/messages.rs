//! Messages: taken, refused, listed, changed, and told of.

use super::*;

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
