//! One instance: what became of it, and how an answer shows it.

use std::collections::BTreeMap;

use super::life::Life;
use super::{SHOWN, SUBNETS};
use crate::simulation::clock::Clock;
use crate::simulation::wire;

/// How long a terminated instance has its tags.
const TAGGED: u64 = 300_000;

/// One instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its region.
    pub region: String,
    /// The client token of its launch.
    pub token: Option<String>,
    /// Its type.
    pub kind: String,
    /// Its subnet.
    pub subnet: String,
    /// Whether it is a Spot instance.
    pub spot: bool,
    pub(super) zone: char,
    /// The image that it was launched from.
    pub image: String,
    /// When it was launched and started.
    pub launched: Vec<u64>,
    /// Its states, each from a moment on, and why.
    pub states: Vec<(u64, &'static str, &'static str)>,
    /// Its tags, each set from a moment on.
    pub tags: Vec<(u64, BTreeMap<String, String>)>,
    /// The calls that changed it.
    pub changed_by: Vec<String>,
    /// What becomes of it by itself.
    pub life: Life,
}

impl Instance {
    /// A worker of ours that runs, launched now.
    pub fn worker(id: String, region: &str, now: u64, life: Life) -> Self {
        let tags = [("ManagedBy", "cml-cloud-manager"), ("Name", &id)];
        let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
        Self {
            region: region.to_owned(),
            token: None,
            kind: "c5.large".to_owned(),
            subnet: SUBNETS[0].0.to_owned(),
            spot: false,
            zone: 'a',
            image: "ami-0f000000000000000".to_owned(),
            launched: vec![now],
            states: vec![(now, "running", "")],
            tags: vec![(now, tags)],
            changed_by: Vec::new(),
            life,
            id,
        }
    }

    /// When it was started last, as of a moment.
    pub fn started(&self, at: u64) -> u64 {
        self.launched.iter().rev().find(|since| **since <= at).copied().unwrap_or_default()
    }

    /// Sets a tag, or removes it, as somebody does in the console.
    pub fn retag(&mut self, now: u64, key: &str, value: Option<&str>) {
        let mut tags = self.tags(now);
        match value {
            Some(value) => drop(tags.insert(key.to_owned(), value.to_owned())),
            None => drop(tags.remove(key)),
        }
        self.tags.push((now, tags));
    }

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

    /// Its tags at a moment; none once a terminated instance has lost them.
    pub fn tags(&self, at: u64) -> BTreeMap<String, String> {
        if self.end().is_some_and(|end| end + TAGGED <= at) {
            return BTreeMap::new();
        }
        self.tags.iter().rev().find(|(since, _)| *since <= at).map(|(_, tags)| tags.clone()).unwrap_or_default()
    }

    /// From now on these states and no others.
    pub fn goes(&mut self, now: u64, states: impl IntoIterator<Item = (u64, &'static str, &'static str)>) {
        self.states.retain(|(since, ..)| *since <= now);
        self.states.extend(states);
    }
}

pub(super) fn described(instance: &Instance, moment: u64, tags: &BTreeMap<String, String>) -> String {
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
