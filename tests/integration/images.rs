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
async fn an_allowed_owners_images_are_found_when_asked_for_and_never_else() {
    let of = |answer: &Answer| {
        let images = answer.json["images"].as_array().unwrap().iter();
        images.map(|image| image["owner_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let decoy = find(&[("name", "cml-2.8.1-worker"), ("owner", "999988887777")]).await;
    assert_eq!(of(&decoy), ["999988887777"]);
    for query in [&[("name", "cml-2.8.1-worker")][..], &[("name", "*")], &[("name", "*"), ("owner", "self")]] {
        let ours = of(&find(query).await);
        assert!(!ours.is_empty() && ours.iter().all(|owner| owner == "123456789012"), "{query:?}: {ours:?}");
    }
}

#[tokio::test]
async fn an_owner_that_is_not_allowed_is_refused_with_those_that_are() {
    for owner in ["amazon", "137112412989"] {
        let answer = find(&[("name", "al2023-*"), ("owner", owner)]).await;
        assert_refused(&answer, &["owner"]);
        let detail = answer.json["detail"].as_str().unwrap();
        assert!(detail.ends_with("allowed owners: self, 999988887777"), "{detail}");
    }
}

#[tokio::test]
async fn no_match_is_an_empty_list() {
    let answer = find(&[("name", "nothing-*")]).await;
    assert_eq!((answer.status, answer.json), (200, json!({"images": [], "next_token": null})));
}

#[tokio::test]
async fn a_bad_query_names_each_bad_parameter() {
    assert_refused(&find(&[("owner", "me"), ("sort", "up")]).await, &["name", "owner", "sort"]);
    assert_refused(&find(&[("name", "")]).await, &["name"]);
}
