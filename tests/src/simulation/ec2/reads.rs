//! What only reads: the Describe calls.

use super::instance::{Instance, described};
use super::{Answer, Ec2, image, unknown};
use crate::simulation::program::REGIONS;
use crate::simulation::wire::{self, Fields};

/// Until the status checks of an instance that runs are good.
const CHECKED: u64 = 60_000;

impl Ec2 {
    /// The moment that a read shows, and the one whose tags it shows.
    fn moments(&mut self, now: u64) -> (u64, u64) {
        if self.is_calm {
            return (now, now);
        }
        let lag = if self.kind.steady { self.kind.lag } else { self.random.u64(0..=self.kind.lag) };
        let moment = now.saturating_sub(lag);
        (moment, moment.saturating_sub(self.random.u64(0..=self.kind.lag / 3)))
    }

    pub(super) fn describe(&mut self, region: &str, fields: &Fields, now: u64) -> Answer {
        let (moment, tags_of) = self.moments(now);
        let (wanted, filters) = (wire::list(fields, "InstanceId"), wire::filters(fields));
        let shows = |instance: &&Instance| {
            // First, for it costs least.
            if !wanted.is_empty() && !wanted.contains(&instance.id) {
                return false;
            }
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
        let number = |name: &str| fields.get(name).and_then(|text| text.parse::<usize>().ok());
        let (from, most) = (number("NextToken").unwrap_or(0), number("MaxResults").unwrap_or(usize::MAX));
        let page = found.iter().skip(from).take(most);
        let items: String = page.map(|instance| described(instance, moment, &instance.tags(tags_of))).collect();
        let reservation = wire::element("item", &wire::element("instancesSet", &items));
        let next = from.saturating_add(most);
        let token = if next < found.len() { wire::text("nextToken", &next.to_string()) } else { String::new() };
        (200, wire::document("DescribeInstances", &(wire::element("reservationSet", &reservation) + &token)))
    }

    pub(super) fn describe_status(&mut self, region: &str, fields: &Fields, now: u64) -> Answer {
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
            let system = wire::element("systemStatus", &instance.life.check(moment, status));
            let state = wire::element("instanceState", &wire::text("name", "running"));
            let id = wire::text("instanceId", &instance.id);
            wire::element("item", &[id, state, system, check("instanceStatus"), instance.life.planned(moment)].concat())
        });
        let items: String = items.collect();
        (200, wire::document("DescribeInstanceStatus", &wire::element("instanceStatusSet", &items)))
    }

    pub(super) fn describe_tags(&mut self, region: &str, fields: &Fields, now: u64) -> Answer {
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

    pub(super) fn describe_images(&self, fields: &Fields, now: u64) -> Answer {
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
}

pub(super) fn regions() -> String {
    let items = REGIONS.map(|name| wire::element("item", &wire::text("regionName", name)));
    wire::element("regionInfo", &items.concat())
}
