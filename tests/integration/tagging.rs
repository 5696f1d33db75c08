//! `get-instance-tags`, `update-instance-tags` and `delete-instance-tags`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::client::{Answer, with_query};
use tests::stub::{Reply, Times, action};

use crate::functions::Functions;
use crate::world::{MISSING, REGION, assert_ok, assert_only_dry_runs, assert_problem, assert_refused, world};

fn path(id: &str) -> String {
    format!("/regions/{REGION}/instances/{id}/tags")
}

async fn patch(id: &str, body: Value) -> Answer {
    world().api.request("PATCH", &path(id), Some(body)).await
}

async fn delete(id: &str, keys: &[&str]) -> Answer {
    let query: Vec<_> = keys.iter().map(|key| ("key", *key)).collect();
    world().api.request("DELETE", &with_query(&path(id), &query), None).await
}

#[tokio::test]
async fn tags_are_merged_read_and_removed() {
    let id = world().launch().await;
    let merged = patch(&id, json!({"tags": {"Lab": "ospf", "Größe": "a=b&c *?"}})).await;
    assert_ok(&merged, 200);
    let expected = json!({"ManagedBy": "cml-cloud-manager", "Lab": "ospf", "Größe": "a=b&c *?"});
    assert_eq!((&merged.json["tags"], &merged.json["instance_id"]), (&expected, &json!(id)));
    assert_eq!(world().tags(&id).await, expected);

    let changed = patch(&id, json!({"tags": {"Lab": ""}})).await;
    assert_eq!(changed.json["tags"]["Lab"], "");
    let read = world().call("GET", &id, "/tags").await;
    assert_ok(&read, 200);
    assert_eq!((&read.json["tags"], &read.json["managed"]), (&changed.json["tags"], &json!(true)));

    let removed = delete(&id, &["Lab", "Größe", "never-was"]).await;
    assert_ok(&removed, 200);
    assert_eq!(removed.json["tags"], json!({"ManagedBy": "cml-cloud-manager"}));
    assert_eq!(world().tags(&id).await, removed.json["tags"]);
}

#[tokio::test]
async fn the_ownership_tag_can_be_neither_set_nor_removed() {
    let id = world().launch().await;
    assert_refused(&patch(&id, json!({"tags": {"ManagedBy": "me", "Lab": "x"}})).await, &["tags.ManagedBy"]);
    assert_refused(&delete(&id, &["ManagedBy"]).await, &["key"]);
    assert_refused(&delete(&id, &["Lab", "managedby"]).await, &["key[1]"]);
    assert_eq!(world().tags(&id).await, json!({"ManagedBy": "cml-cloud-manager"}));
}

#[tokio::test]
async fn deleting_without_a_key_never_reaches_ec2() {
    let id = world().launch().await;
    assert_refused(&delete(&id, &[]).await, &["key"]);
    let instance = id.clone();
    let sent = world()
        .ec2_stub
        .requests_matching(move |r| r.action == "DeleteTags" && r.param("ResourceId.1") == Some(&instance));
    assert!(sent.is_empty());
    assert_eq!(world().tags(&id).await, json!({"ManagedBy": "cml-cloud-manager"}));
}

#[tokio::test]
async fn tags_of_an_unknown_instance_are_a_404() {
    assert_problem(&world().call("GET", MISSING, "/tags").await, 404, "instance_not_found");
    assert_problem(&patch(MISSING, json!({"tags": {"a": "b"}})).await, 404, "instance_not_found");
    assert_problem(&delete(MISSING, &["a"]).await, 404, "instance_not_found");
}

#[tokio::test]
async fn bad_tags_are_named() {
    let id = world().launch().await;
    assert_refused(&patch(&id, json!({"tags": {}})).await, &["tags"]);
    assert_refused(&patch(&id, json!({})).await, &["tags"]);
    assert_refused(
        &patch("i-1", json!({"tags": {"a": 1, "aws:b": "c"}, "x": 1})).await,
        &["instance_id", "tags.a", "tags.aws:b", "x"],
    );
}

#[tokio::test]
async fn somebody_elses_tags_are_left_alone() {
    let id = world().launch_foreign().await;
    assert_problem(&patch(&id, json!({"tags": {"a": "b"}})).await, 403, "not_managed");
    assert_problem(&delete(&id, &["a"]).await, 403, "not_managed");
    assert_eq!(world().tags(&id).await, json!({"ManagedBy": "somebody-else"}));
}

#[tokio::test]
async fn a_dry_run_changes_no_tag() {
    let id = world().launch().await;
    let permitted = json!({"dry_run": true, "permitted": true});
    let body = json!({"tags": {"a": "b"}});
    assert_eq!(world().api.request("PATCH", &format!("{}?dry_run=true", path(&id)), Some(body)).await.json, permitted);
    assert_eq!(world().api.request("DELETE", &format!("{}?dry_run=true&key=a", path(&id)), None).await.json, permitted);
    assert_eq!(world().tags(&id).await, json!({"ManagedBy": "cml-cloud-manager"}));
    assert_only_dry_runs(&id, &["CreateTags", "DeleteTags"]);
}

#[tokio::test]
async fn awss_limits_are_ours() {
    let id = world().launch().await;
    let (key, value) = ("ü".repeat(128), "ö".repeat(256));
    assert_ok(&patch(&id, json!({"tags": {&key: &value, "lab": "1", "Lab": "2"}})).await, 200);
    let expected = json!({"ManagedBy": "cml-cloud-manager", &key: value, "lab": "1", "Lab": "2"});
    assert_eq!(world().tags(&id).await, expected);

    let (long_key, long_value) = ("ü".repeat(129), "ö".repeat(257));
    let refused =
        patch(&id, json!({"tags": {&long_key: "", "long": long_value, "": "", "new\nline": "", "tab": "a\tb"}})).await;
    assert_refused(&refused, &["tags.", "tags.long", "tags.new\nline", "tags.tab", &format!("tags.{long_key}")]);
    assert_refused(&delete(&id, &[&long_key]).await, &["key"]);
    assert_eq!(world().tags(&id).await, expected);
}

#[tokio::test]
async fn an_instance_has_at_most_50_tags() {
    let id = world().launch().await;
    let tags = |count: usize| (0..count).map(|n| (format!("k{n}"), "v".to_owned())).collect::<BTreeMap<_, _>>();
    assert_refused(&patch(&id, json!({"tags": tags(51)})).await, &["tags"]);
    // 50 with the ownership tag, and then one more: EC2 counts what is there already.
    assert_ok(&patch(&id, json!({"tags": tags(49)})).await, 200);
    let one_more = patch(&id, json!({"tags": {"k49": "v"}})).await;
    assert_refused(&one_more, &["tags"]);
    assert_eq!(one_more.json["aws_code"], "TagLimitExceeded");
    assert_ok(&patch(&id, json!({"tags": {"k0": "changed"}})).await, 200);
    assert_eq!(world().tags(&id).await.as_object().unwrap().len(), 50);
}

#[tokio::test]
async fn reserved_keys_are_named_in_the_refusal_with_the_reason() {
    let id = world().launch().await;
    let refused = patch(&id, json!({"tags": {"AWS:x": "1", "aws:y": "2", "MANAGEDBY": "3", "ok": "4"}})).await;
    assert_refused(&refused, &["tags.AWS:x", "tags.MANAGEDBY", "tags.aws:y"]);
    let detail = refused.json["detail"].as_str().unwrap();
    assert!(detail.contains("reserved by AWS") && detail.contains("ownership tag"), "{detail}");
    assert_refused(&delete(&id, &["ok", "aws:y"]).await, &["key[1]"]);
    assert_eq!(world().tags(&id).await, json!({"ManagedBy": "cml-cloud-manager"}));
}

#[tokio::test]
async fn deleting_an_absent_tag_is_not_an_error() {
    let id = world().launch().await;
    let answer = delete(&id, &["never-was"]).await;
    assert_ok(&answer, 200);
    assert_eq!(answer.json["tags"], json!({"ManagedBy": "cml-cloud-manager"}));
}

#[tokio::test]
async fn the_log_of_a_failed_call_does_not_hold_a_tag_value() {
    let functions = Functions::start(&["update-instance-tags"]).await;
    let message = "Value (correct horse) for parameter Tag.1.Value is invalid; it is 'correct horse'";
    let reply = Reply::ec2_error(400, "InvalidParameterValue", message);
    let _script = functions.ec2_stub.script(action("CreateTags"), Times::Always, reply);
    let body = json!({"tags": {"Password": "correct horse", "Lab": "battery staple"}}).to_string();
    let (status, problem) = functions.call("update-instance-tags", |event| event["body"] = body.into()).await;
    // Who sent it may read it.
    assert_eq!((status, &problem["detail"]), (400, &json!(message)));

    let program = functions.program("update-instance-tags");
    let log = program.output() + &program.log();
    assert!(log.contains("Value ([tag value]) for parameter Tag.1.Value is invalid; it is '[tag value]'"), "{log}");
    assert!(log.contains("InvalidParameterValue") && log.contains(problem["request_id"].as_str().unwrap()), "{log}");
    assert!(!log.contains("correct horse") && !log.contains("battery staple"), "{log}");
    functions.aws.stop().unwrap();
}
