//! A scrape, through the door.

use actix_web::test::TestRequest;

use crate::alert::Alert;
use crate::http::story::{self, SERVICE};
use crate::http::testing::{House, SENDER};
use crate::pause::{Cause, Scope};
use crate::store::Write;

#[actix_web::test]
async fn a_scrape_has_the_figures_of_the_store_and_says_what_it_is() {
    let house = House::new();
    story::tell(&house).await;
    house.app.tally.refused.add(house.app.clock.now());
    let guess = serde_json::json!({"user": "ghost", "password": "a-guess-at-a-password"});
    let guess = TestRequest::post().uri("/admin/api/session").set_json(guess);
    assert_eq!(house.call(guess).await.status.as_u16(), 401);
    let alert = Alert { code: "disk_full", detail: "".into(), action: "".into(), is_blocking: true };
    house.app.board.raise(alert);
    let pause = Write::Pause(Scope::Template(format!("HX{:032x}", 1)), Cause::Operator(None));
    house.app.store.write(pause).await.expect("paused");
    let answer = house.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    for line in [
        "# TYPE bluetick_messages counter".to_owned(),
        format!("bluetick_messages_total{{sender=\"{SENDER}\",stage=\"accepted\"}} 2"),
        format!("bluetick_messages_total{{sender=\"{SENDER}\",stage=\"read\"}} 1"),
        format!("bluetick_messages_standing{{sender=\"{SERVICE}\",state=\"pending\"}} 1"),
        format!("bluetick_messages_failed{{sender=\"{SENDER}\",code=\"63016\"}} 1"),
        format!("bluetick_inbound_messages_total{{sender=\"{SENDER}\"}} 1"),
        format!("bluetick_messages_retried_total{{sender=\"{SENDER}\"}} 0"),
        format!("bluetick_messages_suppressed{{sender=\"{SERVICE}\"}} 0"),
        "# HELP bluetick_messages_resent Attempts that followed one which Twilio provably had no trace of".into(),
        format!("bluetick_paused{{scope=\"template:HX{:032x}\"}} 0", 1),
        "bluetick_callbacks_refused_total 1".into(),
        "bluetick_logins_failed_total 1".into(),
        "bluetick_requests_limited_total{limit=\"strangers\"} 0".into(),
        "bluetick_oldest_due_age_seconds 3610.0".into(),
        "bluetick_store_writes_waiting 0".into(),
        "bluetick_alert{code=\"disk_full\",blocking=\"true\"} 1".into(),
        format!("bluetick_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
        "# EOF".into(),
    ] {
        assert!(answer.text.lines().any(|told| told == line), "{line} is not in\n{}", answer.text);
    }
}

#[actix_web::test]
async fn an_empty_house_can_be_scraped() {
    let house = House::new();
    let text = house.get("/metrics").await.text;
    assert!(text.ends_with("# EOF\n") && text.contains("bluetick_oldest_due_age_seconds 0.0"), "{text}");
}
