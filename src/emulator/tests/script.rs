//! Misbehaviour by number and by script, and what the ledger says of it.

use super::*;

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
fn the_number_chooses_how_the_create_is_answered() {
    let mut desk = Desk::open();
    let mut create = |suffix: &str| {
        let to = format!("whatsapp:+491510000{suffix}");
        let answer = desk.answer(create_request("/2010-04-01/Accounts/ACCOUNT/Messages.json", &text(&[("To", &to)])));
        let accepted = desk.ledger("")["counts"]["accepted"].as_u64().unwrap();
        (answer.status, answer.how, accepted, answer)
    };
    let (status, _, accepted, answer) = create("9011");
    assert_eq!((status, accepted, answer.header("Retry-After")), (429, 0, None));
    assert_eq!(create("9011").0, 201);
    assert_eq!(create("9012").3.header("Retry-After"), Some("1"));
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
