//! Terminate workers for good.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::InstanceStateChange;

use crate::aws::all_or_none::Call;
use crate::aws::clients::Clients;
use crate::aws::dry_run::changed;
use crate::error::Error;
use crate::input::texts;
use crate::model::instance_id::InstanceId;
use crate::model::instance_ids::InstancesBody;
use crate::model::mutation::Mutation;
use crate::model::operation::{self, Callers, Operation, Route};
use crate::model::path::TargetPath;
use crate::model::request::Request;
use crate::model::state::State;
use crate::model::state_change::StateChanges;
use crate::model::wait::{UntilTerminated, WaitQuery};
use crate::ops::lifecycle::{Change, Order, Step, carry_out};

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "terminate-instance",
    routes: &[
        Route {
            method: "DELETE",
            path: "/regions/{region}/instances/{instance_id}",
            summary: "Terminate a worker for good.",
            takes: "`dry_run`; `wait`: `terminated`",
            answers: "state change",
        },
        Route {
            method: "POST",
            path: "/regions/{region}/instances/terminate",
            summary: "Terminate workers for good.",
            takes: "body `{\"instance_ids\":[…]}`; `dry_run`",
            answers: "`results`, a state change each",
        },
    ],
    callers: Callers::Launcher,
    actions: &["ec2:DescribeInstances", "ec2:TerminateInstances"],
    purpose: "reads owner and state, then terminates",
    calls: &[operation::Call::read("ec2:DescribeInstances"), operation::Call::change("ec2:TerminateInstances")],
};

/// Terminates instances. Those that are shutting down or terminated already are left alone.
///
/// AWS: ec2:DescribeInstances, ec2:TerminateInstances.
///
/// # Errors
/// 404 for an unknown instance, 403 for one that is not managed, 409 for one with termination protection, and whatever EC2
/// refuses. Of many instances each has its own error.
pub async fn terminate_instance(clients: &Clients, order: &Order) -> Result<Mutation<StateChanges>, Error> {
    carry_out(clients, order, Terminate { ec2: clients.ec2(order.region())? }).await
}

struct Terminate<'a> {
    ec2: &'a Client,
}

impl Call for Terminate<'_> {
    async fn send(&self, instance_ids: &[InstanceId], dry_run: bool) -> Result<Vec<InstanceStateChange>, Error> {
        let call = self.ec2.terminate_instances().set_instance_ids(Some(texts(instance_ids)));
        let answer = call.set_dry_run(dry_run.then_some(true)).send().await;
        changed(answer, dry_run, |answer| answer.terminating_instances)
    }
}

impl Change for Terminate<'_> {
    fn step(&self, state: &State) -> Step {
        match state {
            State::ShuttingDown | State::Terminated => Step::Nothing,
            _ => Step::Send,
        }
    }
}

/// Handles one request of the function.
///
/// # Errors
/// The errors of the operation.
pub async fn handle(
    clients: &Clients,
    request: Request<TargetPath, WaitQuery<UntilTerminated>, InstancesBody>,
) -> Result<Mutation<StateChanges>, Error> {
    let Request { path, query, body, .. } = request;
    let order = Order::new(path, query, body.instance_ids)?;
    terminate_instance(clients, &order).await
}

#[cfg(test)]
mod tests {
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::error::Code;
    use crate::ops::lifecycle::testing::state_tests;
    use crate::testing::{self, described, ec2_error, worker};

    state_tests! {
        operation: |clients, order| terminate_instance(&clients, &order),
        call: Client::terminate_instances,
        ec2: "TerminateInstances" => "shutting-down",
        states: [
            ("pending", Step::Send),
            ("running", Step::Send),
            ("stopping", Step::Send),
            ("stopped", Step::Send),
            ("shutting-down", Step::Nothing),
            ("terminated", Step::Nothing),
        ],
    }

    #[tokio::test]
    async fn termination_protection_is_a_409_with_ec2s_words() {
        let read = mock!(Client::describe_instances).then_http_response(|| described("running", true));
        let message = "The instance 'i-0123456789abcdef0' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.";
        let call = mock!(Client::terminate_instances)
            .then_http_response(move || ec2_error(400, "OperationNotPermitted", message));
        let answer = terminate_instance(&testing::clients(&[&read, &call]), &Order::one(worker(), false, None)).await;
        let error = answer.unwrap_err();
        assert_eq!((error.code, error.detail.as_str(), call.num_calls()), (Code::OperationNotPermitted, message, 1));
    }
}
