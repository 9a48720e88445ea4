//! The first person, and whoever would like to be it.

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::super::testing::{Answer, House};
use crate::keyring::Role;

const PASSWORD: &str = "correct horse battery staple";

/// Nobody is there, and nobody is declared.
fn empty() -> House {
    House::with(|app| app.options.admin_password = None)
}

async fn begin(house: &House, code: &str, user: &str, password: &str) -> Answer {
    let body = json!({"code": code, "user": user, "password": password});
    house.call(TestRequest::post().uri("/admin/api/setup").set_json(body)).await
}

async fn is_open(house: &House) -> Value {
    house.call(TestRequest::get().uri("/admin/api/setup")).await.json()["is_open"].clone()
}

#[actix_web::test]
async fn the_first_person_comes_in_with_the_code_and_nobody_after_them() {
    let house = empty();
    assert_eq!(begin(&house, "", "anna", PASSWORD).await.problem(), (401, "wrong_login".into()), "no code, no way in");
    let code = house.app.reception.set_up([9; 16], house.app.clock.now());
    assert_eq!(is_open(&house).await, true);
    assert_eq!(begin(&house, "AAAA-AAAA-AAAA-AAAA", "anna", PASSWORD).await.problem(), (401, "wrong_login".into()));
    assert_eq!(begin(&house, code.expose(), "anna", "short").await.problem(), (422, "invalid_user".into()));
    let begun = begin(&house, &code.expose().to_lowercase(), "Anna", PASSWORD).await;
    assert_eq!((begun.status.as_u16(), begun.json()["recovery_key"].as_str().map(str::len)), (201, Some(71)));
    assert_eq!((is_open(&house).await, house.app.awaits_setup()), (json!(false), Ok(false)));
    assert_eq!(begin(&house, code.expose(), "eve", PASSWORD).await.problem(), (409, "set_up".into()));
    let body = json!({"user": "anna", "password": PASSWORD});
    let answer = house.call(TestRequest::post().uri("/admin/api/session").set_json(body)).await;
    assert_eq!(answer.status.as_u16(), 204, "{}", answer.text);
}

#[actix_web::test]
async fn the_recovery_key_that_somebody_has_is_not_replaced() {
    let house = empty();
    house.app.custody.new_recovery_key(&Default::default()).await.expect("a key");
    let code = house.app.reception.set_up([9; 16], house.app.clock.now());
    let begun = begin(&house, code.expose(), "anna", PASSWORD).await;
    assert_eq!((begun.status.as_u16(), &begun.json()["recovery_key"]), (201, &Value::Null));
}

#[actix_web::test]
async fn two_first_persons_at_once_are_one() {
    let house = empty();
    let code = house.app.reception.set_up([9; 16], house.app.clock.now());
    let (one, other) =
        tokio::join!(begin(&house, code.expose(), "anna", PASSWORD), begin(&house, code.expose(), "eve", PASSWORD));
    let mut both = [one.status.as_u16(), other.status.as_u16()];
    both.sort_unstable();
    assert_eq!(both, [201, 409]);
}

#[actix_web::test]
async fn a_code_is_not_guessed_and_not_kept_for_later() {
    let house = empty();
    let code = house.app.reception.set_up([9; 16], house.app.clock.now());
    for _ in 0..10 {
        assert_eq!(begin(&house, "AAAA-AAAA-AAAA-AAAA", "anna", PASSWORD).await.status.as_u16(), 401);
    }
    assert_eq!(begin(&house, code.expose(), "anna", PASSWORD).await.status.as_u16(), 401, "after ten guesses");
    let code = house.app.reception.set_up([8; 16], house.app.clock.now());
    house.app.clock.advance(std::time::Duration::from_secs(30 * 60));
    assert_eq!(begin(&house, code.expose(), "anna", PASSWORD).await.status.as_u16(), 401, "after half an hour");
}

#[actix_web::test]
async fn where_somebody_can_log_in_already_no_code_is_made_or_taken() {
    let declared = House::new();
    let code = declared.app.reception.set_up([9; 16], declared.app.clock.now());
    assert_eq!(begin(&declared, code.expose(), "eve", PASSWORD).await.problem(), (409, "set_up".into()));
    let visitor = declared.visit(Role::Admin, true).await;
    let asked = TestRequest::post().uri("/admin/api/setup/code").insert_header(("cookie", visitor));
    assert_eq!(declared.call(asked).await.problem(), (403, "forbidden".into()), "it is shown on the machine only");
}
