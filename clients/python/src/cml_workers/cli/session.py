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
from rich.console import Console
from rich.table import Table

from cml_workers import Workers
from cml_workers.signing import configured_region, signing_region


def _console(stderr: bool) -> Console:
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    # What is piped is not cut: rich takes a pipe to be 80 columns wide.
    return Console(stderr=stderr, width=None if terminal else 250, markup=False, highlight=False, emoji=False)


OUTPUT = _console(stderr=False)
ERRORS = _console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WorkerNames = Annotated[list[str], typer.Argument(metavar="WORKER...", help="Instance ids, or names of workers.")]
WorkerName = Annotated[str, typer.Argument(metavar="WORKER", help="The instance id, or the name of a worker.")]


@dataclass
class Session:
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
        return Workers(self.api_url, region=self.region, session=self.aws)

    @property
    def ec2_region(self) -> str:
        """The region of the workers, for EC2 itself."""
        region = self.region or (signing_region(self.api_url, self.aws) if self.api_url else configured_region(self.aws))
        if not region:
            raise typer.BadParameter("set AWS_REGION, or give --region, to the region of the workers")
        return region

    def find(self, names: Iterable[str]) -> dict[str, str]:
        """The instance id and the name of each; a name that none or several workers have is refused."""
        found: dict[str, str] = {}
        for name in names:
            if re.fullmatch("i-[0-9a-f]+", name):
                found.setdefault(name, name)
                continue
            ids = [instance.instance_id for instance in self.workers.get_all_instances(tag={"Name": name})]
            if len(ids) != 1:
                several = f"{len(ids)} workers are named {name}: give one of {', '.join(ids)}"
                raise typer.BadParameter(several if ids else f"no worker is named {name}: `cml-workers list` shows them")
            found[ids[0]] = name
        return found


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """What was given as `KEY=VALUE`."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{text} is not KEY=VALUE")
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
        table.add_row(*("-" if cell is None or cell == "" else str(cell) for cell in row))
    OUTPUT.print(table)
