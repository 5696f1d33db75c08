//! CPU and memory utilization from CloudWatch.
//!
//! CloudWatch stamps a point with the begin of its period and shows it minutes later, so that a short window often has
//! none. Therefore more than the window is read, and the newest point is always answered.

use std::time::SystemTime;

use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use futures_util::future::try_join_all;
use serde::Serialize;

use crate::aws::clients::Clients;
use crate::error::Error;
use crate::input::{Invalid, Refusal, boolean};
use crate::model::instance::{Instance, InstanceId, Worker};

mod absence;
mod metric;
#[cfg(test)]
mod simulated;
mod window;

use absence::Absence;
pub use absence::Cause;
use metric::Samples;
pub use metric::{Metric, Point};
pub use window::Window;
use window::{LOOK_BACK, Span, sdk_time, written};

/// The query: `?window=5m&series=true`.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields)]
pub struct UtilizationQuery {
    /// How far to look back.
    #[deserr(default)]
    pub window: Window,
    /// Whether to answer the points too.
    #[deserr(default, try_from(String) = boolean -> Refusal)]
    pub series: bool,
}

/// CPU and memory of one instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Utilization {
    /// The instance.
    pub instance_id: InstanceId,
    /// Whether it carries the ownership tag.
    pub managed: bool,
    /// The window that was asked for.
    pub window: Window,
    /// Begin of the window, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub start_time: Option<String>,
    /// End of the window, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub end_time: Option<String>,
    /// `CPUUtilization` of `AWS/EC2`, in percent of all its CPUs.
    pub cpu: Metric,
    /// `mem_used_percent` of `CWAgent`, in percent.
    pub memory: Metric,
}

/// Which metric to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricName {
    /// EC2's own CPU metric.
    CpuUtilization,
    /// The CloudWatch agent's memory metric; EC2 cannot see inside an instance.
    MemUsedPercent,
}

/// The dimensions of one metric, which CloudWatch finds by exactly these.
type Dimensions = Vec<Dimension>;

impl MetricName {
    /// Who publishes it, in CloudWatch's terms.
    #[must_use]
    pub fn namespace(self) -> &'static str {
        match self {
            Self::CpuUtilization => "AWS/EC2",
            Self::MemUsedPercent => "CWAgent",
        }
    }

    /// CloudWatch's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CpuUtilization => "CPUUtilization",
            Self::MemUsedPercent => "mem_used_percent",
        }
    }

    /// Whether the CloudWatch agent publishes it, and not EC2.
    fn is_the_agents(self) -> bool {
        match self {
            Self::CpuUtilization => false,
            Self::MemUsedPercent => true,
        }
    }

    /// How often it is published, in seconds: by the agent each minute, whatever EC2's own monitoring does.
    fn period(self, instance: &Instance) -> u32 {
        if self.is_the_agents() || instance.detailed_monitoring { 60 } else { 300 }
    }

    /// How old the newest point's begin can be, in seconds, where all is as it should be: a period, and what CloudWatch
    /// takes to show one.
    fn oldest_newest(self, instance: &Instance) -> u64 {
        if self.period(instance) == 60 { 5 * 60 } else { 20 * 60 }
    }

    /// Seconds after the start by which the first point is shown; an agent is installed first.
    fn first_point_seconds(self, instance: &Instance) -> u64 {
        self.oldest_newest(instance) + if self.is_the_agents() { 5 * 60 } else { 0 }
    }

    /// All sets of dimensions that it can have been published with.
    ///
    /// An agent appends what its configuration names of the four dimensions used here, and knows no other. Without
    /// `InstanceId` a metric is none of one instance.
    fn dimension_sets(self, instance: &Instance) -> Vec<Dimensions> {
        let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
        let alone = vec![dimension("InstanceId", &instance.instance_id)];
        if !self.is_the_agents() {
            return vec![alone];
        }
        let (image, kind) = (instance.image_id.as_ref(), instance.instance_type.as_ref());
        let group = instance.tags.get("aws:autoscaling:groupName");
        let known = [("ImageId", image), ("InstanceType", kind), ("AutoScalingGroupName", group)];
        let known = known.into_iter().filter_map(|(name, value)| Some(dimension(name, value?)));
        known.fold(vec![alone], |sets, more| {
            let with_it = sets.iter().map(|set| [&set[..], std::slice::from_ref(&more)].concat());
            sets.iter().cloned().chain(with_it).collect()
        })
    }
}

/// Measures an instance over the window that ends `now`.
///
/// # Errors
/// What CloudWatch refuses.
pub async fn measure(
    clients: &Clients,
    worker: &Worker,
    instance: &Instance,
    query: &UtilizationQuery,
    now: SystemTime,
) -> Result<Utilization, Error> {
    let measured = async |metric: MetricName| {
        let span = Span::new(&query.window, metric.period(instance), now);
        let found = read(clients, worker, span, metric, instance).await?;
        Ok::<_, Error>((span, Metric::new(&found, span, query.series, |newest| Absence::new(metric, instance, newest))))
    };
    let ((span, cpu), (_, memory)) =
        tokio::try_join!(measured(MetricName::CpuUtilization), measured(MetricName::MemUsedPercent))?;
    Ok(Utilization {
        instance_id: worker.instance_id.clone(),
        managed: instance.managed,
        window: query.window.clone(),
        start_time: written(span.start),
        end_time: written(span.end),
        cpu,
        memory,
    })
}

/// Reads one metric of one instance: of the sets of dimensions the one with the newest point. An agent that aggregates
/// publishes the same samples under several.
async fn read(
    clients: &Clients,
    worker: &Worker,
    span: Span,
    metric: MetricName,
    instance: &Instance,
) -> Result<Vec<Samples>, Error> {
    let cloudwatch = clients.cloudwatch(&worker.region)?;
    let calls = metric.dimension_sets(instance).into_iter().map(|dimensions| {
        cloudwatch
            .get_metric_statistics()
            .namespace(metric.namespace())
            .metric_name(metric.name())
            .set_dimensions(Some(dimensions))
            .start_time(sdk_time(span.read_from))
            .end_time(sdk_time(span.end))
            .period(i32::try_from(span.period).unwrap_or(i32::MAX))
            .statistics(Statistic::SampleCount)
            .statistics(Statistic::Average)
            .statistics(Statistic::Maximum)
            .send()
    });
    let found = try_join_all(calls).await?;
    let found = found.iter().map(|answer| answer.datapoints().iter().filter_map(Samples::from_datapoint).collect());
    Ok(found.max_by_key(|samples: &Vec<Samples>| samples.iter().map(|samples| samples.at).max()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsInput;

    use super::*;
    use crate::model::tags::TagMap;
    use crate::testing::{self, ID};

    /// A managed worker that has run for a day, with basic monitoring and the workers' instance profile.
    pub(super) fn instance() -> Instance {
        // Clients take long to make, and some tests ask for a million instances.
        static INSTANCE: LazyLock<Instance> = LazyLock::new(|| {
            let instance = aws_sdk_ec2::types::Instance::builder().instance_id(ID).image_id("ami-0123456789abcdef0");
            let instance = instance.instance_type("c5.2xlarge".into()).build();
            Instance {
                state: "running".to_owned(),
                age_seconds: Some(86_400),
                iam_instance_profile_arn: Some("arn:aws:iam::123456789012:instance-profile/CMLWorker".to_owned()),
                managed: true,
                ..Instance::from_ec2(&instance, &testing::region(), &testing::clients(&[]))
            }
        });
        INSTANCE.clone()
    }

    /// The names and values of a request's dimensions, sorted.
    pub(super) fn dimensions(request: &GetMetricStatisticsInput) -> Vec<(&str, &str)> {
        let mut pairs: Vec<_> = request
            .dimensions()
            .iter()
            .map(|dimension| (dimension.name().unwrap_or_default(), dimension.value().unwrap_or_default()))
            .collect();
        pairs.sort_unstable();
        pairs
    }

    fn sets(metric: MetricName, instance: &Instance) -> Vec<String> {
        let names = |set: Vec<Dimension>| set.iter().filter_map(Dimension::name).collect::<Vec<_>>().join(" ");
        metric.dimension_sets(instance).into_iter().map(names).collect()
    }

    #[test]
    fn memory_is_looked_for_with_all_that_the_agent_can_append() {
        let mut instance = instance();
        assert_eq!(sets(MetricName::CpuUtilization, &instance), ["InstanceId"]);
        let alone = ["InstanceId", "InstanceId ImageId", "InstanceId InstanceType", "InstanceId ImageId InstanceType"];
        assert_eq!(sets(MetricName::MemUsedPercent, &instance), alone);
        instance.tags = TagMap::from([("aws:autoscaling:groupName".to_owned(), "workers".to_owned())]);
        assert_eq!(sets(MetricName::CpuUtilization, &instance), ["InstanceId"]);
        let grouped = alone.map(|set| format!("{set} AutoScalingGroupName"));
        assert_eq!(sets(MetricName::MemUsedPercent, &instance), [alone.map(str::to_owned), grouped].concat());
    }
}
