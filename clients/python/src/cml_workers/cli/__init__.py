"""The command line `cml-workers`."""

import sys
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cml_workers.cli import adopt, changes, reads
from cml_workers.cli.session import ERRORS, Session
from cml_workers.problems import NotReachedError, ProblemError, WorkersError

REFUSED = 1
NO_ANSWER = 3
NOT_REACHED = 4

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Runs Cisco Modeling Labs workers on EC2 through the CML worker management API.",
    epilog="Exit codes: 0 done, 1 refused or not wanted, 2 wrong arguments, 3 no answer or no credentials, "
    "4 state not reached, 130 interrupted.",
)
for command in (*reads.COMMANDS, *changes.COMMANDS, adopt.adopt):
    app.command(name=command.__name__.removesuffix("_"))(command)


@app.callback()
def options(
    context: typer.Context,
    api_url: Annotated[str | None, typer.Option(envvar="CML_API_URL", help="The stack's output ApiUrl.")] = None,
    region: Annotated[
        str | None, typer.Option(envvar="CML_REGION", help="The workers' region; by default the API's own.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(envvar="AWS_PROFILE", help="The profile of AWS's settings to sign with.")
    ] = None,
) -> None:
    """Keeps what every command needs."""
    context.obj = Session(api_url, region, profile)


def main(*arguments: Any) -> None:
    """Runs the command line. An error is one sentence on stderr."""
    try:
        app(*arguments)
    except (WorkersError, BotoCoreError, ClientError) as error:
        ERRORS.print(f"error: {sentence(error)}")
        sys.exit(exit_code(error))


def exit_code(error: Exception) -> int:
    """What tells a script the kinds of errors apart."""
    if isinstance(error, NotReachedError):
        return NOT_REACHED
    return REFUSED if isinstance(error, ProblemError | ClientError) else NO_ANSWER


def sentence(error: Exception) -> str:
    """What the API says, with what it says to do about it."""
    text = str(error)
    if isinstance(error, ProblemError):
        if error.missing_permission and error.missing_permission not in text:
            text += f"; the permission {error.missing_permission} is missing"
        if error.denied_by == "explicit_deny":
            text += "; a policy denies it, so that adding a permission does not help"
        text += f" (request {error.request_id})" if error.request_id else ""
    return text
