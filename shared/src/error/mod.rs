//! The one error of all layers: why a request was not carried out.

pub mod problem;

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

/// Why a request was not carried out. [`problem::Problem`] writes it as RFC 9457 `application/problem+json`.
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
    pub(crate) fn boxed(code: Option<&str>, request_id: Option<&str>) -> Option<Box<Self>> {
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
    pub fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// Whether AWS may have carried out what this error is about.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
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
