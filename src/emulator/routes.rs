//! Every route of the emulator on one page.

use super::account::Caller;
use super::core::{Dice, Emulator};
use super::exchange::{Answer, How, Method, Refusal, Request};
use super::fault::{bent, stopped};
use super::scenario::Scenario;
use crate::clock::Time;

impl Emulator {
    /// Finds who answers. Twilio's hosts have paths of their own, so one listener plays them all.
    pub(super) fn route(&mut self, request: &Request, now: Time, dice: &mut Dice) -> Result<Answer, Refusal> {
        let segments: Vec<&str> = request.path.split('/').skip(1).collect();
        if let ["emulator", rest @ ..] = segments.as_slice() {
            return self.control(rest, request, now, dice);
        }
        let caller = self.account.caller(request.authorization.as_deref())?;
        let mut answer = self.answer_by_chance(&segments, caller, request, now, dice);
        if answer.how == How::Now {
            let wait = self.chaos.slowness(dice);
            answer.how = if wait.is_zero() { How::Now } else { How::After(wait) };
        }
        Ok(answer)
    }

    /// What Twilio answers, unless chance keeps it from doing so.
    fn answer_by_chance(
        &mut self,
        segments: &[&str],
        caller: Caller,
        request: &Request,
        now: Time,
        dice: &mut Dice,
    ) -> Answer {
        let is_create =
            request.method == Method::Post && matches!(segments, ["2010-04-01", "Accounts", _, "Messages.json"]);
        // The lot of a create falls where it is written down.
        let strike = if is_create { Scenario::Normal } else { self.chaos.answer(dice) };
        if strike.stops_create() {
            return stopped(strike).0;
        }
        let answer = self.route_api(segments, caller, request, now, dice);
        bent(answer.unwrap_or_else(|refusal| refusal.answer()), strike)
    }

    fn route_api(
        &mut self,
        segments: &[&str],
        caller: Caller,
        request: &Request,
        now: Time,
        dice: &mut Dice,
    ) -> Result<Answer, Refusal> {
        match segments {
            ["2010-04-01", "Accounts", rest @ ..] => self.route_account(rest, caller, request, now, dice),
            ["v1", "AuthTokens", which] => self.route_tokens(which, caller, request, now, dice),
            ["v2", "Channels", "Senders"] => only(request, Method::Get).and_then(|()| self.list_senders(request)),
            ["v2", "Channels", "Senders", sid] => match request.method {
                Method::Get => self.fetch_sender(sid, request),
                Method::Post => self.update_sender(sid, request, now),
                _ => Err(wrong_method()),
            },
            ["v1", rest @ ..] => only(request, Method::Get).and_then(|()| self.route_reading(rest, request)),
            _ => Err(Refusal::not_found(&request.path)),
        }
    }

    fn route_account(
        &mut self,
        rest: &[&str],
        caller: Caller,
        request: &Request,
        now: Time,
        dice: &mut Dice,
    ) -> Result<Answer, Refusal> {
        let sid = rest.first().map(|first| first.trim_end_matches(".json"));
        if sid != Some(self.account.sid.as_str()) {
            return Err(Refusal::not_found(&request.path));
        }
        match (rest, request.method) {
            ([_], Method::Get) => account_only(caller).map(|()| self.account.fetch(self.started)),
            ([_, "Keys.json"], Method::Post) => {
                account_only(caller).and_then(|()| self.account.create_key(request, now, dice))
            }
            ([_, "Keys", name], Method::Delete) => {
                let sid = name.strip_suffix(".json").unwrap_or(name);
                account_only(caller).and_then(|()| self.account.delete_key(sid, request))
            }
            ([_, "Balance.json"], Method::Get) => Ok(self.account.balance()),
            ([_, "Messages.json"], Method::Get) => self.list_messages(request, now),
            ([_, "Messages.json"], Method::Post) => self.create_message(request, now, dice),
            ([_, "Messages", name], method) => {
                let sid = name.strip_suffix(".json").unwrap_or(name);
                match method {
                    Method::Get => self.fetch_message(sid, request),
                    Method::Post => self.update_message(sid, request, now),
                    Method::Delete => self.delete_message(sid, request),
                    Method::Other => Err(wrong_method()),
                }
            }
            ([_, "Messages", sid, "Media.json"], Method::Get) => self.list_media(sid, request),
            ([_] | [_, "Balance.json" | "Keys.json" | "Messages.json"] | [_, "Keys", _], _) => Err(wrong_method()),
            _ => Err(Refusal::not_found(&request.path)),
        }
    }

    fn route_tokens(
        &mut self,
        which: &str,
        caller: Caller,
        request: &Request,
        now: Time,
        dice: &mut Dice,
    ) -> Result<Answer, Refusal> {
        account_only(caller)?;
        match (which, request.method) {
            ("Secondary", Method::Post) => self.account.create_secondary(request, now, dice),
            ("Secondary", Method::Delete) => self.account.delete_secondary(request),
            ("Promote", Method::Post) => self.account.promote(request, now),
            ("Secondary" | "Promote", _) => Err(wrong_method()),
            _ => Err(Refusal::not_found(&request.path)),
        }
    }

    fn route_reading(&self, rest: &[&str], request: &Request) -> Result<Answer, Refusal> {
        match rest {
            ["Content"] => self.list_content(false, request),
            ["ContentAndApprovals"] => self.list_content(true, request),
            ["Content", sid] => self.fetch_content(sid, request),
            ["Content", sid, "ApprovalRequests"] => self.fetch_approval(sid, request),
            ["Alerts"] => self.list_alerts(request),
            ["Alerts", sid] => self.fetch_alert(sid, request),
            _ => Err(Refusal::not_found(&request.path)),
        }
    }
}

pub(super) fn wrong_method() -> Refusal {
    Refusal::new(405, 20004, "Method not allowed")
}

fn only(request: &Request, method: Method) -> Result<(), Refusal> {
    if request.method == method { Ok(()) } else { Err(wrong_method()) }
}

/// A standard API key does not reach the account and its tokens.
fn account_only(caller: Caller) -> Result<(), Refusal> {
    match caller {
        Caller::Account => Ok(()),
        Caller::Key => Err(Refusal::new(401, 20003, "An API key cannot do this: use the account's auth token")),
    }
}
