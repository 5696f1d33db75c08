//! One history: the requests of a program against a simulated AWS, and afterwards, when all is calm, each launch once more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::config::retry::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, http_client_fn};
use serde_json::{Value, json};
use shared::aws::clients::{Clients, settings};
use shared::config::Config;
use tokio::time::{Instant, sleep};

use super::aws::{Aws, CALLS};
use super::clock::Clock;
use super::ec2::{FOREIGN, STOPPED};
use super::invariants::{Findings, Seen};
use super::kind::START;
use super::operation::Request;
use super::program::{CALLERS, Call, Program, REGIONS, VARIABLES};

/// What a call was answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// The call.
    pub call: Call,
    /// The instances that it named.
    pub ids: Vec<String>,
    /// When it was sent and answered, in milliseconds.
    pub from: u64,
    pub to: u64,
    pub status: u16,
    pub document: Value,
    /// How many calls of AWS it took.
    pub calls: u64,
}

impl Answered {
    /// The instance that the answer names.
    pub fn instance(&self) -> Option<&str> {
        self.document["instance_id"].as_str()
    }

    /// Whether it is no error.
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the same call can succeed later.
    pub fn is_retryable(&self) -> bool {
        self.document["retryable"] == true
    }
}

/// What became of a history.
#[derive(Debug)]
pub struct Outcome {
    /// What is wrong, in words, and how often what was looked at.
    pub findings: Findings,
    /// Everything that happened.
    pub log: Vec<String>,
    /// How often which call was made, and which fault it met.
    pub counts: BTreeMap<String, u64>,
}

/// What all histories of a process have in common.
pub async fn common() -> SdkConfig {
    let credentials =
        Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, None, "simulation");
    let loader = settings().region(aws_config::Region::new(REGIONS[0]));
    let loader = loader.credentials_provider(SharedCredentialsProvider::new(credentials));
    loader.load().await
}

/// The functions' clients, with this HTTP client, this clock and a stock of so many retries.
pub fn clients(common: &SdkConfig, client: SharedHttpClient, clock: Clock, retries: usize) -> Clients {
    clients_with(&settings_of(common, client, clock), retries, |_| ())
}

/// What all clients of a history have in common.
pub fn settings_of(common: &SdkConfig, client: SharedHttpClient, clock: Clock) -> SdkConfig {
    // A cache would be one for all histories, and what waits for it waits for another thread while virtual time runs.
    let sdk = common.clone().into_builder().identity_cache(IdentityCache::no_cache());
    sdk.http_client(client).time_source(clock).build()
}

/// The functions' clients of another configuration.
///
/// # Panics
/// If the functions do not take their configuration.
#[expect(clippy::expect_used, reason = "test support")]
pub fn clients_with(sdk: &SdkConfig, retries: usize, configure: impl FnOnce(&mut Config)) -> Clients {
    let variable = |name: &str| VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
    let mut config = Config::read(variable).expect("a configuration");
    configure(&mut config);
    let bucket = TokenBucket::builder().capacity(retries).build();
    let retries = RetryPartition::custom("history").token_bucket(bucket).build();
    Clients::with_retries(config, sdk, Some(&retries))
}

/// The instances that callers know of, each with its region.
type Named = Mutex<Vec<(usize, String)>>;

struct World {
    aws: Aws,
    clients: Clients,
    clock: Clock,
    named: Named,
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
        let wires = aws.clone();
        let client = http_client_fn(move |settings, _| wires.connector(settings));
        let clients = clients(common, client, clock, program.kind.retries);
        let named = Mutex::new(vec![(0, STOPPED.to_owned()), (0, FOREIGN.to_owned())]);
        World { aws, clients, clock, named }.happen(program).await
    })
}

impl World {
    async fn happen(&self, program: &Program) -> Outcome {
        sleep(Duration::from_millis(START)).await;
        let calls = program.calls.iter().map(|(at, call)| async move {
            sleep(Duration::from_millis(*at)).await;
            self.call(call).await
        });
        let answered: Vec<Answered> = futures_util::future::join_all(calls).await;
        // Whatever is under way ends, and whatever lags is shown.
        sleep(Duration::from_secs(120)).await;
        self.aws.calm_down();
        let mut findings = Findings::default();
        let seen = Seen { kind: &program.kind, bound: &self.aws.failed_bindings() };
        findings.of(seen, &answered, &self.aws.instances());
        for was in answered.iter().filter(|was| matches!(&was.call, Call::Launch(launch) if launch.key.is_some())) {
            let before = self.aws.instances();
            let again = self.call(&was.call).await;
            let bound = self.aws.failed_bindings();
            let seen = Seen { kind: &program.kind, bound: &bound };
            findings.of_replay(seen, was, &again, &before, &self.aws.instances());
        }
        for violation in &findings.violations {
            self.aws.note(violation);
        }
        Outcome { findings, log: self.aws.log(), counts: self.aws.counts() }
    }

    /// The instance with this number, whatever it is.
    fn nth(&self, number: usize) -> (usize, String) {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named[number % named.len()].clone()
    }

    /// The operation of a call, its path, its query, its body, the instances in it.
    fn request(&self, call: &Call) -> (&'static str, Value, Value, String, Vec<String>) {
        match call {
            Call::Launch(launch) => {
                let wait = if launch.wait { json!({"wait": ["running"]}) } else { json!({}) };
                let path = json!({"region": REGIONS[launch.region]});
                ("create-instance", path, wait, launch.body(), Vec::new())
            }
            Call::Change(operation, numbers, wait) => {
                let known: Vec<(usize, String)> = numbers.iter().map(|number| self.nth(*number)).collect();
                let (region, first) = known[0].clone();
                let mut ids: Vec<String> = known.into_iter().map(|(_, id)| id).collect();
                ids.dedup();
                if numbers.len() > 1 {
                    let body = json!({"instance_ids": ids}).to_string();
                    return (operation, json!({"region": REGIONS[region]}), json!({}), body, ids);
                }
                let until = match *operation {
                    "start-instance" => "running",
                    "stop-instance" => "stopped",
                    _ => "terminated",
                };
                let query = if *wait { json!({"wait": [until]}) } else { json!({}) };
                (operation, json!({"region": REGIONS[region], "instance_id": first}), query, String::new(), ids)
            }
            Call::Other(operation, number) => {
                let (region, id) = self.nth(*number);
                let (path, query, body, ids) = match *operation {
                    "health" => (json!({}), json!({}), String::new(), Vec::new()),
                    "get-ami-ids-by-name" => {
                        (json!({"region": REGIONS[region]}), json!({"name": ["cml"]}), String::new(), Vec::new())
                    }
                    "get-all-instances" => (json!({"region": REGIONS[region]}), json!({}), String::new(), Vec::new()),
                    _ => {
                        let query =
                            if *operation == "delete-instance-tags" { json!({"key": ["note"]}) } else { json!({}) };
                        let is_set = *operation == "update-instance-tags";
                        let body = if is_set { json!({"tags": {"note": "x"}}).to_string() } else { String::new() };
                        (json!({"region": REGIONS[region], "instance_id": id}), query, body, vec![id])
                    }
                };
                (operation, path, query, body, ids)
            }
        }
    }

    /// Makes a call. Each has an answer.
    async fn call(&self, call: &Call) -> Answered {
        let (operation, path, query, body, ids) = self.request(call);
        let (caller, key) = match call {
            Call::Launch(launch) => (launch.caller, launch.key),
            _ => (0, None),
        };
        let request = Request { operation, path, query, body, caller: &CALLERS[caller], key };
        self.aws.note(&format!("{call:?} {ids:?}"));
        let (from, calls, start) = (self.clock.milliseconds(), Arc::new(AtomicU64::new(0)), Instant::now());
        let response = CALLS.scope(calls.clone(), request.send(&self.clients)).await;
        let to = from + u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let document: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        let (call, status) = (call.clone(), response.status().as_u16());
        let answered = Answered { call, ids, from, to, status, document, calls: calls.load(Ordering::Relaxed) };
        let what = answered.instance().or_else(|| answered.document["detail"].as_str()).unwrap_or_default();
        self.aws.note(&format!("{:?} answered {} {what}", answered.call, answered.status));
        if let (Call::Launch(launch), Some(id)) = (&answered.call, answered.instance()) {
            let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
            let known = (launch.region, id.to_owned());
            if !named.contains(&known) {
                named.push(known);
            }
        }
        answered
    }
}
