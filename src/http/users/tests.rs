//! Who enters whom, and what it costs them.

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::super::testing::{Answer, House};
use crate::keyring::{Hash, Role, Secret};

const PASSWORD: &str = "correct horse battery staple";
const OTHER: &str = "seven purple herons knit";

async fn with(house: &House, cookie: &str, method: &str, path: &str, body: &Value) -> Answer {
    let request = TestRequest::with_uri(&format!("/admin/api{path}")).method(method.parse().expect("a method"));
    let request = if body.is_null() { request } else { request.set_json(body) };
    house.call(request.insert_header(("cookie", cookie.to_owned()))).await
}

async fn log_in(house: &House, user: &str, password: &str) -> Option<String> {
    let body = json!({"user": user, "password": password});
    let answer = house.call(TestRequest::post().uri("/admin/api/session").set_json(body)).await;
    answer.header("set-cookie").map(|set| set.split(';').next().unwrap_or_default().to_owned())
}

async fn enter(house: &House, by: &str, name: &str, role: &str) {
    let body = json!({"name": name, "role": role, "pii": true, "password": PASSWORD});
    let answer = with(house, by, "POST", "/users", &body).await;
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.text);
}

async fn is_in(house: &House, cookie: &str) -> bool {
    with(house, cookie, "GET", "/session", &Value::Null).await.status.as_u16() == 200
}

#[actix_web::test]
async fn somebody_is_entered_changed_disabled_and_taken_out_and_their_sessions_follow() {
    let house = House::new();
    let admin = house.visit(Role::Admin, true).await;
    enter(&house, &admin, "Anna", "operator").await;
    let again = json!({"name": "anna", "role": "viewer", "password": PASSWORD});
    assert_eq!(with(&house, &admin, "POST", "/users", &again).await.problem(), (422, "invalid_user".into()));
    let anna = log_in(&house, "anna", PASSWORD).await.expect("let in");
    let more = with(&house, &admin, "PUT", "/users/anna", &json!({"role": "admin"})).await;
    assert_eq!((&more.json()["role"], is_in(&house, &anna).await), (&json!("admin"), true), "more takes nothing away");
    with(&house, &admin, "PUT", "/users/anna", &json!({"role": "viewer", "pii": false})).await;
    assert!(!is_in(&house, &anna).await, "less ends what was opened with more");
    let anna = log_in(&house, "anna", PASSWORD).await.expect("let in");
    with(&house, &admin, "PUT", "/users/anna", &json!({"disabled": true})).await;
    assert!(!is_in(&house, &anna).await && log_in(&house, "anna", PASSWORD).await.is_none());
    with(&house, &admin, "PUT", "/users/anna", &json!({"disabled": false})).await;
    let anna = log_in(&house, "anna", PASSWORD).await.expect("let in again");
    assert_eq!(with(&house, &admin, "DELETE", "/users/anna", &Value::Null).await.status.as_u16(), 204);
    assert!(!is_in(&house, &anna).await && log_in(&house, "anna", PASSWORD).await.is_none());
    assert_eq!(with(&house, &admin, "DELETE", "/users/anna", &Value::Null).await.problem().0, 404);
    let found = crate::store::verify(&house.app.store.read().expect("a store"), |_, _| ()).expect("it is read");
    assert_eq!(found.count, 0, "{:?}", found.differences);
}

#[actix_web::test]
async fn a_new_password_ends_every_session_but_the_one_it_was_set_in() {
    let house = House::new();
    let admin = house.visit(Role::Admin, true).await;
    enter(&house, &admin, "anna", "viewer").await;
    let (own, other) = (log_in(&house, "anna", PASSWORD).await, log_in(&house, "anna", PASSWORD).await);
    let (own, other) = (own.expect("let in"), other.expect("let in"));
    let body = |current: &str, new: &str| json!({"current": current, "password": new});
    let wrong = with(&house, &own, "POST", "/session/password", &body(OTHER, OTHER)).await;
    assert_eq!(wrong.problem(), (401, "wrong_login".into()));
    let weak = with(&house, &own, "POST", "/session/password", &body(PASSWORD, "password1234")).await;
    assert_eq!(weak.problem(), (422, "invalid_user".into()));
    assert_eq!(with(&house, &own, "POST", "/session/password", &body(PASSWORD, OTHER)).await.status.as_u16(), 204);
    assert!(is_in(&house, &own).await && !is_in(&house, &other).await);
    assert!(log_in(&house, "anna", PASSWORD).await.is_none());
    let again = log_in(&house, "anna", OTHER).await.expect("let in");
    with(&house, &admin, "POST", "/users/anna/password", &json!({"password": PASSWORD})).await;
    assert!(!is_in(&house, &own).await && !is_in(&house, &again).await, "set by somebody else, all of them end");
}

#[actix_web::test]
async fn a_phone_counts_once_it_has_shown_a_code_and_until_it_is_lost() {
    let house = House::new();
    let admin = house.visit(Role::Admin, true).await;
    enter(&house, &admin, "anna", "viewer").await;
    let anna = log_in(&house, "anna", PASSWORD).await.expect("let in");
    let begun = with(&house, &anna, "POST", "/session/totp", &json!({})).await.json();
    let secret = begun["secret"].as_str().expect("a secret");
    assert!(
        begun["uri"]
            .as_str()
            .is_some_and(|uri| uri.contains(secret) && uri.starts_with("otpauth://totp/bluetick:anna"))
    );
    assert!(log_in(&house, "anna", PASSWORD).await.is_some(), "a phone that never showed a code is not asked for");
    let wrong = with(&house, &anna, "PUT", "/session/totp", &json!({"code": "12345"})).await;
    assert_eq!(wrong.problem(), (401, "wrong_login".into()));
    let user = house.app.store.read().and_then(|snapshot| snapshot.user("anna")).expect("read").expect("anna");
    let (phone, vault) = (user.enrolling.expect("a phone"), house.app.custody.keyring().vault().expect("a vault"));
    let phone = phone.open("anna", &vault).expect("it is hers");
    let right = json!({"code": phone.shown(house.app.clock.now())});
    assert_eq!(with(&house, &anna, "PUT", "/session/totp", &right).await.status.as_u16(), 204);
    assert!(log_in(&house, "anna", PASSWORD).await.is_none(), "from now on it is asked for");
    assert!(is_in(&house, &anna).await);
    let lost = with(&house, &admin, "DELETE", "/users/anna/totp", &Value::Null).await;
    assert_eq!((lost.status.as_u16(), is_in(&house, &anna).await), (204, false));
    assert!(log_in(&house, "anna", PASSWORD).await.is_some());
}

#[actix_web::test]
async fn nobody_gives_or_touches_more_than_they_may_do_and_nobody_locks_themselves_out() {
    let house = House::new();
    let (blind, seeing) = (house.visit(Role::Admin, false).await, house.visit(Role::Admin, true).await);
    let body = json!({"name": "eve", "role": "admin", "pii": true, "password": PASSWORD});
    assert_eq!(with(&house, &blind, "POST", "/users", &body).await.problem(), (403, "forbidden".into()));
    enter(&house, &seeing, "anna", "viewer").await;
    for (method, path, body) in [
        ("POST", "/users/anna/password", json!({"password": OTHER})),
        ("PUT", "/users/anna", json!({"disabled": true})),
        ("DELETE", "/users/anna/totp", Value::Null),
        ("DELETE", "/users/anna", Value::Null),
    ] {
        assert_eq!(
            with(&house, &blind, method, path, &body).await.problem(),
            (403, "forbidden".into()),
            "{method} {path}"
        );
    }
    let own = with(&house, &seeing, "GET", "/session", &Value::Null).await.json()["user"]
        .as_str()
        .expect("a name")
        .to_owned();
    for (method, body) in
        [("PUT", json!({"role": "viewer"})), ("PUT", json!({"disabled": true})), ("DELETE", Value::Null)]
    {
        let answer = with(&house, &seeing, method, &format!("/users/{own}"), &body).await;
        assert_eq!(answer.problem(), (403, "forbidden".into()), "{method} {body}");
    }
    assert!(is_in(&house, &seeing).await);
}

#[actix_web::test]
async fn what_cannot_be_a_user_is_refused_field_by_field_and_no_hash_ever_leaves() {
    let house = House::new();
    let admin = house.visit(Role::Admin, true).await;
    let wrong = json!({"name": "an na", "role": "root", "pii": "yes", "password": "short", "scopes": []});
    let answer = with(&house, &admin, "POST", "/users", &wrong).await;
    let errors = answer.json()["errors"].as_array().expect("errors").clone();
    let fields: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap_or_default()).collect();
    assert_eq!(fields, ["name", "role", "role", "pii", "password", "scopes"]);
    let declared = json!({"name": "admin", "role": "viewer", "password": PASSWORD});
    assert!(with(&house, &admin, "POST", "/users", &declared).await.text.contains("http.admin_user"));
    enter(&house, &admin, "anna", "viewer").await;
    let listed = with(&house, &admin, "GET", "/users", &Value::Null).await;
    assert_eq!(listed.json()["declared"], "admin");
    assert!(listed.text.contains("anna") && !listed.text.contains("argon2") && !listed.text.contains("hash"));
}

#[actix_web::test]
async fn a_hash_that_is_cheap_by_now_is_made_anew_at_the_next_log_in() {
    let house = House::new();
    let admin = house.visit(Role::Admin, true).await;
    enter(&house, &admin, "anna", "viewer").await;
    let hash = || house.app.store.read().and_then(|snapshot| snapshot.user("anna")).expect("read").expect("anna").hash;
    let before = hash();
    assert!(log_in(&house, "anna", PASSWORD).await.is_some() && hash() == before, "a dear one stays");
    let cheap = Hash::cheap(&Secret::new(PASSWORD));
    let mut user = house.app.store.read().and_then(|snapshot| snapshot.user("anna")).expect("read").expect("anna");
    (user.hash, user.generation) = (cheap.clone(), 2);
    let act =
        crate::store::Act::KeepUser { user: Box::new(user), expected: Some(1), ending: crate::store::Ending::None };
    let deed = crate::audit::Deed::new("", "", "");
    let govern = crate::store::Govern { by: Default::default(), act, deed };
    house.app.store.write(crate::store::Write::Govern(Box::new(govern))).await.expect("written");
    assert!(log_in(&house, "anna", PASSWORD).await.is_some());
    assert!(hash() != cheap && !hash().is_outdated());
    assert!(log_in(&house, "anna", PASSWORD).await.is_some(), "it is of the same password");
}
