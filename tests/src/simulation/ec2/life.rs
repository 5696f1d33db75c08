//! What becomes of an instance by itself, and not by a call: its load, its checks, and what AWS plans for it.

use crate::simulation::clock::Clock;
use crate::simulation::wire;

/// What becomes of an instance by itself. Moments are milliseconds of the history.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// Its CPU utilization in percent, each from a moment on; 0 before the first.
    pub loads: Vec<(u64, f64)>,
    /// From when to when its system check fails.
    pub impaired: Vec<(u64, u64)>,
    /// The events that AWS schedules for it, each from a moment on.
    pub events: Vec<(u64, &'static str)>,
    /// Whether EC2 refuses to stop or terminate it, as it does one-time Spot instances and protected ones.
    pub is_refused: bool,
    /// When a call has changed its state, and which.
    pub changed_at: Vec<(u64, String)>,
}

impl Life {
    /// The CPU utilization at a moment.
    pub fn load(&self, at: u64) -> f64 {
        self.loads.iter().rev().find(|(since, _)| *since <= at).map_or(0.0, |(_, load)| *load)
    }

    /// Since when the system check fails, if it does.
    pub fn impaired_since(&self, at: u64) -> Option<u64> {
        self.impaired.iter().find(|(from, to)| (*from..*to).contains(&at)).map(|(from, _)| *from)
    }

    /// The system check as DescribeInstanceStatus shows it.
    pub(super) fn check(&self, at: u64, otherwise: &str) -> String {
        let Some(since) = self.impaired_since(at) else { return wire::text("status", otherwise) };
        let since = wire::text("impairedSince", &wire::time(Clock::at(since)));
        let detail = wire::text("name", "reachability") + &wire::text("status", "failed") + &since;
        wire::text("status", "impaired") + &wire::element("details", &wire::element("item", &detail))
    }

    /// The scheduled events as DescribeInstanceStatus shows them.
    pub(super) fn planned(&self, at: u64) -> String {
        let planned = self.events.iter().filter(|(since, _)| *since <= at);
        let items: String = planned.map(|(_, code)| wire::element("item", &wire::text("code", code))).collect();
        wire::element("eventsSet", &items)
    }
}
