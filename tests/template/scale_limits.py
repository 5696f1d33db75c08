"""AWS's limits and prices that docs/SCALE.md is computed from, each with its page.

A limit has AWS's sentence, which docs/PROOFS.md quotes with the same page. A price has none: the pages of prices are made by scripts.
"""

import typing


class Limit(typing.NamedTuple):
    """The numbers in the order in which the sentence has them."""

    numbers: tuple
    sentence: str
    page: str


class Bucket(typing.NamedTuple):
    """Requests that EC2 takes at once, and how many more each second; instances likewise, where it counts those too."""

    size: float
    refill: float
    instances: float = float("inf")
    instances_refill: float = float("inf")


EC2 = "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html"
LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/"
GATEWAY = "https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html"
GENERAL = "https://docs.aws.amazon.com/general/latest/gr/"
PUT_LOG_EVENTS = "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html"

LIMITS = {
    "vCPUs of running On-Demand instances, of the families A, C, D, H, I, M, R, T and Z": Limit(
        (5,),
        "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances 5 Yes",
        "https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html",
    ),
    "MB that have one vCPU": Limit(
        (1769,),
        "At 1,769 MB, a function has the equivalent of one vCPU (one vCPU-second of credits per second).",
        LAMBDA + "configuration-memory.html",
    ),
    "executions of Lambda at once; requests a second": Limit(
        (1000, 10000),
        "since the default account concurrency limit is 1,000, functions in your account can handle a maximum of 10,000 requests per second.",
        LAMBDA + "lambda-concurrency.html",
    ),
    "executions that a function gets; in how many seconds": Limit(
        (1000, 10),
        "In each AWS Region, and for each function, your concurrency scaling rate is 1,000 execution environment instances every 10 seconds "
        "(or 10,000 requests per second every 10 seconds).",
        LAMBDA + "scaling-behavior.html",
    ),
    "MB of a request or an answer of Lambda": Limit(
        (6,), "6 MB each for request and response (synchronous)", LAMBDA + "gettingstarted-limits.html"
    ),
    "requests to all APIs a second; at once": Limit(
        (10000, 5000),
        "10,000 requests per second (RPS) with an additional burst capacity provided by the token bucket algorithm, using a maximum bucket "
        "capacity of 5,000 requests.",
        GATEWAY,
    ),
    "the same in some regions": Limit(
        (2500, 1250), "the default throttle quota is 2500 RPS and the default burst quota is 1250 RPS", GATEWAY
    ),
    "GetMetricStatistics a second": Limit(
        (400,), "Rate of GetMetricStatistics requests Each supported Region: 400 per second", GENERAL + "cw_region.html"
    ),
    "PutEvents a second in us-east-1": Limit(
        (10000,), "PutEvents throttle limit in transactions per second us-east-1: 10,000 per second", GENERAL + "ev.html"
    ),
    "PutEvents a second where no more is said": Limit((400,), "Each of the other supported Regions: 400 per second", GENERAL + "ev.html"),
    "bytes that a log line counts beside its own": Limit(
        (26,), "This size is calculated as the sum of all event messages in UTF-8, plus 26 bytes for each log event.", PUT_LOG_EVENTS
    ),
    "RunInstances": Limit((5, 2), "RunInstances 5 2", EC2),
    "StartInstances": Limit((5, 2), "StartInstances 5 2", EC2),
    "TerminateInstances": Limit((100, 5), "TerminateInstances 100 5", EC2),
    "CreateTags": Limit((100, 10), "CreateTags 100 10", EC2),
    "DeleteTags": Limit((100, 10), "DeleteTags 100 10", EC2),
    # StopInstances stands in no table of its own.
    "StopInstances": Limit((50, 5), "All mutating API actions that are not Resource-intensive actions or Uncategorized actions. 50 5", EC2),
    "reads with a filter or pages": Limit(
        (100, 20), "The `Describe*`, `List*`, `Search*`, and `Get*` API actions that are not included in another category. 100 20", EC2
    ),
    "reads without both": Limit(
        (50, 10),
        "DescribeInstances DescribeInstanceStatus DescribeNetworkInterfaces DescribeSecurityGroups DescribeSnapshots "
        "DescribeSpotInstanceRequests DescribeVolumes 50 10",
        EC2,
    ),
    "instances of RunInstances": Limit((1000, 2), "RunInstances 1000 2", EC2),
    "instances of StartInstances": Limit((1000, 2), "StartInstances 1000 2", EC2),
    "instances of StopInstances": Limit((1000, 20), "StopInstances 1000 20", EC2),
    "instances of TerminateInstances": Limit((1000, 20), "TerminateInstances 1000 20", EC2),
}


def number(name):
    return LIMITS[name].numbers[0]


def bucket(action):
    """EC2's bucket of an account, a region and an action."""
    instances = LIMITS.get(f"instances of {action}")
    return Bucket(*LIMITS[action].numbers, *(instances.numbers if instances else ()))


class Price(typing.NamedTuple):
    """Dollars for so many."""

    dollars: float
    many: float
    page: str


LAMBDA_PRICES, CLOUDWATCH_PRICES = "https://aws.amazon.com/lambda/pricing/", "https://aws.amazon.com/cloudwatch/pricing/"

# List prices of us-east-1, beyond what is free.
PRICES = {
    "requests of Lambda": Price(0.20, 1e6, LAMBDA_PRICES),
    "GB-seconds of x86_64": Price(16.6667, 1e6, LAMBDA_PRICES),
    "GB-seconds of arm64": Price(13.3334, 1e6, LAMBDA_PRICES),
    "requests of a REST API": Price(3.50, 1e6, "https://aws.amazon.com/api-gateway/pricing/"),
    "GB of log lines": Price(0.50, 1, CLOUDWATCH_PRICES),
    "requests of GetMetricStatistics": Price(10, 1e6, CLOUDWATCH_PRICES),
    "GB sent to the internet": Price(0.09, 1, "https://aws.amazon.com/ec2/pricing/on-demand/"),
}
ARCHITECTURES = ("x86_64", "arm64")


def dollars(name, many):
    return PRICES[name].dollars / PRICES[name].many * many
