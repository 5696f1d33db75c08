"""The metrics that are written, by the functions and by AWS, from metrics.tsv, and those that a template names.

The functions' rows have the namespace CML, which stands for CML/<stack name>. AWS's rows have the page that has them.
"""

import csv
import json
import re
from dataclasses import dataclass

import metrics_insights
from cloudformation import REPOSITORY

SEARCH = re.compile(r"""SEARCH\('\{((?:"[^"]+",?)+)\} MetricName="(\w+)"', '(?P<stat>\w+)', (?P<period>\d+)\)""")


@dataclass(frozen=True, order=True)
class Metric:
    namespace: str
    name: str
    dimensions: tuple

    def __str__(self):
        return f"{self.namespace} {self.name} by {', '.join(self.dimensions) or 'no dimension'}"


def rows():
    with open(REPOSITORY / "tests/template/metrics.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def dimensions_of(row):
    return tuple(sorted(row["dimensions"].split(","))) if row["dimensions"] != "-" else ()


def written():
    """Every metric with each set of dimensions that it is written with."""
    return {Metric(row["namespace"], row["metric"], dimensions_of(row)) for row in rows()}


def metric(namespace, name, dimensions, stack):
    return Metric("CML" if namespace == f"CML/{stack}" else namespace, name, tuple(sorted(dimensions)))


def of_expression(expression, stack):
    """The metrics that a query or a search reads; none for metric math, which names others by their id."""
    if metrics_insights.is_query(expression):
        query = metrics_insights.read(expression)
        return [metric(query.namespace, query.metric, query.dimensions, stack)]
    if "SEARCH" in expression:
        found = SEARCH.fullmatch(expression)
        assert found, f"not the form of a search that is read here: {expression}"
        namespace, *dimensions = re.findall(r'"([^"]+)"', found[1])
        return [metric(namespace, found[2], dimensions, stack)]
    return []


def of_alarm(alarm, stack):
    named = lambda one: metric(one["Namespace"], one["MetricName"], [d["Name"] for d in one.get("Dimensions", [])], stack)  # noqa: E731
    if "Metrics" not in alarm:
        return [named(alarm)]
    found = []
    for one in alarm["Metrics"]:
        found += [named(one["MetricStat"]["Metric"])] if "MetricStat" in one else of_expression(one["Expression"], stack)
    return found


def of_widget(widget, stack):
    found = []
    for row in widget["properties"].get("metrics", []):
        words = [word for word in row if isinstance(word, str)]
        options = [word for word in row if isinstance(word, dict)]
        if words:
            found.append(metric(words[0], words[1], words[2::2], stack))
        for expression in (option["expression"] for option in options if "expression" in option):
            found += of_expression(expression, stack)
    return found


def of_dashboard(body, stack):
    return [(widget, one) for widget in json.loads(body)["widgets"] for one in of_widget(widget, stack)]
