//! The API's own description, made from the handlers, so that it cannot say anything else than they do.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::{
    archive, audit_log, backups, contacts, erasure, events, failures, health, inbound, keys, messages, metrics, oauth,
    opt_outs, pauses, prometheus, quarantine, retries, runs, secrets, senders, status, verify,
};

#[derive(OpenApi)]
#[openapi(
    // The version of the API, which is the /v1 in its paths, not of the program.
    info(title = "bluetick", description = "WhatsApp delivery you can prove.", version = "1"),
    paths(
        messages::create,
        messages::list,
        messages::export,
        messages::get,
        messages::journal,
        messages::cancel,
        messages::hold,
        messages::release,
        messages::retry,
        retries::retry,
        pauses::list,
        pauses::begin,
        pauses::end,
        opt_outs::list,
        opt_outs::put,
        opt_outs::delete,
        metrics::all,
        metrics::errors,
        metrics::sender,
        contacts::show,
        contacts::metrics,
        erasure::erase,
        erasure::export,
        inbound::list,
        senders::list,
        failures::all,
        failures::one,
        events::list,
        status::show,
        verify::show,
        backups::list,
        backups::create,
        runs::list,
        runs::want,
        archive::show,
        archive::bring_back,
        keys::list,
        keys::create,
        keys::get,
        keys::revoke,
        keys::rotate,
        oauth::token,
        quarantine::list,
        quarantine::empty,
        quarantine::diagnose,
        quarantine::replay,
        secrets::list,
        secrets::rotate,
        secrets::cancel,
        secrets::promote,
        secrets::retire,
        secrets::revoke,
        secrets::recovery_key,
        secrets::rotate_master,
        audit_log::list,
        health::live,
        health::ready,
        prometheus::scrape,
    ),
    components(schemas(super::error::ProblemBody)),
    modifiers(&ApiKey, &Operations),
    security(("api_key" = [])),
)]
struct Api;

struct ApiKey;

impl Modify for ApiKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("api_key", bearer);
    }
}

/// What is the same for every operation: a name made of method and path, and the answer to strangers.
struct Operations;

impl Modify for Operations {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let methods = [
                ("get", &mut item.get),
                ("post", &mut item.post),
                ("put", &mut item.put),
                ("delete", &mut item.delete),
            ];
            for (method, operation) in methods {
                let Some(operation) = operation else { continue };
                operation.operation_id = Some(name(method, path));
                if operation.security.is_none() {
                    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
                    let stranger = ResponseBuilder::new().description("The API key is missing or wrong");
                    let stranger = stranger.content("application/json", problem).build();
                    operation.responses.responses.insert("401".into(), stranger.into());
                    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
                    let lesser = ResponseBuilder::new().description("The key lacks a scope");
                    let lesser = lesser.content("application/json", problem).build();
                    operation.responses.responses.entry("403".into()).or_insert_with(|| lesser.into());
                    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
                    let often = ResponseBuilder::new().description("Too often: Retry-After says when to come again");
                    let often = often.content("application/json", problem).build();
                    operation.responses.responses.insert("429".into(), often.into());
                }
                operation.responses.responses.values_mut().for_each(name_problem);
            }
        }
    }
}

/// Problems have a media type of their own.
fn name_problem(response: &mut RefOr<Response>) {
    let RefOr::T(response) = response else { return };
    let is_problem = |content: &RefOr<Content>| match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => schema.ref_location.ends_with("/Problem"),
        _ => false,
    };
    if response.content.get("application/json").is_some_and(is_problem)
        && let Some(content) = response.content.shift_remove("application/json")
    {
        response.content.insert("application/problem+json".into(), content);
    }
}

/// `get_v1_messages_id_journal` for `GET /v1/messages/{id}/journal`.
fn name(method: &str, path: &str) -> String {
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric());
    std::iter::once(method).chain(words.filter(|word| !word.is_empty())).collect::<Vec<_>>().join("_")
}

/// The OpenAPI document, as JSON.
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| Api::openapi().to_pretty_json().expect("a document made from types can be written as JSON"));
    &DOCUMENT
}

/// Shows the document.
pub(super) async fn show() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(document())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_description_is_the_one_the_code_gives() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        let document = format!("{}\n", document());
        if std::env::var_os("BLUETICK_UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("the folder of the documents");
            std::fs::write(&path, &document).expect("the description is written");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == document, "docs/openapi.json is old: run the tests once with BLUETICK_UPDATE=1");
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document = Api::openapi();
        let items = document.paths.paths.values();
        let each =
            |item: &'_ utoipa::openapi::PathItem| [&item.get, &item.post, &item.put, &item.delete].map(Clone::clone);
        let operations: Vec<_> = items.flat_map(each).flatten().collect();
        let names: BTreeSet<_> = operations.iter().map(|operation| operation.operation_id.clone()).collect();
        assert_eq!(names.len(), operations.len());
    }
}
