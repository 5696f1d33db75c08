"""The other operations of the API, on the worker that was launched."""

from api import INSTANCES, MISSING
from claims import claim
from launching import NOT_OURS
from progress import say, until

HEALTH = claim("health is ok")
PERMISSIONS = claim("health?permissions=true finds no permission denied to the functions")
IMAGES = claim("get-ami-ids-by-name finds Amazon Linux images by a pattern")
DETAILS = claim("get-instance-details answers the worker, and that it is ours")
LIST = claim("get-all-instances finds the worker by its name, and it alone")
STATUS = claim("get-instance-status answers the worker's checks")
TAG_SET = claim("update-instance-tags sets a tag, and get-instance-tags shows it")
TAG_REMOVED = claim("delete-instance-tags removes the tag again")
RESERVED = claim("The ownership tag cannot be changed: 400 invalid_request")
STOPPED = claim("stop-instance stops the worker")
STARTED = claim("start-instance starts the worker again")
DRY_RUNS = claim("The dry runs of all six changes are permitted, and change nothing")
FOREIGN = claim("An instance that does not exist is a 404 instance_not_found")
TERMINATED = claim("terminate-instance terminates the worker")
TERMINATED_AGAIN = claim("Terminating it again answers 200 with changed: false")

AMAZON_LINUX = "al2023-ami-2023*-x86_64"
# EC2 takes minutes to stop some types; the API's own wait ends after 15 seconds.
STATE_SECONDS = 10 * 60


class Worker:
    def __init__(self, run, instance_id):
        self.run, self.id, self.path = run, instance_id, f"{INSTANCES}/{instance_id}"

    def call(self, method, below="", query=(), body=None, caller="launcher"):
        return self.run.callers[caller].call(method, self.path + below, query, body)

    def read(self, below="", query=()):
        return self.call("GET", below, query, caller="reader")

    def reaches(self, state):
        return until(lambda: self.read("", [("fields", "state")]).json.get("state") == state, STATE_SECONDS, pause=1)


def observe_reads(run):
    say("reading as a reader")
    reader = run.callers["reader"]
    with run.claims.observing(HEALTH):
        answer = reader.call("GET", "/health")
        run.claims.judge(HEALTH, (answer.status, answer.json.get("status")) == (200, "ok"), answer)
    with run.claims.observing(IMAGES):
        query = [("name", AMAZON_LINUX), ("owner", "amazon")]
        answer = reader.call("GET", "/regions/{region}/images", query)
        run.claims.judge(IMAGES, answer.json.get("images"), f"{answer}: {len(answer.json.get('images', []))} images")
    with run.claims.observing(FOREIGN):
        answer = Worker(run, MISSING).read()
        run.claims.judge(FOREIGN, (answer.status, answer.code) == (404, "instance_not_found"), answer)


def observe_worker(run, worker):
    say("calling the other operations")
    with run.claims.observing(PERMISSIONS):
        permissions(run)
    with run.claims.observing(DETAILS, LIST, STATUS):
        reads(run, worker)
    with run.claims.observing(TAG_SET, TAG_REMOVED, RESERVED):
        tags(run, worker)
    with run.claims.observing(DRY_RUNS):
        dry_runs(run, worker)
    with run.claims.observing(STOPPED, STARTED):
        stop_and_start(run, worker)


def permissions(run):
    answer = run.callers["reader"].call("GET", "/health", [("permissions", "true")])
    found = answer.json.get("permissions") or []
    # AWS's own ARN of a public parameter has no account in it: a denial of one with this account is none of AWS's.
    found = [one for one in found if f":{run.account}:parameter/aws/service/" not in (one["reason"] or "")]
    verdicts = {one["action"]: one["verdict"] for one in found}
    denied = sorted(action for action, verdict in verdicts.items() if verdict == "denied")
    unknown = sorted(action for action, verdict in verdicts.items() if verdict == "unknown")
    where = f"{answer}: {len(verdicts)} actions, denied {denied or 'none'}, unknown {unknown or 'none'}"
    run.claims.judge(PERMISSIONS, answer.status == 200 and verdicts and not denied, where)


def reads(run, worker):
    details = worker.read()
    ours = (details.json.get("instance_id"), details.json.get("managed")) == (worker.id, True)
    run.claims.judge(DETAILS, ours, details)
    query = [("tag.Name", details.json.get("name", "")), ("state", "running"), ("state", "pending")]
    listed = run.callers["reader"].call("GET", INSTANCES, query)
    ids = [one["instance_id"] for one in listed.json.get("instances", [])]
    run.claims.judge(LIST, ids == [worker.id], f"{listed}: {ids}")
    status = worker.read("/status")
    where = f"{status}: {status.json.get('state')}, instance check {status.json.get('instance_status_check')}"
    run.claims.judge(STATUS, status.status == 200 and "instance_status_check" in status.json, where)


def tags(run, worker):
    put = worker.call("PATCH", "/tags", body={"tags": {"Smoke": "1"}})
    shown = until(lambda: worker.read("/tags").json.get("tags", {}).get("Smoke") == "1", 30)
    where = f"{put}, and GET …/tags then {'had' if shown else 'lacked'} it"
    run.claims.judge(TAG_SET, put.status == 200 and shown, where)
    gone = worker.call("DELETE", "/tags", [("key", "Smoke")])
    hidden = until(lambda: "Smoke" not in worker.read("/tags").json.get("tags", {"Smoke": ""}), 30)
    run.claims.judge(TAG_REMOVED, gone.status == 200 and hidden, gone)
    reserved = worker.call("PATCH", "/tags", body={"tags": {"ManagedBy": "somebody-else"}})
    run.claims.judge(RESERVED, (reserved.status, reserved.code) == (400, "invalid_request"), reserved)


def dry_runs(run, worker):
    dry = [("dry_run", "true")]
    before = worker.read("", [("fields", "state,tags")]).json
    details = worker.read().json
    body = {"name": "smoke-dry"} | {name: details[name] for name in ("image_id", "instance_type", "subnet_id")}
    answers = [
        run.callers["launcher"].call("POST", INSTANCES, dry, body),
        worker.call("POST", "/start", dry), worker.call("POST", "/stop", dry), worker.call("DELETE", "", dry),
        worker.call("PATCH", "/tags", dry, {"tags": {"Smoke": "1"}}),
        worker.call("DELETE", "/tags", [*dry, ("key", "Name")]),
    ]
    refused = [answer for answer in answers if answer.json != {"dry_run": True, "permitted": True}]
    same = worker.read("", [("fields", "state,tags")]).json == before
    unchanged = f"six answers with permitted: true, {'the same' if same else 'another'} state and tags"
    where = "; ".join(map(str, refused)) or unchanged
    run.claims.judge(DRY_RUNS, not refused and same, where)


def stop_and_start(run, worker):
    for claimed, below, state in ((STOPPED, "/stop", "stopped"), (STARTED, "/start", "running")):
        say(f"waiting until the worker is {state}")
        answer = worker.call("POST", below, [("wait", state)])
        good = answer.status in (200, 202) and answer.json.get("changed") is True
        reached = good and worker.reaches(state)
        if answer.code in NOT_OURS:
            run.claims.not_seen(claimed, answer)
        else:
            run.claims.judge(claimed, reached, f"{answer}, and the worker was {'' if reached else 'not '}{state}")


def observe_end(run, worker):
    say("terminating the worker")
    with run.claims.observing(TERMINATED, TERMINATED_AGAIN):
        first = worker.call("DELETE", "", [("wait", "terminated")])
        good = first.status in (200, 202) and first.json.get("changed") is True
        run.claims.judge(TERMINATED, good and worker.reaches("terminated"), first)
        second = worker.call("DELETE")
        run.claims.judge(TERMINATED_AGAIN, (second.status, second.json.get("changed")) == (200, False), second)
