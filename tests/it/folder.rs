//! The folder of the data file: nothing but the right file is taken for it, and a stop leaves it whole.

use std::fs;
use std::path::Path;
use std::thread::JoinHandle;

use bluetick::clock::{Clock, Time};
use bluetick::message::Policy;
use bluetick::store::{self, Accept, FILE, Handle, Options, Store, StoreError, Write, Written};

use crate::support::{Folder, draft, person, random};

const SENTINEL: &str = "bluetick.sentinel";

fn start(folder: &Path) -> Result<(Handle, JoinHandle<()>), StoreError> {
    let options = Options { dir: folder.to_owned(), ..Options::default() };
    store::start(&options, bluetick::archive::Shelf::beside(&options.dir), Policy::default(), Clock::System)
}

/// Takes so many messages in and stops as a signal would.
async fn take_in(folder: &Path, numbers: std::ops::Range<u64>) {
    let (handle, thread) = start(folder).expect("the folder is right");
    for number in numbers {
        let accept = Accept { draft: draft(person(1)), random: random(number), key: None };
        let written = handle.write(Write::Accept(Box::new(accept))).await.expect("the disk works");
        assert!(matches!(written, Written::Accepted(_)));
    }
    handle.close();
    thread.join().expect("the writer ends");
    assert!(matches!(handle.read(), Err(StoreError::Closed)), "a closed store is read by nobody");
}

fn refused(folder: &Path) -> String {
    match start(folder).err() {
        Some(StoreError::WrongFile(words)) => words,
        other => panic!("not refused as a wrong file: {other:?}"),
    }
}

#[tokio::test]
async fn an_empty_missing_older_or_other_file_is_not_taken_for_the_right_one() {
    let (ours, other) = (Folder::new(), Folder::new());
    take_in(&ours.0, 0..3).await;
    take_in(&other.0, 0..9).await;
    let (file, kept) = (ours.0.join(FILE), ours.0.join("kept"));
    fs::copy(&file, &kept).expect("a copy");
    take_in(&ours.0, 3..5).await;
    let right = fs::read(&file).expect("the file is there");

    let kept = fs::read(kept).expect("the copy");
    let another = fs::read(other.0.join(FILE)).expect("it is there");
    // A file that was cut off, or is none, is refused for that.
    for (bytes, words) in
        [(&right[..50_000], "is damaged or no data file"), (&[7; 99_999][..], "is damaged or no data file")]
    {
        fs::write(&file, bytes).expect("it can be written");
        let said = refused(&ours.0);
        assert!(said.contains(words) && said.contains("restore a backup"), "{said}");
    }
    for (wrong, words) in [
        (None, "is missing or empty"),
        (Some(&[][..]), "is missing or empty"),
        (Some(&kept[..]), "is older than the last one in use"),
        (Some(&another[..]), "is another one"),
    ] {
        match wrong {
            Some(bytes) => fs::write(&file, bytes).expect("it can be written"),
            None => fs::remove_file(&file).expect("it can be removed"),
        }
        for _ in 0..5 {
            let said = refused(&ours.0);
            assert!(said.contains(words) && said.contains("reached event 5") && said.contains(SENTINEL), "{said}");
        }
        let now = fs::read(&file).ok();
        assert!(now.is_none_or(|now| Some(&now[..]) == wrong || words.contains("another") || words.contains("older")));
    }

    fs::write(&file, right).expect("it can be written");
    take_in(&ours.0, 5..6).await;
    fs::write(&file, kept).expect("it can be written");
    fs::remove_file(ours.0.join(SENTINEL)).expect("it is there");
    take_in(&ours.0, 6..7).await;
}

#[tokio::test]
async fn a_sentinel_that_cannot_be_read_is_told_of_not_passed_over() {
    let folder = Folder::new();
    take_in(&folder.0, 0..1).await;
    fs::write(folder.0.join(SENTINEL), "{").expect("it can be written");
    assert!(refused(&folder.0).contains("cannot be read"));
}

#[test]
fn a_start_that_was_cut_off_while_it_made_the_file_is_not_in_the_way() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("bluetick.new"), "the beginning of a file").expect("it can be written");
    drop(folder.store());
    assert!(!folder.0.join("bluetick.new").exists() && folder.0.join(FILE).exists());
    drop(folder.store());
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_with_advice() {
    let folder = Folder::new();
    fs::write(folder.0.join("file"), "").expect("it can be written");
    let said = refused(&folder.0.join("file/under"));
    assert!(said.contains("choose another [store] dir"), "{said}");
}

#[tokio::test]
async fn time_goes_on_from_what_was_written_when_the_clock_is_set_back() {
    let folder = Folder::new();
    let ahead = Time(Clock::System.now().0 + 3_600_000);
    {
        let mut store = Store::open(&folder.0.join(FILE), 16 << 20).expect("a fresh folder");
        let accept = Accept { draft: draft(person(1)), random: random(1), key: None };
        store.commit(vec![Write::Accept(Box::new(accept))], ahead).expect("the disk works");
        store.close().expect("nobody reads");
    }
    let (handle, thread) = start(&folder.0).expect("the folder is right");
    let clock = handle.clock();
    assert!(clock.now() >= ahead && clock.behind().as_secs() >= 3_599);
    let accept = Accept { draft: draft(person(1)), random: random(2), key: None };
    let Ok(Written::Accepted(message)) = handle.write(Write::Accept(Box::new(accept))).await else {
        panic!("not accepted")
    };
    assert!(message.accepted_at >= ahead);
    let due = handle.read().and_then(|snapshot| snapshot.sendable()).expect("it can be read");
    assert!(due.iter().all(|(_, at)| *at <= clock.now()), "what is due is due by the clock that the jobs go by");
    handle.close();
    thread.join().expect("the writer ends");
}
