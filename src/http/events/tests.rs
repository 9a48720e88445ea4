//! Pages and streams of events, through the door.

use std::pin::Pin;

use actix_web::App;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::web::get;
use serde_json::{Value, json};

use super::seats::MAX_OF_ONE;
use crate::http::story::{self, OTHER, SERVICE};
use crate::http::testing::{House, PERSON, SENDER, api};
use crate::keyring::Scopes;

/// The body of a stream that was asked for.
async fn follow(house: &House, query: &str, header: Option<(&str, &str)>) -> Pin<Box<BoxBody>> {
    let mut request =
        api(TestRequest::get().uri(&format!("/v1/events{query}"))).insert_header(("accept", "text/event-stream"));
    if let Some(header) = header {
        request = request.insert_header(header);
    }
    let app = App::new().app_data(house.app.clone()).route("/v1/events", get().to(super::list));
    let answer = call_service(&init_service(app).await, request.to_request()).await;
    let said = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
    assert_eq!(said("content-type"), Some("text/event-stream"));
    assert_eq!((said("content-encoding"), said("x-accel-buffering")), (Some("identity"), Some("no")));
    let mut body = Box::pin(answer.into_body().boxed());
    assert_eq!(body.size(), BodySize::Stream);
    assert_eq!(next(&mut body).await.as_deref(), Some("retry: 2000\n\n"));
    body
}

/// The next chunk; none at the end.
async fn next(body: &mut Pin<Box<BoxBody>>) -> Option<String> {
    let chunk = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await?;
    Some(String::from_utf8(chunk.expect("no error").to_vec()).expect("text"))
}

/// Number, type and content of the events in a chunk.
fn parse(chunk: &str) -> Vec<(u64, String, Value)> {
    let event = |lines: &str| {
        let mut lines = lines.lines();
        let mut field = |name: &str| lines.next().and_then(|line| line.strip_prefix(name)).expect("a field").to_owned();
        let (seq, name, data) = (field("id: "), field("event: "), field("data: "));
        (seq.parse().expect("a number"), name, serde_json::from_str(&data).expect("JSON"))
    };
    chunk.trim_end().split("\n\n").map(event).collect()
}

#[actix_web::test]
async fn a_page_has_names_instead_of_numbers_and_says_where_to_go_on() {
    let house = House::new();
    let story = story::tell(&house).await;
    let page = house.get("/v1/events?limit=2").await.json();
    assert_eq!((&page["data"][0]["seq"], &page["next_after"]), (&json!(1), &json!(2)));
    assert_eq!(
        page["data"][0],
        json!({
            "seq": 1, "at": "2023-11-14T22:13:20.000Z", "type": "message.pending", "message_id": story.read.id.to_string(),
            "status": "pending", "sid": null, "sender": SENDER, "contact": PERSON, "reference": "order-17", "code": null,
        })
    );
    let rest = house.get("/v1/events?after=2&limit=1000").await.json();
    let rest = rest["data"].as_array().expect("events");
    assert_eq!((&rest[0]["sender"], &rest[0]["contact"]), (&json!(SERVICE), &json!(OTHER)));
    let last = rest.last().expect("the last event");
    assert_eq!((&last["type"], &last["message_id"]), (&json!("inbound.received"), &Value::Null));
    assert_eq!((&last["contact"], &last["sid"]), (&json!(PERSON), &json!(story::sid(9).to_string())));
    let failed = rest.iter().find(|event| event["type"] == "message.undelivered").expect("a failure");
    assert_eq!(failed["code"], 63_016);
    let end = house.get(&format!("/v1/events?after={}", last["seq"])).await.json();
    assert_eq!(end, json!({ "data": [], "next_after": last["seq"] }));
}

#[actix_web::test]
async fn events_of_one_message_are_told_alone() {
    let house = House::new();
    let story = story::tell(&house).await;
    let page = house.get(&format!("/v1/events?message={}", story.pending.id)).await.json();
    assert_eq!(page["data"].as_array().map(Vec::len), Some(1));
    let page = house.get(&format!("/v1/events?message={}&limit=3", story.failed.id)).await.json();
    let told: Vec<_> = page["data"].as_array().expect("events").iter().map(|event| event["status"].clone()).collect();
    assert_eq!(told, ["pending", "in_flight", "queued"]);
    let unknown = "/v1/events?message=msg_00000000000000000000000000000000";
    assert_eq!(house.get(unknown).await.problem(), (404, "not_found".into()));
    assert_eq!(house.get("/v1/events?message=17").await.problem(), (400, "invalid_query".into()));
    assert_eq!(house.get("/v1/events?limit=1001").await.problem(), (400, "invalid_query".into()));
}

#[actix_web::test]
async fn a_stream_tells_of_what_is_committed_after_it_was_opened_and_ends_with_bluetick() {
    let house = House::new();
    story::tell(&house).await;
    let mut body = follow(&house, "", None).await;
    let message = story::accept(&house, 7, SENDER, PERSON, None).await;
    let events = parse(&next(&mut body).await.expect("a chunk"));
    assert_eq!((events.len(), events[0].1.as_str()), (1, "message.pending"));
    assert_eq!(events[0].2["message_id"], message.id.to_string());
    assert_eq!(events[0].2["seq"], events[0].0);
    house.app.shutdown.send_replace(true);
    assert_eq!(next(&mut body).await, None);
}

#[actix_web::test]
async fn a_stream_goes_on_where_it_was_left() {
    let house = House::new();
    story::tell(&house).await;
    let numbers =
        |chunk: Option<String>| parse(&chunk.expect("a chunk")).into_iter().map(|event| event.0).collect::<Vec<_>>();
    let newest = house.events() as u64;
    let mut body = follow(&house, "?after=2", Some(("last-event-id", "3"))).await;
    assert_eq!(numbers(next(&mut body).await), (4..=newest).collect::<Vec<_>>());
    let mut body = follow(&house, "?after=2", None).await;
    assert_eq!(numbers(next(&mut body).await), (3..=newest).collect::<Vec<_>>());
    // A number that never was is no reason to wait for ever.
    let mut body = follow(&house, "?after=999999", None).await;
    story::receive(&house, 10, "again").await;
    assert_eq!(numbers(next(&mut body).await), [newest + 1]);
}

#[actix_web::test]
async fn a_stream_of_one_message_is_silent_about_others() {
    let house = House::new();
    let story = story::tell(&house).await;
    let mut body = follow(&house, &format!("?message={}", story.read.id), None).await;
    story::accept(&house, 7, SENDER, PERSON, None).await;
    story::report(&house, 1, PERSON, "failed", None).await;
    let events = parse(&next(&mut body).await.expect("a chunk"));
    assert!(events.iter().all(|event| event.2["message_id"] == story.read.id.to_string()), "{events:?}");
}

#[actix_web::test]
async fn there_are_only_so_many_streams_and_a_closed_one_makes_room() {
    let house = House::new();
    let take = || house.app.tally.streams.take("ak_other").expect("a seat");
    let _others: Vec<_> = std::iter::repeat_with(take).take(MAX_OF_ONE).collect();
    let mut open = Vec::new();
    for _ in 0..MAX_OF_ONE {
        open.push(follow(&house, "", None).await);
    }
    let ask = || api(TestRequest::get().uri("/v1/events")).insert_header(("accept", "text/event-stream"));
    assert_eq!(house.call(ask()).await.problem(), (503, "too_many_streams".into()));
    open.pop();
    follow(&house, "", None).await;
}

#[actix_web::test]
async fn a_stream_ends_when_the_key_it_was_opened_with_is_revoked() {
    let house = House::new();
    let key = house.key(Scopes::all()).await;
    let request = TestRequest::get().uri("/v1/events").insert_header(("accept", "text/event-stream"));
    let opened = house.respond(request.insert_header(("authorization", format!("Bearer {key}")))).await;
    let mut body = Box::pin(opened.into_body().boxed());
    assert_eq!(next(&mut body).await.as_deref(), Some("retry: 2000\n\n"));
    let id = format!("ak_{}", &key[3..11]);
    let revoked = house.call(api(TestRequest::delete().uri(&format!("/v1/keys/{id}")))).await;
    assert_eq!(revoked.status.as_u16(), 200);
    house.accepted().await;
    assert_eq!(next(&mut body).await, None, "what happened since is not told any more");
}
