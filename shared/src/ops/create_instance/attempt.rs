//! One try of a launch: a type, in a subnet, on one of the two markets.

use serde::Serialize;

use crate::error::Error;
use crate::model::instance_type::InstanceType;
use crate::model::launch::Launch;
use crate::model::network::SubnetId;

/// One try of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub instance_type: InstanceType,
    pub subnet_id: Option<SubnetId>,
    pub spot: bool,
    /// The index of the alternative that is tried; `None` for the type and subnet of the launch itself.
    pub alternative: Option<usize>,
}

impl Attempt {
    /// The try with the type and subnet of the launch itself.
    pub(crate) fn first(launch: &Launch) -> Self {
        let spot = launch.spot.is_some();
        Self {
            instance_type: launch.instance_type.clone(),
            subnet_id: launch.subnet_id.clone(),
            spot,
            alternative: None,
        }
    }

    /// All tries in their order: the launch itself, its alternatives, and all of these on-demand if Spot may fall back.
    pub(crate) fn all(launch: &Launch) -> Vec<Self> {
        let first = Self::first(launch);
        let alternatives = launch.alternatives.iter().enumerate().map(|(index, other)| Self {
            instance_type: other.instance_type.clone().unwrap_or_else(|| first.instance_type.clone()),
            subnet_id: other.subnet_id.clone().or_else(|| first.subnet_id.clone()),
            spot: first.spot,
            alternative: Some(index),
        });
        let asked: Vec<Self> = std::iter::once(first.clone()).chain(alternatives).collect();
        let on_demand =
            asked.clone().into_iter().filter(|_| launch.on_demand_fallback).map(|a| Self { spot: false, ..a });
        asked.iter().cloned().chain(on_demand).collect()
    }

    /// The failure of this try as the answer shows it.
    pub(crate) fn failed(&self, error: &Error) -> FailedAttempt {
        FailedAttempt {
            instance_type: self.instance_type.to_string(),
            subnet_id: self.subnet_id.as_ref().map(ToString::to_string),
            lifecycle: if self.spot { "spot" } else { "on-demand" },
            aws_code: error.aws_code().map(str::to_owned),
            detail: error.detail.clone(),
        }
    }
}

/// One try that found no capacity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailedAttempt {
    /// The instance type.
    pub instance_type: String,
    /// The subnet, if one was named.
    pub subnet_id: Option<String>,
    /// `on-demand` or `spot`.
    pub lifecycle: &'static str,
    /// EC2's error code.
    pub aws_code: Option<String>,
    /// EC2's message.
    pub detail: String,
}
