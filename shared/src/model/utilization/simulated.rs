//! A simulated CloudWatch that publishes as AWS's does, in virtual time, and tests of what we measure with it.
//!
//! A sample is taken each minute. A point is stamped with the begin of its period and shown some time later: either as a
//! whole, as on Xen, or from its first sample on and then updated, as on Nitro. `docs/PROOFS.md` has AWS's sentences about
//! both; no page says how long "some time" is.

use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::http::HttpResponse;
use aws_sdk_cloudwatch::operation::get_metric_statistics::{GetMetricStatisticsInput, GetMetricStatisticsOutput};
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::Statistic;
use aws_smithy_cbor::Encoder;
use aws_smithy_mocks::{MockResponse, mock};
use aws_smithy_types::body::SdkBody;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::tests::{dimensions, instance};
use super::*;
use crate::aws::metrics::measure;
use crate::testing::{self, worker};

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;
/// When the simulated hour begins. Any full hour would do.
const HOUR: u64 = 1_798_000_000 - 1_798_000_000 % 3600;
/// Four short windows and three long ones.
const WINDOWS: [&str; 7] = ["30s", "1m", "5m", "10m", "1h", "6h", "24h"];

/// One metric of one instance, and how it is published.
#[derive(Debug, Clone, Copy)]
struct Published {
    /// Seconds that one point covers.
    period: u64,
    /// Seconds from a point's stamp until it is shown with all its samples.
    delay: u64,
    /// Whether the current period is shown, too, with its samples so far.
    running: bool,
    /// When the instance was started.
    launched: u64,
    /// When the metric was last published with these dimensions: an agent can get another configuration.
    ended: u64,
}

impl Published {
    fn basic(delay_minutes: u64, running: bool, launched: u64) -> Self {
        Self { period: 5 * MINUTE, delay: delay_minutes * MINUTE, running, launched, ended: u64::MAX }
    }

    fn detailed(delay_minutes: u64, launched: u64) -> Self {
        Self { period: MINUTE, delay: delay_minutes * MINUTE, running: false, launched, ended: u64::MAX }
    }

    /// The sample of a minute: any number that differs from its neighbours'.
    fn sample(minute: u64) -> f64 {
        f64::from(u32::try_from(minute.wrapping_mul(2_654_435_761) % 101).unwrap())
    }

    /// Whether the sample that was taken at `minute` is shown at `now`.
    fn shows(self, minute: u64, now: u64) -> bool {
        let whole = minute - minute % self.period + self.delay;
        // The last sample of a running period is shown when a whole period would be; each other sample is shown as much
        // earlier as it was taken earlier.
        let shown = if self.running { minute + MINUTE + self.delay - self.period } else { whole };
        (self.launched..self.ended).contains(&minute) && shown <= now
    }

    /// The samples of the minutes from `from` up to `to` that are shown at `now`.
    fn shown(self, from: u64, to: u64, now: u64) -> impl Iterator<Item = (u64, f64)> {
        let minutes = (from.div_ceil(MINUTE)..to.div_ceil(MINUTE)).map(|minute| minute * MINUTE);
        minutes.filter(move |minute| self.shows(*minute, now)).map(|minute| (minute, Self::sample(minute)))
    }

    /// GetMetricStatistics, newest first: "Data points are not returned in chronological order."
    fn statistics(self, from: u64, to: u64, period: u64, now: u64) -> Vec<Samples> {
        let points = (from..to).step_by(usize::try_from(period).unwrap()).filter_map(|at| {
            let (mut count, mut sum, mut maximum) = (0.0, 0.0, f64::MIN);
            for (_, sample) in self.shown(at, at + period, now) {
                (count, sum, maximum) = (count + 1.0, sum + sample, f64::max(maximum, sample));
            }
            (count > 0.0).then(|| Samples { at, count, average: sum / count, maximum })
        });
        let mut points: Vec<Samples> = points.collect();
        points.reverse();
        points
    }
}

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

/// The metrics of the instance that the simulated CloudWatch has at a moment of its virtual time.
#[derive(Debug, Clone)]
struct World {
    cpu: Published,
    memory: Published,
    agent: Agent,
    now: u64,
}

/// The dimensions with which an agent publishes, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agent {
    None,
    With(&'static [&'static str]),
    /// The same samples with two sets of dimensions, like an agent that aggregates.
    WithBoth(&'static [&'static str], &'static [&'static str]),
    /// First with one set, and since ten minutes ago with the other.
    Changed(&'static [&'static str], &'static [&'static str]),
}

impl World {
    /// The memory metric that is published with these dimensions.
    fn memory_with(&self, names: &[&str]) -> Option<Published> {
        match self.agent {
            Agent::None => None,
            Agent::With(one) => (names == one).then_some(self.memory),
            Agent::WithBoth(one, other) => (names == one || names == other).then_some(self.memory),
            Agent::Changed(before, after) => {
                let at = self.now - 10 * MINUTE;
                let (old, new) = (Published { ended: at, ..self.memory }, Published { launched: at, ..self.memory });
                if names == before { Some(old) } else { (names == after).then_some(new) }
            }
        }
    }

    /// The metric that an answer should show: the one that the agent publishes now, if it publishes any.
    fn current_memory(&self) -> Option<Published> {
        match self.agent {
            Agent::None => None,
            Agent::With(_) | Agent::WithBoth(..) => Some(self.memory),
            Agent::Changed(_, after) => self.memory_with(after),
        }
    }

    fn answer(&self, request: &GetMetricStatisticsInput) -> HttpResponse {
        assert_eq!(request.statistics(), [Statistic::SampleCount, Statistic::Average, Statistic::Maximum]);
        let names: Vec<&str> = dimensions(request).into_iter().map(|(name, _)| name).collect();
        let published = match (request.namespace(), request.metric_name()) {
            (Some("AWS/EC2"), Some("CPUUtilization")) if names == ["InstanceId"] => Some(self.cpu),
            (Some("CWAgent"), Some("mem_used_percent")) => self.memory_with(&names),
            _ => None,
        };
        let seconds = |time: Option<&DateTime>| u64::try_from(time.unwrap().secs()).unwrap();
        let (from, to) = (seconds(request.start_time()), seconds(request.end_time()));
        let period = u64::try_from(request.period().unwrap()).unwrap();
        assert!((to - from).div_ceil(period) <= 1440, "more points than CloudWatch returns");
        let points = published.map(|published| published.statistics(from, to, period, self.now));
        cbor(&points.unwrap_or_default())
    }
}

/// An answer as CloudWatch writes it: smithy's rpc-v2-cbor.
fn cbor(points: &[Samples]) -> HttpResponse {
    let mut body = Encoder::new(Vec::new());
    body.map(2).str("Label").str("CPUUtilization").str("Datapoints").array(points.len());
    for point in points {
        let at = DateTime::from_secs(i64::try_from(point.at).unwrap());
        body.map(5).str("Timestamp").timestamp(&at).str("SampleCount").double(point.count);
        body.str("Average").double(point.average).str("Maximum").double(point.maximum).str("Unit").str("Percent");
    }
    let body = body.into_writer();
    if !points.is_empty() {
        // One answer stands for all, which differ only in their numbers.
        static FIRST: Once = Once::new();
        FIRST.call_once(|| testing::journal(Some("GetMetricStatistics"), 200, &body));
    }
    let mut response = HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body));
    response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
    response.headers_mut().insert("content-type", "application/cbor");
    response
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
