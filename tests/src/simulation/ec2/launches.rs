//! RunInstances: its client tokens, and whether there is capacity.

use super::instance::{Instance, described};
use super::life::Life;
use super::{Answer, BROKEN, Ec2, SUBNETS, refused};
use crate::simulation::kind::Tokens;
use crate::simulation::wire::{self, Fields};

/// A day, in milliseconds.
const DAY: u64 = 86_400_000;
/// For how long a type has capacity in a zone, or has none.
const TIDE: u64 = 5_000;

/// What a token is bound to.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    parameters: Fields,
    /// Nothing, if the launch failed.
    instance: Option<String>,
    at: u64,
}

impl Ec2 {
    /// Whether a type has no capacity in a zone now.
    pub(super) fn is_full(&self, kind: &str, region: &str, zone: char, spot: bool, now: u64) -> bool {
        let name = format!("{kind} {region}{zone} {spot} {}", now / TIDE);
        let hash = name.bytes().fold(self.seed, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        !self.is_calm && fastrand::Rng::with_seed(hash).u8(0..100) < self.kind.full
    }

    pub(super) fn run(&mut self, region: &str, fields: &Fields, now: u64) -> Answer {
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
            life: Life::default(),
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
}

fn launched(instance: &Instance, now: u64) -> Answer {
    let item = described(instance, now, &instance.tags(now));
    (200, wire::document("RunInstances", &wire::element("instancesSet", &item)))
}
