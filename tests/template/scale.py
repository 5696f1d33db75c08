"""The tables of docs/SCALE.md, which `make generate` has this program write anew."""

import re

import scale_limits as aws
import scale_model as model
from cloudformation import REPOSITORY
from scale_model import CALLS, FLEETS, GUESS, GUESSES, Sweep

PAGE = REPOSITORY / "docs/SCALE.md"
BLOCK = re.compile(r"(<!-- scale\.py: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
SIZES = (128, 256, 512)
VCPUS = "vCPUs of running On-Demand instances, of the families A, C, D, H, I, M, R, T and Z"


def table(head, rows, words=1):
    """`words`: how many columns hold words, which stand at the left."""
    line = "|" + "".join("---|" if at < words else "---:|" for at in range(len(head)))
    first, *others = ["| " + " | ".join(map(str, each)) + " |" for each in [head, *rows]]
    return "\n".join([first, line, *others])


def count(number):
    return f"{number:,.0f}"


def dollars(amount):
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.2f}"


def time(seconds):
    if seconds == 0:
        return "at once"
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def duration():
    head = ["Lambda's duration, a million", "CPU, ms", "rounds", *(f"{size} MB, {name}" for size in SIZES for name in aws.ARCHITECTURES)]

    def row(call):
        prices = [call.duration_dollars(size, GUESS, name) for size in SIZES for name in aws.ARCHITECTURES]
        return [call.words, f"{call.cpu():.2f}", call.rounds(), *map(dollars, prices)]

    def work(call):
        return f"{call.words} " + ", ".join(f"{model.slowed(call.cpu(), size):.1f}" for size in SIZES)

    return table(head, map(row, CALLS)) + (
        f"\n\nAWS takes {GUESS} ms for each round. The work itself takes, in ms with "
        + ", ".join(map(str, SIZES))
        + " MB: "
        + "; ".join(work(CALLS[at]) for at in (0, 2))
        + "."
    )


def million():
    memory = model.default("MemorySize")
    head = [
        "a million calls",
        "requests",
        "API Gateway",
        "logs",
        "data out",
        "metrics",
        *(f"duration, {guess} ms" for guess in GUESSES),
        f"all, {GUESS} ms",
    ]

    def row(call):
        fixed = [
            aws.dollars("requests of Lambda", 1e6),
            aws.dollars("requests of a REST API", 1e6),
            aws.dollars("GB of log lines", call.log_bytes() / 1e3),
            aws.dollars("GB sent to the internet", call.answer_bytes() / 1e3),
            aws.dollars("requests of GetMetricStatistics", 1e6 * call.metrics()),
        ]
        run = [call.duration_dollars(memory, guess) for guess in GUESSES]
        return [call.words, *map(dollars, [*fixed, *run, sum(fixed) + run[GUESSES.index(GUESS)]])]

    cold = aws.dollars("GB-seconds of x86_64", 1e4 * model.gb_seconds(model.start_seconds(), memory))
    return table(head, map(row, CALLS)) + (
        f"\n\nWith {memory} MB of x86_64. If one call in a hundred is cold, and each start waits for its connection as long as it may "
        f"({model.start_seconds()} s), a million calls cost {dollars(cold)} dollars more."
    )


def logs():
    head = ["bytes of a call", "the function's lines", "Lambda's two lines", "the access log's line", "the answer"]

    def row(call):
        sizes = [model.logged(call.record()["lines"]), model.logged(model.LAMBDA_LINES), model.logged([model.access_line()])]
        return [call.words, *map(count, [*sizes, call.answer_bytes()])]

    return table(head, map(row, CALLS))


def prices():
    def row(name):
        price = aws.PRICES[name]
        many = "" if price.many == 1 else f"{count(price.many)} "
        return [f"{many}{name}", price.dollars, f"[page]({price.page})"]

    return table(["list price of us-east-1", "dollars", "of AWS"], map(row, aws.PRICES))


def limits():
    rows = [
        [name, " / ".join(map(count, each.numbers)), f"[page]({each.page})"] for name, each in aws.LIMITS.items() if each.page != aws.EC2
    ]
    return table(["AWS's limit of an account and a region", "by default", "of AWS"], rows)


def buckets():
    def row(action):
        each = aws.bucket(action)
        both = f"{count(each.instances)}, then {count(each.instances_refill)}" if each.instances < float("inf") else "–"
        return [action, f"{count(each.size)}, then {count(each.refill)}", both]

    actions = [name for name, each in aws.LIMITS.items() if each.page == aws.EC2 and not name.startswith("instances of")]
    return table(["EC2's bucket", "requests, a second", "instances, a second"], map(row, actions))


def fleets():
    """How long EC2 takes to accept one change of each worker."""
    batch, most = model.ids_of_a_batch(), model.most_regions()
    head = ["workers", "in regions", "launch", "start", "stop", "terminate", "read by id", "tag"]

    def row(workers, regions):
        each = -(-workers // regions)
        batches = -(-each // batch)
        ask = [
            ("RunInstances", each),
            ("StartInstances", batches),
            ("StopInstances", batches),
            ("TerminateInstances", batches),
            ("reads without both", each),
            ("CreateTags", each),
        ]
        return [count(workers), regions, *(time(model.seconds_for(aws.bucket(action), requests, each)) for action, requests in ask)]

    return table(head, [row(workers, regions) for workers in FLEETS for regions in (1, most)])


def sweeps():
    memory, most = model.default("MemorySize"), model.most_regions()
    head = [
        "workers",
        "in regions",
        "reads of EC2",
        "GetMetricStatistics",
        "peak memory",
        *(f"{guess} ms{idle}" for idle in ("", ", `OnIdle`") for guess in GUESSES),
    ]

    def row(workers, regions):
        off, on = Sweep(workers, regions, False), Sweep(workers, regions, True)
        times = [each.seconds(memory, guess) for each in (off, on) for guess in GUESSES]
        marked = [time(each) if each <= model.sweep_seconds() else f"**{time(each)}**" for each in times]
        calls = on.calls()
        return [
            count(workers),
            regions,
            count(sum(off.calls().values())),
            count(calls["GetMetricStatistics"]),
            f"{on.peak_mb():.0f} MB",
            *marked,
        ]

    most_of = [
        f"{regions} region{'s' * (regions > 1)}: "
        + ", ".join(f"{count(model.most_workers(regions, True, memory, guess) // 100 * 100)} at {guess} ms" for guess in GUESSES)
        for regions in (1, most)
    ]
    return table(head, [row(workers, regions) for workers in FLEETS for regions in (1, most)]) + (
        f"\n\nBold: longer than the {model.sweep_seconds()} seconds that a sweep has. With `OnIdle` it ends in time for this many workers in "
        + "; in ".join(most_of)
        + ". "
        + memories()
        + " "
        + rates()
    )


def memories():
    one, each = model.peaks()
    return "; ".join(f"{size} MB hold about {count((size - one) / each // 1000 * 1000)} workers" for size in SIZES[:2]) + "."


def rates():
    """What the sweep sends in a second, if AWS answers at its fastest."""
    region = model.at_once() * 1000 / GUESSES[0]
    bus = aws.number("PutEvents a second where no more is said")
    return (
        f"At {GUESSES[0]} ms a region sends {count(region)} GetMetricStatistics a second, of {count(aws.number('GetMetricStatistics a second'))}; "
        f"{model.most_regions()} regions send {count(region * model.most_regions())} PutEvents to one bus, of {count(bus)} or more."
    )


def months():
    memory, most = model.default("MemorySize"), model.most_regions()
    head = [
        "dollars a month",
        *(f"{part}{idle}" for idle in ("", ", `OnIdle`") for part in ("Lambda", "logs")),
        "metrics, `OnIdle`",
        "metrics of the monitoring",
    ]

    def row(workers):
        off, on = (Sweep(workers, most, idle).month(memory) for idle in (False, True))
        metrics = [on["GetMetricStatistics"], model.monitoring_month(workers)]
        return [count(workers), *map(dollars, [off["Lambda"], off["logs"], on["Lambda"], on["logs"], *metrics])]

    return table(head, map(row, FLEETS)) + f"\n\n{count(model.sweeps_a_month())} sweeps of {most} regions, {GUESS} ms a call, {memory} MB."


def saturation():
    """What is full first, from the smallest number of calls a second to the largest."""
    rate, burst, memory = model.default("ThrottlingRateLimit"), model.default("ThrottlingBurstLimit"), model.default("MemorySize")
    routes = sum(map(len, model.routes().values()))
    waits = model.source("openapi.yaml").count("name: wait\n")
    by_id, run, tag = aws.bucket("reads without both"), aws.bucket("RunInstances"), aws.bucket("CreateTags")
    events = [(2 * guess + model.slowed(CALLS[0].cpu(), memory)) / 1000 for guess in GUESSES]
    busiest = max(call.billed(memory, GUESS) for call in CALLS[3:]) / 1000
    concurrent, waiting = routes * (burst + rate * busiest), waits * (burst + rate * model.wait_seconds())
    executions = aws.number("executions of Lambda at once; requests a second")
    rows = [
        [
            "vCPUs of running instances in a region",
            f"{count(aws.number(VCPUS))}, until the quota is raised: less than one `c5.2xlarge` has",
            "422 `quota_exceeded`, which is not worth another try",
            "the quota, before the first launch and in each region",
        ],
        [
            "launches or single starts in a region",
            f"{count(run.size)} at once, {count(run.refill)} a second",
            f"429 `throttled` with `Retry-After: 5`, after {model.attempts()} attempts of the SDK",
            "start in batches; a quota for the rate of the action",
        ],
        [
            "calls that name one worker, heartbeats too, and EC2's events, in a region",
            f"{count(by_id.size)} at once, {count(by_id.refill)} a second together: "
            f"one read a minute of {count(by_id.refill * 60)} workers",
            "the same; a sweep's read fails, and an event goes to `SweepDeadLetters`",
            "list instead of reading each; `SweepConcurrency`; a quota",
        ],
        [
            "tags in a region: heartbeats, which are reads, too, and the sweep's",
            f"{count(tag.size)} at once, {count(tag.refill)} a second: a heartbeat in ten minutes of {count(tag.refill * 600)} workers, "
            "if no other call names one worker",
            "the same; the sweep reports `throttled`, and tells the change again next time",
            "fewer heartbeats, a longer `HeartbeatMinutes`; a quota",
        ],
        [
            "status checks of a sweep in a region",
            f"{count(by_id.size * model.ids_of_a_status_call())} running workers",
            "the checks of some are unknown in that sweep",
            "fewer workers in a region; a quota",
        ],
        [
            "one route of the API",
            f"{count(burst)} at once, {count(rate)} a second",
            "429 `throttled` of API Gateway, `Retry-After: 1`",
            "`ThrottlingRateLimit`, `ThrottlingBurstLimit`",
        ],
        [
            "events of state changes with `SweepConcurrency=1`",
            ", ".join(f"{1 / event:.1f}" for event in events) + f" a second at best, at {', '.join(map(str, GUESSES))} ms",
            "Lambda tries them again, later and later; after five minutes they are in `SweepDeadLetters`",
            "`SweepConcurrency`, up to " + ", ".join(count(int(by_id.refill * event)) for event in events) + " before EC2 throttles",
        ],
        ["Lambda, all routes at their limit", f"{count(concurrent)} of {count(executions)} executions", "nothing; two such stacks in a region can have too few", "–"],
        [
            "Lambda, and all who may `wait` do",
            f"{count(waiting)} of {count(executions)} executions",
            "Lambda refuses (the answer was never seen); the alarms `throttled-changes` and `throttled-reads` ring",
            "do not wait; a quota of executions",
        ],
    ]
    return table(["what", "is full at", "what happens", "what to turn"], rows, words=4)


TABLES = {each.__name__: each for each in (duration, million, logs, prices, limits, buckets, fleets, sweeps, months, saturation)}


def written(page):
    """The page with its tables made anew."""
    return BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}\n{block[3]}", page)


def main():
    before = PAGE.read_text(encoding="utf-8")
    after = written(before)
    if after != before:
        PAGE.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
