"""The commands that change workers."""

import json as jsons
import re
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cml_workers._sync.workers import SECONDS_TO_WAIT, Changes
from cml_workers.api.models import CreateInstance, InstanceStatus, StateChange
from cml_workers.cli.options import (
    PROGRESS,
    Json,
    Options,
    WorkerName,
    WorkerNames,
    confirm,
    pairs,
    print_json,
    print_table,
    printable,
    sentence,
    tell,
)
from cml_workers.cli.reads import print_fields, show
from cml_workers.problems import AwsTimeoutError, NoAnswerError, NotReachedError, ProblemError, UnexpectedAnswerError
from cml_workers.waiting import Until

MOST_AT_ONCE = 100
"""Workers that one call of the API takes."""

Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for all of them.")]


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The worker's name.")],
    image_name: Annotated[str | None, typer.Option(help="The image by its name, or ssm:/parameter.")] = None,
    image_id: Annotated[str | None, typer.Option(help="The image by its id.")] = None,
    instance_type: Annotated[str | None, typer.Option(help="For example m5zn.metal.")] = None,
    subnet_id: Annotated[str | None, typer.Option(help="By default one of the default VPC.")] = None,
    security_group_id: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    key_name: Annotated[str | None, typer.Option(help="The key pair for SSH.")] = None,
    iam_instance_profile: Annotated[str | None, typer.Option(help="Name or ARN of the instance profile.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; may be repeated.")] = None,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="JSON with more fields: docs/API.md.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The key of a launch that is sent again: it launches no second worker.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the worker is healthy.")] = False,
    timeout: Timeout = SECONDS_TO_WAIT,
    json: Json = False,
) -> None:
    """Launch a worker."""
    options: Options = context.obj
    given: dict[str, Any] = {
        "name": name,
        "image_name": image_name,
        "image_id": image_id,
        "instance_type": instance_type,
        "subnet_id": subnet_id,
        "security_group_ids": security_group_id,
        "key_name": key_name,
        "iam_instance_profile": iam_instance_profile,
    }
    body = _read(file)
    if isinstance(tags_of_file := body.get("tags", {}), dict):
        given["tags"] = tags_of_file | pairs(tag or [])
    launch = _launch(body | {field: value for field, value in given.items() if value})
    key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
    if not re.fullmatch("[!-~]{1,64}", key):
        raise typer.BadParameter("--idempotency-key has 1 to 64 printable characters of ASCII")
    # Before the launch: whoever is interrupted can ask what became of it.
    tell(f"launching {name}; to send this launch again, add --idempotency-key {key}")
    launched = options.workers.create_instance(launch, idempotency_key=key)
    for warning in launched.warnings:
        tell(f"warning: {warning}")
    if not launched.created:
        tell(f"{launched.instance_id} was launched by an earlier sending")
    if wait:
        _watch(options, {launched.instance_id: name}, "healthy", timeout)
        show(context, launched.instance_id, json)
    elif json:
        print_json(launched)
    else:
        print_fields(launched.to_dict())


def _read(file: Path | None) -> dict[str, Any]:
    try:
        body = jsons.loads(file.read_text()) if file else {}
    except ValueError as error:
        raise typer.BadParameter(f"{file} is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise typer.BadParameter(f"{file} is not a JSON object")
    return body


def _launch(body: dict[str, Any]) -> CreateInstance:
    """The launch, if it says all that the body says."""
    for field, option in (("name", "a name"), ("instance_type", "--instance-type")):
        if not body.get(field):
            raise typer.BadParameter(f"a worker needs {option}")
    try:
        launch = CreateInstance.from_dict(body)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise typer.BadParameter(f"a field of the file is missing or has the wrong type: {error}") from error
    if unknown := sorted(_lost(body, launch.to_dict())):
        raise typer.BadParameter(f"a launch has no such field, or no such value of it: {', '.join(unknown)}")
    return launch


def _lost(given: Any, kept: Any, name: str = "") -> Iterator[str]:
    """The fields that a launch did not take over."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for field, value in given.items():
            yield from _lost(value, kept.get(field), f"{name}.{field}".lstrip("."))
    elif given != kept:
        yield name


def start(
    context: typer.Context, worker: WorkerNames, wait: Wait = False, timeout: Timeout = SECONDS_TO_WAIT, json: Json = False
) -> None:
    """Start stopped workers. With --wait, until they are healthy."""
    options: Options = context.obj
    found = options.find(worker)
    _change(options, found, options.workers.start_instances, "healthy" if wait else None, timeout, json)


def stop(
    context: typer.Context,
    worker: WorkerNames,
    force: Annotated[bool, typer.Option("--force", help="Cut the power if the system does not shut down.")] = False,
    hibernate: Annotated[bool, typer.Option("--hibernate", help="Save the memory, where that is possible.")] = False,
    wait: Wait = False,
    timeout: Timeout = SECONDS_TO_WAIT,
    json: Json = False,
) -> None:
    """Stop running workers."""
    options: Options = context.obj
    found = options.find(worker)

    def stopped(ids: list[str]) -> Changes:
        return options.workers.stop_instances(ids, force=force, hibernate=hibernate)

    _change(options, found, stopped, "stopped" if wait else None, timeout, json)


def terminate(
    context: typer.Context,
    worker: WorkerNames,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = False,
    timeout: Timeout = SECONDS_TO_WAIT,
    json: Json = False,
) -> None:
    """Terminate workers for ever, with their volumes."""
    options: Options = context.obj
    found = options.find(worker)
    if not yes:
        for instance_id, name in found.items():
            tell(instance_id if name == instance_id else f"{instance_id} {name}")
        confirm(f"Terminate {'this worker' if len(found) == 1 else f'these {len(found)} workers'}?")
    _change(options, found, options.workers.terminate_instances, "terminated" if wait else None, timeout, json)


def tags(
    context: typer.Context,
    worker: WorkerName,
    set_: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE; may be repeated.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A key; may be repeated.")] = None,
    json: Json = False,
) -> None:
    """Show the tags of a worker, after setting or removing some."""
    options: Options = context.obj
    (instance_id,) = options.find([worker])
    answer = None
    if set_:
        answer = options.workers.update_instance_tags(instance_id, pairs(set_))
    if remove:
        answer = options.workers.delete_instance_tags(instance_id, remove)
    answer = answer or options.workers.get_instance_tags(instance_id)
    if json:
        print_json(answer)
    else:
        print_table(["KEY", "VALUE"], answer.tags.to_dict().items())


def _change(
    options: Options,
    found: dict[str, str],
    change: Callable[[list[str]], Changes],
    until: Until | None,
    timeout: float,
    json: bool,
) -> None:
    """Changes all, tells of each what became of it, and exits with 1 if one was refused."""
    ids, changes = list(found), Changes()
    some: list[str] = []
    try:
        for first in range(0, len(ids), MOST_AT_ONCE):
            some = ids[first : first + MOST_AT_ONCE]
            changes |= change(some)
    except (KeyboardInterrupt, NoAnswerError, UnexpectedAnswerError, AwsTimeoutError):
        tell(f"what became of {len(some)} workers is not known: `cml-workers list` shows their state")
        raise
    finally:
        # What was done is told, whatever came after it.
        if changes:
            _tell(found, changes, json)
    done = {each: found[each] for each, change in changes.items() if isinstance(change, StateChange)}
    if until:
        _watch(options, done, until, timeout)
    if len(done) < len(ids):
        raise typer.Exit(1)


def _tell(found: dict[str, str], changes: Changes, json: bool) -> None:
    if json:
        print_json({each: _document(change) for each, change in changes.items()})
        return
    rows = []
    for instance_id, change in changes.items():
        if isinstance(change, StateChange):
            note = change.note or ("" if change.changed else "it already was")
            rows.append((found[instance_id], instance_id, change.previous_state, change.current_state, note))
        else:
            rows.append((found[instance_id], instance_id, "", "refused", sentence(change)))
    print_table(["NAME", "INSTANCE", "BEFORE", "NOW", "NOTE"], rows)


def _document(change: StateChange | ProblemError) -> dict[str, Any]:
    return change.to_dict() if isinstance(change, StateChange) else {"error": change.document}


def _watch(options: Options, found: dict[str, str], until: Until, timeout: float) -> None:
    """Shows each worker's state until all have reached it, or the time is up. Then raises for the first that has not."""
    failed: list[NotReachedError] = []
    end = time.monotonic() + timeout
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=PROGRESS) as progress:
        tasks = {each: progress.add_task(printable(f"{name}: waiting"), total=1) for each, name in found.items()}
        for instance_id, task in tasks.items():
            name = found[instance_id]
            try:
                for status in options.workers.watch(instance_id, until, timeout=max(end - time.monotonic(), 0)):
                    progress.update(task, description=printable(f"{name}: {stage(status)}"))
                progress.update(task, completed=1)
            except NotReachedError as error:
                progress.update(task, description=printable(f"{name}: {error}"))
                failed.append(error)
    if failed:
        raise failed[0]


def stage(status: InstanceStatus) -> str:
    """How far a worker is, in EC2's words."""
    checks = {
        "instance": status.instance_status_check,
        "system": status.system_status_check,
        "volumes": status.ebs_status_check,
    }
    known = [f"{name} {check}" for name, check in checks.items() if check and check != "not-applicable"]
    return ", ".join([status.state, *known, *(["healthy"] if status.healthy else [])])


COMMANDS = (create, start, stop, terminate, tags)
