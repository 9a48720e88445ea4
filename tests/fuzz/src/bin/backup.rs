//! Backups, as they come out of their seal. What says that it is whole names no file but by a checksum, and a data file
//! can be made from it, or it is said why not.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use bluetick::archive::Shelf;
use bluetick::clock::Time;
use bluetick::store::{self, FILE, Peek};
use bluetick_fuzz::folder;
use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| folder("backup"));

fuzz_target!(|bytes: &[u8]| {
    let read = store::read_head(&mut &*bytes);
    let Ok(head) = store::inspect(&mut &*bytes) else { return };
    assert_eq!(read.expect("the beginning of what is whole can be read"), head);
    for segment in &head.segments {
        let is_hex = segment.sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
        assert!(is_hex && segment.sha256.len() == 64, "{:?}", segment.sha256);
    }
    let made = store::load(&mut &*bytes, &FOLDER, Time(0));
    let file = FOLDER.join(FILE);
    assert_eq!(made.is_ok(), file.exists());
    if made.is_ok() {
        assert!(Peek::at(&file, Shelf::beside(&FOLDER)).is_ok_and(|made| made.outdated.is_none()));
    }
    for entry in fs::read_dir(&*FOLDER).expect("it is ours").flatten() {
        fs::remove_file(entry.path()).expect("it is ours");
    }
});
