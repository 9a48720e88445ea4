//! What we do by ourselves after a fact, and what a person may have sent again.
//!
//! Invariant: another attempt follows only proof that the last one was refused, failed in a class that a retry helps, or
//! is absent at Twilio (P3). The decision is itself a fact, so that replaying a journal asks no policy.

use super::attempt::{Attempt, FEARED, Form, Handing};
use super::draft::Content;
use super::fact::{Fact, Hold, Why};
use super::failure::{Class, Failure, Pause, explain};
use super::gate::{Recipient, Window};
use super::policy::{OnUnknown, Policy};
use super::record::{Ending, Message, Origin, Step};
use super::status::{Status, Word};
use crate::clock::Time;

/// Why a message is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Never {
    /// The person has it.
    #[error("it has arrived")]
    Arrived,
    /// It is still on its way, or waits.
    #[error("it is still under way")]
    UnderWay,
    /// Its content was never ours.
    #[error("it was sent without bluetick, which does not have its content")]
    SentElsewhere,
    /// What it said is gone.
    #[error("what it said was forgotten, as old words are: send it anew")]
    Forgotten,
    /// Somebody canceled it.
    #[error("it was canceled")]
    Canceled,
    /// It would come after its `expires_at`.
    #[error("its expires_at has passed, and it must not come late")]
    TooLate,
    /// It had as many attempts as there may be.
    #[error("its attempts are used up")]
    UsedUp,
    /// The person does not want it.
    #[error("the person has opted out: remove the opt-out first, if they ask you to")]
    OptedOut,
    /// It will never go as it is.
    #[error("it failed in a way that no retry helps: see what its error code says")]
    Permanent,
    /// Free text would be turned away again.
    #[error("the person's 24-hour window is closed and it has no fallback template")]
    OutsideWindow,
    /// The last attempt may have arrived all the same.
    #[error("the failed attempt may have arrived all the same: allow may_duplicate to send it again")]
    MayDuplicate,
}

impl Never {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::UnderWay => "under_way",
            Self::SentElsewhere => "sent_elsewhere",
            Self::Forgotten => "forgotten",
            Self::Canceled => "canceled",
            Self::TooLate => "too_late",
            Self::UsedUp => "used_up",
            Self::OptedOut => "opted_out",
            Self::Permanent => "permanent",
            Self::OutsideWindow => "outside_window",
            Self::MayDuplicate => "may_duplicate",
        }
    }
}

impl Message {
    /// What follows by itself from how the message stands: another attempt, a hold, an end, or the next question to
    /// Twilio. `dice` is uniform in 0..1.
    pub fn follow_up(&self, policy: &Policy, now: Time, dice: f64) -> Option<Fact> {
        let attempt = self.telling()?;
        let is_waiting = self.hold.is_some() || self.next.is_some_and(|next| next.step == Step::Send);
        if self.ending.is_some() || is_waiting || self.is_in_flight() {
            return None;
        }
        if let Some(sent) = self.attempts.iter().rev().find(|attempt| attempt.is_on_its_way()) {
            return self.keep_asking(sent, policy, now);
        }
        if self.next.is_some() || self.origin == Origin::External {
            return None;
        }
        match attempt.handing {
            Handing::Absent { .. } => Some(self.after_absence(attempt, policy, now)),
            _ if attempt.has_failed() => self.after_failure(attempt, policy, now, dice),
            _ => None,
        }
    }

    fn keep_asking(&self, attempt: &Attempt, policy: &Policy, now: Time) -> Option<Fact> {
        let is_done = self.next.is_some() || self.has_no_more_to_tell();
        let ask_at = policy.ask_again_at(now, attempt.started_at, self.has_arrived()).filter(|_| !is_done)?;
        Some(Fact::Asked { attempt: attempt.number, ask_at: Some(ask_at) })
    }

    /// Twilio has no trace of the attempt: it is sent again, once; then a person decides.
    fn after_absence(&self, attempt: &Attempt, policy: &Policy, now: Time) -> Fact {
        let (was_feared, attempt) = (attempt.boot == FEARED, attempt.number);
        if was_feared {
            return Fact::Retried { attempt, due: now, why: Why::Absence };
        }
        match self.draft.on_unknown.unwrap_or(policy.on_unknown) {
            OnUnknown::ResendIfAbsent if self.resends() == 0 => Fact::Retried { attempt, due: now, why: Why::Absence },
            OnUnknown::ResendIfAbsent | OnUnknown::Hold => Fact::Held { why: Hold::Unknown },
            OnUnknown::Fail => Fact::GivenUp { attempt },
        }
    }

    /// Every code must allow another attempt; the last one says when.
    fn after_failure(&self, attempt: &Attempt, policy: &Policy, now: Time, dice: f64) -> Option<Fact> {
        let decide = |code| self.after_code(attempt, &explain(code), policy, now, dice);
        attempt.codes().map(decide).collect::<Option<Vec<_>>>()?.pop()
    }

    fn after_code(&self, attempt: &Attempt, failure: &Failure, policy: &Policy, now: Time, dice: f64) -> Option<Fact> {
        let (number, code) = (attempt.number, failure.code);
        let retried = |due, why| Some(Fact::Retried { attempt: number, due, why });
        match (failure.class, failure.pause) {
            (Class::Template, _) => {
                let can_fall_back = attempt.form == Form::AsAsked && self.draft.fallback.is_some();
                retried(now, Why::Fallback(code)).filter(|_| can_fall_back)
            }
            (Class::Operator, Pause::Account | Pause::Sender) => retried(now, Why::Paused(code)),
            (Class::Operator, Pause::Template) => {
                let sid = self.template(attempt.form).map(|template| template.sid.clone());
                sid.map(|sid| Fact::Held { why: Hold::Template(sid) })
            }
            (class, _) => {
                let failures = self.attempts.iter().filter(|attempt| attempt.has_failed()).count();
                let failures = u8::try_from(failures).unwrap_or(u8::MAX);
                let began = self.accepted_at.max(self.draft.send_at.unwrap_or(self.accepted_at));
                let is_young = u64::try_from(now.since(began).as_millis()).is_ok_and(|age| age < policy.retry_for_ms);
                let is_allowed = !failure.may_duplicate || self.draft.may_duplicate;
                let due = policy.retry_failed_at(now, class, failures, dice)?;
                let is_in_time = self.draft.expires_at.is_none_or(|at| due < at);
                let may_retry = failures < policy.retry_attempts && is_young && is_allowed && is_in_time;
                retried(due, Why::Failure(code)).filter(|_| may_retry)
            }
        }
    }

    /// Whether a person may have it sent again.
    pub fn may_retry(
        &self,
        recipient: &Recipient,
        may_duplicate: bool,
        policy: &Policy,
        now: Time,
    ) -> Result<(), Never> {
        if self.has_arrived() {
            return Err(Never::Arrived);
        }
        match self.status() {
            Status::Canceled | Status::Twilio(Word::Canceled) => return Err(Never::Canceled),
            status if !status.is_end() => return Err(Never::UnderWay),
            _ if self.origin == Origin::External => return Err(Never::SentElsewhere),
            _ if !self.draft.has_words() => return Err(Never::Forgotten),
            _ => {}
        }
        if self.draft.expires_at.is_some_and(|at| now >= at) {
            return Err(Never::TooLate);
        }
        if self.has_expired(policy.max_attempts, now) {
            return Err(Never::UsedUp);
        }
        if recipient.opted_out.is_some_and(|scope| scope.covers(self.draft.category)) {
            return Err(Never::OptedOut);
        }
        self.may_repeat_failure(recipient, may_duplicate)
    }

    fn may_repeat_failure(&self, recipient: &Recipient, may_duplicate: bool) -> Result<(), Never> {
        let may_pass = recipient.window == Window::Open || !self.is_free_form();
        let is_turned_away = matches!(self.ending, Some(Ending::WindowClosed { .. }));
        let last = self.telling();
        let has_fallback = self.draft.fallback.is_some() && last.is_none_or(|last| last.form == Form::AsAsked);
        if is_turned_away && !may_pass && !has_fallback {
            return Err(Never::OutsideWindow);
        }
        let codes = last.into_iter().flat_map(Attempt::codes).filter(|_| !is_turned_away);
        for failure in codes.map(explain) {
            match failure.class {
                Class::Permanent if failure.known => return Err(Never::Permanent),
                Class::Template if matches!(self.draft.content, Content::Template(_)) => return Err(Never::Permanent),
                Class::Template if !may_pass && !has_fallback => return Err(Never::OutsideWindow),
                _ if failure.may_duplicate && !may_duplicate && !self.draft.may_duplicate => {
                    return Err(Never::MayDuplicate);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Address, Draft, MessageId, Sid, Source, Template};

    const NOW: Time = Time(1_000_000);

    fn sid(number: u8) -> Sid {
        format!("SM{number:032x}").parse().expect("32 hex digits")
    }

    fn template() -> Template {
        Template { sid: format!("HX{:032x}", 1), variables: Default::default() }
    }

    fn draft() -> Draft {
        let [to, from] = ["+4915100000001", "+15550001111"].map(|number| Address::Phone(number.into()));
        Draft::new(to, from, Content::Text("hello".into()))
    }

    fn claimed(draft: Draft) -> Message {
        let mut message = Message::accept(MessageId([1; 16]), draft, 1, 1, NOW);
        claim(&mut message, Form::AsAsked);
        message
    }

    fn claim(message: &mut Message, form: Form) {
        message.apply(Fact::Claimed { nonce: [1; 16], boot: 1, form }, Source::Job, NOW);
    }

    fn fail(message: &mut Message, code: u32) -> Option<Fact> {
        let attempt = message.attempts.last().expect("it was claimed").number;
        let sent = Fact::Sent { attempt, sid: sid(attempt), word: Word::Queued, ask_at: NOW };
        message.apply(sent, Source::Job, NOW);
        let failed = Fact::Reported { attempt, sid: sid(attempt), word: Word::Failed, code: Some(code) };
        message.apply(failed, Source::Callback, NOW);
        follow(message)
    }

    fn follow(message: &mut Message) -> Option<Fact> {
        let fact = message.follow_up(&Policy::default(), NOW, 1.0)?;
        message.apply(fact.clone(), Source::Job, NOW);
        assert_eq!(message.follow_up(&Policy::default(), NOW, 1.0), None, "one decision is enough");
        Some(fact)
    }

    fn lose(message: &mut Message) {
        let attempt = message.attempts.last().expect("it was claimed").number;
        message.apply(Fact::Unclear { attempt, detail: "reset".into(), ask_at: NOW }, Source::Job, NOW);
        assert_eq!(message.follow_up(&Policy::default(), NOW, 1.0), None, "a lost answer is no reason to send again");
        message.apply(Fact::Absent { attempt }, Source::Poll, NOW);
    }

    fn anyone(window: Window) -> Recipient {
        Recipient { window, opted_out: None }
    }

    fn verdict(message: &Message) -> Result<(), Never> {
        message.may_retry(&anyone(Window::Closed { at: None }), false, &Policy::default(), NOW)
    }

    #[test]
    fn a_failure_that_passes_is_tried_again_until_the_budget_is_spent() {
        let mut message = claimed(draft());
        for _ in 1..Policy::default().retry_attempts {
            assert!(matches!(fail(&mut message, 63_018), Some(Fact::Retried { why: Why::Failure(63_018), .. })));
            assert_eq!(message.status(), Status::Pending);
            claim(&mut message, Form::AsAsked);
        }
        assert_eq!(fail(&mut message, 63_018), None);
        assert_eq!((message.status(), verdict(&message)), (Status::Twilio(Word::Failed), Ok(())));
    }

    #[test]
    fn a_permanent_failure_and_an_opt_out_are_final() {
        for code in [63_024, 21_610, 63_033, 63_003] {
            assert_eq!(fail(&mut claimed(draft()), code), None, "{code}");
        }
    }

    #[test]
    fn an_unknown_code_is_final_for_us_but_not_for_a_person() {
        let mut message = claimed(draft());
        assert_eq!((fail(&mut message, 99_999), verdict(&message)), (None, Ok(())));
    }

    #[test]
    fn what_may_have_arrived_is_sent_again_only_if_the_send_allows_it() {
        let mut message = claimed(draft());
        assert_eq!((fail(&mut message, 30_008), verdict(&message)), (None, Err(Never::MayDuplicate)));
        let mut message = claimed(Draft { may_duplicate: true, ..draft() });
        assert!(matches!(fail(&mut message, 30_008), Some(Fact::Retried { .. })));
    }

    #[test]
    fn an_old_one_time_code_is_never_sent_late() {
        let expires_at = Some(NOW.plus(std::time::Duration::from_millis(500)));
        let mut message = claimed(Draft { expires_at, ..draft() });
        assert_eq!(fail(&mut message, 30_003), None);
    }

    #[test]
    fn free_text_outside_the_window_falls_back_once() {
        let mut message = claimed(Draft { fallback: Some(template()), ..draft() });
        assert!(matches!(fail(&mut message, 63_016), Some(Fact::Retried { why: Why::Fallback(63_016), .. })));
        claim(&mut message, Form::Fallback);
        assert_eq!(fail(&mut message, 63_016), None);
    }

    #[test]
    fn what_a_person_must_repair_waits_with_its_scope() {
        let mut message = claimed(draft());
        assert!(matches!(fail(&mut message, 63_007), Some(Fact::Retried { why: Why::Paused(63_007), .. })));
        let mut message = claimed(Draft { content: Content::Template(template()), ..draft() });
        assert_eq!(fail(&mut message, 63_041), Some(Fact::Held { why: Hold::Template(template().sid) }));
        assert_eq!(message.status(), Status::Held);
    }

    #[test]
    fn what_twilio_has_no_trace_of_is_sent_again_once_then_held() {
        let mut message = claimed(draft());
        lose(&mut message);
        assert!(matches!(follow(&mut message), Some(Fact::Retried { why: Why::Absence, .. })));
        claim(&mut message, Form::AsAsked);
        lose(&mut message);
        assert_eq!(follow(&mut message), Some(Fact::Held { why: Hold::Unknown }));
        assert_eq!(message.replay(), message);
    }

    #[test]
    fn the_send_says_what_becomes_of_an_unknown_one() {
        let on_unknown = |policy| Draft { on_unknown: Some(policy), ..draft() };
        let mut held = claimed(on_unknown(OnUnknown::Hold));
        lose(&mut held);
        assert_eq!(follow(&mut held), Some(Fact::Held { why: Hold::Unknown }));
        let mut failed = claimed(on_unknown(OnUnknown::Fail));
        lose(&mut failed);
        assert_eq!(follow(&mut failed), Some(Fact::GivenUp { attempt: 1 }));
        assert_eq!(failed.status(), Status::Twilio(Word::Failed));
    }

    #[test]
    fn an_attempt_that_shows_up_after_all_stops_the_next_one() {
        let mut message = claimed(draft());
        lose(&mut message);
        follow(&mut message);
        let late = Fact::Reported { attempt: 1, sid: sid(1), word: Word::Sent, code: None };
        message.apply(late, Source::Callback, NOW);
        assert_eq!((message.status(), message.is_duplicate()), (Status::Twilio(Word::Sent), false));
        assert!(matches!(follow(&mut message), Some(Fact::Asked { attempt: 1, ask_at: Some(_) })));
    }

    #[test]
    fn an_attempt_that_shows_up_beside_its_successor_is_a_duplicate() {
        let mut message = claimed(draft());
        lose(&mut message);
        follow(&mut message);
        claim(&mut message, Form::AsAsked);
        message.apply(Fact::Sent { attempt: 2, sid: sid(2), word: Word::Queued, ask_at: NOW }, Source::Job, NOW);
        let late = Fact::Reported { attempt: 1, sid: sid(1), word: Word::Sent, code: None };
        assert!(message.apply(late, Source::Callback, NOW).is_new_duplicate);
    }

    #[test]
    fn what_is_on_its_way_by_one_attempt_is_not_sent_again_because_another_was_not_taken() {
        for word in [Word::Sent, Word::Delivered] {
            let mut message = claimed(draft());
            lose(&mut message);
            follow(&mut message);
            claim(&mut message, Form::AsAsked);
            let late = Fact::Reported { attempt: 1, sid: sid(1), word: word.clone(), code: None };
            message.apply(late, Source::Callback, NOW);
            let refused = Fact::NotProcessed { attempt: 2, detail: "429".into(), retry_at: NOW };
            message.apply(refused, Source::Job, NOW);
            assert!(matches!(follow(&mut message), Some(Fact::Asked { attempt: 1, ask_at: Some(_) })));
            assert_eq!(message.status(), Status::Twilio(word));
        }
    }

    #[test]
    fn what_came_back_and_then_failed_is_tried_again_by_its_own_code() {
        let mut message = claimed(draft());
        lose(&mut message);
        follow(&mut message);
        claim(&mut message, Form::AsAsked);
        let late = |word, code| Fact::Reported { attempt: 1, sid: sid(1), word, code };
        message.apply(late(Word::Sent, None), Source::Callback, NOW);
        let refused = Fact::NotProcessed { attempt: 2, detail: "429".into(), retry_at: NOW };
        message.apply(refused, Source::Job, NOW);
        message.apply(late(Word::Failed, Some(63_018)), Source::Callback, NOW);
        assert!(matches!(follow(&mut message), Some(Fact::Retried { attempt: 1, why: Why::Failure(63_018), .. })));
    }

    #[test]
    fn a_failed_attempt_that_says_more_does_not_stop_its_retry() {
        let mut message = claimed(draft());
        fail(&mut message, 63_018);
        let again = Fact::Reported { attempt: 1, sid: sid(1), word: Word::Sent, code: None };
        message.apply(again, Source::Callback, NOW);
        assert_eq!(message.status(), Status::Pending);
        let arrived = Fact::Reported { attempt: 1, sid: sid(1), word: Word::Delivered, code: None };
        message.apply(arrived, Source::Callback, NOW);
        assert_eq!((message.status(), message.next), (Status::Twilio(Word::Delivered), None));
    }

    #[test]
    fn a_person_is_told_why_something_is_not_sent_again() {
        let mut message = claimed(draft());
        assert_eq!(verdict(&message), Err(Never::UnderWay));
        fail(&mut message, 63_016);
        assert_eq!(verdict(&message), Err(Never::OutsideWindow));
        assert_eq!(message.may_retry(&anyone(Window::Open), false, &Policy::default(), NOW), Ok(()));
        let opted_out = Recipient { window: Window::Open, opted_out: Some(crate::message::OptOut::All) };
        assert_eq!(message.may_retry(&opted_out, false, &Policy::default(), NOW), Err(Never::OptedOut));
        let mut message = claimed(draft());
        fail(&mut message, 63_024);
        assert_eq!(verdict(&message), Err(Never::Permanent));
        let arrived = Fact::Reported { attempt: 1, sid: sid(1), word: Word::Read, code: None };
        message.apply(arrived, Source::Callback, NOW);
        assert_eq!(verdict(&message), Err(Never::Arrived));
    }
}
