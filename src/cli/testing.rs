//! A house of cards: something that answers on a local socket as a running bluetick would, for tests of the commands.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::http::SOCKET;

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A folder with a socket in it; gone when dropped.
pub(super) struct House(PathBuf);

impl House {
    /// Answers every request by its path and query with JSON, or 404. A request for a stream has `stream:` before it.
    pub(super) fn open(name: &str, answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        // Fails only if a provider is installed already, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("bluetick-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder for temporary files");
        let listener = UnixListener::bind(dir.join(SOCKET)).expect("a socket");
        // Ends with the process: the listener has no other end.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.expect("a connection"), &answer);
            }
        });
        Self(dir)
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.0
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // What cannot be removed is only litter in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One request a connection.
fn serve(mut stream: UnixStream, answer: &impl Fn(&str) -> Option<String>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or_default();
    let asked = if head.contains("text/event-stream") { format!("stream:{path}") } else { path.to_owned() };
    let (status, body) = answer(&asked).map_or(("404 Not Found", "{}".to_owned()), |body| ("200 OK", body));
    let length = body.len();
    // Whoever does not wait for the answer is no concern here.
    let _ = write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
}
