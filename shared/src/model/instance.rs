//! Instances: how requests name them and how answers show them.

use std::time::SystemTime;

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types;
use serde::Serialize;

use crate::error::{Code, Error};
use crate::model::instance_id::InstanceId;
use crate::model::region::Region;
use crate::model::state::State;
use crate::model::tags::{NAME_KEY, OWNERSHIP_KEY, TagMap, tag_map};
use crate::model::time::rfc3339;

/// An instance, from EC2's `Instance`. A field that EC2 does not report is `null`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Instance {
    /// The id, such as `i-0123456789abcdef0`.
    pub instance_id: String,
    /// The region it was read from.
    pub region: String,
    /// The tag `Name`.
    pub name: Option<String>,
    /// EC2's state name: `pending`, `running`, `shutting-down`, `terminated`, `stopping` or `stopped`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub state: State,
    /// Why its state changed last, for example `Client.UserInitiatedShutdown: User initiated shutdown`.
    pub state_reason: Option<String>,
    /// The instance type, for example `c5.2xlarge`.
    pub instance_type: Option<String>,
    /// The AMI it was launched from.
    pub image_id: Option<String>,
    /// The AMI's name; only the answer to a launch has it.
    pub image_name: Option<String>,
    /// When it was started last, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub launch_time: Option<String>,
    /// Seconds since `launch_time`.
    pub age_seconds: Option<u64>,
    /// The public IPv4 address.
    pub public_ip: Option<String>,
    /// The primary private IPv4 address.
    pub private_ip: Option<String>,
    /// The availability zone, for example `us-east-1a`.
    pub availability_zone: Option<String>,
    /// The VPC.
    pub vpc_id: Option<String>,
    /// The subnet.
    pub subnet_id: Option<String>,
    /// The security groups.
    pub security_group_ids: Vec<String>,
    /// The key pair.
    pub key_name: Option<String>,
    /// The instance profile.
    pub iam_instance_profile_arn: Option<String>,
    /// Whether CloudWatch gets its metrics each minute (true) or every five minutes (false).
    pub detailed_monitoring: bool,
    /// `on-demand` or `spot`.
    pub lifecycle: String,
    /// Whether the instance carries the ownership tag with our value.
    pub managed: bool,
    /// All tags of the instance.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::tags::Tags))]
    pub tags: TagMap,
}

impl Instance {
    /// Reads EC2's instance.
    #[must_use]
    pub fn from_ec2(instance: types::Instance, region: &Region, managed_by: &str, now: SystemTime) -> Self {
        let tags = tag_map(instance.tags.into_iter().flatten().map(|tag| (tag.key, tag.value)));
        Self {
            instance_id: instance.instance_id.unwrap_or_default(),
            region: region.to_string(),
            name: tags.get(NAME_KEY).cloned(),
            state: State::from_ec2(instance.state.as_ref()),
            state_reason: instance.state_reason.and_then(|reason| known(reason.message.or(reason.code))),
            instance_type: instance.instance_type.map(|kind| kind.as_str().to_owned()),
            image_id: known(instance.image_id),
            image_name: None,
            launch_time: instance.launch_time.as_ref().and_then(rfc3339),
            age_seconds: instance.launch_time.and_then(|launch| age_seconds(launch, now)),
            public_ip: known(instance.public_ip_address),
            private_ip: known(instance.private_ip_address),
            availability_zone: known(instance.placement.and_then(|placement| placement.availability_zone)),
            vpc_id: known(instance.vpc_id),
            subnet_id: known(instance.subnet_id),
            security_group_ids: instance
                .security_groups
                .into_iter()
                .flatten()
                .filter_map(|group| known(group.group_id))
                .collect(),
            key_name: known(instance.key_name),
            iam_instance_profile_arn: known(instance.iam_instance_profile.and_then(|profile| profile.arn)),
            detailed_monitoring: detailed_monitoring(instance.monitoring),
            lifecycle: instance
                .instance_lifecycle
                .as_ref()
                .map_or("on-demand", |lifecycle| lifecycle.as_str())
                .to_owned(),
            managed: tags.get(OWNERSHIP_KEY).is_some_and(|value| value == managed_by),
            tags,
        }
    }

    /// Whether the instance was launched, or last started, at `time` or later. A second earlier counts, too, because EC2
    /// writes whole seconds by a clock of its own.
    #[must_use]
    pub fn is_launched_since(&self, time: SystemTime) -> bool {
        let earliest = rfc3339(&DateTime::from_secs(DateTime::from(time).secs() - 1));
        // Both times are RFC 3339 in UTC, so their texts sort as the times do.
        self.launch_time.is_some() && self.launch_time >= earliest
    }

    /// Whether the instance is terminated, or on its way there.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.state.is_gone()
    }
}

/// The error for a call that the instance's state does not allow.
#[must_use]
pub(crate) fn incorrect_state(id: &InstanceId, instance: &Instance, wish: &str) -> Error {
    Error::new(Code::IncorrectState, format!("{id} is {} and cannot be {wish}", instance.state))
}

fn detailed_monitoring(monitoring: Option<types::Monitoring>) -> bool {
    use types::MonitoringState::{Enabled, Pending};
    matches!(monitoring.and_then(|monitoring| monitoring.state), Some(Enabled | Pending))
}

/// The text, if it is not empty: EC2 writes an empty element for a value that it does not have.
fn known(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn age_seconds(launch: DateTime, now: SystemTime) -> Option<u64> {
    let launch = SystemTime::try_from(launch).ok()?;
    now.duration_since(launch).ok().map(|age| age.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::read;
    #[test]
    fn a_field_missing_from_ec2s_answer_is_null() {
        let document = serde_json::to_value(read(&types::Instance::builder().build())).unwrap();
        for field in ["name", "state_reason", "public_ip", "launch_time", "age_seconds", "image_name", "key_name"] {
            assert!(document[field].is_null(), "{field}");
        }
        assert_eq!((document["state"].as_str(), document["managed"].as_bool()), (Some("unknown"), Some(false)));
    }

    #[test]
    fn managed_means_exactly_our_value() {
        let managed = |key: &str, value: &str| {
            let instance = types::Instance::builder().tags(crate::model::tags::tag(key, value)).build();
            read(&instance).managed
        };
        assert!(managed("ManagedBy", "cml-cloud-manager"));
        assert!(!managed("ManagedBy", "CML-Cloud-Manager"));
        assert!(!managed("managedby", "cml-cloud-manager"));
    }
}
