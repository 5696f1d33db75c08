"""CML Cloud Manager's EC2 client on this API: without access keys, and without boto3.

Only in the process of CML Cloud Manager can this be imported: its enumerations, data classes and errors are the host's own.
docs/MIGRATION.md says what differs from the host's client, and why.
"""

import asyncio
import datetime
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import partial, wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

from integration.enums import AwsRegion, Ec2InstanceResourcesUtilizationRelativeStartTime
from integration.exceptions import (
    EC2AuthenticationException,
    EC2InstanceNotFoundException,
    EC2InvalidParameterException,
    EC2QuotaExceededException,
    IntegrationException,
)
from integration.models import CMLWorkerInstanceDto
from integration.services import aws_ec2_api_client as host
from integration.services.relative_time import relative_time

from cml_workers import CreateInstance, Workers, problems
from cml_workers.api.models import Health, Image, Instance
from cml_workers.api.types import UNSET

log = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

IDEMPOTENCY_KEY: ContextVar[str | None] = ContextVar("IDEMPOTENCY_KEY", default=None)
"""The key of the launch that this task makes, for the host's `create_instance` takes none; without it each call has its own."""

SECONDS_TO_START = 10.0
"""Seconds for the check at the start: of an API that does not answer, the host learns soon."""

DEADLINE = 60.0
"""Seconds for a call: the host's jobs come round every few minutes."""

MOST_AT_ONCE = 16
"""Calls at once. They have threads of their own, for in the event loop's the host also looks up names."""

STATES = ["pending", "running", "shutting-down", "terminated", "stopping", "stopped"]

KEPT = re.compile("aws:.*|managedby|createdby|idempotencyfingerprint|cml:(mark|acted|seen)", re.IGNORECASE)
"""Keys of tags that no caller can remove: AWS's own, and the API's."""

# The host's exception for each problem; for all others it is IntegrationException, as in the host's client.
EXCEPTIONS: dict[type[problems.WorkersError], type[Exception]] = {
    problems.InstanceNotFoundError: EC2InstanceNotFoundException,
    problems.QuotaExceededError: EC2QuotaExceededException,
    problems.InsufficientCapacityError: EC2QuotaExceededException,
    problems.ThrottledError: EC2QuotaExceededException,
    problems.InvalidRequestError: EC2InvalidParameterException,
    problems.ImageNotFoundError: EC2InvalidParameterException,
    problems.InstanceTypeNotAllowedError: EC2InvalidParameterException,
    problems.PayloadTooLargeError: EC2InvalidParameterException,
    problems.RegionNotAllowedError: EC2InvalidParameterException,
    problems.CredentialsError: EC2AuthenticationException,
    problems.AwsCredentialsInvalidError: EC2AuthenticationException,
    problems.MissingPermissionError: EC2AuthenticationException,
    problems.NotManagedError: EC2AuthenticationException,
    problems.SubscriptionRequiredError: EC2AuthenticationException,
    problems.AccountNotActiveError: EC2AuthenticationException,
    problems.MissingAuthenticationTokenError: EC2AuthenticationException,
    problems.InvalidSignatureError: EC2AuthenticationException,
    problems.ExpiredTokenError: EC2AuthenticationException,
    problems.UnauthorizedError: EC2AuthenticationException,
    problems.RequestFilteredError: EC2AuthenticationException,
    problems.RequestRefusedError: EC2AuthenticationException,
}


# How the host's client begins the text of each.
WORDS: dict[type[Exception], str] = {
    EC2AuthenticationException: "Authentication failed: ",
    EC2InstanceNotFoundException: "Instance not found: ",
    EC2QuotaExceededException: "AWS quota exceeded: ",
    EC2InvalidParameterException: "Invalid parameter: ",
}


def keyed(handle: Callable[..., Awaitable[T]], key: Callable[..., str]) -> Callable[..., Awaitable[T]]:
    """A method that launches, with the key that `key` makes of its arguments: the same launch again launches nothing."""

    @wraps(handle)
    async def handled(*args: Any, **kwargs: Any) -> T:
        token = IDEMPOTENCY_KEY.set(key(*args, **kwargs))
        try:
            return await handle(*args, **kwargs)
        finally:
            IDEMPOTENCY_KEY.reset(token)

    return handled


class AwsEc2Client:
    """The methods of the host's `AwsEc2Client`, with its arguments, results and exceptions."""

    def __init__(self, workers: Workers, image_owners: Sequence[str] = ("self",)) -> None:
        self._workers = workers
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="cml-workers")
        self._owners = [None if owner.strip() == "self" else owner.strip() for owner in image_owners]

    @property
    def aws_account_credentials(self) -> NoReturn:
        """There are none. Detailed monitoring is the one thing for which the host calls boto3 by itself."""
        raise IntegrationException(
            "there are no access keys: a launch through the API has detailed monitoring, and for other workers it is enabled"
            " with `aws ec2 monitor-instances`, which needs ec2:MonitorInstances"
        )

    async def _call(self, operation: str, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls the API in a thread, as the host's client calls boto3: the host has more than one event loop."""
        try:
            call = partial(copy_context().run, partial(method, *args, **kwargs))
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except problems.WorkersError as error:
            log.error("%s: %s", operation, error)
            exception = EXCEPTIONS.get(type(error), IntegrationException)
            raise exception(f"{operation} - {WORDS.get(exception, '')}{error}") from error

    async def health(self) -> bool:
        """Whether the API reaches EC2."""
        return _reached(await self._call("Verify access to EC2", self._workers.health))

    def _images(self, region: AwsRegion, name: str | None = None, image_id: list[str] | None = None) -> Iterator[Image]:
        for owner in self._owners:
            yield from self._workers.get_ami_ids_by_name(name, image_id=image_id, owner=owner, region=region.value)

    async def get_ami_ids_by_name(self, aws_region: AwsRegion, ami_name: str) -> list[str]:
        """The ids of the available images of the owners with this text in their name, each owner's newest first."""

        def ids() -> list[str]:
            return [image.image_id for image in self._images(aws_region, f"*{ami_name}*")]

        return await self._call(f"Query AMIs by name '{ami_name}'", ids)

    async def get_ami_details(self, aws_region: AwsRegion, ami_id: str) -> host.AmiDetails | None:
        """The image, if one of the owners has it."""

        def details() -> host.AmiDetails | None:
            for image in self._images(aws_region, image_id=[ami_id]):
                return host.AmiDetails(image.image_id, image.name, image.description, _as_ec2_writes(image.creation_date))
            return None

        return await self._call(f"Get AMI details for '{ami_id}'", details)

    async def create_instance(
        self,
        aws_region: AwsRegion,
        instance_name: str,
        ami_id: str,
        ami_name: str,
        instance_type: str,
        security_group_ids: list[str],
        subnet_id: str,
        key_name: str,
    ) -> CMLWorkerInstanceDto:
        """Launches a worker, once for each key."""
        launch = CreateInstance(
            name=instance_name,
            image_id=ami_id,
            instance_type=instance_type,
            security_group_ids=security_group_ids or UNSET,
            subnet_id=subnet_id or UNSET,
            key_name=key_name or UNSET,
            detailed_monitoring=True,
        )
        key, region, create = IDEMPOTENCY_KEY.get(), aws_region.value, self._workers.create_instance
        worker = await self._call("Create CML Worker instance", create, launch, idempotency_key=key, region=region)
        return CMLWorkerInstanceDto(
            id=worker.instance_id,
            aws_instance_id=worker.instance_id,
            aws_region=aws_region,
            instance_name=instance_name,
            ami_id=worker.image_id or ami_id,
            ami_name=ami_name,
            instance_type=worker.instance_type or instance_type,
            security_group_ids=worker.security_group_ids,
            subnet_id=worker.subnet_id or subnet_id,
            instance_state=worker.state,
            key_pair_name=worker.key_name or key_name,
            public_ip=worker.public_ip,
            private_ip=worker.private_ip,
            tags=worker.tags.to_dict(),
        )

    async def start_instance(self, aws_region: AwsRegion, instance_id: str) -> bool:
        """Starts a stopped instance; True also if it already runs."""
        start = self._workers.start_instance
        await self._call(f"Start instance {instance_id}", start, instance_id, region=aws_region.value)
        return True

    async def stop_instance(self, aws_region: AwsRegion, instance_id: str) -> bool:
        """Stops a running instance; True also if it is stopped."""
        stop = self._workers.stop_instance
        await self._call(f"Stop instance {instance_id}", stop, instance_id, region=aws_region.value)
        return True

    async def terminate_instance(self, aws_region: AwsRegion, instance_id: str) -> bool:
        """Terminates an instance; True also if it is terminated."""
        terminate = self._workers.terminate_instance
        await self._call(f"Terminate instance {instance_id}", terminate, instance_id, region=aws_region.value)
        return True

    async def get_instance_status_checks(self, aws_region: AwsRegion, instance_id: str) -> dict[str, str]:
        """The status checks of an instance, and its state."""
        read, operation = self._workers.get_instance_status, f"Get status checks for instance {instance_id}"
        status = await self._call(operation, read, instance_id, region=aws_region.value)
        return {
            "instance_status_check": status.instance_status_check or "unknown",
            "ec2_system_status_check": status.system_status_check or "unknown",
            "instance_state": status.state,
            "monitoring_state": status.monitoring_state,
        }

    async def get_tags(self, aws_region: AwsRegion, instance_id: str) -> dict[str, str]:
        """All tags of an instance."""
        read, operation = self._workers.get_instance_tags, f"Get tags for instance {instance_id}"
        return (await self._call(operation, read, instance_id, region=aws_region.value)).tags.to_dict()

    async def add_tags(self, aws_region: AwsRegion, instance_id: str, tags: dict[str, str]) -> bool:
        """Sets these tags."""
        update, operation = self._workers.update_instance_tags, f"Add tags to instance {instance_id}"
        await self._call(operation, update, instance_id, tags, region=aws_region.value)
        return True

    async def remove_tags(self, aws_region: AwsRegion, instance_id: str, tag_keys: list[str]) -> bool:
        """Removes these tags, but those that no caller can remove: the host names every tag that its form does not have."""
        kept = [key for key in tag_keys if KEPT.fullmatch(key)]
        if kept:
            log.info("tags of %s that stay: %s", instance_id, ", ".join(kept))
        keys = [key for key in tag_keys if key not in kept]
        if kept and not keys:
            return True
        remove, operation = self._workers.delete_instance_tags, f"Remove tags from instance {instance_id}"
        await self._call(operation, remove, instance_id, keys, region=aws_region.value)
        return True

    async def get_instance_details(self, aws_region: AwsRegion, instance_id: str) -> host.Ec2InstanceDescriptor:
        """One instance; its name is its id if it has none."""
        read, operation = self._workers.get_instance_details, f"Get details of instance {instance_id}"
        instance = await self._call(operation, read, instance_id, region=aws_region.value)
        return _descriptor(instance, instance.instance_id)

    async def list_instances(
        self,
        region_name: AwsRegion,
        instance_ids: list[str] | None = None,
        instance_types: list[str] | None = None,
        instance_states: list[str] | None = None,
        image_ids: list[str] | None = None,
        tag_filters: dict[str, str] | None = None,
    ) -> list[host.Ec2InstanceDescriptor]:
        """All instances that match, managed or not, and in every state unless states are named."""

        def instances() -> list[Instance]:
            found = self._workers.get_all_instances(
                region=region_name.value,
                managed="any",
                instance_id=instance_ids or [],
                instance_type=instance_types or [],
                state=instance_states or STATES,
                image_id=image_ids or [],
                tag=tag_filters or {},
            )
            return list(found)

        found = await self._call(f"List instances in {region_name.value}", instances)
        return [_descriptor(each, f"{each.instance_type}.{each.image_id}.{each.instance_id}") for each in found]

    async def get_instance_resources_utilization(
        self, aws_region: AwsRegion, instance_id: str, relative_start_time: Ec2InstanceResourcesUtilizationRelativeStartTime
    ) -> host.Ec2InstanceResourcesUtilization:
        """The averages of CPU and memory over the window; None if CloudWatch shows no point of it."""
        read, operation = self._workers.get_instance_resources_utilization, f"Pull utilization of instance {instance_id}"
        window = relative_start_time.value
        used = await self._call(operation, read, instance_id, window=window, region=aws_region.value)
        now = datetime.datetime.now(datetime.UTC)
        return host.Ec2InstanceResourcesUtilization(
            id=instance_id,
            region_name=aws_region,
            relative_start_time=relative_start_time,
            avg_cpu_utilization=used.cpu.average,
            avg_memory_utilization=used.memory.average,
            start_time=used.start_time or now - relative_start_time.to_timedelta(window),
            end_time=used.end_time or now,
        )

    @staticmethod
    def configure(builder: Any) -> None:
        """Registers this client under the host's own class, for the API of `CML_API_URL` and images of `CML_IMAGE_OWNERS`."""
        api_url, owners = os.environ.get("CML_API_URL"), os.environ.get("CML_IMAGE_OWNERS", "self")
        if not api_url:
            raise IntegrationException("CML_API_URL is not set: it is the output ApiUrl of the stack")
        if os.environ.get("AWS_ACCESS_KEY_ID"):
            log.warning("AWS_ACCESS_KEY_ID is set: calls are signed with this key, and not by the role of this machine or task")
        try:
            client = AwsEc2Client(Workers(api_url, deadline=DEADLINE), owners.split(","))
            check = Workers(api_url, deadline=SECONDS_TO_START)
        except (problems.CredentialsError, ValueError) as error:
            raise IntegrationException(f"CML_API_URL={api_url} is no API: {error}") from error
        try:
            _reached(check.health())
            log.info("the worker management API reaches EC2")
        except (IntegrationException, problems.WorkersError) as error:
            # The host starts all the same, as it did.
            log.warning("the worker management API does not reach EC2, operations may fail: %s", error)
        builder.services.add_singleton(host.AwsEc2Client, singleton=client)


def _reached(answer: Health) -> bool:
    failed = [f"{check.name} in {check.region}: {check.error}" for check in answer.checks if not check.ok]
    if any(check.ok for check in answer.checks if check.name.startswith("ec2:")):
        return True
    raise IntegrationException(f"Error while verifying access to EC2: {'; '.join(failed)}")


def _as_ec2_writes(time: datetime.datetime | None) -> str | None:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z") if time else None


def _descriptor(instance: Instance, unnamed: str) -> host.Ec2InstanceDescriptor:
    launched = instance.launch_time or datetime.datetime.now(datetime.UTC)
    return host.Ec2InstanceDescriptor(
        id=instance.instance_id,
        type=instance.instance_type or "",
        state=instance.state,
        image_id=instance.image_id or "",
        name=instance.name or unnamed,
        launch_timestamp=launched,
        launch_time_relative=relative_time(launched),
        public_ip=instance.public_ip,
        private_ip=instance.private_ip,
    )
