"""The fleet's table, and that what AWS holds is shown as text."""

import datetime
import json

import fleet
import page
import test_widgets
import widgets
from curves import Curve
from demo import older
from figures import div, time_series

NOW = datetime.datetime(2026, 11, 27, 12, 0, tzinfo=datetime.timezone.utc)
HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


def sweep(at, verdict="mark", reason='the CPU was at "1.2 %" – or less', instance_id="i-1", rule="idle"):
    return {
        "facts": {"at": at, "region": "us-east-1", "instance_id": instance_id},
        "decision": {"verdict": verdict, "rule": rule, "reason": reason},
    }


def as_json(line):
    return json.dumps({"level": "INFO", "fields": {"message": "…", "sweep": json.dumps(line)}})


def test_the_sweeps_lines_are_read():
    line = sweep("2026-11-27T10:00:00Z", reason="a\u200b\"b\"")

    assert fleet.sweep_line(as_json(line)) == line


def test_other_lines_are_none():
    for message in ("START RequestId: 1", "{}", '{"fields": {}}', '{"fields": {"sweep": "not json"}}', as_json({"facts": {}})):
        assert fleet.sweep_line(message) is None


def test_the_last_line_of_a_worker_counts_in_whatever_order_they_are_read():
    lines = [as_json(sweep(f"2026-11-27T10:{minute}:00Z", verdict)) for minute, verdict in (("05", "stop"), ("00", "mark"))]

    assert fleet.last_lines(lines)["us-east-1", "i-1"]["decision"]["verdict"] == "stop"


def instance(state="running", **tags):
    return {
        "InstanceId": "i-1", "InstanceType": "c5.2xlarge", "State": {"Name": state}, "LaunchTime": NOW - datetime.timedelta(hours=3),
        "Tags": [{"Key": key.replace("_", ":", 1), "Value": value} for key, value in tags.items()],
    }


def row(state="running", status=None, line=None, **tags):
    return fleet.row("us-east-1", instance(state, **tags), status or {}, line, {"cpu": 1.2, "memory": 40.0}.get)


def test_a_row_has_what_ec2_cloudwatch_and_the_sweep_say():
    status = {"InstanceStatus": {"Status": "impaired"}, "SystemStatus": {"Status": "ok"}}
    found = row(status=status, line=sweep("2026-11-27T10:00:00Z"), Name="cml-1", cml_heartbeat="2026-11-27T11:00:00Z", cml_mark="stop idle 2026-11-27T11:58:00Z", Owner="x")

    assert (found.name, found.cpu, found.memory, found.verdict, found.rule) == ("cml-1", 1.2, 40.0, "mark", "idle")
    assert found.checks == {"instance": "impaired", "system": "ok"}
    assert list(found.notes(NOW)) == [
        ("heartbeat", "2026-11-27T11:00:00Z", "1 h 00 min"), ("mark", "stop idle 2026-11-27T11:58:00Z", "2 min"),
    ]


def test_a_worker_that_does_not_run_has_no_measures():
    found = row("stopped", Name="cml-1")

    assert (found.cpu, found.memory, found.verdict, found.reason) == (None, None, None, "")


def test_a_tag_without_a_time_is_shown_without_an_age():
    assert list(row(cml_keep="", cml_heartbeat="soon").notes(NOW)) == [("heartbeat", "soon", None), ("keep", "", None)]


def test_the_headline_counts_states_and_no_terminated_worker_and_has_the_sweeps_metrics():
    rows = [row(), row("stopped", line=sweep("x")), row("terminated"), row("stopping", cml_mark="stop idle x"), row()]

    counts = {name: (count, kind) for name, count, kind in fleet.counts(rows, {"IdleWorkers": 3.0, "OrphanedWorkers": 0.0}.get)}

    assert counts == {
        "workers": (4, "plain"), "running": (2, "running"), "stopped": (1, "stopped"), "stopping": (1, "stopping"),
        "idle": (3, "warn"), "orphaned": (0, "plain"), "impaired": ("–", "plain"), "marked": (1, "warn"),
    }


def test_ages_are_in_two_units():
    ages = [fleet.age(datetime.timedelta(minutes=minutes)) for minutes in (0, 59, 61, 1500, 100000)]

    assert ages == ["0 min", "59 min", "1 h 01 min", "1 d 1 h", "69 d 10 h"]


def rendered(rows=(), panels=(), name="board", notes=()):
    return page.render(
        name=name, panels=panels, rows=rows, counts=fleet.counts(rows, {}.get), notes=notes, start=NOW, end=NOW, now=NOW, origin="here", prefix="")


def test_names_tags_reasons_and_alarms_are_text_on_the_page():
    rows = [row(status={"InstanceStatus": {"Status": HOSTILE}}, line=sweep("x", HOSTILE, HOSTILE, rule=HOSTILE), Name=HOSTILE, cml_keep=HOSTILE, cml_heartbeat=HOSTILE)]
    alarm = {"AlarmArn": HOSTILE, "StateValue": "OK", "AlarmDescription": f'"{HOSTILE}'}
    found, unknown = widgets.read(json.dumps({HOSTILE: 1, "widgets": [{"type": HOSTILE, "properties": {"title": HOSTILE}}]}))
    panels = [page.panel(widget, None, [alarm]) for widget in [*found, test_widgets.alarms(HOSTILE)]]

    text = rendered(rows, panels, HOSTILE, [HOSTILE, *unknown])

    assert "<img src=x" not in text and "<script>alert" not in text
    assert text.count("&lt;img src=x") >= 10


def test_labels_of_curves_are_text_in_figures():
    widget = test_widgets.metric(yAxis={"left": {"min": 0, "label": HOSTILE}})

    text = div(time_series(widget, [Curve(HOSTILE, {NOW: 1})], NOW, NOW))

    # Neither for the browser nor for plotly, which reads tags of its own.
    assert "<img src=x" not in text and "</script><script>alert" not in text and "\\u003cimg" not in text


def test_the_page_asks_the_network_for_nothing():
    text = rendered()

    before, after = text.split("<script>", 1)[0], text.rsplit("</script>", 1)[1]
    assert "src=" not in before + after and "href=" not in before + after and "plotly" in text


def test_the_demo_moves_only_the_time_of_a_tag():
    by = datetime.timedelta(minutes=5)

    assert older("stop idle 2026-11-27T12:00:00Z", by) == "stop idle 2026-11-27T11:55:00Z"
    assert older("2026-11-27T00:02:00Z", by) == "2026-11-26T23:57:00Z"
    assert older("soon", by) == "soon"
