//! A person who may use the pages: name, role, and what they prove themselves with.
//!
//! Invariant: a role never sees who people are by itself; that is said of each person apart.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Hash, Phone, Scope, Scopes};
use crate::clock::Time;

/// Longest name.
pub const MAX_USER_NAME: usize = 40;

/// What somebody is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Looks on.
    Viewer,
    /// Looks on, sends, retries, pauses, runs jobs.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// The role of this name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// What it may do, with or without seeing who people are.
    pub fn scopes(self, sees_people: bool) -> Scopes {
        let people: Scopes = [Scope::People].into_iter().collect();
        let role = match self {
            Self::Viewer => [Scope::Messages, Scope::Events].into_iter().collect(),
            Self::Operator => [Scope::Messages, Scope::Events, Scope::Send, Scope::Operate].into_iter().collect(),
            Self::Admin => Scopes::all().without(people),
        };
        if sees_people { role.with(people) } else { role }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A person as they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// What they log in by.
    pub name: String,
    /// What they are there for.
    pub role: Role,
    /// Whether they see who people are and what was written.
    pub sees_people: bool,
    /// Whether they are let in no more.
    pub is_disabled: bool,
    /// When they were entered.
    pub created_at: Time,
    /// When they last logged in.
    pub last_login_at: Option<Time>,
    /// When the password was set.
    pub password_at: Time,
    /// How often anything but the last log-in was changed, from 1.
    pub generation: u32,
    /// What is kept of the password.
    pub hash: Hash,
    /// The phone whose codes are asked for.
    pub totp: Option<Phone>,
    /// A phone that has not proved itself yet.
    pub enrolling: Option<Phone>,
}

/// A name that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to {MAX_USER_NAME} small letters, digits, dots, dashes, underscores or @, as in anna or anna@example.com"
)]
pub struct BadName;

impl User {
    /// Somebody new.
    pub fn new(name: &str, role: Role, sees_people: bool, hash: Hash, now: Time) -> Self {
        Self {
            name: name.to_owned(),
            role,
            sees_people,
            is_disabled: false,
            created_at: now,
            last_login_at: None,
            password_at: now,
            generation: 1,
            hash,
            totp: None,
            enrolling: None,
        }
    }

    /// A name as it is kept: in small letters. What is typed with great ones is the same person.
    pub fn name(text: &str) -> Result<String, BadName> {
        let name = text.trim().to_lowercase();
        let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "._-@".contains(letter);
        let is_name = (1..=MAX_USER_NAME).contains(&name.len()) && name.chars().all(is_plain);
        if is_name { Ok(name) } else { Err(BadName) }
    }

    /// The same, after what logging in has changed about the one that is kept.
    #[must_use]
    pub fn after(self, kept: &Self) -> Self {
        let totp = self.totp.map(|totp| totp.after(kept.totp.as_ref()));
        Self { last_login_at: kept.last_login_at.max(self.last_login_at), totp, ..self }
    }

    /// What they may do; nothing, once they are disabled.
    pub fn scopes(&self) -> Scopes {
        if self.is_disabled { Scopes::NONE } else { self.role.scopes(self.sees_people) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_holds_the_ones_below_it_and_none_sees_people_by_itself() {
        let [viewer, operator, admin] = Role::ALL.map(|role| role.scopes(false));
        assert!(viewer.without(operator).is_empty() && operator.without(admin).is_empty());
        assert!(!viewer.has(Scope::Send) && !operator.has(Scope::Users) && admin.has(Scope::Erase));
        for role in Role::ALL {
            assert!(!role.scopes(false).has(Scope::People) && role.scopes(true).has(Scope::People));
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::Admin.scopes(true), Scopes::all());
    }

    #[test]
    fn names_are_kept_in_small_letters_and_can_stand_in_any_address() {
        assert_eq!(User::name(" Anna@Example.com "), Ok("anna@example.com".to_owned()));
        for wrong in ["", " ", "an na", "anna/..", "ännä", "a:b", &"a".repeat(41)] {
            assert_eq!(User::name(wrong), Err(BadName), "{wrong}");
        }
    }

    #[test]
    fn whoever_is_disabled_may_do_nothing() {
        let mut user = User::new("anna", Role::Admin, true, Hash::of_nobody().clone(), Time(0));
        assert_eq!(user.scopes(), Scopes::all());
        user.is_disabled = true;
        assert_eq!(user.scopes(), Scopes::NONE);
    }
}
