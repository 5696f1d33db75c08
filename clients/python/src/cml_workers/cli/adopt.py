"""`cml-workers adopt`: the way over for workers that exist."""

import re
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import botocore.config
import typer
from rich.progress import Progress

from cml_workers import adopting
from cml_workers.adopting import Criteria, Outcome, Plan, Report
from cml_workers.cli.options import OUTPUT, PROGRESS, Options, confirm, pairs, print_table, printable, sentence, tell
from cml_workers.problems import WorkersError
from cml_workers.waiting import LAG

# Tagging a thousand workers takes longer than EC2's first limit of calls lasts.
RETRIES = botocore.config.Config(retries={"mode": "adaptive", "max_attempts": 10})

PAUSE = 2.0
"""Seconds until the API is asked again: EC2's reads lag behind its writes."""


def adopt(
    context: typer.Context,
    image_name: Annotated[list[str] | None, typer.Option(help="Launched from this image; * and ? are wildcards.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="With this tag, KEY=VALUE.")] = None,
    instance_id: Annotated[list[str] | None, typer.Option(help="With this id.")] = None,
    ids_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="With one of the ids in this file, one on each line.")
    ] = None,
    managed_by: Annotated[str, typer.Option(help="The stack's parameter ManagedBy.")] = "cml-cloud-manager",
    report: Annotated[Path | None, typer.Option(dir_okay=False, help="Where to write what was done.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Tag workers that were launched without the API, so that it may manage them. With your own credentials, not the API's.

    A worker must match all options. Nothing is tagged before you confirm it. If this is interrupted, run it again.
    """
    options: Options = context.obj
    criteria = Criteria(image_name or [], pairs(tag or []), [*(instance_id or []), *_ids(ids_file)])
    _check(options, criteria, managed_by)
    region = options.ec2_region
    identity = options.aws.create_client("sts", region_name=region).get_caller_identity()
    ec2 = options.aws.create_client("ec2", region_name=region, config=RETRIES)
    plan = adopting.find(ec2, criteria, managed_by)
    _show(plan)
    where = f"in {region} of account {identity['Account']}, as {identity['Arn']}"
    resources = sum(len(worker.untagged) for worker in plan.to_tag)
    question = f"Tag {resources} resources of {len(plan.to_tag)} workers with ManagedBy={managed_by} {where}"
    if not plan.workers:
        tell(f"nothing to adopt {where}: no instance matches, or each one is left alone")
        raise typer.Exit(1)
    if dry_run:
        tell(f"{question}: not done, for this is a dry run")
        return
    try:
        written = Report(report or Path(f"cml-workers-adopt-{identity['Account']}-{region}.jsonl"))
    except OSError as error:
        raise typer.BadParameter(str(error)) from error
    if plan.to_tag and not yes:
        confirm(f"{question}?")
    written.write(run=question, criteria=asdict(criteria), left=plan.left)
    outcome = _tag(ec2, criteria, plan, written)
    tagged, refused = outcome.tagged, outcome.refused
    written.write(tagged_workers=len(tagged), refused_workers=list(refused), skipped_workers=list(outcome.skipped))
    tell(
        f"{len(tagged)} workers tagged, {len(refused)} refused, {len(outcome.skipped)} changed meanwhile: "
        f"{written.path} says which, and why"
    )
    for words in list(refused.values())[:1]:
        tell(f"the first refusal: {words}; iam/adopter.json has the permissions that adopting needs")
    if not _managed(options, tagged) or refused:
        raise typer.Exit(1)


def _ids(file: Path | None) -> list[str]:
    try:
        ids = file.read_text().split() if file else []
    except ValueError as error:
        raise typer.BadParameter(f"{file} is no file of text: {error}") from error
    if file and not ids:
        raise typer.BadParameter(f"{file} has no ids")
    return ids


def _check(options: Options, criteria: Criteria, managed_by: str) -> None:
    """Refuses what would tag others than were meant, or with what the API does not know."""
    if not (criteria.image_names or criteria.tags or criteria.instance_ids):
        raise typer.BadParameter("say which workers: --image-name, --tag, --instance-id or --ids-file")
    if wrong := [each for each in criteria.instance_ids if not re.fullmatch("i-[0-9a-f]+", each)]:
        raise typer.BadParameter(f"these are no instance ids: {', '.join(wrong)}")
    if not managed_by:
        raise typer.BadParameter("--managed-by is empty")
    if options.api_url:
        with suppress(WorkersError):
            worker = next(iter(options.workers.get_all_instances()), None)
            if worker and (value := worker.tags[adopting.OWNERSHIP_KEY]) != managed_by:
                raise typer.BadParameter(f"the API's workers have ManagedBy={value}: is --managed-by right?")


def _tag(ec2: Any, criteria: Criteria, plan: Plan, report: Report) -> Outcome:
    with Progress(console=PROGRESS) as progress:
        task = progress.add_task("tagging", total=len(plan.to_tag))
        try:
            return adopting.adopt(ec2, criteria, plan, report, lambda: progress.advance(task))
        except KeyboardInterrupt:
            tell("interrupted: run the same command again to go on")
            raise


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
        OUTPUT.print(printable(f"{resource} is left alone: {reason}"))


def _managed(options: Options, tagged: list[str]) -> bool:
    """Whether the API takes one of them for its own: if its tag has another value, it takes none."""
    if not options.api_url or not tagged:
        return True
    end = time.monotonic() + LAG
    try:
        while not options.workers.get_instance_details(tagged[0]).managed:
            if time.monotonic() > end:
                tell(f"the API does not manage {tagged[0]}: its stack's parameter ManagedBy is not --managed-by")
                return False
            time.sleep(PAUSE)
    except WorkersError as error:
        # Whoever may adopt need not be one of the API's callers.
        tell(f"whether the API manages {tagged[0]} is not known: {sentence(error)}")
    else:
        tell(f"the API manages {tagged[0]}")
    return True
