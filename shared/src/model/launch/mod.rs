//! What a launch may ask for: the body of create-instance, checked without asking AWS.

use deserr::{Deserr, IntoValue, ValuePointerRef};
use serde_json::{Map, Value};

use crate::input::{Invalid, Refusal, both};
use crate::model::image::{ImageChoice, ImageId};
use crate::model::instance_type::InstanceType;
use crate::model::nested_virtualization;
use crate::model::network::{SecurityGroupId, SubnetId};
use crate::model::tags::NewTags;
use crate::model::volume::{ExtraVolume, Volume};

mod combinations;
mod names;

use combinations::together;
pub use combinations::{MAX_ALTERNATIVES, MAX_ATTEMPTS};
pub use names::{
    AvailabilityZone, CapacityReservationId, HostId, InstanceProfile, KeyName, MAX_USER_DATA_BYTES, MaxPrice,
    PlacementGroup, PrivateIp, UserData, UserDataBase64, WorkerName,
};

/// The body: what to launch. `name` and `instance_type` are required, and one of `image_id` and `image_name`.
#[derive(Debug, Clone)]
pub struct CreateInstance {
    /// The image.
    pub image: ImageChoice,
    /// Everything else.
    pub launch: Launch,
}

/// What to launch, but for the image.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Launch {
    /// The tag `Name`.
    pub name: WorkerName,
    /// The type; one of `CML_ALLOWED_INSTANCE_TYPES`.
    pub instance_type: InstanceType,
    /// The subnet, one of `CML_ALLOWED_SUBNETS` if there are some, and then required; otherwise the default VPC's own choice
    /// unless given.
    #[deserr(default)]
    pub subnet_id: Option<SubnetId>,
    /// The security groups, each of `CML_ALLOWED_SECURITY_GROUPS` if there are some, and then at least one; otherwise the VPC's
    /// default group unless given.
    #[deserr(default)]
    pub security_group_ids: Vec<SecurityGroupId>,
    /// The key pair for SSH; one of `CML_ALLOWED_KEY_NAMES`, if there are some.
    #[deserr(default)]
    pub key_name: Option<KeyName>,
    /// More tags, with keys of `CML_ALLOWED_TAG_KEYS` if there are some. `Name` and ours are set by us.
    #[deserr(default)]
    pub tags: NewTags,
    /// CloudWatch metrics each minute instead of every five.
    #[deserr(default)]
    pub detailed_monitoring: bool,
    /// The instance profile, by name or ARN.
    #[deserr(default)]
    pub iam_instance_profile: Option<InstanceProfile>,
    /// Plain text for cloud-init; base64 is ours.
    #[deserr(default)]
    pub user_data: Option<UserData>,
    /// The same in base64, for what is no text; one of the two.
    #[deserr(default)]
    pub user_data_base64: Option<UserDataBase64>,
    /// The root volume; encrypted and as large as the image's unless said otherwise.
    #[deserr(default)]
    pub root_volume: Volume,
    /// Further volumes.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 11))]
    pub extra_volumes: Vec<ExtraVolume>,
    /// A public IPv4 address or none; the subnet's own choice unless given.
    #[deserr(default)]
    pub associate_public_ip: Option<bool>,
    /// The primary private IPv4 address.
    #[deserr(default)]
    pub private_ip: Option<PrivateIp>,
    /// Hops that IMDSv2 answers across: two, so that containers on the worker reach it.
    #[deserr(default, try_from(u8) = HopLimit::try_from -> Refusal)]
    pub metadata_hop_limit: HopLimit,
    /// Refuse termination until somebody lifts the protection elsewhere.
    #[deserr(default)]
    pub termination_protection: bool,
    /// What a shutdown from inside does; EC2 stops unless told otherwise.
    #[deserr(default)]
    pub shutdown_behavior: Option<ShutdownBehavior>,
    /// Where in the region.
    #[deserr(default)]
    pub placement: Placement,
    /// The virtual CPUs.
    #[deserr(default)]
    pub cpu: Cpu,
    /// Spot instead of on-demand.
    #[deserr(default)]
    pub spot: Option<Spot>,
    /// A capacity reservation.
    #[deserr(default)]
    pub capacity_reservation: Option<CapacityReservation>,
    /// What to try, in order, when there is no capacity.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 5))]
    pub alternatives: Vec<Alternative>,
    /// Try everything once more on-demand when spot has no capacity.
    #[deserr(default)]
    pub on_demand_fallback: bool,
}

/// How many hops IMDSv2 answers across.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 64))]
pub struct HopLimit(pub i32);

impl Default for HopLimit {
    fn default() -> Self {
        Self(2)
    }
}

impl TryFrom<u8> for HopLimit {
    type Error = Refusal;

    fn try_from(hops: u8) -> Result<Self, Refusal> {
        if (1..=64).contains(&hops) { Ok(Self(hops.into())) } else { Err(Refusal("must be 1 to 64".to_owned())) }
    }
}

/// What a shutdown from inside the instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
#[deserr(error = Invalid, rename_all = lowercase)]
pub enum ShutdownBehavior {
    /// Stop it.
    Stop,
    /// Terminate it.
    Terminate,
}

/// Where in the region.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Placement {
    /// The availability zone; the subnet's, or EC2's choice.
    #[deserr(default)]
    pub availability_zone: Option<AvailabilityZone>,
    /// Shared hardware unless given.
    #[deserr(default)]
    pub tenancy: Option<Tenancy>,
    /// A placement group.
    #[deserr(default)]
    pub group: Option<PlacementGroup>,
    /// A dedicated host; it implies the tenancy `host`.
    #[deserr(default)]
    pub host_id: Option<HostId>,
}

/// Whose hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
#[deserr(error = Invalid, rename_all = lowercase)]
pub enum Tenancy {
    /// Shared.
    Default,
    /// This account's alone.
    Dedicated,
    /// A dedicated host.
    Host,
}

/// The virtual CPUs.
#[derive(Debug, Clone, Copy, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Cpu {
    /// Cores; fewer than the type has, for licences by core. EC2 takes it beside `threads_per_core` only, and not of metal
    /// types.
    #[deserr(default, try_from(Option<u16>) = some_cores -> Refusal)]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 65535))]
    pub core_count: Option<u16>,
    /// 1 turns hyper-threading off. EC2 takes it beside `core_count` only.
    #[deserr(default, try_from(Option<u8>) = one_or_two -> Refusal)]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 2))]
    pub threads_per_core: Option<u8>,
    /// Let the worker run virtual machines, on types that can be told to.
    #[deserr(default)]
    pub nested_virtualization: bool,
}

fn some_cores(count: Option<u16>) -> Result<Option<u16>, Refusal> {
    if count == Some(0) { Err(Refusal("must be at least 1".to_owned())) } else { Ok(count) }
}

fn one_or_two(threads: Option<u8>) -> Result<Option<u8>, Refusal> {
    if threads.is_none_or(|threads| matches!(threads, 1 | 2)) {
        Ok(threads)
    } else {
        Err(Refusal("must be 1 or 2".to_owned()))
    }
}

/// A one-time spot request: the instance is terminated on interruption.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Spot {
    /// The most to pay; unless given, the current Spot price.
    #[deserr(default)]
    pub max_price: Option<MaxPrice>,
    /// Only `terminate`.
    #[deserr(default, try_from(String) = interruption -> Refusal)]
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^terminate$"))]
    pub interruption_behavior: (),
}

fn interruption(behavior: String) -> Result<(), Refusal> {
    match behavior.as_str() {
        "terminate" => Ok(()),
        "stop" | "hibernate" => Err(Refusal(format!(
            "must be terminate: {behavior} needs a persistent spot request, which outlives the worker and launches it again"
        ))),
        _ => Err(Refusal("must be terminate".to_owned())),
    }
}

/// A capacity reservation: one by id, or any that matches.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct CapacityReservation {
    /// The reservation.
    #[deserr(default)]
    pub id: Option<CapacityReservationId>,
    /// Which reservations may be used.
    #[deserr(default)]
    pub preference: Option<ReservationPreference>,
}

/// Which capacity reservations may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
#[deserr(error = Invalid, rename_all = lowercase)]
pub enum ReservationPreference {
    /// Any open one that matches; EC2's default.
    Open,
    /// None.
    None,
}

/// What to try when there is no capacity for what was asked.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Alternative {
    /// The type; the launch's own unless given.
    #[deserr(default)]
    pub instance_type: Option<InstanceType>,
    /// The subnet; the launch's own unless given.
    #[deserr(default)]
    pub subnet_id: Option<SubnetId>,
}

impl Deserr<Invalid> for CreateInstance {
    fn deserialize_from_value<V: IntoValue>(value: deserr::Value<V>, at: ValuePointerRef) -> Result<Self, Invalid> {
        let body = Value::deserialize_from_value(value, at)?;
        let together = together(&body);
        let Value::Object(mut fields) = body else { return Err(Invalid::at(at, "must be an object")) };
        let mut invalid = Invalid::default();
        let image = invalid.keep(image_choice(&mut fields, at));
        let launch = invalid.keep(Launch::deserialize_from_value(Value::Object(fields).into_value(), at));
        let fits = invalid.keep(together);
        let (Some(image), Some(launch), Some(())) = (image, launch, fits) else { return Err(invalid) };
        Ok(Self { image, launch })
    }
}

fn image_choice(fields: &mut Map<String, Value>, at: ValuePointerRef) -> Result<ImageChoice, Invalid> {
    let id = read_option::<ImageId>(fields.remove("image_id"), at.push_key("image_id"));
    let name = read_option::<ImageChoice>(fields.remove("image_name"), at.push_key("image_name"));
    match both(id, name)? {
        (Some(id), None) => Ok(ImageChoice::Id(id)),
        (None, Some(named)) => Ok(named),
        (None, None) => Err(Invalid::field("image_id", "is required, or image_name instead")),
        (Some(_), Some(_)) => Err(Invalid::field("image_name", "must not be given beside image_id")),
    }
}

fn read_option<T: Deserr<Invalid>>(value: Option<Value>, at: ValuePointerRef) -> Result<Option<T>, Invalid> {
    value.map_or(Ok(None), |value| Option::deserialize_from_value(value.into_value(), at))
}

impl Launch {
    /// Whether there is something else to try when there is no capacity.
    #[must_use]
    pub fn falls_back(&self) -> bool {
        self.on_demand_fallback || !self.alternatives.is_empty()
    }

    /// What was accepted and will not do all that the caller may expect.
    #[must_use]
    pub fn warnings(&self, launched: &InstanceType) -> Vec<String> {
        let protected = self.termination_protection.then(|| {
            "termination_protection is on and no operation of this API lifts it: terminate-instance will answer 409"
                .to_owned()
        });
        let nested = nested_virtualization::warning(launched.as_str(), self.cpu.nested_virtualization);
        protected.into_iter().chain(nested).collect()
    }
}

#[cfg(test)]
mod tests;
