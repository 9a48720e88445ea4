//! Segments of the archive. Bytes are a segment or an error, and whoever looks for a message finds that one or none.
//!
//! An input is how it is dressed (the file as it is, an index behind frames, lines in one frame), the index, and the
//! rest.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use bluetick::archive::{Shelf, checksum_of};
use bluetick::message::MessageId;
use bluetick_fuzz::{folder, parts};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| folder("segment"));
const FIRST: &str = "msg_00000000000000000000000000000000";

fuzz_target!(|bytes: &[u8]| {
    let [dress, index, rest] = parts(bytes);
    let file = match dress {
        b"file" => rest.to_vec(),
        b"index" => [rest, &skipped(index)].concat(),
        _ => {
            let frame = zstd::bulk::compress(rest, 1).expect("anything can be compressed");
            let place = format!(r#"{{"first":"{FIRST}","at":0,"bytes":{},"text":{}}}"#, frame.len(), rest.len());
            let head = r#"{"bluetick_segment":1,"version":"0","messages":1,"first":null,"last":null,"frames":"#;
            [frame, skipped(format!("{head}[{place}]}}").as_bytes())].concat()
        }
    };
    let shelf = Shelf::new(FOLDER.clone());
    let path = shelf.path(1);
    let sum = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    fs::write(&path, &file).and_then(|()| fs::write(checksum_of(&path), sum)).expect("it can be written");

    let _ = shelf.glance(1);
    let messages = shelf.read(1).into_iter().flatten().take(100).filter_map(Result::ok);
    let named = String::from_utf8_lossy(rest);
    let named =
        named.match_indices("msg_").take(100).filter_map(|(at, _)| named.get(at..at + FIRST.len())?.parse().ok());
    for id in messages.map(|message| message.id).chain(named).chain([MessageId([0; 16]), MessageId([255; 16])]) {
        if let Ok(Some(found)) = shelf.look(1, id) {
            assert_eq!(found.id, id);
        }
    }
});

/// An index, as it stands behind the frames.
fn skipped(index: &[u8]) -> Vec<u8> {
    let length = u32::try_from(index.len()).expect("inputs are short");
    [&0x184D_2A5B_u32.to_le_bytes()[..], &(length + 4).to_le_bytes(), index, &length.to_le_bytes()].concat()
}
