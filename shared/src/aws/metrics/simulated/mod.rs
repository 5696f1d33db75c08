//! A simulated CloudWatch that publishes as AWS's does, in virtual time, and tests of what we measure with it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::operation::get_metric_statistics::{GetMetricStatisticsInput, GetMetricStatisticsOutput};
use aws_smithy_mocks::{MockResponse, mock};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::measure;
use crate::model::utilization::tests::instance;
use crate::model::utilization::{Absence, Metric, MetricName, Span, UtilizationQuery, Window, written};
use crate::testing::{self, worker};

mod published;
mod world;

use published::Published;
use world::{Agent, World};

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;
/// When the simulated hour begins. Any full hour would do.
const HOUR: u64 = 1_798_000_000 - 1_798_000_000 % 3600;
/// Four short windows and three long ones.
const WINDOWS: [&str; 7] = ["30s", "1m", "5m", "10m", "1h", "6h", "24h"];

fn window(text: &str) -> Window {
    Window::try_from(text.to_owned()).unwrap()
}

fn moment(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The expected answer, computed sample by sample: average, maximum, and the average and the stamp of the newest point.
fn reference(
    published: Published,
    window: &Window,
    period: u64,
    now: u64,
) -> (Option<f64>, Option<f64>, Option<(f64, u64)>) {
    let start = now - window.duration().as_secs();
    let stamp = |minute: u64| minute - minute % period;
    let (mut count, mut sum, mut maximum) = (0.0, 0.0, f64::MIN);
    for (minute, sample) in published.shown(start - period, now, now) {
        if stamp(minute) + period > start {
            (count, sum, maximum) = (count + 1.0, sum + sample, f64::max(maximum, sample));
        }
    }
    // The search goes back to the launch, so that a read of too little is noticed.
    let newest = (0..=now.min(now - published.launched) / MINUTE).map(|back| now - now % MINUTE - back * MINUTE);
    let newest = newest.into_iter().find(|minute| published.shows(*minute, now)).map(|minute| {
        let point: Vec<f64> = published.shown(stamp(minute), now, now).map(|(_, sample)| sample).collect();
        (point.iter().sum::<f64>() / f64::from(u32::try_from(point.len()).unwrap()), stamp(minute))
    });
    ((count > 0.0).then(|| sum / count), (count > 0.0).then_some(maximum), newest)
}

fn close(left: Option<f64>, right: Option<f64>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => (left - right).abs() < 1e-9,
        (left, right) => left == right,
    }
}

/// Compares a metric with the reference.
fn assert_right(metric: &Metric, published: Published, window: &Window, now: u64) {
    let (average, maximum, newest) = reference(published, window, u64::from(metric.period_seconds), now);
    let case = || format!("{published:?} {window} {now}: {metric:?}");
    assert!(close(metric.average, average), "{average:?} {}", case());
    assert!(close(metric.maximum, maximum), "{maximum:?} {}", case());
    assert!(close(metric.latest, newest.map(|(latest, _)| latest)), "{newest:?} {}", case());
    assert_eq!(metric.latest_at, newest.and_then(|(_, at)| written(at)), "{}", case());
    assert_eq!(metric.age_seconds, newest.map(|(_, at)| now - at), "{}", case());
    assert_eq!((metric.available, metric.cause.is_none()), (newest.is_some(), average.is_some()), "{}", case());
}

/// Each kind of monitoring with each delay; basic monitoring also with the current period shown.
fn kinds(launched: u64) -> Vec<Published> {
    let basic = (5..=15).flat_map(|delay| [false, true].map(|running| Published::basic(delay, running, launched)));
    basic.chain((1..=4).map(|delay| Published::detailed(delay, launched))).collect()
}

fn summed(published: Published, window: &Window, now: u64) -> Metric {
    let mut instance = instance();
    instance.age_seconds = Some(now - published.launched);
    let span = Span::new(window, u32::try_from(published.period).unwrap(), moment(now));
    let found = published.statistics(span.read_from, span.end, u64::from(span.period), now);
    Metric::new(&found, span, false, |newest| Absence::new(MetricName::CpuUtilization, &instance, newest))
}

#[test]
fn at_every_second_of_an_hour_every_window_agrees_with_the_reference() {
    let mut compared = 0;
    for published in kinds(HOUR - 2 * DAY) {
        for text in WINDOWS {
            let window = window(text);
            for now in HOUR..HOUR + 3600 {
                let metric = summed(published, &window, now);
                assert_right(&metric, published, &window, now);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 3600 * 7 * 26);
}

#[test]
fn a_worker_running_25_minutes_always_has_a_latest_value() {
    for now in HOUR..HOUR + 3600 {
        for published in kinds(now - 25 * MINUTE) {
            for text in WINDOWS {
                let window = window(text);
                let metric = summed(published, &window, now);
                assert!(metric.available && metric.latest.is_some(), "{published:?} {text} {now}");
                assert_right(&metric, published, &window, now);
            }
        }
    }
}

/// Agents, with their dimensions sorted by name.
const AGENTS: [Agent; 9] = [
    Agent::None,
    Agent::With(&["InstanceId"]),
    Agent::With(&["InstanceId", "InstanceType"]),
    Agent::With(&["AutoScalingGroupName", "InstanceId"]),
    Agent::With(&["ImageId", "InstanceId", "InstanceType"]),
    Agent::With(&["AutoScalingGroupName", "ImageId", "InstanceId", "InstanceType"]),
    Agent::WithBoth(&["InstanceId"], &["ImageId", "InstanceId", "InstanceType"]),
    Agent::Changed(&["InstanceId"], &["ImageId", "InstanceId", "InstanceType"]),
    Agent::Changed(&["ImageId", "InstanceId", "InstanceType"], &["InstanceId"]),
];

fn worlds() -> impl Strategy<Value = (World, &'static str)> {
    // The instance is old enough that its agent can have got another configuration ten minutes ago. The first point with
    // that configuration is shown within five minutes.
    let memory = (1..=4_u64, 20 * MINUTE..=DAY);
    (
        any::<bool>(),
        5..=15_u64,
        1..=4_u64,
        any::<bool>(),
        memory,
        select(&AGENTS[..]),
        0..3600_u64,
        select(&WINDOWS[..]),
    )
        .prop_map(|(detailed, slow, fast, running, (delay, age), agent, second, window)| {
            let now = HOUR + second;
            let cpu = if detailed {
                Published::detailed(fast, now - age)
            } else {
                Published::basic(slow, running, now - age)
            };
            (World { cpu, memory: Published::detailed(delay, now - age), agent, now }, window)
        })
}

#[test]
fn through_the_sdk_a_thousand_drawn_moments_agree_with_the_reference() {
    let drawn = Arc::new(Mutex::new(None::<World>));
    let asked = Arc::clone(&drawn);
    let rule = mock!(Client::get_metric_statistics).then_compute_response(move |request: &GetMetricStatisticsInput| {
        let world = asked.lock().unwrap().clone().unwrap();
        MockResponse::<GetMetricStatisticsOutput, _>::Http(world.answer(request))
    });
    let clients = testing::clients(&[&rule]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: 1000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&worlds(), |(world, text)| {
        *drawn.lock().unwrap() = Some(world.clone());
        let mut instance = instance();
        instance.detailed_monitoring = world.cpu.period == MINUTE;
        instance.age_seconds = Some(world.now - world.cpu.launched);
        instance.tags.insert("aws:autoscaling:groupName".to_owned(), "workers".to_owned());
        let query = UtilizationQuery { window: window(text), series: true };
        let worker = worker();
        let answer = measure(&clients, &worker, &instance, &query, moment(world.now));
        let answer = runtime.block_on(answer).unwrap();
        assert_right(&answer.cpu, world.cpu, &query.window, world.now);
        match world.current_memory() {
            Some(memory) => assert_right(&answer.memory, memory, &query.window, world.now),
            None => prop_assert!(!answer.memory.available),
        }
        prop_assert_eq!(answer.start_time, written(world.now - query.window.duration().as_secs()));
        prop_assert_eq!(answer.end_time, written(world.now));
        prop_assert!(answer.cpu.points.is_some_and(|points| points.len() <= 1440));
        Ok(())
    });
    result.unwrap();
}
