"""What a launch gives."""

from dataclasses import dataclass, field

from integration.enums import AwsRegion


@dataclass
class CMLWorkerInstanceDto:
    """A launched worker."""

    id: str
    aws_instance_id: str
    aws_region: AwsRegion
    instance_name: str
    ami_id: str
    instance_type: str
    security_group_ids: list[str]
    subnet_id: str
    ami_name: str | None
    instance_state: str | None = None
    public_ip: str | None = None
    private_ip: str | None = None
    key_pair_name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
