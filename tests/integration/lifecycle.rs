//! `start-instance`, `stop-instance` and `terminate-instance`.

use serde_json::json;

use crate::world::{MISSING, assert_ok, assert_problem, assert_refused, world};

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
    let path = format!("/regions/{}/instances/{id}/stop", crate::world::REGION);
    let answer = world().api.request("POST", &path, Some(json!({"gently": true}))).await;
    assert_refused(&answer, &["gently"]);
    assert_eq!(world().state(&id).await, "running");
}

#[tokio::test]
async fn a_dry_run_changes_nothing_in_any_state() {
    let id = world().launch().await;
    for (method, below) in [("POST", "/start"), ("POST", "/stop"), ("DELETE", "")] {
        let answer = world().call(method, &id, &format!("{below}?dry_run=true")).await;
        assert_eq!((answer.status, answer.json), (200, json!({"dry_run": true, "permitted": true})));
    }
    assert_eq!(world().state(&id).await, "running");
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
