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

from widgets import Unreadable

sys.path.append(str(pathlib.Path(__file__).parents[2] / "template"))
import alarm_state  # noqa: E402
import metric_math  # noqa: E402
import metrics  # noqa: E402
import metrics_insights  # noqa: E402


@dataclasses.dataclass
class Curve:
    label: str
    # Value by time, in order of time.
    points: dict
    color: str | None = None
    axis: str = "left"


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

    def last(self, *metric):
        return next(reversed(self.points(*metric).values()), None)

    def found(self, namespace, name, dimensions):
        """The metrics with exactly these dimensions: as pairs of what ListMetrics has of a metric's, and its values by name."""
        for metric in self.metrics:
            values = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}
            if (metric["Namespace"], metric["MetricName"], set(values)) == (namespace, name, set(dimensions)):
                yield metric["Dimensions"], values

    def grid(self, period):
        """The beginnings of all periods of the range."""
        first, last = (int(time.timestamp()) // period for time in (self.start, self.end))
        return [datetime.datetime.fromtimestamp(i * period, datetime.timezone.utc) for i in range(first, last + 1)]


def of_metric(query, properties, source):
    dimensions = [{"Name": name, "Value": value} for name, value in query.dimensions.items()]
    points = source.points(query.namespace, query.name, dimensions, properties["stat"], properties["period"], properties["region"])
    # CloudWatch's own label is the last dimension's value, else the metric's name.
    label = query.label or " ".join(query.dimensions.values()) or query.name
    return [Curve(label, points, query.color, query.axis)]


def of_search(asked, query, source):
    """A curve of each metric that SEARCH finds."""
    namespace, *dimensions = re.findall(r'"([^"]+)"', asked[1])
    for found, values in source.found(namespace, asked[2], dimensions):
        label = " ".join(filter(None, [query.label, *(values[dimension["Name"]] for dimension in found)]))
        yield Curve(label, source.points(namespace, asked[2], found, asked["stat"], int(asked["period"])), axis=query.axis)


def of_insights(asked, query, properties, source):
    """A curve of each group of a query of Metrics Insights."""
    # Averages of several metrics do not say what the average of all is.
    assert asked.statistic != "Average"
    groups = collections.defaultdict(lambda: collections.defaultdict(list))
    for found, values in source.found(asked.namespace, asked.metric, asked.dimensions):
        if asked.selects(values):
            for time, value in source.points(asked.namespace, asked.metric, found, asked.statistic, properties["period"]).items():
                groups[" ".join(asked.contributor(values))][time].append(value)
    for label, points in groups.items():
        yield Curve(label, {time: alarm_state.statistic(asked.statistic, points[time]) for time in sorted(points)}, axis=query.axis)


def of_math(query, properties, known, source):
    curves = {name: curve for name, curve in known.items() if re.search(rf"\b{name}\b", query.expression)}
    assert curves, "it names no row"
    # What is not known is told also where there is no data.
    metric_math.result(query.expression, dict.fromkeys(curves, 1))
    points = {}
    for time in source.grid(properties["period"]):
        value = metric_math.result(query.expression, {name: curve.points.get(time) for name, curve in curves.items()})
        if value is not None:
            points[time] = value
    return [Curve(query.label or query.expression, points, query.color, query.axis)]


def of_expression(query, properties, known, source):
    """`known` are the curves of the rows above that are one curve, by id."""
    search = metrics.SEARCH.fullmatch(query.expression)
    try:
        if search:
            return sorted(of_search(search, query, source), key=lambda curve: curve.label)
        if metrics_insights.is_query(query.expression):
            asked = metrics_insights.read(query.expression)
            return sorted(of_insights(asked, query, properties, source), key=lambda curve: curve.label)
        return of_math(query, properties, known, source)
    except (pyparsing.ParseException, KeyError, AssertionError) as error:
        raise Unreadable(f"{query.expression} is not known here") from error


def of_widget(widget, source):
    """The curves of a metric widget's rows, and what is wrong with the rows that have none."""
    known, shown, problems = {}, [], []
    for query in widget.queries:
        try:
            if query.expression is None:
                curves = of_metric(query, widget.properties, source)
            else:
                curves = of_expression(query, widget.properties, known, source)
        except Unreadable as problem:
            problems.append(str(problem))
            continue
        shown += curves
        if query.id and len(curves) == 1:
            known[query.id] = curves[0]
    return shown, problems
