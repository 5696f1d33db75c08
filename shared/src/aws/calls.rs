//! The calls of AWS that one invocation makes, counted where the SDK makes them.

use std::cell::RefCell;

use aws_sdk_ec2::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_sdk_ec2::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

use crate::model::operation::{Operation, Purpose};

tokio::task_local! {
    /// The calls of the invocation.
    static CALLS: RefCell<Calls>;
}

/// The calls of AWS of one invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// How many calls were begun.
    pub(crate) begun: usize,
    /// How many requests were sent for them.
    pub(crate) attempts: usize,
    /// The calls that ended.
    ended: Vec<Ended>,
}

/// A call that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ended {
    /// AWS's name of it, such as `StopInstances`.
    name: String,
    /// Whether AWS carried it out.
    is_carried_out: bool,
    /// AWS's id of the last request.
    request_id: Option<String>,
}

impl Calls {
    /// Calls that ended, each with its name, whether AWS carried it out, and AWS's id.
    #[cfg(test)]
    pub(crate) fn of(ended: &[(&str, bool, &str)]) -> Self {
        let ended = ended.iter().map(|(name, is_carried_out, id)| Ended {
            name: (*name).to_owned(),
            is_carried_out: *is_carried_out,
            request_id: Some((*id).to_owned()),
        });
        let ended: Vec<Ended> = ended.collect();
        Self { begun: ended.len(), attempts: ended.len(), ended }
    }

    /// The requests that were sent beyond the first one of each call.
    #[must_use]
    pub(crate) fn retries(&self) -> usize {
        self.attempts.saturating_sub(self.begun)
    }

    /// Whether AWS carried out a call by which the operation changes something.
    #[must_use]
    pub(crate) fn have_changed(&self, operation: &Operation) -> bool {
        self.carried_out(operation).next().is_some()
    }

    /// AWS's ids of the requests by which the operation changed something.
    #[must_use]
    pub(crate) fn ids_of_changes(&self, operation: &Operation) -> Vec<&str> {
        self.carried_out(operation).filter_map(|call| call.request_id.as_deref()).collect()
    }

    fn carried_out(&self, operation: &Operation) -> impl Iterator<Item = &Ended> {
        self.ended.iter().filter(|call| call.is_carried_out && changes(operation, &call.name))
    }
}

/// Whether the operation changes something by the call of this name.
fn changes(operation: &Operation, name: &str) -> bool {
    let mut changes = operation.calls.iter().filter(|call| call.purpose == Purpose::Change);
    changes.any(|call| call.action.rsplit_once(':').is_some_and(|(_, action)| action == name))
}

/// Does the work, and gives its result with the calls of AWS that it made.
pub(crate) async fn counted<T>(work: impl Future<Output = T>) -> (T, Calls) {
    let count = async {
        let result = work.await;
        (result, CALLS.with(RefCell::take))
    };
    CALLS.scope(RefCell::default(), count).await
}

/// Adds to the calls of the invocation; outside of one, as in unit tests, to nothing.
fn add(change: impl FnOnce(&mut Calls)) {
    CALLS.try_with(|calls| change(&mut calls.borrow_mut())).ok();
}

/// Counts the calls of a client. It changes nothing about them.
#[derive(Debug)]
pub(crate) struct CountCalls;

impl Intercept for CountCalls {
    fn name(&self) -> &'static str {
        "CountCalls"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        add(|calls| calls.begun += 1);
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        add(|calls| calls.attempts += 1);
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let ended = Ended {
            name: config.load::<Metadata>().map(|call| call.name().to_owned()).unwrap_or_default(),
            is_carried_out: matches!(context.output_or_error(), Some(Ok(_))),
            request_id: context.response().and_then(|answer| answer.headers().request_id()).map(str::to_owned),
        };
        add(|calls| calls.ended.push(ended));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::config::retry::RetryConfig;
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};

    use super::*;
    use crate::ops::{stop_instance, update_instance_tags};
    use crate::testing::{ID, ec2_error, state_change};

    fn client(rules: &[&Rule]) -> Client {
        let backoff = std::time::Duration::from_millis(1);
        mock_client!(aws_sdk_ec2, RuleMode::MatchAny, rules, |config| config
            .retry_config(RetryConfig::standard().with_initial_backoff(backoff))
            .interceptor(CountCalls))
    }

    #[tokio::test]
    async fn a_call_that_was_sent_again_is_one_call_with_a_retry() {
        let stop = mock!(Client::stop_instances)
            .sequence()
            .http_response(|| ec2_error(503, "Unavailable", "later"))
            .http_response(|| state_change("StopInstances", "running", "stopping"))
            .build();
        let ec2 = client(&[&stop]);
        let (answer, calls) = counted(ec2.stop_instances().instance_ids(ID).send()).await;
        answer.unwrap();
        assert_eq!((calls.begun, calls.attempts, calls.retries()), (1, 2, 1));
        assert!(calls.have_changed(&stop_instance::OPERATION));
        assert!(!calls.have_changed(&update_instance_tags::OPERATION), "StopInstances is none of its calls");
    }

    #[tokio::test]
    async fn a_change_has_awss_id_and_a_refusal_is_none() {
        let stop = mock!(Client::stop_instances).then_http_response(|| {
            let mut answer = state_change("StopInstances", "running", "stopping");
            answer.headers_mut().insert("x-amzn-requestid", "aws-1");
            answer
        });
        let (_, calls) = counted(client(&[&stop]).stop_instances().instance_ids(ID).send()).await;
        assert_eq!(calls.ids_of_changes(&stop_instance::OPERATION), ["aws-1"]);
        let refuse = mock!(Client::stop_instances).then_http_response(|| ec2_error(412, "DryRunOperation", "would"));
        let (_, calls) = counted(client(&[&refuse]).stop_instances().dry_run(true).instance_ids(ID).send()).await;
        assert_eq!((calls.begun, calls.have_changed(&stop_instance::OPERATION)), (1, false));
        assert_eq!(calls.ids_of_changes(&stop_instance::OPERATION), Vec::<&str>::new());
    }

    #[tokio::test]
    async fn each_invocation_has_its_own_calls_and_none_has_those_of_nobody() {
        let stop =
            mock!(Client::stop_instances).then_http_response(|| state_change("StopInstances", "running", "stopping"));
        let ec2 = client(&[&stop]);
        ec2.stop_instances().instance_ids(ID).send().await.unwrap();
        let one = || counted(async { ec2.stop_instances().instance_ids(ID).send().await });
        let ((_, first), (_, second)) = tokio::join!(one(), one());
        assert_eq!((first.begun, second.begun, stop.num_calls()), (1, 1, 3));
    }
}
