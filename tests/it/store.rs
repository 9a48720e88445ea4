//! P1, P5, P6: what is answered is kept, the numbers are exact, and a key is one send.

use bluetick::clock::{Clock, Time};
use bluetick::message::{
    AttemptId, Category, Content, Draft, Fact, MessageId, OnUnknown, OptOut, Origin, Policy, Source, Status, Template,
    Word,
};
use bluetick::metrics::Count;
use bluetick::pause::{Cause, Scope};
use bluetick::store::{
    Accept, Asked, Claim, Direction, Filter, Heard, IdempotencyKey, OptingOut, Options, Recover, Retry, Settle,
    Snapshot, Steer, Store, Tier, Turn, Write, Written,
};
use proptest::prelude::*;

use crate::support::{
    Folder, accept, assert_verified, claim, draft, get, in_memory, inbound, last_attempt, one, person, random, report,
    sent, sid,
};

const START: Time = Time(1_800_000_000_000);

fn read(store: &Store) -> Snapshot {
    store.read().expect("the disk works")
}

fn ever(store: &Store, count: Count) -> i64 {
    read(store).ever(1).expect("the disk works").get(count)
}

#[test]
fn a_message_is_followed_to_its_blue_ticks_and_counted_on_the_way() {
    let folder = Folder::new();
    let mut store = folder.store();
    let id = accept(&mut store, draft(person(1)), 1, START).id;
    assert_eq!((ever(&store, Count::Accepted), ever(&store, Count::Pending)), (1, 1));
    let attempt = last_attempt(&claim(&mut store, START)[0]);
    assert_eq!((ever(&store, Count::Pending), ever(&store, Count::InFlight)), (0, 1));
    one(&mut store, sent(attempt, sid(1)), START);
    for (word, after) in [(Word::Sent, 100), (Word::Delivered, 900), (Word::Read, 5_000)] {
        one(&mut store, report(Some(attempt), sid(1), word, None), Time(START.0 + after));
    }
    let message = get(&read(&store), id);
    assert_eq!(message.status(), Status::Twilio(Word::Read));
    let cell = read(&store).ever(1).expect("the disk works");
    assert_eq!([Count::Sent, Count::Delivered, Count::Read].map(|count| cell.get(count)), [1, 1, 1]);
    assert_eq!((cell.queue.count(), cell.delivery.percentile_ms(0.5)), (1, Some(808)));
    let types = read(&store).events(0, 100).expect("the disk works").into_iter().map(|event| event.told.name());
    let types = types.collect::<Vec<_>>();
    let told = ["pending", "in_flight", "queued", "sent", "delivered", "read"].map(|word| format!("message.{word}"));
    assert_eq!(types, told);
    assert_verified(&store);
}

#[test]
fn a_message_is_found_by_every_name_it_has() {
    let folder = Folder::new();
    let mut store = folder.store();
    let id = accept(&mut store, draft(person(1)), 1, START).id;
    let attempt = last_attempt(&claim(&mut store, START)[0]);
    let fact = Fact::Refused { attempt: 1, code: Some(63_016), detail: "window".into() };
    one(&mut store, Write::Settle(Settle { attempt, fact, source: Source::Job }), START);
    accept(&mut store, draft(person(2)), 2, Time(START.0 + 1));
    let found = |filter: Filter| {
        let page = read(&store).messages(&filter, None, 10).expect("the disk works");
        page.rows.iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(found(Filter::default()).len(), 2);
    assert_eq!(found(Filter { to: Some("+49 151 00000001".into()), ..Filter::default() }), [id]);
    assert_eq!(found(Filter { code: Some(63_016), ..Filter::default() }), [id]);
    assert_eq!(found(Filter { needs_attention: true, ..Filter::default() }), [id]);
    assert_eq!(found(Filter { statuses: ["refused".to_owned()].into(), ..Filter::default() }), [id]);
    assert_eq!(found(Filter { until: Some(Time(START.0 + 1)), ..Filter::default() }), [id]);
    assert_eq!(found(Filter { to: Some("+4915199999999".into()), ..Filter::default() }), []);
}

#[test]
fn pages_meet_without_gap_or_overlap() {
    let folder = Folder::new();
    let mut store = folder.store();
    let ids = (0..25).map(|number| accept(&mut store, draft(person(1)), number, Time(START.0 + number as i64)).id);
    let mut ids = ids.collect::<Vec<_>>();
    ids.reverse();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = read(&store).messages(&Filter::default(), cursor, 10).expect("the disk works");
        seen.extend(page.rows.iter().map(|message| message.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
}

#[test]
fn one_key_is_one_send_and_another_body_under_it_is_refused() {
    let folder = Folder::new();
    let mut store = folder.store();
    let write = |number, request, draft| {
        let key = Some(IdempotencyKey { key: [1; 32], request, kept_ms: 1_000 });
        Write::Accept(Box::new(Accept { draft, random: random(number), key }))
    };
    let writes = vec![write(1, [1; 32], draft(person(1))), write(2, [1; 32], draft(person(1)))];
    let written = store.commit(writes, START).expect("the disk works");
    let [Written::Accepted(first), Written::Replayed(second)] = &written[..] else { panic!("{written:?}") };
    assert_eq!(first.id, second.id);
    assert!(matches!(one(&mut store, write(3, [2; 32], draft(person(1))), START), Written::KeyReused));
    let later = one(&mut store, write(4, [2; 32], draft(person(1))), Time(START.0 + 1_000));
    assert!(matches!(later, Written::Accepted(_)), "a key is forgotten after its time");
    assert_eq!(ever(&store, Count::Accepted), 2);
    assert_verified(&store);
}

#[test]
fn a_callback_with_a_wrong_random_part_finds_nothing_of_ours() {
    let folder = Folder::new();
    let mut store = folder.store();
    let id = accept(&mut store, draft(person(1)), 1, START).id;
    let mut attempt = last_attempt(&claim(&mut store, START)[0]);
    attempt.nonce[15] ^= 1;
    let written = one(&mut store, report(Some(attempt), sid(1), Word::Read, None), START);
    assert!(matches!(written, Written::Adopted(_)));
    assert_eq!(get(&read(&store), id).status(), Status::InFlight);
    assert_verified(&store);
}

#[test]
fn a_message_sent_elsewhere_is_adopted_and_absorbed_when_an_attempt_of_ours_claims_its_sid() {
    let folder = Folder::new();
    let mut store = folder.store();
    let id = accept(&mut store, draft(person(1)), 1, START).id;
    let attempt = last_attempt(&claim(&mut store, START)[0]);
    let Written::Adopted(adopted) = one(&mut store, report(None, sid(5), Word::Delivered, None), START) else {
        panic!("nobody knew that SID");
    };
    assert_eq!(get(&read(&store), adopted.id).origin, Origin::External);
    assert_eq!(ever(&store, Count::Accepted), 2);
    one(&mut store, sent(attempt, sid(5)), START);
    let message = get(&read(&store), id);
    assert_eq!(message.status(), Status::Twilio(Word::Delivered));
    assert_eq!(get(&read(&store), adopted.id).id, id, "the old id leads to it");
    assert_eq!((ever(&store, Count::Accepted), ever(&store, Count::Delivered)), (1, 1));
    assert_verified(&store);
}

#[test]
fn an_inbound_message_is_stored_once_and_opens_the_window() {
    let folder = Folder::new();
    let mut store = folder.store();
    let from = "whatsapp:+4915100000001";
    let writes = (0..64).map(|_| inbound(9, from, &[])).collect();
    let written = store.commit(writes, START).expect("the disk works");
    assert_eq!(written.iter().filter(|written| matches!(written, Written::Received(true))).count(), 1);
    assert!(matches!(one(&mut store, inbound(9, from, &[]), Time(START.0 + 50)), Written::Received(false)));
    let person = read(&store).person(from).expect("the disk works").expect("they wrote");
    assert_eq!(person.contact.last_inbound_at(), Some(START));
    assert_eq!(person.cell.get(Count::Inbound), 1);
    assert_eq!(read(&store).last_event().expect("the disk works"), 1);
    assert_verified(&store);
}

#[test]
fn a_phone_and_a_user_id_that_turn_out_to_be_one_person_are_merged() {
    let folder = Folder::new();
    let mut store = folder.store();
    let (phone, user) = ("whatsapp:+4915100000001", "whatsapp:DE.777");
    accept(&mut store, draft(person(1)), 1, START);
    one(&mut store, inbound(1, user, &[]), START);
    accept(&mut store, draft(user.parse().expect("a user id")), 2, START);
    assert_ne!(read(&store).person(phone).expect("read"), read(&store).person(user).expect("read"));
    one(&mut store, inbound(2, phone, &[user]), Time(START.0 + 5));
    let one_person = read(&store).person(phone).expect("read").expect("known");
    assert_eq!(read(&store).person(user).expect("read"), Some(one_person.clone()));
    assert_eq!(one_person.cell.get(Count::Accepted), 2);
    assert_eq!(one_person.cell.get(Count::Inbound), 2);
    assert_verified(&store);
}

#[test]
fn only_a_message_that_waits_for_its_first_attempt_can_be_canceled() {
    let folder = Folder::new();
    let mut store = folder.store();
    let first = accept(&mut store, draft(person(1)), 1, START).id;
    let cancel = |id| Write::Steer(Steer { id, to: Direction::Cancel, source: Source::Api });
    assert!(matches!(one(&mut store, cancel(first), START), Written::Steered(_)));
    assert!(claim(&mut store, START).is_empty());
    let second = accept(&mut store, draft(person(1)), 2, START).id;
    claim(&mut store, START);
    assert!(matches!(one(&mut store, cancel(second), START), Written::TooLate(_)));
    assert!(matches!(one(&mut store, cancel(MessageId([0; 16])), START), Written::NotFound));
    assert_verified(&store);
}

#[test]
fn after_a_start_attempts_without_an_owner_are_unknown_and_stay_visible() {
    let folder = Folder::new();
    let mut store = folder.store();
    let id = accept(&mut store, draft(person(1)), 1, START).id;
    claim(&mut store, START);
    drop(store);
    let mut store = folder.store();
    let recover = |boot| Write::Recover(Recover { boot });
    assert!(matches!(one(&mut store, recover(7), START), Written::Recovered(0)), "its owner still lives");
    assert!(matches!(one(&mut store, recover(8), START), Written::Recovered(1)));
    assert_eq!(get(&read(&store), id).status(), Status::Unknown);
    assert_eq!(ever(&store, Count::Unknown), 1);
    assert!(claim(&mut store, Time(START.0 + 1_000_000)).is_empty(), "it is never blindly sent again");
    assert_verified(&store);
}

#[test]
fn a_message_whose_time_ran_out_is_not_sent() {
    let folder = Folder::new();
    let mut store = folder.store();
    let mut late = draft(person(1));
    late.expires_at = Some(Time(START.0 + 10));
    let id = accept(&mut store, late, 1, START).id;
    assert!(claim(&mut store, Time(START.0 + 10)).is_empty());
    assert_eq!(get(&read(&store), id).status(), Status::Expired);
    assert_verified(&store);
}

#[test]
fn the_clock_set_back_never_takes_ids_or_dates_back() {
    let folder = Folder::new();
    let mut store = folder.store();
    let first = accept(&mut store, draft(person(1)), 1, START);
    let second = accept(&mut store, draft(person(1)), 2, Time(START.0 - 3_600_000));
    assert!(second.accepted_at >= first.accepted_at && second.id > first.id);
}

#[test]
fn a_second_store_on_the_same_file_is_refused_with_advice() {
    let folder = Folder::new();
    let _store = folder.store();
    let error = Store::open(&folder.0.join(bluetick::store::FILE), 16 << 20).err().map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.contains("another bluetick")));
}

#[test]
fn the_log_of_sums_is_folded_when_it_speaks_of_many_and_the_numbers_stay() {
    let mut store = in_memory();
    let many = 20_000_u32;
    for chunk in (0..many).collect::<Vec<_>>().chunks(1_000) {
        let accept = |number: &u32| {
            let (draft, random) = (draft(person(*number)), random(u64::from(*number)));
            Write::Accept(Box::new(Accept { draft, random, key: None }))
        };
        store.commit(chunk.iter().map(accept).collect(), START).expect("memory can be written");
    }
    for number in [0, many / 2, many - 1] {
        let known = read(&store).person(&person(number).to_string()).expect("read").expect("known");
        assert_eq!(
            (known.cell.get(Count::Accepted), known.newest.map(|(_, status)| status)),
            (1, Some(Status::Pending))
        );
    }
    assert_verified(&store);
}

#[test]
fn a_commit_that_folds_the_logs_and_adds_nothing_to_them_leaves_them_readable() {
    let mut store = in_memory();
    for number in 0..64 {
        accept(&mut store, draft(person(1)), number, START);
    }
    one(&mut store, Write::Introduce(Vec::new()), START);
    assert_verified(&store);
    assert_eq!(ever(&store, Count::Accepted), 64);
}

#[test]
fn a_sid_that_two_messages_claim_stays_with_the_first() {
    let folder = Folder::new();
    let mut store = folder.store();
    let ids = [1, 2].map(|number| accept(&mut store, draft(person(number)), u64::from(number), START).id);
    for message in claim(&mut store, START) {
        one(&mut store, sent(last_attempt(&message), sid(5)), START);
    }
    let found = read(&store).message_by_sid(sid(5)).expect("read").expect("known");
    assert_eq!(found.id, ids[0]);
    assert_verified(&store);
}

#[test]
fn two_claims_of_one_batch_do_not_claim_the_same_message() {
    let folder = Folder::new();
    let mut store = folder.store();
    accept(&mut store, draft(person(1)), 1, START);
    let claim = || {
        let turns = vec![Turn { sender: 1, at_most: 9 }];
        Write::Claim(Claim { turns, slots: 9, boot: 7, seed: [3; 32] })
    };
    let written = store.commit(vec![claim(), claim()], START).expect("the disk works");
    let [Written::Claimed(first), Written::Claimed(second)] = &written[..] else { panic!("{written:?}") };
    assert_eq!((first.messages.len(), second.messages.len()), (1, 0));
    assert_verified(&store);
}

#[test]
fn days_are_the_sums_of_their_hours() {
    let folder = Folder::new();
    let mut store = folder.store();
    for number in 0..50 {
        accept(&mut store, draft(person(1)), number, Time(START.0 + number as i64 * 3_600_000));
    }
    let (from, to) = (Time(START.0 - 86_400_000), Time(START.0 + 30 * 86_400_000));
    let sum = |tier| {
        let cells = read(&store).cells(1, tier, from, to).expect("the disk works");
        (cells.len(), cells.iter().map(|(_, cell)| cell.get(Count::Accepted)).sum::<i64>())
    };
    assert_eq!((sum(Tier::Hour), sum(Tier::Day).1), ((50, 50), 50));
}

#[tokio::test]
async fn writers_are_answered_after_their_commit_and_refused_when_closed() {
    let folder = Folder::new();
    let options = Options { dir: folder.0.clone(), ..Options::default() };
    let (handle, thread) = bluetick::store::start(
        &options,
        bluetick::archive::Shelf::beside(&options.dir),
        Policy::default(),
        Clock::System,
    )
    .expect("a fresh folder");
    let accept = Accept { draft: draft(person(1)), random: random(1), key: None };
    let Ok(Written::Accepted(message)) = handle.write(Write::Accept(Box::new(accept.clone()))).await else {
        panic!("not accepted");
    };
    assert!(handle.read().expect("read").message(message.id).expect("read").is_some());
    assert_eq!(*handle.wake().newest.borrow(), 1);
    handle.close();
    let refused = handle.write(Write::Accept(Box::new(accept))).await;
    assert_eq!(refused.err(), Some(bluetick::store::StoreError::Closed));
    thread.join().expect("the writer ends when it is closed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn whatever_happens_the_numbers_are_a_fold_of_the_records(
        steps in proptest::collection::vec((0u8..17, 0usize..12, 0u64..8, 0u32..3), 1..160)
    ) {
        let mut store = in_memory();
        let (mut ids, mut attempts, mut now) = (Vec::new(), Vec::<AttemptId>::new(), START);
        let codes = [63_018, 63_016, 63_041, 63_007, 63_033, 30_008, 21_610, 63_024];
        let words = ["queued", "sent", "delivered", "read", "failed", "undelivered", "strange"].map(Word::parse);
        for (number, (kind, pick, which, code)) in steps.into_iter().enumerate() {
            now = Time(now.0 + i64::from(code) * 1_900_000);
            let number = number as u64;
            let attempt = (!attempts.is_empty()).then(|| attempts[pick % attempts.len()]);
            let word = words[which as usize % words.len()].clone();
            // Twilio never gives a SID twice; it may tell of one before we know whose it is, or of none of ours.
            let own = attempt.map_or(sid(which), |attempt| sid(1_000 + u64::from(attempt.message.0[15]) * 256 + u64::from(attempt.number)));
            match (kind, attempt) {
                (0 | 1, _) => ids.push(accept(&mut store, wish(code, which), number, now).id),
                (2, _) => attempts.extend(claim(&mut store, now).iter().map(last_attempt)),
                (3, Some(attempt)) => drop(one(&mut store, sent(attempt, own), now)),
                (4, Some(attempt)) => {
                    let fact = Fact::Unclear { attempt: attempt.number, detail: "reset".into(), ask_at: now };
                    one(&mut store, Write::Settle(Settle { attempt, fact, source: Source::Job }), now);
                }
                (5, Some(attempt)) => {
                    let fact = Fact::NotProcessed { attempt: attempt.number, detail: "429".into(), retry_at: now };
                    one(&mut store, Write::Settle(Settle { attempt, fact, source: Source::Job }), now);
                }
                (6, Some(attempt)) => {
                    drop(one(&mut store, report(Some(attempt), own, word, Some(codes[pick % codes.len()])), now));
                }
                (7, _) => drop(one(&mut store, report(None, if pick % 2 == 0 { own } else { sid(which) }, word, Some(code)), now)),
                (8, _) => {
                    let from = format!("whatsapp:+49151{code:08}");
                    let user = format!("whatsapp:DE.{}", which % 3);
                    let Write::Receive(mut letter) = inbound(number + 100, &from, &[&user]) else { unreachable!() };
                    letter.body = ["hi", "stop", "START"][pick % 3].into();
                    (letter.source, letter.at) = if which > 5 { (Source::Poll, now) } else { (Source::Callback, now) };
                    one(&mut store, Write::Receive(letter), now);
                }
                (10, _) if !ids.is_empty() => {
                    let to = if which < 4 { Direction::Hold } else { Direction::Release };
                    one(&mut store, Write::Steer(Steer { id: ids[pick % ids.len()], to, source: Source::Operator }), now);
                }
                (11, Some(attempt)) => {
                    let heard = match which {
                        0..3 => Heard::NotListed,
                        3 => Heard::Nothing,
                        _ => Heard::Told { sid: own, word, code: Some(codes[pick % codes.len()]) },
                    };
                    one(&mut store, Write::Ask(Asked { attempt, heard, at: now }), now);
                }
                (12, _) => {
                    let (ids, may_duplicate) = (ids.clone(), which > 3);
                    one(&mut store, Write::Retry(Retry { ids, may_duplicate, source: Source::Operator }), now);
                }
                (13, _) => {
                    let template = Scope::Template(format!("HX{which:032x}"));
                    let scope = [Scope::All, Scope::Sender("whatsapp:+15550001111".into()), template][pick % 3].clone();
                    one(&mut store, Write::Pause(scope, Cause::Operator(None)), now);
                }
                (14, _) => {
                    let scopes = store.read().and_then(|snapshot| snapshot.active_pauses()).expect("the disk works");
                    for paused in scopes {
                        one(&mut store, Write::Resume(paused.scope), now);
                    }
                }
                (15, _) => {
                    let scope = [None, Some(OptOut::Marketing), Some(OptOut::All)][pick % 3];
                    let name = format!("whatsapp:+49151{code:08}");
                    one(&mut store, Write::OptOut(OptingOut { name, scope, note: None }), now);
                }
                (16, _) => drop(one(&mut store, Write::Recover(Recover { boot: which }), now)),
                (9, _) if !ids.is_empty() => {
                    one(&mut store, Write::Steer(Steer { id: ids[pick % ids.len()], to: Direction::Cancel, source: Source::Api }), now);
                }
                _ => {}
            }
        }
        while store.is_behind() {
            store.commit(Vec::new(), now).expect("the disk works");
        }
        assert_verified(&store);
        let snapshot = store.read().expect("the disk works");
        for message in snapshot.messages(&Filter::default(), None, 1_000).expect("the disk works").rows {
            let moves = message.next.is_some() || message.is_in_flight() || message.hold.is_some();
            prop_assert!(moves || message.is_settled() || is_out_of_patience(&message, now), "stuck: {message:?}");
        }
    }
}

/// Twilio is asked about an attempt for seven days.
fn is_out_of_patience(message: &bluetick::message::Message, now: Time) -> bool {
    message.attempts.last().is_some_and(|attempt| now.since(attempt.started_at).as_secs() >= 7 * 24 * 3_600)
}

/// Sends of every kind that the gate tells apart.
fn wish(to: u32, which: u64) -> Draft {
    let template = Template { sid: format!("HX{which:032x}"), variables: Default::default() };
    let draft = draft(person(to));
    match which {
        0 | 1 => Draft { content: Content::Template(template), ..draft },
        2 | 3 => Draft { fallback: Some(template), may_duplicate: true, ..draft },
        4 => Draft { category: Category::Marketing, on_unknown: Some(OnUnknown::Hold), ..draft },
        5 => Draft { on_unknown: Some(OnUnknown::Fail), ..draft },
        _ => draft,
    }
}
