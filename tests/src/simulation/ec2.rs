//! EC2 as it documents itself and as others met it: instances, tokens, tags, images. It is a model for tests and no larger than
//! the functions' calls.
//!
//! | what it does | who says so |
//! |---|---|
//! | a read shows what was 0 to 15 s ago, each read its own moment; tags come later than their instance | "Eventual consistency in the Amazon EC2 API" (docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html): "might not be immediately visible to all subsequent commands" |
//! | a change of a new instance may not find it | there: `InvalidInstanceID.NotFound`, "This does not mean the instance does not exist" |
//! | a token launches once; it is the region's, or the zone's that the launch names, by itself or by its subnet | "Ensuring idempotency in Amazon EC2 API requests" (…/devguide/ec2-api-idempotency.html): "If you implicitly specify an Availability Zone using the SubnetId parameter"; the other kinds are for the case that it is not so |
//! | other parameters under a token are `IdempotentParameterMismatch`, or answered with what it launched | there: "either return successfully without performing any further actions or fail with an `IdempotentParameterMismatch` error": both |
//! | a launch that failed for capacity binds its token, or not | ubicloud/ubicloud #5898; the page speaks of successful requests only: both |
//! | a token is kept for 24 hours beyond its instance | older versions of that page: "valid for at least 24 hours after the termination"; today's says nothing |
//! | a token whose instance is terminated launches nothing: `IdempotentInstanceTerminated` | "Error codes for the Amazon EC2 API" |
//! | a terminated instance is shown for an hour, and its tags for less | TerminateInstances: "Terminated instances remain visible after termination (for approximately one hour)."; older versions of "Terminate your instance": "resources such as tags and volumes are gradually disassociated from the instance" |
//! | capacity is a type's in a zone, and comes and goes | RunInstances: `InsufficientInstanceCapacity` |
//! | a launch and a start can be taken back after they were accepted | "Instance terminates immediately" and "Troubleshoot Amazon EC2 instance launch issues" |
//! | a start is a new launch time | Instance: "The time that the instance was last launched." |
//! | the image of a name, or of a parameter, is another one by now | DescribeImages, GetParameter |

use std::collections::BTreeMap;

use super::aws::{Kind, Tokens};
use super::clock::Clock;
use super::program::REGIONS;
use super::wire::{self, Fields};

/// A day, in milliseconds.
const DAY: u64 = 86_400_000;
/// How long a terminated instance is shown.
pub const SHOWN: u64 = 3_600_000;
/// How far a read lags behind at most. The functions may rely on it: it is the one assumption about EC2's reads. It is a number
/// of its own, and not the functions': a smaller one there must fail here.
pub const MOST_LAG: u64 = 15_000;
/// How long a terminated instance has its tags.
const TAGGED: u64 = 300_000;
/// For how long a type has capacity in a zone, or has none.
const TIDE: u64 = 5_000;
/// Until the status checks of an instance that runs are good.
const CHECKED: u64 = 60_000;

/// The worker that is there from the start, and somebody else's instance.
pub const STOPPED: &str = "i-0e000000000000000";
pub const FOREIGN: &str = "i-0f000000000000000";

/// The subnets, each with its zone's letter.
pub const SUBNETS: [(&str, char); 2] = [("subnet-0a000000000000000", 'a'), ("subnet-0b000000000000000", 'b')];

/// Why an instance is stopped or terminated.
const ASKED: &str = "Client.UserInitiatedShutdown: User initiated shutdown";
const NO_ROOM: &str = "Server.InsufficientInstanceCapacity: Insufficient capacity to satisfy instance request";
const BROKEN: &str = "Client.InternalError: Client error on launch";

/// An answer: its status and its document.
pub type Answer = (u16, String);

pub fn refused(status: u16, code: &str, message: &str) -> Answer {
    (status, wire::error(code, message))
}

/// One instance.
#[derive(Debug, Clone)]
pub struct Instance {
    pub id: String,
    pub region: String,
    pub token: Option<String>,
    /// Type, subnet, market: what an alternative can have of its own.
    pub kind: String,
    pub subnet: String,
    pub spot: bool,
    zone: char,
    pub image: String,
    /// When it was launched and started.
    pub launched: Vec<u64>,
    /// Its states, each from a moment on, and why.
    pub states: Vec<(u64, &'static str, &'static str)>,
    /// Its tags, each set from a moment on.
    pub tags: Vec<(u64, BTreeMap<String, String>)>,
    /// The calls that changed it.
    pub changed_by: Vec<String>,
}

impl Instance {
    /// Its state at a moment; none before it was launched, or once it is shown no more.
    pub fn state(&self, at: u64) -> Option<&'static str> {
        let (since, state, _) = self.states.iter().rev().find(|(since, ..)| *since <= at)?;
        (*state != "terminated" || at < since + SHOWN).then_some(*state)
    }

    /// Whether it is there and neither terminated nor on the way there.
    pub fn is_alive(&self, at: u64) -> bool {
        self.state(at).is_some_and(|state| !matches!(state, "terminated" | "shutting-down"))
    }

    /// When it was terminated, or will be.
    pub fn end(&self) -> Option<u64> {
        self.states.iter().find(|(_, state, _)| *state == "terminated").map(|(since, ..)| *since)
    }

    /// When it was launched first.
    pub fn begin(&self) -> u64 {
        self.launched.first().copied().unwrap_or_default()
    }

    fn tags(&self, at: u64) -> BTreeMap<String, String> {
        if self.end().is_some_and(|end| end + TAGGED <= at) {
            return BTreeMap::new();
        }
        self.tags.iter().rev().find(|(since, _)| *since <= at).map(|(_, tags)| tags.clone()).unwrap_or_default()
    }

    /// From now on these states and no others.
    fn goes(&mut self, now: u64, states: impl IntoIterator<Item = (u64, &'static str, &'static str)>) {
        self.states.retain(|(since, ..)| *since <= now);
        self.states.extend(states);
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

/// The EC2 of all regions.
#[derive(Debug)]
pub struct Ec2 {
    kind: Kind,
    seed: u64,
    random: fastrand::Rng,
    pub instances: Vec<Instance>,
    tokens: BTreeMap<(String, String, String), Bound>,
    /// From then on nothing lags and there is room for all.
    pub is_calm: bool,
}

impl Ec2 {
    /// An EC2 of this kind, with an instance of somebody else in it and a stopped worker of ours.
    pub fn new(kind: Kind, seed: u64) -> Self {
        let instance = |id: &str, state, owner: &str| Instance {
            id: id.to_owned(),
            region: "us-east-1".to_owned(),
            token: None,
            kind: "c5.large".to_owned(),
            subnet: SUBNETS[0].0.to_owned(),
            spot: false,
            zone: 'a',
            image: "ami-0f000000000000000".to_owned(),
            launched: vec![0],
            states: vec![(0, state, if state == "stopped" { ASKED } else { "" })],
            tags: vec![(0, BTreeMap::from([("ManagedBy".to_owned(), owner.to_owned())]))],
            changed_by: Vec::new(),
        };
        let instances =
            vec![instance(FOREIGN, "running", "somebody-else"), instance(STOPPED, "stopped", "cml-cloud-manager")];
        let random = fastrand::Rng::with_seed(seed ^ 0x00ec_2000);
        Self { kind, seed, random, instances, tokens: BTreeMap::new(), is_calm: false }
    }

    /// Answers a call.
    pub fn answer(&mut self, region: &str, action: &str, fields: &Fields, now: u64) -> Answer {
        if fields.get("DryRun").is_some_and(|asked| asked == "true") {
            return refused(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
        }
        match action {
            "DescribeInstances" => self.describe(region, fields, now),
            "DescribeInstanceStatus" => self.describe_status(region, fields, now),
            "DescribeTags" => self.describe_tags(region, fields, now),
            "DescribeImages" => self.describe_images(fields, now),
            "DescribeRegions" => (200, wire::document(action, &regions())),
            "RunInstances" => self.run(region, fields, now),
            "StartInstances" | "StopInstances" | "TerminateInstances" => self.change(region, action, fields, now),
            "CreateTags" | "DeleteTags" => self.change_tags(region, action, fields, now),
            other => refused(400, "InvalidAction", &format!("the simulation knows no {other}")),
        }
    }

    /// The moment that a read shows, and the one whose tags it shows.
    fn moments(&mut self, now: u64) -> (u64, u64) {
        if self.is_calm {
            return (now, now);
        }
        let lag = if self.kind.steady { self.kind.lag } else { self.random.u64(0..=self.kind.lag) };
        let moment = now.saturating_sub(lag);
        (moment, moment.saturating_sub(self.random.u64(0..=self.kind.lag / 3)))
    }

    fn describe(&mut self, region: &str, fields: &Fields, now: u64) -> Answer {
        let (moment, tags_of) = self.moments(now);
        let (wanted, filters) = (wire::list(fields, "InstanceId"), wire::filters(fields));
        let shows = |instance: &&Instance| {
            let Some(state) = instance.state(moment).filter(|_| instance.region == region) else { return false };
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
            return unknown(missing);
        }
        let found = found.into_iter().filter(|instance| wanted.is_empty() || wanted.contains(&instance.id));
        let items: String = found.map(|instance| described(instance, moment, &instance.tags(tags_of))).collect();
        let reservation = wire::element("item", &wire::element("instancesSet", &items));
        (200, wire::document("DescribeInstances", &wire::element("reservationSet", &reservation)))
    }

    fn describe_status(&mut self, region: &str, fields: &Fields, now: u64) -> Answer {
        let (moment, _) = self.moments(now);
        let wanted = wire::list(fields, "InstanceId");
        let runs = |instance: &&Instance| {
            wanted.contains(&instance.id) && instance.region == region && instance.state(moment) == Some("running")
        };
        let items = self.instances.iter().filter(runs).map(|instance| {
            let since =
                instance.states.iter().rev().find(|(since, ..)| *since <= moment).map_or(0, |(since, ..)| *since);
            let status = if moment < since + CHECKED { "initializing" } else { "ok" };
            let check = |name: &str| wire::element(name, &wire::text("status", status));
            let state = wire::element("instanceState", &wire::text("name", "running"));
            let id = wire::text("instanceId", &instance.id);
            wire::element("item", &[id, state, check("systemStatus"), check("instanceStatus")].concat())
        });
        let items: String = items.collect();
        (200, wire::document("DescribeInstanceStatus", &wire::element("instanceStatusSet", &items)))
    }

    fn describe_tags(&mut self, region: &str, fields: &Fields, now: u64) -> Answer {
        let (_, moment) = self.moments(now);
        let wanted = wire::filters(fields).into_iter().find(|(name, _)| name == "resource-id").map(|(_, ids)| ids);
        let wanted = wanted.unwrap_or_default();
        let found = self.instances.iter().filter(|one| one.region == region && wanted.contains(&one.id));
        let items: String = found
            .flat_map(|one| one.tags(moment).into_iter().map(|tag| (one.id.clone(), tag)))
            .map(|(id, (key, value))| {
                wire::element(
                    "item",
                    &(wire::text("resourceId", &id) + &wire::text("key", &key) + &wire::text("value", &value)),
                )
            })
            .collect();
        (200, wire::document("DescribeTags", &wire::element("tagSet", &items)))
    }

    fn describe_images(&self, fields: &Fields, now: u64) -> Answer {
        let (known, wanted) = (1 + self.kind.moves_by(now), wire::list(fields, "ImageId"));
        let images = (1..=known).map(|number| (image(number), number));
        let items = images.filter(|(id, _)| wanted.is_empty() || wanted.contains(id)).map(|(id, number)| {
            let created = format!("2026-01-{number:02}T00:00:00.000Z");
            let fields = [
                wire::text("imageId", &id),
                wire::text("imageState", "available"),
                wire::text("name", "cml"),
                wire::text("creationDate", &created),
                wire::text("rootDeviceName", "/dev/sda1"),
            ];
            wire::element("item", &fields.concat())
        });
        let items: String = items.collect();
        (200, wire::document("DescribeImages", &wire::element("imagesSet", &items)))
    }

    /// Whether a type has no capacity in a zone now.
    fn is_full(&self, kind: &str, region: &str, zone: char, spot: bool, now: u64) -> bool {
        let name = format!("{kind} {region}{zone} {spot} {}", now / TIDE);
        let hash = name.bytes().fold(self.seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        !self.is_calm && fastrand::Rng::with_seed(hash).u8(0..100) < self.kind.full
    }

    fn run(&mut self, region: &str, fields: &Fields, now: u64) -> Answer {
        let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
        let (subnet, kind) = (field("SubnetId"), field("InstanceType"));
        let spot = field("InstanceMarketOptions.MarketType") == "spot";
        let of_subnet = SUBNETS.iter().find(|(name, _)| *name == subnet).map(|(_, zone)| *zone);
        let named = fields.get("Placement.AvailabilityZone").and_then(|zone| zone.chars().last());
        let mut parameters = fields.clone();
        for name in ["Action", "Version", "ClientToken", "Placement.AvailabilityZone"] {
            parameters.remove(name);
        }
        let zone_of_token = match self.kind.tokens {
            Tokens::Regional => None,
            Tokens::Zonal => named,
            Tokens::ZonalWithSubnet => named.or(of_subnet),
        };
        let zone_of_token = zone_of_token.map(String::from).unwrap_or_default();
        let token = fields.get("ClientToken").cloned();
        let scope = token.clone().map(|token| (region.to_owned(), zone_of_token, token));
        if let Some(bound) = scope.as_ref().and_then(|scope| self.bound(scope, now)) {
            let is_answered = self.kind.mismatch_succeeds && bound.instance.is_some();
            if bound.parameters != parameters && !is_answered {
                return refused(
                    400,
                    "IdempotentParameterMismatch",
                    "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
                );
            }
            if let Some(instance) = bound.instance.and_then(|id| self.instances.iter().find(|one| one.id == id)) {
                if !instance.is_alive(now) {
                    return refused(400, "IdempotentInstanceTerminated", "The instance of this token is terminated.");
                }
                return launched(instance, now);
            }
        }
        let zones = named.or(of_subnet).map_or(vec!['a', 'b'], |zone| vec![zone]);
        let Some(zone) = zones.into_iter().find(|zone| !self.is_full(&kind, region, *zone, spot, now)) else {
            if let Some(scope) = scope.filter(|_| self.kind.failures_bind) {
                self.tokens.insert(scope, Bound { parameters, instance: None, at: now });
            }
            return refused(500, "InsufficientInstanceCapacity", "There is no capacity.");
        };
        let id = format!("i-0{:016x}", self.instances.len());
        let there = now + self.random.u64(1_000..9_000);
        let is_broken = !self.is_calm && self.random.u8(0..100) < self.kind.full / 10;
        let then = if is_broken { (there, "terminated", BROKEN) } else { (there, "running", "") };
        let instance = Instance {
            id: id.clone(),
            region: region.to_owned(),
            token,
            kind,
            subnet,
            spot,
            zone,
            image: field("ImageId"),
            launched: vec![now],
            states: vec![(now, "pending", ""), then],
            tags: vec![(now, wire::tags(fields, "TagSpecification.1.Tag"))],
            changed_by: Vec::new(),
        };
        let answer = launched(&instance, now);
        self.instances.push(instance);
        if let Some(scope) = scope {
            self.tokens.insert(scope, Bound { parameters, instance: Some(id), at: now });
        }
        answer
    }

    /// The names of the workers whose launch failed and is bound to its token all the same, each with its region.
    pub fn failed_bindings(&self) -> Vec<(String, String)> {
        let failed = self.tokens.iter().filter(|(_, bound)| bound.instance.is_none());
        let name = |bound: &Bound| wire::tags(&bound.parameters, "TagSpecification.1.Tag").remove("Name");
        failed.filter_map(|((region, ..), bound)| Some((region.clone(), name(bound)?))).collect()
    }

    fn bound(&self, scope: &(String, String, String), now: u64) -> Option<Bound> {
        let bound = self.tokens.get(scope)?;
        let instance = bound.instance.as_ref().and_then(|id| self.instances.iter().find(|one| one.id == *id));
        let until = match instance {
            Some(instance) => instance.end().map_or(u64::MAX, |end| end + DAY),
            None => bound.at + DAY,
        };
        (now < until).then(|| bound.clone())
    }

    /// The instances that a change names, by their place; or the answer if one is not found.
    fn named(&mut self, region: &str, ids: &[String], now: u64) -> Result<Vec<usize>, Answer> {
        let is_known = |one: &Instance, id: &String, random: &mut fastrand::Rng, lag| {
            let old = now.saturating_sub(one.begin());
            one.id == *id && one.region == region && one.state(now).is_some() && old >= random.u64(0..=lag)
        };
        let lag = if self.is_calm { 0 } else { self.kind.lag };
        let (instances, random) = (&self.instances, &mut self.random);
        let mut place = |id| instances.iter().position(|one| is_known(one, id, random, lag)).ok_or_else(|| unknown(id));
        ids.iter().map(&mut place).collect()
    }

    fn change(&mut self, region: &str, action: &str, fields: &Fields, now: u64) -> Answer {
        let places = match self.named(region, &wire::list(fields, "InstanceId"), now) {
            Ok(places) => places,
            Err(answer) => return answer,
        };
        let steps = places.into_iter().map(|place| {
            let before = self.instances[place].state(now).unwrap_or_default();
            let steps = match (action, before) {
                ("StartInstances", "stopped") => Some(("pending", "running", "")),
                ("StopInstances", "running" | "pending") => Some(("stopping", "stopped", ASKED)),
                ("TerminateInstances", state) if !matches!(state, "terminated" | "shutting-down") => {
                    Some(("shutting-down", "terminated", ASKED))
                }
                ("StartInstances", "running" | "pending")
                | ("StopInstances", "stopping" | "stopped")
                | ("TerminateInstances", _) => None,
                _ => {
                    let id = &self.instances[place].id;
                    return Err(refused(400, "IncorrectInstanceState", &format!("The instance '{id}' is {before}")));
                }
            };
            Ok((place, before, steps))
        });
        let steps: Vec<_> = match steps.collect() {
            Ok(steps) => steps,
            Err(answer) => return answer,
        };
        // EC2 takes all instances of a start or none.
        let is_full = |place: usize| {
            let one = &self.instances[place];
            self.is_full(&one.kind, region, one.zone, one.spot, now)
        };
        let full: Vec<bool> = steps.iter().map(|(place, ..)| action == "StartInstances" && is_full(*place)).collect();
        let is_taken_back = self.random.bool();
        if full.contains(&true) && !is_taken_back {
            return refused(500, "InsufficientInstanceCapacity", "There is no capacity.");
        }
        let mut changes = String::new();
        for ((place, before, step), full) in steps.into_iter().zip(full) {
            let then = now + self.random.u64(2_000..20_000);
            let one = &mut self.instances[place];
            if let Some((on_the_way, there, why)) = step {
                let (there, reason) = if full { ("stopped", NO_ROOM) } else { (there, why) };
                one.goes(now, [(now, on_the_way, why), (then, there, reason)]);
                one.changed_by.push(action.to_owned());
                if action == "StartInstances" {
                    one.launched.push(now);
                }
            }
            let state = |name: &str, state: &str| wire::element(name, &wire::text("name", state));
            let after = step.map_or(before, |(on_the_way, ..)| on_the_way);
            let change =
                wire::text("instanceId", &one.id) + &state("currentState", after) + &state("previousState", before);
            changes += &wire::element("item", &change);
        }
        (200, wire::document(action, &wire::element("instancesSet", &changes)))
    }

    fn change_tags(&mut self, region: &str, action: &str, fields: &Fields, now: u64) -> Answer {
        let places = match self.named(region, &wire::list(fields, "ResourceId"), now) {
            Ok(places) => places,
            Err(answer) => return answer,
        };
        for place in places {
            let one = &mut self.instances[place];
            let mut tags = one.tags(now);
            for (key, value) in wire::tags(fields, "Tag") {
                if action == "CreateTags" { drop(tags.insert(key, value)) } else { drop(tags.remove(&key)) }
            }
            one.tags.push((now, tags));
            one.changed_by.push(action.to_owned());
        }
        (200, wire::document(action, &wire::text("return", "true")))
    }
}

/// The nth image.
pub fn image(number: usize) -> String {
    format!("ami-0a00000000000000{number}")
}

fn unknown(id: &str) -> Answer {
    refused(400, "InvalidInstanceID.NotFound", &format!("The instance ID '{id}' does not exist"))
}

fn regions() -> String {
    let items = REGIONS.map(|name| wire::element("item", &wire::text("regionName", name)));
    wire::element("regionInfo", &items.concat())
}

fn described(instance: &Instance, moment: u64, tags: &BTreeMap<String, String>) -> String {
    let tag = |(key, value): (&String, &String)| {
        wire::element("item", &(wire::text("key", key) + &wire::text("value", value)))
    };
    let launched = instance.launched.iter().rev().find(|at| **at <= moment).copied().unwrap_or_default();
    let (_, state, reason) =
        instance.states.iter().rev().find(|(since, ..)| *since <= moment).copied().unwrap_or((0, "pending", ""));
    let reason =
        if reason.is_empty() { String::new() } else { wire::element("stateReason", &wire::text("message", reason)) };
    let fields = [
        wire::text("instanceId", &instance.id),
        wire::text("imageId", &instance.image),
        wire::element("instanceState", &wire::text("name", state)),
        reason,
        wire::text("instanceType", &instance.kind),
        wire::text("launchTime", &wire::time(Clock::at(launched))),
        wire::element("placement", &wire::text("availabilityZone", &format!("{}{}", instance.region, instance.zone))),
        wire::text("subnetId", &instance.subnet),
        instance.token.as_ref().map(|token| wire::text("clientToken", token)).unwrap_or_default(),
        wire::element("tagSet", &tags.iter().map(tag).collect::<String>()),
    ];
    wire::element("item", &fields.concat())
}

fn launched(instance: &Instance, now: u64) -> Answer {
    let item = described(instance, now, &instance.tags(now));
    (200, wire::document("RunInstances", &wire::element("instancesSet", &item)))
}
