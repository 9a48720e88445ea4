//! Misbehaviour by chance through the door, and the clock in every answer.

use serde_json::json;

use super::*;

const LIST: &str = "/2010-04-01/Accounts/ACCOUNT/Messages.json";

fn chaotic(chaos: &Value) -> Desk {
    let mut desk = Desk::open();
    let (status, answer) = desk.control("/emulator/chaos", chaos);
    assert_eq!(status, 200, "{answer}");
    desk
}

fn listed(desk: &mut Desk, query: &str) -> Vec<String> {
    let (_, page) = desk.get(&format!("{LIST}?{}", query.replace('+', "%2B")));
    let sids = page["messages"].as_array().expect("a page").iter().map(|message| &message["sid"]);
    sids.map(|sid| sid.as_str().expect("a text").to_owned()).collect()
}

#[test]
fn chaos_is_set_whole_shown_and_ended_by_a_reset() {
    let mut desk = chaotic(&json!({"lost": 0.5, "fails": {"63018": 0.1}}));
    let shown = desk.get("/emulator/chaos").1;
    assert_eq!((&shown["lost"], &shown["fails"]["63018"], &shown["twice"]), (&json!(0.5), &json!(0.1), &json!(0.0)));
    let (status, refusal) = desk.control("/emulator/chaos", &json!({"lots": 1}));
    assert!(status == 400 && refusal["message"].as_str().unwrap().contains("unknown field `lots`"), "{refusal}");
    assert_eq!(desk.get("/emulator/chaos").1, shown);
    desk.control("/emulator/chaos", &json!({"twice": 1}));
    assert_eq!(desk.get("/emulator/chaos").1["lost"], 0.0);
    desk.control("/emulator/reset", &Value::Null);
    assert_eq!(desk.get("/emulator/chaos").1["twice"], 0.0);
}

#[test]
fn the_ledger_names_what_struck_a_create() {
    for (name, answer, outcome) in [
        ("error_before", "500", "refused"),
        ("error_after", "500", "accepted"),
        ("reset_before", "reset", "refused"),
        ("reset_after", "reset", "accepted"),
        ("rate_limited", "429", "refused"),
    ] {
        let mut desk = chaotic(&json!({name: 1, "fails": {"63018": 1}}));
        desk.create(&[]);
        let row = desk.ledger("")["creates"][0].clone();
        assert!(row["scenario"].as_str().unwrap().starts_with(name), "{row}");
        assert_eq!((&row["answer"], &row["outcome"]), (&json!(answer), &json!(outcome)));
        let code = if outcome == "accepted" { json!(63018) } else { row["code"].clone() };
        assert_eq!(row["code"], code);
    }
    let mut desk = chaotic(&json!({"fails": {"21610": 1}}));
    assert_eq!(desk.create(&[]).1["code"], 21610);
}

#[test]
fn what_was_chosen_wins_over_chance() {
    let mut desk = chaotic(&json!({"reset_after": 1, "lost": 1, "fails": {"63018": 1}}));
    assert_eq!(desk.create(&[("To", "whatsapp:+4915100009002")]).0, 201);
    assert_eq!(desk.told().len(), 6);
    desk.control("/emulator/scenario", &json!({"scenario": "error_after", "times": 1}));
    assert_eq!(desk.create(&[]).0, 500);
    assert_eq!(desk.told().len(), 9);
    assert_eq!(desk.answer(create_request(LIST, &text(&[]))).how, How::Reset);
}

#[test]
fn callbacks_are_lost_doubled_and_mixed_up() {
    let mut desk = chaotic(&json!({"lost": 1}));
    desk.create(&[]);
    assert!(desk.told().is_empty());
    let rows = desk.ledger("")["callbacks"].clone();
    assert!(rows.as_array().unwrap().len() == 3 && rows[0]["outcome"] == "lost", "{rows}");

    let mut desk = chaotic(&json!({"twice": 1, "shuffled": 1, "shuffle_ms": 1000}));
    (0..10).for_each(|_| drop(desk.create(&[])));
    (0..100).for_each(|_| desk.wait(Duration::from_millis(10)));
    let told = desk.told();
    assert_eq!(told.iter().filter(|word| *word == "sent").count(), 20);
    let in_order: Vec<_> = (0..10).flat_map(|_| ["sent", "sent", "delivered", "delivered", "read", "read"]).collect();
    assert!(told.len() == 60 && told != in_order);
}

#[test]
fn what_people_write_is_lost_too_but_listed() {
    let mut desk = chaotic(&json!({"lost": 1}));
    desk.control("/emulator/webhooks", &json!({"inbound_url": HOOK}));
    let (_, written) = desk.control("/emulator/inbound", &json!({"from": PERSON, "body": "hi"}));
    desk.create(&[]);
    assert_eq!((desk.posts.len(), &desk.ledger("")["callbacks"][0]["outcome"]), (0, &json!("lost")));
    assert_eq!(listed(&mut desk, &format!("To={SENDER}")), [written["sid"].as_str().unwrap()]);
    let message = desk.fetch(written["sid"].as_str().unwrap());
    assert_eq!((&message["direction"], &message["from"]), (&json!("inbound"), &json!(PERSON)));
}

#[test]
fn lists_lag_while_a_fetch_knows() {
    let mut desk = chaotic(&json!({"list_lag_ms": 1000}));
    let (_, message) = desk.create(&[]);
    assert_eq!(desk.fetch(message["sid"].as_str().unwrap())["status"], "read");
    assert!(listed(&mut desk, &format!("To={PERSON}")).is_empty());
    desk.wait(Duration::from_secs(1));
    assert_eq!(listed(&mut desk, &format!("To={PERSON}")).len(), 1);
}

#[test]
fn every_call_is_struck_and_none_of_the_control_api() {
    let mut desk = chaotic(&json!({"error_before": 1}));
    assert_eq!(
        (desk.get(LIST).0, desk.get("/v2/Channels/Senders").0, desk.ledger("")["reached"].clone()),
        (500, 500, json!(true))
    );
    let mut desk = chaotic(&json!({"garbage": 1}));
    let answer = desk.answer(Request::new(Method::Get, "/v1/Alerts"));
    assert!(answer.status == 200 && serde_json::from_slice::<Value>(&answer.body).is_err());
    let mut desk = chaotic(&json!({"slow_ms": 3600}));
    let slow = desk.answer(create_request(LIST, &text(&[])));
    assert!(matches!(slow.how, How::After(wait) if wait <= Duration::from_millis(3600)), "{slow:?}");
}

#[test]
fn one_seed_is_one_chaos() {
    let run = |seed| {
        let mut desk = chaotic(&json!({"error_after": 0.3, "lost": 0.3, "twice": 0.3, "shuffled": 0.5,
            "slow_ms": 90, "list_lag_ms": 500, "fails": {"63018": 0.2, "30008": 0.2}}));
        desk.control("/emulator/seed", &json!({"seed": seed}));
        let answers: Vec<_> = (0..30).map(|_| desk.answer(create_request(LIST, &text(&[]))).how).collect();
        desk.wait(Duration::from_secs(2));
        (answers, desk.told(), desk.ledger("")["creates"].clone())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).2, run(4).2);
}

#[test]
fn revoked_credentials_open_nothing_while_callbacks_go_on() {
    let mut desk = Desk::open();
    desk.create(&[("To", "whatsapp:+4915100009001")]);
    desk.control("/emulator/credentials", &json!({"revoked": true}));
    assert_eq!((desk.create(&[]).1["code"].clone(), desk.get(LIST).0), (json!(20003), 401));
    desk.wait(Duration::from_secs(30));
    assert_eq!(desk.told().len(), 3);
    let token = AuthToken::new(Options::default().auth_token);
    assert!(desk.posts.iter().all(|post| post.signature == sign_form(&token, HOOK, &post.params)));
    desk.control("/emulator/credentials", &json!({"revoked": false}));
    assert_eq!(desk.create(&[]).0, 201);
}

#[test]
fn every_answer_tells_the_time_of_the_emulator() {
    let mut desk = Desk::open();
    let mut date = |request| desk.answer(request).header("Date").map(str::to_owned);
    assert_eq!(date(Request::new(Method::Get, LIST)).as_deref(), Some("Mon, 21 Sep 2026 14:13:20 GMT"));
    let leap = Request::new(Method::Post, "/emulator/clock").with_body(r#"{"advance_ms": 86400000}"#);
    assert_eq!(date(leap).as_deref(), Some("Tue, 22 Sep 2026 14:13:20 GMT"));
    let slow = create_request(LIST, &text(&[("To", "whatsapp:+4915100009025")]));
    assert_eq!(date(slow).as_deref(), Some("Tue, 22 Sep 2026 14:13:40 GMT"));
}
