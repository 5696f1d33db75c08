//! Additions to the SDK's own rules about the calls that it sends again.

use aws_sdk_ec2::config::interceptors::InterceptorContext;
use aws_sdk_ec2::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::operation::run_instances::RunInstancesError;
use aws_sdk_ec2::operation::start_instances::StartInstancesError;

use crate::aws::error_codes::is_about_capacity;

/// Lets the SDK send a call again if its answer began and was not complete, as it does if no answer came at all. Every call
/// of ours can be carried out twice: a launch has its token, and the second time any other call changes nothing.
#[derive(Debug)]
pub(crate) struct RetryBroken;

impl ClassifyRetry for RetryBroken {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.output_or_error() {
            Some(Err(error)) if error.is_response_error() || error.is_interceptor_error() => {
                RetryAction::transient_error()
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "RetryBroken"
    }
}

/// Keeps the SDK from sending a launch or a start again if EC2 has no capacity for it. EC2 says so with a 500, which the
/// SDK takes for a passing fault. Capacity does not come back within seconds, and a launch can try its alternatives.
#[derive(Debug)]
pub(crate) struct NoRetryWithoutCapacity;

impl ClassifyRetry for NoRetryWithoutCapacity {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match aws_code(context) {
            Some(code) if is_about_capacity(code) => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "NoRetryWithoutCapacity"
    }
}

/// EC2's error code, if the call was a launch or a start.
fn aws_code(context: &InterceptorContext) -> Option<&str> {
    let error = context.output_or_error()?.err()?.as_operation_error()?;
    let launch = error.downcast_ref::<RunInstancesError>().and_then(ProvideErrorMetadata::code);
    launch.or_else(|| error.downcast_ref::<StartInstancesError>().and_then(ProvideErrorMetadata::code))
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::Client;
    use aws_sdk_ec2::config::retry::RetryConfig;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;
    use crate::testing::{self, ec2_error};

    /// How often a start and a launch are sent if EC2 refuses them with this code.
    async fn tries(code: &'static str) -> [usize; 2] {
        let start = mock!(Client::start_instances).then_http_response(move || ec2_error(500, code, "none"));
        let launch = mock!(Client::run_instances).then_http_response(move || ec2_error(500, code, "none"));
        let rules = [&start, &launch];
        let ec2 = mock_client!(aws_sdk_ec2, RuleMode::MatchAny, rules, |config| config
            .retry_config(RetryConfig::standard().with_initial_backoff(std::time::Duration::from_millis(1)))
            .retry_classifier(NoRetryWithoutCapacity));
        ec2.start_instances().instance_ids(testing::ID).send().await.unwrap_err();
        ec2.run_instances().min_count(1).max_count(1).send().await.unwrap_err();
        [start.num_calls(), launch.num_calls()]
    }

    #[tokio::test]
    async fn a_lack_of_capacity_is_not_retried_but_a_temporary_failure_is() {
        assert_eq!(tries("InsufficientInstanceCapacity").await, [1, 1]);
        assert_eq!(tries("InternalError").await, [3, 3]);
    }
}
