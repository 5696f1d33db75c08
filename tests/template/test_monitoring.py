"""monitoring.yaml: which histories ring which alarm, which do not, and what silence is."""

import json
import re

import botocore.loaders
import pytest

import metrics
import metrics_insights
import monitoring
from alarm_state import ALARM, OK, contributors, minutes_of, ringing, ringing_at_some_minute, state
from cloudformation import REPOSITORY, read
from metric_math import QUOTA
from parameter_values import MONITORING

STACK = "cml-workers"
RESOURCES = monitoring.resources_with(name=STACK)
ALARMS = monitoring.of_kind(RESOURCES, "AWS::CloudWatch::Alarm")
# What a metric or an expression that rings is known by; a query's contributors are known by the values of their labels.
ITSELF = ()


def own(metric, *samples, **dimensions):
    return [(f"CML/{STACK}", metric, dimensions, sample) for sample in samples]


def of_aws(namespace, metric, *samples, **dimensions):
    return [(namespace, metric, dimensions, sample) for sample in samples]


def throttled(operation, *samples):
    return of_aws("AWS/Lambda", "Throttles", *samples, FunctionName=f"{STACK}-{operation}")


def api(*samples, api=STACK, stage="v1"):
    return of_aws("AWS/ApiGateway", "5XXError", *samples, ApiName=api, Stage=stage)


def concurrency(claimed, running=1):
    return of_aws("AWS/Lambda", "ClaimedAccountConcurrency", claimed) + of_aws("AWS/Lambda", "ConcurrentExecutions", running)


def requests(faults, of):
    """A quarter of an hour with so many faults among so many requests, as each invocation writes them."""
    return own("Requests", *[1] * of) + own("Faults", *[1] * faults, *[0] * (of - faults))


def checks(*failures, region="us-east-1", check="ec2:DescribeRegions"):
    return own("HealthCheckFailures", *failures, Check=check, Region=region) + own("HealthCheckFailures", *failures)


def health(*failures):
    return own("HealthCheckFailures", *failures)


def slow(milliseconds, operation="start-instance", metric="Latency"):
    return own(metric, *milliseconds, Operation=operation) + own(metric, *milliseconds)


def denied(action):
    return own("MissingPermissions", 1, Permission=action) + own("MissingPermissions", 1)


def impaired(*counts, region="us-east-1"):
    return own("ImpairedWorkers", *counts, Region=region) + own("ImpairedWorkers", *counts)


def sweep_failed(region, code):
    return own("SweepFailures", 1) + own("SweepFailures", 1, Region=region, Code=code)


def waiting(*counts):
    return of_aws("AWS/SQS", "ApproximateNumberOfMessagesVisible", *counts, QueueName=MONITORING["DeadLetters"])


# Each alarm, a history of its periods, the newest last, and what rings. A history is of as many periods as the alarm looks at.
HISTORIES = [
    ("HealthFailing", [checks(0), checks(0), checks(1)], {("ec2:DescribeRegions", "us-east-1")}),
    ("HealthFailing", [checks(1, region="us-west-2"), checks(0), checks(0)], {("ec2:DescribeRegions", "us-west-2")}),
    ("HealthFailing", [checks(1) + checks(1, check="cloudwatch:GetMetricStatistics"), [], []],
     {("ec2:DescribeRegions", "us-east-1"), ("cloudwatch:GetMetricStatistics", "us-east-1")}),
    ("HealthFailing", [checks(0, 0), checks(0), checks(0)], set()),
    # Of the sum over all checks nobody would know which.
    ("HealthFailing", [health(1), health(1), health(1)], set()),
    ("HealthFailing", [[], [], []], set()),
    ("HealthSilent", [[]] * 12, {ITSELF}),
    ("HealthSilent", [health(0)] + [[]] * 11, set()),
    ("HealthSilent", [[]] * 11 + [health(1)], set()),
    ("HealthSilent", [health(0, 0)] * 12, set()),
    ("ApiServerErrors", [api(0, 0), api(1, 1, 1), api(0)], {ITSELF}),
    ("ApiServerErrors", [api(1, 1), api(0, 0, 0), api(0, 0)], set()),
    ("ApiServerErrors", [api(1, 1, 1, api="another")] * 3, set()),
    ("ApiServerErrors", [api(1, 1, 1, stage="Stage")] * 3, set()),
    ("ApiServerErrors", [[], [], []], set()),
    ("ErrorRate", [requests(1, of=20)], {ITSELF}),
    ("ErrorRate", [requests(19, of=19)], set()),
    ("ErrorRate", [requests(4, of=100)], set()),
    ("ErrorRate", [requests(5, of=100)], {ITSELF}),
    ("ErrorRate", [requests(0, of=1_000)], set()),
    ("ErrorRate", [[]], set()),
    ("ThrottledChanges", [throttled("stop-instance", 0, 1), [], []], {ITSELF}),
    ("ThrottledChanges", [[], [], throttled("create-instance", 1)], {ITSELF}),
    ("ThrottledChanges", [throttled("stop-instance", 0, 0), throttled("health", 1), throttled("sweep-workers", 1)], set()),
    ("ThrottledChanges", [[], [], []], set()),
    ("ThrottledReads", [throttled("health", 1), [], []], {ITSELF}),
    ("ThrottledReads", [throttled("get-instance-tags", 0), throttled("stop-instance", 1), []], set()),
    ("ThrottledReads", [[], [], []], set()),
    ("NearDeadline", [slow([100, 20_000]), [], []], {("start-instance",)}),
    ("NearDeadline", [slow([19_999]), slow([5]), slow([5])], set()),
    ("NearDeadline", [slow([200_000], "sweep-workers"), [], []], set()),
    ("NearDeadline", [slow([24_000], metric="LatencyWithWait"), [], []], set()),
    ("NearDeadline", [[], [], []], set()),
    ("MissingPermission", [[], denied("ec2:StopInstances"), []], {("ec2:StopInstances",)}),
    ("MissingPermission", [denied("ec2:StopInstances"), denied("iam:PassRole"), []], {("ec2:StopInstances",), ("iam:PassRole",)}),
    ("MissingPermission", [own("Errors", 1, Operation="stop-instance", Code="not_managed"), [], []], set()),
    ("MissingPermission", [[], [], []], set()),
    ("ConcurrencyNearQuota", [concurrency(QUOTA // 10), concurrency(QUOTA * 8 // 10), concurrency(1)], {ITSELF}),
    ("ConcurrencyNearQuota", [concurrency(QUOTA * 8 // 10 - 1)] * 3, set()),
    ("ConcurrencyNearQuota", [[], [], []], set()),
    ("ImpairedWorkers", [impaired(1, 1, 1), impaired(1, 2, 1)], {("us-east-1",)}),
    ("ImpairedWorkers", [impaired(1, region="us-west-2"), impaired(1, region="us-west-2")], {("us-west-2",)}),
    # As with bare metal that reboots.
    ("ImpairedWorkers", [impaired(0, 1, 1), impaired(1, 0, 0)], set()),
    ("ImpairedWorkers", [impaired(0, 1, 1), impaired(1, 1, 1)], set()),
    # A schedule that is slower than every 15 minutes.
    ("ImpairedWorkers", [impaired(1), []], set()),
    ("ImpairedWorkers", [[], []], set()),
    ("SweepFailed", [own("SweepFailures", 0), sweep_failed("us-west-2", "throttled"), own("SweepFailures", 0)], {("us-west-2", "throttled")}),
    ("SweepFailed", [own("SweepFailures", 0)] * 3, set()),
    ("SweepFailed", [[], [], []], set()),
    ("SweepSilent", [[]] * 12, {ITSELF}),
    ("SweepSilent", [own("Sweeps", 1)] + [[]] * 11, set()),
    ("SweepSilent", [own("Sweeps", 1)] * 12, set()),
    ("DeadLettersWaiting", [waiting(0), waiting(0), waiting(1)], {ITSELF}),
    ("DeadLettersWaiting", [waiting(0), waiting(0), waiting(0)], set()),
    ("DeadLettersWaiting", [[], [], []], set()),
]


@pytest.mark.parametrize(("name", "history", "who"), HISTORIES, ids=[f"{row[0]}-{number}" for number, row in enumerate(HISTORIES)])
def test_an_alarm_rings_for_what_it_is_about_and_says_which(name, history, who):
    assert len(history) == ALARMS[name]["EvaluationPeriods"]
    assert ringing(ALARMS[name], history) == who
    if not who:
        assert ringing_at_some_minute(ALARMS[name], history) == set()


# A window slides, so that it does not matter where the periods of a history begin.
BOUNDARIES = [
    ("ApiServerErrors", [api(0, 1, 1), api(1, 1, 0), api(0, 0, 0)], {ITSELF}),
    ("ImpairedWorkers", [impaired(1, 1, 1), impaired(1, 0, 0)], set()),
]


@pytest.mark.parametrize(("name", "history", "who"), BOUNDARIES, ids=[row[0] for row in BOUNDARIES])
def test_what_lies_on_both_sides_of_a_boundary_is_seen_together(name, history, who):
    assert ringing(ALARMS[name], history) == set()
    assert ringing_at_some_minute(ALARMS[name], history) == who


def test_each_alarm_is_tried_both_ways_and_with_silence():
    assert {name for name, _, who in HISTORIES if who} == set(ALARMS)
    assert {name for name, history, who in HISTORIES if any(history) and not who} == set(ALARMS)
    silent = {name: who for name, history, who in HISTORIES if not any(history)}
    assert set(silent) == set(ALARMS)
    assert {name for name, who in silent.items() if who} == {"HealthSilent", "SweepSilent"}


# Minutes of a period, how many are looked at, and how many must ring: what the words of docs/MONITORING.md stand on.
WINDOWS = {
    "health-silent": (5, 12, 12), "sweep-silent": (5, 12, 12), "impaired-workers": (15, 2, 2), "error-rate": (15, 1, 1),
}
# What the evaluator here knows. Unit would hide a metric of another unit, and ActionsEnabled the alarm.
KNOWN = {
    "AlarmName", "AlarmDescription", "AlarmActions", "ComparisonOperator", "DatapointsToAlarm", "Dimensions", "EvaluationPeriods",
    "MetricName", "Metrics", "Namespace", "Period", "Statistic", "Threshold", "TreatMissingData", "WarmUpConfiguration",
}


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_each_alarm_looks_at_the_minutes_that_the_page_says_and_has_nothing_unknown(name):
    alarm = ALARMS[name]
    window = (minutes_of(alarm), alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"])

    assert window == WINDOWS.get(alarm["AlarmName"].removeprefix(f"{STACK}-"), (5, 3, 1))
    assert set(alarm) <= KNOWN
    # SERVICE_QUOTA is Lambda's for the metric of executions, and for no other.
    assert all("SERVICE_QUOTA(executions)" in one["Expression"] for one in alarm.get("Metrics", []) if "SERVICE_QUOTA" in one.get("Expression", ""))


def test_each_alarm_notifies_the_topic_and_says_what_to_do():
    for name, alarm in ALARMS.items():
        assert alarm["AlarmActions"] == [MONITORING["AlarmTopicArn"]], name
        assert len(alarm["AlarmDescription"].split()) >= 20, name
        # Each new alarm would tell once that it is OK.
        assert "OKActions" not in alarm, name


def test_an_alarm_on_silence_gives_a_new_stack_as_long_as_it_looks_back():
    for name, alarm in ALARMS.items():
        minutes = alarm.get("WarmUpConfiguration", {}).get("WarmUpPeriodDurationInMinutes")
        looks_back = minutes_of(alarm) * alarm["EvaluationPeriods"]
        assert minutes == (looks_back if alarm["TreatMissingData"] == "breaching" else None), name


def test_cloudwatch_knows_the_warm_up_and_the_history_of_contributors():
    shapes = botocore.loaders.Loader().load_service_model("cloudwatch", "service-2")["shapes"]
    known = shapes["WarmUpConfiguration"]["members"]
    bounds = shapes["WarmUpPeriodDurationInMinutes"]
    for alarm in ALARMS.values():
        for member, value in alarm.get("WarmUpConfiguration", {}).items():
            assert member in known and bounds["min"] <= value <= bounds["max"]
    page = (REPOSITORY / "docs/MONITORING.md").read_text(encoding="utf-8")
    [kind] = re.findall(r"--history-item-type (\w+)", page)
    assert kind in shapes["HistoryItemType"]["enum"]
    assert "AlarmContributorAttributes" in shapes["AlarmHistoryItem"]["members"] and "`AlarmContributorAttributes`" in page


# Those that only read have no route but GET.
READS = {
    "get-instance-details", "get-all-instances", "get-instance-status", "get-ami-ids-by-name", "health", "get-instance-tags",
    "get-instance-resources-utilization",
}


def test_the_alarms_of_throttling_add_up_every_function_of_the_api():
    folders = {folder.name for folder in (REPOSITORY / "functions").iterdir()} - {"sweep-workers"}
    routes = {}
    for one in read("template.yaml")["Resources"].values():
        if one["Type"] == "AWS::Serverless::Function":
            events = [event["Properties"] for event in one["Properties"]["Events"].values() if event["Type"] == "Api"]
            routes[one["Properties"]["CodeUri"].rsplit("/", 1)[-1]] = {event["Method"] for event in events}
    assert READS == {operation for operation, methods in routes.items() if methods == {"GET"}}
    for name, operations in {"ThrottledReads": READS, "ThrottledChanges": folders - READS}.items():
        [*parts, whole] = ALARMS[name]["Metrics"]
        # The sum may miss none: what it does not name is read for nothing.
        assert whole["Expression"].split(" + ") == [one["Id"] for one in parts], name
        read_of = {one["Id"]: one["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for one in parts}
        assert read_of == {operation.replace("-", "_"): f"{STACK}-{operation}" for operation in operations}, name


def test_the_dashboard_shows_the_throttles_of_every_function():
    body = json.loads(monitoring.of_kind(RESOURCES, "AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"])
    [widget] = [one for one in body["widgets"] if one["properties"].get("title") == "Throttled invocations by function"]
    assert {row[3] for row in widget["properties"]["metrics"]} == {f"{STACK}-{folder.name}" for folder in (REPOSITORY / "functions").iterdir()}


def test_the_queries_look_into_the_log_of_every_function():
    template = read("template.yaml")["Resources"]
    given = json.dumps(template["MonitoringStack"]["Properties"]["Parameters"]["FunctionLogs"])
    groups = [name for name, one in template.items() if one["Type"] == "AWS::Logs::LogGroup" and name != "ApiAccessLogs"]
    assert len(groups) == len(list((REPOSITORY / "functions").iterdir()))
    assert all(name in given for name in groups)
    for name, query in monitoring.of_kind(RESOURCES, "AWS::Logs::QueryDefinition").items():
        expected = MONITORING["FunctionLogs"].split(",") + ([MONITORING["AccessLogs"]] if name == "OneRequest" else [])
        assert query["LogGroupNames"] == expected, name


# "How alarm state is evaluated when data is missing" (Amazon CloudWatch User Guide), its two tables: 0 is a point that does not
# breach, X one that does, - a missing one; then the state with breaching and with notBreaching.
MISSING = [
    (3, "0 - X - X", OK, OK), (3, "0 - - - -", OK, OK), (3, "- - - - -", ALARM, OK), (3, "0 X X - X", ALARM, ALARM),
    (3, "- - - - X", ALARM, OK), (3, "X - - - -", ALARM, OK),
    (2, "0 - X - X", ALARM, ALARM), (2, "0 0 X 0 X", ALARM, ALARM), (2, "0 - X - -", ALARM, OK), (2, "- - - - 0", ALARM, OK),
    (2, "- - - - X", ALARM, OK),
]


@pytest.mark.parametrize(("wanted", "points", "breaching", "not_breaching"), MISSING)
def test_missing_points_are_treated_as_the_page_says(wanted, points, breaching, not_breaching):
    alarm = {"EvaluationPeriods": 3, "DatapointsToAlarm": wanted, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0}
    values = [{"0": 0, "X": 1, "-": None}[point] for point in points.split()]
    for treated, expected in (("breaching", breaching), ("notBreaching", not_breaching)):
        assert state(alarm | {"TreatMissingData": treated}, values) == expected


QUERY = """SELECT MAX("m") FROM SCHEMA("n", "a", "b") GROUP BY "a\""""


def test_a_query_reads_exactly_the_dimensions_of_its_schema():
    query = metrics_insights.read(QUERY)
    period = [("n", "m", {"a": "x", "b": "y"}, 1), ("n", "m", {"a": "x", "b": "z"}, 3), ("n", "m", {"a": "x"}, 9), ("n", "m", {}, 9), ("o", "m", {"a": "x", "b": "y"}, 9)]
    assert contributors(query, [period]) == {("x",): [3]}


@pytest.mark.parametrize("text", [
    QUERY.replace(' GROUP BY "a"', ""), QUERY + " ORDER BY MAX()", QUERY.replace('"m"', "m"), QUERY + " LIMIT 5", QUERY.replace("SCHEMA(", "SCHEMAS("),
    QUERY.replace(" GROUP", " WHERE \"a\" = 'x' OR \"a\" = 'y' GROUP"), QUERY.replace('GROUP BY "a"', 'GROUP BY "c"'), QUERY.replace("MAX", "COUNT"),
])
def test_a_query_of_another_form_is_refused(text):
    with pytest.raises(AssertionError):
        metrics_insights.read(text)


def test_each_metric_of_aws_has_the_page_that_has_it():
    for row in metrics.rows():
        assert (row["page"] != "-") == row["namespace"].startswith("AWS/"), row
        assert row["unit"] in ("Count", "Milliseconds"), row
    assert len(metrics.written()) == len(metrics.rows())


def test_the_page_of_the_metrics_has_their_table():
    page = (REPOSITORY / "docs/MONITORING.md").read_text(encoding="utf-8")
    section = page.split("\n## Metrics\n")[1].split("\n##")[0]
    listed = set()
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            for name in cells[0].replace("`", "").split(", "):
                listed |= {(name, cells[1], tuple(sorted(one.split(", ") if one != "none" else []))) for one in cells[2].replace("`", "").split("; ")}
    ours = {(row["metric"], row["unit"], metrics.dimensions_of(row)) for row in metrics.rows() if row["namespace"] == "CML"}
    assert listed == ours


def test_the_page_of_the_metrics_has_every_alarm_and_every_query():
    page = (REPOSITORY / "docs/MONITORING.md").read_text(encoding="utf-8")
    for alarm in ALARMS.values():
        assert f"| `{alarm['AlarmName'].removeprefix(STACK + '-')}` |" in page, alarm["AlarmName"]
    for query in monitoring.of_kind(RESOURCES, "AWS::Logs::QueryDefinition").values():
        assert f"`{query['Name'].removeprefix(STACK + '/')}`" in page, query["Name"]
