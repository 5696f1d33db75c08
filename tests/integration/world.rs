//! The stacks that the tests share, and what they do with them.

use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::SystemTime;

use aws_sdk_ec2::primitives::{DateTime, DateTimeFormat};
use aws_sdk_ec2::types::{Filter, Instance, InstanceType, ResourceType, Tag, TagSpecification};
use serde_json::{Value, json};
use shared::model::operation::Operation;
use shared::ops::OPERATIONS;
use tests::client::{Answer, Client};
use tests::stack::{self, Ec2, Options, STACK_NAME, Stack, pids_of, repository, tool};
use tests::stub::{Matcher, Recorded, Reply, Stub};
use tokio::process::Command;
use tokio::runtime::Runtime;

/// The region of every test.
pub const REGION: &str = stack::REGION;

/// A stack whose functions reach EC2 and CloudWatch through stubs.
#[derive(Debug)]
pub struct World {
    pub stack: Stack,
    /// Signs as the user who may invoke the whole API.
    pub api: Client,
    pub ec2_stub: Stub,
    pub cloudwatch_stub: Stub,
    /// What the stack's own connections live in; tests come and go with runtimes of their own.
    _runtime: Runtime,
}

/// EC2 is moto: requests are checked as EC2 does, permissions are not.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::start(Ec2::Moto, None))
}

/// EC2 is MiniStack: the execution role's permissions are enforced.
pub fn world_with_permissions() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::start(Ec2::Ministack, None))
}

/// Seconds that a function of [`failing_world`] has.
pub const SHORT_TIMEOUT: u8 = 8;

/// Like [`world`], for tests that have AWS fail: no schedule calls the functions, and they have less time.
pub fn failing_world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| World::start(Ec2::Moto, Some(SHORT_TIMEOUT)))
}

impl World {
    /// On a thread of its own: the caller is inside a runtime already. What is started here ends with the process.
    fn start(ec2: Ec2, timeout: Option<u8>) -> Self {
        thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            let (stack, ec2_stub, cloudwatch_stub) =
                runtime.block_on(deploy(ec2, timeout)).expect("the local AWS starts");
            let info = &stack.info;
            let api = Client::new(&info.api_url, &info.region, &info.access_key_id, &info.secret_access_key);
            Self { api, stack, ec2_stub, cloudwatch_stub, _runtime: runtime }
        })
        .join()
        .unwrap()
    }

    /// EC2 itself, with root's key and without the stub. A new client for each test: its connections end with the test.
    pub fn ec2(&self) -> aws_sdk_ec2::Client {
        stack::ec2(&self.stack.info.ec2_endpoint)
    }

    /// CloudWatch itself, likewise.
    pub fn cloudwatch(&self) -> aws_sdk_cloudwatch::Client {
        stack::cloudwatch(&self.stack.info.cloudwatch_endpoint)
    }

    /// What `aws` with root's keys prints, with the words of `command` and then `arguments`.
    pub async fn aws(&self, command: &str, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.stack.run_aws(command, arguments).await.unwrap()).unwrap()
    }

    /// A program of `tests/smoke`, which an operator runs, with root's keys.
    pub fn program(&self, path: &str) -> Command {
        let info = &self.stack.info;
        let mut command = Command::new(tool("python").unwrap());
        command.args(["-B", path]).current_dir(repository()).stdin(Stdio::null());
        command.env_remove("AWS_PROFILE").env_remove("AWS_SESSION_TOKEN").envs([
            ("AWS_ACCESS_KEY_ID", info.root_access_key_id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &info.root_secret_access_key),
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL", &info.cloudwatch_endpoint),
            ("AWS_ENDPOINT_URL_EC2", &info.ec2_endpoint),
            ("NO_PROXY", "127.0.0.1,localhost"),
        ]);
        command
    }

    /// The processes of an operation's function.
    pub fn pids_of(&self, operation: &str) -> Vec<u32> {
        pids_of(&function(operation), self.ec2_stub.endpoint())
    }

    /// Launches an instance behind the API's back, tagged as ours.
    pub async fn launch(&self) -> String {
        self.launch_many(1).await.remove(0)
    }

    /// Launches this many, all ours.
    pub async fn launch_many(&self, count: i32) -> Vec<String> {
        self.launch_tagged(count, &[("ManagedBy", "cml-cloud-manager")]).await
    }

    /// Launches an instance behind the API's back that is somebody else's.
    pub async fn launch_foreign(&self) -> String {
        self.launch_tagged(1, &[("ManagedBy", "somebody-else")]).await.remove(0)
    }

    /// Launches this many with these tags.
    pub async fn launch_tagged(&self, count: i32, tags: &[(&str, &str)]) -> Vec<String> {
        let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect();
        let tags = TagSpecification::builder().resource_type(ResourceType::Instance).set_tags(Some(tags)).build();
        let info = &self.stack.info;
        let launch = self.ec2().run_instances().image_id(&info.image_id).instance_type(InstanceType::C52xlarge);
        // EC2 takes no empty list of tags.
        let tags = Some(vec![tags]).filter(|tags| !tags[0].tags().is_empty());
        let launch = launch.subnet_id(&info.subnet_id).set_tag_specifications(tags).min_count(count).max_count(count);
        let launched = launch.send().await.unwrap();
        launched.instances().iter().map(|instance| instance.instance_id().unwrap().to_owned()).collect()
    }

    /// What EC2 itself says of an instance.
    pub async fn instance(&self, id: &str) -> Instance {
        let answer = self.ec2().describe_instances().instance_ids(id).send().await.unwrap();
        answer.reservations()[0].instances()[0].clone()
    }

    /// How many workers of this name EC2 has.
    pub async fn workers_named(&self, name: &str) -> usize {
        let named = Filter::builder().name("tag:Name").values(name).build();
        let answer = self.ec2().describe_instances().filters(named).send().await.unwrap();
        answer.reservations().iter().map(|reservation| reservation.instances().len()).sum()
    }

    /// EC2's own word for an instance's state.
    pub async fn state(&self, id: &str) -> String {
        self.instance(id).await.state().unwrap().name().unwrap().as_str().to_owned()
    }

    /// EC2's own tags of an instance.
    pub async fn tags(&self, id: &str) -> Value {
        let instance = self.instance(id).await;
        let tags = instance.tags().iter().map(|tag| (tag.key().unwrap().to_owned(), tag.value().unwrap().into()));
        Value::Object(tags.collect())
    }

    /// A launch that the API accepts, for an instance of this name.
    pub fn launch_body(&self, name: &str) -> Value {
        let info = &self.stack.info;
        json!({
            "name": name, "image_name": info.image_name, "instance_type": "c5.2xlarge", "subnet_id": info.subnet_id,
            "security_group_ids": [info.security_group_id], "key_name": info.key_name,
        })
    }

    /// The name of the role that a stack's functions run with.
    pub async fn execution_role(&self, stack_name: &str) -> String {
        self.made(stack_name, "ExecutionRole").await
    }

    /// The physical id of what a stack made.
    pub async fn made(&self, stack_name: &str, logical_id: &str) -> String {
        let resource = "cloudformation describe-stack-resource --stack-name";
        let made = self.aws(resource, &[stack_name, "--logical-resource-id", logical_id]).await;
        made["StackResourceDetail"]["PhysicalResourceId"].as_str().unwrap().to_owned()
    }

    /// Calls a route of an instance without a body.
    pub async fn call(&self, method: &str, id: &str, below: &str) -> Answer {
        self.api.request(method, &format!("/regions/{REGION}/instances/{id}{below}"), None).await
    }
}

/// The name of an operation's function.
fn function(operation: &str) -> String {
    format!("{STACK_NAME}-{operation}")
}

async fn deploy(ec2: Ec2, timeout: Option<u8>) -> stack::Result<(Stack, Stub, Stub)> {
    // The functions are told where the stubs are before the emulators behind them have a port.
    let (ec2_stub, cloudwatch_stub) =
        (Stub::start("http://127.0.0.1:9").await, Stub::start("http://127.0.0.1:9").await);
    let stack = Stack::start(Options {
        ec2,
        ec2_endpoint_for_functions: Some(ec2_stub.endpoint().to_owned()),
        cloudwatch_endpoint_for_functions: Some(cloudwatch_stub.endpoint().to_owned()),
        parameters: [
            // Tests come in bursts.
            "ThrottlingRateLimit=10000",
            "ThrottlingBurstLimit=10000",
            if timeout.is_none() { "HealthSchedule=rate(1 minute)" } else { "HealthSchedule=rate(1 day)" },
            // A sweep tags every worker, while other tests count the calls about theirs: tests that need one invoke it.
            "SweepSchedule=rate(1 day)",
            // It would write tags of its own beside those that the tests expect.
            "SweepSchedule=rate(1 day)",
            "ImageOwners=999988887777",
            "ImageParameterArns=arn:aws:ssm:us-east-1:123456789012:parameter/cml/*",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..Options::default()
    })
    .await?;
    ec2_stub.pass_to(&stack.info.ec2_endpoint);
    cloudwatch_stub.pass_to(&stack.info.cloudwatch_endpoint);
    if let Some(seconds) = timeout {
        for Operation { name, .. } in OPERATIONS {
            let arguments = ["--function-name", &function(name), "--timeout", &seconds.to_string()];
            stack.run_aws("lambda update-function-configuration", &arguments).await?;
        }
    }
    Ok((stack, ec2_stub, cloudwatch_stub))
}

/// DescribeInstances' answer with one instance of ours in this state, started at that time, as EC2 writes it.
pub fn described(id: &str, state: &str, reason: &str, started: SystemTime) -> Reply {
    let started = DateTime::from_secs(DateTime::from(started).secs()).fmt(DateTimeFormat::DateTime).unwrap();
    let document = format!(
        r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item><instancesSet><item>
<instanceId>{id}</instanceId><instanceState><name>{state}</name></instanceState><stateReason><message>{reason}</message></stateReason>
<launchTime>{started}</launchTime>
<tagSet><item><key>ManagedBy</key><value>cml-cloud-manager</value></item></tagSet>
</item></instancesSet></item></reservationSet></DescribeInstancesResponse>"#
    );
    Reply::raw(200, &[("content-type", "text/xml;charset=UTF-8")], document)
}

/// Launches of a worker of this name.
pub fn launch_of(name: &str) -> impl Matcher + Clone + use<> {
    let name = name.to_owned();
    move |request: &Recorded| request.action == "RunInstances" && request.params.values().any(|value| *value == name)
}

/// A name that no other test has.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An instance id that no instance has.
pub const MISSING: &str = "i-0ffffffffffffffff";

/// Asserts the error document: status, code, media type, and that it can be found in the log by its request id.
#[track_caller]
pub fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.json["code"].as_str()), (status, Some(code)), "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json["status"], status);
    assert_eq!(answer.json["type"], format!("urn:cml:problem:{code}"));
    for member in ["title", "detail", "request_id"] {
        assert!(answer.json[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {}", answer.text);
    }
    assert!(answer.json["retryable"].is_boolean());
}

/// Asserts a document with this status.
#[track_caller]
pub fn assert_ok(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

/// Asserts a 400 that names exactly these fields.
#[track_caller]
pub fn assert_refused(answer: &Answer, fields: &[&str]) {
    assert_problem(answer, 400, "invalid_request");
    let mut named: Vec<_> =
        answer.json["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, fields, "{}", answer.text);
    assert!(fields.contains(&answer.json["field"].as_str().unwrap()));
}

/// Asserts that of what changes an instance exactly this was sent about it, each time as a dry run: EC2 was asked, and told
/// nothing.
#[track_caller]
pub fn assert_only_dry_runs(id: &str, actions: &[&str]) {
    let about = id.to_owned();
    let sent = world().ec2_stub.requests_matching(move |r| {
        !r.action.starts_with("Describe") && r.params.values().any(|value| *value == about)
    });
    let sent: Vec<_> = sent.iter().map(|request| (request.action.as_str(), request.param("DryRun"))).collect();
    assert_eq!(sent, actions.iter().map(|action| (*action, Some("true"))).collect::<Vec<_>>());
}
