use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_ec2::Client;
use aws_smithy_mocks::mock;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::*;
use crate::aws::error_codes::{AWS_CODES, is_refusal};
use crate::testing::{self, ID, ec2_error};

/// EC2's answer to StartInstances, read as an [`Error`].
async fn read(status: u16, aws_code: &'static str, message: &'static str) -> Error {
    let rule = mock!(Client::start_instances).then_http_response(move || ec2_error(status, aws_code, message));
    let clients = testing::clients(&[&rule]);
    clients.ec2(&testing::region()).unwrap().start_instances().instance_ids(ID).send().await.unwrap_err().into()
}

/// AWS's lists of error codes, with our decision about each.
const LISTS: &str = include_str!("../../../../tests/aws/error_codes.tsv");
/// The table of our own codes in `docs/API.md` has the HTTP status of each.
const API: &str = include_str!("../../../../docs/API.md");

/// A row of [`LISTS`].
struct Listed {
    service: &'static str,
    kind: &'static str,
    aws_code: &'static str,
    meaning: &'static str,
    field: Option<&'static str>,
}

fn listed() -> Vec<Listed> {
    let row = |line: &'static str| {
        let [service, kind, aws_code, meaning, field, _why] = *line.split('\t').collect::<Vec<_>>() else {
            panic!("{line}");
        };
        Listed { service, kind, aws_code, meaning, field: Some(field).filter(|field| !field.is_empty()) }
    };
    LISTS.lines().skip(1).map(row).collect()
}

/// The HTTP status that `docs/API.md` promises for a code of ours.
fn promised(code: &str) -> u16 {
    let row = API.lines().find_map(|line| line.strip_prefix(&format!("| `{code}` | "))).unwrap();
    row.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_code_of_awss_lists_is_answered_as_decided() {
    for Listed { service, kind, aws_code, meaning, field } in listed() {
        // The requests to CloudWatch are not the caller's, so its codes have a test of their own.
        if service == "cloudwatch" {
            continue;
        }
        let meaning = if meaning == "never" { "aws_error" } else { meaning };
        let error = read(if kind == "server" { 500 } else { 400 }, aws_code, "EC2's own words.").await;
        let response = crate::api::response::respond_to_error("request-1", &error).unwrap();
        let problem: serde_json::Value = serde_json::from_slice(response.body().as_ref()).unwrap();
        assert_eq!(problem["code"], meaning, "{service}'s {aws_code}");
        assert_eq!(response.status().as_u16(), promised(meaning), "{aws_code}");
        assert_eq!(problem["field"].as_str(), field, "{aws_code}");
        assert_eq!(problem["aws_code"], aws_code);
        assert_eq!(problem["aws_request_id"], "aws-request-1");
        let own = meaning == "aws_credentials_invalid";
        assert_eq!(problem["detail"] == "EC2's own words.", !own, "{aws_code}");
    }
}

#[test]
fn every_mapped_code_is_listed_and_cloudwatch_codes_match_the_list() {
    for (aws_code, ..) in AWS_CODES {
        assert!(listed().iter().any(|row| row.aws_code == *aws_code), "{aws_code} is on no list");
    }
    for Listed { aws_code, meaning, .. } in listed().into_iter().filter(|row| row.service == "cloudwatch") {
        let code = read_code("cloudwatch:GetMetricStatistics", aws_code, "").0;
        let meaning = if meaning == "never" { "aws_error" } else { meaning };
        assert_eq!(serde_json::to_value(code).unwrap(), meaning, "{aws_code}");
    }
}

#[test]
fn a_timeout_is_not_a_broken_connection() {
    type Failure = SdkError<aws_sdk_ec2::operation::stop_instances::StopInstancesError, HttpResponse>;
    let cause = || "no more".to_owned().into();
    let io = || ConnectorError::io(cause());
    for (failure, code) in [
        (Failure::timeout_error(cause()), Code::AwsTimeout),
        (Failure::dispatch_failure(ConnectorError::timeout(cause())), Code::AwsTimeout),
        (Failure::dispatch_failure(io()), Code::AwsError),
        (Failure::dispatch_failure(ConnectorError::other(cause(), None)), Code::AwsError),
        (Failure::construction_failure(cause()), Code::AwsError),
    ] {
        let said = format!("{failure:?}");
        assert_eq!(Error::from(failure).code, code, "{said}");
    }
    // Both calls may have been carried out, and their errors say so.
    for failure in [Failure::timeout_error(cause()), Failure::dispatch_failure(io())] {
        let error = Error::from(failure);
        assert!(error.retryable && error.detail.contains("carried out"), "{error:?}");
    }
}

#[tokio::test]
async fn only_temporary_errors_are_retryable() {
    for (aws_status, aws_code, retryable, retry_after) in [
        (503, "RequestLimitExceeded", true, Some(5)),
        (500, "InsufficientInstanceCapacity", true, Some(60)),
        (500, "InternalError", true, None),
        (400, "SomethingThatEc2InventsTomorrow", false, None),
        (400, "InvalidParameterValue", false, None),
        (400, "IncorrectInstanceState", false, None),
    ] {
        let error = read(aws_status, aws_code, "").await;
        assert_eq!((error.retryable, error.retry_after_seconds), (retryable, retry_after), "{aws_code}");
    }
}

#[tokio::test]
async fn a_denied_call_names_the_action_that_aws_names() {
    let message = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/cml/cml is not authorized to \
                   perform: ec2:CreateTags on resource: arn:aws:ec2:us-east-1:123456789012:instance/* because no identity-based policy allows the \
                   ec2:CreateTags action. Encoded authorization failure message: 5Q9xq";
    let error = read(403, "UnauthorizedOperation", message).await;
    assert_eq!(error.missing_permission(), Some("ec2:CreateTags"));
    assert!(error.detail.contains("assumed-role/cml") && !error.detail.contains("5Q9xq"), "{}", error.detail);
}

#[tokio::test]
async fn a_denial_names_the_resource_and_a_missing_or_denying_policy() {
    let role = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/cml/cml is not \
                authorized to perform: ec2:StartInstances on resource: arn:aws:ec2:us-east-1:123456789012:instance/i-1";
    let missing = format!("{role} because no identity-based policy allows the ec2:StartInstances action");
    let denied = format!("{role} with an explicit deny in a service control policy");
    let silent = "You are not authorized to perform this operation.".to_owned();
    // Neither half of the sentence alone says that a policy is missing.
    let halves = [format!("{role} because no one knows"), format!("{role}, and no such policy allows it")];
    let arn = Some("arn:aws:ec2:us-east-1:123456789012:instance/i-1");
    for (message, resource, by) in
        [(missing, arn, Some(DeniedBy::NoAllow)), (denied, arn, Some(DeniedBy::ExplicitDeny)), (silent, None, None)]
            .into_iter()
            .chain(halves.map(|half| (half, arn, None)))
    {
        let error = read(403, "UnauthorizedOperation", message.leak()).await;
        let denial = error.denial.unwrap();
        assert_eq!(
            (denial.action.as_str(), denial.resource.as_deref(), denial.by),
            ("ec2:StartInstances", resource, by)
        );
    }
}

#[tokio::test]
async fn a_denied_call_without_words_names_the_call() {
    let error = read(403, "UnauthorizedOperation", "You are not authorized to perform this operation.").await;
    assert_eq!(error.missing_permission(), Some("ec2:StartInstances"));
}

#[tokio::test]
async fn a_launch_that_may_not_create_the_spot_role_names_the_permission() {
    let message =
        "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.";
    let error = read(403, "AuthFailure.ServiceLinkedRoleCreationNotPermitted", message).await;
    assert_eq!(error.missing_permission(), Some("iam:CreateServiceLinkedRole"));
}

#[tokio::test]
async fn a_spot_worker_that_was_stopped_just_now_can_be_started_later() {
    let message = "You failed to start the Spot Instance because the associated Spot Instance request is not in an appropriate state to support start.";
    for (message, retryable) in [(message, true), ("Only Amazon EC2 can start it.", false)] {
        let error = read(400, "IncorrectSpotRequestState", message).await;
        assert_eq!((error.code, error.retryable), (Code::IncorrectState, retryable), "{message}");
    }
}

#[tokio::test]
async fn an_error_that_no_policy_can_fix_names_no_permission() {
    let subscribe = "In order to use this AWS Marketplace product you need to accept terms and subscribe.";
    let error = read(401, "OptInRequired", subscribe).await;
    assert_eq!((error.code, error.missing_permission()), (Code::SubscriptionRequired, None));
    assert_eq!((error.detail.as_str(), error.retryable), (subscribe, false));
    for (aws_code, retryable) in [("Blocked", false), ("PendingVerification", true)] {
        let error = read(400, aws_code, "Your account …").await;
        assert_eq!((error.code, error.missing_permission()), (Code::AccountNotActive, None));
        assert_eq!(error.retryable, retryable, "{aws_code}");
    }
}

/// AWS's answer to a wrong signature, in the form that others published. It quotes the request as AWS signed it, with the
/// headers. Of CloudWatch's answer only the first lines were seen.
const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and \
                               signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have \
                               been\n'POST\n/\n\nhost:monitoring.us-east-1.amazonaws.com\nx-amz-date:20261124T000000Z\n\
                               x-amz-security-token:IQoJb3JpZ2luX2VjEXAMPLETOKEN\n\nhost;x-amz-date;x-amz-security-token\n0123'";

#[tokio::test]
async fn a_credentials_error_never_repeats_the_message_of_aws() {
    for (aws_code, ..) in AWS_CODES.iter().filter(|(_, code, _)| *code == Code::AwsCredentialsInvalid) {
        let error = read(403, aws_code, WRONG_SIGNATURE).await;
        assert_eq!(error.detail, "AWS does not accept the function's credentials for ec2:StartInstances");
        assert!(!format!("{error:?} {}", error.summary()).contains("EXAMPLETOKEN"), "{error:?}");
    }
}

#[tokio::test]
async fn a_message_that_quotes_a_signed_request_is_withheld_for_every_code() {
    let header = "Authorization header requires 'Signature' parameter. Authorization=AWS4-HMAC-SHA256 Credential=EXAMPLETOKEN/20261124";
    for message in [WRONG_SIGNATURE, header] {
        for aws_code in ["AccessDenied", "InvalidParameterValue", "SomethingThatEc2InventsTomorrow"] {
            let error = read(403, aws_code, message).await;
            let told = format!("{error:?} {}", error.summary());
            assert!(!told.contains("EXAMPLETOKEN") && told.contains(aws_code), "{told}");
        }
    }
}

#[test]
fn a_code_means_what_the_call_makes_it_mean() {
    let (launch, start, metrics) = ("ec2:RunInstances", "ec2:StartInstances", "cloudwatch:GetMetricStatistics");
    assert_eq!(read_code(launch, "UnsupportedOperation", ""), (Code::InvalidRequest, None));
    assert_eq!(read_code(start, "UnsupportedOperation", ""), (Code::IncorrectState, None));
    assert_eq!(read_code(launch, "InvalidParameterValue", ""), (Code::InvalidRequest, None));
    assert_eq!(read_code(metrics, "InvalidParameterValue", ""), (Code::AwsError, None));
    assert_eq!(read_code(metrics, "AccessDenied", ""), (Code::MissingPermission, None));
}

#[tokio::test]
async fn a_foreign_image_is_a_permission_and_not_a_credential() {
    let error = read(401, "AuthFailure", "Not authorized for images: [ami-0123456789abcdef0]").await;
    assert_eq!(error.code, Code::MissingPermission);
    let error = read(401, "AuthFailure", "AWS was not able to validate the provided access credentials").await;
    assert_eq!((error.code, error.missing_permission()), (Code::AwsCredentialsInvalid, None));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_an_aws_error() {
    let rule = mock!(Client::start_instances).then_http_response(|| testing::unreadable(200, "<html>not EC2"));
    let clients = testing::clients(&[&rule]);
    let answer = clients.ec2(&testing::region()).unwrap().start_instances().instance_ids(ID).send().await;
    let error = Error::from(answer.unwrap_err());
    assert_eq!((error.code, error.retryable), (Code::AwsError, true));
    assert_eq!(error.detail, "The answer to ec2:StartInstances could not be read: AWS may have carried out the call");
    assert_eq!(error.aws.unwrap().request_id.as_deref(), Some("aws-request-1"));
}

#[derive(Debug)]
struct NoCredentials;

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("there are none")))
    }
}

#[tokio::test]
async fn missing_credentials_are_the_functions_fault() {
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .region(aws_config::Region::new("us-east-1"))
        .endpoint_url("http://127.0.0.1:9")
        .retry_config(aws_sdk_ec2::config::retry::RetryConfig::disabled())
        .credentials_provider(NoCredentials)
        .build();
    let error = Error::from(Client::from_conf(config).describe_regions().send().await.unwrap_err());
    assert_eq!(error.code, Code::AwsCredentialsInvalid, "{error:?}");
}

#[tokio::test]
async fn an_unreachable_endpoint_is_an_aws_error_worth_a_retry() {
    let config = aws_sdk_ec2::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
        .region(aws_config::Region::new("us-east-1"))
        .with_test_defaults()
        .endpoint_url("http://127.0.0.1:1")
        .retry_config(aws_sdk_ec2::config::retry::RetryConfig::disabled())
        .build();
    let error = Error::from(Client::from_conf(config).describe_regions().send().await.unwrap_err());
    assert_eq!((error.code, error.retryable), (Code::AwsError, true), "{error:?}");
}

#[tokio::test]
async fn a_refused_profile_says_which_roles_pass() {
    let message = "User: arn:aws:sts::123456789012:assumed-role/cml is not authorized to perform: iam:PassRole on resource: \
                   arn:aws:iam::123456789012:role/team/CMLWorker because no identity-based policy allows the iam:PassRole action";
    let error = read(403, "UnauthorizedOperation", message).await;
    assert_eq!(error.missing_permission(), Some("iam:PassRole"));
    assert!(error.detail.starts_with(message) && error.detail.contains("which has no path"), "{}", error.detail);
    let other = read(403, "UnauthorizedOperation", "You are not authorized to perform this operation.").await;
    assert!(!other.detail.contains("path"), "{}", other.detail);
}

#[test]
fn a_known_refusal_did_nothing_and_an_unknown_one_may_have() {
    assert!(is_refusal("InsufficientInstanceCapacity") && is_refusal("UnauthorizedOperation"));
    assert!(!is_refusal("InternalError") && !is_refusal("NobodyKnowsThisCode"));
}

#[test]
fn a_call_with_a_timeout_or_server_failure_may_have_happened() {
    let may_have = |error: Error| error.may_have_happened();
    assert!(may_have(Error::new(Code::AwsTimeout, "")) && may_have(Error::new(Code::AwsError, "").retryable()));
    assert!(!may_have(Error::new(Code::AwsError, "")) && !may_have(Error::new(Code::Throttled, "")));
}
