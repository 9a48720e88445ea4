//! Logging in and out, as browsers and strangers see it.

use std::time::Duration;

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::super::testing::{Answer, House, move_to};
use crate::keyring::{Hash, Phone, Role, Secret, Totp, User};
use crate::store::{Act, Ending, Govern, Write, Written};

const PASSWORD: &str = "correct horse battery staple";
const MINUTE: Duration = Duration::from_secs(60);

/// What otto's phone knows.
const PHONE: [u8; 20] = *b"12345678901234567890";

async fn enter(house: &House, user: User) {
    let act = Act::KeepUser { user: Box::new(user), expected: None, ending: Ending::None };
    let govern = Govern { by: Default::default(), act, deed: crate::audit::Deed::new("", "", "") };
    let written = house.app.store.write(Write::Govern(Box::new(govern))).await;
    assert!(matches!(written, Ok(Written::Governed)), "{written:?}");
}

/// A house with anna, who has a password, and otto, who has a phone as well.
async fn house() -> House {
    let house = House::new();
    let hash = Hash::of(&Secret::new(PASSWORD), [1; 16]);
    let now = house.app.clock.now();
    enter(&house, User::new("anna", Role::Admin, true, hash.clone(), now)).await;
    let vault = house.app.custody.vault().await.expect("a vault");
    let phone = Phone::keep("otto", &Totp::new(PHONE), &vault, [2; 16]);
    let otto = User { totp: Some(phone), ..User::new("otto", Role::Viewer, false, hash, now) };
    enter(&house, otto).await;
    house
}

fn post(path: &str, body: &Value) -> TestRequest {
    TestRequest::post().uri(&format!("/admin/api{path}")).set_json(body)
}

async fn log_in(house: &House, body: &Value) -> Answer {
    house.call(post("/session", body)).await
}

/// What the browser sends along from now on.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {}", answer.text));
    set.split(';').next().expect("a name and a value").to_owned()
}

async fn as_anna(house: &House) -> String {
    let answer = log_in(house, &json!({"user": "anna", "password": PASSWORD})).await;
    assert_eq!(answer.status.as_u16(), 204, "{}", answer.text);
    cookie(&answer)
}

async fn status(house: &House, cookie: &str) -> u16 {
    let asked = TestRequest::get().uri("/admin/api/status").insert_header(("cookie", cookie.to_owned()));
    house.call(asked).await.status.as_u16()
}

async fn with(house: &House, cookie: &str, request: TestRequest) -> Answer {
    house.call(request.insert_header(("cookie", cookie.to_owned()))).await
}

/// The code that the phone shows now.
fn shown(house: &House) -> String {
    Totp::new(PHONE).shown(house.app.clock.now())
}

#[actix_web::test]
async fn whoever_logs_in_gets_a_cookie_that_only_this_site_ever_sees() {
    let house = house().await;
    let answer = log_in(&house, &json!({"user": " Anna ", "password": PASSWORD})).await;
    assert_eq!(answer.status.as_u16(), 204, "{}", answer.text);
    let set = answer.header("set-cookie").expect("a cookie");
    let (pair, flags) = set.split_once("; ").expect("flags");
    assert!(pair.starts_with("__Host-bt=") && pair.len() == "__Host-bt=".len() + 43, "{pair}");
    assert_eq!(flags, "Path=/; Secure; HttpOnly; SameSite=Strict");
    let who = with(&house, pair, TestRequest::get().uri("/admin/api/session")).await.json();
    assert_eq!((&who["user"], &who["role"], &who["has_totp"]), (&json!("anna"), &json!("admin"), &json!(false)));
    let user = house.app.store.read().and_then(|snapshot| snapshot.user("anna")).expect("a store").expect("anna");
    assert_eq!(user.last_login_at, Some(house.app.clock.now()));
    let found = crate::store::verify(&house.app.store.read().expect("a store"), |_, _| ()).expect("it is read");
    assert_eq!(found.count, 0, "{:?}", found.differences);
}

#[actix_web::test]
async fn strangers_learn_nothing_from_how_they_are_refused() {
    let house = house().await;
    let mut disabled =
        User::new("dora", Role::Admin, true, Hash::of(&Secret::new(PASSWORD), [1; 16]), house.app.clock.now());
    disabled.is_disabled = true;
    enter(&house, disabled).await;
    let refused = async |body: Value| {
        let answer = log_in(&house, &body).await;
        let mut said = answer.json();
        said["request_id"] = Value::Null;
        assert_eq!(answer.header("set-cookie"), None);
        (answer.status.as_u16(), said.to_string())
    };
    let expected = refused(json!({"user": "nobody", "password": PASSWORD})).await;
    assert_eq!(expected.0, 401);
    for wrong in [
        json!({"user": "anna", "password": "wrong"}),
        json!({"user": "anna", "password": ""}),
        json!({"user": "otto", "password": "wrong"}),
        json!({"user": "otto", "password": "wrong", "code": "000000"}),
        json!({"user": "otto", "password": PASSWORD, "code": "12345"}),
        json!({"user": "dora", "password": PASSWORD}),
        json!({"user": "admin", "password": "wrong"}),
        json!({"user": "ännä:/../", "password": PASSWORD}),
        json!({}),
    ] {
        assert_eq!(refused(wrong.clone()).await, expected, "{wrong}");
    }
    assert_eq!(
        house.app.store.read().and_then(|snapshot| snapshot.sessions(house.app.clock.now())).expect("read").len(),
        0
    );
}

#[actix_web::test]
async fn layer_6_replay_a_phone_is_asked_for_only_after_the_right_password_and_each_code_opens_once() {
    let house = house().await;
    let asked = log_in(&house, &json!({"user": "otto", "password": PASSWORD})).await;
    assert_eq!(asked.problem(), (401, "totp_needed".into()));
    let body = json!({"user": "otto", "password": PASSWORD, "code": shown(&house)});
    let first = log_in(&house, &body).await;
    assert_eq!(first.status.as_u16(), 204, "{}", first.text);
    assert_eq!(log_in(&house, &body).await.problem(), (401, "wrong_login".into()), "the same code again");
    house.app.clock.advance(MINUTE);
    let next = json!({"user": "otto", "password": PASSWORD, "code": shown(&house)});
    assert_eq!(log_in(&house, &next).await.status.as_u16(), 204);
}

#[actix_web::test]
async fn layer_2_limits_a_name_written_otherwise_is_no_other_account_to_guess_at() {
    let house = house().await;
    let from_afar = async |body: Value| {
        house
            .call(post("/session", &body).peer_addr("203.0.113.9:1".parse().expect("an address")))
            .await
            .status
            .as_u16()
    };
    let guess = |name: &str| json!({"user": name, "password": "a guess"});
    assert_eq!(from_afar(guess("otto")).await, 401);
    for name in ["otto", "Otto", "OTTO", " otto", "\totto ", "   otto"] {
        assert_eq!(from_afar(guess(name)).await, 429, "{name:?}");
    }
    assert_eq!(from_afar(guess("nobody at all")).await, 401, "somebody else");
    assert_eq!(from_afar(guess("no/name")).await, 429, "what can be nobody's name is one account");
}

#[actix_web::test]
async fn layer_2_limits_a_session_guesses_its_persons_password_no_faster_than_a_stranger() {
    let house = house().await;
    let own = as_anna(&house).await;
    let change = async |current: &str| {
        let body = json!({"current": current, "password": "another horse of another colour"});
        let request = post("/session/password", &body).peer_addr("203.0.113.9:1".parse().expect("an address"));
        with(&house, &own, request).await.status.as_u16()
    };
    assert_eq!((change("a guess").await, change("another guess").await), (401, 429));
    assert_eq!(change(PASSWORD).await, 429, "the right one waits too");
    move_to(&house, house.app.clock.now().plus(Duration::from_secs(2)));
    assert_eq!(change(PASSWORD).await, 204);
    assert_eq!(change("a guess").await, 401, "who was right starts anew");
}

#[actix_web::test]
async fn the_code_may_be_typed_in_the_same_second_as_the_password() {
    let house = house().await;
    let from_afar = async |body: Value| {
        let peer = "203.0.113.9:4000".parse().expect("an address");
        house.call(TestRequest::post().uri("/admin/api/session").peer_addr(peer).set_json(body)).await
    };
    let asked = from_afar(json!({"user": "otto", "password": PASSWORD})).await;
    assert_eq!(asked.problem(), (401, "totp_needed".into()));
    let first = from_afar(json!({"user": "otto", "password": PASSWORD, "code": shown(&house)})).await;
    assert_eq!(first.status.as_u16(), 204, "{}", first.text);
}

#[actix_web::test]
async fn layer_6_replay_two_who_show_the_same_code_at_once_are_not_both_let_in() {
    let house = house().await;
    let body = json!({"user": "otto", "password": PASSWORD, "code": shown(&house)});
    let (one, other) = tokio::join!(log_in(&house, &body), log_in(&house, &body));
    let mut both = [one.status.as_u16(), other.status.as_u16()];
    both.sort_unstable();
    assert_eq!(both, [204, 401]);
}

#[actix_web::test]
async fn a_session_that_somebody_planted_is_worth_nothing_after_a_log_in() {
    let house = house().await;
    let planted = as_anna(&house).await;
    let request = post("/session", &json!({"user": "anna", "password": PASSWORD}));
    let own = cookie(&with(&house, &planted, request).await);
    assert_ne!(own, planted);
    assert_eq!((status(&house, &planted).await, status(&house, &own).await), (401, 200));
    let made_up = format!("__Host-bt={}", "A".repeat(43));
    let request = post("/session", &json!({"user": "anna", "password": PASSWORD}));
    assert_ne!(cookie(&with(&house, &made_up, request).await), made_up);
    assert_eq!(status(&house, &made_up).await, 401);
}

#[actix_web::test]
async fn a_session_ends_when_nobody_looks_for_half_an_hour_and_after_twelve_hours_whatever_happens() {
    let house = house().await;
    let busy = as_anna(&house).await;
    for minute in (20..720).step_by(20) {
        house.app.clock.advance(MINUTE * 20);
        assert_eq!(status(&house, &busy).await, 200, "after {minute} minutes");
    }
    house.app.clock.advance(MINUTE * 20);
    assert_eq!(status(&house, &busy).await, 401);
    let left = as_anna(&house).await;
    house.app.clock.advance(MINUTE * 30);
    assert_eq!(status(&house, &left).await, 401);
}

#[actix_web::test]
async fn showing_once_more_who_one_is_gives_a_new_session_that_lasts_no_longer() {
    let house = house().await;
    let before = as_anna(&house).await;
    house.app.clock.advance(MINUTE * 6);
    let key = || post("/keys", &json!({"name": "x", "scopes": ["send"]}));
    assert_eq!(with(&house, &before, key()).await.problem(), (403, "step_up_needed".into()));
    let wrong = with(&house, &before, post("/session/step-up", &json!({"password": "wrong"}))).await;
    assert_eq!(wrong.problem(), (401, "wrong_login".into()));
    let after = cookie(&with(&house, &before, post("/session/step-up", &json!({"password": PASSWORD}))).await);
    assert_eq!(with(&house, &after, key()).await.status.as_u16(), 201);
    assert_eq!(status(&house, &before).await, 401, "the one before is worth nothing");
    let ends = with(&house, &after, TestRequest::get().uri("/admin/api/session")).await.json();
    for _ in 0..35 {
        house.app.clock.advance(MINUTE * 20);
        status(&house, &after).await;
    }
    house.app.clock.advance(MINUTE * 14);
    assert_eq!(status(&house, &after).await, 401, "twelve hours from the log-in, not from then: {ends}");
}

#[actix_web::test]
async fn whoever_has_a_phone_shows_it_once_more_and_not_the_password() {
    let house = house().await;
    let body = json!({"user": "otto", "password": PASSWORD, "code": shown(&house)});
    let own = cookie(&log_in(&house, &body).await);
    let by_password = with(&house, &own, post("/session/step-up", &json!({"password": PASSWORD}))).await;
    assert_eq!(by_password.problem(), (401, "wrong_login".into()));
    house.app.clock.advance(MINUTE);
    let by_code = with(&house, &own, post("/session/step-up", &json!({"code": shown(&house)}))).await;
    assert_eq!(by_code.status.as_u16(), 204, "{}", by_code.text);
}

#[actix_web::test]
async fn logging_out_ends_the_session_and_clears_what_the_browser_kept() {
    let house = house().await;
    let (own, other) = (as_anna(&house).await, as_anna(&house).await);
    let out = with(&house, &own, TestRequest::delete().uri("/admin/api/session")).await;
    assert_eq!((out.status.as_u16(), out.header("clear-site-data")), (204, Some("\"cache\"")));
    assert!(
        out.header("set-cookie")
            .is_some_and(|cookie| cookie.starts_with("__Host-bt=;") && cookie.ends_with("Max-Age=0"))
    );
    assert_eq!((status(&house, &own).await, status(&house, &other).await), (401, 200));
}

#[actix_web::test]
async fn no_other_site_logs_anybody_in_or_out() {
    let house = house().await;
    let own = as_anna(&house).await;
    let log_in = || post("/session", &json!({"user": "anna", "password": PASSWORD}));
    let requests: [(&str, &dyn Fn() -> TestRequest); 4] = [
        ("log in", &log_in),
        ("log out", &|| TestRequest::delete().uri("/admin/api/session")),
        ("step up", &|| post("/session/step-up", &json!({"password": PASSWORD}))),
        ("set up", &|| post("/setup", &json!({"code": "x", "user": "eve", "password": PASSWORD}))),
    ];
    for (what, request) in requests {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            let request = request().insert_header((name, value)).insert_header(("host", "bluetick.example"));
            let answer = with(&house, &own, request).await;
            assert_eq!(answer.problem(), (403, "cross_site".into()), "{what}: {name} {value}");
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
    assert_eq!(status(&house, &own).await, 200);
}

#[actix_web::test]
async fn people_end_their_own_sessions_and_whoever_looks_after_users_ends_any() {
    let house = house().await;
    let (anna, viewer, other) =
        (as_anna(&house).await, house.visit(Role::Viewer, false).await, house.visit(Role::Viewer, false).await);
    let listed = async |cookie: &str| {
        let answer = with(&house, cookie, TestRequest::get().uri("/admin/api/sessions")).await.json();
        answer["data"].as_array().expect("a list").clone()
    };
    let own = listed(&viewer).await;
    assert_eq!((own.len(), &own[0]["is_own"]), (1, &json!(true)));
    assert_eq!(listed(&anna).await.len(), 3);
    let id = |sessions: &[Value]| sessions[0]["id"].as_str().expect("an id").to_owned();
    let end = |id: String| TestRequest::delete().uri(&format!("/admin/api/sessions/{id}"));
    let theirs = id(&listed(&other).await);
    assert_eq!(with(&house, &viewer, end(theirs.clone())).await.problem().0, 404, "not theirs, so not there");
    assert_eq!(with(&house, &anna, end(theirs)).await.status.as_u16(), 204);
    assert_eq!(with(&house, &viewer, end(id(&own))).await.status.as_u16(), 204);
    assert_eq!(
        (status(&house, &viewer).await, status(&house, &other).await, status(&house, &anna).await),
        (401, 401, 200)
    );
    let ghost = with(&house, &anna, TestRequest::delete().uri("/admin/api/sessions?user=ghost")).await;
    assert_eq!(ghost.problem().0, 404, "nobody is told that something ended which never was");
    let all = with(&house, &anna, TestRequest::delete().uri("/admin/api/sessions")).await;
    assert_eq!((all.status.as_u16(), status(&house, &anna).await), (204, 401));
}

#[actix_web::test]
async fn the_person_of_the_configuration_logs_in_as_everybody_does_and_changes_nothing_here() {
    let house = house().await;
    let own = cookie(&log_in(&house, &json!({"user": "Admin", "password": "secret"})).await);
    let who = with(&house, &own, TestRequest::get().uri("/admin/api/session")).await.json();
    assert_eq!((&who["user"], &who["is_declared"], &who["role"]), (&json!("admin"), &json!(true), &json!("admin")));
    assert_eq!(with(&house, &own, post("/session/totp", &json!({}))).await.problem(), (403, "forbidden".into()));
    house.app.clock.advance(MINUTE * 6);
    let after = cookie(&with(&house, &own, post("/session/step-up", &json!({"password": "secret"}))).await);
    assert_eq!(status(&house, &after).await, 200);
}

#[actix_web::test]
async fn a_person_who_is_declared_no_more_or_otherwise_is_let_in_no_more() {
    let house = House::with(|app| app.boot_at = app.boot_at.plus(Duration::from_secs(1)));
    let own = cookie(&log_in(&house, &json!({"user": "admin", "password": "secret"})).await);
    assert_eq!(status(&house, &own).await, 401, "it was opened before this start");
}

#[actix_web::test]
async fn a_stream_ends_with_the_session_that_opened_it() {
    let house = house().await;
    let own = as_anna(&house).await;
    let request = TestRequest::get().uri("/admin/api/events").insert_header(("accept", "text/event-stream"));
    let response = house.respond(request.insert_header(("cookie", own.clone()))).await;
    assert_eq!(response.status().as_u16(), 200);
    with(&house, &own, TestRequest::delete().uri("/admin/api/session")).await;
    let body = tokio::time::timeout(Duration::from_secs(5), actix_web::body::to_bytes(response.into_body())).await;
    assert!(body.is_ok_and(|body| body.is_ok()), "the stream goes on");
}
