//! The parameters in the paths of the API.

use crate::input::Invalid;
use crate::model::instance_id::InstanceId;
use crate::model::region::Region;

/// The path of every operation on a region's instances.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid)]
pub struct RegionPath {
    /// The region.
    pub region: Region,
}

/// The path of every operation on one instance.
#[derive(Debug, Clone, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid)]
pub struct InstancePath {
    /// The region.
    pub region: Region,
    /// The instance.
    pub instance_id: InstanceId,
}

/// The path of an operation on one instance, or on instances of the region that the body names.
#[derive(Debug, Clone, deserr::Deserr)]
#[deserr(error = Invalid)]
pub struct TargetPath {
    /// The region.
    pub region: Region,
    /// The instance, unless the body names the instances.
    #[deserr(default)]
    pub instance_id: Option<InstanceId>,
}
