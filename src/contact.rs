//! The person at the other end: the names they go by, when they last wrote, and what they no longer want.
//!
//! Invariant: pure, and addresses are the text Twilio uses; two names of one person are aliases of one contact.
//! Not here: a person's numbers (`metrics`), since those are sums of what their messages add.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::message::{OptOut, Window};

/// How long free text may be sent after the person's last message (WhatsApp's customer service window).
pub const WINDOW: Duration = Duration::from_secs(24 * 3_600);

/// A person has a phone number, a user id and its parent form; more names than this is a mistake.
const MAX_ALIASES: usize = 8;
/// Windows of more senders than this are forgotten, oldest first.
const MAX_WINDOWS: usize = 64;

/// What is known of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The names they go by, the first known first.
    pub aliases: Vec<String>,
    /// When they last wrote, to which of our senders (by the store's number).
    pub windows: Vec<(u32, Time)>,
    /// What they do not want from us, the widest first.
    pub opt_outs: Vec<OptedOut>,
    /// When they last wanted everything again: what happened before is no news.
    pub opted_in_at: Option<Time>,
}

/// Something a person does not want.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptedOut {
    /// How much of what we send.
    pub scope: OptOut,
    /// Since when.
    pub at: Time,
    /// How we know.
    pub reason: Reason,
}

/// How we know that a person does not want something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Twilio failed a message with this code.
    Code(u32),
    /// They wrote this word.
    Word(String),
    /// Whoever runs bluetick wrote it down, with a note.
    Operator(Option<String>),
}

impl Contact {
    /// Someone who is known by one name.
    pub fn named(alias: &str) -> Self {
        Self { aliases: vec![alias.to_owned()], ..Self::default() }
    }

    /// Learns another name; says whether it was new.
    pub fn learn(&mut self, alias: &str) -> bool {
        let is_new = !self.aliases.iter().any(|known| known == alias) && self.aliases.len() < MAX_ALIASES;
        if is_new {
            self.aliases.push(alias.to_owned());
        }
        is_new
    }

    /// They wrote to `sender`: its window is open from now on. A message that comes late closes nothing.
    pub fn wrote(&mut self, sender: u32, at: Time) {
        match self.windows.iter_mut().find(|(known, _)| *known == sender) {
            Some((_, last)) => *last = at.max(*last),
            None => self.windows.push((sender, at)),
        }
        self.windows.sort_by_key(|(sender, last)| (std::cmp::Reverse(*last), *sender));
        self.windows.truncate(MAX_WINDOWS);
    }

    /// They do not want something. Says whether that is new: what is covered already, or is older than their wish to
    /// hear from us again, is not.
    pub fn opt_out(&mut self, scope: OptOut, reason: Reason, at: Time) -> bool {
        let is_covered = self.opted_out().is_some_and(|known| known == scope || known == OptOut::All);
        if is_covered || self.opted_in_at.is_some_and(|since| at < since) {
            return false;
        }
        self.opt_outs.push(OptedOut { scope, at, reason });
        self.opt_outs.sort_by_key(|opt_out| std::cmp::Reverse(opt_out.scope));
        true
    }

    /// They want everything again, but for what they refused later; says whether that ends anything.
    pub fn opt_in(&mut self, at: Time) -> bool {
        self.opted_in_at = self.opted_in_at.max(Some(at));
        let before = self.opt_outs.len();
        self.opt_outs.retain(|opt_out| opt_out.at > at);
        self.opt_outs.len() < before
    }

    /// The most they do not want.
    pub fn opted_out(&self) -> Option<OptOut> {
        self.opt_outs.first().map(|opt_out| opt_out.scope)
    }

    /// Takes over what is known of someone who turned out to be the same person.
    pub fn absorb(&mut self, other: Self) {
        for name in &other.aliases {
            self.learn(name);
        }
        for (sender, at) in other.windows {
            self.wrote(sender, at);
        }
        self.opted_in_at = self.opted_in_at.max(other.opted_in_at);
        for opt_out in other.opt_outs {
            self.opt_out(opt_out.scope, opt_out.reason, opt_out.at);
        }
    }

    /// Whether free text from `sender` is let through at `now`. Someone of whom we have never heard is outside the
    /// window only if we have been listening for longer than it lasts, `heard_since`.
    pub fn window(&self, sender: u32, heard_since: Option<Time>, now: Time) -> Window {
        match self.window_closes_at(sender) {
            Some(at) if now < at => Window::Open,
            Some(at) => Window::Closed { at: Some(at) },
            None if heard_since.is_some_and(|since| now >= since.plus(WINDOW)) => Window::Closed { at: None },
            None => Window::Unsure,
        }
    }

    /// Whether free text from a Messaging Service is let through at `now`: it answers with the number they wrote to,
    /// and which of ours are its numbers only Twilio knows.
    pub fn window_of_any(&self, now: Time) -> Window {
        match self.last_inbound_at().is_some_and(|at| now < at.plus(WINDOW)) {
            true => Window::Open,
            false => Window::Unsure,
        }
    }

    /// When they last wrote to anyone of us.
    pub fn last_inbound_at(&self) -> Option<Time> {
        self.windows.iter().map(|(_, at)| *at).max()
    }

    /// Until when free text from `sender` is let through; in the past if the window is closed.
    pub fn window_closes_at(&self, sender: u32) -> Option<Time> {
        self.windows.iter().find(|(known, _)| *known == sender).map(|(_, at)| at.plus(WINDOW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_stays_open_for_a_day_after_the_last_inbound() {
        let mut contact = Contact::named("whatsapp:+4915100000001");
        contact.wrote(1, Time(1_000));
        contact.wrote(1, Time(500));
        assert_eq!(contact.window_closes_at(1), Some(Time(1_000 + 86_400_000)));
        assert_eq!((contact.window_closes_at(2), contact.last_inbound_at()), (None, Some(Time(1_000))));
    }

    #[test]
    fn who_never_wrote_is_outside_only_if_we_would_have_heard() {
        let mut contact = Contact::named("whatsapp:+4915100000001");
        let day = 86_400_000;
        assert_eq!(contact.window(1, None, Time(day)), Window::Unsure);
        assert_eq!(contact.window(1, Some(Time(1)), Time(day)), Window::Unsure);
        assert_eq!(contact.window(1, Some(Time(0)), Time(day)), Window::Closed { at: None });
        contact.wrote(1, Time(0));
        assert_eq!(contact.window(1, None, Time(day - 1)), Window::Open);
        assert_eq!(contact.window(1, None, Time(day)), Window::Closed { at: Some(Time(day)) });
    }

    #[test]
    fn a_service_is_inside_the_window_of_any_sender() {
        let mut contact = Contact::default();
        assert_eq!(contact.window_of_any(Time(5)), Window::Unsure);
        contact.wrote(3, Time(0));
        assert_eq!(contact.window_of_any(Time(5)), Window::Open);
        assert_eq!(contact.window_of_any(Time(86_400_000)), Window::Unsure);
    }

    #[test]
    fn an_opt_out_widens_and_ends_with_an_opt_in() {
        let mut contact = Contact::default();
        assert!(contact.opt_out(OptOut::Marketing, Reason::Code(63_033), Time(1)));
        assert!(!contact.opt_out(OptOut::Marketing, Reason::Code(63_033), Time(2)));
        assert!(contact.opt_out(OptOut::All, Reason::Word("stop".into()), Time(3)));
        assert_eq!(contact.opted_out(), Some(OptOut::All));
        assert!(contact.opt_in(Time(4)) && contact.opted_out().is_none());
        assert!(!contact.opt_out(OptOut::All, Reason::Code(21_610), Time(3)), "older than the opt-in");
        assert!(contact.opt_out(OptOut::All, Reason::Code(21_610), Time(5)));
    }

    #[test]
    fn a_name_is_learned_once() {
        let mut contact = Contact::named("whatsapp:+4915100000001");
        assert!(contact.learn("whatsapp:DE.77") && !contact.learn("whatsapp:DE.77"));
    }
}
