//! Events as they happen (server-sent events, <https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! Invariant: a stream waits for commits, it never polls; and it reads the store only when its client has taken what
//! came before, so that a slow client costs nobody memory.

use std::fmt::Write as _;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, ContentEncoding};
use actix_web::web::Bytes;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::seats::Seat;
use super::{Subject, page};
use crate::clock::Clock;
use crate::http::app::App;
use crate::http::error::{Code, Problem};
use crate::http::principal::Principal;
use crate::http::sight::Sight;
use crate::keyring::Keyring;
use crate::store::{Handle, StoreError};

/// How many events one read of the store takes: about 60 kB, so that a stream that catches up lets others in between.
const BATCH: usize = 200;
/// Proxies end what is silent for a minute; often for half of one.
const PING: Duration = Duration::from_secs(15);
/// What an EventSource waits before it comes back.
const GREETING: &str = "retry: 2000\n\n";

/// One client that follows along.
struct Stream {
    /// What it is counted by, for as long as it lives.
    _seat: Seat,
    store: Handle,
    newest: watch::Receiver<u64>,
    clock: Clock,
    keyring: Keyring,
    end: watch::Receiver<bool>,
    /// Whose stream it is, and when to look whether they may still have it.
    who: Principal,
    revoked: watch::Receiver<u64>,
    after: u64,
    subject: Subject,
    sight: Sight,
    ping_at: Instant,
    is_greeted: bool,
}

/// Opens a stream of what comes after an event.
pub(super) fn open(app: &App, after: u64, subject: Subject, who: Principal) -> Result<HttpResponse, Problem> {
    let sight = Sight::of(&who);
    let seat = app.tally.streams.take(&who.name);
    let seat = seat.map_err(|error| Problem::new(Code::TooManyStreams, error.to_string()))?;
    let store = app.store.clone();
    let newest = store.wake().newest.clone();
    let (end, revoked) = (app.shutdown.subscribe(), app.revoked.subscribe());
    let (clock, keyring) = (app.clock.clone(), app.custody.keyring().clone());
    let ping_at = Instant::now() + PING;
    let stream = Stream {
        _seat: seat,
        store,
        newest,
        end,
        who,
        revoked,
        clock,
        keyring,
        after,
        subject,
        sight,
        ping_at,
        is_greeted: false,
    };
    let chunks =
        stream::unfold(stream, |mut stream| async { Some((Ok::<_, StoreError>(stream.next().await?), stream)) });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        // Whatever compresses or buffers would hold events back.
        .insert_header((CONTENT_ENCODING, ContentEncoding::Identity.as_str()))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(chunks))
}

impl Stream {
    /// What to send next, once there is something; nothing more when bluetick stops.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.is_greeted {
            self.is_greeted = true;
            return Some(Bytes::from_static(GREETING.as_bytes()));
        }
        loop {
            if *self.end.borrow() {
                return None;
            }
            if !self.who.is_still(&self.store, &self.keyring, self.clock.now()) {
                return None;
            }
            // Marked as seen before reading: a commit in between wakes the wait below.
            self.newest.mark_unchanged();
            let before = self.after;
            match self.read() {
                Ok(Some(chunk)) => {
                    self.ping_at = Instant::now() + PING;
                    return Some(chunk);
                }
                // Events of others were passed over, and there may be more.
                Ok(None) if self.after > before => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "an event stream ends, because the store cannot be read");
                    return None;
                }
            }
            tokio::select! {
                biased;
                _ = self.end.wait_for(|is_over| *is_over) => return None,
                changed = self.newest.changed() => changed.ok()?,
                changed = self.revoked.changed() => changed.ok()?,
                () = sleep_until(self.ping_at) => {
                    self.ping_at = Instant::now() + PING;
                    return Some(Bytes::from_static(b": ping\n\n"));
                }
            }
        }
    }

    fn read(&mut self) -> Result<Option<Bytes>, StoreError> {
        let (events, last) = page(&self.store.read()?, self.after, BATCH, self.subject, self.sight)?;
        self.after = last;
        let mut text = String::new();
        for event in events {
            let data = serde_json::to_string(&event).expect("an event is plain strings and numbers");
            write!(text, "id: {}\nevent: {}\ndata: {data}\n\n", event.seq, event.r#type)
                .expect("a string takes all that is written");
        }
        Ok((!text.is_empty()).then(|| Bytes::from(text)))
    }
}
