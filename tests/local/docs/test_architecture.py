"""The drawing in README is what its source gives, and shows what template.yaml deploys."""

import pathlib

import pytest
from samtranslator.yaml_helper import yaml_parse

import architecture

REPOSITORY = pathlib.Path(__file__).parents[3]
SOURCE = (REPOSITORY / "docs/architecture.d2").read_text()


def faults(source=SOURCE, change=None):
    template = yaml_parse((REPOSITORY / "template.yaml").read_text())
    if change:
        change(template["Resources"])
    return sorted(architecture.faults(architecture.draw(source), template))


def test_the_drawing_is_what_its_source_gives():
    committed = (REPOSITORY / "docs/architecture.svg").read_text()

    assert architecture.draw(SOURCE) == committed, "run `make generate`"
    assert architecture.draw(SOURCE.replace("SQS queue", "a queue")) != committed


def test_the_drawing_shows_the_deployment():
    assert faults() == []


@pytest.mark.parametrize(("old", "new", "found"), [
    ("    StopInstance: stop-instance\n", "", [
        "ExecutionRole has 12 functions, and says ExecutionRole: 13 functions", "StopInstance is not drawn",
    ]),
    ("StopInstance: stop-instance\n", "StopInstance: stop-worker\n", ["StopInstance is called stop-worker"]),
    ("bus:", "EventBus: {class: aws}\nbus:", ["EventBus is named, and is nothing", "EventBus is no resource"]),
    ("HealthSchedule", "HealthTimer", ["HealthTimer is named, and is nothing"]),
])
def test_a_drawing_that_is_wrong_is_noticed(old, new, found):
    assert old in SOURCE
    assert faults(SOURCE.replace(old, new)) == found


def another_role(resources):
    resources["SweepWorkers"]["Properties"]["Role"] = {"Fn::GetAtt": ["ExecutionRole", "Arn"]}


def fewer_policies(resources):
    del resources["ExecutionRole"]["Properties"]["ManagedPolicyArns"][1:]


def another_queue(resources):
    resources["OtherLetters"] = resources["SweepDeadLetters"]


@pytest.mark.parametrize(("change", "found"), [
    (another_role, ["SweepWorkers has not the role that it is drawn in"]),
    (fewer_policies, [f"CMLWorker{name}Policy is not of the role that it is drawn in" for name in ("Guardrail", "Limits")]),
    (another_queue, ["OtherLetters is not drawn"]),
])
def test_a_template_that_is_drawn_no_more_is_noticed(change, found):
    assert faults(change=change) == found
