//! The doors themselves: a TCP port for everybody, and a socket file for whoever may open it.

use std::any::Any;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::dev::{Extensions, Server};
use actix_web::middleware::from_fn;
use actix_web::web::Data;

use super::app::App;
use super::certificate::Certificate;
use super::{Options, bounds, headers, routes, transport};

/// The name of the local socket in the folder of the data file.
pub const SOCKET: &str = "bluetick.sock";
/// Longer than the pauses between Twilio's callbacks, so that a burst finds its connections open.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// For the head of a request; whoever needs longer holds a connection and nothing else.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Connections a thread serves at once; the next ones wait in the backlog.
const MAX_CONNECTIONS: usize = 8_192;
/// Handshakes a thread has under way at once. As many as connections: whoever begins one and falls silent would keep everybody
/// out otherwise, also at the local socket, since a thread that has no room for a handshake takes no connection at all.
const MAX_HANDSHAKES: usize = MAX_CONNECTIONS;
/// Pending connections: one burst of Twilio's.
const BACKLOG: u32 = 1_024;

/// A connection that came through the local socket.
pub(super) struct Local;

/// A connection that came over a network.
pub(super) struct Remote;

/// What is listened on.
#[derive(Debug)]
pub struct Listeners {
    tcp: Vec<TcpListener>,
    local: Option<UnixListener>,
    certificate: Option<Arc<Certificate>>,
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
        Ok(Self { tcp, local, certificate: None })
    }

    /// The same, with HTTPS at the port if there is a certificate. The local socket never needs it.
    #[must_use]
    pub fn encrypted(self, certificate: Option<Arc<Certificate>>) -> Self {
        Self { certificate, ..self }
    }

    /// What the port is known by.
    pub fn certificate(&self) -> Option<Arc<Certificate>> {
        self.certificate.clone()
    }

    /// How the port is reached; the first, if there are several.
    pub fn url(&self) -> io::Result<String> {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.address()?))
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
        app.wrap(from_fn(transport::enforce)).wrap(from_fn(bounds::keep)).wrap(from_fn(headers::finish))
    };
    let mut server = HttpServer::new(factory)
        .workers(workers)
        .max_connections(MAX_CONNECTIONS)
        .max_connection_rate(MAX_HANDSHAKES)
        .backlog(BACKLOG)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_DEADLINE)
        .shutdown_timeout(shutdown_timeout_s)
        .disable_signals()
        .on_connect(mark_local);
    for listener in listeners.tcp {
        server = match &listeners.certificate {
            Some(certificate) => server.listen_rustls_0_23(listener, Arc::clone(certificate).server_config())?,
            None => server.listen(listener)?,
        };
    }
    if let Some(listener) = listeners.local {
        server = server.listen_uds(listener)?;
    }
    Ok(server.run())
}

fn mark_local(connection: &dyn Any, data: &mut Extensions) {
    match connection.is::<tokio::net::UnixStream>() {
        true => drop(data.insert(Local)),
        false => drop(data.insert(Remote)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;

    use actix_web::rt;
    use actix_web::web::block;

    use rustls::crypto::ring;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

    use super::super::Proxies;
    use super::super::certificate_tests::{Folder, pem};
    use super::super::testing::{House, START};
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

    /// A client that knows these certificates and no other.
    fn client(certificates: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for pem in certificates {
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")).expect("a certificate");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("ring knows both versions");
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }

    fn connect(client: &Arc<ClientConfig>, address: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
        let name = "localhost".try_into().expect("a name");
        let connection = ClientConnection::new(Arc::clone(client), name).expect("a connection");
        StreamOwned::new(connection, TcpStream::connect(address).expect("the port is open"))
    }

    /// Asks over a connection that stays open.
    fn live(stream: &mut (impl Read + Write)) -> io::Result<String> {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: bluetick\r\n\r\n")?;
        let mut answer = [0; 4_096];
        let length = stream.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or_default().to_owned())
    }

    #[actix_web::test]
    async fn layer_1_transport_the_port_speaks_tls_and_a_renewed_certificate_closes_no_connection() {
        let (first, second) = (pem(2023, 2099), pem(2023, 2098));
        let folder = Folder::with(&first);
        let certificate = folder.load(START).expect("whole");
        let house = House::with(|app| app.options = Options { api_key: Some("key".into()), ..folder.options() });
        let listeners = Listeners::bind("127.0.0.1:0", Some(&house.dir)).expect("free doors");
        let listeners = listeners.encrypted(Some(Arc::clone(&certificate)));
        let address = listeners.address().expect("an address");
        assert_eq!(listeners.url().expect("an address"), format!("https://{address}"));
        let server = start(house.app.clone(), listeners).expect("a server");
        let handle = server.handle();
        let served = rt::spawn(server);
        let path = house.dir.join(SOCKET);
        let asked = block(move || {
            let (knows_first, knows_second) = (client(&[&first.0]), client(&[&second.0]));
            let mut before = connect(&knows_first, address);
            assert_eq!(live(&mut before).expect("an answer"), "HTTP/1.1 200 OK");
            assert!(live(&mut connect(&knows_second, address)).is_err(), "not renewed yet");
            folder.write(&second.0, &second.1);
            assert!(certificate.renew(START).expect("whole"));
            assert_eq!(live(&mut before).expect("it is open still"), "HTTP/1.1 200 OK");
            assert_eq!(live(&mut connect(&knows_second, address)).expect("an answer"), "HTTP/1.1 200 OK");
            assert!(live(&mut connect(&client(&[&first.0]), address)).is_err(), "the old one is not shown any more");
            let in_clear = live(&mut TcpStream::connect(address).expect("the port is open"));
            assert!(!in_clear.is_ok_and(|answer| answer.contains("200")), "no HTTP at the port");
            ask(UnixStream::connect(path).expect("the socket is open"))
        })
        .await;
        assert_eq!(asked.as_deref().map_err(drop), Ok("HTTP/1.1 200 OK"), "the local socket needs no TLS");
        handle.stop(true).await;
        served.await.expect("the server ends").expect("in good order");
    }

    /// Asks for a message, and is gone before anybody could see from where.
    async fn ask_and_vanish(address: SocketAddr) {
        let body = r#"{"to":"whatsapp:+4915100000001","body":"hello"}"#;
        let head = "POST /v1/messages HTTP/1.1\r\nhost: bluetick\r\nauthorization: Bearer key\r\ncontent-type: application/json";
        let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("the port is open");
        stream.set_zero_linger().expect("a reset instead of an end");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.expect("written");
    }

    #[actix_web::test]
    async fn layer_1_transport_who_is_gone_before_they_were_seen_is_not_at_the_local_socket() {
        let house = House::with(|app| {
            app.mode = "live".into();
            app.options.listen = "0.0.0.0:8080".into();
            app.options.workers = 1;
            app.proxies = Proxies::of(&app.options).expect("fine");
        });
        let listeners = Listeners::bind("127.0.0.1:0", Some(&house.dir)).expect("free doors");
        let address = listeners.address().expect("an address");
        // The connection waits in the backlog, and is reset there.
        ask_and_vanish(address).await;
        let server = start(house.app.clone(), listeners).expect("a server");
        let handle = server.handle();
        let served = rt::spawn(server);
        let path = house.dir.join(SOCKET);
        let asked = block(move || ask(UnixStream::connect(path).expect("the socket is open"))).await;
        assert_eq!(asked.as_deref().map_err(drop), Ok("HTTP/1.1 200 OK"));
        house.accepted().await;
        assert_eq!(house.app.tally.accepted.total(), 1, "only ours");
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
