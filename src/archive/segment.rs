//! A segment: thousands of old messages in one sealed file, a line of JSON each, by id.
//!
//! The lines stand in frames of zstd, one after the other, so that `zstdcat` shows all of them and one is found without
//! reading the rest. Behind them stands an index in a frame that every zstd skips: JSON, then its length (4 bytes,
//! little-endian). A line is the stored record and, for whoever reads it, the message's status and error code.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::iter;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::seal::{self, Broken, LEVEL, Plain, Sealed};
use crate::message::{Message, MessageId};

/// Raised when the file's own shape changes.
const FORMAT: u16 = 1;
/// A segment has no more messages: it bounds the index, and what must be written anew when one of them goes.
pub const MAX_MESSAGES: usize = 50_000;
/// A frame is closed when it has so many bytes of text: so much is read to find one message.
const FRAME: usize = 128 << 10;
/// No frame is longer: the longest record, and the line it stands in.
const MAX_FRAME: usize = 8 << 20;
/// No index is longer.
const MAX_INDEX: usize = 32 << 20;
/// What a frame that is skipped begins with.
const SKIPPED: u32 = 0x184D_2A5B;

/// What a segment says of itself, and where its messages are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The file's shape.
    pub bluetick_segment: u16,
    /// The version that wrote it.
    pub version: String,
    /// How many messages it has.
    pub messages: u64,
    /// How many of them have words that could be forgotten.
    #[serde(default)]
    pub words: u64,
    /// Its first message: the oldest.
    pub first: Option<MessageId>,
    /// Its last.
    pub last: Option<MessageId>,
    frames: Vec<Frame>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Frame {
    first: MessageId,
    at: u64,
    bytes: u32,
    text: u32,
}

impl Head {
    /// In how many parts it is read.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }
}

/// A line, as it is written.
#[derive(Serialize)]
struct Line<'a> {
    status: &'a str,
    code: Option<u32>,
    #[serde(flatten)]
    message: &'a Message,
}

/// A segment that is being written, oldest message first.
pub struct Writing {
    file: Plain,
    head: Head,
    text: Vec<u8>,
    first: Option<MessageId>,
}

impl Writing {
    /// Begins a segment that will be at `path` when it is sealed.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let head = Head {
            bluetick_segment: FORMAT,
            version,
            messages: 0,
            words: 0,
            first: None,
            last: None,
            frames: Vec::new(),
        };
        Ok(Self { file: Plain::begin(path)?, head, text: Vec::with_capacity(FRAME * 2), first: None })
    }

    /// Adds a message; each is younger than the one before.
    pub fn add(&mut self, message: &Message) -> io::Result<()> {
        debug_assert!(self.head.last.is_none_or(|last| last < message.id), "messages come by their ids");
        let status = message.status();
        let line = Line { status: status.as_str(), code: message.code(), message };
        serde_json::to_writer(&mut self.text, &line)?;
        self.text.push(b'\n');
        self.first.get_or_insert(message.id);
        self.head.first.get_or_insert(message.id);
        self.head.words += u64::from(message.draft.has_words());
        (self.head.last, self.head.messages) = (Some(message.id), self.head.messages + 1);
        if self.text.len() >= FRAME { self.close_frame() } else { Ok(()) }
    }

    /// Whether there is no room for another.
    pub fn is_full(&self) -> bool {
        self.head.messages >= MAX_MESSAGES as u64
    }

    fn close_frame(&mut self) -> io::Result<()> {
        let Some(first) = self.first.take() else { return Ok(()) };
        let mut encoder = zstd::bulk::Compressor::new(LEVEL)?;
        // So that a frame that is read alone proves itself.
        encoder.include_checksum(true)?;
        let frame = encoder.compress(&self.text)?;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidData);
        let (at, bytes, text) = (self.file.bytes, length(&frame)?, length(&self.text)?);
        self.head.frames.push(Frame { first, at, bytes, text });
        self.text.clear();
        self.file.write_all(&frame)
    }

    /// Writes the index, flushes everything, and gives the file its name.
    pub fn seal(mut self) -> io::Result<(Sealed, Head)> {
        self.close_frame()?;
        let index = serde_json::to_vec(&self.head)?;
        let length = u32::try_from(index.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        self.file.write_all(&SKIPPED.to_le_bytes())?;
        self.file.write_all(&(length + 4).to_le_bytes())?;
        self.file.write_all(&index)?;
        self.file.write_all(&length.to_le_bytes())?;
        Ok((self.file.seal()?, self.head))
    }
}

/// A segment, open for looking messages up.
pub struct Segment {
    path: PathBuf,
    file: File,
    head: Head,
    /// How large the file is.
    pub bytes: u64,
}

impl Segment {
    /// Opens one by its index.
    pub fn open(path: &Path) -> Result<Self, Broken> {
        let unreadable = |error| Broken::Unreadable(path.to_owned(), error);
        let strange = |what: &dyn std::fmt::Display| Broken::Strange(path.to_owned(), what.to_string());
        let file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let no_segment = || strange(&"it is no segment, or not whole");
        let mut length = [0; 4];
        file.read_exact_at(&mut length, bytes.checked_sub(4).ok_or_else(no_segment)?).map_err(unreadable)?;
        let length = u32::from_le_bytes(length) as usize;
        let at = bytes.checked_sub(length as u64 + 12).filter(|_| length <= MAX_INDEX).ok_or_else(no_segment)?;
        let mut index = vec![0; length + 8];
        file.read_exact_at(&mut index, at).map_err(unreadable)?;
        if index[..4] != SKIPPED.to_le_bytes() {
            return Err(no_segment());
        }
        let head: Head = serde_json::from_slice(&index[8..]).map_err(|error| strange(&error))?;
        if head.bluetick_segment > FORMAT {
            return Err(strange(&format!("a later bluetick (version {}) wrote it", head.version)));
        }
        Ok(Self { path: path.to_owned(), file, head, bytes })
    }

    /// What it says of itself.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Which frame a message would stand in.
    pub(super) fn frame_of(&self, id: MessageId) -> Option<usize> {
        self.head.frames.partition_point(|frame| frame.first <= id).checked_sub(1)
    }

    /// The lines of a frame.
    pub(super) fn text(&self, frame: usize) -> Result<String, Broken> {
        let unreadable = |error| Broken::Unreadable(self.path.clone(), error);
        let Frame { at, bytes, text, .. } = self.head.frames[frame];
        if text as usize > MAX_FRAME || bytes as usize > MAX_FRAME {
            return Err(Broken::Strange(self.path.clone(), "a frame is too long".to_owned()));
        }
        let mut frame = vec![0; bytes as usize];
        self.file.read_exact_at(&mut frame, at).map_err(unreadable)?;
        let text = zstd::bulk::decompress(&frame, text as usize).map_err(unreadable)?;
        String::from_utf8(text).map_err(|error| Broken::Strange(self.path.clone(), error.to_string()))
    }

    /// The message with this id in the lines of its frame.
    pub(super) fn find(&self, text: &str, id: MessageId) -> Result<Option<Message>, Broken> {
        // The app's own notes may hold a pair like this too, so what was found must say itself who it is.
        let wanted = format!("\"id\":\"{id}\"");
        for line in text.lines().filter(|line| line.contains(&wanted)) {
            let message = parse(&self.path, line)?;
            if message.id == id {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }
}

/// All messages of a sealed segment, oldest first, after its bytes were held against its checksum.
pub(super) fn read(path: &Path) -> Result<impl Iterator<Item = Result<Message, Broken>> + use<>, Broken> {
    let (path, mut input) = (path.to_owned(), io::BufReader::new(seal::open(path)?));
    Ok(iter::from_fn(move || {
        let mut line = Vec::new();
        match input.by_ref().take(MAX_FRAME as u64 + 1).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) if line.len() > MAX_FRAME => {
                Some(Err(Broken::Strange(path.clone(), "a line is too long".to_owned())))
            }
            Ok(_) => Some(read_line(&path, &line)),
            Err(error) => Some(Err(Broken::Unreadable(path.clone(), error))),
        }
    }))
}

fn read_line(path: &Path, line: &[u8]) -> Result<Message, Broken> {
    let strange = |error: &dyn std::fmt::Display| Broken::Strange(path.to_owned(), error.to_string());
    parse(path, std::str::from_utf8(line).map_err(|error| strange(&error))?)
}

fn parse(path: &Path, line: &str) -> Result<Message, Broken> {
    serde_json::from_str(line).map_err(|error| Broken::Strange(path.to_owned(), error.to_string()))
}
