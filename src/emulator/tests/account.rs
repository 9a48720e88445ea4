//! The account, its tokens, its senders and its templates.

use super::*;

#[test]
fn credentials_are_checked() {
    let mut desk = Desk::open();
    let options = Options::default();
    let account = format!("/2010-04-01/Accounts/{}", options.account_sid);
    let mut get = |path: &str, user: &str, password: &str| {
        let (status, error) = desk.call(Request::new(Method::Get, path).with_basic(user, password));
        (status, error["code"].as_u64())
    };
    let (key, secret) = (&options.api_keys[0].sid, &options.api_keys[0].secret);
    assert_eq!(get(&format!("{account}/Messages.json"), key, secret), (200, None));
    assert_eq!(get(&format!("{account}.json"), key, secret), (401, Some(20003)));
    assert_eq!(get(&format!("{account}.json"), &options.account_sid, &options.auth_token), (200, None));
    assert_eq!(get(&format!("{account}/Balance.json"), &options.account_sid, "wrong"), (401, Some(20003)));
    let other = "/2010-04-01/Accounts/AC99999999999999999999999999999999/Messages.json";
    assert_eq!(get(other, &options.account_sid, &options.auth_token), (404, Some(20404)));
    let bare = Request::new(Method::Get, "/v1/Alerts");
    assert_eq!(desk.emulator.handle(&bare, desk.now, &mut desk.dice).0.status, 401);
}

#[test]
fn templates_that_are_not_approved_or_not_filled_fail() {
    let mut desk = Desk::strict();
    let failure = |desk: &mut Desk, digit: u8, variables: &str| {
        let sid = format!("HX{}{digit}", "0".repeat(31));
        desk.posts.clear();
        desk.create(&[("Body", ""), ("ContentSid", &sid), ("ContentVariables", variables)]);
        param(&desk.posts[0], "ErrorCode").to_owned()
    };
    assert_eq!(failure(&mut desk, 4, r#"{"1":"x"}"#), "63016");
    assert_eq!(failure(&mut desk, 5, r#"{"1":"x"}"#), "63040");
    assert_eq!(failure(&mut desk, 1, r#"{"1":"x"}"#), "63028");
}

#[test]
fn a_promoted_token_signs_and_the_old_one_opens_nothing() {
    let mut desk = Desk::open();
    let (status, secondary) = desk.call(Request::new(Method::Post, "/v1/AuthTokens/Secondary"));
    let token = secondary["secondary_auth_token"].as_str().expect("a token").to_owned();
    assert_eq!((status, token.len()), (201, 32));
    desk.create(&[]);
    let options = Options::default();
    let old = AuthToken::new(options.auth_token.as_str());
    assert_eq!(desk.posts[0].signature, sign_form(&old, HOOK, &desk.posts[0].params));

    let promote = Request::new(Method::Post, "/v1/AuthTokens/Promote").with_basic(&options.account_sid, &token);
    assert_eq!(desk.call(promote).1["auth_token"], token);
    assert_eq!(desk.create(&[]).1["code"], 20003);
    desk.posts.clear();
    let create = create_request("/2010-04-01/Accounts/ACCOUNT/Messages.json", &text(&[]));
    assert_eq!(desk.call(create.with_basic(&options.account_sid, &token)).0, 201);
    let new = AuthToken::new(token);
    assert_eq!(desk.posts[0].signature, sign_form(&new, HOOK, &desk.posts[0].params));
}

#[test]
fn an_api_key_opens_from_when_it_is_made_until_it_is_deleted() {
    let mut desk = Desk::open();
    let options = Options::default();
    let keys = format!("/2010-04-01/Accounts/{}/Keys", options.account_sid);
    let make = || Request::new(Method::Post, &format!("{keys}.json")).with_body("FriendlyName=shop");
    let (status, key) = desk.call(make());
    let (sid, secret) = (key["sid"].as_str().expect("a SID"), key["secret"].as_str().expect("a secret"));
    assert_eq!((status, &key["friendly_name"], sid.len()), (201, &"shop".into(), 34));
    let list = Request::new(Method::Get, &format!("/2010-04-01/Accounts/{}/Messages.json", options.account_sid));
    let list = list.with_basic(sid, secret);
    assert_eq!(desk.call(list.clone()).0, 200);
    assert_eq!(desk.call(make().with_basic(sid, secret)).1["code"], 20003, "no key makes another");
    let delete = || Request::new(Method::Delete, &format!("{keys}/{sid}.json"));
    assert_eq!((desk.call(delete()).0, desk.call(delete()).1["code"].as_u64()), (204, Some(20404)));
    assert_eq!(desk.call(list).1["code"], 20003);
}

#[test]
fn senders_are_listed_updated_and_online_again() {
    let mut desk = Desk::open();
    let (_, list) = desk.get("/v2/Channels/Senders?Channel=whatsapp&PageSize=1");
    assert_eq!(list["senders"][0]["sender_id"], SENDER);
    assert!(list["meta"]["next_page_url"].as_str().is_some_and(|url| url.ends_with("PageSize=1&Page=1")));
    assert_eq!(desk.get("/v2/Channels/Senders").1["code"], 20001);
    let path = format!("/v2/Channels/Senders/{}", list["senders"][0]["sid"].as_str().unwrap());
    let update = serde_json::json!({"webhook": {"callback_url": "https://app.example.com/in"}});
    let (status, updated) = desk.control(&path, &update);
    assert_eq!((status, &updated["status"]), (202, &"ONLINE:UPDATING".into()));
    let (_, sender) = desk.get(&path);
    assert_eq!(
        (&sender["status"], &sender["webhook"]["callback_url"]),
        (&"ONLINE".into(), &update["webhook"]["callback_url"])
    );
}

#[test]
fn content_and_its_approvals_are_shown() {
    let mut desk = Desk::open();
    assert_eq!(desk.get(&format!("/v1/Content/{APPROVED}/ApprovalRequests")).1["whatsapp"]["status"], "approved");
    assert_eq!(desk.get(&format!("/v1/Content/{APPROVED}")).1["friendly_name"], "order_update");
    assert_eq!(desk.get("/v1/ContentAndApprovals").1["contents"][4]["approval_requests"]["status"], "rejected");
    assert_eq!(desk.get("/v1/Content/HX99999999999999999999999999999999").1["code"], 20404);
}
