"""What is read from a dashboard's JSON."""

import json

import page
import widgets


def read(*found):
    return widgets.read(json.dumps({"widgets": list(found)}))


def metric(*rows, **properties):
    return read({"type": "metric", "properties": {"metrics": list(rows), **properties}})[0]


def test_a_dot_repeats_a_word_of_the_row_before():
    found = metric(["CML/a", "IdleWorkers", "Region", "us-east-1"], [".", "ImpairedWorkers", ".", "."])

    assert [(q.namespace, q.name, q.dimensions) for q in found.queries] == [
        ("CML/a", "IdleWorkers", {"Region": "us-east-1"}),
        ("CML/a", "ImpairedWorkers", {"Region": "us-east-1"}),
    ]


def test_three_dots_repeat_all_words_but_the_last_ones():
    found = metric(["CML/a", "Workers", "Region", "us-east-1", "State", "running"], ["...", "stopped"], ["...", "State", "pending", {"label": "soon"}])

    assert [q.dimensions for q in found.queries] == [{"Region": "us-east-1", "State": state} for state in ("running", "stopped", "pending")]
    assert [q.name for q in found.queries] == ["Workers"] * 3
    assert found.queries[2].label == "soon"


def test_an_expression_between_two_metrics_changes_nothing_about_what_is_repeated():
    found = metric(["CML/a", "Faults", {"id": "f"}], [{"expression": "100 * f", "id": "e"}], [".", "Requests", {"id": "r"}])

    assert [(q.id, q.name) for q in found.queries] == [("f", "Faults"), ("e", None), ("r", "Requests")]
    assert found.queries[1].expression == "100 * f"


def test_a_rows_own_settings_count_before_those_of_the_widget():
    found = metric(["a", "b"], ["a", "c", {"stat": "p99", "period": 60, "visible": False, "yAxis": "right"}], stat="Sum", period=300)

    assert [(q.stat, q.period, q.visible, q.axis) for q in found.queries] == [("Sum", 300, True, "left"), ("p99", 60, False, "right")]


def test_without_settings_a_metric_is_the_average_of_five_minutes():
    [query] = metric(["a", "b"]).queries

    assert (query.stat, query.period, query.title) == ("Average", 300, "b")


def test_a_row_that_repeats_nothing_is_said_to_be_wrong():
    for row in ([".", "b"], ["...", "b"], ["a", "b", "c"], ["a"]):
        assert "the row" in metric(row).problem


def test_an_unknown_widget_and_an_unknown_view_are_shown_as_such():
    [log, explorer] = read({"type": "log", "y": 0, "properties": {"query": "x"}}, {"type": "explorer", "y": 1})
    strange = metric(["a", "b"], view="heatmap")

    assert log.problem == "a widget of the type log is not shown here" and "explorer" in explorer.problem
    assert "heatmap" in strange.problem
    assert page.panel(log, None, []).problem == log.problem


def test_widgets_come_in_the_order_of_reading_with_their_places():
    found = read(*({"type": "text", "x": x, "y": y, "width": 12, "height": 3, "properties": {}} for x, y in ((12, 0), (0, 3), (0, 0))))

    assert [(w.x, w.y) for w in found] == [(0, 0), (12, 0), (0, 3)]
    assert (found[0].width, found[0].height) == (12, 3)


def test_texts_are_markdown_and_their_html_is_text():
    [text] = read({"type": "text", "properties": {"markdown": "# Workers\n<script>alert(1)</script> **now** [x](javascript:alert(1))"}})

    markup = page.panel(text, None, []).markup

    assert "<h1>Workers</h1>" in markup and "<strong>now</strong>" in markup
    assert "<script" not in markup and 'href="javascript' not in markup


def test_an_alarm_widget_has_the_states_of_its_alarms():
    [widget] = read({"type": "alarm", "properties": {"alarms": ["arn:aws:cloudwatch:us-east-1:1:alarm:one", "arn:aws:cloudwatch:us-east-1:1:alarm:two"]}})
    known = [{"AlarmArn": "arn:aws:cloudwatch:us-east-1:1:alarm:one", "AlarmName": "one", "StateValue": "ALARM"}]

    assert page.panel(widget, None, known).alarms == [{"name": "one", "state": "ALARM"}, {"name": "two", "state": "not deployed"}]


def test_rows_of_texts_and_alarms_alone_are_as_high_as_what_they_hold():
    found = read({"type": "text", "y": 0, "height": 2}, {"type": "metric", "y": 2, "height": 1}, {"type": "alarm", "y": 3, "height": 1})

    assert page.grid_rows(found) == "auto auto 60px auto"
