//! Who may see people: without `pii:read`, addresses are masked and what was written is absent.
//!
//! Invariant: every view that shows a person is made with a [`Sight`]; there is none by default but a blind one.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::error::{Code, Problem};
use super::principal::Principal;
use crate::keyring::Scope;
use crate::message::Address;

/// What somebody may see of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    sees_people: bool,
}

impl Sight {
    /// For whoever did the thing themselves, and for tests.
    #[cfg(test)]
    pub(super) const CLEAR: Self = Self { sees_people: true };

    /// What a principal may see.
    pub(super) fn of(who: &Principal) -> Self {
        Self { sees_people: who.scopes.has(Scope::People) }
    }

    /// Whether somebody may ask for a person by name: the answer tells whether we know them.
    pub(super) fn may_name_people(self) -> Result<(), Problem> {
        let detail = "asking for a person by address needs the scope pii:read";
        if self.sees_people { Ok(()) } else { Err(Problem::new(Code::Forbidden, detail)) }
    }

    /// A person's address; a Messaging Service is nobody.
    pub(super) fn address(self, address: &str) -> String {
        match self.sees_people {
            true => address.to_owned(),
            false => Address::from_twilio(address).masked(),
        }
    }

    /// Words of Twilio's, in which it may repeat what it was given.
    pub(super) fn quote(self, words: &str) -> &str {
        if self.sees_people { words } else { "(not shown without pii:read)" }
    }

    /// What was written, or anything else that may name somebody.
    pub(super) fn words<T: Default>(self, words: T) -> T {
        if self.sees_people { words } else { T::default() }
    }
}

impl FromRequest for Sight {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(&Principal::of(request))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blind_see_no_address_and_no_word() {
        let blind = Sight { sees_people: false };
        assert_eq!(blind.address("whatsapp:+4915100000012"), "+49*****12");
        assert_eq!(blind.address("whatsapp:US.13491208655302741918"), "US.*****");
        assert_eq!(blind.address("anything else"), "*****");
        assert_eq!((blind.words(Some("hello")), blind.words(vec![1])), (None, Vec::new()));
        assert_eq!(Sight::CLEAR.address("whatsapp:+4915100000012"), "whatsapp:+4915100000012");
    }
}
