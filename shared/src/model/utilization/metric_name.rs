//! The two metrics, as CloudWatch names them.

use aws_sdk_cloudwatch::types::Dimension;

use crate::model::instance::Instance;

/// Which metric to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricName {
    /// EC2's own CPU metric.
    CpuUtilization,
    /// The CloudWatch agent's memory metric; EC2 cannot see inside an instance.
    MemUsedPercent,
}

/// The dimensions of one metric. CloudWatch finds a metric only by exactly its dimensions.
type Dimensions = Vec<Dimension>;

impl MetricName {
    /// CloudWatch's namespace of the metric, which tells who publishes it.
    #[must_use]
    pub fn namespace(self) -> &'static str {
        match self {
            Self::CpuUtilization => "AWS/EC2",
            Self::MemUsedPercent => "CWAgent",
        }
    }

    /// CloudWatch's name of the metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CpuUtilization => "CPUUtilization",
            Self::MemUsedPercent => "mem_used_percent",
        }
    }

    /// Whether the CloudWatch agent publishes the metric, and not EC2.
    pub(super) fn is_the_agents(self) -> bool {
        match self {
            Self::CpuUtilization => false,
            Self::MemUsedPercent => true,
        }
    }

    /// The seconds between two points of the metric. The agent publishes each minute, whatever EC2's own monitoring does.
    pub(crate) fn period(self, instance: &Instance) -> u32 {
        if self.is_the_agents() || instance.detailed_monitoring { 60 } else { 300 }
    }

    /// How many seconds ago the newest point can have begun if all works as it should: a period, and the time that
    /// CloudWatch takes to show a point.
    pub(super) fn oldest_newest(self, instance: &Instance) -> u64 {
        if self.period(instance) == 60 { 5 * 60 } else { 20 * 60 }
    }

    /// Seconds after the instance's start by which the first point is shown. An agent takes longer, as it is installed
    /// first.
    pub(super) fn first_point_seconds(self, instance: &Instance) -> u64 {
        self.oldest_newest(instance) + if self.is_the_agents() { 5 * 60 } else { 0 }
    }

    /// All sets of dimensions with which the metric can have been published.
    ///
    /// An agent appends those of the four dimensions used here that its configuration names, and it knows no others. A
    /// metric without `InstanceId` does not belong to a single instance.
    pub(crate) fn dimension_sets(self, instance: &Instance) -> Vec<Dimensions> {
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

#[cfg(test)]
mod tests {
    use super::super::tests::instance;
    use super::*;
    use crate::model::tags::TagMap;

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
