//! Who is asking, what they may do, and whether that still holds.
//!
//! Not here: how somebody is let in (`auth`), and what is needed for what (`rights`).

use std::sync::Arc;

use actix_web::HttpMessage;

use super::error::{Code, Problem};
use crate::audit::Actor;
use crate::clock::Time;
use crate::keyring::{ApiKey, KeyId, Keyring, Kind, Role, Scopes, SecretTrace, Session, SessionId, User};
use crate::message::Source;
use crate::store::{Handle, StoreError};

/// Who is asking, and what they may do.
#[derive(Clone, Debug, Default)]
pub(super) struct Principal {
    /// Its name, which keeps Idempotency-Keys of different principals apart: `api` for the key of the configuration,
    /// `operator` for whoever may open the local socket, `user:…` for a person, `ak_…` for a key.
    pub(super) name: String,
    /// Whether it is a person.
    pub(super) is_person: bool,
    /// What it may do.
    pub(super) scopes: Scopes,
    /// When the access token ends that it was let in with, and which key signed it.
    pub(super) token: Option<(Time, u32)>,
    /// Which secret of its key it was let in with, or with a token for it.
    pub(super) secret: Option<SecretTrace>,
    /// What the audit log says of it.
    pub(super) actor: Actor,
    /// How a person was let in; nothing, through the local socket.
    pub(super) visit: Option<Arc<Visit>>,
}

/// A session that somebody was let in by.
#[derive(Debug)]
pub(super) struct Visit {
    /// Which.
    pub(super) id: SessionId,
    /// As it is kept.
    pub(super) session: Session,
    /// Whose it is; nothing is kept of the person of the configuration.
    pub(super) user: Option<User>,
}

impl Visit {
    /// What the person is there for.
    pub(super) fn role(&self) -> Role {
        self.user.as_ref().map_or(Role::Admin, |user| user.role)
    }
}

impl Principal {
    /// Somebody who was let in.
    pub(super) fn new(name: impl Into<String>, logged: String, is_person: bool, scopes: Scopes) -> Self {
        let actor = Actor { name: logged, ..Actor::default() };
        Self { name: name.into(), is_person, scopes, token: None, secret: None, actor, visit: None }
    }

    /// The session of whoever is logged in.
    pub(super) fn visit(&self) -> Result<&Visit, Problem> {
        let detail = "only somebody who is logged in has a session";
        self.visit.as_deref().ok_or_else(|| Problem::new(Code::Forbidden, detail))
    }

    /// The same, as somebody who has just said who they are.
    pub(super) fn named(self, user: &str) -> Self {
        let actor = Actor { name: format!("user:{user}"), ..self.actor };
        Self { actor, ..self }
    }

    /// Whether it came through the local socket.
    pub(super) fn is_local(&self) -> bool {
        self.is_person && self.visit.is_none()
    }

    /// Whom the journal names for what they do.
    pub(super) fn source(&self) -> Source {
        if self.is_person { Source::Operator } else { Source::Api }
    }

    /// Who was let in to this handler; nobody, who may do nothing, where nobody was asked.
    pub(super) fn of(request: &impl HttpMessage) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    /// Whether what they were let in with is still good for something: asked again by what lasts.
    pub(super) fn is_still(&self, store: &Handle, keyring: &Keyring, now: Time) -> bool {
        if let Some((until, signed_by)) = self.token {
            let is_live = keyring.live(Kind::Jwt, now).iter().any(|held| held.generation == signed_by);
            if until <= now || !is_live {
                return false;
            }
        }
        let is_live = || -> Result<bool, StoreError> {
            let snapshot = store.read()?;
            if let Some(visit) = &self.visit {
                let user = snapshot.user(&visit.session.user)?;
                let may_as_much = visit.user.is_none() || user.is_some_and(|user| user.scopes() == self.scopes);
                return Ok(may_as_much && snapshot.session(visit.id, now)?.is_some());
            }
            let Ok(id) = self.name.parse::<KeyId>() else { return Ok(true) };
            let opens = |key: &ApiKey| self.secret.is_none_or(|secret| key.opens_until(secret, now).is_some());
            Ok(snapshot.api_key(id)?.is_some_and(|key| key.is_live(None, now).is_ok() && opens(&key)))
        };
        is_live().unwrap_or(false)
    }
}
