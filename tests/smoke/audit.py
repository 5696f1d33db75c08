"""The audit: trail, access log, metric filters and alarms, as the services themselves show them."""

import json

import deployment
import logging_role
import stacks
from api import GATEWAY_MARK
from claims import claim, one_line
from progress import say, until

DEPLOYS = claim("Audit=true adds the audit to the stack")
LOGGING = claim("The trail is logging")
DELIVERED = claim("The trail delivers to its log group, without an error")
FILTERS = claim("All metric filters of the audit exist")
MATCHES = claim("The filter for RunInstances counts a launch and no dry run")
ALARMS = claim("All alarms of the audit exist, each with the topic as its action")
ACCESS_LOG = claim("The access log has a line after a call")

# What CloudFormation says of a type that it does not have: AWS in a region without the service, others elsewhere.
NO_SUCH_TYPE = ("Unsupported resource type", "Unrecognized resource type")
LAUNCH = {"eventSource": "ec2.amazonaws.com", "eventName": "RunInstances"}
DRY_RUN = LAUNCH | {"errorCode": "Client.DryRunOperation"}


def observe(run):
    everything = (DEPLOYS, LOGGING, DELIVERED, FILTERS, MATCHES, ALARMS, ACCESS_LOG)
    with run.claims.observing(*everything):
        resources = deploy(run)
        if resources is None:
            return
        # First, so that both deliveries are on their way while the rest is looked at.
        answer = run.callers["launcher"].call("GET", "/health")
        with run.claims.observing(FILTERS, MATCHES):
            filters(run, resources)
        with run.claims.observing(ALARMS):
            alarms(run, resources)
        with run.claims.observing(ACCESS_LOG):
            access_log(run, resources, answer)
        with run.claims.observing(LOGGING, DELIVERED):
            trail(run, resources)


def deploy(run):
    """The audit's resources by kind and name; nothing if there are none."""
    [entry] = [entry for entry in run.ledger.of(run.id, "stack") if entry.name == run.stack and not entry.gone]
    logging_role.remember(run)
    try:
        deployment.update(run, Audit="true")
    except deployment.Failed as error:
        give_up(run, one_line(error))
        return None
    finally:
        # What outlives the stack is known from here on, whether or not the update went well.
        stacks.keep_track(run, entry)
    run.claims.seen(DEPLOYS, "cloudformation:DescribeStacks said UPDATE_COMPLETE")
    return resources_of(run, entry)


def give_up(run, reasons):
    if any(words in reasons for words in NO_SUCH_TYPE):
        run.claims.not_seen(DEPLOYS, f"this CloudFormation lacks what it takes: {reasons}")
    else:
        run.claims.wrong(DEPLOYS, reasons)
    for claimed in (LOGGING, DELIVERED, FILTERS, MATCHES, ALARMS, ACCESS_LOG):
        run.claims.not_seen(claimed, "the audit was not deployed")


def resources_of(run, entry):
    """{type: {logical id: physical id}} of the nested stacks."""
    found = {}
    for stack in stacks.nested(run, entry):
        pages = run.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
        for resource in (one for page in pages for one in page["StackResourceSummaries"]):
            names = found.setdefault(resource["ResourceType"], {})
            names[resource["LogicalResourceId"]] = resource.get("PhysicalResourceId")
    return found


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
    logs, groups = run.client("logs"), resources["AWS::Logs::LogGroup"].values()
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


def alarms(run, resources):
    names = list(resources["AWS::CloudWatch::Alarm"].values())
    found = run.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    topic = run.outputs.get("AlarmTopicArn")
    acting = [alarm for alarm in found if topic in alarm["AlarmActions"]]
    where = f"cloudwatch:DescribeAlarms: {len(found)} of {len(names)}, {len(acting)} with {topic}"
    run.claims.judge(ALARMS, len(acting) == len(names), where)


def access_log(run, resources, answer):
    group = resources["AWS::Logs::LogGroup"]["ApiAccessLogs"]
    if GATEWAY_MARK not in answer.headers:
        run.claims.not_seen(ACCESS_LOG, f"{answer} without {GATEWAY_MARK}: it is not API Gateway that answered")
        return
    say("waiting for a line in the access log")

    def lines():
        # Called each time: a stage logs only what reaches it after it has its access log.
        run.callers["launcher"].call("GET", "/health")
        # A page can be empty and not the last one.
        pages = run.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return any(page["events"] for page in pages)

    if until(lines, bound(run), pause=2):
        run.claims.seen(ACCESS_LOG, f"logs:FilterLogEvents of {group}: a line")
    else:
        run.claims.not_seen(ACCESS_LOG, f"no line in {group} within {run.arguments.delivery_minutes:g} minutes")
