//! The file: TOML, every key known, every value of the right kind, and every problem with its line.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue, Deserializer};
use toml::{Spanned, Table, Value};

use super::layer::{self, Layer};
use super::problem::{Place, Problem, Spot};
use super::shape::Shape;

/// A key and where it stands.
type Name<'a> = Spanned<Cow<'a, str>>;

/// Names more different than this are not what was meant.
const NEAR: f64 = 0.8;

/// Reads a file's text; what is wrong is added to `problems`.
pub(super) fn read(text: &str, file: &Path, shape: &Shape, problems: &mut Vec<Problem>) -> Layer {
    let mut reader = Reader { text, file, whole: shape, layer: Layer::default(), problems };
    let parsed = DeTable::parse(text).and_then(|document| {
        let values = Table::deserialize(Deserializer::from(document.clone()))?;
        Ok((document, values))
    });
    match parsed {
        Ok((document, values)) => reader.section("", document.get_ref(), &values, shape),
        Err(error) => reader.add(error.span().unwrap_or(0..0), format!("this is not TOML: {}", error.message())),
    }
    reader.layer
}

struct Reader<'a> {
    text: &'a str,
    file: &'a Path,
    whole: &'a Shape,
    layer: Layer,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn add(&mut self, span: Range<usize>, detail: String) {
        let place = self.place(span);
        self.problems.push(Problem { place, detail });
    }

    fn place(&self, span: Range<usize>) -> Place {
        Place::File(Spot::of(self.file, self.text, span))
    }

    fn section(&mut self, name: &str, table: &DeTable<'_>, values: &Table, shape: &Shape) {
        for (key, spanned) in table {
            let path = if name.is_empty() { key.get_ref().to_string() } else { format!("{name}.{}", key.get_ref()) };
            let Some(value) = values.get(key.get_ref().as_ref()) else { continue };
            match (shape.get(key.get_ref()), spanned.get_ref(), value) {
                (Some(inner @ Shape::Section(_)), DeValue::Table(table), Value::Table(values)) => {
                    self.section(&path, table, values, inner);
                }
                (Some(inner), _, _) => {
                    if self.fits(&path, spanned, inner) {
                        self.set(&path, value.clone(), spanned.span());
                    }
                }
                (None, _, _) => match (layer::secret_of(&path), value) {
                    (Some(secret), Value::String(file)) => match layer::read_secret(file) {
                        Ok(value) => self.set(secret, value, spanned.span()),
                        Err(detail) => self.add(spanned.span(), detail),
                    },
                    (Some(_), _) => self.add(spanned.span(), format!("{path} must be the path of a file, in quotes")),
                    (None, _) => self.unknown(name, key, shape),
                },
            }
        }
    }

    fn set(&mut self, path: &str, value: Value, span: Range<usize>) {
        let place = self.place(span.clone());
        if !self.layer.set(path, value, place) {
            self.add(span, format!("{path} is set twice, here and as {path}_file: leave one of them out"));
        }
    }

    /// Whether the value is of the right kind, down to the last entry of a list; what is not is reported.
    fn fits(&mut self, path: &str, value: &Spanned<DeValue<'_>>, shape: &Shape) -> bool {
        match (shape, value.get_ref()) {
            (Shape::Bool, DeValue::Boolean(_)) | (Shape::Whole, DeValue::Integer(_)) => true,
            (Shape::Number, DeValue::Integer(_) | DeValue::Float(_)) | (Shape::Text, DeValue::String(_)) => true,
            (Shape::Choice(words), DeValue::String(word)) if words.contains(&word.as_ref()) => true,
            // Every entry is looked at, also after one that does not fit.
            (Shape::List(inner), DeValue::Array(items)) => {
                let unfit = items.iter().filter(|item| !self.fits(path, item, inner)).count();
                unfit == 0
            }
            (Shape::Pairs(inner), DeValue::Table(pairs)) => {
                let unfit = pairs.iter().filter(|(_, value)| !self.fits(path, value, inner)).count();
                unfit == 0
            }
            (Shape::Section(_), DeValue::Table(table)) => {
                let unfit = table.iter().filter(|(key, value)| !self.entry_fits(path, key, value, shape)).count();
                unfit == 0
            }
            _ => {
                self.add(value.span(), format!("{path} must be {}", shape.words()));
                false
            }
        }
    }

    fn entry_fits(&mut self, path: &str, key: &Name<'_>, value: &Spanned<DeValue<'_>>, shape: &Shape) -> bool {
        let Some(inner) = shape.get(key.get_ref()) else {
            self.unknown(path, key, shape);
            return false;
        };
        self.fits(&format!("{path}.{}", key.get_ref()), value, inner)
    }

    fn unknown(&mut self, section: &str, key: &Name<'_>, shape: &Shape) {
        let detail = unknown(section, key.get_ref(), shape, self.whole);
        self.add(key.span(), detail);
    }
}

/// What to say about a key that does not exist.
pub(super) fn unknown(section: &str, key: &str, shape: &Shape, whole: &Shape) -> String {
    let place = if section.is_empty() { "at the top".to_owned() } else { format!("in [{section}]") };
    let advice = match (near(key, shape), whole.leaves().into_iter().find(|path| path.ends_with(&format!(".{key}")))) {
        (Some(name), _) => format!("did you mean `{name}`?"),
        (None, Some(path)) => format!("there is a `{path}`"),
        (None, None) => format!("known are {}", names(shape).join(", ")),
    };
    format!("there is no key `{key}` {place}: {advice}")
}

/// The known name that a misspelt one most likely stands for.
fn near<'a>(key: &str, shape: &'a Shape) -> Option<&'a str> {
    let score = |name: &str| strsim::jaro_winkler(&key.to_ascii_lowercase(), name);
    let best = names(shape).into_iter().max_by(|a, b| score(a).total_cmp(&score(b)))?;
    (score(best) >= NEAR).then_some(best)
}

fn names(shape: &Shape) -> Vec<&'static str> {
    match shape {
        Shape::Section(keys) => keys.iter().map(|(name, _)| *name).collect(),
        _ => Vec::new(),
    }
}
