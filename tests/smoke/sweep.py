"""The sweep: its role's permissions, and that it looks at the worker."""

import json

from claims import claim
from progress import say, until

PERMISSIONS = claim("The sweep's self-test finds no permission denied to its role")
SEEN = claim("The sweep remembers the worker by the tag cml:seen, and changes nothing else of it")

SECONDS = 60


def invoke(run, event):
    answer = run.client("lambda").invoke(FunctionName=f"{run.stack}-sweep-workers", Payload=json.dumps(event).encode())
    return answer.get("FunctionError"), json.loads(answer["Payload"].read() or b"null")


def observe(run, worker):
    say("sweeping the workers")
    with run.claims.observing(PERMISSIONS):
        failed, answer = invoke(run, {"permissions": True})
        permissions = (answer or {}).get("permissions") or []
        denied = [one["action"] for one in permissions if one["verdict"] == "denied"]
        where = f"{len(permissions)} actions, denied: {', '.join(denied) or 'none'}{f', {failed}' if failed else ''}"
        run.claims.judge(PERMISSIONS, permissions and not denied and not failed, where)
    with run.claims.observing(SEEN):
        before = worker.read("/tags").json.get("tags", {})
        failed, answer = invoke(run, {})
        tags = until(lambda: with_seen(worker), SECONDS, pause=1) or {}
        others = {key: value for key, value in tags.items() if key != "cml:seen"}
        same = others == {key: value for key, value in before.items() if key != "cml:seen"}
        failures = [one for region in (answer or {}).get("regions", []) for one in region["failures"]]
        where = f"cml:seen is {tags.get('cml:seen')!r}; failures: {failures or 'none'}{f', {failed}' if failed else ''}"
        run.claims.judge(SEEN, "cml:seen" in tags and same and not failed and not failures, where)


def with_seen(worker):
    tags = worker.read("/tags").json.get("tags", {})
    return tags if "cml:seen" in tags else None
