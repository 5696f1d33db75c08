"""The stack that the tests call: `cargo test client::` starts it, and says in CML_TEST_STACK how to reach it."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from server import Server

from cml_workers import AsyncWorkers, CreateInstance, Workers

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def stack() -> dict[str, Any]:
    path = os.environ.get("CML_TEST_STACK")
    if not path:
        pytest.exit("these tests run in `cargo test --workspace --test integration client::`, which starts what they call", 2)
    document: dict[str, Any] = json.loads(Path(path).read_text())
    return document


@pytest.fixture(autouse=True)
def _settings(stack: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS's settings are the tests' own, whatever the caller's are."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "CML_"))]:
        monkeypatch.delenv(name)
    for name, value in settings(stack).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def settings(stack: dict[str, Any]) -> dict[str, str]:
    """The environment of a caller who may call the API and nothing else."""
    return {
        "CML_API_URL": stack["api_url"],
        "AWS_ACCESS_KEY_ID": stack["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": stack["secret_access_key"],
        "AWS_REGION": stack["region"],
    }


@pytest.fixture
def aws(stack: dict[str, Any]) -> Callable[[str], Any]:
    """A client of a service, with root's keys."""
    endpoints = {"ec2": stack["ec2_endpoint"]}

    def client(service: str) -> Any:
        return botocore.session.Session().create_client(
            service,
            region_name=stack["region"],
            endpoint_url=endpoints.get(service, stack["cloudwatch_endpoint"]),
            aws_access_key_id=stack["root_access_key_id"],
            aws_secret_access_key=stack["root_secret_access_key"],
        )

    return client


@pytest.fixture
def ec2(aws: Callable[[str], Any]) -> Any:
    """EC2 itself: what really happened."""
    return aws("ec2")


@pytest.fixture
def launch(stack: dict[str, Any]) -> Callable[..., CreateInstance]:
    """A launch that the API accepts."""

    def named(name: str, **more: Any) -> CreateInstance:
        return CreateInstance(name=name, image_name=stack["image_name"], instance_type="c5.2xlarge", **more)

    return named


@pytest.fixture
def server() -> Iterator[Server]:
    """In the place of the API, or in front of it."""
    with Server() as running:
        yield running


class Asynchronous:
    """The asynchronous client for tests that are not: one test sees both."""

    def __init__(self, portal: BlockingPortal, api_url: str, **options: Any) -> None:
        self._portal = portal
        self._workers = portal.call(lambda: AsyncWorkers(api_url, **options))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._workers, name)
        return method if not callable(method) else lambda *args, **kwargs: self._portal.call(self._run, method, args, kwargs)

    @staticmethod
    async def _run(method: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        return [each async for each in result] if hasattr(result, "__aiter__") else await result


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Makes a client of either kind."""
    if request.param == "sync":
        yield lambda api_url, **options: Workers(api_url, poll_seconds=0.2, **options)
        return
    with start_blocking_portal() as portal:
        yield lambda api_url, **options: Asynchronous(portal, api_url, poll_seconds=0.2, **options)


@pytest.fixture
def workers(make: Callable[..., Any], stack: dict[str, Any]) -> Any:
    """A client of the stack's API."""
    return make(stack["api_url"])
