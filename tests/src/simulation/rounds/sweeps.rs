//! The calls of a sweep, and which of them run at the same time.

use std::time::Duration;

use shared::model::sweep::HEARTBEAT_KEY;
use shared::model::sweep::rules::{Rules, Wish};
use shared::model::time::Moment;
use shared::ops::SCHEDULED;
use shared::ops::sweep_workers::Sweeper;
use tokio::time::sleep;

use super::*;

/// What is special about a sweep of one running and one stopped worker, and its rounds. Both regions are swept at the same
/// time; the other one has no worker.
const SWEEPS: [(&[&str], &str); 6] = [
    // Both are remembered in one call, for the same is known of them.
    (&[], "2 DescribeInstances, DescribeInstanceStatus, CreateTags"),
    (&["idle"], "2 DescribeInstances, DescribeInstanceStatus, GetMetricStatistics, CreateTags"),
    // Both are marked.
    (&["orphan"], "2 DescribeInstances, DescribeInstanceStatus, CreateTags, 2 CreateTags, 2 PutEvents"),
    // One after the other is terminated, each after a last read.
    (
        &["orphan", "again"],
        "2 DescribeInstances, DescribeInstanceStatus, DescribeInstances, CreateTags, TerminateInstances, PutEvents, \
         DescribeInstances, CreateTags, TerminateInstances, PutEvents",
    ),
    (
        &["orphan", "again", "heartbeat"],
        "2 DescribeInstances, DescribeInstanceStatus, DeleteTags, PutEvents, DescribeInstances, CreateTags, \
         TerminateInstances, PutEvents",
    ),
    // The instance comes last, so that a tag that keeps it is seen up to the call.
    (
        &["impaired", "again"],
        "2 DescribeInstances, DescribeInstanceStatus, DescribeInstanceStatus, DescribeInstances, CreateTags, \
         StopInstances, PutEvents",
    ),
];

fn rules(words: &[&str]) -> Rules {
    let wish = |word, wish| words.contains(&word).then_some(wish);
    Rules {
        on_idle: wish("idle", Wish::Report),
        on_impaired: wish("impaired", Wish::Stop),
        on_orphan: wish("orphan", Wish::Terminate),
        grace_minutes: 1,
        ..Rules::default()
    }
}

async fn sweep(common: &SdkConfig, words: &[&str]) -> String {
    let (aws, sdk) = world(common, KINDEST).await;
    let worker = move |change: fn(&mut Instance, u64)| {
        move |all: &mut Vec<Instance>, now| change(all.iter_mut().find(|one| one.id == RUNNING).unwrap(), now)
    };
    if words.contains(&"impaired") {
        aws.change(worker(|one, now| one.life.impaired.push((now, u64::MAX))));
    }
    // Long enough for every rule.
    sleep(Duration::from_secs(3_600)).await;
    let clients = clients_with(&sdk, KINDEST.retries, |config| config.sweep.rules = rules(words));
    let sweeper = Sweeper::new(clients);
    if words.contains(&"again") {
        assert!(sweeper.sweep_workers().await.failure.is_none(), "{words:?}");
        sleep(Duration::from_secs(300)).await;
    }
    if words.contains(&"heartbeat") {
        let alive = |one: &mut Instance, now| {
            one.retag(now, HEARTBEAT_KEY, Some(&Moment::from(Clock::at(now)).to_string()));
        };
        aws.change(worker(alive));
    }
    let before = aws.arrived().len();
    assert!(sweeper.sweep_workers().await.failure.is_none(), "{words:?}");
    rounds(&aws, before)
}

#[tokio::test(start_paused = true)]
async fn a_sweep_makes_these_calls_in_these_rounds() {
    let (common, mut others) = (common().await, Vec::new());
    for (words, expected) in SWEEPS {
        let happened = sweep(&common, words).await;
        if happened != expected {
            others.push(format!("{words:?}: {happened:?} and not {expected:?}"));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}

#[test]
fn each_call_of_the_sweep_is_in_the_table() {
    assert_names_each_call(&SCHEDULED[0], SWEEPS.iter().map(|(_, rounds)| *rounds));
}
