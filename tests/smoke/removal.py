"""Clean-up: everything in the ledger goes, in reverse order, and what does not go is named."""

from botocore.exceptions import BotoCoreError, ClientError

import buckets
import change_sets
import log_groups
import logging_role
import roles
import stacks
import workers
from claims import one_line
from progress import say, tell, until
from run import TAG

# Each tells whether the thing is there, removes it (no error if it is not), and says how that is done by hand.
KINDS = {
    "bucket": buckets.Bucket, "change-set": change_sets, "instance": workers.Instance, "launch": workers.Launch,
    "log-group": log_groups, "logging-role": logging_role, "role": roles, "s3-prefix": buckets.Prefix,
    "stack": stacks, "workers": workers.Tagged,
}

# How long the search by tags may go on naming what is gone.
INDEX_SECONDS = 180


def clean(run):
    """Removes what is unfinished, each once. Removing a stack can add what it left behind, which then comes next."""
    tried = set()
    while waiting := [entry for entry in run.ledger.unfinished() if entry.number not in tried]:
        tried.add(waiting[0].number)
        remove(run, waiting[0])
    return [entry for entry in run.ledger.entries if entry.number in tried or entry.run == run.id]


def remove(run, entry):
    say(f"removing {entry}")
    try:
        KINDS[entry.kind].remove(run, entry)
        if not KINDS[entry.kind].is_there(run, entry):
            run.ledger.gone(entry)
            return
        say(f"  {entry} is still there")
    except Exception as error:  # Whatever is wrong with this one, the others go.
        say(f"  {type(error).__name__}: {one_line(error)}")


def left(run, entries):
    """What is there of these entries, asked anew."""
    lines = []
    for entry in entries:
        try:
            there = KINDS[entry.kind].is_there(run, entry)
        except Exception as error:  # Not knowing is no reason to say that nothing is left.
            there = f"unknown, because {one_line(error)}"
        if there:
            lines.append(f"{entry}{'' if there is True else f' ({there})'}: {KINDS[entry.kind].how_to_remove(entry)}")
    return lines


def tagged(run, run_ids):
    """ARNs that the tag finds. The search goes on naming what was deleted for a while."""
    tagging = run.client("resourcegroupstaggingapi").get_paginator("get_resources")
    filters = [{"Key": TAG, "Values": sorted(run_ids)}]

    def search():
        return [resource["ResourceARN"] for page in tagging.paginate(TagFilters=filters)
                for resource in page["ResourceTagMappingList"]]

    try:
        until(lambda: not search(), INDEX_SECONDS)
        return search()
    except (BotoCoreError, ClientError) as error:
        say(f"what has the tag {TAG} cannot be searched for: {one_line(error)}")
        return []


def report(run, entries):
    """Prints what is left; whether nothing is."""
    lines = left(run, entries)
    # The index names what was tagged, for a while also when that is gone: it decides nothing.
    for arn in tagged(run, {entry.run for entry in entries}) if entries else []:
        tell(f"  {arn} is still in the index of the tag {TAG}: look whether it is there")
    if not lines:
        say("nothing is left")
        return True
    say(f"{len(lines)} things are left, and how to remove them:")
    for line in lines:
        tell(f"  {line}")
    return False
