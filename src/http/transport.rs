//! Live mode speaks HTTPS: what crossed a network in clear is refused, and what came encrypted is told to stay so.
//!
//! Invariant: nothing is redirected. A request that came in clear has already shown its key to the network; an answer that works
//! all the same would hide that from whoever configured it.
//! Not here: whether live mode may start like this (`config`), and the encryption itself (`certificate`).

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpRequest};

use super::app::App;
use super::error::{Code, Problem};
use super::listen::Remote;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// A year, as browsers' lists ask for at least. Not for subdomains, which are not ours to speak for.
const STAY: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// What says nothing about anybody, and is asked by load balancers that speak no TLS.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// In front of everything: in live mode, nothing that came in clear gets in.
pub(super) async fn enforce(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    // A client that reset its connection before it was looked at has no address, and must not pass for the local socket.
    if request.conn_data::<Remote>().is_some() && request.peer_addr().is_none() {
        let response = request.error_response(Problem::new(Code::BadRequest, "the connection is gone"));
        return Ok(response.map_body(|_, body| BoxBody::new(body)).map_into_right_body());
    }
    let app = request.app_data::<Data<App>>().filter(|app| app.is_live());
    let way = app.map(|app| way(app, request.request()));
    if way == Some(Way::Clear) && !OPEN.contains(&request.path()) {
        let detail =
            "this came unencrypted, and its key, if it had one, was seen on the way: ask https://, and change the key";
        let response = request.error_response(Problem::new(Code::HttpsRequired, detail));
        return Ok(response.map_body(|_, body| BoxBody::new(body)).map_into_right_body());
    }
    let mut response = next.call(request).await?;
    if way == Some(Way::Encrypted) {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, STAY);
    }
    Ok(response.map_into_left_body())
}

/// How a request came here from whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By HTTPS, as far as the client.
    Encrypted,
    /// By plain HTTP over a network.
    Clear,
    /// Over no network, or from a trusted proxy that says nothing about its client.
    Near,
}

fn way(app: &App, request: &HttpRequest) -> Way {
    let Some(peer) = request.peer_addr().map(|peer| peer.ip().to_canonical()) else { return Way::Near };
    let is_proxy = app.proxies.trust(peer);
    match said(request).filter(|_| is_proxy) {
        Some(true) => Way::Encrypted,
        Some(false) => Way::Clear,
        None if app.options.is_encrypted() => Way::Encrypted,
        None if is_proxy || peer.is_loopback() => Way::Near,
        None => Way::Clear,
    }
}

/// Whether the proxies in front say that all of the way was HTTPS; nothing, if they do not say. Whoever adds a word of their own
/// can only make it worse.
fn said(request: &HttpRequest) -> Option<bool> {
    let mut words =
        request.headers().get_all(FORWARDED_PROTO).flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let is_https = |word: &[u8]| word.trim_ascii().eq_ignore_ascii_case(b"https");
    words.next().map(|first| is_https(first) && words.all(is_https))
}

#[cfg(test)]
mod tests;
