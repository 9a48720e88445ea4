//! The last look at a message before it goes: whether the person wants it, and whether their window lets it through.
//!
//! Not here: pauses and pace, which are about senders, not about this message.

use super::attempt::Form;
use super::draft::Category;
use super::failure::OptOut;
use super::policy::{OutsideWindow, Policy};
use super::record::{Message, Pass};
use crate::clock::Time;
use crate::sabotage::{Bug, is_planted};

/// What is known of the person a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Whether free text would be let through.
    pub window: Window,
    /// What they do not want.
    pub opted_out: Option<OptOut>,
}

/// The 24 hours after a person's last message, in which free text is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// They wrote within the last 24 hours.
    Open,
    /// They did not.
    Closed {
        /// When it closed, if they ever wrote.
        at: Option<Time>,
    },
    /// We have not been listening for long enough to know.
    Unsure,
}

/// Whether a message may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It goes, in this form.
    Go(Form),
    /// The person does not want it.
    Suppress(OptOut),
    /// The window is closed, there is no fallback, and it is not to wait.
    Refuse {
        /// When the window closed.
        at: Option<Time>,
    },
    /// The window is closed and there is no fallback: it waits.
    Hold {
        /// When the window closed.
        at: Option<Time>,
    },
}

impl OptOut {
    /// Whether someone who wants none of this wants no message of that kind.
    pub fn covers(self, category: Category) -> bool {
        self == Self::All || category == Category::Marketing
    }
}

impl Message {
    /// Decides whether and how it goes now.
    pub fn passage(&self, recipient: &Recipient, policy: &Policy) -> Passage {
        if let Some(scope) = recipient.opted_out.filter(|scope| scope.covers(self.draft.category)) {
            return Passage::Suppress(scope);
        }
        let is_released = self.next.is_some_and(|next| next.pass == Pass::Released);
        let is_open = recipient.window == Window::Open || is_planted(Bug::WindowForgotten);
        if !self.is_free_form() || (is_open && !self.was_turned_away()) {
            return Passage::Go(Form::AsAsked);
        }
        if self.draft.fallback.is_some() {
            return Passage::Go(Form::Fallback);
        }
        match (recipient.window, policy.outside_window) {
            (Window::Open | Window::Unsure, _) | (_, OutsideWindow::Try) => Passage::Go(Form::AsAsked),
            _ if is_released => Passage::Go(Form::AsAsked),
            (Window::Closed { at }, OutsideWindow::Refuse) => Passage::Refuse { at },
            (Window::Closed { at }, OutsideWindow::Hold) => Passage::Hold { at },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Address, Content, Draft, MessageId, Template};

    const CLOSED: Window = Window::Closed { at: Some(Time(5)) };

    fn message(content: Content, fallback: bool) -> Message {
        let [to, from] = ["+4915100000001", "+15550001111"].map(|number| Address::Phone(number.into()));
        let mut draft = Draft::new(to, from, content);
        draft.fallback = fallback.then(template);
        Message::accept(MessageId([1; 16]), draft, 1, 1, Time(0))
    }

    fn template() -> Template {
        Template { sid: format!("HX{:032x}", 1), variables: Default::default() }
    }

    fn text() -> Content {
        Content::Text("hello".into())
    }

    fn passage(message: &Message, window: Window, outside_window: OutsideWindow) -> Passage {
        let policy = Policy { outside_window, ..Policy::default() };
        message.passage(&Recipient { window, opted_out: None }, &policy)
    }

    #[test]
    fn free_text_goes_inside_the_window_and_its_fallback_outside() {
        let message = message(text(), true);
        let [open, closed, unsure] =
            [Window::Open, CLOSED, Window::Unsure].map(|window| passage(&message, window, OutsideWindow::Refuse));
        assert_eq!(open, Passage::Go(Form::AsAsked));
        assert_eq!((closed, unsure), (Passage::Go(Form::Fallback), Passage::Go(Form::Fallback)));
    }

    #[test]
    fn without_a_fallback_the_policy_decides_and_a_doubt_is_tried() {
        let message = message(text(), false);
        assert_eq!(passage(&message, CLOSED, OutsideWindow::Refuse), Passage::Refuse { at: Some(Time(5)) });
        assert_eq!(passage(&message, CLOSED, OutsideWindow::Hold), Passage::Hold { at: Some(Time(5)) });
        assert_eq!(passage(&message, CLOSED, OutsideWindow::Try), Passage::Go(Form::AsAsked));
        assert_eq!(passage(&message, Window::Unsure, OutsideWindow::Refuse), Passage::Go(Form::AsAsked));
    }

    #[test]
    fn a_template_needs_no_window() {
        let message = message(Content::Template(template()), false);
        assert_eq!(passage(&message, CLOSED, OutsideWindow::Refuse), Passage::Go(Form::AsAsked));
    }

    #[test]
    fn who_wants_no_marketing_still_gets_the_rest() {
        let mut message = message(text(), false);
        let recipient = |scope| Recipient { window: Window::Open, opted_out: Some(scope) };
        let policy = Policy::default();
        assert_eq!(message.passage(&recipient(OptOut::All), &policy), Passage::Suppress(OptOut::All));
        assert_eq!(message.passage(&recipient(OptOut::Marketing), &policy), Passage::Go(Form::AsAsked));
        message.draft.category = Category::Marketing;
        assert_eq!(message.passage(&recipient(OptOut::Marketing), &policy), Passage::Suppress(OptOut::Marketing));
    }
}
