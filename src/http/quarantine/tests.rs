//! What is refused, why, and how it comes in after all.

use actix_web::test::TestRequest;
use serde_json::Value;

use super::super::testing::{
    Answer, House, PUBLIC_URL, SENDER, START, TOKEN, api, callback, form, move_to, pairs, signed,
};
use super::*;
use crate::audit::{Actor, Deed};
use crate::keyring::{Entry, Ring};
use crate::store::QUARANTINE;
use crate::twilio::signature::{AuthToken, sign_form};
use crate::twilio::wire::encode_form;

const SID: &str = "SM00000000000000000000000000000006";
const PERSON: &str = "whatsapp:+4915100000009";

/// A callback that Twilio signed for another URL than ours.
async fn misdirected(house: &House, url: &str, status: &str) -> Answer {
    let target = "/webhooks/twilio/status";
    let params = callback(SID, status);
    let signature = sign_form(&AuthToken::new(TOKEN), &format!("{url}{target}"), &params);
    house.call(form(target, encode_form(&params)).insert_header(("x-twilio-signature", signature))).await
}

/// What is kept is kept in the background.
async fn kept(house: &House, count: usize) -> Vec<Value> {
    loop {
        let listed = house.get("/v1/quarantine").await;
        let data = listed.json()["data"].as_array().expect("a list").clone();
        if data.len() == count {
            return data;
        }
        tokio::task::yield_now().await;
    }
}

async fn replay(house: &House) -> (u64, u64) {
    let done = house.call(api(TestRequest::post().uri("/v1/quarantine/replays"))).await.json();
    (done["let_in"].as_u64().expect("a count"), done["still_refused"].as_u64().expect("a count"))
}

#[actix_web::test]
async fn a_wrong_public_url_is_named_and_after_the_repair_what_was_refused_comes_in() {
    let house = House::new();
    let right = "https://wa.example.com";
    assert_eq!(misdirected(&house, right, "sent").await.problem(), (403, "bad_signature".into()));
    let data = kept(&house, 1).await;
    assert_eq!((&data[0]["reason"], &data[0]["path"]), (&"bad_signature".into(), &"/webhooks/twilio/status".into()));
    let shown = house.get("/v1/quarantine").await;
    assert!(
        !shown.text.contains("15100000001") && shown.text.contains("MessageStatus"),
        "only names are shown: {}",
        shown.text
    );
    let path = format!("/v1/quarantine/{}/diagnosis", data[0]["id"]);
    let request = TestRequest::get().uri(&path).insert_header(("host", "wa.example.com"));
    let said = house.call(api(request)).await.json();
    assert_eq!(said["certain"], false, "no header came along that would tell the host: {said}");
    assert!(house.app.board.all().iter().any(|alert| alert.code == REFUSED));
    assert_eq!(replay(&house).await, (0, 1), "nothing comes in before it is repaired");
    assert_eq!(house.events(), 0);
    // Everything goes on with the same store under another configuration, as after a restart.
    let repaired = house.configured_anew(|app| {
        app.public_url = Some(right.into());
        app.webhook.as_mut().expect("a webhook").public_url = right.into();
    });
    assert_eq!(replay(&repaired).await, (1, 0));
    assert_eq!(repaired.get(&format!("/v1/messages/{SID}")).await.json()["status"], "sent");
    kept(&repaired, 0).await;
    assert_eq!(replay(&repaired).await, (0, 0));
}

#[actix_web::test]
async fn the_host_that_a_proxy_passes_on_tells_which_url_was_called() {
    let house = House::new();
    let target = "/webhooks/twilio/status";
    let params = callback(SID, "sent");
    let signature = sign_form(&AuthToken::new(TOKEN), &format!("https://wa.example.com{target}"), &params);
    let request = form(target, encode_form(&params)).insert_header(("x-twilio-signature", signature));
    house.call(request.insert_header(("x-forwarded-host", "wa.example.com"))).await;
    let data = kept(&house, 1).await;
    let said = house.get(&format!("/v1/quarantine/{}/diagnosis", data[0]["id"])).await.json();
    assert_eq!((&said["certain"], &said["public_url"]), (&true.into(), &"https://wa.example.com".into()), "{said}");
    assert!(
        said["sentence"].as_str().is_some_and(|words| words.contains(PUBLIC_URL) && words.contains("wa.example.com"))
    );
    assert!(!said.to_string().contains(TOKEN));
}

#[actix_web::test]
async fn what_is_right_by_then_comes_in_by_itself_at_a_start_and_when_a_secret_changes() {
    let house = House::new();
    misdirected(&house, "https://wa.example.com", "sent").await;
    let params = callback("SM00000000000000000000000000000007", "sent");
    let (next, target) = (AuthToken::new("the-token-that-comes-next"), "/webhooks/twilio/status");
    let signature = sign_form(&next, &format!("{PUBLIC_URL}{target}"), &params);
    house.call(form(target, encode_form(&params)).insert_header(("x-twilio-signature", signature))).await;
    kept(&house, 2).await;
    let (stop, stopped) = watch::channel(false);
    let made_up = actix_web::rt::spawn(make_up(Data::clone(&house.app), stopped));
    let vault = house.app.custody.vault().await.expect("a vault");
    let stage = |ring: &mut Ring, now| {
        let kept = Some((&*vault, [1; 16]));
        ring.stage(Entry::new(Kind::TwilioAuthToken, ring.next(), State::Staged, &next, kept, now))?;
        Ok(Deed::new("test", "", ""))
    };
    house.app.custody.change(Kind::TwilioAuthToken, &Actor::default(), None, stage).await.expect("staged");
    kept(&house, 1).await;
    assert_eq!(house.get("/v1/messages/SM00000000000000000000000000000007").await.json()["status"], "sent");
    stop.send_replace(true);
    made_up.await.expect("it ends when it is told to");
    let repaired = house.configured_anew(|app| {
        app.webhook.as_mut().expect("a webhook").public_url = "https://wa.example.com".into();
    });
    let (_stop, stopped) = watch::channel(false);
    actix_web::rt::spawn(make_up(Data::clone(&repaired.app), stopped));
    kept(&repaired, 0).await;
    assert_eq!(repaired.get(&format!("/v1/messages/{SID}")).await.json()["status"], "sent");
}

#[actix_web::test]
async fn an_inbound_message_comes_in_as_one_and_a_forgery_never() {
    let house = House::new();
    let inbound = pairs(&[
        ("MessageSid", SID),
        ("From", PERSON),
        ("To", SENDER),
        ("Body", "hello"),
        ("AccountSid", super::super::testing::ACCOUNT),
    ]);
    let target = "/webhooks/twilio/inbound";
    for token in [TOKEN, "ffffffffffffffffffffffffffffffff"] {
        let signature = sign_form(&AuthToken::new(token), &format!("https://other.example{target}"), &inbound);
        house.call(form(target, encode_form(&inbound)).insert_header(("x-twilio-signature", signature))).await;
    }
    kept(&house, 2).await;
    let repaired = house
        .configured_anew(|app| app.webhook.as_mut().expect("a webhook").public_url = "https://other.example".into());
    assert_eq!(replay(&repaired).await, (1, 1));
    assert!(repaired.get("/v1/inbound").await.text.contains("hello"));
    kept(&repaired, 1).await;
    assert_eq!(repaired.call(api(TestRequest::delete().uri("/v1/quarantine"))).await.status.as_u16(), 204);
    kept(&repaired, 0).await;
}

#[actix_web::test]
async fn a_flood_is_kept_in_part_for_a_day_and_no_longer() {
    let house = House::new();
    for _ in 0..30 {
        misdirected(&house, "https://other.example", "sent").await;
    }
    kept(&house, usize::try_from(MAX_PER_S).expect("few")).await;
    for second in 1..=25 {
        move_to(&house, START.plus(std::time::Duration::from_secs(second)));
        for _ in 0..10 {
            misdirected(&house, "https://other.example", "sent").await;
        }
    }
    kept(&house, MAX_QUARANTINED).await;
    move_to(&house, START.plus(QUARANTINE).plus(std::time::Duration::from_secs(26)));
    kept(&house, 0).await;
}

#[actix_web::test]
async fn what_is_refused_for_another_reason_is_not_kept_and_nothing_of_it_is_in_clear() {
    let house = House::new();
    house
        .call(
            TestRequest::post()
                .uri("/webhooks/twilio/status")
                .set_payload("x=1")
                .insert_header(("content-type", "text/plain")),
        )
        .await;
    let ok = house.call(signed("/webhooks/twilio/status", &callback(SID, "sent"))).await;
    assert_eq!(ok.status.as_u16(), 204);
    misdirected(&house, "https://other.example", "canary-status").await;
    kept(&house, 1).await;
    let file = std::fs::read(house.dir.join(crate::store::FILE)).expect("the data file");
    assert!(!file.windows(13).any(|bytes| bytes == b"canary-status"));
    let left_out = house.app.store.read().map(|snapshot| {
        let mut dump = Vec::new();
        crate::store::dump(&snapshot, START, &mut dump, |_, _| ()).expect("a dump");
        String::from_utf8_lossy(&dump).contains("quarantine")
    });
    assert_eq!(left_out.map_err(drop), Ok(false), "no backup has it");
}
