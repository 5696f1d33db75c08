//! Why CloudWatch shows no value of a metric.

use serde::Serialize;

use super::metric_name::MetricName;
use super::window::LOOK_BACK;
use crate::model::instance::Instance;
use crate::model::state::State;

/// Why there is no value. If the permission `cloudwatch:GetMetricStatistics` is missing, the whole answer is a 403 instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The instance is not running.
    NotRunning,
    /// The instance was started so recently that its first point is not due yet.
    NotRunningLongEnough,
    /// Detailed monitoring is off, and the window is shorter than the time until CloudWatch shows a point of five minutes.
    DetailedMonitoringOff,
    /// The window is shorter than the time until CloudWatch shows a point of a minute.
    NotShownYet,
    /// Only for memory: the instance has no instance profile, so an agent on it has no permission to publish.
    NoPermission,
    /// Only for memory: no CloudWatch agent publishes the metric with dimensions that are read here.
    NoAgent,
    /// CloudWatch shows no point in the window, although one is due.
    NotShown,
}

/// A [`Cause`], and what it means for this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// The cause.
    pub cause: Cause,
    /// The cause in words.
    pub reason: String,
}

impl Absence {
    /// Why the window has no point. `newest` is the age in seconds of the newest point that was read, if there is one.
    #[must_use]
    pub fn new(metric: MetricName, instance: &Instance, newest: Option<u64>) -> Self {
        let cause = Cause::of(metric, instance, newest);
        let (metric, id, state) = (metric.name(), &instance.instance_id, &instance.state);
        let running = instance.age_seconds.unwrap_or_default();
        let shown = match newest {
            Some(age) => format!("the newest point of {metric} began {age} seconds ago and ended before the window"),
            None => format!(
                "there is no point of {metric} in the window or in the last {} minutes",
                LOOK_BACK.as_secs() / 60
            ),
        };
        let why = match cause {
            Cause::NotRunning => format!("{id} is {state}, and metrics are published only while it runs"),
            Cause::NotRunningLongEnough => {
                format!("{id} has run for {running} seconds, and the first point is not due yet")
            }
            Cause::DetailedMonitoringOff => {
                "detailed monitoring is off, so that EC2 publishes a point only every five minutes, and CloudWatch can show \
                 the point some minutes after the end of these five minutes"
                    .to_owned()
            }
            Cause::NotShownYet => {
                "CloudWatch takes some minutes to show a point, which is longer than this window".to_owned()
            }
            Cause::NoPermission => format!(
                "{id} has no instance profile, so that a CloudWatch agent on it has no permission to publish the metric: \
                 launch workers with the stack's output WorkerInstanceProfileName as iam_instance_profile"
            ),
            Cause::NoAgent => format!(
                "no CloudWatch agent on {id} publishes the metric in the namespace CWAgent with the dimension InstanceId, \
                 alone or together with ImageId, InstanceType or AutoScalingGroupName: iam/README.md has the user_data that \
                 installs an agent"
            ),
            Cause::NotShown => format!("CloudWatch shows no point in the window, although {id} runs and one is due"),
        };
        Self { cause, reason: format!("{shown}: {why}") }
    }
}

impl Cause {
    fn of(metric: MetricName, instance: &Instance, newest: Option<u64>) -> Self {
        let running = instance.age_seconds.unwrap_or(u64::MAX);
        // A point from before the last start says nothing about the time since that start.
        let silent = newest.is_none_or(|age| age > running);
        let agents = metric.is_the_agents();
        if instance.state != State::Running {
            Self::NotRunning
        } else if silent && agents && instance.iam_instance_profile_arn.is_none() {
            Self::NoPermission
        } else if silent && running < metric.first_point_seconds(instance) {
            Self::NotRunningLongEnough
        } else if silent && agents {
            Self::NoAgent
        } else if newest.is_some_and(|age| age > metric.oldest_newest(instance)) || silent {
            Self::NotShown
        } else if agents || instance.detailed_monitoring {
            Self::NotShownYet
        } else {
            Self::DetailedMonitoringOff
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::utilization::tests::instance;

    fn cause(metric: MetricName, newest: Option<u64>, change: impl FnOnce(&mut Instance)) -> Cause {
        let mut instance = instance();
        change(&mut instance);
        let absence = Absence::new(metric, &instance, newest);
        assert!(absence.reason.contains(metric.name()), "{}", absence.reason);
        absence.cause
    }

    #[test]
    fn each_cause_of_missing_cpu_data_is_told() {
        let cpu = |newest, change: fn(&mut Instance)| cause(MetricName::CpuUtilization, newest, change);
        assert_eq!(cpu(None, |i| i.state = State::Stopped), Cause::NotRunning);
        assert_eq!(cpu(Some(400), |i| i.state = State::Stopped), Cause::NotRunning);
        assert_eq!(cpu(None, |i| i.state = State::Terminated), Cause::NotRunning);
        assert_eq!(cpu(None, |i| i.state = State::ShuttingDown), Cause::NotRunning);
        assert_eq!(cpu(None, |i| i.age_seconds = Some(1199)), Cause::NotRunningLongEnough);
        assert_eq!(cpu(None, |i| i.age_seconds = Some(1200)), Cause::NotShown);
        assert_eq!(cpu(Some(700), |_| ()), Cause::DetailedMonitoringOff);
        // The point is from the time before the instance was stopped and started again.
        assert_eq!(cpu(Some(700), |i| i.age_seconds = Some(60)), Cause::NotRunningLongEnough);
        assert_eq!(cpu(Some(60), |i| i.age_seconds = Some(60)), Cause::DetailedMonitoringOff);
        assert_eq!(cpu(Some(1200), |_| ()), Cause::DetailedMonitoringOff);
        assert_eq!(cpu(Some(1201), |_| ()), Cause::NotShown);
        assert_eq!(cpu(Some(100), |i| i.detailed_monitoring = true), Cause::NotShownYet);
        assert_eq!(cpu(Some(301), |i| i.detailed_monitoring = true), Cause::NotShown);
        let young_and_detailed = |seconds| {
            cause(MetricName::CpuUtilization, None, |i| {
                (i.detailed_monitoring, i.age_seconds) = (true, Some(seconds));
            })
        };
        assert_eq!((young_and_detailed(299), young_and_detailed(300)), (Cause::NotRunningLongEnough, Cause::NotShown));
    }

    #[test]
    fn the_reason_says_what_is_there_and_why_there_is_no_more() {
        let mut instance = instance();
        let reason = |instance: &Instance, newest| Absence::new(MetricName::CpuUtilization, instance, newest).reason;
        assert_eq!(
            reason(&instance, Some(700)),
            "the newest point of CPUUtilization began 700 seconds ago and ended before the window: detailed monitoring is off, \
             so that EC2 publishes a point only every five minutes, and CloudWatch can show the point some minutes after the \
             end of these five minutes"
        );
        instance.state = State::Stopped;
        assert_eq!(
            reason(&instance, None),
            "there is no point of CPUUtilization in the window or in the last 30 minutes: i-0123456789abcdef0 is stopped, and \
             metrics are published only while it runs"
        );
    }

    #[test]
    fn each_cause_of_missing_memory_data_is_told() {
        let memory = |newest, change: fn(&mut Instance)| cause(MetricName::MemUsedPercent, newest, change);
        assert_eq!(memory(None, |i| i.state = State::Pending), Cause::NotRunning);
        assert_eq!(memory(None, |_| ()), Cause::NoAgent);
        assert_eq!(memory(None, |i| i.age_seconds = Some(599)), Cause::NotRunningLongEnough);
        assert_eq!(memory(None, |i| i.iam_instance_profile_arn = None), Cause::NoPermission);
        assert_eq!(memory(Some(200), |i| i.iam_instance_profile_arn = None), Cause::NotShownYet);
        assert_eq!(memory(Some(400), |_| ()), Cause::NotShown);
        assert_eq!(memory(Some(1700), |i| i.age_seconds = Some(60)), Cause::NotRunningLongEnough);
        assert_eq!(memory(Some(1700), |i| i.age_seconds = Some(1600)), Cause::NoAgent);
    }
}
