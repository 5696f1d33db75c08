//! Start a stopped worker.

use crate::clients::Clients;
use crate::error::Error;
use crate::instance::{StateChange, Worker, find_managed, incorrect_state};
use crate::mutation::{Mutation, permitted};

/// Starts an instance; one that is pending or running is left alone.
///
/// AWS: ec2:DescribeInstances, ec2:StartInstances.
///
/// # Errors
/// 404 for an unknown instance, 403 for one that is not managed, 409 while it is stopping (worth a retry) and once it is
/// terminated, and whatever EC2 refuses.
pub async fn start_instance(clients: &Clients, worker: &Worker, dry_run: bool) -> Result<Mutation<StateChange>, Error> {
    let instance = find_managed(clients, worker).await?;
    let call = clients.ec2(&worker.region)?.start_instances().instance_ids(worker.instance_id.as_str());
    if dry_run {
        return permitted(call.dry_run(true).send().await);
    }
    match instance.state.as_str() {
        "pending" | "running" => return Ok(Mutation::Done(StateChange::none(worker, &instance))),
        "stopping" => return Err(incorrect_state(worker, &instance, "started yet").passing()),
        "shutting-down" | "terminated" => return Err(incorrect_state(worker, &instance, "started")),
        _ => (),
    }
    StateChange::from_ec2(worker, call.send().await?.starting_instances()).map(Mutation::Done)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::error::Code;
    use crate::testing::{self, described, ec2_error, state_change, worker};

    /// The answer for an instance in `state`, and how many calls of StartInstances were sent.
    async fn start(state: &'static str, managed: bool, dry_run: bool) -> (Result<Mutation<StateChange>, Error>, usize) {
        let read = mock!(Client::describe_instances).then_http_response(move || described(state, managed));
        let call = mock!(Client::start_instances)
            .match_requests(|r| r.instance_ids() == [testing::ID] && r.dry_run() != Some(true))
            .then_http_response(|| state_change("StartInstances", "stopped", "pending"));
        let dry =
            mock!(Client::start_instances).match_requests(|r| r.dry_run() == Some(true)).then_http_response(|| {
                ec2_error(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
            });
        let answer = start_instance(&testing::clients(&[&read, &call, &dry]), &worker(), dry_run).await;
        (answer, call.num_calls())
    }

    fn json(answer: Result<Mutation<StateChange>, Error>) -> serde_json::Value {
        serde_json::to_value(answer.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn ec2s_state_change_is_the_answer() {
        let (answer, sent) = start("stopped", true, false).await;
        let expected = serde_json::json!({
            "instance_id": testing::ID, "previous_state": "stopped", "current_state": "pending", "changed": true, "state_reason": null,
        });
        assert_eq!((json(answer), sent), (expected, 1));
    }

    #[tokio::test]
    async fn already_there_sends_nothing() {
        for state in ["pending", "running"] {
            let (answer, sent) = start(state, true, false).await;
            let answer = json(answer);
            assert_eq!((&answer["changed"], &answer["current_state"], sent), (&false.into(), &state.into(), 0));
        }
    }

    #[tokio::test]
    async fn a_state_that_does_not_allow_it_is_a_409() {
        for (state, retryable) in [("stopping", true), ("shutting-down", false), ("terminated", false)] {
            let (answer, sent) = start(state, true, false).await;
            let error = answer.unwrap_err();
            assert_eq!((error.code, error.retryable, sent), (Code::IncorrectState, retryable, 0), "{state}");
        }
    }

    #[tokio::test]
    async fn an_instance_that_is_not_ours_is_left_alone() {
        for dry_run in [false, true] {
            let (answer, sent) = start("stopped", false, dry_run).await;
            assert_eq!((answer.unwrap_err().code, sent), (Code::NotManaged, 0));
        }
    }

    #[tokio::test]
    async fn a_dry_run_asks_in_any_state_and_changes_nothing() {
        for state in ["stopped", "pending", "terminated"] {
            let (answer, sent) = start(state, true, true).await;
            assert_eq!((json(answer), sent), (serde_json::json!({"dry_run": true, "permitted": true}), 0));
        }
    }
}
