//! EC2's own events, as EventBridge delivers those of the stack's region, passed on about managed instances.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::aws::bus::Bus;
use crate::aws::clients::Clients;
use crate::aws::instances::find_managed;
use crate::error::{Code, Error};
use crate::model::instance::Instance;
use crate::model::instance_id::InstanceId;
use crate::model::path::InstancePath;
use crate::model::region::Region;
use crate::model::state::State;
use crate::model::sweep::change::{Change, ChangeKind};
use crate::model::sweep::facts::Facts;
use crate::model::time::Moment;
use crate::ops::sweep_workers::report::{RegionReport, SweepReport};

/// The events that the template's rule sends here, by their `detail-type`.
pub(super) const EVENTS: [(&str, ChangeKind); 3] = [
    ("EC2 Instance State-change Notification", ChangeKind::State),
    ("EC2 Spot Instance Interruption Warning", ChangeKind::SpotInterruption),
    ("EC2 Instance Rebalance Recommendation", ChangeKind::RebalanceRecommendation),
];

/// How long after a launch a read that did not show it is made again.
const SHOWN_LATE: Duration = Duration::from_secs(2);

/// One event of EC2.
#[derive(Debug)]
pub(super) struct Ec2Event {
    kind: ChangeKind,
    worker: InstancePath,
    /// When it happened.
    at: Option<Moment>,
    /// The new state of a state change, and what EC2 will do to an interrupted Spot instance.
    detail: Option<String>,
}

/// Reads an event; none if it is not one of [`EVENTS`], such as the schedule's.
pub(super) fn read(event: &Value) -> Option<Ec2Event> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let kind = event.get("detail-type").and_then(Value::as_str)?;
    let (_, kind) = EVENTS.into_iter().find(|(name, _)| *name == kind)?;
    let detail = event.get("detail")?;
    Some(Ec2Event {
        kind,
        at: event.get("time").and_then(Value::as_str).and_then(Moment::parse),
        worker: InstancePath {
            region: Region::try_from(text(event.get("region")?)?).ok()?,
            instance_id: InstanceId::try_from(text(detail.get("instance-id")?)?).ok()?,
        },
        detail: detail.get("state").or_else(|| detail.get("instance-action")).and_then(text),
    })
}

/// Reads the instance of an event. A launch may be told before reads show the instance and its tags.
async fn find(clients: &Clients, event: &Ec2Event) -> Result<Instance, Error> {
    match find_managed(clients, &event.worker).await {
        Err(error)
            if matches!(error.code, Code::NotManaged | Code::InstanceNotFound)
                && event.detail.as_deref() == Some(State::Pending.as_str()) =>
        {
            sleep(SHOWN_LATE).await;
            find_managed(clients, &event.worker).await
        }
        found => found,
    }
}

/// Publishes the event as one of `cml.workers`, if the instance is ours.
///
/// AWS: ec2:DescribeInstances, events:PutEvents.
pub(super) async fn pass_on(clients: &Clients, bus: &Bus, event: &Ec2Event) -> Result<SweepReport, Error> {
    let region = &event.worker.region;
    let mut report = RegionReport { region: region.to_string(), ..RegionReport::default() };
    match find(clients, event).await {
        Ok(instance) => {
            let at = event.at.unwrap_or_else(|| Moment::from(clients.now()));
            let shown = Facts::from_ec2(at, &instance, None);
            let change = match (event.kind, &event.detail) {
                (ChangeKind::State, Some(state)) => {
                    // The read may lag behind the event, or be ahead of it.
                    let is_of_event = shown.state.as_str() == state;
                    let state_reason = shown.state_reason.clone().filter(|_| is_of_event);
                    let facts = Facts { state: State::from_word(state), state_reason, ..shown };
                    Change::of_state(&facts, None)
                }
                (kind, detail) => Change { to: detail.clone(), ..Change::new(&shown, kind) },
            };
            bus.publish(&[change]).await?;
            report.events += 1;
        }
        // The rule sends the events of all instances.
        Err(error) if matches!(error.code, Code::NotManaged | Code::InstanceNotFound | Code::RegionNotAllowed) => {}
        Err(error) => return Err(error),
    }
    Ok(SweepReport { regions: vec![report], ..SweepReport::default() })
}
