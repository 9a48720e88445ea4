//! Who is asking: the team's app by its API key, a person by name and password, or whoever may open the local socket.
//!
//! Invariant: the API never looks at a password and the pages never look at an API key, so that a browser cannot be made
//! to use the API in a person's name. Secrets are compared by their hashes, in constant time.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::app::App;
use super::error::{Code, Problem};
use super::listen::Local;
use crate::message::Source;

/// Who is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Principal {
    /// The team's app.
    Api,
    /// A person: on the pages, or at the machine.
    Operator,
}

impl Principal {
    /// Its name, which keeps Idempotency-Keys of different principals apart.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Operator => "operator",
        }
    }

    /// Whom the journal names for what they do.
    pub(super) fn source(self) -> Source {
        match self {
            Self::Api => Source::Api,
            Self::Operator => Source::Operator,
        }
    }

    /// Who was let in to this handler.
    pub(super) fn of(request: &impl HttpMessage) -> Self {
        // No route without a check leads to a handler that asks; the lesser of the two would be right if one did.
        request.extensions().get().copied().unwrap_or(Self::Api)
    }
}

/// In front of `/v1`: an API key, or the local socket.
pub(super) async fn api(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let who = local(&request).or_else(|| bearer(&request));
    let missing = "send the API key: Authorization: Bearer KEY (http.api_key in the configuration)";
    pass(request, next, who.ok_or_else(|| (Problem::new(Code::Unauthorized, missing), "Bearer"))).await
}

/// In front of the pages and their data: name and password, and no other site asking in a person's name.
pub(super) async fn admin(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let who = local(&request).or_else(|| basic(&request));
    let missing = "name and password are needed (http.admin_user and http.admin_password in the configuration)";
    let checked = match who {
        None => Err((Problem::new(Code::Unauthorized, missing), BASIC)),
        Some(_) if !request.method().is_safe() && is_cross_site(&request) => {
            Err((Problem::new(Code::CrossSite, "the pages take no orders from other sites"), BASIC))
        }
        Some(who) => Ok(who),
    };
    pass(request, next, checked).await
}

/// In front of what only reads and is wanted by machines and people alike.
pub(super) async fn anyone_known(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let who = local(&request).or_else(|| bearer(&request)).or_else(|| basic(&request));
    let missing = "send the API key (Authorization: Bearer KEY), or name and password";
    pass(request, next, who.ok_or_else(|| (Problem::new(Code::Unauthorized, missing), BASIC))).await
}

const BASIC: &str = r#"Basic realm="bluetick", charset="UTF-8""#;

async fn pass<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
    who: Result<Principal, (Problem, &'static str)>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    match who {
        Ok(who) => {
            request.extensions_mut().insert(who);
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err((problem, challenge)) => {
            let is_unknown = problem.code == Code::Unauthorized;
            let mut response = request.error_response(problem).map_body(|_, body| BoxBody::new(body));
            if is_unknown {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            Ok(response.map_into_right_body())
        }
    }
}

fn local(request: &ServiceRequest) -> Option<Principal> {
    request.conn_data::<Local>().map(|_| Principal::Operator)
}

fn bearer(request: &ServiceRequest) -> Option<Principal> {
    let key = app(request)?.options.api_key.as_deref().filter(|key| !key.is_empty())?;
    let given = credentials(request, "Bearer")?;
    is_same(given.as_bytes(), key.as_bytes()).then_some(Principal::Api)
}

fn basic(request: &ServiceRequest) -> Option<Principal> {
    let options = &app(request)?.options;
    let password = options.admin_password.as_deref().filter(|password| !password.is_empty())?;
    let given = STANDARD.decode(credentials(request, "Basic")?).ok()?;
    is_same(&given, format!("{}:{password}", options.admin_user).as_bytes()).then_some(Principal::Operator)
}

fn app(request: &ServiceRequest) -> Option<&Data<App>> {
    request.app_data::<Data<App>>()
}

/// What follows the scheme in the `Authorization` header.
fn credentials<'a>(request: &'a ServiceRequest, scheme: &str) -> Option<&'a str> {
    let (given, rest) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

/// Hashes have one length, so not even that shows.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    Sha256::digest(given).ct_eq(&Sha256::digest(expected)).into()
}

/// Whether a browser sent this for another site. Every browser says so by `Sec-Fetch-Site`, older ones by `Origin`;
/// a program says neither, and has no person's password at hand.
fn is_cross_site(request: &ServiceRequest) -> bool {
    let text = |name| request.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_none() || host != text("host")
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::super::testing::{House, api, person};

    #[actix_web::test]
    async fn the_api_takes_keys_and_the_pages_take_people_and_neither_takes_the_other() {
        let house = House::new();
        let status = async |request: TestRequest| house.call(request).await.status.as_u16();
        let (v1, admin) = (|| TestRequest::get().uri("/v1/status"), || TestRequest::get().uri("/admin/api/status"));
        assert_eq!((status(v1()).await, status(api(v1())).await, status(person(v1())).await), (401, 200, 401));
        assert_eq!((status(admin()).await, status(person(admin())).await, status(api(admin())).await), (401, 200, 401));
        for wrong in ["Bearer", "Bearer ", "Bearer kez", "Basic a2V5", "key", "Bearer  key x"] {
            assert_eq!(status(v1().insert_header(("authorization", wrong))).await, 401, "{wrong}");
        }
        let refused = house.call(admin()).await;
        assert_eq!(refused.header("www-authenticate"), Some(super::BASIC));
        assert_eq!(refused.problem(), (401, "unauthorized".to_owned()));
    }

    #[actix_web::test]
    async fn without_a_key_or_password_the_door_stays_shut() {
        let house = House::with(|app| {
            app.options.api_key = Some(String::new());
            app.options.admin_password = None;
        });
        let empty = TestRequest::get().uri("/v1/status").insert_header(("authorization", "Bearer "));
        assert_eq!(house.call(empty).await.status.as_u16(), 401);
        // admin:
        let nobody = TestRequest::get().uri("/admin/api/status").insert_header(("authorization", "Basic YWRtaW46"));
        assert_eq!(house.call(nobody).await.status.as_u16(), 401);
    }

    #[actix_web::test]
    async fn no_other_site_gives_orders_in_a_persons_name() {
        let house = House::new();
        let post =
            || person(TestRequest::post().uri("/admin/api/messages").insert_header(("host", "bluetick.example")));
        for (name, value, code) in [
            ("sec-fetch-site", "cross-site", "cross_site"),
            ("sec-fetch-site", "same-site", "cross_site"),
            ("origin", "https://evil.example", "cross_site"),
            ("origin", "null", "cross_site"),
            ("sec-fetch-site", "same-origin", "wrong_content_type"),
            ("origin", "https://bluetick.example", "wrong_content_type"),
        ] {
            let answer = house.call(post().insert_header((name, value))).await;
            assert_eq!(answer.problem().1, code, "{name}: {value}");
        }
    }

    #[actix_web::test]
    async fn every_answer_keeps_browsers_careful() {
        let house = House::new();
        for path in ["/healthz", "/v1/status", "/nothing"] {
            let answer = house.call(TestRequest::get().uri(path)).await;
            assert!(answer.header("content-security-policy").is_some_and(|csp| csp.starts_with("default-src 'none'")));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        }
    }
}
