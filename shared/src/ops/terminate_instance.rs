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
    use crate::testing::{self, described, ec2_error, state_change, worker};

    /// The answer for an instance in `state`, and how many calls of TerminateInstances were sent.
    async fn terminate(
        state: &'static str,
        managed: bool,
        dry_run: bool,
    ) -> (Result<Mutation<StateChanges>, Error>, usize) {
        let read = mock!(Client::describe_instances).then_http_response(move || described(state, managed));
        let call = mock!(Client::terminate_instances)
            .match_requests(|r| r.instance_ids() == [testing::ID] && r.dry_run() != Some(true))
            .then_http_response(|| state_change("TerminateInstances", "running", "shutting-down"));
        let dry =
            mock!(Client::terminate_instances).match_requests(|r| r.dry_run() == Some(true)).then_http_response(|| {
                ec2_error(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
            });
        let answer =
            terminate_instance(&testing::clients(&[&read, &call, &dry]), &Order::one(worker(), dry_run, None)).await;
        (answer, call.num_calls())
    }

    fn json(answer: Result<Mutation<StateChanges>, Error>) -> serde_json::Value {
        serde_json::to_value(answer.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn ec2s_state_change_is_the_answer() {
        let (answer, sent) = terminate("running", true, false).await;
        let expected = serde_json::json!({
            "instance_id": testing::ID, "previous_state": "running", "current_state": "shutting-down", "changed": true, "state_reason": null,
            "note": null,
        });
        assert_eq!((json(answer), sent), (expected, 1));
    }

    #[tokio::test]
    async fn already_there_sends_nothing() {
        for state in ["shutting-down", "terminated"] {
            let (answer, sent) = terminate(state, true, false).await;
            let answer = json(answer);
            assert_eq!((&answer["changed"], &answer["current_state"], sent), (&false.into(), &state.into(), 0));
        }
    }

    #[tokio::test]
    async fn an_instance_that_is_not_ours_is_left_alone() {
        for dry_run in [false, true] {
            let (answer, sent) = terminate("running", false, dry_run).await;
            assert_eq!((answer.unwrap_err().code, sent), (Code::NotManaged, 0));
        }
    }

    #[tokio::test]
    async fn a_dry_run_asks_in_any_state_and_changes_nothing() {
        for state in ["running", "shutting-down", "terminated"] {
            let (answer, sent) = terminate(state, true, true).await;
            assert_eq!((json(answer), sent), (serde_json::json!({"dry_run": true, "permitted": true}), 0));
        }
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
