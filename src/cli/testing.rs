//! A house of cards: something that answers on a local socket as a running bluetick would, for tests of the commands.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use clap::Parser;
use tempfile::TempDir;

use super::Cli;
use super::exit::Answer;
use crate::http::SOCKET;

/// A folder with a socket in it; gone when dropped.
pub(super) struct House(TempDir);

impl House {
    /// Answers every request by its path and query with JSON, or 404. A request for a stream has `stream:` before it;
    /// one for a change has its method before it, and its body after. An empty answer is 204.
    pub(super) fn open(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        // Fails only if a provider is installed already, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(dir.path().join(SOCKET)).expect("a socket");
        // Ends with the process: the listener has no other end.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.expect("a connection"), &answer);
            }
        });
        Self(dir)
    }

    /// Runs a command that speaks to this house; what it found, and what it said.
    pub(super) fn run(&self, args: &[&str]) -> (anyhow::Result<Answer>, String) {
        let dir = self.dir().to_str().expect("a plain path");
        let data = ["--data", dir];
        let args = ["bluetick"].iter().chain(args).chain(&data);
        let cli = Cli::try_parse_from(args).expect("a command");
        let mut out = Vec::new();
        let answer = cli.run(&mut out);
        (answer, String::from_utf8(out).expect("text"))
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        self.0.path()
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
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let length =
        head.to_lowercase().split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    // Whoever sends less than it said gets an answer to what is not there.
    let _ = stream.read_exact(&mut body);
    let asked = match method {
        "GET" if head.contains("text/event-stream") => format!("stream:{path}"),
        "GET" => path.to_owned(),
        _ => format!("{method} {path} {}", String::from_utf8_lossy(&body)).trim_end().to_owned(),
    };
    let (status, body) = match answer(&asked) {
        Some(body) if body.is_empty() => ("204 No Content", body),
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", "{}".to_owned()),
    };
    let length = body.len();
    // Whoever does not wait for the answer is no concern here.
    let _ = write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
}
