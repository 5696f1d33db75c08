"""`cml-workers`, as an operator runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from server import LOST, Answer, Asked, Server

from cml_workers import Workers

PROGRAM = Path(sys.executable).parent / "cml-workers"


def run(*arguments: str, answer: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """What it prints, with its exit code."""
    return subprocess.run(
        [PROGRAM, *arguments],
        input=answer,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
        check=False,
    )


def succeed(*arguments: str, answer: str = "", **environment: str) -> str:
    """What it prints if all is well."""
    done = run(*arguments, answer=answer, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def client(stack: dict[str, Any]) -> Workers:
    return Workers(stack["api_url"])


@pytest.fixture
def name() -> str:
    return f"cli-{time.monotonic_ns()}"


def test_a_worker_lives(stack: dict[str, Any], client: Workers, name: str) -> None:
    image = ("--image-name", stack["image_name"])
    done = run("create", name, *image, "--instance-type", "c5.2xlarge", "--tag", "site=lab", "--wait")
    assert done.returncode == 0, done.stderr
    assert "healthy" in done.stderr
    assert re.search(r"status\.healthy +true", done.stdout)
    instance_id = re.findall(r"^instance_id +(i-[0-9a-f]+) *$", done.stdout, re.MULTILINE)[0]
    assert client.get_instance_details(instance_id).tags["site"] == "lab"
    (key,) = re.findall("--idempotency-key ([0-9a-f-]{36})", done.stderr)
    again = run("create", name, *image, "--instance-type", "c5.2xlarge", "--tag", "site=lab", "--idempotency-key", key)
    assert f"{instance_id} was launched by an earlier sending" in again.stderr

    (listed,) = [line for line in succeed("list", "--state", "running").splitlines() if name in line]
    assert instance_id in listed
    assert json.loads(succeed("list", "--tag", f"Name={name}", "--json"))[0]["instance_id"] == instance_id
    assert json.loads(succeed("show", name, "--json"))["status"]["healthy"] is True

    assert re.search("running +stopp", succeed("stop", name, "--wait"))
    assert client.get_instance_details(instance_id).state == "stopped"
    assert "it already was" in succeed("stop", instance_id)
    assert re.search("stopped +(pending|running)", succeed("start", name, "--wait"))
    assert json.loads(succeed("tags", name, "--set", "a=b=c", "--remove", "site", "--json"))["tags"]["a"] == "b=c"
    assert re.search(r"^a +b=c", succeed("tags", name), re.MULTILINE)

    refused = run("terminate", name, answer="n\n")
    assert (refused.returncode, instance_id in refused.stderr) == (1, True)
    assert client.get_instance_details(instance_id).state == "running"
    # Nobody answers.
    assert run("terminate", name).returncode == 1
    assert client.get_instance_details(instance_id).state == "running"
    terminated = json.loads(succeed("terminate", name, "--wait", "--json", answer="y\n"))
    assert terminated[instance_id]["previous_state"] == "running"
    assert client.get_instance_details(instance_id).state == "terminated"


def test_what_is_read_is_shown(stack: dict[str, Any], client: Workers, launch: Callable[..., Any], name: str) -> None:
    instance_id = client.create_instance(launch(name)).instance_id
    assert stack["image_id"] in succeed("images", "cml-2.8*")
    assert json.loads(succeed("images", "--json"))[0]["name"] == stack["image_name"]
    assert re.search(r"ec2:DescribeRegions +ok", succeed("health"))
    assert re.search(r"\d+ of \d+ permissions are allowed", succeed("health", "--permissions"))
    usage = succeed("usage", name)
    assert re.search(f"^{name} +{instance_id} ", usage, re.MULTILINE)
    assert f"{name}: no CPU: " in usage
    assert json.loads(succeed("usage", name, "--json"))[0]["instance_id"] == instance_id
    assert "adopt" in succeed("--help")


def test_one_refusal_of_several_is_told_and_the_others_are_done(client: Workers, launch: Callable[..., Any], name: str) -> None:
    instance_id = client.create_instance(launch(name)).instance_id
    done = run("stop", name, "i-0ffffffffffffffff", "--json")
    assert done.returncode == 1
    changes = json.loads(done.stdout)
    assert changes[instance_id]["current_state"] in {"stopping", "stopped"}
    assert changes["i-0ffffffffffffffff"]["error"]["code"] == "instance_not_found"


def test_a_name_means_one_worker(client: Workers, launch: Callable[..., Any], name: str) -> None:
    ids = [client.create_instance(launch(name)).instance_id for _ in range(2)]
    done = run("terminate", name, "--yes")
    assert done.returncode == 2
    assert all(instance_id in done.stderr for instance_id in ids)
    assert [client.get_instance_details(each).state for each in ids] == ["running"] * 2
    nobody = run("stop", f"{name}-x")
    assert (nobody.returncode, "no worker is named" in nobody.stderr) == (2, True)


def test_a_file_says_what_the_options_cannot(stack: dict[str, Any], tmp_path: Path, client: Workers, name: str) -> None:
    file = tmp_path / "launch.json"
    body = {"instance_type": "c5.2xlarge", "image_id": stack["image_id"], "detailed_monitoring": True}
    file.write_text(json.dumps(body | {"root_volume": {"size_gib": 64}}))
    launched = json.loads(succeed("create", name, "--file", str(file), "--json"))
    assert client.get_instance_details(launched["instance_id"]).detailed_monitoring
    for text, said in (("{", "is not JSON"), ("[]", "is not a JSON object"), ('{"name": 1, "x": 2}', "no such field")):
        file.write_text(text)
        done = run("create", name, "--file", str(file), "--instance-type", "c5.2xlarge", COLUMNS="250")
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert run("create", name).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (("list",), {"CML_API_URL": ""}, 2, "CML_API_URL"),
        (("stop", "x=y", "--unknown"), {}, 2, "No such option"),
        (("list", "--tag", "novalue"), {}, 2, "novalue is not KEY=VALUE"),
        (("list",), {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, 3, "there are no AWS credentials"),
        (("list",), {"AWS_PROFILE": "nobody"}, 3, "nobody"),
        (("list",), {"AWS_REGION": ""}, 3, "set AWS_REGION"),
        (("show", "i-0ffffffffffffffff"), {}, 1, "does not exist"),
        (("adopt",), {}, 2, "--image-name"),
    ],
)
def test_an_error_is_one_sentence_with_a_code_of_its_own(
    arguments: tuple[str, ...], environment: dict[str, str], code: int, said: str
) -> None:
    done = run(*arguments, COLUMNS="250", **environment)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if code != 2:
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")


def test_the_api_s_remedy_is_told(stack: dict[str, Any]) -> None:
    done = run("start", stack["refused"]["missing_permission"])
    assert "ec2:StartInstances" in done.stdout
    assert done.returncode == 1


def test_no_answer_and_no_state_have_codes_of_their_own(
    server: Server, client: Workers, launch: Callable[..., Any], name: str
) -> None:
    server.answers = [LOST]
    done = run("create", name, "--image-id", "ami-0123456789abcdef0", "--instance-type", "c5.2xlarge", CML_API_URL=server.url)
    assert (done.returncode, "no answer from" in done.stderr) == (3, True)
    # Whoever was told no answer can still ask what became of it.
    (key,) = re.findall("--idempotency-key ([0-9a-f-]{36})", done.stderr)
    assert {asked.headers["idempotency-key"] for asked in server.asked} == {key}
    instance_id = client.create_instance(launch(name)).instance_id
    client.stop_instance(instance_id, wait="stopped")
    done = run("start", instance_id, "--wait", "--timeout", "0")
    assert done.returncode in {0, 4}


def test_an_interrupted_wait_ends_at_once_and_keeps_what_it_said(
    server: Server, stack: dict[str, Any], client: Workers, launch: Callable[..., Any], name: str
) -> None:
    instance_id = client.create_instance(launch(name)).instance_id
    api_url = server.in_front_of(stack["api_url"])
    (pass_on,) = server.answers
    waiting = threading.Event()

    def never_healthy(asked: Asked) -> Answer:
        assert callable(pass_on)
        answer = pass_on(asked)
        if not asked.path.endswith("/status"):
            return answer
        waiting.set()
        return Answer(200, json.loads(answer.body) | {"healthy": False})

    server.answers = [never_healthy]
    arguments = [str(PROGRAM), "start", instance_id, "--wait"]
    environment = os.environ | {"CML_API_URL": api_url}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as program:
        assert waiting.wait(60)
        program.send_signal(signal.SIGINT)
        output, errors = program.communicate(timeout=60)
    assert (program.returncode, instance_id in output, "Traceback" in errors) == (130, True, False), errors


def test_shells_complete_it() -> None:
    done = run("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_CML_WORKERS_COMPLETE=complete_bash" in done.stdout
    completed = run(_CML_WORKERS_COMPLETE="complete_bash", COMP_WORDS="cml-workers ter", COMP_CWORD="1")
    assert completed.stdout.strip() == "terminate"
