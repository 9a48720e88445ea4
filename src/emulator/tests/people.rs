//! The people at the other end: what they write, and what they no longer want.

use super::*;

#[test]
fn free_text_needs_an_open_window_and_a_template_does_not() {
    let mut desk = Desk::strict();
    let (status, message) = desk.create(&[]);
    assert_eq!(status, 201);
    assert_eq!(desk.told(), ["failed"]);
    assert_eq!(param(&desk.posts[0], "ErrorCode"), "63016");
    assert_eq!(desk.fetch(message["sid"].as_str().expect("a sid"))["error_code"], 63016);

    let variables = r#"{"1":"Ada","2":"17"}"#;
    let (_, message) = desk.create(&[("Body", ""), ("ContentSid", APPROVED), ("ContentVariables", variables)]);
    assert_eq!(message["body"], "Hello Ada, your order 17 is on its way.");
    assert!(message["sid"].as_str().is_some_and(|sid| sid.starts_with("MM")));
    assert_eq!(desk.told()[1..], ["sent", "delivered", "read"]);

    desk.control("/emulator/inbound", &serde_json::json!({"from": PERSON, "body": "hi"}));
    desk.posts.clear();
    desk.create(&[]);
    assert_eq!(desk.told(), ["sent", "delivered", "read"]);
    desk.wait(Duration::from_secs(24 * 60 * 60));
    desk.create(&[]);
    assert_eq!(desk.told()[3..], ["failed"]);
}

#[test]
fn whoever_says_stop_is_not_written_to() {
    let mut desk = Desk::open();
    desk.control("/emulator/inbound", &serde_json::json!({"from": PERSON, "body": "STOP"}));
    assert_eq!(desk.create(&[]).1["code"], 21610);
    desk.control("/emulator/inbound", &serde_json::json!({"from": PERSON, "body": "start"}));
    assert_eq!(desk.create(&[]).0, 201);
}

#[test]
fn an_inbound_message_is_posted_signed_and_falls_back() {
    let mut options = Options { inbound_url: Some("https://app.example.com/in".into()), ..Options::default() };
    options.senders[0].fallback_url = Some("https://app.example.com/fallback".into());
    let mut desk = Desk::with(options);
    let inbound = serde_json::json!({"from": PERSON, "body": "hé & co", "profile_name": "Ada",
        "media": [{"url": "https://media.example/1", "content_type": "image/jpeg"}], "extra": {"NewOne": "1"}});
    let (status, answer) = desk.control("/emulator/inbound", &inbound);
    let post = desk.posts[0].clone();
    assert_eq!((status, param(&post, "MessageSid")), (201, answer["sid"].as_str().expect("a sid")));
    assert_eq!((param(&post, "SmsMessageSid"), param(&post, "SmsStatus")), (param(&post, "SmsSid"), "received"));
    assert_eq!((param(&post, "MediaUrl0"), param(&post, "MessageType")), ("https://media.example/1", "image"));
    assert_eq!((param(&post, "NewOne"), param(&post, "WaId")), ("1", "4915100000001"));
    let token = AuthToken::new(Options::default().auth_token);
    assert_eq!(post.signature, sign_form(&token, "https://app.example.com/in", &post.params));

    let failed = Delivery::Answered { status: 500, content_type: String::new(), body: String::new() };
    let more = desk.emulator.report(post.id, &failed, Duration::ZERO, true, desk.now, &mut desk.dice);
    assert_eq!(more.len(), 1);
    assert_eq!((more[0].url.as_str(), &more[0].params), ("https://app.example.com/fallback", &post.params));
    let more = desk.emulator.report(more[0].id, &acknowledged(), Duration::ZERO, true, desk.now, &mut desk.dice);
    assert!(more.is_empty());
    assert_eq!(desk.get("/v1/Alerts").1["alerts"][0]["error_code"], "11200");
}

#[test]
fn twiml_is_sent_to_the_person_who_wrote() {
    let options = Options { inbound_url: Some("https://app.example.com/in".into()), ..Options::default() };
    let mut desk = Desk::with(options);
    desk.control("/emulator/inbound", &serde_json::json!({"from": PERSON, "body": "hi"}));
    let id = desk.posts[0].id;
    let twiml = "<?xml version=\"1.0\"?><Response><Message>Hello back</Message></Response>";
    let answer = Delivery::Answered { status: 200, content_type: "text/xml".into(), body: twiml.into() };
    desk.emulator.report(id, &answer, Duration::ZERO, true, desk.now, &mut desk.dice);
    let (_, list) = desk.get(&format!("/2010-04-01/Accounts/ACCOUNT/Messages.json?To={}", PERSON.replace('+', "%2B")));
    assert_eq!(list["messages"][0]["body"], "Hello back");
    assert_eq!(list["messages"][0]["direction"], "outbound-reply");
}

#[test]
fn a_contact_that_replies_writes_back_and_the_app_is_told() {
    let options =
        Options { inbound_url: Some("https://app.example.com/in".into()), strict_window: false, ..Options::default() };
    let mut desk = Desk::with(options);
    let (_, message) = desk.create(&[("To", "whatsapp:+4915100009009")]);
    let reply = desk.posts.last().expect("a reply");
    assert_eq!((reply.url.as_str(), param(reply, "From")), ("https://app.example.com/in", "whatsapp:+4915100009009"));
    assert_eq!(param(reply, "OriginalRepliedMessageSid"), message["sid"]);
}
