"""What a run costs, by list prices. An estimate: nobody is asked, and other regions and contracts differ."""

from dataclasses import dataclass

# Dollars in us-east-1, Linux, on demand.
PRICED_IN, PRICED_AT = "us-east-1", "2025-05"
HOURLY = {
    "c5.large": 0.085, "c5.xlarge": 0.17, "c5.2xlarge": 0.34, "c5.4xlarge": 0.68,
    "c6i.large": 0.085, "c6i.xlarge": 0.17, "c6i.2xlarge": 0.34, "c6i.4xlarge": 0.68,
    "m5.large": 0.096, "m5.xlarge": 0.192, "m5.2xlarge": 0.384, "m5.4xlarge": 0.768,
    "m5zn.metal": 3.9641,
}
GIB_MONTH, PUBLIC_ADDRESS_HOUR, TRAIL_EVENTS = 0.08, 0.005, 2.00 / 100_000
ALARM_MONTH, METRIC_MONTH = 0.10, 0.30
MONTH_HOURS = 730

# What a worker runs beside the minutes that its utilization is watched for: launch, stop, start, tags.
OTHER_MINUTES = 15
VOLUME_GIB = 8
# Management events of an account while the audit is on, about a quarter of an hour; busy accounts have more.
EVENTS = 5_000
# The audit's, for half an hour, and the monitoring's for the whole run (docs/MONITORING.md). The dashboard is one of three that are
# free.
ALARMS = METRICS = 5
AUDIT_HOURS = 0.5
MONITORING_ALARMS, MONITORING_METRICS = 40, 119


@dataclass(frozen=True)
class Item:
    """One line of the bill; no dollars if the price is not known here."""

    what: str
    dollars: float | None


def estimate(instance_type, minutes, two_volumes=False):
    hours = (minutes + OTHER_MINUTES) / 60
    items = worker(instance_type, hours)
    if two_volumes:
        items += worker(instance_type, OTHER_MINUTES / 60, " for the image with two volumes")
        items.append(Item("EBS of that image, whose size is the image's", None))
    return [*items, *monitoring(hours + AUDIT_HOURS), *audit(), Item("API Gateway, Lambda, EventBridge, logs, S3: some thousand requests", 0.01)]


def worker(instance_type, hours, why=""):
    price = HOURLY.get(instance_type)
    return [
        Item(f"EC2 {instance_type} {hours:.2f} h{why}", None if price is None else price * hours),
        Item(f"EBS {VOLUME_GIB} GiB {hours:.2f} h{why}", GIB_MONTH * VOLUME_GIB * hours / MONTH_HOURS),
        Item(f"public IPv4 address {hours:.2f} h{why}", PUBLIC_ADDRESS_HOUR * hours),
    ]


def monitoring(hours):
    return [
        Item(f"CloudWatch alarms on {MONITORING_ALARMS} metrics {hours:.2f} h", ALARM_MONTH * MONITORING_ALARMS * hours / MONTH_HOURS),
        Item(f"CloudWatch {MONITORING_METRICS} metrics {hours:.2f} h", METRIC_MONTH * MONITORING_METRICS * hours / MONTH_HOURS),
    ]


def audit():
    return [
        Item(f"CloudTrail, if this is the account's second trail, {EVENTS} management events", TRAIL_EVENTS * EVENTS),
        Item(f"CloudWatch {ALARMS} alarms {AUDIT_HOURS} h", ALARM_MONTH * ALARMS * AUDIT_HOURS / MONTH_HOURS),
        Item(f"CloudWatch {METRICS} metrics {AUDIT_HOURS} h", METRIC_MONTH * METRICS * AUDIT_HOURS / MONTH_HOURS),
    ]


def total(items):
    return sum(item.dollars or 0 for item in items)


def lines(items):
    yield f"Estimate, by list prices of {PRICED_IN} as of {PRICED_AT}:"
    for item in items:
        yield f"  {'unknown' if item.dollars is None else f'${item.dollars:.4f}':>9}  {item.what}"
    unknown = any(item.dollars is None for item in items)
    yield f"  ${total(items):8.4f}  together{', and what is unknown' if unknown else ''}"
