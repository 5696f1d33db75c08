//! What the callers of a history ask for, and when: drawn from a seed, and small enough to be pasted into a test.

use serde_json::{Value, json};

use super::ec2::{MOST_LAG, SUBNETS, image};
use super::kind::{Kind, Tokens};

/// A caller: its id and ARN as API Gateway says them, and who it is to `Idempotency-Key` and `CreatedBy`.
#[derive(Debug)]
pub struct Caller {
    pub id: &'static str,
    pub arn: &'static str,
    pub principal: &'static str,
}

impl Caller {
    /// What `CreatedBy` says: the ARN, without the session's name if the principal has none.
    pub fn created_by(&self) -> &'static str {
        let is_role = self.principal.starts_with("AROA") && !self.principal.contains(':');
        if is_role { self.arn.rsplit_once('/').map_or(self.arn, |(role, _)| role) } else { self.arn }
    }
}

/// Two sessions of one role, another role, a user, two people of IAM Identity Center, one of a role that is configured to be
/// of people, a federated user.
pub const CALLERS: [Caller; 8] = [
    caller("AROAFIRST:one", "arn:aws:sts::123456789012:assumed-role/first/one", "AROAFIRST"),
    caller("AROAFIRST:two", "arn:aws:sts::123456789012:assumed-role/first/two", "AROAFIRST"),
    caller("AROASECOND:one", "arn:aws:sts::123456789012:assumed-role/second/one", "AROASECOND"),
    caller("AIDAUSER", "arn:aws:iam::123456789012:user/alice", "AIDAUSER"),
    caller("AROASSO:alice", "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_A_01/alice", "AROASSO:alice"),
    caller("AROASSO:bob", "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_A_01/bob", "AROASSO:bob"),
    caller("AROALAB:carol", "arn:aws:sts::123456789012:assumed-role/lab-users/carol", "AROALAB:carol"),
    caller("123456789012:dave", "arn:aws:sts::123456789012:federated-user/dave", "123456789012:dave"),
];

const fn caller(id: &'static str, arn: &'static str, principal: &'static str) -> Caller {
    Caller { id, arn, principal }
}

/// The functions' configuration.
pub const VARIABLES: [(&str, &str); 4] = [
    ("AWS_REGION", "us-east-1"),
    ("CML_ALLOWED_REGIONS", "us-east-1,eu-west-1"),
    (
        "CML_IMAGE_PARAMETER_ARNS",
        "arn:aws:ssm:us-east-1:123456789012:parameter/cml/*,arn:aws:ssm:eu-west-1:123456789012:parameter/cml/*",
    ),
    ("CML_ROLES_OF_PEOPLE", "lab-*"),
];

/// The regions that are called in.
pub const REGIONS: [&str; 2] = ["us-east-1", "eu-west-1"];

/// The bodies that are launched with, but for their names.
fn bodies() -> [Value; BODIES] {
    let [(a, _), (b, _)] = SUBNETS;
    [
        json!({"image_name": "cml", "instance_type": "c5.large"}),
        json!({"image_id": image(1), "instance_type": "c5.large"}),
        json!({"image_name": "cml", "instance_type": "c5.large", "placement": {"availability_zone": "us-east-1a"}}),
        json!({"image_name": "cml", "instance_type": "c5.large",
               "alternatives": [{"instance_type": "m5.large"}, {"instance_type": "c6i.large"}]}),
        json!({"image_name": "ssm:/cml/image", "instance_type": "c5.large"}),
        json!({"image_name": "cml", "instance_type": "c5.large", "spot": {}, "on_demand_fallback": true}),
        json!({"image_id": image(1), "instance_type": "c5.large", "subnet_id": a, "alternatives": [{"subnet_id": b}]}),
        json!({"image_name": "cml", "instance_type": "c5.large", "subnet_id": a}),
        json!({"image_name": "cml", "instance_type": "c5.large", "placement": {"availability_zone": "us-east-1b"}}),
    ]
}

/// How many bodies there are.
const BODIES: usize = 9;

/// A launch: who, where, with which key if any, which body.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Launch {
    /// Which of the callers.
    pub caller: usize,
    /// Which of the regions.
    pub region: usize,
    /// Its `Idempotency-Key`.
    pub key: Option<&'static str>,
    /// Which of the bodies.
    pub body: usize,
    /// Whether it waits until the worker runs.
    pub wait: bool,
}

impl Launch {
    /// Whose request it is, under which key and with which body, if any: the worker's name, so that each can be told.
    pub fn name(&self) -> String {
        format!("{}{}", self.name_without_body(), self.body)
    }

    /// What the names of all workers of the same key begin with.
    pub fn name_without_body(&self) -> String {
        format!("{} {} ", CALLERS[self.caller].principal, self.key.unwrap_or(NO_KEY))
    }

    /// Whether its image is named, so that it can be another one by now.
    pub fn names_an_image(&self) -> bool {
        !bodies()[self.body]["image_name"].is_null()
    }

    /// What is sent.
    pub fn body(&self) -> String {
        let mut body = bodies()[self.body].clone();
        body["name"] = self.name().into();
        if let Some(zone) = body.pointer_mut("/placement/availability_zone") {
            let letter = zone.as_str().and_then(|zone| zone.chars().last()).unwrap_or('a');
            *zone = format!("{}{letter}", REGIONS[self.region]).into();
        }
        body.to_string()
    }

    /// Whether it has alternatives.
    pub fn falls_back(&self) -> bool {
        let body = &bodies()[self.body];
        !body["alternatives"].is_null() || !body["on_demand_fallback"].is_null()
    }

    /// Whether both are sendings with the same key of the same caller.
    pub fn has_key_of(&self, other: &Self) -> bool {
        let of = |launch: &Self| (launch.key, launch.region, CALLERS[launch.caller].principal);
        of(self) == of(other)
    }
}

/// In the name of a worker that was launched without a key.
pub const NO_KEY: &str = "no key";

/// One request of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// create-instance.
    Launch(Launch),
    /// start-, stop- or terminate-instance for the instances with these numbers among all that an answer has named so far;
    /// one can be waited for.
    Change(&'static str, Vec<usize>, bool),
    /// Another operation on one instance, or on none.
    Other(&'static str, usize),
}

/// A program: what is called when, in milliseconds.
#[derive(Debug, Clone)]
pub struct Program {
    /// The AWS that it is run against.
    pub kind: Kind,
    /// What is called, and when.
    pub calls: Vec<(u64, Call)>,
}

/// Operations that change tags, and those that only read. The former come more often: each is a call of its own.
const OTHERS: [&str; 11] = [
    "update-instance-tags",
    "update-instance-tags",
    "delete-instance-tags",
    "delete-instance-tags",
    "get-instance-tags",
    "get-instance-details",
    "get-all-instances",
    "get-instance-status",
    "get-instance-resources-utilization",
    "get-ami-ids-by-name",
    "health",
];

fn one_of<T: Copy>(random: &mut fastrand::Rng, all: &[T]) -> T {
    all[random.usize(0..all.len())]
}

impl Kind {
    fn drawn(random: &mut fastrand::Rng) -> Self {
        Self {
            tokens: one_of(random, &[Tokens::Regional, Tokens::Zonal, Tokens::ZonalWithSubnet]),
            failures_bind: random.bool(),
            mismatch_succeeds: random.u8(0..4) == 0,
            // Seldom further than the functions take for granted.
            lag: if random.u8(0..50) == 0 { 4 * MOST_LAG } else { one_of(random, &[0, 1_000, 5_000, MOST_LAG]) },
            steady: random.bool(),
            faults: one_of(random, &[0, 10, 30]),
            full: one_of(random, &[0, 20, 60]),
            image_moves_at: one_of(random, &[[0, 0], [0, 0], [3_000, 0], [3_000, 50_000], [40_000, 0]]),
            bucket: one_of(random, &[0, 0, 2]),
            limits: None,
            latency: 0,
            retries: one_of(random, &[500, 500, 20]),
        }
    }
}

impl Program {
    /// The program of a seed.
    pub fn drawn(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let kind = Kind::drawn(&mut random);
        let mut at = 0;
        let first = random.usize(0..CALLERS.len());
        let callers = random.usize(1..=3);
        let regions = if random.u8(0..4) == 0 { 2 } else { 1 };
        let bodies: Vec<usize> = if random.bool() { vec![random.usize(0..BODIES)] } else { (0..BODIES).collect() };
        // Every other program is about one request that is sent again and again, by sessions of one role.
        let again = random.bool().then(|| (random.usize(0..BODIES), random.usize(0..regions)));
        let calls = (0..random.usize(1..=6)).map(|_| {
            // Seldom more than an hour, or a day: what EC2 has forgotten by then.
            at += match random.u8(0..60) {
                0..2 => 3_700_000,
                2 => 90_000_000,
                _ => one_of(&mut random, &[0, 50, 700, 4_000, 40_000]),
            };
            let call = match random.u8(0..12) {
                0..7 if let Some((body, region)) = again => Call::Launch(Launch {
                    caller: random.usize(0..2),
                    region,
                    key: Some("k1"),
                    body,
                    wait: random.u8(0..4) == 0,
                }),
                0..7 => Call::Launch(Launch {
                    caller: (first + random.usize(0..callers)) % CALLERS.len(),
                    region: random.usize(0..regions),
                    key: one_of(&mut random, &[None, Some("k1"), Some("k1"), Some("k1"), Some("k2")]),
                    body: one_of(&mut random, &bodies),
                    wait: random.u8(0..4) == 0,
                }),
                7..10 => {
                    let operations = ["stop-instance", "stop-instance", "start-instance", "terminate-instance"];
                    let (which, wait) = (random.usize(0..5), random.bool());
                    match random.u8(0..3) {
                        0 => Call::Change(one_of(&mut random, &operations), vec![which, which + 1], false),
                        _ => Call::Change(one_of(&mut random, &operations), vec![which], wait),
                    }
                }
                _ => Call::Other(one_of(&mut random, &OTHERS), random.usize(0..5)),
            };
            (at, call)
        });
        let calls = calls.collect();
        Self { kind, calls }
    }
}
