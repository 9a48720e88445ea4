//! What live mode lets in, by the way it came.

use actix_web::test::TestRequest;

use crate::http::testing::{House, api, callback, signed};
use crate::http::{App, Proxies};

const SID: &str = "SM00000000000000000000000000000001";

/// Open to the network behind a proxy, in live mode.
fn live(app: &mut App) {
    app.mode = "live".into();
    app.options.listen = "0.0.0.0:8080".into();
    app.options.trusted_proxies = vec!["10.0.0.0/8".into()];
    app.proxies = Proxies::of(&app.options).expect("fine");
}

fn encrypted(app: &mut App) {
    live(app);
    app.options.tls_cert_file = Some("cert.pem".into());
    app.options.tls_key_file = Some("key.pem".into());
}

/// The status, and whether browsers are told to stay with HTTPS.
async fn ask(house: &House, request: TestRequest, peer: Option<&str>, proto: &[&str]) -> (u16, bool) {
    let mut request = request;
    if let Some(peer) = peer {
        request = request.peer_addr(peer.parse().expect("an address"));
    }
    for proto in proto {
        request = request.append_header(("x-forwarded-proto", *proto));
    }
    let answer = house.call(request).await;
    if answer.status.as_u16() == 403 {
        assert_eq!(answer.problem().1, "https_required");
    }
    assert!(!answer.status.is_redirection());
    let told = answer.header("strict-transport-security");
    assert!(told.is_none_or(|told| told == "max-age=31536000"));
    (answer.status.as_u16(), told.is_some())
}

fn status() -> TestRequest {
    api(TestRequest::get().uri("/v1/status"))
}

#[actix_web::test]
async fn layer_1_transport_in_live_mode_what_came_in_clear_is_refused() {
    let house = House::with(live);
    let cases: [(&str, &[&str], (u16, bool)); 14] = [
        ("10.0.0.1:9", &["https"], (200, true)),
        ("10.0.0.1:9", &["HTTPS"], (200, true)),
        ("10.0.0.1:9", &["https, https"], (200, true)),
        ("10.0.0.1:9", &["http"], (403, false)),
        ("10.0.0.1:9", &["http, https"], (403, false)),
        ("10.0.0.1:9", &["https, http"], (403, false)),
        ("10.0.0.1:9", &["https", "http"], (403, false)),
        ("10.0.0.1:9", &[""], (403, false)),
        ("10.0.0.1:9", &["wss"], (403, false)),
        // A proxy that says nothing has been named by the owner all the same.
        ("10.0.0.1:9", &[], (200, false)),
        // Past the proxy; what such a client says of itself is nothing.
        ("203.0.113.9:9", &[], (403, false)),
        ("203.0.113.9:9", &["https"], (403, false)),
        // At the machine itself.
        ("127.0.0.1:9", &[], (200, false)),
        ("[::1]:9", &[], (200, false)),
    ];
    for (peer, proto, expected) in cases {
        assert_eq!(ask(&house, status(), Some(peer), proto).await, expected, "{peer} {proto:?}");
    }
    assert_eq!(ask(&house, status(), None, &[]).await, (200, false), "the local socket");
}

#[actix_web::test]
async fn layer_1_transport_every_route_but_health_is_refused_in_clear() {
    let house = House::with(live);
    let get = |path: &str| TestRequest::get().uri(path);
    let twilio = || signed("/webhooks/twilio/status", &callback(SID, "sent"));
    for (request, path) in [
        (twilio(), "status"),
        (house.person(get("/")).await, "/"),
        (house.person(get("/admin/api/status")).await, "/admin/api"),
        (get("/static/bluetick.css"), "/static"),
        (api(get("/metrics")), "/metrics"),
        (get("/openapi.json"), "/openapi.json"),
        (get("/nothing"), "/nothing"),
        (TestRequest::post().uri("/oauth/token"), "/oauth/token"),
    ] {
        assert_eq!(ask(&house, request, Some("203.0.113.9:9"), &[]).await, (403, false), "{path}");
    }
    assert_eq!(house.events(), 0, "what Twilio signed for https:// is not taken in clear");
    assert_eq!(ask(&house, twilio(), Some("10.0.0.1:9"), &["https"]).await, (204, true));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(ask(&house, get(path), Some("203.0.113.9:9"), &[]).await.0, 200, "{path}");
    }
}

#[actix_web::test]
async fn layer_1_transport_with_a_certificate_of_its_own_everybody_comes_encrypted() {
    let house = House::with(encrypted);
    assert_eq!(ask(&house, status(), Some("203.0.113.9:9"), &[]).await, (200, true));
    assert_eq!(
        ask(&house, status(), Some("203.0.113.9:9"), &["http"]).await,
        (200, true),
        "strangers are not believed"
    );
    assert_eq!(ask(&house, status(), Some("10.0.0.1:9"), &["http"]).await, (403, false), "a proxy is");
    assert_eq!(ask(&house, status(), None, &[]).await, (200, false), "the local socket is never encrypted");
}

#[actix_web::test]
async fn layer_1_transport_a_failure_tells_browsers_to_stay_too() {
    let house = House::with(encrypted);
    let stranger = TestRequest::get().uri("/v1/status");
    assert_eq!(ask(&house, stranger, Some("203.0.113.9:9"), &[]).await, (401, true));
}

#[actix_web::test]
async fn outside_live_mode_nobody_is_asked_how_they_came() {
    for mode in ["sandbox", "demo"] {
        let house = House::with(|app| {
            live(app);
            app.mode = mode.into();
        });
        assert_eq!(ask(&house, status(), Some("203.0.113.9:9"), &[]).await, (200, false));
        assert_eq!(ask(&house, status(), Some("10.0.0.1:9"), &["http"]).await, (200, false));
        assert_eq!(ask(&house, status(), Some("10.0.0.1:9"), &["https"]).await, (200, false));
    }
}
