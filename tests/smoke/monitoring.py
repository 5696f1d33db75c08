"""The monitoring: access log, dashboard, alarms, metrics and saved queries, as the services themselves show them."""

import json

import log_groups
import stacks
from api import GATEWAY_MARK
from claims import claim
from progress import say, until

ACCESS_LOG = claim("The access log has a line after a call")
CONNECTED = claim("The line has Lambda's request id and the trace of the call")
ALARMS = claim("All alarms of the monitoring exist, each with the topic as its action")
DASHBOARD = claim("CloudWatch has the dashboard, and says nothing against its body")
QUERIES = claim("All saved queries exist in Logs Insights")
METRICS = claim("The functions' metrics of the scheduled health check arrive in CloudWatch")
EVALUATED = claim("The alarm on failing health checks evaluates the series of its query")

# Of an alarm on a query. One that finds nothing is OK as well, and says "No time series were returned by the query."
FOUND_SERIES = "time series evaluated to"

# What is written where a variable has no value.
NOTHING = "-"


def observe(run):
    with run.claims.observing(ACCESS_LOG, CONNECTED, ALARMS, DASHBOARD, QUERIES, METRICS, EVALUATED):
        [entry] = [entry for entry in run.ledger.of(run.id, "stack") if entry.name == run.stack and not entry.gone]
        resources = resources_of(run, entry, "MonitoringStack")
        with run.claims.observing(ALARMS):
            alarms(run, ALARMS, resources)
        with run.claims.observing(DASHBOARD):
            dashboard(run, resources)
        with run.claims.observing(QUERIES):
            queries(run, resources)
        with run.claims.observing(ACCESS_LOG, CONNECTED):
            access_log(run, run.callers["launcher"].call("GET", "/health"))
        with run.claims.observing(METRICS):
            metrics(run)
        with run.claims.observing(EVALUATED):
            evaluated(run, resources)


def resources_of(run, entry, logical_id):
    """{type: {logical id: physical id}} of the nested stack."""
    found = {}
    [stack] = [one["PhysicalResourceId"] for one in listed(run, stacks.id_of(entry)) if one["LogicalResourceId"] == logical_id]
    for resource in listed(run, stack):
        names = found.setdefault(resource["ResourceType"], {})
        names[resource["LogicalResourceId"]] = resource.get("PhysicalResourceId")
    return found


def listed(run, stack):
    pages = run.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    return [resource for page in pages for resource in page["StackResourceSummaries"]]


def alarms(run, claimed, resources):
    names = list(resources["AWS::CloudWatch::Alarm"].values())
    found = run.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    topic = run.outputs.get("AlarmTopicArn")
    acting = [alarm for alarm in found if topic in alarm["AlarmActions"]]
    where = f"cloudwatch:DescribeAlarms: {len(found)} of {len(names)}, {len(acting)} with {topic}"
    run.claims.judge(claimed, names and len(acting) == len(names), where)


def dashboard(run, resources):
    """PutDashboard answers with what it does not understand; CloudFormation does not pass that on, so the body is put once more."""
    cloudwatch = run.client("cloudwatch")
    [name] = resources["AWS::CloudWatch::Dashboard"].values()
    body = cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"]
    messages = cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body).get("DashboardValidationMessages", [])
    run.claims.judge(DASHBOARD, not messages, f"cloudwatch:PutDashboard of {name}: {messages or 'no message'}")


def queries(run, resources):
    wanted = len(resources["AWS::Logs::QueryDefinition"])
    prefix = f"{run.stack}/"
    found = run.client("logs").describe_query_definitions(queryDefinitionNamePrefix=prefix)["queryDefinitions"]
    run.claims.judge(QUERIES, len(found) == wanted, f"logs:DescribeQueryDefinitions of {prefix}: {len(found)} of {wanted}")


def access_log(run, answer):
    group = log_groups.access_log(run.stack)
    if GATEWAY_MARK not in answer.headers:
        for claimed in (ACCESS_LOG, CONNECTED):
            run.claims.not_seen(claimed, f"{answer} without {GATEWAY_MARK}: it is not API Gateway that answered")
        return
    say("waiting for a line in the access log")
    found = until(lambda: lines(run, group), bound(run), pause=2)
    if not found:
        for claimed in (ACCESS_LOG, CONNECTED):
            run.claims.not_seen(claimed, f"no line in {group} within {run.arguments.delivery_minutes:g} minutes")
        return
    run.claims.seen(ACCESS_LOG, f"logs:FilterLogEvents of {group}: {len(found)} lines")
    answered = [line for line in found if line.get("status") == "200"]
    connected = [line for line in answered if NOTHING not in (line.get("integration_request_id"), line.get("trace_id"))]
    run.claims.judge(CONNECTED, connected, f"logs:FilterLogEvents of {group}: {len(connected)} of {len(answered)} lines")


def lines(run, group):
    # A page can be empty and not the last one.
    pages = run.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return [json.loads(event["message"]) for page in pages for event in page["events"]]


def metrics(run):
    say("waiting for the metrics of the health check")
    found = until(lambda: names(run), bound(run), pause=2, enough=lambda found: "HealthCheckFailures" in found)
    where = f"cloudwatch:ListMetrics of CML/{run.stack}: {sorted(found) or 'none'}"
    if "HealthCheckFailures" in found:
        run.claims.seen(METRICS, where)
    else:
        run.claims.not_seen(METRICS, f"{where} within {run.arguments.delivery_minutes:g} minutes")


def names(run):
    pages = run.client("cloudwatch").get_paginator("list_metrics").paginate(Namespace=f"CML/{run.stack}")
    return {metric["MetricName"] for page in pages for metric in page["Metrics"]}


def evaluated(run, resources):
    say("waiting for the alarm on failing health checks")
    name = resources["AWS::CloudWatch::Alarm"]["HealthFailing"]
    reason = until(lambda: state_reason(run, name), bound(run), pause=2, enough=lambda reason: FOUND_SERIES in reason)
    where = f"cloudwatch:DescribeAlarms of {name}: {reason or 'no reason'}"
    if FOUND_SERIES in reason:
        run.claims.seen(EVALUATED, where)
    else:
        run.claims.not_seen(EVALUATED, f"{where} after {run.arguments.delivery_minutes:g} minutes")


def state_reason(run, name):
    [alarm] = run.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return alarm.get("StateReason", "")


def bound(run):
    return run.arguments.delivery_minutes * 60
