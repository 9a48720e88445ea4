//! Reading a JSON body field by field, so that everything that is wrong is named at once.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::{Code, FieldError, Problem};
use super::once::Once;

/// Whoever writes more names that nobody knows has sent something else: an answer is no longer for it.
const MAX_UNKNOWN: usize = 16;

/// An object being read: what is taken leaves, and nobody may stay behind.
#[derive(Debug)]
pub(super) struct Fields {
    object: Map<String, Value>,
    /// What stands before a field's name where it is told of.
    prefix: &'static str,
    known: &'static [&'static str],
    code: Code,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads an object that may have the `known` fields; `code` is the problem of a field that is wrong.
    pub(super) fn read(body: &[u8], known: &'static [&'static str], code: Code) -> Result<Self, Problem> {
        let Once(value) =
            serde_json::from_slice(body).map_err(|error| Problem::new(Code::InvalidJson, error.to_string()))?;
        let Value::Object(object) = value else {
            let example = known.first().copied().unwrap_or_default();
            return Err(Problem::new(
                Code::InvalidJson,
                format!("the body must be a JSON object: {{\"{example}\": …}}"),
            ));
        };
        Ok(Self { object, prefix: "", known, code, errors: Vec::new() })
    }

    /// The same for a body that may be missing: no field is given then.
    pub(super) fn read_any(body: &[u8], known: &'static [&'static str], code: Code) -> Result<Self, Problem> {
        Self::read(if body.is_empty() { b"{}" } else { body }, known, code)
    }

    /// The fields of an object that is a field itself.
    pub(super) fn within(&mut self, field: &'static str, prefix: &'static str, known: &'static [&'static str]) -> Self {
        let object = self.take(field, "an object");
        Self { object, prefix, known, code: self.code, errors: Vec::new() }
    }

    /// A field that is absent or null has its default.
    pub(super) fn take<T: DeserializeOwned + Default>(&mut self, field: &str, kind: &str) -> T {
        let value = self.object.remove(field).filter(|value| !value.is_null());
        let read = value.map(serde_json::from_value).transpose();
        read.unwrap_or_else(|_| {
            self.wrong(field, format!("must be {kind}"));
            None
        })
        .unwrap_or_default()
    }

    /// Takes note of what is wrong with a field.
    pub(super) fn wrong(&mut self, field: &str, detail: impl Into<String>) {
        self.errors.push(FieldError { field: format!("{}{field}", self.prefix), detail: detail.into() });
    }

    /// What nobody knows is a typing error, and would otherwise be lost in silence.
    pub(super) fn end(mut self) -> Result<(), Problem> {
        let unknown = std::mem::take(&mut self.object);
        for field in unknown.keys().take(MAX_UNKNOWN) {
            let meant = self.known.iter().max_by(|a, b| likeness(field, a).total_cmp(&likeness(field, b)));
            let hint = meant.filter(|meant| likeness(field, meant) > 0.8);
            let hint = hint.map_or_else(
                || format!("the fields are {}", self.known.join(", ")),
                |meant| format!("do you mean {meant}?"),
            );
            self.wrong(&field.chars().take(64).collect::<String>(), format!("is not known here: {hint}"));
        }
        if let (Some(more @ 1..), Some(last)) = (unknown.len().checked_sub(MAX_UNKNOWN), self.errors.last_mut()) {
            last.detail += &format!("; and {more} more");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::fields(self.code, self.errors)) }
    }
}

fn likeness(written: &str, known: &str) -> f64 {
    strsim::jaro_winkler(written, known)
}
