//! RFC 9457: an error as callers read it.

use serde::{Serialize, Serializer};

use super::{Code, DeniedBy, Error};
use crate::input::FieldError;

/// An error in the form of RFC 9457: its members `type`, `title`, `status` and `detail`, followed by our own members.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem<'a> {
    #[serde(serialize_with = "problem_type")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^urn:cml:problem:[a-z_]+$"))]
    r#type: Code,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: Code,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_id: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    aws_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    aws_request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    missing_permission: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    denied_resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    denied_by: Option<DeniedBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    retry_after_seconds: Option<u32>,
}

impl<'a> Problem<'a> {
    pub(crate) fn new(request_id: &'a str, error: &'a Error) -> Self {
        let (status, title) = status_and_title(error.code);
        let errors = error.fields.errors();
        Self {
            r#type: error.code,
            title,
            status,
            detail: &error.detail,
            code: error.code,
            request_id,
            retryable: error.retryable,
            aws_code: error.aws_code(),
            aws_request_id: error.aws.as_ref().and_then(|aws| aws.request_id.as_deref()),
            missing_permission: error.missing_permission(),
            denied_resource: error.denial.as_ref().and_then(|denial| denial.resource.as_deref()),
            denied_by: error.denial.as_ref().and_then(|denial| denial.by),
            field: errors.first().map(|error| error.field.as_str()),
            errors,
            retry_after_seconds: error.retry_after_seconds,
        }
    }
}

fn problem_type<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    let name = code_name(*code).map_err(serde::ser::Error::custom)?;
    serializer.collect_str(&format_args!("urn:cml:problem:{name}"))
}

/// The code as JSON spells it.
pub(crate) fn code_name(code: Code) -> Result<String, serde_json::Error> {
    serde_json::to_value(code).map(|name| name.as_str().unwrap_or_default().to_owned())
}

/// The HTTP status and the title of each code. The compiler checks that no code is missing.
#[must_use]
pub fn status_and_title(code: Code) -> (u16, &'static str) {
    match code {
        Code::InvalidRequest => (400, "Invalid request"),
        Code::PayloadTooLarge => (413, "Payload too large"),
        Code::MissingPermission => (403, "Missing permission"),
        Code::SubscriptionRequired => (403, "Subscription required"),
        Code::AccountNotActive => (403, "Account not active"),
        Code::NotManaged => (403, "Instance not managed"),
        Code::RegionNotAllowed => (403, "Region not allowed"),
        Code::InstanceTypeNotAllowed => (403, "Instance type not allowed"),
        Code::InstanceNotFound => (404, "Instance not found"),
        Code::ImageNotFound => (404, "Image not found"),
        Code::IncorrectState => (409, "Incorrect state"),
        Code::IdempotencyMismatch => (409, "Idempotency mismatch"),
        Code::OperationNotPermitted => (409, "Operation not permitted"),
        // The request is well-formed and would be carried out with another quota.
        Code::QuotaExceeded => (422, "Quota exceeded"),
        Code::Throttled => (429, "Throttled by AWS"),
        // API Gateway has accepted the caller's own credentials, so the invalid ones are the function's.
        Code::AwsCredentialsInvalid => (500, "AWS credentials invalid"),
        Code::AwsError => (502, "AWS error"),
        Code::InsufficientCapacity => (503, "Insufficient capacity"),
        Code::AwsTimeout => (504, "AWS timeout"),
    }
}
