//! Numbers that CloudWatch keeps as metrics. `docs/MONITORING.md` has the table of all of them.

use std::collections::BTreeMap;
use std::time::Duration;

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

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in CloudWatch.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
}

impl Metric {
    /// The invocations of a function.
    pub const REQUESTS: Self = Self { name: "Requests", unit: Unit::Count };
    /// The time from the event to the answer.
    pub const LATENCY: Self = Self { name: "Latency", unit: Unit::Milliseconds };
    /// That time, of a request that asked to wait for a state.
    pub const LATENCY_WITH_WAIT: Self = Self { name: "LatencyWithWait", unit: Unit::Milliseconds };
    /// The answers with a status of 500 and above, and the invocations that failed.
    pub const FAULTS: Self = Self { name: "Faults", unit: Unit::Count };
    /// The errors that callers got.
    pub const ERRORS: Self = Self { name: "Errors", unit: Unit::Count };
    /// The calls that AWS denied because the role lacks a permission.
    pub const MISSING_PERMISSIONS: Self = Self { name: "MissingPermissions", unit: Unit::Count };
    /// The calls of AWS.
    pub const AWS_CALLS: Self = Self { name: "AwsCalls", unit: Unit::Count };
    /// The attempts beyond the first one of each call of AWS.
    pub const AWS_RETRIES: Self = Self { name: "AwsRetries", unit: Unit::Count };
    /// The first invocations of execution environments.
    pub const COLD_STARTS: Self = Self { name: "ColdStarts", unit: Unit::Count };
    /// The checks of the health check that failed.
    pub const HEALTH_CHECK_FAILURES: Self = Self { name: "HealthCheckFailures", unit: Unit::Count };
    /// The time that a check of the health check took.
    pub const HEALTH_CHECK_LATENCY: Self = Self { name: "HealthCheckLatency", unit: Unit::Milliseconds };
    /// The sweeps that ended.
    pub const SWEEPS: Self = Self { name: "Sweeps", unit: Unit::Count };
    /// The workers that a sweep saw.
    pub const WORKERS: Self = Self { name: "Workers", unit: Unit::Count };
    /// The workers that a sweep found idle.
    pub const IDLE_WORKERS: Self = Self { name: "IdleWorkers", unit: Unit::Count };
    /// The workers that a sweep found impaired.
    pub const IMPAIRED_WORKERS: Self = Self { name: "ImpairedWorkers", unit: Unit::Count };
    /// The workers that a sweep found to be orphans.
    pub const ORPHANED_WORKERS: Self = Self { name: "OrphanedWorkers", unit: Unit::Count };
    /// The workers that a sweep stopped or terminated.
    pub const ACTED_WORKERS: Self = Self { name: "ActedWorkers", unit: Unit::Count };
    /// The workers that a rule wanted to be stopped or terminated beyond the most that is allowed.
    pub const HELD_BACK_WORKERS: Self = Self { name: "HeldBackWorkers", unit: Unit::Count };
    /// What failed in a sweep.
    pub const SWEEP_FAILURES: Self = Self { name: "SweepFailures", unit: Unit::Count };
}

impl Measurement {
    fn new(metric: Metric, value: f64, dimensions: &[Dimensions]) -> Self {
        Self { metric, value, dimensions: dimensions.to_vec() }
    }

    /// Calls that AWS denied, counted by the permission that the role lacks, such as `ec2:StartInstances`.
    pub fn missing<'a>(permissions: impl Iterator<Item = &'a str>) -> Vec<Self> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        permissions.for_each(|permission| *counts.entry(permission).or_default() += 1);
        let under = |permission: &str| [vec![("Permission", permission.to_owned())]];
        let of = |(permission, count)| Self::count(Metric::MISSING_PERMISSIONS, count, &under(permission));
        counts.into_iter().map(of).collect()
    }

    /// A time under these sets of dimensions.
    #[must_use]
    pub fn time(metric: Metric, time: Duration, dimensions: &[Dimensions]) -> Self {
        Self::new(metric, time.as_secs_f64() * 1000.0, dimensions)
    }

    /// A number of things under these sets of dimensions.
    #[must_use]
    pub fn count(metric: Metric, count: usize, dimensions: &[Dimensions]) -> Self {
        // A 64-bit number has no exact f64, and nothing here is counted beyond 2^32.
        Self::new(metric, u32::try_from(count).map_or(f64::MAX, f64::from), dimensions)
    }
}
