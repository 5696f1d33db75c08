//! Instances: how requests name them and how answers show them.

use std::collections::HashMap;
use std::time::SystemTime;

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types;
use serde::Serialize;

use crate::aws::clients::Clients;
use crate::error::{Code, Error};
use crate::input::{Invalid, checked_string, is_resource_id};
use crate::model::image::filter;
use crate::model::region::Region;
use crate::model::tags::{NAME_KEY, OWNERSHIP_KEY, TagMap, tag_map};

checked_string! {
    /// The id of an EC2 instance.
    InstanceId,
    schema(pattern = r"^i-([0-9a-f]{8}|[0-9a-f]{17})$"),
    |id| if is_resource_id(id, "i-") { Ok(()) } else { Err("must be i- and 8 or 17 hexadecimal digits") }
}

checked_string! {
    /// An EC2 instance type, such as `c5.2xlarge`. Which ones exist is EC2's to say.
    InstanceType,
    schema(max_length = 64, pattern = r"^[a-z0-9-]+\.[a-z0-9-]+$"),
    |name| {
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let is_type = name.len() <= 64 && name.split_once('.').is_some_and(|(family, size)| is_part(family) && is_part(size));
        if is_type { Ok(()) } else { Err("must be an EC2 instance type, such as c5.2xlarge") }
    }
}

/// The path of every operation on a region's instances.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid)]
pub struct InRegion {
    /// The region.
    pub region: Region,
}

/// The path of every operation on one instance.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid)]
pub struct Worker {
    /// The region.
    pub region: Region,
    /// The instance.
    pub instance_id: InstanceId,
}

/// An instance, from EC2's `Instance`. What EC2 does not say is `null`.
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
    pub state: String,
    /// Why it changed state last, for example `Client.UserInitiatedShutdown: User initiated shutdown`.
    pub state_reason: Option<String>,
    /// For example `c5.2xlarge`.
    pub instance_type: Option<String>,
    /// The AMI it was launched from.
    pub image_id: Option<String>,
    /// The AMI's name; only the launch knows it.
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
    /// For example `us-east-1a`.
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
    /// Whether CloudWatch gets its metrics each minute (true) or every five (false).
    pub detailed_monitoring: bool,
    /// `on-demand` or `spot`.
    pub lifecycle: String,
    /// Whether it carries the ownership tag with our value.
    pub managed: bool,
    /// All its tags.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, String>))]
    pub tags: TagMap,
}

impl Instance {
    /// Reads EC2's instance.
    #[must_use]
    pub fn from_ec2(instance: &types::Instance, region: &Region, clients: &Clients) -> Self {
        let tags = tag_map(instance.tags());
        Self {
            instance_id: instance.instance_id().unwrap_or_default().to_owned(),
            region: region.to_string(),
            name: tags.get(NAME_KEY).cloned(),
            state: state_name(instance.state()),
            state_reason: instance.state_reason().and_then(|reason| owned(reason.message().or(reason.code()))),
            instance_type: instance.instance_type().map(|kind| kind.as_str().to_owned()),
            image_id: owned(instance.image_id()),
            image_name: None,
            launch_time: instance.launch_time().and_then(rfc3339),
            age_seconds: instance.launch_time().and_then(|launch| age_seconds(launch, clients.now())),
            public_ip: owned(instance.public_ip_address()),
            private_ip: owned(instance.private_ip_address()),
            availability_zone: owned(instance.placement().and_then(|placement| placement.availability_zone())),
            vpc_id: owned(instance.vpc_id()),
            subnet_id: owned(instance.subnet_id()),
            security_group_ids: instance.security_groups().iter().filter_map(|group| owned(group.group_id())).collect(),
            key_name: owned(instance.key_name()),
            iam_instance_profile_arn: owned(instance.iam_instance_profile().and_then(|profile| profile.arn())),
            detailed_monitoring: detailed_monitoring(instance),
            lifecycle: instance.instance_lifecycle().map_or("on-demand", |lifecycle| lifecycle.as_str()).to_owned(),
            managed: tags.get(OWNERSHIP_KEY).is_some_and(|value| value == clients.managed_by()),
            tags,
        }
    }

    /// Whether it was launched, or started last, at that time or later, as far as two clocks agree: EC2 writes whole seconds,
    /// by one of its own.
    #[must_use]
    pub fn is_launched_since(&self, time: SystemTime) -> bool {
        let earliest = rfc3339(&DateTime::from_secs(DateTime::from(time).secs() - 1));
        // RFC 3339 in UTC: its text sorts as the times do.
        self.launch_time.is_some() && self.launch_time >= earliest
    }

    /// Whether it is terminated, or on its way there.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self.state.as_str(), "shutting-down" | "terminated")
    }
}

/// What start, stop and terminate answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StateChange {
    /// The instance.
    pub instance_id: InstanceId,
    /// The state before the call.
    pub previous_state: String,
    /// The state after the call.
    pub current_state: String,
    /// False if it already was where it should go.
    pub changed: bool,
    /// EC2's reason for the state, if it gives one.
    pub state_reason: Option<String>,
    /// What was done otherwise than asked for, and why.
    pub note: Option<&'static str>,
}

impl StateChange {
    /// The instance is already there.
    #[must_use]
    pub fn none(instance_id: &InstanceId, instance: &Instance) -> Self {
        Self {
            instance_id: instance_id.clone(),
            previous_state: instance.state.clone(),
            current_state: instance.state.clone(),
            changed: false,
            state_reason: instance.state_reason.clone(),
            note: None,
        }
    }

    /// Reads what EC2 answered to StartInstances, StopInstances or TerminateInstances for this one instance.
    ///
    /// The state before is the one that `instance` was read in, not EC2's: of many instances in several zones EC2
    /// terminates some although it refuses the call because of a protected one, and says of those that nothing changed
    /// when they are sent again.
    ///
    /// # Errors
    /// [`Code::AwsError`] if the answer does not speak of the instance.
    pub fn from_ec2(
        instance_id: &InstanceId,
        instance: &Instance,
        change: Option<&types::InstanceStateChange>,
    ) -> Result<Self, Error> {
        let unnamed = || Error::new(Code::AwsError, "EC2 accepted the call but did not name the instance").passing();
        let current_state = state_name(change.ok_or_else(unnamed)?.current_state());
        Ok(Self {
            changed: instance.state != current_state,
            current_state,
            state_reason: None,
            ..Self::none(instance_id, instance)
        })
    }

    /// The same change, and what came of it.
    #[must_use]
    pub fn followed_by(self, instance: &Instance) -> Self {
        Self { current_state: instance.state.clone(), state_reason: instance.state_reason.clone(), ..self }
    }
}

/// Reads one instance. This one read gives every operation on it the 404, the state and the ownership.
///
/// # Errors
/// [`Code::InstanceNotFound`] if EC2 does not know it, and whatever EC2 refuses.
pub async fn find(clients: &Clients, worker: &Worker) -> Result<Instance, Error> {
    let answer =
        clients.ec2(&worker.region)?.describe_instances().instance_ids(worker.instance_id.as_str()).send().await?;
    answer
        .reservations()
        .iter()
        .flat_map(|reservation| reservation.instances())
        .find(|instance| instance.instance_id() == Some(worker.instance_id.as_str()))
        .map(|instance| Instance::from_ec2(instance, &worker.region, clients))
        .ok_or_else(|| not_found(&worker.region, &worker.instance_id))
}

/// Reads one instance that is about to be changed.
///
/// # Errors
/// As [`find`], and [`Code::NotManaged`] if it does not carry the ownership tag.
pub async fn find_managed(clients: &Clients, worker: &Worker) -> Result<Instance, Error> {
    ours(clients, &worker.instance_id, find(clients, worker).await?)
}

/// Reads many instances that are about to be changed, and answers in their order. As a filter, not as EC2's list of ids:
/// that one fails for all if one does not exist.
///
/// # Errors
/// What EC2 refuses; each instance has an error of its own beside that, as in [`find_managed`].
pub async fn find_all_managed(
    clients: &Clients,
    region: &Region,
    instance_ids: &[InstanceId],
) -> Result<Vec<Result<Instance, Error>>, Error> {
    let ids = instance_ids.iter().map(InstanceId::to_string).collect();
    let filter = types::Filter::builder().name("instance-id").set_values(Some(ids)).build();
    let mut pages = clients.ec2(region)?.describe_instances().filters(filter).into_paginator().send();
    let mut found = HashMap::new();
    while let Some(page) = pages.next().await {
        for instance in page?.reservations().iter().flat_map(|reservation| reservation.instances()) {
            let instance = Instance::from_ec2(instance, region, clients);
            found.insert(instance.instance_id.clone(), instance);
        }
    }
    let mut find = |id: &InstanceId| found.remove(id.as_str()).ok_or_else(|| not_found(region, id));
    Ok(instance_ids.iter().map(|id| find(id).and_then(|instance| ours(clients, id, instance))).collect())
}

/// The instance, if it carries the ownership tag.
fn ours(clients: &Clients, id: &InstanceId, instance: Instance) -> Result<Instance, Error> {
    if instance.managed {
        return Ok(instance);
    }
    let owner = clients.managed_by();
    let detail = format!("{id} does not carry the tag {OWNERSHIP_KEY}={owner}: it is not ours to change");
    Err(Error::new(Code::NotManaged, detail))
}

/// How many managed instances a region has, terminated ones left out.
///
/// # Errors
/// What EC2 refuses.
pub async fn managed_count(clients: &Clients, region: &Region) -> Result<usize, Error> {
    let call = clients.ec2(region)?.describe_instances().set_filters(Some(ours_and_alive(clients)));
    let mut pages = call.into_paginator().send();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        count += page?.reservations().iter().map(|reservation| reservation.instances().len()).sum::<usize>();
    }
    Ok(count)
}

/// The filters for the managed instances that are not gone.
pub(crate) fn ours_and_alive(clients: &Clients) -> Vec<types::Filter> {
    let alive = types::Filter::builder().name("instance-state-name");
    let alive = alive.set_values(Some(ALIVE.map(str::to_owned).to_vec())).build();
    vec![filter(&format!("tag:{OWNERSHIP_KEY}"), &literal(clients.managed_by())), alive]
}

/// The states of an instance that is not gone: EC2 shows a terminated one for another hour.
pub const ALIVE: [&str; 5] = ["pending", "running", "shutting-down", "stopping", "stopped"];

/// A filter of EC2's, of its name and values.
pub(crate) fn ec2_filter((name, values): (&String, &Vec<String>)) -> types::Filter {
    types::Filter::builder().name(name).set_values(Some(values.clone())).build()
}

/// EC2 takes `*` and `?` in a filter for wildcards, and `\` for their escape.
pub(crate) fn literal(value: &str) -> String {
    let escape = |c: char| matches!(c, '*' | '?' | '\\').then_some('\\').into_iter().chain([c]);
    value.chars().flat_map(escape).collect()
}

fn not_found(region: &Region, id: &InstanceId) -> Error {
    Error::new(Code::InstanceNotFound, format!("{id} does not exist in {region}"))
}

/// A call that the instance's state does not allow.
#[must_use]
pub fn incorrect_state(id: &InstanceId, instance: &Instance, wish: &str) -> Error {
    Error::new(Code::IncorrectState, format!("{id} is {} and cannot be {wish}", instance.state))
}

/// EC2's name of a state, also of one that this SDK does not know yet.
fn state_name(state: Option<&types::InstanceState>) -> String {
    state.and_then(|state| state.name()).map_or("unknown", |name| name.as_str()).to_owned()
}

fn detailed_monitoring(instance: &types::Instance) -> bool {
    use types::MonitoringState::{Enabled, Pending};
    matches!(instance.monitoring().and_then(|monitoring| monitoring.state()), Some(Enabled | Pending))
}

/// EC2 writes empty elements for what it does not have.
fn owned(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// RFC 3339 in UTC, as every document writes times.
#[must_use]
pub fn rfc3339(time: &DateTime) -> Option<String> {
    time.fmt(aws_sdk_ec2::primitives::DateTimeFormat::DateTime).ok()
}

/// This moment, RFC 3339 in UTC: EC2's own times sort with it as text.
#[must_use]
pub fn now(clients: &Clients) -> String {
    rfc3339(&clients.now().into()).unwrap_or_default()
}

fn age_seconds(launch: &DateTime, now: SystemTime) -> Option<u64> {
    let launch = SystemTime::try_from(*launch).ok()?;
    now.duration_since(launch).ok().map(|age| age.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn ids_are_checked_where_they_enter() {
        for good in ["i-0123456789abcdef0", "i-12345678"] {
            assert!(InstanceId::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "i-",
            "i-123",
            "i-0123456789ABCDEF0",
            "i-0123456789abcdefg",
            "ami-12345678",
            "i-0123456789abcdef00",
            " i-12345678",
        ] {
            assert!(InstanceId::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn instance_types_have_a_family_and_a_size() {
        for good in ["c5.2xlarge", "m5zn.metal", "u-6tb1.112xlarge", "c8i.metal-48xl"] {
            assert!(InstanceType::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "c5", "c5.", ".large", "C5.large", "c5.large.x", "c5 .large", "*.large"] {
            assert!(InstanceType::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_ec2_does_not_say_is_null() {
        let region = Region::try_from("us-east-1".to_owned()).unwrap();
        let document = serde_json::to_value(Instance::from_ec2(
            &types::Instance::builder().build(),
            &region,
            &testing::clients(&[]),
        ))
        .unwrap();
        for field in ["name", "state_reason", "public_ip", "launch_time", "age_seconds", "image_name", "key_name"] {
            assert!(document[field].is_null(), "{field}");
        }
        assert_eq!((document["state"].as_str(), document["managed"].as_bool()), (Some("unknown"), Some(false)));
    }

    #[test]
    fn managed_means_exactly_our_value() {
        let region = Region::try_from("us-east-1".to_owned()).unwrap();
        let managed = |key: &str, value: &str| {
            let instance = types::Instance::builder().tags(crate::model::tags::tag(key, value)).build();
            Instance::from_ec2(&instance, &region, &testing::clients(&[])).managed
        };
        assert!(managed("ManagedBy", "cml-cloud-manager"));
        assert!(!managed("ManagedBy", "CML-Cloud-Manager"));
        assert!(!managed("managedby", "cml-cloud-manager"));
    }
}
