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
from test_refusals import gateway

from cml_workers import Workers
from cml_workers.api.models import NewTags

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
    assert (refused.returncode, instance_id in refused.stderr, "nobody answered" in refused.stderr) == (1, True, False)
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
    assert re.fullmatch(r"\d+\.\d+\.\d+", succeed("--version").strip())


def test_nothing_is_cut_however_narrow_it_is(client: Workers, launch: Callable[..., Any], name: str) -> None:
    instance_id = client.create_instance(launch(name, tags=NewTags.from_dict({"long": "x" * 256}))).instance_id
    (line,) = [line for line in succeed("list", COLUMNS="40").splitlines() if name in line]
    assert instance_id in line
    assert "x" * 256 in succeed("show", name, COLUMNS="40")
    assert name in succeed("usage", name, PYTHONIOENCODING="ascii")


def test_one_refusal_of_several_is_told_and_the_others_are_done(client: Workers, launch: Callable[..., Any], name: str) -> None:
    instance_id = client.create_instance(launch(name)).instance_id
    done = run("stop", name, "i-0ffffffffffffffff", "--json")
    assert done.returncode == 1
    changes = json.loads(done.stdout)
    assert changes[instance_id]["current_state"] in {"stopping", "stopped"}
    assert changes["i-0ffffffffffffffff"]["error"]["code"] == "instance_not_found"


def test_a_name_may_look_like_an_id_or_like_markup(stack: dict[str, Any], client: Workers, name: str) -> None:
    image = ("--image-name", stack["image_name"], "--instance-type", "c5.2xlarge")
    for odd in (f"i-{name}", f"[/{name}]"):
        assert odd in succeed("create", odd, *image, "--wait")
        assert json.loads(succeed("show", odd, "--json"))["name"] == odd


def test_who_is_not_managed_is_found_and_the_way_over_is_told(ec2: Any, stack: dict[str, Any], name: str) -> None:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
    (instance,) = ec2.run_instances(ImageId=stack["image_id"], MinCount=1, MaxCount=1, TagSpecifications=tags)["Instances"]
    assert name not in succeed("list")
    (line,) = [line for line in succeed("list", "--all").splitlines() if name in line]
    assert line.split()[-1] == "no"
    assert re.search("managed +false", succeed("show", name))
    done = run("stop", name)
    assert (done.returncode, "`cml-workers adopt` adopts it" in done.stdout) == (1, True), done.stdout
    assert instance["InstanceId"] in done.stdout


def test_more_workers_than_a_call_takes_are_changed_in_parts(stack: dict[str, Any], server: Server) -> None:
    ids = [f"i-{number:017x}" for number in range(101)]
    done = run("stop", *ids, *ids, "--json", CML_API_URL=server.in_front_of(stack["api_url"]))
    assert (done.returncode, list(json.loads(done.stdout))) == (1, ids)
    assert [len(json.loads(asked.body)["instance_ids"]) for asked in server.asked] == [100, 1]


def test_what_was_done_is_told_if_the_rest_fails(stack: dict[str, Any], server: Server) -> None:
    ids = [f"i-{number:017x}" for number in range(101)]
    api_url = server.in_front_of(stack["api_url"])
    server.answers = [server.pass_on, LOST]
    done = run("stop", *ids, "--json", CML_API_URL=api_url)
    assert (done.returncode, list(json.loads(done.stdout))) == (3, ids[:100])
    assert "what became of 1 workers is not known" in done.stderr


def test_what_was_refused_is_known(server: Server) -> None:
    server.answers = [gateway()["ACCESS_DENIED"]]
    done = run("stop", "i-0123456789abcdef0", CML_API_URL=server.url)
    assert (done.returncode, "not known" in done.stderr, done.stdout) == (1, False, "")


def test_several_are_not_terminated_unasked(client: Workers, launch: Callable[..., Any], name: str) -> None:
    ids = [client.create_instance(launch(name)).instance_id for _ in range(2)]
    done = run("terminate", *ids)
    assert (done.returncode, "--yes does not ask" in done.stderr) == (1, True)
    assert [client.get_instance_details(each).state for each in ids] == ["running"] * 2


def test_the_time_to_wait_is_for_all_together(
    server: Server, stack: dict[str, Any], client: Workers, launch: Callable[..., Any], name: str
) -> None:
    ids = [client.create_instance(launch(name)).instance_id for _ in range(3)]
    api_url = server.in_front_of(stack["api_url"])

    def never_healthy(asked: Asked) -> Answer:
        answer = server.pass_on(asked)
        if not asked.path.endswith("/status"):
            return answer
        return Answer(200, json.loads(answer.body) | {"healthy": False})

    server.answers = [never_healthy]
    done = run("start", *ids, "--wait", "--timeout", "7", CML_API_URL=api_url)
    assert (done.returncode, "error: " in done.stderr) == (4, True), done.stderr
    asked = [asked.path for asked in server.asked if asked.path.endswith("/status")]
    # Of the first, at the begin and after five seconds; of the others once.
    assert len(asked) == 4


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
    file.write_text(json.dumps(body | {"root_volume": {"size_gib": 64}, "tags": {"a": "b"}}))
    launched = json.loads(succeed("create", name, "--file", str(file), "--tag", "c=d", "--json"))
    details = client.get_instance_details(launched["instance_id"])
    assert (details.detailed_monitoring, details.tags["a"], details.tags["c"]) == (True, "b", "d")
    for text, said in (("{", "is not JSON"), ("[]", "is not a JSON object"), ('{"name": 1, "x": 2}', "no such field")):
        file.write_text(text)
        done = run("create", name, "--file", str(file), "--instance-type", "c5.2xlarge", COLUMNS="250")
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert run("create", name).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        (("list",), {"CML_API_URL": ""}, 2, "CML_API_URL"),
        (("list",), {"CML_API_URL": "abcdef"}, 2, "begins with https://"),
        (("list",), {"ALL_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}, 3, "SOCKS"),
        (("create", "", "--instance-type", "c5.2xlarge"), {}, 2, "a worker needs a name"),
        (("create", "x", "--instance-type", "c5.2xlarge", "--idempotency-key", "ü"), {}, 2, "printable characters"),
        (("create", "x", "--instance-type", "c5.2xlarge", "--idempotency-key", ""), {}, 2, "printable characters"),
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


def test_no_answer_has_a_code_of_its_own_and_leaves_the_key(server: Server, name: str) -> None:
    server.answers = [LOST]
    done = run("create", name, "--image-id", "ami-0123456789abcdef0", "--instance-type", "c5.2xlarge", CML_API_URL=server.url)
    assert (done.returncode, "no answer from" in done.stderr) == (3, True)
    # Whoever was told no answer can still ask what became of it.
    (key,) = re.findall("--idempotency-key ([0-9a-f-]{36})", done.stderr)
    assert {asked.headers["idempotency-key"] for asked in server.asked} == {key}


def test_an_interrupted_wait_ends_at_once_and_keeps_what_it_said(
    server: Server, stack: dict[str, Any], client: Workers, launch: Callable[..., Any], name: str
) -> None:
    instance_id = client.create_instance(launch(name)).instance_id
    api_url = server.in_front_of(stack["api_url"])
    waiting = threading.Event()

    def never_healthy(asked: Asked) -> Answer:
        answer = server.pass_on(asked)
        if not asked.path.endswith("/status"):
            return answer
        waiting.set()
        return Answer(200, json.loads(answer.body) | {"healthy": False})

    server.answers = [never_healthy]
    arguments = [str(PROGRAM), "start", instance_id, "--wait"]
    environment = os.environ | {"CML_API_URL": api_url}
    # What is started in the background ignores interrupts, and hands that on.
    program = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert waiting.wait(60)
        program.send_signal(signal.SIGINT)
        output, errors = program.communicate(timeout=60)
    finally:
        program.kill()
        program.wait()
    assert (program.returncode, instance_id in output, "Traceback" in errors) == (130, True, False), errors


def test_shells_complete_it() -> None:
    done = run("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_CML_WORKERS_COMPLETE=complete_bash" in done.stdout
    completed = run(_CML_WORKERS_COMPLETE="complete_bash", COMP_WORDS="cml-workers ter", COMP_CWORD="1")
    assert completed.stdout.strip() == "terminate"
