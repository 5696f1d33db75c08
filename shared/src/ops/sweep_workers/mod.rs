//! Look after all workers: find those that are idle, impaired or orphaned, publish each change, and stop or terminate only
//! workers that a rule asks for.
//!
//! The schedule runs a sweep every few minutes. EC2's own events of the stack's region are passed on as they come.

mod actions;
mod ec2_events;
mod measurements;
mod region;
pub mod report;
mod self_test;

use futures_util::future::{join_all, try_join_all};
use serde_json::{Value, json};

use crate::aws::bus::Bus;
use crate::aws::clients::Clients;
use crate::config::Config;
use crate::error::{Code, Error};
use crate::model::operation::{Call, Callers, Operation};
use crate::model::sweep::SWEEP;
use crate::ops::sweep_workers::report::{RegionReport, SweepReport};

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: SWEEP,
    routes: &[],
    callers: Callers::Schedule,
    actions: &[
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceStatus",
        "cloudwatch:GetMetricStatistics",
        "ec2:CreateTags",
        "ec2:DeleteTags",
        "ec2:StopInstances",
        "ec2:TerminateInstances",
        "events:PutEvents",
    ],
    purpose: "reads all workers, marks those that a rule names, stops or terminates them in a later sweep, and publishes each change",
    calls: &[
        Call::read("ec2:DescribeInstances"),
        Call::read("ec2:DescribeInstanceStatus"),
        Call::read("cloudwatch:GetMetricStatistics"),
        Call::change("ec2:CreateTags"),
        Call::change("ec2:DeleteTags"),
        Call::change("ec2:StopInstances"),
        Call::change("ec2:TerminateInstances"),
        Call::change("events:PutEvents"),
    ],
};

/// What a sweep needs beside the rules, which are in the configuration.
#[derive(Debug)]
pub struct Sweeper {
    clients: Clients,
    bus: Bus,
}

impl Sweeper {
    /// Builds it from the environment variables.
    ///
    /// # Errors
    /// A bad variable, or a configured file of authorities that cannot be read.
    pub async fn from_env() -> Result<Self, aws_sdk_ec2::error::BoxError> {
        Clients::from_env().await.map(Self::new)
    }

    /// Takes clients that exist.
    #[must_use]
    pub fn new(clients: Clients) -> Self {
        let bus = Bus::new(clients.settings(), clients.config().sweep.event_bus.clone());
        Self { clients, bus }
    }

    /// Sweeps all allowed regions at the same time. A region that cannot be read costs only itself.
    ///
    /// AWS: ec2:DescribeInstances, ec2:DescribeInstanceStatus, cloudwatch:GetMetricStatistics; ec2:CreateTags and
    /// ec2:DeleteTags of the sweep's own tags; ec2:StopInstances and ec2:TerminateInstances if a rule asks for them;
    /// events:PutEvents.
    ///
    /// If no region could be read, the report has a failure: Lambda then keeps the event in the queue of dead letters.
    pub async fn sweep_workers(&self) -> SweepReport {
        let regions = &self.clients.config().allowed_regions;
        let sweeps = regions.iter().map(|region| region::sweep(&self.clients, &self.bus, region));
        let mut reports = Vec::new();
        let mut errors = Vec::new();
        for (region, swept) in regions.iter().zip(join_all(sweeps).await) {
            match swept {
                Ok(report) => reports.push(report),
                Err(error) => {
                    reports.push(RegionReport::failed(region, &error));
                    errors.push(error);
                }
            }
        }
        // If no region could be read, the invocation has failed.
        let failure = errors.pop().filter(|_| errors.len() + 1 == regions.len());
        SweepReport { regions: reports, is_sweep: true, failure, permissions: None }
    }

    /// Tries the permissions of the sweep's own role in each allowed region, and changes nothing.
    ///
    /// # Errors
    /// None: an error of AWS is part of the answer.
    async fn self_test(&self) -> Result<SweepReport, Error> {
        let regions = &self.clients.config().allowed_regions;
        let tests = regions.iter().map(|region| self_test::self_test(&self.clients, region));
        let permissions = try_join_all(tests).await?.concat();
        Ok(SweepReport { permissions: Some(permissions), ..SweepReport::default() })
    }
}

impl AsRef<Config> for Sweeper {
    fn as_ref(&self) -> &Config {
        self.clients.config()
    }
}

/// What the function was invoked for.
enum Invocation {
    /// The schedule asks for a sweep; `{}` does so too.
    Sweep,
    /// Somebody asks for the permission self-test.
    Permissions,
    /// EC2 tells about an instance.
    Ec2(ec2_events::Ec2Event),
}

impl Invocation {
    /// Reads an event. An event that is not understood is refused: a sweep may terminate workers.
    fn read(event: &Value) -> Result<Self, Error> {
        if let Some(event) = ec2_events::read(event) {
            return Ok(Self::Ec2(event));
        }
        if *event == json!({"permissions": true}) {
            return Ok(Self::Permissions);
        }
        if *event == json!({}) || event.get("detail-type").is_some_and(|kind| kind == "Scheduled Event") {
            return Ok(Self::Sweep);
        }
        let detail = "The event is neither the schedule's nor one of EC2's: send {} for a sweep, or {\"permissions\": true} for \
                      the self-test";
        Err(Error::new(Code::InvalidRequest, detail))
    }
}

/// Handles one event of the function: the schedule's, one of EC2's, or `{"permissions": true}`, which asks for the self-test.
///
/// # Errors
/// An event that is not understood, the errors of the sweep, and whatever AWS refuses while an event of EC2 is passed on.
pub async fn handle(sweeper: &Sweeper, event: &Value) -> Result<SweepReport, Error> {
    match Invocation::read(event)? {
        Invocation::Sweep => Ok(sweeper.sweep_workers().await),
        Invocation::Permissions => sweeper.self_test().await,
        Invocation::Ec2(event) => ec2_events::pass_on(&sweeper.clients, &sweeper.bus, &event).await,
    }
}

#[cfg(test)]
mod tests;
