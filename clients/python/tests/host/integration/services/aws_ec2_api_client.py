"""The module of the client that is replaced, with the types that stay."""

import datetime
from dataclasses import dataclass

from integration.enums import AwsRegion, Ec2InstanceResourcesUtilizationRelativeStartTime


@dataclass
class Ec2InstanceDescriptor:
    """An instance."""

    id: str
    type: str
    state: str
    image_id: str
    name: str
    launch_timestamp: datetime.datetime
    launch_time_relative: str
    public_ip: str | None = None
    private_ip: str | None = None


@dataclass
class Ec2InstanceResourcesUtilization:
    """How much of its CPU and memory an instance uses."""

    id: str
    region_name: AwsRegion
    relative_start_time: Ec2InstanceResourcesUtilizationRelativeStartTime
    avg_cpu_utilization: float | None
    avg_memory_utilization: float | None
    start_time: datetime.datetime
    end_time: datetime.datetime


@dataclass
class AmiDetails:
    """An image."""

    ami_id: str
    ami_name: str | None = None
    ami_description: str | None = None
    ami_creation_date: str | None = None


class AwsEc2Client:
    """Under this class the host looks for its client."""
