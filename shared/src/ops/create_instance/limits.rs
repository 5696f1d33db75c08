//! Which subnets, security groups, key pairs and tag keys a launch may name.

use crate::config::limits::{Limits, allows};
use crate::error::Error;
use crate::input::{Invalid, texts};
use crate::model::launch::Launch;
use crate::model::network::{SecurityGroupId, SubnetId};

impl Limits {
    /// Refuses a launch that names something outside the lists, or leaves the choice to EC2 although there is a list.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::error::Code::InvalidRequest) with every such field and its allowed values.
    pub fn check_launch(&self, launch: &Launch) -> Result<(), Error> {
        let tags = self.refused_tags(launch.tags.0.keys(), |_, key| format!("tags.{key}"));
        let wrong = [self.subnets(launch), self.security_groups(launch), self.key_name(launch), tags];
        Ok(wrong.into_iter().fold(Invalid::default(), Invalid::and).none_or(())?)
    }

    fn subnets(&self, launch: &Launch) -> Invalid {
        let mut wrong = Invalid::default();
        if self.subnets.is_empty() {
            return wrong;
        }
        let is_refused = |given: &Option<SubnetId>| given.as_ref().is_some_and(|id| !self.subnets.contains(id));
        let own = launch.subnet_id.is_none() || is_refused(&launch.subnet_id);
        let others = launch.alternatives.iter().enumerate().filter(|(_, other)| is_refused(&other.subnet_id));
        let others = others.map(|(index, _)| format!("alternatives[{index}].subnet_id"));
        for field in own.then(|| "subnet_id".to_owned()).into_iter().chain(others) {
            wrong.push(Invalid::field(
                field,
                format!("must be one of AllowedSubnets: {}", texts(&self.subnets).join(", ")),
            ));
        }
        wrong
    }

    fn security_groups(&self, launch: &Launch) -> Invalid {
        let mut wrong = Invalid::default();
        let (allowed, given) = (&self.security_groups, &launch.security_group_ids);
        if !allowed.is_empty() && given.is_empty() {
            let detail = format!("must name at least one of AllowedSecurityGroups: {}", texts(allowed).join(", "));
            wrong.push(Invalid::field("security_group_ids", detail));
        }
        let is_refused = |id: &SecurityGroupId| !allowed.is_empty() && !allowed.contains(id);
        for (index, _) in given.iter().enumerate().filter(|(_, id)| is_refused(id)) {
            let detail = format!("must be one of AllowedSecurityGroups: {}", texts(allowed).join(", "));
            wrong.push(Invalid::field(format!("security_group_ids[{index}]"), detail));
        }
        wrong
    }

    fn key_name(&self, launch: &Launch) -> Invalid {
        match &launch.key_name {
            Some(name) if !allows(&self.key_names, name.as_str()) => {
                let allowed = texts(&self.key_names).join(", ");
                Invalid::field(
                    "key_name",
                    format!("must match one of AllowedKeyNames, where * and ? are wildcards: {allowed}"),
                )
            }
            _ => Invalid::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits::tests::{all, limits};

    /// The fields for which a launch with this body is refused.
    fn refused(limits: &Limits, mut launch: serde_json::Value) -> Vec<String> {
        launch["name"] = "a".into();
        launch["instance_type"] = "c5.large".into();
        let launch: Launch = deserr::deserialize::<_, _, Invalid>(launch).unwrap();
        let checked = limits.check_launch(&launch);
        checked.err().map_or_else(Vec::new, |error| error.fields.errors().iter().map(|e| e.field.clone()).collect())
    }

    #[test]
    fn without_a_list_everything_is_allowed() {
        let launch = serde_json::json!({
            "subnet_id": "subnet-0fffffffffffffff0", "security_group_ids": ["sg-0fffffffffffffff0"], "key_name": "any",
            "tags": {"Trusted": "yes"},
        });
        assert_eq!(refused(&limits(&[]), launch), [""; 0]);
        assert_eq!(refused(&limits(&[]), serde_json::json!({})), [""; 0]);
    }

    #[test]
    fn every_field_that_names_something_else_is_named() {
        let good = serde_json::json!({
            "subnet_id": "subnet-0123456789abcdef0", "security_group_ids": ["sg-0123456789abcdef1"], "key_name": "lab-a",
            "tags": {"cml:site": "a", "Cost Center": "b"}, "alternatives": [{"subnet_id": "subnet-0123456789abcdef1"}],
        });
        assert_eq!(refused(&all(), good), [""; 0]);
        let bad = serde_json::json!({
            "subnet_id": "subnet-0fffffffffffffff0", "security_group_ids": ["sg-0123456789abcdef1", "sg-0fffffffffffffff0"],
            "key_name": "root", "tags": {"cml:site": "a", "Trusted": "yes"},
            "alternatives": [{"instance_type": "c5.xlarge"}, {"subnet_id": "subnet-0fffffffffffffff1"}],
        });
        let fields = ["subnet_id", "alternatives[1].subnet_id", "security_group_ids[1]", "key_name", "tags.Trusted"];
        assert_eq!(refused(&all(), bad), fields);
    }

    #[test]
    fn a_limited_subnet_or_security_group_must_be_named() {
        assert_eq!(refused(&all(), serde_json::json!({})), ["subnet_id", "security_group_ids"]);
    }
}
