"""The commands that change workers."""

import json as jsons
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cml_workers.api.models import CreateInstance, InstanceStatus, StateChange
from cml_workers.cli.reads import show
from cml_workers.cli.session import ERRORS, Json, Session, WorkerName, WorkerNames, pairs, print_json, print_table
from cml_workers.problems import NotReachedError, ProblemError, WorkersError
from cml_workers.waiting import Until

MOST_AT_ONCE = 100
"""Workers that one call of the API takes."""

Changes = dict[str, StateChange | ProblemError]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait.")]


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The worker's name.")],
    image_name: Annotated[str | None, typer.Option(help="The image by its name, or ssm:/parameter.")] = None,
    image_id: Annotated[str | None, typer.Option(help="The image by its id.")] = None,
    instance_type: Annotated[str | None, typer.Option(help="For example c5.2xlarge.")] = None,
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
    timeout: Timeout = 900,
    json: Json = False,
) -> None:
    """Launch a worker."""
    session: Session = context.obj
    given = {
        "name": name,
        "image_name": image_name,
        "image_id": image_id,
        "instance_type": instance_type,
        "subnet_id": subnet_id,
        "security_group_ids": security_group_id,
        "key_name": key_name,
        "iam_instance_profile": iam_instance_profile,
        "tags": pairs(tag or []),
    }
    body = _read(file) | {field: value for field, value in given.items() if value}
    key = idempotency_key or str(uuid.uuid4())
    # Before the launch: whoever is interrupted can ask what became of it.
    ERRORS.print(f"launching {name}; to send this launch again, add --idempotency-key {key}", soft_wrap=True)
    launched = session.workers.create_instance(_launch(body), idempotency_key=key)
    for warning in launched.warnings:
        ERRORS.print(f"warning: {warning}", soft_wrap=True)
    if not launched.created:
        ERRORS.print(f"{launched.instance_id} was launched by an earlier sending")
    if wait:
        _watch(session, {launched.instance_id: name}, "healthy", timeout)
    show(context, launched.instance_id, json)


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
    if "instance_type" not in body:
        raise typer.BadParameter("a worker needs --instance-type")
    try:
        launch = CreateInstance.from_dict(body)
    except (AttributeError, TypeError, ValueError) as error:
        raise typer.BadParameter(f"this is no launch: {error}") from error
    unknown = [name for name, value in body.items() if launch.to_dict().get(name) != value]
    if unknown:
        raise typer.BadParameter(f"a launch has no such field, or no such value of it: {', '.join(unknown)}")
    return launch


def start(context: typer.Context, worker: WorkerNames, wait: Wait = False, timeout: Timeout = 900, json: Json = False) -> None:
    """Start stopped workers. With --wait, until they are healthy."""
    session: Session = context.obj
    found = session.find(worker)
    _change(session, found, session.workers.start_instances, "healthy" if wait else None, timeout, json)


def stop(
    context: typer.Context,
    worker: WorkerNames,
    force: Annotated[bool, typer.Option("--force", help="Cut the power if the system does not shut down.")] = False,
    hibernate: Annotated[bool, typer.Option("--hibernate", help="Save the memory, where that is possible.")] = False,
    wait: Wait = False,
    timeout: Timeout = 900,
    json: Json = False,
) -> None:
    """Stop running workers."""
    session: Session = context.obj
    found = session.find(worker)

    def stopped(ids: list[str]) -> Changes:
        return session.workers.stop_instances(ids, force=force, hibernate=hibernate)

    _change(session, found, stopped, "stopped" if wait else None, timeout, json)


def terminate(
    context: typer.Context,
    worker: WorkerNames,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = False,
    timeout: Timeout = 900,
    json: Json = False,
) -> None:
    """Terminate workers for ever, with their volumes."""
    session: Session = context.obj
    found = session.find(worker)
    if not yes:
        for instance_id, name in found.items():
            ERRORS.print(instance_id if name == instance_id else f"{instance_id} {name}")
        typer.confirm(f"Terminate {'this worker' if len(found) == 1 else f'these {len(found)} workers'}?", abort=True, err=True)
    _change(session, found, session.workers.terminate_instances, "terminated" if wait else None, timeout, json)


def tags(
    context: typer.Context,
    worker: WorkerName,
    set_: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE; may be repeated.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A key; may be repeated.")] = None,
    json: Json = False,
) -> None:
    """Show the tags of a worker, after setting or removing some."""
    session: Session = context.obj
    (instance_id,) = session.find([worker])
    answer = None
    if set_:
        answer = session.workers.update_instance_tags(instance_id, pairs(set_))
    if remove:
        answer = session.workers.delete_instance_tags(instance_id, remove)
    answer = answer or session.workers.get_instance_tags(instance_id)
    if json:
        print_json(answer)
    else:
        print_table(["KEY", "VALUE"], answer.tags.to_dict().items())


def _change(
    session: Session,
    found: dict[str, str],
    change: Callable[[list[str]], Changes],
    until: Until | None,
    timeout: float,
    json: bool,
) -> None:
    """Changes all, tells of each what became of it, and exits with 1 if one was refused."""
    ids, changes = list(found), Changes()
    try:
        for first in range(0, len(ids), MOST_AT_ONCE):
            changes |= change(ids[first : first + MOST_AT_ONCE])
    finally:
        # What was done is told, whatever came after it.
        _tell(found, changes, json)
    done = {instance_id: found[instance_id] for instance_id in ids if isinstance(changes[instance_id], StateChange)}
    if until:
        _watch(session, done, until, timeout)
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
            rows.append((found[instance_id], instance_id, "", "refused", str(change)))
    print_table(["NAME", "INSTANCE", "BEFORE", "NOW", "NOTE"], rows)


def _document(change: StateChange | ProblemError) -> dict[str, Any]:
    return change.to_dict() if isinstance(change, StateChange) else {"error": change.document}


def _watch(session: Session, found: dict[str, str], until: Until, timeout: float) -> None:
    """Shows each worker's state until all have reached it. The first that does not is told, after all others were seen."""
    failed: list[WorkersError] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=ERRORS) as progress:
        tasks = {each: progress.add_task(f"{name}: waiting", total=1) for each, name in found.items()}
        for instance_id, task in tasks.items():
            try:
                for status in session.workers.watch(instance_id, until, timeout=timeout):
                    progress.update(task, description=f"{found[instance_id]}: {stage(status)}")
                progress.update(task, completed=1)
            except NotReachedError as error:
                progress.update(task, description=f"{found[instance_id]}: {error}")
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
