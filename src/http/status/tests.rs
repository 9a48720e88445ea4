//! Whether messages go, through the door.

use serde_json::json;

use crate::alert::{Alert, PAUSED};
use crate::http::testing::{House, SENDER};
use crate::pause::{Cause, Scope};
use crate::store::Write;

async fn pause(house: &House, scope: Scope, cause: Cause) {
    house.app.store.write(Write::Pause(scope, cause)).await.expect("paused");
}

#[actix_web::test]
async fn the_state_of_sending_says_whether_anything_goes_and_why_not() {
    let house = House::new();
    let sending = async || house.get("/v1/status").await.json()["sending"].clone();
    let ready = async || {
        let answer = house.get("/readyz").await;
        (answer.status.as_u16(), answer.json())
    };
    assert_eq!(sending().await, json!({ "state": "running", "reason": null, "reasons": [], "pauses": [] }));
    pause(&house, Scope::Sender(SENDER.into()), Cause::Operator(Some("secret plan".into()))).await;
    assert_eq!(
        (&sending().await["state"], &sending().await["pauses"][0]["note"]),
        (&json!("running"), &json!("secret plan"))
    );
    pause(&house, Scope::All, Cause::Operator(Some("secret plan".into()))).await;
    let now = sending().await;
    assert_eq!(
        (&now["state"], &now["reasons"]),
        (&json!("paused"), &json!(["somebody paused everything: secret plan"]))
    );
    let detail = format!("sending is paused: everything; sender:{SENDER}");
    house.app.board.raise(Alert { code: PAUSED, detail, action: "".into(), is_blocking: false });
    let (status, told) = ready().await;
    assert_eq!((status, &told["ready"], &told["sending"]), (200, &json!(true), &json!({ "state": "paused" })));
    assert_eq!(told["reasons"].as_array().map(Vec::len), Some(1));
    assert_eq!(told["reasons"][0]["detail"], "paused: everything, some of the senders");
    assert!(!told.to_string().contains("secret") && !told.to_string().contains("1555"), "anybody may ask: {told}");
    let refused = "Twilio refuses our credentials (HTTP 401)".to_owned();
    pause(&house, Scope::Account, Cause::Credentials(refused.clone())).await;
    assert_eq!((&sending().await["state"], &sending().await["reason"]), (&json!("stopped"), &json!(refused)));
    let alert = Alert { code: "twilio_auth", detail: refused.clone(), action: "".into(), is_blocking: true };
    house.app.board.raise(alert);
    assert_eq!(sending().await["reasons"], json!([refused]), "told once");
    let alerts = house.get("/v1/status").await.json()["alerts"].clone();
    assert_eq!(alerts, json!([{ "code": "twilio_auth", "detail": refused, "action": "" }]), "pauses are told apart");
    assert_eq!((ready().await.0, &ready().await.1["sending"]["state"]), (503, &json!("stopped")));
}
