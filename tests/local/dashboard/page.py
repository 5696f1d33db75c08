"""The page: panels in the dashboard's grid, and the table of the fleet. One file that needs no network."""

import dataclasses
import pathlib

import jinja2
import markdown_it
import markupsafe
import plotly.offline

import curves
import figures
import fleet


# A row of the grid, in pixels.
ROW = 60


@dataclasses.dataclass
class Panel:
    widget: object
    problem: str | None = None
    # What is not wrong, and no picture either.
    remark: str | None = None
    markup: str | None = None
    figure: str | None = None
    alarms: list = dataclasses.field(default_factory=list)


def markdown(text):
    """CloudWatch's Markdown; what looks like HTML in it is text."""
    return markupsafe.Markup(markdown_it.MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def alarms_of(widget, known):
    """The widget's alarms, those that ring first."""
    by_arn = {alarm["AlarmArn"]: alarm for alarm in known}
    found = [by_arn.get(arn, {}) | {"name": arn.rsplit(":alarm:", 1)[-1]} for arn in widget.properties["alarms"]]
    found = [{"name": one["name"], "state": one.get("StateValue", "not deployed"), "description": one.get("AlarmDescription", "")} for one in found]
    return sorted(found, key=lambda alarm: alarm["state"] != "ALARM")


def panel(widget, source, alarms):
    if widget.problem:
        return Panel(widget, widget.problem)
    if widget.kind == "text":
        return Panel(widget, markup=markdown(widget.properties["markdown"]))
    if widget.kind == "alarm":
        return Panel(widget, alarms=alarms_of(widget, alarms))
    shown, problems = curves.of_widget(widget, source)
    made = Panel(widget, "; ".join(problems) or None)
    shown = [curve for curve in shown if curve.points]
    if not shown:
        namespaces = sorted({query.namespace for query in widget.queries if query.namespace})
        made.remark = f"no data{' of ' if namespaces else ''}{', '.join(namespaces)} in this time"
    else:
        made.figure = markupsafe.Markup(figures.div(figures.time_series(widget, shown, source.start, source.end)))
    return made


def high_rows(widgets):
    """The grid's rows with more than texts and chips, and how many rows there are."""
    high = {y for widget in widgets if widget.kind not in ("text", "alarm") for y in range(widget.y, widget.y + widget.height)}
    last = max((widget.y + widget.height for widget in widgets), default=0)
    return high, last


def grid_rows(widgets):
    """The rows' heights: those that hold texts and chips alone are as high as what they hold."""
    high, last = high_rows(widgets)
    return " ".join(f"{ROW}px" if y in high else "auto" for y in range(last))


def render(**values):
    """The page of `name`, `panels`, `rows`, `counts`, `notes`, `start`, `end`, `now` and `origin`. All texts are escaped."""
    loader = jinja2.FileSystemLoader(pathlib.Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True)
    plotly_js = markupsafe.Markup(plotly.offline.get_plotlyjs())
    return environment.get_template("page.html").render(plotly_js=plotly_js, age=fleet.age, rows_of_grid=grid_rows([panel.widget for panel in values["panels"]]), **values)
