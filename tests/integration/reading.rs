//! `get-instance-details`, `get-instance-status` and `health`.

use serde_json::json;

use crate::world::{MISSING, REGION, assert_ok, assert_problem, assert_refused, world};

#[tokio::test]
async fn details_agree_with_ec2() {
    let id = world().launch().await;
    let answer = world().call("GET", &id, "").await;
    assert_ok(&answer, 200);
    let (document, instance) = (&answer.json, world().instance(&id).await);
    for (field, expected) in [
        ("instance_id", instance.instance_id()),
        ("image_id", instance.image_id()),
        ("private_ip", instance.private_ip_address()),
        ("subnet_id", instance.subnet_id()),
        ("vpc_id", instance.vpc_id()),
        ("instance_type", Some("c5.2xlarge")),
        ("region", Some(REGION)),
        ("state", Some("running")),
        ("lifecycle", Some("on-demand")),
    ] {
        assert!(
            expected.is_some() && document[field].as_str() == expected,
            "{field}: {:?} {expected:?}",
            document[field]
        );
    }
    assert_eq!((&document["managed"], &document["image_name"]), (&json!(true), &json!(null)));
    assert!(document["launch_time"].as_str().unwrap().ends_with('Z') && document["age_seconds"].is_u64());
}

#[tokio::test]
async fn details_are_narrowed_to_the_fields_asked_for() {
    let id = world().launch().await;
    let answer = world().call("GET", &id, "?fields=state,managed").await;
    assert_ok(&answer, 200);
    assert_eq!(answer.json, json!({"instance_id": id, "state": "running", "managed": true}));
    assert_refused(&world().call("GET", &id, "?fields=color").await, &["fields"]);
}

#[tokio::test]
async fn a_foreign_instance_can_be_read_and_is_marked_as_unmanaged() {
    let id = world().launch_foreign().await;
    for below in ["", "/status", "/tags", "/utilization"] {
        let answer = world().call("GET", &id, below).await;
        assert_eq!((answer.status, &answer.json["managed"]), (200, &json!(false)), "{below}: {}", answer.text);
    }
}

#[tokio::test]
async fn status_of_a_running_and_of_a_stopped_worker() {
    let id = world().launch().await;
    let running = world().call("GET", &id, "/status").await;
    assert_ok(&running, 200);
    assert_eq!((&running.json["state"], &running.json["healthy"]), (&json!("running"), &json!(true)));
    assert_eq!(
        (&running.json["instance_status_check"], &running.json["system_status_check"]),
        (&json!("ok"), &json!("ok"))
    );
    assert_eq!(running.json["scheduled_events"], json!([]));
    world().ec2().stop_instances().instance_ids(&id).send().await.unwrap();
    let stopped = world().call("GET", &id, "/status").await;
    assert_eq!((&stopped.json["state"], &stopped.json["healthy"]), (&json!("stopped"), &json!(false)));
}

#[tokio::test]
async fn reads_answer_404_for_unknown_and_400_for_malformed_ids() {
    for below in ["", "/status", "/tags", "/utilization"] {
        assert_problem(&world().call("GET", MISSING, below).await, 404, "instance_not_found");
        assert_refused(&world().call("GET", "i-XYZ", below).await, &["instance_id"]);
    }
}

#[tokio::test]
async fn reads_keep_to_the_allowed_regions() {
    for path in [
        "/regions/eu-west-1/instances",
        "/regions/eu-west-1/images?name=cml-*",
        "/regions/eu-west-1/instances/i-12345678/tags",
    ] {
        assert_problem(&world().api.request("GET", path, None).await, 403, "region_not_allowed");
    }
    assert_refused(&world().api.request("GET", "/regions/Frankfurt/instances", None).await, &["region"]);
}

#[tokio::test]
async fn health_is_ok_and_lists_the_accounts_regions() {
    let answer = world().api.request("GET", "/health", None).await;
    assert_ok(&answer, 200);
    let health = &answer.json;
    assert_eq!((&health["status"], &health["version"]), (&json!("ok"), &json!(env!("CARGO_PKG_VERSION"))));
    assert!(health["regions"].as_array().unwrap().contains(&json!(REGION)));
    let checks = health["checks"].as_array().unwrap();
    let names: Vec<_> = checks.iter().map(|check| &check["name"]).collect();
    assert_eq!(names, ["ec2:DescribeRegions", "cloudwatch:GetMetricStatistics"]);
    for check in checks {
        assert_eq!(
            (&check["region"], &check["ok"], &check["error"], &check["aws_code"], &check["aws_request_id"]),
            (&json!(REGION), &json!(true), &json!(null), &json!(null), &json!(null))
        );
        assert!(check["latency_ms"].is_u64());
    }
    // A function has its role's session, and its environment does not say until when.
    assert_eq!(
        (&health["credentials"], &health["warnings"]),
        (&json!({"kind": "role_session", "expires_at": null, "error": null}), &json!([]))
    );
}

#[tokio::test]
async fn health_knows_no_parameters_yet() {
    assert_refused(&world().api.request("GET", "/health?deep=true", None).await, &["deep"]);
}
