//! The shell through real sockets: what can only be seen there.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, rt};
use serde_json::Value;

use super::*;
use crate::clock::Clock;
use crate::twilio::signature::{AuthToken, verify_form};
use crate::twilio::wire::{Params, parse_date, parse_form};

/// One post: signature, idempotency token, parameters.
type Post = (String, String, Params);

/// What the app under test was posted, and the answers it has left to give; 204 after that.
#[derive(Default)]
struct AppUnderTest {
    posts: Mutex<Vec<Post>>,
    answers: Mutex<Vec<u16>>,
}

impl AppUnderTest {
    fn start(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let data = Data::from(Arc::clone(self));
        let app = move || App::new().app_data(Data::clone(&data)).default_service(web::to(take));
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).expect("listening");
        rt::spawn(server.run());
        format!("http://{address}/status")
    }

    fn statuses(&self) -> Vec<String> {
        let posts = self.posts.lock().expect("no test panics with it");
        let status = |params: &Params| {
            params.iter().find(|pair| pair.0 == "MessageStatus").map(|pair| pair.1.clone()).unwrap_or_default()
        };
        posts.iter().map(|post| status(&post.2)).collect()
    }
}

async fn take(http: HttpRequest, body: Bytes, app: Data<AppUnderTest>) -> HttpResponse {
    let header =
        |name: &str| http.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let params = parse_form(&body).expect("a form");
    app.posts.lock().expect("whole").push((header("X-Twilio-Signature"), header("I-Twilio-Idempotency-Token"), params));
    let status = app.answers.lock().expect("whole").pop().unwrap_or(204);
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).expect("a status")).finish()
}

async fn emulator() -> Running {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    start(Options { listen, strict_window: false, ..Options::default() }).await.expect("it starts")
}

async fn create(running: &Running, to: &str, hook: &str) -> Result<u16, reqwest::Error> {
    let options = Options::default();
    let url = format!("{}/2010-04-01/Accounts/{}/Messages.json", running.url(), options.account_sid);
    let form = [("To", to), ("From", "whatsapp:+15550001111"), ("Body", "hi"), ("StatusCallback", hook)];
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let response =
        client.post(url).basic_auth(options.account_sid, Some(options.auth_token)).form(&form).send().await?;
    Ok(response.status().as_u16())
}

async fn ledger(running: &Running, query: &str) -> Value {
    let url = format!("{}/emulator/ledger?{query}", running.url());
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    client.get(url).send().await.expect("an answer").json().await.expect("json")
}

#[actix_web::test]
async fn callbacks_arrive_signed_in_order_and_again_after_a_503() {
    let app = Arc::new(AppUnderTest { answers: Mutex::new(vec![503]), ..AppUnderTest::default() });
    let (running, hook) = (emulator().await, app.start());
    let status = create(&running, "whatsapp:+4915100000001", &format!("{hook}#rc=2&rp=5xx")).await;
    assert_eq!(status.ok(), Some(201));
    let ledger = ledger(&running, "wait=20s&callbacks=3&settled=true").await;
    assert_eq!(ledger["reached"], true, "{ledger}");
    assert_eq!(ledger["callbacks"][0]["tries"].as_array().map(Vec::len), Some(2));
    assert_eq!(app.statuses(), ["sent", "sent", "delivered", "read"]);
    let token = [AuthToken::new(Options::default().auth_token)];
    let posts = std::mem::take(&mut *app.posts.lock().expect("whole"));
    assert!(posts.iter().all(|post| verify_form(&token, &hook, &post.2, &post.0) == Some(0)));
    assert_eq!(posts[0].1, posts[1].1);
    running.stop().await;
}

#[actix_web::test]
async fn a_reset_closes_the_connection_though_the_message_was_accepted() {
    let app = Arc::new(AppUnderTest::default());
    let (running, hook) = (emulator().await, app.start());
    let error = create(&running, "whatsapp:+4915100009024", &hook).await.expect_err("no answer");
    assert!(!error.is_connect() && !error.is_status(), "{error:?}");
    let ledger = ledger(&running, "wait=20s&messages=1&callbacks=3").await;
    assert_eq!((&ledger["reached"], &ledger["creates"][0]["answer"]), (&true.into(), &"reset".into()));
    running.stop().await;
}

#[actix_web::test]
async fn early_callbacks_come_before_the_answer() {
    let app = Arc::new(AppUnderTest::default());
    let (running, hook) = (emulator().await, app.start());
    assert_eq!(create(&running, "whatsapp:+4915100009006", &hook).await.ok(), Some(201));
    assert_eq!(app.statuses(), ["sent", "delivered", "read"]);
    running.stop().await;
}

#[actix_web::test]
async fn an_app_that_is_not_there_becomes_an_alert() {
    let running = emulator().await;
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
    create(&running, "whatsapp:+4915100009008", &format!("http://{closed}/status")).await.expect("an answer");
    let ledger = ledger(&running, "wait=20s&messages=1&settled=true").await;
    assert_eq!((&ledger["reached"], &ledger["callbacks"][0]["outcome"]), (&true.into(), &"failed".into()));
    let options = Options::default();
    let alerts = Request::new(Method::Get, "/v1/Alerts").with_basic(&options.account_sid, &options.auth_token);
    let alerts: Value = serde_json::from_slice(&running.call(&alerts).body).expect("json");
    assert_eq!(alerts["alerts"][0]["error_code"], "11205");
    running.stop().await;
}

#[actix_web::test]
async fn the_date_of_an_answer_is_the_emulators() {
    let running = emulator().await;
    let leap = Request::new(Method::Post, "/emulator/clock").with_body(r#"{"advance_ms": 31536000000}"#);
    assert_eq!(running.call(&leap).status, 200);
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let response = client.get(format!("{}/v1/Alerts", running.url())).send().await.expect("an answer");
    let dates: Vec<_> = response.headers().get_all("Date").iter().collect();
    let ahead = parse_date(dates[0].to_str().expect("text")).expect("a date") - Clock::System.now().0;
    assert!(dates.len() == 1 && (31_530_000_000..31_540_000_000).contains(&ahead), "{dates:?}");
    running.stop().await;
}
