"""GitHub's workflow runs what .ci/run runs, with no rights and with actions that nobody can exchange."""

import re

import pytest
import yaml
from bill_of_materials import REPOSITORY

WORKFLOW = (REPOSITORY / ".github/workflows/ci.yml").read_text(encoding="utf-8")
PINNED = re.compile(r"uses: (actions/checkout|actions/setup-python)@[0-9a-f]{40} # v\d+\.\d+\.\d+")
STEPS = [
    {"uses": "actions/checkout", "with": {"persist-credentials": False}},
    {"uses": "actions/setup-python", "with": {"python-version": "3.11"}},
]
JOBS = {
    "ci": {
        "name": "make lint, make test", "if": "github.event_name != 'schedule'", "runs-on": "ubuntu-22.04", "timeout-minutes": 90,
        "permissions": {"contents": "read"}, "steps": [*STEPS, {"run": ".ci/run"}],
    },
    "advisories": {
        "name": "make advisories", "runs-on": "ubuntu-24.04", "timeout-minutes": 15, "permissions": {"contents": "read"},
        "steps": [*STEPS, {"run": "make advisories"}],
    },
}
# YAML 1.1 reads `on` as true.
WHEN = {"push": {"branches": ["main"]}, "pull_request": None, "schedule": [{"cron": "17 5 * * 1"}]}


def complaints(text):
    workflow = yaml.safe_load(text)
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            step.update({"uses": step["uses"].partition("@")[0]} if "uses" in step else {})
    wrong = [name for name, is_right in {
        "the workflow has permissions": workflow["permissions"] == {},
        "it runs at other times": workflow[True] == WHEN,
        "the jobs are other ones": workflow["jobs"] == JOBS,
    }.items() if not is_right]
    hashes = re.findall(r"@([0-9a-f]{40}) ", text)
    wrong += ["a hash is none"] if any(len(set(one)) < 8 for one in hashes) else []
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
        ("actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", f"actions/checkout@{'0' * 40}"),
        ("    if: github.event_name != 'schedule'", "    if: false"),
        ("      - run: .ci/run", "      - run: .ci/run\n        continue-on-error: true"),
        ("      - run: .ci/run", "      - run: .ci/run\n        shell: bash -c 'true' {0}"),
        ("  pull_request:\n", ""),
        ("branches: [main]", "branches: [nothing]"),
        ("actions/setup-python@", "another/setup-python@"),
    ],
)
def test_another_step_right_or_action_is_noticed(what, instead):
    assert what in WORKFLOW and complaints(WORKFLOW.replace(what, instead)) != []
