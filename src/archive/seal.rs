//! Sealing: `NAME` is zstd, readable with `zstdcat`; `NAME.sha256` is its checksum, as `sha256sum --check` reads it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Fast, and within a fifth of what the slow levels reach for records like ours.
pub(super) const LEVEL: i32 = 3;
/// What the checksum's own name ends in.
const CHECKSUM: &str = "sha256";

/// Why a sealed file is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It or its checksum cannot be read.
    #[error("{0} cannot be read ({1}): it belongs together with its .sha256")]
    Unreadable(PathBuf, io::Error),
    /// Its checksum says something else.
    #[error("{0} is damaged: its bytes are not the ones that its checksum was made of")]
    Damaged(PathBuf),
    /// It is whole, but not what it should be.
    #[error("{0} is not what it should be: {1}")]
    Strange(PathBuf, String),
}

/// A file that is being written, as it is.
pub(super) struct Plain {
    path: PathBuf,
    part: PathBuf,
    to: BufWriter<File>,
    hash: Sha256,
    pub(super) bytes: u64,
}

/// A file that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Where.
    pub path: PathBuf,
    /// How large.
    pub bytes: u64,
}

impl Plain {
    /// Begins a file that will be at `path` when it is sealed. Only its owner may read it.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        let part = with_ending(path, "part");
        let file = private(&part)?;
        let to = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { path: path.to_owned(), part, to, hash: Sha256::new(), bytes: 0 })
    }

    /// Flushes it, writes its checksum, and gives it its name.
    pub(super) fn seal(self) -> io::Result<Sealed> {
        let Self { path, part, to, hash, bytes } = self;
        to.into_inner()?.sync_all()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        write_whole(&with_ending(&path, CHECKSUM), &format!("{}  {name}\n", HEXLOWER.encode(&hash.finalize())))?;
        fs::rename(&part, &path)?;
        sync_folder_of(&path)?;
        Ok(Sealed { path, bytes })
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A file that is being written, compressed.
pub struct Sealing(zstd::Encoder<'static, Plain>);

impl Sealing {
    /// Begins a file that will be at `path` when it is sealed. Only its owner may read it.
    pub fn begin(path: &Path) -> io::Result<Self> {
        Ok(Self(zstd::Encoder::new(Plain::begin(path)?, LEVEL)?))
    }

    /// Flushes it, writes its checksum, and gives it its name.
    pub fn seal(self) -> io::Result<Sealed> {
        self.0.finish()?.seal()
    }
}

impl Write for Sealing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Opens a sealed file for reading, after its bytes were held against its checksum.
pub fn open(path: &Path) -> Result<impl Read + use<>, Broken> {
    let unreadable = |error| Broken::Unreadable(path.to_owned(), error);
    File::open(path).map_err(unreadable)?;
    let known = checksum(path)?;
    let mut hashing = Hashing(Sha256::new());
    io::copy(&mut File::open(path).map_err(unreadable)?, &mut hashing).map_err(unreadable)?;
    if known != HEXLOWER.encode(&hashing.0.finalize()) {
        return Err(Broken::Damaged(path.to_owned()));
    }
    let decoder = zstd::Decoder::new(File::open(path).map_err(unreadable)?).map_err(unreadable)?;
    Ok(BufReader::with_capacity(1 << 20, decoder))
}

/// Reads the beginning of a sealed file, without knowing whether the rest is whole.
pub fn peek<T>(path: &Path, read: impl FnOnce(&mut dyn Read) -> T) -> io::Result<T> {
    let mut decoder = zstd::Decoder::new(File::open(path)?)?;
    Ok(read(&mut decoder))
}

/// The checksum of a sealed file, as it was written beside it.
pub fn checksum(path: &Path) -> Result<String, Broken> {
    let file = checksum_of(path);
    let text = fs::read_to_string(&file).map_err(|error| Broken::Unreadable(file, error))?;
    let sum = text.split_whitespace().next().unwrap_or_default();
    let is_sum = sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_sum { Ok(sum.to_owned()) } else { Err(Broken::Damaged(path.to_owned())) }
}

/// Puts a sealed file into another folder too, under another name, with its checksum; flushed when this returns. What is
/// there under that name is the same already.
pub fn copy(from: &Path, to: &Path) -> Result<(), Broken> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |error| Broken::Unreadable(path, error)
    };
    let sum = checksum(from)?;
    if to.exists() && checksum(to).is_ok_and(|known| known == sum) {
        return Ok(());
    }
    let part = with_ending(to, "part");
    // A copy of its own, no link: what spoils the one must not spoil the other. And none of what is spoilt already.
    let mut source = File::open(from).map_err(unreadable(from))?;
    let mut copying = Copying { to: private(&part).map_err(unreadable(&part))?, hash: Sha256::new() };
    io::copy(&mut source, &mut copying).map_err(unreadable(&part))?;
    copying.to.sync_all().map_err(unreadable(&part))?;
    if HEXLOWER.encode(&copying.hash.finalize()) != sum {
        let _ = fs::remove_file(&part);
        return Err(Broken::Damaged(from.to_owned()));
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    write_whole(&checksum_of(to), &format!("{sum}  {name}\n")).map_err(unreadable(to))?;
    fs::rename(&part, to).map_err(unreadable(to))?;
    sync_folder_of(to).map_err(unreadable(to))
}

/// Where the checksum of a file stands.
pub fn checksum_of(path: &Path) -> PathBuf {
    with_ending(path, CHECKSUM)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let new = with_ending(path, "part");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// A name is only there for good once its folder says so.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
}

/// Copies what passes, and hashes it.
struct Copying {
    to: File,
    hash: Sha256,
}

impl Write for Copying {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A new file that only its owner may read.
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().create(true).truncate(true).write(true).mode(0o600).open(path)
}

/// Hashes what passes.
struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_reads_back_and_a_changed_byte_is_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file.zst");
        let text = "one line after another\n".repeat(10_000);
        let mut sealing = Sealing::begin(&path).expect("it can be begun");
        sealing.write_all(text.as_bytes()).expect("it can be written");
        assert!(!path.exists(), "it has its name only when it is sealed");
        let sealed = sealing.seal().expect("it can be sealed");
        assert!(sealed.bytes < text.len() as u64 / 50 && fs::metadata(&path).expect("there").len() == sealed.bytes);
        let mut read = String::new();
        open(&path).expect("it is whole").read_to_string(&mut read).expect("it can be read");
        assert_eq!(read, text);

        let mut bytes = fs::read(&path).expect("there");
        for place in 0..bytes.len() {
            bytes[place] ^= 1;
            fs::write(&path, &bytes).expect("it can be written");
            assert!(matches!(open(&path).map(drop), Err(Broken::Damaged(_))), "byte {place}");
            bytes[place] ^= 1;
        }
    }

    #[test]
    fn the_checksum_is_what_sha256sum_says() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file.zst");
        Sealing::begin(&path).and_then(Sealing::seal).expect("an empty file can be sealed");
        let mut check = std::process::Command::new("sha256sum");
        let said = check.arg("--check").arg(checksum_of(&path)).current_dir(&dir).output().expect("sha256sum is there");
        assert!(said.status.success(), "{said:?}");
    }
}
