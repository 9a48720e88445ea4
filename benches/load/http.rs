//! One HTTP exchange on a kept-alive connection, with no more work than it takes.

use std::io;

use tokio::net::TcpStream;

/// Room for a head and a short body; what is longer takes more.
const ANSWER_BYTES: usize = 16 * 1024;

/// Asks once and waits for the whole answer; `answer` holds its bytes then.
pub(crate) async fn exchange(stream: &TcpStream, request: &[u8], answer: &mut Vec<u8>) -> io::Result<u16> {
    let mut rest = request;
    while !rest.is_empty() {
        match stream.try_write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error),
        }
    }
    answer.clear();
    let mut whole = None;
    while whole.is_none_or(|whole| answer.len() < whole) {
        // A read only fills the room there is.
        answer.reserve(ANSWER_BYTES);
        match stream.try_read_buf(answer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => whole = whole.or_else(|| length(answer)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
            Err(error) => return Err(error),
        }
    }
    status(answer).ok_or_else(|| io::Error::other("the answer is not HTTP"))
}

/// `HTTP/1.1 204 …`
fn status(answer: &[u8]) -> Option<u16> {
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

/// How long the answer is in all, once its head is there. Nothing here answers in chunks.
fn length(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let lines = answer[..head].split(|byte| *byte == b'\n');
    let mut body = lines.filter_map(|line| {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    Some(head + body.next_back().unwrap_or(0))
}

/// Where the body of an answer begins.
pub(crate) fn body(answer: &[u8]) -> &[u8] {
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
    &answer[head..]
}
