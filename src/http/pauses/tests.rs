//! Pauses, through the door.

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use crate::http::story::{self, OTHER};
use crate::http::testing::{Answer, House, PERSON, SENDER, api};
use crate::pause::{Cause, Scope};
use crate::store::Write;

const TEMPLATE: &str = "HX00000000000000000000000000000001";

async fn pause(house: &House, body: &Value) -> Answer {
    house.call(api(TestRequest::post().uri("/v1/pauses").set_json(body))).await
}

async fn resume(house: &House, scope: &str) -> Answer {
    house.call(api(TestRequest::delete().uri(&format!("/v1/pauses/{scope}")))).await
}

async fn fail(house: &House, scope: Scope, cause: Cause) {
    house.app.store.write(Write::Pause(scope, cause)).await.expect("paused");
}

#[actix_web::test]
async fn a_person_pauses_and_resumes_everything_a_sender_or_a_template() {
    let house = House::new();
    house.accepted().await;
    story::accept(&house, 7, story::SERVICE, OTHER, None).await;
    let begun = pause(&house, &json!({ "scope": "sender:+1 555 000 1111", "note": "new number" })).await;
    assert_eq!(begun.status.as_u16(), 201);
    assert_eq!(
        begun.json(),
        json!({ "scope": format!("sender:{SENDER}"), "since": "2023-11-14T22:13:20.000Z", "cause": "operator",
            "code": null, "title": null, "note": "new number", "action": null, "probe_at": null, "waiting": 1 })
    );
    assert!(house.claim().await.messages.is_empty(), "nothing goes while it is paused");
    pause(&house, &json!({ "scope": format!("template:{TEMPLATE}") })).await;
    assert_eq!(pause(&house, &json!({ "scope": "all" })).await.json()["waiting"], 2);
    let listed = house.get("/v1/pauses").await.json();
    assert_eq!(listed["pauses"].as_array().map(Vec::len), Some(3));
    assert_eq!(house.get("/v1/status").await.json()["sending"]["pauses"], listed["pauses"]);
    for scope in [format!("sender:{SENDER}").replace('+', "%2B"), format!("template:{TEMPLATE}"), "all".into()] {
        assert_eq!(resume(&house, &scope).await.status.as_u16(), 204, "{scope}");
        assert_eq!(resume(&house, &scope).await.problem(), (404, "not_found".into()), "{scope}");
    }
    assert_eq!(house.get("/v1/pauses").await.json(), json!({ "pauses": [] }));
    assert_eq!(house.claim().await.messages.len(), 1);
}

#[actix_web::test]
async fn what_waits_for_a_template_is_counted() {
    let house = House::new();
    let asked = json!({ "to": PERSON, "content_sid": TEMPLATE });
    house.send(&asked).await;
    fail(&house, Scope::Template(TEMPLATE.into()), Cause::Failure(63_041)).await;
    assert!(house.claim().await.messages.is_empty());
    let pause = house.get("/v1/pauses").await.json()["pauses"][0].clone();
    assert_eq!((&pause["cause"], &pause["code"], &pause["waiting"]), (&json!("failure"), &json!(63_041), &json!(1)));
    assert_eq!(pause["probe_at"], "2023-11-14T22:13:50.000Z");
    assert!(pause["title"].is_string() && pause["action"].is_string(), "{pause}");
    let message = house.get("/v1/messages?status=held").await.json()["data"][0].clone();
    assert_eq!(message["held"]["template"], TEMPLATE);
}

#[actix_web::test]
async fn an_account_is_paused_by_twilio_and_may_be_resumed_by_a_person() {
    let house = House::new();
    let refused = pause(&house, &json!({ "scope": "account" })).await;
    assert_eq!(refused.problem(), (422, "invalid_pause".into()));
    assert!(refused.text.contains("pause all"), "{}", refused.text);
    fail(&house, Scope::Account, Cause::Failure(63_007)).await;
    assert_eq!(resume(&house, "account").await.status.as_u16(), 204);
}

#[actix_web::test]
async fn what_cannot_be_paused_is_refused_by_name() {
    let house = House::new();
    let long = "x".repeat(501);
    for (body, status, code) in [
        (json!({}), 422, "invalid_pause"),
        (json!({ "scope": "everything" }), 422, "invalid_pause"),
        (json!({ "scope": "template:HX1" }), 422, "invalid_pause"),
        (json!({ "scope": "all", "note": long }), 422, "invalid_pause"),
        (json!({ "scope": "all", "notes": "x" }), 422, "invalid_pause"),
        (json!({ "scope": "sender:+15559999999" }), 404, "not_found"),
        (json!([]), 400, "invalid_json"),
    ] {
        assert_eq!(pause(&house, &body).await.problem(), (status, code.into()), "{body}");
    }
    assert_eq!(resume(&house, "nonsense").await.problem(), (404, "not_found".into()));
    assert_eq!(house.events(), 0);
    let by_page = TestRequest::post().uri("/admin/api/pauses").set_json(json!({ "scope": "all" }));
    assert_eq!(house.call(house.person(by_page).await).await.status.as_u16(), 201);
    let wrong = house.call(api(TestRequest::put().uri("/v1/pauses/all"))).await;
    assert_eq!((wrong.problem().0, wrong.header("allow")), (405, Some("DELETE")));
}
