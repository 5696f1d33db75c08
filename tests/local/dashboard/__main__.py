"""`make dashboard`: the deployed CloudWatch dashboard as one page, with the local AWS's data."""

import argparse
import datetime
import os
import pathlib
import time

import browser
import curves
import fleet
import page
import widgets
from demo import ROUND, Demo
from extraction import Extraction
from local_stack import STACK_NAME, LocalStack, Started, now

REPOSITORY = pathlib.Path(__file__).parents[3]
TARGET = REPOSITORY / "target"
ROUNDS = 24


def arguments():
    parser = argparse.ArgumentParser(prog="make dashboard")
    parser.add_argument("--stack-file", type=pathlib.Path, help="of a `make run` that runs; without it, one is started")
    parser.add_argument("--rounds", type=int, help="of five minutes each, that the demo lasts; 0 = no demo")
    parser.add_argument("--parameters", nargs="*", default=[], metavar="Key=value", help="of template.yaml")
    parser.add_argument("--dashboard", help="its name, if there are several")
    return parser.parse_args()


def dashboard_name(cloudwatch, wanted):
    names = [entry["DashboardName"] for entry in cloudwatch.list_dashboards()["DashboardEntries"]]
    if wanted in names or (wanted is None and len(names) == 1):
        return wanted or names[0]
    raise SystemExit(f"there is no dashboard {wanted or ''}of its own: the deployment has {', '.join(names) or 'none'}")


def health(stack):
    status, answer, _ = stack.call("GET", "/health")
    return ("health", answer.get("status", status) if isinstance(answer, dict) else status, "ok" if status == 200 else "bad")


def write(stack, name, length, notes):
    """Writes the page; gives its path, and about how high it is."""
    cloudwatch, end = stack.client("cloudwatch"), now()
    source = curves.Source(stack, end - length, end)
    alarms = [alarm for group in cloudwatch.get_paginator("describe_alarms").paginate() for kind in ("MetricAlarms", "CompositeAlarms") for alarm in group.get(kind, [])]
    alarms.sort(key=lambda alarm: (("ALARM", "OK").index(alarm["StateValue"]) if alarm["StateValue"] in ("ALARM", "OK") else 2, alarm["AlarmName"]))
    found = widgets.read(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
    panels = [page.panel(widget, source, alarms) for widget in found]
    managed_by = stack.parameters()["ManagedBy"]
    rows = fleet.read(stack, stack.regions(), managed_by, stack.messages("sweep-workers"), source)
    text = page.render(
        name=name, panels=panels, rows=rows, counts=[*fleet.counts(rows), health(stack)], alarms=alarms, notes=notes,
        start=source.start, end=end, now=now(), origin="the local AWS", prefix=f"{STACK_NAME}-")
    path = TARGET / "dashboard.html"
    path.write_text(text, encoding="utf-8")
    for panel in panels:
        if panel.problem:
            print(f"panel {panel.widget.title or panel.widget.kind}: {panel.problem}")
    return path, 640 + page.ROW * len(page.high_rows(found)[0]) + 70 * len(rows)


def show(stack, options):
    name = dashboard_name(stack.client("cloudwatch"), options.dashboard)
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
    if options.rounds is None:
        # Whoever runs a stack of their own has data of their own.
        options.rounds = 0 if options.stack_file else ROUNDS
    if options.stack_file:
        show(LocalStack(options.stack_file), options)
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
