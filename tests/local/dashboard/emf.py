"""What CloudWatch Logs does with the embedded metric format, and MiniStack does not: it makes metrics of log lines.

By AWS's "Specification: Embedded metric format": a line is one if it is a JSON object with `_aws.CloudWatchMetrics`. Each of its
directives has a namespace, sets of dimensions, of which one may be empty, and metrics; a metric's value is a number or a list of
up to 100 numbers beside `_aws`, and a dimension's value a text there. What a line names and does not have is not published, and the
rest of the line is. AWS publishes no library for reading.
"""

import collections
import datetime
import itertools
import json

LARGEST_BATCH = 500
VALUES = 100


def document(line):
    """The line's object if it is in this format, else nothing."""
    try:
        found = json.loads(line)
        found["_aws"]["CloudWatchMetrics"][0], int(found["_aws"]["Timestamp"])
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return found


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def numbers(value):
    """A metric's values, each with how often it is there."""
    values = value if isinstance(value, list) else [value]
    return collections.Counter(values) if 0 < len(values) <= VALUES and all(map(is_number, values)) else {}


def dimension_sets(found, directive):
    """The directive's sets whose dimensions all have a value."""
    for names in directive.get("Dimensions", []):
        if all(isinstance(found.get(name), str) and found[name] for name in names):
            yield [{"Name": name, "Value": found[name]} for name in names]


def metric_data(lines, later=datetime.timedelta()):
    """Pairs of a namespace and a datum of PutMetricData. `later` moves the lines' own times."""
    for found in filter(None, map(document, lines)):
        time = datetime.datetime.fromtimestamp(found["_aws"]["Timestamp"] / 1000, datetime.timezone.utc) + later
        for directive in found["_aws"]["CloudWatchMetrics"]:
            for dimensions, metric in itertools.product(dimension_sets(found, directive), directive.get("Metrics", [])):
                values = numbers(found.get(metric["Name"]))
                if values:
                    yield directive["Namespace"], {
                        "MetricName": metric["Name"], "Dimensions": dimensions, "Timestamp": time,
                        "Unit": metric.get("Unit", "None"),
                        "Values": list(map(float, values)), "Counts": list(map(float, values.values())),
                    }


def put(cloudwatch, data):
    """Publishes pairs of a namespace and a datum; gives how many there were."""
    by_namespace = collections.defaultdict(list)
    for namespace, datum in data:
        by_namespace[namespace].append(datum)
    for namespace, all_data in by_namespace.items():
        for first in range(0, len(all_data), LARGEST_BATCH):
            cloudwatch.put_metric_data(Namespace=namespace, MetricData=all_data[first:first + LARGEST_BATCH])
    return sum(map(len, by_namespace.values()))


def events(logs, prefix):
    """All events of the log groups whose names begin so."""
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
        for group in page["logGroups"]:
            for found in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                yield from found["events"]
