//! `get-ami-ids-by-name`.

use serde_json::json;
use tests::client::{Answer, with_query};

use crate::world::{REGION, assert_ok, assert_refused, world};

async fn find(query: &[(&str, &str)]) -> Answer {
    world().api.request("GET", &with_query(&format!("/regions/{REGION}/images"), query), None).await
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.json["images"].as_array().unwrap().iter().map(|image| image["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn our_images_come_newest_first_without_look_alikes_and_pending_ones() {
    let answer = find(&[("name", "cml-*-worker")]).await;
    assert_ok(&answer, 200);
    assert_eq!(names(&answer), ["cml-2.8.1-worker", "cml-2.8.0-worker", "cml-2.7.2-worker"]);
    let image = &answer.json["images"][0];
    assert_eq!((&image["image_id"], &image["state"]), (&json!(world().stack.info.image_id), &json!("available")));
    assert_eq!((&image["owner_id"], &image["architecture"]), (&json!("123456789012"), &json!("x86_64")));
    assert_eq!(image["deprecated"], false);
}

#[tokio::test]
async fn a_name_is_exact_unless_it_has_a_wildcard() {
    assert_eq!(names(&find(&[("name", "cml-2.8.1-worker")]).await), ["cml-2.8.1-worker"]);
    assert!(names(&find(&[("name", "cml-2.8.1")]).await).is_empty());
    assert_eq!(names(&find(&[("name", "cml-2.8.?-worker")]).await).len(), 2);
}

#[tokio::test]
async fn another_owners_images_are_found_when_asked_for() {
    let answer = find(&[("name", "cml-2.8.1-worker"), ("owner", "999988887777")]).await;
    assert_eq!(answer.json["images"][0]["owner_id"], "999988887777");
}

#[tokio::test]
async fn no_match_is_an_empty_list() {
    let answer = find(&[("name", "nothing-*")]).await;
    assert_eq!((answer.status, answer.json), (200, json!({"images": []})));
}

#[tokio::test]
async fn a_bad_query_names_each_bad_parameter() {
    assert_refused(&find(&[("owner", "me"), ("sort", "up")]).await, &["name", "owner", "sort"]);
    assert_refused(&find(&[("name", "")]).await, &["name"]);
}
