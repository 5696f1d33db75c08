"""What calls and fleets cost, and how long they take: computed from measured numbers, from the code and from AWS's limits.

What can be read from the repository is read from it, so that a change of it changes the tables of docs/SCALE.md.
"""

import functools
import json
import math
import re
import typing

from samtranslator.yaml_helper import yaml_parse

import scale_limits as aws
from cloudformation import REPOSITORY

RECORDED = "tests/template/scale_recorded.jsonl"
# Milliseconds that AWS takes for one call. Nobody measured it here, so the tables have three guesses; where one is enough, the second.
GUESSES = (50, 150, 500)
GUESS = GUESSES[1]
FLEETS = (10, 100, 1000, 10000)
DAYS_OF_A_MONTH = 30


def source(path):
    return (REPOSITORY / path).read_text(encoding="utf-8")


def found(pattern, path):
    match = re.search(pattern, source(path))
    assert match, f"{path} has no {pattern}"
    return match[1]


def template():
    return parsed(source("template.yaml"))


@functools.cache
def parsed(text):
    return yaml_parse(text)


def default(parameter):
    return template()["Parameters"][parameter]["Default"]


def routes():
    """The routes of each function, as method and path."""
    functions = {name: each["Properties"] for name, each in template()["Resources"].items() if each["Type"].endswith("::Function")}
    events = {name: each["Events"].values() for name, each in functions.items() if "Events" in each}
    return {name: [each["Properties"] for each in all_of_it if each["Type"] == "Api"] for name, all_of_it in events.items()}


def most_regions():
    return int(found(r"up to (\d+) region names", "template.yaml"))


def sweep_seconds():
    """Seconds that a sweep has; the last one is for its answer."""
    return template()["Resources"]["SweepWorkers"]["Properties"]["Timeout"] - 1


def sweeps_a_month():
    minutes = int(re.fullmatch(r"rate\((\d+) minutes\)", default("SweepSchedule"))[1])
    return DAYS_OF_A_MONTH * 24 * 60 // minutes


def at_once():
    return int(found(r"const AT_ONCE: usize = (\d+);", "shared/src/ops/sweep_workers/region.rs"))


def ids_of_a_status_call():
    return int(found(r"const MOST_IDS: usize = (\d+);", "shared/src/aws/fleet.rs"))


def workers_of_a_page():
    return int(found(r"page_size\((\d+)\)", "shared/src/aws/fleet.rs"))


def ids_of_a_batch():
    return int(found(r"\| `instance_ids` \| (\d+) \|", "docs/API.md"))


def wait_seconds():
    return int(found(r"const LONGEST: Duration = Duration::from_secs\((\d+)\);", "shared/src/aws/watch/mod.rs"))


def start_seconds():
    return int(found(r"const LONGEST_START: Duration = Duration::from_secs\((\d+)\);", "shared/src/aws/clients.rs"))


def attempts():
    return int(found(r"const ATTEMPTS: u32 = (\d+);", "shared/src/aws/clients.rs"))


def measured(row, column):
    """A median of docs/PERFORMANCE.md."""
    tables = re.split(r"\n\n(?=\*\*)", source("docs/PERFORMANCE.md"))
    for table in tables:
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")]
        if lines and column in lines[0]:
            values = {line[0]: line[lines[0].index(column)] for line in lines[2:]}
            return float(values[row].split(" ")[0])
    raise LookupError(column)


def rounds(operation):
    """The calls of AWS that an ordinary call makes, by the round in which they are sent: how many, and the action."""
    text = found(rf'\("{operation}", &\[(?:"running")?\], 20\d, "([^"]+)"\)', "tests/src/simulation/rounds/mod.rs")
    return [[(int(many or 1), action) for many, action in re.findall(r"(?:(\d+) )?(\w+)", each)] for each in text.split(", ")]


def recorded(**what):
    rows = [json.loads(line) for line in source(RECORDED).splitlines()]
    return [row for row in rows if all(row.get(key) == value for key, value in what.items())]


def logged(lines):
    """Bytes that CloudWatch takes these lines for."""
    return sum(len(line.encode()) + aws.number("bytes that a log line counts beside its own") for line in lines)


class Call(typing.NamedTuple):
    """A row of the tables: its words, its operation, its row in docs/PERFORMANCE.md, and the instances in its answer."""

    words: str
    operation: str
    bench: str
    instances: int = 1

    def cpu(self):
        """Milliseconds of one vCPU."""
        return measured(self.bench, "CPU of a warm call, ms")

    def rounds(self):
        return len(rounds(self.operation))

    def metrics(self):
        """How many calls of GetMetricStatistics it makes."""
        return sum(many for each in rounds(self.operation) for many, action in each if action == "GetMetricStatistics")

    def record(self):
        return recorded(call=self.operation)[0]

    def answer_bytes(self):
        record = self.record()
        return record["answer_bytes"] / record.get("instances", 1) * self.instances

    def log_bytes(self):
        return logged([*self.record()["lines"], *LAMBDA_LINES, access_line()])

    def billed(self, memory, guess):
        """Milliseconds that Lambda bills, if the work gets no more than its share of the vCPU."""
        return math.ceil(self.rounds() * guess + slowed(self.cpu(), memory))

    def duration_dollars(self, memory, guess, architecture="x86_64"):
        """Of a million calls."""
        return aws.dollars(f"GB-seconds of {architecture}", 1e6 * gb_seconds(self.billed(memory, guess) / 1000, memory))


UTILIZATION = Call("utilization of one worker", "get-instance-resources-utilization", "get-instance-resources-utilization")
CALLS = (
    Call("read one worker", "get-instance-details", "get-instance-details"),
    Call("list 100 workers", "get-all-instances", "get-all-instances, 100 instances", 100),
    Call("list 1,000 workers", "get-all-instances", "get-all-instances, 1,000 instances", 1000),
    UTILIZATION,
    Call("start one worker", "start-instance", "start-instance"),
    Call("launch one worker", "create-instance", "create-instance"),
)

# What Lambda writes about each invocation, in the form of the examples in its Telemetry API schema reference; never seen here.
TRACE = '"tracing":{"spanId":"54565fb41ac79632","type":"X-Amzn-Trace-Id","value":"Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1"}'
LAMBDA_LINES = (
    '{"time":"2026-11-28T12:00:15.064Z","type":"platform.start","record":{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","version":"$LATEST",'
    + TRACE
    + "}}",
    '{"time":"2026-11-28T12:00:15.205Z","type":"platform.report","record":{"requestId":"6d68ca91-49c9-448d-89b8-7ca3e6dc66aa","metrics":'
    '{"durationMs":151.21,"billedDurationMs":152,"memorySizeMB":256,"maxMemoryUsedMB":32},' + TRACE + ',"status":"success"}}',
)
# Values of the access log's variables, as long as those of a real request.
ACCESS = {
    "requestTime": "28/Nov/2026:12:00:15 +0000",
    "requestId": "6d68ca91-49c9-448d-89b8-7ca3e6dc66aa",
    "extendedRequestId": "Xk7aOEXAMPLEPCQ=",
    "identity.sourceIp": "192.0.2.10",
    "identity.userArn": "arn:aws:sts::123456789012:assumed-role/cml-cloud-manager/cml-cloud-manager",
    "httpMethod": "GET",
    "resourcePath": "/regions/{region}/instances/{instance_id}",
    "status": "200",
    "error.responseType": "-",
    "integration.requestId": "6d68ca91-49c9-448d-89b8-7ca3e6dc66aa",
    "xrayTraceId": "Root=1-62e900b2-710d76f009d6e7785905449a",
}


def access_line():
    form = template()["Resources"]["WorkerApi"]["Properties"]["AccessLogSetting"]["Format"]
    return re.sub(r"\$context\.([\w.]+\w)", lambda variable: ACCESS[variable[1]], form)


def slowed(cpu, memory):
    """How long work takes that would take `cpu` of one vCPU."""
    return cpu * max(1.0, aws.number("MB that have one vCPU") / memory)


def gb_seconds(seconds, memory):
    return seconds * memory / 1024


def seconds_for(bucket, requests, instances):
    """How long EC2 takes to accept these requests, if the bucket was full and nobody else uses it."""
    by_requests = (requests - bucket.size) / bucket.refill
    by_instances = (instances - bucket.instances) / bucket.instances_refill if math.isfinite(bucket.instances) else 0.0
    return max(0.0, by_requests, by_instances)


class Sweep(typing.NamedTuple):
    """A sweep of workers that run, in equal parts in all regions. `idle`: all rules report, so that the CPU is read too."""

    workers: int
    regions: int
    idle: bool

    def of_a_region(self):
        return math.ceil(self.workers / self.regions)

    def calls(self):
        """The calls of all regions, by action."""
        pages, statuses = self.pages(), self.statuses()
        return {
            "DescribeInstances": pages * self.regions,
            "DescribeInstanceStatus": min(statuses * self.regions, self.workers),
            "GetMetricStatistics": self.workers if self.idle else 0,
        }

    def pages(self):
        return math.ceil(self.of_a_region() / workers_of_a_page())

    def statuses(self):
        return math.ceil(self.of_a_region() / ids_of_a_status_call())

    def turns(self):
        """How many calls a region waits for one after the other: pages, then statuses and metrics, so many of each at once."""
        metrics = self.of_a_region() if self.idle else 0
        return self.pages() + math.ceil(self.statuses() / at_once()) + math.ceil(metrics / at_once())

    def _largest(self):
        return max(recorded(sweep="all rules report" if self.idle else "no rule"), key=lambda row: row.get("workers", 0))

    def cpu(self):
        """Seconds of one vCPU at most: the recorded sweep ran in a development build."""
        largest = self._largest()
        return largest["cpu_s"] / largest["workers"] * self.workers

    def seconds(self, memory, guess):
        return self.turns() * guess / 1000 + slowed(self.cpu(), memory)

    def log_bytes(self):
        lines = recorded(sweep="all rules report" if self.idle else "no rule")[0]
        return self.workers * logged([lines["worker"]]) + self.regions * logged(lines["others"]) + logged(LAMBDA_LINES)

    def peak_mb(self):
        """As if all were in one region, which takes no less."""
        one, each = peaks()
        return one + each * self.workers

    def month(self, memory):
        """Dollars of a month, by what they are for."""
        sweeps = sweeps_a_month()
        seconds = min(self.seconds(memory, GUESS), sweep_seconds() + 1)
        return {
            "Lambda": aws.dollars("requests of Lambda", sweeps) + aws.dollars("GB-seconds of x86_64", sweeps * gb_seconds(seconds, memory)),
            "logs": aws.dollars("GB of log lines", sweeps * self.log_bytes() / 1e9),
            "GetMetricStatistics": aws.dollars("requests of GetMetricStatistics", sweeps * self.calls()["GetMetricStatistics"]),
        }


def monitoring_month(workers):
    """Dollars of a month for the metrics of workers that run, if the API is asked for each one's utilization every five minutes."""
    asked = workers * DAYS_OF_A_MONTH * 24 * 60 // 5
    return aws.dollars("requests of GetMetricStatistics", asked * UTILIZATION.metrics())


def peaks():
    """Megabytes that a sweep with all rules takes for itself, and for each worker."""
    one, *_, largest = (row for row in recorded(sweep="all rules report") if "workers" in row)
    return one["peak_mb"], (largest["peak_mb"] - one["peak_mb"]) / largest["workers"]


def most_workers(regions, idle, memory, guess):
    """The largest fleet whose sweep ends in time."""
    fits, too_many = 0, 1_000_000
    while too_many - fits > regions:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if Sweep(middle, regions, idle).seconds(memory, guess) <= sweep_seconds() else (fits, middle)
    return fits
