//! Which keys there are and what each of them takes, read out of the rooms' own `Options`.
//!
//! A probe is deserialised instead of a document: it walks down one path, notes what the type there asks for, and stops.
//! So no list of keys is kept by hand, and none can be out of date.

use std::cell::RefCell;

use serde::de::value::{Error as Stop, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

/// What a key takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Bool,
    Whole,
    Number,
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    List(Box<Shape>),
    /// Pairs under names of the user's own choice.
    Pairs(Box<Shape>),
    /// A section and its keys, in the order of the struct.
    Section(Vec<(&'static str, Shape)>),
}

impl Shape {
    /// The shape of a whole configuration.
    pub(super) fn of<T: DeserializeOwned>() -> Self {
        Self::at::<T>(&mut Vec::new())
    }

    fn at<T: DeserializeOwned>(path: &mut Vec<Step>) -> Self {
        let found = RefCell::new(None);
        // The result is always the probe's own stop, or a value nobody wants.
        let _ = T::deserialize(Probe { path, found: &found });
        let mut below = |step: Step| {
            path.push(step);
            let shape = Self::at::<T>(path);
            path.pop();
            shape
        };
        match found.into_inner().expect("every type of the configuration asks for something") {
            Found::Leaf(shape) => shape,
            Found::List => Self::List(Box::new(below(Step::Item))),
            Found::Pairs => Self::Pairs(Box::new(below(Step::Value))),
            Found::Struct(keys) => Self::Section(keys.iter().map(|key| (*key, below(Step::Key(key)))).collect()),
        }
    }

    /// The shape of `key` in this section.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Section(keys) => keys.iter().find(|(name, _)| *name == key).map(|(_, shape)| shape),
            _ => None,
        }
    }

    /// The shape at a dotted path.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |shape, key| shape.get(key))
    }

    /// Every key that takes a value, by its path from the top.
    pub(super) fn leaves(&self) -> Vec<String> {
        match self {
            Self::Section(keys) => keys.iter().flat_map(|(key, shape)| below(key, shape)).collect(),
            _ => Vec::new(),
        }
    }

    /// What to write there, in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Whole => "a whole number".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Text => "text in quotes".to_owned(),
            Self::Choice(words) => {
                let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                quoted.join(" or ")
            }
            Self::List(_) => "a list in [ ]".to_owned(),
            Self::Pairs(_) => "pairs in { }".to_owned(),
            Self::Section(_) => "a section".to_owned(),
        }
    }
}

fn below(key: &str, shape: &Shape) -> Vec<String> {
    let inner = shape.leaves();
    if inner.is_empty() { vec![key.to_owned()] } else { inner.iter().map(|leaf| format!("{key}.{leaf}")).collect() }
}

#[derive(Clone, Copy)]
enum Step {
    Key(&'static str),
    Item,
    Value,
}

enum Found {
    Leaf(Shape),
    List,
    Pairs,
    Struct(&'static [&'static str]),
}

struct Probe<'a> {
    path: &'a [Step],
    found: &'a RefCell<Option<Found>>,
}

impl<'a> Probe<'a> {
    fn stop<T>(&self, found: Found) -> Result<T, Stop> {
        self.found.replace(Some(found));
        Err(de::Error::custom("found"))
    }

    /// One step down.
    fn down(&self) -> Probe<'a> {
        Probe { path: &self.path[1..], found: self.found }
    }
}

macro_rules! leaves {
    ($($shape:expr => $($method:ident)+,)+) => {
        $($(
            fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
                self.stop(Found::Leaf($shape))
            }
        )+)+
    };
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stop;

    leaves! {
        Shape::Bool => deserialize_bool,
        Shape::Whole => deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
            deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128,
        Shape::Number => deserialize_f32 deserialize_f64,
        Shape::Text => deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
            deserialize_identifier deserialize_any deserialize_ignored_any deserialize_unit,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, _: V) -> Result<V::Value, Stop> {
        self.stop(Found::Leaf(Shape::Text))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.path.is_empty() { self.stop(Found::List) } else { visitor.visit_seq(Only(self.down())) }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.path.is_empty() { self.stop(Found::Pairs) } else { visitor.visit_map(Only(self)) }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        if self.path.is_empty() { self.stop(Found::Struct(keys)) } else { visitor.visit_map(Only(self)) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Stop> {
        self.stop(Found::Leaf(Shape::Choice(words)))
    }
}

/// A list or table with the one entry that the path goes through; reading it stops everything.
struct Only<'a>(Probe<'a>);

impl<'de> SeqAccess<'de> for Only<'_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        seed.deserialize(Probe { ..self.0 }).map(Some)
    }
}

impl<'de> MapAccess<'de> for Only<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        let name = match self.0.path.first() {
            Some(Step::Key(name)) => name,
            _ => "any",
        };
        let key: StrDeserializer<'_, Stop> = name.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(self.0.down())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        DarkBlue,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    struct Inner {
        colour: Colour,
        ratio: Option<f64>,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape is looked at")]
    struct Outer {
        listen: std::net::SocketAddr,
        inner: Inner,
        many: Vec<Inner>,
        notes: BTreeMap<String, u8>,
    }

    #[test]
    fn every_key_of_a_struct_is_found_with_what_it_takes() {
        let shape = Shape::of::<Outer>();
        let inner = Shape::Section(vec![("colour", Shape::Choice(&["red", "dark_blue"])), ("ratio", Shape::Number)]);
        assert_eq!(shape.find("listen"), Some(&Shape::Text));
        assert_eq!(shape.find("inner"), Some(&inner));
        assert_eq!(shape.find("many"), Some(&Shape::List(Box::new(inner))));
        assert_eq!(shape.find("notes"), Some(&Shape::Pairs(Box::new(Shape::Whole))));
        assert_eq!(shape.leaves(), ["listen", "inner.colour", "inner.ratio", "many", "notes"]);
        assert_eq!(shape.find("inner.nothing"), None);
    }
}
