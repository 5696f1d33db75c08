//! CPU and memory utilization from CloudWatch.
//!
//! CloudWatch stamps a point with the begin of its period and shows it minutes later, so a short window often has no point.
//! Therefore more than the window is read, and the answer always has the newest point that was read.

use serde::Serialize;

use crate::input::{Invalid, Refusal, boolean};
use crate::model::document::Document;
use crate::model::instance_id::InstanceId;

mod absence;
mod metric;
pub(crate) mod metric_name;
pub(crate) mod window;

pub use absence::{Absence, Cause};
pub(crate) use metric::Samples;
pub use metric::{Metric, Point};
pub use metric_name::MetricName;
pub use window::Window;
pub(crate) use window::{Span, sdk_time, written};

/// The query: `?window=5m&series=true`.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct UtilizationQuery {
    /// How far to look back.
    #[deserr(default)]
    pub window: Window,
    /// Whether the answer has the points, too.
    #[deserr(default, try_from(String) = boolean -> Refusal)]
    pub series: bool,
}

/// CPU and memory utilization of one instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Utilization {
    /// The instance.
    pub instance_id: InstanceId,
    /// Whether the instance carries the ownership tag.
    pub managed: bool,
    /// The window that was asked for.
    pub window: Window,
    /// Start of the window, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub start_time: Option<String>,
    /// End of the window, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub end_time: Option<String>,
    /// `CPUUtilization` of `AWS/EC2`, in percent of all CPUs of the instance.
    pub cpu: Metric,
    /// `mem_used_percent` of `CWAgent`, in percent.
    pub memory: Metric,
}

impl Document for Utilization {}

#[cfg(test)]
pub(crate) mod tests {
    use crate::model::instance::Instance;
    use crate::model::state::State;
    use std::sync::LazyLock;

    use crate::testing::ID;

    /// A managed worker that has run for a day, with basic monitoring and the workers' instance profile.
    pub(crate) fn instance() -> Instance {
        // Clients take long to make, and some tests ask for a million instances.
        static INSTANCE: LazyLock<Instance> = LazyLock::new(|| {
            let instance = aws_sdk_ec2::types::Instance::builder().instance_id(ID).image_id("ami-0123456789abcdef0");
            let instance = instance.instance_type("c5.2xlarge".into()).build();
            Instance {
                state: State::Running,
                age_seconds: Some(86_400),
                iam_instance_profile_arn: Some("arn:aws:iam::123456789012:instance-profile/CMLWorker".to_owned()),
                managed: true,
                ..crate::testing::read(&instance)
            }
        });
        INSTANCE.clone()
    }
}
