"""The widgets of a dashboard's JSON: those that monitoring.yaml makes, by AWS's "Dashboard body structure and syntax".

What has another key or another value than these is no widget that is drawn here, and says so on the page.
"""

import dataclasses
import json

BODY = {"start", "widgets"}
WIDGET = {"type", "x", "y", "width", "height", "properties"}
PROPERTIES = {
    "text": {"markdown"},
    "alarm": {"title", "alarms"},
    "metric": {"title", "view", "stacked", "region", "stat", "period", "yAxis", "metrics"},
}
AXIS = {"min", "label", "showUnits"}
OPTIONS = {"id", "label", "color", "yAxis", "expression"}
SHORTHANDS = {".", "..."}


class Unreadable(Exception):
    """What is wrong with a widget, in words for whoever looks at the page."""


@dataclasses.dataclass
class Query:
    """A line of a metric widget: a metric, or an expression."""

    id: str | None
    label: str
    color: str | None
    axis: str
    expression: str | None
    namespace: str | None = None
    name: str | None = None
    dimensions: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Widget:
    kind: str
    x: int
    y: int
    width: int
    height: int
    title: str
    properties: dict
    queries: list = dataclasses.field(default_factory=list)
    # What it is that cannot be shown, if anything.
    problem: str | None = None


def no_others(what, found, known):
    if set(found) - known:
        raise Unreadable(f"{what} has {', '.join(sorted(set(found) - known))}, which is not known here")


def query(row):
    options = row[-1] if row and isinstance(row[-1], dict) else {}
    no_others(f"the row {row}", options, OPTIONS)
    words = [word for word in row if word is not options]
    made = Query(options.get("id"), options.get("label", ""), options.get("color"), options.get("yAxis", "left"), options.get("expression"))
    if made.expression is None:
        if len(words) < 2 or len(words) % 2 or SHORTHANDS & set(words):
            raise Unreadable(f"the row {row} is not a namespace, a name, and pairs of dimensions")
        made.namespace, made.name, made.dimensions = words[0], words[1], dict(zip(words[2::2], words[3::2]))
    elif words:
        raise Unreadable(f"the row {row} is a metric and an expression")
    return made


def check(found, kind, properties):
    if kind not in PROPERTIES:
        raise Unreadable(f"a widget of the type {kind} is not shown here")
    no_others("the widget", found, WIDGET)
    no_others("the widget", properties, PROPERTIES[kind])
    missing = PROPERTIES[kind] - set(properties)
    if missing:
        raise Unreadable(f"the widget has no {', '.join(sorted(missing))}")
    if kind == "metric":
        if (properties["view"], properties["stacked"]) != ("timeSeries", False):
            raise Unreadable(f"the view {properties['view']}{', stacked,' if properties['stacked'] else ''} is not shown here")
        no_others("yAxis", properties["yAxis"], {"left", "right"})
        for axis in properties["yAxis"].values():
            no_others("an axis", axis, AXIS)
            if axis.get("min") != 0:
                raise Unreadable("an axis that does not begin at 0 is not shown here")


def widget(found):
    properties = found.get("properties", {})
    # CloudWatch's own defaults.
    place = [found.get("x", 0), found.get("y", 0), found.get("width", 6), found.get("height", 6)]
    made = Widget(found.get("type", "none"), *place, properties.get("title", ""), properties)
    try:
        check(found, made.kind, properties)
        made.queries = list(map(query, properties.get("metrics", [])))
    except Unreadable as problem:
        made.problem = str(problem)
    return made


def read(body):
    """The widgets of a dashboard's body in the order of reading, and what of the body is not known here."""
    body = json.loads(body)
    found = sorted(map(widget, body["widgets"]), key=lambda widget: (widget.y, widget.x))
    return found, [f"Of the dashboard, {key} is not known here." for key in sorted(set(body) - BODY)]
