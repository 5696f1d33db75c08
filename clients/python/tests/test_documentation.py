"""The examples of the pages that need an API: each is run, and what it is said to print is printed."""

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, settings
from test_command_line import run

# The wheel is installed already, and no test is at the address of the example.
NOT_RUN = ("make ", "python3 ", "export ")
ADDRESS = "https://abcdef1234.execute-api.us-east-1.amazonaws.com/v1"

# What is another one in each run.
CHANGING = [
    r"(i|vol|eni)-[0-9a-f]{17}",
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    r"\d+(\.\d+){3}",
    r"\d+ (ms|s|min)\b",
    r"\d+:\d\d:\d\d",
]


def examples(language: str, page: str = "docs/CLIENT.md") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (REPOSITORY / page).read_text(), re.DOTALL | re.MULTILINE)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command, and the lines that it is said to print."""
    for example in examples("console") + examples("console", "README.md"):
        for command, *lines in (part.splitlines() for part in re.split(r"^\$ ", example, flags=re.MULTILINE)[1:]):
            yield command, lines


def plain(line: str) -> str:
    """A line without what changes, and without what a table's widths make of it."""
    for pattern in CHANGING:
        line = re.sub(pattern, "…", line)
    return " ".join(line.split())


def test_the_commands_print_what_the_page_says(
    stack: dict[str, Any], ec2: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    site = f"lab-{time.monotonic_ns()}"
    tags = [{"Key": "Name", "Value": "cml-old"}, {"Key": "site", "Value": site}]
    ec2.run_instances(
        ImageId=stack["image_id"], InstanceType="c5.2xlarge", MinCount=1, MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )  # fmt: skip
    operator = {
        "AWS_ACCESS_KEY_ID": stack["root_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": stack["root_secret_access_key"],
        "AWS_ENDPOINT_URL": stack["cloudwatch_endpoint"],
        "AWS_ENDPOINT_URL_EC2": stack["ec2_endpoint"],
        "CML_API_URL": "",
    }
    count = 0
    for command, lines in commands():
        if command.startswith(NOT_RUN):
            continue
        program, *arguments = shlex.split(command.replace("lab-9", site))
        assert program == "cml-workers"
        done = run(*arguments, **(operator if arguments[0] == "adopt" else settings(stack)))
        assert done.returncode == 0, f"{command}: {done.stderr}"
        printed = {plain(line) for line in (done.stdout + done.stderr).splitlines()}
        assert [line for line in lines if plain(line) not in printed] == [], f"{command}: {done.stdout}{done.stderr}"
        count += 1
    assert count >= 14


def test_the_call_with_curl_is_signed_as_the_readme_says(stack: dict[str, Any], tmp_path: Path) -> None:
    (call,) = examples("sh", "README.md")
    # Not every resolver knows that a name under .localhost is this machine.
    (tmp_path / ".curlrc").write_text(f"silent\nresolve = {stack['host']}:{stack['port']}:127.0.0.1\n")
    own = {**settings(stack), "API_URL": stack["api_url"], "CURL_HOME": str(tmp_path)}
    for secret, code in [(stack["secret_access_key"], "instance_not_found"), ("wrong", None)]:
        environment = {**os.environ, **own, "AWS_SECRET_ACCESS_KEY": secret}
        done = subprocess.run(["sh", "-c", call], env=environment, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout).get("code") == code, done.stdout


def test_the_code_runs(stack: dict[str, Any], ec2: Any) -> None:
    names: dict[str, Any] = {}
    blocks = examples("python")
    for block in blocks:
        exec(compile(block.replace(ADDRESS, os.environ["CML_API_URL"]), "docs/CLIENT.md", "exec"), names)  # noqa: S102 our page
    assert len(blocks) >= 4
    (reservation,) = ec2.describe_instances(InstanceIds=[names["worker"].instance_id])["Reservations"]
    assert reservation["Instances"][0]["State"]["Name"] == "terminated"


def test_the_page_lists_the_exit_codes_and_exceptions_that_there_are() -> None:
    from cml_workers import cli, problems

    page = (REPOSITORY / "docs" / "CLIENT.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (\d+) \| ", page, re.MULTILINE)}
    assert listed == {0, cli.REFUSED, 2, cli.NO_ANSWER, cli.NOT_REACHED, 130}
    own = {kind.__name__ for kind in problems.WorkersError.__subclasses__()} - {"ProblemError"}
    assert own == set(re.findall(r"^\| `(\w+Error)` \| ", page, re.MULTILINE))
