//! The calls of AWS that each operation makes, and which of them run at the same time. Here every call takes equally long, so
//! that calls which begin at the same moment of virtual time make one round, and the next round begins when they are answered.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::http_client_fn;
use given::{Given, REFUSED, RUNNING};
use shared::model::operation::Operation;
use shared::ops::OPERATIONS;
use tokio::time::sleep;

use super::kind::KINDEST;
use super::*;

mod given;
mod sweeps;

/// One row: the operation, what is special about the request and the AWS that it meets, the status of the answer, and the
/// rounds in their order.
type Row = (&'static str, &'static [&'static str], u16, &'static str);

const TABLE: [Row; 47] = [
    ("health", &[], 200, "2 DescribeRegions+2 GetMetricStatistics"),
    ("get-instance-details", &[], 200, "DescribeInstances"),
    ("get-all-instances", &[], 200, "DescribeInstances"),
    ("get-ami-ids-by-name", &[], 200, "DescribeImages"),
    ("get-instance-status", &[], 200, "DescribeInstanceStatus+DescribeInstances"),
    ("get-instance-status", &["unknown"], 404, "DescribeInstanceStatus+DescribeInstances"),
    ("get-instance-tags", &[], 200, "DescribeInstances+DescribeTags"),
    ("get-instance-tags", &["unknown"], 404, "DescribeInstances+DescribeTags"),
    // The CPU is asked for with the period of the instance's monitoring, and memory with its image and type, four times.
    ("get-instance-resources-utilization", &[], 200, "DescribeInstances, 5 GetMetricStatistics"),
    ("get-instance-resources-utilization", &["unknown"], 404, "DescribeInstances"),
    ("create-instance", &[], 201, "DescribeImages, RunInstances, DescribeInstances"),
    ("create-instance", &["dry run"], 200, "DescribeImages, RunInstances"),
    ("create-instance", &["parameter"], 201, "GetParameter, DescribeImages, RunInstances, DescribeInstances"),
    ("create-instance", &["maximum"], 201, "DescribeImages+DescribeInstances, RunInstances, DescribeInstances"),
    ("create-instance", &["full"], 422, "DescribeImages+DescribeInstances"),
    ("create-instance", &["no image"], 404, "DescribeImages"),
    ("create-instance", &["alternatives"], 201, "DescribeImages, RunInstances, RunInstances, DescribeInstances"),
    ("create-instance", &["key"], 201, "DescribeImages+DescribeInstances, RunInstances, DescribeInstances"),
    ("create-instance", &["key", "no image"], 404, "DescribeImages+DescribeInstances"),
    ("create-instance", &["key", "full"], 422, "DescribeImages+2 DescribeInstances"),
    ("create-instance", &["key", "dry run"], 200, "DescribeImages, RunInstances"),
    (
        "create-instance",
        &["key", "parameter", "maximum"],
        201,
        "2 DescribeInstances+GetParameter, DescribeImages, RunInstances, DescribeInstances",
    ),
    (
        "create-instance",
        &["key", "alternatives"],
        201,
        // The last one looks for another worker of the same key, as late as it can.
        "DescribeImages+DescribeInstances, RunInstances, RunInstances, DescribeInstances, DescribeInstances",
    ),
    // An earlier launch is the answer at once, whatever becomes of the calls beside the look-up.
    ("create-instance", &["key", "again"], 200, "DescribeImages+DescribeInstances"),
    ("create-instance", &["key", "again", "parameter"], 200, "DescribeInstances+GetParameter"),
    ("create-instance", &["key", "again", "alternatives"], 200, "DescribeImages+DescribeInstances"),
    ("create-instance", &["key", "again", "full by itself"], 200, "DescribeImages+2 DescribeInstances"),
    ("create-instance", &["wait=running"], 201, "DescribeImages, RunInstances, DescribeInstances"),
    (
        "create-instance",
        &["key", "wait=running"],
        201,
        "DescribeImages+DescribeInstances, RunInstances, DescribeInstances, DescribeInstances",
    ),
    ("start-instance", &[], 200, "DescribeInstances, StartInstances"),
    ("start-instance", &["running"], 200, "DescribeInstances"),
    ("start-instance", &["unknown"], 404, "DescribeInstances"),
    ("start-instance", &["dry run"], 200, "DescribeInstances, StartInstances"),
    ("start-instance", &["running", "wait=running"], 200, "DescribeInstances"),
    (
        "start-instance",
        &["running", "wait=healthy"],
        200,
        "DescribeInstances, DescribeInstances, DescribeInstanceStatus",
    ),
    ("start-instance", &["many"], 200, "DescribeInstances, StartInstances"),
    ("stop-instance", &["running"], 200, "DescribeInstances, StopInstances"),
    ("stop-instance", &[], 200, "DescribeInstances"),
    ("stop-instance", &["many"], 200, "DescribeInstances, StopInstances"),
    ("stop-instance", &["many", "one is refused"], 200, "DescribeInstances, StopInstances, StopInstances"),
    ("terminate-instance", &[], 200, "DescribeInstances, TerminateInstances"),
    ("terminate-instance", &["many"], 200, "DescribeInstances, TerminateInstances"),
    ("update-instance-tags", &[], 200, "DescribeInstances, CreateTags"),
    ("update-instance-tags", &["dry run"], 200, "DescribeInstances, CreateTags"),
    ("update-instance-tags", &["unknown"], 404, "DescribeInstances"),
    ("delete-instance-tags", &[], 200, "DescribeInstances, DeleteTags"),
    ("delete-instance-tags", &["dry run"], 200, "DescribeInstances, DeleteTags"),
];

/// With this seed c5.large has no capacity at first and m5.large has some, if half of all types have none. A launched worker
/// is seen to run by the first look of a wait, which comes after two seconds, or by the second one.
const SEED: u64 = 15;

/// An AWS in which a row happens, and the settings of its clients.
async fn world(common: &SdkConfig, kind: Kind) -> (Aws, SdkConfig) {
    let clock = Clock::start();
    let aws = Aws::new(Kind { latency: 100, ..kind }, SEED, clock);
    let wires = aws.clone();
    let sdk = settings_of(common, http_client_fn(move |settings, _| wires.connector(settings)), clock);
    aws.change(|instances, now| {
        instances.push(Instance::worker(RUNNING.to_owned(), "us-east-1", now, Life::default()));
    });
    // By then its status checks are good.
    sleep(Duration::from_secs(120)).await;
    (aws, sdk)
}

/// The rounds of the calls that came to AWS after the first `before`.
fn rounds(aws: &Aws, before: usize) -> String {
    let arrived = aws.arrived().split_off(before);
    let mut rounds: BTreeMap<u64, BTreeMap<String, usize>> = BTreeMap::new();
    for (at, action) in arrived {
        *rounds.entry(at).or_default().entry(action).or_default() += 1;
    }
    let call = |(action, count): (&String, &usize)| match count {
        1 => action.clone(),
        count => format!("{count} {action}"),
    };
    let round = |calls: &BTreeMap<String, usize>| calls.iter().map(call).collect::<Vec<_>>().join("+");
    rounds.values().map(round).collect::<Vec<_>>().join(", ")
}

/// The status of a row's answer, and its rounds.
async fn happen(common: &SdkConfig, given: Given) -> (u16, String) {
    let (aws, sdk) = world(common, given.kind()).await;
    if given.has("one is refused") {
        let life = Life { is_refused: true, ..Life::default() };
        aws.change(|all, now| all.push(Instance::worker(REFUSED.to_owned(), "us-east-1", now, life)));
    }
    let clients = clients_with(&sdk, KINDEST.retries, |config| given.configure(config));
    let answer = async || {
        let response = Box::pin(operation::answer(given.operation, &clients, &given.event())).await;
        response.unwrap().unwrap().status().as_u16()
    };
    if given.has("again") {
        assert_eq!(answer().await, 201, "{}", given.operation);
    }
    let before = aws.arrived().len();
    (answer().await, rounds(&aws, before))
}

#[tokio::test(start_paused = true)]
async fn each_operation_makes_these_calls_in_these_rounds() {
    let common = common().await;
    let mut others = Vec::new();
    for (operation, words, status, expected) in TABLE {
        let happened = happen(&common, Given { operation, words }).await;
        if happened != (status, expected.to_owned()) {
            others.push(format!("{operation} {words:?}: {happened:?} and not {status} {expected:?}"));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn calls_of_which_one_waits_for_the_other_are_two_rounds() {
    let (aws, sdk) = world(&common().await, KINDEST).await;
    let ec2 = aws_sdk_ec2::Client::new(&sdk);
    ec2.describe_regions().send().await.unwrap();
    ec2.describe_images().send().await.unwrap();
    assert_eq!(rounds(&aws, 0), "DescribeRegions, DescribeImages");
    let (regions, images) = tokio::join!(ec2.describe_regions().send(), ec2.describe_images().send());
    assert!(regions.is_ok() && images.is_ok());
    assert_eq!(rounds(&aws, 2), "DescribeImages+DescribeRegions");
}

/// Asserts that these rounds of an operation name each call of its row.
fn assert_names_each_call<'a>(operation: &Operation, rounds: impl Iterator<Item = &'a str> + Clone) {
    for call in operation.calls {
        let (_, action) = call.action.split_once(':').unwrap();
        let is_named = rounds.clone().any(|rounds| rounds.split([',', '+', ' ']).any(|word| word == action));
        assert!(is_named, "{}: {action}", operation.name);
    }
}

#[test]
fn each_call_of_each_operation_is_in_the_table() {
    for operation in OPERATIONS {
        let rows = TABLE.iter().filter(|(name, ..)| *name == operation.name).map(|(.., rounds)| *rounds);
        assert_names_each_call(&operation, rows);
    }
}
