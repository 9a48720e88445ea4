//! Every route on one page.
//!
//! Invariant: `/v1` and `/admin/api` share their handlers and nothing else: one takes API keys, the other takes people.

use actix_web::guard;
use actix_web::http::header;
use actix_web::middleware::from_fn;
use actix_web::web::{ServiceConfig, delete, post, put, resource, route, scope, to};
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, Route};

use super::{
    archive, audit_log, auth, backups, charts, contacts, erasure, events, failures, health, inbound, keys, messages,
    metrics, oauth, openapi, opt_outs, own, pages, pauses, prometheus, quarantine, retries, runs, secrets, senders,
    sessions, setup, status, users, verify, webhooks,
};

/// Adds every route.
pub(super) fn configure(service: &mut ServiceConfig) {
    service
        // What Twilio calls, proven by its signature.
        .service(posting("/webhooks/twilio/status/{attempt}", webhooks::status))
        .service(posting("/webhooks/twilio/status", webhooks::status))
        .service(posting("/webhooks/twilio/inbound", webhooks::inbound))
        // What anybody may ask.
        .service(reading("/healthz", health::live))
        .service(reading("/readyz", health::ready))
        .service(reading("/openapi.json", openapi::show))
        // What machines and people may ask.
        .service(reading("/metrics", prometheus::scrape).wrap(from_fn(auth::anyone_known)))
        .service(posting("/oauth/token", oauth::token))
        // What the team's app calls.
        .service(scope("/v1").configure(data).wrap(from_fn(auth::api)))
        // What the pages call.
        .service(scope("/admin/api").configure(data).configure(admin_data).wrap(from_fn(auth::admin)));
    // What the pages are made of holds nothing that is not in every copy of bluetick.
    for (path, _) in pages::PAGES {
        service.service(reading(path, pages::page));
    }
    service.service(reading("/static/{file}", pages::asset));
}

fn data(service: &mut ServiceConfig) {
    service
        .service(
            reading("/messages", messages::list)
                .route(post().to(messages::create))
                .default_service(only("GET, HEAD, POST")),
        )
        .service(reading("/messages.csv", messages::export))
        .service(reading("/messages/{id}", messages::get))
        .service(reading("/messages/{id}/journal", messages::journal))
        .service(posting("/messages/{id}/cancel", messages::cancel))
        .service(posting("/messages/{id}/hold", messages::hold))
        .service(posting("/messages/{id}/release", messages::release))
        .service(posting("/messages/{id}/retry", messages::retry))
        .service(posting("/retries", retries::retry))
        .service(
            reading("/pauses", pauses::list).route(post().to(pauses::begin)).default_service(only("GET, HEAD, POST")),
        )
        .service(resource("/pauses/{scope}").route(delete().to(pauses::end)).default_service(only("DELETE")))
        .service(reading("/opt-outs", opt_outs::list))
        .service(reading("/metrics", metrics::all))
        .service(reading("/metrics/errors", metrics::errors))
        .service(reading("/metrics/senders/{sender}", metrics::sender))
        .service(
            reading("/contacts/{address}", contacts::show)
                .route(delete().to(erasure::erase))
                .default_service(only("GET, HEAD, DELETE")),
        )
        .service(reading("/contacts/{address}/export", erasure::export))
        .service(reading("/contacts/{address}/metrics", contacts::metrics))
        .service(
            resource("/contacts/{address}/opt-out")
                .route(put().to(opt_outs::put))
                .route(delete().to(opt_outs::delete))
                .default_service(only("PUT, DELETE")),
        )
        .service(reading("/inbound", inbound::list))
        .service(reading("/senders", senders::list))
        .service(reading("/errors", failures::all))
        .service(reading("/errors/{code}", failures::one))
        .service(reading("/events", events::list))
        .service(reading("/status", status::show))
        .service(reading("/verify", verify::show))
        .service(reading("/jobs", runs::list))
        .service(posting("/jobs/{name}/runs", runs::want))
        .service(reading("/archive", archive::show))
        .service(posting("/archive/returns", archive::bring_back))
        .service(reading("/keys", keys::list).route(post().to(keys::create)).default_service(only("GET, HEAD, POST")))
        .service(
            reading("/keys/{id}", keys::get)
                .route(delete().to(keys::revoke))
                .default_service(only("GET, HEAD, DELETE")),
        )
        .service(posting("/keys/{id}/rotations", keys::rotate))
        .service(
            reading("/quarantine", quarantine::list)
                .route(delete().to(quarantine::empty))
                .default_service(only("GET, HEAD, DELETE")),
        )
        .service(reading("/quarantine/{id}/diagnosis", quarantine::diagnose))
        .service(posting("/quarantine/replays", quarantine::replay))
        .service(reading("/secrets", secrets::list))
        .service(posting("/secrets/recovery-key", secrets::recovery_key))
        .service(posting("/secrets/master-key/rotations", secrets::rotate_master))
        .service(
            resource("/secrets/{kind}/rotations")
                .route(post().to(secrets::rotate))
                .route(delete().to(secrets::cancel))
                .default_service(only("POST, DELETE")),
        )
        .service(posting("/secrets/{kind}/promotion", secrets::promote))
        .service(posting("/secrets/{kind}/revocation", secrets::revoke))
        .service(
            resource("/secrets/{kind}/{generation}")
                .route(delete().to(secrets::retire))
                .default_service(only("DELETE")),
        )
        .service(reading("/audit", audit_log::list))
        .service(
            reading("/backups", backups::list)
                .route(post().to(backups::create))
                .default_service(only("GET, HEAD, POST")),
        );
}

fn admin_data(service: &mut ServiceConfig) {
    service
        .service(reading("/charts/{name}.svg", charts::show))
        .service(reading("/setup", setup::show).route(post().to(setup::begin)).default_service(only("GET, HEAD, POST")))
        .service(posting("/setup/code", setup::code))
        .service(
            reading("/session", sessions::show)
                .route(post().to(sessions::open))
                .route(delete().to(sessions::close))
                .default_service(only("GET, HEAD, POST, DELETE")),
        )
        .service(posting("/session/step-up", sessions::step_up))
        .service(posting("/session/password", own::password))
        .service(
            resource("/session/totp")
                .route(post().to(own::enrol))
                .route(put().to(own::confirm))
                .route(delete().to(own::forget))
                .default_service(only("POST, PUT, DELETE")),
        )
        .service(
            reading("/sessions", sessions::list)
                .route(delete().to(sessions::end_many))
                .default_service(only("GET, HEAD, DELETE")),
        )
        .service(resource("/sessions/{id}").route(delete().to(sessions::end)).default_service(only("DELETE")))
        .service(
            reading("/users", users::list).route(post().to(users::create)).default_service(only("GET, HEAD, POST")),
        )
        .service(
            resource("/users/{name}")
                .route(put().to(users::change))
                .route(delete().to(users::remove))
                .default_service(only("PUT, DELETE")),
        )
        .service(posting("/users/{name}/password", users::password))
        .service(resource("/users/{name}/totp").route(delete().to(users::totp_off)).default_service(only("DELETE")));
}

/// What only reads is there for HEAD too.
fn reading<H, Args>(path: &str, handler: H) -> Resource
where
    H: Handler<Args>,
    Args: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    let reads = guard::Any(guard::Get()).or(guard::Head());
    resource(path).route(route().guard(reads).to(handler)).default_service(only("GET, HEAD"))
}

fn posting<H, Args>(path: &str, handler: H) -> Resource
where
    H: Handler<Args>,
    Args: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    resource(path).route(post().to(handler)).default_service(only("POST"))
}

/// What is answered to every other method.
fn only(methods: &'static str) -> Route {
    to(move || async move { HttpResponse::MethodNotAllowed().insert_header((header::ALLOW, methods)).finish() })
}
