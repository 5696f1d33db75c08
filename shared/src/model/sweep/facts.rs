//! What AWS showed of a worker at one moment. The sweep logs the facts of each worker, and `make replay` decides about them
//! again by other rules.

use std::collections::BTreeMap;

use aws_sdk_ec2::types;
use serde::{Deserialize, Serialize};

use crate::model::instance::Instance;
use crate::model::instance_id::InstanceId;
use crate::model::state::State;
use crate::model::status::{InstanceStatus, ScheduledEvent};
use crate::model::sweep::{ACTED_KEY, HEARTBEAT_KEY, KEEP_KEY, MARK_KEY, SEEN_KEY};
use crate::model::tags::{CREATED_BY_KEY, TagMap};
use crate::model::time::Moment;

/// A check that has failed for less than these seconds may pass by itself.
const IMPAIRED_SECONDS: u64 = 120;

/// The seconds of one period of CPU utilization. Basic monitoring has no shorter one.
pub const PERIOD: u64 = 300;

/// What is known about a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// When AWS was asked.
    pub at: Moment,
    /// The region.
    pub region: String,
    /// The instance.
    pub instance_id: String,
    /// The tag `Name`.
    pub name: Option<String>,
    /// EC2's state.
    pub state: State,
    /// Why the state changed last, in EC2's words.
    pub state_reason: Option<String>,
    /// When the instance was started last.
    pub launched_at: Option<Moment>,
    /// Who launched the instance, by the tag `CreatedBy`.
    pub created_by: Option<String>,
    /// The tags that the sweep reads.
    pub tags: TagMap,
    /// The status checks; none if EC2 did not report any, or could not be asked.
    pub checks: Option<Checks>,
    /// The CPU utilization of whole periods, oldest first; none if it was not read.
    pub cpu: Option<Vec<Period>>,
}

/// The status checks of a worker that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// The check of the operating system, in EC2's word.
    pub instance: Option<String>,
    /// The check of AWS's host and network.
    pub system: Option<String>,
    /// The check of the volumes.
    pub ebs: Option<String>,
    /// Since when the first of the failing checks has failed.
    pub impaired_since: Option<Moment>,
    /// The events that AWS has scheduled: their codes and when they begin, RFC 3339.
    pub events: BTreeMap<String, Option<String>>,
}

/// The CPU utilization of one period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Period {
    /// When the period begins.
    pub at: Moment,
    /// The mean of its samples, in percent.
    pub average: f64,
}

impl Facts {
    /// Takes the facts from an instance and EC2's status of it. The CPU is read only where a rule needs it.
    #[must_use]
    pub fn from_ec2(at: Moment, instance: &Instance, status: Option<&types::InstanceStatus>) -> Self {
        let status = status.and_then(|status| {
            let id = InstanceId::try_from(instance.instance_id.clone()).ok()?;
            Some(InstanceStatus::from_ec2(id, instance, Some(status)))
        });
        let read = [HEARTBEAT_KEY, KEEP_KEY, MARK_KEY, ACTED_KEY, SEEN_KEY];
        let read = |(key, _): &(&String, &String)| read.contains(&key.as_str());
        Self {
            at,
            region: instance.region.clone(),
            instance_id: instance.instance_id.clone(),
            name: instance.name.clone(),
            state: instance.state.clone(),
            state_reason: instance.state_reason.clone(),
            launched_at: instance.launch_time.as_deref().and_then(Moment::parse),
            created_by: instance.tags.get(CREATED_BY_KEY).cloned(),
            tags: instance.tags.iter().filter(read).map(|(key, value)| (key.clone(), value.clone())).collect(),
            checks: status.as_ref().map(Checks::new),
            cpu: None,
        }
    }

    /// A tag's value.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.get(key).map(String::as_str)
    }

    /// Whether the owner wants the worker to be left alone.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.tags.contains_key(KEEP_KEY)
    }

    /// How many seconds the worker has run since its last start; none if EC2 does not say when that was.
    #[must_use]
    pub fn age(&self) -> Option<u64> {
        self.launched_at.map(|launched| self.at.since(launched))
    }
}

impl Checks {
    fn new(status: &InstanceStatus) -> Self {
        // EC2 still shows an event for a week after it is over.
        let is_over = |event: &&ScheduledEvent| {
            let description = event.description.as_deref().unwrap_or_default();
            description.starts_with("[Completed]") || description.starts_with("[Canceled]")
        };
        let events = status.scheduled_events.iter().filter(|event| !is_over(event));
        Self {
            instance: status.instance_status_check.clone(),
            system: status.system_status_check.clone(),
            ebs: status.ebs_status_check.clone(),
            impaired_since: status.impaired_since.as_deref().and_then(Moment::parse),
            events: events.filter_map(|event| Some((event.code.clone()?, event.not_before.clone()))).collect(),
        }
    }

    /// Whether checks fail, and have failed for long enough.
    #[must_use]
    pub(crate) fn are_impaired(&self, at: Moment) -> bool {
        !self.failing().is_empty() && self.impaired_since.is_some_and(|since| at.since(since) >= IMPAIRED_SECONDS)
    }

    /// Whether each check that EC2 reports is passed. A check without enough data is neither passed nor failed.
    #[must_use]
    pub(crate) fn are_passed(&self) -> bool {
        let checks = [&self.system, &self.instance, &self.ebs];
        checks.into_iter().flatten().all(|word| matches!(word.as_str(), "ok" | "not-applicable"))
    }

    /// The names of the failing checks.
    #[must_use]
    pub fn failing(&self) -> Vec<&'static str> {
        let checks = [("system", &self.system), ("instance", &self.instance), ("EBS", &self.ebs)];
        checks.into_iter().filter(|(_, word)| word.as_deref() == Some("impaired")).map(|(name, _)| name).collect()
    }
}
