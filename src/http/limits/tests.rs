//! Who is held up, and who never is.

use actix_web::test::TestRequest;

use super::*;
use crate::http::Options;
use crate::http::testing::{Answer, House, START, api, callback, form, signed};
use crate::keyring::Role;
use crate::twilio::signature::{AuthToken, sign_form};

const SID: &str = "SM00000000000000000000000000000001";
const STATUS: &str = "/webhooks/twilio/status";
/// What comes through the proxy on this machine.
const PROXY: &str = "127.0.0.1:4711";

fn limits() -> Limits {
    Limits::new(&Options::default())
}

fn from(address: &str) -> Option<Client> {
    Some(Client(address.parse().expect("an address")))
}

/// As Caddy passes a request on.
fn through_proxy(request: TestRequest, client: &str) -> TestRequest {
    request.peer_addr(PROXY.parse().expect("an address")).insert_header(("x-forwarded-for", client))
}

fn forged() -> TestRequest {
    let signature = sign_form(&AuthToken::new("f".repeat(32)), "https://hooks.example.com/", &callback(SID, "read"));
    form(STATUS, "MessageSid=SM1").insert_header(("x-twilio-signature", signature))
}

/// What this many of them are answered, one after the other.
async fn statuses(house: &House, count: usize, request: impl Fn() -> TestRequest) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(house.call(request()).await.status.as_u16());
    }
    statuses
}

fn is_limited(answer: &Answer) -> bool {
    answer.problem() == (429, "rate_limited".to_owned()) && answer.header("retry-after") == Some("1")
}

#[actix_web::test]
async fn layer_2_limits_forged_callbacks_are_limited_by_address_and_true_ones_never() {
    let house = House::new();
    let attacker = || through_proxy(forged(), "203.0.113.9");
    assert_eq!(statuses(&house, 20, attacker).await, [403; 20]);
    assert!(is_limited(&house.call(attacker()).await));
    let twilio = || through_proxy(signed(STATUS, &callback(SID, "sent")), "203.0.113.9");
    assert_eq!(statuses(&house, 50, twilio).await, [204; 50], "true ones get through from the attacker's own address");
    let elsewhere = || through_proxy(forged(), "198.51.100.1");
    assert_eq!(statuses(&house, 1, elsewhere).await, [403], "who is elsewhere is told what is wrong");
    house.app.clock.advance(Duration::from_millis(100));
    assert_eq!(statuses(&house, 3, attacker).await, [403, 403, 429], "20 a second");
    assert_eq!(house.app.limits.held_up(Limit::BadSignatures), 2);
    assert_eq!(house.app.tally.refused.total(), 20 + 1 + 1 + 3, "and all are counted as refused");
}

#[actix_web::test]
async fn layer_2_limits_what_is_held_up_is_not_kept() {
    let house = House::new();
    let attacker = || through_proxy(forged(), "203.0.113.9");
    statuses(&house, 30, attacker).await;
    assert_eq!(house.app.tally.quarantined.total(), 20);
}

#[actix_web::test]
async fn layer_2_limits_strangers_are_held_up_and_a_key_from_the_same_address_is_not() {
    let house = House::new();
    let wrong = || {
        through_proxy(TestRequest::get().uri("/v1/status"), "203.0.113.9").insert_header(("authorization", "Bearer x"))
    };
    assert_eq!(statuses(&house, 20, wrong).await, [401; 20]);
    let answer = house.call(wrong()).await;
    assert!(is_limited(&answer), "{}", answer.text);
    let page = || through_proxy(TestRequest::get().uri("/admin/api/status"), "203.0.113.9");
    let token = || {
        let body = format!("grant_type=client_credentials&client_id=ak_{}&client_secret=bt_x", "0".repeat(8));
        through_proxy(form("/oauth/token", body), "203.0.113.9")
    };
    assert_eq!((statuses(&house, 1, page).await, statuses(&house, 1, token).await), (vec![429], vec![429]));
    let known = || through_proxy(api(TestRequest::get().uri("/v1/status")), "203.0.113.9");
    let cookie = house.visit(Role::Admin, true).await;
    let owner = || {
        through_proxy(
            TestRequest::get().uri("/admin/api/status").insert_header(("cookie", cookie.clone())),
            "203.0.113.9",
        )
    };
    assert_eq!((statuses(&house, 50, known).await, statuses(&house, 50, owner).await), (vec![200; 50], vec![200; 50]));
    let elsewhere = || through_proxy(TestRequest::get().uri("/v1/status"), "198.51.100.1");
    assert_eq!(statuses(&house, 1, elsewhere).await, [401]);
    assert_eq!(house.app.limits.held_up(Limit::Strangers), 3);
}

#[actix_web::test]
async fn layer_2_limits_an_attacker_behind_the_owners_proxy_is_not_the_owner() {
    let house = House::new();
    let knock = |client: &'static str| through_proxy(TestRequest::get().uri("/admin/api/status"), client);
    statuses(&house, 100, || knock("203.0.113.9")).await;
    assert_eq!(statuses(&house, 1, || knock("203.0.113.9")).await, [429]);
    assert_eq!(statuses(&house, 1, || knock("198.51.100.1")).await, [401], "the owner is asked who they are");
    // Nor by pretending to be the owner: what a client says itself stands to the left.
    assert_eq!(statuses(&house, 40, || knock("198.51.100.1, 203.0.113.9")).await, [429; 40]);
    assert_eq!(statuses(&house, 1, || knock("198.51.100.1")).await, [401]);
}

#[actix_web::test]
async fn layer_2_limits_a_principal_that_asks_too_often_waits_and_nobody_else_does() {
    let house = House::with(|app| app.limits = Limits::new(&Options { rate_per_s: 5.0, ..Options::default() }));
    let app = || through_proxy(api(TestRequest::get().uri("/v1/status")), "203.0.113.9");
    assert_eq!(statuses(&house, 10, app).await, [200; 10], "twice as many at once");
    assert!(is_limited(&house.call(app()).await));
    let elsewhere = || through_proxy(api(TestRequest::get().uri("/v1/status")), "198.51.100.1");
    assert_eq!(statuses(&house, 1, elsewhere).await, [429], "it is the same principal everywhere");
    let cookie = house.visit(Role::Admin, true).await;
    let other = || {
        through_proxy(
            TestRequest::get().uri("/admin/api/status").insert_header(("cookie", cookie.clone())),
            "203.0.113.9",
        )
    };
    assert_eq!(statuses(&house, 1, other).await, [200]);
    let local = || api(TestRequest::get().uri("/v1/status"));
    assert_eq!(statuses(&house, 50, local).await, [200; 50], "the local socket has no address, and no limit");
    house.app.clock.advance(Duration::from_secs(1));
    assert_eq!(statuses(&house, 6, app).await, [200, 200, 200, 200, 200, 429]);
}

#[actix_web::test]
async fn layer_2_limits_everything_that_is_held_up_is_counted() {
    let house = House::new();
    statuses(&house, 23, || through_proxy(forged(), "203.0.113.9")).await;
    let text = house.get("/metrics").await.text;
    assert!(text.contains("bluetick_requests_limited_total{limit=\"bad_signatures\"} 3\n"), "{text}");
    assert!(text.contains("bluetick_requests_limited_total{limit=\"logins\"} 0\n"), "{text}");
}

#[test]
fn without_a_rate_principals_ask_as_often_as_they_like() {
    let limits = Limits::new(&Options { rate_per_s: 0.0, ..Options::default() });
    assert!((0..10_000).all(|_| limits.request(from("203.0.113.9"), "api", START).is_ok()));
}

#[test]
fn layer_2_limits_a_login_is_guessed_ten_times_a_minute_at_most_however_hard_somebody_tries() {
    let limits = limits();
    let (mut now, mut guessed) = (START, Vec::new());
    // Five at once, ten times a second, for an hour, at a password that takes 200 ms to be looked at.
    while now.since(START) < Duration::from_secs(3_600) {
        let admitted = (0..5).filter(|_| limits.login(from("203.0.113.9"), "owner", now).is_ok()).count();
        assert!(admitted <= 1);
        if admitted == 1 {
            guessed.push(now);
            limits.login_failed(from("203.0.113.9"), "owner", now.plus(Duration::from_millis(200)));
        }
        now = now.plus(Duration::from_millis(100));
    }
    let in_a_minute =
        |from: &Time| guessed.iter().filter(|at| *from <= **at && at.since(*from) < Duration::from_secs(60)).count();
    assert_eq!(guessed.iter().map(in_a_minute).max(), Some(6));
    assert!((55..=70).contains(&guessed.len()), "{}: never locked, once a minute in the long run", guessed.len());
}

#[test]
fn layer_2_limits_while_one_address_guesses_the_owner_logs_in_from_elsewhere() {
    let limits = limits();
    let mut now = START;
    for _ in 0..100 {
        let _ = limits.login(from("203.0.113.9"), "owner", now);
        now = now.plus(Duration::from_millis(5));
    }
    let wait = limits.login(from("203.0.113.9"), "owner", now).expect_err("held up");
    assert!((1..=60).contains(&wait.seconds), "{wait}");
    assert_eq!(limits.login(from("198.51.100.1"), "owner", now), Ok(()));
    assert_eq!(limits.login(from("203.0.113.9"), "other", now), Ok(()), "and others from the same place");
    assert_eq!(limits.login(None, "owner", now), Ok(()), "and whoever sits at the machine");
}

#[test]
fn who_logs_in_starts_anew_and_who_stays_away_is_forgiven() {
    let limits = limits();
    let client = from("203.0.113.9");
    let guess = |now: Time| limits.login(client, "owner", now).map(|()| limits.login_failed(client, "owner", now));
    let waits = |now: Time| limits.login(client, "owner", now).map_err(|wait| wait.seconds);
    let mut now = START;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(guess(now), Ok(()));
        assert_eq!(waits(now), Err(wait));
        now = now.plus(Duration::from_secs(wait));
    }
    assert_eq!(guess(now.plus(FORGIVEN)), Ok(()));
    assert_eq!(waits(now.plus(FORGIVEN)), Err(1), "a quarter of an hour later");
    limits.login_succeeded(client, "owner");
    assert_eq!((guess(now.plus(FORGIVEN)), waits(now.plus(FORGIVEN))), (Ok(()), Err(1)));
}

#[test]
fn whoever_is_asked_for_a_code_may_type_it_at_once_and_gains_no_guess_by_it() {
    let limits = limits();
    let client = from("203.0.113.9");
    let admit = |now: Time| limits.login(client, "owner", now).map_err(|wait| wait.seconds);
    let mut now = START;
    for wait in [1, 2, 4, 8] {
        assert_eq!(admit(now), Ok(()), "the password alone");
        limits.login_goes_on(client, "owner", now);
        assert_eq!(admit(now), Ok(()), "the code");
        limits.login_failed(client, "owner", now);
        assert_eq!(admit(now), Err(wait));
        now = now.plus(Duration::from_secs(wait));
    }
    let meanwhile = now.plus(Duration::from_secs(16));
    assert_eq!((admit(now), admit(meanwhile)), (Ok(()), Ok(())));
    limits.login_goes_on(client, "owner", now);
    assert_eq!(admit(meanwhile), Err(32), "who came meanwhile is not forgotten");
}

#[test]
fn layer_2_limits_a_subscriber_of_ipv6_has_one_bucket_for_all_their_addresses() {
    let limits = limits();
    let bad = |host: u32| limits.bad_signature(from(&format!("2a00:1:2:3::{host:x}")), START);
    assert_eq!((1..=40).filter(|host| bad(*host).is_ok()).count(), 20);
    assert_eq!(limits.bad_signature(from("2a00:1:2:4::1"), START), Ok(()));
}

#[test]
fn layer_2_limits_memory_is_bounded_and_who_came_lately_is_remembered() {
    let mut recent = Recent::<u32, u32>::default();
    for round in 0..5 * REMEMBERED as u32 {
        *recent.get(round) = round;
        *recent.get(u32::MAX) += 1;
        assert!(recent.young.len() + recent.old.len() <= REMEMBERED);
        // The last thousands are all there.
        let earlier = round.saturating_sub(REMEMBERED as u32 / 2 - 2);
        assert!(recent.young.get(&earlier).or(recent.old.get(&earlier)) == Some(&earlier), "{earlier} at {round}");
    }
    assert_eq!(*recent.get(u32::MAX), 5 * REMEMBERED as u32, "who keeps coming is never forgotten");
    assert_eq!(*recent.get(0), 0);
    assert!(std::mem::size_of::<((IpAddr, u64), Guesses)>() <= 64, "and each takes few bytes");
}

#[test]
fn a_bucket_gives_its_rate_and_its_burst_and_says_when_there_is_more() {
    let rate = Rate::new(20.0, 20.0);
    let mut full_at = 0;
    let mut taken = Vec::new();
    for ms in 0..10_000 {
        while rate.take(&mut full_at, START.plus(Duration::from_millis(ms))).is_ok() {
            taken.push(ms);
        }
    }
    assert_eq!(taken.iter().filter(|ms| **ms == 0).count(), 20);
    assert_eq!(taken.len(), 20 + 199);
    let slow = Rate::new(0.1, 1.0);
    let mut full_at = 0;
    assert_eq!(slow.take(&mut full_at, START), Ok(()));
    let wait = |ms| slow.take(&mut full_at.clone(), START.plus(Duration::from_millis(ms)));
    assert_eq!((wait(0), wait(9_001)), (Err(RetryAfter { seconds: 10 }), Err(RetryAfter { seconds: 1 })));
    assert_eq!(wait(10_000), Ok(()));
}
