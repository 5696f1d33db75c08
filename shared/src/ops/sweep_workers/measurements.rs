//! What CloudWatch keeps of a sweep.

use std::collections::BTreeMap;

use crate::error::problem::code_name;
use crate::model::document::Document;
use crate::model::measurement::{Dimensions, Measurement, Metric};
use crate::model::state::State;
use crate::ops::sweep_workers::report::{RegionReport, SweepReport};

/// The states that are always counted, so that a fleet without workers is seen to have none.
const ALWAYS: [State; 4] = [State::Pending, State::Running, State::Stopping, State::Stopped];

/// A metric of a sweep, and where its number stands in the report of a region.
type Count = (Metric, fn(&RegionReport) -> usize);

const COUNTS: [Count; 5] = [
    (Metric::IDLE_WORKERS, |region| region.idle),
    (Metric::IMPAIRED_WORKERS, |region| region.impaired),
    (Metric::ORPHANED_WORKERS, |region| region.orphaned),
    (Metric::ACTED_WORKERS, |region| region.acted),
    (Metric::HELD_BACK_WORKERS, |region| region.held_back),
];

impl Document for SweepReport {
    /// The numbers of each region that could be read, their sums, and what failed.
    fn measurements(&self) -> Vec<Measurement> {
        if !self.is_sweep {
            return Vec::new();
        }
        let read: Vec<&RegionReport> = self.regions.iter().filter(|region| region.is_read).collect();
        let mut measurements = vec![Measurement::count(Metric::SWEEPS, 1, &NOWHERE)];
        for (metric, number) in COUNTS {
            let sum = read.iter().map(|region| number(region)).sum();
            measurements.push(Measurement::count(metric, sum, &NOWHERE));
            let of_region = |region: &&RegionReport| Measurement::count(metric, number(region), &[vec![place(region)]]);
            measurements.extend(read.iter().map(of_region));
        }
        measurements.extend(workers(&read));
        measurements.extend(failures(&self.regions));
        measurements
    }
}

/// The set without dimensions, for the sum over all regions.
const NOWHERE: [Dimensions; 1] = [Vec::new()];

fn place(region: &RegionReport) -> (&'static str, String) {
    ("Region", region.region.clone())
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

/// What failed, in all regions together and by region and code.
fn failures(regions: &[RegionReport]) -> Vec<Measurement> {
    let mut by_code = BTreeMap::new();
    for region in regions {
        for failure in &region.failures {
            let code = code_name(failure.code).unwrap_or_default();
            *by_code.entry((region.region.clone(), code)).or_default() += 1;
        }
    }
    let sum = Measurement::count(Metric::SWEEP_FAILURES, by_code.values().sum(), &NOWHERE);
    let each = by_code.into_iter().map(|((region, code), count)| {
        Measurement::count(Metric::SWEEP_FAILURES, count, &[vec![("Region", region), ("Code", code)]])
    });
    let denied = regions.iter().flat_map(|region| &region.failures).filter_map(|one| one.missing_permission.as_deref());
    [sum].into_iter().chain(each).chain(Measurement::missing(denied)).collect()
}
