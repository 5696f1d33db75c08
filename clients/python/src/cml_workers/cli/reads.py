"""The commands that change nothing."""

import json as jsons
from typing import Annotated, Any

import typer

from cml_workers.api.models import Instance, Managed, Metric, Permission
from cml_workers.cli.options import OUTPUT, Json, Options, WorkerName, pairs, print_json, print_table, printable

BARS = "▁▂▃▄▅▆▇█"
MINUTE, HOUR, DAY = 60, 3600, 86400


def list_(
    context: typer.Context,
    state: Annotated[list[str] | None, typer.Option(help="Only those in this state; may be repeated.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only those with this tag, KEY=VALUE.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Also instances that are not managed.")] = False,
    json: Json = False,
) -> None:
    """List the workers of the region."""
    options: Options = context.obj
    managed: Managed = "any" if everyone else "true"
    found = options.workers.get_all_instances(tag=pairs(tag or []), managed=managed, state=state or [])
    workers = sorted(found, key=lambda worker: (worker.name or "", worker.instance_id))
    if json:
        print_json(workers)
        return
    titles = ["NAME", "INSTANCE", "STATE", "TYPE", "PUBLIC IP", "PRIVATE IP", "ZONE", "UP FOR"]
    print_table([*titles, "MANAGED"] if everyone else titles, (_row(each, everyone) for each in workers))


def _row(worker: Instance, everyone: bool) -> list[str | None]:
    up_for = duration(worker.age_seconds) if worker.state == "running" else None
    where = [worker.public_ip, worker.private_ip, worker.availability_zone, up_for]
    managed = ["yes" if worker.managed else "no"] if everyone else []
    return [worker.name, worker.instance_id, worker.state, worker.instance_type, *where, *managed]


def show(context: typer.Context, worker: WorkerName, json: Json = False) -> None:
    """Show one worker: its details, status checks and scheduled events."""
    options: Options = context.obj
    (instance_id,) = options.find([worker])
    instance = options.workers.get_instance_details(instance_id)
    status = options.workers.get_instance_status(instance_id)
    document = instance.to_dict() | {"status": status.to_dict()}
    if json:
        print_json(document)
        return
    print_fields(document)


def print_fields(document: dict[str, Any]) -> None:
    """A document as a table: each member, and each of the objects in it."""
    print_table(["FIELD", "VALUE"], [(name, text(value)) for name, value in flat(document)])


def usage(
    context: typer.Context,
    worker: Annotated[list[str] | None, typer.Argument(help="Workers; by default all that run.")] = None,
    window: Annotated[str, typer.Option(help="How far to look back: 30s, minutes as 90m or hours as 24h.")] = "1h",
    json: Json = False,
) -> None:
    """Show how much of their CPU and memory the workers use."""
    options: Options = context.obj
    found = options.find(worker or [])
    if not worker:
        running = options.workers.get_all_instances(state=["running"])
        found = {each.instance_id: each.name or each.instance_id for each in running}
    read = options.workers.get_instance_resources_utilization
    used = {instance_id: read(instance_id, window=window, series=True) for instance_id in found}
    if json:
        print_json(list(used.values()))
        return
    rows = (
        (found[instance_id], instance_id, *percents(answer.cpu), *percents(answer.memory))
        for instance_id, answer in used.items()
    )
    print_table(["NAME", "INSTANCE", "CPU", "AVG", "MAX", "NOW", "MEMORY", "AVG", "MAX", "NOW"], rows)
    for instance_id, answer in used.items():
        for name, metric in (("CPU", answer.cpu), ("memory", answer.memory)):
            if metric.reason:
                OUTPUT.print(printable(f"{found[instance_id]}: no {name}: {metric.reason}"))


def health(
    context: typer.Context,
    permissions: Annotated[bool, typer.Option("--permissions", help="Also try every permission.")] = False,
    json: Json = False,
) -> None:
    """Check that the API reaches EC2 and CloudWatch. Exit code 1 if anything is wrong."""
    options: Options = context.obj
    answer = options.workers.health(permissions=permissions)
    if json:
        print_json(answer)
    else:
        OUTPUT.print(f"{answer.status}: version {answer.version}, credentials {answer.credentials.kind}")
        rows = [(each.region, each.name, "ok" if each.ok else each.error, f"{each.latency_ms} ms") for each in answer.checks]
        print_table(["REGION", "CALL", "RESULT", "TIME"], rows)
        wrong = [each for each in answer.permissions or [] if each.verdict != "allowed"]
        if answer.permissions:
            OUTPUT.print(f"{len(answer.permissions) - len(wrong)} of {len(answer.permissions)} permissions are allowed")
        for each in wrong:
            OUTPUT.print(printable(about(each)))
        for warning in answer.warnings:
            OUTPUT.print(printable(f"warning: {warning}"))
    raise typer.Exit(0 if answer.status == "ok" else 1)


def images(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name; * and ? are wildcards.")] = "*",
    owner: Annotated[str | None, typer.Option(help="The account that owns them; by default the API's own.")] = None,
    json: Json = False,
) -> None:
    """List the images that workers can be launched from."""
    options: Options = context.obj
    found = list(options.workers.get_ami_ids_by_name(name, owner=owner))
    if json:
        print_json(found)
        return
    rows = [(each.name, each.image_id, each.creation_date, "yes" if each.deprecated else "") for each in found]
    print_table(["NAME", "IMAGE", "CREATED", "DEPRECATED"], rows)


def about(permission: Permission) -> str:
    """One permission that is missing or unknown, with the API's remedy."""
    told = f"{permission.action} in {permission.region} is {permission.verdict}: {permission.reason}"
    if permission.broken_operations:
        told += f"; without it {', '.join(permission.broken_operations)} do not work"
    if permission.policy_statements:
        told += f"; add to the role's policy: {jsons.dumps(permission.policy_statements)}"
    return told


def percents(metric: Metric) -> tuple[str | None, ...]:
    """A line of bars, then average, maximum and latest."""
    points = "".join(BARS[min(int(point.maximum / 100 * len(BARS)), len(BARS) - 1)] for point in metric.points or [])
    numbers = (metric.average, metric.maximum, metric.latest)
    return (points[-24:], *(None if number is None else f"{number:.0f}%" for number in numbers))


def duration(seconds: int | None) -> str | None:
    """In the largest unit that fits."""
    if seconds is None:
        return None
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def flat(document: dict[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """The members of a document and of the objects in it."""
    members: list[tuple[str, Any]] = []
    for name, value in document.items():
        members += flat(value, f"{above}{name}.") if isinstance(value, dict) else [(above + name, value)]
    return members


def text(value: Any) -> str:
    """A member as one line."""
    if isinstance(value, list):
        return ", ".join(map(text, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


COMMANDS = (list_, show, usage, health, images)
