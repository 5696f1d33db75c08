"""What monitoring.yaml makes: its alarms, its dashboard and its saved queries, and what template.yaml gives it."""

import itertools
import json
import re

import metrics
import metrics_insights
from alarm_state import periods_of
from cloudformation import given, read, resolved
from parameter_values import MONITORING

# PutMetricAlarm: an expression, a description, and structures with a metric; "Period multiplied by EvaluationPeriods can't be more
# than 604,800 seconds", and for periods of less than an hour no more than a day. Of a query: "Only the latest 3 hours of data".
MOST_OF_EXPRESSION, MOST_OF_DESCRIPTION, MOST_METRICS = 2_048, 1_024, 10
MOST_SECONDS, MOST_SECONDS_OF_QUERY = 86_400, 3 * 3_600
# "Dashboard Body Structure and Syntax": the grid has 24 columns.
COLUMNS, MOST_WIDGETS = 24, 15
# PutQueryDefinition.
MOST_OF_QUERY, MOST_LOG_GROUPS = 10_000, 50

OF_THE_SWEEP = {"ImpairedWorkers", "SweepFailed", "SweepSilent", "DeadLettersWaiting"}
XRAY = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
# What connects a line of the access log with the function's own lines and with the trace.
ACCESS_LOG = {
    "request_id": "$context.requestId", "extended_request_id": "$context.extendedRequestId",
    "integration_request_id": "$context.integration.requestId", "trace_id": "$context.xrayTraceId",
}


def of_kind(resources, kind):
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] == kind}


def resources_with(swept=True, name=MONITORING["Name"]):
    values = MONITORING | {"Name": name} | ({} if swept else {"DeadLetters": ""})
    return resolved(read("monitoring.yaml"), values)["Resources"]


def faults_of_alarms(resources, stack):
    """What CloudWatch would refuse, and names that another stack's alarm could have."""
    for name, alarm in of_kind(resources, "AWS::CloudWatch::Alarm").items():
        expressions = [one["Expression"] for one in alarm.get("Metrics", []) if "Expression" in one]
        queries = [one for one in expressions if metrics_insights.is_query(one)]
        if not alarm["AlarmName"].startswith(f"{stack}-"):
            yield f"{name}: AlarmName {alarm['AlarmName']} does not begin with the stack's name"
        if len(alarm["AlarmDescription"]) > MOST_OF_DESCRIPTION:
            yield f"{name}: its description is longer than {MOST_OF_DESCRIPTION} characters"
        if any(len(one) > MOST_OF_EXPRESSION for one in expressions):
            yield f"{name}: its expression is longer than {MOST_OF_EXPRESSION} characters"
        # "When creating multi-time series alarms, you must include two key clauses in your query": GROUP BY and ORDER BY.
        if any(one.order != one.statistic for one in map(metrics_insights.read, queries)):
            yield f"{name}: its query should end in ORDER BY, by the function that it selects"
        if any("SEARCH" in one for one in expressions):
            yield f"{name}: an alarm may not search"
        if sum("MetricStat" in one for one in alarm.get("Metrics", [])) > MOST_METRICS:
            yield f"{name}: metric math takes {MOST_METRICS} metrics"
        periods = periods_of(alarm)
        if max(periods) * alarm["EvaluationPeriods"] > (MOST_SECONDS_OF_QUERY if queries else MOST_SECONDS):
            yield f"{name}: it looks back for longer than CloudWatch does"
        if len(periods) != 1:
            yield f"{name}: each metric must have the same period"


def unwritten(resources, stack):
    """Metrics that an alarm or a widget names, and that nobody writes with these dimensions."""
    written = metrics.written()
    alarms = [(name, one) for name, alarm in of_kind(resources, "AWS::CloudWatch::Alarm").items() for one in metrics.of_alarm(alarm, stack)]
    widgets = []
    for dashboard in of_kind(resources, "AWS::CloudWatch::Dashboard").values():
        widgets += [(widget["properties"]["title"], one) for widget, one in metrics.of_dashboard(dashboard["DashboardBody"], stack)]
    for where, one in alarms + widgets:
        if one not in written:
            yield f"{where}: nobody writes {one}"


def faults_of_dashboard(resources, stack):
    [dashboard] = of_kind(resources, "AWS::CloudWatch::Dashboard").values()
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", dashboard["DashboardName"]) or "us-east-1" not in dashboard["DashboardName"]:
        yield f"the dashboard's name is {dashboard['DashboardName']}; dashboards are the whole account's"
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    if len(widgets) > MOST_WIDGETS:
        yield f"{len(widgets)} widgets are more than one reads"
    places = [(one, {(x, y) for x in range(one["x"], one["x"] + one["width"]) for y in range(one["y"], one["y"] + one["height"])}) for one in widgets]
    for widget, place in places:
        if max(x for x, _ in place) >= COLUMNS:
            yield f"{title(widget)}: it does not fit into {COLUMNS} columns"
        yield from faults_of_widget(widget)
    for (one, here), (other, there) in itertools.combinations(places, 2):
        if here & there:
            yield f"{title(one)} and {title(other)} overlap"
    rows = {y for _, place in places for _, y in place}
    if rows != set(range(max(rows) + 1)):
        yield "the dashboard has a gap"
    shown = {name for one in widgets if one["type"] == "alarm" for name in one["properties"]["alarms"]}
    # cloud-radar resolves a GetAtt to a text that holds the logical id.
    hidden = [name for name in of_kind(resources, "AWS::CloudWatch::Alarm") if not any(name in arn for arn in shown)]
    if hidden or len(shown) != len(of_kind(resources, "AWS::CloudWatch::Alarm")):
        yield f"the dashboard does not show {hidden}, and shows {len(shown)} alarms"


def title(widget):
    return widget["properties"].get("title", widget["type"])


def faults_of_widget(widget):
    """"Dashboard Body Structure and Syntax": what each kind of widget must and may have."""
    properties = widget["properties"]
    if widget["type"] == "text":
        if set(properties) != {"markdown"}:
            yield "a text has its markdown alone"
    elif widget["type"] == "alarm":
        if set(properties) != {"title", "alarms"}:
            yield f"{title(widget)}: it has {sorted(properties)}"
    elif widget["type"] == "metric":
        if set(properties) != {"title", "view", "stacked", "region", "stat", "period", "yAxis", "metrics"}:
            yield f"{title(widget)}: it has {sorted(properties)}"
        # No other view is drawn by `make dashboard`.
        if (properties.get("view"), properties.get("stacked")) != ("timeSeries", False):
            yield f"{title(widget)}: it should be lines over time, and not stacked"
        for side, axis in properties["yAxis"].items():
            if axis.get("min") != 0 or not axis.get("label"):
                yield f"{title(widget)}: the {side} axis should begin at 0 and have a unit"
        ids = [word["id"] for row in properties["metrics"] for word in row if isinstance(word, dict) and "id" in word]
        if len(ids) != len(set(ids)):
            yield f"{title(widget)}: two metrics have one id"
    else:
        yield f"{title(widget)}: no widget is a {widget['type']}"


def faults_of_queries(resources, stack):
    queries = of_kind(resources, "AWS::Logs::QueryDefinition")
    members = {row["metric"] for row in metrics.rows()} | {name for row in metrics.rows() for name in metrics.dimensions_of(row)}
    for name, query in queries.items():
        if not query["Name"].startswith(f"{stack}/"):
            yield f"{name}: its Name {query['Name']} does not begin with the stack's"
        if len(query["QueryString"]) > MOST_OF_QUERY or len(query["LogGroupNames"]) > MOST_LOG_GROUPS:
            yield f"{name}: it is longer than CloudWatch Logs takes"
        for word in re.findall(r"\b[A-Z][A-Za-z]+\b", query["QueryString"]):
            if word not in members:
                yield f"{name}: {word} is no metric and no dimension"


def faults():
    for swept in (True, False):
        # A name with which no text of the template can be mistaken.
        for stack in (MONITORING["Name"], "cml-workers"):
            resources = resources_with(swept, stack)
            yield from faults_of_alarms(resources, stack)
            yield from unwritten(resources, stack)
            yield from faults_of_dashboard(resources, stack)
            yield from faults_of_queries(resources, stack)
        there = OF_THE_SWEEP & set(resources)
        if there != (OF_THE_SWEEP if swept else set()):
            yield f"with{'' if swept else 'out'} the sweep there are the alarms {sorted(there)}"


def faults_of_stack(template, resources, values):
    """What template.yaml makes of Monitoring, Audit and ApiGatewayLogsRole."""
    monitored, audited = values.get("Monitoring", "true") == "true", values.get("Audit", "false") == "true"
    expected = {
        "MonitoringStack": monitored, "AuditStack": audited, "AlarmTopic": monitored or audited, "AlarmTopicPolicy": monitored or audited,
        "AlarmSubscription": (monitored or audited) and bool(values.get("AlarmEmail")), "ApiAccessLogs": True,
    }
    expected |= dict.fromkeys(("ApiGatewayAccount", "LogsRoleOfApiGateway"), values.get("ApiGatewayLogsRole", "create") == "create")
    for name, wanted in expected.items():
        if (name in resources) != wanted:
            yield f"{name} is {'not ' if wanted else ''}there"
    for name, file in (("MonitoringStack", "monitoring.yaml"), ("AuditStack", "iam/audit.yaml")):
        # As it is written: cloud-radar takes a parameter that is empty for one that is not given.
        if set(template["Resources"][name]["Properties"]["Parameters"]) != set(read(file)["Parameters"]):
            yield f"{name}: its parameters are not those of {file}"
    yield from faults_of_functions(resources, monitored)
    yield from faults_of_traces(resources)
    stages = of_kind(resources, "AWS::ApiGateway::Stage").values()
    for stage in stages:
        line = json.loads(stage["AccessLogSetting"]["Format"])
        if any(line.get(member) != variable for member, variable in ACCESS_LOG.items()):
            yield f"the access log has {sorted(line)}, and does not lead to the function's lines and the trace"
        if stage.get("TracingEnabled") is not True:
            yield "the API's stage writes no traces"


def faults_of_functions(resources, monitored):
    for name, function in of_kind(resources, "AWS::Lambda::Function").items():
        namespace = function["Environment"]["Variables"].get("CML_METRICS_NAMESPACE") or None
        if (namespace is not None) != monitored or (monitored and not namespace.startswith("CML/")):
            yield f"{name}: CML_METRICS_NAMESPACE is {namespace}"
        if function.get("TracingConfig") != {"Mode": "Active"}:
            yield f"{name}: it writes no traces"


def faults_of_traces(resources):
    """The permissions of X-Ray stand in the roles themselves, and SAM adds no policy of AWS for them."""
    for name, role in of_kind(resources, "AWS::IAM::Role").items():
        if "lambda.amazonaws.com" not in json.dumps(role["AssumeRolePolicyDocument"]):
            continue
        statements = [one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]]
        if [one["Resource"] for one in statements if one["Action"] == XRAY] != ["*"]:
            yield f"{name}: it may not write traces"
        if "xray" in json.dumps(given(role["ManagedPolicyArns"])).lower():
            yield f"{name}: it has a managed policy for traces"
    for name, policy in of_kind(resources, "AWS::IAM::ManagedPolicy").items():
        if "xray" in json.dumps(policy["PolicyDocument"]).lower():
            yield f"{name}: the permissions of X-Ray belong into the roles"
