"""The command line `cml-workers`."""

import sys
from importlib.metadata import version as installed_version
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cml_workers.cli import adopt, changes, reads
from cml_workers.cli.options import OUTPUT, Options, sentence, tell
from cml_workers.problems import NotReachedError, ProblemError, WorkersError

REFUSED = 1
NO_ANSWER = 3
NOT_REACHED = 4

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Runs Cisco Modeling Labs workers on EC2 through the CML worker management API.",
    epilog="These options stand before the command. Exit codes: 0 done, 1 refused, or you said no, or not healthy, "
    "2 wrong arguments, 3 no answer or no credentials, 4 state not reached, 130 interrupted.",
)
for command in (*reads.COMMANDS, *changes.COMMANDS, adopt.adopt):
    app.command(name=command.__name__.removesuffix("_"))(command)


def _version(wanted: bool) -> None:
    if wanted:
        OUTPUT.print(installed_version("cml-workers"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    api_url: Annotated[str | None, typer.Option(envvar="CML_API_URL", help="The stack's output ApiUrl.")] = None,
    region: Annotated[
        str | None, typer.Option(envvar="CML_REGION", help="The workers' region; by default the API's own.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version.")] = False,
    profile: Annotated[
        str | None, typer.Option(help="The profile of AWS's settings to sign with, even if there are keys in the environment.")
    ] = None,
) -> None:
    """Keeps what every command needs."""
    context.obj = Options(api_url, region, profile)


def main(*arguments: Any) -> None:
    """Runs the command line. An error is one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal or a file that has no letter for a bar or a name gets another one.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app(*arguments)
    except (WorkersError, BotoCoreError, ClientError, ImportError, OSError) as error:
        tell(f"error: {sentence(error)}")
        sys.exit(exit_code(error))


def exit_code(error: Exception) -> int:
    """What tells a script the kinds of errors apart."""
    if isinstance(error, NotReachedError):
        return NOT_REACHED
    return REFUSED if isinstance(error, ProblemError | ClientError) else NO_ANSWER
