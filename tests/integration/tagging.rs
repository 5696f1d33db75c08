//! `get-instance-tags`, `update-instance-tags` and `delete-instance-tags`.

use serde_json::{Value, json};
use tests::client::{Answer, with_query};

use crate::world::{MISSING, REGION, assert_ok, assert_problem, assert_refused, world};

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
async fn tags_of_an_unknown_instance_are_a_404_and_not_an_empty_set() {
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
}
