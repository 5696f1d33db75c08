"""The audit: trail, metric filters and alarms, as the services themselves show them."""

import json

import deployment
import log_groups
import monitoring
import stacks
from claims import claim, one_line
from progress import say, until

DEPLOYS = claim("Audit=true adds the audit to the stack")
LOGGING = claim("The trail is logging")
DELIVERED = claim("The trail delivers to its log group, without an error")
FILTERS = claim("All metric filters of the audit exist")
MATCHES = claim("The filter for RunInstances counts a launch and no dry run")
ALARMS = claim("All alarms of the audit exist, each with the topic as its action")

# What CloudFormation says of a type that it does not have: AWS in a region without the service, others elsewhere.
NO_SUCH_TYPE = ("Unsupported resource type", "Unrecognized resource type")
LAUNCH = {"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances"}
DRY_RUN = LAUNCH | {"errorCode": "Client.DryRunOperation"}


def observe(run):
    everything = (DEPLOYS, LOGGING, DELIVERED, FILTERS, MATCHES, ALARMS)
    with run.claims.observing(*everything):
        resources = deploy(run)
        if resources is None:
            return
        with run.claims.observing(FILTERS, MATCHES):
            filters(run, resources)
        with run.claims.observing(ALARMS):
            monitoring.alarms(run, ALARMS, resources)
        with run.claims.observing(LOGGING, DELIVERED):
            trail(run, resources)


def deploy(run):
    """The audit's resources by kind and name; nothing if there are none."""
    [entry] = [entry for entry in run.ledger.of(run.id, "stack") if entry.name == run.stack and not entry.gone]
    try:
        deployment.update(run, Audit="true")
    except deployment.Failed as error:
        give_up(run, one_line(error))
        return None
    finally:
        # What outlives the stack is known from here on, whether or not the update went well.
        stacks.keep_track(run, entry)
    run.claims.seen(DEPLOYS, "cloudformation:DescribeStacks said UPDATE_COMPLETE")
    return monitoring.resources_of(run, entry, "AuditStack")


def give_up(run, reasons):
    if any(words in reasons for words in NO_SUCH_TYPE):
        run.claims.not_seen(DEPLOYS, f"this CloudFormation lacks what it takes: {reasons}")
    else:
        run.claims.wrong(DEPLOYS, reasons)
    for claimed in (LOGGING, DELIVERED, FILTERS, MATCHES, ALARMS):
        run.claims.not_seen(claimed, "the audit was not deployed")


def trail(run, resources):
    trails = resources.get("AWS::CloudTrail::Trail", {})
    status = run.client("cloudtrail").get_trail_status
    if not trails:
        run.claims.wrong(LOGGING, "the audit was deployed without a trail")
        run.claims.not_seen(DELIVERED, "there is no trail")
        return
    [name] = trails.values()
    first = status(Name=name)
    where = f"cloudtrail:GetTrailStatus of {name}: IsLogging {first['IsLogging']}"
    run.claims.judge(LOGGING, first["IsLogging"], where)
    say("waiting for CloudTrail's first delivery")
    outcomes = ("LatestCloudWatchLogsDeliveryError", "LatestCloudWatchLogsDeliveryTime")
    last = until(lambda: status(Name=name), bound(run), enough=lambda answer: any(map(answer.get, outcomes)))
    error, delivered = map(last.get, outcomes)
    if error or delivered:
        run.claims.judge(DELIVERED, not error, f"cloudtrail:GetTrailStatus: {error or f'delivered at {delivered}'}")
    else:
        run.claims.not_seen(DELIVERED, f"neither a delivery nor an error within {run.arguments.delivery_minutes:g} minutes")


def bound(run):
    return run.arguments.delivery_minutes * 60


def filters(run, resources):
    logs, groups = run.client("logs"), [*resources["AWS::Logs::LogGroup"].values(), log_groups.access_log(run.stack)]
    paginator = logs.get_paginator("describe_metric_filters")
    pages = (page for group in groups for page in paginator.paginate(logGroupName=group))
    found = [one for page in pages for one in page["metricFilters"]]
    wanted = len(resources["AWS::Logs::MetricFilter"])
    run.claims.judge(FILTERS, len(found) == wanted, f"logs:DescribeMetricFilters: {len(found)} of {wanted}")
    [pattern] = [one["filterPattern"] for one in found if '"RunInstances"' in one["filterPattern"]]
    events = [json.dumps(LAUNCH), json.dumps(DRY_RUN)]
    matches = logs.test_metric_filter(filterPattern=pattern, logEventMessages=events)["matches"]
    numbers = [match["eventNumber"] for match in matches]
    run.claims.judge(MATCHES, numbers == [1], f"logs:TestMetricFilter of a launch and a dry run matched {numbers}")
