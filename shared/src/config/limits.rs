//! Which subnets, security groups, key pairs and tag keys a caller may name.
//!
//! A caller who may launch brings user data of his own. Without these limits he could run it in any subnet and with any
//! security group of the account, without a permission of his own for either. A caller who may tag could set tags that
//! policies elsewhere trust. The role's policy has the same lists.

use wildmatch::WildMatch;

use crate::config::variables::{listed, note, parsed, pattern};
use crate::error::Error;
use crate::input::{Invalid, texts};
use crate::model::network::{SecurityGroupId, SubnetId};
use crate::model::tags::{NAME_KEY, TagKey};

/// Subnets that workers may be launched into.
pub const CML_ALLOWED_SUBNETS: &str = "CML_ALLOWED_SUBNETS";
/// Security groups that workers may be launched with.
pub const CML_ALLOWED_SECURITY_GROUPS: &str = "CML_ALLOWED_SECURITY_GROUPS";
/// Key pairs that workers may be launched with.
pub const CML_ALLOWED_KEY_NAMES: &str = "CML_ALLOWED_KEY_NAMES";
/// Tag keys that callers may set and remove.
pub const CML_ALLOWED_TAG_KEYS: &str = "CML_ALLOWED_TAG_KEYS";

/// The lists. An empty list allows everything that EC2 allows.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Subnets. If there are any, a launch must name one of them.
    pub subnets: Vec<SubnetId>,
    /// Security groups. If there are any, a launch must name at least one of them.
    pub security_groups: Vec<SecurityGroupId>,
    /// Names of key pairs, as patterns with `*` and `?`. A launch need not name a key pair.
    pub key_names: Vec<WildMatch>,
    /// Tag keys, as patterns. `Name` is always allowed.
    pub tag_keys: Vec<WildMatch>,
}

impl Limits {
    /// Reads the variables that `variable` knows, and adds to `bad` what is wrong with them.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>, bad: &mut Vec<String>) -> Option<Self> {
        let subnets = note(CML_ALLOWED_SUBNETS, listed(variable(CML_ALLOWED_SUBNETS), parsed), bad);
        let groups = note(CML_ALLOWED_SECURITY_GROUPS, listed(variable(CML_ALLOWED_SECURITY_GROUPS), parsed), bad);
        let name = |text: &str| pattern(text, "+=.@_:/-", "lab-*");
        let key_names = note(CML_ALLOWED_KEY_NAMES, listed(variable(CML_ALLOWED_KEY_NAMES), name), bad);
        let tag_keys = note(CML_ALLOWED_TAG_KEYS, listed(variable(CML_ALLOWED_TAG_KEYS), name), bad);
        Some(Self { subnets: subnets?, security_groups: groups?, key_names: key_names?, tag_keys: tag_keys? })
    }

    /// Refuses tag keys that callers may not write. `field` gives the path of such a key in the request.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::error::Code::InvalidRequest) with every such key.
    pub fn check_tags<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a TagKey>,
        field: impl Fn(usize, &TagKey) -> String,
    ) -> Result<(), Error> {
        Ok(self.refused_tags(keys, field).none_or(())?)
    }

    /// The bad fields of the tag keys that callers may not write.
    pub(crate) fn refused_tags<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a TagKey>,
        field: impl Fn(usize, &TagKey) -> String,
    ) -> Invalid {
        let mut wrong = Invalid::default();
        for (index, key) in keys.into_iter().enumerate().filter(|(_, key)| !self.allows_tag(key)) {
            let allowed = texts(&self.tag_keys).join(", ");
            let detail =
                format!("must be {NAME_KEY} or match one of AllowedTagKeys, where * and ? are wildcards: {allowed}");
            wrong.push(Invalid::field(field(index, key), detail));
        }
        wrong
    }

    /// Callers may always choose a worker's name, at its launch and later.
    fn allows_tag(&self, key: &TagKey) -> bool {
        key.as_str() == NAME_KEY || allows(&self.tag_keys, key.as_str())
    }
}

/// Whether a text matches one of these patterns, or there are no patterns.
pub(crate) fn allows(patterns: &[WildMatch], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const SUBNETS: &str = "subnet-0123456789abcdef0,subnet-0123456789abcdef1";
    const GROUPS: &str = "sg-0123456789abcdef0,sg-0123456789abcdef1";

    pub(crate) fn limits(variables: &[(&str, &str)]) -> Limits {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let mut bad = Vec::new();
        Limits::read(variable, &mut bad).unwrap_or_else(|| panic!("{bad:?}"))
    }

    pub(crate) fn all() -> Limits {
        limits(&[
            (CML_ALLOWED_SUBNETS, SUBNETS),
            (CML_ALLOWED_SECURITY_GROUPS, GROUPS),
            (CML_ALLOWED_KEY_NAMES, "lab-*,ops"),
            (CML_ALLOWED_TAG_KEYS, "cml:*,Cost?Center"),
        ])
    }

    #[test]
    fn allowed_tag_keys_are_case_sensitive_and_name_is_always_allowed() {
        let keys =
            ["cml:a", "CML:a", "Name", "name", "Cost-Center"].map(|key| TagKey::try_from(key.to_owned()).unwrap());
        let refused = all().check_tags(&keys, |index, _| format!("key[{index}]")).unwrap_err();
        let fields: Vec<_> = refused.fields.errors().iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["key[1]", "key[3]"]);
        assert!(refused.fields.errors()[0].detail.ends_with(": cml:*, Cost?Center"), "{refused:?}");
        assert!(limits(&[]).check_tags(&keys, |_, _| String::new()).is_ok());
    }

    #[test]
    fn every_bad_variable_is_told() {
        let mut bad = Vec::new();
        let variable =
            |name: &str| Some(if name == CML_ALLOWED_TAG_KEYS { String::new() } else { "me too".to_owned() });
        assert!(Limits::read(variable, &mut bad).is_none());
        assert_eq!(bad.len(), 4, "{bad:?}");
        assert!(bad[0].starts_with("CML_ALLOWED_SUBNETS has \"me too\", but each entry must be subnet-"), "{bad:?}");
    }
}
