//! What changes instances: starts, stops, terminations, and changes of tags.

use super::instance::Instance;
use super::{ASKED, Answer, Ec2, NO_ROOM, refused, unknown};
use crate::simulation::wire::{self, Fields};

impl Ec2 {
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

    pub(super) fn change(&mut self, region: &str, action: &str, fields: &Fields, now: u64) -> Answer {
        let places = match self.named(region, &wire::list(fields, "InstanceId"), now) {
            Ok(places) => places,
            Err(answer) => return answer,
        };
        if let Some(place) = places.iter().find(|place| self.instances[**place].life.is_refused) {
            // GitLab's runner 28865 and DescribeInstanceAttribute have EC2's words for the two.
            let id = &self.instances[*place].id;
            return match action {
                "StopInstances" => {
                    refused(400, "UnsupportedOperation", &format!("You can't stop the Spot Instance '{id}'"))
                }
                _ => refused(400, "OperationNotPermitted", &format!("The instance '{id}' may not be terminated.")),
            };
        }
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
                one.life.changed_at.push((now, action.to_owned()));
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

    pub(super) fn change_tags(&mut self, region: &str, action: &str, fields: &Fields, now: u64) -> Answer {
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
