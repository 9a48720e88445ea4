//! P4: receipts converge, whatever order callbacks come in and however often.

use bluetick::clock::Time;
use bluetick::message::{Fact, Form, Message, MessageId, Policy, Source, Status, Word};
use proptest::prelude::*;

use crate::support::{draft, person, sid};

const ROUNDS: u32 = 20_000;
/// Each round tries this many orders: 100,000 in all.
const ORDERS: usize = 5;

fn claimed(attempts: u8) -> Message {
    let mut message = Message::accept(MessageId::new(Time(1), [1; 10]), draft(person(1)), 1, 1, Time(1));
    for number in 1..=attempts {
        message.apply(Fact::Claimed { nonce: [number; 16], boot: 1, form: Form::AsAsked }, Source::Job, Time(2));
        message.apply(Fact::Unclear { attempt: number, detail: "reset".into(), ask_at: Time(9) }, Source::Job, Time(3));
    }
    message
}

fn reported(attempt: u8, word: Word, code: Option<u32>) -> Fact {
    Fact::Reported { attempt, sid: sid(u64::from(attempt)), word, code }
}

/// Takes in what a callback tells and does what follows from it, as the store does.
fn tell(message: &mut Message, fact: Fact) {
    message.apply(fact, Source::Callback, Time(10));
    if let Some(next) = message.follow_up(&Policy::default(), Time(10), 0.5) {
        message.apply(next, Source::Job, Time(10));
    }
}

/// What is told of a message, without when it was told and how often, and whether Twilio is asked on.
fn essence(message: &Message) -> impl PartialEq + std::fmt::Debug {
    let receipts = message.attempts.iter().map(|attempt| {
        let words = attempt.receipt.history().map(|(word, _)| word).collect::<Vec<_>>();
        (attempt.number, words, attempt.receipt.codes.clone(), attempt.receipt.sids.clone(), attempt.handing.clone())
    });
    let next = message.next.map(|next| next.step);
    (message.status(), message.code(), message.is_duplicate(), next, receipts.collect::<Vec<_>>())
}

fn callbacks() -> impl Strategy<Value = (u8, Vec<Fact>)> {
    let words = ["queued", "sending", "sent", "delivered", "read", "failed", "undelivered", "no_such_word"];
    (1u8..=3).prop_flat_map(move |attempts| {
        let one = (1..=attempts, proptest::sample::select(words.to_vec()), proptest::option::of(0u32..3));
        let one = one.prop_map(|(attempt, word, code)| reported(attempt, Word::parse(word), code));
        (Just(attempts), proptest::collection::vec(one, 1..10))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ROUNDS))]

    #[test]
    fn layer_6_replay_callbacks_in_any_order_any_number_of_times_end_in_one_record(
        (attempts, facts) in callbacks(),
        seeds in proptest::collection::vec(any::<u64>(), ORDERS),
    ) {
        let mut straight = claimed(attempts);
        for fact in &facts {
            tell(&mut straight, fact.clone());
        }
        for seed in seeds {
            let mut shuffled = claimed(attempts);
            for fact in shuffle(&facts, seed) {
                tell(&mut shuffled, fact);
            }
            prop_assert_eq!(essence(&straight), essence(&shuffled));
            prop_assert_eq!(shuffled.replay(), shuffled);
        }
    }
}

/// Every fact once, twice or thrice, in an order that the seed chooses.
fn shuffle(facts: &[Fact], mut seed: u64) -> Vec<Fact> {
    let mut dice = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let mut all = Vec::new();
    for fact in facts {
        for _ in 0..=dice() % 3 {
            all.insert(dice() % (all.len() + 1), fact.clone());
        }
    }
    all
}

#[test]
fn read_after_delivered_counts_and_a_late_sent_undoes_nothing() {
    let mut message = claimed(1);
    for word in [Word::Delivered, Word::Read, Word::Sent] {
        message.apply(reported(1, word, None), Source::Callback, Time(5));
    }
    assert_eq!(message.status(), Status::Twilio(Word::Read));
}

#[test]
fn a_callback_before_the_answer_is_bound_and_the_answer_changes_nothing() {
    let mut message = Message::accept(MessageId::new(Time(1), [1; 10]), draft(person(1)), 1, 1, Time(1));
    message.apply(Fact::Claimed { nonce: [1; 16], boot: 1, form: Form::AsAsked }, Source::Job, Time(2));
    message.apply(reported(1, Word::Delivered, None), Source::Callback, Time(3));
    assert_eq!((message.status(), message.sid()), (Status::Twilio(Word::Delivered), Some(sid(1))));
    let answer = Fact::Sent { attempt: 1, sid: sid(1), word: Word::Queued, ask_at: Time(99) };
    message.apply(answer, Source::Job, Time(4));
    assert_eq!((message.status(), message.is_duplicate()), (Status::Twilio(Word::Delivered), false));
}

#[test]
fn a_repeated_callback_raises_the_count_of_its_row_and_tells_nobody() {
    let mut message = claimed(1);
    assert!(message.apply(reported(1, Word::Sent, None), Source::Callback, Time(5)).grew);
    assert!(!message.apply(reported(1, Word::Sent, None), Source::Callback, Time(8)).grew);
    let row = message.journal.rows.last().expect("it was written down");
    assert_eq!((row.count, row.at, row.last_at), (2, Time(5), Time(8)));
}

#[test]
fn an_unclear_answer_is_never_sent_again_and_a_callback_clears_it_up() {
    let mut message = claimed(1);
    assert_eq!(message.status(), Status::Unknown);
    assert_ne!(message.next.map(|next| next.step), Some(bluetick::message::Step::Send));
    message.apply(reported(1, Word::Sent, None), Source::Callback, Time(5));
    assert_eq!(message.status(), Status::Twilio(Word::Sent));
}

#[test]
fn two_attempts_that_both_arrive_are_a_duplicate() {
    let mut message = claimed(2);
    message.apply(reported(1, Word::Delivered, None), Source::Callback, Time(5));
    assert!(!message.is_duplicate());
    message.apply(reported(2, Word::Delivered, None), Source::Callback, Time(6));
    assert!(message.is_duplicate() && message.needs_attention());
}

#[test]
fn a_word_we_do_not_know_outdoes_no_arrival_of_another_attempt() {
    let mut message = claimed(2);
    message.apply(reported(1, Word::Read, None), Source::Callback, Time(5));
    message.apply(reported(2, Word::parse("strange"), None), Source::Callback, Time(6));
    assert_eq!(message.status(), Status::Twilio(Word::Read));
}

#[test]
fn a_journal_keeps_so_many_rows_and_counts_the_rest() {
    let mut message = claimed(1);
    for code in 0..200 {
        message.apply(reported(1, Word::Failed, Some(code)), Source::Callback, Time(5));
    }
    assert_eq!(message.journal.rows.len(), bluetick::message::MAX_ROWS);
    assert_eq!(message.journal.dropped, 203 - 64);
}
