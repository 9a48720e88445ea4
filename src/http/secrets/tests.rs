//! Secrets as an operator turns them.

use std::sync::Arc;
use std::time::Duration;

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::super::testing::{ACCOUNT, Answer, House, PUBLIC_URL, START, TOKEN, api, callback, form, move_to, signed};
use crate::audit::{Actor, Deed};
use crate::keyring::{Kind, Ring, Role};
use crate::store::Rotation;
use crate::twilio::signature::{AuthToken, sign_form};
use crate::twilio::transport::{InProcess, Request, Response, TransportError};
use crate::twilio::wire::encode_form;
use crate::twilio::{Client, Options};

const NEW: &str = "fedcba9876543210fedcba9876543210";
const MISTYPED: &str = "fedcba9876543210fedcba9876543219";
/// Twilio gives no answer to it.
const SILENCE: &str = "00000000000000000000000000000000";
const SID: &str = "SM00000000000000000000000000000005";

async fn post(house: &House, path: &str, body: &Value) -> Answer {
    house.call(api(TestRequest::post().uri(&format!("/v1/secrets/{path}")).set_json(body))).await
}

/// Whether a callback that was signed with this token is let in.
async fn lets_in(house: &House, token: &str) -> bool {
    let target = "/webhooks/twilio/status";
    let params = callback(SID, "sent");
    let signature = sign_form(&AuthToken::new(token), &format!("{PUBLIC_URL}{target}"), &params);
    let request = form(target, encode_form(&params)).insert_header(("x-twilio-signature", signature));
    house.call(request).await.status.as_u16() == 204
}

fn states(answer: &Answer) -> Vec<String> {
    states_of(&answer.json())
}

fn states_of(kind: &Value) -> Vec<String> {
    let generations = kind["generations"].as_array().expect("generations");
    generations.iter().map(|one| one["state"].as_str().expect("a state").to_owned()).collect()
}

#[actix_web::test]
async fn layer_3_webhooks_let_the_old_token_in_all_through_the_grace_and_never_after_it() {
    let house = House::new();
    assert!(lets_in(&house, TOKEN).await && !lets_in(&house, NEW).await);
    let staged = post(&house, "twilio_auth_token/rotations", &json!({"value": NEW})).await;
    assert_eq!(states(&staged), ["active", "staged"]);
    assert!(lets_in(&house, TOKEN).await && lets_in(&house, NEW).await, "Twilio may go by it before we hear of that");
    let promoted = post(&house, "twilio_auth_token/promotion", &Value::Null).await;
    assert_eq!(states(&promoted), ["retiring", "active"]);
    move_to(&house, START.plus(Duration::from_millis(899_999)));
    assert!(lets_in(&house, TOKEN).await && lets_in(&house, NEW).await);
    move_to(&house, START.plus(Duration::from_secs(900)));
    assert!(!lets_in(&house, TOKEN).await && lets_in(&house, NEW).await);
}

#[actix_web::test]
async fn what_is_still_used_is_retired_only_by_force_and_the_evidence_is_told() {
    let house = House::new();
    post(&house, "twilio_auth_token/rotations", &json!({"value": NEW, "promote": true})).await;
    assert!(lets_in(&house, TOKEN).await);
    let retire = |query: &str| api(TestRequest::delete().uri(&format!("/v1/secrets/twilio_auth_token/1{query}")));
    let refused = house.call(retire("")).await;
    assert_eq!(refused.problem(), (409, "not_turned".into()));
    assert!(refused.text.contains("was used at 2023-11-14T22:13:20"), "{}", refused.text);
    assert!(lets_in(&house, TOKEN).await);
    assert_eq!(house.call(retire("?force=true")).await.status.as_u16(), 200);
    assert!(!lets_in(&house, TOKEN).await && lets_in(&house, NEW).await);
    let in_use = house.call(api(TestRequest::delete().uri("/v1/secrets/twilio_auth_token/2"))).await;
    assert!(in_use.problem().0 == 409 && in_use.text.contains("in use"));
    let shown = house.get("/v1/secrets").await;
    assert!(!shown.text.contains(TOKEN) && !shown.text.contains(NEW), "{}", shown.text);
    assert_eq!(shown.json()["data"][0]["generations"][0]["used"], 2);
}

#[actix_web::test]
async fn layer_7_secrets_an_emergency_revocation_holds_before_it_is_answered_and_pauses_sending() {
    let house = House::new();
    assert!(lets_in(&house, TOKEN).await);
    let revoked = post(&house, "twilio_auth_token/revocation", &Value::Null).await;
    assert_eq!((revoked.status.as_u16(), &revoked.json()["paused"]), (200, &Value::Bool(true)));
    assert!(revoked.text.contains("bluetick resume"), "it says what to do next: {}", revoked.text);
    assert!(!lets_in(&house, TOKEN).await);
    house.accepted().await;
    assert!(house.claim().await.messages.is_empty(), "nothing is sent");
    assert!(house.get("/v1/status").await.text.contains("revoked in an emergency"));
    let again = post(&house, "twilio_auth_token/rotations", &json!({"value": TOKEN, "promote": true})).await;
    assert_eq!(again.problem().0, 409, "what was revoked does not come back");
    assert_eq!(
        post(&house, "twilio_auth_token/rotations", &json!({"value": NEW, "promote": true})).await.status.as_u16(),
        201
    );
    assert!(lets_in(&house, NEW).await);
}

#[actix_web::test]
async fn revoking_the_keys_of_tokens_logs_everybody_out_but_who_asks() {
    let house = House::new();
    let visits = [house.visit(Role::Admin, true).await, house.visit(Role::Viewer, false).await];
    let is_in = async |cookie: &str| {
        let request = TestRequest::get().uri("/admin/api/status").insert_header(("cookie", cookie));
        house.call(request).await.status.as_u16() == 200
    };
    let revoke = TestRequest::post().uri("/admin/api/secrets/jwt/revocation").set_json(Value::Null);
    let revoke = revoke.insert_header(("cookie", visits[0].as_str())).insert_header(("sec-fetch-site", "same-origin"));
    let revoked = house.call(revoke).await;
    assert_eq!(revoked.status.as_u16(), 200, "{}", revoked.text);
    assert!(is_in(&visits[0]).await && !is_in(&visits[1]).await);
    assert_eq!(post(&house, "jwt/revocation", &Value::Null).await.status.as_u16(), 200);
    assert!(!is_in(&visits[0]).await, "the key of a program is nobody's session");
}

#[actix_web::test]
async fn a_rotation_at_twilio_is_written_down_and_there_is_one_at_a_time() {
    let house = House::new();
    let begun = post(&house, "twilio_auth_token/rotations", &json!({})).await;
    assert_eq!((begun.status.as_u16(), begun.json()["rotation"]["step"].as_str()), (202, Some("wanted")));
    assert_eq!(post(&house, "twilio_auth_token/rotations", &json!({})).await.problem(), (409, "stale".into()));
    let given_up = house.call(api(TestRequest::delete().uri("/v1/secrets/twilio_auth_token/rotations"))).await;
    assert_eq!((given_up.status.as_u16(), &given_up.json()["rotation"]), (200, &Value::Null));
    let nothing = house.call(api(TestRequest::delete().uri("/v1/secrets/twilio_auth_token/rotations"))).await;
    assert_eq!(nothing.problem().0, 404);
    post(&house, "twilio_auth_token/rotations", &json!({})).await;
    let given = json!({"value": NEW, "promote": true});
    assert_eq!(post(&house, "twilio_auth_token/rotations", &given).await.problem(), (409, "stale".into()));
    let rotation = house.app.store.read().and_then(|snapshot| snapshot.rotation()).expect("read").expect("one");
    let stopped = Rotation { problem: Some("a stranger's secondary".into()), ..rotation };
    let note = |_: &mut Ring, _| Ok(Deed::new("secret.rotation_stopped", "", ""));
    let by = Actor::job("rotation");
    let change = house.app.custody.change(Kind::TwilioAuthToken, &by, Some(Some(stopped)), note).await;
    change.expect("written");
    let promoted = post(&house, "twilio_auth_token/rotations", &given).await;
    assert_eq!(
        (promoted.status.as_u16(), &promoted.json()["rotation"]),
        (201, &Value::Null),
        "it stands still no more"
    );
}

/// A Twilio that lets in this secret alone, and gives no answer to whoever comes with `SILENCE`.
fn twilio(known: &'static str) -> Arc<Client> {
    let transport = InProcess(move |request: Request| match request.credentials.secret.expose() {
        SILENCE => Err(TransportError::Unclear("reset".into())),
        secret if secret == known => Ok(Response { status: 200, body: "{}".into(), ..Response::default() }),
        _ => Ok(Response { status: 401, body: r#"{"code":20003,"message":"no"}"#.into(), ..Response::default() }),
    });
    let options = Options { account_sid: ACCOUNT.into(), auth_token: Some(TOKEN.into()), ..Options::default() };
    Arc::new(Client::new(Arc::new(transport), &options).expect("a client"))
}

#[actix_web::test]
async fn what_twilio_does_not_let_in_takes_nobodys_place() {
    let house = House::with(|app| app.custody.ask(twilio(NEW)));
    let give = async |value: &str, promote: bool| {
        post(&house, "twilio_auth_token/rotations", &json!({"value": value, "promote": promote})).await
    };
    let states = async || states_of(&house.get("/v1/secrets").await.json()["data"][0]);
    let refused = give(MISTYPED, true).await;
    assert_eq!(refused.problem(), (422, "invalid_secret".into()));
    assert!(refused.text.contains("nothing was changed") && !refused.text.contains(MISTYPED), "{}", refused.text);
    assert_eq!(give(SILENCE, true).await.problem(), (502, "twilio_unavailable".into()));
    assert_eq!(states().await, ["active"]);
    assert_eq!(give(MISTYPED, false).await.status.as_u16(), 201, "it may be made known at Twilio yet");
    assert_eq!(post(&house, "twilio_auth_token/promotion", &Value::Null).await.problem().0, 422);
    assert_eq!(states().await, ["active", "staged"]);
    let put_away = house.call(api(TestRequest::delete().uri("/v1/secrets/twilio_auth_token/2"))).await;
    assert_eq!(put_away.status.as_u16(), 200);
    assert_eq!(give(NEW, true).await.status.as_u16(), 201);
    assert_eq!(states().await, ["retiring", "revoked", "active"]);
}

#[actix_web::test]
async fn whoever_gives_a_value_again_that_retires_or_is_retired_means_it() {
    let house = House::new();
    for value in [NEW, TOKEN, NEW] {
        let given = post(&house, "twilio_auth_token/rotations", &json!({"value": value, "promote": true})).await;
        assert_eq!(given.status.as_u16(), 201, "{}", given.text);
        assert!(lets_in(&house, value).await);
    }
}

#[actix_web::test]
async fn what_cannot_be_a_secret_is_refused_and_not_repeated() {
    let house = House::new();
    for (kind, body) in [
        ("jwt", json!({"value": NEW})),
        ("twilio_auth_token", json!({"value": "short"})),
        ("twilio_auth_token", json!({"value": "SK00000000000000000000000000000001:canary-secret"})),
        ("twilio_auth_token", json!({"promote": true})),
        ("twilio_api_key", json!({})),
        ("twilio_api_key", json!({"value": format!("{ACCOUNT}:canary-secret-of-many")})),
        ("twilio_api_key", json!({"value": "canary with spaces"})),
    ] {
        let refused = post(&house, &format!("{kind}/rotations"), &body).await;
        assert_eq!(refused.problem(), (422, "invalid_secret".into()), "{kind} {body}");
        assert!(!refused.text.contains("canary"), "{}", refused.text);
    }
    assert_eq!(post(&house, "password/rotations", &Value::Null).await.problem().0, 404);
    assert_eq!(post(&house, "twilio_auth_token/promotion", &Value::Null).await.problem(), (409, "not_turned".into()));
    let key = json!({"value": "SK00000000000000000000000000000001:the-secret-of-a-key", "promote": true});
    assert_eq!(post(&house, "twilio_api_key/rotations", &key).await.status.as_u16(), 201);
}

#[actix_web::test]
async fn the_recovery_key_is_told_once_and_the_master_key_changes_in_its_file() {
    let house = House::new();
    let told = post(&house, "recovery-key", &Value::Null).await;
    assert_eq!(told.json()["recovery_key"].as_str().map(str::len), Some(71));
    let path = house.dir.join(crate::custody::MASTER_KEY);
    let before = std::fs::read(&path).expect("a master key");
    assert_eq!(post(&house, "master-key/rotations", &Value::Null).await.status.as_u16(), 204);
    assert_ne!(std::fs::read(&path).expect("a master key"), before);
    let vault = house.get("/v1/secrets").await.json()["vault"].clone();
    assert!(vault["master_key"].is_string() && vault["recovery_key"].is_string(), "{vault}");
    assert_eq!(house.call(signed("/webhooks/twilio/status", &callback(SID, "sent"))).await.status.as_u16(), 204);
}
