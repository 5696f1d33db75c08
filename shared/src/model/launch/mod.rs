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
mod options;

use combinations::together;
pub use combinations::{MAX_ALTERNATIVES, MAX_ATTEMPTS};
pub use names::{
    AvailabilityZone, CapacityReservationId, HostId, InstanceProfile, KeyName, MAX_USER_DATA_BYTES, MaxPrice,
    PlacementGroup, PrivateIp, UserData, UserDataBase64, WorkerName,
};
pub use options::{
    Alternative, CapacityReservation, Cpu, HopLimit, Placement, ReservationPreference, ShutdownBehavior, Spot, Tenancy,
};

/// The body: what to launch. `name`, `instance_type` and one of `image_id` and `image_name` are required.
#[derive(Debug, Clone)]
pub struct CreateInstance {
    /// The image.
    pub image: ImageChoice,
    /// Everything else.
    pub launch: Launch,
}

/// What to launch, except for the image.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Launch {
    /// The worker's name, which becomes the tag `Name`.
    pub name: WorkerName,
    /// The instance type, which `CML_ALLOWED_INSTANCE_TYPES` must allow.
    pub instance_type: InstanceType,
    /// The subnet. If `CML_ALLOWED_SUBNETS` is set, one of its subnets is required. Otherwise the default VPC chooses a
    /// subnet if none is given.
    #[deserr(default)]
    pub subnet_id: Option<SubnetId>,
    /// The security groups. If `CML_ALLOWED_SECURITY_GROUPS` is set, at least one is required, and only its groups are
    /// allowed. Otherwise the VPC's default group is used if none is given.
    #[deserr(default)]
    pub security_group_ids: Vec<SecurityGroupId>,
    /// The key pair for SSH. If `CML_ALLOWED_KEY_NAMES` is set, it must allow the key pair.
    #[deserr(default)]
    pub key_name: Option<KeyName>,
    /// More tags. If `CML_ALLOWED_TAG_KEYS` is set, it must allow their keys. The API sets `Name` and its own tags itself.
    #[deserr(default)]
    pub tags: NewTags,
    /// Whether CloudWatch gets metrics each minute instead of every five minutes.
    #[deserr(default)]
    pub detailed_monitoring: bool,
    /// The instance profile, by name or ARN.
    #[deserr(default)]
    pub iam_instance_profile: Option<InstanceProfile>,
    /// User data for cloud-init as plain text, which the API encodes in base64.
    #[deserr(default)]
    pub user_data: Option<UserData>,
    /// User data in base64, for data that is not text. It cannot be given together with `user_data`.
    #[deserr(default)]
    pub user_data_base64: Option<UserDataBase64>,
    /// The root volume; by default it is encrypted and as large as the image's.
    #[deserr(default)]
    pub root_volume: Volume,
    /// Further volumes.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 11))]
    pub extra_volumes: Vec<ExtraVolume>,
    /// Whether the worker gets a public IPv4 address; by default the subnet decides.
    #[deserr(default)]
    pub associate_public_ip: Option<bool>,
    /// The primary private IPv4 address.
    #[deserr(default)]
    pub private_ip: Option<PrivateIp>,
    /// How many hops IMDSv2 answers across. The default is two, so that containers on the worker can reach it.
    #[deserr(default, try_from(u8) = HopLimit::try_from -> Refusal)]
    pub metadata_hop_limit: HopLimit,
    /// Whether EC2 refuses to terminate the worker until somebody lifts the protection outside of this API.
    #[deserr(default)]
    pub termination_protection: bool,
    /// What a shutdown from inside the instance does; by default EC2 stops the instance.
    #[deserr(default)]
    pub shutdown_behavior: Option<ShutdownBehavior>,
    /// Where in the region the worker runs.
    #[deserr(default)]
    pub placement: Placement,
    /// Options of the virtual CPUs.
    #[deserr(default)]
    pub cpu: Cpu,
    /// Options of a spot instance; without them the launch is on-demand.
    #[deserr(default)]
    pub spot: Option<Spot>,
    /// Which capacity reservations the launch may use.
    #[deserr(default)]
    pub capacity_reservation: Option<CapacityReservation>,
    /// The alternatives to try, in this order, when there is no capacity.
    #[deserr(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 5))]
    pub alternatives: Vec<Alternative>,
    /// Whether to try everything once more on-demand when spot has no capacity.
    #[deserr(default)]
    pub on_demand_fallback: bool,
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
        (None, None) => Err(Invalid::field("image_id", "is required unless image_name is given")),
        (Some(_), Some(_)) => Err(Invalid::field("image_name", "must not be given together with image_id")),
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

    /// Warnings about accepted options that will not do all that the caller may expect.
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
