"""CloudFormation stacks as things to remove, with what they leave behind."""

from types import SimpleNamespace

from progress import say, until
from run import TAG, unless_absent

DELETION_SECONDS = 45 * 60

# What a stack keeps when it goes, or loses track of when it fails, by the kind it has in the ledger.
OUTLIVING = {"AWS::S3::Bucket": "bucket", "AWS::IAM::Role": "role"}


def describe(run, name, region=None):
    """The stack; nothing if there is none, or none any more."""
    cloudformation = run.client("cloudformation", region)
    answer = unless_absent(cloudformation.describe_stacks, "ValidationError", says="does not exist", StackName=name)
    stacks = [stack for stack in (answer or {"Stacks": []})["Stacks"] if stack["StackStatus"] != "DELETE_COMPLETE"]
    return stacks[0] if stacks else None


def failures(run, name, region=None):
    """Why CloudFormation failed: the reasons are in the events, and those of a stack inside in its own."""
    pages = run.client("cloudformation", region).get_paginator("describe_stack_events").paginate(StackName=name)
    failed = [event for page in pages for event in page["StackEvents"] if event["ResourceStatus"].endswith("FAILED")]
    told = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}" for event in failed]
    stacks = [event for event in failed if event["ResourceType"] == "AWS::CloudFormation::Stack"]
    inside = {event.get("PhysicalResourceId") for event in stacks} - {None, "", *(event["StackId"] for event in stacks)}
    return told + [reason for stack in sorted(inside) for reason in failures(run, stack, region)]


def id_of(entry):
    """What CloudFormation knows it by: the id, also once the stack is gone, if that was answered."""
    return entry.details.get("id", entry.name)


def is_ours(stack, entry):
    """By its id if that is known, and else by the tag: the name alone may be anybody's."""
    if known := entry.details.get("id"):
        return stack["StackId"] == known
    return {"Key": TAG, "Value": entry.run} in stack.get("Tags", [])


def is_there(run, entry):
    stack = describe(run, id_of(entry), entry.region)
    return stack is not None and is_ours(stack, entry)


def remove(run, entry):
    if not is_there(run, entry):
        return
    settle(run, entry)
    stack = describe(run, id_of(entry), entry.region)
    name = stack["StackId"]
    # What a change set alone has made holds nothing.
    if stack["StackStatus"] != "REVIEW_IN_PROGRESS":
        keep_track(run, entry)
    delete(run, entry, name)


def delete(run, entry, name):
    # Again, because what failed for a moment, a throttled service say, fails the whole deletion.
    if not (is_deleted(run, entry, name) or is_deleted(run, entry, name)):
        for failure in failures(run, name, entry.region):
            say(f"  {failure}")


def is_deleted(run, entry, name):
    run.client("cloudformation", entry.region).delete_stack(StackName=name)
    until(lambda: has_ended(run, name, entry.region), DELETION_SECONDS)
    return not is_there(run, entry)


def has_ended(run, name, region):
    stack = describe(run, name, region)
    return stack is None or stack["StackStatus"] == "DELETE_FAILED"


def settle(run, entry):
    """A stack cannot be deleted while it is updated, nor while an update is cleaned up after."""
    name = id_of(entry)
    if describe(run, name, entry.region)["StackStatus"] == "UPDATE_IN_PROGRESS":
        cancel = run.client("cloudformation", entry.region).cancel_update_stack
        # It may have ended meanwhile.
        unless_absent(cancel, "ValidationError", StackName=name)
    until(lambda: is_settled(describe(run, name, entry.region)), DELETION_SECONDS)


def is_settled(stack):
    status = stack["StackStatus"]
    return not (status.startswith("UPDATE") and status.endswith("IN_PROGRESS"))


def nested(run, entry):
    """The stacks inside: those that the stack lists, and those that it lost when its update failed."""
    cloudformation = run.client("cloudformation", entry.region)
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=id_of(entry))
    listed = {resource["PhysicalResourceId"] for page in pages for resource in page["StackResourceSummaries"]
              if resource["ResourceType"] == "AWS::CloudFormation::Stack" and resource.get("PhysicalResourceId")}
    return sorted(listed | set(lost(run, entry)))


def lost(run, entry):
    """Stacks that have this one's tag and name, and more of a name behind it."""
    outer = describe(run, id_of(entry), entry.region)["StackName"]
    tag = {"Key": TAG, "Value": entry.run}
    pages = run.client("cloudformation", entry.region).get_paginator("describe_stacks").paginate()
    return [stack["StackId"] for page in pages for stack in page["Stacks"]
            if tag in stack.get("Tags", []) and stack["StackName"].startswith(f"{outer}-")]


def keep_track(run, entry):
    """Writes what outlives the stack into the ledger, to be removed right after the stack."""
    known = {other.name for other in run.ledger.entries}
    # Its own first: API Gateway's logging role is among them.
    for stack in [id_of(entry), *nested(run, entry)]:
        for kind, name in outliving(run, entry, stack):
            if name not in known:
                made(run, entry, kind, name)
        if stack not in {id_of(entry), *known}:
            made(run, entry, "stack", stack, id=stack)


def made(run, entry, kind, name, **details):
    """As made by the run that made the stack, which may be an earlier one."""
    owner = SimpleNamespace(region=entry.region, account=entry.account, id=entry.run)
    return run.ledger.made(owner, kind, name, before=entry, **details)


def outliving(run, entry, stack):
    pages = run.client("cloudformation", entry.region).get_paginator("list_stack_resources").paginate(StackName=stack)
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return [(OUTLIVING[resource["ResourceType"]], resource["PhysicalResourceId"]) for resource in resources
            if resource["ResourceType"] in OUTLIVING and resource.get("PhysicalResourceId")
            and resource["ResourceStatus"] != "DELETE_COMPLETE"]


def how_to_remove(entry):
    return f"aws cloudformation delete-stack --region {entry.region} --stack-name {entry.name}"
