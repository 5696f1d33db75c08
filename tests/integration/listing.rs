//! `get-all-instances`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::client::{Answer, with_query};

use crate::world::{REGION, assert_ok, assert_refused, unique, world};

async fn list(query: &[(&str, &str)]) -> Answer {
    world().api.request("GET", &with_query(&format!("/regions/{REGION}/instances"), query), None).await
}

fn ids(answer: &Answer) -> BTreeSet<String> {
    let instances = answer.json["instances"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    instances.iter().map(|instance| instance["instance_id"].as_str().unwrap().to_owned()).collect()
}

/// Instances with a tag `Lab` of their own, so that a list is about them alone.
async fn lab(count: usize) -> (String, BTreeSet<String>) {
    let lab = unique("lab");
    let mut ids = BTreeSet::new();
    for _ in 0..count {
        let id = world().launch().await;
        let tag = aws_sdk_ec2::types::Tag::builder().key("Lab").value(&lab).build();
        world().ec2().create_tags().resources(&id).tags(tag).send().await.unwrap();
        ids.insert(id);
    }
    (lab, ids)
}

#[tokio::test]
async fn pages_are_followed_to_the_end_and_hold_each_instance_once() {
    let (lab, launched) = lab(7).await;
    let (mut found, mut pages, mut token) = (Vec::new(), 0, None);
    loop {
        let mut query = vec![("tag.Lab", lab.as_str()), ("limit", "5")];
        query.extend(token.as_deref().map(|token| ("next_token", token)));
        let answer = list(&query).await;
        assert_ok(&answer, 200);
        found.extend(ids(&answer));
        pages += 1;
        match answer.json["next_token"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!((found.len(), found.into_iter().collect::<BTreeSet<_>>(), pages), (7, launched, 2));
}

#[tokio::test]
async fn filters_narrow_and_repeated_ones_widen() {
    let (lab, launched) = lab(2).await;
    let [a, b] = launched.iter().map(String::as_str).collect::<Vec<_>>()[..] else { panic!() };
    world().ec2().stop_instances().instance_ids(a).send().await.unwrap();
    let of = |id: &str| BTreeSet::from([id.to_owned()]);
    assert_eq!(ids(&list(&[("tag.Lab", &lab), ("state", "stopped")]).await), of(a));
    assert_eq!(ids(&list(&[("tag.Lab", &lab), ("state", "stopped"), ("state", "running")]).await), launched);
    assert_eq!(ids(&list(&[("instance_id", b)]).await), of(b));
    assert_eq!(ids(&list(&[("tag.Lab", &lab), ("instance_type", "c5.2xlarge")]).await), launched);
    assert!(ids(&list(&[("tag.Lab", &lab), ("instance_type", "m5.large")]).await).is_empty());
    assert_eq!(ids(&list(&[("tag.Lab", &lab), ("image_id", &world().stack.info.image_id)]).await), launched);
    assert!(ids(&list(&[("tag.Lab", "lab-*")]).await).is_empty());
}

#[tokio::test]
async fn terminated_ones_are_listed_only_when_asked_for() {
    let (lab, launched) = lab(1).await;
    let id = launched.first().unwrap();
    world().ec2().terminate_instances().instance_ids(id).send().await.unwrap();
    assert!(ids(&list(&[("tag.Lab", &lab)]).await).is_empty());
    assert_eq!(ids(&list(&[("tag.Lab", &lab), ("state", "terminated")]).await), launched);
}

#[tokio::test]
async fn only_ours_are_listed_unless_all_are_asked_for() {
    let foreign = world().launch_foreign().await;
    assert!(ids(&list(&[("instance_id", &foreign)]).await).is_empty());
    let any = list(&[("instance_id", &foreign), ("managed", "any")]).await;
    assert_eq!((ids(&any).len(), &any.json["instances"][0]["managed"]), (1, &json!(false)));
}

#[tokio::test]
async fn a_bad_query_names_each_bad_parameter() {
    let answer = list(&[
        ("limit", "1"),
        ("state", "dead"),
        ("managed", "no"),
        ("instance_id", "x"),
        ("next_token", "?"),
        ("sort", "up"),
    ])
    .await;
    assert_refused(&answer, &["instance_id", "limit", "managed", "next_token", "sort", "state"]);
}

#[tokio::test]
async fn a_token_is_good_for_its_own_filters_only() {
    let (lab, _) = lab(6).await;
    let first = list(&[("tag.Lab", &lab), ("limit", "5")]).await;
    let token = first.json["next_token"].as_str().unwrap();
    assert_refused(&list(&[("tag.Lab", &lab), ("state", "stopped"), ("next_token", token)]).await, &["next_token"]);
}

#[tokio::test]
async fn fields_narrow_each_instance_and_leave_the_list_as_it_is() {
    let (lab, launched) = lab(6).await;
    let query = [("tag.Lab", lab.as_str()), ("limit", "5"), ("fields", "state,tags")];
    let answer = list(&query).await;
    assert_ok(&answer, 200);
    let keys = |instance: &Value| instance.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let instances = answer.json["instances"].as_array().unwrap();
    assert!(instances.iter().all(|instance| keys(instance) == ["instance_id", "state", "tags"]), "{}", answer.text);
    // What is shown is no filter: the token is good for other fields too.
    let token = answer.json["next_token"].as_str().unwrap();
    let rest = list(&[("tag.Lab", &lab), ("limit", "5"), ("next_token", token), ("fields", "name")]).await;
    assert_eq!(ids(&answer).union(&ids(&rest)).cloned().collect::<BTreeSet<_>>(), launched);
    let unknown = list(&[("fields", "state,color")]).await;
    assert_refused(&unknown, &["fields"]);
    let detail = unknown.json["detail"].as_str().unwrap();
    assert!(detail.contains("color") && detail.contains("launch_time, age_seconds"), "{detail}");
}
