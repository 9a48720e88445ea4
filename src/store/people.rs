//! People who may use the pages, and their sessions.
//!
//! Invariant: whoever is changed so that they may do less, or must prove themselves otherwise, loses their sessions in the
//! same transaction. A code of a phone is taken once, whoever shows it at the same time.

use redb::ReadableTable;

use super::StoreError;
use super::acts::{Before, Ending, Opening, Sessions, Shown};
use super::batch::Batch;
use super::codec::{decode, encode};
use super::read::Snapshot;
use super::tables;
use super::verbs::Written;
use super::verify::Findings;
use crate::clock::Time;
use crate::keyring::{Session, SessionId, User};

/// More browsers at once nobody has; the session that began first ends for another.
const MAX_SESSIONS: usize = 20;

/// Enters somebody as long as there is nobody.
pub(super) fn keep_first(batch: &mut Batch<'_>, user: &User) -> Result<bool, StoreError> {
    let users = batch.tables.users.open()?;
    let is_first = users.first()?.is_none();
    if is_first {
        users.insert(user.name.as_str(), written(user).as_slice())?;
    }
    Ok(is_first)
}

/// Enters or changes somebody, unless somebody else did meanwhile.
pub(super) fn keep(
    batch: &mut Batch<'_>,
    user: User,
    expected: Option<u32>,
    ending: Ending,
) -> Result<bool, StoreError> {
    let known = user_of(batch, &user.name)?;
    if known.as_ref().map(|known| known.generation) != expected {
        return Ok(false);
    }
    let kept = match &known {
        Some(known) => user.after(known),
        None => user,
    };
    batch.tables.users.open()?.insert(kept.name.as_str(), written(&kept).as_slice())?;
    match ending {
        Ending::None => {}
        Ending::All => drop(end_where(batch, |_, session| is_of(session, &kept.name))?),
        Ending::AllBut(one) => drop(end_where(batch, |id, session| id != one && is_of(session, &kept.name))?),
    }
    Ok(true)
}

/// Somebody goes.
pub(super) fn remove(batch: &mut Batch<'_>, name: &str, expected: u32) -> Result<bool, StoreError> {
    if user_of(batch, name)?.is_none_or(|known| known.generation != expected) {
        return Ok(false);
    }
    batch.tables.users.open()?.remove(name)?;
    end_where(batch, |_, session| is_of(session, name))?;
    Ok(true)
}

/// Opens a session, if what was shown for it is still right.
pub(super) fn open(batch: &mut Batch<'_>, opening: Opening) -> Result<bool, StoreError> {
    let Opening { id, session, before, shown } = opening;
    let now = batch.now;
    if let Before::GoesOn(before) = before
        && !session_of(batch, before)?.is_some_and(|before| before.is_live(now) && before.user == session.user)
    {
        return Ok(false);
    }
    let is_login = !matches!(before, Before::GoesOn(_));
    if let Some(shown) = shown
        && !take(batch, &session.user, shown, is_login)?
    {
        return Ok(false);
    }
    if let Before::Ends(before) | Before::GoesOn(before) = before {
        batch.tables.sessions.open()?.remove(before.0)?;
    }
    let is_theirs = |other: &Session| other.user == session.user && other.is_declared == session.is_declared;
    let mut theirs = sessions(batch.tables.sessions.open()?)?;
    theirs.retain(|(_, other)| is_theirs(other));
    theirs.sort_by_key(|(_, other)| std::cmp::Reverse(other.created_at));
    for (old, _) in theirs.iter().skip(MAX_SESSIONS - 1) {
        batch.tables.sessions.open()?.remove(old.0)?;
    }
    batch.tables.sessions.open()?.insert(id.0, encode(&session).as_slice())?;
    Ok(true)
}

/// Takes what somebody showed, if it is still right: a code cannot be shown again.
fn take(batch: &mut Batch<'_>, name: &str, shown: Shown, is_login: bool) -> Result<bool, StoreError> {
    let Shown { generation, step, rehashed } = shown;
    let known = user_of(batch, name)?.filter(|known| known.generation == generation && !known.is_disabled);
    let Some(mut user) = known else { return Ok(false) };
    let is_right = match (&mut user.totp, step) {
        (Some(totp), Some(step)) => totp.take(step),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if is_right {
        user.last_login_at = if is_login { Some(batch.now) } else { user.last_login_at };
        user.hash = rehashed.unwrap_or(user.hash);
        batch.tables.users.open()?.insert(name, written(&user).as_slice())?;
    }
    Ok(is_right)
}

/// Nobody is asked for the code of a phone any more: what those were made from opens no longer.
pub(super) fn forget_phones(batch: &mut Batch<'_>) -> Result<(), StoreError> {
    let mut users = Vec::new();
    for row in batch.tables.users.open()?.iter()? {
        let user = user_in(row?.1.value())?;
        users.extend((user.totp.is_some() || user.enrolling.is_some()).then_some(user));
    }
    for user in users {
        let user = User { totp: None, enrolling: None, generation: user.generation + 1, ..user };
        batch.tables.users.open()?.insert(user.name.as_str(), written(&user).as_slice())?;
    }
    Ok(())
}

/// Ends sessions; says whether there were any.
pub(super) fn end(batch: &mut Batch<'_>, which: &Sessions) -> Result<bool, StoreError> {
    let ended = match which {
        Sessions::One(id) => usize::from(batch.tables.sessions.open()?.remove(id.0)?.is_some()),
        Sessions::Of(name) => end_where(batch, |_, session| session.user == *name)?,
        Sessions::All => end_where(batch, |_, _| true)?,
        Sessions::AllBut(own) => end_where(batch, |id, _| id != *own)?,
    };
    Ok(ended > 0)
}

/// Somebody looked at a page; it is no deed, and stands in no log.
pub(super) fn looked(batch: &mut Batch<'_>, id: SessionId) -> Result<Written, StoreError> {
    let now = batch.now;
    if let Some(session) = session_of(batch, id)?.filter(|session| session.is_live(now)) {
        let session = Session { seen_at: session.seen_at.max(now), ..session };
        batch.tables.sessions.open()?.insert(id.0, encode(&session).as_slice())?;
    }
    Ok(Written::Governed)
}

/// Sessions that have ended by themselves go.
pub(super) fn forget_ended(batch: &mut Batch<'_>) -> Result<usize, StoreError> {
    let now = batch.now;
    end_where(batch, |_, session| !session.is_live(now))
}

fn end_where(batch: &mut Batch<'_>, is_it: impl Fn(SessionId, &Session) -> bool) -> Result<usize, StoreError> {
    let table = batch.tables.sessions.open()?;
    let ending: Vec<_> = sessions(table)?.into_iter().filter(|(id, session)| is_it(*id, session)).collect();
    for (id, _) in &ending {
        table.remove(id.0)?;
    }
    Ok(ending.len())
}

fn is_of(session: &Session, name: &str) -> bool {
    session.user == name && !session.is_declared
}

/// A person as they are written: with the secret of their phone, so nobody but this writes one.
fn written(user: &User) -> Vec<u8> {
    encode(user)
}

/// A person as they are read; nobody but this reads one.
fn user_in(bytes: &[u8]) -> Result<User, StoreError> {
    Ok(decode(bytes)?)
}

fn user_of(batch: &mut Batch<'_>, name: &str) -> Result<Option<User>, StoreError> {
    batch.tables.users.open()?.get(name)?.map(|bytes| user_in(bytes.value())).transpose()
}

fn session_of(batch: &mut Batch<'_>, id: SessionId) -> Result<Option<Session>, StoreError> {
    Ok(batch.tables.sessions.open()?.get(id.0)?.map(|bytes| decode(bytes.value())).transpose()?)
}

fn sessions(table: &impl ReadableTable<[u8; 32], &'static [u8]>) -> Result<Vec<(SessionId, Session)>, StoreError> {
    let rows = table.iter()?.map(|row| {
        let (id, session) = row?;
        Ok((SessionId(id.value()), decode(session.value())?))
    });
    rows.collect()
}

impl Snapshot {
    /// Somebody who may use the pages.
    pub fn user(&self, name: &str) -> Result<Option<User>, StoreError> {
        let bytes = self.transaction().open_table(tables::USERS)?.get(name)?;
        bytes.map(|bytes| user_in(bytes.value())).transpose()
    }

    /// Everybody who may.
    pub fn users(&self) -> Result<Vec<User>, StoreError> {
        let table = self.transaction().open_table(tables::USERS)?;
        table.iter()?.map(|row| user_in(row?.1.value())).collect()
    }

    /// Whether there is anybody.
    pub fn has_users(&self) -> Result<bool, StoreError> {
        Ok(self.transaction().open_table(tables::USERS)?.first()?.is_some())
    }

    /// A session that has not ended.
    pub fn session(&self, id: SessionId, now: Time) -> Result<Option<Session>, StoreError> {
        let bytes = self.transaction().open_table(tables::SESSIONS)?.get(id.0)?;
        let session: Option<Session> = bytes.map(|bytes| decode(bytes.value())).transpose()?;
        Ok(session.filter(|session| session.is_live(now)))
    }

    /// All sessions that have not ended.
    pub fn sessions(&self, now: Time) -> Result<Vec<(SessionId, Session)>, StoreError> {
        let mut all = sessions(&self.transaction().open_table(tables::SESSIONS)?)?;
        all.retain(|(_, session)| session.is_live(now));
        Ok(all)
    }
}

/// Whether everybody stands under their own name, and every session is somebody's.
pub(super) fn check(snapshot: &Snapshot, findings: &mut Findings) -> Result<(), StoreError> {
    let txn = snapshot.transaction();
    let users = txn.open_table(tables::USERS)?;
    for row in users.iter()? {
        let (name, user) = row?;
        let user = user_in(user.value())?;
        if user.name != name.value() {
            findings.add("users", format!("{} stands under the name {}", user.name, name.value()));
        }
    }
    for (id, session) in sessions(&txn.open_table(tables::SESSIONS)?)? {
        if !session.is_declared && users.get(session.user.as_str())?.is_none() {
            findings.add("sessions", format!("{id} is of {}, who is not there", session.user));
        }
    }
    Ok(())
}
