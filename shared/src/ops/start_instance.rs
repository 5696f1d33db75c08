//! Start stopped workers.

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
use crate::model::wait::{UntilUp, WaitQuery};
use crate::ops::lifecycle::{Change, Order, Step, carry_out};

/// The row of this operation in the table of all operations.
pub const OPERATION: Operation = Operation {
    name: "start-instance",
    routes: &[
        Route {
            method: "POST",
            path: "/regions/{region}/instances/{instance_id}/start",
            summary: "Start a stopped worker.",
            takes: "`dry_run`; `wait`: `running` `healthy`",
            answers: "state change",
        },
        Route {
            method: "POST",
            path: "/regions/{region}/instances/start",
            summary: "Start stopped workers.",
            takes: "body `{\"instance_ids\":[…]}`; `dry_run`",
            answers: "`results`, a state change each",
        },
    ],
    callers: Callers::Operator,
    actions: &["ec2:DescribeInstances", "ec2:StartInstances"],
    purpose: "reads owner and state, then starts; `wait=healthy` also takes `ec2:DescribeInstanceStatus`",
    calls: &[operation::Call::read("ec2:DescribeInstances"), operation::Call::change("ec2:StartInstances")],
};

/// Starts instances. Pending and running ones are left alone.
///
/// AWS: ec2:DescribeInstances, ec2:StartInstances; ec2:DescribeInstanceStatus to wait until one is healthy.
///
/// # Errors
/// 404 for an unknown instance, 403 for one that is not managed, 409 while it is stopping (worth a retry) and once it is
/// terminated, 409 for a start that EC2 takes back while it is waited for, and whatever EC2 refuses. Of many instances each
/// has its own error.
pub async fn start_instance(clients: &Clients, order: &Order) -> Result<Mutation<StateChanges>, Error> {
    carry_out(clients, order, Start { ec2: clients.ec2(order.region())? }).await
}

struct Start<'a> {
    ec2: &'a Client,
}

impl Call for Start<'_> {
    async fn send(&self, instance_ids: &[InstanceId], dry_run: bool) -> Result<Vec<InstanceStateChange>, Error> {
        let call = self.ec2.start_instances().set_instance_ids(Some(texts(instance_ids)));
        let answer = call.set_dry_run(dry_run.then_some(true)).send().await;
        changed(answer, dry_run, |answer| answer.starting_instances)
    }
}

impl Change for Start<'_> {
    fn step(&self, state: &State) -> Step {
        match state {
            State::Pending | State::Running => Step::Nothing,
            State::Stopping => Step::RefuseForNow("started yet"),
            State::ShuttingDown | State::Terminated => Step::Refuse("started"),
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
    request: Request<TargetPath, WaitQuery<UntilUp>, InstancesBody>,
) -> Result<Mutation<StateChanges>, Error> {
    let Request { path, query, body, .. } = request;
    let order = Order::new(path, query, body.instance_ids)?;
    start_instance(clients, &order).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_smithy_mocks::mock;

    use super::*;
    use crate::aws::watch::Wait;
    use crate::model::wait::Until;
    use crate::ops::lifecycle::testing::{document, state_tests};
    use crate::testing::{self, described, state_change, worker};

    state_tests! {
        operation: |clients, order| start_instance(&clients, &order),
        call: Client::start_instances,
        ec2: "StartInstances" => "pending",
        states: [
            ("pending", Step::Nothing),
            ("running", Step::Nothing),
            ("stopping", Step::RefuseForNow("started yet")),
            ("stopped", Step::Send),
            ("shutting-down", Step::Refuse("started")),
            ("terminated", Step::Refuse("started")),
        ],
    }

    #[tokio::test]
    async fn a_start_that_is_waited_for_answers_what_came_of_it() {
        let state = std::sync::Mutex::new(["running", "pending", "stopped"].to_vec());
        let read = mock!(Client::describe_instances)
            .then_http_response(move || described(state.lock().unwrap().pop().unwrap_or("running"), true));
        let call =
            mock!(Client::start_instances).then_http_response(|| state_change("StartInstances", "stopped", "pending"));
        let wait = Wait::short(Until::Running, Duration::from_secs(5));
        let answer = start_instance(&testing::clients(&[&read, &call]), &Order::one(worker(), false, Some(wait))).await;
        let answer = document(answer);
        assert_eq!(
            (&answer["previous_state"], &answer["current_state"], &answer["changed"]),
            (&"stopped".into(), &"running".into(), &true.into())
        );
    }

    #[tokio::test]
    async fn a_start_that_does_not_end_in_time_is_unfinished() {
        // Whether one more read ends within no time is left open: it shows what the call answered.
        let reads = std::sync::Mutex::new(["stopped"].into_iter());
        let read = mock!(Client::describe_instances)
            .then_http_response(move || described(reads.lock().unwrap().next().unwrap_or("pending"), true));
        let call =
            mock!(Client::start_instances).then_http_response(|| state_change("StartInstances", "stopped", "pending"));
        let wait = Wait::short(Until::Running, Duration::ZERO);
        let answer = start_instance(&testing::clients(&[&read, &call]), &Order::one(worker(), false, Some(wait))).await;
        let Ok(Mutation::Unfinished(StateChanges::One(change))) = answer else { panic!("{answer:?}") };
        assert_eq!((change.current_state.as_str(), change.changed), ("pending", true));
    }

    #[tokio::test]
    async fn a_running_worker_is_not_waited_for() {
        let read = mock!(Client::describe_instances).then_http_response(|| described("running", true));
        let wait = Wait::short(Until::Running, Duration::ZERO);
        let answer = start_instance(&testing::clients(&[&read]), &Order::one(worker(), false, Some(wait))).await;
        let Ok(Mutation::Done(StateChanges::One(change))) = answer else { panic!("{answer:?}") };
        assert_eq!((change.changed, read.num_calls()), (false, 1));
    }
}
