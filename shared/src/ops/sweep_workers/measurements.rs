//! What CloudWatch keeps of a sweep.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::error::problem::code_name;
use crate::model::document::{Document, Notice};
use crate::model::measurement::{Dimensions, Measurement, Metric};
use crate::model::state::State;
use crate::model::sweep::facts::Checks;
use crate::ops::sweep_workers::report::{Line, RegionReport, SweepReport};

/// The states that are always counted, so that a fleet without workers is seen to have none.
const ALWAYS: [State; 4] = [State::Pending, State::Running, State::Stopping, State::Stopped];

/// A metric of a sweep, and where its number stands in the report of a region.
type Count = (Metric, fn(&RegionReport) -> Option<usize>);

const COUNTS: [Count; 5] = [
    (Metric::IDLE_WORKERS, |region| region.idle),
    (Metric::IMPAIRED_WORKERS, |region| Some(region.impaired)),
    (Metric::ORPHANED_WORKERS, |region| region.orphaned),
    (Metric::ACTED_WORKERS, |region| Some(region.acted)),
    (Metric::HELD_BACK_WORKERS, |region| Some(region.held_back)),
];

impl Document for SweepReport {
    fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// A warning for each failure and for each impaired worker, so that one can search for them.
    fn notices(&self) -> Vec<Notice> {
        self.regions.iter().flat_map(|region| region.warnings()).map(Notice::Warning).collect()
    }

    /// The numbers of each region that could be read, their sums, and what failed. What has the same dimensions stands together,
    /// for it shares a line.
    fn measurements(&self) -> Vec<Measurement> {
        if !self.is_sweep {
            return Vec::new();
        }
        let read: Vec<&RegionReport> = self.regions.iter().filter(|region| region.is_read).collect();
        let failures = self.regions.iter().map(|region| region.failures.len()).sum();
        let mut measurements = vec![Measurement::count(Metric::SWEEPS, 1, &NOWHERE)];
        measurements.push(Measurement::count(Metric::SWEEP_FAILURES, failures, &NOWHERE));
        measurements.extend(counts(&read, &NOWHERE));
        for region in &read {
            measurements.extend(counts(&[*region], &[vec![place(region)]]));
        }
        measurements.extend(workers(&read));
        measurements.extend(self.regions.iter().flat_map(failures_by_code));
        let denied = self.regions.iter().flat_map(|region| &region.failures);
        measurements.extend(Measurement::missing(denied.filter_map(|failure| failure.missing_permission.as_deref())));
        measurements
    }
}

/// The set without dimensions, for the sum over all regions.
const NOWHERE: [Dimensions; 1] = [Vec::new()];

fn place(region: &RegionReport) -> (&'static str, String) {
    ("Region", region.region.clone())
}

/// What was counted in these regions together. A number that no region knows is none.
fn counts(regions: &[&RegionReport], dimensions: &[Dimensions]) -> Vec<Measurement> {
    let known = COUNTS.into_iter().filter_map(|(metric, number)| {
        let numbers: Vec<usize> = regions.iter().filter_map(|region| number(region)).collect();
        (!numbers.is_empty()).then(|| Measurement::count(metric, numbers.iter().sum(), dimensions))
    });
    known.collect()
}

/// The workers in each state, of all regions together and of each region.
fn workers(read: &[&RegionReport]) -> Vec<Measurement> {
    let mut sums = BTreeMap::new();
    let mut measurements = Vec::new();
    for region in read {
        for (state, count) in states(region) {
            *sums.entry(state.clone()).or_default() += count;
            let dimensions = vec![place(region), ("State", state)];
            measurements.push(Measurement::count(Metric::WORKERS, count, &[dimensions]));
        }
    }
    let sums = sums.into_iter().map(|(state, sum)| Measurement::count(Metric::WORKERS, sum, &[vec![("State", state)]]));
    measurements.extend(sums);
    measurements
}

fn states(region: &RegionReport) -> BTreeMap<String, usize> {
    let mut states: BTreeMap<String, usize> = ALWAYS.iter().map(|state| (state.as_str().to_owned(), 0)).collect();
    states.extend(region.states.clone());
    states
}

/// What failed in a region, by code.
fn failures_by_code(region: &RegionReport) -> Vec<Measurement> {
    let mut by_code: BTreeMap<String, usize> = BTreeMap::new();
    for failure in &region.failures {
        *by_code.entry(code_name(failure.code).unwrap_or_default()).or_default() += 1;
    }
    let of = |(code, count)| Measurement::count(Metric::SWEEP_FAILURES, count, &[vec![place(region), ("Code", code)]]);
    by_code.into_iter().map(of).collect()
}

impl RegionReport {
    fn warnings(&self) -> Vec<String> {
        let impaired = self.lines.iter().filter(|line| line.is_impaired());
        let impaired = impaired.map(|Line { facts, .. }| {
            let failing = facts.checks.as_ref().map(Checks::failing).unwrap_or_default().join(" and ");
            format!("{} in {} is impaired: the {failing} check fails", facts.instance_id, self.region)
        });
        self.failures.iter().map(|failure| failure.warning(&self.region)).chain(impaired).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Denial};
    use crate::ops::sweep_workers::report::Failure;

    fn region(name: &str) -> RegionReport {
        let states = [("running".to_owned(), 3), ("terminated".to_owned(), 1)].into();
        let (idle, impaired, acted) = (Some(2), 1, 1);
        RegionReport {
            region: name.to_owned(),
            is_read: true,
            states,
            idle,
            impaired,
            acted,
            ..RegionReport::default()
        }
    }

    /// The value of a metric under these dimensions, written `a=b`; each is there once.
    fn value(report: &SweepReport, metric: Metric, dimensions: &[&str]) -> Option<f64> {
        let is_of = |set: &Dimensions| {
            set.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>() == dimensions
        };
        let all = report.measurements();
        let found: Vec<f64> = all
            .iter()
            .filter(|one| one.metric == metric && one.dimensions.iter().any(is_of))
            .map(|one| one.value)
            .collect();
        assert!(found.len() < 2, "{metric:?} {dimensions:?}: {found:?}");
        found.first().copied()
    }

    #[test]
    fn a_sweep_is_counted_by_region_and_in_all_but_what_could_not_be_read() {
        let denial = Denial { action: "ec2:DescribeInstances".to_owned(), resource: None, by: None };
        let denied = Error { denial: Some(Box::new(denial)), ..Error::new(Code::MissingPermission, "no") };
        let dead = RegionReport {
            failures: vec![Failure::new(None, &denied)],
            region: "c".to_owned(),
            ..RegionReport::default()
        };
        let report =
            SweepReport { regions: vec![region("a"), region("b"), dead], is_sweep: true, ..SweepReport::default() };
        for (metric, sum, each) in [
            (Metric::IDLE_WORKERS, Some(4.0), Some(2.0)),
            (Metric::IMPAIRED_WORKERS, Some(2.0), Some(1.0)),
            (Metric::ACTED_WORKERS, Some(2.0), Some(1.0)),
            (Metric::HELD_BACK_WORKERS, Some(0.0), Some(0.0)),
            // The rule is off: nobody knows.
            (Metric::ORPHANED_WORKERS, None, None),
        ] {
            assert_eq!(value(&report, metric, &[]), sum, "{metric:?}");
            assert_eq!(value(&report, metric, &["Region=b"]), each, "{metric:?}");
            assert_eq!(value(&report, metric, &["Region=c"]), None, "{metric:?} of a region that nobody saw");
        }
        for (state, sum, each) in [("running", 6.0, 3.0), ("terminated", 2.0, 1.0), ("stopped", 0.0, 0.0)] {
            let state = format!("State={state}");
            assert_eq!(value(&report, Metric::WORKERS, &[&state]), Some(sum));
            assert_eq!(value(&report, Metric::WORKERS, &["Region=a", &state]), Some(each));
            assert_eq!(value(&report, Metric::WORKERS, &["Region=c", &state]), None);
        }
        assert_eq!(value(&report, Metric::SWEEPS, &[]), Some(1.0));
        assert_eq!(value(&report, Metric::SWEEP_FAILURES, &[]), Some(1.0));
        assert_eq!(value(&report, Metric::SWEEP_FAILURES, &["Region=c", "Code=missing_permission"]), Some(1.0));
        assert_eq!(value(&report, Metric::MISSING_PERMISSIONS, &["Permission=ec2:DescribeInstances"]), Some(1.0));
        let warning = "The sweep failed on c (ec2:DescribeInstances): no";
        assert_eq!(report.notices(), [Notice::Warning(warning.to_owned())]);
    }

    #[test]
    fn what_is_no_sweep_counts_nothing() {
        let report = SweepReport { regions: vec![region("a")], ..SweepReport::default() };
        assert_eq!(report.measurements(), []);
    }
}
