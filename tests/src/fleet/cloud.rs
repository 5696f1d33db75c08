//! What stands between the callers and the simulated AWS: API Gateway with its limits, and Lambda with an environment for each
//! invocation that is under way.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::http_client_fn;
use serde_json::{Value, json};
use shared::Clients;
use shared::api::events::within;
use shared::error::Error;
use shared::model::sweep::rules::{Rules, Wish};
use shared::ops::sweep_workers::report::SweepReport;
use shared::ops::sweep_workers::{self, Sweeper};
use tokio::time::sleep;

use super::scene::Scene;
use crate::simulation::{Aws, Bucket, CALLERS, Clock, KINDEST, Request, clients_with, settings_of};

/// What `sweep-workers` has for one invocation: `Timeout` of template.yaml.
const TIMEOUT: Duration = Duration::from_secs(240);

/// What a route accepts at once and each second, in thousandths of a request: `ThrottlingBurstLimit` and `ThrottlingRateLimit`.
const ROUTE: (u64, u64) = (40_000, 20_000);

/// For so long the client sends a call again, in milliseconds: its deadline of 120 seconds without the time for an answer.
const SENT_AGAIN: u64 = 85_000;

/// A call of the API.
#[derive(Debug, Clone)]
pub struct Ask {
    pub operation: &'static str,
    pub region: &'static str,
    /// The instances; in the path, or many in the body.
    pub ids: Vec<String>,
    pub is_many: bool,
    /// The name and the key of a launch.
    pub name: String,
}

/// What a caller gets.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub document: Value,
}

/// The environments of a function.
#[derive(Debug)]
struct Pool<T> {
    free: Vec<T>,
    made: usize,
}

impl<T> Pool<T> {
    fn take(&mut self, make: impl FnOnce() -> T) -> T {
        self.free.pop().unwrap_or_else(|| {
            self.made += 1;
            make()
        })
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { free: Vec::new(), made: 0 }
    }
}

/// All of it.
#[derive(Debug)]
pub struct Cloud {
    pub scene: Scene,
    pub aws: Aws,
    pub clock: Clock,
    sdk: SdkConfig,
    functions: RefCell<BTreeMap<&'static str, Pool<Rc<Clients>>>>,
    sweepers: RefCell<Pool<Rc<Sweeper>>>,
    routes: RefCell<BTreeMap<(&'static str, bool), Bucket>>,
    counts: RefCell<BTreeMap<String, usize>>,
}

impl Cloud {
    pub fn new(common: &SdkConfig, scene: Scene) -> Self {
        let clock = Clock::start();
        let aws = Aws::new(scene.kind(), 1, clock);
        aws.change(|instances, _| *instances = scene.workers().iter().map(super::scene::Worker::instance).collect());
        let wires = aws.clone();
        let sdk = settings_of(common, http_client_fn(move |settings, _| wires.connector(settings)), clock);
        Self {
            scene,
            aws,
            clock,
            sdk,
            functions: RefCell::default(),
            sweepers: RefCell::default(),
            routes: RefCell::default(),
            counts: RefCell::default(),
        }
    }

    /// The clients of one environment. The rule that costs most is on.
    #[expect(clippy::expect_used, reason = "test support")]
    fn clients(&self) -> Clients {
        clients_with(&self.sdk, KINDEST.retries, |config| {
            let region = |name: &&str| (*name).to_owned().try_into().expect("a region");
            config.allowed_regions = self.scene.regions().iter().map(region).collect();
            config.sweep.rules = Rules { on_idle: Some(Wish::Stop), ..Rules::default() };
        })
    }

    /// Counts something that happened.
    pub fn count(&self, what: &str) {
        *self.counts.borrow_mut().entry(what.to_owned()).or_default() += 1;
    }

    /// How often what happened.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.counts.borrow().clone()
    }

    /// How many environments each function needed at the same time.
    pub fn environments(&self) -> BTreeMap<String, usize> {
        let functions = self.functions.borrow();
        let sweepers = ("sweep-workers".to_owned(), self.sweepers.borrow().made);
        functions.iter().map(|(name, pool)| ((*name).to_owned(), pool.made)).chain([sweepers]).collect()
    }

    /// Makes a call as the client for Python does: again, while the answer says that it may succeed later.
    pub async fn call(&self, ask: &Ask) -> Answer {
        let (start, mut longest) = (self.clock.milliseconds(), 500);
        loop {
            let answer = self.send(ask).await;
            if answer.document["retryable"] != true {
                return answer;
            }
            let asked = answer.document["retry_after_seconds"].as_u64().unwrap_or_default() * 1_000;
            let pause = asked + fastrand::u64(0..=longest);
            if self.clock.milliseconds() + pause > start + SENT_AGAIN {
                self.count("given up");
                return answer;
            }
            sleep(Duration::from_millis(pause)).await;
            longest = (longest * 2).min(10_000);
        }
    }

    async fn send(&self, ask: &Ask) -> Answer {
        self.count("calls");
        if !self.is_let_in(ask) {
            self.count("429 by API Gateway");
            return Answer { status: 429, document: json!({"retryable": true, "retry_after_seconds": 1}) };
        }
        let clients = self.functions.borrow_mut().entry(ask.operation).or_default().take(|| Rc::new(self.clients()));
        let response = ask.request().send(&clients).await;
        self.functions.borrow_mut().entry(ask.operation).or_default().free.push(clients);
        let status = response.status().as_u16();
        let document: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        if status == 429 {
            self.count("429 by AWS");
        } else if status >= 400 {
            self.count(&format!("{status} {}", document["code"].as_str().unwrap_or_default()));
        }
        Answer { status, document }
    }

    /// Whether the route's limit lets a call in.
    fn is_let_in(&self, ask: &Ask) -> bool {
        let now = self.clock.milliseconds();
        let mut routes = self.routes.borrow_mut();
        let route = (ask.operation, ask.is_many);
        let bucket = routes.entry(route).or_insert_with(|| Bucket::new(ROUTE.0, ROUTE.1, now));
        let is_let_in = bucket.holds(1, now);
        if is_let_in {
            bucket.take(1, now);
        }
        is_let_in
    }

    /// Invokes `sweep-workers`.
    pub async fn sweep(&self, event: &Value) -> Result<SweepReport, Error> {
        let sweeper = self.sweepers.borrow_mut().take(|| Rc::new(Sweeper::new(self.clients())));
        let now = self.clock.now();
        let swept = within(now + TIMEOUT, now, sweep_workers::handle(&sweeper, event)).await;
        self.sweepers.borrow_mut().free.push(sweeper);
        swept
    }
}

impl Ask {
    /// A call about one worker.
    pub fn one(operation: &'static str, region: &'static str, id: &str) -> Self {
        Self { operation, region, ids: vec![id.to_owned()], is_many: false, name: String::new() }
    }

    /// A call about many workers of a region.
    pub fn many(operation: &'static str, region: &'static str, ids: Vec<String>) -> Self {
        Self { operation, region, ids, is_many: true, name: String::new() }
    }

    /// A launch.
    pub fn launch(region: &'static str, name: String) -> Self {
        Self { operation: "create-instance", region, ids: Vec::new(), is_many: false, name }
    }

    fn request(&self) -> Request<'_> {
        let is_launch = !self.name.is_empty();
        let mut path = json!({"region": self.region});
        if let Some(id) = self.ids.first().filter(|_| !self.is_many) {
            path["instance_id"] = json!(id);
        }
        let body = match (is_launch, self.is_many) {
            (true, _) => json!({"name": self.name, "image_id": "ami-0a000000000000001", "instance_type": "c5.large"}),
            (_, true) => json!({"instance_ids": self.ids}),
            _ => Value::Null,
        };
        Request {
            operation: self.operation,
            path,
            query: json!({}),
            body: if body.is_null() { String::new() } else { body.to_string() },
            caller: &CALLERS[0],
            key: is_launch.then_some(&self.name),
        }
    }
}
