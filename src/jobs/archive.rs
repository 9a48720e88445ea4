//! Moves old messages into segments: written, flushed, named, read back, and only then replaced by stubs.
//!
//! Invariant: at every moment a message is in the data file or in a whole segment, or in both, and counted once. A run that
//! was cut off leaves a segment that is marked; the next run lets go of what nothing leads to. Memory does not grow with
//! how many move.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::archive::{Broken, Head, Shelf, Writing};
use crate::clock::Time;
use crate::message::{Fact, Message, MessageId, Source};
use crate::store::{Handle, Place, Shelve, Snapshot, StoreError, Write, Written, encode};

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// How many messages went into the archive.
    pub messages: u64,
    /// How many segments were made.
    pub segments: u32,
    /// How many segments were written anew without lines that nothing leads to, or removed.
    pub tidied: u32,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, segments, tidied } = self;
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        write!(
            f,
            "{messages} message{} moved into {segments} segment{}",
            plural(*messages),
            plural((*segments).into())
        )?;
        match tidied {
            0 => Ok(()),
            _ => write!(f, ", {tidied} segment{} tidied", plural((*tidied).into())),
        }
    }
}

/// Why a run ended early; what it has moved until then stays moved.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A segment cannot be written.
    #[error("a segment cannot be written: {0}")]
    File(#[from] std::io::Error),
    /// A segment cannot be read, or does not say what was written.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was read back is not what was written.
    #[error("the segment {0} reads back otherwise than it was written: nothing was moved into it; look at the disk")]
    Untrue(u32),
    /// The work ended before its time.
    #[error("it was cut off: {0}")]
    CutOff(#[from] tokio::task::JoinError),
}

/// Moves everything whose last change is older than `until`. `progress` hears how many messages have moved.
pub async fn run(store: &Handle, until: Time, mut progress: impl FnMut(u64)) -> Result<Moved, ArchiveError> {
    let mut moved = Moved { tidied: tidy(store, None).await?, ..Moved::default() };
    let mut from = MessageId([0; 16]);
    while is_any_at_rest(store, from, until)? {
        let segment = open(store).await?;
        let filled =
            fill(store, segment, move |snapshot, take| snapshot.at_rest(from, until, take).map_err(ArchiveError::from));
        let filled = filled.await?;
        let Some(last) = filled.last().map(|(id, _)| *id) else {
            store.write(Write::DiscardSegment(segment)).await?;
            break;
        };
        moved.segments += 1;
        let before = moved.messages;
        moved.messages += shelve(store, segment, &filled, |now| progress(before + now)).await?;
        from = last.next();
    }
    Ok(moved)
}

/// Writes segments anew that have lines which nothing leads to, or words that are too old; says how many went.
pub(super) async fn tidy(store: &Handle, words_until: Option<Time>) -> Result<u32, ArchiveError> {
    let mut tidied = 0;
    for (old, is_marked) in store.read()?.segments()? {
        if !is_marked && !words_until.is_some_and(|until| has_words(store, old, until)) {
            continue;
        }
        if !store.shelf().path(old).exists() {
            // A crash before it had its name; or the folder is not the one it should be.
            if !store.read()?.is_in_use(old)? {
                discard(store, old).await?;
                tidied += 1;
            }
            continue;
        }
        if !is_marked {
            // From here on its file may be gone before we have said so.
            store.write(Write::MarkSegment(old)).await?;
        }
        let segment = open(store).await?;
        let filled = fill(store, segment, move |snapshot, take| {
            for message in snapshot.shelf().read(old)? {
                let mut message = message?;
                if snapshot.segment_of(message.id)? != Some(old) {
                    continue;
                }
                if words_until.is_some_and(|until| message.updated_at < until) && message.draft.has_words() {
                    message.apply(Fact::WordsForgotten, Source::Job, message.updated_at);
                }
                if take(message, Place::Segment(old)).is_break() {
                    break;
                }
            }
            Ok(())
        });
        match &filled.await?[..] {
            [] => drop(store.write(Write::DiscardSegment(segment)).await?),
            filled => drop(shelve(store, segment, filled, |_| ()).await?),
        }
        discard(store, old).await?;
        tidied += 1;
    }
    Ok(tidied)
}

/// Whether a segment has words, and all its messages are older than that.
fn has_words(store: &Handle, segment: u32, until: Time) -> bool {
    let is_old = |head: &Head| head.words > 0 && head.last.is_some_and(|last| last.at() < until);
    store.shelf().glance(segment).is_ok_and(|found| is_old(&found.head))
}

async fn open(store: &Handle) -> Result<u32, ArchiveError> {
    match store.write(Write::OpenSegment).await? {
        Written::Segment(number) => Ok(number),
        other => unreachable!("a segment is opened with a number, not {other:?}"),
    }
}

/// Removes a segment that no stub leads to. It is forgotten only when its file is gone; until then the next run comes back
/// to it: a reader may look for it still, or we may not come that far.
async fn discard(store: &Handle, segment: u32) -> Result<(), ArchiveError> {
    store.shelf().retire(segment);
    if !store.shelf().path(segment).exists() {
        store.write(Write::DiscardSegment(segment)).await?;
    }
    Ok(())
}

/// Puts stubs in the place of what a whole segment holds, and takes it into use; says how many messages are in it now.
async fn shelve(
    store: &Handle,
    segment: u32,
    filled: &[(MessageId, Place)],
    mut progress: impl FnMut(u64),
) -> Result<u64, ArchiveError> {
    let mut all = 0;
    for rows in filled.chunks(Shelve::MAX) {
        match store.write(Write::Shelve(Shelve { segment, rows: rows.to_vec() })).await? {
            Written::Shelved(moved) => all += moved as u64,
            other => unreachable!("what moves is counted, not {other:?}"),
        }
        progress(all);
    }
    store.write(Write::CloseSegment(segment)).await?;
    Ok(all)
}

fn is_any_at_rest(store: &Handle, from: MessageId, until: Time) -> Result<bool, ArchiveError> {
    let mut is_any = false;
    store.read()?.at_rest(from, until, |_, _| {
        is_any = true;
        ControlFlow::Break(())
    })?;
    Ok(is_any)
}

/// Writes a segment of what `each` hands over, until it is full, and reads it back; says what it holds. If nothing comes,
/// there is none.
async fn fill(
    store: &Handle,
    segment: u32,
    each: impl FnOnce(&Snapshot, &mut dyn FnMut(Message, Place) -> ControlFlow<()>) -> Result<(), ArchiveError>
    + Send
    + 'static,
) -> Result<Vec<(MessageId, Place)>, ArchiveError> {
    let (snapshot, shelf) = (store.read()?, Arc::clone(store.shelf()));
    spawn_blocking(move || {
        let (mut writing, mut written) = (None::<Writing>, Vec::new());
        let mut failure = None;
        each(&snapshot, &mut |message, place| {
            let mut add = || -> std::io::Result<bool> {
                let writing = match &mut writing {
                    Some(writing) => writing,
                    none => none.insert(shelf.begin(segment)?),
                };
                writing.add(&message)?;
                Ok(writing.is_full())
            };
            match add() {
                Ok(is_full) => {
                    written.push(((message.id, place), proof(&message)));
                    if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                }
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failure.map_or(Ok(()), Err)?;
        let Some(writing) = writing else { return Ok(Vec::new()) };
        writing.seal()?;
        prove(&shelf, segment, written)
    })
    .await?
}

/// What was written, once the segment was read back and holds these records, one after the other, and nothing else.
fn prove<R>(shelf: &Shelf, segment: u32, written: Vec<(R, u64)>) -> Result<Vec<R>, ArchiveError> {
    let mut written = written.into_iter();
    let mut proven = Vec::with_capacity(written.len());
    for message in shelf.read(segment)? {
        let found = proof(&message?);
        let (row, _) = written.next().filter(|(_, known)| *known == found).ok_or(ArchiveError::Untrue(segment))?;
        proven.push(row);
    }
    if written.next().is_some() { Err(ArchiveError::Untrue(segment)) } else { Ok(proven) }
}

/// A fingerprint of everything in a record.
fn proof(message: &Message) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(&encode(message));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Address, Content, Draft};

    #[test]
    fn a_segment_that_holds_anything_else_is_untrue() {
        let dir = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::beside(dir.path());
        let messages = [1, 2].map(|number: u8| {
            let (to, from) = ("+4915100000001".into(), "+15550001111".into());
            let draft = Draft::new(Address::Phone(to), Address::Phone(from), Content::Text("hello".into()));
            Message::accept(MessageId::new(Time(i64::from(number)), [number; 10]), draft, 1, 1, Time(i64::from(number)))
        });
        let mut writing = shelf.begin(1).expect("there is room");
        messages.iter().for_each(|message| writing.add(message).expect("there is room"));
        writing.seal().expect("there is room");
        let [first, second] = messages.each_ref().map(proof);
        let proven = prove(&shelf, 1, vec![("a", first), ("b", second)]).expect("it is what was written");
        assert_eq!(proven, ["a", "b"]);
        for wrong in [&[first][..], &[second, first], &[first, second, second], &[first, second ^ 1], &[]] {
            let wrong: Vec<_> = wrong.iter().map(|proof| ((), *proof)).collect();
            assert!(matches!(prove(&shelf, 1, wrong), Err(ArchiveError::Untrue(1))));
        }
    }
}
