//! Numbers that CloudWatch keeps as metrics. `docs/MONITORING.md` has the table of all of them.

use std::collections::BTreeMap;

/// The value of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The name of the metric.
    pub metric: Metric,
    /// The value, in the metric's unit.
    pub value: f64,
    /// The sets of dimensions that it is kept under. Each set makes a metric of its own, which AWS charges for.
    pub dimensions: Vec<Dimensions>,
}

/// A set of dimensions: names and values. Each has few values, for AWS charges for each combination.
pub type Dimensions = Vec<(&'static str, String)>;

/// The unit of a metric, by CloudWatch's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Milliseconds.
    Milliseconds,
}

/// The metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The invocations of a function.
    Requests,
    /// The time from the event to the answer.
    Latency,
    /// That time, of a request that asked to wait for a state.
    LatencyWithWait,
    /// The answers with a status of 500 and above, and the invocations that failed.
    Faults,
    /// The errors that callers got.
    Errors,
    /// The permissions that the role lacked.
    MissingPermissions,
    /// The calls of AWS.
    AwsCalls,
    /// The attempts beyond the first one of each call of AWS.
    AwsRetries,
    /// The first invocations of execution environments.
    ColdStarts,
    /// The checks of the health check that failed.
    HealthCheckFailures,
    /// The time that a check of the health check took.
    HealthCheckLatency,
    /// The sweeps that ended.
    Sweeps,
    /// The workers that a sweep saw.
    Workers,
    /// The workers that a sweep found idle.
    IdleWorkers,
    /// The workers that a sweep found impaired.
    ImpairedWorkers,
    /// The workers that a sweep found to be orphans.
    OrphanedWorkers,
    /// The workers that a sweep stopped or terminated.
    ActedWorkers,
    /// The workers that a rule wanted to be stopped or terminated beyond the most that is allowed.
    HeldBackWorkers,
    /// What failed in a sweep.
    SweepFailures,
}

impl Metric {
    /// Its name in CloudWatch.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "Requests",
            Self::Latency => "Latency",
            Self::LatencyWithWait => "LatencyWithWait",
            Self::Faults => "Faults",
            Self::Errors => "Errors",
            Self::MissingPermissions => "MissingPermissions",
            Self::AwsCalls => "AwsCalls",
            Self::AwsRetries => "AwsRetries",
            Self::ColdStarts => "ColdStarts",
            Self::HealthCheckFailures => "HealthCheckFailures",
            Self::HealthCheckLatency => "HealthCheckLatency",
            Self::Sweeps => "Sweeps",
            Self::Workers => "Workers",
            Self::IdleWorkers => "IdleWorkers",
            Self::ImpairedWorkers => "ImpairedWorkers",
            Self::OrphanedWorkers => "OrphanedWorkers",
            Self::ActedWorkers => "ActedWorkers",
            Self::HeldBackWorkers => "HeldBackWorkers",
            Self::SweepFailures => "SweepFailures",
        }
    }

    /// Its unit.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Self::Latency | Self::LatencyWithWait | Self::HealthCheckLatency => Unit::Milliseconds,
            _ => Unit::Count,
        }
    }
}

impl Measurement {
    /// A value under these sets of dimensions.
    #[must_use]
    pub fn new(metric: Metric, value: f64, dimensions: &[Dimensions]) -> Self {
        Self { metric, value, dimensions: dimensions.to_vec() }
    }

    /// Calls that AWS denied, counted by the permission that the role lacks, such as `ec2:StartInstances`.
    pub fn missing<'a>(permissions: impl Iterator<Item = &'a str>) -> Vec<Self> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        permissions.for_each(|permission| *counts.entry(permission).or_default() += 1);
        let under = |permission: &str| [Vec::new(), vec![("Permission", permission.to_owned())]];
        let of = |(permission, count)| Self::count(Metric::MissingPermissions, count, &under(permission));
        counts.into_iter().map(of).collect()
    }

    /// A number of things under these sets of dimensions.
    #[must_use]
    pub fn count(metric: Metric, count: usize, dimensions: &[Dimensions]) -> Self {
        // A 64-bit number has no exact f64, and nothing here is counted beyond 2^32.
        Self::new(metric, u32::try_from(count).map_or(f64::MAX, f64::from), dimensions)
    }
}
