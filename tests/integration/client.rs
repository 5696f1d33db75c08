//! The Python client and its command line. Their own tests, `clients/python/tests`, run here against a stack in which AWS
//! fails as they need it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Write as _, stderr};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aws_sdk_ec2::types::{Filter, InstanceType, ResourceType, Tag, TagSpecification};
use serde_json::{Value, json};
use tests::stack::{
    self, LocalAws, Options, REGION, ROOT_ACCESS_KEY_ID, ROOT_SECRET_ACCESS_KEY, local_folder, repository, tool,
};
use tests::stub::{Matcher, Reply, Script, Stub, Times, action};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::world::{World, unique, world};

/// Beside other tests on a busy machine.
const BOUND: Duration = Duration::from_secs(1200);

/// A code of the API that only a failing AWS brings about, and EC2's own status and code for it.
const REFUSALS: [(&str, u16, &str); 10] = [
    ("account_not_active", 401, "PendingVerification"),
    ("aws_credentials_invalid", 401, "AuthFailure"),
    ("aws_error", 400, "SomethingNew"),
    ("incorrect_state", 400, "IncorrectInstanceState"),
    ("insufficient_capacity", 500, "InsufficientInstanceCapacity"),
    ("missing_permission", 403, "UnauthorizedOperation"),
    ("operation_not_permitted", 400, "OperationNotPermitted"),
    ("quota_exceeded", 400, "VcpuLimitExceeded"),
    ("subscription_required", 401, "OptInRequired"),
    ("throttled", 503, "RequestLimitExceeded"),
];

/// EC2's words for each: it names the action that no policy allows.
const MESSAGE: &str = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/cml/x \
                       is not authorized to perform: ec2:StartInstances on resource: arn:aws:ec2:us-east-1:123456789012:\
                       instance/* because no identity-based policy allows the ec2:StartInstances action";

/// A stopped worker that EC2 will not start, in this way.
async fn refused(world: &World, reply: Reply) -> (String, Script) {
    let id = world.launch().await;
    world.ec2().stop_instances().instance_ids(&id).send().await.unwrap();
    let start = world.ec2_stub.script(action("StartInstances").param("InstanceId.1", &id), Times::Always, reply);
    (id, start)
}

/// What the tests in Python have to know: how to reach the stack, and a worker for each way in which EC2 refuses.
async fn told(world: &World) -> (Value, Vec<Script>) {
    let (mut workers, mut scripts) = (BTreeMap::new(), Vec::new());
    for (code, status, aws_code) in REFUSALS {
        let (id, script) = refused(world, Reply::ec2_error(status, aws_code, MESSAGE)).await;
        workers.insert(code, id);
        scripts.push(script);
    }
    let (id, script) = refused(world, Reply::silence()).await;
    workers.insert("aws_timeout", id);
    scripts.push(script);
    let mut told = serde_json::to_value(&world.stack.info).unwrap();
    told["refused"] = json!(workers);
    (told, scripts)
}

#[tokio::test]
async fn the_python_client_passes_its_tests() {
    let (told, _scripts) = told(world()).await;
    let file = local_folder().unwrap().join(format!("{}-p{}.json", unique("client"), std::process::id()));
    fs::write(&file, told.to_string()).unwrap();
    let passed = pytest(&file).await;
    fs::remove_file(&file).unwrap();
    writeln!(stderr(), "client: {passed}").unwrap();
}

/// Runs the tests, which must pass; gives pytest's last line.
async fn pytest(stack_file: &Path) -> String {
    let mut pytest = Command::new(tool("python").unwrap());
    pytest.args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "clients/python/tests"]);
    // Several at once, because most of the time they wait for an answer or for a command to start.
    pytest.args(["-n", "4", "--dist", "worksteal"]);
    pytest.current_dir(repository()).env("CML_TEST_STACK", stack_file).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(BOUND, pytest.output()).await.expect("pytest ends").unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text.trim().lines().last().unwrap_or_default().to_owned()
}

/// What is there before: workers of the original program, and instances of others, which look much the same.
const WORKERS: i32 = 1000;
const FOREIGN: i32 = 200;
const KILLS: usize = 10;
const SITE: [(&str, &str); 1] = [("site", "lab")];

/// `cml-workers adopt` with the operator's own keys, which a local AWS takes for root's; EC2 is behind `stub`.
fn adopting(aws: &LocalAws, stub: &Stub, folder: &Path) -> Command {
    let mut command = Command::new(tool("cml-workers").unwrap());
    command.args(["adopt", "--tag", "site=lab", "--yes", "--report", "report.jsonl"]).current_dir(folder);
    command.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN").env_remove("CML_API_URL").envs([
        ("AWS_ACCESS_KEY_ID", ROOT_ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", ROOT_SECRET_ACCESS_KEY),
        ("AWS_REGION", REGION),
        ("AWS_ENDPOINT_URL", &aws.endpoint()),
        ("AWS_ENDPOINT_URL_EC2", stub.endpoint()),
        ("NO_PROXY", "127.0.0.1,localhost"),
    ]);
    // Its table is longer than a pipe that nobody reads.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Launches `count` instances as somebody does who knows nothing of the API.
async fn launch(ec2: &aws_sdk_ec2::Client, image_id: &str, count: i32, tags: &[(&str, &str)]) -> BTreeSet<String> {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect();
    let tags = TagSpecification::builder().resource_type(ResourceType::Instance).set_tags(Some(tags)).build();
    let launch = ec2.run_instances().image_id(image_id).instance_type(InstanceType::C52xlarge).tag_specifications(tags);
    let launched = launch.min_count(count).max_count(count).send().await.unwrap();
    launched.instances().iter().map(|instance| instance.instance_id().unwrap().to_owned()).collect()
}

/// How often each resource was tagged, of the calls that reached EC2.
fn taggings(stub: &Stub) -> BTreeMap<String, usize> {
    let mut taggings = BTreeMap::new();
    for request in stub.requests_matching(action("CreateTags")) {
        assert_eq!(
            (request.param("Tag.1.Key"), request.param("Tag.1.Value")),
            (Some("ManagedBy"), Some("cml-cloud-manager"))
        );
        assert_eq!(request.param("Tag.2.Key"), None);
        for (_, id) in request.params.iter().filter(|(name, _)| name.starts_with("ResourceId.")) {
            *taggings.entry(id.clone()).or_default() += 1;
        }
    }
    taggings
}

/// Everything that carries the ownership tag, by its kind.
async fn tagged(ec2: &aws_sdk_ec2::Client) -> BTreeMap<String, BTreeSet<String>> {
    let mut tagged: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let key = Filter::builder().name("key").values("ManagedBy").build();
    let mut pages = ec2.describe_tags().filters(key).into_paginator().items().send();
    while let Some(tag) = pages.next().await {
        let tag = tag.unwrap();
        assert_eq!(tag.value(), Some("cml-cloud-manager"));
        let kind = tag.resource_type().unwrap().as_str().to_owned();
        tagged.entry(kind).or_default().insert(tag.resource_id().unwrap().to_owned());
    }
    tagged
}

/// Kills the program once it has tagged so many more workers, in the middle of whatever it does.
async fn kill_after(more: usize, stub: &Stub, mut program: Child) {
    let before = stub.requests_matching(action("CreateTags")).len();
    let deadline = Instant::now() + Duration::from_secs(120);
    while stub.requests_matching(action("CreateTags")).len() < before + more {
        assert!(program.try_wait().unwrap().is_none(), "it ended by itself: there was nothing to kill");
        assert!(Instant::now() < deadline, "it tags nothing");
        sleep(Duration::from_millis(2)).await;
    }
    program.kill().await.unwrap();
}

#[tokio::test]
async fn a_thousand_workers_are_adopted_by_a_program_that_is_killed_ten_times() {
    let aws = LocalAws::start(&Options::default()).await.unwrap();
    let stub = Stub::start(&aws.ec2_endpoint()).await;
    let ec2 = stack::ec2(&aws.ec2_endpoint());
    let image = &aws.workers.image.id;
    let workers = launch(&ec2, image, WORKERS, &SITE).await;
    let mut foreign = launch(&ec2, image, FOREIGN / 2, &[("site", "lab-2"), ("Site", "lab")]).await;
    foreign.extend(launch(&ec2, image, FOREIGN / 2, &[("owner", "somebody")]).await);

    let folder = aws.folder().to_owned();
    for kill in 0..KILLS {
        kill_after(60 + kill, &stub, adopting(&aws, &stub, &folder).spawn().unwrap()).await;
    }
    let output = adopting(&aws, &stub, &folder).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let tagged = tagged(&ec2).await;
    assert_eq!(tagged["instance"], workers);
    assert_eq!((tagged["volume"].len(), tagged["network-interface"].len()), (workers.len(), workers.len()));
    // Once each: what a killed program had sent is carried out, and the next one reads that it was.
    let taggings = taggings(&stub);
    assert_eq!(taggings.keys().cloned().collect::<BTreeSet<_>>(), tagged.values().flatten().cloned().collect());
    assert!(taggings.keys().all(|id| !foreign.contains(id)));
    assert_eq!(taggings.iter().filter(|(_, count)| **count != 1).collect::<Vec<_>>(), []);

    // The report has every worker, whichever run tagged it, and no other instance.
    let report = fs::read_to_string(folder.join("report.jsonl")).unwrap();
    let lines = report.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let told = lines.filter_map(|line| line["instance_id"].as_str().map(str::to_owned)).collect::<BTreeSet<_>>();
    assert_eq!(told, workers);
    writeln!(stderr(), "adopted: {} workers, {} resources, once each", workers.len(), taggings.len()).unwrap();
    aws.stop().unwrap();
}
