//! The limits of the table in `docs/API.md`: what is at one is accepted, what is beyond it is refused before AWS hears of it.

use std::fs;

use serde_json::{Map, Value, json};
use tests::client::{Answer, with_query};
use tests::stack::repository;

use crate::world::{REGION, assert_problem, unique, world};

/// A call of the API: method, path, query, body, `Idempotency-Key`.
#[derive(Default)]
struct Call {
    method: &'static str,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    key: Option<String>,
}

/// A limit.
struct Limit {
    /// Its row in `docs/API.md`.
    row: &'static str,
    /// How much is accepted.
    most: usize,
    /// The call with so much.
    call: Box<dyn Fn(usize) -> Call>,
    /// The beginning of the field that the refusal names; none for 413.
    field: Option<&'static str>,
}

impl Call {
    async fn send(&self) -> Answer {
        let query: Vec<_> = self.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let api = match &self.key {
            Some(key) => world().api.with_header("Idempotency-Key", key),
            None => world().api.clone(),
        };
        api.request(self.method, &with_query(&self.path, &query), self.body.clone()).await
    }
}

fn dry_run() -> Vec<(&'static str, String)> {
    vec![("dry_run", "true".to_owned())]
}

fn tags(count: usize) -> Value {
    Value::Object((0..count).map(|n| (format!("Tag {n}"), "a".into())).collect::<Map<_, _>>())
}

fn tag(key: usize, value: usize) -> Value {
    Value::Object(Map::from_iter([("k".repeat(key), "v".repeat(value).into())]))
}

/// The limits, in the order of `docs/API.md`, as calls about this worker: its id, and a name for launches.
fn limits(id: &str, name: &str) -> Vec<Limit> {
    let instances = format!("/regions/{REGION}/instances");
    let mut limits = Vec::new();
    let mut add = |row, most, field, call: Box<dyn Fn(usize) -> Call>| limits.push(Limit { row, most, call, field });

    let tags_path = format!("{instances}/{id}/tags");
    let patch = move |body: Value| {
        let (method, path, query) = ("PATCH", tags_path.clone(), dry_run());
        Call { method, path, query, body: Some(body), ..Call::default() }
    };
    let filled = patch.clone();
    let envelope = json!({"tags": {"Lab": ""}}).to_string().len();
    add("body, in bytes", 65_536, None, Box::new(move |n| filled(json!({"tags": {"Lab": "v".repeat(n - envelope)}}))));

    let (launch_path, body) = (instances.clone(), world().launch_body(name));
    let launch = move |member: &str, value: Value| {
        let mut body = body.clone();
        body[member] = value;
        Call { method: "POST", path: launch_path.clone(), query: dry_run(), body: Some(body), ..Call::default() }
    };
    let of = launch.clone();
    add("`user_data`, in bytes", 16_384, Some("user_data"), Box::new(move |n| of("user_data", "u".repeat(n).into())));
    let of = launch.clone();
    add("`tags` of a launch", 46, Some("tags"), Box::new(move |n| of("tags", tags(n))));
    let of = launch.clone();
    let volumes = |n| vec![json!({"size_gib": 8}); n].into();
    add("`extra_volumes`", 11, Some("extra_volumes"), Box::new(move |n| of("extra_volumes", volumes(n))));
    let of = launch.clone();
    let others = |n| vec![json!({"instance_type": "c5.4xlarge"}); n].into();
    add("`alternatives`", 5, Some("alternatives"), Box::new(move |n| of("alternatives", others(n))));
    let key = move |n| Call { key: Some("k".repeat(n)), ..launch("detailed_monitoring", false.into()) };
    add("`Idempotency-Key`, in characters", 64, Some("Idempotency-Key"), Box::new(key));

    let of = patch.clone();
    add("`tags` of a tag change", 50, Some("tags"), Box::new(move |n| of(json!({"tags": tags(n)}))));
    let of = patch.clone();
    add("a tag's key, in characters", 128, Some("tags"), Box::new(move |n| of(json!({"tags": tag(n, 1)}))));
    add("a tag's value, in characters", 256, Some("tags"), Box::new(move |n| patch(json!({"tags": tag(1, n)}))));
    let path = format!("{instances}/{id}/tags");
    let remove = move |n: usize| {
        let keys = (0..n).map(|n| ("key", format!("Tag {n:02}")));
        let query = dry_run().into_iter().chain(keys).collect();
        Call { method: "DELETE", path: path.clone(), query, ..Call::default() }
    };
    add("`key`s of a tag removal", 50, Some("key"), Box::new(remove));

    let (path, own) = (format!("{instances}/start"), id.to_owned());
    let many = move |n: usize| {
        let ids: Vec<String> = (1..n).map(|n| format!("i-{n:017x}")).chain([own.clone()]).collect();
        Call {
            method: "POST",
            path: path.clone(),
            query: dry_run(),
            body: Some(json!({"instance_ids": ids})),
            ..Call::default()
        }
    };
    add("`instance_ids`", 100, Some("instance_ids"), Box::new(many));
    let own = id.to_owned();
    let list = move |n: usize| {
        let query = vec![("instance_id", own.clone()), ("limit", n.to_string())];
        Call { method: "GET", path: instances.clone(), query, ..Call::default() }
    };
    add("`limit` of a list", 1000, Some("limit"), Box::new(list));
    limits
}

/// How many requests EC2 got that speak of the worker.
fn requests_about(id: &str, name: &str) -> usize {
    let (id, name) = (id.to_owned(), name.to_owned());
    world().ec2_stub.requests_matching(move |request| request.body_contains(&id) || request.body_contains(&name)).len()
}

#[tokio::test]
async fn each_limit_is_exact_and_aws_hears_nothing_beyond_it() {
    let (id, name) = (world().launch().await, unique("limit"));
    for Limit { row, most, call, field } in limits(&id, &name) {
        let before = requests_about(&id, &name);
        let refused = call(most + 1).send().await;
        match field {
            Some(field) => {
                assert_problem(&refused, 400, "invalid_request");
                assert!(refused.json["field"].as_str().unwrap().starts_with(field), "{row}: {}", refused.text);
            }
            None => assert_problem(&refused, 413, "payload_too_large"),
        }
        assert_eq!(requests_about(&id, &name), before, "{row}");

        let accepted = call(most).send().await;
        if field.is_some() {
            assert_eq!(accepted.status, 200, "{row}: {}", accepted.text);
            assert!(requests_about(&id, &name) > before, "{row}");
        } else {
            // The whole body was read: what is in it is too long for a tag.
            assert_problem(&accepted, 400, "invalid_request");
            assert_eq!(accepted.json["field"], "tags.Lab");
        }
    }
}

#[test]
fn the_readme_has_a_row_for_each_limit_and_no_other() {
    let api = fs::read_to_string(repository().join("docs/API.md")).unwrap();
    let (_, table) = api.split_once("| limit | most |").unwrap();
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with("| ")).collect();
    let limits = limits("i-0123456789abcdef0", "nobody");
    let expected: Vec<String> = limits.iter().map(|Limit { row, most, .. }| format!("| {row} | {most} |")).collect();
    assert_eq!(rows, expected);
}
