//! What somebody may do: a set of scopes, each a word that an API key, a token or a role carries.
//!
//! Invariant: nothing is allowed that no scope names; a new route names its own, or nobody gets through.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! scopes {
    ($($(#[doc = $doc:literal])* $name:ident = $bit:literal $word:literal;)*) => {
        /// One thing that somebody may do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope {
            $($(#[doc = $doc])* $name,)*
        }

        impl Scope {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            fn bit(self) -> u32 {
                match self {
                    $(Self::$name => 1 << $bit,)*
                }
            }

            /// What it allows, in words.
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),*).trim_ascii(),)*
                }
            }
        }
    };
}

scopes! {
    /// Send messages, retry, hold, release and cancel them, and write opt-outs down.
    Send = 0 "send";
    /// See messages, numbers and how bluetick fares; people masked, without what was written.
    Messages = 1 "messages:read";
    /// See who people are and what was written.
    People = 2 "pii:read";
    /// Follow what happens.
    Events = 3 "events:read";
    /// Pause and resume, run jobs, make backups, bring messages back.
    Operate = 4 "operate";
    /// Take away everything about a person.
    Erase = 5 "erase";
    /// Make, rotate and revoke API keys and secrets.
    Keys = 6 "keys:write";
    /// Read the audit log.
    Audit = 7 "audit:read";
    /// Make and change admin users, and end their sessions.
    Users = 8 "users:write";
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(u32);

/// A word that is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scope: there are {known}", known = Scopes::all())]
pub struct NoScope(pub String);

impl Scopes {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Everything there is.
    pub fn all() -> Self {
        Scope::ALL.iter().copied().collect()
    }

    /// Whether it is among them.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Those in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those here that the other has not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in their order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.has(*scope))
    }

    /// Reads words, between spaces or commas.
    pub fn parse(text: &str) -> Result<Self, NoScope> {
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let known = |word: &str| Scope::ALL.iter().copied().find(|scope| scope.as_str() == word);
        words.map(|word| known(word).ok_or_else(|| NoScope(word.chars().take(40).collect()))).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// The words, between spaces, as OAuth writes them.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(Scope::as_str).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written_and_each_has_its_own_bit() {
        let all = Scopes::all();
        assert_eq!(all.iter().count(), Scope::ALL.len());
        assert_eq!(Scopes::parse(&all.to_string()), Ok(all));
        for scope in Scope::ALL {
            let alone = Scopes::parse(scope.as_str()).expect("a scope");
            assert_eq!(
                (alone.iter().collect::<Vec<_>>(), alone.to_string()),
                (vec![*scope], scope.as_str().to_owned())
            );
            assert!(!scope.words().is_empty());
        }
        assert_eq!(Scopes::parse(" send,, messages:read ").map(|scopes| scopes.iter().count()), Ok(2));
    }

    #[test]
    fn a_word_that_is_none_is_named_with_all_that_are() {
        let error = Scopes::parse("send admin").expect_err("no scope").to_string();
        assert!(error.contains("\"admin\"") && error.contains("messages:read"), "{error}");
        assert!(Scopes::parse("").is_ok_and(Scopes::is_empty));
    }

    #[test]
    fn sets_are_cut_and_subtracted() {
        let (few, more) = (Scopes::parse("send").expect("one"), Scopes::parse("send erase").expect("two"));
        assert_eq!((more.and(few), more.without(few).to_string()), (few, "erase".to_owned()));
        assert_eq!(more.without(few).with(few), more);
        assert!(few.without(more).is_empty() && !Scopes::NONE.has(Scope::Send));
    }
}
