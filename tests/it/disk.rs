//! P1 and P7: a commit that fails is answered with an error to everyone in it, and nothing is written after it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bluetick::clock::Clock;
use bluetick::store::{self, Accept, Store, StoreError, Write};
use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend};

use crate::support::{draft, person, random};

/// A disk that works until it is told not to.
#[derive(Debug)]
struct Disk {
    memory: InMemoryBackend,
    is_broken: Arc<AtomicBool>,
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.is_broken.load(Ordering::SeqCst) {
            true => Err(io::Error::other("the disk lied")),
            false => self.memory.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.memory.write(offset, data)
    }
}

#[tokio::test]
async fn when_a_flush_fails_everyone_is_told_and_nothing_is_written_any_more() {
    let is_broken = Arc::new(AtomicBool::new(false));
    let disk = Disk { memory: InMemoryBackend::new(), is_broken: Arc::clone(&is_broken) };
    let db = Database::builder().create_with_backend(disk).expect("the disk works still");
    let (handle, thread) = store::run(Store::over(db).expect("the disk works still"), 64, Clock::System);
    let accept =
        |number| Write::Accept(Box::new(Accept { draft: draft(person(1)), random: random(number), key: None }));
    handle.write(accept(1)).await.expect("the disk works still");

    is_broken.store(true, Ordering::SeqCst);
    let (first, second) = tokio::join!(handle.write(accept(2)), handle.write(accept(3)));
    for refused in [first, second] {
        assert!(matches!(refused, Err(StoreError::Disk(_) | StoreError::Closed)), "{refused:?}");
    }
    is_broken.store(false, Ordering::SeqCst);
    thread.join().expect("the writer stops without a panic");
    assert!(handle.has_failed());
    assert!(matches!(handle.write(accept(4)).await, Err(StoreError::Disk(_))), "never on in memory");
    assert_eq!(*handle.wake().newest.borrow(), 1, "nobody is told of what is not on disk");
}
