//! The environment: `BLUETICK__SECTION__KEY`, and `BLUETICK__KEY` for what stands at the top.
//!
//! An empty variable counts as not set, because compose files and unit files cannot leave one out.

use std::ffi::OsString;

use toml::{Table, Value};

use super::document;
use super::layer::{self, Layer};
use super::problem::{Place, Problem};
use super::shape::Shape;

/// What the name of every variable begins with.
pub(super) const PREFIX: &str = "BLUETICK__";

/// Reads the variables that are ours; what is wrong is added to `problems`.
pub(super) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    shape: &Shape,
    problems: &mut Vec<Problem>,
) -> Layer {
    let mut ours: Vec<_> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok().filter(|name| name.starts_with(PREFIX))?, value)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    ours.sort();
    let mut layer = Layer::default();
    for (name, value) in ours {
        let place = Place::Variable(name.clone());
        let path = name[PREFIX.len()..].replace("__", ".").to_ascii_lowercase();
        let result = value.into_string().map_err(|_| "is not UTF-8".to_owned()).and_then(|text| {
            let (path, value) = value_of(&path, &text, shape)?;
            match layer.set(path, value, place.clone()) {
                true => Ok(()),
                false => Err(format!("{path} is set twice, also without _FILE: leave one of them out")),
            }
        });
        problems.extend(result.err().map(|detail| Problem { place, detail }));
    }
    layer
}

fn value_of<'a>(path: &'a str, text: &str, shape: &Shape) -> Result<(&'a str, Value), String> {
    if let Some(secret) = layer::secret_of(path) {
        return Ok((secret, layer::read_secret(text)?));
    }
    let value = match shape.find(path) {
        None => {
            let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
            let known = if section.is_empty() { Some(shape) } else { shape.find(section) };
            return Err(match known {
                Some(known @ Shape::Section(_)) => document::unknown(section, key, known, shape),
                _ => document::unknown("", section, shape, shape),
            });
        }
        Some(Shape::Bool) => text.parse().ok().map(Value::Boolean),
        Some(Shape::Whole) => text.parse().ok().map(Value::Integer),
        Some(Shape::Number) => text.parse().ok().map(Value::Float),
        Some(Shape::Text) => Some(Value::String(text.to_owned())),
        Some(Shape::Choice(words)) => words.contains(&text).then(|| Value::String(text.to_owned())),
        Some(shape @ (Shape::List(_) | Shape::Pairs(_) | Shape::Section(_))) => {
            let parsed = toml::from_str::<Table>(&format!("value = {text}")).ok();
            let value = parsed.and_then(|mut table| table.remove("value"));
            return value.map(|value| (path, value)).ok_or(format!("{path} must be {}, as in TOML", shape.words()));
        }
    };
    let words = || shape.find(path).map_or_else(String::new, Shape::words);
    value.map(|value| (path, value)).ok_or_else(|| format!("{path} must be {}, not `{text}`", words()))
}
