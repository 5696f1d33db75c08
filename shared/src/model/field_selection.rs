//! `fields=`: which fields of an instance a caller wants to read.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::input::{Invalid, Refusal};
use crate::model::document::Document;
use crate::model::instance::Instance;

/// The field that is always shown: without it nobody knows which instance the other fields describe.
pub(crate) const ALWAYS: &str = "instance_id";

/// The fields that a caller asked for, separated by commas; all fields by default.
///
/// EC2 cannot leave fields out: the selection narrows our answer, not what we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, deserr::Deserr)]
#[deserr(error = Invalid, try_from(String) = Self::parse -> Refusal)]
pub struct Fields([bool; INSTANCE_FIELDS.len()]);

impl Default for Fields {
    fn default() -> Self {
        Self([true; INSTANCE_FIELDS.len()])
    }
}

impl Fields {
    fn parse(text: String) -> Result<Self, Refusal> {
        let asked: Vec<&str> = text.split(',').map(str::trim).collect();
        let unknown: Vec<&str> = asked.iter().filter(|name| !INSTANCE_FIELDS.contains(name)).copied().collect();
        if unknown.is_empty() {
            Ok(Self(INSTANCE_FIELDS.map(|name| name == ALWAYS || asked.contains(&name))))
        } else {
            let fields = INSTANCE_FIELDS.join(", ");
            Err(Refusal(format!("must not name {unknown:?}: the fields of an instance are {fields}")))
        }
    }

    /// The instance, narrowed to these fields.
    #[must_use]
    pub fn of(self, instance: Instance) -> Narrowed {
        Narrowed { instance, fields: self }
    }
}

/// An instance that shows only the fields its caller asked for.
#[derive(Debug, Clone)]
pub struct Narrowed {
    /// The whole instance.
    pub instance: Instance,
    fields: Fields,
}

impl Document for Narrowed {}

/// Writes an instance of which only some fields are asked for.
macro_rules! fields {
    ($($field:ident)*) => {
        /// The fields of [`Instance`], in its order. None can be forgotten: the instance is taken apart by them.
        pub const INSTANCE_FIELDS: [&str; [$(stringify!($field)),*].len()] = [$(stringify!($field)),*];

        impl Serialize for Narrowed {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Instance { $($field),* } = &self.instance;
                let mut document = serializer.serialize_map(None)?;
                let mut is_asked = self.fields.0.into_iter();
                $(if is_asked.next() == Some(true) {
                    document.serialize_entry(stringify!($field), $field)?;
                })*
                document.end()
            }
        }
    };
}

fields! {
    instance_id
    region
    name
    state
    state_reason
    instance_type
    image_id
    image_name
    launch_time
    age_seconds
    public_ip
    private_ip
    availability_zone
    vpc_id
    subnet_id
    security_group_ids
    key_name
    iam_instance_profile_arn
    detailed_monitoring
    lifecycle
    managed
    tags
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::read;

    fn instance() -> types::Instance {
        types::Instance::builder().instance_id("i-1").tags(crate::model::tags::tag("Name", "cml-1")).build()
    }

    fn document(fields: Fields) -> Value {
        serde_json::to_value(fields.of(read(&instance()))).unwrap()
    }

    #[test]
    fn all_fields_are_the_whole_instance() {
        let instance = read(&instance());
        let whole = serde_json::to_value(&instance).unwrap();
        assert_eq!(serde_json::to_value(Fields::default().of(instance)).unwrap(), whole);
    }

    #[test]
    fn only_requested_fields_and_the_id_are_shown() {
        let some = Fields::parse("tags, name,name,public_ip".to_owned()).unwrap();
        let expected = json!({"instance_id": "i-1", "name": "cml-1", "public_ip": null, "tags": {"Name": "cml-1"}});
        assert_eq!(document(some), expected);
        assert_eq!(document(Fields::parse("instance_id".to_owned()).unwrap()), json!({"instance_id": "i-1"}));
    }

    #[test]
    fn an_unknown_field_is_named_with_the_known_ones() {
        let Refusal(detail) = Fields::parse("name,color,,Tags".to_owned()).unwrap_err();
        assert!(
            detail.starts_with(
                r#"must not name ["color", "", "Tags"]: the fields of an instance are instance_id, region, name"#
            ),
            "{detail}"
        );
        assert!(Fields::parse(String::new()).is_err());
    }
}
