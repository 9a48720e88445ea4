//! The list of inbound messages, through the door.

use actix_web::test::TestRequest;
use serde_json::json;

use crate::http::story;
use crate::http::testing::{House, PERSON, SENDER};

#[actix_web::test]
async fn inbound_messages_are_listed_newest_first_and_page_by_page() {
    let house = House::new();
    story::tell(&house).await;
    story::receive(&house, 10, "again").await;
    let list = async |query: &str| {
        house.call(house.person(TestRequest::get().uri(&format!("/admin/api/inbound{query}"))).await).await
    };
    let first = list("?limit=1").await.json();
    assert_eq!(first["data"][0]["body"], "again");
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let second = list(&format!("?limit=1&cursor={cursor}")).await.json();
    assert_eq!(
        second,
        json!({
            "data": [{
                "sid": story::sid(9).to_string(), "from": PERSON, "to": SENDER, "body": "hello", "profile_name": "Ada",
                "received_at": "2023-11-14T22:13:30.000Z", "source": "callback", "button_text": "Yes", "num_media": 0,
            }],
            "next_cursor": null,
        })
    );
    assert_eq!(house.get(&format!("/v1/inbound?limit=1&cursor={cursor}")).await.json(), second);
    assert_eq!(list("?cursor=x").await.problem(), (400, "invalid_query".into()));
    assert_eq!(list("?limit=0").await.problem(), (400, "invalid_query".into()));
}
