//! The pages, out of the binary itself.
//!
//! Invariant: a request chooses among files that were there when bluetick was built; no path ever reaches a disk. They hold
//! nothing of anybody, so everybody may have them; what they show they must ask for.

use actix_web::http::header::{CACHE_CONTROL, ETag, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, web};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::error::{Code, Problem};

/// Every page and the file it is; the last part of some is a name that the page's own script reads.
pub(super) const PAGES: [(&str, &str); 11] = [
    ("/login", "login.html"),
    ("/", "index.html"),
    ("/messages", "messages.html"),
    ("/messages/{id}", "message.html"),
    ("/contacts/{address}", "contact.html"),
    ("/senders/{sender}", "sender.html"),
    ("/inbound", "inbound.html"),
    ("/opt-outs", "opt-outs.html"),
    ("/upkeep", "upkeep.html"),
    ("/trust", "trust.html"),
    ("/users", "users.html"),
];

#[derive(RustEmbed)]
#[folder = "web"]
struct Web;

/// The page of the route that was matched.
pub(super) async fn page(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let route = request.match_pattern().unwrap_or_default();
    let (_, name) = PAGES.iter().find(|(path, _)| *path == route).ok_or_else(nothing_here)?;
    answer(&request, name)
}

/// A script, a stylesheet or a picture.
pub(super) async fn asset(request: HttpRequest, file: web::Path<String>) -> Result<HttpResponse, Problem> {
    answer(&request, &format!("static/{file}"))
}

fn answer(request: &HttpRequest, name: &str) -> Result<HttpResponse, Problem> {
    let file = Web::get(name).ok_or_else(nothing_here)?;
    let tag = tag(&file);
    let is_known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // Asked for again each time, and mostly answered 304: after an upgrade no page mixes old and new scripts.
    answer.insert_header((CACHE_CONTROL, "no-cache")).insert_header(ETag(tag));
    if is_known {
        return Ok(answer.finish());
    }
    Ok(answer.content_type(content_type(&file)).body(file.data))
}

/// The first half of the file's SHA-256.
fn tag(file: &EmbeddedFile) -> EntityTag {
    let hash = file.metadata.sha256_hash();
    let [first, second, ..] = hash.as_chunks::<8>().0 else { unreachable!("a SHA-256 has 32 bytes") };
    EntityTag::new_strong(format!("{:016x}{:016x}", u64::from_be_bytes(*first), u64::from_be_bytes(*second)))
}

fn content_type(file: &EmbeddedFile) -> String {
    let mime = file.metadata.mimetype();
    // Modules and drawings are text too, whatever the registry files them under.
    let is_text = mime.starts_with("text/") || mime.ends_with("javascript") || mime.ends_with("+xml");
    if is_text { format!("{mime}; charset=utf-8") } else { mime.to_owned() }
}

fn nothing_here() -> Problem {
    Problem::new(Code::NoSuchPath, "there is no page here: the pages begin at /")
}

#[cfg(test)]
mod tests {
    use actix_web::dev::ServiceResponse;
    use actix_web::http::StatusCode;
    use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH};
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, web};

    use super::*;

    fn routes(service: &mut web::ServiceConfig) {
        for (path, _) in PAGES {
            service.route(path, web::get().to(page));
        }
        service.route("/static/{file}", web::get().to(asset));
    }

    fn said(answer: &ServiceResponse, name: HeaderName) -> Option<&str> {
        answer.headers().get(name).and_then(|value| value.to_str().ok())
    }

    #[actix_web::test]
    async fn every_page_is_served_as_html_and_asked_for_again() {
        let service = init_service(App::new().configure(routes)).await;
        let names = ["/messages/msg_1", "/contacts/whatsapp:+4915100000001", "/senders/MG1"];
        for path in ["/", "/messages", "/inbound", "/opt-outs"].into_iter().chain(names) {
            let answer = call_service(&service, TestRequest::get().uri(path).to_request()).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            assert_eq!(said(&answer, CONTENT_TYPE), Some("text/html; charset=utf-8"), "{path}");
            assert_eq!(said(&answer, CACHE_CONTROL), Some("no-cache"), "{path}");
            assert!(read_body(answer).await.starts_with(b"<!doctype html>"), "{path}");
        }
    }

    #[actix_web::test]
    async fn a_file_that_is_known_already_is_not_sent_again() {
        let service = init_service(App::new().configure(routes)).await;
        let ask = || TestRequest::get().uri("/static/api.js");
        let first = call_service(&service, ask().to_request()).await;
        assert_eq!(said(&first, CONTENT_TYPE), Some("text/javascript; charset=utf-8"));
        let tag = said(&first, ETAG).expect("a tag").to_owned();
        let second = call_service(&service, ask().insert_header((IF_NONE_MATCH, tag.as_str())).to_request()).await;
        assert_eq!((second.status(), said(&second, ETAG)), (StatusCode::NOT_MODIFIED, Some(tag.as_str())));
        assert!(read_body(second).await.is_empty());
        let other = call_service(&service, ask().insert_header((IF_NONE_MATCH, "\"other\"")).to_request()).await;
        assert_eq!(other.status(), StatusCode::OK);
    }

    /// Every way we know to write "up", in front of every file that somebody might want: none is answered with one.
    #[actix_web::test]
    async fn layer_5_input_no_path_of_500_leads_to_a_disk() {
        let service = init_service(App::new().configure(routes)).await;
        let ups = [
            "..",
            "%2e%2e",
            "%252e%252e",
            "..%00",
            ".%2e",
            "%2e.",
            "....",
            "..;",
            "%c0%ae%c0%ae",
            "%uff0e%uff0e",
            "..%5c",
            "..%2f",
            "%2e%2e%2f",
            "%2e%2e%5c",
            "..%252f",
            "..%c0%af",
            "..%ef%bc%8f",
            "..%01",
            "..%0d%0a",
            "~",
            ".",
            "%20..",
            "..%20",
        ];
        let files =
            ["etc/passwd", "Cargo.toml", "config.toml", "data/bluetick.redb", "master.key", "proc/self/environ"];
        let mut tried = 0;
        for (up, file) in ups.iter().flat_map(|up| files.iter().map(move |file| (up, file))) {
            for target in [
                format!("/static/{up}/{up}/{file}"),
                format!("/static/{up}%2f{up}%2f{}", file.replace('/', "%2f")),
                format!("/static/{up}{file}"),
                format!("/static//{up}/{file}"),
                format!("/{up}/{file}"),
            ] {
                // What is no URL at all never comes this far.
                if target.parse::<actix_web::http::Uri>().is_err() {
                    continue;
                }
                tried += 1;
                let answer = call_service(&service, TestRequest::get().uri(&target).to_request()).await;
                assert!(answer.status().is_client_error(), "{target}: {}", answer.status());
            }
        }
        assert!(tried >= 500, "{tried}");
    }

    #[actix_web::test]
    async fn no_path_leads_out_of_the_folder() {
        let service = init_service(App::new().configure(routes)).await;
        for path in [
            "/static/../Cargo.toml",
            "/static/..%2fCargo.toml",
            "/static/%2e%2e%2fCargo.toml",
            "/static/..%5cCargo.toml",
            "/static/%2fetc%2fpasswd",
            "/static/..%2findex.html",
            "/static/.",
            "/static/nothing.js",
            "/index.html",
        ] {
            let answer = call_service(&service, TestRequest::get().uri(path).to_request()).await;
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
