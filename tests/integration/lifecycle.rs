//! `start-instance`, `stop-instance` and `terminate-instance`.

use serde_json::{Value, json};
use tests::client::Answer;
use tests::stub::{Matcher, Recorded, Reply, Times, action};

use crate::world::{
    MISSING, REGION, assert_ok, assert_only_dry_runs, assert_problem, assert_refused, described, world,
};

async fn stop(id: &str, body: Value) -> Answer {
    world().api.request("POST", &format!("/regions/{REGION}/instances/{id}/stop"), Some(body)).await
}

/// Stops of this instance that reached EC2.
fn stops(id: &str) -> Vec<Recorded> {
    world().ec2_stub.requests_matching(action("StopInstances").param("InstanceId.1", id))
}

/// Mutations of this instance that reached EC2.
fn mutations(id: &str) -> Vec<String> {
    let id = id.to_owned();
    let sent = world()
        .ec2_stub
        .requests_matching(move |r| !r.action.starts_with("Describe") && r.params.values().any(|v| *v == id));
    sent.into_iter().map(|r| r.action).collect()
}

#[tokio::test]
async fn a_running_worker_is_stopped() {
    let id = world().launch().await;
    let answer = world().call("POST", &id, "/stop").await;
    assert_ok(&answer, 200);
    assert_eq!((&answer.json["instance_id"], &answer.json["changed"]), (&json!(id), &json!(true)));
    assert_eq!(answer.json["previous_state"], "running");
    assert!(["stopping", "stopped"].contains(&world().state(&id).await.as_str()));
}

#[tokio::test]
async fn a_stopped_worker_is_started() {
    let id = world().launch().await;
    world().ec2().stop_instances().instance_ids(&id).send().await.unwrap();
    let answer = world().call("POST", &id, "/start").await;
    assert_ok(&answer, 200);
    assert_eq!((&answer.json["previous_state"], &answer.json["changed"]), (&json!("stopped"), &json!(true)));
    assert!(["pending", "running"].contains(&world().state(&id).await.as_str()));
}

#[tokio::test]
async fn a_worker_is_terminated() {
    let id = world().launch().await;
    let answer = world().call("DELETE", &id, "").await;
    assert_ok(&answer, 200);
    assert_eq!(answer.json["changed"], true);
    assert_eq!(world().state(&id).await, "terminated");
}

#[tokio::test]
async fn already_there_is_a_200_and_sends_nothing() {
    let id = world().launch().await;
    let started = world().call("POST", &id, "/start").await;
    assert_eq!(
        (started.status, &started.json["changed"], &started.json["current_state"]),
        (200, &json!(false), &json!("running"))
    );
    world().ec2().stop_instances().instance_ids(&id).send().await.unwrap();
    let stopped = world().call("POST", &id, "/stop").await;
    assert_eq!(
        (stopped.status, &stopped.json["changed"], &stopped.json["current_state"]),
        (200, &json!(false), &json!("stopped"))
    );
    world().ec2().terminate_instances().instance_ids(&id).send().await.unwrap();
    let terminated = world().call("DELETE", &id, "").await;
    assert_eq!((terminated.status, &terminated.json["changed"]), (200, &json!(false)));
    assert_eq!(mutations(&id), [""; 0]);
}

#[tokio::test]
async fn a_terminated_worker_can_be_neither_started_nor_stopped() {
    let id = world().launch().await;
    world().ec2().terminate_instances().instance_ids(&id).send().await.unwrap();
    for action in ["/start", "/stop"] {
        let answer = world().call("POST", &id, action).await;
        assert_problem(&answer, 409, "incorrect_state");
        assert_eq!(answer.json["retryable"], false);
    }
    assert_eq!(mutations(&id), [""; 0]);
}

#[tokio::test]
async fn somebody_elses_instance_is_left_alone() {
    let id = world().launch_foreign().await;
    for (method, below) in [("POST", "/start"), ("POST", "/stop"), ("DELETE", ""), ("DELETE", "?dry_run=true")] {
        assert_problem(&world().call(method, &id, below).await, 403, "not_managed");
    }
    assert_eq!((world().state(&id).await.as_str(), mutations(&id).len()), ("running", 0));
}

#[tokio::test]
async fn an_unknown_instance_is_a_404_and_a_malformed_id_a_400() {
    for (method, below) in [("POST", "/start"), ("POST", "/stop"), ("DELETE", "")] {
        assert_problem(&world().call(method, MISSING, below).await, 404, "instance_not_found");
        assert_refused(&world().call(method, "i-123", below).await, &["instance_id"]);
    }
}

#[tokio::test]
async fn an_option_that_does_not_exist_is_refused_and_changes_nothing() {
    let id = world().launch().await;
    assert_refused(&world().call("POST", &id, "/stop?now=true").await, &["now"]);
    assert_refused(&stop(&id, json!({"gently": true})).await, &["gently"]);
    assert_eq!(world().state(&id).await, "running");
}

#[tokio::test]
async fn force_reaches_ec2() {
    let id = world().launch().await;
    let answer = stop(&id, json!({"force": true})).await;
    assert_ok(&answer, 200);
    assert_eq!((&answer.json["changed"], &answer.json["note"]), (&json!(true), &json!(null)));
    let sent = stops(&id);
    assert_eq!((sent.len(), sent[0].param("Force"), sent[0].param("Hibernate")), (1, Some("true"), None));
    assert_eq!(world().state(&id).await, "stopped");
}

#[tokio::test]
async fn a_worker_that_can_hibernates() {
    let id = world().launch().await;
    let answer = stop(&id, json!({"hibernate": true})).await;
    assert_ok(&answer, 200);
    let sent = stops(&id);
    assert_eq!((sent.len(), sent[0].param("Hibernate"), &answer.json["note"]), (1, Some("true"), &json!(null)));
}

#[tokio::test]
async fn a_worker_that_cannot_hibernate_is_stopped_and_the_answer_says_so() {
    let id = world().launch().await;
    let message =
        format!("The instance can't be hibernated because it was not configured at launch for hibernation: {id}");
    let refusal = Reply::ec2_error(400, "UnsupportedHibernationConfiguration", &message);
    let hibernations = action("StopInstances").param("InstanceId.1", &id).param("Hibernate", "true");
    let script = world().ec2_stub.script(hibernations, Times::Always, refusal);
    let answer = stop(&id, json!({"hibernate": true})).await;
    assert_ok(&answer, 200);
    assert_eq!((&answer.json["changed"], script.hits(), stops(&id).len()), (&json!(true), 1, 2));
    assert!(answer.json["note"].as_str().unwrap().contains("cannot hibernate"), "{}", answer.text);
    assert_eq!(world().state(&id).await, "stopped");
}

#[tokio::test]
async fn a_spot_instance_that_cannot_be_stopped_says_so() {
    let id = world().launch().await;
    let message = format!(
        "You can't stop the Spot Instance '{id}' because it is associated with a one-time Spot Instance request. You can only stop Spot \
         Instances associated with persistent Spot Instance requests."
    );
    let refusal = Reply::ec2_error(400, "UnsupportedOperation", &message);
    let _script = world().ec2_stub.script(action("StopInstances").param("InstanceId.1", &id), Times::Always, refusal);
    let answer = world().call("POST", &id, "/stop").await;
    assert_problem(&answer, 409, "incorrect_state");
    assert_eq!((&answer.json["detail"], &answer.json["aws_code"]), (&json!(message), &json!("UnsupportedOperation")));
    assert_eq!(world().state(&id).await, "running");
}

#[tokio::test]
async fn a_stopping_worker_cannot_be_started_yet() {
    let id = world().launch().await;
    let read = action("DescribeInstances").param("InstanceId.1", &id);
    let script =
        world().ec2_stub.script(read, Times::Exactly(1), described(&id, "stopping", "", std::time::SystemTime::now()));
    let answer = world().call("POST", &id, "/start").await;
    assert_problem(&answer, 409, "incorrect_state");
    assert_eq!((&answer.json["retryable"], script.hits(), mutations(&id).len()), (&json!(true), 1, 0));
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused_and_change_nothing() {
    let id = world().launch().await;
    for (body, fields) in [
        (json!({"force": true, "hibernate": true}), vec!["hibernate"]),
        (json!({"force": "yes", "hibernate": 1}), vec!["force", "hibernate"]),
        (json!({"instance_ids": [id]}), vec!["instance_ids"]),
    ] {
        assert_refused(&stop(&id, body).await, &fields);
    }
    let path = |below: &str| format!("/regions/{REGION}/instances/{id}{below}");
    let start = world().api.request("POST", &path("/start"), Some(json!({"force": true}))).await;
    assert_refused(&start, &["force"]);
    let terminate = world().api.request("DELETE", &path(""), Some(json!({"force": true}))).await;
    assert_refused(&terminate, &["force"]);
    assert_eq!((world().state(&id).await.as_str(), mutations(&id).len()), ("running", 0));
}

#[tokio::test]
async fn a_dry_run_changes_nothing_in_any_state() {
    let id = world().launch().await;
    for (method, below) in [("POST", "/start"), ("POST", "/stop"), ("DELETE", "")] {
        let answer = world().call(method, &id, &format!("{below}?dry_run=true")).await;
        assert_eq!((answer.status, answer.json), (200, json!({"dry_run": true, "permitted": true})));
    }
    assert_eq!(world().state(&id).await, "running");
    assert_only_dry_runs(&id, &["StartInstances", "StopInstances", "TerminateInstances"]);
}

#[tokio::test]
async fn termination_protection_is_a_409_and_keeps_the_worker() {
    let id = world().launch().await;
    let protected = aws_sdk_ec2::types::AttributeBooleanValue::builder().value(true).build();
    let ec2 = world().ec2();
    ec2.modify_instance_attribute().instance_id(&id).disable_api_termination(protected).send().await.unwrap();
    assert_problem(&world().call("DELETE", &id, "").await, 409, "operation_not_permitted");
    assert_eq!(world().state(&id).await, "running");
}
