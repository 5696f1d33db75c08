"""Every operation, by both clients, against the local AWS; then EC2 is asked what happened."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY
from server import Answer, Server

from cml_workers import AsyncWorkers, CreateInstance, Workers
from cml_workers.problems import InstanceNotFoundError, MissingPermissionError

MISSING = "i-0ffffffffffffffff"


def state(ec2: Any, instance_id: str) -> str:
    (reservation,) = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    found: str = reservation["Instances"][0]["State"]["Name"]
    return found


def test_each_operation_is_a_method_of_both_clients() -> None:
    paths = yaml.safe_load((REPOSITORY / "openapi.yaml").read_text())["paths"]
    operations = {call["operationId"].replace("-", "_") for path in paths.values() for call in path.values()}
    more = {"aclose", "close", "dry_run", "wait", "watch"}
    for kind in (Workers, AsyncWorkers):
        methods = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
        assert methods - more == operations


def test_each_operation_that_has_a_dry_run_has_one_in_the_client(
    workers: Any, server: Server, make: Callable[..., Any]
) -> None:
    """What is called as a dry run never reaches the API without `dry_run=true`."""
    paths = yaml.safe_load((REPOSITORY / "openapi.yaml").read_text())["paths"]
    calls = [call for path in paths.values() for call in path.values()]
    has = {call["operationId"] for call in calls if "dry_run" in [each["name"] for each in call.get("parameters", [])]}
    kind: Any = Workers if isinstance(workers, Workers) else AsyncWorkers
    server.answers = [Answer(200, {"dry_run": True, "permitted": True})]
    asking = make(server.url)
    special: dict[str, list[Any]] = {
        "create-instance": [CreateInstance(name="x", instance_type="c5.2xlarge")],
        "update-instance-tags": [MISSING, {"a": "b"}],
        "get-all-instances": [],
        "delete-instance-tags": [MISSING, ["a"]],
        "health": [],
    }
    for call in calls:
        method = getattr(kind, call["operationId"].replace("-", "_"))
        many = call["operationId"].endswith("-instances")
        arguments = special.get(call["operationId"], [[MISSING]] if many else [MISSING])
        server.asked.clear()
        if inspect.isasyncgenfunction(method):
            assert call["operationId"] not in has
        elif call["operationId"] not in has:
            with pytest.raises(TypeError, match="changes nothing"):
                asking.dry_run(method, *arguments)
            assert server.asked == []
        elif not many:
            assert asking.dry_run(method, *arguments).permitted
            assert ["dry_run=true" in asked.path for asked in server.asked] == [True]


def test_a_worker_lives(workers: Any, launch: Callable[..., Any], ec2: Any, stack: dict[str, Any]) -> None:
    launched = workers.create_instance(launch("lives"), wait="healthy")
    instance_id = launched.instance_id
    assert (launched.created, launched.state, launched.image_id) == (True, "running", stack["image_id"])
    assert state(ec2, instance_id) == "running"

    details = workers.get_instance_details(instance_id)
    assert (details.name, details.managed, details.instance_type) == ("lives", True, "c5.2xlarge")
    assert workers.get_instance_status(instance_id).healthy
    assert instance_id in [each.instance_id for each in workers.get_all_instances(state=["running"])]

    stopped = workers.stop_instance(instance_id, wait="stopped")
    assert (stopped.changed, stopped.current_state, state(ec2, instance_id)) == (True, "stopped", "stopped")
    assert not workers.stop_instance(instance_id).changed
    started = workers.start_instance(instance_id, wait="healthy")
    assert (started.changed, started.current_state, state(ec2, instance_id)) == (True, "running", "running")

    terminated = workers.terminate_instance(instance_id, wait="terminated")
    assert (terminated.current_state, state(ec2, instance_id)) == ("terminated", "terminated")


def test_many_workers_change_at_once(workers: Any, launch: Callable[..., Any], ec2: Any) -> None:
    ids = [workers.create_instance(launch(f"many-{number}")).instance_id for number in range(2)]
    for change, reached in (("stop", "stopped"), ("start", "running"), ("terminate", "terminated")):
        results = getattr(workers, f"{change}_instances")([*ids, MISSING])
        assert list(results) == [*ids, MISSING]
        assert all(results[instance_id].changed for instance_id in ids)
        assert isinstance(results[MISSING], InstanceNotFoundError)
        assert results[MISSING].instance_id == MISSING
        assert [state(ec2, instance_id) for instance_id in ids] == [reached] * 2


def test_tags_are_set_read_and_removed(workers: Any, launch: Callable[..., Any], ec2: Any) -> None:
    instance_id = workers.create_instance(launch("tagged")).instance_id
    # Keys that sort otherwise with their `=` than without it, and values that a query has to encode.
    values = {"env": "a b+c", "env-name": "100%", "env.site": "ü*"}
    assert values.items() <= workers.update_instance_tags(instance_id, values).tags.to_dict().items()
    found = {
        tag["Key"]: tag["Value"]
        for tag in ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [instance_id]}])["Tags"]
    }
    assert values.items() <= found.items()
    assert [each.instance_id for each in workers.get_all_instances(tag=values)] == [instance_id]
    assert list(workers.get_all_instances(tag=values | {"env": "a b"})) == []
    assert "env-name" not in workers.delete_instance_tags(instance_id, ["env-name", "env.site"]).tags
    tags = workers.get_instance_tags(instance_id)
    assert (tags.managed, tags.tags["env"], "env.site" in tags.tags) == (True, "a b+c", False)


def test_images_health_and_utilization_are_read(workers: Any, launch: Callable[..., Any], stack: dict[str, Any]) -> None:
    images = list(workers.get_ami_ids_by_name("cml-2.*-worker"))
    assert stack["image_id"] in [image.image_id for image in images]
    assert [image.name for image in workers.get_ami_ids_by_name(image_id=[stack["image_id"]])] == [stack["image_name"]]
    health = workers.health()
    assert (health.status, health.permissions or None) == ("ok", None)
    permissions = workers.health(permissions=True).permissions
    assert {each.verdict for each in permissions} <= {"allowed", "unknown"}
    assert "ec2:StartInstances" in [each.action for each in permissions]
    instance_id = workers.create_instance(launch("measured")).instance_id
    used = workers.get_instance_resources_utilization(instance_id, window="1h", series=True)
    assert (used.window, used.cpu.available, used.cpu.points) == ("1h", False, [])
    assert used.cpu.reason


def test_a_dry_run_changes_nothing(workers: Any, launch: Callable[..., Any], ec2: Any, stack: dict[str, Any]) -> None:
    kind: Any = Workers if isinstance(workers, Workers) else AsyncWorkers
    instance_id = workers.create_instance(launch("asked")).instance_id
    for method, *arguments in (
        (kind.stop_instance, instance_id),
        (kind.terminate_instance, instance_id),
        (kind.terminate_instances, [instance_id]),
        (kind.update_instance_tags, instance_id, {"env": "x"}),
        (kind.delete_instance_tags, instance_id, ["Name"]),
        (kind.create_instance, launch("never")),
    ):
        assert workers.dry_run(method, *arguments).permitted
    assert state(ec2, instance_id) == "running"
    assert workers.get_instance_tags(instance_id).tags.to_dict().keys() >= {"Name"}
    assert list(workers.get_all_instances(tag={"Name": "never"})) == []
    with pytest.raises(InstanceNotFoundError):
        workers.dry_run(kind.stop_instance, MISSING)
    with pytest.raises(InstanceNotFoundError):
        workers.dry_run(kind.stop_instances, [instance_id, MISSING])
    for method, *arguments in ((kind.get_instance_details, instance_id), (kind.health,)):
        with pytest.raises(TypeError, match="changes nothing"):
            workers.dry_run(method, *arguments)
    # Already running: EC2 is asked all the same.
    with pytest.raises(MissingPermissionError):
        workers.dry_run(kind.start_instance, stack["refused"]["missing_permission"])


def test_another_region_is_asked_for_by_name(workers: Any) -> None:
    assert list(workers.get_all_instances(region="us-east-1", tag={"Name": "nobody"})) == []
