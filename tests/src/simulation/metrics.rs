//! CloudWatch's CPU utilization of the simulated instances, as basic monitoring publishes it.

use super::clock::Clock;
use super::ec2::{Ec2, Instance};
use super::wire::{self, MetricRequest};

const MINUTE: u64 = 60_000;

/// A point of basic monitoring covers five minutes.
pub const PERIOD: u64 = 5 * MINUTE;

/// How long after its end a point is shown, in milliseconds. No page says how long it takes; the functions reckon with up to 15
/// minutes from its begin.
pub const DELAY: u64 = 4 * MINUTE;

/// The mean of an instance's load over a period, minute by minute; none if it did not run in any.
pub fn average(instance: &Instance, begin: u64) -> Option<f64> {
    let minutes = (begin..begin + PERIOD).step_by(60_000);
    let loads: Vec<f64> = minutes
        .filter(|minute| instance.state(*minute) == Some("running"))
        .map(|minute| instance.life.load(minute))
        .collect();
    (!loads.is_empty()).then(|| loads.iter().sum::<f64>() / f64::from(u32::try_from(loads.len()).unwrap_or(1)))
}

/// GetMetricStatistics for an instance of a region.
pub fn answer(ec2: &Ec2, region: &str, request: &MetricRequest, now: u64) -> Vec<u8> {
    let of = |one: &&Instance| {
        one.region == region && Some(&one.id) == request.instance_id.as_ref() && !one.life.loads.is_empty()
    };
    let Some(instance) = ec2.instances.iter().find(of) else { return wire::datapoints(Clock::at(now)) };
    let (from, to) = (Clock::milliseconds_of(request.start), Clock::milliseconds_of(request.end));
    let first = from.next_multiple_of(PERIOD);
    let shown = (first..to).step_by(300_000).filter(|begin| begin + PERIOD + DELAY <= now);
    let points: Vec<(u64, f64)> = shown.filter_map(|begin| Some((begin, average(instance, begin)?))).collect();
    // "Data points are not returned in chronological order."
    let points = points.iter().rev().map(|(begin, average)| (Clock::at(*begin), *average));
    wire::points(&points.collect::<Vec<_>>())
}
