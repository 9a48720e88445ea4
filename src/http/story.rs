//! A small story that the tests of the numbers, events and charts tell: who sent what to whom, and what became of it.
//!
//! Not here: any assertion.

use std::time::Duration;

use super::testing::{House, PERSON, SENDER, START};
use crate::clock::Time;
use crate::message::{AttemptId, Draft, Fact, Message, Sid, Source, Wish, Word};
use crate::store::{Accept, Claim, Inbound, Report, Settle, Turn, Write, Written};

/// A second sender.
pub(super) const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";
/// A second person.
pub(super) const OTHER: &str = "whatsapp:+4915100000002";

/// What the story left behind.
pub(super) struct Story {
    /// Read after 5 s: 2 s in the queue, 3 s on the way, 5 s unread.
    pub(super) read: Message,
    /// Failed with 63016 after 1 s in the queue.
    pub(super) failed: Message,
    /// Waits, at the other sender.
    pub(super) pending: Message,
}

/// Tells the story in the hour of `START`, and ends an hour later.
pub(super) async fn tell(house: &House) -> Story {
    let read = accept(house, 1, SENDER, PERSON, Some("order-17")).await;
    let failed = accept(house, 2, SENDER, OTHER, None).await;
    let pending = accept(house, 3, SERVICE, OTHER, None).await;
    for (number, message) in [(1, read.sender), (2, failed.sender)] {
        let sid = sid(number);
        let claimed = claim(house, message, 1).await;
        let message = claimed.first().expect("one was due");
        let attempt = message.attempts.last().expect("a claim opens an attempt");
        let attempt = AttemptId { message: message.id, number: attempt.number, nonce: attempt.nonce };
        let fact = Fact::Sent { attempt: 1, sid, word: Word::Queued, ask_at: START.plus(Duration::from_secs(86_400)) };
        write(house, Write::Settle(Settle { attempt, fact, source: Source::Job })).await;
    }
    pass(house, 1_000);
    report(house, 2, OTHER, "sent", None).await;
    report(house, 2, OTHER, "undelivered", Some(63_016)).await;
    pass(house, 1_000);
    report(house, 1, PERSON, "sent", None).await;
    pass(house, 3_000);
    report(house, 1, PERSON, "delivered", None).await;
    pass(house, 5_000);
    report(house, 1, PERSON, "read", None).await;
    receive(house, 9, "hello").await;
    pass(house, 3_600_000);
    Story { read, failed, pending }
}

pub(super) async fn accept(house: &House, random: u8, from: &str, to: &str, reference: Option<&str>) -> Message {
    let wish = Wish {
        to: to.into(),
        from: Some(from.into()),
        body: Some("hello".into()),
        reference: reference.map(str::to_owned),
        ..Wish::default()
    };
    let draft = Draft::check(wish, None, house.app.clock.now()).expect("a draft");
    match write(house, Write::Accept(Box::new(Accept { draft, random: [random; 10], key: None }))).await {
        Written::Accepted(message) => *message,
        other => panic!("not accepted: {other:?}"),
    }
}

/// Twilio tells of a message whose SID was given before.
pub(super) async fn report(house: &House, number: u8, to: &str, word: &str, code: Option<u32>) {
    let report = Report {
        attempt: None,
        sid: sid(number),
        word: Word::parse(word),
        code,
        source: Source::Callback,
        from: SENDER.into(),
        to: to.into(),
        also: None,
        random: [number; 10],
    };
    write(house, Write::Report(Box::new(report))).await;
}

/// The first person writes to the first sender.
pub(super) async fn receive(house: &House, number: u8, body: &str) {
    let inbound = Inbound {
        sid: sid(number),
        at: Time(0),
        source: Source::Callback,
        from: PERSON.into(),
        to: SENDER.into(),
        contact: 0,
        sender: 0,
        also: Vec::new(),
        body: body.into(),
        profile_name: Some("Ada".into()),
        media: Vec::new(),
        extra: [("ButtonText".to_owned(), "Yes".to_owned())].into(),
    };
    write(house, Write::Receive(Box::new(inbound))).await;
}

pub(super) fn sid(number: u8) -> Sid {
    format!("SM{number:032x}").parse().expect("a SID")
}

pub(super) fn pass(house: &House, ms: u64) {
    house.app.clock.advance(Duration::from_millis(ms));
}

async fn claim(house: &House, sender: u32, at_most: usize) -> Vec<Message> {
    let turns = vec![Turn { sender, at_most }];
    match write(house, Write::Claim(Claim { turns, slots: at_most, boot: 1, seed: [7; 32] })).await {
        Written::Claimed(claimed) => claimed.messages,
        other => panic!("not claimed: {other:?}"),
    }
}

async fn write(house: &House, write: Write) -> Written {
    house.app.store.write(write).await.expect("written")
}
