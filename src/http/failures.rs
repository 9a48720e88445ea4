//! Error codes, explained.

use std::borrow::Cow;

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{Problem, ProblemBody};
use crate::message::{Class, Failure, Job, OptOut, Pause, all_failures, explain};

/// An error code of Twilio: what it means, whose job it is, and what can be done about it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
pub(super) struct FailureView {
    /// Twilio's number.
    #[schema(example = 63016)]
    code: u32,
    /// What happened, as a headline.
    #[schema(value_type = String)]
    title: Cow<'static, str>,
    /// What can be done: `transient`, `rate`, `wait`, `template`, `permanent`, `opted_out`, `operator` or `none`.
    #[schema(value_type = String, example = "template")]
    class: Class,
    /// What else should wait: `account`, `sender`, `template` or `none`.
    #[schema(value_type = String, example = "none")]
    pause: Pause,
    /// Whether the message may have arrived all the same.
    may_duplicate: bool,
    /// What the person asked us to stop: `marketing` or `all`.
    #[schema(value_type = Option<String>)]
    opt_out: Option<OptOut>,
    /// What happened, in a sentence.
    #[schema(value_type = String)]
    meaning: Cow<'static, str>,
    /// Whose move it is: `app`, `operator`, `twilio`, `recipient` or `nobody`.
    #[schema(value_type = String, example = "app")]
    whose_job: Job,
    /// The next thing to do.
    #[schema(value_type = String)]
    action: Cow<'static, str>,
    /// Twilio's own page about it.
    link: String,
    /// Whether the catalogue has this code.
    known: bool,
}

/// The answer of `GET /v1/errors`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failures)]
pub(super) struct FailuresView {
    data: Vec<FailureView>,
}

impl FailureView {
    /// Any code, explained.
    pub(super) fn of(code: u32) -> Self {
        explain(code).into()
    }

    /// The columns of a table: code, title, class, whose job, meaning, action.
    pub(super) fn columns(&self) -> [String; 6] {
        let word = |value: serde_json::Result<serde_json::Value>| match value {
            Ok(serde_json::Value::String(word)) => word,
            _ => String::new(),
        };
        [
            self.code.to_string(),
            self.title.to_string(),
            self.class.as_str().to_owned(),
            word(serde_json::to_value(self.whose_job)),
            self.meaning.to_string(),
            self.action.to_string(),
        ]
    }
}

impl From<Failure> for FailureView {
    fn from(failure: Failure) -> Self {
        let Failure { code, title, class, pause, may_duplicate, opt_out, meaning, whose_job, action, link, known } =
            failure;
        Self { code, title, class, pause, may_duplicate, opt_out, meaning, whose_job, action, link, known }
    }
}

/// The whole catalogue, by code.
#[utoipa::path(
    get, path = "/v1/errors", operation_id = "list_errors", tag = "errors",
    responses((status = 200, description = "Every error code that is known", body = FailuresView))
)]
pub(super) async fn all() -> web::Json<FailuresView> {
    web::Json(FailuresView { data: all_failures().map(Into::into).collect() })
}

/// One code, also one that is not in the catalogue.
#[utoipa::path(
    get, path = "/v1/errors/{code}", operation_id = "get_error", tag = "errors",
    params(("code" = u32, Path, example = 63016)),
    responses(
        (status = 200, description = "What it means and what to do", body = FailureView),
        (status = 400, description = "Not a number", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn one(code: web::Path<String>) -> Result<web::Json<FailureView>, Problem> {
    let code = code.parse().map_err(|_| {
        Problem::field(
            super::error::Code::InvalidPath,
            "code",
            "is no error code of Twilio: write its number, like 63016",
        )
    })?;
    Ok(web::Json(FailureView::of(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_the_same_in_the_api_as_in_the_catalogue() {
        for failure in [explain(63_016), explain(4_294_967_295)] {
            let ours = serde_json::to_value(FailureView::of(failure.code)).expect("plain words");
            assert_eq!(ours, serde_json::to_value(&failure).expect("plain words"));
        }
    }
}
