//! The one error type, and the table that reads AWS error codes.
//!
//! EC2 models no exceptions: each operation error is `Unhandled` and told apart by its code alone. So one generic
//! `From<SdkError>` serves both SDKs and [`AWS_CODES`] is data, tested row by row.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use serde::Serialize;

use crate::input::Invalid;

/// What went wrong, as callers branch on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A field of the request is wrong; the error names it.
    InvalidRequest,
    /// The body is larger than the documented limit.
    PayloadTooLarge,
    /// The function's role lacks a permission; the error names it.
    MissingPermission,
    /// The account has not subscribed to what it asks for: no policy helps.
    SubscriptionRequired,
    /// AWS does not serve the account, not yet or not any more: no policy helps.
    AccountNotActive,
    /// The instance does not carry the ownership tag.
    NotManaged,
    /// The region is not among `CML_ALLOWED_REGIONS`.
    RegionNotAllowed,
    /// The instance type matches none of `CML_ALLOWED_INSTANCE_TYPES`.
    InstanceTypeNotAllowed,
    /// No such instance in that region.
    InstanceNotFound,
    /// No such image in that region, or it is not available.
    ImageNotFound,
    /// The instance is in a state that does not allow the call.
    IncorrectState,
    /// The idempotency key was used before with another request.
    IdempotencyMismatch,
    /// EC2 refuses it for this instance, for example because of termination protection.
    OperationNotPermitted,
    /// A quota of the account is used up.
    QuotaExceeded,
    /// AWS throttles, also after the SDK's own retries.
    Throttled,
    /// AWS refuses the function's credentials.
    AwsCredentialsInvalid,
    /// AWS failed, or answered what this table does not know.
    AwsError,
    /// AWS has no capacity for the request right now.
    InsufficientCapacity,
    /// No answer from AWS inside the deadline.
    AwsTimeout,
}

impl Code {
    /// Whether the same request can succeed later without anyone changing anything.
    #[must_use]
    pub fn retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::InsufficientCapacity | Self::AwsTimeout)
    }

    /// How long to wait before trying again, in seconds, where AWS documents an order of magnitude:
    /// EC2 refills its request buckets within seconds, capacity comes back within minutes.
    fn retry_after_seconds(self) -> Option<u32> {
        match self {
            Self::Throttled => Some(5),
            Self::InsufficientCapacity => Some(60),
            _ => None,
        }
    }
}

/// Which [`Code`] an AWS error code means, and the request field it speaks of, if it does of one: most are create's.
///
/// Codes that are not here are [`Code::AwsError`], with the AWS code kept in the answer. `tests/aws/error_codes.tsv` has AWS's
/// own lists, with a decision about each: a test compares the two.
pub const AWS_CODES: &[(&str, Code, Option<&str>)] = &[
    ("AttachmentLimitExceeded", Code::InvalidRequest, Some("extra_volumes")),
    ("BootForVolumeTypeUnsupported", Code::InvalidRequest, Some("root_volume.type")),
    ("ClientInvalidParameterValue", Code::InvalidRequest, None),
    ("DefaultVpcDoesNotExist", Code::InvalidRequest, Some("subnet_id")),
    ("EncryptedVolumesNotSupported", Code::InvalidRequest, None),
    ("FilterLimitExceeded", Code::InvalidRequest, None),
    ("InvalidAMIID.Malformed", Code::InvalidRequest, Some("image_id")),
    ("InvalidAvailabilityZone", Code::InvalidRequest, Some("placement.availability_zone")),
    ("InvalidBlockDeviceMapping", Code::InvalidRequest, None),
    ("InvalidCapacityReservationId.Malformed", Code::InvalidRequest, Some("capacity_reservation.id")),
    ("InvalidCapacityReservationId.NotFound", Code::InvalidRequest, Some("capacity_reservation.id")),
    ("InvalidCapacityReservationState.PendingActivation", Code::InvalidRequest, Some("capacity_reservation.id")),
    ("InvalidCharacter", Code::InvalidRequest, None),
    ("InvalidGroup.NotFound", Code::InvalidRequest, Some("security_group_ids")),
    ("InvalidGroupId.Malformed", Code::InvalidRequest, Some("security_group_ids")),
    ("InvalidHostConfiguration", Code::InvalidRequest, Some("placement.host_id")),
    ("InvalidHostID.Malformed", Code::InvalidRequest, Some("placement.host_id")),
    ("InvalidHostID.NotFound", Code::InvalidRequest, Some("placement.host_id")),
    ("InvalidHostId", Code::InvalidRequest, Some("placement.host_id")),
    ("InvalidHostId.Malformed", Code::InvalidRequest, Some("placement.host_id")),
    ("InvalidHostId.NotFound", Code::InvalidRequest, Some("placement.host_id")),
    ("InvalidHostState", Code::InvalidRequest, Some("placement.host_id")),
    ("InvalidID", Code::InvalidRequest, Some("instance_id")),
    ("InvalidIPAddress.InUse", Code::InvalidRequest, Some("private_ip")),
    ("InvalidIamInstanceProfileArn.Malformed", Code::InvalidRequest, Some("iam_instance_profile")),
    ("InvalidInput", Code::InvalidRequest, None),
    ("InvalidInstanceFamily", Code::InvalidRequest, Some("instance_type")),
    ("InvalidInstanceID.Malformed", Code::InvalidRequest, Some("instance_id")),
    ("InvalidInstanceType", Code::InvalidRequest, Some("instance_type")),
    ("InvalidKeyPair.NotFound", Code::InvalidRequest, Some("key_name")),
    ("InvalidLaunchTargets", Code::InvalidRequest, Some("capacity_reservation.id")),
    ("InvalidManifest", Code::InvalidRequest, Some("image_id")),
    ("InvalidMaxResults", Code::InvalidRequest, Some("limit")),
    ("InvalidNextToken", Code::InvalidRequest, Some("next_token")),
    ("InvalidPaginationToken", Code::InvalidRequest, Some("next_token")),
    ("InvalidParameter", Code::InvalidRequest, None),
    ("InvalidParameterCombination", Code::InvalidRequest, None),
    ("InvalidParameterDependency", Code::InvalidRequest, None),
    ("InvalidParameterValue", Code::InvalidRequest, None),
    ("InvalidPlacementGroup.Unknown", Code::InvalidRequest, Some("placement.group")),
    ("InvalidRequest", Code::InvalidRequest, None),
    ("InvalidSecurityGroupID.NotFound", Code::InvalidRequest, Some("security_group_ids")),
    ("InvalidSecurityGroupId.Malformed", Code::InvalidRequest, Some("security_group_ids")),
    ("InvalidSubnet", Code::InvalidRequest, Some("subnet_id")),
    ("InvalidSubnetID.Malformed", Code::InvalidRequest, Some("subnet_id")),
    ("InvalidSubnetID.NotFound", Code::InvalidRequest, Some("subnet_id")),
    ("InvalidSubnetId.NotFound", Code::InvalidRequest, Some("subnet_id")),
    ("InvalidTagKey.Malformed", Code::InvalidRequest, Some("tags")),
    ("InvalidTenancy", Code::InvalidRequest, Some("placement.tenancy")),
    ("InvalidUserID.Malformed", Code::InvalidRequest, Some("owner")),
    ("InvalidZone.NotFound", Code::InvalidRequest, Some("placement.availability_zone")),
    ("MissingInput", Code::InvalidRequest, Some("subnet_id")),
    ("MissingParameter", Code::InvalidRequest, None),
    ("Resource.AlreadyAssigned", Code::InvalidRequest, Some("private_ip")),
    ("SecurityGroupLimitExceeded", Code::InvalidRequest, Some("security_group_ids")),
    ("SecurityGroupsPerInstanceLimitExceeded", Code::InvalidRequest, Some("security_group_ids")),
    ("SecurityGroupsPerInterfaceLimitExceeded", Code::InvalidRequest, Some("security_group_ids")),
    ("TagLimitExceeded", Code::InvalidRequest, Some("tags")),
    ("TagPolicyViolation", Code::InvalidRequest, Some("tags")),
    ("UnknownVolumeType", Code::InvalidRequest, None),
    // EC2 uses it for a combination that can never work, such as a type that the subnet's zone does not offer.
    ("Unsupported", Code::InvalidRequest, None),
    ("UnsupportedException", Code::InvalidRequest, Some("capacity_reservation")),
    ("UnsupportedHostConfiguration", Code::InvalidRequest, Some("placement.host_id")),
    ("UnsupportedInstanceTypeOnHost", Code::InvalidRequest, Some("instance_type")),
    ("UnsupportedTenancy", Code::InvalidRequest, Some("placement.tenancy")),
    ("VPCIdNotSpecified", Code::InvalidRequest, Some("subnet_id")),
    ("VPCResourceNotSpecified", Code::InvalidRequest, Some("subnet_id")),
    ("VolumeIOPSLimit", Code::InvalidRequest, None),
    ("VolumeTypeNotAvailableInZone", Code::InvalidRequest, None),
    ("ZonesMismatched", Code::InvalidRequest, Some("placement.host_id")),
    ("AccessDenied", Code::MissingPermission, None),
    ("AccessDeniedException", Code::MissingPermission, None),
    ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", Code::MissingPermission, None),
    ("NotAuthorized", Code::MissingPermission, None),
    ("UnauthorizedOperation", Code::MissingPermission, None),
    ("OptInRequired", Code::SubscriptionRequired, None),
    ("AccountDisabled", Code::AccountNotActive, None),
    ("Blocked", Code::AccountNotActive, None),
    ("PendingVerification", Code::AccountNotActive, None),
    ("InvalidInstanceID.NotFound", Code::InstanceNotFound, None),
    ("InvalidAMIID.NotFound", Code::ImageNotFound, None),
    ("InvalidAMIID.Unavailable", Code::ImageNotFound, None),
    ("InvalidSnapshot.NotFound", Code::ImageNotFound, None),
    ("ParameterNotFound", Code::ImageNotFound, None),
    ("ParameterVersionNotFound", Code::ImageNotFound, None),
    ("IncorrectInstanceState", Code::IncorrectState, None),
    ("IncorrectSpotRequestState", Code::IncorrectState, None),
    ("IncorrectState", Code::IncorrectState, None),
    ("InvalidInstanceState", Code::IncorrectState, None),
    ("InvalidState", Code::IncorrectState, None),
    ("UnsupportedHibernationConfiguration", Code::IncorrectState, None),
    ("UnsupportedOperation", Code::IncorrectState, None),
    ("IdempotentInstanceTerminated", Code::IdempotencyMismatch, None),
    ("IdempotentParameterMismatch", Code::IdempotencyMismatch, None),
    ("CustomerKeyHasBeenRevoked", Code::OperationNotPermitted, None),
    ("OperationNotPermitted", Code::OperationNotPermitted, None),
    ("InstanceLimitExceeded", Code::QuotaExceeded, None),
    ("MaxIOPSLimitExceeded", Code::QuotaExceeded, None),
    ("MaxSpotInstanceCountExceeded", Code::QuotaExceeded, None),
    ("NetworkInterfaceLimitExceeded", Code::QuotaExceeded, None),
    ("RequestResourceCountExceeded", Code::QuotaExceeded, None),
    ("ResourceCountExceeded", Code::QuotaExceeded, None),
    ("ResourceLimitExceeded", Code::QuotaExceeded, None),
    ("VcpuLimitExceeded", Code::QuotaExceeded, None),
    ("VolumeLimitExceeded", Code::QuotaExceeded, None),
    // EC2 takes one change of a resource's tags at a time.
    ("ConcurrentTagAccess", Code::Throttled, None),
    ("EC2ThrottledException", Code::Throttled, None),
    ("RequestLimitExceeded", Code::Throttled, None),
    ("Throttling", Code::Throttled, None),
    ("ThrottlingException", Code::Throttled, None),
    ("AuthFailure", Code::AwsCredentialsInvalid, None),
    ("ExpiredToken", Code::AwsCredentialsInvalid, None),
    ("ExpiredTokenException", Code::AwsCredentialsInvalid, None),
    ("IncompleteSignature", Code::AwsCredentialsInvalid, None),
    ("IncompleteSignatureException", Code::AwsCredentialsInvalid, None),
    ("InvalidClientTokenId", Code::AwsCredentialsInvalid, None),
    ("InvalidSecurity.RequestHasExpired", Code::AwsCredentialsInvalid, None),
    ("InvalidSignatureException", Code::AwsCredentialsInvalid, None),
    ("MissingAuthenticationToken", Code::AwsCredentialsInvalid, None),
    ("MissingAuthenticationTokenException", Code::AwsCredentialsInvalid, None),
    ("RequestExpired", Code::AwsCredentialsInvalid, None),
    ("SignatureDoesNotMatch", Code::AwsCredentialsInvalid, None),
    ("UnrecognizedClientException", Code::AwsCredentialsInvalid, None),
    ("IncompatibleHostRequirements", Code::InsufficientCapacity, None),
    ("InsufficientAddressCapacity", Code::InsufficientCapacity, None),
    ("InsufficientCapacity", Code::InsufficientCapacity, None),
    ("InsufficientCapacityOnHost", Code::InsufficientCapacity, None),
    ("InsufficientFreeAddressesInSubnet", Code::InsufficientCapacity, None),
    ("InsufficientHostCapacity", Code::InsufficientCapacity, None),
    ("InsufficientInstanceCapacity", Code::InsufficientCapacity, None),
    ("InsufficientReservedInstanceCapacity", Code::InsufficientCapacity, None),
    ("InsufficientReservedInstancesCapacity", Code::InsufficientCapacity, None),
    ("InsufficientVolumeCapacity", Code::InsufficientCapacity, None),
    ("ReservationCapacityExceeded", Code::InsufficientCapacity, None),
    ("SpotMaxPriceTooLow", Code::InsufficientCapacity, None),
    ("UnavailableHostRequirements", Code::InsufficientCapacity, None),
    ("UnfulfillableCapacity", Code::InsufficientCapacity, None),
    ("RequestTimeoutException", Code::AwsTimeout, None),
];

/// How AWS named its refusal: what its support and its logs go by.
#[derive(Debug, Clone)]
pub struct AwsAnswer {
    /// The error code, for example `UnauthorizedOperation`; none if the answer could not be read.
    pub code: Option<String>,
    /// The request id.
    pub request_id: Option<String>,
}

/// What AWS denied, as far as it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The IAM action; AWS's word for it, else the one that the call is known to need.
    pub action: String,
    /// The ARN that it was denied on.
    pub resource: Option<String>,
    /// Whether a policy is missing or one stands in the way.
    pub by: Option<DeniedBy>,
}

/// Which of the two ways to be denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeniedBy {
    /// No policy allows it: one must be added or widened.
    NoAllow,
    /// A policy denies it: no added permission helps.
    ExplicitDeny,
}

/// Why a request was not carried out. [`crate::api::http`] writes it as RFC 9457 `application/problem+json`.
#[derive(Debug, Clone)]
pub struct Error {
    /// What went wrong.
    pub code: Code,
    /// One sentence for the caller: no credential, no debug dump, no stack.
    pub detail: String,
    /// Whether the same request can succeed later.
    pub retryable: bool,
    /// For [`Code::InvalidRequest`]: each bad field with the reason.
    pub fields: Invalid,
    /// AWS's own words, if AWS answered.
    pub aws: Option<Box<AwsAnswer>>,
    /// For [`Code::MissingPermission`]: what was denied.
    pub denial: Option<Box<Denial>>,
    /// Seconds after which another try makes sense.
    pub retry_after_seconds: Option<u32>,
}

impl AwsAnswer {
    fn boxed(code: Option<&str>, request_id: Option<&str>) -> Option<Box<Self>> {
        Some(Box::new(Self { code: code.map(str::to_owned), request_id: request_id.map(str::to_owned) }))
    }
}

impl Error {
    /// An error of our own making: AWS was not asked, or its answer was no error.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retryable: code.retryable(),
            fields: Invalid::default(),
            aws: None,
            denial: None,
            retry_after_seconds: code.retry_after_seconds(),
        }
    }

    /// The same error, marked as worth a retry: what stands in the way passes by itself.
    #[must_use]
    pub fn passing(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// Whether AWS may have carried out what this error is about.
    #[must_use]
    pub fn leaves_open(&self) -> bool {
        self.code == Code::AwsTimeout || (self.code == Code::AwsError && self.retryable)
    }

    /// One line for a human and for health checks: the code, AWS's own code, the permission, the reason.
    #[must_use]
    pub fn summary(&self) -> String {
        match (self.missing_permission(), self.aws_code()) {
            (Some(action), _) => format!("missing permission {action}: {}", self.detail),
            (None, Some(aws_code)) => format!("{aws_code}: {}", self.detail),
            (None, None) => self.detail.clone(),
        }
    }

    /// The IAM action that was denied, for [`Code::MissingPermission`].
    #[must_use]
    pub fn missing_permission(&self) -> Option<&str> {
        self.denial.as_ref().map(|denial| denial.action.as_str())
    }

    /// AWS's own error code, if AWS answered with one.
    #[must_use]
    pub fn aws_code(&self) -> Option<&str> {
        self.aws.as_ref()?.code.as_deref()
    }
}

impl From<Invalid> for Error {
    fn from(fields: Invalid) -> Self {
        Self { fields: fields.clone(), ..Self::new(Code::InvalidRequest, fields.to_string()) }
    }
}

/// The IAM action behind an SDK call, named by the call's error type. AWS does not always say which one it denied.
pub trait Denied {
    /// For example `ec2:StartInstances`.
    const ACTION: &'static str;
}

/// Ties each error type to its action: an SDK call without a row here does not compile with `?`.
macro_rules! actions {
    ($($error:path => $action:literal),+ $(,)?) => {
        $(impl Denied for $error { const ACTION: &'static str = $action; })+
    };
}

actions! {
    aws_sdk_ec2::operation::create_tags::CreateTagsError => "ec2:CreateTags",
    aws_sdk_ec2::operation::delete_tags::DeleteTagsError => "ec2:DeleteTags",
    aws_sdk_ec2::operation::describe_images::DescribeImagesError => "ec2:DescribeImages",
    aws_sdk_ec2::operation::describe_instance_status::DescribeInstanceStatusError => "ec2:DescribeInstanceStatus",
    aws_sdk_ec2::operation::describe_instances::DescribeInstancesError => "ec2:DescribeInstances",
    aws_sdk_ec2::operation::describe_regions::DescribeRegionsError => "ec2:DescribeRegions",
    aws_sdk_ec2::operation::describe_tags::DescribeTagsError => "ec2:DescribeTags",
    aws_sdk_ec2::operation::run_instances::RunInstancesError => "ec2:RunInstances",
    aws_sdk_ec2::operation::start_instances::StartInstancesError => "ec2:StartInstances",
    aws_sdk_ec2::operation::stop_instances::StopInstancesError => "ec2:StopInstances",
    aws_sdk_ec2::operation::terminate_instances::TerminateInstancesError => "ec2:TerminateInstances",
    aws_sdk_cloudwatch::operation::get_metric_statistics::GetMetricStatisticsError => "cloudwatch:GetMetricStatistics",
    aws_sdk_ssm::operation::get_parameter::GetParameterError => "ssm:GetParameter",
}

impl<E> From<SdkError<E, HttpResponse>> for Error
where
    E: Denied + ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        match &error {
            SdkError::ServiceError(answer) => {
                answered(answer.err(), answer.raw().status().as_u16(), error.request_id())
            }
            SdkError::TimeoutError(_) => timeout(E::ACTION),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => timeout(E::ACTION),
            SdkError::ResponseError(_) => unreadable(E::ACTION, error.request_id()),
            _ if no_credentials(&error) => {
                Self::new(Code::AwsCredentialsInvalid, "The function has no usable AWS credentials")
            }
            _ => {
                let detail = format!("The connection to AWS failed during {}; it may have been carried out", E::ACTION);
                Self::new(Code::AwsError, detail).passing()
            }
        }
    }
}

/// Reads an error that AWS answered with.
fn answered<E: Denied + ProvideErrorMetadata>(error: &E, status: u16, aws_request_id: Option<&str>) -> Error {
    // An answer without a code is no error of EC2's: a truncated document, a proxy's HTML page.
    let Some(aws_code) = error.code() else { return unreadable(E::ACTION, aws_request_id) };
    let message = error.message().unwrap_or("AWS gave no message");
    let (code, field) = read_code(E::ACTION, aws_code, message);
    let action = if aws_code == FIRST_SPOT_LAUNCH { "iam:CreateServiceLinkedRole" } else { E::ACTION };
    let denial = (code == Code::MissingPermission).then(|| Box::new(Denial::read(message, action)));
    let remedy = denial.as_ref().filter(|denial| denial.action == "iam:PassRole").map_or("", |_| PASSABLE_ROLES);
    let detail = match code {
        // Of a wrong signature AWS quotes the request that it signed itself, session token included.
        Code::AwsCredentialsInvalid => format!("AWS does not accept the function's credentials for {}", E::ACTION),
        _ if quotes_a_signed_request(message) => {
            format!("AWS refuses {} in words that quote the signed request", E::ACTION)
        }
        _ => format!("{}{remedy}", without_encoded_message(message)),
    };
    Error {
        retryable: code.retryable() || passes_by_itself(aws_code, message) || (code == Code::AwsError && status >= 500),
        fields: field.map(|field| Invalid::field(field, &detail)).unwrap_or_default(),
        aws: AwsAnswer::boxed(Some(aws_code), aws_request_id),
        denial,
        ..Error::new(code, detail)
    }
}

/// What a refused instance profile lacks most often. AWS's message shows the role's ARN, and the path in it is easily missed.
const PASSABLE_ROLES: &str = " The deployment's PolicyMode=hardened lets a worker have a role whose name begins with \
                              WorkerRoleName and which has no path; the other modes let it have none.";

/// Whether an AWS error code says that nothing was done: any that is known, and none of a failure.
pub(crate) fn is_refusal(aws_code: &str) -> bool {
    known(aws_code).0 != Code::AwsError
}

/// Whether an AWS error code means that there is no capacity right now.
pub(crate) fn is_about_capacity(aws_code: &str) -> bool {
    known(aws_code).0 == Code::InsufficientCapacity
}

/// The account's first Spot launch makes a role of EC2's, and may not.
const FIRST_SPOT_LAUNCH: &str = "AuthFailure.ServiceLinkedRoleCreationNotPermitted";

/// Of an account that waits for its verification EC2 says that it takes minutes, and four hours at most; of a Spot request
/// that follows a stop, about two minutes; of an instance that was started just now, that it cannot hibernate yet.
fn passes_by_itself(aws_code: &str, message: &str) -> bool {
    match aws_code {
        "PendingVerification" => true,
        "IncorrectSpotRequestState" => message.contains("not in an appropriate state"),
        "UnsupportedOperation" => is_too_early_to_hibernate(message),
        _ => false,
    }
}

/// Whether EC2 says that the instance can be hibernated, but not right now.
pub(crate) fn is_too_early_to_hibernate(message: &str) -> bool {
    message.contains("not ready to hibernate")
}

/// What an AWS error code means, where it means different things of different calls.
fn read_code(action: &str, aws_code: &str, message: &str) -> (Code, Option<&'static str>) {
    match (known(aws_code), aws_code) {
        // Wrong credentials, or an image of another account that was never shared.
        (_, "AuthFailure") if message.to_ascii_lowercase().contains("not authorized for images") => {
            (Code::MissingPermission, None)
        }
        // A launch has no instance state yet: EC2 means that the image or type cannot do what is asked.
        (_, "UnsupportedOperation") if action == "ec2:RunInstances" => (Code::InvalidRequest, None),
        // The whole question to CloudWatch is ours, so that its refusal is no fault of the caller.
        ((Code::InvalidRequest, _), _) if action.starts_with("cloudwatch:") => (Code::AwsError, None),
        (meaning, _) => meaning,
    }
}

/// Looks an AWS error code up in [`AWS_CODES`].
fn known(aws_code: &str) -> (Code, Option<&'static str>) {
    let found = AWS_CODES.iter().find(|(known, _, _)| *known == aws_code);
    found.map_or((Code::AwsError, None), |(_, code, field)| (*code, *field))
}

impl Denial {
    /// Reads AWS's sentence "User: … is not authorized to perform: ec2:RunInstances on resource: arn:… because no
    /// identity-based policy allows the ec2:RunInstances action", of which older answers have nothing.
    fn read(message: &str, action: &str) -> Self {
        let word_after = |words: &str| {
            let (_, after) = message.split_once(words)?;
            after.split([' ', ',']).next().filter(|word| word.contains(':'))
        };
        Self {
            action: word_after("not authorized to perform: ").unwrap_or(action).to_owned(),
            resource: word_after("on resource: ").map(str::to_owned),
            by: DeniedBy::read(message),
        }
    }
}

impl DeniedBy {
    fn read(message: &str) -> Option<Self> {
        if message.contains("with an explicit deny") {
            Some(Self::ExplicitDeny)
        } else if message.contains("because no ") && message.contains(" policy allows") {
            Some(Self::NoAllow)
        } else {
            None
        }
    }
}

/// Whether AWS's words hold what a request is signed with: no code says so for sure.
fn quotes_a_signed_request(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["x-amz-security-token", "aws4-hmac-sha256", "canonical string", "credential="]
        .iter()
        .any(|part| message.contains(part))
}

/// EC2 appends kilobytes that only `sts:DecodeAuthorizationMessage` can read; no caller can.
fn without_encoded_message(message: &str) -> &str {
    message.split(" Encoded authorization failure message:").next().unwrap_or(message)
}

/// An answer without what it should have.
pub(crate) fn unreadable(action: &str, aws_request_id: Option<&str>) -> Error {
    let detail = format!("The answer to {action} could not be read; it may have been carried out");
    Error { aws: AwsAnswer::boxed(None, aws_request_id), ..Error::new(Code::AwsError, detail).passing() }
}

pub(crate) fn timeout(action: &str) -> Error {
    Error::new(Code::AwsTimeout, format!("AWS gave no answer to {action} in time; it may still be carried out"))
}

/// Whether the SDK failed before it could sign: it reports that as a dispatch failure with this cause.
fn no_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|cause| cause.is::<aws_credential_types::provider::error::CredentialsError>())
}

#[cfg(test)]
mod tests;
