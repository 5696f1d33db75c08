//! Stop running workers.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::InstanceStateChange;
use deserr::ValuePointerRef;

use crate::aws::all_or_none::Call;
use crate::aws::clients::Clients;
use crate::aws::dry_run::changed;
use crate::aws::errors::is_too_early_to_hibernate;
use crate::error::Error;
use crate::input::{Invalid, texts};
use crate::model::instance_id::InstanceId;
use crate::model::instance_ids::InstanceIds;
use crate::model::mutation::Mutation;
use crate::model::operation::{self, Callers, Operation, Route};
use crate::model::path::TargetPath;
use crate::model::request::Request;
use crate::model::state::State;
use crate::model::state_change::StateChanges;
use crate::model::wait::{UntilStopped, WaitQuery};
use crate::ops::lifecycle::{Change, Order, Step, carry_out};

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "stop-instance",
    routes: &[
        Route {
            method: "POST",
            path: "/regions/{region}/instances/{instance_id}/stop",
            summary: "Stop a running worker.",
            takes: "body `force`, `hibernate`; `dry_run`; `wait`: `stopped`",
            answers: "state change",
        },
        Route {
            method: "POST",
            path: "/regions/{region}/instances/stop",
            summary: "Stop running workers.",
            takes: "body `{\"instance_ids\":[…]}`, `force`, `hibernate`; `dry_run`",
            answers: "`results`, a state change each",
        },
    ],
    callers: Callers::Operator,
    actions: &["ec2:DescribeInstances", "ec2:StopInstances"],
    purpose: "reads owner and state, then stops",
    calls: &[operation::Call::read("ec2:DescribeInstances"), operation::Call::change("ec2:StopInstances")],
};

/// The body: which instances, and how to stop them.
#[derive(Debug, Clone, Default, deserr::Deserr)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[deserr(error = Invalid, deny_unknown_fields, validate = force_or_hibernate -> Invalid)]
pub struct StopBody {
    /// The instances to stop, for the path without an instance.
    #[deserr(default)]
    pub instance_ids: Option<InstanceIds>,
    /// Stop the instance even if its operating system does not shut down in time; unwritten data is then lost. This also
    /// stops an instance that hangs in `stopping`.
    #[deserr(default)]
    pub force: bool,
    /// Save the memory, if the instance was launched so that it can hibernate; otherwise stop it as usual.
    #[deserr(default)]
    pub hibernate: bool,
}

fn force_or_hibernate(body: StopBody, _: ValuePointerRef) -> Result<StopBody, Invalid> {
    if body.force && body.hibernate {
        let detail = "must not be true together with force: only a running operating system can hibernate";
        return Err(Invalid::field("hibernate", detail));
    }
    Ok(body)
}

impl StopBody {
    /// How to stop the instances.
    #[must_use]
    pub fn manner(&self) -> Manner {
        match self {
            Self { hibernate: true, .. } => Manner::Hibernate,
            Self { force: true, .. } => Manner::Force,
            _ => Manner::Plain,
        }
    }
}

/// How to stop an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// The operating system shuts down.
    Plain,
    /// The power is cut if the operating system does not shut down in time.
    Force,
    /// The memory is saved before the instance stops.
    Hibernate,
}

/// Stops instances. Stopping and stopped ones are left alone, except stopping ones if the stop is forced.
///
/// AWS: ec2:DescribeInstances, ec2:StopInstances.
///
/// # Errors
/// 404 for an unknown instance, 403 for one that is not managed, 409 once it is terminated, and whatever EC2 refuses. Of
/// many instances each has its own error.
pub async fn stop_instance(clients: &Clients, order: &Order, manner: Manner) -> Result<Mutation<StateChanges>, Error> {
    carry_out(clients, order, Stop { ec2: clients.ec2(order.region())?, manner }).await
}

struct Stop<'a> {
    ec2: &'a Client,
    manner: Manner,
}

impl Call for Stop<'_> {
    async fn send(&self, instance_ids: &[InstanceId], dry_run: bool) -> Result<Vec<InstanceStateChange>, Error> {
        let call = self.ec2.stop_instances().set_instance_ids(Some(texts(instance_ids)));
        let call = match self.manner {
            Manner::Plain => call,
            Manner::Force => call.force(true),
            Manner::Hibernate => call.hibernate(true),
        };
        let answer = call.set_dry_run(dry_run.then_some(true)).send().await;
        changed(answer, dry_run, |answer| answer.stopping_instances)
    }
}

impl Change for Stop<'_> {
    fn step(&self, state: &State) -> Step {
        match state {
            // Force is for an instance that hangs in stopping.
            State::Stopping if self.manner == Manner::Force => Step::Send,
            State::Stopping | State::Stopped => Step::Nothing,
            State::ShuttingDown | State::Terminated => Step::Refuse("stopped"),
            _ => Step::Send,
        }
    }

    fn instead(&self, error: &Error) -> Option<(Self, &'static str)> {
        let plain = Self { ec2: self.ec2, manner: Manner::Plain };
        let falls_back = self.manner == Manner::Hibernate && cannot_hibernate(error);
        falls_back
            .then_some((plain, "EC2 cannot hibernate this instance: it is stopped without its memory being saved"))
    }
}

fn cannot_hibernate(error: &Error) -> bool {
    match error.aws_code() {
        Some("UnsupportedHibernationConfiguration") => true,
        // If it is only too early to hibernate, the memory must not be lost.
        Some("UnsupportedOperation") => {
            error.detail.to_ascii_lowercase().contains("hibernat") && !is_too_early_to_hibernate(&error.detail)
        }
        _ => false,
    }
}

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(
    clients: &Clients,
    request: Request<TargetPath, WaitQuery<UntilStopped>, StopBody>,
) -> Result<Mutation<StateChanges>, Error> {
    let Request { path, query, body, .. } = request;
    let manner = body.manner();
    let order = Order::new(path, query, body.instance_ids)?;
    stop_instance(clients, &order, manner).await
}

#[cfg(test)]
mod tests;
