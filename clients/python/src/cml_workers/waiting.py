"""When a worker that is waited for has reached its state, and when it never will."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from cml_workers.api.models.instance_status import InstanceStatus
from cml_workers.problems import InstanceNotFoundError, NoAnswerError, NotReachedError, ProblemError, WorkersError

Until = Literal["running", "healthy", "stopped", "terminated"]

LAG = 30.0
"""Seconds for which EC2's reads may still show what was before, or nothing of a new instance."""


class Goal:
    """A state to reach, and what was seen of the instance so far."""

    def __init__(self, instance_id: str, until: Until, timeout: float) -> None:
        if until not in get_args(Until):
            raise ValueError(f"{until} is none of {', '.join(get_args(Until))}")
        self.instance_id = instance_id
        self.until = until
        self._timeout = timeout
        self._began = time.monotonic()
        self._seen: list[str] = []
        self._gone = False

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def lost(self, reason: str) -> NotReachedError:
        """The error that says why the goal is given up."""
        return NotReachedError(self.instance_id, self.until, self._seen[-1] if self._seen else None, reason)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Ignores an error that says nothing yet: EC2 does not show a new instance at once, or nobody answers for now."""
        try:
            yield
        except InstanceNotFoundError as error:
            self._gone = self.until == "terminated"
            if not self._gone and (self._seen or self._seconds > LAG):
                raise self.lost(str(error)) from error
        except WorkersError as error:
            if not (isinstance(error, NoAnswerError) or (isinstance(error, ProblemError) and error.retryable)):
                raise self.lost(str(error)) from error

    def reached(self, status: InstanceStatus | None) -> bool:
        """Whether this reading is the one that was waited for."""
        if status is None:
            return self._gone
        self._seen.append(status.state)
        return status.healthy if self.until == "healthy" else status.state == self.until

    def check(self, pause: float) -> None:
        """Raises if no later reading can be the one, or if there is no time for another one."""
        state = self._seen[-1] if self._seen else None
        if self.until != "terminated" and state in {"shutting-down", "terminated"}:
            raise self.lost("it is being terminated, or was")
        started = not {"pending", "running"}.isdisjoint(self._seen) or self._seconds > LAG
        if self.until in {"running", "healthy"} and state in {"stopping", "stopped"} and started:
            raise self.lost("it was stopped, or EC2 took the start back: `state_reason` in its details says why")
        if self._seconds + pause > self._timeout:
            raise self.lost(f"it took longer than {self._timeout:g} seconds")
