//! What the targets share: how an input is cut into the parts that a stranger chooses apart, and a folder to work in.

use std::path::PathBuf;

/// The first lines of an input, and as the last part all that is left: seeds can be written by hand.
pub fn parts<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut rest = bytes.splitn(N, |byte| *byte == b'\n');
    std::array::from_fn(|_| rest.next().unwrap_or_default())
}

/// The same for inputs that are text.
pub fn lines<const N: usize>(text: &str) -> [&str; N] {
    let mut rest = text.splitn(N, '\n');
    std::array::from_fn(|_| rest.next().unwrap_or_default())
}

/// An empty folder of this process, among the temporary files: `tests/run` keeps those in memory, and removes them.
pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("bluetick-fuzz-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).expect("a folder for temporary files");
    folder
}
