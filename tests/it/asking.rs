//! What asking Twilio teaches: lost answers are resolved by evidence, lost callbacks healed, lost replies found.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bluetick::clock::Time;
use bluetick::jobs::{listen, reconcile};
use bluetick::message::{Address, Content, Draft, Fact, Message, OnUnknown, Source, Status, Template, Word};
use bluetick::metrics::Count;
use bluetick::store::{Asked, Claim, Heard, Settle, Store, Turn, Write, Written};
use bluetick::twilio::transport::{InProcess, Request, Response};
use bluetick::twilio::wire::{MessagePage, MessageResource, format_date};
use bluetick::twilio::{self, AuthToken, Client};

use crate::support::{
    accept, assert_verified, claim, draft, get, in_memory, last_attempt, one, person, report, sent, sid,
};

const START: Time = Time(1_800_000_000_000);

fn at(seconds: u64) -> Time {
    START.plus(Duration::from_secs(seconds))
}

/// A Twilio that answers with these lists, one after the other, and the requests it saw.
struct Lists {
    client: Client,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Lists {
    fn of(pages: Vec<Vec<MessageResource>>) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        let last = pages.len();
        let pages = Mutex::new(pages.into_iter().enumerate().collect::<VecDeque<_>>());
        let account = format!("AC{:032x}", 1);
        let next = format!("/2010-04-01/Accounts/{account}/Messages.json?Page=1");
        let transport = InProcess(move |request: Request| {
            requests.lock().expect("whole").push(request);
            let Some((number, messages)) = pages.lock().expect("whole").pop_front() else {
                return Ok(Response { status: 503, ..Response::default() });
            };
            let next_page_uri = (number + 1 < last).then(|| next.clone());
            let page = MessagePage { messages, next_page_uri, ..MessagePage::default() };
            let body = serde_json::to_vec(&page).expect("a page is JSON");
            Ok(Response { status: 200, body, date: Some(format_date(START.0)), ..Response::default() })
        });
        let options = twilio::Options {
            account_sid: account,
            auth_token: Some(AuthToken::new("a-token")),
            ..twilio::Options::default()
        };
        Self { client: Client::new(Arc::new(transport), &options).expect("the options are whole"), seen }
    }

    fn requests(&self) -> usize {
        self.seen.lock().expect("whole").len()
    }
}

fn found(number: u64, to: u32, status: &str) -> MessageResource {
    MessageResource {
        sid: sid(number).to_string(),
        to: Some(person(to).to_string()),
        from: Some("whatsapp:+15550001111".into()),
        body: Some("hello".into()),
        status: status.into(),
        direction: Some("outbound-api".into()),
        date_created: Some(format_date(START.0)),
        date_sent: Some(format_date(START.0)),
        ..MessageResource::default()
    }
}

/// One round of asking, as the job does it.
async fn round(store: &mut Store, twilio: &Lists, now: Time) {
    let snapshot = store.read().expect("the disk works");
    for ask in reconcile::plan(&snapshot, now).expect("the disk works") {
        let learned = reconcile::ask(&twilio.client, &ask, || START, || store.read(), async |_| ()).await;
        for asked in learned.expect("Twilio answers").answers {
            one(store, Write::Ask(Asked { at: now, ..asked }), now);
        }
    }
}

fn lose(store: &mut Store, number: u64, to: u32) -> Message {
    accept(store, draft(person(to)), number, START);
    let claimed = claim(store, START).remove(0);
    let fact = Fact::Unclear { attempt: 1, detail: "reset".into(), ask_at: at(5) };
    one(store, Write::Settle(Settle { attempt: last_attempt(&claimed), fact, source: Source::Job }), START);
    claimed
}

fn stands(store: &Store, message: &Message) -> Message {
    get(&store.read().expect("the disk works"), message.id)
}

#[tokio::test]
async fn a_lost_answer_is_found_in_the_list_and_bound() {
    let mut store = in_memory();
    let lost = lose(&mut store, 1, 1);
    let twilio = Lists::of(vec![vec![found(7, 1, "delivered"), found(8, 2, "sent")]]);
    round(&mut store, &twilio, at(4)).await;
    assert_eq!(twilio.requests(), 0, "it is not due yet");
    round(&mut store, &twilio, at(5)).await;
    let message = stands(&store, &lost);
    assert_eq!((message.status(), message.sid()), (Status::Twilio(Word::Delivered), Some(sid(7))));
    assert_eq!(message.time(&Word::Delivered), None, "nobody told when");
    assert_verified(&store);
}

#[tokio::test]
async fn what_a_messaging_service_may_have_sent_is_not_taken_for_a_senders_own() {
    let mut store = in_memory();
    let order = |number: &str| {
        let variables = [("1".to_owned(), number.to_owned())].into();
        Content::Template(Template { sid: format!("HX{:032x}", 1), variables })
    };
    accept(&mut store, Draft { content: order("7"), ..draft(person(1)) }, 1, START);
    let lost = claim(&mut store, START).remove(0);
    let fact = Fact::Unclear { attempt: 1, detail: "reset".into(), ask_at: at(5) };
    one(&mut store, Write::Settle(Settle { attempt: last_attempt(&lost), fact, source: Source::Job }), START);
    let service = format!("MG{:032x}", 1);
    let from = Address::from_twilio(&service);
    accept(&mut store, Draft { content: order("8"), from, ..draft(person(1)) }, 2, START);
    let turns = vec![Turn { sender: 2, at_most: 1 }];
    one(&mut store, Write::Claim(Claim { turns, slots: 1, boot: 7, seed: [4; 32] }), START);
    // The one message that Twilio has was sent by the service, whose answer is still on its way.
    let theirs = MessageResource { messaging_service_sid: Some(service), ..found(7, 1, "sent") };
    for second in [5, 200] {
        round(&mut store, &Lists::of(vec![vec![theirs.clone()]]), at(second)).await;
        assert_eq!(stands(&store, &lost).status(), Status::Unknown, "after {second} s");
    }
    assert_verified(&store);
}

#[tokio::test]
async fn only_absence_after_the_whole_wait_allows_one_more_attempt() {
    let mut store = in_memory();
    let lost = lose(&mut store, 1, 1);
    for second in [5, 15, 60] {
        round(&mut store, &Lists::of(vec![Vec::new()]), at(second)).await;
        assert_eq!(stands(&store, &lost).status(), Status::Unknown, "after {second} s");
    }
    round(&mut store, &Lists::of(vec![Vec::new()]), at(180)).await;
    assert_eq!(stands(&store, &lost).status(), Status::Pending);
    let again = claim(&mut store, at(180)).remove(0);
    assert_eq!((again.attempts.len(), again.attempts[0].is_written_off), (2, true));
    assert_verified(&store);
}

#[tokio::test]
async fn a_list_that_was_asked_for_too_early_proves_no_absence() {
    let mut store = in_memory();
    let lost = lose(&mut store, 1, 1);
    let asked = Asked { attempt: last_attempt(&lost), heard: Heard::NotListed, at: at(179) };
    one(&mut store, Write::Ask(asked), at(500));
    assert_eq!(stands(&store, &lost).status(), Status::Unknown);
}

#[tokio::test]
async fn what_stays_in_doubt_is_left_to_a_person_when_patience_is_spent() {
    let mut store = in_memory();
    let lost = lose(&mut store, 1, 1);
    let asked = |now| Write::Ask(Asked { attempt: last_attempt(&lost), heard: Heard::Nothing, at: now });
    one(&mut store, asked(at(600)), at(600));
    assert_eq!(stands(&store, &lost).status(), Status::Unknown);
    let week = at(7 * 24 * 3_600);
    one(&mut store, asked(week), week);
    assert_eq!(stands(&store, &lost).status(), Status::Held);
    assert_verified(&store);
}

#[tokio::test]
async fn what_may_be_of_a_message_that_nobody_looks_for_any_more_is_not_taken_for_another() {
    let mut store = in_memory();
    let order = |number: &str| {
        let variables = [("1".to_owned(), number.to_owned())].into();
        Content::Template(Template { sid: format!("HX{:032x}", 1), variables })
    };
    let mut lose = |number: u64| {
        let wish = Draft { content: order(&number.to_string()), ..draft(person(1)) };
        accept(&mut store, wish, number, at(number));
        let lost = claim(&mut store, at(number)).remove(0);
        let fact = Fact::Unclear { attempt: 1, detail: "reset".into(), ask_at: at(5) };
        one(&mut store, Write::Settle(Settle { attempt: last_attempt(&lost), fact, source: Source::Job }), at(number));
        lost
    };
    let (first, second) = (lose(1), lose(2));
    let week = at(7 * 24 * 3_600 + 10);
    one(&mut store, Write::Ask(Asked { attempt: last_attempt(&second), heard: Heard::Nothing, at: week }), week);
    assert_eq!(stands(&store, &second).status(), Status::Held);
    round(&mut store, &Lists::of(vec![vec![found(7, 1, "sent")]]), week).await;
    assert_eq!(stands(&store, &first).sid(), None, "it may as well be the second one");
    assert_eq!(stands(&store, &second).sid(), None);
    assert_verified(&store);
}

#[tokio::test]
async fn without_an_answer_nothing_is_decided_and_everything_stays_due() {
    let mut store = in_memory();
    let lost = lose(&mut store, 1, 1);
    let snapshot = store.read().expect("the disk works");
    let twilio = Lists::of(Vec::new());
    for ask in reconcile::plan(&snapshot, at(500)).expect("the disk works") {
        assert!(reconcile::ask(&twilio.client, &ask, || START, || store.read(), async |_| ()).await.is_err());
    }
    assert_eq!(stands(&store, &lost).next.map(|next| next.due), Some(at(5)));
}

#[tokio::test]
async fn a_double_send_is_found_flagged_and_counted() {
    let mut store = in_memory();
    let lost = lose(&mut store, 1, 1);
    round(&mut store, &Lists::of(vec![Vec::new()]), at(180)).await;
    let again = claim(&mut store, at(180)).remove(0);
    one(&mut store, sent(last_attempt(&again), sid(2)), at(181));
    assert!(!stands(&store, &lost).is_duplicate());
    one(&mut store, report(Some(last_attempt(&lost)), sid(1), Word::Delivered, None), at(200));
    assert!(stands(&store, &lost).is_duplicate());
    let snapshot = store.read().expect("the disk works");
    let events = snapshot.events(0, 100).expect("the disk works");
    assert!(events.iter().any(|event| event.told.name() == "message.duplicate_detected"));
    let ever = snapshot.ever(1).expect("the disk works");
    assert_eq!((ever.get(Count::Duplicate), ever.get(Count::Resent)), (1, 1));
    assert_verified(&store);
}

#[tokio::test]
async fn the_send_may_ask_for_a_hold_or_a_failure_instead() {
    for (policy, status) in [(OnUnknown::Hold, Status::Held), (OnUnknown::Fail, Status::Twilio(Word::Failed))] {
        let mut store = in_memory();
        let mut wish = draft(person(1));
        wish.on_unknown = Some(policy);
        accept(&mut store, wish, 1, START);
        let lost = claim(&mut store, START).remove(0);
        let fact = Fact::Unclear { attempt: 1, detail: "reset".into(), ask_at: at(5) };
        one(&mut store, Write::Settle(Settle { attempt: last_attempt(&lost), fact, source: Source::Job }), START);
        round(&mut store, &Lists::of(vec![Vec::new()]), at(180)).await;
        assert_eq!(stands(&store, &lost).status(), status);
        assert_verified(&store);
    }
}

#[tokio::test]
async fn many_unsettled_receipts_cost_one_list() {
    let mut store = in_memory();
    for number in 0..100u32 {
        accept(&mut store, draft(person(number)), u64::from(number), START);
    }
    let turns = vec![Turn { sender: 1, at_most: 100 }];
    let claimed = one(&mut store, Write::Claim(Claim { turns, slots: 100, boot: 7, seed: [3; 32] }), START);
    let Written::Claimed(claimed) = claimed else { panic!("not claimed") };
    for (number, message) in (1000..).zip(&claimed.messages) {
        let attempt = last_attempt(message);
        let fact = Fact::Sent { attempt: 1, sid: sid(number), word: Word::Queued, ask_at: at(600) };
        one(&mut store, Write::Settle(Settle { attempt, fact, source: Source::Job }), START);
    }
    let page = (1000..1100).map(|number| found(number, 1, "read")).collect();
    let twilio = Lists::of(vec![page]);
    round(&mut store, &twilio, at(600)).await;
    assert_eq!(twilio.requests(), 1);
    let ever = store.read().and_then(|snapshot| snapshot.ever(1)).expect("the disk works");
    let counts = [Count::Read, Count::Healed, Count::Missed].map(|count| ever.get(count));
    assert_eq!(counts, [100, 100, 100]);
    round(&mut store, &twilio, at(100_000)).await;
    assert_eq!(twilio.requests(), 1, "what was read is asked about no more");
    assert_verified(&store);
}

#[tokio::test]
async fn what_people_wrote_while_nobody_listened_is_found_once_oldest_first() {
    let mut store = in_memory();
    one(&mut store, Write::Introduce(vec!["whatsapp:+15550001111".into()]), START);
    let letter = |number: u64, seconds: u64, body: &str| MessageResource {
        from: Some(person(1).to_string()),
        to: Some("whatsapp:+15550001111".into()),
        body: Some(body.into()),
        direction: Some("inbound".into()),
        status: "received".into(),
        date_sent: Some(format_date(at(seconds).0)),
        ..found(number, 1, "received")
    };
    let pages =
        vec![vec![letter(3, 30, "start"), letter(2, 20, "stop")], vec![letter(1, 10, "hi"), found(9, 1, "sent")]];
    let snapshot = store.read().expect("the disk works");
    let policy = store.policy().clone();
    let due = listen::plan(&snapshot, &policy, at(60)).expect("the disk works");
    assert_eq!(due.len(), 1);
    let writes = listen::ask(&Lists::of(pages).client, &due[0], |_| false, async |_| ()).await.expect("Twilio answers");
    for write in writes.iter().chain(&writes) {
        one(&mut store, write.clone(), at(60));
    }
    let snapshot = store.read().expect("the disk works");
    let stored = snapshot.inbound(None, 10).expect("the disk works").rows;
    let bodies = stored.iter().rev().map(|inbound| (inbound.body.as_str(), inbound.source)).collect::<Vec<_>>();
    assert_eq!(bodies, [("hi", Source::Poll), ("stop", Source::Poll), ("start", Source::Poll)]);
    assert!(snapshot.opted_out(0, 10).expect("the disk works").rows.is_empty(), "they said start after stop");
    let heard = snapshot.listening(1).expect("the disk works").expect("it was asked");
    assert_eq!((heard.since, heard.asked_until), (at(60).minus(Duration::from_secs(25 * 3_600)), at(60)));
    assert!(listen::plan(&snapshot, &policy, at(61)).expect("the disk works").is_empty());
    assert_verified(&store);
}
