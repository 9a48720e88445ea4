//! Tokens as their clients get and use them.

use std::time::Duration;

use actix_web::test::TestRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::testing::{Answer, House, START, api, form, move_to};
use crate::keyring::{Scope, Scopes};

const GRANT: &str = "grant_type=client_credentials";

async fn ask(house: &House, body: &str) -> Answer {
    house.call(form("/oauth/token", body)).await
}

async fn token(house: &House, key: &str, scope: &str) -> String {
    let body = format!("{GRANT}&client_id=ak_{}&client_secret={key}{scope}", &key[3..11]);
    let answer = ask(house, &body).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

async fn status(house: &House, token: &str, path: &str) -> u16 {
    let request = TestRequest::get().uri(path).insert_header(("authorization", format!("Bearer {token}")));
    house.call(request).await.status.as_u16()
}

#[actix_web::test]
async fn a_token_does_what_its_key_may_for_an_hour() {
    let house = House::new();
    let key = house.key(Scopes::parse("messages:read events:read").expect("scopes")).await;
    let token = token(&house, &key, "").await;
    assert_eq!(status(&house, &token, "/v1/status").await, 200);
    assert_eq!(status(&house, &token, "/v1/keys").await, 403);
    let narrow = self::token(&house, &key, "&scope=events:read").await;
    assert_eq!((status(&house, &narrow, "/v1/events").await, status(&house, &narrow, "/v1/status").await), (200, 403));
    move_to(&house, START.plus(Duration::from_secs(3_599)));
    assert_eq!(status(&house, &token, "/v1/status").await, 200);
    move_to(&house, START.plus(Duration::from_secs(3_600)));
    assert_eq!(status(&house, &token, "/v1/status").await, 401);
}

#[actix_web::test]
async fn a_token_of_an_hour_makes_and_learns_no_secret_that_lasts() {
    let house = House::new();
    let key = house.key(Scopes::all()).await;
    let (token, id) = (token(&house, &key, "").await, house.get("/v1/keys").await.json()["data"][0]["id"].clone());
    let ask = async |path: &str, body: serde_json::Value| {
        let request = TestRequest::post().uri(path).set_json(body);
        house.call(request.insert_header(("authorization", format!("Bearer {token}")))).await.problem()
    };
    let forbidden = (403, "forbidden".to_owned());
    assert_eq!(ask("/v1/keys", serde_json::json!({"name": "x", "scopes": ["send"]})).await, forbidden);
    let rotations = format!("/v1/keys/{}/rotations", id.as_str().expect("an id"));
    assert_eq!(ask(&rotations, serde_json::json!({})).await, forbidden);
    assert_eq!(status(&house, &token, "/v1/keys").await, 200, "it looks at them all the same");
}

#[actix_web::test]
async fn a_token_ends_with_the_secret_it_was_given_for() {
    let house = House::new();
    let first = house.key(Scopes::all()).await;
    let rotate = async |overlap_s: u64| {
        let target = format!("/v1/keys/ak_{}/rotations", &first[3..11]);
        let body = serde_json::json!({"overlap_s": overlap_s});
        let rotated = house.call(api(TestRequest::post().uri(&target).set_json(body))).await;
        rotated.json()["secret"].as_str().expect("a secret").to_owned()
    };
    let old = token(&house, &first, "").await;
    let second = rotate(60).await;
    let (late, new) = (token(&house, &first, "").await, token(&house, &second, "").await);
    for token in [&old, &late, &new] {
        assert_eq!(status(&house, token, "/v1/status").await, 200);
    }
    let body = format!("{GRANT}&client_id=ak_{}&client_secret={first}", &first[3..11]);
    assert_eq!(ask(&house, &body).await.json()["expires_in"], 60, "it says so");
    move_to(&house, START.plus(Duration::from_secs(60)));
    assert_eq!([status(&house, &old, "/v1/status").await, status(&house, &late, "/v1/status").await], [401, 401]);
    assert_eq!(status(&house, &new, "/v1/status").await, 200);
    let third = rotate(0).await;
    assert_eq!(status(&house, &new, "/v1/status").await, 401);
    assert_eq!(status(&house, &token(&house, &third, "").await, "/v1/status").await, 200);
}

#[actix_web::test]
async fn a_client_proves_itself_by_form_or_by_basic_and_every_stranger_is_told_the_same() {
    let house = House::new();
    let key = house.key(Scopes::all()).await;
    let basic = |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let id = format!("ak_{}", &key[3..11]);
    let by_basic = form("/oauth/token", GRANT).insert_header(("authorization", basic(&id, &key)));
    assert_eq!(house.call(by_basic).await.status.as_u16(), 200);
    let wrong_secret = format!("{}{}", &key[..12], "A".repeat(43));
    let unknown = format!("bt_00000000_{}", "A".repeat(43));
    let mut told = Vec::new();
    for (id, secret) in [(&*id, &*wrong_secret), ("ak_00000000", &unknown), ("ak_00000001", &key), (&id, "nonsense")] {
        let answer = ask(&house, &format!("{GRANT}&client_id={id}&client_secret={secret}")).await;
        assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (401, Some("invalid_client")));
        told.push(answer.text);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[actix_web::test]
async fn what_is_wrong_is_said_in_the_words_of_the_rfc() {
    let house = House::new();
    let key = house.key([Scope::Send].into_iter().collect()).await;
    let with = |rest: &str| format!("{rest}&client_secret={key}");
    for (body, error) in [
        (with(""), "invalid_request"),
        (with("grant_type=password"), "unsupported_grant_type"),
        (with(&format!("{GRANT}&scope=erase")), "invalid_scope"),
        (with(&format!("{GRANT}&scope=root")), "invalid_scope"),
        (with(&format!("{GRANT}&scope=")), "invalid_scope"),
        (with(&format!("{GRANT}&{GRANT}")), "invalid_request"),
        (GRANT.to_owned(), "invalid_client"),
    ] {
        assert_eq!(ask(&house, &body).await.json()["error"], error, "{body}");
    }
    assert_eq!(ask(&house, &"a".repeat(5_000)).await.status.as_u16(), 413);
}

#[actix_web::test]
async fn a_rotation_of_the_signing_key_outlives_no_token_and_a_revocation_ends_all() {
    let house = House::new();
    let key = house.key(Scopes::all()).await;
    let old = token(&house, &key, "").await;
    let rotate = || api(TestRequest::post().uri("/v1/secrets/jwt/rotations"));
    assert_eq!(house.call(rotate()).await.status.as_u16(), 201);
    let new = token(&house, &key, "").await;
    assert_ne!(old.split('.').next(), new.split('.').next(), "another key signs");
    assert_eq!((status(&house, &old, "/v1/status").await, status(&house, &new, "/v1/status").await), (200, 200));
    let revoked = house.call(api(TestRequest::post().uri("/v1/secrets/jwt/revocation"))).await;
    assert_eq!(revoked.json()["paused"], Value::Bool(false), "{}", revoked.text);
    assert_eq!((status(&house, &old, "/v1/status").await, status(&house, &new, "/v1/status").await), (401, 401));
    let fresh = token(&house, &key, "").await;
    assert_eq!(status(&house, &fresh, "/v1/status").await, 200, "the next one is signed with a new key");
}

#[actix_web::test]
async fn with_its_key_goes_every_token() {
    let house = House::new();
    let key = house.key(Scopes::all()).await;
    let token = token(&house, &key, "").await;
    house.call(api(TestRequest::delete().uri(&format!("/v1/keys/ak_{}", &key[3..11])))).await;
    assert_eq!(status(&house, &token, "/v1/status").await, 401);
}
