"""The functions' log groups as things to remove: one that still runs when its stack goes can bring its own back."""

from run import unless_absent


def names(run, region, prefix):
    pages = run.client("logs", region).get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
    return [group["logGroupName"] for page in pages for group in page["logGroups"]]


def made(run):
    """To be called before the stack is made. Groups that are there already are somebody else's, and stay."""
    prefix = f"/aws/lambda/{run.stack}-"
    if not names(run, run.region, prefix):
        run.ledger.made(run, "log-groups", prefix)


def is_there(run, entry):
    return bool(names(run, entry.region, entry.name))


def remove(run, entry):
    for name in names(run, entry.region, entry.name):
        delete = run.client("logs", entry.region).delete_log_group
        unless_absent(delete, "ResourceNotFoundException", logGroupName=name)


def how_to_remove(entry):
    return f"aws logs delete-log-group --region {entry.region} for those that begin with {entry.name}"
