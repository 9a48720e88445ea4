//! The query of a request, read into what a handler asks for; what is wrong is named by its parameter.

use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::error::{Code, Problem};

/// A query that could be read.
#[derive(Debug)]
pub(super) struct Query<T>(T);

impl<T> Query<T> {
    /// What was read.
    pub(super) fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.query_string()).map(Self))
    }
}

/// Reads what stands behind the question mark.
pub(super) fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let (parameter, reason) = (error.path().to_string(), error.inner().to_string());
        let is_named = parameter.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        match is_named && !reason.contains("unknown field") {
            true => Problem::query(&parameter, format!("cannot be read: {reason}")),
            false => Problem::new(Code::InvalidQuery, reason),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Asked {
        limit: Option<usize>,
        status: Option<String>,
    }

    fn refused(query: &str) -> (String, usize) {
        let problem = read::<Asked>(query).expect_err("refused");
        (problem.detail, problem.errors.len())
    }

    #[test]
    fn what_is_wrong_is_named_by_its_parameter() {
        assert_eq!(
            refused("status=sent&limit=abc"),
            ("limit: cannot be read: invalid digit found in string".into(), 1)
        );
        assert!(refused("limit=1&limit=2").0.contains("duplicate field `limit`"));
        assert!(refused("limt=1").0.starts_with("unknown field `limt`, expected `limit` or `status`"));
    }

    #[test]
    fn what_can_be_read_is_decoded() {
        let asked: Asked = read("limit=7&status=a%2Cb+c").expect("a query");
        assert_eq!((asked.limit, asked.status.as_deref()), (Some(7), Some("a,b c")));
    }
}
