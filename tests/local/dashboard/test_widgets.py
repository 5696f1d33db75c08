"""What is read from a dashboard's JSON."""

import json
import pathlib
import runpy

import pytest

import page
import widgets

THIS = pathlib.Path(__file__)
arguments = runpy.run_path(str(THIS.with_name("__main__.py")))["arguments"]

PLACE = {"x": 0, "y": 0, "width": 12, "height": 3}
METRIC = {
    "title": "t", "view": "timeSeries", "stacked": False, "region": "us-east-1", "stat": "Sum", "period": 300,
    "yAxis": {"left": {"min": 0, "label": "requests", "showUnits": False}}, "metrics": [],
}


def read(*found):
    return widgets.read(json.dumps({"widgets": [PLACE | one for one in found]}))[0]


def metric(*rows, **properties):
    return read({"type": "metric", "properties": METRIC | {"metrics": list(rows)} | properties})[0]


def alarms(*arns):
    return read({"type": "alarm", "properties": {"title": "Alarms", "alarms": list(arns)}})[0]


def test_a_row_is_a_metric_or_an_expression():
    found = metric(["CML/a", "Workers", "Region", "us-east-1", {"id": "w", "label": "all"}], [{"expression": "100 * w", "yAxis": "right"}])

    assert found.problem is None
    assert [(q.id, q.label, q.axis, q.expression, q.namespace, q.name, q.dimensions) for q in found.queries] == [
        ("w", "all", "left", None, "CML/a", "Workers", {"Region": "us-east-1"}),
        (None, "", "right", "100 * w", None, None, {}),
    ]


@pytest.mark.parametrize("row", [
    [".", "b"], ["...", "b"], ["a", "b", ".", "."], ["a", "b", "c"], ["a"], [], [{"label": "x"}], ["a", "b", {"expression": "1"}], ["a", "b", {"visible": False}],
    ["a", "b", {"stat": "p99"}],
])
def test_another_row_is_said_to_be_wrong(row):
    assert "the row" in metric(row).problem


@pytest.mark.parametrize(("properties", "problem"), [
    ({"view": "pie"}, "the view pie is"), ({"stacked": True}, "timeSeries, stacked, is"), ({"legend": {"position": "hidden"}}, "has legend"),
    ({"annotations": {}}, "has annotations"), ({"setPeriodToTimeRange": True}, "has setPeriodToTimeRange"), ({"yAxis": {"top": {}}}, "has top"),
    ({"yAxis": {"left": {"min": 0, "max": 100}}}, "has max"), ({"yAxis": {"left": {"min": 5}}}, "begin at 0"),
])
def test_what_is_not_drawn_is_shown_as_such(properties, problem):
    found = metric(["a", "b"], **properties)

    assert problem in found.problem
    assert page.panel(found, None, []).problem == found.problem


def test_an_unknown_widget_is_shown_and_so_is_an_unknown_key_of_a_known_one():
    log, explorer, sorted_alarms, empty = read(
        {"type": "log", "properties": {"query": "x"}}, {"type": "explorer"},
        {"type": "alarm", "properties": {"title": "Alarms", "alarms": [], "sortBy": "default"}}, {"type": "text", "properties": {}})

    assert log.problem == "a widget of the type log is not shown here" and "explorer" in explorer.problem
    assert "sortBy" in sorted_alarms.problem and "no markdown" in empty.problem


def test_an_unknown_key_of_the_dashboard_is_told():
    body = {"start": "-PT12H", "variables": [], "widgets": []}

    assert widgets.read(json.dumps(body)) == ([], ["Of the dashboard, variables is not known here."])


def test_widgets_come_in_the_order_of_reading_with_their_places():
    found = read(*({"type": "text", "x": x, "y": y, "properties": {"markdown": ""}} for x, y in ((12, 0), (0, 3), (0, 0))))

    assert [(w.x, w.y) for w in found] == [(0, 0), (12, 0), (0, 3)]
    assert (found[0].width, found[0].height) == (12, 3)


def test_texts_are_markdown_and_their_html_is_text():
    [text] = read({"type": "text", "properties": {"markdown": "# Workers\n<script>alert(1)</script> **now** [x](javascript:alert(1))"}})

    markup = page.panel(text, None, []).markup

    assert "<h1>Workers</h1>" in markup and "<strong>now</strong>" in markup
    assert "<script" not in markup and 'href="javascript' not in markup


def test_an_alarm_widget_has_the_states_of_its_alarms_and_those_that_ring_first():
    arns = [f"arn:aws:cloudwatch:us-east-1:1:alarm:{name}" for name in ("one", "two", "three")]
    known = [{"AlarmArn": arn, "StateValue": state, "AlarmDescription": "why"} for arn, state in zip(arns, ("OK", "ALARM"))]

    assert page.panel(alarms(*arns), None, known).alarms == [
        {"name": "two", "state": "ALARM", "description": "why"}, {"name": "one", "state": "OK", "description": "why"},
        {"name": "three", "state": "not deployed", "description": ""},
    ]


def test_rows_of_texts_and_alarms_alone_are_as_high_as_what_they_hold():
    found = read({"type": "text", "y": 0, "height": 2}, {"type": "metric", "y": 2, "height": 1}, {"type": "alarm", "y": 3, "height": 1})

    assert page.grid_rows(found) == "auto auto 60px auto"


@pytest.mark.parametrize(("words", "remedy"), [
    (["--stack-file", str(THIS), "--parameters", "OnIdle=report"], "add ROUNDS=24"),
    (["--stack-file", "no-such-file"], "start `make run` in another terminal"),
    (["--rounds", "-3"], "7 rounds or more"),
    (["--rounds", "6"], "7 rounds or more"),
    (["--parameters", "OnIdle"], "written Key=value, and OnIdle is not"),
    (["--parameters", "Sweep=false"], "without Sweep there is nobody"),
])
def test_a_wrong_argument_is_refused_with_the_remedy(words, remedy, capsys):
    with pytest.raises(SystemExit):
        arguments(words)
    assert remedy in capsys.readouterr().err


def test_good_arguments_are_taken():
    assert arguments(["--stack-file", str(THIS), "--rounds", "7", "--parameters", "OnIdle=report"]).rounds == 7
    assert arguments(["--parameters", "OnIdle=report"]).rounds == 24 and arguments(["--stack-file", str(THIS)]).rounds == 0
