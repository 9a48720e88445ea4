//! JSON in which every name stands once: of two values under one name, the second would win in silence.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A value without repeated names, at any depth.
#[derive(Debug)]
pub(super) struct Once(pub(super) Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

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
        let mut list = Vec::new();
        while let Some(Once(value)) = values.next_element()? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Once(value))) = pairs.next_entry::<String, _>()? {
            let shown: String = name.chars().take(64).collect();
            if object.insert(name, value).is_some() {
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
    fn everything_else_is_read_as_it_is() {
        let json = r#"{"a":[1,-2,2.5,"x",true,null],"b":{"a":{}}}"#;
        let plain: Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(serde_json::from_str::<Once>(json).expect("JSON").0, plain);
    }
}
