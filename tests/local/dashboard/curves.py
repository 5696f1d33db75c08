"""The curves of a metric widget: what CloudWatch has of its metrics, and what metric math makes of that.

MiniStack knows metrics and no expressions: those are evaluated here.
"""

import collections
import dataclasses
import datetime
import pathlib
import re
import sys

import pyparsing

import search
from widgets import Unreadable

sys.path.append(str(pathlib.Path(__file__).parents[2] / "template"))
import metric_math  # noqa: E402
import metrics_insights  # noqa: E402


# A period that holds every range, for a widget that shows one value of its whole range: `setPeriodToTimeRange`. MiniStack takes
# it, and has one point for it.
WHOLE_RANGE = 2**31


@dataclasses.dataclass
class Curve:
    label: str
    # Value by time, in order of time.
    points: dict
    color: str | None = None
    axis: str = "left"

    @property
    def last(self):
        return next(reversed(self.points.values()), None)


class Source:
    """CloudWatch within a time range; `stack` has its clients."""

    def __init__(self, stack, start, end):
        self.stack, self.start, self.end = stack, start, end
        pages = stack.client("cloudwatch").get_paginator("list_metrics").paginate()
        self.metrics = [metric for page in pages for metric in page["Metrics"]]

    def points(self, namespace, name, dimensions, stat, period, region=None):
        metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}
        query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}}
        pages = self.stack.client("cloudwatch", region or self.stack.region).get_paginator("get_metric_data").paginate(
            MetricDataQueries=[query], StartTime=self.start, EndTime=self.end)
        found = {}
        for result in (result for page in pages for result in page["MetricDataResults"]):
            found.update(zip(result["Timestamps"], result["Values"]))
        return {time.astimezone(datetime.timezone.utc): found[time] for time in sorted(found)}

    def grid(self, period):
        """The beginnings of all periods of the range."""
        first, last = (int(time.timestamp()) // period for time in (self.start, self.end))
        return [datetime.datetime.fromtimestamp(i * period, datetime.timezone.utc) for i in range(first, last + 1)]


def of_metric(query, source):
    dimensions = [{"Name": name, "Value": value} for name, value in query.dimensions.items()]
    points = source.points(query.namespace, query.name, dimensions, query.stat, query.period, query.region)
    return [Curve(query.title, points, color=query.color, axis=query.axis)]


def of_search(call, query, source):
    period = query.period if query.period == WHOLE_RANGE else call.period or query.period
    for metric in search.found(call, source.metrics):
        words = [dimension["Value"] for dimension in metric["Dimensions"]]
        label = " ".join([query.label] * bool(query.label) + words) or metric["MetricName"]
        points = source.points(metric["Namespace"], metric["MetricName"], metric["Dimensions"], call.stat, period)
        yield Curve(label, points, axis=query.axis)


# What CloudWatch has of one metric, and what a query makes of several.
STATISTICS = {"SUM": ("Sum", sum), "MAX": ("Maximum", max), "MIN": ("Minimum", min)}


def of_insights(query, source):
    """A curve of each group of a query of Metrics Insights."""
    asked = metrics_insights.read(query.expression)
    stat, combine = STATISTICS[asked.statistic]
    groups = collections.defaultdict(lambda: collections.defaultdict(list))
    for metric in source.metrics:
        values = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}
        if (metric["Namespace"], metric["MetricName"]) == (asked.namespace, asked.metric) and asked.selects(values):
            points = source.points(asked.namespace, asked.metric, metric["Dimensions"], stat, query.period)
            for time, value in points.items():
                groups[" ".join(asked.contributor(values))][time].append(value)
    for label, points in sorted(groups.items()):
        yield Curve(label, {time: combine(points[time]) for time in sorted(points)}, axis=query.axis)


def of_math(query, known, source):
    names = [name for name in known if re.search(rf"\b{name}\b", query.expression)]
    if any(len(known[name]) != 1 for name in names):
        raise Unreadable(f"{query.expression} is about an array of metrics, which is not known here")
    points = {}
    for time in source.grid(query.period):
        value = metric_math.result(query.expression, {name: known[name][0].points.get(time) for name in names})
        if value is not None:
            points[time] = value
    return [Curve(query.title, points, color=query.color, axis=query.axis)]


def of_expression(query, known, source):
    """`known` are the curves of the widget's other rows by id."""
    call = search.CALL.fullmatch(query.expression.strip())
    try:
        if call:
            return list(of_search(search.Search.of(call), query, source))
        if metrics_insights.is_query(query.expression):
            return list(of_insights(query, source))
        return of_math(query, known, source)
    except (pyparsing.ParseException, KeyError, AssertionError) as error:
        raise Unreadable(f"{query.expression} is not known here") from error


def of_widget(widget, source):
    """The curves of the rows that are visible, and what is wrong with others."""
    known, shown, problems = {}, [], []
    if widget.properties.get("setPeriodToTimeRange"):
        for query in widget.queries:
            query.period = WHOLE_RANGE
    # An expression may name rows below it.
    for query in sorted(widget.queries, key=lambda query: query.expression is not None):
        try:
            curves = of_expression(query, known, source) if query.expression else of_metric(query, source)
        except Unreadable as problem:
            problems.append(str(problem))
            curves = []
        known[query.id] = curves
    for query in widget.queries:
        if query.visible:
            shown += known[query.id]
    return shown, problems
