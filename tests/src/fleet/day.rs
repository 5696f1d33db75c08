//! Lets the hour happen: the sweeps, the monitoring, the morning, and EC2's own events.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::future::{join, join_all};
use futures_util::stream::{self, StreamExt};
use serde_json::json;
use shared::model::time::Moment;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::cloud::{Ask, Cloud};
use super::report::Outcome;
use super::scene::{BEGIN, EVERY, LENGTH, MINUTE, MORNING, Role, Scene, Worker};
use super::verdict;
use crate::simulation::Clock;

/// The most instances of one call.
const MOST_IDS: usize = 100;

/// The pause between two looks at what EC2 has to tell.
const LOOK: u64 = 1_000;

/// One sweep.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    /// When it began and ended.
    pub from: u64,
    pub to: u64,
    /// The workers that it decided about; none if it ended without a report.
    pub seen: Option<HashSet<String>>,
    /// How many workers it stopped.
    pub acted: usize,
    /// What failed in it, by error code.
    pub failures: Vec<String>,
}

/// A launch that a caller asked for, and the statuses of its answers.
#[derive(Debug, Clone)]
pub struct Launch {
    pub name: String,
    pub statuses: Vec<u16>,
}

/// Lets a scene happen, on a runtime of its own whose time skips all pauses.
///
/// # Panics
/// If there is no runtime to be had, or a function panics.
#[expect(clippy::expect_used, reason = "test support")]
pub fn happen(common: &SdkConfig, scene: Scene) -> Outcome {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    fastrand::seed(1);
    LocalSet::new().block_on(&runtime, async {
        let cloud = Rc::new(Cloud::new(common, scene));
        sleep(Duration::from_millis(BEGIN)).await;
        let callers = join(monitoring(&cloud), morning(&cloud));
        let ((sweeps, ()), (longest_round, launches)) = join(join(sweeps(&cloud), ec2_tells(&cloud)), callers).await;
        verdict::of(&cloud, &sweeps, longest_round, &launches)
    })
}

async fn until(cloud: &Cloud, at: u64) {
    sleep(Duration::from_millis(at.saturating_sub(cloud.clock.milliseconds()))).await;
}

/// The schedule's sweeps, one after the other, for an invocation has less time than lies between two.
async fn sweeps(cloud: &Cloud) -> Vec<Sweep> {
    let mut sweeps = Vec::new();
    for number in 0..=LENGTH / EVERY {
        until(cloud, BEGIN + number * EVERY).await;
        let mut sweep = Sweep { from: cloud.clock.milliseconds(), ..Sweep::default() };
        match cloud.sweep(&json!({})).await {
            Ok(report) => {
                let lines = report.regions.iter().flat_map(|region| &region.lines);
                sweep.seen = Some(lines.map(|line| line.facts.instance_id.clone()).collect());
                sweep.acted = report.regions.iter().map(|region| region.acted).sum();
                let failures = report.regions.iter().flat_map(|region| &region.failures);
                sweep.failures = failures.map(|failure| format!("{:?}", failure.code)).collect();
            }
            Err(error) => sweep.failures.push(format!("whole sweep {:?}", error.code)),
        }
        sweep.to = cloud.clock.milliseconds();
        sweeps.push(sweep);
    }
    sweeps
}

/// CML Cloud Manager reads each worker every five minutes, some at once. Gives how long the longest round took.
async fn monitoring(cloud: &Cloud) -> u64 {
    let (workers, mut longest) = (cloud.scene.workers(), 0);
    let mut next = BEGIN;
    while next < BEGIN + LENGTH {
        until(cloud, next).await;
        let from = cloud.clock.milliseconds();
        let reads = stream::iter(&workers).map(|worker| read(cloud, worker));
        reads.buffer_unordered(cloud.scene.readers).collect::<Vec<()>>().await;
        longest = longest.max(cloud.clock.milliseconds() - from);
        next += EVERY;
    }
    longest
}

/// Its details, its status checks and, if it runs, its utilization.
async fn read(cloud: &Cloud, worker: &Worker) {
    let ask = |operation| Ask::one(operation, worker.region, &worker.id);
    let details = cloud.call(&ask("get-instance-details")).await;
    cloud.call(&ask("get-instance-status")).await;
    if details.document["state"] == "running" {
        cloud.call(&ask("get-instance-resources-utilization")).await;
    }
}

/// Starts, stops and launches workers, evenly spread over ten minutes: half of the workers singly, half in a batch a minute.
async fn morning(cloud: &Cloud) -> Vec<Launch> {
    let workers = cloud.scene.workers();
    let changes = [("start-instance", Role::Starts), ("stop-instance", Role::Stops)];
    let changes = changes.map(|(operation, role)| {
        let of_role = workers.iter().filter(move |worker| worker.role == role);
        let (many, one): (Vec<&Worker>, Vec<&Worker>) = of_role.partition(|worker| worker.in_batch);
        join(singly(cloud, operation, one), together(cloud, operation, many))
    });
    let (launches, _) = join(launches(cloud), join_all(changes)).await;
    launches
}

/// The moment of one of so many.
fn moment(number: usize, of: usize) -> u64 {
    let (number, of) = (u64::try_from(number).unwrap_or_default(), u64::try_from(of.max(1)).unwrap_or(1));
    MORNING.start + (MORNING.end - MORNING.start) * number / of
}

async fn singly(cloud: &Cloud, operation: &'static str, workers: Vec<&Worker>) {
    let count = workers.len();
    let calls = workers.into_iter().enumerate().map(|(number, worker)| async move {
        until(cloud, moment(number, count)).await;
        cloud.call(&Ask::one(operation, worker.region, &worker.id)).await;
    });
    join_all(calls).await;
}

async fn together(cloud: &Cloud, operation: &'static str, workers: Vec<&Worker>) {
    let minutes = usize::try_from((MORNING.end - MORNING.start) / MINUTE).unwrap_or(1);
    let calls = cloud.scene.regions().iter().flat_map(|region| {
        let ids: Vec<String> =
            workers.iter().filter(|worker| worker.region == *region).map(|worker| worker.id.clone()).collect();
        let of_minute = ids.len().div_ceil(minutes).max(1);
        let batches: Vec<Vec<String>> = ids.chunks(of_minute).map(<[String]>::to_vec).collect();
        batches.into_iter().enumerate().map(move |(number, ids)| (moment(number, minutes), *region, ids))
    });
    let calls = calls.map(|(at, region, ids)| async move {
        until(cloud, at).await;
        join_all(ids.chunks(MOST_IDS).map(|ids| batch(cloud, operation, region, ids.to_vec()))).await;
    });
    join_all(calls).await;
}

/// Sends a batch, and what it did not reach once more, as often as its answer says that it may succeed later.
async fn batch(cloud: &Cloud, operation: &'static str, region: &'static str, mut ids: Vec<String>) {
    for _ in 0..10 {
        let answer = cloud.call(&Ask::many(operation, region, ids)).await;
        let results = answer.document["results"].as_array().cloned().unwrap_or_default();
        let again = results.iter().filter(|result| result["error"]["retryable"] == true);
        ids = again.filter_map(|result| Some(result["instance_id"].as_str()?.to_owned())).collect();
        if ids.is_empty() {
            return;
        }
        ids.iter().for_each(|_| cloud.count("throttled in a batch"));
        sleep(Duration::from_secs(5)).await;
    }
}

/// Each launch has a key, and every other one is sent twice at the same time.
async fn launches(cloud: &Cloud) -> Vec<Launch> {
    let (count, regions) = (cloud.scene.launches(), cloud.scene.regions());
    let calls = (0..count).map(|number| async move {
        let name = format!("new-{number}");
        let ask = Ask::launch(regions[number % regions.len()], name.clone());
        until(cloud, moment(number, count)).await;
        let answers = join_all((0..=number % 2).map(|_| cloud.call(&ask))).await;
        Launch { name, statuses: answers.iter().map(|answer| answer.status).collect() }
    });
    join_all(calls).await
}

/// EventBridge passes on what EC2 tells in the stack's own region.
async fn ec2_tells(cloud: &Rc<Cloud>) {
    let own = cloud.scene.regions()[0];
    let (mut told, mut invocations) = (BEGIN, Vec::new());
    while told < BEGIN + LENGTH {
        until(cloud, told + LOOK).await;
        let now = cloud.clock.milliseconds();
        let news: Vec<(String, u64, &str)> = cloud.aws.change(|instances, _| {
            let of_region = instances.iter().filter(|one| one.region == own);
            let states = of_region.flat_map(|one| one.states.iter().map(|state| (one.id.clone(), state.0, state.1)));
            states.filter(|(_, since, _)| (told..now).contains(since)).collect()
        });
        told = now;
        for (id, since, state) in news {
            let event = json!({
                "detail-type": "EC2 Instance State-change Notification", "region": own,
                "time": Moment::from(Clock::at(since)).to_string(), "detail": {"instance-id": id, "state": state},
            });
            let cloud = Rc::clone(cloud);
            invocations.push(spawn_local(async move {
                cloud.count("EC2's events");
                if let Err(error) = cloud.sweep(&event).await {
                    cloud.count(&format!("EC2's events lost, {:?}", error.code));
                }
            }));
        }
    }
    join_all(invocations).await;
}
