"""Lets MiniStack update a function as Lambda does: "Invocations continue to use the function's previous code and configuration
until the update completes." (https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html)

MiniStack ends the processes of a function that is updated, also those that are answering, so that their calls are lost. Here such
a process first gives its answer. And MiniStack keeps a process that was started with the previous code while the update was made,
which then answers for good; here it ends after its first answer.

The names that begin with _ are private: requirements.txt pins the version they were read in.
"""

import threading

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

kill_workers = lambda_runtime.kill_workers
acquire_worker, release_worker = lambda_svc.acquire_worker, lambda_svc.release_worker
updating = threading.local()


def kill(workers):
    """During an update, only those that are idle: the others are retired."""
    busy = []
    if getattr(updating, "now", False):
        with lambda_runtime._lock:
            busy = [worker for worker in workers if worker.in_use]
            for worker in busy:
                worker.retired = True
    kill_workers([worker for worker in workers if worker not in busy])


def acquire(name, config, code, **options):
    worker, reason = acquire_worker(name, config, code, **options)
    current = lambda_svc._functions.get(name)
    if worker and current and current["config"].get("RevisionId") != config.get("RevisionId"):
        worker.retired = True
    return worker, reason


def release(worker):
    release_worker(worker)
    if getattr(worker, "retired", False):
        retire(worker)


def retire(worker):
    """It may still be in its pool, if it was started during the update."""
    with lambda_runtime._lock:
        for workers in lambda_runtime._workers.values():
            if worker in workers:
                workers.remove(worker)
    kill_workers([worker])


def gently(update):
    def updated(name, data):
        updating.now = True
        try:
            return update(name, data)
        finally:
            updating.now = False

    return updated


def add():
    lambda_runtime.kill_workers = kill
    lambda_svc.acquire_worker, lambda_svc.release_worker = acquire, release
    lambda_svc._update_code, lambda_svc._update_config = gently(lambda_svc._update_code), gently(lambda_svc._update_config)
