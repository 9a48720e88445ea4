//! Opt-outs, through the door.

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::http::story;
use crate::http::testing::{Answer, House, PERSON, api};

async fn put(house: &House, address: &str, body: &Value) -> Answer {
    house.call(api(TestRequest::put().uri(&format!("/v1/contacts/{address}/opt-out")).set_json(body))).await
}

async fn delete(house: &House, address: &str) -> Answer {
    house.call(api(TestRequest::delete().uri(&format!("/v1/contacts/{address}/opt-out")))).await
}

#[actix_web::test]
async fn an_opt_out_is_written_down_shown_obeyed_and_taken_back() {
    let house = House::new();
    let answer = put(&house, "+4915100000001", &json!({ "scope": "all", "note": "by letter" })).await;
    assert_eq!(answer.status.as_u16(), 200);
    let opt_out = json!({ "contact": PERSON, "aliases": [PERSON], "scope": "all", "since": "2023-11-14T22:13:20.000Z",
        "reason": "operator", "code": null, "word": null, "note": "by letter" });
    assert_eq!(answer.json(), json!({ "opt_outs": [opt_out] }));
    assert_eq!(house.get("/v1/opt-outs").await.json(), json!({ "opt_outs": [opt_out], "next_cursor": null }));
    assert_eq!(house.get("/v1/contacts/+4915100000001").await.json()["opt_outs"], json!([opt_out]));
    let id = house.accepted().await;
    house.claim().await;
    let message = house.get(&format!("/v1/messages/{id}")).await.json();
    assert_eq!((&message["status"], &message["ended"]["scope"]), (&json!("suppressed"), &json!("all")));
    assert_eq!(delete(&house, "+4915100000001").await.status.as_u16(), 204);
    assert_eq!(house.get("/v1/opt-outs").await.json()["opt_outs"], json!([]));
    let retried = house.call(api(TestRequest::post().uri(&format!("/v1/messages/{id}/retry")))).await;
    assert_eq!((retried.status.as_u16(), &retried.json()["ended"]), (200, &Value::Null));
}

#[actix_web::test]
async fn who_wrote_stop_is_listed_with_the_word() {
    let house = House::new();
    story::receive(&house, 1, "hello").await;
    let stop = [("MessageSid", "SM0000000000000000000000000000000a"), ("Body", " Stop ")];
    let mut params = crate::http::testing::pairs(&stop);
    let rest = [("AccountSid", crate::http::testing::ACCOUNT), ("From", PERSON), ("To", crate::http::testing::SENDER)];
    params.extend(crate::http::testing::pairs(&rest));
    house.call(crate::http::testing::signed("/webhooks/twilio/inbound", &params)).await;
    let listed = house.get("/v1/opt-outs").await.json()["opt_outs"][0].clone();
    assert_eq!((&listed["reason"], &listed["word"], &listed["scope"]), (&json!("word"), &json!("stop"), &json!("all")));
}

#[actix_web::test]
async fn opt_outs_are_listed_page_by_page() {
    let house = House::new();
    for number in 1..=3 {
        put(&house, &format!("+491510000000{number}"), &json!({ "scope": "marketing" })).await;
    }
    let first = house.get("/v1/opt-outs?limit=2").await.json();
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let second = house.get(&format!("/v1/opt-outs?limit=2&cursor={cursor}")).await.json();
    let count = |page: &Value| page["opt_outs"].as_array().map(Vec::len);
    assert_eq!((count(&first), count(&second), &second["next_cursor"]), (Some(2), Some(1), &Value::Null));
    for wrong in ["limit=0", "limit=201", "cursor=x", "page=2"] {
        let answer = house.get(&format!("/v1/opt-outs?{wrong}")).await;
        assert_eq!(answer.problem(), (400, "invalid_query".into()), "{wrong}");
    }
}

#[actix_web::test]
async fn an_opt_out_that_cannot_be_is_refused_by_name() {
    let house = House::new();
    let service = "MG0123456789abcdef0123456789abcdef";
    for (address, body) in [
        ("nobody", json!({})),
        (service, json!({})),
        ("+4915100000001", json!({ "scope": "some" })),
        ("+4915100000001", json!({ "scop": "all" })),
        ("+4915100000001", json!({ "note": "x".repeat(501) })),
    ] {
        assert_eq!(put(&house, address, &body).await.problem(), (422, "invalid_opt_out".into()), "{address} {body}");
    }
    assert_eq!(delete(&house, "+4915100000001").await.problem(), (404, "not_found".into()));
    assert_eq!((house.events(), house.get("/v1/opt-outs").await.json()["opt_outs"].clone()), (0, json!([])));
}
