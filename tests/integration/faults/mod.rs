//! What a caller gets when AWS fails: each operation, each of its AWS calls, each way to fail. And what EC2 has then.

mod case;
mod classes;
mod launches;
mod points;
mod readme;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use shared::model::operation::Operation;
use shared::ops::OPERATIONS;
use tests::client::Answer;
use tests::stub::{Matcher, REQUEST_ID, Recorded, Reply, Times, action};
use tokio::task::JoinSet;

use self::case::{Case, Happened, cases};
use crate::world::{World, assert_problem, failing_world, world};

/// The order of the cases is another one each time; this variable repeats one.
const SEED: &str = "FAULTS_SEED";

#[tokio::test]
async fn every_fault_is_answered_as_documented_and_loses_or_doubles_nothing() {
    let seed = std::env::var(SEED).unwrap_or_else(|_| now());
    let world = failing_world();
    let mut running: JoinSet<_> =
        OPERATIONS.iter().map(|operation| run(world, operation, shuffled(operation, &seed))).collect();
    let (mut count, mut mistakes) = (0, Vec::new());
    while let Some(done) = running.join_next().await {
        let (cases, more) = done.unwrap();
        count += cases;
        mistakes.extend(more);
    }
    // Not captured: this count is what `docs/FAILURES.md` claims.
    writeln!(std::io::stderr(), "faults: {count} cases, {} mistakes, {SEED}={seed}", mistakes.len()).unwrap();
    assert!(mistakes.is_empty(), "{} mistakes with {SEED}={seed}:\n{}", mistakes.len(), mistakes.join("\n"));
    assert_eq!(count, OPERATIONS.iter().map(|operation| cases(operation).len()).sum::<usize>());
    assert!(count > 500, "docs/FAILURES.md says so, and there are {count}");
}

fn now() -> String {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().to_string()
}

/// One after the other, so that one process serves all calls of the operation: it must be the same at the end.
async fn run(world: &'static World, operation: &'static Operation, cases: Vec<Case>) -> (usize, Vec<String>) {
    let (mut processes, mut mistakes) = (BTreeMap::new(), Vec::new());
    for case in &cases {
        let happened = case.happen(world).await;
        mistakes.extend(case.mistakes(&happened).iter().map(|mistake| format!("{}: {mistake}", case.name())));
        for pid in world.pids_of(operation.name) {
            processes.entry(pid).or_insert_with(|| case.name());
        }
    }
    if processes.len() != 1 {
        mistakes
            .push(format!("{}: a process ended or did not answer in time; new ones at {processes:?}", operation.name));
    }
    (cases.len(), mistakes)
}

fn shuffled(operation: &'static Operation, seed: &str) -> Vec<Case> {
    let mut cases = cases(operation);
    cases.sort_by_cached_key(|case| {
        let mut hasher = DefaultHasher::new();
        (seed, case.name()).hash(&mut hasher);
        hasher.finish()
    });
    cases
}

#[tokio::test]
async fn the_callers_504_is_ours_and_comes_before_the_gateways() {
    let id = world().launch().await;
    let reads = action("DescribeInstances").param("InstanceId.1", &id);
    let script = world().ec2_stub.script(reads, Times::Always, Reply::silence());
    let begin = Instant::now();
    let answer = world().call("GET", &id, "").await;
    assert_problem(&answer, 504, "aws_timeout");
    assert!(begin.elapsed() < Duration::from_secs(29), "{:?}", begin.elapsed());
    assert!(script.hits() > 1, "the SDK tries again");
}

#[tokio::test]
async fn an_instance_that_ec2_does_not_show_is_not_taken_for_gone() {
    let nothing = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>";
    for reply in [
        Reply::ec2_error(400, "InvalidInstanceID.NotFound", "The instance ID does not exist"),
        Reply::raw(200, &[("content-type", "text/xml;charset=UTF-8")], nothing),
    ] {
        let id = world().launch().await;
        let reads = action("DescribeInstances").body_contains(&id);
        let script = world().ec2_stub.script(reads, Times::Always, reply);
        for (method, below) in
            [("POST", "/start"), ("POST", "/stop"), ("DELETE", ""), ("DELETE", "/tags?key=Lab"), ("GET", "/tags")]
        {
            assert_problem(&world().call(method, &id, below).await, 404, "instance_not_found");
        }
        assert_eq!(script.hits(), 5);
        let changes = |r: &Recorded| r.body_contains(&id) && !r.action.starts_with("Describe");
        assert_eq!(world().ec2_stub.requests().iter().filter(|r| changes(r)).count(), 0, "nothing but reads");
    }
}

#[tokio::test]
async fn a_terminated_instance_missing_from_a_read_is_not_considered_gone() {
    let id = world().launch().await;
    let reads = || action("DescribeInstances").param("InstanceId.1", &id);
    let unknown = Reply::ec2_error(400, "InvalidInstanceID.NotFound", "The instance ID does not exist");
    // The first read is for owner and state.
    let first = world().ec2_stub.script(reads(), Times::Exactly(1), Reply::pass_through());
    let script = world().ec2_stub.script(reads(), Times::Always, unknown);
    let answer = world().call("DELETE", &id, "?wait=terminated").await;
    assert_eq!((answer.status, first.hits()), (202, 1), "{}", answer.text);
    assert_eq!((&answer.json["current_state"], &answer.json["changed"]), (&json!("shutting-down"), &json!(true)));
    assert!(script.hits() > 1, "it is looked for again");
}

/// What happened in a case that went well.
fn good() -> Happened {
    let json = json!({
        "type": "urn:cml:problem:throttled", "title": "t", "status": 429, "detail": "d", "code": "throttled", "request_id": "r",
        "retryable": true, "aws_code": "RequestLimitExceeded", "aws_request_id": REQUEST_ID, "retry_after_seconds": 5,
    });
    let headers = [("content-type", "application/problem+json"), ("retry-after", "5")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let answer = |status, json: Value| Answer {
        status,
        headers: headers.clone().into_iter().collect(),
        text: json.to_string(),
        json,
    };
    let (answer, again) = (answer(429, json), answer(200, json!({})));
    Happened { hits: 3, sent: 3, answer, took: Duration::from_secs(2), done: 0, again, done_in_the_end: 1 }
}

#[test]
fn each_kind_of_mistake_is_noticed() {
    let is_meant = |case: &&Case| {
        case.point.purpose == shared::model::operation::Purpose::Change && case.fault.name == "throttles"
    };
    let start = OPERATIONS.iter().find(|operation| operation.name == "start-instance").unwrap();
    let case = cases(start).iter().find(is_meant).copied().unwrap();
    assert_eq!(case.mistakes(&good()), Vec::<String>::new());
    let spoilers: [fn(&mut Happened); 16] = [
        |happened| happened.hits = 0,
        |happened| happened.sent = 9,
        |happened| happened.took = Duration::from_secs(30),
        |happened| happened.done = 1,
        |happened| happened.done_in_the_end = 0,
        |happened| happened.done_in_the_end = 2,
        |happened| happened.again.status = 500,
        |happened| happened.answer.status = 503,
        |happened| happened.answer.json["status"] = 503.into(),
        |happened| happened.answer.json["code"] = "aws_error".into(),
        |happened| happened.answer.json["retryable"] = false.into(),
        |happened| happened.answer.json["request_id"] = "".into(),
        |happened| happened.answer.json["aws_code"] = Value::Null,
        |happened| happened.answer.json["retry_after_seconds"] = 6.into(),
        |happened| drop(happened.answer.headers.remove("retry-after")),
        |happened| drop(happened.answer.headers.insert("content-type", "application/json".parse().unwrap())),
    ];
    for (number, spoil) in spoilers.iter().enumerate() {
        let mut happened = good();
        spoil(&mut happened);
        assert_ne!(case.mistakes(&happened), Vec::<String>::new(), "spoiler {number}");
    }
}
