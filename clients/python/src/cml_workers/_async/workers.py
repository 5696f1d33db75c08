"""The client: one method for each operation of the API, and for what it takes more than one call to do."""

import copy
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextvars import ContextVar
from http import HTTPStatus

# Awaitable is typing's, for the synchronous client has typing's Union in its place.
from typing import Any, Awaitable, Concatenate, Literal, ParamSpec, Self, TypedDict, TypeVar, Unpack  # noqa: UP035

import anyio
import httpx
from attrs import evolve
from botocore.session import Session
from tenacity import AsyncRetrying, stop_before_delay

from cml_workers.api import models
from cml_workers.api.api.default.create_instance import asyncio_detailed as create_instance
from cml_workers.api.api.default.delete_instance_tags import asyncio_detailed as delete_instance_tags
from cml_workers.api.api.default.get_all_instances import asyncio_detailed as get_all_instances
from cml_workers.api.api.default.get_ami_ids_by_name import asyncio_detailed as get_ami_ids_by_name
from cml_workers.api.api.default.get_instance_details import asyncio_detailed as get_instance_details
from cml_workers.api.api.default.get_instance_resources_utilization import (
    asyncio_detailed as get_instance_resources_utilization,
)
from cml_workers.api.api.default.get_instance_status import asyncio_detailed as get_instance_status
from cml_workers.api.api.default.get_instance_tags import asyncio_detailed as get_instance_tags
from cml_workers.api.api.default.health import asyncio_detailed as health
from cml_workers.api.api.default.start_instance import asyncio_detailed as start_instance
from cml_workers.api.api.default.start_instances import asyncio_detailed as start_instances
from cml_workers.api.api.default.stop_instance import asyncio_detailed as stop_instance
from cml_workers.api.api.default.stop_instances import asyncio_detailed as stop_instances
from cml_workers.api.api.default.terminate_instance import asyncio_detailed as terminate_instance
from cml_workers.api.api.default.terminate_instances import asyncio_detailed as terminate_instances
from cml_workers.api.api.default.update_instance_tags import asyncio_detailed as update_instance_tags
from cml_workers.api.client import Client
from cml_workers.api.types import UNSET, Response, Unset
from cml_workers.problems import NoAnswerError, ProblemError, UnexpectedAnswerError, WorkersError, raise_refused
from cml_workers.sending import CONNECT, LONGEST_ANSWER, Again, pause
from cml_workers.signing import Signing, check_url, signing_region
from cml_workers.waiting import Goal, Until

T = TypeVar("T")
P = ParamSpec("P")
Changes = dict[str, models.StateChange | ProblemError]

SECONDS_TO_WAIT = 900.0
"""Seconds until a worker that is waited for is given up: one of bare metal takes minutes to become healthy."""


class InstanceFilters(TypedDict, total=False):
    """Which instances a list shows: those that have, for each filter, one of its values."""

    managed: models.Managed
    state: list[str]
    instance_type: list[str]
    image_id: list[str]
    instance_id: list[str]


class _PermittedAnswer(Exception):  # noqa: N818 it is no error
    def __init__(self, answer: models.Permitted) -> None:
        self.answer = answer


_LAST_ANSWER: ContextVar[httpx.Response | None] = ContextVar("_LAST_ANSWER", default=None)
"""The answer to the call that this task or thread makes, if one came."""


async def _refuse(response: httpx.Response) -> None:
    await response.aread()
    _LAST_ANSWER.set(response)
    raise_refused(response)


def _several(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError("give a list of texts: a text by itself is a sequence of letters")
    return list(texts)


def _whole(instance: models.NarrowedInstance) -> models.Instance:
    """The instance of an answer to which no `fields` were named: nothing is left out."""
    try:
        return models.Instance.from_dict(instance.to_dict())
    except KeyError as error:
        raise UnexpectedAnswerError(HTTPStatus.OK, f"{instance.instance_id} has no {error}") from error


def _given(value: T | None) -> T | Unset:
    return UNSET if value is None else value


class AsyncWorkers:
    """The API at `api_url`. Errors are `WorkersError`, what the API refuses is `ProblemError`.

    Calls are signed with the credentials that botocore finds: environment, profile, role, instance profile. What the
    API calls retryable is sent again within `deadline` seconds. `region` is the region of the workers, unless a call
    names another one; by default it is the API's own.
    """

    def __init__(
        self,
        api_url: str,
        *,
        region: str | None = None,
        session: Session | None = None,
        deadline: float = 120.0,
        poll_seconds: float = 5.0,
    ) -> None:
        check_url(api_url)
        # boto3's session holds one of botocore's.
        session = getattr(session, "_session", session) or Session()
        signing = Signing(signing_region(api_url, session), session)
        self.region = region or signing.region
        self._poll_seconds = poll_seconds
        self._only_asks = False
        self._retrying = AsyncRetrying(
            retry=Again(signing), wait=pause, stop=stop_before_delay(deadline - LONGEST_ANSWER - CONNECT), reraise=True
        )
        http: dict[str, Any] = {"auth": signing, "event_hooks": {"response": [_refuse]}}
        timeout = httpx.Timeout(min(LONGEST_ANSWER, deadline), connect=CONNECT)
        self._client = Client(base_url=api_url.rstrip("/"), timeout=timeout, httpx_args=http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.get_async_httpx_client().aclose()

    async def _answer(
        self, kind: type[T], function: Callable[P, Awaitable[Response[Any]]], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[T, HTTPStatus]:
        """The answer of this kind, and its status."""
        if self._only_asks and not kwargs.get("dry_run"):
            raise TypeError("this changes nothing that there could be a dry run of")
        response: Response[Any]
        _LAST_ANSWER.set(None)
        try:
            # A copy: each keeps count of its own call.
            response = await self._retrying.copy()(function, *args, **kwargs)
        except httpx.HTTPError as error:
            raise NoAnswerError(f"no answer from {self._client._base_url}: {error or type(error).__name__}") from error
        except (KeyError, TypeError, ValueError) as error:
            answer = _LAST_ANSWER.get()
            if answer is None:
                raise
            raise UnexpectedAnswerError(answer.status_code, f"{answer.text[:200]} ({error!r})") from error
        if self._only_asks and isinstance(response.parsed, models.Permitted):
            raise _PermittedAnswer(response.parsed)
        if not isinstance(response.parsed, kind):
            raise UnexpectedAnswerError(response.status_code, response.content.decode(errors="replace")[:200])
        return response.parsed, response.status_code

    async def _call(
        self, kind: type[T], function: Callable[P, Awaitable[Response[Any]]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return (await self._answer(kind, function, *args, **kwargs))[0]

    async def dry_run(
        self, method: Callable[Concatenate["AsyncWorkers", P], Awaitable[Any]], *args: P.args, **kwargs: P.kwargs
    ) -> models.Permitted:
        """Asks EC2 for the permission and changes nothing. `method` is one of this class, and then come its arguments."""
        asking = copy.copy(self)
        asking._only_asks = True
        _LAST_ANSWER.set(None)
        try:
            await method(asking, *args, **kwargs)
        except _PermittedAnswer as permitted:
            return permitted.answer
        if _LAST_ANSWER.get() is None:
            raise TypeError("this changes nothing that there could be a dry run of")
        raise UnexpectedAnswerError(HTTPStatus.OK, "it is no answer to a dry run")

    async def health(self, *, permissions: bool = False) -> models.Health:
        """Whether EC2 and CloudWatch can be reached; with `permissions`, whether each permission is there."""
        return await self._call(models.Health, health, client=self._client, permissions=permissions)

    async def create_instance(
        self,
        launch: models.CreateInstance,
        *,
        idempotency_key: str | None = None,
        wait: Literal["running", "healthy"] | None = None,
        timeout: float = SECONDS_TO_WAIT,
        region: str | None = None,
    ) -> models.Launched:
        """Launches a worker. An error names the key: the same launch with the same key launches no second worker."""
        key = idempotency_key or str(uuid.uuid4())
        try:
            launched, status = await self._answer(
                models.Launched,
                create_instance,
                region or self.region,
                client=self._client,
                body=launch,
                dry_run=self._only_asks,
                wait=_given(wait),
                idempotency_key=key,
            )
            state = await self._waited(launched.instance_id, wait, status, timeout, region)
        except WorkersError as error:
            error.idempotency_key = key
            raise
        return evolve(launched, state=state or launched.state)

    async def _waited(
        self, instance_id: str, until: Until | None, status: HTTPStatus, timeout: float, region: str | None
    ) -> str | None:
        """Goes on waiting where the API's own time was up. The state that was reached then."""
        if until is None or status != HTTPStatus.ACCEPTED:
            return None
        reached = await self.wait(instance_id, until, timeout=timeout, region=region)
        return reached.state if reached else until

    async def _change(
        self,
        function: Callable[..., Awaitable[Response[Any]]],
        instance_id: str,
        wait: Until | None,
        timeout: float,
        region: str | None,
        **body: models.StopBody,
    ) -> models.StateChange:
        change, status = await self._answer(
            models.StateChange,
            function,
            region or self.region,
            instance_id,
            client=self._client,
            dry_run=self._only_asks,
            wait=_given(wait),
            **body,
        )
        state = await self._waited(instance_id, wait, status, timeout, region)
        return evolve(change, current_state=state or change.current_state)

    async def start_instance(
        self,
        instance_id: str,
        *,
        wait: Literal["running", "healthy"] | None = None,
        timeout: float = SECONDS_TO_WAIT,
        region: str | None = None,
    ) -> models.StateChange:
        """Starts a stopped worker; a running one stays as it is."""
        return await self._change(start_instance, instance_id, wait, timeout, region)

    async def stop_instance(
        self,
        instance_id: str,
        *,
        force: bool = False,
        hibernate: bool = False,
        wait: Literal["stopped"] | None = None,
        timeout: float = SECONDS_TO_WAIT,
        region: str | None = None,
    ) -> models.StateChange:
        """Stops a running worker; a stopped one stays as it is."""
        body = models.StopBody(force=force, hibernate=hibernate)
        return await self._change(stop_instance, instance_id, wait, timeout, region, body=body)

    async def terminate_instance(
        self,
        instance_id: str,
        *,
        wait: Literal["terminated"] | None = None,
        timeout: float = SECONDS_TO_WAIT,
        region: str | None = None,
    ) -> models.StateChange:
        """Terminates a worker; its volumes go with it, if the launch did not say otherwise."""
        return await self._change(terminate_instance, instance_id, wait, timeout, region)

    async def _change_many(
        self,
        function: Callable[..., Awaitable[Response[Any]]],
        body: models.InstancesBody | models.StopManyBody,
        region: str | None,
    ) -> Changes:
        answer = await self._call(
            models.Results, function, region or self.region, client=self._client, body=body, dry_run=self._only_asks
        )
        changes: Changes = {}
        for result in answer.results:
            if isinstance(result, models.FailedResult):
                error = ProblemError.of(result.error.to_dict(), result.error.status, result.instance_id)
                if self._only_asks:
                    raise error
                changes[result.instance_id] = error
            elif not isinstance(result, models.PermittedResult):
                changes[result.instance_id] = result
        if self._only_asks:
            raise _PermittedAnswer(models.Permitted(dry_run=True, permitted=True))
        return changes

    async def start_instances(self, instance_ids: Sequence[str], *, region: str | None = None) -> Changes:
        """Starts up to 100 workers: for each its change, or the error that a call for it alone would have raised."""
        return await self._change_many(start_instances, models.InstancesBody(_several(instance_ids)), region)

    async def stop_instances(
        self, instance_ids: Sequence[str], *, force: bool = False, hibernate: bool = False, region: str | None = None
    ) -> Changes:
        """Stops up to 100 workers, like `start_instances`."""
        body = models.StopManyBody(_several(instance_ids), force=force, hibernate=hibernate)
        return await self._change_many(stop_instances, body, region)

    async def terminate_instances(self, instance_ids: Sequence[str], *, region: str | None = None) -> Changes:
        """Terminates up to 100 workers, like `start_instances`."""
        return await self._change_many(terminate_instances, models.InstancesBody(_several(instance_ids)), region)

    async def get_instance_details(self, instance_id: str, *, region: str | None = None) -> models.Instance:
        """One instance."""
        answer = await self._call(
            models.NarrowedInstance, get_instance_details, region or self.region, instance_id, client=self._client
        )
        return _whole(answer)

    async def get_all_instances(
        self,
        *,
        tag: Mapping[str, str] | None = None,
        page_size: int | None = None,
        region: str | None = None,
        **filters: Unpack[InstanceFilters],
    ) -> AsyncIterator[models.Instance]:
        """All instances that match, page by page as they are taken: the managed ones, unless `managed` is `any`."""
        tags = models.TagFilters.from_dict({f"tag.{key}": value for key, value in (tag or {}).items()})
        token: str | Unset | None = UNSET
        while token is not None:
            page = await self._call(
                models.InstanceList,
                get_all_instances,
                region or self.region,
                client=self._client,
                limit=_given(page_size),
                next_token=token,
                tag=tags,
                **filters,
            )
            for instance in page.instances:
                yield _whole(instance)
            token = page.next_token

    async def get_ami_ids_by_name(
        self, name: str | None = None, *, image_id: list[str] | None = None, owner: str | None = None, region: str | None = None
    ) -> AsyncIterator[models.Image]:
        """All images with this name, in which `*` and `?` are wildcards, or with these ids."""
        token: str | Unset | None = UNSET
        while token is not None:
            page = await self._call(
                models.Images,
                get_ami_ids_by_name,
                region or self.region,
                client=self._client,
                name=_given(name),
                image_id=_given(image_id),
                owner=_given(owner),
                next_token=token,
            )
            for image in page.images:
                yield image
            token = page.next_token

    async def get_instance_status(self, instance_id: str, *, region: str | None = None) -> models.InstanceStatus:
        """The status checks and scheduled events of an instance."""
        return await self._call(
            models.InstanceStatus, get_instance_status, region or self.region, instance_id, client=self._client
        )

    async def get_instance_tags(self, instance_id: str, *, region: str | None = None) -> models.InstanceTags:
        """All tags of an instance."""
        return await self._call(models.InstanceTags, get_instance_tags, region or self.region, instance_id, client=self._client)

    async def update_instance_tags(
        self, instance_id: str, tags: Mapping[str, str], *, region: str | None = None
    ) -> models.InstanceTags:
        """Sets these tags and keeps all others. The answer has them all."""
        body = models.TagUpdate(models.NewTags.from_dict(dict(tags)))
        named, asks = (region or self.region, instance_id), self._only_asks
        return await self._call(models.InstanceTags, update_instance_tags, *named, client=self._client, body=body, dry_run=asks)

    async def delete_instance_tags(
        self, instance_id: str, keys: Sequence[str], *, region: str | None = None
    ) -> models.InstanceTags:
        """Removes the tags with these keys. The answer has all others."""
        named, key, asks = (region or self.region, instance_id), _several(keys), self._only_asks
        return await self._call(models.InstanceTags, delete_instance_tags, *named, client=self._client, key=key, dry_run=asks)

    async def get_instance_resources_utilization(
        self, instance_id: str, *, window: str = "5m", series: bool = False, region: str | None = None
    ) -> models.Utilization:
        """How much of its CPU and memory an instance uses, in percent; with `series`, with each point of the window."""
        named, read = (region or self.region, instance_id), get_instance_resources_utilization
        return await self._call(models.Utilization, read, *named, client=self._client, window=window, series=series)

    async def watch(
        self, instance_id: str, until: Until, *, timeout: float = SECONDS_TO_WAIT, region: str | None = None
    ) -> AsyncIterator[models.InstanceStatus]:
        """Reads the status every few seconds until the state is reached; gives each reading. Or `NotReachedError`."""
        goal = Goal(instance_id, until, timeout)
        while True:
            status: models.InstanceStatus | None = None
            with goal.reading():
                status = await self.get_instance_status(instance_id, region=region)
            if status is not None:
                yield status
            if goal.reached(status):
                return
            goal.check(self._poll_seconds)
            await anyio.sleep(self._poll_seconds)

    async def wait(
        self, instance_id: str, until: Until, *, timeout: float = SECONDS_TO_WAIT, region: str | None = None
    ) -> models.InstanceStatus | None:
        """The last reading of `watch`; None if a terminated instance is shown no more."""
        status = None
        async for reading in self.watch(instance_id, until, timeout=timeout, region=region):
            status = reading
        return status
