"""The widgets of a dashboard's JSON, by AWS's "Dashboard body structure and syntax"."""

import dataclasses
import json

KINDS = ("metric", "text", "alarm")
VIEWS = ("timeSeries", "singleValue", "bar", "pie", "gauge", "table")
COLUMNS = 24
DEFAULT_PERIOD, DEFAULT_STAT = 300, "Average"


class Unreadable(Exception):
    """What is wrong with a widget, in words for whoever looks at the page."""


@dataclasses.dataclass
class Query:
    """A line of a metric widget: a metric, or an expression."""

    id: str
    label: str | None
    visible: bool
    period: int
    stat: str
    region: str | None
    color: str | None = None
    axis: str = "left"
    expression: str | None = None
    namespace: str | None = None
    name: str | None = None
    dimensions: dict = dataclasses.field(default_factory=dict)

    @property
    def title(self):
        """CloudWatch's own label: the last dimension's value, else the metric's name."""
        return self.label or self.expression or " ".join(self.dimensions.values()) or self.name


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

    @property
    def view(self):
        return self.properties.get("view", "timeSeries")


def written_out(row, previous):
    """The row's words with "." and "..." replaced by those of the row before."""
    if row[:1] == ["..."]:
        tail = row[1:]
        if len(tail) > len(previous) or not previous:
            raise Unreadable(f"the row {row} repeats words of a row that has none")
        return previous[:len(previous) - len(tail)] + tail
    words = []
    for place, word in enumerate(row):
        if word == "." and place >= len(previous):
            raise Unreadable(f"the row {row} repeats a word of a row that has none")
        words.append(previous[place] if word == "." else word)
    return words


def query(place, words, options, properties):
    settings = {**{key: properties[key] for key in ("period", "stat", "region") if key in properties}, **options}
    common = {
        "id": options.get("id") or f"q{place}", "label": options.get("label"), "visible": options.get("visible", True),
        "period": int(settings.get("period", DEFAULT_PERIOD)), "stat": settings.get("stat", DEFAULT_STAT),
        "region": settings.get("region"), "color": options.get("color"), "axis": options.get("yAxis", "left"),
    }
    if "expression" in options:
        return Query(expression=options["expression"], **common)
    if len(words) < 2 or len(words) % 2:
        raise Unreadable(f"the row {words} is not a namespace, a name, and pairs of dimensions")
    return Query(namespace=words[0], name=words[1], dimensions=dict(zip(words[2::2], words[3::2])), **common)


def queries(properties):
    found, previous = [], []
    for place, row in enumerate(properties.get("metrics", [])):
        options = row[-1] if row and isinstance(row[-1], dict) else {}
        words = [word for word in row if not isinstance(word, dict)]
        if words:
            previous = words = written_out(words, previous)
        found.append(query(place, words, options, properties))
    return found


def widget(found):
    properties = found.get("properties", {})
    # CloudWatch's own defaults.
    place = [found.get("x", 0), found.get("y", 0), found.get("width", 6), found.get("height", 6)]
    made = Widget(found.get("type", "none"), *place, properties.get("title", ""), properties)
    try:
        if made.kind not in KINDS:
            raise Unreadable(f"a widget of the type {made.kind} is not shown here")
        if made.kind == "metric":
            if made.view not in VIEWS:
                raise Unreadable(f"the view {made.view} is not shown here")
            if "alarms" in properties.get("annotations", {}) and "metrics" not in properties:
                raise Unreadable("the graph of an alarm is not shown here")
            made.queries = queries(properties)
    except Unreadable as problem:
        made.problem = str(problem)
    return made


def read(body):
    """The widgets of a dashboard's body in the order of reading."""
    return sorted(map(widget, json.loads(body).get("widgets", [])), key=lambda widget: (widget.y, widget.x))
