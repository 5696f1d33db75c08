//! The one error type of all layers: it says why a request was not carried out.

pub mod problem;

use serde::Serialize;

use crate::input::Invalid;

/// The code of the error, on which callers can branch.
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
    /// The account has not subscribed to what the request needs. No change of a policy helps.
    SubscriptionRequired,
    /// AWS does not serve the account yet, or does not serve it any more. No change of a policy helps.
    AccountNotActive,
    /// The instance does not carry the ownership tag.
    NotManaged,
    /// The region is not among `CML_ALLOWED_REGIONS`.
    RegionNotAllowed,
    /// The instance type matches none of `CML_ALLOWED_INSTANCE_TYPES`.
    InstanceTypeNotAllowed,
    /// The region has no such instance.
    InstanceNotFound,
    /// The region has no such image, or the image is not available.
    ImageNotFound,
    /// The instance is in a state that does not allow the call.
    IncorrectState,
    /// The idempotency key was used before with another request.
    IdempotencyMismatch,
    /// EC2 refuses the call for this instance, for example because of termination protection.
    OperationNotPermitted,
    /// A quota of the account is used up.
    QuotaExceeded,
    /// AWS throttles the call, even after the SDK's own retries.
    Throttled,
    /// AWS refuses the function's credentials.
    AwsCredentialsInvalid,
    /// AWS failed, or answered with an error that no other code stands for.
    AwsError,
    /// AWS has no capacity for the request right now.
    InsufficientCapacity,
    /// AWS did not answer within the deadline.
    AwsTimeout,
}

impl Code {
    /// Whether the same request can succeed later without anyone changing anything.
    #[must_use]
    pub fn retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::InsufficientCapacity | Self::AwsTimeout)
    }

    /// How long to wait before trying again, in seconds, where AWS documents an order of magnitude: EC2 refills its request
    /// buckets within seconds, and capacity comes back within minutes.
    fn retry_after_seconds(self) -> Option<u32> {
        match self {
            Self::Throttled => Some(5),
            Self::InsufficientCapacity => Some(60),
            _ => None,
        }
    }
}

/// How AWS names its refusal. AWS's support and logs identify it by these values.
#[derive(Debug, Clone)]
pub struct AwsAnswer {
    /// The error code, for example `UnauthorizedOperation`; none if the answer could not be read.
    pub code: Option<String>,
    /// AWS's id of the request.
    pub request_id: Option<String>,
}

/// What AWS denied, as far as its answer says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The IAM action: the one that AWS names, or else the one that the call is known to need.
    pub action: String,
    /// The ARN of the resource that the action was denied on.
    pub resource: Option<String>,
    /// Whether no policy allows the action, or a policy denies it.
    pub by: Option<DeniedBy>,
}

/// Why AWS denied an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeniedBy {
    /// No policy allows the action: a policy must be added or widened.
    NoAllow,
    /// A policy denies the action: no added permission helps.
    ExplicitDeny,
}

/// Why a request was not carried out. [`problem::Problem`] writes it as RFC 9457 `application/problem+json`.
#[derive(Debug, Clone)]
pub struct Error {
    /// What went wrong.
    pub code: Code,
    /// One sentence for the caller, without credentials, debug output or stack traces.
    pub detail: String,
    /// Whether the same request can succeed later.
    pub retryable: bool,
    /// For [`Code::InvalidRequest`]: each bad field with the reason.
    pub fields: Invalid,
    /// AWS's own error code and request id, if AWS answered.
    pub aws: Option<Box<AwsAnswer>>,
    /// For [`Code::MissingPermission`]: what was denied.
    pub denial: Option<Box<Denial>>,
    /// Seconds after which another try makes sense.
    pub retry_after_seconds: Option<u32>,
}

impl AwsAnswer {
    pub(crate) fn boxed(code: Option<&str>, request_id: Option<&str>) -> Option<Box<Self>> {
        Some(Box::new(Self { code: code.map(str::to_owned), request_id: request_id.map(str::to_owned) }))
    }
}

impl Error {
    /// An error that we found ourselves: AWS was not asked, or its answer was not an error.
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

    /// The same error, marked as worth a retry, because its cause goes away by itself.
    #[must_use]
    pub fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// Whether AWS may have carried out the call that ended with this error.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        self.code == Code::AwsTimeout || (self.code == Code::AwsError && self.retryable)
    }

    /// One line for people and for health checks: the missing permission or AWS's own code, if there is one, and the reason.
    #[must_use]
    pub fn summary(&self) -> String {
        match (self.missing_permission(), self.aws_code()) {
            (Some(action), _) => format!("the permission {action} is missing: {}", self.detail),
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
