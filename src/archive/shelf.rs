//! The folder of segments, and the messages in them by segment and id.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::seal::{self, Broken, checksum_of};
use super::segment::{self, Head, Segment, Writing};
use crate::message::{Message, MessageId};

/// Indexes of segments that are kept in memory: some hundred kilobytes each at most.
const MAX_OPEN: usize = 32;
/// What a segment's name begins with.
const PREFIX: &str = "segment-";
/// What it ends in: `zstdcat` reads it.
const ENDING: &str = ".jsonl.zst";

/// The folder of segments. Whoever reads from it holds a [`Lease`], so that no segment goes away under them.
pub struct Shelf {
    dir: PathBuf,
    kept: Mutex<Kept>,
    lease: Mutex<Arc<Lease>>,
}

#[derive(Default)]
struct Kept {
    segments: BTreeMap<u32, Arc<Segment>>,
    /// The frame that was read last: whoever reads on mostly stays in it.
    frame: Option<(u32, usize, Arc<str>)>,
}

/// A segment, as the folder shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved {
    /// Its number.
    pub number: u32,
    /// Where.
    pub path: PathBuf,
    /// How large.
    pub bytes: u64,
    /// What it says of itself.
    pub head: Head,
}

/// The right to find everything where it is. What went out of use is dropped when nobody holds a lease any more that was
/// taken while it was in use.
#[derive(Default)]
pub struct Lease {
    retired: Mutex<Vec<Box<dyn Any + Send>>>,
    /// The one that was given out next: as long as somebody may look for what this one shows, nothing later goes away.
    next: Mutex<Option<Arc<Lease>>>,
}

/// A segment that is removed when it is dropped.
struct Unused(PathBuf);

impl Drop for Unused {
    fn drop(&mut self) {
        // Without its checksum it is no segment any more, should a crash come between the two.
        for path in [&checksum_of(&self.0), &self.0] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::error!(file = %path.display(), %error, "a segment that nothing needs cannot be removed");
                }
                _ => {}
            }
        }
    }
}

impl Shelf {
    /// The segments of this folder; it need not be there yet.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, kept: Mutex::default(), lease: Mutex::default() }
    }

    /// The segments in their usual folder beside a data file.
    pub fn beside(data: &Path) -> Self {
        Self::new(super::Options::default().folder(data))
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// From now on nothing goes away that is there.
    pub fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where a segment is.
    pub fn path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{PREFIX}{number:06}{ENDING}"))
    }

    /// Begins a segment.
    pub fn begin(&self, number: u32) -> io::Result<Writing> {
        use std::os::unix::fs::DirBuilderExt;
        if !self.dir.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
            seal::sync_folder_of(&self.dir)?;
        }
        Writing::begin(&self.path(number))
    }

    /// A message out of a segment, in which it must be.
    pub fn find(&self, number: u32, id: MessageId) -> Result<Message, Broken> {
        let missing = || Broken::Strange(self.path(number), format!("{id} should be in it, and is not"));
        self.look(number, id)?.ok_or_else(missing)
    }

    /// A message out of a segment, if it is in it.
    pub fn look(&self, number: u32, id: MessageId) -> Result<Option<Message>, Broken> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let segment = match kept.segments.get(&number) {
            Some(segment) => Arc::clone(segment),
            None => {
                let segment = Arc::new(Segment::open(&self.path(number))?);
                if kept.segments.len() >= MAX_OPEN {
                    kept.segments.pop_first();
                }
                kept.segments.insert(number, Arc::clone(&segment));
                segment
            }
        };
        let Some(frame) = segment.frame_of(id) else { return Ok(None) };
        let text = match &kept.frame {
            Some((of, known, text)) if (*of, *known) == (number, frame) => Arc::clone(text),
            _ => {
                let text: Arc<str> = segment.text(frame)?.into();
                kept.frame = Some((number, frame, Arc::clone(&text)));
                text
            }
        };
        drop(kept);
        segment.find(&text, id)
    }

    /// All messages of a segment, oldest first, after its bytes were held against its checksum.
    pub fn read(&self, number: u32) -> Result<impl Iterator<Item = Result<Message, Broken>> + use<>, Broken> {
        segment::read(&self.path(number))
    }

    /// A segment, as the folder shows it.
    pub fn glance(&self, number: u32) -> Result<Shelved, Broken> {
        let path = self.path(number);
        let segment = Segment::open(&path)?;
        Ok(Shelved { number, path, bytes: segment.bytes, head: segment.head().clone() })
    }

    /// The numbers of the segments that are there.
    pub fn numbers(&self) -> io::Result<Vec<u32>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let number = |name: &str| name.strip_prefix(PREFIX)?.strip_suffix(ENDING)?.parse().ok();
        let mut numbers = entries
            .map(|entry| Ok(entry?.file_name().to_str().and_then(number)))
            .filter_map(Result::transpose)
            .collect::<io::Result<Vec<u32>>>()?;
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Takes a segment out of use: it is removed as soon as nobody can be looking for it any more.
    pub fn retire(&self, number: u32) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.segments.remove(&number);
        kept.frame = kept.frame.take().filter(|(of, ..)| *of != number);
        drop(kept);
        // What a crash left of the writing of it goes too.
        let path = self.path(number);
        let _ = fs::remove_file(path.with_extension("zst.part"));
        self.drop_unread(Box::new(Unused(path)));
    }

    /// Drops something that went out of use, as soon as nobody can be reading it any more.
    pub fn drop_unread(&self, thing: Box<dyn Any + Send>) {
        let next = Arc::<Lease>::default();
        let old = {
            let mut lease = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *lease, Arc::clone(&next))
        };
        *old.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        old.retired.lock().unwrap_or_else(PoisonError::into_inner).push(thing);
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::clock::Time;
    use crate::message::{Address, Content, Draft, Fact, Form, Source, Word};

    /// A shelf, and its folder, which goes with it.
    fn shelf() -> (Shelf, TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        (Shelf::new(folder.path().to_owned()), folder)
    }

    fn message(number: u32) -> Message {
        let at = Time(1_800_000_000_000 + i64::from(number));
        let to = Address::Phone(format!("+49151{number:08}"));
        let text = Content::Text(format!("Nr. {number}: \"id\":\"msg_00\" \\ \u{2028} ✓\n{}", "x".repeat(300)));
        let draft = Draft::new(to, Address::Phone("+15550001111".into()), text);
        let mut random = [0; 10];
        random[6..].copy_from_slice(&number.to_be_bytes());
        let mut message = Message::accept(MessageId::new(at, random), draft, 1, u64::from(number), at);
        let sid = format!("SM{number:032x}").parse().expect("a SID");
        message.apply(Fact::Claimed { nonce: [7; 16], boot: u64::MAX, form: Form::AsAsked }, Source::Job, at);
        for word in [Word::Sent, Word::Undelivered, Word::parse("strange")] {
            message.apply(Fact::Reported { attempt: 1, sid, word, code: Some(63_016) }, Source::Callback, at);
        }
        message
    }

    fn write(shelf: &Shelf, number: u32, messages: &[Message]) {
        let mut writing = shelf.begin(number).expect("it can be begun");
        messages.iter().for_each(|message| writing.add(message).expect("it can be written"));
        writing.seal().expect("it can be sealed");
    }

    #[test]
    fn what_was_written_is_found_one_by_one_and_all_together_to_the_last_bit() {
        let (shelf, _folder) = shelf();
        let messages = (1..2_000).map(message).collect::<Vec<_>>();
        write(&shelf, 1, &messages);
        for message in &messages {
            assert_eq!(&shelf.find(1, message.id).expect("it is there"), message);
        }
        let read = shelf.read(1).expect("it is whole").collect::<Result<Vec<_>, _>>().expect("every line is read");
        assert_eq!(read, messages);
        let glance = shelf.glance(1).expect("it can be opened");
        assert_eq!((glance.head.messages, glance.head.first), (1_999, Some(messages[0].id)));
        assert!(glance.head.frames() > 10, "one message is found without reading all of them");
        assert!(matches!(shelf.find(1, message(9_999).id), Err(Broken::Strange(..))));
        assert!(matches!(shelf.find(2, messages[0].id), Err(Broken::Unreadable(..))));
    }

    #[test]
    fn a_message_that_speaks_of_another_is_not_taken_for_it() {
        let (shelf, _folder) = shelf();
        let mut messages = (1..4).map(message).collect::<Vec<_>>();
        let (gone, last) = (messages.remove(1).id, messages[1].id);
        for (at, other) in [(0, last), (1, gone)] {
            messages[at].draft.metadata.insert("id".to_owned(), other.to_string());
        }
        write(&shelf, 1, &messages);
        for message in &messages {
            assert_eq!(&shelf.find(1, message.id).expect("it is there"), message);
        }
        assert_eq!(shelf.look(1, gone).expect("it can be read"), None);
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_a_frame() {
        let (shelf, _folder) = shelf();
        fs::create_dir_all(shelf.dir()).expect("there is room");
        let mut sealing = seal::Sealing::begin(&shelf.path(1)).expect("it can be begun");
        for _ in 0..64 {
            std::io::Write::write_all(&mut sealing, &[b' '; 1 << 20]).expect("it can be written");
        }
        sealing.seal().expect("it can be sealed");
        let read = shelf.read(1).expect("its bytes are the ones that were sealed").next().expect("there is a line");
        assert!(matches!(&read, Err(Broken::Strange(_, what)) if what.contains("too long")), "{read:?}");
    }

    #[test]
    fn anyones_tools_read_it() {
        let (shelf, _folder) = shelf();
        write(&shelf, 7, &(1..500).map(message).collect::<Vec<_>>());
        let zstd = std::process::Command::new("zstdcat").arg(shelf.path(7)).output().expect("zstdcat is there");
        assert!(zstd.status.success(), "{}", String::from_utf8_lossy(&zstd.stderr));
        let lines = String::from_utf8(zstd.stdout).expect("it is text");
        let lines = lines.lines().map(serde_json::from_str).collect::<Result<Vec<serde_json::Value>, _>>();
        let lines = lines.expect("every line is JSON");
        assert_eq!(lines.len(), 499);
        assert_eq!((&lines[0]["status"], &lines[0]["code"]), (&"undelivered".into(), &63_016.into()));
    }

    #[test]
    fn a_flipped_bit_is_an_error_and_never_another_message() {
        let (shelf, _folder) = shelf();
        let messages = (1..40).map(message).collect::<Vec<_>>();
        write(&shelf, 1, &messages);
        let bytes = fs::read(shelf.path(1)).expect("it is there");
        for place in (0..bytes.len()).step_by(7) {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 8);
            fs::write(shelf.path(1), flipped).expect("it can be written");
            let shelf = Shelf::new(shelf.dir().to_owned());
            for message in &messages {
                assert!(shelf.find(1, message.id).map_or(true, |found| found == *message), "byte {place}");
            }
            assert!(shelf.read(1).is_err(), "byte {place}");
        }
    }

    #[test]
    fn a_segment_goes_when_the_last_who_might_look_for_it_is_gone() {
        let (shelf, _folder) = shelf();
        write(&shelf, 1, &[message(1)]);
        write(&shelf, 2, &[message(2)]);
        let (earlier, between);
        earlier = shelf.lease();
        shelf.retire(1);
        between = shelf.lease();
        shelf.retire(2);
        assert_eq!(shelf.numbers().expect("it can be listed"), [1, 2]);
        drop(between);
        assert_eq!(shelf.numbers().expect("it can be listed"), [1, 2], "the earlier one still needs both");
        drop(earlier);
        assert!(shelf.numbers().expect("it can be listed").is_empty());
        assert!(!checksum_of(&shelf.path(1)).exists());
    }
}
