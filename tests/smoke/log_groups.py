"""The log groups of functions and API as things to remove: what still runs when its stack goes can bring its own back."""

from arguments import REPOSITORY
from run import unless_absent


def wanted(stack):
    """The names of the groups, whole: what begins alike can be another stack's."""
    operations = sorted(folder.name for folder in (REPOSITORY / "functions").iterdir())
    return [f"/aws/lambda/{stack}-{operation}" for operation in operations] + [access_log(stack)]


def access_log(stack):
    return f"/aws/apigateway/{stack}/v1"


def exists(run, region, name):
    pages = run.client("logs", region).get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
    return any(group["logGroupName"] == name for page in pages for group in page["logGroups"])


def made(run):
    """To be called before the stack is made. Groups that are there already are somebody else's, and stay."""
    for name in wanted(run.stack):
        if not exists(run, run.region, name):
            run.ledger.made(run, "log-group", name)


def is_there(run, entry):
    return exists(run, entry.region, entry.name)


def remove(run, entry):
    delete = run.client("logs", entry.region).delete_log_group
    unless_absent(delete, "ResourceNotFoundException", logGroupName=entry.name)


def how_to_remove(entry):
    return f"aws logs delete-log-group --region {entry.region} --log-group-name {entry.name}"
