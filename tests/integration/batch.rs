//! `POST …/instances/start`, `/stop` and `/terminate`: many workers in one request, each with its own answer.

use aws_sdk_ec2::types::AttributeBooleanValue;
use serde_json::{Value, json};
use tests::client::Answer;
use tests::stub::{Recorded, Reply, Script, Times};

use crate::world::{MISSING, REGION, assert_ok, assert_problem, assert_refused, world};

async fn post(action: &str, body: Value) -> Answer {
    world().api.request("POST", &format!("/regions/{REGION}/instances/{action}"), Some(body)).await
}

/// Whether the request has any of these instances as one of its own.
fn is_about(request: &Recorded, ids: &[String]) -> bool {
    request.params.iter().any(|(name, value)| name.starts_with("InstanceId.") && ids.contains(value))
}

/// Calls of this action about these instances that reached EC2.
fn calls(action: &'static str, ids: &[String]) -> Vec<Recorded> {
    let ids = ids.to_vec();
    world().ec2_stub.requests_matching(move |request| request.action == action && is_about(request, &ids))
}

/// The EC2 reads for these instances: by filter.
fn reads(ids: &[String]) -> usize {
    let ids = ids.to_vec();
    let is_read = move |request: &Recorded| {
        request.action == "DescribeInstances" && request.params.values().any(|value| ids.contains(value))
    };
    world().ec2_stub.requests_matching(is_read).len()
}

/// EC2 refuses every call with one of these instances in it, and does not say because of which.
fn refuse(action: &'static str, ids: &[String]) -> Script {
    let ids = ids.to_vec();
    let message = "An instance is not in a state from which it can be stopped.";
    let reply = Reply::ec2_error(400, "IncorrectInstanceState", message);
    world().ec2_stub.script(
        move |request: &Recorded| request.action == action && is_about(request, &ids),
        Times::Always,
        reply,
    )
}

fn results(answer: &Answer) -> &Vec<Value> {
    assert_ok(answer, 200);
    answer.json["results"].as_array().unwrap()
}

fn ids_of(results: &[Value]) -> Vec<String> {
    results.iter().map(|result| result["instance_id"].as_str().unwrap().to_owned()).collect()
}

/// The instances whose result is this error.
fn failed(results: &[Value], code: &str) -> Vec<String> {
    let failed: Vec<Value> = results.iter().filter(|result| result["error"]["code"] == code).cloned().collect();
    ids_of(&failed)
}

/// EC2's own words for the instances' states.
async fn states(ids: &[String]) -> Vec<String> {
    let answer = world().ec2().describe_instances().set_instance_ids(Some(ids.to_vec())).send().await.unwrap();
    let instances: Vec<_> = answer.reservations().iter().flat_map(|reservation| reservation.instances()).collect();
    let state = |id: &String| {
        let instance = instances.iter().find(|instance| instance.instance_id() == Some(id)).unwrap();
        instance.state().unwrap().name().unwrap().as_str().to_owned()
    };
    ids.iter().map(state).collect()
}

#[tokio::test]
async fn a_hundred_workers_are_stopped_started_and_terminated_in_one_call_each() {
    let ids = world().launch_many(100).await;
    for (action, ec2_action, state) in [
        ("stop", "StopInstances", "stopped"),
        ("start", "StartInstances", "running"),
        ("terminate", "TerminateInstances", "terminated"),
    ] {
        let answer = post(action, json!({"instance_ids": ids})).await;
        assert_eq!(ids_of(results(&answer)), ids);
        assert!(results(&answer).iter().all(|result| result["changed"] == true), "{}", answer.text);
        assert!(states(&ids).await.iter().all(|s| s == state));
        assert_eq!(calls(ec2_action, &ids).len(), 1);
        // Again: they are there already, and nothing is sent.
        let again = post(action, json!({"instance_ids": ids})).await;
        assert!(results(&again).iter().all(|result| result["changed"] == false), "{}", again.text);
        assert_eq!(calls(ec2_action, &ids).len(), 1);
    }
    assert_eq!(reads(&ids), 6);
}

#[tokio::test]
async fn one_bad_worker_of_100_fails_alone_within_15_calls() {
    let ids = world().launch_many(100).await;
    let bad = ids[41..42].to_vec();
    let _script = refuse("StopInstances", &bad);
    let answer = post("stop", json!({"instance_ids": ids})).await;
    assert_eq!((ids_of(results(&answer)), failed(results(&answer), "incorrect_state")), (ids.clone(), bad));
    assert!(calls("StopInstances", &ids).len() <= 15, "{}", calls("StopInstances", &ids).len());
    assert_eq!(states(&ids).await.iter().filter(|state| *state == "stopped").count(), 99);
}

#[tokio::test]
async fn seven_bad_workers_of_100_fail_alone_within_71_calls() {
    let ids = world().launch_many(100).await;
    let bad: Vec<String> = [3, 17, 31, 45, 59, 73, 99].map(|n: usize| ids[n].clone()).to_vec();
    let _script = refuse("StopInstances", &bad);
    let answer = post("stop", json!({"instance_ids": ids})).await;
    assert_eq!((ids_of(results(&answer)), failed(results(&answer), "incorrect_state")), (ids.clone(), bad));
    assert!(calls("StopInstances", &ids).len() <= 71, "{}", calls("StopInstances", &ids).len());
    assert_eq!(states(&ids).await.iter().filter(|state| *state == "stopped").count(), 93);
}

#[tokio::test]
async fn workers_that_ec2_names_cost_one_call_each() {
    let ids = world().launch_many(100).await;
    let protected: Vec<String> = [0, 12, 24, 36, 48, 60, 99].map(|n: usize| ids[n].clone()).to_vec();
    for id in &protected {
        let value = AttributeBooleanValue::builder().value(true).build();
        let ec2 = world().ec2();
        ec2.modify_instance_attribute().instance_id(id).disable_api_termination(value).send().await.unwrap();
    }
    let answer = post("terminate", json!({"instance_ids": ids})).await;
    let results = results(&answer);
    assert_eq!(failed(results, "operation_not_permitted"), protected);
    assert_eq!(calls("TerminateInstances", &ids).len(), 8);
    // This EC2 has terminated some before it refuses, as AWS does across zones: they are changes all the same.
    assert_eq!(results.iter().filter(|result| result["changed"] == true).count(), 93);
    let expected: Vec<&str> =
        ids.iter().map(|id| if protected.contains(id) { "running" } else { "terminated" }).collect();
    assert_eq!(states(&ids).await, expected);
}

#[tokio::test]
async fn foreign_missing_and_terminated_workers_fail_alone() {
    let (ours, foreign, terminated) = (world().launch().await, world().launch_foreign().await, world().launch().await);
    world().ec2().terminate_instances().instance_ids(&terminated).send().await.unwrap();
    let ids = vec![MISSING.to_owned(), foreign.clone(), ours.clone(), terminated.clone()];
    let answer = post("stop", json!({"instance_ids": ids})).await;
    let results = results(&answer);
    assert_eq!(ids_of(results), ids);
    assert_eq!(failed(results, "instance_not_found"), [MISSING]);
    assert_eq!(failed(results, "not_managed"), [foreign.as_str()]);
    assert_eq!(failed(results, "incorrect_state"), [terminated.as_str()]);
    assert_eq!((&results[2]["current_state"], &results[2]["changed"]), (&json!("stopping"), &json!(true)));
    assert_eq!(states(&[ours, foreign]).await, ["stopped", "running"]);
    // What stands inside is the same document that a single request is answered with.
    let problem = &results[0]["error"];
    assert_eq!((&problem["type"], &problem["status"]), (&json!("urn:cml:problem:instance_not_found"), &json!(404)));
    for member in ["title", "detail", "request_id"] {
        assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {problem}");
    }
}

#[tokio::test]
async fn a_missing_permission_fails_all_workers_without_a_second_call() {
    let ids = world().launch_many(3).await;
    let about = ids.clone();
    let message = format!(
        "You are not authorized to perform: ec2:StopInstances on resource: arn:aws:ec2:us-east-1:123456789012:instance/{} because no \
         identity-based policy allows the ec2:StopInstances action",
        ids[1]
    );
    let script = world().ec2_stub.script(
        move |request: &Recorded| request.action == "StopInstances" && is_about(request, &about),
        Times::Always,
        Reply::ec2_error(403, "UnauthorizedOperation", &message),
    );
    let answer = post("stop", json!({"instance_ids": ids})).await;
    assert_eq!(failed(results(&answer), "missing_permission"), ids);
    assert_eq!(results(&answer)[0]["error"]["missing_permission"], "ec2:StopInstances");
    assert_eq!(script.hits(), 1);
}

#[tokio::test]
async fn the_options_of_a_stop_are_for_all() {
    let ids = world().launch_many(2).await;
    results(&post("stop", json!({"instance_ids": ids, "force": true})).await);
    let calls = calls("StopInstances", &ids);
    assert_eq!((calls.len(), calls[0].param("Force")), (1, Some("true")));
}

#[tokio::test]
async fn a_dry_run_of_many_changes_nothing() {
    let ids = world().launch_many(3).await;
    for action in ["start", "stop", "terminate"] {
        let answer = post(&format!("{action}?dry_run=true"), json!({"instance_ids": ids})).await;
        assert_ok(&answer, 200);
        assert_eq!(answer.json, json!({"dry_run": true, "permitted": true}));
    }
    let mut with_missing = ids.clone();
    with_missing.push(MISSING.to_owned());
    let answer = post("stop?dry_run=true", json!({"instance_ids": with_missing})).await;
    assert_eq!(failed(results(&answer), "instance_not_found"), [MISSING]);
    assert_eq!(results(&answer)[0], json!({"instance_id": ids[0], "dry_run": true, "permitted": true}));
    assert_eq!(states(&ids).await, ["running"; 3]);
    assert!(calls("StopInstances", &ids).iter().all(|call| call.param("DryRun") == Some("true")));
    assert_eq!(calls("StopInstances", &ids).len(), 2);
}

#[tokio::test]
async fn a_bad_list_is_a_400_for_all_and_changes_nothing() {
    let id = world().launch().await;
    let many: Vec<String> = (0..101).map(|n| format!("i-{n:017x}")).collect();
    for (body, fields) in [
        (
            json!({"instance_ids": [id, "i-1", id, "i-2"]}),
            vec!["instance_ids[1]", "instance_ids[2]", "instance_ids[3]"],
        ),
        (json!({"instance_ids": []}), vec!["instance_ids"]),
        (json!({"instance_ids": many}), vec!["instance_ids"]),
        (json!({"instance_ids": id}), vec!["instance_ids"]),
        (json!({}), vec!["instance_ids"]),
        (json!({"instance_ids": [id], "gently": true}), vec!["gently"]),
    ] {
        for action in ["start", "stop", "terminate"] {
            assert_refused(&post(action, body.clone()).await, &fields);
        }
    }
    assert_refused(&post("stop?wait=stopped", json!({"instance_ids": [id]})).await, &["wait"]);
    assert_refused(
        &post("stop", json!({"instance_ids": [id], "force": true, "hibernate": true})).await,
        &["hibernate"],
    );
    assert_eq!((states(std::slice::from_ref(&id)).await, reads(&[id])), (vec!["running".to_owned()], 0));
}

#[tokio::test]
async fn a_region_that_is_not_allowed_is_a_403_for_all() {
    let path = "/regions/eu-west-1/instances/stop";
    let answer = world().api.request("POST", path, Some(json!({"instance_ids": [MISSING]}))).await;
    assert_problem(&answer, 403, "region_not_allowed");
}
