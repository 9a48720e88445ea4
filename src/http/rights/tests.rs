//! The whole matrix: who, which route, which object.

use std::collections::BTreeSet;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::Value;

use super::super::testing::{House, PERSON, callback, pairs, signed};
use super::{Door, RIGHTS, Record, Right};
use crate::keyring::{Role, Scope, Scopes};

/// Words that nobody without the right may find in any answer.
const CANARIES: [&str; 4] = ["15100000001", "canary-body", "canary-name", "canary-meta"];
const SID: &str = "SM00000000000000000000000000000077";

/// A house with a message to a person, and one from them.
async fn lived_in() -> (House, String) {
    let house = House::new();
    let body = serde_json::json!({"to": PERSON, "body": "canary-body", "metadata": {"who": "canary-meta"}});
    let id = house.send(&body).await.json()["id"].as_str().expect("an id").to_owned();
    let attempt = house.claim().await.messages[0].attempts[0].clone();
    let message: crate::message::MessageId = id.parse().expect("an id");
    let attempt = crate::message::AttemptId { message, number: attempt.number, nonce: attempt.nonce };
    house.sent(attempt, SID.parse().expect("a SID")).await;
    let inbound = pairs(&[
        ("MessageSid", "SM00000000000000000000000000000078"),
        ("From", PERSON),
        ("To", super::super::testing::SENDER),
        ("Body", "canary-body"),
        ("ProfileName", "canary-name"),
        ("AccountSid", super::super::testing::ACCOUNT),
    ]);
    assert_eq!(house.call(signed("/webhooks/twilio/inbound", &inbound)).await.status.as_u16(), 200);
    let failed = callback(SID, "undelivered");
    let failed = failed.into_iter().chain(pairs(&[("ErrorCode", "63024")])).collect();
    assert_eq!(house.call(signed("/webhooks/twilio/status", &failed)).await.status.as_u16(), 204);
    let opted =
        house.call(house.with_key(Scopes::all(), TestRequest::put().uri("/v1/contacts/+4915100000001/opt-out")).await);
    assert_eq!(opted.await.status.as_u16(), 200);
    (house, id)
}

fn target(prefix: &str, path: &str, message: &str, key: &str) -> String {
    let filled = path
        .replace("/messages/{id}", &format!("/messages/{message}"))
        .replace("/quarantine/{id}", "/quarantine/1")
        .replace("/keys/{id}", &format!("/keys/{key}"))
        .replace("{address}", "+4915100000001")
        .replace("{sender}", "+15550001111")
        .replace("{scope}", "all")
        .replace("{code}", "63016")
        .replace("{kind}", "jwt")
        .replace("{generation}", "1")
        .replace("/charts/{name}", "/charts/throughput")
        .replace("/jobs/{name}", "/jobs/archive")
        .replace("{name}", "nobody")
        .replace("/sessions/{id}", "/sessions/ses_0000000000000000");
    let month = if path == "/messages.csv" { "?month=2023-11" } else { "" };
    format!("{prefix}{filled}{month}")
}

fn request(right: &Right, target: &str) -> TestRequest {
    TestRequest::with_uri(target).method(right.method.parse::<Method>().expect("a method"))
}

#[actix_web::test]
async fn layer_4_authorisation_opens_each_route_to_its_scopes_and_to_nobody_with_less() {
    let (house, message) = lived_in().await;
    let key = house.key([Scope::Keys].into_iter().collect()).await;
    let key = format!("ak_{}", &key[3..11]);
    let mut asked = 0;
    for right in RIGHTS.iter().filter(|right| right.door == Door::Both) {
        let target = target("/v1", right.path, &message, &key);
        let stranger = house.call(request(right, &target)).await;
        assert_eq!(stranger.problem(), (401, "unauthorized".into()), "{} {target}", right.method);
        let needed: Scopes = right.scopes.iter().copied().collect();
        assert!(!needed.is_empty(), "{target} is open to every key");
        for scope in right.scopes {
            let less = Scopes::all().without([*scope].into_iter().collect());
            let refused = house.call(house.with_key(less, request(right, &target)).await).await;
            assert_eq!(refused.problem(), (403, "forbidden".into()), "{} {target} without {scope:?}", right.method);
            assert!(refused.text.contains(scope.as_str()), "{}", refused.text);
            asked += 1;
        }
        let exactly = house.call(house.with_key(needed, request(right, &target)).await).await;
        assert!(!matches!(exactly.status.as_u16(), 401 | 403), "{} {target}: {}", right.method, exactly.text);
    }
    assert!(asked > RIGHTS.iter().filter(|right| right.door == Door::Both).count());
}

#[actix_web::test]
async fn layer_4_authorisation_shows_nobody_to_those_who_may_not_see_people() {
    let (house, message) = lived_in().await;
    let blind = Scopes::all().without([Scope::People].into_iter().collect());
    let mut seen = 0;
    for right in RIGHTS.iter().filter(|right| right.method == "GET" && right.door == Door::Both) {
        let target = target("/v1", right.path, &message, "ak_00000000");
        let clear = house.call(house.with_key(Scopes::all(), request(right, &target)).await).await;
        seen += usize::from(CANARIES.iter().any(|canary| clear.text.contains(canary)));
        let answer = house.call(house.with_key(blind, request(right, &target)).await).await;
        let leaked: Vec<_> = CANARIES.iter().filter(|canary| answer.text.contains(*canary)).collect();
        // What they asked for themselves is no news; those routes are shut to them anyway.
        assert!(
            leaked.is_empty() || right.scopes.contains(&Scope::People),
            "{target} shows {leaked:?}: {}",
            answer.text
        );
    }
    assert!(seen >= 6, "the canaries are in {seen} answers only");
    for target in ["/v1/messages?to=%2B4915100000001", "/v1/messages?status=open&to=whatsapp:+4915100000001"] {
        let refused = house.call(house.with_key(blind, TestRequest::get().uri(target)).await).await;
        assert_eq!(refused.problem().0, 403, "{target}");
    }
    let named = serde_json::json!({"dry_run": true, "filter": {"to": PERSON}});
    let retries = TestRequest::post().uri("/v1/retries").set_json(named);
    assert_eq!(house.call(house.with_key(blind, retries).await).await.problem().0, 403);
}

#[actix_web::test]
async fn the_pages_have_the_same_rights_and_no_method_is_open_that_the_table_does_not_name() {
    let (house, message) = lived_in().await;
    for path in RIGHTS.iter().map(|right| right.path).collect::<BTreeSet<_>>() {
        let target = target("/admin/api", path, &message, "ak_00000000");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let known = RIGHTS.iter().find(|right| right.method == method && right.path == path);
            let request = || TestRequest::with_uri(&target).method(method.parse().expect("a method"));
            let stranger = house.call(request()).await;
            match known {
                // Whoever comes to show who they are is nobody yet; they are told no more than that it does not.
                Some(Right { door: Door::Anybody, .. }) => {
                    assert!(
                        matches!(stranger.status.as_u16(), 200 | 400 | 401 | 422),
                        "{method} {target}: {}",
                        stranger.text
                    );
                }
                _ => assert_eq!(stranger.problem(), (401, "unauthorized".into()), "{method} {target}"),
            }
            if known.is_none() {
                let visitor = house.call(house.person(request()).await).await;
                assert_eq!(visitor.status.as_u16(), 405, "{method} {target}");
            }
        }
    }
}

/// What each role may do, said once more by hand: whoever changes it changes this.
fn is_allowed(role: Role, sees_people: bool, right: &Right) -> bool {
    let may = |scope: &Scope| match scope {
        Scope::Messages | Scope::Events => true,
        Scope::Send | Scope::Operate => role != Role::Viewer,
        Scope::People => sees_people,
        Scope::Erase | Scope::Keys | Scope::Audit | Scope::Users => role == Role::Admin,
    };
    right.scopes.iter().all(may)
}

#[actix_web::test]
async fn layer_4_authorisation_opens_each_route_to_the_roles_that_have_it_and_shows_people_to_nobody_else() {
    let (house, message) = lived_in().await;
    let (mut opened, mut shut) = (0, 0);
    for (role, sees_people) in Role::ALL.into_iter().flat_map(|role| [(role, false), (role, true)]) {
        for right in RIGHTS {
            let target = target("/admin/api", right.path, &message, "ak_00000000");
            let visitor = house.visit(role, sees_people).await;
            let answer = house.call(request(right, &target).insert_header(("cookie", visitor))).await;
            let is_refused = answer.status.as_u16() == 403 && answer.text.contains("lacks the scope");
            let who = format!("{role}, people {sees_people}: {} {target}", right.method);
            assert_eq!(is_refused, !is_allowed(role, sees_people, right), "{who}: {}", answer.text);
            assert_ne!(answer.problem_code(), "unauthorized", "{who}");
            let leaked = CANARIES.iter().any(|canary| answer.text.contains(canary));
            assert!(!leaked || sees_people || right.scopes.contains(&Scope::People), "{who}: {}", answer.text);
            if is_refused { shut += 1 } else { opened += 1 }
        }
    }
    assert!(opened > 100 && shut > 100, "{opened} opened, {shut} shut");
}

#[actix_web::test]
async fn what_is_grave_is_refused_until_somebody_shows_once_more_who_they_are() {
    let (house, message) = lived_in().await;
    let visitor = house.visit(Role::Admin, true).await;
    house.app.clock.advance(std::time::Duration::from_secs(301));
    let mut grave = 0;
    for right in RIGHTS.iter().filter(|right| right.is_grave) {
        let target = target("/admin/api", right.path, &message, "ak_00000000");
        let answer = house.call(request(right, &target).insert_header(("cookie", visitor.clone()))).await;
        assert_eq!(answer.problem(), (403, "step_up_needed".into()), "{} {target}", right.method);
        grave += 1;
    }
    assert!(grave > 12);
    let other = house.call(TestRequest::get().uri("/admin/api/users").insert_header(("cookie", visitor))).await;
    assert_eq!(other.status.as_u16(), 200, "what is not grave goes on");
    for right in RIGHTS.iter().filter(|right| right.method != "GET" && right.scopes.iter().any(is_dangerous)) {
        assert!(right.is_grave, "{} {}", right.method, right.path);
    }
}

fn is_dangerous(scope: &Scope) -> bool {
    matches!(scope, Scope::Users | Scope::Keys | Scope::Erase)
}

#[test]
fn every_operation_of_the_description_is_in_the_table_and_every_row_is_described() {
    let document: Value = serde_json::from_str(super::super::document()).expect("JSON");
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let Some(path) = path.strip_prefix("/v1") else { continue };
        for method in item.as_object().expect("methods").keys().filter(|method| *method != "parameters") {
            described.insert((method.to_uppercase(), path.to_owned()));
        }
    }
    let known = RIGHTS.iter().filter(|right| right.door == Door::Both);
    let known: BTreeSet<_> = known.map(|right| (right.method.to_owned(), right.path.to_owned())).collect();
    assert_eq!(described, known);
}

#[test]
fn what_changes_something_has_a_record() {
    for right in RIGHTS {
        assert!(right.method == "GET" || right.record != Record::Nothing, "{} {}", right.method, right.path);
    }
}

#[actix_web::test]
async fn what_is_done_stands_in_the_audit_log_with_who_did_it_and_names_no_person() {
    let (house, _) = lived_in().await;
    let before = house.app.store.read().and_then(|snapshot| snapshot.audit(u64::MAX, 1)).expect("a log")[0].seq;
    let pause = serde_json::json!({"scope": "all"});
    let key = house.key([Scope::Operate, Scope::Erase, Scope::People].into_iter().collect()).await;
    let bearer = |request: TestRequest| request.insert_header(("authorization", format!("Bearer {key}")));
    house.call(bearer(TestRequest::post().uri("/v1/pauses").set_json(&pause))).await;
    house.call(bearer(TestRequest::delete().uri("/v1/pauses/all"))).await;
    house.call(bearer(TestRequest::delete().uri("/v1/contacts/+4915100000001"))).await;
    house.call(bearer(TestRequest::get().uri("/v1/verify"))).await;
    let rows = house.app.store.read().and_then(|snapshot| snapshot.audit(u64::MAX, 4)).expect("a log");
    let told: Vec<_> =
        rows.iter().rev().map(|row| format!("{} [{}] {}", row.deed.action, row.deed.object, row.deed.detail)).collect();
    assert_eq!(rows[3].seq, before + 1, "the key itself was made first");
    insta::assert_snapshot!(told[1..].join("\n"), @"
    POST /pauses [] 201
    DELETE /pauses/{scope} [scope=all] 204
    DELETE /contacts/{address} [] 202
    ");
    assert_eq!(rows[0].by.name, format!("key:ak_{}", &key[3..11]));
    assert!(rows.iter().all(|row| !format!("{row:?}").contains("15100000001")));
    let found = crate::store::verify(&house.app.store.read().expect("a store"), |_, _| ()).expect("it is read");
    assert_eq!(found.count, 0, "{:?}", found.differences);
}
