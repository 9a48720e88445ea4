//! What goes when: lanes, pairs, twins, pauses, windows and opt-outs, all looked at when claiming.

use std::time::Duration;

use bluetick::clock::Time;
use bluetick::message::{
    Content, Draft, Fact, Form, MessageId, OptOut, OutsideWindow, Policy, Priority, Status, Template,
};
use bluetick::message::{Message, Source, Word};
use bluetick::pause::{Cause, Scope};
use bluetick::store::{Accept, Direction, Inbound, Listened, OptingOut, Settle, Steer, Store, Write, Written};

use crate::support::{
    accept, assert_verified, claim, draft, get, in_memory, last_attempt, one, person, random, report, sent, sid,
};

const START: Time = Time(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn template(number: u8) -> Template {
    Template { sid: format!("HX{number:032x}"), variables: Default::default() }
}

fn with_template(number: u8, to: u32) -> Draft {
    Draft { content: Content::Template(template(number)), ..draft(person(to)) }
}

fn texts(to: u32, words: &str) -> Draft {
    Draft { content: Content::Text(words.into()), ..draft(person(to)) }
}

fn at(seconds: u64) -> Time {
    START.plus(Duration::from_secs(seconds))
}

fn wrote(store: &mut Store, number: u64, from: u32, body: &str, now: Time) {
    let inbound = Inbound {
        sid: sid(900_000 + number),
        at: now,
        source: Source::Callback,
        from: person(from).to_string(),
        to: "whatsapp:+15550001111".into(),
        contact: 0,
        sender: 0,
        also: Vec::new(),
        body: body.into(),
        profile_name: None,
        media: Vec::new(),
        extra: Default::default(),
    };
    assert!(matches!(one(store, Write::Receive(Box::new(inbound)), now), Written::Received(true)));
}

/// From now on we know what we have not heard.
fn listening(store: &mut Store, since: Time, now: Time) {
    one(store, Write::Listened(Listened { sender: 1, from: since, until: now }), now);
}

fn stands(store: &Store, id: MessageId) -> Message {
    get(&store.read().expect("the disk works"), id)
}

fn status(store: &Store, id: MessageId) -> Status {
    stands(store, id).status()
}

/// Twilio takes the latest attempt and then reports this of it.
fn taken(store: &mut Store, message: &Message, number: u64, word: Word, code: Option<u32>, now: Time) {
    let attempt = last_attempt(message);
    one(store, sent(attempt, sid(number)), now);
    one(store, report(Some(attempt), sid(number), word, code), now);
}

#[test]
fn no_lane_starves_and_the_urgent_one_goes_first() {
    let mut store = in_memory();
    let mut number = 0;
    for priority in Priority::ALL {
        for _ in 0..20 {
            number += 1;
            accept(&mut store, Draft { priority, ..draft(person(number)) }, u64::from(number), START);
        }
    }
    let lanes = claim_some(&mut store, 20, START).iter().map(|message| message.priority()).collect::<Vec<_>>();
    assert_eq!(lanes[0], Priority::High);
    let count = |wanted| lanes.iter().filter(|lane| **lane == wanted).count();
    assert_eq!([Priority::High, Priority::Normal, Priority::Bulk].map(count), [12, 6, 2]);
    assert_verified(&store);
}

fn claim_some(store: &mut Store, at_most: usize, now: Time) -> Vec<Message> {
    use bluetick::store::{Claim, Turn};
    let turns = vec![Turn { sender: 1, at_most }];
    match one(store, Write::Claim(Claim { turns, slots: 100, boot: 7, seed: [3; 32] }), now) {
        Written::Claimed(claimed) => claimed.messages,
        other => panic!("not claimed: {other:?}"),
    }
}

#[test]
fn one_person_gets_a_burst_and_then_one_message_in_six_seconds() {
    let mut store = in_memory();
    for number in 0..8 {
        accept(&mut store, texts(1, &format!("part {number}")), number, START);
    }
    assert_eq!(claim(&mut store, START).len(), 5);
    assert_eq!(claim(&mut store, at(5)).len(), 0);
    assert_eq!([6, 12, 18].map(|second| claim(&mut store, at(second)).len()), [1, 1, 1]);
    assert_verified(&store);
}

#[test]
fn the_same_words_wait_for_an_unknown_one_and_other_words_do_not() {
    let mut store = in_memory();
    accept(&mut store, texts(1, "Your code is 1234"), 1, START);
    let first = claim(&mut store, START).remove(0);
    let unclear = Fact::Unclear { attempt: 1, detail: "reset".into(), ask_at: at(5) };
    one(&mut store, Write::Settle(Settle { attempt: last_attempt(&first), fact: unclear, source: Source::Job }), START);
    let twin = accept(&mut store, texts(1, "Your code is 1234"), 2, START);
    let other = accept(&mut store, texts(1, "Your code is 5678"), 3, START);
    let stranger = accept(&mut store, texts(2, "Your code is 1234"), 4, START);
    let mut gone = claim(&mut store, START).iter().map(|message| message.id).collect::<Vec<_>>();
    gone.sort();
    assert_eq!(gone, [other.id, stranger.id]);
    assert_eq!(status(&store, twin.id), Status::Pending);
    one(&mut store, report(Some(last_attempt(&first)), sid(1), Word::Sent, None), at(1));
    assert_eq!(claim(&mut store, at(5)).len(), 1, "the first one is known now");
    assert_verified(&store);
}

#[test]
fn outside_the_window_the_fallback_goes_or_nothing_does() {
    let mut store = in_memory();
    wrote(&mut store, 1, 1, "hi", START);
    let plain = accept(&mut store, draft(person(1)), 1, START.plus(DAY));
    let fallback = Draft { fallback: Some(template(1)), ..texts(1, "or so") };
    let fallback = accept(&mut store, fallback, 2, START.plus(DAY));
    let claimed = claim(&mut store, START.plus(DAY));
    assert_eq!(claimed.iter().map(|message| message.id).collect::<Vec<_>>(), [fallback.id]);
    assert_eq!(claimed[0].attempts[0].form, Form::Fallback);
    let plain = stands(&store, plain.id);
    assert_eq!((plain.status(), plain.code(), plain.attempts.len()), (Status::Refused, Some(63_016), 0));
    assert_eq!(plain.ending, Some(bluetick::message::Ending::WindowClosed { at: Some(START.plus(DAY)) }));
    assert_verified(&store);
}

#[test]
fn inside_the_window_free_text_goes_as_asked() {
    let mut store = in_memory();
    wrote(&mut store, 1, 1, "hi", START);
    accept(&mut store, Draft { fallback: Some(template(1)), ..draft(person(1)) }, 1, START);
    let claimed = claim(&mut store, START.plus(DAY - Duration::from_millis(1)));
    assert_eq!(claimed[0].attempts[0].form, Form::AsAsked);
}

#[test]
fn who_never_wrote_is_only_outside_if_we_have_been_listening() {
    let mut store = in_memory();
    accept(&mut store, draft(person(1)), 1, START);
    assert_eq!(claim(&mut store, START).len(), 1, "nobody knows: it is tried");
    listening(&mut store, START.minus(DAY), START);
    let refused = accept(&mut store, draft(person(2)), 2, START);
    assert_eq!((claim(&mut store, START).len(), status(&store, refused.id)), (0, Status::Refused));
    assert_verified(&store);
}

#[test]
fn a_held_message_goes_when_the_person_writes() {
    let mut store = in_memory().with_policy(Policy { outside_window: OutsideWindow::Hold, ..Policy::default() });
    listening(&mut store, START.minus(DAY), START);
    let held = accept(&mut store, draft(person(1)), 1, START);
    assert_eq!((claim(&mut store, START).len(), status(&store, held.id)), (0, Status::Held));
    assert_verified(&store);
    wrote(&mut store, 1, 1, "are you there?", at(60));
    assert_eq!(claim(&mut store, at(60)).len(), 1);
    assert_verified(&store);
}

#[test]
fn who_wrote_stop_gets_nothing_until_they_write_start() {
    let mut store = in_memory();
    wrote(&mut store, 1, 1, " STOP\n", START);
    let stopped = accept(&mut store, draft(person(1)), 1, START);
    assert_eq!((claim(&mut store, START).len(), status(&store, stopped.id)), (0, Status::Suppressed));
    let listed = store.read().and_then(|snapshot| snapshot.opted_out(0, 10)).expect("the disk works");
    assert_eq!(listed.rows.len(), 1);
    assert_verified(&store);
    wrote(&mut store, 2, 1, "start", at(60));
    accept(&mut store, draft(person(1)), 2, at(60));
    assert_eq!(claim(&mut store, at(60)).len(), 1);
    assert_verified(&store);
}

#[test]
fn a_refusal_of_marketing_stops_marketing_alone() {
    let mut store = in_memory();
    accept(&mut store, with_template(1, 1), 1, START);
    let claimed = claim(&mut store, START).remove(0);
    taken(&mut store, &claimed, 1, Word::Undelivered, Some(63_033), START);
    let marketing = Draft { category: bluetick::message::Category::Marketing, ..with_template(2, 1) };
    let marketing = accept(&mut store, marketing, 2, START);
    accept(&mut store, with_template(3, 1), 3, START);
    assert_eq!((claim(&mut store, START).len(), status(&store, marketing.id)), (1, Status::Suppressed));
    let name = person(1).to_string();
    let back = OptingOut { name, scope: None, note: None };
    assert!(matches!(one(&mut store, Write::OptOut(back), at(1)), Written::OptedOut(true)));
    assert_verified(&store);
}

#[test]
fn an_operator_opts_people_out_by_name() {
    let mut store = in_memory();
    let out = OptingOut { name: person(1).to_string(), scope: Some(OptOut::All), note: Some("by phone".into()) };
    assert!(matches!(one(&mut store, Write::OptOut(out.clone()), START), Written::OptedOut(true)));
    assert!(matches!(one(&mut store, Write::OptOut(out), START), Written::OptedOut(false)));
    let suppressed = accept(&mut store, draft(person(1)), 1, START);
    assert_eq!((claim(&mut store, START).len(), status(&store, suppressed.id)), (0, Status::Suppressed));
    assert_verified(&store);
}

#[test]
fn a_broken_template_waits_and_the_others_go_on() {
    let mut store = in_memory();
    accept(&mut store, with_template(1, 1), 1, START);
    let broken = claim(&mut store, START).remove(0);
    taken(&mut store, &broken, 1, Word::Failed, Some(63_041), START);
    assert_eq!(status(&store, broken.id), Status::Held);
    let second = accept(&mut store, with_template(1, 2), 2, START);
    let other = accept(&mut store, with_template(2, 3), 3, START);
    let claimed = claim(&mut store, at(1));
    assert_eq!(claimed.iter().map(|message| message.id).collect::<Vec<_>>(), [other.id]);
    assert_eq!(status(&store, second.id), Status::Held);
    assert_verified(&store);

    assert!(matches!(one(&mut store, Write::Resume(Scope::Template(template(1).sid)), at(2)), Written::Resumed(true)));
    while store.is_behind() {
        store.commit(Vec::new(), at(2)).expect("the disk works");
    }
    assert_eq!(claim(&mut store, at(2)).len(), 2);
    assert_verified(&store);
}

#[test]
fn a_paused_template_is_probed_by_the_next_message_and_resumes_when_it_arrives() {
    let mut store = in_memory();
    accept(&mut store, with_template(1, 1), 1, START);
    let broken = claim(&mut store, START).remove(0);
    taken(&mut store, &broken, 1, Word::Failed, Some(63_041), START);
    accept(&mut store, with_template(1, 2), 2, at(31));
    let probe = claim(&mut store, at(31)).remove(0);
    accept(&mut store, with_template(1, 3), 3, at(31));
    assert_eq!(claim(&mut store, at(32)).len(), 0, "one probe at a time");
    taken(&mut store, &probe, 2, Word::Sent, None, at(33));
    assert!(store.read().and_then(|snapshot| snapshot.active_pauses()).expect("the disk works").is_empty());
    while store.is_behind() {
        store.commit(Vec::new(), at(33)).expect("the disk works");
    }
    assert_eq!(claim(&mut store, at(33)).len(), 2, "the first and the third");
    assert_verified(&store);
}

#[test]
fn a_broken_sender_waits_probes_one_by_one_and_fails_nothing() {
    let mut store = in_memory();
    for number in 1..=4 {
        accept(&mut store, draft(person(number)), u64::from(number), START);
    }
    let claimed = claim_some(&mut store, 1, START).remove(0);
    taken(&mut store, &claimed, 1, Word::Failed, Some(63_007), START);
    assert_eq!(status(&store, claimed.id), Status::Pending);
    let sendable = |store: &Store| store.read().and_then(|snapshot| snapshot.sendable()).expect("the disk works");
    assert_eq!(sendable(&store), [(1, at(30))]);
    assert_eq!(claim(&mut store, at(29)).len(), 0);
    let probe = claim(&mut store, at(30));
    assert_eq!(probe.len(), 1);
    taken(&mut store, &probe[0], 2, Word::Failed, Some(63_007), at(30));
    assert_eq!(sendable(&store), [(1, at(90))], "twice as long");
    let probe = claim(&mut store, at(90)).remove(0);
    taken(&mut store, &probe, 3, Word::Sent, None, at(90));
    assert_eq!(claim(&mut store, at(90)).len(), 3);
    assert_verified(&store);
}

#[test]
fn late_news_of_a_failure_does_not_pause_again() {
    let mut store = in_memory();
    for number in 1..=2 {
        accept(&mut store, draft(person(number)), u64::from(number), START);
    }
    let claimed = claim(&mut store, START);
    taken(&mut store, &claimed[0], 1, Word::Failed, Some(63_007), START);
    one(&mut store, Write::Resume("sender:whatsapp:+15550001111".parse().expect("a scope")), at(1));
    taken(&mut store, &claimed[1], 2, Word::Failed, Some(63_007), at(2));
    assert!(store.read().and_then(|snapshot| snapshot.active_pauses()).expect("the disk works").is_empty());
}

#[test]
fn the_big_switch_stops_everything_until_it_is_turned_back() {
    let mut store = in_memory();
    accept(&mut store, draft(person(1)), 1, START);
    one(&mut store, Write::Pause(Scope::All, Cause::Operator(Some("fire drill".into()))), START);
    assert_eq!(claim(&mut store, at(3_600)).len(), 0);
    assert!(store.read().and_then(|snapshot| snapshot.sendable()).expect("the disk works").is_empty());
    assert!(matches!(one(&mut store, Write::Resume(Scope::All), at(3_600)), Written::Resumed(true)));
    assert!(matches!(one(&mut store, Write::Resume(Scope::All), at(3_600)), Written::Resumed(false)));
    assert_eq!(claim(&mut store, at(3_600)).len(), 1);
}

#[test]
fn whoever_waits_can_be_held_released_and_canceled() {
    let mut store = in_memory();
    let id = accept(&mut store, draft(person(1)), 1, START).id;
    let mut steer = |to| one(&mut store, Write::Steer(Steer { id, to, source: Source::Operator }), START);
    assert!(matches!(steer(Direction::Release), Written::TooLate(_)));
    assert!(matches!(steer(Direction::Hold), Written::Steered(message) if message.status() == Status::Held));
    assert!(matches!(steer(Direction::Hold), Written::TooLate(_)));
    assert!(matches!(steer(Direction::Release), Written::Steered(message) if message.status() == Status::Pending));
    assert!(matches!(steer(Direction::Hold), Written::Steered(_)));
    assert!(matches!(steer(Direction::Cancel), Written::Steered(message) if message.status() == Status::Canceled));
    assert!(matches!(steer(Direction::Release), Written::TooLate(_)));
    assert_eq!(claim(&mut store, START).len(), 0);
    assert_verified(&store);
}

#[test]
fn a_pause_a_hold_and_an_opt_out_survive_a_restart() {
    let folder = crate::support::Folder::new();
    let mut store = folder.store();
    accept(&mut store, with_template(1, 1), 1, START);
    let broken = claim(&mut store, START).remove(0);
    taken(&mut store, &broken, 1, Word::Failed, Some(63_041), START);
    wrote(&mut store, 1, 2, "stop", START);
    drop(store);
    let mut store = folder.store();
    accept(&mut store, with_template(1, 3), 2, START);
    let suppressed = accept(&mut store, draft(person(2)), 3, START);
    assert_eq!((claim(&mut store, at(1)).len(), status(&store, suppressed.id)), (0, Status::Suppressed));
    assert_eq!(status(&store, broken.id), Status::Held);
    assert_verified(&store);
}

#[test]
fn a_message_nobody_knows_cannot_be_steered() {
    let mut store = in_memory();
    let accept = Accept { draft: draft(person(1)), random: random(5), key: None };
    let Written::Accepted(message) = one(&mut store, Write::Accept(Box::new(accept)), START) else { panic!("no") };
    let unknown = MessageId([9; 16]);
    let steer = Steer { id: unknown, to: Direction::Hold, source: Source::Api };
    assert!(matches!(one(&mut store, Write::Steer(steer), START), Written::NotFound));
    assert_eq!(status(&store, message.id), Status::Pending);
}
