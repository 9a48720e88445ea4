//! What was set, key by key, with where it was set; a later layer lies over an earlier one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::Config;
use super::keys;
use super::problem::{ConfigError, Place, Problem};

/// A secret is a line; what is bigger is another file.
const MAX_SECRET_BYTES: u64 = 4096;

/// Values by dotted path.
#[derive(Debug, Default)]
pub(super) struct Layer(BTreeMap<String, (Value, Place)>);

impl Layer {
    /// Sets a key; false if it was set already.
    pub(super) fn set(&mut self, path: &str, value: Value, place: Place) -> bool {
        self.0.insert(path.to_owned(), (value, place)).is_none()
    }

    /// Lays another one over this one.
    pub(super) fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// A problem with a key, where that key was set.
    pub(super) fn problem(&self, path: &str, detail: String) -> Problem {
        Problem { place: self.0.get(path).map_or(Place::Nowhere, |(_, place)| place.clone()), detail }
    }

    /// Looks at each value on its own, so that what is wrong with it can be said where it stands.
    pub(super) fn check_values(&self, problems: &mut Vec<Problem>) {
        for (path, (value, place)) in &self.0 {
            let key = keys::find(path);
            let alone = Config::deserialize(nested([(path.as_str(), value)]));
            let detail = key.and_then(|key| key.out_of_range(value)).or_else(|| match alone {
                Err(_) if key.is_some_and(|key| key.is_secret) => Some(format!("{path} is not text in quotes")),
                Err(error) => Some(format!("{path}: {}", error.message().trim_end())),
                Ok(_) => None,
            });
            problems.extend(detail.map(|detail| Problem { place: place.clone(), detail }));
        }
    }

    /// All of it over the defaults.
    pub(super) fn config(&self) -> Result<Config, ConfigError> {
        let whole = nested(self.0.iter().map(|(path, (value, _))| (path.as_str(), value)));
        Config::deserialize(whole).map_err(|error| ConfigError(vec![Problem::nowhere(error.message())]))
    }
}

/// Dotted paths as tables in tables.
fn nested<'a>(values: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Table {
    let mut whole = Table::new();
    for (path, value) in values {
        let mut sections: Vec<_> = path.split('.').collect();
        let key = sections.pop().unwrap_or_default();
        let section = sections.into_iter().fold(&mut whole, |table, section| {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            inner.as_table_mut().expect("a section and a key never share a path")
        });
        section.insert(key.to_owned(), value.clone());
    }
    whole
}

/// The secret whose `_file` form this path is.
pub(super) fn secret_of(path: &str) -> Option<&str> {
    path.strip_suffix("_file").filter(|path| keys::find(path).is_some_and(|key| key.is_secret))
}

/// Reads a secret from its file, without the newline an editor leaves.
pub(super) fn read_secret(file: &str) -> Result<Value, String> {
    let failed = |why: &str| format!("cannot read the secret in {file}: {why}");
    let length = std::fs::metadata(Path::new(file)).map_err(|error| failed(&error.to_string()))?.len();
    if length > MAX_SECRET_BYTES {
        return Err(failed("it is bigger than 4 KiB, so it is no secret"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| failed(&error.to_string()))?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err(failed("it is empty"));
    }
    Ok(Value::String(line.to_owned()))
}
