"""Every code of the API is an exception of its own, with the members of its document."""

import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY
from server import PROBLEM, Answer, Server

from cml_workers import CreateInstance, ProblemError, Workers
from cml_workers.problems import UnexpectedAnswerError

MISSING = "i-0ffffffffffffffff"

# A problem with a code that this version does not know.
LATER = {"type": "urn:cml:problem:new", "title": "New", "status": 418, "detail": "new", "code": "new", "retryable": False}


class Template(yaml.SafeLoader):  # type: ignore[misc]
    """template.yaml, without what CloudFormation's own tags say."""


Template.add_multi_constructor("!", lambda loader, suffix, node: None)


def gateway() -> dict[str, Answer]:
    """What API Gateway answers by itself, as template.yaml has it; its variables are filled in as it does."""
    resources = yaml.load((REPOSITORY / "template.yaml").read_text(), Template)["Resources"]  # noqa: S506 it is safe
    variables = {"$context.error.messageString": '"what AWS says"', "$context.requestId": "59dbff89"}
    answers = {}
    (api,) = (each["Properties"] for each in resources.values() if each["Type"] == "AWS::Serverless::Api")
    for name, response in api["GatewayResponses"].items():
        (body,) = response["ResponseTemplates"].values()
        for variable, value in variables.items():
            body = body.replace(variable, value)
        headers = PROBLEM | {
            key.lower(): value.strip("'") for key, value in response.get("ResponseParameters", {}).get("Headers", {}).items()
        }
        # DEFAULT_4XX and DEFAULT_5XX keep the status that API Gateway has for the case.
        answers[name] = Answer(response.get("StatusCode") or (402 if name == "DEFAULT_4XX" else 500), body.encode(), headers)
    return answers


def codes() -> set[str]:
    schemas = yaml.safe_load((REPOSITORY / "openapi.yaml").read_text())["components"]["schemas"]
    return {*schemas["Code"]["enum"], *schemas["GatewayProblem"]["properties"]["code"]["enum"]}


def by_functions(stack: dict[str, Any], launch: Callable[..., Any], ec2: Any) -> dict[str, Callable[[Workers], Any]]:
    """A call for each code that a function of the stack answers with."""

    def start(instance_id: str) -> Callable[[Workers], Any]:
        return lambda workers: workers.start_instance(instance_id)

    calls = {code: start(instance_id) for code, instance_id in stack["refused"].items()}
    (foreign,) = ec2.run_instances(ImageId=stack["image_id"], MinCount=1, MaxCount=1)["Instances"]
    return calls | {
        "invalid_request": lambda workers: workers.stop_instance("x"),
        "payload_too_large": lambda workers: workers.create_instance(launch("large", user_data="x" * 70_000)),
        "not_managed": lambda workers: workers.stop_instance(foreign["InstanceId"]),
        "region_not_allowed": lambda workers: workers.get_instance_details(MISSING, region="ap-south-2"),
        "instance_type_not_allowed": lambda workers: workers.create_instance(
            CreateInstance(name="typed", image_id=stack["image_id"], instance_type="t3.micro")
        ),
        "instance_not_found": lambda workers: workers.get_instance_details(MISSING),
        "image_not_found": lambda workers: workers.create_instance(
            CreateInstance(name="imageless", image_name="no-such-image", instance_type="c5.2xlarge")
        ),
        "idempotency_mismatch": lambda workers: [
            workers.create_instance(launch(name), idempotency_key="one-key-two-bodies") for name in ("first", "second")
        ],
    }


def test_each_code_of_the_api_is_an_exception(
    stack: dict[str, Any], launch: Callable[..., Any], ec2: Any, server: Server
) -> None:
    seen = {}
    # No second sending: most of them are retryable.
    workers = Workers(stack["api_url"], deadline=30)
    for code, call in by_functions(stack, launch, ec2).items():
        with pytest.raises(ProblemError) as raised:
            call(workers)
        assert raised.value.code == code, raised.value.document
        seen[code] = raised.value
    for name, answer in gateway().items():
        server.answers = [answer]
        with pytest.raises(ProblemError) as raised:
            Workers(server.url, deadline=30).health()
        assert raised.value.status == answer.status, name
        seen.setdefault(raised.value.code, raised.value)
    assert set(seen) == codes()
    # A class each, which is of its code and of no other.
    assert len({type(error) for error in seen.values()}) == len(seen)
    for code, error in seen.items():
        assert type(error).__name__.lower() == re.sub("error$", "", code.replace("_", "")) + "error"
        assert error.status >= 400
        assert error.title
        assert error.request_id
        assert str(error) == error.detail != ""

    assert seen["invalid_request"].field == "instance_id"
    assert [each.field for each in seen["invalid_request"].errors] == ["instance_id"]
    missing = seen["missing_permission"]
    assert (missing.missing_permission, missing.denied_by) == ("ec2:StartInstances", "no_allow")
    assert (missing.aws_code, missing.retryable) == ("UnauthorizedOperation", False)
    assert (seen["throttled"].retry_after_seconds, seen["throttled"].retryable) == (5, True)


def test_a_code_of_a_later_version_is_still_a_problem(make: Callable[..., Any], server: Server) -> None:
    document = LATER | {"detail": "something new", "member": 1}
    server.answers = [Answer(418, document, PROBLEM)]
    with pytest.raises(ProblemError, match="something new") as raised:
        make(server.url).get_instance_details(MISSING)
    assert (type(raised.value), raised.value.document) == (ProblemError, document)
    copied = pickle.loads(pickle.dumps(raised.value))  # noqa: S301 our own
    assert (copied.code, str(copied)) == ("new", "something new")


def test_a_value_of_a_later_version_costs_no_answer(make: Callable[..., Any], server: Server) -> None:
    change = {
        "instance_id": "i-1", "previous_state": "running", "current_state": "stopping", "changed": True, "note": None,
        "state_reason": None, "later": [],
    }  # fmt: skip
    server.answers = [Answer(200, {"results": [change, {"instance_id": "i-2", "error": LATER}]})]
    results = make(server.url).stop_instances(["i-1", "i-2"])
    assert results["i-1"].changed
    assert (results["i-2"].code, type(results["i-2"])) == ("new", ProblemError)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(403, {"message": "Forbidden"}), "Forbidden"),
        (Answer(502, b"<html>proxy</html>", {"content-type": "text/html"}), "proxy"),
        (Answer(404, b"", {"content-type": "text/plain"}), "it is empty"),
        (Answer(400, {"title": "no code"}, PROBLEM), "no code"),
        (Answer(200, {"unknown": 1}), "unknown.*KeyError"),
        (Answer(200, {"instance_id": "i-1"}), "i-1 has no"),
        (Answer(200, b"<html>", {"content-type": "text/html"}), "<html>.*JSONDecodeError"),
        (Answer(503, {"message": "Service Unavailable"}), "Service Unavailable"),
        (Answer(403, {"message": "It does not match.\nThe Canonical String is\nx-amz-security-token:SECRET"}), "not match"),
    ],
)
def test_what_is_no_answer_of_the_api_says_so(make: Callable[..., Any], server: Server, answer: Answer, said: str) -> None:
    server.answers = [answer]
    with pytest.raises(UnexpectedAnswerError, match=said) as raised:
        make(server.url).get_instance_details(MISSING)
    assert raised.value.status == answer.status
    assert "SECRET" not in str(raised.value)
    assert len(server.asked) == 1


def test_a_failed_health_check_is_an_answer(make: Callable[..., Any], server: Server) -> None:
    document = {
        "status": "failed", "version": "0.1.0", "regions": [], "checks": [], "warnings": [],
        "credentials": {"kind": "none", "error": "there are none", "expires_at": None},
    }  # fmt: skip
    server.answers = [Answer(503, document)]
    assert make(server.url).health().status == "failed"


def test_each_enumeration_of_an_answer_is_open() -> None:
    """A value of a later version must not cost the answer: `OPEN` in hatch_build.py has all of them."""
    document = yaml.safe_load((REPOSITORY / "openapi.yaml").read_text())
    schemas, seen = document["components"]["schemas"], set()

    def walk(part: Any) -> None:
        for name in re.findall("#/components/schemas/([A-Za-z]+)", str(part)):
            if name not in seen:
                seen.add(name)
                walk(schemas[name])

    for path in document["paths"].values():
        for call in path.values():
            walk([answer for status, answer in call["responses"].items() if status < "300" or status == "503"])
    walk(schemas["Problem"])
    enumerations = {name for name in seen if "enum" in schemas[name]}
    source = (REPOSITORY / "clients" / "python" / "hatch_build.py").read_text()
    assert enumerations == set(re.findall('"([A-Za-z]+)"', source.partition("OPEN = [")[2].partition("]")[0]))


def test_the_problems_of_a_program_take_no_code_of_the_api() -> None:
    class MineError(ProblemError):
        """An adapter's own."""

    class OtherError(ProblemError, code="throttled"):
        """One that wants a code which has a class."""

    assert type(ProblemError.of(LATER | {"code": "throttled"}, 429)).__name__ == "ThrottledError"
