"""`cml-workers adopt`: the way over for workers that exist."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import botocore.config
import typer
from rich.progress import Progress

from cml_workers import adopting
from cml_workers.adopting import Criteria, Plan, Report
from cml_workers.cli.session import ERRORS, OUTPUT, Session, pairs, print_table

# Tagging a thousand workers takes longer than EC2's first limit of calls lasts.
RETRIES = botocore.config.Config(retries={"mode": "adaptive", "max_attempts": 10})


def adopt(
    context: typer.Context,
    image_name: Annotated[list[str] | None, typer.Option(help="Launched from this image; * and ? are wildcards.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="With this tag, KEY=VALUE.")] = None,
    instance_id: Annotated[list[str] | None, typer.Option(help="With this id.")] = None,
    ids_file: Annotated[Path | None, typer.Option(exists=True, help="With one of the ids in this file.")] = None,
    managed_by: Annotated[str, typer.Option(help="The stack's parameter ManagedBy.")] = "cml-cloud-manager",
    report: Annotated[Path | None, typer.Option(help="Where to write what was done.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Tag workers that were launched without the API, so that it may manage them. With your own credentials, not the API's.

    Of several options a worker must match each. Nothing is tagged before you confirm it. The same command goes on where one
    was interrupted.
    """
    session: Session = context.obj
    ids = [*(instance_id or []), *(ids_file.read_text().split() if ids_file else [])]
    criteria = Criteria(image_name or [], pairs(tag or []), ids)
    if not (criteria.image_names or criteria.tags or ids):
        raise typer.BadParameter("say which workers: --image-name, --tag, --instance-id or --ids-file")
    region = session.ec2_region
    identity = session.aws.create_client("sts", region_name=region).get_caller_identity()
    ec2 = session.aws.create_client("ec2", region_name=region, config=RETRIES)
    plan = adopting.find(ec2, criteria, managed_by)
    _show(plan)
    where = f"in {region} of account {identity['Account']}, as {identity['Arn']}"
    resources = sum(len(worker.untagged) for worker in plan.to_tag)
    question = f"Tag {resources} resources of {len(plan.to_tag)} workers with ManagedBy={managed_by} {where}"
    if dry_run:
        ERRORS.print(f"{question}: not done, for this is a dry run", soft_wrap=True)
        return
    if not plan.workers:
        ERRORS.print(f"no instance {where} matches that is not left alone")
        raise typer.Exit(1)
    if plan.to_tag and not yes:
        typer.confirm(f"{question}?", abort=True, err=True)
    written = Report(report or Path(f"cml-workers-adopt-{identity['Account']}-{region}.jsonl"))
    written.write(run=question, criteria=asdict(criteria), left=plan.left)
    with Progress(console=ERRORS) as progress:
        task = progress.add_task("tagging", total=len(plan.to_tag))
        # Read anew: while somebody looked at the list, a worker may have ended, and a volume may have gone elsewhere.
        now = adopting.find(ec2, criteria, managed_by)
        refused = adopting.adopt(ec2, plan, now, managed_by, written, lambda: progress.advance(task))
    tagged = len(now.to_tag) - len(refused)
    written.write(tagged_workers=tagged, refused_workers=refused)
    ERRORS.print(f"{tagged} workers tagged, {len(refused)} refused: {written.path} says which, and why", soft_wrap=True)
    _ask_api(session, now)
    raise typer.Exit(1 if refused else 0)


def _show(plan: Plan) -> None:
    rows = [
        (worker.name, worker.instance_id, worker.instance_type, worker.state, ", ".join(worker.untagged))
        for worker in plan.to_tag
    ]
    if rows:
        print_table(["NAME", "INSTANCE", "TYPE", "STATE", "TO TAG"], rows)
    if already := len(plan.workers) - len(rows):
        OUTPUT.print(f"{already} workers have the tag already")
    for resource, reason in plan.left.items():
        OUTPUT.print(f"{resource} is left alone: {reason}", soft_wrap=True)


def _ask_api(session: Session, adopted: Plan) -> None:
    """Whether the API takes one of them for its own: if its tag has another value, it takes none."""
    if not session.api_url or not adopted.workers:
        return
    instance_id = next(iter(adopted.workers))
    if session.workers.get_instance_details(instance_id).managed:
        ERRORS.print(f"the API manages {instance_id}")
    else:
        ERRORS.print(f"the API does not manage {instance_id}: its stack's parameter ManagedBy is not --managed-by")
        raise typer.Exit(1)
