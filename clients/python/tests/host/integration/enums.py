"""Regions and windows, by the names that the host has for them."""

import datetime
from enum import Enum, StrEnum


class AwsRegion(StrEnum):
    """A region."""

    US_EAST_1 = "us-east-1"
    US_WEST_2 = "us-west-2"


class Ec2InstanceResourcesUtilizationRelativeStartTime(Enum):
    """How far to look back."""

    THIRTY_SEC_AGO = "30s"
    FIVE_MIN_AGO = "5m"
    TEN_MIN_AGO = "10m"

    @classmethod
    def to_timedelta(cls, value: str) -> datetime.timedelta:
        """The same as a duration."""
        return datetime.timedelta(seconds=int(value[:-1]) * {"s": 1, "m": 60}[value[-1]])
