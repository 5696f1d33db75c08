//! Tags that callers may set, and tags that EC2 shows.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::Tag;
use deserr::{Deserr, IntoValue, Value, ValuePointerRef};

use crate::input::{Invalid, Refusal, checked_string, read_map};
use crate::model::sweep::{HEARTBEAT_KEY, SWEEP_KEYS};
use crate::model::time::Moment;

/// The tag that marks an instance as managed by us. Its value is `CML_MANAGED_BY`.
pub const OWNERSHIP_KEY: &str = "ManagedBy";

/// The tag with a worker's name, which the consoles show.
pub const NAME_KEY: &str = "Name";

/// The tag that names the caller of create-instance.
pub const CREATED_BY_KEY: &str = "CreatedBy";

/// The tag that tells a retry of create-instance from another request with the same `Idempotency-Key`.
pub const FINGERPRINT_KEY: &str = "IdempotencyFingerprint";

/// The tag keys that only we write, and no caller.
pub const OUR_KEYS: [&str; 3] = [OWNERSHIP_KEY, CREATED_BY_KEY, FINGERPRINT_KEY];

/// The most tags that EC2 allows on one resource.
pub const MAX_TAGS: usize = 50;

/// The most characters that EC2 allows in a tag value.
pub const MAX_VALUE_LENGTH: usize = 256;

/// Tags as every document shows them.
pub type TagMap = BTreeMap<String, String>;

/// Every tag of a resource: each key with its value.
// A name of its own: generators name a map that has none after its place, and `Instance.tags` and `InstanceTags` collide.
#[cfg(feature = "openapi")]
#[derive(Debug, utoipa::ToSchema)]
pub struct Tags(pub BTreeMap<String, String>);

checked_string! {
    /// A tag key that a caller may write. Keys that AWS reserves, and keys that only this API writes, are refused.
    TagKey,
    schema(pattern = r"^(?![aA][wW][sS]:)(?!([mM][aA][nN][aA][gG][eE][dD][bB][yY]|[cC][rR][eE][aA][tT][eE][dD][bB][yY]|[iI][dD][eE][mM][pP][oO][tT][eE][nN][cC][yY][fF][iI][nN][gG][eE][rR][pP][rR][iI][nN][tT]|[cC][mM][lL]:([mM][aA][rR][kK]|[aA][cC][tT][eE][dD]|[sS][eE][eE][nN]))$)[^\x00-\x1F\x7F-\x9F]{1,128}$"),
    |key| {
        if key.is_empty() || key.chars().count() > 128 {
            return Err("a tag key must have 1 to 128 characters");
        }
        if key.chars().any(char::is_control) {
            return Err("a tag key must not hold control characters");
        }
        if key.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:")) {
            return Err("must not begin with \"aws:\", because such tag keys are reserved by AWS");
        }
        // IAM ignores the case of tag keys: `managedby` would pass for the ownership tag in a policy.
        if key.eq_ignore_ascii_case(OWNERSHIP_KEY) {
            return Err("ManagedBy is the ownership tag: no caller can set, change or remove this tag");
        }
        if OUR_KEYS.iter().any(|ours| key.eq_ignore_ascii_case(ours)) {
            return Err("this API writes CreatedBy and IdempotencyFingerprint at launch: no caller can set, change or remove \
                        these tags");
        }
        if SWEEP_KEYS.iter().any(|ours| key.eq_ignore_ascii_case(ours)) {
            return Err("cml:mark, cml:acted and cml:seen are the sweep's own tags: no caller can set, change or remove these tags");
        }
        Ok(())
    }
}

checked_string! {
    /// A tag value.
    TagValue,
    schema(pattern = r"^[^\x00-\x1F\x7F-\x9F]{0,256}$"),
    |value| {
        if value.chars().count() > MAX_VALUE_LENGTH {
            return Err("a tag value must have at most 256 characters");
        }
        if value.chars().any(char::is_control) {
            return Err("a tag value must not hold control characters");
        }
        Ok(())
    }
}

/// Tags that a caller wants on an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewTags(pub BTreeMap<TagKey, TagValue>);

impl Deserr<Invalid> for NewTags {
    fn deserialize_from_value<V: IntoValue>(value: Value<V>, location: ValuePointerRef) -> Result<Self, Invalid> {
        let tags: BTreeMap<TagKey, TagValue> = read_map(value, location)?;
        match tags.iter().find(|(key, _)| key.as_str() == HEARTBEAT_KEY) {
            Some((_, value)) if Moment::parse(value.as_str()).is_none() => {
                let detail = "must be a time of RFC 3339, such as 2026-11-27T10:00:00Z";
                Err(Invalid::at(location.push_key(HEARTBEAT_KEY), detail))
            }
            _ => Ok(Self(tags)),
        }
    }
}

impl NewTags {
    /// Checks the tags of a request that is only about tags: it needs at least one.
    ///
    /// # Errors
    /// A [`Refusal`] if there is no tag, or more tags than EC2 accepts.
    pub fn at_least_one(tags: Self) -> Result<Self, Refusal> {
        match tags.0.len() {
            0 => Err(Refusal("must have at least one tag".to_owned())),
            1..=MAX_TAGS => Ok(tags),
            _ => Err(Refusal(format!("must have at most {MAX_TAGS} tags"))),
        }
    }

    /// The tags as EC2 takes them.
    pub fn to_ec2(&self) -> impl Iterator<Item = Tag> + '_ {
        self.0.iter().map(|(key, value)| tag(key.as_str(), value.as_str()))
    }
}

/// One tag as EC2 takes it.
#[must_use]
pub fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// EC2's tags, as keys and values, as documents show them.
#[must_use]
pub fn tag_map(tags: impl IntoIterator<Item = (Option<String>, Option<String>)>) -> TagMap {
    tags.into_iter().filter_map(|(key, value)| Some((key?, value.unwrap_or_default()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<NewTags, Invalid> {
        deserr::deserialize(json)
    }

    #[test]
    fn every_bad_tag_is_named() {
        let refused =
            read(serde_json::json!({"aws:x": "1", "managedby": "me", "ok": "1", "long": "v".repeat(257), "n": 1}));
        let mut fields: Vec<_> = refused.unwrap_err().errors().iter().map(|e| e.field.clone()).collect();
        fields.sort();
        assert_eq!(fields, ["aws:x", "long", "managedby", "n"]);
    }

    #[test]
    fn a_heartbeat_is_a_time_and_the_sweeps_own_tags_are_no_callers() {
        assert!(read(serde_json::json!({"cml:heartbeat": "2026-11-27T11:00:00+01:00", "cml:keep": ""})).is_ok());
        let refused = read(serde_json::json!({"cml:heartbeat": "yesterday"})).unwrap_err();
        assert_eq!(refused.errors()[0].field, "cml:heartbeat");
        for key in SWEEP_KEYS {
            assert!(TagKey::try_from(key.to_uppercase()).is_err(), "{key}");
        }
    }

    #[test]
    fn limits_count_characters_and_not_bytes() {
        assert!(TagKey::try_from("ü".repeat(128)).is_ok());
        assert!(TagKey::try_from("ü".repeat(129)).is_err());
        assert!(TagValue::try_from("ü".repeat(256)).is_ok());
        assert!(TagKey::try_from(String::new()).is_err());
        assert!(TagValue::try_from(String::new()).is_ok());
        assert!(TagKey::try_from("tab\t".to_owned()).is_err());
    }

    #[test]
    fn a_tag_request_has_1_to_50_tags() {
        assert!(NewTags::at_least_one(NewTags::default()).is_err());
        let tags = |n: usize| {
            read((0..n).map(|i| (format!("k{i}"), "v".into())).collect::<serde_json::Map<_, _>>().into()).unwrap()
        };
        assert!(NewTags::at_least_one(tags(50)).is_ok());
        assert!(NewTags::at_least_one(tags(51)).is_err());
    }
}
