//! Keys as their makers and their users see them.

use std::time::Duration;

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::super::testing::{Answer, House, START, move_to};
use crate::keyring::Scopes;

async fn with(house: &House, key: &str, request: TestRequest) -> Answer {
    house.call(request.insert_header(("authorization", format!("Bearer {key}")))).await
}

async fn make(house: &House, by: &str, body: &Value) -> Answer {
    with(house, by, TestRequest::post().uri("/v1/keys").set_json(body)).await
}

/// Whether a key opens.
async fn opens(house: &House, key: &str) -> bool {
    with(house, key, TestRequest::get().uri("/v1/status")).await.status.as_u16() == 200
}

fn text(answer: &Answer, field: &str) -> String {
    answer.json()[field].as_str().unwrap_or_else(|| panic!("{field} in {}", answer.text)).to_owned()
}

#[actix_web::test]
async fn a_key_is_made_used_rotated_and_revoked() {
    let house = House::new();
    let made = make(&house, "key", &json!({"name": "shop", "scopes": ["send", "messages:read"]})).await;
    assert_eq!(made.status.as_u16(), 201, "{}", made.text);
    let (id, first) = (text(&made, "id"), text(&made, "secret"));
    assert!(opens(&house, &first).await);
    let rotated = with(&house, "key", TestRequest::post().uri(&format!("/v1/keys/{id}/rotations"))).await;
    let second = text(&rotated, "secret");
    assert!(opens(&house, &first).await && opens(&house, &second).await);
    assert_eq!((text(&rotated, "state"), text(&rotated, "id")), ("retiring".into(), id.clone()));
    move_to(&house, START.plus(Duration::from_secs(24 * 3_600)));
    assert!(!opens(&house, &first).await && opens(&house, &second).await, "the overlap is over");
    let uses = house.app.usage.take();
    assert_eq!(uses.iter().map(|used| used.times).sum::<u64>(), 4);
    let revoked = with(&house, "key", TestRequest::delete().uri(&format!("/v1/keys/{id}"))).await;
    assert_eq!(text(&revoked, "state"), "revoked");
    let refused = with(&house, &second, TestRequest::get().uri("/v1/status")).await;
    assert_eq!((refused.status.as_u16(), refused.text.contains("revoked")), (401, true), "{}", refused.text);
    let again = with(&house, "key", TestRequest::post().uri(&format!("/v1/keys/{id}/rotations"))).await;
    assert_eq!(again.problem(), (409, "stale".into()), "what is revoked stays revoked");
    let listed = house.get("/v1/keys").await;
    assert!(!listed.text.contains(&second[12..]) && listed.text.contains(&id), "{}", listed.text);
}

#[actix_web::test]
async fn nobody_hands_out_or_learns_more_than_they_may_do() {
    let house = House::new();
    let few: Scopes = Scopes::parse("keys:write send").expect("scopes");
    let lesser = house.key(few).await;
    let greater = house.key(Scopes::all()).await;
    let escalation = make(&house, &lesser, &json!({"name": "x", "scopes": ["send", "erase"]})).await;
    assert_eq!(escalation.problem(), (403, "forbidden".into()));
    assert!(escalation.text.contains("erase"));
    let target = format!("/v1/keys/ak_{}/rotations", &greater[3..11]);
    let learning = with(&house, &lesser, TestRequest::post().uri(&target)).await;
    assert_eq!(learning.problem(), (403, "forbidden".into()));
    assert_eq!(make(&house, &lesser, &json!({"name": "x", "scopes": ["send"]})).await.status.as_u16(), 201);
}

#[actix_web::test]
async fn nobody_hands_out_wider_networks_or_a_later_end_than_their_own() {
    let house = House::new();
    let end = "2023-11-16T00:00:00Z";
    let own = json!({"name": "own", "scopes": ["keys:write"], "networks": ["127.0.0.0/8"], "expires_at": end});
    let own = text(&make(&house, "key", &own).await, "secret");
    let wide = text(&make(&house, "key", &json!({"name": "wide", "scopes": ["keys:write"]})).await, "id");
    let by = async |request: TestRequest| {
        let request = request.peer_addr("127.0.0.1:5000".parse().expect("an address"));
        with(&house, &own, request).await
    };
    let make = async |networks: Value, expires_at: Value| {
        let body = json!({"name": "x", "scopes": ["keys:write"], "networks": networks, "expires_at": expires_at});
        by(TestRequest::post().uri("/v1/keys").set_json(body)).await
    };
    for (networks, expires_at, said) in [
        (json!([]), json!(end), "opens from 127.0.0.0/8 alone"),
        (json!(["0.0.0.0/0"]), json!(end), "opens from 127.0.0.0/8 alone"),
        (json!(["127.0.0.0/16"]), Value::Null, "ends at 2023-11-16"),
        (json!(["127.0.0.0/16"]), json!("2024-01-01T00:00:00Z"), "ends at 2023-11-16"),
    ] {
        let refused = make(networks, expires_at).await;
        assert_eq!(refused.problem(), (403, "forbidden".into()));
        assert!(refused.text.contains(said), "{}", refused.text);
    }
    assert_eq!(make(json!(["127.0.0.0/16"]), json!(end)).await.status.as_u16(), 201);
    let learning = by(TestRequest::post().uri(&format!("/v1/keys/{wide}/rotations"))).await;
    assert_eq!(learning.problem(), (403, "forbidden".into()), "the secret of a wider key is one too");
}

#[actix_web::test]
async fn what_cannot_be_a_key_is_refused_field_by_field() {
    let house = House::new();
    let wrong = json!({"name": " ", "scopes": ["sned"], "networks": ["10.0.0.1/8"], "expires_at": "soon", "scope": 1});
    let answer = make(&house, "key", &wrong).await;
    assert_eq!(answer.problem(), (422, "invalid_key".into()));
    let fields: Vec<_> = answer.json()["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|e| e["field"].as_str().unwrap_or("").to_owned())
        .collect();
    assert_eq!(fields, ["name", "scopes", "networks", "expires_at", "scope"]);
    let past =
        make(&house, "key", &json!({"name": "x", "scopes": ["send"], "expires_at": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(past.problem().0, 422);
    let nothing = make(&house, "key", &json!({"name": "x", "scopes": []})).await;
    assert!(nothing.text.contains("could do nothing"), "{}", nothing.text);
    for id in ["ak_00000000", "x", "ak_zz"] {
        assert_eq!(house.get(&format!("/v1/keys/{id}")).await.problem().0, 404, "{id}");
    }
}

#[actix_web::test]
async fn a_stranger_learns_nothing_from_how_a_wrong_key_is_refused() {
    let house = House::new();
    let key = house.key(Scopes::all()).await;
    let refused = |key: String| {
        let house = &house;
        async move {
            let answer = with(house, &key, TestRequest::get().uri("/v1/status")).await;
            let mut body = answer.json();
            body["request_id"] = Value::Null;
            (answer.status.as_u16(), body.to_string())
        }
    };
    let wrong_secret = format!("{}{}", &key[..12], "A".repeat(43));
    let unknown = format!("bt_00000000_{}", "A".repeat(43));
    let expected = refused("nonsense".into()).await;
    assert_eq!(expected.0, 401);
    for wrong in [wrong_secret, unknown, key[..54].to_owned(), format!("{key}A")] {
        assert_eq!(refused(wrong.clone()).await, expected, "{wrong}");
    }
}

#[actix_web::test]
async fn one_key_is_one_principal_across_rotations() {
    let house = House::new();
    let first = house.key(Scopes::all()).await;
    let target = format!("/v1/keys/ak_{}/rotations", &first[3..11]);
    let second = text(&with(&house, "key", TestRequest::post().uri(&target)).await, "secret");
    let send = |key: String| {
        let body = json!({"to": super::super::testing::PERSON, "body": "once"});
        let request = TestRequest::post().uri("/v1/messages").insert_header(("idempotency-key", "k")).set_json(body);
        let house = &house;
        async move { text(&with(house, &key, request).await, "id") }
    };
    let (one, two) = (send(first).await, send(second).await);
    assert_eq!(one, two, "the same Idempotency-Key by either secret is the same message");
    assert_ne!(send("key".into()).await, one, "another principal is another");
}
