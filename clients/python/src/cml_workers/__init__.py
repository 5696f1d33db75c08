"""Runs Cisco Modeling Labs workers on EC2 through the CML worker management API.

`Workers` is the client, `AsyncWorkers` the same for asyncio and trio. Types are in `cml_workers.api.models`.
"""

from cml_workers._async.workers import AsyncWorkers
from cml_workers._sync.workers import Workers
from cml_workers.api.models import CreateInstance
from cml_workers.problems import NotReachedError, ProblemError, WorkersError

__all__ = ["AsyncWorkers", "CreateInstance", "NotReachedError", "ProblemError", "Workers", "WorkersError"]
