//! Charts, through the door.

use actix_web::test::TestRequest;

use crate::http::story;
use crate::http::testing::House;

#[actix_web::test]
async fn a_chart_draws_the_figures_in_place_holder_colours() {
    let house = House::new();
    story::tell(&house).await;
    let draw = async |path: &str| house.call(house.person(TestRequest::get().uri(path)).await).await;
    let answer = draw("/admin/api/charts/throughput.svg?from=3h&w=400").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("image/svg+xml")));
    let svg = answer.text;
    assert!(svg.starts_with("<svg width=\"400\" height=\"220\""), "{svg}");
    for colour in ["#010101", "#020202", "#030303", "#040404", "#0a0a0a", "#0b0b0b"] {
        assert!(svg.contains(colour), "{colour} is not in {svg}");
    }
    assert!(svg.contains("<title>Messages per hour</title>") && svg.contains(">20:00<"), "{svg}");
    assert!(!svg.contains("style"), "{svg}");
    // One of three was delivered; the hours around it are gaps, so it is a dot.
    let delivery = draw("/admin/api/charts/delivery.svg?from=3h&sender=whatsapp:%2B15550001111").await.text;
    assert_eq!(delivery.matches("<circle").count(), 3, "{delivery}");
}

#[actix_web::test]
async fn nothing_to_draw_is_an_empty_grid() {
    let house = House::new();
    let answer = house.call(house.person(TestRequest::get().uri("/admin/api/charts/delivery.svg")).await).await;
    assert!(answer.status.is_success() && answer.text.contains("#0a0a0a") && !answer.text.contains("#010101"));
}

#[actix_web::test]
async fn a_chart_that_cannot_be_is_refused() {
    let house = House::new();
    for (path, problem) in [
        ("money.svg", (404, "not_found")),
        ("throughput.svg?w=100", (400, "invalid_query")),
        ("throughput.svg?w=wide", (400, "invalid_query")),
        ("throughput.svg?sender=nobody", (404, "not_found")),
    ] {
        let answer = house.call(house.person(TestRequest::get().uri(&format!("/admin/api/charts/{path}"))).await).await;
        assert_eq!(answer.problem(), (problem.0, problem.1.to_owned()), "{path}");
    }
}
