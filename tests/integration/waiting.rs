//! `?wait=`: answers that come when the worker is there, or when the time to wait is up.

use std::time::{Duration, SystemTime};

use serde_json::json;
use tests::stub::{Matcher, Reply, Script, Times, action};

use crate::world::{assert_ok, assert_problem, assert_refused, described, world};

/// From here on EC2 shows the instance in this state, started later than the test asks for it. The first read, which is for
/// owner and state, is EC2's own.
fn show(id: &str, state: &str, reason: &str) -> [Script; 2] {
    show_started(id, state, reason, SystemTime::now() + Duration::from_secs(60))
}

/// The same, started at that time.
fn show_started(id: &str, state: &str, reason: &str, started: SystemTime) -> [Script; 2] {
    let reads = || action("DescribeInstances").param("InstanceId.1", id);
    let first = world().ec2_stub.script(reads(), Times::Exactly(1), Reply::pass_through());
    [first, world().ec2_stub.script(reads(), Times::Always, described(id, state, reason, started))]
}

async fn stopped() -> String {
    let id = world().launch().await;
    world().ec2().stop_instances().instance_ids(&id).send().await.unwrap();
    id
}

#[tokio::test]
async fn a_start_a_stop_and_a_termination_are_waited_for() {
    let id = stopped().await;
    for (method, below, state) in [
        ("POST", "/start?wait=running", "running"),
        ("POST", "/stop?wait=stopped", "stopped"),
        ("POST", "/start?wait=healthy", "running"),
        ("DELETE", "?wait=terminated", "terminated"),
    ] {
        let answer = world().call(method, &id, below).await;
        assert_ok(&answer, 200);
        assert_eq!((&answer.json["current_state"], &answer.json["changed"]), (&json!(state), &json!(true)), "{below}");
        assert_eq!(world().state(&id).await, state);
    }
}

#[tokio::test]
async fn a_start_longer_than_the_wait_is_a_202_with_its_state() {
    let id = stopped().await;
    let [_first, reads] = show(&id, "pending", "");
    let answer = world().call("POST", &id, "/start?wait=running").await;
    assert_ok(&answer, 202);
    assert_eq!((&answer.json["current_state"], &answer.json["changed"]), (&json!("pending"), &json!(true)));
    assert_eq!(answer.json["previous_state"], "stopped");
    // Every 2 seconds for 15.
    assert!((5..=8).contains(&reads.hits()), "{}", reads.hits());
}

#[tokio::test]
async fn a_running_worker_whose_checks_do_not_pass_yet_is_a_202() {
    let id = world().launch().await;
    let document = format!(
        "<DescribeInstanceStatusResponse><instanceStatusSet><item><instanceId>{id}</instanceId><instanceStatus><status>initializing</status>\
         </instanceStatus><systemStatus><status>ok</status></systemStatus></item></instanceStatusSet></DescribeInstanceStatusResponse>"
    );
    let checks = action("DescribeInstanceStatus").param("InstanceId.1", &id);
    let reply = Reply::raw(200, &[("content-type", "text/xml;charset=UTF-8")], document);
    let script = world().ec2_stub.script(checks, Times::Always, reply);
    let answer = world().call("POST", &id, "/start?wait=healthy").await;
    assert_ok(&answer, 202);
    assert_eq!((&answer.json["current_state"], &answer.json["changed"]), (&json!("running"), &json!(false)));
    // Every 2 seconds for 15.
    assert!((5..=8).contains(&script.hits()), "{}", script.hits());
}

#[tokio::test]
async fn a_start_that_ec2_takes_back_is_a_409_with_ec2s_reason() {
    let reason = "Client.InternalError: Client error on launch";
    for word in ["running", "healthy"] {
        let id = stopped().await;
        let _scripts = show(&id, "stopped", reason);
        let answer = world().call("POST", &id, &format!("/start?wait={word}")).await;
        assert_problem(&answer, 409, "incorrect_state");
        assert!(answer.json["detail"].as_str().unwrap().contains(reason), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_stop_older_than_the_start_does_not_prove_the_start_failed() {
    let id = stopped().await;
    let hour = Duration::from_secs(3600);
    let _scripts = show_started(&id, "stopped", "Client.UserInitiatedShutdown: another", SystemTime::now() - hour);
    let answer = world().call("POST", &id, "/start?wait=running").await;
    assert_ok(&answer, 202);
    assert_eq!((&answer.json["current_state"], &answer.json["changed"]), (&json!("stopped"), &json!(true)));
}

#[tokio::test]
async fn a_wait_that_makes_no_sense_is_refused_and_changes_nothing() {
    let id = world().launch().await;
    for (method, below) in [
        ("POST", "/start?wait=stopped"),
        ("POST", "/stop?wait=running"),
        ("DELETE", "?wait=stopped"),
        ("POST", "/stop?wait=stopped&dry_run=true"),
        ("POST", "/stop?wait=stopped&wait=stopped"),
        ("POST", "/stop?wait="),
    ] {
        let below = match below.split_once('&') {
            // SigV4 wants the query sorted.
            Some((path, "dry_run=true")) => path.replace("?", "?dry_run=true&"),
            _ => below.to_owned(),
        };
        assert_refused(&world().call(method, &id, &below).await, &["wait"]);
    }
    assert_eq!(world().state(&id).await, "running");
}
