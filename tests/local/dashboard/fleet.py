"""The table of the workers: what EC2 says, what CloudWatch measured, and what the last sweep that saw a worker said about it."""

import dataclasses
import datetime
import json

# The headline takes these from the metrics that the dashboard shows: a worker's last line names only the first rule that holds.
FOUND = {"idle": "IdleWorkers", "orphaned": "OrphanedWorkers", "impaired": "ImpairedWorkers"}


@dataclasses.dataclass
class Row:
    instance_id: str
    name: str
    region: str
    type: str
    state: str
    launched: datetime.datetime
    checks: dict
    tags: dict
    cpu: float | None = None
    memory: float | None = None
    verdict: str | None = None
    rule: str | None = None
    reason: str = ""

    def notes(self, now):
        """The tags that the sweep and the owner write, each with how long ago it was if it holds a time."""
        for key in ("heartbeat", "keep", "mark", "acted"):
            value = self.tags.get(f"cml:{key}")
            if value is not None:
                yield key, value, ago(value, now)


def sweep_line(message):
    """What the sweep logged of a worker, or nothing if this is another line."""
    try:
        line = json.loads(json.loads(message)["fields"]["sweep"])
        line["facts"]["instance_id"], line["facts"]["region"], line["facts"]["at"], line["decision"]["verdict"]
    except (ValueError, KeyError, TypeError):
        return None
    return line


def last_lines(messages):
    """The last line of each worker."""
    last = {}
    for line in filter(None, map(sweep_line, messages)):
        facts = line["facts"]
        key = facts["region"], facts["instance_id"]
        if key not in last or last[key]["facts"]["at"] <= facts["at"]:
            last[key] = line
    return last


def row(region, instance, status, line, measured):
    """A row from answers of DescribeInstances and DescribeInstanceStatus."""
    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
    names = {"instance": "InstanceStatus", "system": "SystemStatus", "EBS": "AttachedEbsStatus"}
    checks = {name: status[key]["Status"] for name, key in names.items() if key in status}
    decision = line["decision"] if line else {}
    return Row(
        instance["InstanceId"], tags.get("Name", ""), region, instance["InstanceType"], instance["State"]["Name"],
        instance["LaunchTime"], checks, {key: value for key, value in tags.items() if key.startswith("cml:")},
        *(measured(name) if instance["State"]["Name"] == "running" else None for name in ("cpu", "memory")),
        decision.get("verdict"), decision.get("rule"), decision.get("reason", ""),
    )


def age(duration):
    minutes = int(duration.total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60
    return f"{days} d {hours % 24} h" if days else f"{hours} h {minutes % 60:02} min" if hours else f"{minutes} min"


def ago(value, now):
    """How long ago the time is that ends a tag's value, if one does."""
    try:
        return age(now - datetime.datetime.fromisoformat(value.rsplit(" ", 1)[-1]))
    except (ValueError, TypeError):
        return None


def counts(rows, found):
    """The headline: workers by state, and what sweeps found; `found` gives a metric's newest value."""
    living = [row for row in rows if row.state != "terminated"]
    states = ["running", "stopped", *sorted({row.state for row in living} - {"running", "stopped"})]
    by_state = [(state, sum(row.state == state for row in living), state) for state in states]
    findings = {name: found(metric) for name, metric in FOUND.items()} | {"marked": sum("cml:mark" in row.tags for row in living)}
    findings = [(name, "–" if count is None else int(count), "warn" if count else "plain") for name, count in findings.items()]
    return [("workers", len(living), "plain"), *by_state, *findings]


MEASURES = {
    "cpu": ("AWS/EC2", "CPUUtilization"),
    "memory": ("CWAgent", "mem_used_percent"),
}


def read(clients, regions, managed_by, messages, source):
    """The rows of all managed workers, by region and name."""
    lines, rows = last_lines(messages), []

    def last_value(region, instance_id, measure):
        return source.last(*MEASURES[measure], [{"Name": "InstanceId", "Value": instance_id}], "Average", 300, region)

    for region in regions:
        ec2 = clients.ec2(region)
        filters = [{"Name": "tag:ManagedBy", "Values": [managed_by]}]
        pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
        statuses = ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
        by_id = {status["InstanceId"]: status for status in statuses}
        for instance in (i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]):
            one = instance["InstanceId"]
            measured = lambda measure, one=one, region=region: last_value(region, one, measure)  # noqa: E731
            rows.append(row(region, instance, by_id.get(one, {}), lines.get((region, one)), measured))
    return sorted(rows, key=lambda row: (row.state == "terminated", row.region, row.name))
