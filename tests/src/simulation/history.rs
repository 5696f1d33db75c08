//! One history: a few requests by a few callers against a simulated EC2, and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::retry::RetryPartition;
use aws_smithy_runtime_api::client::http::{SharedHttpConnector, http_client_fn};
use lambda_http::{Context, RequestExt};
use serde_json::{Value, json};
use shared::clients::{Clients, settings};
use shared::config::Config;
use shared::ops;
use tokio::time::{Instant, sleep};

use super::aws::{Aws, Instance, Kind, MOST_LAG, STOPPED};
use super::clock::Clock;

/// What a function has for one invocation.
const TIMEOUT: Duration = Duration::from_secs(27);
/// What the slowest answer may take: API Gateway's own patience.
const PATIENCE: Duration = Duration::from_secs(29);

/// Who calls: two sessions of one role, another role, a user.
const CALLERS: [(&str, &str); 4] = [
    ("AROAFIRST:one", "arn:aws:sts::123456789012:assumed-role/first/one"),
    ("AROAFIRST:two", "arn:aws:sts::123456789012:assumed-role/first/two"),
    ("AROASECOND:one", "arn:aws:sts::123456789012:assumed-role/second/one"),
    ("AIDAUSER", "arn:aws:iam::123456789012:user/alice"),
];

/// A launch: who, with which key if any, which body.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Launch {
    /// Which of the callers.
    pub caller: usize,
    /// Its `Idempotency-Key`.
    pub key: Option<&'static str>,
    /// Which of the bodies.
    pub body: usize,
    /// Whether it waits until the worker runs.
    pub wait: bool,
}

/// One request of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// create-instance.
    Launch(Launch),
    /// Of the nth instance that any answer named so far.
    Change(&'static str, usize),
}

/// A program: what is called when, in milliseconds.
#[derive(Debug, Clone)]
pub struct Program {
    /// The EC2 that it is run against.
    pub kind: Kind,
    /// What is called, and when.
    pub calls: Vec<(u64, Call)>,
}

/// The bodies that are launched with, but for their names.
fn bodies() -> Vec<Value> {
    vec![
        json!({"image_name": "cml", "instance_type": "c5.large"}),
        json!({"image_id": "ami-0a000000000000001", "instance_type": "c5.large"}),
        json!({"image_name": "cml", "instance_type": "c5.large", "placement": {"availability_zone": "us-east-1a"}}),
        json!({"image_name": "cml", "instance_type": "c5.large",
               "alternatives": [{"instance_type": "m5.large"}, {"instance_type": "c6i.large"}]}),
    ]
}

/// Whether a body has alternatives: then README excepts that two sendings that know nothing of each other both launch.
fn falls_back(body: usize) -> bool {
    body == 3
}

impl Launch {
    /// Whose request it is, under which key and with which body, if any: the worker's name, so that each can be told.
    fn name(&self) -> String {
        format!("{} {} {}", principal(self.caller), self.key.unwrap_or("no key"), self.body)
    }

    fn body(&self) -> String {
        let mut body = bodies().swap_remove(self.body);
        body["name"] = self.name().into();
        body.to_string()
    }
}

impl Program {
    /// The program of a seed.
    pub fn drawn(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let kind = Kind {
            zonal_tokens: random.bool(),
            failures_bind: random.bool(),
            lag: [0, 1_000, 5_000, MOST_LAG][random.usize(0..4)],
            faults: [0, 10, 30][random.usize(0..3)],
            full: [0, 20, 60][random.usize(0..3)],
            image_moves_at: [0, 0, 3_000, 40_000][random.usize(0..4)],
        };
        let (keys, mut at) = ([None, Some("k1"), Some("k1"), Some("k1"), Some("k2")], 0);
        let callers = random.usize(1..=CALLERS.len());
        let bodies = if random.bool() { vec![random.usize(0..4)] } else { (0..4).collect() };
        let calls = (0..random.usize(1..=6)).map(|_| {
            at += [0, 50, 700, 4_000, 40_000][random.usize(0..5)];
            let launch = Launch {
                caller: random.usize(0..callers),
                key: keys[random.usize(0..keys.len())],
                body: bodies[random.usize(0..bodies.len())],
                wait: random.u8(0..4) == 0,
            };
            let change =
                ["stop-instance", "start-instance", "start-instance", "terminate-instance"][random.usize(0..4)];
            let call =
                if random.u8(0..3) == 0 { Call::Change(change, random.usize(0..4)) } else { Call::Launch(launch) };
            (at, call)
        });
        let calls = calls.collect();
        Self { kind, calls }
    }
}

/// What a call was answered.
#[derive(Debug, Clone)]
struct Answered {
    call: Call,
    status: u16,
    document: Value,
    took: Duration,
}

impl Answered {
    fn instance(&self) -> Option<&str> {
        self.document["instance_id"].as_str()
    }

    fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What became of a history.
#[derive(Debug)]
pub struct Outcome {
    /// What is wrong, in words.
    pub violations: Vec<String>,
    /// Everything that happened.
    pub log: Vec<String>,
    /// How often which call and which fault was met.
    pub counts: BTreeMap<String, u64>,
}

/// What all histories of a process have in common.
pub async fn common() -> SdkConfig {
    let credentials =
        Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, None, "simulation");
    let loader = settings().region(aws_config::Region::new("us-east-1"));
    let loader = loader.credentials_provider(SharedCredentialsProvider::new(credentials));
    loader.load().await
}

struct World {
    aws: Aws,
    clients: Clients,
    clock: Clock,
}

/// Lets a program happen, on a runtime of its own that stands still while it works.
///
/// # Panics
/// If there is no runtime to be had.
#[expect(clippy::expect_used, reason = "test support")]
pub fn happen(common: &SdkConfig, program: &Program, seed: u64) -> Outcome {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    fastrand::seed(seed);
    runtime.block_on(async {
        let clock = Clock::start();
        let aws = Aws::new(program.kind, seed, clock);
        let connector = SharedHttpConnector::new(aws.clone());
        let sdk =
            common.clone().into_builder().http_client(http_client_fn(move |_, _| connector.clone())).time_source(clock);
        let variables = |name: &str| (name == "AWS_REGION").then(|| "us-east-1".to_owned());
        let config = Config::read(variables).expect("a configuration");
        let retries = RetryPartition::custom("history").build();
        let clients = Clients::with_retries(config, &sdk.build(), Some(&retries));
        World { aws, clients, clock }.happen(program).await
    })
}

impl World {
    async fn happen(&self, program: &Program) -> Outcome {
        let named = std::sync::Mutex::new(vec![STOPPED.to_owned()]);
        let calls = program.calls.iter().map(|(at, call)| {
            let named = &named;
            async move {
                sleep(Duration::from_millis(*at)).await;
                let answered = self.call(call, &known(named)).await?;
                named
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .extend(answered.instance().map(str::to_owned));
                Some(answered)
            }
        });
        let answered: Vec<Answered> = futures_util::future::join_all(calls).await.into_iter().flatten().collect();
        let foreign = self.aws.instances().first().cloned();
        // Whatever is under way ends, and whatever lags is shown.
        sleep(Duration::from_secs(120)).await;
        self.aws.calm_down();
        let before = self.aws.instances();
        let mut violations = violations_of(&answered, &before, self.clock.milliseconds());
        if foreign.is_none_or(|foreign| foreign.states.len() != 1) {
            violations.push("an instance of somebody else was touched".to_owned());
        }
        violations.extend(self.violations_of_replays(&answered, &before).await);
        Outcome { violations, log: self.aws.log(), counts: self.aws.counts() }
    }

    /// Makes a call, if there is something to make it about.
    async fn call(&self, call: &Call, named: &[String]) -> Option<Answered> {
        let (operation, path, query, key, caller, body) = match call {
            Call::Launch(launch) => {
                let wait = if launch.wait { json!({"wait": ["running"]}) } else { json!({}) };
                let path = json!({"region": "us-east-1"});
                ("create-instance", path, wait, launch.key, launch.caller, launch.body())
            }
            Call::Change(operation, number) => {
                let id = named.get(number % named.len().max(1))?;
                (*operation, json!({"region": "us-east-1", "instance_id": id}), json!({}), None, 0, String::new())
            }
        };
        let (id, arn) = CALLERS[caller];
        let headers = key.map_or(json!({}), |key| json!({"Idempotency-Key": [key]}));
        let event = json!({
            "resource": "/", "path": "/", "httpMethod": "POST", "headers": {}, "multiValueHeaders": headers, "pathParameters": path,
            "multiValueQueryStringParameters": query, "body": body, "isBase64Encoded": false,
            "requestContext": {"stage": "v1", "resourcePath": "/", "httpMethod": "POST", "identity": {"caller": id, "userArn": arn}},
        });
        let mut context = Context::default();
        let due = self.clients.now() + TIMEOUT;
        context.deadline =
            due.duration_since(std::time::UNIX_EPOCH).ok().and_then(|due| u64::try_from(due.as_millis()).ok())?;
        let event = lambda_http::request::from_str(&event.to_string()).ok()?.with_lambda_context(context);
        self.aws.note(format!("{call:?}"));
        let start = Instant::now();
        // In a box: the compiler gives up on how deep the futures of all operations are.
        let answer: Pin<Box<dyn Future<Output = _>>> = Box::pin(ops::answer(operation, &self.clients, &event));
        let response = answer.await?.ok()?;
        let document: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let answered =
            Answered { call: call.clone(), status: response.status().as_u16(), document, took: start.elapsed() };
        let what = answered.instance().or_else(|| answered.document["detail"].as_str()).unwrap_or_default();
        self.aws.note(format!("{call:?} answered {} {what}", answered.status));
        Some(answered)
    }

    /// Sends each launch that had a key once more, now that nothing fails.
    async fn violations_of_replays(&self, answered: &[Answered], before: &[Instance]) -> Vec<String> {
        let mut violations = Vec::new();
        for (launch, was) in keyed(answered) {
            let Some(again) = self.call(&Call::Launch(launch.clone()), &[]).await else { continue };
            let used_otherwise = keyed(answered).any(|(other, _)| same_key(other, launch) && other.body != launch.body);
            // A worker that was terminated, as somebody asked, is gone: its key is used up.
            let launched = before.iter().filter(|instance| is_of(instance, launch));
            let now = self.clock.milliseconds();
            let (alive, gone): (Vec<_>, Vec<_>) = launched.partition(|instance| instance.is_alive(now));
            if let (true, Some(id)) = (was.is_good(), was.instance()) {
                let is_alive = alive.iter().any(|instance| instance.id == id);
                if is_alive && (!again.is_good() || again.instance() != Some(id)) && !falls_back(launch.body) {
                    violations.push(format!(
                        "a replay of {launch:?}, which launched {id}, is {} {}",
                        again.status, again.document
                    ));
                }
            }
            // That somebody else stops a worker which is waited for ends the wait and not the launch.
            let is_ended = was.document["code"] == "incorrect_state";
            let is_final = !was.is_good() && !is_ended && was.document["retryable"] == false;
            if is_final && again.is_good() {
                violations.push(format!("{launch:?} was refused for good ({}), and then was not", was.document));
            }
            if alive.is_empty() && gone.is_empty() && !used_otherwise && !again.is_good() {
                violations
                    .push(format!("{launch:?} launched nothing and is dead: {} {}", again.status, again.document));
            }
            for instance in alive {
                if !again.document.to_string().contains(&instance.id) && !used_otherwise {
                    violations.push(format!("{} of {launch:?} is named by no replay: {}", instance.id, again.document));
                }
            }
        }
        violations
    }
}

fn known(named: &std::sync::Mutex<Vec<String>>) -> Vec<String> {
    named.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

/// The launches with a key.
fn keyed(answered: &[Answered]) -> impl Iterator<Item = (&Launch, &Answered)> {
    answered.iter().filter_map(|answered| match &answered.call {
        Call::Launch(launch) if launch.key.is_some() => Some((launch, answered)),
        _ => None,
    })
}

/// The principal: of a role the role, whatever the session.
fn principal(caller: usize) -> &'static str {
    CALLERS[caller].0.split(':').next().unwrap_or_default()
}

fn same_key(one: &Launch, other: &Launch) -> bool {
    one.key == other.key && principal(one.caller) == principal(other.caller)
}

fn name(instance: &Instance) -> &str {
    instance.tags.first().and_then(|(_, tags)| tags.get("Name")).map_or("", String::as_str)
}

/// Whether an instance was launched for this request.
fn is_of(instance: &Instance, launch: &Launch) -> bool {
    name(instance) == launch.name()
}

/// What is wrong with a history whose requests are all answered.
fn violations_of(answered: &[Answered], instances: &[Instance], now: u64) -> Vec<String> {
    let mut violations = Vec::new();
    for answer in answered.iter().filter(|answer| answer.took > PATIENCE) {
        violations.push(format!("{:?} took {:?}", answer.call, answer.took));
    }
    let launches: BTreeSet<&Launch> = keyed(answered).map(|(launch, _)| launch).collect();
    for launch in launches.into_iter().filter(|launch| !falls_back(launch.body)) {
        let alive = instances.iter().filter(|instance| is_of(instance, launch) && instance.is_alive(now)).count();
        if alive > 1 {
            violations.push(format!("{alive} instances of {}", launch.name()));
        }
    }
    // Without a key: not more than were sent, and nothing launched by a call that may be sent again.
    let unkeyed = |answered: &&Answered| matches!(&answered.call, Call::Launch(launch) if launch.key.is_none());
    let sent = answered.iter().filter(unkeyed).count();
    let launched = instances.iter().filter(|instance| name(instance).contains(" no key ")).count();
    if launched > sent {
        violations.push(format!("{launched} instances of {sent} launches without a key"));
    }
    let owned_up = answered
        .iter()
        .filter(unkeyed)
        .filter(|answer| answer.is_good() || answer.document["retryable"] != true)
        .count();
    if launched > owned_up {
        violations.push(format!("{launched} launches without a key, and {owned_up} that were not called repeatable"));
    }
    violations
}
