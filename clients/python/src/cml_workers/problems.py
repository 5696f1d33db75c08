"""What can go wrong, as exceptions. Each problem document of the API is one of `ProblemError`, with its members."""

from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from cml_workers.api.models.field_error import FieldError


class WorkersError(Exception):
    """Every error of this package."""

    idempotency_key: str | None = None
    """Of a launch that failed: the same launch with this key launches no second worker."""


class CredentialsError(WorkersError):
    """There are no credentials to sign with, or they cannot be renewed."""


class NoAnswerError(WorkersError):
    """No answer came. What was asked for may have been done."""


class UnexpectedAnswerError(WorkersError):
    """Something else than the API answered, or a version of it that this package cannot read."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text

    def __str__(self) -> str:
        return f"the answer ({self.status}) is not one of this API, or of a later version: {self.text or 'it is empty'}"


class NotReachedError(WorkersError):
    """A worker did not reach the state that was waited for, in time or at all."""

    def __init__(self, instance_id: str, until: str, state: str | None, reason: str) -> None:
        super().__init__(instance_id, until, state, reason)
        self.instance_id = instance_id
        self.until = until
        self.state = state
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.instance_id} is {self.state or 'in no known state'} and not {self.until}: {self.reason}"


class ProblemError(WorkersError):
    """A problem document (RFC 9457). Its class says which; a code that this version does not know has this class."""

    _of_code: ClassVar[dict[str, type["ProblemError"]]] = {}

    def __init_subclass__(cls, code: str | None = None) -> None:
        if code:
            ProblemError._of_code.setdefault(code, cls)

    @staticmethod
    def of(document: Mapping[str, Any], status: int, instance_id: str | None = None) -> "ProblemError":
        """The exception for a document. `status` is the answer's own: one document of API Gateway cannot name it."""
        return ProblemError._of_code.get(document["code"], ProblemError)(document, status, instance_id)

    def __init__(self, document: Mapping[str, Any], status: int, instance_id: str | None = None) -> None:
        """Reads the members of the document; those that it does not have are None."""
        super().__init__(document, status, instance_id)
        self.document = document
        self.instance_id = instance_id
        """Of a call for many instances: the one that this is about."""
        self.code: str = document["code"]
        self.title: str = document["title"]
        self.status: int = document.get("status", status)
        self.detail: str = document["detail"]
        self.type: str = document["type"]
        self.retryable: bool = document["retryable"]
        self.request_id: str | None = document.get("request_id")
        self.aws_code: str | None = document.get("aws_code")
        self.aws_request_id: str | None = document.get("aws_request_id")
        self.missing_permission: str | None = document.get("missing_permission")
        self.denied_resource: str | None = document.get("denied_resource")
        self.denied_by: str | None = document.get("denied_by")
        self.field: str | None = document.get("field")
        self.errors = [FieldError.from_dict(error) for error in document.get("errors", [])]
        self.retry_after_seconds: int | None = document.get("retry_after_seconds")

    def __str__(self) -> str:
        return self.detail


class InvalidRequestError(ProblemError, code="invalid_request"):
    """A field is wrong: `field` and `errors` name it."""


class PayloadTooLargeError(ProblemError, code="payload_too_large"):
    """The body is over the limit."""


class MissingPermissionError(ProblemError, code="missing_permission"):
    """The API's role, or the caller, lacks the IAM action in `missing_permission`."""


class SubscriptionRequiredError(ProblemError, code="subscription_required"):
    """The account has not subscribed to the image's product, or to EC2."""


class AccountNotActiveError(ProblemError, code="account_not_active"):
    """AWS does not serve the account, or not yet."""


class NotManagedError(ProblemError, code="not_managed"):
    """The instance does not carry the ownership tag. `cml-workers adopt` sets it."""


class RegionNotAllowedError(ProblemError, code="region_not_allowed"):
    """The deployment does not serve the region."""


class InstanceTypeNotAllowedError(ProblemError, code="instance_type_not_allowed"):
    """The deployment does not allow the instance type."""


class InstanceNotFoundError(ProblemError, code="instance_not_found"):
    """There is no such instance in the region."""


class ImageNotFoundError(ProblemError, code="image_not_found"):
    """There is no such available image in the region."""


class IncorrectStateError(ProblemError, code="incorrect_state"):
    """The state of the instance does not allow it."""


class IdempotencyMismatchError(ProblemError, code="idempotency_mismatch"):
    """The key belongs to another request, or what it launched is gone."""


class OperationNotPermittedError(ProblemError, code="operation_not_permitted"):
    """Termination protection, or a KMS key that was revoked."""


class QuotaExceededError(ProblemError, code="quota_exceeded"):
    """A quota of the account, or the deployment's `MaxWorkers`."""


class ThrottledError(ProblemError, code="throttled"):
    """Too many calls, longer than this package tried."""


class AwsCredentialsInvalidError(ProblemError, code="aws_credentials_invalid"):
    """AWS refuses the function's credentials."""


class AwsError(ProblemError, code="aws_error"):
    """AWS failed, or said something that the API has no code for."""


class InsufficientCapacityError(ProblemError, code="insufficient_capacity"):
    """AWS has no capacity for the instance type right now."""


class AwsTimeoutError(ProblemError, code="aws_timeout"):
    """AWS did not answer in time. What was asked for may have been done."""


class MissingAuthenticationTokenError(ProblemError, code="missing_authentication_token"):
    """The call was not signed, or there is no such route."""


class InvalidSignatureError(ProblemError, code="invalid_signature"):
    """The signature is wrong: the key, its secret, the region or the clock."""


class ExpiredTokenError(ProblemError, code="expired_token"):
    """The caller's credentials have expired, and the sources of credentials have no others."""


class UnauthorizedError(ProblemError, code="unauthorized"):
    """API Gateway does not accept the caller's credentials."""


class RequestFilteredError(ProblemError, code="request_filtered"):
    """A web application firewall refused the call."""


class RequestRefusedError(ProblemError, code="request_refused"):
    """API Gateway refused the call."""


class RouteNotFoundError(ProblemError, code="route_not_found"):
    """The API has no such route."""


def raise_refused(response: httpx.Response) -> None:
    """Raises what a read answer says has gone wrong; health also answers a failure with its usual document."""
    if not response.is_error:
        return
    try:
        document = response.json()
        if "checks" in document:
            return
        if response.headers.get("content-type", "").partition(";")[0] == "application/problem+json":
            seconds = response.headers.get("retry-after", "")
            document = ({"retry_after_seconds": int(seconds)} if seconds.isdecimal() else {}) | document
            raise ProblemError.of(document, response.status_code)
        # About a wrong signature API Gateway's own words go on with the canonical request, session token included.
        text = str(document["message"]).partition("The Canonical String")[0]
    except (KeyError, TypeError, ValueError):
        text = response.text
    raise UnexpectedAnswerError(response.status_code, text[:200])
