use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use aws_smithy_async::time::TimeSource;
use shared::api::events::within;
use shared::model::sweep::HEARTBEAT_KEY;
use shared::model::sweep::rules::{Rules, Wish};
use shared::ops::sweep_workers::report::SweepReport;
use tokio::time::{Instant, sleep};

use super::life::{HOUR, MINUTE, TIMEOUT, moment};
use super::story::sweeper;
use super::*;
use crate::simulation::{Aws, Clock, Instance, KINDEST, Kind, Life, common};

/// Stories of one run of the tests.
const STORIES: u64 = 20;

#[test]
fn nothing_is_stopped_or_terminated_without_a_reason() {
    let report = Report::of_range(0..STORIES);
    std::io::stderr().write_all(report.table().as_bytes()).unwrap();
    assert!(report.wrong.is_empty(), "{}", report.table());
    let verdicts = ["leave", "report", "mark", "unmark", "stop", "terminate", "held back", "failures", "events"];
    let actions = ["stop idle", "stop impaired", "stop orphan", "terminate orphan"];
    for name in verdicts.into_iter().chain(actions) {
        assert!(report.counts.get(name).is_some_and(|count| *count > 0), "no {name} in any story");
    }
}

/// The regions of the large fleet.
const FOUR: [&str; 4] = ["us-east-1", "eu-west-1", "us-west-2", "ap-southeast-2"];

/// Sweeps 500 workers in four regions of an AWS that takes 100 ms for each call, with all rules on; gives the report, how
/// often each call was made, and how long it took. All are orphans, if `abandoned`.
async fn large_sweep(abandoned: bool) -> (SweepReport, BTreeMap<String, u64>, Duration) {
    let (clock, kind) = (Clock::start(), Kind { latency: 100, ..KINDEST });
    let aws = Aws::new(kind, 1, clock);
    aws.change(|instances, _| instances.clear());
    for number in 0..500_usize {
        let life = Life { loads: vec![(0, 50.0)], ..Life::default() };
        let mut worker = Instance::worker(format!("i-0{number:016x}"), FOUR[number % 4], 0, life);
        if !abandoned {
            worker.retag(0, HEARTBEAT_KEY, Some(&moment(3 * HOUR).to_string()));
        }
        aws.change(|instances, _| instances.push(worker));
    }
    sleep(Duration::from_millis(3 * HOUR + 2 * MINUTE)).await;
    let (stop, end) = (Some(Wish::Stop), Some(Wish::Terminate));
    let rules = Rules { on_idle: stop, on_impaired: stop, on_orphan: end, ..Rules::default() };
    let sweeper = sweeper(&common().await, &aws, clock, kind.retries, |config| {
        config.allowed_regions = FOUR.map(|region| region.to_owned().try_into().unwrap()).to_vec();
        config.sweep.rules = rules;
    });
    let (start, now) = (Instant::now(), clock.now());
    let report =
        within(now + Duration::from_millis(TIMEOUT), now, async { Ok(sweeper.sweep_workers().await) }).await.unwrap();
    (report, aws.counts(), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn five_hundred_workers_in_four_regions_take_ten_seconds_and_counted_calls() {
    for abandoned in [false, true] {
        let (report, calls, time) = large_sweep(abandoned).await;
        assert!(time <= Duration::from_secs(10), "{time:?} {calls:?}");
        let marks = if abandoned { 500 } else { 0 };
        // The first sweep remembers what it saw of 100 workers in one call; in the regions beside the stack's own it tells each one's
        // state.
        let expected = [
            ("CreateTags", 8 + marks),
            ("DescribeInstanceStatus", 8),
            ("DescribeInstances", 4),
            ("GetMetricStatistics", 500),
            ("PutEvents", 375 + marks),
        ];
        let expected = expected.map(|(name, count)| (name.to_owned(), count));
        assert_eq!(calls, BTreeMap::from(expected));
        let workers: usize = report.regions.iter().map(|region| region.workers).sum();
        assert_eq!((report.regions.len(), workers), (FOUR.len(), 500));
        assert!(report.regions.iter().all(|region| region.failures.is_empty()));
    }
}
