//! Many retries at once, through the door.

use std::collections::BTreeMap;

use actix_web::test::TestRequest;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::http::story;
use crate::http::testing::{Answer, House, SENDER, START, api};
use crate::message::{Draft, Fact, Message, MessageId, OptOut, Sid, Source, Wish, Word};
use crate::store::{Accept, Claim, OptingOut, Report, Settle, Turn, Write, Written};

/// More than one chunk of the store's, so that the real run needs several commits.
const MANY: u16 = 420;

/// What is to become of message `number`: the code it fails with, or none for what fares well.
fn fate(number: u16) -> Option<u32> {
    [Some(63_016), Some(63_024), Some(30_008), Some(99_999), None, Some(63_013), Some(30_005)][usize::from(number) % 7]
}

/// Whether a person may have a message sent again that failed with a code, judged here by hand: these are texts to
/// people who never wrote, and nobody allowed duplicates.
fn judged(code: Option<u32>) -> Option<&'static str> {
    match code {
        Some(63_016) => Some("outside_window"),
        Some(63_024 | 63_013 | 30_005) => Some("permanent"),
        Some(30_008) => Some("may_duplicate"),
        Some(99_999) => None,
        _ => Some("opted_out"),
    }
}

fn name(number: u16) -> Sid {
    format!("SM{number:032x}").parse().expect("a SID")
}

async fn write(house: &House, write: Write) -> Written {
    house.app.store.write(write).await.expect("written")
}

/// Messages that failed in every way, delivered ones, and three to someone who opted out.
async fn seed(house: &House) {
    let accept = |number: u16| {
        let wish = Wish {
            to: format!("+49151{number:08}"),
            from: Some(SENDER.into()),
            body: Some("hello".into()),
            tags: vec![if number.is_multiple_of(2) { "even" } else { "odd" }.to_owned()],
            ..Wish::default()
        };
        let draft = Draft::check(wish, None, START).expect("a draft");
        let mut random = [0; 10];
        random[..2].copy_from_slice(&number.to_be_bytes());
        write(house, Write::Accept(Box::new(Accept { draft, random, key: None })))
    };
    join_all((0..MANY).map(accept)).await;
    let turns = vec![Turn { sender: 1, at_most: 1_000 }];
    let claim = Claim { turns, slots: 1_000, boot: 1, seed: [7; 32] };
    let Written::Claimed(claimed) = write(house, Write::Claim(claim)).await else { panic!("not claimed") };
    assert_eq!(claimed.messages.len(), usize::from(MANY));
    join_all(claimed.messages.iter().map(|message| fare(house, message))).await;
    let nobody = "whatsapp:+4915199999999";
    write(house, Write::OptOut(OptingOut { name: nobody.into(), scope: Some(OptOut::All), note: None })).await;
    for number in 200..203 {
        let accepted = story::accept(house, number, SENDER, nobody, None).await;
        write(
            house,
            Write::Claim(Claim { turns: vec![Turn { sender: 1, at_most: 9 }], slots: 9, boot: 1, seed: [8; 32] }),
        )
        .await;
        story::pass(house, 10_000);
        assert_eq!(status(house, accepted.id).await, "suppressed");
    }
}

async fn fare(house: &House, message: &Message) {
    let attempt = message.attempts[0].id(message.id);
    let to = message.draft.to.to_string();
    let number: u16 = to[to.len() - 5..].parse().expect("the number that was accepted");
    let fact = Fact::Sent { attempt: 1, sid: name(number), word: Word::Queued, ask_at: START };
    write(house, Write::Settle(Settle { attempt, fact, source: Source::Job })).await;
    let code = fate(number);
    let word = if code.is_some() { Word::Undelivered } else { Word::Delivered };
    let report = Report {
        attempt: None,
        sid: name(number),
        word,
        code,
        source: Source::Callback,
        from: SENDER.into(),
        to,
        also: None,
        random: [0; 10],
    };
    write(house, Write::Report(Box::new(report))).await;
}

async fn status(house: &House, id: MessageId) -> String {
    let shown = house.get(&format!("/v1/messages/{id}")).await.json();
    shown["status"].as_str().expect("a status").to_owned()
}

async fn retry(house: &House, body: &Value) -> Answer {
    house.call(api(TestRequest::post().uri("/v1/retries").set_json(body))).await
}

/// The split by code that the journals prove: retried, and never by reason.
async fn proven(house: &House) -> BTreeMap<Option<u64>, (u64, BTreeMap<String, u64>)> {
    let mut split: BTreeMap<Option<u64>, (u64, BTreeMap<String, u64>)> = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let query = format!("/v1/messages?limit=200&status=failed_any,suppressed&cursor={cursor}");
        let page = house.get(&query).await.json();
        for message in page["data"].as_array().expect("a page") {
            let id = message["id"].as_str().expect("an id");
            let journal = house.get(&format!("/v1/messages/{id}/journal")).await.json();
            let rows = journal["data"].as_array().expect("rows");
            let code = rows.iter().rev().find_map(|row| row["code"].as_u64());
            let (retried, never) = split.entry(code).or_default();
            match judged(code.map(|code| u32::try_from(code).expect("a code"))) {
                None => *retried += 1,
                Some(reason) => *never.entry(reason.to_owned()).or_default() += 1,
            }
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return split,
        }
    }
}

/// The split by code that an answer tells.
fn told(answer: &Value) -> BTreeMap<Option<u64>, (u64, BTreeMap<String, u64>)> {
    let codes = answer["by_code"].as_array().expect("a split").iter();
    codes
        .map(|code| {
            let reasons = serde_json::from_value(code["reasons"].clone()).expect("reasons");
            (code["code"].as_u64(), (code["retried"].as_u64().expect("a number"), reasons))
        })
        .collect()
}

#[actix_web::test]
async fn a_dry_run_tells_the_split_that_the_journals_prove_and_the_real_run_retries_exactly_that_many() {
    let house = House::new();
    seed(&house).await;
    let split = proven(&house).await;
    let dry = retry(&house, &json!({ "dry_run": true })).await.json();
    assert_eq!(told(&dry), split);
    let expected = split.values().map(|(retried, _)| retried).sum::<u64>();
    assert_eq!((&dry["retried"], &dry["more"], &dry["matched"]), (&json!(expected), &json!(false), &json!(363)));
    assert!(expected > 0 && dry["never"] == 363 - expected, "{dry}");
    assert_eq!(house.get("/v1/messages?status=pending").await.json()["data"], json!([]), "a dry run does nothing");
    let real = retry(&house, &json!({})).await.json();
    assert_eq!((told(&real), &real["dry_run"]), (split, &json!(false)));
    let waiting = house.get("/v1/status").await.json()["queue"]["pending"].clone();
    assert_eq!(waiting, json!(expected));
    let again = retry(&house, &json!({ "dry_run": true })).await.json();
    assert_eq!((&again["retried"], &again["never"]), (&json!(0), &dry["never"]));
}

#[actix_web::test]
async fn a_retry_is_narrowed_and_goes_on_where_it_stopped() {
    let house = House::new();
    seed(&house).await;
    let dry = async |filter: Value| retry(&house, &json!({ "dry_run": true, "filter": filter })).await.json();
    let matched = async |filter: Value| dry(filter).await["matched"].clone();
    assert_eq!(matched(json!({ "code": [30_008] })).await, json!(60));
    assert_eq!(matched(json!({ "code": [30_008, 99_999] })).await, json!(120));
    assert_eq!(matched(json!({ "code": [99_999], "tag": "odd" })).await, json!(30));
    assert_eq!(matched(json!({ "status": ["suppressed"] })).await, json!(3));
    assert_eq!(matched(json!({ "to": "+4915100000001" })).await, json!(1));
    assert_eq!(matched(json!({ "from": "+15559999999" })).await, json!(0));
    assert_eq!(matched(json!({ "until": "1h" })).await, json!(0));
    assert_eq!(matched(json!({ "since": "25s", "status": ["suppressed"] })).await, json!(2));
    let with_leave = retry(&house, &json!({ "dry_run": true, "may_duplicate": true })).await.json();
    assert_eq!(with_leave["retried"], json!(120));
    let mut body = json!({ "dry_run": true, "limit": 100 });
    let mut seen = Vec::new();
    loop {
        let answer = retry(&house, &body).await.json();
        seen.push(answer["matched"].as_u64().expect("a number"));
        match answer["next_cursor"].as_str() {
            Some(next) => body["cursor"] = json!(next),
            None => break,
        }
    }
    assert_eq!(seen, [100, 100, 100, 63]);
}

#[actix_web::test]
async fn a_retry_that_cannot_be_meant_is_refused_by_name() {
    let house = House::new();
    for (body, code, words) in [
        (json!({ "filter": { "status": ["delivered"] } }), "invalid_filter", "delivered is no failure"),
        (json!({ "filter": { "since": "soon" } }), "invalid_filter", "filter.since"),
        (json!({ "filter": { "codes": [1] } }), "invalid_filter", "filter.codes: is not known here: do you mean code?"),
        (json!({ "filter": { "code": ["x"] } }), "invalid_filter", "filter.code: must be a list of numbers"),
        (json!({ "filter": 1 }), "invalid_retry", "filter: must be an object"),
        (json!({ "limit": 0 }), "invalid_retry", "must be 1 to 10000"),
        (json!({ "limit": 10_001 }), "invalid_retry", "must be 1 to 10000"),
        (json!({ "cursor": "x" }), "invalid_retry", "next_cursor"),
        (json!({ "dryrun": true }), "invalid_retry", "do you mean dry_run?"),
    ] {
        let answer = retry(&house, &body).await;
        assert_eq!(answer.problem(), (422, code.to_owned()), "{body}");
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{}", answer.text);
    }
    let empty = house.call(api(TestRequest::post().uri("/v1/retries"))).await;
    assert_eq!(empty.problem(), (400, "invalid_json".to_owned()), "everything must be asked for");
    let stranger = house.call(TestRequest::post().uri("/v1/retries").set_json(json!({}))).await;
    assert_eq!(stranger.problem().0, 401);
}
