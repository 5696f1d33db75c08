//! The calls of AWS that one invocation makes, counted where the SDK makes them.

use std::cell::RefCell;

use aws_sdk_ec2::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::{BoxError, ProvideErrorMetadata};
use aws_sdk_ec2::operation::RequestId;
use aws_sdk_ec2::operation::run_instances::{RunInstancesError, RunInstancesOutput};
use aws_smithy_runtime_api::client::interceptors::context::Output;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

use crate::aws::error_codes::is_refusal;
use crate::model::operation::{Operation, Purpose};

tokio::task_local! {
    /// The calls of the invocation.
    static CALLS: RefCell<Calls>;
}

/// The calls of AWS of one invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// How many requests were sent for the calls.
    pub(crate) attempts: usize,
    /// AWS's names of the calls that were begun, such as `StopInstances`.
    begun: Vec<String>,
    /// The names of the calls of which a try failed that AWS may have carried out.
    doubtful: Vec<String>,
    /// The calls that ended.
    ended: Vec<Ended>,
}

/// A call that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ended {
    name: String,
    /// Whether AWS carried it out.
    is_carried_out: bool,
    /// AWS's id of the last request.
    request_id: Option<String>,
    /// The instance that it launched.
    launched: Option<String>,
}

impl Calls {
    /// Calls that ended, each with its name, whether AWS carried it out, and AWS's id.
    #[cfg(test)]
    pub(crate) fn of(ended: &[(&str, bool, &str)]) -> Self {
        let begun: Vec<String> = ended.iter().map(|(name, ..)| (*name).to_owned()).collect();
        let ended = ended.iter().map(|(name, is_carried_out, id)| Ended {
            name: (*name).to_owned(),
            is_carried_out: *is_carried_out,
            request_id: Some((*id).to_owned()),
            launched: (*name == "RunInstances" && *is_carried_out).then(|| crate::testing::ID.to_owned()),
        });
        Self { attempts: begun.len(), begun, ended: ended.collect(), doubtful: Vec::new() }
    }

    /// The same calls and one more that did not end.
    #[cfg(test)]
    pub(crate) fn and_begun(mut self, name: &str) -> Self {
        self.begun.push(name.to_owned());
        self
    }

    /// How many calls were begun.
    #[must_use]
    pub(crate) fn begun(&self) -> usize {
        self.begun.len()
    }

    /// The requests that were sent beyond the first one of each call.
    #[must_use]
    pub(crate) fn retries(&self) -> usize {
        self.attempts.saturating_sub(self.begun())
    }

    /// Whether AWS carried out a call by which the operation changes something.
    #[must_use]
    pub(crate) fn have_changed(&self, operation: &Operation) -> bool {
        self.carried_out(operation).next().is_some()
    }

    /// Whether AWS may have carried out a change of which no answer tells: a try of it failed without a refusal, or the call did
    /// not end.
    #[must_use]
    pub(crate) fn may_have_changed(&self, operation: &Operation) -> bool {
        let count = |names: &mut dyn Iterator<Item = &String>| names.filter(|name| changes(operation, name)).count();
        let begun = count(&mut self.begun.iter());
        count(&mut self.doubtful.iter()) > 0 || begun > count(&mut self.ended.iter().map(|call| &call.name))
    }

    /// AWS's ids of the requests by which the operation changed something.
    #[must_use]
    pub(crate) fn ids_of_changes(&self, operation: &Operation) -> Vec<&str> {
        self.carried_out(operation).filter_map(|call| call.request_id.as_deref()).collect()
    }

    /// The instances that were launched.
    #[must_use]
    pub(crate) fn launched(&self) -> Vec<String> {
        self.ended.iter().filter_map(|call| call.launched.clone()).collect()
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

    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        add(|calls| calls.begun.push(name(config)));
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

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if is_doubtful(context) {
            add(|calls| calls.doubtful.push(name(config)));
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let ended = Ended {
            name: name(config),
            is_carried_out: matches!(context.output_or_error(), Some(Ok(_))),
            request_id: context.response().and_then(|answer| answer.headers().request_id()).map(str::to_owned),
            launched: context.output_or_error().and_then(Result::ok).and_then(launched),
        };
        add(|calls| calls.ended.push(ended));
        Ok(())
    }
}

/// Whether this try failed, and AWS may have carried it out all the same.
pub(crate) fn is_doubtful(context: &FinalizerInterceptorContextRef<'_>) -> bool {
    let Some(Err(error)) = context.output_or_error() else { return false };
    let refusal = error.as_operation_error().and_then(|error| error.downcast_ref::<RunInstancesError>());
    let is_refused = refusal.and_then(ProvideErrorMetadata::code).is_some_and(is_refusal);
    let is_about_the_request = context.response().is_some_and(|response| response.status().is_client_error());
    !is_refused && !is_about_the_request
}

/// AWS's name of the call.
fn name(config: &ConfigBag) -> String {
    config.load::<Metadata>().map(|call| call.name().to_owned()).unwrap_or_default()
}

/// The instance that the answer names, if it is one to a launch.
fn launched(answer: &Output) -> Option<String> {
    answer.downcast_ref::<RunInstancesOutput>()?.instances().first()?.instance_id().map(str::to_owned)
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
        assert_eq!((calls.begun(), calls.attempts, calls.retries()), (1, 2, 1));
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
        assert_eq!((calls.begun(), calls.have_changed(&stop_instance::OPERATION)), (1, false));
        assert_eq!(calls.ids_of_changes(&stop_instance::OPERATION), Vec::<&str>::new());
    }

    #[tokio::test]
    async fn a_lost_answer_leaves_doubt_and_a_refusal_does_not() {
        let lost = mock!(Client::stop_instances)
            .sequence()
            .http_response(|| ec2_error(503, "Unavailable", "later"))
            .http_response(|| ec2_error(403, "UnauthorizedOperation", "no"))
            .build();
        let (_, calls) = counted(client(&[&lost]).stop_instances().instance_ids(ID).send()).await;
        assert!(calls.may_have_changed(&stop_instance::OPERATION) && !calls.have_changed(&stop_instance::OPERATION));
        let refused =
            mock!(Client::stop_instances).then_http_response(|| ec2_error(403, "UnauthorizedOperation", "no"));
        let (_, calls) = counted(client(&[&refused]).stop_instances().instance_ids(ID).send()).await;
        assert!(!calls.may_have_changed(&stop_instance::OPERATION));
        let read = mock!(Client::describe_instances).then_http_response(|| ec2_error(503, "Unavailable", "later"));
        let (_, calls) = counted(client(&[&read]).describe_instances().send()).await;
        assert!(!calls.may_have_changed(&stop_instance::OPERATION), "a read changes nothing");
    }

    #[tokio::test]
    async fn a_call_that_was_given_up_leaves_doubt() {
        let stop =
            mock!(Client::stop_instances).then_http_response(|| state_change("StopInstances", "running", "stopping"));
        let ec2 = client(&[&stop]);
        let given_up = async {
            let call = ec2.stop_instances().instance_ids(ID).send();
            tokio::time::timeout(std::time::Duration::ZERO, call).await.is_err()
        };
        let (is_given_up, calls) = counted(given_up).await;
        assert!(!is_given_up || calls.may_have_changed(&stop_instance::OPERATION), "{calls:?}");
        assert!(Calls::default().and_begun("StopInstances").may_have_changed(&stop_instance::OPERATION));
    }

    #[tokio::test]
    async fn a_launch_is_known_by_its_instance() {
        let launch = mock!(Client::run_instances).then_output(|| {
            let instance = aws_sdk_ec2::types::Instance::builder().instance_id(ID).build();
            RunInstancesOutput::builder().instances(instance).build()
        });
        let ec2 = client(&[&launch]);
        let (_, calls) = counted(ec2.run_instances().min_count(1).max_count(1).send()).await;
        assert_eq!(calls.launched(), [ID]);
    }

    #[tokio::test]
    async fn each_invocation_has_its_own_calls_and_none_has_those_of_nobody() {
        let stop =
            mock!(Client::stop_instances).then_http_response(|| state_change("StopInstances", "running", "stopping"));
        let ec2 = client(&[&stop]);
        ec2.stop_instances().instance_ids(ID).send().await.unwrap();
        let one = || counted(async { ec2.stop_instances().instance_ids(ID).send().await });
        let ((_, first), (_, second)) = tokio::join!(one(), one());
        assert_eq!((first.begun(), second.begun(), stop.num_calls()), (1, 1, 3));
    }
}
