//! The emulator on real sockets.
//!
//! Requests are answered on actix's own threads, posts to the app leave from a thread of their own, so that a slow app
//! cannot slow the answers.

use std::any::Any;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::{Extensions, ServerHandle};
use actix_web::http::header;
use actix_web::rt::time;
use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, rt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::exchange::{Answer, How, Method, Request};
use super::options::Options;
use super::postman;
use super::shell::{self, Shell};

/// Twice what a form may hold, for the JSON of the control API.
const MAX_BODY: usize = 64 * 1024;
/// A waiting request looks again at most this often, however much happens.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Clients keep their connections between bursts of a test.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Why the emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {0}: {1}; choose another address, or port 0 for a free one")]
    Listen(SocketAddr, #[source] std::io::Error),
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
    let core = Arc::new(Shell::new(options.clone(), outbox));
    let (stop, stopped) = oneshot::channel();
    let (posting, concurrency) = (Arc::clone(&core), options.concurrency.max(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let work = move || {
        runtime.block_on(async move {
            tokio::select! {
                () = postman::run(Arc::clone(&posting), posts, concurrency) => {}
                () = shell::pace(posting) => {}
                // A dropped handle stops it too.
                _ = stopped => {}
            }
        });
    };
    std::thread::Builder::new().name("emulator-postman".to_owned()).spawn(work).map_err(StartError::Thread)?;

    let data = Data::from(Arc::clone(&core));
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
    Ok(Running { address, options, shell: core, server: handle, _stop: stop })
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
            "auth_token": self.options.auth_token, "senders": senders, "seed": self.options.seed,
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
