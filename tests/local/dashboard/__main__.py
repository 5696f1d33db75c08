"""`make dashboard`: the deployed CloudWatch dashboard as one page, with the local AWS's data."""

import argparse
import datetime
import os
import pathlib
import time

from botocore.exceptions import EndpointConnectionError

import browser
import curves
import fleet
import page
import widgets
from demo import LEAST_ROUNDS, ROUND, Demo
from extraction import Extraction
from local_stack import STACK_NAME, LocalStack, Started, now

REPOSITORY = pathlib.Path(__file__).parents[3]
TARGET = REPOSITORY / "target"
ROUNDS = 24


def arguments(words=None):
    parser = argparse.ArgumentParser(prog="make dashboard")
    parser.add_argument("--stack-file", type=pathlib.Path, help="of a `make run` that runs; without it, one is started")
    parser.add_argument("--rounds", type=int, help="of five minutes each, that the demo lasts; 0 = no demo")
    parser.add_argument("--parameters", nargs="*", default=[], metavar="Key=value", help="of template.yaml")
    options = parser.parse_args(words)
    if options.rounds is None:
        # Whoever runs a stack of their own has data of their own.
        options.rounds = 0 if options.stack_file else ROUNDS
    if options.rounds and options.rounds < LEAST_ROUNDS or options.rounds < 0:
        parser.error(f"ROUNDS={options.rounds}: the demo needs {LEAST_ROUNDS} rounds or more to show an impaired worker; 0 means no demo")
    if wrong := [parameter for parameter in options.parameters if not parameter.partition("=")[2]]:
        parser.error(f"PARAMETERS are written Key=value, and {' and '.join(wrong)} is not")
    if {"Monitoring=false", "Sweep=false"} & set(options.parameters):
        parser.error("PARAMETERS: without Monitoring there is no dashboard, and without Sweep there is nobody who looks at the demo's workers")
    if options.stack_file and not options.stack_file.exists():
        parser.error(f"there is no {options.stack_file}: start `make run` in another terminal, and leave it running")
    if options.parameters and not options.rounds:
        parser.error(f"PARAMETERS are for the demo, and without ROUNDS there is none: add ROUNDS={ROUNDS}")
    return options


def dashboard_name(cloudwatch):
    names = [entry["DashboardName"] for entry in cloudwatch.list_dashboards()["DashboardEntries"]]
    if len(names) != 1:
        raise SystemExit(f"the deployment should have one dashboard, and has {', '.join(names) or 'none'}")
    return names[0]


def health(stack):
    status, answer = stack.call("GET", "/health")
    return ("health", answer.get("status", status) if isinstance(answer, dict) else status, "ok" if status == 200 else "bad")


def write(stack, name, length, notes):
    """Writes the page; gives its path, and about how high it is."""
    cloudwatch, end = stack.client("cloudwatch"), now()
    source = curves.Source(stack, end - length, end)
    alarms = [alarm for group in cloudwatch.get_paginator("describe_alarms").paginate() for alarm in group["MetricAlarms"]]
    found, unknown = widgets.read(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    panels = [page.panel(widget, source, alarms) for widget in found]
    managed_by = stack.parameters()["ManagedBy"]
    rows = fleet.read(stack, stack.regions(), managed_by, stack.messages("sweep-workers"), source)
    # As the dashboard shows them: over all regions.
    counts = fleet.counts(rows, lambda metric: source.last(f"CML/{STACK_NAME}", metric, [], "Maximum", 300))
    text = page.render(
        name=name, panels=panels, rows=rows, counts=[*counts, health(stack)], notes=[*notes, *unknown],
        start=source.start, end=end, now=now(), origin="the local AWS", prefix=f"{STACK_NAME}-")
    path = TARGET / "dashboard.html"
    path.write_text(text, encoding="utf-8")
    for panel in panels:
        if panel.problem:
            print(f"panel {panel.widget.title or panel.widget.kind}: {panel.problem}")
    return path, 560 + page.ROW * len(page.high_rows(found)[0]) + 70 * len(rows)


def show(stack, options):
    name = dashboard_name(stack.client("cloudwatch"))
    length = datetime.timedelta(hours=3)
    notes = ["Of an alarm on metric math or on a query, the local AWS judges only the first metric."]
    extraction = Extraction(stack, TARGET / f"local/extracted-{stack.rest_api_id}.json" if options.stack_file else None)
    if options.rounds:
        demo = Demo(stack, options.rounds)
        demo.prepare(dict(parameter.split("=", 1) for parameter in options.parameters))
        demo.play(extraction)
        length = ROUND * (options.rounds + 1)
        notes.insert(0, f"A demo in time lapse: each of its {options.rounds} rounds of requests and a sweep is shown as five minutes. "
                        "CPU, memory and API Gateway's metrics are the demo's; AWS/Lambda's are the local AWS's own, at the time when they were made.")
    else:
        print(f"{extraction.run()} metric data of the functions' log lines")
    path, height = write(stack, name, length, notes)
    print(f"the page is {path}")
    print(browser.screenshot(path, TARGET / "dashboard.png", height))


def main():
    options = arguments()
    if options.stack_file:
        try:
            show(LocalStack(options.stack_file), options)
        except EndpointConnectionError as error:
            raise SystemExit(f"nobody answers: the `make run` that wrote {options.stack_file} has ended ({error})") from None
        return
    stack_file = TARGET / "local" / f"dashboard-{os.getpid()}.json"
    stack_file.parent.mkdir(parents=True, exist_ok=True)
    begin, started = time.monotonic(), Started(REPOSITORY, stack_file)
    try:
        show(LocalStack(stack_file), options)
    finally:
        started.end()
    print(f"took {time.monotonic() - begin:.0f} s")


if __name__ == "__main__":
    main()
