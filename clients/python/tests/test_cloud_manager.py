"""The adapter for CML Cloud Manager, with stand-ins for the host's types, against the local AWS."""

import asyncio
import datetime
import inspect
import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pytest
import yaml
from conftest import REPOSITORY
from server import LOST, Answer, Asked, Server
from test_operations import MISSING, state
from test_refusals import by_functions, gateway

from cml_workers import Workers, problems

sys.path.insert(0, str(Path(__file__).parent / "host"))

from integration.enums import AwsRegion, Ec2InstanceResourcesUtilizationRelativeStartTime
from integration.exceptions import (
    EC2AuthenticationException,
    EC2InstanceNotFoundException,
    EC2InvalidParameterException,
    EC2QuotaExceededException,
    IntegrationException,
)
from integration.services import aws_ec2_api_client as host

from cml_workers import cloud_manager
from cml_workers.cloud_manager import IDEMPOTENCY_KEY, AwsEc2Client, keyed

REGION = AwsRegion.US_EAST_1
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def client(stack: dict[str, Any]) -> AwsEc2Client:
    return AwsEc2Client(Workers(stack["api_url"]))


@pytest.fixture
def create(client: AwsEc2Client, stack: dict[str, Any]) -> Callable[..., Any]:
    """Launches as the host's event handler does."""

    async def launched(name: str, by: AwsEc2Client = client, ami_id: str = stack["image_id"]) -> Any:
        return await by.create_instance(
            aws_region=REGION,
            instance_name=name,
            ami_id=ami_id,
            ami_name=stack["image_name"],
            instance_type="c5.2xlarge",
            security_group_ids=[stack["security_group_id"]],
            subnet_id=stack["subnet_id"],
            key_name=stack["key_name"],
        )

    return launched


def unmanaged(ec2: Any, stack: dict[str, Any], **tags: str) -> str:
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    tagged = [{"ResourceType": "instance", "Tags": pairs}] if pairs else []
    launched = ec2.run_instances(ImageId=stack["image_id"], MinCount=1, MaxCount=1, TagSpecifications=tagged)
    return str(launched["Instances"][0]["InstanceId"])


async def test_a_worker_lives_as_the_host_lets_it(
    client: AwsEc2Client, create: Callable[..., Any], ec2: Any, stack: dict[str, Any]
) -> None:
    name = f"hosted-{time.monotonic_ns()}"
    worker = await create(name)
    instance_id = worker.aws_instance_id
    assert (worker.instance_name, worker.ami_id, worker.ami_name) == (name, stack["image_id"], stack["image_name"])
    assert (worker.aws_region, worker.subnet_id, worker.key_pair_name) == (REGION, stack["subnet_id"], stack["key_name"])
    assert worker.security_group_ids == [stack["security_group_id"]]
    assert worker.tags["Name"] == name
    (reservation,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    launched = reservation["Instances"][0]
    assert (launched["Monitoring"]["State"], launched["SubnetId"]) == ("enabled", stack["subnet_id"])
    addresses = (launched["PublicIpAddress"], launched["PrivateIpAddress"])
    assert (worker.public_ip, worker.private_ip) == addresses

    details = await client.get_instance_details(REGION, instance_id)
    assert (details.id, details.name, details.type, details.state) == (instance_id, name, "c5.2xlarge", "running")
    assert (details.public_ip, details.private_ip) == addresses
    assert details.launch_time_relative.endswith(" ago")
    checks = await client.get_instance_status_checks(REGION, instance_id)
    assert checks == {
        "instance_status_check": "ok",
        "ec2_system_status_check": "ok",
        "instance_state": "running",
        "monitoring_state": "enabled",
    }
    for change, reached in (("stop", "stopped"), ("stop", "stopped"), ("start", "running"), ("terminate", "terminated")):
        assert await getattr(client, f"{change}_instance")(REGION, instance_id) is True
        assert state(ec2, instance_id) == reached


async def test_the_host_s_form_of_tags_takes_none_of_the_api_s(client: AwsEc2Client, create: Callable[..., Any]) -> None:
    """The host removes every tag that the form does not have."""
    instance_id = (await create("tagged-by-host")).aws_instance_id
    assert await client.add_tags(REGION, instance_id, {"site": "lab", "owner": "alice"}) is True
    current = await client.get_tags(REGION, instance_id)
    assert current["ManagedBy"] == "cml-cloud-manager"
    assert await client.remove_tags(REGION, instance_id, [key for key in current if key not in {"site", "Name"}]) is True
    left = await client.get_tags(REGION, instance_id)
    assert left.keys() - {"CreatedBy", "IdempotencyFingerprint", "cml:seen"} == {"ManagedBy", "Name", "site"}
    assert left["site"] == "lab"
    assert await client.remove_tags(REGION, instance_id, ["ManagedBy"]) is True
    # EC2 takes a DeleteTags without tags for all of them.
    with pytest.raises(EC2InvalidParameterException):
        await client.remove_tags(REGION, instance_id, [])
    with pytest.raises(EC2InvalidParameterException):
        await client.add_tags(REGION, instance_id, {"ManagedBy": "somebody"})
    assert await client.get_tags(REGION, instance_id) == left


def test_every_state_of_ec2_is_asked_for() -> None:
    model = botocore.session.Session().get_component("data_loader").load_service_model("ec2", "service-2")
    assert sorted(cloud_manager.STATES) == sorted(model["shapes"]["InstanceStateName"]["enum"])


def test_what_the_api_keeps_is_what_no_caller_can_remove() -> None:
    pattern = yaml.safe_load((REPOSITORY / "openapi.yaml").read_text())["components"]["schemas"]["TagKey"]["pattern"]
    for key in ("ManagedBy", "MANAGEDBY", "createdby", "IdempotencyFingerprint", "cml:mark", "cml:acted", "cml:seen", "aws:x"):
        assert cloud_manager.KEPT.fullmatch(key)
        assert not re.fullmatch(pattern, key)
    for key in ("Name", "site", "cml:heartbeat", "ManagedByX", "xaws:"):
        assert not cloud_manager.KEPT.fullmatch(key)
        assert re.fullmatch(pattern, key)


async def test_instances_are_listed_in_every_state_and_whoever_s_they_are(
    client: AwsEc2Client, create: Callable[..., Any], ec2: Any, stack: dict[str, Any]
) -> None:
    site = f"site-{time.monotonic_ns()}"
    foreign, ended = unmanaged(ec2, stack, site=site, Name="foreign"), unmanaged(ec2, stack, site=site)
    ec2.terminate_instances(InstanceIds=[ended])
    found = {each.id: each for each in await client.list_instances(REGION, tag_filters={"site": site})}
    assert {each.id: each.state for each in found.values()} == {foreign: "running", ended: "terminated"}
    assert found[foreign].name == "foreign"
    assert found[ended].name == f"{found[ended].type}.{stack['image_id']}.{ended}"
    running = await client.list_instances(region_name=REGION, tag_filters={"site": site}, instance_states=["running"])
    assert [each.id for each in running] == [foreign]
    assert {each.id for each in await client.list_instances(REGION, instance_ids=[foreign, ended, MISSING])} == {foreign, ended}
    assert await client.list_instances(REGION, image_ids=["ami-0123456789abcdef0"]) == []
    assert await client.list_instances(REGION, instance_types=["m5zn.metal"], tag_filters={"site": site}) == []
    unnamed = unmanaged(ec2, stack)
    assert (await client.get_instance_details(REGION, unnamed)).name == unnamed


async def test_images_are_found_by_a_part_of_their_name(client: AwsEc2Client, stack: dict[str, Any]) -> None:
    assert (await client.get_ami_ids_by_name(REGION, "2.8"))[0] == stack["image_id"]
    assert await client.get_ami_ids_by_name(REGION, "no-such-image") == []
    image = await client.get_ami_details(REGION, stack["image_id"])
    assert image == host.AmiDetails(
        stack["image_id"], stack["image_name"], "Cisco Modeling Labs 2.8.1 on Ubuntu 24.04", "2025-05-20T09:02:33.000Z"
    )
    assert await client.get_ami_details(REGION, "ami-0123456789abcdef0") is None


async def test_images_of_each_owner_are_asked_for(stack: dict[str, Any], server: Server) -> None:
    api_url = server.in_front_of(stack["api_url"])
    none = Answer(200, {"images": [], "next_token": None})
    server.answers = [none]
    assert await AwsEc2Client(Workers(api_url), ["self", " 999988887777"]).get_ami_ids_by_name(REGION, "2.8") == []
    owners = [parse_qs(urlsplit(asked.path).query).get("owner") for asked in server.asked]
    assert owners == [None, ["999988887777"]]


async def test_utilization_and_health_are_honest(client: AwsEc2Client, create: Callable[..., Any], server: Server) -> None:
    five = Ec2InstanceResourcesUtilizationRelativeStartTime.FIVE_MIN_AGO
    instance_id = (await create("used")).aws_instance_id
    used = await client.get_instance_resources_utilization(REGION, instance_id, five)
    assert (used.id, used.relative_start_time, used.avg_cpu_utilization, used.avg_memory_utilization) == (
        instance_id,
        five,
        None,
        None,
    )
    assert (used.end_time - used.start_time).total_seconds() == 300
    assert await client.health() is True
    failed = {"name": "ec2:DescribeRegions", "region": "us-east-1", "ok": False, "latency_ms": 1, "error": "it is down"}
    check = failed | {"aws_code": None, "aws_request_id": None, "missing_permission": None}
    document = {
        "status": "failed",
        "version": "0",
        "regions": [],
        "checks": [check],
        "warnings": [],
        "credentials": {"kind": "none", "error": None, "expires_at": None},
    }
    server.answers = [Answer(503, document)]
    with pytest.raises(IntegrationException, match="us-east-1: it is down"):
        await AwsEc2Client(Workers(server.url)).health()
    # CloudWatch alone is not EC2.
    checks = [check, check | {"name": "cloudwatch:GetMetricStatistics", "ok": True, "error": None}]
    server.answers = [Answer(200, document | {"status": "degraded", "checks": checks})]
    with pytest.raises(IntegrationException, match="us-east-1: it is down"):
        await AwsEc2Client(Workers(server.url)).health()


async def test_the_average_is_of_all_points(
    client: AwsEc2Client, create: Callable[..., Any], aws: Callable[[str], Any]
) -> None:
    instance_id = (await create("averaged")).aws_instance_id
    now = datetime.datetime.now(datetime.UTC)
    for namespace, name, values in (("AWS/EC2", "CPUUtilization", (10, 30)), ("CWAgent", "mem_used_percent", (50, 70))):
        dimensions = [{"Name": "InstanceId", "Value": instance_id}]
        points = [
            {
                "MetricName": name,
                "Dimensions": dimensions,
                "Value": value,
                "Timestamp": now - datetime.timedelta(minutes=minutes),
            }
            for minutes, value in enumerate(values, 2)
        ]
        aws("cloudwatch").put_metric_data(Namespace=namespace, MetricData=points)
    ten = Ec2InstanceResourcesUtilizationRelativeStartTime.TEN_MIN_AGO
    used = await client.get_instance_resources_utilization(REGION, instance_id, ten)
    assert (used.avg_cpu_utilization, used.avg_memory_utilization) == (20, 60)
    assert (used.end_time - used.start_time).total_seconds() == 600


WINDOW = Ec2InstanceResourcesUtilizationRelativeStartTime.FIVE_MIN_AGO

# Each method with a region, as the host calls it.
CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("get_ami_ids_by_name", ("cml",)),
    ("get_ami_details", ("ami-0123456789abcdef0",)),
    ("create_instance", ("name", "ami-0123456789abcdef0", "image", "c5.2xlarge", [], "", "")),
    ("start_instance", (MISSING,)),
    ("stop_instance", (MISSING,)),
    ("terminate_instance", (MISSING,)),
    ("get_instance_status_checks", (MISSING,)),
    ("get_tags", (MISSING,)),
    ("add_tags", (MISSING, {"a": "b"})),
    ("remove_tags", (MISSING, ["a"])),
    ("get_instance_details", (MISSING,)),
    ("list_instances", ()),
    ("get_instance_resources_utilization", (MISSING, WINDOW)),
]


@pytest.mark.parametrize(("method", "arguments"), CALLS)
async def test_each_method_asks_its_region_and_fails_as_the_host_expects(
    server: Server, method: str, arguments: tuple[Any, ...]
) -> None:
    client = AwsEc2Client(Workers(server.url))
    server.answers = [gateway()["ACCESS_DENIED"]]
    with pytest.raises(EC2AuthenticationException, match="what AWS says"):
        await getattr(client, method)(AwsRegion.US_WEST_2, *arguments)
    assert all(asked.path.startswith("/regions/us-west-2/") for asked in server.asked)


def test_the_methods_are_the_host_s() -> None:
    methods = {name for name, _ in inspect.getmembers(AwsEc2Client, inspect.iscoroutinefunction) if name[0] != "_"}
    assert methods == {method for method, _ in CALLS} | {"health"}


@pytest.mark.parametrize("name", sorted(gateway()))
async def test_what_api_gateway_refuses_is_the_host_s_exception_too(server: Server, name: str) -> None:
    server.answers = [gateway()[name]]
    with pytest.raises(IntegrationException) as raised:
        await AwsEc2Client(Workers(server.url, deadline=30)).get_tags(REGION, MISSING)
    expected = {
        "BAD_REQUEST_BODY": EC2InvalidParameterException,
        "BAD_REQUEST_PARAMETERS": EC2InvalidParameterException,
        "REQUEST_TOO_LARGE": EC2InvalidParameterException,
        "THROTTLED": EC2QuotaExceededException,
        "QUOTA_EXCEEDED": EC2QuotaExceededException,
        "INTEGRATION_TIMEOUT": IntegrationException,
        "INTEGRATION_FAILURE": IntegrationException,
        "DEFAULT_5XX": IntegrationException,
        "RESOURCE_NOT_FOUND": IntegrationException,
    }
    assert type(raised.value) is expected.get(name, EC2AuthenticationException)


async def test_a_slow_api_takes_no_thread_of_the_event_loop(server: Server) -> None:
    """In those the host looks up names."""
    answer = threading.Event()

    def wait(asked: Asked) -> Answer:
        assert answer.wait(60)
        return gateway()["ACCESS_DENIED"]

    server.answers = [wait]
    client = AwsEc2Client(Workers(server.url))
    calls = [asyncio.ensure_future(client.get_tags(REGION, MISSING)) for _ in range(12)]
    # Were they in the event loop's threads, of which there are fewer, this would wait for them.
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "looked up"), 20) == "looked up"
    assert not any(call.done() for call in calls)
    answer.set()
    assert all(isinstance(error, EC2AuthenticationException) for error in await asyncio.gather(*calls, return_exceptions=True))


async def test_a_launch_has_the_key_that_the_host_gives_it(
    create: Callable[..., Any], stack: dict[str, Any], server: Server, ec2: Any
) -> None:
    class Handler:
        async def handle_async(self, name: str) -> Any:
            return await create(name)

    handle = keyed(Handler().handle_async, lambda name: f"worker-{name}")
    name = f"keyed-{time.monotonic_ns()}"
    first, second = [(await handle(name)).id for _ in range(2)]
    assert first == second
    assert IDEMPOTENCY_KEY.get() is None
    assert len({(await create(name)).id for _ in range(2)} | {first}) == 3
    # Of launches at the same time each has its own.
    names = [f"{name}-{number}" for number in range(4)]
    assert len({worker.id for worker in await asyncio.gather(*map(handle, names))}) == 4

    # The answer to a launch is lost: the client sends it again with the same key.
    api_url = server.in_front_of(stack["api_url"])

    def carried_out(asked: Asked) -> Answer:
        server.pass_on(asked)
        return LOST

    server.answers = [carried_out, *server.answers]
    lost = await create(f"{name}-lost", by=AwsEc2Client(Workers(api_url)))
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 1
    found = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": [f"{name}-lost"]}])["Reservations"]
    assert [each["InstanceId"] for reservation in found for each in reservation["Instances"]] == [lost.id]


EXPECTED = {
    EC2InstanceNotFoundException: {"instance_not_found"},
    EC2QuotaExceededException: {"quota_exceeded", "insufficient_capacity", "throttled"},
    EC2InvalidParameterException: {
        "invalid_request",
        "image_not_found",
        "instance_type_not_allowed",
        "payload_too_large",
        "region_not_allowed",
    },
    EC2AuthenticationException: {
        "account_not_active",
        "aws_credentials_invalid",
        "missing_permission",
        "not_managed",
        "subscription_required",
    },
    IntegrationException: {"aws_error", "aws_timeout", "idempotency_mismatch", "incorrect_state", "operation_not_permitted"},
}


async def test_each_problem_is_the_host_s_exception(stack: dict[str, Any], launch: Callable[..., Any], ec2: Any) -> None:
    workers = Workers(stack["api_url"], deadline=30)
    client = AwsEc2Client(workers)
    calls = by_functions(stack, launch, ec2)
    seen: dict[type[Exception], set[str]] = {}
    for code, call in calls.items():
        with pytest.raises(IntegrationException) as raised:
            await client._call("Try", call, workers)
        assert isinstance(raised.value.__cause__, problems.ProblemError)
        words = cloud_manager.WORDS.get(type(raised.value), "")
        assert str(raised.value) == f"Try - {words}{raised.value.__cause__.detail}"
        seen.setdefault(type(raised.value), set()).add(code)
    assert seen == EXPECTED


async def test_the_calls_of_the_host_fail_with_its_own_exceptions(
    client: AwsEc2Client, create: Callable[..., Any], ec2: Any, stack: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("start_instance", "stop_instance", "terminate_instance", "get_tags", "get_instance_details"):
        with pytest.raises(EC2InstanceNotFoundException, match=f"Instance not found: .*{MISSING}"):
            await getattr(client, method)(REGION, MISSING)
    with pytest.raises(EC2AuthenticationException, match="ManagedBy"):
        await client.stop_instance(REGION, unmanaged(ec2, stack))
    with pytest.raises(EC2InvalidParameterException):
        await create("no-image", ami_id="ami-0123456789abcdef0")
    with pytest.raises(IntegrationException, match="ec2:MonitorInstances"):
        client.aws_account_credentials.aws_access_key_id  # noqa: B018 as the host reads it
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(EC2AuthenticationException, match="there are no AWS credentials"):
        await AwsEc2Client(Workers(stack["api_url"])).get_tags(REGION, MISSING)


class Builder:
    """As much of the host's as registers something."""

    def __init__(self) -> None:
        self.services = self
        self.registered: dict[type, Any] = {}

    def add_singleton(self, kind: type, singleton: Any) -> None:
        self.registered[kind] = singleton


def test_it_is_registered_under_the_host_s_class(
    stack: dict[str, Any], server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    builder = Builder()
    AwsEc2Client.configure(builder)
    assert asyncio.run(builder.registered[host.AwsEc2Client].health()) is True
    assert "reaches EC2" in caplog.text
    assert "AWS_ACCESS_KEY_ID is set" in caplog.text
    # An API that cannot be reached does not keep the host from starting.
    server.answers = [LOST]
    monkeypatch.setenv("CML_API_URL", server.url)
    AwsEc2Client.configure(builder)
    assert "does not reach EC2" in caplog.text
    # A setting that cannot be right does.
    for wrong, said in (
        ("abcdef", "begins with https://"),
        ("https://workers.example.com", "set AWS_REGION"),
        ("", "is not set"),
    ):
        monkeypatch.setenv("CML_API_URL", wrong)
        monkeypatch.delenv("AWS_REGION", raising=False)
        with pytest.raises(IntegrationException, match=f"CML_API_URL.*{said}"):
            AwsEc2Client.configure(Builder())
