//! Status checks of an instance.

use aws_sdk_ec2::types;
use serde::Serialize;

use crate::model::document::Document;
use crate::model::instance::Instance;
use crate::model::instance_id::InstanceId;
use crate::model::state::State;
use crate::model::time::rfc3339;

/// What EC2 reports about an instance's health, from `InstanceStatus`. A check that EC2 does not report is `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceStatus {
    /// The instance.
    pub instance_id: InstanceId,
    /// Whether the instance carries the ownership tag.
    pub managed: bool,
    /// EC2's state name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub state: State,
    /// Whether its operating system can be reached: `ok`, `impaired`, `initializing`, `insufficient-data` or
    /// `not-applicable`.
    pub instance_status_check: Option<String>,
    /// Whether AWS's host and network work, in the words of `instance_status_check`.
    pub system_status_check: Option<String>,
    /// Whether its volumes can be reached, in the words of `instance_status_check`.
    pub ebs_status_check: Option<String>,
    /// `enabled` for metrics each minute, `disabled` for metrics every five minutes.
    pub monitoring_state: String,
    /// When the first of the failing checks began to fail, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub impaired_since: Option<String>,
    /// The events that AWS has scheduled for the instance.
    pub scheduled_events: Vec<ScheduledEvent>,
    /// Whether the instance is running, `instance_status_check` and `system_status_check` are `ok`, and `ebs_status_check`
    /// is `ok`, `not-applicable` or `null`.
    pub healthy: bool,
}

impl Document for InstanceStatus {}

/// A reboot, stop, retirement or maintenance that AWS has scheduled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduledEvent {
    /// The kind of event, for example `instance-retirement`.
    pub code: Option<String>,
    /// AWS's description.
    pub description: Option<String>,
    /// Earliest start of the event, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub not_before: Option<String>,
    /// Latest end, RFC 3339 in UTC.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub not_after: Option<String>,
}

impl InstanceStatus {
    /// Joins EC2's instance with EC2's status of it, which EC2 may not report yet.
    #[must_use]
    pub fn from_ec2(instance_id: InstanceId, instance: &Instance, status: Option<&types::InstanceStatus>) -> Self {
        let instance_check = status.and_then(|s| s.instance_status());
        let system_check = status.and_then(|s| s.system_status());
        let ebs_check = status.and_then(|s| s.attached_ebs_status());
        let checks = [
            word(instance_check.and_then(|check| check.status())),
            word(system_check.and_then(|check| check.status())),
            word(ebs_check.and_then(|check| check.status())),
        ];
        let since =
            |details: &[types::InstanceStatusDetails]| details.iter().filter_map(|d| d.impaired_since().copied()).min();
        let ebs_since =
            ebs_check.and_then(|check| check.details().iter().filter_map(|d| d.impaired_since().copied()).min());
        let impaired_since = [instance_check, system_check]
            .into_iter()
            .flatten()
            .filter_map(|check| since(check.details()))
            .chain(ebs_since)
            .min();
        let healthy = instance.state == State::Running && healthy(&checks);
        let [instance_status_check, system_status_check, ebs_status_check] = checks;
        Self {
            instance_id,
            managed: instance.managed,
            state: instance.state.clone(),
            instance_status_check,
            system_status_check,
            ebs_status_check,
            monitoring_state: if instance.detailed_monitoring { "enabled" } else { "disabled" }.to_owned(),
            impaired_since: impaired_since.as_ref().and_then(rfc3339),
            scheduled_events: status
                .map(|s| s.events().iter().map(ScheduledEvent::from_ec2).collect())
                .unwrap_or_default(),
            healthy,
        }
    }
}

impl ScheduledEvent {
    fn from_ec2(event: &types::InstanceStatusEvent) -> Self {
        Self {
            code: event.code().map(|code| code.as_str().to_owned()),
            description: event.description().map(str::to_owned),
            not_before: event.not_before().and_then(rfc3339),
            not_after: event.not_after().and_then(rfc3339),
        }
    }
}

fn word(name: Option<&types::SummaryStatus>) -> Option<String> {
    name.map(|name| name.as_str().to_owned())
}

/// The first two checks must be `ok`; EC2 reports the volumes' check only for some instances.
fn healthy([instance, system, ebs]: &[Option<String>; 3]) -> bool {
    let ok = |check: &Option<String>| check.as_deref() == Some("ok");
    ok(instance) && ok(system) && (ebs.is_none() || ok(ebs) || ebs.as_deref() == Some("not-applicable"))
}
