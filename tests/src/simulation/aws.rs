//! AWS behind the SDK's HTTP client: EC2 ([`super::ec2`]), what the functions ask of CloudWatch and Systems Manager, and all
//! that can happen to a call on its way.
//!
//! | what happens | who says so |
//! |---|---|
//! | an answer is lost before or after the work, cut, or late; a request arrives twice | every network |
//! | an API has a bucket of tokens, which refills | [`super::limits`]; in a history it is small, for how much of it the rest of the account leaves, nobody knows |
//! | the SDK's stock of retries is used up | aws-smithy-runtime, `TokenBucket`: one for the whole process |
//! | connect and read timeouts are the HTTP client's to keep | aws-smithy-http-client |

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_ec2::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::clock::Clock;
use super::ec2::{self, Ec2, Instance};
use super::kind::{FAULTS, Fault, Kind, MOST_LATE};
use super::limits::{Buckets, Share, take};
use super::metrics;
use super::wire::{self, Fields, MetricRequest, Protocol};

#[derive(Debug)]
struct State {
    kind: Kind,
    random: fastrand::Rng,
    ec2: Ec2,
    /// Each with its region and its name; those of a history have no region.
    buckets: Buckets,
    log: Vec<String>,
    arrived: Vec<(u64, String)>,
    counts: BTreeMap<String, u64>,
    events: Vec<Value>,
}

/// The simulated AWS of one history.
#[derive(Debug, Clone)]
pub struct Aws {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

tokio::task_local! {
    /// How many calls the request that is under way has made so far.
    pub static CALLS: Arc<AtomicU64>;
}

/// One connection: as patient as the SDK has told it to be.
#[derive(Debug)]
struct Connector(Aws, HttpConnectorSettings);

impl Aws {
    /// An AWS of this kind.
    pub fn new(kind: Kind, seed: u64, clock: Clock) -> Self {
        let state = State {
            kind,
            random: fastrand::Rng::with_seed(seed),
            ec2: Ec2::new(kind, seed),
            buckets: BTreeMap::new(),
            log: Vec::new(),
            arrived: Vec::new(),
            counts: BTreeMap::new(),
            events: Vec::new(),
        };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    /// What the SDK speaks to it through.
    pub fn connector(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector(self.clone(), settings.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing fails, nothing lags and there is room for all.
    pub fn calm_down(&self) {
        self.lock().ec2.is_calm = true;
    }

    /// The details of the events that were published.
    pub fn events(&self) -> Vec<Value> {
        self.lock().events.clone()
    }

    /// Changes instances as nobody's call does: in the console, or by themselves.
    pub fn change<T>(&self, change: impl FnOnce(&mut Vec<Instance>, u64) -> T) -> T {
        let now = self.clock.milliseconds();
        change(&mut self.lock().ec2.instances, now)
    }

    /// All instances that there ever were.
    pub fn instances(&self) -> Vec<Instance> {
        self.lock().ec2.instances.clone()
    }

    /// What was asked and answered, a line each.
    pub fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    /// When each call was sent, and its name.
    pub fn arrived(&self) -> Vec<(u64, String)> {
        self.lock().arrived.clone()
    }

    /// Adds a line to the log.
    pub fn note(&self, line: &str) {
        let at = self.clock.milliseconds();
        self.lock().log.push(format!("{at:>7} {line}"));
    }

    /// The names of the workers whose launch failed and is bound to its token all the same, each with its region.
    pub fn failed_bindings(&self) -> Vec<(String, String)> {
        self.lock().ec2.failed_bindings()
    }

    /// The buckets from which calls took tokens.
    pub fn buckets(&self) -> Buckets {
        self.lock().buckets.clone()
    }

    /// How often each call was made, and met each fault.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.lock().counts.clone()
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (aws, patience) = (self.0.clone(), self.1.read_timeout());
        HttpConnectorFuture::new(async move {
            let patience =
                patience.ok_or_else(|| ConnectorError::user("the client waits for an answer for ever".into()))?;
            let answer = timeout(patience, aws.answer(&request)).await;
            answer.unwrap_or_else(|_| Err(ConnectorError::timeout("the answer was late".into())))
        })
    }
}

/// A call as the simulation understands it.
#[derive(Debug, Clone)]
struct Call {
    protocol: Protocol,
    region: String,
    action: String,
    fields: Fields,
    body: Vec<u8>,
}

impl Call {
    fn read(request: &HttpRequest) -> Self {
        // https://ec2.us-east-1.amazonaws.com/
        let host = request.uri().split("://").nth(1).unwrap_or_default();
        let region = host.split('.').nth(1).unwrap_or_default().to_owned();
        let last = |text: &str| text.rsplit(['.', '/']).next().unwrap_or_default().to_owned();
        let (protocol, action, fields) = match (request.headers().get("x-amz-target"), host.split('.').next()) {
            (Some(target), _) => (Protocol::Json, last(target), Fields::new()),
            (None, Some("monitoring")) => (Protocol::Cbor, last(request.uri()), Fields::new()),
            _ => {
                let fields = wire::fields(request.body().bytes().unwrap_or_default());
                (Protocol::Query, fields.get("Action").cloned().unwrap_or_default(), fields)
            }
        };
        let body = request.body().bytes().unwrap_or_default().to_vec();
        Self { protocol, region, action, fields, body }
    }

    /// The little of it that tells it from others.
    fn short(&self) -> String {
        let of = |name: &str| {
            self.fields.get(name).map(|value| value.chars().take(8).collect::<String>()).unwrap_or_default()
        };
        format!("{} {} {}", of("ClientToken"), of("InstanceType"), of("InstanceId.1"))
    }
}

impl State {
    /// What happens to a call on its way.
    fn fault(&mut self, call: &Call, now: u64) -> Option<Fault> {
        let action = &call.action;
        *self.counts.entry(action.clone()).or_default() += 1;
        if self.ec2.is_calm {
            return None;
        }
        let drawn = self.random.u8(0..100) < self.kind.faults;
        let fault = if self.is_throttled(call, now) {
            Some(Fault::Throttled)
        } else {
            drawn.then(|| FAULTS[self.random.usize(0..FAULTS.len())])
        };
        if let Some(fault) = fault {
            *self.counts.entry(format!("{action} {fault:?}")).or_default() += 1;
        }
        fault
    }

    /// Whether a bucket of the call is empty. If none is, the call takes from each.
    fn is_throttled(&mut self, call: &Call, now: u64) -> bool {
        let kind = self.kind;
        let shares = kind.limits.map(|limits| limits.shares(&call.action, &call.fields, now)).unwrap_or_default();
        let shares = shares.into_iter().map(|share| (call.region.clone(), share));
        let small = (kind.bucket > 0).then(|| (String::new(), Share::of_history(&call.action, kind.bucket, now)));
        !take(&mut self.buckets, &shares.chain(small).collect::<Vec<_>>(), now)
    }

    fn work(&mut self, call: &Call, now: u64) -> (u16, Vec<u8>) {
        match call.protocol {
            Protocol::Query => {
                let (status, document) = self.ec2.answer(&call.region, &call.action, &call.fields, now);
                (status, document.into_bytes())
            }
            Protocol::Json if call.action == "PutEvents" => {
                let document: Value = serde_json::from_slice(&call.body).unwrap_or_default();
                let entries = document["Entries"].as_array().cloned().unwrap_or_default();
                let details = entries.iter().filter_map(|entry| serde_json::from_str(entry["Detail"].as_str()?).ok());
                self.events.extend(details);
                (200, wire::put_events(entries.len()))
            }
            Protocol::Json => (200, wire::parameter(&ec2::image(1 + self.kind.moves_by(now)))),
            Protocol::Cbor => (200, metrics::answer(&self.ec2, &call.region, &MetricRequest::read(&call.body), now)),
        }
    }
}

impl Aws {
    /// Does what a call asks for, now.
    fn work(&self, call: &Call, fault: Option<Fault>) -> (u16, Vec<u8>) {
        let answer = self.lock().work(call, self.clock.milliseconds());
        self.note(&format!("{} {} {fault:?} → {}", call.action, call.short(), shown(&answer)));
        answer
    }

    async fn answer(self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let call = Call::read(request);
        // What an operation does in tasks of its own is not counted.
        let _ = CALLS.try_with(|calls| calls.fetch_add(1, Ordering::Relaxed));
        let (fault, way) = {
            let now = self.clock.milliseconds();
            let state = &mut *self.lock();
            state.arrived.push((now, call.action.clone()));
            let fault = state.fault(&call, now);
            let way = match (fault, state.kind.latency) {
                (Some(Fault::Slow), _) => 1_000..8_000,
                (_, 0) => 5..400,
                (_, latency) => latency / 2..latency / 2 + 1,
            };
            (fault, state.random.u64(way))
        };
        sleep(Duration::from_millis(way)).await;
        let is_done =
            !matches!(fault, Some(Fault::Throttled | Fault::Failed | Fault::Closed | Fault::Silent | Fault::Late));
        if fault == Some(Fault::Doubled) {
            self.work(&call, fault);
        }
        let answer = is_done.then(|| self.work(&call, fault));
        if !is_done {
            self.note(&format!("{} {} {fault:?}", call.action, call.short()));
        }
        if fault == Some(Fault::Late) {
            let (aws, call) = (self.clone(), call.clone());
            let later = Duration::from_millis(self.lock().random.u64(0..MOST_LATE));
            tokio::spawn(async move {
                sleep(later).await;
                aws.work(&call, fault);
            });
        }
        sleep(Duration::from_millis(way)).await;
        let closed = || Err(ConnectorError::io("the connection was closed".into()));
        let (status, body) = match fault {
            Some(Fault::Silent | Fault::SilentAfterwards | Fault::Late) => std::future::pending().await,
            Some(Fault::Closed | Fault::ClosedAfterwards) => return closed(),
            Some(Fault::Throttled) => call.protocol.throttled(),
            Some(Fault::Failed | Fault::FailedAfterwards) => call.protocol.failed(),
            Some(Fault::Cut) => {
                let (status, mut body) = answer.unwrap_or_default();
                body.truncate(body.len() / 2);
                (status, body)
            }
            Some(Fault::Slow | Fault::Doubled) | None => answer.unwrap_or_default(),
        };
        call.protocol.response(status, body)
    }
}

fn shown((status, body): &(u16, Vec<u8>)) -> String {
    let body = String::from_utf8_lossy(body);
    let between = |from: &str| Some(body.split_once(from)?.1.split_once('<')?.0.to_owned());
    format!("{status} {}", between("<Code>").or_else(|| between("<instanceId>")).unwrap_or_default())
}
