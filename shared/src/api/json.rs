//! Reads JSON and refuses repeated members: of two members with one name `serde_json` silently keeps the last.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::input::Invalid;

/// Reads a document.
///
/// # Errors
/// The field `body` if it is no JSON; otherwise each member that is given twice.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, Invalid> {
    let twice = RefCell::new(Vec::new());
    let mut document = serde_json::Deserializer::from_slice(bytes);
    let here = Here { path: String::new(), twice: &twice };
    let value = here.deserialize(&mut document).and_then(|value| document.end().map(|()| value));
    let value = value.map_err(|error| Invalid::field("body", format!("is not JSON: {error}")))?;
    let twice = twice.into_inner().into_iter().map(|field| Invalid::field(field, "is given twice: give it once"));
    twice.fold(Invalid::default(), Invalid::and).none_or(value)
}

/// The largest number of repeated members that an answer names. Without this and the next limit the answer could be many
/// times as large as the request.
const MOST_NAMED: usize = 20;
/// The length at which the path of a repeated member is cut off.
const LONGEST_PATH: usize = 200;

/// A place in the document, and the list of all repeated members.
struct Here<'a> {
    path: String,
    twice: &'a RefCell<Vec<String>>,
}

impl Here<'_> {
    fn member(&self, name: &str) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        let name: String = name.chars().take(LONGEST_PATH).collect();
        self.below(&format!("{separator}{name}"))
    }

    fn element(&self, index: usize) -> Self {
        self.below(&format!("[{index}]"))
    }

    fn below(&self, name: &str) -> Self {
        let name = if self.path.len() < LONGEST_PATH { name } else { "" };
        Self { path: format!("{}{name}", self.path), twice: self.twice }
    }
}

impl<'de> DeserializeSeed<'de> for Here<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Here<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(self.element(values.len()))? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let here = self.member(&name);
            let path = here.path.clone();
            if values.insert(name, members.next_value_seed(here)?).is_some() {
                let mut twice = self.twice.borrow_mut();
                if twice.len() < MOST_NAMED {
                    twice.push(path);
                }
            }
        }
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proptests::json_value;

    fn fields(text: &str) -> Vec<String> {
        read(text.as_bytes()).unwrap_err().errors().iter().map(|error| error.field.clone()).collect()
    }

    #[test]
    fn a_duplicate_member_is_found_at_any_depth() {
        assert_eq!(fields(r#"{"instance_ids":["i-a"],"instance_ids":["i-b"]}"#), ["instance_ids"]);
        let deep = r#"{"a": {"b": [{"c": 1}, {"c": 1, "c": 1}], "b": null}, "d": 1, "d": 2}"#;
        assert_eq!(fields(deep), ["a.b[1].c", "a.b", "d"]);
        // An escape is another way to write the same name.
        assert_eq!(fields(r#"{"force": false, "f\u006frce": true}"#), ["force"]);
    }

    #[test]
    fn the_answer_to_many_duplicate_members_is_no_larger_than_the_request() {
        let many = format!("{{\"{}\":{{{}\"\":0}}}}", "K".repeat(30_000), "\"\":0,".repeat(5_000));
        let long = format!("{}{}", "{\"äöü\":".repeat(100), "0");
        let long = format!("{long}{}", "}".repeat(100)).replace("\"äöü\":0", "\"äöü\":0,\"äöü\":0");
        for (text, named) in [(many, MOST_NAMED), (long, 1)] {
            let fields = fields(&text);
            assert_eq!(fields.len(), named);
            assert!(fields.iter().all(|field| field.chars().count() <= 2 * LONGEST_PATH + 1), "{fields:?}");
        }
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        for text in ["", "{", "{} {}", "[1,]", r#"{"a": 1,}"#, "nul", "\"\u{1}\""] {
            assert_eq!(fields(text), ["body"], "{text}");
        }
    }

    proptest! {
        #[test]
        fn everything_else_is_read_as_serde_json_reads_it(value in json_value()) {
            let text = value.to_string();
            let expected: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read(text.as_bytes()).unwrap(), expected);
        }
    }
}
