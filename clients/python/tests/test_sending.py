"""What is sent again and what is not, with which key and which credentials; and what comes in pages."""

import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.session import Session
from server import LOST, PROBLEM, Answer, Asked, Server
from test_refusals import gateway

from cml_workers import NotReachedError, ProblemError, Workers
from cml_workers.problems import (
    CredentialsError,
    ExpiredTokenError,
    IncorrectStateError,
    InvalidRequestError,
    NoAnswerError,
    ThrottledError,
)
from cml_workers.signing import signing_region


def refused(stack: dict[str, Any], code: str) -> dict[str, Any]:
    """A document of the API's own, of a function that EC2 refuses."""
    with pytest.raises(ProblemError) as raised:
        Workers(stack["api_url"], deadline=30).start_instance(stack["refused"][code])
    return dict(raised.value.document)


def test_what_is_retryable_is_sent_again_after_the_time_it_asks_for(
    make: Callable[..., Any], stack: dict[str, Any], server: Server
) -> None:
    document = refused(stack, "throttled")
    # Of API Gateway's own document: only the header says it.
    del document["retry_after_seconds"]
    api_url = server.in_front_of(stack["api_url"])
    times: list[float] = []

    def throttled(asked: Asked) -> Answer:
        times.append(time.monotonic())
        return Answer(429, document, PROBLEM | {"retry-after": "1"})

    server.answers = [throttled, throttled, *server.answers]
    assert make(api_url).health().status == "ok"
    assert len(server.asked) == 3
    assert times[1] - times[0] >= 1
    # Each sending is signed anew: a signature lasts five minutes.
    assert all("authorization" in asked.headers for asked in server.asked)


def test_what_is_not_retryable_is_sent_once(make: Callable[..., Any], stack: dict[str, Any], server: Server) -> None:
    document = refused(stack, "incorrect_state")
    assert not document["retryable"]
    server.answers = [Answer(409, document, PROBLEM)]
    with pytest.raises(IncorrectStateError):
        make(server.url).start_instance("i-0123456789abcdef0")
    assert len(server.asked) == 1


def test_nothing_begins_that_cannot_end_before_the_deadline(
    make: Callable[..., Any], stack: dict[str, Any], server: Server
) -> None:
    server.answers = [Answer(429, refused(stack, "throttled"), PROBLEM)]
    # A call takes 35 seconds at most, and the API asks for 5 before the next one.
    with pytest.raises(ThrottledError):
        make(server.url, deadline=39).get_instance_details("i-0123456789abcdef0")
    assert len(server.asked) == 1
    with pytest.raises(ThrottledError):
        make(server.url, deadline=35 + 5 + 2).get_instance_details("i-0123456789abcdef0")
    assert len(server.asked) in {2, 3}


def test_a_lost_answer_is_asked_for_again_and_a_wrong_address_not_for_ever(make: Callable[..., Any], server: Server) -> None:
    server.answers = [LOST]
    with pytest.raises(NoAnswerError):
        make(server.url).get_instance_details("i-0123456789abcdef0")
    assert len(server.asked) == 3


def test_a_launch_whose_answer_is_lost_launches_one_worker(
    make: Callable[..., Any], stack: dict[str, Any], server: Server, launch: Callable[..., Any], ec2: Any
) -> None:
    name = f"lost-{time.monotonic_ns()}"
    api_url = server.in_front_of(stack["api_url"])

    def carried_out(asked: Asked) -> Answer:
        assert server.pass_on(asked).status == 201
        return LOST

    server.answers = [carried_out, *server.answers]
    launched = make(api_url).create_instance(launch(name))
    assert not launched.created
    first, second = (asked.headers["idempotency-key"] for asked in server.asked)
    assert first == second
    found = ec2.describe_instances(Filters=[{"Name": "tag:Name", "Values": [name]}])["Reservations"]
    assert [each["InstanceId"] for reservation in found for each in reservation["Instances"]] == [launched.instance_id]


def test_a_key_that_is_sent_twice_launches_once_and_each_launch_has_its_own(workers: Any, launch: Callable[..., Any]) -> None:
    key = f"twice-{time.monotonic_ns()}"
    first, second = (workers.create_instance(launch("twice"), idempotency_key=key) for _ in range(2))
    assert (first.created, second.created, first.instance_id) == (True, False, second.instance_id)
    assert workers.create_instance(launch("twice")).instance_id != first.instance_id


def test_an_error_of_a_launch_names_its_key(make: Callable[..., Any], server: Server, launch: Callable[..., Any]) -> None:
    server.answers = [LOST]
    with pytest.raises(NoAnswerError) as raised:
        make(server.url).create_instance(launch("nowhere"))
    assert {asked.headers["idempotency-key"] for asked in server.asked} == {raised.value.idempotency_key}
    with pytest.raises(NoAnswerError) as raised:
        make(server.url).create_instance(launch("nowhere"), idempotency_key="mine")
    assert raised.value.idempotency_key == "mine"


def many(ec2: Any, stack: dict[str, Any], count: int) -> tuple[str, set[str]]:
    """The tag and the ids of workers that have it. One by one: a page of moto's is never less than a whole launch."""
    site = f"site-{time.monotonic_ns()}"
    tags = [{"Key": "ManagedBy", "Value": "cml-cloud-manager"}, {"Key": "site", "Value": site}]
    tagged = [{"ResourceType": "instance", "Tags": tags}]
    launched = (
        ec2.run_instances(ImageId=stack["image_id"], MinCount=1, MaxCount=1, TagSpecifications=tagged) for _ in range(count)
    )
    return site, {each["Instances"][0]["InstanceId"] for each in launched}


def test_a_list_is_read_over_its_pages_as_they_are_needed(
    make: Callable[..., Any], stack: dict[str, Any], server: Server, ec2: Any
) -> None:
    site, ids = many(ec2, stack, 12)
    api_url = server.in_front_of(stack["api_url"])
    found = [each.instance_id for each in make(api_url).get_all_instances(tag={"site": site}, page_size=5)]
    assert (len(found), set(found)) == (12, ids)
    tokens = [parse_qs(urlsplit(asked.path).query).get("next_token") for asked in server.asked]
    assert len(tokens) >= 3
    assert tokens[0] is None
    assert all(tokens[1:])
    server.asked.clear()
    next(iter(Workers(api_url).get_all_instances(tag={"site": site}, page_size=5)))
    assert len(server.asked) == 1


def issue(path: Path, keys: list[dict[str, str]]) -> None:
    """A program that gives these keys, one after the other, each about to expire; as a profile's `credential_process`."""
    program = path / "issue.py"
    state = path / "issued"
    expiration = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    documents = [
        {"Version": 1, "AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"], "Expiration": expiration}
        for key in keys
    ]
    program.write_text(
        "import json, pathlib\n"
        f"state = pathlib.Path({str(state)!r})\n"
        "count = len(state.read_text()) if state.exists() else 0\n"
        "state.write_text('x' * (count + 1))\n"
        f"documents = json.loads({json.dumps(documents)!r})\n"
        "print(json.dumps(documents[min(count, len(documents) - 1)]))\n"
    )
    (path / "config").write_text(f"[default]\nregion = us-east-1\ncredential_process = {sys.executable} {program}\n")


def test_credentials_that_expire_during_a_list_are_renewed(
    make: Callable[..., Any],
    stack: dict[str, Any],
    aws: Callable[[str], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    server: Server,
    ec2: Any,
) -> None:
    iam = aws("iam")
    name = f"expiring-{time.monotonic_ns()}"
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="invoke", PolicyDocument=document)
    keys = [iam.create_access_key(UserName=name)["AccessKey"] for _ in range(2)]
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(variable)
    # botocore asks when it loads the profile, and again at each call, for these keys are about to expire.
    issue(tmp_path, [keys[0], *keys])
    site, ids = many(ec2, stack, 8)
    api_url = server.in_front_of(stack["api_url"])

    def then_expire(asked: Asked) -> Answer:
        answer = server.pass_on(asked)
        iam.delete_access_key(UserName=name, AccessKeyId=keys[0]["AccessKeyId"])
        return answer

    server.answers = [then_expire, server.pass_on]
    assert {each.instance_id for each in make(api_url).get_all_instances(tag={"site": site}, page_size=5)} == ids
    used = [asked.headers["authorization"].partition("Credential=")[2].partition("/")[0] for asked in server.asked]
    assert (used[0], set(used[1:])) == (keys[0]["AccessKeyId"], {keys[1]["AccessKeyId"]})


HEALTHY = Answer(
    200,
    {
        "status": "ok",
        "version": "0",
        "regions": [],
        "checks": [],
        "warnings": [],
        "credentials": {"kind": "none", "error": None, "expires_at": None},
    },
)


def log_in(folder: Path, token: str) -> None:
    """As a program does that gets new keys for whoever logs in."""
    keys = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"
    (folder / "credentials").write_text(f"[default]\n{keys}aws_session_token = {token}\n")


def test_credentials_are_looked_for_anew_once_if_a_token_has_expired(
    make: Callable[..., Any], stack: dict[str, Any], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As whoever logs in again writes another token to the file."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    expired = gateway()["EXPIRED_TOKEN"]
    log_in(tmp_path, "first")
    workers = make(server.url)

    def expire(asked: Asked) -> Answer:
        assert asked.headers["x-amz-security-token"] == "first"
        log_in(tmp_path, "second")
        return expired

    server.answers = [expire, HEALTHY]
    assert workers.health().status == "ok"
    assert server.asked[-1].headers["x-amz-security-token"] == "second"
    # Nobody logged in again.
    server.answers = [expired]
    server.asked.clear()
    with pytest.raises(ExpiredTokenError):
        workers.health()
    assert len(server.asked) == 2


def test_of_many_calls_at_once_all_get_the_new_credentials(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    log_in(tmp_path, "first")
    together = threading.Barrier(8)

    def by_token(asked: Asked) -> Answer:
        if asked.headers["x-amz-security-token"] == "second":
            return HEALTHY
        together.wait(20)
        log_in(tmp_path, "second")
        return gateway()["EXPIRED_TOKEN"]

    server.answers = [by_token]
    workers = Workers(server.url)
    with ThreadPoolExecutor(8) as pool:
        assert [answer.status for answer in pool.map(lambda _: workers.health(), range(8))] == ["ok"] * 8


def test_a_token_that_expires_between_two_sendings_is_renewed_too(
    make: Callable[..., Any], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    log_in(tmp_path, "first")
    workers = make(server.url)

    def lost(asked: Asked) -> Answer:
        log_in(tmp_path, "second")
        return LOST

    server.answers = [lost, gateway()["EXPIRED_TOKEN"], HEALTHY]
    assert workers.health().status == "ok"
    assert [asked.headers["x-amz-security-token"] for asked in server.asked] == ["first", "first", "second"]


def test_keys_that_were_given_are_never_exchanged_for_others(make: Callable[..., Any], server: Server) -> None:
    """The environment has other keys: a call that goes out with them would be somebody else's."""
    session = Session()
    session.set_credentials("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY", "token")
    server.answers = [gateway()["EXPIRED_TOKEN"]]
    workers = make(server.url, session=session)
    for _ in range(2):
        with pytest.raises(ExpiredTokenError):
            workers.health()
    assert len(server.asked) == 2
    assert all("AKIAI44QH8DHBEXAMPLE" in asked.headers["authorization"] for asked in server.asked)


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ("credential_process = /no/such/program", "No such file"),
        ("credential_process = /bin/echo no JSON", "there are no AWS credentials to sign with"),
        ("credential_process = /bin/false", "there are no AWS credentials to sign with"),
        ("role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = none", "none"),
        ("aws_access_key_id = AKIAIOSFODNN7EXAMPLE", "there are no AWS credentials to sign with"),
    ],
)
def test_whatever_is_wrong_with_a_source_of_credentials_is_one_error(
    make: Callable[..., Any], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str, said: str
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    (tmp_path / "config").write_text(f"[default]\n{profile}\n")
    with pytest.raises(CredentialsError, match=said):
        make(server.url).health()
    assert server.asked == []


def test_without_credentials_nothing_is_sent(make: Callable[..., Any], server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    with pytest.raises(CredentialsError, match="aws sso login"):
        make(server.url).health()
    assert server.asked == []


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://abcdef1234.execute-api.eu-north-1.amazonaws.com/v1", "eu-north-1"),
        ("https://abcdef1234.execute-api.cn-north-1.amazonaws.com.cn/v1", "cn-north-1"),
        ("https://abcdef1234-vpce-0123.execute-api.eu-west-1.amazonaws.com/v1", "eu-west-1"),
        ("https://abcdef1234.execute-api.eusc-de-east-1.amazonaws.eu/v1", "eusc-de-east-1"),
        ("https://workers.example.com/v1", "us-east-1"),
    ],
)
def test_the_region_is_the_api_s_own(url: str, region: str) -> None:
    session = Session()
    assert signing_region(url, session) == region
    # Where a profile with a role asks for it.
    assert session.get_config_variable("region") == region
    assert Workers(url, region="ap-south-1").region == "ap-south-1"


@pytest.mark.parametrize("url", ["abcdef", "ftp://example.com", "https://", "https://[::1", "https://me:secret@example.com"])
def test_what_is_no_url_of_an_api_is_refused(make: Callable[..., Any], url: str) -> None:
    with pytest.raises(ValueError, match="URL") as raised:
        make(url)
    assert "secret" not in str(raised.value)


def test_what_was_not_sent_is_no_answer(make: Callable[..., Any], server: Server, launch: Callable[..., Any]) -> None:
    workers = make(server.url)
    with pytest.raises(TypeError, match="JSON"):
        workers.create_instance(launch("bytes", user_data=b"#!/bin/sh"))
    with pytest.raises(ValueError, match="ascii"):
        workers.create_instance(launch("key"), idempotency_key="schlüssel")
    with pytest.raises(TypeError, match="list of texts"):
        workers.stop_instances("i-0123456789abcdef0")
    with pytest.raises(TypeError, match="list of texts"):
        workers.delete_instance_tags("i-0123456789abcdef0", "site")
    with pytest.raises(ValueError, match="healthi is none of"):
        workers.wait("i-0123456789abcdef0", "healthi")
    assert server.asked == []


def test_a_worker_that_is_slow_is_waited_for_beyond_the_api_s_time(
    make: Callable[..., Any], stack: dict[str, Any], server: Server, launch: Callable[..., Any], ec2: Any
) -> None:
    api_url = server.in_front_of(stack["api_url"])

    def not_yet(asked: Asked) -> Answer:
        """The API's time was up: 202, and the state so far."""
        answer = server.pass_on(asked)
        assert parse_qs(urlsplit(asked.path).query)["wait"] == ["running"]
        return Answer(202, json.loads(answer.body) | {"state": "pending"})

    def pending(asked: Asked) -> Answer:
        answer = server.pass_on(asked)
        return Answer(200, json.loads(answer.body) | {"state": "pending", "healthy": False})

    def hidden(asked: Asked) -> Answer:
        """EC2's reads lag."""
        document = {"type": "", "title": "", "status": 404, "detail": "", "code": "instance_not_found", "retryable": False}
        return Answer(404, document, PROBLEM)

    server.answers = [not_yet, hidden, pending, *server.answers]
    launched = make(api_url).create_instance(launch("slow"), wait="running")
    assert (launched.state, len(server.asked)) == ("running", 4)
    ec2.terminate_instances(InstanceIds=[launched.instance_id])


def test_a_reading_that_fails_for_now_ends_no_wait(
    make: Callable[..., Any], stack: dict[str, Any], server: Server, launch: Callable[..., Any]
) -> None:
    api_url = server.in_front_of(stack["api_url"])
    workers = make(api_url, deadline=30)
    instance_id = workers.create_instance(launch("blip")).instance_id
    throttled = Answer(429, refused(stack, "throttled"), PROBLEM)
    server.answers = [LOST, LOST, LOST, throttled, *server.answers]
    assert workers.wait(instance_id, "healthy").healthy
    server.answers = [throttled]
    with pytest.raises(NotReachedError, match=r"took longer than 0\.5 seconds"):
        workers.wait(instance_id, "healthy", timeout=0.5)


def test_what_is_never_reached_is_given_up_with_the_reason(workers: Any, launch: Callable[..., Any], ec2: Any) -> None:
    instance_id = workers.create_instance(launch("given-up")).instance_id
    with pytest.raises(NotReachedError, match=r"is running and not stopped: it took longer than 0\.5 seconds") as raised:
        workers.wait(instance_id, "stopped", timeout=0.5)
    assert (raised.value.instance_id, raised.value.state) == (instance_id, "running")
    threading.Timer(0.5, ec2.stop_instances, kwargs={"InstanceIds": [instance_id]}).start()
    with pytest.raises(NotReachedError, match=r"took longer than 0\.1 seconds"):
        workers.wait(instance_id, "stopped", timeout=0.1)
    assert workers.wait(instance_id, "stopped", timeout=20).state == "stopped"
    ec2.terminate_instances(InstanceIds=[instance_id])
    with pytest.raises(NotReachedError, match="it is being terminated, or was"):
        workers.wait(instance_id, "healthy", timeout=20)
    assert workers.wait(instance_id, "terminated").state == "terminated"
    with pytest.raises(NotReachedError, match="must be i-") as raised:
        workers.wait("x", "running")
    assert isinstance(raised.value.__cause__, InvalidRequestError)
    assert workers.wait("i-0ffffffffffffffff", "terminated") is None
