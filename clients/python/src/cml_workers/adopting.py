"""Adopts workers that were launched without the API: tags them, their volumes and their interfaces as managed.

The API refuses an instance without the ownership tag, and no caller can set that tag through it. So this talks to EC2 itself,
with the credentials of whoever runs it.
"""

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

OWNERSHIP_KEY = "ManagedBy"
ALIVE = {"pending", "running", "stopping", "stopped"}

MOST_VALUES = 200
"""Values that EC2 takes in the filters of one call. (Its guide says in each filter, its error message in all of them.)"""

READ_ANEW = 10
"""Workers that are read at once, just before they are tagged."""

PAGE = {"PageSize": 1000}
"""EC2 recommends to ask for pages: without them it may throttle, or take too long."""


@dataclass(frozen=True)
class Criteria:
    """Which instances are workers: those that match every criterion. At least one is given."""

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

    managed_by: str
    workers: dict[str, Worker] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def to_tag(self) -> list[Worker]:
        """The workers of which something has no tag yet."""
        return [worker for worker in self.workers.values() if worker.untagged]


def find(ec2: Any, criteria: Criteria, managed_by: str, known: Collection[str] = ()) -> Plan:
    """Reads what matches, and changes nothing. What is attached to a `known` worker too is not somebody else's."""
    plan = Plan(managed_by)
    instances = {instance["InstanceId"]: instance for instance in _instances(ec2, criteria)}
    for instance_id in criteria.instance_ids:
        if instance_id not in instances:
            plan.left[instance_id] = "not found: it does not exist, is terminated, or does not match the other options"
    for instance_id, instance in instances.items():
        if reason := _somebody_elses(instance, managed_by):
            plan.left[instance_id] = reason
            continue
        tags = _tags(instance)
        kind, state = instance["InstanceType"], instance["State"]["Name"]
        worker = plan.workers[instance_id] = Worker(instance_id, tags.get("Name"), kind, state, [], [])
        _add(worker, instance_id, tags)
    for kind, key in (("volumes", "VolumeId"), ("network_interfaces", "NetworkInterfaceId")):
        _add_attached(ec2, plan, known, kind, key)
    return plan


def _add(worker: Worker, resource_id: str, tags: dict[str, str]) -> None:
    (worker.tagged if OWNERSHIP_KEY in tags else worker.untagged).append(resource_id)


def _instances(ec2: Any, criteria: Criteria) -> Iterator[dict[str, Any]]:
    images = {image["ImageId"] for image in _images(ec2, criteria.image_names)} if criteria.image_names else None
    for filters in _filters(criteria, images):
        for page in ec2.get_paginator("describe_instances").paginate(Filters=filters, PaginationConfig=PAGE):
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    if instance["State"]["Name"] in ALIVE and (images is None or instance["ImageId"] in images):
                        yield instance


def _filters(criteria: Criteria, images: set[str] | None) -> Iterator[list[dict[str, Any]]]:
    """What to ask EC2 for, in as many calls as it takes. Ids, or else images, are asked for in parts."""
    tags = [_filter(f"tag:{key}", [_literal(value)]) for key, value in criteria.tags.items()]
    if not criteria.instance_ids and images is None:
        yield tags
        return
    name, values = ("instance-id", criteria.instance_ids) if criteria.instance_ids else ("image-id", sorted(images or ()))
    for some in _chunks(values, MOST_VALUES - len(tags)):
        yield [*tags, _filter(name, some)]


def _images(ec2: Any, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    # Those of anybody: an instance may have been launched from an image that another account shares. A name's own wildcards
    # are EC2's, so that `cml-2.*` means what it means in `cml-workers images`.
    pages = ec2.get_paginator("describe_images").paginate(
        Filters=[_filter("name", list(names))], IncludeDeprecated=True, IncludeDisabled=True, PaginationConfig=PAGE
    )
    for page in pages:
        yield from page["Images"]


def _add_attached(ec2: Any, plan: Plan, known: Collection[str], kind: str, key: str) -> None:
    """Adds what is attached to the workers, unless it is attached to something else too, or is somebody else's."""
    for some in _chunks(list(plan.workers)):
        pages = ec2.get_paginator(f"describe_{kind}").paginate(
            Filters=[_filter("attachment.instance-id", some)], PaginationConfig=PAGE
        )
        result = "Volumes" if kind == "volumes" else "NetworkInterfaces"
        for page in pages:
            for resource in page[result]:
                _add_resource(plan, known, resource, resource[key])


def _add_resource(plan: Plan, known: Collection[str], resource: dict[str, Any], resource_id: str) -> None:
    attachments = resource.get("Attachments") or [resource["Attachment"]]
    owners = [attachment.get("InstanceId") for attachment in attachments]
    if any(owner not in plan.workers and owner not in known for owner in owners):
        plan.left[resource_id] = "it is attached to another instance too"
    elif reason := _somebody_elses(resource, plan.managed_by):
        plan.left[resource_id] = reason
    else:
        _add(next(plan.workers[owner] for owner in owners if owner in plan.workers), resource_id, _tags(resource))


# Each would replace an instance that the API stops or terminates.
KEEPERS = {
    "aws:autoscaling:groupName": "Auto Scaling group",
    "aws:ec2:fleet-id": "EC2 Fleet",
    "aws:ec2spot:fleet-request-id": "Spot Fleet",
}


def _somebody_elses(resource: dict[str, Any], managed_by: str) -> str | None:
    """Why this must stay as it is."""
    tags = _tags(resource)
    for key, value in tags.items():
        # IAM takes keys of other cases for the same key.
        if key.lower() == OWNERSHIP_KEY.lower() and (key, value) != (OWNERSHIP_KEY, managed_by):
            return f"it has the tag {key}={value}"
    for key, kind in KEEPERS.items():
        if key in tags:
            return f"it belongs to the {kind} {tags[key]}, which would replace it"
    if resource.get("RequesterManaged") or resource.get("Operator", {}).get("Managed"):
        return "a service of AWS manages it"
    return None


class Report:
    """What was done, a line of JSON each. A later run adds to the same file."""

    def __init__(self, path: Path) -> None:
        """Reads which workers an earlier run told of, and sees that it can be written."""
        self.path = path
        if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
            raise OSError(f"the report {path} cannot be written")
        before = path.read_text(errors="replace") if path.exists() else ""
        self._torn = not before.endswith("\n") and before != ""
        lines = [_parsed(line) for line in before.splitlines()]
        self.told = {line.get("instance_id") for line in lines if "tagged" in line}

    def tell(self, worker: Worker, tagged: list[str]) -> None:
        """Says what was tagged of a worker; if nothing, then that it has the tag already, unless an earlier line says so."""
        if tagged or worker.instance_id not in self.told:
            self.told.add(worker.instance_id)
            self.write(instance_id=worker.instance_id, name=worker.name, tagged=tagged, already_tagged=worker.tagged)

    def write(self, **line: Any) -> None:
        """Writes a line so that it survives whatever ends this process next."""
        with self.path.open("a") as file:
            file.write("\n" * self._torn + json.dumps({"time": datetime.now(UTC).isoformat(), **line}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._torn = False


@dataclass
class Outcome:
    """The workers that were tagged; those that EC2 refused, with its reason; and those that do not match any more."""

    tagged: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def _parsed(line: str) -> dict[str, Any]:
    """A line of an earlier report; one that was cut off says nothing."""
    try:
        document = json.loads(line)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def adopt(ec2: Any, criteria: Criteria, confirmed: Plan, report: Report, done: Callable[[], None]) -> Outcome:
    """Tags what was confirmed and still matches. It is read anew just before: somebody else may have tagged it since."""
    outcome = Outcome()
    for worker in confirmed.workers.values():
        if not worker.untagged:
            report.tell(worker, [])
    for some in _chunks([worker.instance_id for worker in confirmed.to_tag], READ_ANEW):
        now = find(ec2, replace(criteria, image_names=(), instance_ids=some), confirmed.managed_by, confirmed.workers)
        for instance_id in some:
            _adopt(ec2, confirmed.workers[instance_id], now, report, outcome)
            done()
    _look_again(ec2, confirmed.managed_by, report, outcome)
    return outcome


def _adopt(ec2: Any, shown: Worker, now: Plan, report: Report, outcome: Outcome) -> None:
    worker = now.workers.get(shown.instance_id)
    resources = [each for each in worker.untagged if each in shown.untagged] if worker else []
    if worker is None or not resources:
        left = [now.left[each] for each in (shown.instance_id, *shown.untagged) if each in now.left]
        reason = left[0] if left else "what was to be tagged has the tag now, or is attached no more"
        outcome.skipped[shown.instance_id] = reason
        report.write(instance_id=shown.instance_id, name=shown.name, tagged=[], skipped=reason)
        return
    try:
        ec2.create_tags(Resources=resources, Tags=[{"Key": OWNERSHIP_KEY, "Value": now.managed_by}])
    except ClientError as error:
        outcome.refused[worker.instance_id] = str(error)
        report.write(instance_id=worker.instance_id, name=worker.name, error=str(error))
    else:
        outcome.tagged.append(worker.instance_id)
        report.tell(worker, resources)


def _look_again(ec2: Any, managed_by: str, report: Report, outcome: Outcome) -> None:
    """A call whose answer was lost is sent again, and then refused: what it was for has its tag already."""
    if not outcome.refused:
        return
    now = find(ec2, Criteria(instance_ids=list(outcome.refused)), managed_by)
    for worker in now.workers.values():
        if not worker.untagged:
            del outcome.refused[worker.instance_id]
            outcome.tagged.append(worker.instance_id)
            report.tell(worker, [])


def _tags(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags") or resource.get("TagSet") or []}


def _filter(name: str, values: list[str]) -> dict[str, Any]:
    return {"Name": name, "Values": values}


def _literal(value: str) -> str:
    r"""A value in which `*`, `?` and `\` mean themselves."""
    return "".join("\\" + letter if letter in "*?\\" else letter for letter in value)


def _chunks(values: Iterable[str], size: int = MOST_VALUES) -> Iterator[list[str]]:
    every = list(values)
    for first in range(0, len(every), size):
        yield every[first : first + size]
