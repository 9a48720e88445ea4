//! JSON in which every name stands once: of two values under one name, the second would win in silence.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Objects and lists inside each other. What the API reads has three.
const MAX_DEPTH: usize = 32;

/// A value without repeated names, at any depth, and of no depth that nobody needs.
#[derive(Debug)]
pub(super) struct Once(pub(super) Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Reader { depth: 0 }.deserialize(deserializer).map(Self)
    }
}

/// Reads a value that stands inside so many others.
#[derive(Clone, Copy)]
struct Reader {
    depth: usize,
}

impl Reader {
    /// The reader of what stands inside this.
    fn within<E: Error>(self) -> Result<Self, E> {
        match self.depth {
            MAX_DEPTH => Err(E::custom(format!("it is nested deeper than {MAX_DEPTH} levels"))),
            depth => Ok(Self { depth: depth + 1 }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let (inner, mut list) = (self.within()?, Vec::new());
        while let Some(value) = values.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let (inner, mut object) = (self.within()?, Map::new());
        while let Some(name) = pairs.next_key::<String>()? {
            let shown: String = name.chars().take(64).collect();
            if object.insert(name, pairs.next_value_seed(inner)?).is_some() {
                return Err(A::Error::custom(format!("{shown} stands there twice")));
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_refused_at_any_depth() {
        for json in [r#"{"to":"a","to":"b"}"#, r#"[{"x":{"1":1,"1":1}}]"#] {
            let error = serde_json::from_str::<Once>(json).expect_err(json).to_string();
            assert!(error.contains("stands there twice"), "{error}");
        }
    }

    #[test]
    fn layer_5_input_what_is_nested_too_deeply_is_refused() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert!(serde_json::from_str::<Once>(&nested(MAX_DEPTH)).is_ok());
            let error = serde_json::from_str::<Once>(&nested(MAX_DEPTH + 1)).expect_err("too deep").to_string();
            assert!(error.contains("nested deeper than 32 levels"), "{error}");
        }
    }

    #[test]
    fn everything_else_is_read_as_it_is() {
        let json = r#"{"a":[1,-2,2.5,"x",true,null],"b":{"a":{}}}"#;
        let plain: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(serde_json::from_str::<Once>(json).expect("JSON").0, plain);
    }
}
