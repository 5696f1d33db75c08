//! What a launch may ask for beside its name, type, image and network.

use super::names::{AvailabilityZone, CapacityReservationId, HostId, MaxPrice, PlacementGroup};
use crate::input::{Invalid, Refusal};
use crate::model::instance_type::InstanceType;
use crate::model::network::SubnetId;

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
    /// It stops the instance.
    Stop,
    /// It terminates the instance.
    Terminate,
}

/// Where in the region the worker runs.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Placement {
    /// The availability zone; by default the subnet's zone, or EC2's choice.
    #[deserr(default)]
    pub availability_zone: Option<AvailabilityZone>,
    /// The tenancy; by default the hardware is shared.
    #[deserr(default)]
    pub tenancy: Option<Tenancy>,
    /// A placement group.
    #[deserr(default)]
    pub group: Option<PlacementGroup>,
    /// A dedicated host; it implies the tenancy `host`.
    #[deserr(default)]
    pub host_id: Option<HostId>,
}

/// On whose hardware the instance runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
#[deserr(error = Invalid, rename_all = lowercase)]
pub enum Tenancy {
    /// On shared hardware.
    Default,
    /// On hardware of this account alone.
    Dedicated,
    /// On a dedicated host.
    Host,
}

/// Options of the virtual CPUs.
#[derive(Debug, Clone, Copy, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Cpu {
    /// How many cores to use: fewer than the type has, for licences that count cores. EC2 accepts this count only
    /// together with `threads_per_core`, and not for metal types.
    #[deserr(default, try_from(Option<u16>) = some_cores -> Refusal)]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 65535))]
    pub core_count: Option<u16>,
    /// Threads per core; 1 turns hyper-threading off. EC2 accepts this number only together with `core_count`.
    #[deserr(default, try_from(Option<u8>) = one_or_two -> Refusal)]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 2))]
    pub threads_per_core: Option<u8>,
    /// Whether the worker can run virtual machines, on types that have this option.
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
    /// The highest price to pay; by default the current Spot price.
    #[deserr(default)]
    pub max_price: Option<MaxPrice>,
    /// What EC2 does on an interruption; only `terminate` is accepted.
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

/// Which capacity reservations a launch may use: one reservation by its id, or the reservations that a preference allows.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct CapacityReservation {
    /// The id of the reservation.
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
    /// Any open reservation that matches, which is EC2's default.
    Open,
    /// No reservation.
    None,
}

/// An alternative to try when there is no capacity for the launch as requested.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct Alternative {
    /// The instance type; by default the launch's own.
    #[deserr(default)]
    pub instance_type: Option<InstanceType>,
    /// The subnet; by default the launch's own.
    #[deserr(default)]
    pub subnet_id: Option<SubnetId>,
}
