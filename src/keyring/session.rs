//! A session: that a browser has shown who sits before it. And the code that lets the very first person in.
//!
//! Invariant: only a hash of what the browser holds is kept (256 bits of chance need no slow one). A session ends by
//! itself, used or not.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Secret;
use crate::clock::Time;

/// Nobody looked at a page for so long: whoever sits there now may be somebody else.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// A working day, then who it is must be shown anew.
const LONGEST: Duration = Duration::from_secs(12 * 3_600);
/// For dangerous things it must have been shown just now.
const PROVEN: Duration = Duration::from_secs(5 * 60);
/// How long a set-up code lets somebody in.
const SETUP: Duration = Duration::from_secs(30 * 60);
/// Wrong guesses until a set-up code is good for nothing.
const MAX_GUESSES: u32 = 10;
/// Longer than what tells one browser from another.
const MAX_AGENT: usize = 120;
/// Letters of a set-up code: none of them looks like another. Sixteen are 80 bits.
const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// What the browser holds.
#[derive(Clone, Debug)]
pub struct SessionToken(Secret);

/// What is kept of it; and by its first eight bytes people call a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub [u8; 32]);

impl SessionToken {
    /// A new one.
    pub fn new(random: [u8; 32]) -> Self {
        let random = Zeroizing::new(random);
        Self(Secret::new(URL_SAFE_NO_PAD.encode(random.as_slice())))
    }

    /// Reads what a browser brings; nothing, if it is not made like one.
    pub fn read(text: &str) -> Option<Self> {
        let is_token = URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32);
        is_token.then(|| Self(Secret::new(text)))
    }

    /// The text, for the browser.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is kept.
    pub fn id(&self) -> SessionId {
        SessionId(Sha256::digest(self.0.expose().as_bytes()).into())
    }
}

/// `ses_` and 16 hex digits: enough to tell sessions apart, and no help in guessing one.
impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g, h, i, ..] = self.0;
        write!(f, "ses_{:016x}", u64::from_be_bytes([a, b, c, d, e, g, h, i]))
    }
}

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose.
    pub user: String,
    /// Whether that is the person of the configuration, of whom nothing is kept.
    pub is_declared: bool,
    /// When they logged in.
    pub created_at: Time,
    /// When a page was last looked at, to about a minute.
    pub seen_at: Time,
    /// When they last showed who they are.
    pub proven_at: Time,
    /// Where they logged in from.
    pub address: Option<String>,
    /// With which browser, as it says itself.
    pub agent: String,
}

impl Session {
    /// Somebody has shown who they are.
    pub fn new(user: &str, is_declared: bool, address: Option<String>, agent: &str, now: Time) -> Self {
        let agent = agent.chars().filter(|letter| !letter.is_control()).take(MAX_AGENT).collect();
        Self { user: user.to_owned(), is_declared, created_at: now, seen_at: now, proven_at: now, address, agent }
    }

    /// Whether it still says anything about who sits there.
    pub fn is_live(&self, now: Time) -> bool {
        now < self.ends_at()
    }

    /// When it ends, if nobody looks at a page until then.
    pub fn ends_at(&self) -> Time {
        self.seen_at.plus(IDLE).min(self.created_at.plus(LONGEST))
    }

    /// Until when dangerous things may be done in it.
    pub fn proven_until(&self) -> Time {
        self.proven_at.plus(PROVEN)
    }

    /// Whether it was shown just now who sits there.
    pub fn is_proven(&self, now: Time) -> bool {
        now <= self.proven_until()
    }
}

/// What lets the first person in, and nobody after that.
#[derive(Clone, Debug)]
pub struct SetupCode {
    code: Secret,
    until: Time,
    guesses: u32,
}

impl SetupCode {
    /// A new one.
    pub fn new(random: [u8; 16], now: Time) -> Self {
        let letters: Vec<_> = random.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect();
        let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
        Self { code: Secret::new(groups.join("-")), until: now.plus(SETUP), guesses: 0 }
    }

    /// The code, for whoever sits at the machine.
    pub fn expose(&self) -> &str {
        self.code.expose()
    }

    /// Whether it opens: in time, and before too many wrong guesses. Dashes, spaces and small letters do not matter.
    pub fn opens(&mut self, given: &str, now: Time) -> bool {
        if now >= self.until || self.guesses >= MAX_GUESSES {
            return false;
        }
        let letters: Vec<_> =
            given.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect();
        let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
        let is_it = self.code.is(&groups.join("-"));
        self.guesses += u32::from(!is_it);
        is_it
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time(1_800_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_token_is_read_as_it_is_written_and_its_id_does_not_show_it() {
        let token = SessionToken::new([7; 32]);
        let read = SessionToken::read(token.expose()).expect("a token");
        assert_eq!((read.id(), token.expose().len()), (token.id(), 43));
        assert!(!format!("{token:?} {}", token.id()).contains(token.expose()));
        assert_eq!(token.id().to_string().len(), 20);
        for wrong in ["", "x", &"A".repeat(42), &"A".repeat(44), &format!("{}=", &token.expose()[..42])] {
            assert!(SessionToken::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_session_ends_half_an_hour_after_the_last_look_and_after_twelve_hours_at_most() {
        let mut session = Session::new("anna", false, None, "Browser", START);
        assert!(session.is_live(START.plus(MINUTE * 29)) && !session.is_live(START.plus(MINUTE * 30)));
        session.seen_at = START.plus(MINUTE * 719);
        assert!(session.is_live(START.plus(MINUTE * 719)) && !session.is_live(START.plus(MINUTE * 720)));
    }

    #[test]
    fn dangerous_things_need_a_proof_of_the_last_five_minutes() {
        let session = Session::new("anna", false, None, "Browser", START);
        assert!(
            session.is_proven(START.plus(MINUTE * 5))
                && !session.is_proven(START.plus(MINUTE * 5).plus(Duration::from_millis(1)))
        );
    }

    #[test]
    fn what_a_browser_says_of_itself_is_cut() {
        let session = Session::new("anna", false, None, &"\u{7}ä".repeat(200), START);
        assert_eq!(session.agent, "ä".repeat(120));
    }

    #[test]
    fn a_set_up_code_opens_for_half_an_hour_however_it_is_typed_and_not_after_ten_guesses() {
        let mut code = SetupCode::new([3; 16], START);
        let shown = code.expose().to_owned();
        assert_eq!(shown, "5555-5555-5555-5555");
        assert!(code.opens(&shown, START) && code.opens(" 5555 5555-55555555 ", START.plus(MINUTE * 29)));
        assert!(!code.opens(&shown, START.plus(MINUTE * 30)) && !code.opens("", START));
        (0..9).for_each(|_| assert!(!code.opens("5555-5555-5555-5556", START)));
        assert!(!code.opens(&shown, START), "nobody guesses on");
    }
}
