//! The calls that a sequence is made of: the 13 operations with good and hostile arguments.

use proptest::bool::weighted;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use tests::client::{Answer, with_query};

use super::fleet::Fleet;
use crate::world::{REGION, World};

/// One call. Instances are numbers, which the fleet turns into the ids of its members.
#[derive(Clone, Debug)]
pub enum Step {
    Create { key: Option<u8>, tags: Vec<(&'static str, &'static str)>, image: &'static str, dry_run: bool },
    Change { change: Change, target: usize, query: Vec<(&'static str, &'static str)>, body: Value },
    ChangeMany { change: Change, targets: Vec<usize>, dry_run: bool },
    SetTags { target: usize, tags: Vec<(&'static str, &'static str)>, dry_run: bool },
    DeleteTags { target: usize, keys: Vec<&'static str>, dry_run: bool },
    Read { target: usize, below: &'static str },
    ReadAll { path: &'static str, query: Vec<(&'static str, &'static str)> },
}

/// What can be done to an instance.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    Start,
    Stop,
    Terminate,
}

/// Keys around the ownership tag, and others that are refused.
const HOSTILE_KEYS: [&str; 14] = [
    "ManagedBy",
    "managedby",
    "MANAGEDBY",
    " ManagedBy",
    "ManagedBy ",
    "ManagedBy\u{200b}",
    "Managed%42y",
    "ManagedBy\u{0}",
    "ＭanagedBy",
    "CreatedBy",
    "IdempotencyFingerprint",
    "aws:ec2:owner",
    "",
    "*",
];

const PLAIN_KEYS: [&str; 4] = ["Name", "Lab", "Owner", "Größe"];

const VALUES: [&str; 5] = ["cml-cloud-manager", "somebody-else", "", "*", "a b&c=d"];

/// Any call.
pub fn step() -> impl Strategy<Value = Step> {
    let query = select(vec![
        vec![],
        vec![],
        vec![],
        vec![],
        vec![("dry_run", "true")],
        vec![("dry_run", "false")],
        vec![("dry_run", "TRUE")],
        vec![("managed", "any")],
    ]);
    let body = select(vec![
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        json!({}),
        json!({"force": true}),
        json!({"hibernate": true}),
        json!({"instance_ids": ["i-0123456789abcdef0"]}),
    ]);
    prop_oneof![
        3 => (option::of(0..3_u8), tags(), select(vec!["cml-2.8.1-worker", "cml-2.8.1-worker", "no-such-image"]), weighted(0.2))
            .prop_map(|(key, tags, image, dry_run)| Step::Create { key, tags, image, dry_run }),
        6 => (change(), any::<usize>(), query, body)
            .prop_map(|(change, target, query, body)| Step::Change { change, target, query, body }),
        3 => (change(), vec(any::<usize>(), 1..6), weighted(0.2))
            .prop_map(|(change, targets, dry_run)| Step::ChangeMany { change, targets, dry_run }),
        4 => (any::<usize>(), tags(), weighted(0.2))
            .prop_map(|(target, tags, dry_run)| Step::SetTags { target, tags, dry_run }),
        4 => (any::<usize>(), vec(key(), 1..3), weighted(0.2))
            .prop_map(|(target, keys, dry_run)| Step::DeleteTags { target, keys, dry_run }),
        2 => (any::<usize>(), select(vec!["", "/status", "/tags", "/utilization"]))
            .prop_map(|(target, below)| Step::Read { target, below }),
        1 => select(vec![
            Step::ReadAll { path: "/health", query: vec![] },
            Step::ReadAll { path: "/regions/us-east-1/images", query: vec![("name", "*")] },
            Step::ReadAll { path: "/regions/us-east-1/instances", query: vec![("managed", "any")] },
        ]),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    select(vec![Change::Start, Change::Stop, Change::Terminate])
}

fn key() -> impl Strategy<Value = &'static str> {
    prop_oneof![2 => select(&PLAIN_KEYS[..]), 1 => select(&HOSTILE_KEYS[..])]
}

fn tags() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    vec((key(), select(&VALUES[..])), 1..3)
}

impl Step {
    /// Makes the call, and has the fleet take note of what a launch answers.
    pub async fn take(&self, world: &World, fleet: &mut Fleet) -> Answer {
        let dry = |dry_run: bool| if dry_run { vec![("dry_run", "true")] } else { vec![] };
        let instances = format!("/regions/{REGION}/instances");
        match self {
            Self::Create { key, tags, image, dry_run } => {
                let mut body = world.launch_body(&fleet.mark);
                body["tags"] = object(tags);
                body["image_name"] = (*image).into();
                let api = match key {
                    Some(key) => world.api.with_header("Idempotency-Key", &format!("{}-{key}", fleet.mark)),
                    None => world.api.clone(),
                };
                let answer = api.request("POST", &with_query(&instances, &dry(*dry_run)), Some(body)).await;
                fleet.launched(&answer);
                answer
            }
            Self::Change { change, target, query, body } => {
                let (method, below) = change.route();
                let path = with_query(&format!("{instances}/{}{below}", fleet.id(*target)), query);
                world.api.request(method, &path, Some(body.clone()).filter(|body| !body.is_null())).await
            }
            Self::ChangeMany { change, targets, dry_run } => {
                let ids: Vec<&str> = targets.iter().map(|target| fleet.id(*target)).collect();
                let path = with_query(&format!("{instances}/{}", change.word()), &dry(*dry_run));
                world.api.request("POST", &path, Some(json!({"instance_ids": ids}))).await
            }
            Self::SetTags { target, tags, dry_run } => {
                let path = with_query(&format!("{instances}/{}/tags", fleet.id(*target)), &dry(*dry_run));
                world.api.request("PATCH", &path, Some(json!({"tags": object(tags)}))).await
            }
            Self::DeleteTags { target, keys, dry_run } => {
                let mut query = dry(*dry_run);
                query.extend(keys.iter().map(|key| ("key", *key)));
                // SigV4 wants the query sorted, by its encoded form.
                query.sort_unstable_by_key(|pair| with_query("", &[*pair]));
                let path = with_query(&format!("{instances}/{}/tags", fleet.id(*target)), &query);
                world.api.request("DELETE", &path, None).await
            }
            Self::Read { target, below } => {
                world.api.request("GET", &format!("{instances}/{}{below}", fleet.id(*target)), None).await
            }
            Self::ReadAll { path, query } => world.api.request("GET", &with_query(path, query), None).await,
        }
    }
}

impl Change {
    fn route(self) -> (&'static str, &'static str) {
        match self {
            Self::Start => ("POST", "/start"),
            Self::Stop => ("POST", "/stop"),
            Self::Terminate => ("DELETE", ""),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Terminate => "terminate",
        }
    }
}

fn object(tags: &[(&str, &str)]) -> Value {
    Value::Object(tags.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect::<Map<_, _>>())
}
