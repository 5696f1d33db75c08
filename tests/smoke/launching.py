"""Launches: one worker, the same launch sent again, and what may not be launched."""

import workers
from api import INSTANCES
from choice import DEFAULT_IMAGE
from claims import claim
from progress import say, until
from workers import state, with_ids, with_tag

LAUNCHED = claim("create-instance launches a worker, and answers 201 with it")
BY_PARAMETER = claim("An image is found by the public parameter of Systems Manager that names it")
SENT_AGAIN = claim("The same Idempotency-Key from another session of the role answers the same worker, created: false")
OTHER_BODY = claim("The same Idempotency-Key with another body is a 409 idempotency_mismatch")
ONCE = claim("After all of that EC2 has one instance with the launch's client token, and one of this run")
OTHER_TYPE = claim("A type that is not allowed is a 403 instance_type_not_allowed")

# Of these one is hardly ever among the allowed.
OTHER_TYPES = ("t3.micro", "x2idn.16xlarge", "p5.48xlarge")


def launch(run, body, key, session="one"):
    """Sends a launch. The ledger knows that it is sent, and then what it launched."""
    sent = run.ledger.made(run, "launch", f"{body['name']} with the key {key}", managed_by=run.managed_by)
    answer = run.callers["launcher"].call(
        "POST", INSTANCES, [("wait", "running")], body, {"Idempotency-Key": key}, session)
    remember(run, answer.json.get("instance_id"))
    # An answer of the function's own says what became of it; anything else leaves that open.
    if "instance_id" in answer.json or answer.status < 500:
        run.ledger.gone(sent)
    return answer


# EC2 has none to give, or the account's quota is used up: neither contradicts a claim.
NOT_OURS = ("insufficient_capacity", "quota_exceeded")


def remember(run, instance_id):
    known = {entry.name for entry in run.ledger.of(run.id, "instance")}
    if instance_id and instance_id not in known:
        run.ledger.made(run, "instance", instance_id)


def observe(run, choice):
    """Gives the worker's id; nothing if there is none to observe anything else with."""
    say(f"launching a {choice.instance_type}")
    body, key = choice.body(run, f"smoke-{run.stack}"), f"smoke-{run.id}"
    with run.claims.observing(BY_PARAMETER):
        by_parameter(run, choice)
    with run.claims.observing(LAUNCHED):
        answer = launch(run, body, key)
        instance_id = answer.json.get("instance_id")
        if answer.code in NOT_OURS:
            run.claims.not_seen(LAUNCHED, answer)
        else:
            run.claims.judge(LAUNCHED, answer.status in (201, 202) and instance_id, answer)
    if run.claims.unjudged(LAUNCHED) or not instance_id:
        return None
    with run.claims.observing(SENT_AGAIN, OTHER_BODY, ONCE):
        again(run, body, key, instance_id)
    with run.claims.observing(OTHER_TYPE):
        not_allowed(run, choice, body)
    return instance_id


def by_parameter(run, choice):
    """As a dry run: it looks the image up as a launch does."""
    body = choice.body(run, f"smoke-{run.stack}", image_name=DEFAULT_IMAGE)
    answer = run.callers["launcher"].call("POST", INSTANCES, [("dry_run", "true")], body)
    # AWS's own ARN of a public parameter has no account in it.
    asked_for = answer.json.get("denied_resource") or ""
    if f":{run.account}:parameter/aws/service/" in asked_for:
        run.claims.not_seen(BY_PARAMETER, f"{answer.status} for {asked_for}: on AWS a public parameter belongs to no "
                                          "account, here it belongs to this one")
    else:
        run.claims.judge(BY_PARAMETER, answer.json.get("permitted"), answer)


def again(run, body, key, instance_id):
    second = launch(run, body, key, session="two")
    same = (second.json.get("instance_id"), second.json.get("created")) == (instance_id, False)
    where = f"{second}: {second.json.get('instance_id')}, created {second.json.get('created')}"
    run.claims.judge(SENT_AGAIN, second.status in (200, 202) and same, where)
    other = launch(run, {**body, "name": f"{body['name']}-other"}, key)
    run.claims.judge(OTHER_BODY, (other.status, other.code) == (409, "idempotency_mismatch"), other)
    count(run, instance_id)


def count(run, instance_id):
    """EC2's reads lag behind its writes, each on its own: a second instance would show itself some seconds later."""
    [instance] = until(lambda: with_ids(run, run.region, [instance_id]), workers.LAUNCH_SECONDS)
    by_token, by_tag = until(lambda: found(run, instance["ClientToken"]), run.arguments.lag_seconds,
                             enough=lambda looks: any(len(ids) > 1 for ids in looks))
    where = f"ec2:DescribeInstances by client-token: {by_token}, by tag: {by_tag}"
    run.claims.judge(ONCE, by_token == by_tag == [instance_id], where)


def found(run, client_token):
    """The ids that EC2 shows by the launch's token, and by this run's tag."""
    token = [{"Name": "client-token", "Values": [client_token]}]
    pages = run.client("ec2").get_paginator("describe_instances").paginate(Filters=token)
    alive = (one for one in with_tag(run, run.region, run.managed_by) if state(one) != "terminated")
    return [one["InstanceId"] for one in workers.flat(pages)], [one["InstanceId"] for one in alive]


def not_allowed(run, choice, body):
    """As a dry run: if it were allowed, nothing would be launched."""
    other = [one for one in OTHER_TYPES if not choice.allows(one)]
    if not other:
        run.claims.not_seen(OTHER_TYPE, f"{', '.join(choice.patterns)} allow every type")
        return
    dry_run = [("dry_run", "true")]
    answer = run.callers["launcher"].call("POST", INSTANCES, dry_run, {**body, "instance_type": other[0]})
    run.claims.judge(OTHER_TYPE, (answer.status, answer.code) == (403, "instance_type_not_allowed"), answer)
