"""GitHub's workflow runs what .ci/run runs, with no rights and with actions that nobody can exchange."""

import re

import pytest
import yaml
from bill_of_materials import REPOSITORY

WORKFLOW = (REPOSITORY / ".github/workflows/ci.yml").read_text(encoding="utf-8")
COMMANDS = {"ci": [".ci/run"], "advisories": ["make advisories"]}
PINNED = re.compile(r"uses: (actions/checkout|actions/setup-python)@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def complaints(text):
    workflow = yaml.safe_load(text)
    wrong = [] if workflow["permissions"] == {} else ["the workflow has permissions"]
    commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in workflow["jobs"].items()}
    if commands != COMMANDS:
        wrong.append(f"the jobs run {commands}")
    for name, job in workflow["jobs"].items():
        if job["permissions"] != {"contents": "read"} or "timeout-minutes" not in job:
            wrong.append(f"{name} may do more than read, or may run for hours")
    return wrong + [line.strip() for line in text.splitlines() if "uses:" in line and not PINNED.search(line)]


def test_the_workflow_runs_what_ci_run_runs():
    assert complaints(WORKFLOW) == []


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("- run: .ci/run", "- run: make test"),
        ("- run: .ci/run", "- run: make fuzz\n      - run: .ci/run"),
        ("- run: make advisories", "- run: 'true'"),
        ("permissions: {}", "permissions: write-all"),
        ("contents: read", "contents: write"),
        ("timeout-minutes: 90", "continue-on-error: false"),
        ("actions/checkout@3", "actions/checkout@v7 # 3"),
        ("actions/setup-python@", "another/setup-python@"),
    ],
)
def test_another_step_right_or_action_is_noticed(what, instead):
    assert what in WORKFLOW and complaints(WORKFLOW.replace(what, instead)) != []
