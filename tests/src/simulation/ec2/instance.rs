//! One instance: what became of it, and how an answer shows it.

use std::collections::BTreeMap;

use super::SHOWN;
use crate::simulation::clock::Clock;
use crate::simulation::wire;

/// How long a terminated instance has its tags.
const TAGGED: u64 = 300_000;

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
    pub(super) zone: char,
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

    pub(super) fn tags(&self, at: u64) -> BTreeMap<String, String> {
        if self.end().is_some_and(|end| end + TAGGED <= at) {
            return BTreeMap::new();
        }
        self.tags.iter().rev().find(|(since, _)| *since <= at).map(|(_, tags)| tags.clone()).unwrap_or_default()
    }

    /// From now on these states and no others.
    pub(super) fn goes(&mut self, now: u64, states: impl IntoIterator<Item = (u64, &'static str, &'static str)>) {
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
