//! Messages through the front door.

use std::time::Duration;

use actix_web::test::TestRequest;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::http::testing::{House, PERSON, SENDER, api, callback, signed};

const SID: &str = "SM00000000000000000000000000000001";

fn keyed(key: &str, body: &Value) -> TestRequest {
    api(TestRequest::post().uri("/v1/messages").insert_header(("idempotency-key", key)).set_json(body))
}

#[actix_web::test]
async fn a_message_is_taken_in_and_shown() {
    let house = House::new();
    let asked = json!({ "to": "+49 151 00000001", "body": "hi", "reference": "order-17", "tags": ["otp"],
        "metadata": { "k": "v" }, "priority": "high", "send_at": "2023-11-14T22:20:00Z" });
    let answer = house.send(&asked).await;
    assert_eq!(answer.status.as_u16(), 202);
    let shown = answer.json();
    assert_eq!(answer.header("location"), Some(&*format!("/v1/messages/{}", shown["id"].as_str().expect("an id"))));
    assert_eq!((shown["from"].as_str(), shown["to"].as_str()), (Some(SENDER), Some(PERSON)));
    assert_eq!((shown["status"].as_str(), shown["settled"].as_bool()), (Some("pending"), Some(false)));
    assert_eq!(shown["send_at"], "2023-11-14T22:20:00.000Z");
    assert_eq!(shown["next"], json!({ "step": "send", "due_at": "2023-11-14T22:20:00.000Z" }));
    assert_eq!((&shown["priority"], &shown["error"], &shown["sid"]), (&json!("high"), &Value::Null, &Value::Null));
    assert_eq!(house.get(answer.header("location").expect("a location")).await.json(), shown);
}

#[actix_web::test]
async fn a_wrong_request_is_refused_by_name_and_stores_nothing() {
    let house = House::new();
    let post = || api(TestRequest::post().uri("/v1/messages"));
    let json = |body: &str| post().insert_header(("content-type", "application/json")).set_payload(body.to_owned());
    let cases = [
        (json("{"), 400, "invalid_json"),
        (json("[]"), 400, "invalid_json"),
        (json("{}"), 422, "invalid_draft"),
        (json(r#"{"to":"nobody","body":"hi"}"#), 422, "invalid_draft"),
        (json(r#"{"to":"+4915100000001","body":"hi","colour":"red"}"#), 422, "invalid_draft"),
        (json(r#"{"to":"+4915100000001","body":"hi","send_at":"soon"}"#), 422, "invalid_draft"),
        (json(&format!(r#"{{"to":"{}"}}"#, "x".repeat(64 * 1024))), 413, "too_large"),
        (json(&format!(r#"{{"tags":{}{}}}"#, "[".repeat(40), "]".repeat(40))), 400, "invalid_json"),
        (api(TestRequest::get().uri(&format!("/v1/messages?tag={}", "x".repeat(4_096)))), 414, "uri_too_long"),
        (post().set_payload("{}"), 415, "wrong_content_type"),
        (json("{}").uri("/v1/messages?wait=1h"), 400, "invalid_query"),
        (json("{}").uri("/v1/messages?await=1s"), 400, "invalid_query"),
        (keyed(&"k".repeat(256), &json!({})), 400, "invalid_idempotency_key"),
        (api(TestRequest::put().uri("/v1/messages")), 405, "method_not_allowed"),
        (api(TestRequest::get().uri("/v1/nothing")), 404, "no_such_path"),
        (TestRequest::get().uri("/nothing/at/all"), 404, "no_such_path"),
    ];
    for (number, (request, status, code)) in cases.into_iter().enumerate() {
        let answer = house.call(request).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "case {number}: {}", answer.text);
        assert_eq!(answer.json()["request_id"].as_str(), answer.header("x-request-id"), "case {number}");
    }
    assert_eq!(house.events(), 0);
}

#[actix_web::test]
async fn a_question_of_a_thousand_mistakes_gets_a_short_answer() {
    let house = House::new();
    let mistakes: serde_json::Map<_, _> = (0..4_000).map(|number| (format!("x{number}"), Value::Null)).collect();
    let answer = house.send(&mistakes.into()).await;
    assert_eq!(answer.problem(), (422, "invalid_draft".to_owned()));
    assert!(answer.text.len() < 16 * 1024, "{} bytes", answer.text.len());
    assert!(answer.text.contains("x0: is not known here") && answer.text.contains("and 3984 more"), "{}", answer.text);
}

#[actix_web::test]
async fn layer_6_replay_the_same_key_gives_the_same_message_to_all_who_come_at_once() {
    let house = House::new();
    let body = json!({ "to": PERSON, "body": "once" });
    let answers = join_all((0..64).map(|_| house.call(keyed("k-1", &body)))).await;
    let first = answers[0].json()["id"].clone();
    assert!(answers.iter().all(|answer| answer.status.as_u16() == 202 && answer.json()["id"] == first));
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotent-replayed").is_none()).count(), 1);
    assert_eq!((house.events(), house.app.tally.accepted.total()), (1, 1));
}

#[actix_web::test]
async fn a_key_stands_for_one_request_of_one_principal() {
    let house = House::new();
    let first = house.call(keyed("k", &json!({ "to": PERSON, "body": "one" }))).await.json();
    let other = house.call(keyed("k", &json!({ "to": PERSON, "body": "two" }))).await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".to_owned()));
    let operator = TestRequest::post().uri("/admin/api/messages").insert_header(("idempotency-key", "k"));
    let operator = house.call(house.person(operator.set_json(json!({ "to": PERSON, "body": "one" }))).await).await;
    assert!(operator.status.as_u16() == 202 && operator.json()["id"] != first["id"]);
    house.app.clock.advance(Duration::from_secs(8 * 24 * 3_600));
    let forgotten = house.call(keyed("k", &json!({ "to": PERSON, "body": "two" }))).await;
    assert_eq!((forgotten.status.as_u16(), forgotten.header("idempotent-replayed")), (202, None));
}

#[actix_web::test]
async fn whoever_waits_is_answered_when_the_message_has_left() {
    let house = House::new();
    let waiting = api(TestRequest::post().uri("/v1/messages?wait=30s"));
    let waiting = house.call(waiting.set_json(json!({ "to": PERSON, "body": "hi" })));
    let sending = async {
        let mut newest = house.app.store.wake().newest.clone();
        newest.changed().await.expect("the message is taken in");
        let message = house.claim().await.messages.remove(0);
        house.sent(message.attempts[0].id(message.id), SID.parse().expect("a sid")).await;
    };
    let (answer, ()) = tokio::join!(waiting, sending);
    assert_eq!((answer.status.as_u16(), answer.json()["status"].as_str()), (202, Some("queued")));
    assert_eq!(answer.json()["sid"], SID);
}

#[actix_web::test]
async fn whoever_waits_is_answered_when_time_is_up_or_bluetick_stops() {
    let house = House::new();
    let wait = |span: &str| {
        let request = api(TestRequest::post().uri(&format!("/v1/messages?wait={span}")));
        house.call(request.set_json(json!({ "to": PERSON, "body": "hi" })))
    };
    assert_eq!(wait("1ms").await.json()["status"], "pending");
    house.app.shutdown.send_replace(true);
    assert_eq!(wait("30s").await.json()["status"], "pending");
}

#[actix_web::test]
async fn only_a_message_that_waits_for_its_first_attempt_can_be_canceled() {
    let house = House::new();
    let cancel = |id: &str| house.call(api(TestRequest::post().uri(&format!("/v1/messages/{id}/cancel"))));
    let id = house.accepted().await;
    let canceled = cancel(&id).await;
    assert_eq!((canceled.status.as_u16(), canceled.json()["status"].as_str()), (200, Some("canceled")));
    assert_eq!(cancel(&id).await.problem(), (409, "too_late".to_owned()));
    let late = house.accepted().await;
    house.claim().await;
    assert_eq!(cancel(&late).await.problem(), (409, "too_late".to_owned()));
    for nobody in ["msg_00000000000000000000000000000000", SID, "nonsense"] {
        assert_eq!(cancel(nobody).await.problem(), (404, "not_found".to_owned()));
    }
}

#[actix_web::test]
async fn a_listing_is_narrowed_paged_and_bounded() {
    let house = House::new();
    let mut ids = Vec::new();
    for number in 0..5 {
        house.app.clock.advance(Duration::from_secs(60));
        let asked = json!({ "to": PERSON, "body": "hi", "reference": format!("r{number}"), "tags": ["t"] });
        ids.push(house.send(&asked).await.json()["id"].clone());
    }
    house.call(signed("/webhooks/twilio/status", &callback(SID, "failed"))).await;
    let listed = async |query: &str| {
        let page = house.get(&format!("/v1/messages?{query}")).await.json();
        let ids: Vec<_> = page["data"].as_array().expect("a list").iter().map(|row| row["id"].clone()).collect();
        (ids, page["next_cursor"].as_str().map(str::to_owned))
    };
    let newest_first: Vec<_> = ids.iter().rev().cloned().collect();
    assert_eq!(listed("status=open").await, (newest_first.clone(), None));
    let (first, cursor) = listed("tag=t&limit=2").await;
    assert_eq!(first, newest_first[..2]);
    let (second, _) = listed(&format!("tag=t&limit=2&cursor={}", cursor.expect("more"))).await;
    assert_eq!(second, newest_first[2..4]);
    assert_eq!(listed("reference=r3").await.0, [ids[3].clone()]);
    assert_eq!(listed("since=90s&status=pending").await.0, newest_first[..2]);
    assert_eq!(listed("to=%2B4915100000001&until=90s").await.0, newest_first[2..]);
    assert_eq!(listed("status=failed_any").await.0.len(), 1);
    assert_eq!(listed("status=attention").await.0.len(), 1);
    assert_eq!(listed("to=whatsapp%3A%2B4915199999999").await.0.len(), 0);
    let unknown = house.get("/v1/messages?status=failed,deliverd").await.json()["detail"].to_string();
    assert!(unknown.contains("deliverd is no status: the words are open, failed_any, attention, pending"), "{unknown}");
    let attention = "status=attention,sent";
    for wrong in ["limit=0", "limit=201", "limit=x", "cursor=x", "since=x", attention, "colour=red", "status=deliverd"]
    {
        let answer = house.get(&format!("/v1/messages?{wrong}")).await;
        assert_eq!(answer.problem(), (400, "invalid_query".to_owned()), "{wrong}");
    }
}

#[actix_web::test]
async fn the_journal_tells_the_story_in_sentences() {
    let house = House::new();
    let id = house.accepted().await;
    let message = house.claim().await.messages.remove(0);
    let attempt = message.attempts[0].id(message.id);
    house.sent(attempt, SID.parse().expect("a sid")).await;
    let mut failed = callback(SID, "undelivered");
    failed.push(("ErrorCode".into(), "63016".into()));
    for _ in 0..2 {
        house.call(signed(&format!("/webhooks/twilio/status/{attempt}"), &failed)).await;
    }
    let journal = house.get(&format!("/v1/messages/{id}/journal")).await.json();
    let facts: Vec<_> = journal["data"].as_array().expect("rows").iter().map(|row| row["fact"].clone()).collect();
    assert_eq!(facts, ["accepted", "claimed", "sent", "reported"]);
    let last = &journal["data"][3];
    assert_eq!((&last["count"], &last["code"], &last["source"]), (&json!(2), &json!(63016), &json!("callback")));
    assert!(
        last["detail"].as_str().is_some_and(|text| text.starts_with("Attempt 1: Twilio reported undelivered (63016"))
    );
    let shown = house.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!((&shown["error"]["code"], &shown["attempts"][0]["state"]), (&json!(63016), &json!("sent")));
    assert_eq!(shown["failed_at"], last["at"]);
}

#[actix_web::test]
async fn a_message_is_shown_with_all_that_was_asked_for() {
    let house = House::new();
    let template = "HX00000000000000000000000000000001";
    let asked = json!({ "to": PERSON, "body": "hi", "category": "authentication", "may_duplicate": true,
        "on_unknown": "hold", "fallback": { "content_sid": template, "variables": { "1": "Ada" } } });
    let shown = house.send(&asked).await.json();
    for field in ["category", "may_duplicate", "on_unknown", "fallback"] {
        assert_eq!(shown[field], asked[field], "{field}");
    }
    assert_eq!((&shown["held"], &shown["ended"]), (&Value::Null, &Value::Null));
    let message = house.claim().await.messages.remove(0);
    let attempt = &house.get(&format!("/v1/messages/{}", message.id)).await.json()["attempts"][0];
    // Nobody has heard of this person, so free text might be turned away.
    assert_eq!((&attempt["form"], &attempt["written_off"]), (&json!("fallback"), &json!(false)));
}

#[actix_web::test]
async fn a_message_that_waits_is_held_and_released() {
    let house = House::new();
    let steer = |id: &str, to: &str| house.call(api(TestRequest::post().uri(&format!("/v1/messages/{id}/{to}"))));
    let id = house.accepted().await;
    assert_eq!(steer(&id, "release").await.problem(), (409, "not_held".to_owned()));
    let held = steer(&id, "hold").await.json();
    assert_eq!((&held["status"], &held["held"]["reason"]), (&json!("held"), &json!("operator")));
    assert_eq!(steer(&id, "hold").await.problem(), (409, "not_holdable".to_owned()));
    assert!(house.claim().await.messages.is_empty());
    let released = steer(&id, "release").await.json();
    assert_eq!((&released["status"], &released["held"]), (&json!("pending"), &Value::Null));
    assert_eq!(house.claim().await.messages.len(), 1);
    for (to, code) in [("hold", "not_holdable"), ("release", "not_held"), ("cancel", "too_late")] {
        let refused = steer(&id, to).await;
        assert_eq!(refused.problem(), (409, code.to_owned()));
        assert!(refused.text.contains("the message is in_flight"), "{}", refused.text);
        assert_eq!(steer(SID, to).await.problem(), (404, "not_found".to_owned()));
    }
}

#[actix_web::test]
async fn a_failed_message_is_sent_again_where_that_can_help() {
    let house = House::new();
    let retry = |id: &str, body: &Value| {
        house.call(api(TestRequest::post().uri(&format!("/v1/messages/{id}/retry")).set_json(body)))
    };
    let id = house.accepted().await;
    let early = retry(&id, &json!({})).await;
    assert_eq!(early.problem(), (409, "not_retryable".to_owned()));
    assert_eq!(early.json()["detail"], "the message is pending: it is still under way");
    let message = house.claim().await.messages.remove(0);
    house.sent(message.attempts[0].id(message.id), SID.parse().expect("a sid")).await;
    let mut failed = callback(SID, "undelivered");
    failed.push(("ErrorCode".into(), "30008".into()));
    house.call(signed("/webhooks/twilio/status", &failed)).await;
    let shown = house.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!((&shown["status"], &shown["error"]["code"]), (&json!("undelivered"), &json!(30_008)));
    let refused = retry(&id, &json!({})).await;
    assert_eq!(refused.problem(), (409, "not_retryable".to_owned()));
    assert!(refused.text.contains("allow may_duplicate"), "{}", refused.text);
    let retried = retry(&id, &json!({ "may_duplicate": true })).await;
    assert_eq!((retried.status.as_u16(), &retried.json()["status"]), (200, &json!("pending")));
    let journal = house.get(&format!("/v1/messages/{id}/journal")).await.json();
    let last = journal["data"].as_array().and_then(|rows| rows.last()).expect("rows");
    assert_eq!((&last["fact"], &last["source"]), (&json!("retried"), &json!("api")));
    assert_eq!(house.claim().await.messages[0].attempts.len(), 2);
    assert_eq!(retry(&id, &json!({ "may_dupe": true })).await.problem(), (422, "invalid_retry".to_owned()));
    assert_eq!(retry(SID.replace('1', "2").as_str(), &json!({})).await.problem(), (404, "not_found".to_owned()));
}
