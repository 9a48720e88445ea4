//! The doors themselves: a TCP port for everybody, and a socket file for whoever may open it.

use std::any::Any;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::dev::{Extensions, Server};
use actix_web::middleware::from_fn;
use actix_web::web::Data;

use super::app::App;
use super::{Options, bounds, headers, routes};

/// The name of the local socket in the folder of the data file.
pub const SOCKET: &str = "bluetick.sock";
/// Longer than the pauses between Twilio's callbacks, so that a burst finds its connections open.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// For the head of a request; whoever needs longer holds a connection and nothing else.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Connections a thread serves at once; the next ones wait in the backlog.
const MAX_CONNECTIONS: usize = 8_192;
/// Pending connections: one burst of Twilio's.
const BACKLOG: u32 = 1_024;

/// A connection that came through the local socket.
pub(super) struct Local;

/// What is listened on.
#[derive(Debug)]
pub struct Listeners {
    tcp: Vec<TcpListener>,
    local: Option<UnixListener>,
}

impl Listeners {
    /// Binds the port, and the local socket in `dir` if there is one.
    pub fn bind(listen: &str, dir: Option<&Path>) -> io::Result<Self> {
        let named = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("cannot listen on {listen}: {error}; set http.listen to a free address"),
            )
        };
        let addresses: Vec<_> = listen.to_socket_addrs().map_err(named)?.collect();
        // `localhost` is two addresses; a port chosen by the system must be one.
        let only_first = addresses.first().is_some_and(|address| address.port() == 0);
        let wanted = addresses.iter().take(if only_first { 1 } else { addresses.len() });
        let tcp = wanted.map(TcpListener::bind).collect::<io::Result<Vec<_>>>().map_err(named)?;
        let local = dir.map(bind_local).transpose()?;
        Ok(Self { tcp, local })
    }

    /// Where the port is; the first, if there are several.
    pub fn address(&self) -> io::Result<SocketAddr> {
        let first = self.tcp.first().ok_or_else(|| io::Error::other("nothing is listened on"))?;
        first.local_addr()
    }
}

/// Made in a folder nobody else can enter, and moved to its place when it is ours alone: there is no moment at which
/// another user could connect. What a bluetick that died left behind is replaced.
fn bind_local(dir: &Path) -> io::Result<UnixListener> {
    let path = dir.join(SOCKET);
    let named = |error: io::Error| {
        let hint = "choose a shorter store.dir if the path is too long";
        io::Error::new(error.kind(), format!("cannot make the local socket {}: {error}; {hint}", path.display()))
    };
    let private = dir.join(".s");
    let _ = fs::remove_dir_all(&private);
    DirBuilder::new().mode(0o700).create(&private).map_err(named)?;
    let inside = private.join("s");
    let bound = UnixListener::bind(&inside).and_then(|listener| {
        fs::set_permissions(&inside, Permissions::from_mode(0o600))?;
        fs::rename(&inside, &path)?;
        Ok(listener)
    });
    let _ = fs::remove_dir_all(&private);
    bound.map_err(named)
}

/// Starts to serve; the server runs when it is awaited, and stops by its handle. Signals are not its business.
pub fn start(app: Data<App>, listeners: Listeners) -> io::Result<Server> {
    let Options { workers, shutdown_timeout_s, .. } = app.options.clone();
    let factory = move || {
        let app = actix_web::App::new().app_data(Data::clone(&app)).configure(routes::configure);
        app.wrap(from_fn(bounds::keep)).wrap(from_fn(headers::finish))
    };
    let mut server = HttpServer::new(factory)
        .workers(workers)
        .max_connections(MAX_CONNECTIONS)
        .backlog(BACKLOG)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_DEADLINE)
        .shutdown_timeout(shutdown_timeout_s)
        .disable_signals()
        .on_connect(mark_local);
    for listener in listeners.tcp {
        server = server.listen(listener)?;
    }
    if let Some(listener) = listeners.local {
        server = server.listen_uds(listener)?;
    }
    Ok(server.run())
}

fn mark_local(connection: &dyn Any, data: &mut Extensions) {
    if connection.is::<tokio::net::UnixStream>() {
        data.insert(Local);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;

    use actix_web::rt;
    use actix_web::web::block;

    use super::super::testing::House;
    use super::*;

    fn ask(mut stream: impl Read + Write) -> String {
        let mut answer = String::new();
        let request = b"GET /v1/status HTTP/1.1\r\nhost: bluetick\r\nconnection: close\r\n\r\n";
        stream.write_all(request).and_then(|()| stream.read_to_string(&mut answer)).expect("an answer");
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[actix_web::test]
    async fn whoever_may_open_the_local_socket_needs_no_key_and_nobody_else_may() {
        let house = House::new();
        let path = house.dir.join(SOCKET);
        fs::write(&path, "left behind").expect("a file in the way");
        let listeners = Listeners::bind("127.0.0.1:0", Some(&house.dir)).expect("free doors");
        let address = listeners.address().expect("an address");
        let server = start(house.app.clone(), listeners).expect("a server");
        let handle = server.handle();
        let served = rt::spawn(server);
        let mode = fs::metadata(&path).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let local = block(move || ask(UnixStream::connect(path).expect("the socket is open"))).await;
        let remote = block(move || ask(TcpStream::connect(address).expect("the port is open"))).await;
        assert_eq!(local.as_deref().map_err(drop), Ok("HTTP/1.1 200 OK"));
        assert_eq!(remote.as_deref().map_err(drop), Ok("HTTP/1.1 401 Unauthorized"));
        handle.stop(true).await;
        served.await.expect("the server ends").expect("in good order");
    }

    #[test]
    fn a_taken_address_says_what_to_do() {
        let first = Listeners::bind("127.0.0.1:0", None).expect("a free port");
        let address = first.address().expect("an address").to_string();
        let error = Listeners::bind(&address, None).expect_err("taken").to_string();
        assert!(error.contains(&address) && error.contains("http.listen"), "{error}");
    }
}
