//! What a message waits for, and how it ended, in words.

use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Time;
use crate::message::{Ending, Hold, Message, OptOut, Status};

/// What a held message waits for.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Held)]
pub(in crate::http) struct HeldView {
    /// `operator`, `window_closed`, `unknown` or `template`.
    #[schema(example = "window_closed")]
    reason: &'static str,
    /// The same for people.
    detail: String,
    /// When the person's 24-hour window closed, if that is why and they ever wrote.
    window_closed_at: Option<String>,
    /// The template that is paused, if that is why.
    template: Option<String>,
}

/// An end that was not Twilio's word.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Ended)]
pub(in crate::http) struct EndedView {
    /// `canceled`, `expired`, `suppressed`, `window_closed` or `given_up`.
    #[schema(example = "suppressed")]
    reason: &'static str,
    /// The same for people.
    detail: String,
    /// What the person does not want, if that is why: `all` or `marketing`.
    scope: Option<&'static str>,
    /// When the person's 24-hour window closed, if that is why and they ever wrote.
    window_closed_at: Option<String>,
}

impl HeldView {
    /// Nothing, if it is not held.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let why = message.hold.as_ref().filter(|_| message.status() == Status::Held)?;
        let (reason, closed_at, template) = match why {
            Hold::Operator => ("operator", None, None),
            Hold::WindowClosed { at } => ("window_closed", *at, None),
            Hold::Unknown => ("unknown", None, None),
            Hold::Template(sid) => ("template", None, Some(sid.clone())),
        };
        let window_closed_at = closed_at.map(|at| at.to_string());
        Some(Self { reason, detail: whole(&awaited(why)), window_closed_at, template })
    }
}

impl EndedView {
    /// Nothing, if it has not ended, or ended as Twilio said.
    pub(super) fn of(message: &Message) -> Option<Self> {
        // An arrival that was told late outdoes our own end.
        let ending = message.ending.filter(|_| !message.has_arrived())?;
        let ended =
            |reason, detail: &str| Self { reason, detail: detail.to_owned(), scope: None, window_closed_at: None };
        Some(match ending {
            Ending::Canceled => ended("canceled", "It was canceled while it waited."),
            Ending::Expired if is_late(message) => {
                ended("expired", "Its expires_at passed before it could be sent, and it must not come late.")
            }
            Ending::Expired => ended("expired", "Its attempts were used up: Twilio never took it."),
            Ending::Suppressed(scope) => Self { scope: Some(scope.as_str()), ..ended("suppressed", unwanted(scope)) },
            Ending::WindowClosed { at } => Self {
                detail: format!("{} Nothing was sent: there is no fallback template.", whole(&closed(at))),
                window_closed_at: at.map(|at| at.to_string()),
                ..ended("window_closed", "")
            },
            Ending::GivenUp => {
                ended("given_up", "Twilio has no trace of the last attempt, and on_unknown says not to send it again.")
            }
        })
    }
}

fn unwanted(scope: OptOut) -> &'static str {
    match scope {
        OptOut::All => "The person opted out of all messages, so it was not sent.",
        OptOut::Marketing => "The person opted out of marketing, so it was not sent.",
    }
}

/// Whether its time ran out, and not its attempts.
fn is_late(message: &Message) -> bool {
    message.draft.expires_at.is_some_and(|at| fact(message, "expired").unwrap_or(message.updated_at) >= at)
}

/// When it failed, if that is how it stands now.
pub(super) fn failed_at(message: &Message) -> Option<Time> {
    match (message.status(), message.ending) {
        (Status::Expired, _) => fact(message, "expired"),
        (Status::Refused, Some(_)) => fact(message, "window_closed"),
        (Status::Refused, None) => fact(message, "refused"),
        (Status::Twilio(word), None) if word.is_failure() => {
            // An earlier attempt may have failed in the same way, and been followed by this one.
            message.attempts.iter().rev().find_map(|attempt| attempt.time(&word))
        }
        (Status::Twilio(word), Some(_)) if word.is_failure() => fact(message, "given_up"),
        _ => None,
    }
}

/// When a fact last happened. A journal that was full did not keep it.
fn fact(message: &Message, name: &str) -> Option<Time> {
    message.journal.rows.iter().rev().find(|row| row.fact.name() == name).map(|row| row.at)
}

/// What a held message waits for, as one would say it.
pub(super) fn awaited(why: &Hold) -> String {
    match why {
        Hold::Operator => "somebody held it, until it is released".to_owned(),
        Hold::WindowClosed { at } => format!("{}; it goes when the person writes", closed(*at)),
        Hold::Unknown => {
            "an attempt got no answer and Twilio does not show it; release it to send it again, or cancel it".to_owned()
        }
        Hold::Template(sid) => format!("the template {sid} is paused; it goes when the pause is over"),
    }
}

/// Since when free text is not let through, as one would say it.
pub(super) fn closed(at: Option<Time>) -> String {
    at.map_or_else(
        || "the person has not written in the last 24 hours".to_owned(),
        |at| format!("the person's 24-hour window closed at {at}"),
    )
}

/// A part of a sentence as a whole one.
fn whole(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Address, Content, Draft, Fact, Form, MessageId, Source};

    const NOW: Time = Time(1_700_000_000_000);

    fn message(facts: impl IntoIterator<Item = Fact>) -> Message {
        let [to, from] = ["+4915100000001", "+15550001111"].map(|number| Address::Phone(number.into()));
        let mut draft = Draft::new(to, from, Content::Text("hello".into()));
        draft.expires_at = Some(Time(NOW.0 + 1_000));
        let mut message = Message::accept(MessageId([1; 16]), draft, 1, 1, NOW);
        for (number, fact) in facts.into_iter().enumerate() {
            message.apply(fact, Source::Job, Time(NOW.0 + number as i64));
        }
        message
    }

    fn ended(facts: impl IntoIterator<Item = Fact>) -> (&'static str, String, Option<Time>) {
        let message = message(facts);
        let ended = EndedView::of(&message).expect("it has ended");
        (ended.reason, ended.detail, failed_at(&message))
    }

    #[test]
    fn every_hold_says_what_it_waits_for() {
        let holds = [
            Hold::Operator,
            Hold::WindowClosed { at: Some(NOW) },
            Hold::WindowClosed { at: None },
            Hold::Unknown,
            Hold::Template("HX1".into()),
        ];
        let held = holds.map(|why| HeldView::of(&message([Fact::Held { why }])).expect("it is held"));
        insta::assert_snapshot!(held.map(|held| format!("{}: {}", held.reason, held.detail)).join("\n"), @"
        operator: Somebody held it, until it is released.
        window_closed: The person's 24-hour window closed at 2023-11-14T22:13:20.000Z; it goes when the person writes.
        window_closed: The person has not written in the last 24 hours; it goes when the person writes.
        unknown: An attempt got no answer and Twilio does not show it; release it to send it again, or cancel it.
        template: The template HX1 is paused; it goes when the pause is over.
        ");
        assert_eq!(HeldView::of(&message([])), None);
    }

    #[test]
    fn every_end_of_ours_says_why_and_when_it_failed() {
        let claimed = || Fact::Claimed { nonce: [1; 16], boot: 1, form: Form::AsAsked };
        let lost = || Fact::Unclear { attempt: 1, detail: "reset".into(), ask_at: NOW };
        let ends = [
            ended([Fact::Canceled]),
            ended([Fact::Expired]),
            ended([Fact::Suppressed { scope: OptOut::Marketing }]),
            ended([Fact::WindowClosed { at: Some(NOW) }]),
            ended([claimed(), lost(), Fact::Absent { attempt: 1 }, Fact::GivenUp { attempt: 1 }]),
        ];
        let shown = ends.map(|(reason, detail, at)| format!("{reason}: {detail} {:?}", at.map(|at| at.0 - NOW.0)));
        insta::assert_snapshot!(shown.join("\n"), @"
        canceled: It was canceled while it waited. None
        expired: Its attempts were used up: Twilio never took it. Some(0)
        suppressed: The person opted out of marketing, so it was not sent. None
        window_closed: The person's 24-hour window closed at 2023-11-14T22:13:20.000Z. Nothing was sent: there is no fallback template. Some(0)
        given_up: Twilio has no trace of the last attempt, and on_unknown says not to send it again. Some(3)
        ");
    }

    #[test]
    fn a_message_whose_time_ran_out_says_so() {
        let mut late = message([]);
        late.apply(Fact::Expired, Source::Job, Time(NOW.0 + 1_000));
        assert!(EndedView::of(&late).is_some_and(|ended| ended.detail.contains("expires_at")));
        assert_eq!(failed_at(&late), Some(Time(NOW.0 + 1_000)));
    }
}
