//! The person at the other end: the names they go by, and when they last wrote.
//!
//! Invariant: pure, and addresses are the text Twilio uses; two names of one person are aliases of one contact.
//! Not here: a person's numbers (`metrics`), since those are sums of what their messages add.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Time;

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
    fn a_name_is_learned_once() {
        let mut contact = Contact::named("whatsapp:+4915100000001");
        assert!(contact.learn("whatsapp:DE.77") && !contact.learn("whatsapp:DE.77"));
    }
}
