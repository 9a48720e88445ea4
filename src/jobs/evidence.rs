//! Which of the messages that Twilio lists are ours: the evidence about attempts whose answer was lost.
//!
//! Invariant: pure, and never a guess. An attempt is found if one listed message can be it and no other attempt; it is
//! not listed only if the list is whole and nothing in it can be it. Everything else leaves it open.

use std::time::Duration;

use crate::clock::Time;
use crate::message::{AttemptId, Content, Sid, Word};
use crate::store::{Asked, Heard};
use crate::twilio::wire::MessageResource;

/// Twilio's clock shows whole seconds, and is asked across a network.
const EARLIER: Duration = Duration::from_secs(2);
/// Twilio may have taken its time with a request whose answer was lost.
const LATER: Duration = Duration::from_secs(60);

/// An attempt that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub attempt: AttemptId,
    /// What it says.
    pub content: Content,
    /// The person, in Twilio's words.
    pub to: String,
    /// Our sender, in Twilio's words, or a Messaging Service.
    pub from: String,
    /// When its intent was stored.
    pub started_at: Time,
    /// When its answer was known to be lost; nothing while its request is at work.
    pub answered_at: Option<Time>,
}

impl Wanted {
    /// Its text; nothing for a template, whose words only Twilio knows.
    fn body(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            Content::Media { caption, .. } => Some(caption.as_deref().unwrap_or_default()),
            Content::Template(_) | Content::Elsewhere | Content::Forgotten { .. } => None,
        }
    }
}

/// What Twilio listed of one person's messages.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The messages.
    pub messages: Vec<MessageResource>,
    /// Whether nothing that could matter was left out.
    pub is_whole: bool,
    /// Milliseconds that Twilio's clock is ahead of ours.
    pub ahead_ms: i64,
    /// When it was asked for.
    pub asked_at: Time,
}

impl Listed {
    /// Says of every attempt whose answer was lost what the list proves. `wanted` are all attempts to that person of which
    /// nobody knows yet whether Twilio has them; `is_ours` knows the SIDs that belong to attempts of ours already.
    pub fn judge(&self, wanted: &[Wanted], is_ours: impl Fn(Sid) -> bool) -> Vec<Asked> {
        let is_free = |found: &&MessageResource| found.sid().is_some_and(|sid| !is_ours(sid)) && !was_refused(found);
        let free: Vec<_> = self.messages.iter().filter(is_free).collect();
        let mut wanted: Vec<_> = wanted.iter().collect();
        wanted.sort_by_key(|wanted| wanted.started_at);
        let candidates: Vec<Vec<&MessageResource>> = wanted
            .iter()
            .map(|wanted| free.iter().copied().filter(|found| self.could_be(found, wanted)).collect())
            .collect();
        let is_lost = |number: &usize| wanted[*number].answered_at.is_some();
        let judge = |number: usize| Asked {
            attempt: wanted[number].attempt,
            heard: self.verdict(number, &wanted, &candidates),
            at: self.asked_at,
        };
        (0..wanted.len()).filter(is_lost).map(judge).collect()
    }

    fn verdict(&self, number: usize, wanted: &[&Wanted], candidates: &[Vec<&MessageResource>]) -> Heard {
        let own = &candidates[number];
        if own.is_empty() {
            return if self.is_whole { Heard::NotListed } else { Heard::Nothing };
        }
        if own.iter().any(|found| is_redacted(found, wanted[number])) {
            return Heard::Nothing;
        }
        // The same words to the same person: as many attempts as messages are matched in order. Fewer are left open, and
        // so are different words that nobody can tell apart, or a message that may be of a request still at work.
        let rivals: Vec<usize> = (0..wanted.len())
            .filter(|other| candidates[*other].iter().any(|found| own.iter().any(|mine| mine.sid == found.sid)))
            .collect();
        let is_like =
            |other: &usize| wanted[*other].content == wanted[number].content && sids(&candidates[*other]) == sids(own);
        let is_one_set = rivals.iter().all(is_like);
        let place = rivals.iter().position(|other| *other == number).unwrap_or(0);
        match (is_one_set && rivals.len() == own.len() && self.is_whole).then(|| by_age(own)[place]) {
            Some(found) => told(found).unwrap_or(Heard::Nothing),
            None => Heard::Nothing,
        }
    }

    fn could_be(&self, found: &MessageResource, wanted: &Wanted) -> bool {
        let is_ours = found.direction.as_deref().is_none_or(|direction| direction == "outbound-api");
        let is_sender = match wanted.from.starts_with("MG") {
            true => found.messaging_service_sid.as_ref().is_none_or(|service| *service == wanted.from),
            false => found.from.as_ref().is_none_or(|from| *from == wanted.from),
        };
        let body = found.body.as_deref().unwrap_or_default();
        let is_body = wanted.body().is_none_or(|wanted| wanted == body || body.is_empty());
        let first = wanted.started_at.minus(EARLIER).0 + self.ahead_ms;
        let last = wanted.answered_at.unwrap_or(self.asked_at).plus(LATER).0 + self.ahead_ms;
        let is_time = found.created_ms().is_none_or(|at| (first..=last).contains(&at));
        is_ours && is_sender && is_body && is_time && found.to.as_ref() == Some(&wanted.to)
    }
}

/// Whether it was turned away at the door: Twilio lists what it refuses, too, under a name that its answer does not tell.
/// Nothing went out, so it proves nothing of an attempt that may have; and it may as well be one whose refusal we know.
fn was_refused(found: &MessageResource) -> bool {
    let is_api_error = found.error_code.is_some_and(|code| (20_000..30_000).contains(&code));
    found.status == "failed" && found.date_sent.is_none() && is_api_error
}

/// Whether Twilio keeps no texts, so that nothing can be told by them.
fn is_redacted(found: &MessageResource, wanted: &Wanted) -> bool {
    let has_body = found.body.as_deref().is_some_and(|body| !body.is_empty());
    !has_body && wanted.body().is_some_and(|body| !body.is_empty())
}

fn sids<'a>(found: &[&'a MessageResource]) -> Vec<&'a str> {
    let mut sids: Vec<_> = found.iter().map(|found| found.sid.as_str()).collect();
    sids.sort_unstable();
    sids
}

fn by_age<'a>(found: &[&'a MessageResource]) -> Vec<&'a MessageResource> {
    let mut found = found.to_vec();
    found.sort_by(|a, b| (a.created_ms(), &a.sid).cmp(&(b.created_ms(), &b.sid)));
    found
}

/// What a listed message says of the attempt it is.
pub(super) fn told(found: &MessageResource) -> Option<Heard> {
    Some(Heard::Told { sid: found.sid()?, word: Word::parse(&found.status), code: found.error_code })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{MessageId, Template};
    use crate::twilio::wire::format_date;

    fn wanted(number: u8, body: &str) -> Wanted {
        Wanted {
            attempt: AttemptId { message: MessageId([number; 16]), number: 1, nonce: [number; 16] },
            content: Content::Text(body.into()),
            to: "whatsapp:+4915100000001".into(),
            from: "whatsapp:+15550001111".into(),
            started_at: Time(1_800_000_000_000),
            answered_at: Some(Time(1_800_000_030_000)),
        }
    }

    fn found(number: u8, body: &str, at_ms: i64) -> MessageResource {
        MessageResource {
            sid: format!("SM{number:032x}"),
            to: Some("whatsapp:+4915100000001".into()),
            from: Some("whatsapp:+15550001111".into()),
            body: Some(body.into()),
            status: "sent".into(),
            direction: Some("outbound-api".into()),
            date_created: Some(format_date(at_ms)),
            ..MessageResource::default()
        }
    }

    fn listed(messages: Vec<MessageResource>) -> Listed {
        Listed { messages, is_whole: true, ahead_ms: 0, asked_at: Time(NOW) }
    }

    /// The numbers of the messages that were found, 0 for one that is not listed; nothing where it stays open.
    fn verdicts(list: &Listed, wanted: &[Wanted]) -> Vec<Option<u8>> {
        let number = |heard| match heard {
            Heard::Told { sid, .. } => Some(sid.0[16]),
            Heard::NotListed => Some(0),
            Heard::Nothing => None,
        };
        list.judge(wanted, |sid| sid.0[16] == 99).into_iter().map(|asked| number(asked.heard)).collect()
    }

    const NOW: i64 = 1_800_000_005_000;

    #[test]
    fn the_one_message_that_can_be_it_is_it() {
        let list = listed(vec![found(1, "hello", NOW), found(2, "other", NOW), found(99, "hello", NOW)]);
        assert_eq!(verdicts(&list, &[wanted(1, "hello")]), [Some(1)]);
    }

    #[test]
    fn nothing_in_a_whole_list_proves_absence_and_half_a_list_proves_nothing() {
        let list = listed(vec![found(1, "other", NOW)]);
        assert_eq!(verdicts(&list, &[wanted(1, "hello")]), [Some(0)]);
        assert_eq!(verdicts(&Listed { is_whole: false, ..list }, &[wanted(1, "hello")]), [None]);
    }

    #[test]
    fn what_was_created_at_another_time_is_another_message() {
        let list = listed(vec![found(1, "hello", NOW - 60_000), found(2, "hello", NOW + 3_600_000)]);
        assert_eq!(verdicts(&list, &[wanted(1, "hello")]), [Some(0)]);
        let ahead = Listed { ahead_ms: -60_000, ..list };
        assert_eq!(verdicts(&ahead, &[wanted(1, "hello")]), [Some(1)]);
    }

    #[test]
    fn two_candidates_for_one_attempt_leave_it_open() {
        let list = listed(vec![found(1, "hello", NOW), found(2, "hello", NOW + 1_000)]);
        assert_eq!(verdicts(&list, &[wanted(1, "hello")]), [None]);
    }

    #[test]
    fn equal_words_are_matched_as_a_set() {
        let list = listed(vec![found(2, "hello", NOW + 1_000), found(1, "hello", NOW)]);
        assert_eq!(verdicts(&list, &[wanted(7, "hello"), wanted(8, "hello")]), [Some(1), Some(2)]);
        let list = listed(vec![found(1, "hello", NOW)]);
        assert_eq!(verdicts(&list, &[wanted(7, "hello"), wanted(8, "hello")]), [None, None]);
    }

    #[test]
    fn without_texts_nothing_is_decided() {
        let list = listed(vec![found(1, "", NOW)]);
        assert_eq!(verdicts(&list, &[wanted(1, "hello")]), [None]);
    }

    #[test]
    fn what_twilio_refused_is_no_message_that_could_be_it() {
        let refused = MessageResource { status: "failed".into(), error_code: Some(21_610), ..found(1, "hello", NOW) };
        let list = listed(vec![refused.clone(), found(2, "hello", NOW)]);
        assert_eq!(verdicts(&list, &[wanted(1, "hello")]), [Some(2)]);
        assert_eq!(verdicts(&listed(vec![refused.clone()]), &[wanted(1, "hello")]), [Some(0)]);
        let failed_later = MessageResource { error_code: Some(63_016), ..refused };
        assert_eq!(verdicts(&listed(vec![failed_later]), &[wanted(1, "hello")]), [Some(1)]);
    }

    fn template(number: u8, order: &str) -> Wanted {
        let variables = [("1".to_owned(), order.to_owned())].into();
        let content = Content::Template(Template { sid: format!("HX{:032x}", 1), variables });
        Wanted { content, ..wanted(number, "") }
    }

    #[test]
    fn a_template_is_known_by_its_time_alone() {
        let list = listed(vec![found(1, "Your order 7 is ready", NOW)]);
        assert_eq!(verdicts(&list, &[template(1, "7")]), [Some(1)]);
    }

    #[test]
    fn templates_that_nobody_can_tell_apart_are_left_open() {
        let list = listed(vec![found(1, "Your order 7 is ready", NOW), found(2, "Your order 8 is ready", NOW)]);
        assert_eq!(verdicts(&list, &[template(7, "7"), template(8, "8")]), [None, None]);
        assert_eq!(verdicts(&list, &[template(7, "7"), template(8, "7")]), [Some(1), Some(2)]);
    }

    #[test]
    fn a_message_that_may_be_of_a_request_still_at_work_is_left_open() {
        let list = listed(vec![found(1, "Your order 8 is ready", NOW)]);
        let at_work = Wanted { answered_at: None, ..template(8, "8") };
        assert_eq!(verdicts(&list, &[template(7, "7"), at_work]), [None]);
    }
}
