use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_ec2::Client;
use aws_smithy_mocks::mock;

use super::*;
use crate::testing::{self, ID, ec2_error};

/// EC2's answer to StartInstances, read as an [`Error`].
async fn read(status: u16, aws_code: &'static str, message: &'static str) -> Error {
    let rule = mock!(Client::start_instances).then_http_response(move || ec2_error(status, aws_code, message));
    let clients = testing::clients(&[&rule]);
    clients.ec2(&testing::region()).unwrap().start_instances().instance_ids(ID).send().await.unwrap_err().into()
}

/// The error table of the README, row by row: AWS's code, the status it comes with, ours, the HTTP status, the field.
const TABLE: &[(&str, u16, &str, u16, Option<&str>)] = &[
    ("AttachmentLimitExceeded", 400, "invalid_request", 400, Some("extra_volumes")),
    ("BootForVolumeTypeUnsupported", 400, "invalid_request", 400, Some("root_volume.type")),
    ("ClientInvalidParameterValue", 400, "invalid_request", 400, None),
    ("DefaultVpcDoesNotExist", 400, "invalid_request", 400, Some("subnet_id")),
    ("EncryptedVolumesNotSupported", 400, "invalid_request", 400, None),
    ("FilterLimitExceeded", 400, "invalid_request", 400, None),
    ("InvalidAMIID.Malformed", 400, "invalid_request", 400, Some("image_id")),
    ("InvalidAvailabilityZone", 400, "invalid_request", 400, Some("placement.availability_zone")),
    ("InvalidBlockDeviceMapping", 400, "invalid_request", 400, None),
    ("InvalidCapacityReservationId.Malformed", 400, "invalid_request", 400, Some("capacity_reservation.id")),
    ("InvalidCapacityReservationId.NotFound", 400, "invalid_request", 400, Some("capacity_reservation.id")),
    ("InvalidCapacityReservationState.PendingActivation", 400, "invalid_request", 400, Some("capacity_reservation.id")),
    ("InvalidCharacter", 400, "invalid_request", 400, None),
    ("InvalidGroup.NotFound", 400, "invalid_request", 400, Some("security_group_ids")),
    ("InvalidGroupId.Malformed", 400, "invalid_request", 400, Some("security_group_ids")),
    ("InvalidHostConfiguration", 400, "invalid_request", 400, Some("placement.host_id")),
    ("InvalidHostID.Malformed", 400, "invalid_request", 400, Some("placement.host_id")),
    ("InvalidHostID.NotFound", 400, "invalid_request", 400, Some("placement.host_id")),
    ("InvalidHostId", 400, "invalid_request", 400, Some("placement.host_id")),
    ("InvalidHostId.Malformed", 400, "invalid_request", 400, Some("placement.host_id")),
    ("InvalidHostId.NotFound", 400, "invalid_request", 400, Some("placement.host_id")),
    ("InvalidHostState", 400, "invalid_request", 400, Some("placement.host_id")),
    ("InvalidID", 400, "invalid_request", 400, Some("instance_id")),
    ("InvalidIPAddress.InUse", 400, "invalid_request", 400, Some("private_ip")),
    ("InvalidIamInstanceProfileArn.Malformed", 400, "invalid_request", 400, Some("iam_instance_profile")),
    ("InvalidInput", 400, "invalid_request", 400, None),
    ("InvalidInstanceFamily", 400, "invalid_request", 400, Some("instance_type")),
    ("InvalidInstanceID.Malformed", 400, "invalid_request", 400, Some("instance_id")),
    ("InvalidInstanceType", 400, "invalid_request", 400, Some("instance_type")),
    ("InvalidKeyPair.NotFound", 400, "invalid_request", 400, Some("key_name")),
    ("InvalidLaunchTargets", 400, "invalid_request", 400, Some("capacity_reservation.id")),
    ("InvalidManifest", 400, "invalid_request", 400, Some("image_id")),
    ("InvalidMaxResults", 400, "invalid_request", 400, Some("limit")),
    ("InvalidNextToken", 400, "invalid_request", 400, Some("next_token")),
    ("InvalidPaginationToken", 400, "invalid_request", 400, Some("next_token")),
    ("InvalidParameter", 400, "invalid_request", 400, None),
    ("InvalidParameterCombination", 400, "invalid_request", 400, None),
    ("InvalidParameterDependency", 400, "invalid_request", 400, None),
    ("InvalidParameterValue", 400, "invalid_request", 400, None),
    ("InvalidPlacementGroup.Unknown", 400, "invalid_request", 400, Some("placement.group")),
    ("InvalidRequest", 400, "invalid_request", 400, None),
    ("InvalidSecurityGroupID.NotFound", 400, "invalid_request", 400, Some("security_group_ids")),
    ("InvalidSecurityGroupId.Malformed", 400, "invalid_request", 400, Some("security_group_ids")),
    ("InvalidSubnet", 400, "invalid_request", 400, Some("subnet_id")),
    ("InvalidSubnetID.Malformed", 400, "invalid_request", 400, Some("subnet_id")),
    ("InvalidSubnetID.NotFound", 400, "invalid_request", 400, Some("subnet_id")),
    ("InvalidSubnetId.NotFound", 400, "invalid_request", 400, Some("subnet_id")),
    ("InvalidTagKey.Malformed", 400, "invalid_request", 400, Some("tags")),
    ("InvalidTenancy", 400, "invalid_request", 400, Some("placement.tenancy")),
    ("InvalidUserID.Malformed", 400, "invalid_request", 400, Some("owner")),
    ("InvalidZone.NotFound", 400, "invalid_request", 400, Some("placement.availability_zone")),
    ("MissingInput", 400, "invalid_request", 400, Some("subnet_id")),
    ("MissingParameter", 400, "invalid_request", 400, None),
    ("Resource.AlreadyAssigned", 400, "invalid_request", 400, Some("private_ip")),
    ("SecurityGroupLimitExceeded", 400, "invalid_request", 400, Some("security_group_ids")),
    ("SecurityGroupsPerInstanceLimitExceeded", 400, "invalid_request", 400, Some("security_group_ids")),
    ("SecurityGroupsPerInterfaceLimitExceeded", 400, "invalid_request", 400, Some("security_group_ids")),
    ("TagLimitExceeded", 400, "invalid_request", 400, Some("tags")),
    ("TagPolicyViolation", 400, "invalid_request", 400, Some("tags")),
    ("UnknownVolumeType", 400, "invalid_request", 400, None),
    ("Unsupported", 400, "invalid_request", 400, None),
    ("UnsupportedException", 400, "invalid_request", 400, Some("capacity_reservation")),
    ("UnsupportedHostConfiguration", 400, "invalid_request", 400, Some("placement.host_id")),
    ("UnsupportedInstanceTypeOnHost", 400, "invalid_request", 400, Some("instance_type")),
    ("UnsupportedTenancy", 400, "invalid_request", 400, Some("placement.tenancy")),
    ("VPCIdNotSpecified", 400, "invalid_request", 400, Some("subnet_id")),
    ("VPCResourceNotSpecified", 400, "invalid_request", 400, Some("subnet_id")),
    ("VolumeIOPSLimit", 400, "invalid_request", 400, None),
    ("VolumeTypeNotAvailableInZone", 400, "invalid_request", 400, None),
    ("ZonesMismatched", 400, "invalid_request", 400, Some("placement.host_id")),
    ("AccessDenied", 403, "missing_permission", 403, None),
    ("AccessDeniedException", 400, "missing_permission", 403, None),
    ("NotAuthorized", 400, "missing_permission", 403, None),
    ("UnauthorizedOperation", 403, "missing_permission", 403, None),
    ("OptInRequired", 401, "subscription_required", 403, None),
    ("AccountDisabled", 400, "account_not_active", 403, None),
    ("Blocked", 400, "account_not_active", 403, None),
    ("PendingVerification", 400, "account_not_active", 403, None),
    ("InvalidInstanceID.NotFound", 400, "instance_not_found", 404, None),
    ("InvalidAMIID.NotFound", 400, "image_not_found", 404, None),
    ("InvalidAMIID.Unavailable", 400, "image_not_found", 404, None),
    ("InvalidSnapshot.NotFound", 400, "image_not_found", 404, None),
    ("ParameterNotFound", 400, "image_not_found", 404, None),
    ("ParameterVersionNotFound", 400, "image_not_found", 404, None),
    ("IncorrectInstanceState", 400, "incorrect_state", 409, None),
    ("IncorrectState", 400, "incorrect_state", 409, None),
    ("InvalidInstanceState", 400, "incorrect_state", 409, None),
    ("InvalidState", 400, "incorrect_state", 409, None),
    ("UnsupportedHibernationConfiguration", 400, "incorrect_state", 409, None),
    ("UnsupportedOperation", 400, "incorrect_state", 409, None),
    ("IdempotentInstanceTerminated", 400, "idempotency_mismatch", 409, None),
    ("IdempotentParameterMismatch", 400, "idempotency_mismatch", 409, None),
    ("CustomerKeyHasBeenRevoked", 400, "operation_not_permitted", 409, None),
    ("OperationNotPermitted", 400, "operation_not_permitted", 409, None),
    ("InstanceLimitExceeded", 400, "quota_exceeded", 422, None),
    ("MaxIOPSLimitExceeded", 400, "quota_exceeded", 422, None),
    ("MaxSpotInstanceCountExceeded", 400, "quota_exceeded", 422, None),
    ("NetworkInterfaceLimitExceeded", 400, "quota_exceeded", 422, None),
    ("RequestResourceCountExceeded", 400, "quota_exceeded", 422, None),
    ("ResourceCountExceeded", 400, "quota_exceeded", 422, None),
    ("ResourceLimitExceeded", 400, "quota_exceeded", 422, None),
    ("VcpuLimitExceeded", 400, "quota_exceeded", 422, None),
    ("VolumeLimitExceeded", 400, "quota_exceeded", 422, None),
    ("ConcurrentTagAccess", 400, "throttled", 429, None),
    ("EC2ThrottledException", 400, "throttled", 429, None),
    ("RequestLimitExceeded", 503, "throttled", 429, None),
    ("Throttling", 400, "throttled", 429, None),
    ("ThrottlingException", 400, "throttled", 429, None),
    ("AuthFailure", 401, "aws_credentials_invalid", 500, None),
    ("ExpiredToken", 400, "aws_credentials_invalid", 500, None),
    ("ExpiredTokenException", 400, "aws_credentials_invalid", 500, None),
    ("IncompleteSignature", 403, "aws_credentials_invalid", 500, None),
    ("InvalidClientTokenId", 403, "aws_credentials_invalid", 500, None),
    ("InvalidSecurity.RequestHasExpired", 400, "aws_credentials_invalid", 500, None),
    ("InvalidSignatureException", 403, "aws_credentials_invalid", 500, None),
    ("MissingAuthenticationToken", 403, "aws_credentials_invalid", 500, None),
    ("RequestExpired", 400, "aws_credentials_invalid", 500, None),
    ("SignatureDoesNotMatch", 403, "aws_credentials_invalid", 500, None),
    ("UnrecognizedClientException", 403, "aws_credentials_invalid", 500, None),
    ("IncompatibleHostRequirements", 400, "insufficient_capacity", 503, None),
    ("InsufficientAddressCapacity", 500, "insufficient_capacity", 503, None),
    ("InsufficientCapacity", 500, "insufficient_capacity", 503, None),
    ("InsufficientCapacityOnHost", 400, "insufficient_capacity", 503, None),
    ("InsufficientFreeAddressesInSubnet", 400, "insufficient_capacity", 503, None),
    ("InsufficientHostCapacity", 500, "insufficient_capacity", 503, None),
    ("InsufficientInstanceCapacity", 500, "insufficient_capacity", 503, None),
    ("InsufficientReservedInstanceCapacity", 500, "insufficient_capacity", 503, None),
    ("InsufficientReservedInstancesCapacity", 400, "insufficient_capacity", 503, None),
    ("InsufficientVolumeCapacity", 500, "insufficient_capacity", 503, None),
    ("ReservationCapacityExceeded", 400, "insufficient_capacity", 503, None),
    ("SpotMaxPriceTooLow", 400, "insufficient_capacity", 503, None),
    ("UnavailableHostRequirements", 400, "insufficient_capacity", 503, None),
    ("UnfulfillableCapacity", 400, "insufficient_capacity", 503, None),
    ("RequestTimeoutException", 400, "aws_timeout", 504, None),
    ("InternalError", 500, "aws_error", 502, None),
    ("SomethingThatEc2InventsTomorrow", 400, "aws_error", 502, None),
    ("Unavailable", 503, "aws_error", 502, None),
];

#[tokio::test]
async fn every_row_of_the_table_holds() {
    for (aws_code, aws_status, code, status, field) in TABLE {
        let error = read(*aws_status, aws_code, "EC2's own words.").await;
        let response = crate::http::respond_to_error("request-1", &error).unwrap();
        let problem: serde_json::Value = serde_json::from_slice(response.body().as_ref()).unwrap();
        assert_eq!((problem["code"].as_str(), response.status().as_u16()), (Some(*code), *status), "{aws_code}");
        assert_eq!(problem["field"].as_str(), *field, "{aws_code}");
        assert_eq!(problem["aws_code"], *aws_code);
        assert_eq!(problem["aws_request_id"], "aws-request-1");
        let own = *code == "aws_credentials_invalid";
        assert_eq!(problem["detail"] == "EC2's own words.", !own, "{aws_code}");
    }
}

#[test]
fn the_test_has_every_row_of_the_data() {
    for (aws_code, ..) in AWS_CODES {
        assert!(TABLE.iter().any(|row| row.0 == *aws_code), "{aws_code}");
    }
}

/// AWS's lists, a row a code: service, kind, code, decision, why.
const LISTS: &str = include_str!("../../../tests/aws/error_codes.tsv");

#[test]
fn each_code_of_awss_lists_is_mapped_or_left_on_purpose() {
    let rows: Vec<Vec<&str>> = LISTS.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let listed = |wanted: &str| rows.iter().any(|row| row[2] == wanted && row[3] == "mapped");
    for (aws_code, ..) in AWS_CODES {
        assert!(listed(aws_code), "{aws_code} is on no list as mapped");
    }
    for row in &rows {
        let (service, aws_code, decision) = (row[0], row[2], row[3]);
        let action = if service == "cloudwatch" { "cloudwatch:GetMetricStatistics" } else { "ec2:StartInstances" };
        let mapped = read_code(action, aws_code, "").0 != Code::AwsError;
        assert_eq!(mapped, decision == "mapped", "{service}'s {aws_code} is {decision}");
    }
}

#[tokio::test]
async fn only_what_passes_by_itself_is_retryable() {
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
async fn a_denied_call_says_on_what_and_whether_a_policy_is_missing_or_in_the_way() {
    let role = "You are not authorized to perform this operation. User: arn:aws:sts::123456789012:assumed-role/cml/cml is not \
                authorized to perform: ec2:StartInstances on resource: arn:aws:ec2:us-east-1:123456789012:instance/i-1";
    let missing = format!("{role} because no identity-based policy allows the ec2:StartInstances action");
    let denied = format!("{role} with an explicit deny in a service control policy");
    let silent = "You are not authorized to perform this operation.".to_owned();
    let arn = Some("arn:aws:ec2:us-east-1:123456789012:instance/i-1");
    for (message, resource, by) in
        [(missing, arn, Some(DeniedBy::NoAllow)), (denied, arn, Some(DeniedBy::ExplicitDeny)), (silent, None, None)]
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
async fn what_no_policy_helps_against_names_no_permission() {
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

/// CloudWatch's answer to a wrong signature, as others have seen it: the whole request that AWS signed itself, headers included.
const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and \
                               signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have \
                               been\n'POST\n/\n\nhost:monitoring.us-east-1.amazonaws.com\nx-amz-date:20261124T000000Z\n\
                               x-amz-security-token:IQoJb3JpZ2luX2VjEXAMPLETOKEN\n\nhost;x-amz-date;x-amz-security-token\n0123'";

#[tokio::test]
async fn of_credentials_our_own_words_are_told_and_never_awss() {
    for (aws_code, ..) in AWS_CODES.iter().filter(|(_, code, _)| *code == Code::AwsCredentialsInvalid) {
        let error = read(403, aws_code, WRONG_SIGNATURE).await;
        assert_eq!(error.detail, "AWS does not accept the function's credentials for ec2:StartInstances");
        assert!(!format!("{error:?} {}", error.summary()).contains("EXAMPLETOKEN"), "{error:?}");
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
    let rule = mock!(Client::start_instances).then_http_response(|| testing::xml(200, "<html>not EC2"));
    let clients = testing::clients(&[&rule]);
    let answer = clients.ec2(&testing::region()).unwrap().start_instances().instance_ids(ID).send().await;
    let error = Error::from(answer.unwrap_err());
    assert_eq!((error.code, error.retryable), (Code::AwsError, true));
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
