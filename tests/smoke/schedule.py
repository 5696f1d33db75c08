"""The scheduled health check: EventBridge runs it, and the function's log says so."""

import stacks
from claims import claim
from progress import say, until

RUNS = claim("EventBridge runs the health check by itself: the function's log has the line of a scheduled run")

# The schedule is a minute, and logs take some seconds.
SECONDS = 180
WORDS = "scheduled, answered"


def observe(run):
    say("waiting for a scheduled health check")
    group = f"/aws/lambda/{run.stack}-health"
    with run.claims.observing(RUNS):
        # By AWS's clock; an earlier stack of the name can have left its lines.
        since = int(stacks.describe(run, run.stack)["CreationTime"].timestamp() * 1000)
        line = until(lambda: scheduled(run, group, since), SECONDS, pause=1)
        found = "a line" if line else f"no line in {SECONDS} seconds"
        run.claims.judge(RUNS, line, f"logs:FilterLogEvents of {group}: {found}")


def scheduled(run, group, since):
    # Looked for here and not by a filter pattern: the line is text in a field of the JSON log.
    pages = run.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since)
    return any(WORDS in event["message"] for page in pages for event in page["events"])
