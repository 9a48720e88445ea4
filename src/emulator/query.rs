//! A query string or form, read strictly.

use super::exchange::{Refusal, Request};
use crate::twilio::wire::{Params, parse_form};

/// Decoded pairs.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(pub(super) Params);

impl Query {
    /// The query of a request.
    pub(super) fn of(request: &Request) -> Result<Self, Refusal> {
        Self::parse(request.query.as_bytes())
    }

    /// The form in the body of a request.
    pub(super) fn of_body(request: &Request) -> Result<Self, Refusal> {
        Self::parse(&request.body)
    }

    fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let params =
            parse_form(bytes).map_err(|error| Refusal::new(400, 20001, format!("Not a readable form: {error}")))?;
        Ok(Self(params))
    }

    /// The first value of a name, empty or not.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    /// The first value of a name, unless it is empty.
    pub(super) fn some(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// A number, or a refusal that says which name it belongs to.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.some(name) else { return Ok(None) };
        let number = value.parse().map_err(|_| Refusal::new(400, 20001, format!("{name} is not a number: {value}")))?;
        Ok(Some(number))
    }
}
