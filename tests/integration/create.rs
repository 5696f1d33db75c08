//! `create-instance`.

use std::collections::BTreeSet;

use serde_json::json;
use tests::client::Answer;
use tests::stub::{Recorded, Reply, Times};

use crate::world::{REGION, assert_ok, assert_problem, assert_refused, launch_of, unique, world};

async fn create(body: serde_json::Value) -> Answer {
    world().api.request("POST", &format!("/regions/{REGION}/instances"), Some(body)).await
}

/// Launches that reached EC2 for a worker of this name.
fn launches(name: &str) -> Vec<Recorded> {
    world().ec2_stub.requests_matching(launch_of(name))
}

#[tokio::test]
async fn a_worker_is_launched_by_image_name_and_ec2_has_it() {
    let name = unique("create");
    let mut body = world().launch_body(&name);
    body["tags"] = json!({"Lab": "ospf & bgp"});
    body["detailed_monitoring"] = true.into();
    let answer = create(body).await;
    assert_ok(&answer, 201);
    let (document, info) = (&answer.json, &world().stack.info);
    let id = document["instance_id"].as_str().unwrap();
    assert_eq!(answer.header("location"), Some(format!("/v1/regions/{REGION}/instances/{id}").as_str()));
    assert_eq!((&document["image_id"], &document["image_name"]), (&json!(info.image_id), &json!(info.image_name)));
    assert_eq!((&document["name"], &document["managed"]), (&json!(name), &json!(true)));
    assert!(document["warnings"][0].as_str().unwrap().starts_with("c5.2xlarge cannot run nested virtual machines"));
    let user = "arn:aws:iam::123456789012:user/cml-cloud-manager";
    let tags = json!({"Name": name, "ManagedBy": "cml-cloud-manager", "CreatedBy": user, "Lab": "ospf & bgp"});
    assert_eq!(document["tags"], tags);

    let instance = world().instance(id).await;
    assert_eq!(instance.instance_type().unwrap().as_str(), "c5.2xlarge");
    assert_eq!(instance.subnet_id(), Some(info.subnet_id.as_str()));
    assert_eq!(instance.key_name(), Some(info.key_name.as_str()));
    assert_eq!(instance.security_groups()[0].group_id(), Some(info.security_group_id.as_str()));
    assert_eq!(world().tags(id).await, document["tags"]);
}

#[tokio::test]
async fn tags_imds_and_encryption_go_out_with_the_launch_itself() {
    let name = unique("create");
    assert_ok(&create(world().launch_body(&name)).await, 201);
    let launches = launches(&name);
    assert_eq!(launches.len(), 1);
    let sent = |parameter: &str| launches[0].param(parameter);
    for (n, kind) in ["instance", "volume", "network-interface"].iter().enumerate() {
        let prefix = format!("TagSpecification.{}", n + 1);
        assert_eq!(sent(&format!("{prefix}.ResourceType")), Some(*kind));
        assert_eq!(sent(&format!("{prefix}.Tag.1.Value")), Some(name.as_str()));
        assert_eq!(sent(&format!("{prefix}.Tag.2.Key")), Some("ManagedBy"));
        assert_eq!(sent(&format!("{prefix}.Tag.2.Value")), Some("cml-cloud-manager"));
    }
    assert_eq!(sent("MetadataOptions.HttpTokens"), Some("required"));
    assert_eq!(sent("MetadataOptions.HttpPutResponseHopLimit"), Some("2"));
    assert_eq!(sent("BlockDeviceMapping.1.DeviceName"), Some("/dev/sda1"));
    assert_eq!(sent("BlockDeviceMapping.1.Ebs.Encrypted"), Some("true"));
    assert_eq!((sent("MinCount"), sent("MaxCount")), (Some("1"), Some("1")));
    assert!(sent("ClientToken").is_some_and(|token| (1..=64).contains(&token.len())));
}

#[tokio::test]
async fn every_bad_field_is_named_and_nothing_is_launched() {
    let name = unique("create");
    let body = json!({
        "name": name, "image_id": "ami-1", "instance_type": "huge", "subnet_id": "vpc-1", "tags": {"ManagedBy": "me", "aws:a": "b"},
        "userdata": "misspelt",
    });
    let answer = create(body).await;
    assert_refused(&answer, &["image_id", "instance_type", "subnet_id", "tags.ManagedBy", "tags.aws:a", "userdata"]);
    assert!(launches(&name).is_empty());
}

#[tokio::test]
async fn an_unknown_image_is_a_404_by_name_and_by_id() {
    let name = unique("create");
    let mut by_name = world().launch_body(&name);
    by_name["image_name"] = "cml-0.0.0-worker".into();
    assert_problem(&create(by_name).await, 404, "image_not_found");
    let mut by_id = world().launch_body(&name);
    by_id.as_object_mut().unwrap().remove("image_name");
    by_id["image_id"] = "ami-0fffffffffffffff0".into();
    assert_problem(&create(by_id).await, 404, "image_not_found");
    assert!(launches(&name).is_empty());
}

#[tokio::test]
async fn a_public_look_alike_of_another_account_is_not_launched_by_name() {
    let answer = create(world().launch_body(&unique("create"))).await;
    // images.json has a newer image with the same name that is somebody else's.
    assert_eq!(answer.json["image_id"], world().stack.info.image_id);
}

#[tokio::test]
async fn a_value_unknown_to_ec2_is_a_400_that_names_the_field() {
    for (field, value) in [
        ("subnet_id", json!("subnet-0fffffffffffffff0")),
        ("key_name", json!("nobody's")),
        ("security_group_ids", json!(["sg-0fffffffffffffff0"])),
    ] {
        let mut body = world().launch_body(&unique("create"));
        body[field] = value;
        assert_refused(&create(body).await, &[field]);
    }
}

#[tokio::test]
async fn a_type_that_is_not_allowed_never_reaches_ec2() {
    let name = unique("create");
    let mut body = world().launch_body(&name);
    body["instance_type"] = "t3.micro".into();
    assert_problem(&create(body).await, 403, "instance_type_not_allowed");
    assert!(launches(&name).is_empty());
}

#[tokio::test]
async fn a_dry_run_asks_ec2_and_launches_nothing() {
    let name = unique("create");
    let path = format!("/regions/{REGION}/instances?dry_run=true");
    let answer = world().api.request("POST", &path, Some(world().launch_body(&name))).await;
    assert_ok(&answer, 200);
    assert_eq!(answer.json, json!({"dry_run": true, "permitted": true}));
    assert!(launches(&name).iter().all(|launch| launch.param("DryRun") == Some("true")));
    assert_eq!(world().workers_named(&name).await, 0);
}

#[tokio::test]
async fn a_region_that_is_not_allowed_is_a_403() {
    let body = world().launch_body(&unique("create"));
    let answer = world().api.request("POST", "/regions/eu-west-1/instances", Some(body)).await;
    assert_problem(&answer, 403, "region_not_allowed");
}

async fn create_with_key(key: &str, body: &serde_json::Value) -> Answer {
    let api = world().api.with_header("Idempotency-Key", key);
    api.request("POST", &format!("/regions/{REGION}/instances"), Some(body.clone())).await
}

#[tokio::test]
async fn the_same_key_and_body_launch_once() {
    let name = unique("create");
    let body = world().launch_body(&name);
    let first = create_with_key(&name, &body).await;
    assert_ok(&first, 201);
    assert_eq!(first.json["created"], true);
    let again = create_with_key(&name, &body).await;
    assert_ok(&again, 200);
    assert_eq!((&again.json["instance_id"], &again.json["created"]), (&first.json["instance_id"], &json!(false)));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(launches(&name).len(), 1);
}

#[tokio::test]
async fn a_key_with_another_body_is_a_409_naming_the_first_launch() {
    let name = unique("create");
    let first = create_with_key(&name, &world().launch_body(&name)).await;
    let mut other = world().launch_body(&name);
    other["detailed_monitoring"] = true.into();
    let refused = create_with_key(&name, &other).await;
    assert_problem(&refused, 409, "idempotency_mismatch");
    assert!(refused.json["detail"].as_str().unwrap().contains(first.json["instance_id"].as_str().unwrap()));
    assert_eq!(launches(&name).len(), 1);
}

#[tokio::test]
async fn another_callers_key_is_another_key() {
    let name = unique("create");
    let body = world().launch_body(&name);
    let first = create_with_key(&name, &body).await;
    let key = world().stack.add_caller(&unique("caller"), &["*"]).await.unwrap();
    let other =
        tests::client::Client::new(&world().stack.info.api_url, REGION, &key.access_key_id, &key.secret_access_key);
    let other = other.with_header("Idempotency-Key", &name);
    let second = other.request("POST", &format!("/regions/{REGION}/instances"), Some(body)).await;
    assert_eq!((first.status, second.status), (201, 201), "{}", second.text);
    assert_ne!(first.json["instance_id"], second.json["instance_id"]);
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    let name = unique("create");
    for key in ["with space", &"x".repeat(65)] {
        assert_refused(&create_with_key(key, &world().launch_body(&name)).await, &["Idempotency-Key"]);
    }
    assert!(launches(&name).is_empty());
}

#[tokio::test]
async fn a_launch_that_is_waited_for_is_answered_as_it_runs() {
    let path = format!("/regions/{REGION}/instances?wait=running");
    let answer = world().api.request("POST", &path, Some(world().launch_body(&unique("create")))).await;
    assert_ok(&answer, 201);
    assert_eq!(answer.json["state"], "running");
    let refused = world().api.request("POST", &format!("{path}&dry_run=true"), Some(world().launch_body("x"))).await;
    assert_refused(&refused, &["wait"]);
}

#[tokio::test]
async fn without_a_key_each_sending_is_a_launch_of_its_own() {
    let name = unique("create");
    let body = world().launch_body(&name);
    let (first, second) = (create(body.clone()).await, create(body).await);
    assert_eq!((first.status, second.status), (201, 201), "{}", second.text);
    assert_ne!(first.json["instance_id"], second.json["instance_id"]);
    assert_eq!(world().workers_named(&name).await, 2);
}

#[tokio::test]
async fn without_a_key_too_a_lost_answer_launches_nothing_twice() {
    let name = unique("create");
    let script = world().ec2_stub.script(launch_of(&name), Times::Exactly(1), Reply::closed().after_work());
    let answer = create(world().launch_body(&name)).await;
    assert_ok(&answer, 201);
    let tokens: BTreeSet<_> =
        launches(&name).iter().map(|launch| launch.param("ClientToken").map(str::to_owned)).collect();
    assert_eq!((script.hits(), launches(&name).len(), tokens.len(), world().workers_named(&name).await), (1, 2, 1, 1));
}

#[tokio::test]
async fn the_same_key_sent_twice_at_once_launches_once() {
    let name = unique("create");
    let body = world().launch_body(&name);
    let (first, second) = tokio::join!(create_with_key(&name, &body), create_with_key(&name, &body));
    assert!([first.status, second.status].iter().all(|status| [200, 201].contains(status)), "{}", second.text);
    assert_eq!(first.json["instance_id"], second.json["instance_id"]);
    assert_eq!(world().workers_named(&name).await, 1);
}

#[tokio::test]
async fn impossible_nested_virtualization_is_refused_or_warned_about() {
    let name = unique("create");
    let mut body = world().launch_body(&name);
    body["cpu"] = json!({"nested_virtualization": true});
    let refused = create(body.clone()).await;
    assert_refused(&refused, &["cpu.nested_virtualization"]);
    let detail = refused.json["detail"].as_str().unwrap();
    assert!(["c8i", "m8i", "r8i"].iter().all(|family| detail.contains(family)), "{detail}");
    assert!(launches(&name).is_empty());
    body["cpu"] = json!({});
    body["termination_protection"] = true.into();
    let launched = create(body).await;
    assert_ok(&launched, 201);
    let warnings = launched.json["warnings"].to_string();
    assert!(
        warnings.contains("no operation of this API lifts it") && warnings.contains("cannot run nested"),
        "{warnings}"
    );
}
