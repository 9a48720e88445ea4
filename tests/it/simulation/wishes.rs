//! What the app asks for, and what an operator does in between.

use std::time::Duration;

use bluetick::clock::Time;
use bluetick::message::{Address, Category, Content, Draft, MessageId, OnUnknown, OptOut, Priority, Source, Template};
use bluetick::pause::{Cause, Scope};
use bluetick::store::{Direction, OptingOut, Retry, Steer, Write};
use rand::RngExt;
use rand::rngs::StdRng;

use super::house::SENDERS;

/// One of a handful of people, so that they meet their own messages.
pub(super) fn person(dice: &mut StdRng) -> Address {
    Address::Phone(format!("+4915100000{:03}", dice.random_range(1..6)))
}

fn template(dice: &mut StdRng) -> Template {
    let number = dice.random_range(1..4);
    let variables = [("1".to_owned(), "Ada".to_owned()), ("2".to_owned(), dice.random_range(0..3).to_string())];
    Template { sid: format!("HX{number:032x}"), variables: variables.into() }
}

/// A few messages of all kinds; some say the same to the same person.
pub(super) fn drafts(dice: &mut StdRng, now: Time) -> Vec<Draft> {
    let count = dice.random_range(1..14);
    let mut drafts: Vec<Draft> = Vec::with_capacity(count);
    for number in 0..count {
        if number > 0 && dice.random_bool(0.1) {
            let twin = drafts[dice.random_range(0..number)].clone();
            drafts.push(twin);
            continue;
        }
        drafts.push(draft(dice, number, now));
    }
    drafts
}

fn draft(dice: &mut StdRng, number: usize, now: Time) -> Draft {
    let from = SENDERS[if dice.random_bool(0.15) { 2 } else { dice.random_range(0..2) }];
    let content = match dice.random_range(0..10) {
        0..4 => Content::Template(template(dice)),
        4 => Content::Media {
            urls: vec!["https://files.example.com/a.pdf".into()],
            caption: Some(format!("file {number}")),
        },
        _ => Content::Text(format!("message {number}")),
    };
    let mut draft = Draft::new(person(dice), Address::from_twilio(from), content);
    draft.fallback = (dice.random_bool(0.4) && !matches!(draft.content, Content::Template(_))).then(|| template(dice));
    draft.may_duplicate = dice.random_bool(0.3);
    draft.priority = [Priority::Normal, Priority::High, Priority::Bulk][dice.random_range(0..3)];
    draft.category = if dice.random_bool(0.2) { Category::Marketing } else { draft.category };
    draft.on_unknown = match dice.random_range(0..10) {
        0 => Some(OnUnknown::Hold),
        1 => Some(OnUnknown::Fail),
        _ => None,
    };
    let later = |dice: &mut StdRng, from: u64, to: u64| now.plus(Duration::from_secs(dice.random_range(from..to)));
    draft.send_at = dice.random_bool(0.1).then(|| later(dice, 1, 1_200));
    draft.expires_at = dice.random_bool(0.15).then(|| later(dice, 1_200, 4_000));
    draft
}

/// Something an operator does.
pub(super) fn meddle(dice: &mut StdRng, known: &[MessageId]) -> Option<Write> {
    let id = (!known.is_empty()).then(|| known[dice.random_range(0..known.len())]);
    let steer = |to| id.map(|id| Write::Steer(Steer { id, to, source: Source::Operator }));
    let sender = Scope::Sender(SENDERS[dice.random_range(0..2)].into());
    match dice.random_range(0..8) {
        0 => steer(Direction::Cancel),
        1 => steer(Direction::Hold),
        2 => Some(Write::Retry(Retry { ids: known.to_vec(), may_duplicate: false, source: Source::Operator })),
        3 => Some(Write::Pause(sender, Cause::Operator(None))),
        4 => Some(Write::Resume(sender)),
        5 => Some(Write::Pause(Scope::All, Cause::Operator(None))),
        6 => Some(Write::Resume(Scope::All)),
        _ => {
            let scope = [None, Some(OptOut::Marketing), Some(OptOut::All)][dice.random_range(0..3)];
            Some(Write::OptOut(OptingOut { name: person(dice).to_string(), scope, note: None }))
        }
    }
}
