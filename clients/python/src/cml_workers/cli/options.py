"""What every command needs: the client, the terminal, and the workers that are named on the command line."""

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import botocore.session
import typer
from botocore.exceptions import ClientError
from rich.console import Console
from rich.table import Table

from cml_workers import Workers
from cml_workers.api.models import Managed
from cml_workers.problems import NotManagedError, ProblemError, UnexpectedAnswerError
from cml_workers.signing import configured_region, signing_region


def _console(stderr: bool, width: int | None) -> Console:
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


# Nothing is cut: an id that is cut cannot be copied, and a terminal wraps what is longer.
UNCUT = 10_000
OUTPUT = _console(stderr=False, width=UNCUT)
PROGRESS = _console(stderr=True, width=None if sys.stderr.isatty() else UNCUT)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WorkerNames = Annotated[list[str], typer.Argument(metavar="WORKER...", help="Instance ids, or names of workers.")]
WorkerName = Annotated[str, typer.Argument(metavar="WORKER", help="The instance id, or the name of a worker.")]


@dataclass
class Options:
    """The options before the command."""

    api_url: str | None
    region: str | None
    profile: str | None

    @cached_property
    def aws(self) -> botocore.session.Session:
        """The source of credentials."""
        return botocore.session.Session(profile=self.profile)

    @cached_property
    def workers(self) -> Workers:
        """The client."""
        if not self.api_url:
            raise typer.BadParameter("set CML_API_URL, or give --api-url, to the stack's output ApiUrl")
        try:
            return Workers(self.api_url, region=self.region, session=self.aws)
        except ValueError as error:
            raise typer.BadParameter(f"{error}: CML_API_URL is the stack's output ApiUrl") from error

    @property
    def ec2_region(self) -> str:
        """The region of the workers, for EC2 itself."""
        region = self.region or (signing_region(self.api_url, self.aws) if self.api_url else configured_region(self.aws))
        if not region:
            raise typer.BadParameter("set AWS_REGION, or give --region, to the region of the workers")
        return region

    def _named(self, name: str, managed: Managed) -> list[str]:
        named = self.workers.get_all_instances(tag={"Name": name}, managed=managed)
        return [instance.instance_id for instance in named]

    def find(self, names: Iterable[str]) -> dict[str, str]:
        """The instance id and the name of each; a name that none or several workers have is refused."""
        found: dict[str, str] = {}
        for name in names:
            if re.fullmatch("i-[0-9a-f]+", name):
                found.setdefault(name, name)
                continue
            ids = self._named(name, "true") or self._named(name, "any")
            if len(ids) != 1:
                several = f"{len(ids)} workers are named {name}: give one of {', '.join(ids)}"
                raise typer.BadParameter(several if ids else f"no worker is named {name}: `cml-workers list` shows them")
            found[ids[0]] = name
        return found


def printable(text: object) -> str:
    """A text without what moves a terminal's cursor, begins a line, or turns the direction of writing."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))


def tell(text: str) -> None:
    """A line on stderr: what is not the result."""
    PROGRESS.print(printable(text), soft_wrap=True)


def confirm(question: str) -> None:
    """Asks on stderr, and ends the program unless the answer is yes."""
    try:
        agreed = typer.confirm(printable(question), err=True)
    except typer.Abort:
        if not sys.stdin.isatty():
            tell("nobody answered: --yes does not ask")
        raise
    if not agreed:
        raise typer.Abort


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """What was given as `KEY=VALUE`."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{text} is not KEY=VALUE")
        if key in found:
            raise typer.BadParameter(f"{key} is given twice")
        found[key] = value
    return found


def print_json(value: Any) -> None:
    """A document, or a list of them, as the API writes it."""
    documents = [each.to_dict() for each in value] if isinstance(value, list) else value
    print(json.dumps(documents if isinstance(value, list | dict) else value.to_dict(), indent=2, default=str))


def print_table(titles: list[str], rows: Iterable[Iterable[Any]]) -> None:
    """Rows under titles; what there is none of is a dash."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, no_wrap=True)
    for row in rows:
        table.add_row(*("-" if cell is None or cell == "" else printable(cell) for cell in row))
    OUTPUT.print(table)


def sentence(error: Exception) -> str:
    """What the API or EC2 says, with what there is to do about it."""
    text = str(error)
    if isinstance(error, ProblemError):
        if error.missing_permission and error.missing_permission not in text:
            text += f"; the permission {error.missing_permission} is missing"
        if error.denied_by == "explicit_deny":
            text += "; a policy denies it, so that adding a permission does not help"
        text += f" (request {error.request_id})" if error.request_id else ""
    if isinstance(error, NotManagedError):
        text += "; `cml-workers adopt` adopts it"
    if isinstance(error, UnexpectedAnswerError):
        text += "; is CML_API_URL the stack's output ApiUrl?"
    if isinstance(error, ClientError) and "not authorized" in text:
        text += "; iam/adopter.json has the permissions that adopting needs"
    return text
