//! One request to Twilio and what came of it: an answer, proof that nothing was sent, or no proof at all.
//!
//! Invariant: [`TransportError::NotSent`] is said only when no byte of the request can have left this machine.
//! Not here: what an answer means (`outcome`), when to try again (`jobs`).

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER};
use rustls::crypto::CryptoProvider;

use crate::twilio::signature::AuthToken;
use crate::twilio::wire::{Params, encode_form};

/// An idle connection is dropped after this, before common servers and balancers (5 s and up) drop it themselves:
/// a request written to a connection that the other side is closing ends as `Unclear`, though it was never read.
const POOL_IDLE: Duration = Duration::from_secs(4);
/// Idle connections kept; more than this many sends at once are rare and may open their own.
const POOL_MAX_IDLE: usize = 32;

/// The methods of Twilio's API that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates and changes, with a form.
    Post,
    /// Takes away.
    Delete,
}

/// Who asks: the account with its token, or an API key with its secret.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `AC…` or `SK…`.
    pub user: String,
    /// The auth token, or the key's secret.
    pub secret: AuthToken,
}

/// One request, without a host: a transport only ever speaks to the one it was made for.
#[derive(Clone, Debug)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Path and query, encoded.
    pub target: String,
    /// The form of a POST.
    pub form: Params,
    /// Sent as HTTP Basic.
    pub credentials: Credentials,
    /// The longest answer that is read to its end.
    pub max_answer_bytes: usize,
}

/// One whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The `Date` header: Twilio's clock.
    pub date: Option<String>,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Name lookup, connection or TLS failed: nothing of the request was sent.
    #[error("not sent: {0}")]
    NotSent(String),
    /// There is no secret to ask with: nothing was sent.
    #[error("no secret of Twilio's is in use: the last was revoked")]
    NoSecret,
    /// The request may have arrived and may have been carried out.
    #[error("sent, without a whole answer: {0}")]
    Unclear(String),
}

/// A way to Twilio: the network, or the emulator's core in the same process.
pub trait Transport: Send + Sync {
    /// Sends the request once. Never repeats it, never follows a redirect.
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>>;
}

/// The way over the network.
#[derive(Debug)]
pub struct Https {
    client: reqwest::Client,
    api_url: String,
}

/// Why there is no way over the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTransport {
    /// The program did not choose its cryptography at start.
    #[error("no TLS provider is installed in this process")]
    NoProvider,
    /// `api_url` is not an address.
    #[error("[twilio] api_url is no http:// or https:// address: {0}")]
    BadUrl(String),
    /// The HTTP client cannot be built, mostly for want of root certificates.
    #[error("the HTTPS client cannot start, are root certificates (ca-certificates) installed? {0}")]
    Client(String),
}

impl Https {
    /// A client for `api_url`. `connect_timeout` must be shorter than `timeout`, which counts from the first step to
    /// the last byte of the answer: a connection that takes too long is then proven not sent.
    pub fn new(api_url: &str, connect_timeout: Duration, timeout: Duration) -> Result<Self, NoTransport> {
        let is_tls = is_tls(api_url)?;
        let builder = reqwest::Client::builder().connect_timeout(connect_timeout).timeout(timeout).https_only(is_tls);
        // Plain http is for the emulator, which must run on machines without any root certificates.
        let builder = if is_tls { builder } else { builder.tls_certs_only([]) };
        Self::build(api_url, builder)
    }

    fn build(api_url: &str, builder: reqwest::ClientBuilder) -> Result<Self, NoTransport> {
        if CryptoProvider::get_default().is_none() {
            return Err(NoTransport::NoProvider);
        }
        // Beneath `retry::never`, the connection pool still takes a new connection for a request that it had not begun
        // to write when the pooled one closed. Nothing was sent then, so that is not a second send; hyper-util hands a
        // request back only in this case (`TrySendError`).
        let client = builder
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("bluetick/", env!("CARGO_PKG_VERSION")))
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_MAX_IDLE)
            .build()
            .map_err(|error| NoTransport::Client(chain(&error)))?;
        Ok(Self { client, api_url: api_url.trim_end_matches('/').to_owned() })
    }

    async fn exchange(&self, request: Request) -> Result<Response, TransportError> {
        let url = format!("{}{}", self.api_url, request.target);
        let credentials = &request.credentials;
        let call = match request.method {
            Method::Get => self.client.get(url),
            Method::Delete => self.client.delete(url),
            Method::Post => self
                .client
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(encode_form(&request.form)),
        };
        let call = call.basic_auth(&credentials.user, Some(credentials.secret.expose()));
        let mut answer = call.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        let (retry_after, date) = (header(answer.headers(), RETRY_AFTER), header(answer.headers(), DATE));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > request.max_answer_bytes {
                let reason = format!("HTTP {status} with more than {} bytes", request.max_answer_bytes);
                return Err(TransportError::Unclear(reason));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, retry_after, date, body })
    }
}

impl Transport for Https {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        self.exchange(request).boxed()
    }
}

/// The way to a Twilio in the same process: a function from request to answer.
pub struct InProcess<F>(pub F);

impl<F> fmt::Debug for InProcess<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess(…)")
    }
}

impl<F> Transport for InProcess<F>
where
    F: Fn(Request) -> Result<Response, TransportError> + Send + Sync,
{
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        ready((self.0)(request)).boxed()
    }
}

fn is_tls(api_url: &str) -> Result<bool, NoTransport> {
    let bad = |reason: &str| NoTransport::BadUrl(format!("{api_url:?} {reason}"));
    let url = reqwest::Url::parse(api_url).map_err(|error| bad(&error.to_string()))?;
    let has_more = url.query().is_some() || url.fragment().is_some() || !url.username().is_empty();
    match url.scheme() {
        _ if has_more => Err(bad("has a user, a query or a fragment")),
        "https" => Ok(true),
        "http" => Ok(false),
        _ => Err(bad("has another scheme")),
    }
}

/// A request that could not be built or for which no connection came about was not sent; any other may have been.
fn failed(error: reqwest::Error) -> TransportError {
    let not_sent = error.is_connect() || error.is_builder();
    let reason = chain(&error.without_url());
    if not_sent { TransportError::NotSent(reason) } else { TransportError::Unclear(reason) }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The error and its causes in one line; the outermost alone says only that something failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::thread::JoinHandle;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const CREATED: &[u8] =
        b"HTTP/1.1 201 Created\r\nDate: Thu, 05 Feb 2026 10:30:00 GMT\r\nContent-Length: 2\r\n\r\n{}";

    fn install_provider() {
        // Another test of this process may have been first; both install the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }

    fn https(api_url: &str) -> Https {
        install_provider();
        Https::new(api_url, 2 * SECOND, 5 * SECOND).expect("a transport")
    }

    fn request() -> Request {
        Request {
            method: Method::Post,
            target: "/2010-04-01/Accounts/AC1/Messages.json".into(),
            form: vec![("Body".into(), "hello there".into())],
            credentials: Credentials { user: "AC1".into(), secret: "secret".into() },
            max_answer_bytes: 1024,
        }
    }

    /// A server for one connection, which `answer` is given; it joins with what `answer` returns.
    fn serve<T: Send + 'static>(answer: impl FnOnce(TcpStream) -> T + Send + 'static) -> (String, JoinHandle<T>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = std::thread::spawn(move || answer(listener.accept().expect("a connection").0));
        (url, server)
    }

    /// What the server returned. Waits aside, because the client must run on to hang up.
    async fn joined<T: Send + 'static>(server: JoinHandle<T>) -> T {
        let server = tokio::task::spawn_blocking(move || server.join());
        server.await.expect("a thread").expect("the server does not panic")
    }

    /// Reads until the whole request is there.
    fn read_request(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        let mut buffer = [0; 1024];
        while !text.ends_with(b"Body=hello+there") {
            let length = stream.read(&mut buffer).expect("a request");
            assert_ne!(length, 0, "the client closed before its request was whole");
            text.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(text).expect("text")
    }

    /// What comes of a request to a server that reads it whole, writes `bytes` and closes.
    async fn after(bytes: &'static [u8]) -> Result<Response, TransportError> {
        let (url, server) = serve(move |mut stream| {
            read_request(&mut stream);
            // The client may have had enough before everything is written.
            let _ = stream.write_all(bytes);
        });
        let result = https(&url).send(request()).await;
        joined(server).await;
        result
    }

    fn is_unclear(result: &Result<Response, TransportError>) -> bool {
        matches!(result, Err(TransportError::Unclear(_)))
    }

    #[tokio::test]
    async fn a_request_is_a_form_with_basic_auth_and_its_answer_comes_whole() {
        let (url, server) = serve(|mut stream| {
            let request = read_request(&mut stream);
            stream.write_all(CREATED).expect("written");
            request
        });
        let answer = https(&url).send(request()).await.expect("an answer");
        let date = Some("Thu, 05 Feb 2026 10:30:00 GMT".into());
        assert_eq!(answer, Response { status: 201, retry_after: None, date, body: b"{}".to_vec() });
        let sent = joined(server).await;
        assert!(sent.starts_with("POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1\r\n"), "{sent}");
        assert!(sent.contains("content-type: application/x-www-form-urlencoded\r\n"), "{sent}");
        assert!(sent.contains("authorization: Basic QUMxOnNlY3JldA==\r\n"), "{sent}");
    }

    #[tokio::test]
    async fn a_refused_connection_is_proof_that_nothing_was_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let result = https(&url).send(request()).await;
        assert!(matches!(result, Err(TransportError::NotSent(_))), "{result:?}");
    }

    #[tokio::test]
    async fn a_failed_tls_handshake_is_proof_that_nothing_was_sent() {
        install_provider();
        for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
            let (url, server) = serve(move |mut stream| {
                let _ = stream.write_all(answer);
                let _ = stream.shutdown(Shutdown::Write);
                let mut received = Vec::new();
                let _ = stream.read_to_end(&mut received);
                received
            });
            let builder = reqwest::Client::builder().timeout(5 * SECOND).tls_certs_only([]);
            let https = Https::build(&url.replace("http:", "https:"), builder).expect("a transport");
            let result = https.send(request()).await;
            assert!(matches!(result, Err(TransportError::NotSent(_))), "{result:?}");
            let received = joined(server).await;
            assert!(!String::from_utf8_lossy(&received).contains("hello"), "the request went out in clear");
        }
    }

    #[tokio::test]
    async fn a_handshake_that_never_ends_is_proof_that_nothing_was_sent() {
        install_provider();
        let (url, server) = serve(|mut stream| stream.read_to_end(&mut Vec::new()));
        let short = Duration::from_millis(50);
        let builder = reqwest::Client::builder().connect_timeout(short).timeout(20 * SECOND).tls_certs_only([]);
        let https = Https::build(&url.replace("http:", "https:"), builder).expect("a transport");
        let result = https.send(request()).await;
        assert!(matches!(result, Err(TransportError::NotSent(_))), "{result:?}");
        let _ = joined(server).await;
    }

    #[tokio::test]
    async fn a_connection_closed_before_reading_is_unclear() {
        let (url, server) = serve(drop);
        let result = https(&url).send(request()).await;
        joined(server).await;
        assert!(is_unclear(&result), "{result:?}");
    }

    #[tokio::test]
    async fn an_answer_cut_at_any_byte_is_unclear() {
        for end in 0..CREATED.len() {
            let result = after(&CREATED[..end]).await;
            assert!(is_unclear(&result), "cut at {end}: {result:?}");
        }
        assert!(after(CREATED).await.is_ok());
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_unclear_when_the_time_is_up() {
        install_provider();
        let (url, server) = serve(|mut stream| {
            read_request(&mut stream);
            stream.read_to_end(&mut Vec::new())
        });
        let https = Https::new(&url, Duration::from_millis(50), Duration::from_millis(100)).expect("a transport");
        let result = https.send(request()).await;
        assert!(is_unclear(&result), "{result:?}");
        let _ = joined(server).await;
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_while_it_streams() {
        let (url, server) = serve(|mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            // Ends only because the client hangs up.
            while stream.write_all(&[b' '; 1024]).is_ok() {}
        });
        let result = https(&url).send(request()).await;
        assert_eq!(result, Err(TransportError::Unclear("HTTP 200 with more than 1024 bytes".into())));
        joined(server).await;
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_not_a_way() {
        let moved = after(b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(moved.map(|answer| answer.status), Ok(307));
    }

    #[tokio::test]
    async fn what_is_no_http_at_all_is_unclear() {
        for garbage in [&b"\x00\xff\x16\x03 what\r\n\r\n"[..], b"SSH-2.0-x\r\n", b"HTTP/9.9 banana\r\n\r\n"] {
            assert!(is_unclear(&after(garbage).await), "{garbage:?}");
        }
    }

    #[test]
    fn an_api_url_that_is_no_plain_address_is_refused() {
        for wrong in ["", "api.twilio.com", "ftp://h", "http://user:pass@h", "https://h?x=1", "https://h#x"] {
            install_provider();
            let refused = Https::new(wrong, SECOND, 2 * SECOND);
            assert!(matches!(refused, Err(NoTransport::BadUrl(_))), "{wrong}");
        }
    }

    #[test]
    fn nothing_secret_is_in_a_printed_request() {
        assert!(!format!("{:?}", request()).contains("secret\""));
    }
}
