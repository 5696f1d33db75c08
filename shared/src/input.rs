//! Reads the input of callers. One refusal names every bad field.
//!
//! Input types derive [`deserr::Deserr`] with [`Invalid`] as their error. deserr collects all errors, while serde stops at
//! the first one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

use deserr::{DeserializeError, Deserr, ErrorKind, IntoValue, Map, MergeWithError, Value, ValueKind, ValuePointerRef};
use serde::Serialize;

/// One bad field: its path and the rule that it must follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The path of the field as the caller writes it: `instance_id`, `tags.Name`, `extra_volumes[0].size_gib`.
    pub field: String,
    /// The rule that the field must follow.
    pub detail: String,
}

/// All the bad fields of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invalid(Vec<FieldError>);

/// What a single value must be. The code that knows where the value stands adds the name of its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub String);

impl Invalid {
    /// An error with one bad field.
    pub fn field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self(vec![FieldError { field: field.into(), detail: detail.into() }])
    }

    /// An error with one bad field, which is named by its location.
    pub fn at(location: ValuePointerRef, detail: impl Into<String>) -> Self {
        Self::field(path(location), detail)
    }

    /// Appends the bad fields of `other`.
    pub fn push(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Returns the value if it is good; otherwise appends its bad fields.
    pub fn keep<T>(&mut self, value: Result<T, Self>) -> Option<T> {
        value.map_err(|invalid| self.push(invalid)).ok()
    }

    /// Returns the value if there is no bad field.
    ///
    /// # Errors
    /// These bad fields, if there are any.
    pub fn none_or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The bad fields, in the order in which they were found.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0
    }

    /// The bad fields of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.push(other);
        self
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentences: Vec<String> = self.0.iter().map(|e| format!("{}: {}", e.field, e.detail)).collect();
        f.write_str(&sentences.join("; "))
    }
}

/// Both values, or the bad fields of both.
///
/// # Errors
/// [`Invalid`] if either value is an error.
pub fn both<A, B>(a: Result<A, Invalid>, b: Result<B, Invalid>) -> Result<(A, B), Invalid> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(a), Err(b)) => Err(a.and(b)),
        (Err(invalid), _) | (_, Err(invalid)) => Err(invalid),
    }
}

impl MergeWithError<Self> for Invalid {
    fn merge(so_far: Option<Self>, other: Self, _: ValuePointerRef) -> ControlFlow<Self, Self> {
        ControlFlow::Continue(so_far.unwrap_or_default().and(other))
    }
}

impl MergeWithError<Refusal> for Invalid {
    fn merge(so_far: Option<Self>, refusal: Refusal, location: ValuePointerRef) -> ControlFlow<Self, Self> {
        ControlFlow::Continue(so_far.unwrap_or_default().and(Self::at(location, refusal.0)))
    }
}

impl DeserializeError for Invalid {
    fn error<V: IntoValue>(
        so_far: Option<Self>,
        error: ErrorKind<V>,
        location: ValuePointerRef,
    ) -> ControlFlow<Self, Self> {
        let (location, detail) = match error {
            ErrorKind::MissingField { field } => (path(location.push_key(field)), "is required".to_owned()),
            ErrorKind::UnknownKey { key, .. } => {
                (path(location.push_key(key)), "is not a field of this request: leave it out".to_owned())
            }
            ErrorKind::UnknownValue { accepted: [only], .. } => (path(location), format!("must be {only}")),
            ErrorKind::UnknownValue { accepted, .. } => {
                (path(location), format!("must be one of {}", accepted.join(", ")))
            }
            ErrorKind::IncorrectValueKind { actual: Value::Sequence(_), accepted: &[ValueKind::String] } => {
                (path(location), "must be one string, so give it only once".to_owned())
            }
            ErrorKind::IncorrectValueKind { accepted, .. } => (path(location), format!("must be {}", kinds(accepted))),
            ErrorKind::BadSequenceLen { expected, .. } => (path(location), format!("must have {expected} elements")),
            // Of this crate's types only unsigned integers come here: they are above the maximum of the Rust type, which
            // deserr's message names. The field's own maximum can be smaller.
            ErrorKind::Unexpected { .. } => (path(location), "must be a smaller number".to_owned()),
        };
        ControlFlow::Continue(so_far.unwrap_or_default().and(Self::field(location, detail)))
    }
}

/// A location as callers write it; the whole body is `body`.
fn path(location: ValuePointerRef) -> String {
    match location {
        ValuePointerRef::Origin => "body".to_owned(),
        ValuePointerRef::Key { key, prev: ValuePointerRef::Origin } => key.to_owned(),
        ValuePointerRef::Key { key, prev } => format!("{}.{key}", path(*prev)),
        ValuePointerRef::Index { index, prev } => format!("{}[{index}]", path(*prev)),
    }
}

/// The error for a value of the wrong kind, such as a string where a list must be.
pub(crate) fn wrong_kind<V: IntoValue>(actual: Value<V>, accepted: &[ValueKind], location: ValuePointerRef) -> Invalid {
    let error = ErrorKind::IncorrectValueKind { actual, accepted };
    deserr::take_cf_content(Invalid::error(None, error, location))
}

fn kinds(accepted: &[ValueKind]) -> String {
    let names: Vec<&str> = accepted.iter().map(|kind| kind_name(*kind)).collect();
    names.join(" or ")
}

fn kind_name(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Null => "null",
        ValueKind::Boolean => "true or false",
        ValueKind::Integer => "a whole number",
        ValueKind::NegativeInteger => "a negative whole number",
        ValueKind::Float => "a number",
        ValueKind::String => "a string",
        ValueKind::Sequence => "a list",
        ValueKind::Map => "an object",
    }
}

/// Reads an object `{key: value}`, checks its keys and values, and reports every bad entry.
///
/// deserr's own maps drop the errors of values and report a bad key without its name.
///
/// # Errors
/// [`Invalid`] with each bad entry, or if the value is not an object.
pub fn read_map<K, T, V>(value: Value<V>, location: ValuePointerRef) -> Result<BTreeMap<K, T>, Invalid>
where
    K: Ord + TryFrom<String, Error = Refusal>,
    T: Deserr<Invalid>,
    V: IntoValue,
{
    let entries = match value {
        Value::Map(entries) => entries,
        actual => return Err(wrong_kind(actual, &[ValueKind::Map], location)),
    };
    let (mut map, mut invalid) = (BTreeMap::new(), Invalid::default());
    for (name, value) in entries.into_iter() {
        let here = location.push_key(&name);
        let key = K::try_from(name.clone()).map_err(|refusal| Invalid::field(path(here), refusal.0));
        match both(key, T::deserialize_from_value(value.into_value(), here)) {
            Ok((key, value)) => drop(map.insert(key, value)),
            Err(more) => invalid = invalid.and(more),
        }
    }
    invalid.none_or(map)
}

/// A list that a query string gives as `a=1&a=2`, or as `a=1` when there is only one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated<T>(pub Vec<T>);

impl<T> Default for Repeated<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Deserr<Invalid>> Deserr<Invalid> for Repeated<T> {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef) -> Result<Self, Invalid> {
        match value {
            Value::Sequence(_) => Vec::deserialize_from_value(value, location),
            one => T::deserialize_from_value(one, location).map(|one| vec![one]),
        }
        .map(Self)
    }
}

/// Reads `true` or `false`.
pub(crate) fn boolean(text: String) -> Result<bool, Refusal> {
    text.parse().map_err(|_| Refusal("must be true or false".to_owned()))
}

/// The query or the body of requests that have none. Any field that a caller gives is refused as unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, deserr::Deserr)]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Nothing {}

/// Declares a string type whose text is checked once, where it enters. The type has `TryFrom<String>`, `Deserr`, `Display`
/// and `Serialize`. `schema(…)` states the rule of the check for `openapi.yaml`; `make fuzz` compares the two.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, schema($($schema:tt)*), $check:expr) => {
        $(#[$doc])*
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema($($schema)*))]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, deserr::Deserr)]
        #[serde(transparent)]
        #[deserr(error = $crate::input::Invalid, try_from(String) = Self::try_from -> $crate::input::Refusal)]
        pub struct $name(String);

        impl $name {
            /// The text as given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::input::Refusal;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                check(&text).map_err(|must_be| $crate::input::Refusal(must_be.to_owned()))?;
                Ok(Self(text))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}
pub(crate) use checked_string;

/// Whether `text` is the id of an AWS account: 12 digits.
pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// Each value as text.
pub(crate) fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// Whether `text` is `prefix` followed by 8 or 17 lower-case hexadecimal digits: the form of every EC2 resource id.
pub(crate) fn is_resource_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_beyond_its_type_must_be_smaller() {
        for (given, detail) in [(json!(300), "must be a smaller number"), (json!(-1), "must be a whole number")] {
            let refused = deserr::deserialize::<u8, _, Invalid>(given).unwrap_err();
            assert_eq!(refused.errors()[0].detail, detail);
        }
    }
}
