"""Adopts workers that were launched without the API: tags them, their volumes and their interfaces as managed.

The API refuses an instance without the ownership tag, and no caller can set that tag through it. So this talks to EC2 itself,
with the credentials of whoever runs it.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

OWNERSHIP_KEY = "ManagedBy"
ALIVE = ["pending", "running", "stopping", "stopped"]

MOST_VALUES = 200
"""Values that EC2 takes in one filter."""

PAGE = {"PageSize": 1000}
"""EC2 recommends to ask for pages: without them it may throttle, or take too long."""


@dataclass(frozen=True)
class Criteria:
    """Which instances are workers: those that all of these mean. One at least is given."""

    image_names: Sequence[str] = ()
    tags: dict[str, str] = field(default_factory=dict)
    instance_ids: Sequence[str] = ()


@dataclass
class Worker:
    """An instance that matches, what of it has to be tagged, and what has the tag already."""

    instance_id: str
    name: str | None
    instance_type: str
    state: str
    untagged: list[str]
    tagged: list[str]


@dataclass
class Plan:
    """What would be tagged, and what matches and is left alone, with the reason."""

    workers: dict[str, Worker] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def to_tag(self) -> list[Worker]:
        """The workers of which something has no tag yet."""
        return [worker for worker in self.workers.values() if worker.untagged]


def find(ec2: Any, criteria: Criteria, managed_by: str) -> Plan:
    """Reads what matches, and changes nothing."""
    plan = Plan()
    instances = {instance["InstanceId"]: instance for instance in _instances(ec2, criteria)}
    for instance_id in criteria.instance_ids:
        if instance_id not in instances:
            plan.left[instance_id] = "there is no such instance that all criteria mean and that is not terminated"
    for instance_id, instance in instances.items():
        tags = _tags(instance)
        if reason := _somebody_elses(tags, managed_by):
            plan.left[instance_id] = reason
            continue
        kind, state = instance["InstanceType"], instance["State"]["Name"]
        worker = plan.workers[instance_id] = Worker(instance_id, tags.get("Name"), kind, state, [], [])
        _add(worker, instance_id, tags)
    for kind, key in (("volumes", "VolumeId"), ("network_interfaces", "NetworkInterfaceId")):
        _add_attached(ec2, plan, managed_by, kind, key)
    return plan


def _add(worker: Worker, resource_id: str, tags: dict[str, str]) -> None:
    (worker.tagged if OWNERSHIP_KEY in tags else worker.untagged).append(resource_id)


def _instances(ec2: Any, criteria: Criteria) -> Iterator[dict[str, Any]]:
    filters = [_filter("instance-state-name", ALIVE)]
    filters += [_filter(f"tag:{key}", [_literal(value)]) for key, value in criteria.tags.items()]
    lists = []
    if criteria.image_names:
        lists.append(("image-id", [image["ImageId"] for image in _images(ec2, criteria.image_names)]))
    if criteria.instance_ids:
        lists.append(("instance-id", list(criteria.instance_ids)))
    for several in _products(lists):
        for page in ec2.get_paginator("describe_instances").paginate(Filters=filters + several, PaginationConfig=PAGE):
            for reservation in page["Reservations"]:
                yield from reservation["Instances"]


def _products(lists: list[tuple[str, list[str]]]) -> Iterator[list[dict[str, Any]]]:
    """The filters of these lists, cut where EC2 takes no more values. An empty list means nothing at all."""
    if not lists:
        yield []
        return
    (name, values), *others = lists
    for some in _chunks(values):
        for rest in _products(others):
            yield [_filter(name, some), *rest]


def _images(ec2: Any, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    # Those of anybody: an instance may have been launched from an image that another account shares. A name's own wildcards
    # are EC2's, so that `cml-2.*` means what it means in `cml-workers images`.
    pages = ec2.get_paginator("describe_images").paginate(
        Filters=[_filter("name", list(names))], IncludeDeprecated=True, PaginationConfig=PAGE
    )
    for page in pages:
        yield from page["Images"]


def _add_attached(ec2: Any, plan: Plan, managed_by: str, kind: str, key: str) -> None:
    """Adds what is attached to the workers, unless it is attached to something else too, or is somebody else's."""
    for some in _chunks(list(plan.workers)):
        pages = ec2.get_paginator(f"describe_{kind}").paginate(
            Filters=[_filter("attachment.instance-id", some)], PaginationConfig=PAGE
        )
        result = "Volumes" if kind == "volumes" else "NetworkInterfaces"
        for page in pages:
            for resource in page[result]:
                _add_resource(plan, managed_by, resource, resource[key])


def _add_resource(plan: Plan, managed_by: str, resource: dict[str, Any], resource_id: str) -> None:
    attachments = resource.get("Attachments") or [resource["Attachment"]]
    owners = [attachment.get("InstanceId") for attachment in attachments]
    tags = _tags(resource)
    if any(owner not in plan.workers for owner in owners):
        plan.left[resource_id] = "it is attached to another instance too"
    elif reason := _somebody_elses(tags, managed_by):
        plan.left[resource_id] = reason
    elif resource.get("RequesterManaged"):
        plan.left[resource_id] = "a service of AWS made it and manages it"
    else:
        _add(plan.workers[owners[0]], resource_id, tags)


def _somebody_elses(tags: dict[str, str], managed_by: str) -> str | None:
    """Why this must stay as it is."""
    for key, value in tags.items():
        # IAM takes keys of other cases for the same key.
        if key.lower() == OWNERSHIP_KEY.lower() and (key, value) != (OWNERSHIP_KEY, managed_by):
            return f"it has the tag {key}={value}"
    if group := tags.get("aws:autoscaling:groupName"):
        return f"it belongs to the Auto Scaling group {group}, which would replace it when it is stopped"
    return None


class Report:
    """What was done, a line of JSON each. A later run adds to the same file."""

    def __init__(self, path: Path) -> None:
        """Reads which workers an earlier run told of."""
        self.path = path
        before = path.read_text(errors="replace") if path.exists() else ""
        self._torn = not before.endswith("\n") and before != ""
        self.told = {line["instance_id"] for line in map(_parsed, before.splitlines()) if "tagged" in line}

    def write(self, **line: Any) -> None:
        """Writes a line so that it survives whatever ends this process next."""
        with self.path.open("a") as file:
            file.write("\n" * self._torn + json.dumps({"time": datetime.now(UTC).isoformat(), **line}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._torn = False


def _parsed(line: str) -> dict[str, Any]:
    """A line of an earlier report; one that was cut off says nothing."""
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def adopt(ec2: Any, confirmed: Plan, now: Plan, managed_by: str, report: Report, done: Callable[[], None]) -> list[str]:
    """Tags what was confirmed and still matches, one worker at a time. The workers that EC2 refused."""
    refused = []
    for worker in now.workers.values():
        shown = confirmed.workers.get(worker.instance_id)
        resources = [each for each in worker.untagged if shown and each in shown.untagged]
        if not resources:
            if not worker.untagged and worker.instance_id not in report.told:
                # By a run that was ended before it could say so, or by the launch.
                report.write(instance_id=worker.instance_id, name=worker.name, tagged=[], already_tagged=worker.tagged)
            continue
        try:
            ec2.create_tags(Resources=resources, Tags=[{"Key": OWNERSHIP_KEY, "Value": managed_by}])
        except ClientError as error:
            report.write(instance_id=worker.instance_id, name=worker.name, error=str(error))
            refused.append(worker.instance_id)
        else:
            report.write(instance_id=worker.instance_id, name=worker.name, tagged=resources, already_tagged=worker.tagged)
        done()
    return refused


def _tags(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags") or resource.get("TagSet") or []}


def _filter(name: str, values: list[str]) -> dict[str, Any]:
    return {"Name": name, "Values": values}


def _literal(value: str) -> str:
    r"""A value in which `*`, `?` and `\` mean themselves."""
    return "".join("\\" + letter if letter in "*?\\" else letter for letter in value)


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    every = list(values)
    for first in range(0, len(every), MOST_VALUES):
        yield every[first : first + MOST_VALUES]
