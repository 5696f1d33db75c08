"""The curves of a widget, from what CloudWatch has."""

import datetime

import pytest

import curves
import figures
import test_widgets

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


def drawn(stack, *rows):
    found, problems = curves.of_widget(test_widgets.metric(*rows), curves.Source(stack, START, START + 10 * MINUTE))
    return {curve.label: {int((time - START) / MINUTE): value for time, value in curve.points.items()} for curve in found}, problems


REQUESTS = ("Requests", {}, "Sum", {0: 10, 5: 0})
FAULTS = ("Faults", {}, "Sum", {0: 2})
ROWS = [NAMESPACE, "Requests", {"id": "requests"}], [NAMESPACE, "Faults", {"id": "faults"}]
RATE = [{"expression": "100 * faults / requests", "label": "percent"}]


def test_points_are_in_the_order_of_time():
    shown, problems = drawn(Stack(REQUESTS), ROWS[0])

    assert list(shown["Requests"].items()) == [(0, 10), (5, 0)] and problems == []


def test_math_is_evaluated():
    shown, problems = drawn(Stack(REQUESTS, FAULTS), *ROWS, RATE)

    # Of no requests there is no rate.
    assert shown == {"Requests": {0: 10, 5: 0}, "Faults": {0: 2}, "percent": {0: 20}} and problems == []


@pytest.mark.parametrize("expression", [
    "ANOMALY_DETECTION_BAND(requests)", "100 * faults / requests", "SEARCH('{CML/a,State} running', 'Sum', 300)", 'SELECT COUNT("a") FROM "b"',
    f'SELECT AVG("Requests") FROM SCHEMA("{NAMESPACE}", "Operation") GROUP BY "Operation"',
])
def test_an_expression_that_is_not_known_is_told_and_the_other_rows_are_shown(expression):
    shown, problems = drawn(Stack(REQUESTS), ROWS[0], [{"expression": expression}])

    assert list(shown) == ["Requests"] and problems == [f"{expression} is not known here"]


STATES = [("Workers", {"State": state}, "Maximum", {0: count}) for state, count in (("running", 3), ("stopped", 1))]
BY_REGION = ("Workers", {"Region": "us-east-1", "State": "running"}, "Maximum", {0: 2})
STATE_SEARCH = "SEARCH('{\"CML/cml-workers\",\"State\"} MetricName=\"Workers\"', 'Maximum', 300)"


def test_a_search_has_a_curve_for_each_metric_with_exactly_its_dimensions():
    shown, problems = drawn(Stack(*STATES, BY_REGION), [{"expression": STATE_SEARCH, "label": ""}])

    assert shown == {"running": {0: 3}, "stopped": {0: 1}} and problems == []


@pytest.mark.parametrize("order", ["", " ORDER BY SUM() DESC"])
def test_a_query_adds_up_each_group(order):
    errors = [
        ("Errors", {"Operation": operation, "Code": code}, "Sum", {0: count})
        for operation, code, count in (("health", "throttled", 1), ("start-instance", "throttled", 2), ("health", "timeout", 4))
    ]
    text = f'SELECT SUM("Errors") FROM SCHEMA("{NAMESPACE}", "Operation", "Code") GROUP BY "Code"{order}'

    shown, problems = drawn(Stack(*errors, ("Errors", {"Operation": "health"}, "Sum", {0: 99})), [{"expression": text}])

    assert shown == {"throttled": {0: 3}, "timeout": {0: 4}} and problems == []


def test_an_axis_begins_at_zero_and_counts_have_whole_steps():
    assert figures.axis({"min": 0}, [])["range"] == [0, 1.08] and figures.axis({}, [0, 3])["dtick"] == 1
    assert "dtick" not in figures.axis({}, [0.5])
