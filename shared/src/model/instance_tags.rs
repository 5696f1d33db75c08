//! The answer of the operations on tags.

use serde::Serialize;

use crate::model::document::Document;
use crate::model::instance_id::InstanceId;
use crate::model::tags::TagMap;

/// The tags of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceTags {
    /// The instance.
    pub instance_id: InstanceId,
    /// Whether the instance carries the ownership tag.
    pub managed: bool,
    /// All tags of the instance.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::model::tags::Tags))]
    pub tags: TagMap,
}

impl Document for InstanceTags {}
