"""iam/audit.yaml: which event raises which alarm, and when.

The events have the members and values of AWS's documentation: "CloudTrail record contents", "AWS Management Console sign-in
events", and API Gateway's variables for access logging. How the service that runs the patterns and expressions understands them
is CloudWatch's documentation, in filter_pattern.py and metric_math.py; `make smoke` asks CloudWatch itself.
"""

import datetime
import json
import re

import pytest

from cloudformation import read, resolved
from filter_pattern import matches
from metric_math import stamp, value
from parameter_values import AUDIT, LISTS_OF_ALARMS

PARAMETERS = AUDIT | {name: read("template.yaml")["Parameters"][name]["Default"] for name in sorted(LISTS_OF_ALARMS)}
RESOURCES = resolved(read("iam/audit.yaml"), PARAMETERS)["Resources"]
FILTERS = {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == "AWS::Logs::MetricFilter"}
ALARMS = {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == "AWS::CloudWatch::Alarm"}


def trail_event(name, source="ec2.amazonaws.com", **members):
    """A record of CloudTrail. One of a call that succeeded has no errorCode at all."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/cml/create-instance"},
        "eventTime": "2026-11-24T08:00:00Z",
        "eventSource": source,
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1",
        "requestParameters": {"instancesSet": {"items": [{"instanceId": "i-0123456789abcdef0"}]}},
        "responseElements": None,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        **members,
    }


def denied(code, **members):
    return trail_event("StopInstances", errorCode=code, errorMessage="You are not authorized …", **members)


def sign_in(outcome):
    """A failed sign-in has an errorMessage and no errorCode."""
    message = {"errorMessage": "Failed authentication"} if outcome == "Failure" else {}
    members = {"responseElements": {"ConsoleLogin": outcome}, "eventType": "AwsConsoleSignIn", **message}
    return trail_event("ConsoleLogin", "signin.amazonaws.com", **members)


def request(status, error_type):
    """A line of the API's access log, made from the format that template.yaml gives the stage."""
    names = re.findall(r'"(\w+)":"\$context', json.dumps(access_log_format()).replace("\\", ""))
    line = dict.fromkeys(names, "x") | {"status": str(status), "error_type": error_type}
    assert {"status", "error_type"} <= set(names), names
    return line


def access_log_format():
    return read("template.yaml")["Resources"]["WorkerApi"]["Properties"]["AccessLogSetting"]["Format"]


DRY_RUN = "Client.DryRunOperation"

# Every kind of event, and the filter that counts it.
EVENTS = [
    ("a launch", trail_event("RunInstances"), {"RunInstancesCalls"}),
    ("a launch without capacity", trail_event("RunInstances", errorCode="Server.InsufficientInstanceCapacity"), {"RunInstancesCalls"}),
    ("a launch that is denied", trail_event("RunInstances", errorCode="Client.UnauthorizedOperation"), {"RunInstancesCalls", "DeniedCalls"}),
    ("a dry run of a launch", trail_event("RunInstances", errorCode=DRY_RUN), set()),
    ("a launch by another service's call of this name", trail_event("RunInstances", "gamelift.amazonaws.com"), set()),
    ("a termination", trail_event("TerminateInstances"), {"TerminateInstancesCalls"}),
    ("a dry run of a termination", trail_event("TerminateInstances", errorCode=DRY_RUN), set()),
    ("a start", trail_event("StartInstances"), set()),
    ("a denial by EC2", denied("Client.UnauthorizedOperation"), {"DeniedCalls"}),
    ("a denial by STS", denied("AccessDenied", eventSource="sts.amazonaws.com"), {"DeniedCalls"}),
    ("a denial by Lambda", denied("AccessDeniedException", eventSource="lambda.amazonaws.com"), {"DeniedCalls"}),
    ("a throttled call", denied("Client.RequestLimitExceeded"), set()),
    ("a wrong instance id", denied("Client.InvalidInstanceID.NotFound"), set()),
    ("a failed sign-in", sign_in("Failure"), {"ConsoleSignInFailures"}),
    ("a sign-in", sign_in("Success"), set()),
    ("an unsigned request", request(403, "MISSING_AUTHENTICATION_TOKEN"), {"ApiAuthenticationFailures"}),
    ("a wrong signature", request(403, "INVALID_SIGNATURE"), {"ApiAuthenticationFailures"}),
    ("an unknown access key", request(403, "DEFAULT_4XX"), {"ApiAuthenticationFailures"}),
    ("a caller without permission", request(403, "ACCESS_DENIED"), {"ApiAuthenticationFailures"}),
    ("a function's own 403", request(403, "-"), set()),
    ("a function's 200", request(200, "-"), set()),
    ("a throttled request", request(429, "THROTTLED"), set()),
    ("a request that is too large", request(413, "REQUEST_TOO_LARGE"), set()),
]


@pytest.mark.parametrize(("event", "counted"), [row[1:] for row in EVENTS], ids=[row[0] for row in EVENTS])
def test_an_event_is_counted_by_its_filters_and_by_no_other(event, counted):
    assert {name for name, found in FILTERS.items() if matches(found["FilterPattern"], event)} == counted


def test_every_filter_counts_an_event_and_feeds_an_alarm():
    assert set(FILTERS) == set().union(*(counted for _, _, counted in EVENTS))
    metric = {f["MetricTransformations"][0]["MetricName"]: f["MetricTransformations"][0]["MetricNamespace"] for f in FILTERS.values()}
    read_by = {}
    for alarm in ALARMS.values():
        stated = alarm["Metrics"][0]["MetricStat"]["Metric"] if "Metrics" in alarm else alarm
        read_by[stated["MetricName"]] = stated["Namespace"]
    assert read_by == metric


# 2026-11-24 is a Tuesday, 2026-11-29 a Sunday.
TIMES = [
    ("2026-11-24 07:59", True),
    ("2026-11-24 08:00", False),
    ("2026-11-24 12:00", False),
    ("2026-11-24 17:59", False),
    ("2026-11-24 18:00", True),
    ("2026-11-24 23:59", True),
    ("2026-11-23 00:00", True),
    ("2026-11-27 17:59", False),
    ("2026-11-28 12:00", True),
    ("2026-11-29 12:00", True),
    ("2026-11-29 08:00", True),
    ("2026-11-30 08:00", False),
]


def rings(event, time):
    """Whether the alarm of terminations rings for this event at this time, alone in its five minutes."""
    alarm, counts = ALARMS["TerminationOutsideBusinessHours"], FILTERS["TerminateInstancesCalls"]
    if not matches(counts["FilterPattern"], event):
        return False
    expression = alarm["Metrics"][1]["Expression"]
    count = int(counts["MetricTransformations"][0]["MetricValue"])
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    return value(expression, datetime.datetime.fromisoformat(time), count) >= alarm["Threshold"]


@pytest.mark.parametrize(("time", "outside"), TIMES)
def test_a_termination_rings_outside_of_business_hours_alone(time, outside):
    assert rings(trail_event("TerminateInstances"), time) == outside


@pytest.mark.parametrize("time", [time for time, outside in TIMES if outside])
def test_a_dry_run_and_another_call_ring_at_no_time(time):
    assert not rings(trail_event("TerminateInstances", errorCode=DRY_RUN), time)
    assert not rings(trail_event("StopInstances"), time)


def test_a_period_without_terminations_is_below_the_threshold():
    """HOUR and DAY make a point for every period, so that the expression is 0 and not missing where nothing was counted."""
    alarm = ALARMS["TerminationOutsideBusinessHours"]
    assert value(alarm["Metrics"][1]["Expression"], datetime.datetime(2026, 11, 29, 3), 0) < alarm["Threshold"]


def test_each_alarm_notifies_the_topic_and_tolerates_missing_data():
    for name, alarm in ALARMS.items():
        assert alarm["AlarmActions"] == [PARAMETERS["AlarmTopicArn"]] and alarm["TreatMissingData"] == "notBreaching", name
        # CloudTrail "typically delivers logs within an average of about 5 minutes of an API call": the last period is too young.
        assert alarm["EvaluationPeriods"] == 3 and alarm["DatapointsToAlarm"] == 1, name


THRESHOLDS = {
    "ManyRunInstancesCalls": PARAMETERS["RunInstancesThreshold"],
    "TerminationOutsideBusinessHours": "1",
    "ManyApiAuthenticationFailures": PARAMETERS["FailedAuthenticationThreshold"],
    "ManyDeniedCalls": PARAMETERS["FailedAuthenticationThreshold"],
    "ManyConsoleSignInFailures": PARAMETERS["FailedAuthenticationThreshold"],
}


def test_each_alarm_compares_the_sum_of_five_minutes_with_its_parameter():
    assert {name: str(alarm["Threshold"]) for name, alarm in ALARMS.items()} == THRESHOLDS
    for name, alarm in ALARMS.items():
        metric = alarm["Metrics"][0]["MetricStat"] if "Metrics" in alarm else alarm
        # Each filter writes a 1 for each event: the largest of them would always be 1.
        assert (metric.get("Stat") or metric.get("Statistic"), metric["Period"]) == ("Sum", 300), name
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold", name


def test_an_alarm_on_an_expression_returns_the_expression_alone():
    """CloudWatch refuses an alarm of which two series return data."""
    [calls, outside] = ALARMS["TerminationOutsideBusinessHours"]["Metrics"]
    assert calls["ReturnData"] is False and outside.get("ReturnData", True) is True


@pytest.mark.parametrize(("pattern", "event", "verdict"), [
    ('{ $.a = "x*" }', {"a": "xyz"}, True),
    ('{ $.a = "x*" }', {"a": "Xyz"}, False),
    ('{ $.a.b = "1" }', {"a": {"b": 1}}, True),
    ('{ $.a.b = "1" }', {"a": 1}, False),
    ('{ ($.a = "1") || ($.b = "1") && ($.c = "1") }', {"a": 1}, True),
    ('{ (($.a = "1") || ($.b = "1")) && ($.c = "1") }', {"a": 1}, False),
    ("{ $.a NOT EXISTS }", {"a": None}, False),
])
def test_patterns_are_read_as_they_are_documented(pattern, event, verdict):
    assert matches(pattern, event) == verdict


def test_a_pattern_that_depends_on_undocumented_behaviour_is_refused():
    with pytest.raises(AssertionError, match="does not say"):
        matches('{ $.a != "x" }', {})


def test_a_time_belongs_to_the_period_that_it_is_in():
    assert stamp(datetime.datetime(2026, 11, 24, 7, 59, 59)) == datetime.datetime(2026, 11, 24, 7, 55)
    assert stamp(datetime.datetime(2026, 11, 24, 8)) == datetime.datetime(2026, 11, 24, 8)
