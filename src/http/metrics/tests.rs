//! Figures, tables and people, through the door.

use serde_json::json;

use crate::http::story::{self, SERVICE};
use crate::http::testing::{House, SENDER};

#[actix_web::test]
async fn figures_are_what_the_messages_did() {
    let house = House::new();
    story::tell(&house).await;
    let metrics = house.get("/v1/metrics?from=3h").await.json();
    let totals = &metrics["totals"];
    let told = ["accepted", "open", "sent", "delivered", "read", "failed", "inbound"].map(|name| totals[name].clone());
    assert_eq!(told, [3, 1, 2, 1, 1, 1, 1].map(|count| json!(count)));
    for detour in ["retried", "resent", "fallbacks", "suppressed", "missed", "healed"] {
        assert_eq!(totals[detour], 0, "{detour}");
    }
    assert_eq!((&totals["sent_rate"], &totals["delivered_rate"]), (&json!(0.666667), &json!(0.5)));
    assert_eq!(totals["delivery_ms"]["count"], 1);
    assert!(totals["delivery_ms"]["p95"].as_i64().is_some_and(|ms| (2_952..=3_048).contains(&ms)));
    assert!(totals["queue_ms"]["p50"].as_i64().is_some_and(|ms| (984..=1_016).contains(&ms)));
    let errors = metrics["errors"].as_array().expect("errors");
    assert_eq!((errors.len(), &errors[0]["code"], &errors[0]["count"]), (1, &json!(63_016), &json!(1)));
    assert_eq!(errors[0]["class"], "template");
}

#[actix_web::test]
async fn a_series_has_every_bucket_also_where_nothing_happened() {
    let house = House::new();
    story::tell(&house).await;
    let metrics = house.get("/v1/metrics?from=3h").await.json();
    let series = metrics["series"].as_array().expect("a series");
    let accepted: Vec<_> = series.iter().map(|bucket| bucket["accepted"].as_i64().unwrap_or(-1)).collect();
    // 23:13 now, from 20:13: the hours from 20 to 23, and all happened at 22:13.
    assert_eq!(accepted, [0, 0, 3, 0]);
    assert_eq!(series[2]["at"], "2023-11-14T22:00:00.000Z");
    assert!(series[0]["delivered_rate"].is_null() && series[0]["delivery_ms"]["p50"].is_null());
    assert_eq!((&metrics["from"], &metrics["bucket"]), (&json!("2023-11-14T20:00:00.000Z"), &json!("hour")));
    assert_eq!(metrics["to"], "2023-11-15T00:00:00.000Z");
    let days = house.get("/v1/metrics?from=90d").await.json();
    assert_eq!((&days["bucket"], days["series"].as_array().map(Vec::len)), (&json!("day"), Some(91)));
    assert_eq!(days["totals"], metrics["totals"]);
}

#[actix_web::test]
async fn each_sender_has_figures_of_its_own() {
    let house = House::new();
    story::tell(&house).await;
    let senders = house.get("/v1/metrics").await.json()["senders"].clone();
    let told: Vec<_> =
        senders.as_array().expect("senders").iter().map(|cell| (&cell["sender"], &cell["accepted"])).collect();
    assert_eq!(told, [(&json!(SENDER), &json!(2)), (&json!(SERVICE), &json!(1))]);
    let one = house.get("/v1/metrics/senders/+15550001111").await.json();
    assert_eq!(
        (&one["sender"], &one["rate_per_s"], &one["totals"]["accepted"]),
        (&json!(SENDER), &json!(20.0), &json!(2))
    );
    let same = house.get("/v1/metrics?sender=whatsapp:%2B15550001111").await.json();
    assert_eq!(same["totals"], one["totals"]);
    let listed = house.get("/v1/senders").await.json();
    assert_eq!((&listed["data"][1]["sender"], &listed["data"][1]["rate_per_s"]), (&json!(SERVICE), &json!(10.0)));
    assert_eq!(listed["data"][1]["open"], 1);
    assert_eq!(house.get("/v1/metrics/senders/+15559999999").await.problem(), (404, "not_found".into()));
    assert_eq!(house.get("/v1/metrics/senders/+15550001111?sender=MG1").await.problem(), (400, "invalid_query".into()));
}

#[actix_web::test]
async fn the_same_figures_come_as_a_table() {
    let house = House::new();
    story::tell(&house).await;
    let answer = house.get("/v1/metrics?from=1h&format=csv").await;
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    let mut lines = answer.text.lines();
    let heads = lines.next().expect("a line of headings");
    assert!(heads.starts_with("at,accepted,open,sent,delivered,read,failed,"), "{heads}");
    assert!(heads.ends_with(",retried,resent,fallbacks,suppressed,missed,healed"), "{heads}");
    assert!(lines.next().is_some_and(|line| line.starts_with("2023-11-14T22:00:00.000Z,3,1,2,1,1,1,0,0,1,")));
    let errors = house.get("/v1/metrics/errors?format=csv").await.text;
    assert!(errors.starts_with("code,count,title,class,whose_job,meaning,action\r\n63016,1,"), "{errors}");
    assert_eq!(house.get("/v1/metrics/errors").await.json()["data"][0]["count"], 1);
}

#[actix_web::test]
async fn a_question_that_cannot_be_answered_says_what_to_write() {
    let house = House::new();
    for (query, advice) in [
        ("from=soon", "from: is no time"),
        ("from=1h&to=2h", "from: is not before to"),
        ("from=200d&bucket=hour", "bucket=day"),
        ("format=xml", "format: is neither json nor csv"),
        ("bucket=minute", "bucket: is neither hour nor day"),
        ("form=1h", "form"),
    ] {
        let answer = house.get(&format!("/v1/metrics?{query}")).await;
        assert_eq!(answer.problem(), (400, "invalid_query".into()), "{query}");
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains(advice)), "{}", answer.text);
    }
}

#[actix_web::test]
async fn a_person_is_known_by_each_of_their_names() {
    let house = House::new();
    story::tell(&house).await;
    let person = house.get("/v1/contacts/+4915100000001/metrics").await.json();
    let told = ["accepted", "sent", "delivered", "read", "failed", "inbound"].map(|name| person[name].clone());
    assert_eq!(told, [1, 1, 1, 1, 0, 1].map(|count| json!(count)));
    assert_eq!((&person["address"], &person["last_status"]), (&json!("whatsapp:+4915100000001"), &json!("read")));
    assert_eq!(person["last_message_at"], "2023-11-14T22:13:20.000Z");
    assert_eq!(person["last_inbound_at"], "2023-11-14T22:13:30.000Z");
    assert_eq!(person["windows"], json!([{ "sender": SENDER, "open": true, "closes_at": "2023-11-15T22:13:30.000Z" }]));
    story::pass(&house, 86_400_000);
    let later = house.get("/v1/contacts/whatsapp:+4915100000001/metrics").await.json();
    assert_eq!(later["windows"][0]["open"], false);
    assert_eq!(house.get("/v1/contacts/+4915100000009/metrics").await.problem(), (404, "not_found".into()));
}

#[actix_web::test]
async fn every_code_is_explained_and_words_are_no_codes() {
    let house = House::new();
    assert_eq!(house.get("/v1/errors/63016").await.json()["class"], "template");
    assert_eq!(house.get("/v1/errors/1").await.json()["known"], false);
    assert_eq!(house.get("/v1/errors/many").await.problem(), (400, "invalid_path".into()));
    assert!(house.get("/v1/errors").await.json()["data"].as_array().is_some_and(|all| all.len() > 200));
}
