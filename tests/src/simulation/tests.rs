use std::io::Write as _;
use std::process::Command;

use aws_sdk_ec2::config::http::HttpRequest;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use lambda_http::RequestExt;
use serde_json::Value;

use super::aws::Aws;
use super::clock::Clock;
use super::invariants::EXCEPTIONS;
use super::kind::{KINDEST, Kind, Tokens};
use super::program::{Call, Launch};
use super::*;
use crate::stack::repository;

/// Histories of one run of the tests.
const HISTORIES: u64 = 10_000;

/// Seeds whose histories must be the same in two processes.
const SEEDS: u64 = 100;

fn common_config() -> aws_config::SdkConfig {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(common())
}

#[test]
fn no_history_launches_twice_or_loses_a_launch() {
    let common = common_config();
    let report = Report::of_range(&common, 0..HISTORIES);
    std::io::stderr().write_all(report.table().as_bytes()).unwrap();
    assert!(report.wrong.is_empty(), "{}", report.told(&common));
    assert_eq!(report.never_met(), [""; 0]);
}

/// Histories that went wrong once, each as small as it was found.
#[test]
fn histories_that_once_failed_now_pass() {
    let common = common_config();
    let launch = |caller, key, body| Call::Launch(Launch { caller, region: 0, key, body, wait: false });
    let waited = |caller, key, body| Call::Launch(Launch { caller, region: 0, key, body, wait: true });
    let found = [
        // One key with two bodies in two zones: the one launch was called the other's, and then another request's.
        (
            20,
            Kind { tokens: Tokens::Zonal, lag: 5_000, ..KINDEST },
            vec![(50, launch(2, Some("k1"), 2)), (100, launch(2, Some("k1"), 0))],
        ),
        // The SDK's first try of a launch arrived when its second had found no capacity, and the call was said to be repeatable.
        (
            560,
            Kind { faults: 30, full: 60, ..KINDEST },
            vec![
                (700, launch(4, None, 6)),
                (700, Call::Change("start-instance", vec![3], false)),
                (700, waited(4, Some("k1"), 1)),
            ],
        ),
        // Reads that lag as far as they may, all of them, and an image that moved in between: a look of less than 15 seconds, or
        // one whose last read was sent before, sees nothing.
        (
            1,
            Kind { lag: 15_000, steady: true, image_moves_at: [3_000, 0], ..KINDEST },
            vec![(1_500, launch(2, Some("k1"), 0)), (3_100, launch(2, Some("k1"), 0))],
        ),
        // Reads that lag four times as far as is taken for granted: a key whose worker EC2 called terminated launches another one
        // later, so that the refusal was not for good.
        (
            184_868,
            Kind { lag: 60_000, steady: true, full: 60, image_moves_at: [40_000, 0], ..KINDEST },
            vec![
                (50, launch(1, Some("k1"), 2)),
                (100, waited(0, Some("k1"), 2)),
                (4_100, waited(0, Some("k1"), 2)),
                (44_100, waited(0, Some("k1"), 2)),
            ],
        ),
    ];
    for (seed, kind, calls) in found {
        let outcome = happen(&common, &Program { kind, calls }, seed);
        assert!(outcome.findings.violations.is_empty(), "{seed}: {}", outcome.log.join("\n"));
    }
}

/// An AWS that says nothing in one region.
#[derive(Debug)]
struct SilentIn(&'static str, SharedHttpConnector);

impl HttpConnector for SilentIn {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.uri().contains(self.0) {
            return HttpConnectorFuture::new(std::future::pending());
        }
        self.1.call(request)
    }
}

/// The answer of `health` with this query, from an AWS that says nothing to this part of its endpoints; and how long it took, in
/// milliseconds of virtual time.
fn health_without(silent: &'static str, query: &Value) -> (Value, u64) {
    let common = common_config();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let clock = Clock::start();
        let aws = Aws::new(KINDEST, 0, clock);
        let client =
            http_client_fn(move |settings, _| SharedHttpConnector::new(SilentIn(silent, aws.connector(settings))));
        let clients = history::clients(&common, client, clock, KINDEST.retries);
        let event = serde_json::json!({
            "resource": "/health", "path": "/health", "httpMethod": "GET", "headers": {}, "multiValueHeaders": {},
            "multiValueQueryStringParameters": query,
            "requestContext": {"stage": "v1", "resourcePath": "/health", "httpMethod": "GET", "identity": {}},
        });
        let event = lambda_http::request::from_str(&event.to_string()).unwrap();
        let event = event.with_lambda_context(lambda_http::Context::default());
        let response = operation::answer("health", &clients, &event).await.unwrap().unwrap();
        (serde_json::from_slice::<Value>(response.body()).unwrap(), clock.milliseconds())
    })
}

#[test]
fn what_is_silent_delays_no_other_check_and_the_answer_by_ten_seconds_at_most() {
    for (silent, failing) in [
        ("monitoring.us-east-1", vec![("us-east-1", "cloudwatch:GetMetricStatistics")]),
        ("ec2.eu-west-1", vec![("eu-west-1", "ec2:DescribeRegions")]),
        ("eu-west-1", vec![("eu-west-1", "ec2:DescribeRegions"), ("eu-west-1", "cloudwatch:GetMetricStatistics")]),
    ] {
        let (document, took) = health_without(silent, &serde_json::json!({}));
        let checks = document["checks"].as_array().unwrap();
        assert_eq!(checks.len(), 4, "{document}");
        let (failed, passed): (Vec<_>, Vec<_>) = checks.iter().partition(|check| check["ok"] == false);
        let named: Vec<_> =
            failed.iter().map(|check| (check["region"].as_str().unwrap(), check["name"].as_str().unwrap())).collect();
        assert_eq!((named, &document["status"]), (failing, &Value::from("degraded")), "{silent}: {document}");
        assert!(failed.iter().all(|check| check["latency_ms"].as_u64().unwrap() <= 10_000), "{document}");
        assert!(passed.iter().all(|check| check["latency_ms"].as_u64().unwrap() < 1_000), "{document}");
        assert!((9_000..11_000).contains(&took), "{took} ms");
    }
}

#[test]
fn a_silent_region_costs_the_self_test_only_its_own_verdicts() {
    let (document, took) = health_without("eu-west-1", &serde_json::json!({"permissions": ["true"]}));
    let verdicts = |region: &str, verdict: &str| {
        let permissions = document["permissions"].as_array().unwrap().iter();
        let those = permissions.filter(|one| one["region"] == region && one["verdict"] == verdict);
        let mut actions: Vec<_> = those.map(|one| one["action"].as_str().unwrap().to_owned()).collect();
        actions.sort_unstable();
        actions
    };
    let mut needed: Vec<_> = shared::ops::OPERATIONS.iter().flat_map(|operation| operation.actions).copied().collect();
    needed.sort_unstable();
    needed.dedup();
    // The parameters too, which this deployment may read; and whether a Spot launch is the account's first one is unknown.
    let allowed = [needed.as_slice(), &["ssm:GetParameter"]].concat();
    assert_eq!(
        verdicts("us-east-1", "allowed"),
        allowed,
        "what shared/src/ops/health/self_test/mod.rs asks about, and what the operations need: {document}"
    );
    assert_eq!(verdicts("us-east-1", "unknown"), ["iam:CreateServiceLinkedRole"], "{document}");
    assert_eq!(verdicts("eu-west-1", "allowed"), [""; 0], "{document}");
    assert_eq!(verdicts("eu-west-1", "unknown"), needed, "{document}");
    assert_eq!(document["status"], "degraded");
    assert!(took < 11_000, "{took} ms");
}

#[test]
fn readme_has_what_is_excepted() {
    let api = std::fs::read_to_string(repository().join("docs/API.md")).unwrap();
    let api = api.split_whitespace().collect::<Vec<_>>().join(" ");
    for exception in EXCEPTIONS {
        assert!(api.contains(exception.text()), "{exception:?}: {}", exception.text());
    }
}

fn digests() -> String {
    let common = common_config();
    (0..SEEDS).map(|seed| format!("{seed}:{:016x}\n", digest(&common, seed))).collect()
}

/// Not a test of its own: [`a_history_is_the_same_in_two_processes`] runs it.
#[test]
#[ignore = "prints for another test"]
fn the_digests_of_a_process() {
    std::io::stderr().write_all(digests().as_bytes()).unwrap();
}

#[test]
fn a_history_is_the_same_in_two_processes() {
    let arguments = ["--exact", "simulation::tests::the_digests_of_a_process", "--ignored", "--nocapture"];
    let other = Command::new(std::env::current_exe().unwrap()).args(arguments).output().unwrap();
    let (own, other) = (digests(), String::from_utf8(other.stderr).unwrap());
    let other: Vec<&str> = other.lines().filter(|line| own.contains(line.split(':').next().unwrap())).collect();
    assert_eq!(own.lines().collect::<Vec<_>>(), other);
}
