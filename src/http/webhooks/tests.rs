//! What Twilio, and whoever pretends to be Twilio, may post.

use actix_web::http::Method;
use actix_web::test::TestRequest;
use futures_util::future::join_all;

use crate::http::testing::{ACCOUNT, House, PERSON, SENDER, callback, form, pairs, signed};
use crate::message::{AttemptId, MessageId, Word};
use crate::store::Filter;
use crate::twilio::wire::MAX_FORM_BYTES;

const SID: &str = "SM00000000000000000000000000000001";
const STATUS: &str = "/webhooks/twilio/status";
const INBOUND: &str = "/webhooks/twilio/inbound";

#[actix_web::test]
async fn a_callback_to_an_attempts_own_path_moves_its_message() {
    let house = House::new();
    house.accepted().await;
    let message = house.claim().await.messages.remove(0);
    let attempt = message.attempts[0].id(message.id);
    let answer = house.call(signed(&format!("{STATUS}/{attempt}?bt=1"), &callback(SID, "delivered"))).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    let shown = house.get(&format!("/v1/messages/{SID}")).await.json();
    assert_eq!((shown["id"].as_str(), shown["status"].as_str()), (Some(&*message.id.to_string()), Some("delivered")));
}

#[actix_web::test]
async fn a_callback_for_a_message_sent_elsewhere_is_followed() {
    let house = House::new();
    house.call(signed(STATUS, &callback(SID, "sent"))).await;
    let shown = house.get(&format!("/v1/messages/{SID}")).await.json();
    assert_eq!((shown["origin"].as_str(), shown["status"].as_str()), (Some("external"), Some("sent")));
    assert_eq!((shown["from"].as_str(), shown["to"].as_str()), (Some(SENDER), Some(PERSON)));
}

#[actix_web::test]
async fn a_path_that_names_no_attempt_still_reports_by_sid() {
    let house = House::new();
    let foreign = AttemptId { message: MessageId([1; 16]), number: 1, nonce: [2; 16] }.to_string();
    for (path, status) in [("not-an-attempt", "sent"), (foreign.as_str(), "delivered")] {
        assert_eq!(house.call(signed(&format!("{STATUS}/{path}"), &callback(SID, status))).await.status.as_u16(), 204);
    }
    let page = house.app.store.read().and_then(|store| store.messages(&Filter::default(), None, 9)).expect("a page");
    assert_eq!((page.rows.len(), page.rows[0].has_reached(&Word::Delivered)), (1, true));
}

#[actix_web::test]
async fn whatever_is_wrong_is_refused_by_name_and_stores_nothing() {
    let house = House::new();
    let good = callback(SID, "delivered");
    let with = |name: &str, value: &str| {
        let mut params = good.clone();
        params.push((name.to_owned(), value.to_owned()));
        params
    };
    let without = |name: &str| good.iter().filter(|(key, _)| key != name).cloned().collect::<Vec<_>>();
    let signature = |value: &'static str| form(STATUS, "MessageSid=SM1").insert_header(("x-twilio-signature", value));
    let forged = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let posted = |body: &[u8]| form(STATUS, body).insert_header(("x-twilio-signature", forged));
    let cases = [
        ("unsigned", form(STATUS, "MessageSid=SM1"), 403, "no_signature"),
        ("forged", signature(forged), 403, "bad_signature"),
        ("no base64", signature("?"), 403, "bad_signature"),
        ("for another path", signed("/elsewhere", &good).uri(STATUS), 403, "bad_signature"),
        ("another query", signed(STATUS, &good).uri(&format!("{STATUS}?x=1")), 403, "bad_signature"),
        ("another account", signed(STATUS, &with("AccountSid", &ACCOUNT.replace('1', "9"))), 403, "other_account"),
        ("too long", posted(&vec![b'a'; MAX_FORM_BYTES + 1]), 413, "too_large"),
        ("said to be too long", posted(b"a=1").insert_header(("content-length", "99999")), 413, "too_large"),
        ("too many", posted("a&".repeat(201).as_bytes()), 413, "too_large"),
        ("truncated", posted(b"MessageSid=SM%"), 400, "bad_form"),
        ("not text", posted(b"MessageSid=%FF"), 400, "not_utf8"),
        ("not text, raw", posted(b"MessageSid=\xff"), 400, "not_utf8"),
        ("empty", signed(STATUS, &pairs(&[])), 400, "missing_parameter"),
        ("no sid", signed(STATUS, &without("MessageSid")), 400, "missing_parameter"),
        ("no status", signed(STATUS, &without("MessageStatus")), 400, "missing_parameter"),
        ("two statuses", signed(STATUS, &with("MessageStatus", "read")), 400, "malformed_parameter"),
        ("an odd sid", signed(STATUS, &callback("SM1", "sent")), 400, "malformed_parameter"),
        ("json", signed(STATUS, &good).insert_header(("content-type", "application/json")), 415, "wrong_content_type"),
        ("no content type", TestRequest::post().uri(STATUS), 415, "wrong_content_type"),
        ("inbound without sender", signed(INBOUND, &pairs(&[("MessageSid", SID)])), 400, "missing_parameter"),
        ("a status where inbound belongs", signed(INBOUND, &good), 400, "malformed_parameter"),
        ("inbound unsigned", form(INBOUND, "MessageSid=SM1"), 403, "no_signature"),
    ];
    let count = cases.len() as u64;
    for (name, request, status, code) in cases {
        let answer = house.call(request).await;
        assert_eq!(answer.problem(), (status, code.to_owned()), "{name}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{name}");
    }
    assert_eq!((house.events(), house.app.tally.refused.total()), (0, count));
}

#[actix_web::test]
async fn webhooks_are_posted_and_nothing_else() {
    let house = House::new();
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
        for path in [STATUS, INBOUND, "/webhooks/twilio/status/x"] {
            let answer = house.call(signed(path, &callback(SID, "sent")).method(method.clone())).await;
            assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("POST")), "{method} {path}");
        }
    }
    assert_eq!(house.events(), 0);
}

#[actix_web::test]
async fn without_a_token_nothing_is_let_in_and_twilio_may_come_again() {
    let house = House::with(|app| app.webhook = None);
    let answer = house.call(signed(STATUS, &callback(SID, "sent"))).await;
    assert_eq!(answer.problem(), (503, "not_configured".to_owned()));
    assert_eq!((answer.header("retry-after"), house.events()), (Some("5"), 0));
}

#[actix_web::test]
async fn a_closed_store_answers_503() {
    let house = House::new();
    house.app.store.close();
    let answer = house.call(signed(STATUS, &callback(SID, "sent"))).await;
    assert_eq!(answer.problem(), (503, "stopping".to_owned()));
}

#[actix_web::test]
async fn layer_6_replay_an_inbound_message_is_one_record_one_event_and_one_open_window_however_often_it_comes() {
    let house = House::new();
    let params = pairs(&[
        ("MessageSid", SID),
        ("AccountSid", ACCOUNT),
        ("From", PERSON),
        ("To", SENDER),
        ("Body", "olá 👋"),
        ("ProfileName", "José"),
        ("ButtonText", "Yes"),
        ("ExternalUserId", "whatsapp:DE.13491208655302741918"),
        ("New", "x"),
    ]);
    let answers = join_all((0..64).map(|_| house.call(signed(INBOUND, &params)))).await;
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("text/xml; charset=utf-8")));
        assert!(answer.text.ends_with("<Response/>"));
    }
    let store = house.app.store.read().expect("a snapshot");
    let page = store.inbound(None, 100).expect("a page");
    assert_eq!((page.rows.len(), house.events()), (1, 1));
    assert_eq!((page.rows[0].body.as_str(), page.rows[0].extra["ButtonText"].as_str()), ("olá 👋", "Yes"));
    assert_eq!(page.rows[0].extra["New"], "x");
    let person = store.person(PERSON).expect("read").expect("a person");
    assert_eq!((person.contact.aliases.len(), person.contact.windows.len()), (2, 1));
}
