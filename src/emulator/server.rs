//! The shell: real sockets around the core, one lock, one clock.
//!
//! Invariant: nothing waits while it holds the lock. Requests are answered on actix's own threads, posts to the app leave
//! from a thread of their own, so that a slow app cannot slow the answers.

use std::any::Any;
use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::http::header;
use actix_web::rt::time;
use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, rt};
use rand::SeedableRng;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::core::{Dice, Emulator};
use super::exchange::{Answer, Delivery, How, Later, Method, Request};
use super::options::Options;
use super::postman;
use crate::clock::{Clock, Time};

/// Twice what a form may hold, for the JSON of the control API.
const MAX_BODY: usize = 64 * 1024;
/// By default the answer of a create is on its way this long before its first callback; `early` is the other way round.
const HEAD_START: Duration = Duration::from_millis(5);
/// A waiting request looks again at most this often, however much happens.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Clients keep their connections between bursts of a test.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Why the emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {0}: {1}; choose another address, or port 0 for a free one")]
    Listen(SocketAddr, std::io::Error),
    /// No thread for the posts.
    #[error("cannot start the thread that posts to the app: {0}")]
    Thread(std::io::Error),
}

/// Starts the emulator inside the current actix system and returns once it listens.
pub async fn start(options: Options) -> Result<Running, StartError> {
    let listen_error = |error| StartError::Listen(options.listen, error);
    let listener = TcpListener::bind(options.listen).map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    // Whoever came first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();

    let (outbox, posts) = mpsc::unbounded_channel();
    let shell = Arc::new(Shell::new(options.clone(), outbox));
    let (stop, stopped) = oneshot::channel();
    let (posting, concurrency) = (Arc::clone(&shell), options.concurrency.max(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let work = move || {
        runtime.block_on(async move {
            tokio::select! {
                () = postman::run(Arc::clone(&posting), posts, concurrency) => {}
                () = pace(posting) => {}
                // A dropped handle stops it too.
                _ = stopped => {}
            }
        });
    };
    std::thread::Builder::new().name("emulator-postman".to_owned()).spawn(work).map_err(StartError::Thread)?;

    let data = Data::from(Arc::clone(&shell));
    let app = move || {
        App::new().app_data(Data::clone(&data)).app_data(PayloadConfig::new(MAX_BODY)).default_service(web::to(answer))
    };
    let server = HttpServer::new(app)
        .workers(options.workers.max(1))
        .keep_alive(KEEP_ALIVE)
        .disable_signals()
        .on_connect(keep_socket)
        .listen(listener)
        .map_err(listen_error)?
        .run();
    let handle = server.handle();
    rt::spawn(server);
    Ok(Running { address, options, shell, server: handle, _stop: stop })
}

/// An emulator that listens.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    options: Options,
    shell: Arc<Shell>,
    server: ServerHandle,
    /// Its end stops the postman.
    _stop: oneshot::Sender<()>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL without a trailing slash: what goes in the place of `https://api.twilio.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What `bluetick emulate` prints: all that a client needs, in one line of JSON.
    pub fn announcement(&self) -> Value {
        let senders: Vec<_> = self.options.senders.iter().map(|sender| &sender.address).collect();
        json!({
            "url": self.url(), "control_url": format!("{}/emulator", self.url()), "account_sid": self.options.account_sid,
            "auth_token": self.options.auth_token, "senders": senders,
        })
    }

    /// A call without a socket, for those who hold the emulator in their own process.
    pub fn call(&self, request: &Request) -> Answer {
        self.shell.handle(request)
    }

    /// Stops listening and posting; what was not delivered is lost, as it would be with any fake.
    pub async fn stop(self) {
        self.server.stop(false).await;
    }
}

/// The core and what it needs from the world.
#[derive(Debug)]
pub(super) struct Shell {
    desk: Mutex<Desk>,
    clock: Clock,
    changed: watch::Sender<()>,
    outbox: mpsc::UnboundedSender<Chain>,
    sleeping_until: AtomicI64,
    wake: Notify,
}

#[derive(Debug)]
struct Desk {
    emulator: Emulator,
    dice: Dice,
}

/// Posts about one message, to be made one after the other.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) posts: Vec<Later>,
    pub(super) not_before: Instant,
}

impl Shell {
    fn new(options: Options, outbox: mpsc::UnboundedSender<Chain>) -> Self {
        let clock = Clock::System;
        let mut dice = Dice::seed_from_u64(options.seed);
        let emulator = Emulator::new(options, clock.now(), &mut dice);
        Self {
            desk: Mutex::new(Desk { emulator, dice }),
            clock,
            changed: watch::Sender::new(()),
            outbox,
            sleeping_until: AtomicI64::new(i64::MAX),
            wake: Notify::new(),
        }
    }

    /// A broken invariant in one request must not silence all others: the desk is usable after a panic.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, request: &Request) -> Answer {
        let now = self.clock.now();
        let (answer, laters, next) = {
            let Desk { emulator, dice } = &mut *self.desk();
            let (answer, laters) = emulator.handle(request, now, dice);
            (answer, laters, emulator.next_due())
        };
        let head_start = if matches!(answer.how, How::After(_)) { Duration::ZERO } else { HEAD_START };
        self.hand_out(laters, head_start);
        self.look_ahead(next);
        if request.method != Method::Get {
            self.changed.send_replace(());
        }
        answer
    }

    /// Reports what became of a try.
    pub(super) fn report(&self, id: u64, delivery: &Delivery, took: Duration, is_last: bool) {
        let now = self.clock.now();
        let (laters, next) = {
            let Desk { emulator, dice } = &mut *self.desk();
            let laters = emulator.report(id, delivery, took, is_last, now, dice);
            (laters, emulator.next_due())
        };
        self.hand_out(laters, Duration::ZERO);
        self.look_ahead(next);
        self.changed.send_replace(());
    }

    /// Lets happen what is due and says when to look again.
    fn due(&self) -> Option<Time> {
        let now = self.clock.now();
        let (laters, next) = {
            let Desk { emulator, dice } = &mut *self.desk();
            (emulator.due(now, dice), emulator.next_due())
        };
        self.hand_out(laters, Duration::ZERO);
        self.changed.send_replace(());
        next
    }

    /// Sorts posts by message. The channel has no bound of its own: the core refuses creates past `max_callbacks_waiting`.
    fn hand_out(&self, laters: Vec<Later>, head_start: Duration) {
        let not_before = Instant::now() + head_start;
        let mut place: HashMap<String, usize> = HashMap::new();
        let mut chains: Vec<Chain> = Vec::new();
        for later in laters {
            match place.get(&later.sid) {
                Some(index) => chains[*index].posts.push(later),
                None => {
                    place.insert(later.sid.clone(), chains.len());
                    chains.push(Chain { posts: vec![later], not_before });
                }
            }
        }
        for chain in chains {
            // The postman is gone only while the emulator stops.
            let _ = self.outbox.send(chain);
        }
    }

    /// Wakes the pacer if something is due before it would look.
    fn look_ahead(&self, next: Option<Time>) {
        if next.is_some_and(|next| next.0 < self.sleeping_until.load(Ordering::SeqCst)) {
            self.wake.notify_one();
        }
    }
}

/// Sleeps until the next thing is due, again and again.
async fn pace(shell: Arc<Shell>) {
    loop {
        // Until it sleeps, nobody needs to wake it; whatever is planned from here on compares with its true date below.
        shell.sleeping_until.store(i64::MAX, Ordering::SeqCst);
        let next = shell.due();
        shell.sleeping_until.store(next.map_or(i64::MAX, |next| next.0), Ordering::SeqCst);
        match next {
            Some(next) => {
                let wait = next.since(shell.clock.now()).max(Duration::from_millis(1));
                let _ = time::timeout(wait, shell.wake.notified()).await;
            }
            None => shell.wake.notified().await,
        }
    }
}

async fn answer(http: HttpRequest, body: Bytes, shell: Data<Shell>) -> HttpResponse {
    let mut request = read(&http, &body);
    let mut changes = shell.changed.subscribe();
    let asked = Instant::now();
    loop {
        changes.borrow_and_update();
        let answer = shell.handle(&request);
        match answer.how {
            How::Now => return write(answer),
            How::After(wait) => {
                time::sleep(wait).await;
                return write(answer);
            }
            How::Reset => {
                if let Some(Socket(stream)) = http.conn_data::<Socket>() {
                    // A connection that is closed already is what was wanted.
                    let _ = stream.shutdown(Shutdown::Both);
                }
                return HttpResponse::InternalServerError().finish();
            }
            How::WhenChanged { at_most } => {
                let _ = time::timeout(at_most, changes.changed()).await;
                time::sleep(LOOK_AGAIN.min(at_most)).await;
                request.waited = asked.elapsed();
            }
        }
    }
}

fn read(http: &HttpRequest, body: &Bytes) -> Request {
    let header = |name: header::HeaderName| http.headers().get(name)?.to_str().ok().map(str::to_owned);
    Request {
        method: match http.method().as_str() {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "DELETE" => Method::Delete,
            _ => Method::Other,
        },
        path: http.path().to_owned(),
        query: http.query_string().to_owned(),
        host: header(header::HOST).unwrap_or_default(),
        authorization: header(header::AUTHORIZATION),
        body: body.to_vec(),
        waited: Duration::ZERO,
    }
}

fn write(answer: Answer) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(answer.status).expect("the emulator answers valid statuses");
    let mut response = HttpResponse::build(status);
    if !answer.body.is_empty() {
        response.content_type(answer.content_type);
    }
    for header in answer.headers {
        response.append_header(header);
    }
    response.body(answer.body)
}

/// A second handle on a connection, to close it without an answer.
struct Socket(TcpStream);

fn keep_socket(io: &dyn Any, data: &mut Extensions) {
    let Some(stream) = io.downcast_ref::<rt::net::TcpStream>() else { return };
    if let Ok(socket) = stream.as_fd().try_clone_to_owned() {
        data.insert(Socket(TcpStream::from(socket)));
    }
}
