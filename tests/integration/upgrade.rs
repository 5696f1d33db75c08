//! A second version, deployed over the first while calls run: none is lost.
//!
//! What the local AWS shows is our side of it: both versions answer with the same state, and CloudFormation changes nothing that an
//! answer needs. That Lambda lets what runs finish is AWS's sentence (`tests/local/updates_in_ministack.py`).

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::client::{Answer, Client};
use tests::stack::{PACKAGED, pids_of, tool};
use tokio::process::Command;

use crate::world::{REGION, assert_ok, assert_problem, unique, world};

/// The operations that are called here; the others' code stays as it is.
const CALLED: [&str; 6] =
    ["create-instance", "get-all-instances", "get-instance-details", "health", "start-instance", "stop-instance"];

/// What the second version's binaries end in: a loader reads nothing behind an ELF file's last section.
const MARK: &str = "the second version";

/// What writes the second version of a package.
const REWRITE: &str = "
import sys, zipfile
first, second, mark = sys.argv[1:]
with zipfile.ZipFile(first) as old, zipfile.ZipFile(second, 'w') as new:
    [bootstrap] = old.infolist()
    new.writestr(bootstrap, old.read(bootstrap) + mark.encode())
";

/// How long a condition may take on a busy machine.
const BOUND: Duration = Duration::from_secs(120);

/// Calls that each caller makes before the second version is deployed, and again once it answers.
const CALLS: usize = 6;

/// The address of the workers in another region, which the second version serves and the first does not.
const WEST: &str = "/regions/us-west-2/instances";

/// A stack of its own in the local AWS that the tests share.
#[derive(Debug)]
pub struct Deployed {
    pub name: String,
    /// Signs as a user who may invoke its whole API.
    pub api: Client,
}

impl Deployed {
    /// Deploys the first version, with these parameters.
    pub async fn first(name: &str, parameters: &[&str]) -> Self {
        let name = unique(name);
        let id = deploy(&name, PACKAGED, parameters).await;
        let key = world().stack.add_caller_of(&id, &name, &["*"]).await.unwrap();
        let info = &world().stack.info;
        let url = info.api_url.replace(&info.rest_api_id, &id);
        Self { api: Client::new(&url, REGION, &key.access_key_id, &key.secret_access_key), name }
    }

    /// Packages other code, and deploys it over the first version with another value of a parameter.
    async fn second(&self) {
        let folder = world().stack.aws.folder().join(&self.name);
        stage(&folder).await;
        world().stack.package(&self.name).await.unwrap();
        let packaged = format!("{}/{PACKAGED}", self.name);
        deploy(&self.name, &packaged, &[&format!("AllowedRegions={REGION},us-west-2")]).await;
    }

    /// Whether every process of the functions that are called runs the second version's code.
    fn runs_second_code(&self) -> bool {
        let pids = |operation| pids_of(&format!("{}-{operation}", self.name), world().ec2_stub.endpoint());
        let ends = |pid: u32| fs::read(format!("/proc/{pid}/exe")).unwrap_or_default().ends_with(MARK.as_bytes());
        CALLED.into_iter().all(|operation| {
            let pids = pids(operation);
            !pids.is_empty() && pids.into_iter().all(ends)
        })
    }
}

/// Deploys a packaged template as `make deploy` does, and gives the REST API's id. The last one of a parameter's values holds.
async fn deploy(name: &str, packaged: &str, parameters: &[&str]) -> String {
    let of_this_stack = [format!("NameSuffix=-{name}"), format!("ManagedBy={name}")];
    let of_all = [
        "ApiGatewayLogsRole=existing",
        "HealthSchedule=rate(1 day)",
        "ImageOwners=999988887777",
        "Monitoring=false",
        "Sweep=false",
        "ThrottlingRateLimit=10000",
        "ThrottlingBurstLimit=10000",
    ];
    let more = of_all.iter().chain(parameters).map(|parameter| (*parameter).to_owned());
    let parameters: Vec<_> = of_this_stack.into_iter().chain(more).collect();
    world().stack.deploy(packaged, name, &parameters).await.unwrap()
}

/// The packages of the second version, laid out as in the repository.
async fn stage(folder: &Path) {
    let [first, second] = [world().stack.aws.folder(), folder].map(|folder| folder.join("target/lambda"));
    fs::create_dir_all(&second).unwrap();
    for package in fs::read_dir(&first).unwrap() {
        let name = package.unwrap().file_name();
        let (first, second) = (first.join(&name), second.join(&name));
        if CALLED.iter().any(|called| name == *called) {
            rewrite(&first, &second).await;
        } else {
            fs::hard_link(first, second).unwrap();
        }
    }
}

async fn rewrite(first: &Path, second: &Path) {
    let mut python = Command::new(tool("python").unwrap());
    let status = python.args(["-c", REWRITE]).args([first, second]).arg(MARK).status().await.unwrap();
    assert!(status.success());
}

/// Calls that go on until they are told to end, and what became of them.
struct Callers<'a> {
    stack: &'a Deployed,
    /// Calls that were answered as they should be, of each caller.
    answered: [AtomicUsize; 3],
    lost: Mutex<Vec<String>>,
    /// The keys, which are the workers' names, with the worker that each was answered with.
    launched: Mutex<Vec<(String, Value)>>,
    end: AtomicBool,
}

impl<'a> Callers<'a> {
    fn of(stack: &'a Deployed) -> Self {
        Self {
            stack,
            answered: Default::default(),
            lost: Mutex::default(),
            launched: Mutex::default(),
            end: AtomicBool::new(false),
        }
    }

    async fn call(&self, caller: usize, key: Option<&str>, method: &str, path: &str, body: Option<Value>) -> Value {
        let api = match key {
            Some(key) => self.stack.api.with_header("Idempotency-Key", key),
            None => self.stack.api.clone(),
        };
        let lost = match api.try_request(method, path, body).await {
            Ok(Answer { status: 200 | 201, json, .. }) => {
                self.answered[caller].fetch_add(1, Ordering::Relaxed);
                return json;
            }
            Ok(answer) => format!("{method} {path}: {} {}", answer.status, answer.text),
            Err(error) => format!("{method} {path}: {error}"),
        };
        self.lost.lock().unwrap().push(lost);
        Value::Null
    }

    fn goes_on(&self) -> bool {
        !self.end.load(Ordering::Relaxed)
    }

    async fn read(&self, id: &str) {
        while self.goes_on() {
            for path in ["/health", &format!("/regions/{REGION}/instances?limit=5"), &worker(id, "")] {
                self.call(0, None, "GET", path, None).await;
            }
        }
    }

    async fn launch(&self) {
        while self.goes_on() {
            let name = unique(&self.stack.name);
            let launched = self.launch_with(&name).await;
            self.launched.lock().unwrap().push((name, launched["instance_id"].clone()));
        }
    }

    async fn launch_with(&self, key: &str) -> Value {
        let mut body = world().launch_body(key);
        body["tags"] = json!({"Purpose": "upgrade"});
        self.call(1, Some(key), "POST", &format!("/regions/{REGION}/instances"), Some(body)).await
    }

    async fn stop_and_start(&self, id: &str) {
        while self.goes_on() {
            self.call(2, None, "POST", &worker(id, "/stop"), None).await;
            self.call(2, None, "POST", &worker(id, "/start"), None).await;
        }
    }

    /// Waits until each caller has made some more calls that were answered.
    async fn make_calls(&self) {
        let so_far: Vec<_> = self.answered.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let more = || self.answered.iter().zip(&so_far).all(|(now, then)| now.load(Ordering::Relaxed) >= then + CALLS);
        until("calls", async || more() || !self.lost.lock().unwrap().is_empty()).await;
    }

    /// All callers at once, while `meanwhile` is done.
    async fn during(&self, meanwhile: impl Future<Output = ()>) {
        let read = self.launch_with(&unique(&self.stack.name)).await["instance_id"].as_str().unwrap().to_owned();
        let stopped = self.launch_with(&unique(&self.stack.name)).await["instance_id"].as_str().unwrap().to_owned();
        let meanwhile = async {
            meanwhile.await;
            self.end.store(true, Ordering::Relaxed);
        };
        tokio::join!(self.read(&read), self.launch(), self.stop_and_start(&stopped), meanwhile);
    }
}

fn worker(id: &str, below: &str) -> String {
    format!("/regions/{REGION}/instances/{id}{below}")
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !is_so().await {
        assert!(Instant::now() < deadline, "no {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_second_version_over_the_first_loses_no_call_and_launches_nothing_twice() {
    let stack = Deployed::first("upgrade", &[]).await;
    let callers = Callers::of(&stack);
    assert_problem(&stack.api.request("GET", WEST, None).await, 403, "region_not_allowed");
    callers
        .during(async {
            callers.make_calls().await;
            let before = callers.launched.lock().unwrap().clone();
            assert!(!before.is_empty() && !stack.runs_second_code());
            stack.second().await;
            callers.make_calls().await;
            until("second version", async || stack.runs_second_code()).await;
            assert_ok(&stack.api.request("GET", WEST, None).await, 200);
            for (key, id) in before {
                let again = callers.launch_with(&key).await;
                assert_eq!((&again["instance_id"], &again["created"]), (&id, &json!(false)), "{key}");
            }
        })
        .await;
    let lost = callers.lost.lock().unwrap().clone();
    assert!(lost.is_empty(), "{lost:?}");
    let launched = callers.launched.lock().unwrap().clone();
    for (name, _) in launched {
        assert_eq!(world().workers_named(&name).await, 1, "{name}");
    }
}

/// The twin of the test above: the counter notices lost calls. The template takes any text for a region's name, and the functions
/// do not start with this one. The way back is to deploy what worked.
#[tokio::test]
async fn a_version_that_cannot_start_loses_calls_until_another_is_deployed() {
    let stack = Deployed::first("broken", &[]).await;
    let callers = Callers::of(&stack);
    callers
        .during(async {
            callers.make_calls().await;
            assert!(callers.lost.lock().unwrap().is_empty());
            deploy(&stack.name, PACKAGED, &["AllowedRegions=mars"]).await;
            until("lost call", async || callers.lost.lock().unwrap().iter().any(|lost| lost.contains(": 502 "))).await;
        })
        .await;
    deploy(&stack.name, PACKAGED, &["AllowedRegions="]).await;
    assert_ok(&stack.api.request("GET", "/health", None).await, 200);
}
