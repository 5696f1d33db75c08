//! EC2 as it documents itself and as others met it, in process, seeded, on virtual time. It is a model for tests and no larger
//! than the functions' calls.
//!
//! | what it does | who says so |
//! |---|---|
//! | a read shows what was 0 to 15 s ago, each read its own moment; tags come later than their instance | "Eventual consistency" (docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html) |
//! | a token launches once; zonal or regional | "Ensuring idempotency" (…/devguide/ec2-api-idempotency.html): "If you explicitly specify an Availability Zone" |
//! | other parameters under a token are `IdempotentParameterMismatch` | there |
//! | a launch that failed for capacity binds its token, or not | ubicloud/ubicloud #5898, rust-lang/bors #830; the documents speak of successful requests only |
//! | a token is kept for 24 hours beyond its instance, a terminated instance is shown for one | "Ensuring idempotency"; TerminateInstances |
//! | an answer is lost before or after the work, cut, or slow; AWS throttles | every network; `RequestLimitExceeded` |
//! | the image of a name is another one by now | DescribeImages |

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_ec2::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;

use super::clock::Clock;
use super::wire::{self, Fields};

/// A day, in milliseconds.
const DAY: u64 = 86_400_000;
/// How long a terminated instance is shown.
const SHOWN: u64 = 3_600_000;
/// How far a read lags behind at most. The functions may rely on it: it is the one assumption about EC2's reads.
pub const MOST_LAG: u64 = 15_000;

/// The worker that is there from the start.
pub const STOPPED: &str = "i-0e000000000000000";

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// AWS throttles.
    Throttled,
    /// AWS fails before the work.
    Failed,
    /// AWS fails after the work.
    FailedAfterwards,
    /// The connection ends before the work.
    Closed,
    /// The connection ends after the work.
    ClosedAfterwards,
    /// Nobody answers, and nothing is done.
    Silent,
    /// Nobody answers, and it is done.
    SilentAfterwards,
    /// The answer is cut.
    Cut,
}

/// All of them.
pub const FAULTS: [Fault; 8] = [
    Fault::Throttled,
    Fault::Failed,
    Fault::FailedAfterwards,
    Fault::Closed,
    Fault::ClosedAfterwards,
    Fault::Silent,
    Fault::SilentAfterwards,
    Fault::Cut,
];

/// Which of the EC2s that there may be this one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Whether a token belongs to the zone that a launch names, or to the region.
    pub zonal_tokens: bool,
    /// Whether a launch that found no capacity binds its token to its parameters.
    pub failures_bind: bool,
    /// How far reads lag behind at most, in milliseconds.
    pub lag: u64,
    /// Of 100 calls so many meet a fault.
    pub faults: u8,
    /// Of 100 launches so many find no capacity.
    pub full: u8,
    /// When the image of the name becomes another one, in milliseconds; never if 0.
    pub image_moves_at: u64,
}

/// One instance.
#[derive(Debug, Clone)]
pub struct Instance {
    pub id: String,
    pub token: Option<String>,
    pub kind: String,
    pub image: String,
    pub subnet: String,
    /// When it was launched.
    pub at: u64,
    /// Its states, each from a moment on.
    pub states: Vec<(u64, &'static str)>,
    /// Its tags, each set from a moment on.
    pub tags: Vec<(u64, BTreeMap<String, String>)>,
}

impl Instance {
    /// Its state at a moment; none before it was launched, or once it is shown no more.
    pub fn state(&self, at: u64) -> Option<&'static str> {
        let (since, state) = self.states.iter().rev().find(|(since, _)| *since <= at)?;
        (*state != "terminated" || at < since + SHOWN).then_some(*state)
    }

    /// Whether it is there and neither terminated nor on the way there.
    pub fn is_alive(&self, at: u64) -> bool {
        self.state(at).is_some_and(|state| !matches!(state, "terminated" | "shutting-down"))
    }

    fn tags(&self, at: u64) -> BTreeMap<String, String> {
        self.tags.iter().rev().find(|(since, _)| *since <= at).map(|(_, tags)| tags.clone()).unwrap_or_default()
    }
}

/// What a token is bound to.
#[derive(Debug, Clone)]
struct Bound {
    parameters: Fields,
    /// Nothing, if the launch failed.
    instance: Option<String>,
    at: u64,
}

#[derive(Debug)]
struct State {
    kind: Kind,
    random: fastrand::Rng,
    instances: Vec<Instance>,
    tokens: BTreeMap<(String, String), Bound>,
    log: Vec<String>,
    counts: BTreeMap<String, u64>,
    /// From then on nothing fails, nothing lags and there is room for all.
    calm: bool,
}

/// The simulated EC2 of one history.
#[derive(Debug, Clone)]
pub struct Aws {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

/// An answer: its status and its document.
type Answer = (u16, String);

fn refused(status: u16, code: &str, message: &str) -> Answer {
    (status, wire::error(code, message))
}

impl Aws {
    /// An EC2 of this kind, with an instance of somebody else in it and a stopped worker of ours.
    pub fn new(kind: Kind, seed: u64, clock: Clock) -> Self {
        let foreign = Instance {
            id: "i-0f000000000000000".to_owned(),
            token: None,
            kind: "c5.large".to_owned(),
            image: "ami-0f000000000000000".to_owned(),
            subnet: "subnet-0f000000000000000".to_owned(),
            at: 0,
            states: vec![(0, "running")],
            tags: vec![(0, BTreeMap::from([("ManagedBy".to_owned(), "somebody-else".to_owned())]))],
        };
        let ours = Instance {
            id: STOPPED.to_owned(),
            states: vec![(0, "stopped")],
            tags: vec![(0, BTreeMap::from([("ManagedBy".to_owned(), "cml-cloud-manager".to_owned())]))],
            ..foreign.clone()
        };
        let state = State {
            kind,
            random: fastrand::Rng::with_seed(seed),
            instances: vec![foreign, ours],
            tokens: BTreeMap::new(),
            log: Vec::new(),
            counts: BTreeMap::new(),
            calm: false,
        };
        Self { clock, state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing fails, nothing lags and there is room for all.
    pub fn calm_down(&self) {
        self.lock().calm = true;
    }

    /// All instances that there ever were.
    pub fn instances(&self) -> Vec<Instance> {
        self.lock().instances.clone()
    }

    /// What was asked and answered, a line each.
    pub fn log(&self) -> Vec<String> {
        self.lock().log.clone()
    }

    /// Adds a line to the log.
    pub fn note(&self, line: String) {
        let at = self.clock.milliseconds();
        self.lock().log.push(format!("{at:>7} {line}"));
    }

    /// How often each action was called, and each fault met each action.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.lock().counts.clone()
    }
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let aws = self.clone();
        HttpConnectorFuture::new(async move { aws.answer(&request).await })
    }
}

impl Aws {
    async fn answer(self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let fields = wire::fields(request.body().bytes().unwrap_or_default());
        let action = fields.get("Action").cloned().unwrap_or_default();
        let (fault, way) = {
            let state = &mut *self.lock();
            let fault = (!state.calm && state.random.u8(0..100) < state.kind.faults)
                .then(|| FAULTS[state.random.usize(0..FAULTS.len())]);
            *state.counts.entry(action.clone()).or_default() += 1;
            if let Some(fault) = fault {
                *state.counts.entry(format!("{action} {fault:?}")).or_default() += 1;
            }
            (fault, state.random.u64(5..400))
        };
        tokio::time::sleep(Duration::from_millis(way)).await;
        let is_done = !matches!(fault, Some(Fault::Throttled | Fault::Failed | Fault::Closed | Fault::Silent));
        let answer = is_done.then(|| self.work(&action, &fields));
        self.note(format!(
            "{action} {} {:?} → {}",
            short(&fields),
            fault,
            answer.as_ref().map_or("-".to_owned(), shown)
        ));
        tokio::time::sleep(Duration::from_millis(way)).await;
        let closed = || Err(ConnectorError::io("the connection was closed".into()));
        let (status, body) = match fault {
            Some(Fault::Silent | Fault::SilentAfterwards) => std::future::pending().await,
            Some(Fault::Closed | Fault::ClosedAfterwards) => return closed(),
            Some(Fault::Throttled) => refused(503, "RequestLimitExceeded", "Request limit exceeded."),
            Some(Fault::Failed | Fault::FailedAfterwards) => {
                refused(500, "InternalError", "An internal error has occurred")
            }
            Some(Fault::Cut) => {
                let (status, body) = answer.unwrap_or_default();
                (status, body.chars().take(body.len() / 2).collect())
            }
            None => answer.unwrap_or_default(),
        };
        let status = status.try_into().map_err(|_| ConnectorError::other("no status".into(), None))?;
        Ok(HttpResponse::new(status, SdkBody::from(body)))
    }

    fn work(&self, action: &str, fields: &Fields) -> Answer {
        let now = self.clock.milliseconds();
        let state = &mut *self.lock();
        match action {
            "DescribeInstances" => state.describe(fields, now),
            "DescribeImages" => state.describe_images(now),
            "RunInstances" => state.run(fields, now),
            "StartInstances" | "StopInstances" | "TerminateInstances" => state.change(action, fields, now),
            other => refused(400, "InvalidAction", &format!("the simulation knows no {other}")),
        }
    }
}

/// The little of a request that tells it from others.
fn short(fields: &Fields) -> String {
    let of = |name: &str| fields.get(name).map(|value| value.chars().take(8).collect::<String>()).unwrap_or_default();
    format!("{} {} {}", of("ClientToken"), of("InstanceType"), of("InstanceId.1"))
}

fn shown((status, body): &Answer) -> String {
    let between = |from: &str| Some(body.split_once(from)?.1.split_once('<')?.0.to_owned());
    format!("{status} {}", between("<Code>").or_else(|| between("<instanceId>")).unwrap_or_default())
}

impl State {
    /// The moment that a read shows.
    fn moment(&mut self, now: u64) -> u64 {
        if self.calm { now } else { now.saturating_sub(self.random.u64(0..=self.kind.lag)) }
    }

    fn describe(&mut self, fields: &Fields, now: u64) -> Answer {
        let moment = self.moment(now);
        let tags_of = if self.calm { now } else { moment.saturating_sub(self.random.u64(0..=self.kind.lag / 3)) };
        let (wanted, filters) = (wire::list(fields, "InstanceId"), wire::filters(fields));
        let shows = |instance: &&Instance| {
            let Some(state) = instance.state(moment) else { return false };
            let tags = instance.tags(tags_of);
            filters.iter().all(|(name, values)| match name.as_str() {
                "client-token" => instance.token.as_ref().is_some_and(|token| values.contains(token)),
                "instance-id" => values.contains(&instance.id),
                "instance-state-name" => values.iter().any(|value| value == state),
                name => {
                    name.strip_prefix("tag:").is_some_and(|key| tags.get(key).is_some_and(|tag| values.contains(tag)))
                }
            })
        };
        let found: Vec<&Instance> = self.instances.iter().filter(shows).collect();
        if let Some(missing) = wanted.iter().find(|id| !found.iter().any(|instance| instance.id == **id)) {
            return refused(400, "InvalidInstanceID.NotFound", &format!("The instance ID '{missing}' does not exist"));
        }
        let found = found.into_iter().filter(|instance| wanted.is_empty() || wanted.contains(&instance.id));
        let items: String = found.map(|instance| described(instance, moment, &instance.tags(tags_of))).collect();
        let reservation = wire::element("item", &wire::element("instancesSet", &items));
        (200, wire::document("DescribeInstances", &wire::element("reservationSet", &reservation)))
    }

    fn describe_images(&self, now: u64) -> Answer {
        let moved = self.kind.image_moves_at > 0 && now >= self.kind.image_moves_at;
        let image = |id: &str, created: &str| {
            wire::element(
                "item",
                &[
                    wire::text("imageId", id),
                    wire::text("name", "cml"),
                    wire::text("creationDate", created),
                    wire::text("rootDeviceName", "/dev/sda1"),
                ]
                .concat(),
            )
        };
        let first = image("ami-0a000000000000001", "2026-01-01T00:00:00.000Z");
        let second = if moved { image("ami-0a000000000000002", "2026-02-01T00:00:00.000Z") } else { String::new() };
        (200, wire::document("DescribeImages", &wire::element("imagesSet", &(first + &second))))
    }

    fn run(&mut self, fields: &Fields, now: u64) -> Answer {
        let mut parameters = fields.clone();
        for name in ["Action", "Version", "ClientToken", "Placement.AvailabilityZone"] {
            parameters.remove(name);
        }
        let token = fields.get("ClientToken").cloned();
        let zone = fields.get("Placement.AvailabilityZone").filter(|_| self.kind.zonal_tokens);
        let scope = token.clone().map(|token| (zone.cloned().unwrap_or_default(), token));
        let bound =
            scope.as_ref().and_then(|scope| self.tokens.get(scope)).filter(|bound| now < bound.at + 7 * DAY).cloned();
        if let Some(bound) = bound {
            if bound.parameters != parameters {
                return refused(
                    400,
                    "IdempotentParameterMismatch",
                    "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
                );
            }
            if let Some(instance) =
                bound.instance.and_then(|id| self.instances.iter().find(|instance| instance.id == id))
            {
                if !instance.is_alive(now) {
                    return refused(400, "IdempotentInstanceTerminated", "The instance of this token is terminated.");
                }
                return launched(instance, now);
            }
        }
        if !self.calm && self.random.u8(0..100) < self.kind.full {
            if let Some(scope) = scope.filter(|_| self.kind.failures_bind) {
                self.tokens.insert(scope, Bound { parameters, instance: None, at: now });
            }
            return refused(500, "InsufficientInstanceCapacity", "There is no capacity.");
        }
        let id = format!("i-0{:016x}", self.instances.len());
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let running = now + self.random.u64(1_000..9_000);
        let instance = Instance {
            id: id.clone(),
            token,
            kind: field("InstanceType"),
            image: field("ImageId"),
            subnet: field("SubnetId"),
            at: now,
            states: vec![(now, "pending"), (running, "running")],
            tags: vec![(now, wire::tags(fields, "TagSpecification.1.Tag"))],
        };
        let answer = launched(&instance, now);
        self.instances.push(instance);
        if let Some(scope) = scope {
            self.tokens.insert(scope, Bound { parameters, instance: Some(id), at: now });
        }
        answer
    }

    fn change(&mut self, action: &str, fields: &Fields, now: u64) -> Answer {
        let seconds = self.random.u64(2_000..20_000);
        let mut changes = String::new();
        for id in wire::list(fields, "InstanceId") {
            let Some(instance) = self.instances.iter_mut().find(|instance| instance.id == id) else {
                return refused(400, "InvalidInstanceID.NotFound", &format!("The instance ID '{id}' does not exist"));
            };
            let Some(before) = instance.state(now) else {
                return refused(400, "InvalidInstanceID.NotFound", &format!("The instance ID '{id}' does not exist"));
            };
            let (on_the_way, there) = match (action, before) {
                ("StartInstances", "stopped") => ("pending", "running"),
                ("StopInstances", "running" | "pending") => ("stopping", "stopped"),
                ("TerminateInstances", state) if state != "terminated" => ("shutting-down", "terminated"),
                ("StartInstances", "running" | "pending")
                | ("StopInstances", "stopping" | "stopped")
                | ("TerminateInstances", _) => (before, before),
                _ => return refused(400, "IncorrectInstanceState", &format!("The instance '{id}' is {before}")),
            };
            if on_the_way != before {
                instance.states.retain(|(since, _)| *since <= now);
                instance.states.extend([(now, on_the_way), (now + seconds, there)]);
            }
            let state = |name: &str, state: &str| wire::element(name, &wire::text("name", state));
            let change =
                wire::text("instanceId", &id) + &state("currentState", on_the_way) + &state("previousState", before);
            changes += &wire::element("item", &change);
        }
        (200, wire::document(action, &wire::element("instancesSet", &changes)))
    }
}

fn described(instance: &Instance, moment: u64, tags: &BTreeMap<String, String>) -> String {
    let tag = |(key, value): (&String, &String)| {
        wire::element("item", &(wire::text("key", key) + &wire::text("value", value)))
    };
    let launched = Clock::at(instance.at);
    let launched = aws_sdk_ec2::primitives::DateTime::from(launched);
    let launched = launched.fmt(aws_sdk_ec2::primitives::DateTimeFormat::DateTime).unwrap_or_default();
    wire::element(
        "item",
        &[
            wire::text("instanceId", &instance.id),
            wire::text("imageId", &instance.image),
            wire::element("instanceState", &wire::text("name", instance.state(moment).unwrap_or("pending"))),
            wire::text("instanceType", &instance.kind),
            wire::text("launchTime", &launched),
            wire::text("subnetId", &instance.subnet),
            instance.token.as_ref().map(|token| wire::text("clientToken", token)).unwrap_or_default(),
            wire::element("tagSet", &tags.iter().map(tag).collect::<String>()),
        ]
        .concat(),
    )
}

fn launched(instance: &Instance, now: u64) -> Answer {
    let item = described(instance, now, &instance.tags(now));
    (200, wire::document("RunInstances", &wire::element("instancesSet", &item)))
}
