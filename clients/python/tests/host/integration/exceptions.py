"""The host's errors."""


class IntegrationException(Exception):  # noqa: N818 the host's name
    """All of them."""


class EC2AuthenticationException(IntegrationException):
    """Who calls may not."""


class EC2InstanceNotFoundException(IntegrationException):
    """There is no such instance."""


class EC2InvalidParameterException(IntegrationException):
    """An argument is wrong."""


class EC2QuotaExceededException(IntegrationException):
    """There is no more of it."""
