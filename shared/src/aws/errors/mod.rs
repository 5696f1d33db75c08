//! Reads AWS's answer to a call that was refused or failed.
//!
//! EC2 models no exceptions: each operation error is `Unhandled`, and only its code tells it from the others. So one
//! generic `From<SdkError>` serves all SDKs, and [`AWS_CODES`](crate::aws::error_codes::AWS_CODES) is a table that is
//! tested row by row.

use aws_sdk_ec2::config::http::HttpResponse;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;

use crate::aws::error_codes::known;
use crate::error::{AwsAnswer, Code, Denial, DeniedBy, Error};
use crate::input::Invalid;

/// The IAM action of an SDK call, tied to the call's error type, because AWS does not always say which action it denied.
pub trait IamAction {
    /// The name of the action, for example `ec2:StartInstances`.
    const NAME: &'static str;
}

/// Ties each error type to its action. With `?`, an SDK call without a row here does not compile.
macro_rules! actions {
    ($($error:path => $action:literal),+ $(,)?) => {
        $(impl IamAction for $error { const NAME: &'static str = $action; })+
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
    aws_sdk_eventbridge::operation::put_events::PutEventsError => "events:PutEvents",
    aws_sdk_ssm::operation::get_parameter::GetParameterError => "ssm:GetParameter",
}

impl<E> From<SdkError<E, HttpResponse>> for Error
where
    E: IamAction + ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        match &error {
            SdkError::ServiceError(answer) => {
                answered(answer.err(), answer.raw().status().as_u16(), error.request_id())
            }
            SdkError::TimeoutError(_) => timeout(E::NAME),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => timeout(E::NAME),
            SdkError::ResponseError(_) => unreadable(E::NAME, error.request_id()),
            _ if no_credentials(&error) => {
                Self::new(Code::AwsCredentialsInvalid, "The function has no usable AWS credentials")
            }
            _ => {
                let detail =
                    format!("The connection to AWS failed during {}: AWS may have carried out the call", E::NAME);
                Self::new(Code::AwsError, detail).retryable()
            }
        }
    }
}

/// Reads an error that AWS answered with.
fn answered<E: IamAction + ProvideErrorMetadata>(error: &E, status: u16, aws_request_id: Option<&str>) -> Error {
    // An answer without a code is no error of EC2, but a truncated document or a proxy's HTML page.
    let Some(aws_code) = error.code() else { return unreadable(E::NAME, aws_request_id) };
    let message = error.message().unwrap_or("AWS gave no message");
    let (code, field) = read_code(E::NAME, aws_code, message);
    let action = if aws_code == FIRST_SPOT_LAUNCH { "iam:CreateServiceLinkedRole" } else { E::NAME };
    let denial = (code == Code::MissingPermission).then(|| Box::new(Denial::read(message, action)));
    let remedy = denial.as_ref().filter(|denial| denial.action == "iam:PassRole").map_or("", |_| PASSABLE_ROLES);
    let detail = match code {
        // If the signature is wrong, AWS quotes the request that it signed itself, with the session token.
        Code::AwsCredentialsInvalid => format!("AWS does not accept the function's credentials for {}", E::NAME),
        _ if quotes_a_signed_request(message) => {
            format!(
                "AWS refuses {}, and its message is not repeated here because the message quotes the signed request",
                E::NAME
            )
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

/// The rule that a refused instance profile breaks most often. AWS's message shows the role's ARN, and its path is easily
/// missed.
const PASSABLE_ROLES: &str = " With PolicyMode=hardened a worker may have a role whose name begins with WorkerRoleName and \
                              which has no path; with the other modes a worker must not have a role.";

/// The code of the account's first Spot launch if it may not create the role that EC2 needs for Spot.
const FIRST_SPOT_LAUNCH: &str = "AuthFailure.ServiceLinkedRoleCreationNotPermitted";

/// Whether the refusal passes by itself. EC2 says that an account's verification takes minutes, and at most four hours; that a
/// Spot request needs about two minutes after a stop; and that an instance that was started just now cannot hibernate yet.
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

/// The meaning of an AWS error code, which can depend on the call.
fn read_code(action: &str, aws_code: &str, message: &str) -> (Code, Option<&'static str>) {
    match (known(aws_code), aws_code) {
        // This code means wrong credentials, or an image of another account that was never shared.
        (_, "AuthFailure") if message.to_ascii_lowercase().contains("not authorized for images") => {
            (Code::MissingPermission, None)
        }
        // A launch has no instance state yet: EC2 means that the image or type cannot do what is asked.
        (_, "UnsupportedOperation") if action == "ec2:RunInstances" => (Code::InvalidRequest, None),
        // The request to CloudWatch has nothing from the caller, so a refusal is not the caller's fault.
        ((Code::InvalidRequest, _), _) if action.starts_with("cloudwatch:") => (Code::AwsError, None),
        (meaning, _) => meaning,
    }
}

impl Denial {
    /// Reads AWS's sentence "User: … is not authorized to perform: ec2:RunInstances on resource: arn:… because no
    /// identity-based policy allows the ec2:RunInstances action". Older answers do not have it.
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

/// Whether AWS's message quotes parts of a signed request. No error code tells that for sure.
fn quotes_a_signed_request(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["x-amz-security-token", "aws4-hmac-sha256", "canonical string", "credential="]
        .iter()
        .any(|part| message.contains(part))
}

/// Cuts off the kilobytes that EC2 appends. Only `sts:DecodeAuthorizationMessage` can read them, and callers cannot.
fn without_encoded_message(message: &str) -> &str {
    message.split(" Encoded authorization failure message:").next().unwrap_or(message)
}

/// The error for an answer that lacks something it should have.
pub(crate) fn unreadable(action: &str, aws_request_id: Option<&str>) -> Error {
    let detail = format!("The answer to {action} could not be read: AWS may have carried out the call");
    Error { aws: AwsAnswer::boxed(None, aws_request_id), ..Error::new(Code::AwsError, detail).retryable() }
}

pub(crate) fn timeout(action: &str) -> Error {
    Error::new(Code::AwsTimeout, format!("AWS gave no answer to {action} in time: the call may still be carried out"))
}

/// Whether the SDK failed because it had no credentials to sign with. It reports that as a dispatch failure with this cause.
fn no_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|cause| cause.is::<aws_credential_types::provider::error::CredentialsError>())
}

#[cfg(test)]
mod tests;
