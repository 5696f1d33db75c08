"""The curves of a widget, from what CloudWatch has."""

import datetime
import json

import pytest

import curves
import figures
import search
import widgets

START = datetime.datetime(2026, 11, 27, 10, 0, tzinfo=datetime.timezone.utc)
MINUTE = datetime.timedelta(minutes=1)
NAMESPACE = "CML/cml-workers"


class Stack:
    """What there is: a value by metric, dimensions, statistic and minute. It is also its only CloudWatch, and a paginator of it."""

    region = "us-east-1"

    def __init__(self, *series):
        self.series = series

    def client(self, service, region=None):
        return self

    def get_paginator(self, call):
        self.paged = call
        return self

    def paginate(self, MetricDataQueries=None, StartTime=None, EndTime=None):
        if MetricDataQueries is None:
            return [{"Metrics": [{"Namespace": NAMESPACE, "MetricName": name, "Dimensions": named(d)} for name, d, _, _ in self.series]}]
        [query] = MetricDataQueries
        metric, stat = query["MetricStat"]["Metric"], query["MetricStat"]["Stat"]
        wanted = metric["Namespace"], metric["MetricName"], metric["Dimensions"], stat
        found = [points for name, d, s, points in self.series if (NAMESPACE, name, named(d), s) == wanted]
        points = found[0] if found else {}
        # In no order, as CloudWatch does not promise one.
        times = [START + MINUTE * minute for minute in reversed(points)]
        return [{"MetricDataResults": [{"Timestamps": times, "Values": list(reversed(points.values()))}]}]


def named(dimensions):
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


def drawn(stack, *rows, **properties):
    [widget] = widgets.read(json.dumps({"widgets": [{"type": "metric", "properties": {"metrics": list(rows), "stat": "Sum", **properties}}]}))
    found, problems = curves.of_widget(widget, curves.Source(stack, START, START + 10 * MINUTE))
    return {curve.label: {int((time - START) / MINUTE): value for time, value in curve.points.items()} for curve in found}, problems


REQUESTS = ("Requests", {}, "Sum", {0: 10, 5: 0})
FAULTS = ("Faults", {}, "Sum", {0: 2})
ROWS = (NAMESPACE, "Requests", {"id": "requests"}), (NAMESPACE, "Faults", {"id": "faults", "visible": False})


def test_points_are_in_the_order_of_time():
    shown, problems = drawn(Stack(REQUESTS), list(ROWS[0]))

    assert list(shown["Requests"].items()) == [(0, 10), (5, 0)] and problems == []


def test_math_is_evaluated_and_a_row_that_is_not_visible_is_only_read():
    rate = [{"expression": "100 * faults / requests", "label": "percent"}]

    shown, problems = drawn(Stack(REQUESTS, FAULTS), rate, *map(list, ROWS))

    # Of no requests there is no rate.
    assert shown == {"percent": {0: 20}, "Requests": {0: 10, 5: 0}} and problems == []


def test_an_expression_that_is_not_known_is_told_and_the_other_rows_are_shown():
    shown, problems = drawn(Stack(REQUESTS), list(ROWS[0]), [{"expression": "ANOMALY_DETECTION_BAND(requests)"}])

    assert "Requests" in shown and problems == ["ANOMALY_DETECTION_BAND(requests) is not known here"]


STATES = [("Workers", {"State": state}, "Maximum", {0: count}) for state, count in (("running", 3), ("stopped", 1))]
BY_REGION = ("Workers", {"Region": "us-east-1", "State": "running"}, "Maximum", {0: 2})
STATE_SEARCH = "SEARCH('{\"CML/cml-workers\",\"State\"} MetricName=\"Workers\"', 'Maximum', 300)"


def test_a_search_has_a_curve_for_each_metric_with_exactly_its_dimensions():
    shown, problems = drawn(Stack(*STATES, BY_REGION), [{"expression": STATE_SEARCH, "label": ""}])

    assert shown == {"running": {0: 3}, "stopped": {0: 1}} and problems == []


def test_a_query_adds_up_each_group():
    errors = [
        ("Errors", {"Operation": operation, "Code": code}, "Sum", {0: count})
        for operation, code, count in (("health", "throttled", 1), ("start-instance", "throttled", 2), ("health", "timeout", 4))
    ]
    text = f'SELECT SUM("Errors") FROM SCHEMA("{NAMESPACE}", "Operation", "Code") GROUP BY "Code"'

    shown, problems = drawn(Stack(*errors, ("Errors", {"Operation": "health"}, "Sum", {0: 99})), [{"expression": text}])

    assert shown == {"throttled": {0: 3}, "timeout": {0: 4}} and problems == []


@pytest.mark.parametrize(("query", "found"), [
    ('{CML/a,Operation} MetricName="Errors"', ["health", "start-instance"]),
    ('{"CML/a","Operation"} MetricName="Errors" Operation="health"', ["health"]),
    ('{CML/a,Operation} MetricName="Errors" Operation=instance', ["start-instance"]),
    ('{CML/a,Operation} MetricName="Errors" NOT Operation="health"', ["start-instance"]),
    ('{CML/a,Operation} MetricName="Errors" Operation=("health" OR "none")', ["health"]),
    ('{CML/a,Operation} start', ["start-instance"]),
    ('{CML/a,Operation,Code} MetricName="Errors"', []),
    ('{CML/b,Operation} MetricName="Errors"', []),
    ('{CML/a,Operation} MetricName="Error"', []),
])
def test_a_search_finds_what_cloudwatch_documents(query, found):
    metrics = [
        {"Namespace": "CML/a", "MetricName": "Errors", "Dimensions": named({"Operation": operation})} for operation in ("start-instance", "health")
    ]

    assert [metric["Dimensions"][0]["Value"] for metric in search.found(search.Search(query, "Sum", 300), metrics)] == found


def test_the_whole_range_is_one_value():
    stack = Stack(REQUESTS)
    asked = []
    paginate = stack.paginate
    stack.paginate = lambda MetricDataQueries=None, **more: asked.append(MetricDataQueries) or paginate(MetricDataQueries, **more)

    drawn(stack, list(ROWS[0]), setPeriodToTimeRange=True, view="singleValue")

    assert asked[-1][0]["MetricStat"]["Period"] == curves.WHOLE_RANGE


@pytest.mark.parametrize(("value", "text"), [
    (None, "–"), (0, "0"), (3, "3"), (2.5, "2.50"), (41.66, "41.7"), (9999, "9999"), (12345, "12.3 k"), (1234567, "1.23 M"), (-20000, "-20 k"),
])
def test_numbers_are_short(value, text):
    assert figures.number(value) == text


def test_an_axis_begins_at_zero_and_counts_have_whole_steps():
    assert figures.axis({"min": 0}, [])["range"] == [0, 1.08] and figures.axis({}, [0, 3])["dtick"] == 1
    assert figures.axis({"max": 100}, [20])["range"] == [0, 100] and "dtick" not in figures.axis({}, [0.5])
