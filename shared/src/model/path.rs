//! What the paths of the API name.

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

/// The path: one instance, or a region whose instances the body names.
#[derive(Debug, Clone, deserr::Deserr)]
#[deserr(error = Invalid)]
pub struct TargetPath {
    /// The region.
    pub region: Region,
    /// The instance.
    #[deserr(default)]
    pub instance_id: Option<InstanceId>,
}
